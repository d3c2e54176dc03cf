"""What every network has to beat: two baselines that see no pose, two on hand-made statistics of it, and MiniRocket."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZIP_DEFLATED
from zlib import crc32

import numpy as np
import torch
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from poseemo_lib.features.augmentation import flip
from poseemo_lib.files import replacing
from poseemo_lib.training.batching import PreparedClips, evaluation_windows, window_keypoints
from poseemo_lib.training.fit import mean_over_windows
from poseemo_lib.training.parameters import BLIND_BASELINES, RunParameters
from poseemo_lib.training.pose_statistics import movement_statistics, point_series, posture_statistics

BASELINE_FILE = "baseline.skops"
# What a file may hold besides the types that skops itself trusts. None runs code; a forged tree can crash.
TRUSTED = (
    "numpy.dtype",
    "sklearn.tree._tree.Tree",
    "sktime.transformations.rocket._minirocket_multivariate.MiniRocketMultivariate",
)
# Windows whose statistics are computed at once: bounds the memory at a few hundred MB.
_CHUNK = 1024


@dataclass(frozen=True)
class Windows:
    """Windows of keypoints, one or several a clip."""

    keypoints: np.ndarray  # (B, T, M, K, C), float32, normalised by one unit for x and y; missing: NaN
    mask: np.ndarray  # bool (B, T), True for real frames
    fps: float
    unit: np.ndarray  # (B,), name or number of each window's clip or recording; each has the same weight in training


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline, for :func:`predict_probabilities`; `rocket` is MiniRocket's transform, or None."""

    name: str
    n_classes: int
    estimator: Pipeline
    rocket: object | None = None


# Name -> seed -> classifier.
BASELINES: dict[str, Callable] = {
    # Always the most frequent class.
    "majority": lambda seed: DummyClassifier(strategy="most_frequent"),
    # Draws with the class frequencies.
    "stratified": lambda seed: DummyClassifier(strategy="stratified", random_state=seed),
    # More shrinkage than usual: recordings are few, and windows of one are nearly the same.
    "logistic_regression": lambda seed: LogisticRegression(C=0.1, max_iter=2000, random_state=seed),
    # Geurts et al. 2006, "Extremely randomized trees".
    "extra_trees": lambda seed: ExtraTreesClassifier(n_estimators=400, min_samples_leaf=2, n_jobs=1, random_state=seed),
    # Dempster et al. 2021, "MiniRocket: a very fast (almost) deterministic transform for time series classification".
    "rocket": lambda seed: RidgeClassifier(),
}
_STATISTICS = {"logistic_regression": ("posture",), "extra_trees": ("posture", "movement")}
# Penalties of the ridge, the first of equals; chosen on clips or recordings of the training split, held out whole.
_PENALTIES = {"alpha": [1e5, 1e4, 1e3, 1e2]}
# Least probability of a window by `rocket`, before its classes are made to add up to 1.
_LEAST = 0.01


def fit_baseline(name: str, windows: Windows, labels: np.ndarray, n_classes: int, seed: int) -> Baseline:
    """Fit a baseline on training windows, at least one.

    Missing statistics are imputed by the median, with a column that says so, and then standardised. A baseline that
    sees the pose gives each class the same weight.
    """
    rocket = None
    if name == "rocket":
        from sktime.transformations.rocket import MiniRocketMultivariate

        rocket = MiniRocketMultivariate(random_state=seed % 2**31).fit(point_series(windows.keypoints, windows.mask))
    sees, steps = name not in BLIND_BASELINES, []
    if name in _STATISTICS:
        steps = [("impute", SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True))]
    steps += [("standardise", StandardScaler())] if sees else []
    pipeline, how = Pipeline([*steps, ("classifier", BASELINES[name](seed))]), {}
    if rocket:
        held_out = GroupKFold(min(3, len(np.unique(windows.unit))))
        pipeline.steps[-1] = ("classifier", GridSearchCV(pipeline[-1], _PENALTIES, cv=held_out))
        how = {"classifier__groups": windows.unit}
    weights = _window_weights(labels, windows.unit, balanced=sees)
    pipeline.fit(_inputs(name, windows, rocket), labels, classifier__sample_weight=weights, **how)
    if rocket:
        pipeline.steps[-1] = ("classifier", pipeline[-1].best_estimator_)
    return Baseline(name, n_classes, pipeline, rocket)


def predict_probabilities(baseline: Baseline, windows: Windows) -> np.ndarray:
    """Class probabilities (B, n_classes) of every window; a class that training did not have gets 0.

    `stratified` draws once a unit, by the seed and the unit's name, and gives all its windows the same probabilities:
    the mean of several draws would favour the most frequent class. `rocket` reads the ridge's decision values, which
    estimate -1 or 1 by least squares, as estimates of 0 or 1; a run's calibration corrects them as for a network.
    """
    estimator, name = baseline.estimator, baseline.name
    if name == "stratified":
        found = _drawn(estimator[-1], windows.unit)
    elif name == "rocket":
        # Sums of float32 would depend on how many windows are predicted together.
        values = estimator.decision_function(_inputs(name, windows, baseline.rocket).astype(float))
        found = np.stack([-values, values], axis=1) if values.ndim == 1 else values
        found = np.maximum((found + 1) / 2, _LEAST)
        found /= found.sum(1, keepdims=True)
    else:
        found = estimator.predict_proba(_inputs(name, windows))
    probabilities = np.zeros((len(windows.mask), baseline.n_classes))
    probabilities[:, estimator.classes_.astype(np.intp)] = found
    return probabilities


