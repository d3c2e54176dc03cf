"""A run's network as an ONNX file that predicts without torch; it is compared with the network before it is kept."""

import logging
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor, nn

from poseemo_lib import __version__
from poseemo_lib.data.dataset import Dataset
from poseemo_lib.data.formats import Recording
from poseemo_lib.data.recipes import find_dataset
from poseemo_lib.errors import PoseemoError, UsageError, extra
from poseemo_lib.features.layout import CHANNEL_NAMES, N_FEATURES
from poseemo_lib.features.tensor_features import to_features
from poseemo_lib.files import hash_file
from poseemo_lib.inference.doctor import training_statistics
from poseemo_lib.inference.onnx_predictor import OnnxPredictor, Sidecar, sidecar_path, write_sidecar
from poseemo_lib.inference.predictor import windows_of
from poseemo_lib.inference.predictor_info import PredictorInfo
from poseemo_lib.inference.torch_predictor import TorchPredictor, open_run
from poseemo_lib.skeleton import COCO_KEYPOINTS, MAX_PEOPLE, N_KEYPOINTS
from poseemo_lib.training.run_folder import Run

# An export is refused if a probability differs by more.
TOLERANCE = 1e-4
# Test clips that are compared, evenly spread over the split.
CLIPS = 48
INPUTS = ("keypoints", "features")


