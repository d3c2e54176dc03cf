"""An exported network, `NAME.onnx` with its sidecar `NAME.json`, as a predictor: ONNX Runtime and NumPy, no torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, ValidationError
from scipy.special import softmax

from poseemo_lib.errors import PoseemoError, extra
from poseemo_lib.features.compiled_features import derive_features
from poseemo_lib.features.windows import Window
from poseemo_lib.files import hash_file, write_json
from poseemo_lib.inference.predictor_info import PredictorInfo, prepare_windows
from poseemo_lib.text import first_line
from poseemo_lib.training.calibration import scale_probabilities


class Sidecar(PredictorInfo):
    """`NAME.json`: all that is needed to predict with an exported network, in any language.

    Parameters
    ----------
    inputs : {"keypoints", "features"}
        What the graph takes beside `mask` (B, T): prepared `keypoints` (B, T, 2, 17, 3), or `features` (B, T, 238). Its
        output `probabilities` is softmax(logits / temperature + log class_factors).
    joints, channels : list of str
        Order of the 17 keypoints, and of the features of one.
    parity : dict
        How the export was compared with the network: windows, clips, dataset, largest_difference of a probability.
    """

    format_version: Literal[1] = 1
    onnx_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    architecture: str
    run: str
    inputs: Literal["keypoints", "features"]
    joints: list[str]
    channels: list[str]
    dataset: dict
    parity: dict
    versions: dict[str, str]


def sidecar_path(onnx: Path) -> Path:
    """Return the path of an exported network's sidecar."""
    return onnx.with_suffix(".json")


def write_sidecar(onnx: Path, sidecar: Sidecar) -> None:
    """Write the sidecar of an exported network."""
    write_json(sidecar_path(onnx), sidecar.model_dump())


def read_sidecar(onnx: Path) -> Sidecar:
    """Read the sidecar of an exported network, and check that the two belong together.

    Raises
    ------
    PoseemoError
        One of the two files is missing or damaged, or they do not belong together.
    """
    path, again = sidecar_path(onnx), "export the run again with `poseemo export`"
    try:
        sidecar, sha256 = Sidecar.model_validate_json(path.read_bytes()), hash_file(onnx)
    except OSError as error:
        raise PoseemoError(f"{error.filename}: {error.strerror}; wanted NAME.onnx and NAME.json; {again}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "content"
        raise PoseemoError(f"{path}: damaged: {where}: {first['msg'][0].lower()}{first['msg'][1:]}; {again}") from None
    if sidecar.onnx_sha256 != sha256:
        raise PoseemoError(f"{onnx}: is not the network that {path.name} was written for; {again}")
    return sidecar


class OnnxPredictor:
    """An exported network, `NAME.onnx` with `NAME.json` beside it.

    Raises
    ------
    UsageError
        ONNX Runtime is not installed.
    PoseemoError
        A file is missing or damaged, or the two do not belong together.
    """

    def __init__(self, path: Path):
        sidecar = read_sidecar(path)
        self.info = sidecar.model_copy(update={"name": f"{sidecar.architecture} of {sidecar.run}, exported as {path}"})
        self._session = _open_session(path)

    def probabilities(self, windows: Sequence[Window], fps: float, width: int, height: int) -> np.ndarray:
        """Predict windows of one recording: see :class:`poseemo_lib.inference.predictor.Predictor`."""
        values, mask = prepare_windows(self.info, windows, fps, width, height)
        if self.info.inputs == "features":
            how = self.info.preparation
            values = derive_features(values, how.fps, how.positions, how.motion_unit)
        (logits,) = self._session.run(["logits"], {self.info.inputs: values, "mask": mask})
        return scale_probabilities(
            softmax(logits.astype(np.float64), -1), self.info.temperature, self.info.class_factors
        )


def _open_session(path: Path):
    with extra("ONNX Runtime", "export"):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # best for one window at a time
    options.log_severity_level = 4  # what matters is raised
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own kinds have no common base
        raise PoseemoError(f"{path}: ONNX Runtime cannot open it: {first_line(error)}") from None