def fit_clips(
    data: PreparedClips, index: Tensor, units: np.ndarray, n_classes: int, seed: int, parameters: RunParameters
) -> Baseline:
    """Fit the baseline that a run's parameters name on its windows of the clips `index`; see :func:`predict_clips`.

    Where networks see windows mirrored (`flip`), pose statistics are of each window as it is and mirrored.
    """
    windows, clip = _cut(data, index, units, parameters)
    labels = data.labels[index].cpu().numpy()[clip.numpy()]
    if parameters.flip and parameters.architecture in _STATISTICS:
        mirrored = flip(torch.from_numpy(windows.keypoints), torch.ones(len(clip), dtype=torch.bool)).numpy()
        keypoints, mask = np.concatenate([windows.keypoints, mirrored]), np.tile(windows.mask, (2, 1))
        windows, labels = Windows(keypoints, mask, data.fps, np.tile(windows.unit, 2)), np.tile(labels, 2)
    return fit_baseline(parameters.architecture, windows, labels, n_classes, seed)


def predict_clips(
    baseline: Baseline, data: PreparedClips, index: Tensor, units: np.ndarray, parameters: RunParameters
) -> np.ndarray:
    """Average the probabilities over the windows of each of the clips `index`: (N, n_classes).

    `units` (N,) are the names of what counts once in training and in a random guess: the clips, or their recordings.
    """
    windows, clip = _cut(data, index, units, parameters)
    return mean_over_windows(torch.from_numpy(predict_probabilities(baseline, windows)), clip, len(index)).numpy()


def save_baseline(baseline: Baseline, folder: Path) -> None:
    """Write a baseline into the folder of its run, without pickle."""
    from skops.io import dump

    with replacing(folder / BASELINE_FILE) as temporary:
        dump(dict(vars(baseline)), temporary, compression=ZIP_DEFLATED)


def read_baseline(path: Path) -> Baseline:
    """Read a baseline; a TypeError where the file holds a type that is not trusted."""
    from skops.io import load

    return Baseline(**load(path, trusted=TRUSTED))


def _cut(data: PreparedClips, index: Tensor, units: np.ndarray, parameters: RunParameters) -> tuple[Windows, Tensor]:
    """Cut the evaluation's windows of clips; also the position in `index` of each window's clip."""
    clip, start = evaluation_windows(data.lengths[index], parameters.n_frames, parameters.eval_crops)
    keypoints, mask = window_keypoints(data, index[clip], start, parameters.n_frames)
    clip = clip.cpu()
    people = keypoints[:, :, : parameters.people].cpu().numpy()
    return Windows(people, mask.cpu().numpy(), data.fps, units[clip.numpy()]), clip


def _inputs(name: str, windows: Windows, rocket=None) -> np.ndarray:
    """Compute what a baseline sees: (B, D) float32; one column of zeros where it sees no pose."""
    if name in BLIND_BASELINES:
        return np.zeros((len(windows.mask), 1), np.float32)
    chunks = []
    for start in range(0, len(windows.mask), _CHUNK):
        keypoints, mask = windows.keypoints[start : start + _CHUNK], windows.mask[start : start + _CHUNK]
        if rocket:
            chunks.append(rocket.transform(point_series(keypoints, mask)).to_numpy())
            continue
        table = posture_statistics(keypoints, mask)
        if "movement" in _STATISTICS[name]:
            table |= movement_statistics(keypoints, mask, windows.fps)
        chunks.append(np.stack(list(table.values()), axis=1).astype(np.float32))
    return np.concatenate(chunks)


def _drawn(guesser: DummyClassifier, unit: np.ndarray) -> np.ndarray:
    names, number = np.unique(unit, return_inverse=True)
    shares = guesser.class_prior_
    seeds = ([guesser.random_state, crc32(str(name).encode())] for name in names)
    guesses = [np.random.default_rng(seed).choice(len(shares), p=shares) for seed in seeds]
    return np.eye(len(shares))[guesses][number]


def _window_weights(labels: np.ndarray, unit: np.ndarray, balanced: bool) -> np.ndarray:
    """Weigh windows so that each unit counts the same and, if `balanced`, each class; the mean weight is 1."""
    _, index, counts = np.unique(unit, return_inverse=True, return_counts=True)
    weights = 1 / counts[index]
    if balanced:
        weights = weights / np.bincount(labels, weights)[labels]
    return weights * (len(weights) / weights.sum())
