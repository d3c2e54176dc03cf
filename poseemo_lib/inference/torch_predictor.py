"""A run's network as a predictor: windows, or whole clips, to calibrated probabilities, on the path of its training."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.clips import PoseClip
from poseemo_lib.data.dataset.statistics import STATISTICS_FILE
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.features.preparation import Preparation
from poseemo_lib.features.windows import Window
from poseemo_lib.inference.predictor_info import PredictorInfo
from poseemo_lib.training.batching import evaluation_batch, prepare_clips
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

    def probabilities(self, windows: Sequence[Window], fps: float, width: int, height: int) -> np.ndarray:
        """Predict windows of one recording: see :class:`poseemo_lib.inference.predictor.Predictor`.

        Each is prepared as a clip of its own, and its first frames, as many as a window has, are what the network sees.
        """
        if not len(windows):
            return np.zeros((0, len(self.info.classes)))
        clips = [PoseClip("", "", window.keypoints, fps, width, height, "", "") for window in windows]
        return self._calibrated(self._first_frames(clips))

    def clip_probabilities(self, clips: Iterable[PoseClip]) -> np.ndarray:
        """Predict clips as the run's evaluation did: the mean over its windows of a clip that was prepared as a whole.

        Parameters
        ----------
        clips : iterable of PoseClip
            At least one.

        Returns
        -------
        array (N, C), float64
            Calibrated; rows add up to 1. On the clips of the run's `predictions.parquet` these are its probabilities,
            calibrated.
        """
        data = prepare_like(self.run, clips, self.device)
        how = self._parameters
        every = torch.arange(len(data), device=self.device)
        return self._calibrated(predict(self.model, data, every, how.n_frames, how.eval_crops, how.precision))

    @torch.inference_mode()
    def _first_frames(self, clips: list[PoseClip]) -> torch.Tensor:
        data = prepare_clips(clips, self.info.classes, self.info.preparation, self.device)
        clip = torch.arange(len(data), device=self.device)
        features, mask = evaluation_batch(data, clip, torch.zeros_like(clip), self._parameters.n_frames)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._parameters.precision == "bf16"):
            logits = self.model(features, mask)
        return logits.float().softmax(-1)

    def _calibrated(self, probabilities: torch.Tensor) -> np.ndarray:
        return scale_probabilities(probabilities.cpu().numpy(), self.info.temperature)


def open_run(folder: str | Path) -> Run:
    """Read the folder of one complete run of a network.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    Run

    Raises
    ------
    UsageError
        It is not the folder of one run; where it holds several, the message names some.
    PoseemoError
        The run is a baseline or is not complete, or its record is damaged.
    """
    folder = Path(folder)
    complete, others = find_runs(folder)
    if not (folder / RUN_FILE).exists():
        raise UsageError(f"{folder}: wanted the folder of one run, got {_several(complete, len(others))}")
    if not complete:
        status = (read_record(folder) or {}).get("status", "damaged")
        raise PoseemoError(f"{folder}: wanted a complete run, got one that is {status}; make its study again")
    if is_baseline(name := complete[0].record["parameters"]["architecture"]):
        raise PoseemoError(f"{folder}: wanted the run of a network, got the baseline {name}, which has no weights")
    return complete[0]


def _several(complete: list[Run], n_others: int) -> str:
    networks = [run.folder for run in complete if not is_baseline(run.record["parameters"]["architecture"])]
    if not networks:
        return f"one with no complete run of a network ({len(complete)} of baselines, {n_others} not complete)"
    named = ", ".join(str(path) for path in networks[:_NAMED])
    more = f" and {len(networks) - _NAMED} more" if len(networks) > _NAMED else ""
    return f"one with {len(networks)} of networks; give one of them: {named}{more}"


def info_of(run: Run) -> PredictorInfo:
    """Collect what a predictor says of a run.

    Parameters
    ----------
    run : Run
        Of a network.

    Returns
    -------
    PredictorInfo

    Raises
    ------
    PoseemoError
        Its calibration, metrics or statistics are damaged.
    """
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
        statistics=stored_statistics(run),
        scores=test_scores(run),
    )


def stored_statistics(run: Run) -> dict:
    """Read what a run's training clips looked like; empty where the run was made without it."""
    path = run.folder / STATISTICS_FILE
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content["n_clips"], int) and isinstance(content["measures"], dict):
            return content
        fault = "n_clips and measures are not of their kinds"
    except (OSError, ValueError, KeyError, TypeError) as error:
        fault = str(error) or type(error).__name__
    raise PoseemoError(f"{path}: damaged ({fault}); remove it, and the training clips are looked at anew")


def test_scores(run: Run) -> dict:
    """Return how good a run was on its test clips.

    Parameters
    ----------
    run : Run

    Returns
    -------
    dict
        balanced_accuracy, chance, n and leaks; with a baseline on the same split beside it, baseline (the best balanced
        accuracy of one) and baseline_name. Empty where the run has no metrics.
    """
    scores = _test_part(run)
    if not scores:
        return {}
    tested = sum(row["support"] > 0 for row in scores["per_class"].values())
    out = {"balanced_accuracy": scores["balanced_accuracy"], "chance": 1 / max(tested, 1), "n": int(scores["n"])}
    baselines = [(_test_part(other).get("balanced_accuracy", 0.0), other.config) for other in _baselines_beside(run)]
    if baselines:
        best, name = max(baselines)
        out |= {"baseline": best, "baseline_name": name}
    return out | {"leaks": run.record["leaks"]}


test_scores.__test__ = False  # its name is no pytest's


def _test_part(run: Run) -> dict:
    if not (run.folder / "metrics.json").exists():
        return {}
    try:
        scores = run.metrics()["test"]
        sound = isinstance(scores["balanced_accuracy"], float) and isinstance(scores["per_class"], dict)
    except (KeyError, TypeError):
        sound = False
    if not sound:
        raise PoseemoError(f"{run.folder / 'metrics.json'}: wanted the scores of the test part, got something else")
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
