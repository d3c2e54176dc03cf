"""A trained run loaded again: its network with the saved weights, and its test clips as the network saw them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from sklearn.pipeline import Pipeline
from torch import Tensor, nn

from poseemo_lib.clips import PoseClip
from poseemo_lib.data.dataset import Dataset
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.features.preparation import Preparation
from poseemo_lib.features.tensor_features import N_FEATURES, to_features
from poseemo_lib.models import build_model
from poseemo_lib.models.standardised import Standardised
from poseemo_lib.training.baselines import BASELINE_FILE, Baseline, read_baseline
from poseemo_lib.training.batching import PreparedClips, evaluation_windows, prepare_clips, window_keypoints
from poseemo_lib.training.parameters import RunParameters, is_baseline, settings_from
from poseemo_lib.training.run_folder import Run, read_or_explain

WEIGHTS_FILE = "weights.safetensors"


@dataclass(frozen=True)
class ClipWindows:
    """Windows of clips as a run's network sees them, those of a clip one after another.

    Features are (W, T, F), the mask of real frames (W, T), prepared keypoints (W, T, M, K, 3). Of the clip that each
    window was cut from there are the ids, the index of its class and its frame rate in the dataset (`original_fps`);
    `start` is the window's first frame in the prepared clip, `fps` its frame rate.
    """

    features: Tensor
    mask: Tensor
    keypoints: Tensor
    clip_ids: np.ndarray
    group_ids: np.ndarray
    source_ids: np.ndarray
    labels: Tensor
    start: np.ndarray
    fps: float
    original_fps: np.ndarray

    def __len__(self) -> int:
        return len(self.clip_ids)

    def take(self, rows: np.ndarray) -> "ClipWindows":
        """Return some of the windows, by their positions."""
        return replace(self, **{name: value[rows] for name, value in vars(self).items() if name != "fps"})

    def units(self, unit: str) -> tuple[np.ndarray, pd.DataFrame]:
        """List the clips, or the recordings (`unit`), that the windows were cut from.

        Returns each window's number of its unit (W,), and a table with a row a unit: clip_id (of a recording its
        source_id), group_id, source_id.
        """
        ids = self._ids(unit)
        _, first, number = np.unique(ids, return_index=True, return_inverse=True)
        table = {"clip_id": ids[first], "group_id": self.group_ids[first], "source_id": self.source_ids[first]}
        return number, pd.DataFrame(table)

    def at_most(self, n: int, unit: str) -> "ClipWindows":
        """Keep about n windows, of whole clips or recordings that are drawn by name: every run keeps the same."""
        if len(self) <= n:
            return self
        draw = np.array([crc32(str(name).encode()) for name in self._ids(unit)])
        return self.take(np.flatnonzero(draw <= np.sort(draw)[n - 1]))

    def _ids(self, unit: str) -> np.ndarray:
        return self.source_ids if unit == "recording" else self.clip_ids

    def seen_joints(self) -> np.ndarray:
        """Tell which joints were seen in a real frame: bool array (W, M, K)."""
        return ((self.keypoints[..., 2] > 0) & self.mask[..., None, None]).any(1).numpy()


def run_parameters(run: Run) -> RunParameters:
    """Return all parameters of a run; one that its version did not have has its default."""
    known = RunParameters.model_fields
    return RunParameters(**{name: value for name, value in run.record["parameters"].items() if name in known})


def load_model(run: Run) -> nn.Module:
    """Build a run's :class:`Standardised` network with the chosen weights, in evaluation mode.

    Raises
    ------
    PoseemoError
        The run is a baseline, its weights are missing or damaged, or they do not fit this version's network.
    """
    parameters, path = run_parameters(run), run.folder / WEIGHTS_FILE
    if is_baseline(parameters.architecture):
        raise PoseemoError(f"{run.folder}: wanted the run of a network, got the baseline {parameters.architecture}")
    weights = read_or_explain(load_file, path)
    try:
        n_classes = len(run.record["classes"])
        network = build_model(parameters.architecture, parameters.n_outputs or n_classes, **parameters.model)
        model = Standardised(network, torch.zeros(1, 1, N_FEATURES), parameters.motion, n_classes)
        model.load_state_dict(weights)
    except (UsageError, RuntimeError) as error:
        fault = " ".join(str(error).split())[:200]
        raise PoseemoError(
            f"{path}: the weights do not fit the network {parameters.architecture} of this version ({fault}); "
            f"train the run again, or use the version that made it, {run.record.get('poseemo_version', 'unknown')}"
        ) from None
    return model.eval()


def load_baseline(run: Run) -> Baseline:
    """Load the fitted baseline of a run; a PoseemoError if it is missing, damaged, or of another kind."""

    def read(path: Path) -> Baseline:
        found, name = read_baseline(path), run.record["parameters"]["architecture"]
        if (found.name, found.n_classes) != (name, len(run.record["classes"])) or type(found.estimator) is not Pipeline:
            raise ValueError(f"wanted the baseline {name} of the run's classes, got another thing")
        return found

    return read_or_explain(read, run.folder / BASELINE_FILE)


def prepare_like(run: Run, clips: Iterable[PoseClip]) -> PreparedClips:
    """Prepare clips (at least one) as the run's training did; a label that it does not know becomes -1."""
    how = settings_from(Preparation, run_parameters(run))
    return prepare_clips(clips, tuple(run.record["classes"]), how)


def test_windows(run: Run, dataset: Dataset, crops: int = 1) -> ClipWindows:
    """Cut windows out of a run's test clips as its evaluation did, `crops` of a clip (`batching.evaluation_windows`).

    Raises
    ------
    PoseemoError
        The dataset, which should be the run's, lacks some of the clips.
    """
    split = run.split().set_index("clip_id")
    wanted = set(split.index[split["part"] == "test"])
    clips = list(dataset.clips(lambda clip_id: clip_id in wanted))
    if len(clips) < len(wanted) or not clips:
        raise PoseemoError(
            f"{dataset.root}: wanted the {len(wanted)} test clips of {run.folder}, found {len(clips)}; "
            "give the dataset that the run was made with"
        )
    data, original_fps = prepare_like(run, clips), {clip.clip_id: clip.fps for clip in clips}
    clip, start = evaluation_windows(data.lengths, run_parameters(run).n_frames, crops)
    keypoints, mask = window_keypoints(data, clip, start, run_parameters(run).n_frames)
    ids = np.array(data.clip_ids)[clip.numpy()]
    about = split.loc[ids]
    return ClipWindows(
        features=to_features(keypoints, mask, data.fps, data.positions, data.motion_unit),
        mask=mask,
        keypoints=keypoints,
        clip_ids=ids,
        group_ids=about["group_id"].to_numpy(),
        source_ids=about["source_id"].to_numpy(),
        labels=data.labels[clip],
        start=start.numpy(),
        fps=data.fps,
        original_fps=np.array([original_fps[name] for name in ids]),
    )


test_windows.__test__ = False  # its name is no pytest's
