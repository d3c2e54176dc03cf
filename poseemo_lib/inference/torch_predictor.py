"""A run's network, or its baseline, as a predictor of windows, or of whole clips."""

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
from poseemo_lib.text import count, listed
from poseemo_lib.training.baselines import Windows, predict_clips, predict_probabilities
from poseemo_lib.training.calibration import factors_of, scale_probabilities
from poseemo_lib.training.fit import predict
from poseemo_lib.training.parameters import is_baseline, settings_from
from poseemo_lib.training.run_folder import RUN_FILE, Run, find_runs, read_record
from poseemo_lib.training.trained import load_baseline, load_model, prepare_like, run_parameters

# Runs that a message names.
_NAMED = 5


class TorchPredictor:
    """The network of one complete run, from :func:`open_run`; `load` reads it from the run's folder."""

    load = staticmethod(load_model)

    def __init__(self, run: Run):
        self.run = run
        self.model = self.load(run)
        self.info = info_of(run)
        self._parameters = run_parameters(run)

    @torch.inference_mode()
    def probabilities(self, windows: Sequence[Window], fps: float, width: int, height: int) -> np.ndarray:
        """Predict windows of one recording: see :class:`poseemo_lib.inference.predictor.Predictor`."""
        keypoints, mask = prepare_windows(self.info, windows, fps, width, height)
        how = self.info.preparation
        features = derive_features(keypoints, how.fps, how.positions, how.motion_unit)
        with torch.autocast("cpu", torch.bfloat16, enabled=self._parameters.precision == "bf16"):
            logits = self.model(torch.from_numpy(features), torch.from_numpy(mask))
        return self._calibrated(logits.float().softmax(-1).numpy())

    def clip_probabilities(self, clips: Iterable[PoseClip]) -> np.ndarray:
        """Predict clips, at least one, as the run's evaluation did: the mean over the windows of each.

        Returns array (N, C), float64: the probabilities of the run's `predictions.parquet`, calibrated.
        """
        data = prepare_like(self.run, clips)
        return self._calibrated(predict(self.model, data, torch.arange(len(data)), self._parameters).numpy())

    def _calibrated(self, probabilities: np.ndarray) -> np.ndarray:
        return scale_probabilities(probabilities, self.info.temperature, self.info.class_factors)


class BaselinePredictor(TorchPredictor):
    """The baseline of one complete run; `stratified` guesses anew for every window, and once a clip."""

    load = staticmethod(load_baseline)

    def probabilities(self, windows: Sequence[Window], fps: float, width: int, height: int) -> np.ndarray:
        """Predict windows of one recording: see :class:`poseemo_lib.inference.predictor.Predictor`."""
        keypoints, mask = prepare_windows(self.info, windows, fps, width, height)
        people, starts = keypoints[:, :, : self._parameters.people], np.array([window.start for window in windows])
        return self._calibrated(predict_probabilities(self.model, Windows(people, mask, self.info.fps, starts)))

    def clip_probabilities(self, clips: Iterable[PoseClip]) -> np.ndarray:
        """Predict clips as the run's evaluation did: see :meth:`TorchPredictor.clip_probabilities`."""
        clips, by_source = list(clips), self._parameters.score_by == "source"
        units = np.array([clip.source_id if by_source else clip.clip_id for clip in clips])
        data = prepare_like(self.run, clips)
        return self._calibrated(predict_clips(self.model, data, torch.arange(len(data)), units, self._parameters))


def open_run(folder: Path) -> Run:
    """Read the folder of one complete run.

    Raises
    ------
    UsageError
        It is not the folder of one run; if it holds several, the message names some.
    PoseemoError
        The run is incomplete or damaged.
    """
    complete, _ = find_runs(folder)
    if not (folder / RUN_FILE).exists():
        got = "one with no complete run"
        if folders := [str(run.folder) for run in complete]:
            got = f"one with {count(len(folders), 'complete run')}; give one of them: {listed(folders, _NAMED)}"
        raise UsageError(f"{folder}: wanted the folder of one run, got {got}")
    if not complete:
        status = (read_record(folder) or {}).get("status", "damaged")
        raise PoseemoError(f"{folder}: wanted a complete run, got one that is {status}; make its study again")
    return complete[0]


def info_of(run: Run) -> PredictorInfo:
    """Collect what is known of a run."""
    parameters = run_parameters(run)
    calibration = ConfigRuns(run.config, [run]).calibration(run)
    return PredictorInfo(
        name=f"{parameters.architecture} of {run.folder}",
        classes=tuple(run.record["classes"]),
        temperature=float(calibration["temperature"]),
        class_factors=tuple(factors_of(calibration, tuple(run.record["classes"]))),
        abstain_below=float(calibration["abstain_below"]),
        n_frames=parameters.n_frames,
        preparation=settings_from(Preparation, parameters),
        synthetic=bool(run.record["dataset"]["synthetic"]),
        statistics=run.read_json(STATISTICS_FILE) if (run.folder / STATISTICS_FILE).exists() else {},
        scores=_scores(run),
    )


def _scores(run: Run) -> dict:
    """Collect how good a run was on its test split, and the best baseline beside it; see PredictorInfo."""
    if not (run.folder / "metrics.json").exists():
        return {}
    scores, calibrated = run.metrics()["test"], run.metrics().get("calibrated")
    tested = sum(row["support"] > 0 for row in scores["per_class"].values())
    out = {"balanced_accuracy": scores["balanced_accuracy"], "chance": 1 / max(tested, 1), "n": int(scores["n"])}
    if baselines := [(one.metrics()["test"]["balanced_accuracy"], one.config) for one in _baselines_beside(run)]:
        out["baseline"], out["baseline_name"] = max(baselines)
    if calibrated:
        both = {"raw": scores, "calibrated": calibrated["test"]}
        out |= {name: {key: one[key] for key in ("accuracy", "balanced_accuracy")} for name, one in both.items()}
    return out | {"leaks": run.record["leaks"]}


def _baselines_beside(run: Run) -> list[Run]:
    """Find the baselines of the run's study that were tested on the same split."""
    folder, split = run.folder.absolute(), run.record.get("split_hash")
    study = folder.parents[2 if run.fold else 1]
    fold = folder.relative_to(study).parts[1:-1]
    found = []
    for path in sorted(study.glob("/".join(["*", *fold, "seed-*", RUN_FILE]))):
        record = read_record(path.parent)
        same = split and record and record["status"] == "complete" and record.get("split_hash") == split
        if same and path.parent != folder and is_baseline(record["parameters"].get("architecture", "")):
            found.append(Run(path.parent, record))
    return found
