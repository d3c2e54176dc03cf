"""An exported network as a predictor, with ONNX Runtime and NumPy: torch is not needed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.features.compiled_features import derive_features
from poseemo_lib.features.preparation import Preparation, prepare
from poseemo_lib.features.windows import Window
from poseemo_lib.inference.onnx_sidecar import read_sidecar
from poseemo_lib.inference.predictor_info import PredictorInfo
from poseemo_lib.text import first_line
from poseemo_lib.training.calibration import scale_probabilities


class OnnxPredictor:
    """An exported network.

    Parameters
    ----------
    path : str or Path
        `NAME.onnx`, with `NAME.json` beside it.
    threads : int
        Of ONNX Runtime; one is best for one window at a time.

    Raises
    ------
    UsageError
        ONNX Runtime is not installed.
    PoseemoError
        A file is missing or damaged, or the two do not belong together.
    """

    def __init__(self, path: str | Path, *, threads: int = 1):
        path = Path(path)
        self.sidecar = read_sidecar(path)
        self._session = _open_session(path, threads)
        side = self.sidecar
        self.info = PredictorInfo(
            name=f"{side.architecture} of {side.run}, exported as {path}",
            classes=tuple(side.classes),
            temperature=side.temperature,
            abstain_below=side.abstain_below,
            n_frames=side.n_frames,
            preparation=side.preparation,
            synthetic=side.synthetic,
            statistics=side.statistics,
            scores=side.scores,
        )

    @property
    def provider(self) -> str:
        """What ONNX Runtime really runs on."""
        return self._session.get_providers()[0]

    def probabilities(self, windows: Sequence[Window], fps: float, width: int, height: int) -> np.ndarray:
        """Predict windows of one recording: see :class:`poseemo_lib.inference.predictor.Predictor`."""
        if not len(windows):
            return np.zeros((0, len(self.info.classes)))
        values, mask = prepare_windows(windows, fps, width, height, self.info.preparation, self.info.n_frames)
        if self.sidecar.inputs == "features":
            values = derive_features(values, self.info.fps, self.info.preparation.positions)
        (logits,) = self._session.run(["logits"], {self.sidecar.inputs: values, "mask": mask})
        return scale_probabilities(_softmax(logits), self.info.temperature)


def prepare_windows(
    windows: Sequence[Window], fps: float, width: int, height: int, how: Preparation, n_frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Prepare each window as a clip of its own and keep its first frames.

    Returns
    -------
    keypoints : array (W, n_frames, 2, 17, 3), float32
        Missing, and padding: NaN, NaN, 0.
    mask : bool array (W, n_frames)
        True for real frames.
    """
    clean = [prepare(window.keypoints, fps, width, height, how)[:n_frames] for window in windows]
    keypoints = np.full((len(windows), n_frames, *clean[0].shape[1:]), np.nan, np.float32)
    keypoints[..., 2] = 0
    for window, values in zip(keypoints, clean, strict=True):
        window[: len(values)] = values
    return keypoints, np.arange(n_frames) < np.array([len(values) for values in clean])[:, None]


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponents = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    return exponents / exponents.sum(-1, keepdims=True)


def _open_session(path: Path, threads: int):
    try:
        import onnxruntime
    except ImportError:
        raise UsageError(f"{path}: wants ONNX Runtime; run `pip install 'poseemo[export]'`") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.log_severity_level = 4  # what matters is raised
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own kinds have no common base
        raise PoseemoError(f"{path}: ONNX Runtime cannot open it: {first_line(error)}") from None
