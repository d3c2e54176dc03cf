"""Scores of predictions, from confusion matrices and from probabilities.

Confusion matrices may have any leading dimensions, so that a dataset without each of its groups is scored in one call;
scikit-learn's functions, with which the tests compare, score one at a time.
"""

import numpy as np
from scipy.special import ndtr

RECALL_THRESHOLD = 0.05
ECE_BINS = 15


def confusion_counts(labels: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Count how often each class was predicted for each class: class indices (N,) -> (C, C), rows the true class."""
    labels, predicted = np.asarray(labels), np.asarray(predicted)
    return np.bincount(labels * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)


def per_class_scores(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """`precision`, `recall`, `f1` (0 to 1) and `support` (..., C) of counts (..., C, C), rows the true class.

    A class that is never predicted has precision 0. A class without support has no score: NaN.
    """
    confusion = np.asarray(confusion, dtype=np.float64)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    support, n_predicted = confusion.sum(-1), confusion.sum(-2)
    scores = {
        "precision": _ratio(hits, n_predicted),
        "recall": _ratio(hits, support),
        "f1": _ratio(2 * hits, support + n_predicted),
    }
    return {name: np.where(support > 0, score, np.nan) for name, score in scores.items()} | {"support": support}


def scores_from_confusion(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Score confusion matrices, any number at once.

    Macro means are over the classes that have support. scikit-learn's `f1_score` also counts a class that is predicted
    but has no support; its `balanced_accuracy_score` does not. kappa (Cohen 1960) and MCC (Gorodkin 2004, "Comparing
    two K-category assignments by a K-category correlation coefficient") are 0 where they are undefined. The scores of
    an empty matrix are NaN.

    Parameters
    ----------
    confusion : array (..., C, C)
        Rows are the true class. Counts, or sums of weights.

    Returns
    -------
    dict of arrays (...)
        `accuracy`, `balanced_accuracy`, `macro_precision`, `macro_recall` (the same as balanced accuracy), `macro_f1`,
        `kappa`, `mcc`, and `classes_above_5_percent`: how many classes have a recall above 5 %.
    """
    confusion = np.asarray(confusion, dtype=np.float64)
    one = per_class_scores(confusion)
    supported = one["support"] > 0
    n_supported = supported.sum(-1)
    macro = {
        name: _ratio(np.where(supported, one[name], 0).sum(-1), n_supported) for name in ("precision", "recall", "f1")
    }
    total = confusion.sum((-2, -1))
    accuracy = _ratio(np.trace(confusion, axis1=-2, axis2=-1), total)
    true, predicted = _ratio(confusion.sum(-1), total[..., None]), _ratio(confusion.sum(-2), total[..., None])
    by_chance = (true * predicted).sum(-1)
    spread = np.sqrt((1 - (true**2).sum(-1)) * (1 - (predicted**2).sum(-1)))
    scores = {
        "accuracy": accuracy,
        "balanced_accuracy": macro["recall"],
        "macro_precision": macro["precision"],
        "macro_recall": macro["recall"],
        "macro_f1": macro["f1"],
        "kappa": _ratio(accuracy - by_chance, 1 - by_chance),
        "mcc": _ratio(accuracy - by_chance, spread),
        "classes_above_5_percent": (supported & (np.nan_to_num(one["recall"]) > RECALL_THRESHOLD)).sum(-1),
    }
    return {name: np.where(n_supported > 0, score, np.nan) for name, score in scores.items()}


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide, with 0 where the denominator is 0 up to rounding."""
    empty = denominator <= 1e-12
    return np.where(empty, 0.0, numerator / np.where(empty, 1.0, denominator))


def top_k_hits(labels: np.ndarray, probabilities: np.ndarray, k: int) -> np.ndarray:
    """Whether the true class of each sample is among the k most probable ones: (N,), (N, C) -> (N,).

    Ties count as drawn at random, as a share between 0 and 1.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    n_above, n_equal = (probabilities > own).sum(1), (probabilities == own).sum(1)
    return np.clip((k - n_above) / n_equal, 0, 1)


def log_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Negative log likelihood of each sample's true class, in nats: (N,), (N, C) -> (N,). 0 counts as 1e-15."""
    own = np.take_along_axis(np.asarray(probabilities, dtype=np.float64), np.asarray(labels)[:, None], axis=1)[:, 0]
    return -np.log(np.clip(own, 1e-15, 1))


def brier_scores(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Squared distance of each sample's probabilities from certainty of its true class (Brier 1950): (N,)."""
    probabilities = np.asarray(probabilities, dtype=np.float64)
    return ((probabilities - np.eye(probabilities.shape[1])[np.asarray(labels)]) ** 2).sum(1)


def confidence_bins(confidence: np.ndarray) -> np.ndarray:
    """Return the number of each confidence's bin: bins of equal width over 0 to 1, closed on the right."""
    return np.clip(np.ceil(confidence * ECE_BINS).astype(np.int64) - 1, 0, ECE_BINS - 1)


def calibration_gaps(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bin of each sample's confidence, and its outcome (1 right, 0 wrong) minus its confidence."""
    probabilities = np.asarray(probabilities, dtype=np.float64)
    confidence = probabilities.max(1)
    return confidence_bins(confidence), (probabilities.argmax(1) == np.asarray(labels)) - confidence


def moments(gaps: np.ndarray) -> np.ndarray:
    """Give what :func:`debiased_ece` sums in each bin: number, gap, gap squared: (N,) -> (N, 3)."""
    return np.stack([np.ones_like(gaps), gaps, gaps**2], -1)


def debiased_ece(sums: np.ndarray) -> np.ndarray:
    """Compute the expected calibration error of sums of :func:`moments` in each bin: (..., B, 3) -> (...).

    The mean distance between confidence and accuracy over bins (Guo et al. 2017, "On calibration of modern neural
    networks"). Few samples in a bin make this distance too large even for a perfectly calibrated model. The excess that
    is expected for a gap with the standard error of this one is taken off (the mean of a folded normal distribution).
    """
    n, gap, squares = np.moveaxis(np.asarray(sums, dtype=np.float64), -1, 0)
    spread = np.maximum(squares - _ratio(gap**2, n), 0)  # variance of the sum of gaps
    likely = np.sqrt(np.maximum(gap**2 - spread, 0))
    z = _ratio(likely, np.sqrt(spread))
    folded = np.sqrt(2 * spread / np.pi) * np.exp(-(z**2) / 2) + likely * (1 - 2 * ndtr(-z))
    excess = np.where(spread > 0, folded - likely, 0)
    total = n.sum(-1)
    error = np.maximum((np.abs(gap) - excess).sum(-1), 0)
    return np.where(total > 0, _ratio(error, total), np.nan)


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """:func:`debiased_ece` of labels (N,) and probabilities (N, C), over :data:`ECE_BINS` bins."""
    bins, gaps = calibration_gaps(labels, probabilities)
    sums = np.zeros((ECE_BINS, 3))
    np.add.at(sums, bins, moments(gaps))
    return float(debiased_ece(sums))


def score_predictions(labels: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]) -> dict:
    """Compute all scores of labels (N,) and probabilities (N, C), ready for JSON.

    The predicted class is the most probable one, the first of equals. Returns `n`, the scores of
    :func:`scores_from_confusion`, `top_2_accuracy`, `ece`, `nll`, `brier`, `per_class` (class -> precision, recall, f1,
    support) and `confusion` (lists). A score that is not defined is None.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    confusion = confusion_counts(labels, probabilities.argmax(1), len(classes))
    one = per_class_scores(confusion)
    scores = scores_from_confusion(confusion) | {
        "top_2_accuracy": top_k_hits(labels, probabilities, 2).mean(),
        "ece": expected_calibration_error(labels, probabilities),
        "nll": log_losses(labels, probabilities).mean(),
        "brier": brier_scores(labels, probabilities).mean(),
    }
    per_class = {name: {key: _or_none(one[key][i]) for key in one} for i, name in enumerate(classes)}
    return {
        "n": len(labels),
        **{name: _or_none(value) for name, value in scores.items()},
        "per_class": per_class,
        "confusion": confusion.tolist(),
    }


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
