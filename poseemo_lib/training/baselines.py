"""What every network has to beat: two that see no pose, and two on hand-made statistics."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from poseemo_lib.errors import TrainingError, UsageError
from poseemo_lib.training.pose_statistics import movement_statistics, posture_statistics

# Windows whose statistics are computed at once: bounds the memory at a few hundred MB.
_CHUNK = 1024


@dataclass(frozen=True)
class Windows:
    """Windows of keypoints, one or several a clip.

    Parameters
    ----------
    keypoints : array (B, T, M, K, C), float32
        Normalised by one unit for x and y, missing: NaN.
    mask : bool array (B, T)
        True for real frames.
    fps : float
    clip : int array (B,)
        The clip that each window was cut from. A clip weighs the same in training however many windows it has.
    """

    keypoints: np.ndarray
    mask: np.ndarray
    fps: float
    clip: np.ndarray


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline, for :func:`predict_probabilities`."""

    name: str
    estimator: object
    n_classes: int


def _majority(seed: int):
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="most_frequent")


def _stratified(seed: int):
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="stratified", random_state=seed)


def _logistic_regression(seed: int):
    from sklearn.linear_model import LogisticRegression

    # More shrinkage than usual: recordings are few, and windows of one say nearly the same.
    return LogisticRegression(C=0.1, max_iter=2000, random_state=seed)


def _extra_trees(seed: int):
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(n_estimators=400, min_samples_leaf=2, n_jobs=1, random_state=seed)


@dataclass(frozen=True)
class _Recipe:
    build: Callable
    statistics: tuple[str, ...]  # what it sees of the pose
    balanced: bool  # every class weighs the same in training


BASELINES = {
    "majority": _Recipe(_majority, (), balanced=False),
    "stratified": _Recipe(_stratified, (), balanced=False),
    "logistic_regression": _Recipe(_logistic_regression, ("posture",), balanced=True),
    "extra_trees": _Recipe(_extra_trees, ("posture", "movement"), balanced=True),
}


def build_baseline(name: str, seed: int, **params):
    """Build a baseline that is not fitted yet.

    Parameters
    ----------
    name : str
        A key of :data:`BASELINES`: `majority` (always the most frequent class), `stratified` (draws with the class
        frequencies), `logistic_regression` on posture statistics, `extra_trees` (Geurts et al. 2006, "Extremely
        randomized trees") on posture and movement statistics.
    seed : int
    **params
        Parameters of its scikit-learn classifier.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Missing statistics are imputed by the median, with a column that says so; then standardised; `classifier`.

    Raises
    ------
    UsageError
        An unknown name or parameter; the message lists the known ones.
    """
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = _recipe(name).build(seed)
    unknown = sorted(set(params) - set(classifier.get_params()))
    if unknown:
        known = ", ".join(sorted(classifier.get_params()))
        raise UsageError(f"baseline {name}: unknown parameter {', '.join(unknown)}; known: {known}")
    steps = [("classifier", classifier.set_params(**params))]
    if _recipe(name).statistics:
        impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        steps = [("impute", impute), ("standardise", StandardScaler()), *steps]
    return Pipeline(steps)


def _recipe(name: str) -> _Recipe:
    if name not in BASELINES:
        raise UsageError(f"unknown baseline {name!r}; known: {', '.join(BASELINES)}")
    return BASELINES[name]


def fit_baseline(name: str, windows: Windows, labels: np.ndarray, n_classes: int, seed: int, **params) -> Baseline:
    """Fit a baseline on training windows.

    Parameters
    ----------
    name : str
        A key of :data:`BASELINES`.
    windows : Windows
    labels : int array (B,)
        Class index of each window.
    n_classes : int
    seed : int
    **params
        Parameters of its scikit-learn classifier.

    Returns
    -------
    Baseline

    Raises
    ------
    UsageError
        An unknown name or parameter.
    TrainingError
        There are no windows, or one class only where the baseline needs two.
    """
    labels = np.asarray(labels)
    pipeline = build_baseline(name, seed, **params)
    if len(labels) == 0:
        raise TrainingError(f"baseline {name}: wanted at least one training window, got none")
    if name == "logistic_regression" and len(np.unique(labels)) < 2:
        raise TrainingError(f"baseline {name}: wanted at least two classes in training, got class {labels[0]} only")
    weights = _window_weights(labels, windows.clip, _recipe(name).balanced)
    pipeline.fit(baseline_inputs(name, windows), labels, classifier__sample_weight=weights)
    return Baseline(name, pipeline, n_classes)


def predict_probabilities(baseline: Baseline, windows: Windows) -> np.ndarray:
    """Class probabilities of every window; average them over the windows of a clip.

    `stratified` draws once a clip and gives all its windows the same answer. Give it the recordings as `clip` where
    scores are by recording: the mean of several draws would lean to the most frequent class.

    Parameters
    ----------
    baseline : Baseline
    windows : Windows

    Returns
    -------
    array (B, n_classes), float64
        Rows add up to 1. A class that training did not have gets 0.
    """
    probabilities = np.zeros((len(windows.mask), baseline.n_classes))
    if len(probabilities) == 0:
        return probabilities
    columns = baseline.estimator.classes_.astype(np.intp)
    if baseline.name == "stratified":
        clips, window_clip = np.unique(windows.clip, return_inverse=True)
        probabilities[:, columns] = baseline.estimator.predict_proba(np.zeros((len(clips), 1)))[window_clip]
    else:
        probabilities[:, columns] = baseline.estimator.predict_proba(baseline_inputs(baseline.name, windows))
    return probabilities


def baseline_inputs(name: str, windows: Windows) -> np.ndarray:
    """Return the statistics that a baseline sees.

    Parameters
    ----------
    name : str
        A key of :data:`BASELINES`.
    windows : Windows

    Returns
    -------
    array (B, D), float32
        NaN where nothing could be measured. One column of zeros for a baseline that sees nothing.
    """
    kinds = _recipe(name).statistics
    if not kinds:
        return np.zeros((len(windows.mask), 1), np.float32)
    chunks = np.array_split(np.arange(len(windows.mask)), max(1, -(-len(windows.mask) // _CHUNK)))
    compute = {
        "posture": lambda rows: posture_statistics(windows.keypoints[rows], windows.mask[rows])[0],
        "movement": lambda rows: movement_statistics(windows.keypoints[rows], windows.mask[rows], windows.fps)[0],
    }
    return np.concatenate([np.concatenate([compute[kind](rows) for kind in kinds], axis=1) for rows in chunks])


def _window_weights(labels: np.ndarray, clip: np.ndarray, balanced: bool) -> np.ndarray:
    """Weights of mean 1: each clip weighs the same and, if `balanced`, so does each class."""
    _, index, counts = np.unique(clip, return_inverse=True, return_counts=True)
    weights = 1 / counts[index]
    if balanced:
        weights = weights / np.bincount(labels, weights)[labels]
    return weights * (len(weights) / weights.sum())
