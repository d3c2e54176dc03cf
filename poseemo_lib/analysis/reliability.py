"""How far a confidence can be trusted, and what is gained by not answering: tables with intervals.

Several seeds are pooled: every answer of every seed counts once. Intervals are percentiles of a bootstrap over groups,
the same draw for all seeds (as in :func:`poseemo_lib.training.evaluation.config_scores`).
"""

import numpy as np
import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.predictions import Predictions, predictions_table
from poseemo_lib.training import metrics
from poseemo_lib.training.evaluation import draw_units, resampling_units

# With fewer groups in a bin or among the answers a bootstrap says little, so no interval is given.
LEAST_GROUPS = 5
N_THRESHOLDS = 101


def reliability_table(
    predictions: Predictions,
    classes: tuple[str, ...],
    *,
    n_bins: int = metrics.ECE_BINS,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Hold confidence against accuracy, in bins of confidence: those of the ECE.

    Parameters
    ----------
    predictions : dict of DataFrame
        Seed -> predictions table of one split.
    classes : tuple of str
    n_bins : int
        Bins of equal width over 0 to 1, closed on the right.
    n_bootstrap, seed : int
        Number of draws, and their seed.

    Returns
    -------
    DataFrame
        One row a bin: from, to, n (answers of all seeds), n_groups, confidence (their mean), accuracy, low, high. Empty
        bins have NaN; bins with fewer than :data:`LEAST_GROUPS` groups have no interval.
    """
    answers = predictions_table(predictions, classes)
    unit, n_units = _units(answers)
    # The bins of the ECE, so that the picture is of what the number measures.
    slots = np.clip(np.ceil(answers["confidence"].to_numpy() * n_bins).astype(int) - 1, 0, n_bins - 1)
    n, right, confidence = (
        _sums(unit, n_units, slots, n_bins, values) for values in (1.0, answers["right"], answers["confidence"])
    )
    total = n.sum(0)
    low, high = _interval(right, n, draw_units(n_units, n_bootstrap, seed))
    edges = np.linspace(0, 1, n_bins + 1)
    return pd.DataFrame(
        {
            "from": edges[:-1],
            "to": edges[1:],
            "n": total.astype(int),
            "n_groups": (n > 0).sum(0),
            "confidence": _share(confidence.sum(0), total),
            "accuracy": _share(right.sum(0), total),
            "low": low,
            "high": high,
        }
    )


def coverage_table(
    predictions: Predictions,
    classes: tuple[str, ...],
    *,
    thresholds=None,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Hold the share of clips that get an answer against the accuracy of those answers.

    Parameters
    ----------
    predictions : dict of DataFrame
        Seed -> predictions table of one split.
    classes : tuple of str
    thresholds : sequence of float, optional
        Least confidence that gets an answer; 0, 0.01 .. 1 otherwise.
    n_bootstrap, seed : int
        Number of draws, and their seed.

    Returns
    -------
    DataFrame
        One row a threshold, ascending: threshold, n (answers of all seeds), coverage (share answered), accuracy (NaN
        without an answer), low, high (of the accuracy; NaN with fewer than :data:`LEAST_GROUPS` groups).
    """
    answers = predictions_table(predictions, classes)
    unit, n_units = _units(answers)
    thresholds = np.unique(np.linspace(0, 1, N_THRESHOLDS) if thresholds is None else np.asarray(thresholds, float))
    # How many thresholds an answer reaches; it counts at all of these.
    reached = np.searchsorted(thresholds, answers["confidence"].to_numpy(), side="right")
    n, right = (
        np.cumsum(_sums(unit, n_units, reached, len(thresholds) + 1, values)[:, ::-1], axis=1)[:, -2::-1]
        for values in (1.0, answers["right"])
    )
    total = n.sum(0)
    low, high = _interval(right, n, draw_units(n_units, n_bootstrap, seed))
    accuracy = _share(right.sum(0), total)
    return pd.DataFrame(
        {"threshold": thresholds, "n": total.astype(int), "coverage": total / len(answers), "accuracy": accuracy}
        | {"low": low, "high": high}
    )


def predicted_share(
    predictions: Predictions, classes: tuple[str, ...], name: str, *, n_bootstrap: int = 2000, seed: int = 0
) -> pd.Series:
    """Say how often a class is the answer: the mean over seeds, with a 95 % interval.

    Parameters
    ----------
    predictions : dict of DataFrame
        Seed -> predictions table of one split.
    classes : tuple of str
    name : str
        The class.
    n_bootstrap, seed : int
        Number of draws, and their seed: those of :func:`poseemo_lib.training.evaluation.config_scores`.

    Returns
    -------
    Series
        mean, low, high: shares, 0 to 1. Draws without a clip of some seed are left out.
    """
    answers = predictions_table(predictions, classes)
    unit, n_units = _units(answers)
    seeds, slots = np.unique(answers["seed"], return_inverse=True)
    n, hits = (_sums(unit, n_units, slots, len(seeds), values) for values in (1.0, answers["prediction"] == name))
    weights = draw_units(n_units, n_bootstrap, seed)
    low, high = np.nanpercentile(_share(weights @ hits, weights @ n).mean(1), [2.5, 97.5])
    return pd.Series({"mean": _share(hits.sum(0), n.sum(0)).mean(), "low": low, "high": high})


def calibration_errors(config: ConfigRuns) -> pd.DataFrame:
    """Give the expected calibration error of a config before and after its temperature.

    Parameters
    ----------
    config : ConfigRuns

    Returns
    -------
    DataFrame
        Index `before`, `after`; mean and sd over seeds, low, high.
    """
    rows = {
        when: scores.scores.set_index("metric").loc["ece", ["mean", "sd", "low", "high"]]
        for when, scores in (("before", config.scores), ("after", config.calibrated_scores))
    }
    return pd.DataFrame(rows).T.astype(float)


def abstain_threshold(config: ConfigRuns) -> float:
    """Confidence below which a config's runs give no answer, the mean where they differ."""
    return float(np.mean([config.calibration(run)["abstain_below"] for run in config.runs if run.seed in config.seeds]))


def _units(answers: pd.DataFrame) -> tuple[np.ndarray, int]:
    """Give the number of the group of each answer, and how many groups are drawn."""
    column, units = resampling_units(answers)
    return units.get_indexer(answers[column]), len(units)


def _sums(unit: np.ndarray, n_units: int, slots: np.ndarray, n_slots: int, values) -> np.ndarray:
    """Sum values within groups and slots: array (n_units, n_slots)."""
    weights = np.broadcast_to(np.asarray(values, dtype=np.float64), slots.shape)
    return np.bincount(unit * n_slots + slots, weights, minlength=n_units * n_slots).reshape(n_units, n_slots)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


def _interval(right: np.ndarray, n: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Percentiles of a share over draws of groups; (groups, slots), weights (draws, groups) -> two of (slots,).

    Draws without an answer in the slot are left out.
    """
    enough = (n > 0).sum(0) >= LEAST_GROUPS
    low, high = np.full((2, n.shape[1]), np.nan)
    if enough.any():
        drawn = _share(weights @ right[:, enough], weights @ n[:, enough])
        low[enough], high[enough] = np.nanpercentile(drawn, [2.5, 97.5], axis=0)
    return low, high
