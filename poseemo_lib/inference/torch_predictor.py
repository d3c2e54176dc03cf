"""A run's network as a predictor of windows, or of whole clips."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.clips import PoseClip
from poseemo_lib.data.dataset.statistics import STATISTICS_FILE
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.features.compiled_features import derive_features
from poseemo_lib.features.preparation import Preparation
from poseemo_lib.features.windows import Window
from poseemo_lib.inference.predictor_info import PredictorInfo, prepare_windows
from poseemo_lib.text import first_line, listed
from poseemo_lib.training.calibration import scale_probabilities
from poseemo_lib.training.fit import predict
from poseemo_lib.training.parameters import is_baseline, settings_from
from poseemo_lib.training.run_folder import RUN_FILE, Run, find_runs, read_record
from poseemo_lib.training.trained import load_model, prepare_like, run_parameters

# Runs that a message names.
_NAMED = 5


class TorchPredictor:
    """A run's network.

    Parameters
    ----------
    folder : str or Path
        Of one complete run.
    device : torch.device or str

    Raises
    ------
    UsageError
        The folder is not that of one run.
    PoseemoError
        The run is a baseline or not complete, or something of it is damaged.
    """

    def __init__(self, folder: str | Path, device: torch.device | str = "cpu"):
        self.run = open_run(folder)
        self.device = torch.device(device)
        self.model = load_model(self.run, device)
        self.info = info_of(self.run)
        self._parameters = run_parameters(self.run)

    @torch.inference_mode()
    def probabilities(self, windows: Sequence[Window], fps: float, width: int, height: int) -> np.ndarray:
        """Predict windows of one recording: see :class:`poseemo_lib.inference.predictor.Predictor`."""
        if not len(windows):
            return np.zeros((0, len(self.info.classes)))
        keypoints, mask = prepare_windows(self.info, windows, fps, width, height)
        features = derive_features(keypoints, self.info.fps, self.info.preparation.positions)
        features, mask = (torch.from_numpy(values).to(self.device) for values in (features, mask))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._parameters.precision == "bf16"):
            logits = self.model(features, mask)
        return self._calibrated(logits.float().softmax(-1))

    def clip_probabilities(self, clips: Iterable[PoseClip]) -> np.ndarray:
        """Predict clips, at least one, as the run's evaluation did: the mean over the windows of each.

        Returns
        -------
        array (N, C), float64
            Those of the run's `predictions.parquet`, calibrated; rows add up to 1.
        """
        data = prepare_like(self.run, clips, self.device)
        how = self._parameters
        every = torch.arange(len(data), device=self.device)
        return self._calibrated(predict(self.model, data, every, how.n_frames, how.eval_crops, how.precision))

    def _calibrated(self, probabilities: torch.Tensor) -> np.ndarray:
        return scale_probabilities(probabilities.cpu().numpy(), self.info.temperature)


def open_run(folder: str | Path) -> Run:
    """Read the folder of one complete run of a network.

    Raises
    ------
    UsageError
        It is not the folder of one run; if it holds several, the message names some.
    PoseemoError
        The run is a baseline, incomplete or damaged.
    """
    folder = Path(folder)
    complete, others = find_runs(folder)
    if not (folder / RUN_FILE).exists():
        networks = [str(run.folder) for run in complete if not is_baseline(run.record["parameters"]["architecture"])]
        got = f"one with {len(networks)} runs of networks; give one of them: {listed(networks, _NAMED)}"
        if not networks:
            got = f"one with no complete run of a network ({len(complete)} of baselines, {len(others)} not complete)"
        raise UsageError(f"{folder}: wanted the folder of one run, got {got}")
    if not complete:
        status = (read_record(folder) or {}).get("status", "damaged")
        raise PoseemoError(f"{folder}: wanted a complete run, got one that is {status}; make its study again")
    if is_baseline(name := complete[0].record["parameters"]["architecture"]):
        raise PoseemoError(f"{folder}: wanted the run of a network, got the baseline {name}, which has no weights")
    return complete[0]


def info_of(run: Run) -> PredictorInfo:
    """Collect what is known of a run; raises PoseemoError if its calibration, metrics or statistics are damaged."""
    parameters = run_parameters(run)
    calibration = ConfigRuns(run.config, [run]).calibration(run)
    return PredictorInfo(
        name=f"{parameters.architecture} of {run.folder}",
        classes=tuple(run.record["classes"]),
        temperature=float(calibration["temperature"]),
        abstain_below=float(calibration["abstain_below"]),
        n_frames=parameters.n_frames,
        preparation=settings_from(Preparation, parameters),
        synthetic=bool(run.record["dataset"]["synthetic"]),
        statistics=_statistics(run),
        scores=_scores(run),
    )


def _statistics(run: Run) -> dict:
    """Read the measures of a run's training clips; empty if it was made without."""
    path = run.folder / STATISTICS_FILE
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content["n_clips"], int) and isinstance(content["measures"], dict):
            return content
        fault = "n_clips or measures is of another type"
    except (OSError, ValueError, KeyError, TypeError) as error:
        fault = first_line(error)
    raise PoseemoError(f"{path}: damaged ({fault}); remove it, and the training clips are measured again")


def _scores(run: Run) -> dict:
    """Return the scores of :class:`PredictorInfo`; empty if the run has no metrics."""
    scores = _test_scores(run)
    if not scores:
        return {}
    tested = sum(row["support"] > 0 for row in scores["per_class"].values())
    out = {"balanced_accuracy": scores["balanced_accuracy"], "chance": 1 / max(tested, 1), "n": int(scores["n"])}
    baselines = [(_test_scores(other).get("balanced_accuracy", 0.0), other.config) for other in _baselines_beside(run)]
    if baselines:
        out["baseline"], out["baseline_name"] = max(baselines)
    return out | {"leaks": run.record["leaks"]}


def _test_scores(run: Run) -> dict:
    if not (run.folder / "metrics.json").exists():
        return {}
    try:
        scores = run.metrics()["test"]
        sound = isinstance(scores["balanced_accuracy"], float) and isinstance(scores["per_class"], dict)
    except (KeyError, TypeError):
        sound = False
    if not sound:
        raise PoseemoError(f"{run.folder / 'metrics.json'}: wanted the scores of the test split, got something else")
    return scores


def _baselines_beside(run: Run) -> list[Run]:
    """Find the baselines of the run's study that were tested on the same split."""
    depth = 3 if run.fold else 2
    if len(run.folder.parents) < depth or not (split := run.record.get("split_hash")):
        return []
    below = run.folder.relative_to(run.folder.parents[depth - 1]).parts[1:]
    found = []
    for path in sorted(run.folder.parents[depth - 1].glob("/".join(["*", *below[:-1], "seed-*", RUN_FILE]))):
        record = read_record(path.parent)
        same = record and record["status"] == "complete" and record.get("split_hash") == split
        if same and is_baseline(record["parameters"].get("architecture", "")):
            found.append(Run(path.parent, record))
    return found