class Exported(nn.Module):
    """The exported graph: features (unless the caller derives them), network, calibrated probabilities."""

    def __init__(self, network: nn.Module, inputs: str, info: PredictorInfo):
        super().__init__()
        self.network, self.inputs = network, inputs
        self.how, self.temperature = info.preparation, info.temperature
        self.register_buffer("log_factors", torch.tensor(info.class_factors).log())

    def forward(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Map keypoints (B, T, 2, 17, 3) or features (B, T, F), and mask (B, T), to logits and probabilities."""
        if self.inputs == "keypoints":
            # Missing keypoints may hold any x and y.
            hidden = values.new_tensor([torch.nan, torch.nan, 0.0])
            values, how = torch.where(values[..., 2:] > 0, values, hidden), self.how
            values = to_features(values, mask, how.fps, how.positions, how.motion_unit)
        logits = self.network(values, mask)
        return logits, (logits / self.temperature + self.log_factors).softmax(-1)


def export_run(
    folder: str | Path, out: str | Path, *, inputs: str = "keypoints", check: Dataset | None = None
) -> Sidecar:
    """Export the network of a run, with its sidecar `NAME.json`.

    Parameters
    ----------
    folder : str or Path
        One complete run of a network.
    out : str or Path
        `NAME.onnx`; its folder is made.
    inputs : {"keypoints", "features"}
        Whether features are derived inside the graph, or by the caller.
    check : Dataset, optional
        The clips to compare the export on; default: the run's own test clips.

    Raises
    ------
    UsageError
        A wrong argument, `out` exists, a package is missing, or the run's dataset is not found.
    PoseemoError
        The run cannot be used, or the export's predictions differ from the network's: nothing is written then.
    """
    out = _check_target(Path(out), inputs)
    predictor = TorchPredictor(open_run(Path(folder)))
    recordings, where = _recordings(predictor.run, check)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".tmp-", dir=out.parent) as beside:
            graph = Path(beside, out.name)
            _write_graph(predictor, inputs, graph)
            sidecar = _sidecar(predictor, inputs, hash_file(graph))
            write_sidecar(graph, sidecar)
            sidecar.parity.update(where | compare_predictors(predictor, OnnxPredictor(graph), recordings))
            graph.rename(out)
            write_sidecar(out, sidecar)
    except OSError as error:
        raise PoseemoError(f"{out}: cannot be written: {error.strerror}") from None
    return sidecar


def _check_target(out: Path, inputs: str) -> Path:
    if inputs not in INPUTS:
        raise UsageError(f"--inputs: wanted one of {', '.join(INPUTS)}, got {inputs!r}")
    if out.suffix.lower() != ".onnx":
        raise UsageError(f"{out}: wanted a name that ends in .onnx")
    for path in (out, sidecar_path(out)):
        if path.exists():
            raise UsageError(f"{path}: exists; remove it or choose another name")
    with extra("ONNX", "export"):
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    return out


def _recordings(run: Run, check: Dataset | None) -> tuple[list[Recording], dict]:
    """Read the clips to compare on, and say which they are."""
    dataset = check or find_dataset(run.record)
    if dataset is None:
        raise UsageError(
            f"{run.folder}: its dataset {run.record['parameters']['dataset']} is not found; "
            "give clips to compare the export on with --check DATASET"
        )
    ids = set(dataset.table()["clip_id"])
    if check is None:
        split = run.split()
        ids &= set(split.loc[split["part"] == "test", "clip_id"])
    spread = np.linspace(0, max(0, len(ids) - 1), min(CLIPS, len(ids))).astype(int)
    wanted = set(np.array(sorted(ids))[spread])
    clips = [Recording(c.keypoints, c.fps, c.width, c.height) for c in dataset.clips(lambda name: name in wanted)]
    return clips, {"dataset": dataset.info.name, "split": "all" if check else "test", "clips": len(clips)}


def _write_graph(predictor: TorchPredictor, inputs: str, path: Path) -> None:
    info = predictor.info
    shape = (MAX_PEOPLE, N_KEYPOINTS, 3) if inputs == "keypoints" else (N_FEATURES,)
    graph = Exported(predictor.model, inputs, info).eval()
    # Two windows: a batch of one would be taken for the only size.
    example = (torch.rand(2, info.n_frames, *shape), torch.ones(2, info.n_frames, dtype=torch.bool))
    batch = {0: torch.export.Dim("batch")}
    names = {"input_names": [inputs, "mask"], "output_names": ["logits", "probabilities"]}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # torchvision is not installed, and need not be
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's own, about its internals
        program = torch.onnx.export(graph, example, dynamo=True, dynamic_shapes=(batch, batch), verbose=False, **names)
    program.save(path)


def _sidecar(predictor: TorchPredictor, inputs: str, sha256: str) -> Sidecar:
    import onnxruntime

    info, record = predictor.info, predictor.run.record
    return Sidecar(
        **dict(info) | {"statistics": training_statistics(predictor)},
        onnx_sha256=sha256,
        architecture=record["parameters"]["architecture"],
        run=f"run {predictor.run.config}, seed {record['parameters']['seed']}, {record['identity'][:12]}",
        inputs=inputs,
        joints=list(COCO_KEYPOINTS),
        channels=list(CHANNEL_NAMES),
        dataset=record["dataset"],
        parity={},
        versions={"poseemo": __version__, "torch": torch.__version__, "onnxruntime": onnxruntime.__version__},
    )


def compare_predictors(network: TorchPredictor, exported: OnnxPredictor, recordings: list[Recording]) -> dict:
    """Compare an export with its network, from raw keypoints to probabilities: windows, and largest_difference.

    Windows are predicted together and one alone, since the size of a batch must not matter. Raises PoseemoError if
    there is no window, or if a probability differs by more than :data:`TOLERANCE`.
    """
    worst, n_windows = 0.0, 0
    for recording in recordings:
        size = (recording.fps, recording.width, recording.height)
        if windows := windows_of(network.info, recording):
            n_windows += len(windows)
        for some in (windows, windows[:1]) if windows else ():
            differ = np.abs(network.probabilities(some, *size) - exported.probabilities(some, *size))
            worst = max(worst, float(np.nan_to_num(differ, nan=np.inf).max()))
    if not n_windows:
        raise PoseemoError("the export could not be compared: wanted clips with people, got none; use --check DATASET")
    if worst > TOLERANCE:
        raise PoseemoError(
            f"the export differs from the network: probabilities differ by up to {worst:.2g}, wanted "
            f"at most {TOLERANCE:g}; nothing was written"
        )
    return {"windows": n_windows, "largest_difference": worst}
