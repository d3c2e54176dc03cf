"""What every network has to beat: two baselines that see no pose, and two on hand-made statistics of it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from poseemo_lib.training.pose_statistics import movement_statistics, posture_statistics

# Windows whose statistics are computed at once: bounds the memory at a few hundred MB.
_CHUNK = 1024


@dataclass(frozen=True)
class Windows:
    """Windows of keypoints, one or several a clip."""

    keypoints: np.ndarray  # (B, T, M, K, C), float32, normalised by one unit for x and y; missing: NaN
    mask: np.ndarray  # bool (B, T), True for real frames
    fps: float
    clip: np.ndarray  # int (B,), the clip of each window; each clip has the same weight in training


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline, for :func:`predict_probabilities`."""

    name: str
    estimator: Pipeline
    n_classes: int


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
}
# The others see no pose.
_STATISTICS = {"logistic_regression": ("posture",), "extra_trees": ("posture", "movement")}


def fit_baseline(name: str, windows: Windows, labels: np.ndarray, n_classes: int, seed: int) -> Baseline:
    """Fit a baseline on training windows, at least one.

    Missing statistics are imputed by the median, with a column that says so, and then standardised. A baseline that
    sees the pose gives each class the same weight.
    """
    steps = [("classifier", BASELINES[name](seed))]
    if name in _STATISTICS:
        impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        steps = [("impute", impute), ("standardise", StandardScaler()), *steps]
    weights = _window_weights(labels, windows.clip, balanced=name in _STATISTICS)
    pipeline = Pipeline(steps).fit(_inputs(name, windows), labels, classifier__sample_weight=weights)
    return Baseline(name, pipeline, n_classes)


def predict_probabilities(baseline: Baseline, windows: Windows) -> np.ndarray:
    """Class probabilities (B, n_classes) of every window; a class that training did not have gets 0.

    `stratified` draws once a clip and gives all its windows the same probabilities. Where scores are by recording,
    `windows.clip` has to number the recordings: the mean of several draws would favour the most frequent class.
    """
    if baseline.name == "stratified":
        clips, window_clip = np.unique(windows.clip, return_inverse=True)
        found = baseline.estimator.predict_proba(np.zeros((len(clips), 1)))[window_clip]
    else:
        found = baseline.estimator.predict_proba(_inputs(baseline.name, windows))
    probabilities = np.zeros((len(windows.mask), baseline.n_classes))
    probabilities[:, baseline.estimator.classes_.astype(np.intp)] = found
    return probabilities


def _inputs(name: str, windows: Windows) -> np.ndarray:
    """Compute the statistics that a baseline sees: (B, D) float32; one column of zeros where it sees no pose."""
    if name not in _STATISTICS:
        return np.zeros((len(windows.mask), 1), np.float32)
    chunks = []
    for start in range(0, len(windows.mask), _CHUNK):
        keypoints, mask = windows.keypoints[start : start + _CHUNK], windows.mask[start : start + _CHUNK]
        table = posture_statistics(keypoints, mask)
        if "movement" in _STATISTICS[name]:
            table |= movement_statistics(keypoints, mask, windows.fps)
        chunks.append(np.stack(list(table.values()), axis=1).astype(np.float32))
    return np.concatenate(chunks)


def _window_weights(labels: np.ndarray, clip: np.ndarray, balanced: bool) -> np.ndarray:
    """Weigh windows so that each clip counts the same and, if `balanced`, each class; the mean weight is 1."""
    _, index, counts = np.unique(clip, return_inverse=True, return_counts=True)
    weights = 1 / counts[index]
    if balanced:
        weights = weights / np.bincount(labels, weights)[labels]
    return weights * (len(weights) / weights.sum())
