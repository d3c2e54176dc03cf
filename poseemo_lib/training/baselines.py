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

from poseemo_lib.errors import TrainingError
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


@dataclass(frozen=True)
class _Recipe:
    build: Callable  # seed -> classifier
    statistics: tuple[str, ...] = ()
    balanced: bool = False  # whether each class has the same weight in training


BASELINES = {
    # Always the most frequent class.
    "majority": _Recipe(lambda seed: DummyClassifier(strategy="most_frequent")),
    # Draws with the class frequencies.
    "stratified": _Recipe(lambda seed: DummyClassifier(strategy="stratified", random_state=seed)),
    # More shrinkage than usual: recordings are few, and windows of one are nearly the same.
    "logistic_regression": _Recipe(
        lambda seed: LogisticRegression(C=0.1, max_iter=2000, random_state=seed), ("posture",), balanced=True
    ),
    # Geurts et al. 2006, "Extremely randomized trees".
    "extra_trees": _Recipe(
        lambda seed: ExtraTreesClassifier(n_estimators=400, min_samples_leaf=2, n_jobs=1, random_state=seed),
        ("posture", "movement"),
        balanced=True,
    ),
}


def fit_baseline(name: str, windows: Windows, labels: np.ndarray, n_classes: int, seed: int) -> Baseline:
    """Fit a baseline on training windows.

    Missing statistics are imputed by the median, with a column that says so, and then standardised.

    Raises
    ------
    TrainingError
        There are no windows, or one class only where the baseline needs two.
    """
    recipe = BASELINES[name]
    if len(labels) == 0:
        raise TrainingError(f"baseline {name}: wanted at least one training window, got none")
    if name == "logistic_regression" and len(np.unique(labels)) < 2:
        raise TrainingError(f"baseline {name}: wanted at least two classes in training, got class {labels[0]} only")
    steps = [("classifier", recipe.build(seed))]
    if recipe.statistics:
        impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        steps = [("impute", impute), ("standardise", StandardScaler()), *steps]
    weights = _window_weights(labels, windows.clip, recipe.balanced)
    pipeline = Pipeline(steps).fit(baseline_inputs(name, windows), labels, classifier__sample_weight=weights)
    return Baseline(name, pipeline, n_classes)


def predict_probabilities(baseline: Baseline, windows: Windows) -> np.ndarray:
    """Class probabilities (B, n_classes) of every window; a class that training did not have gets 0.

    `stratified` draws once a clip and gives all its windows the same probabilities. Where scores are by recording,
    `windows.clip` has to number the recordings: the mean of several draws would favour the most frequent class.
    """
    probabilities = np.zeros((len(windows.mask), baseline.n_classes))
    if len(probabilities) == 0:
        return probabilities
    if baseline.name == "stratified":
        clips, window_clip = np.unique(windows.clip, return_inverse=True)
        found = baseline.estimator.predict_proba(np.zeros((len(clips), 1)))[window_clip]
    else:
        found = baseline.estimator.predict_proba(baseline_inputs(baseline.name, windows))
    probabilities[:, baseline.estimator.classes_.astype(np.intp)] = found
    return probabilities


def baseline_inputs(name: str, windows: Windows) -> np.ndarray:
    """Compute the statistics that a baseline sees: (B, D) float32, NaN where nothing could be measured.

    A baseline that sees no pose gets one column of zeros.
    """
    kinds = BASELINES[name].statistics
    if not kinds:
        return np.zeros((len(windows.mask), 1), np.float32)
    chunks = np.array_split(np.arange(len(windows.mask)), max(1, -(-len(windows.mask) // _CHUNK)))
    compute = {
        "posture": lambda rows: posture_statistics(windows.keypoints[rows], windows.mask[rows])[0],
        "movement": lambda rows: movement_statistics(windows.keypoints[rows], windows.mask[rows], windows.fps)[0],
    }
    return np.concatenate([np.concatenate([compute[kind](rows) for kind in kinds], axis=1) for rows in chunks])


def _window_weights(labels: np.ndarray, clip: np.ndarray, balanced: bool) -> np.ndarray:
    """Weights of mean 1: each clip has the same weight and, if `balanced`, so has each class."""
    _, index, counts = np.unique(clip, return_inverse=True, return_counts=True)
    weights = 1 / counts[index]
    if balanced:
        weights = weights / np.bincount(labels, weights)[labels]
    return weights * (len(weights) / weights.sum())
