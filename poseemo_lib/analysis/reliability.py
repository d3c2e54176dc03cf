"""Whether confidences can be trusted, and what is gained by abstaining: tables with intervals.

Predictions of several seeds are pooled: each prediction of each seed counts once.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.predictions import Predictions, predictions_table
from poseemo_lib.training.calibration import FIT_SCORES
from poseemo_lib.training.evaluation import config_scores, probability_columns
from poseemo_lib.training.jackknife import find_groups, leave_out, share_interval, variance
from poseemo_lib.training.metrics import ECE_BINS, confidence_bins, log_losses

# A bin or threshold with fewer groups has no interval.
LEAST_GROUPS = 5


def reliability_table(predictions: Predictions, classes: tuple[str, ...]) -> pd.DataFrame:
    """Compare confidence with accuracy, in bins of equal width: those of the expected calibration error.

    One row a bin: from, to, n (predictions of all seeds), n_groups, confidence (mean), accuracy, low, high. Empty bins
    have NaN; bins with fewer than :data:`LEAST_GROUPS` groups have no interval.
    """
    table = predictions_table(predictions, classes)
    groups = find_groups(table)
    bins = confidence_bins(table["confidence"].to_numpy())
    n, right, confidence = (
        groups.sums(table, values, bins, ECE_BINS)
        for values in (np.ones(len(table)), table["right"], table["confidence"])
    )
    edges = np.linspace(0, 1, ECE_BINS + 1)
    counts = {"n": n.sum(0).astype(int), "n_groups": (n > 0).sum(0), "confidence": _share(confidence.sum(0), n.sum(0))}
    return pd.DataFrame({"from": edges[:-1], "to": edges[1:], **counts, **_accuracy(right, n)})


def coverage_table(predictions: Predictions, classes: tuple[str, ...], *, thresholds: Sequence[float]) -> pd.DataFrame:
    """Compare the share of predictions whose confidence is at least a threshold with the accuracy of these.

    One row a threshold, ascending: threshold, n (predictions of all seeds), coverage (their share), accuracy (NaN
    without a prediction), low, high (NaN with fewer than :data:`LEAST_GROUPS` groups).
    """
    table = predictions_table(predictions, classes)
    groups = find_groups(table)
    thresholds = np.unique(np.asarray(thresholds, float))
    # The number of thresholds that a prediction reaches; it counts at all of these.
    reached = np.searchsorted(thresholds, table["confidence"].to_numpy(), side="right")
    n, right = (
        np.cumsum(groups.sums(table, values, reached, len(thresholds) + 1)[:, ::-1], axis=1)[:, -2::-1]
        for values in (np.ones(len(table)), table["right"])
    )
    counts = {"threshold": thresholds, "n": n.sum(0).astype(int), "coverage": n.sum(0) / len(table)}
    return pd.DataFrame(counts | _accuracy(right, n))


def predicted_share(predictions: Predictions, classes: tuple[str, ...], name: str) -> pd.Series:
    """Measure how often the class `name` is predicted: the share's mean over seeds, low, high."""
    table = predictions_table(predictions, classes)
    groups = find_groups(table)
    seeds, slots = np.unique(table["seed"], return_inverse=True)
    n, hits = (
        groups.sums(table, values, slots, len(seeds)) for values in (np.ones(len(table)), table["prediction"] == name)
    )
    observed, left = leave_out(lambda hits, n: _share(hits, n).mean(1), hits, n)
    low, high = share_interval(observed[0], len(table) / len(seeds), variance(left), len(left) - 1)
    return pd.Series({"mean": observed[0], "low": low, "high": high})


def calibration_errors(config: ConfigRuns) -> pd.DataFrame:
    """ECE before and after calibration (index `before`, `after`): mean and sd over seeds, low, high."""
    rows = {"before": config.scores.score("ece"), "after": config.calibrated_scores.score("ece")}
    return pd.DataFrame(rows).T[["mean", "sd", "low", "high"]].astype(float)


def calibration_scores(config: ConfigRuns) -> pd.DataFrame:
    """Score the probabilities on the test split: index step and metric (`calibration.FIT_SCORES`), mean, low, high.

    Steps: as trained, with a temperature alone, and calibrated.
    """
    alone = config_scores(config.calibrated("test", prior=False), config.classes)
    steps = {"as trained": config.scores, "temperature": alone, "temperature and class prior": config.calibrated_scores}
    return pd.concat({step: one.scores.set_index("metric").loc[list(FIT_SCORES)] for step, one in steps.items()})


def calibration_by_class(config: ConfigRuns) -> pd.DataFrame:
    """Compare each class on the test split as trained (`_before`) and calibrated (`_after`), all seeds pooled.

    One row a class: its true share; probability (mean over all clips); recall and nll of its own clips (NaN without
    any); brier, of its probability over all clips: the classes' add up to the Brier score.
    """
    classes, columns = config.classes, {}
    for when, predictions in (("before", config.predictions("test")), ("after", config.calibrated("test"))):
        table = pd.concat(predictions.values())
        labels = pd.Index(classes).get_indexer(table["label"])
        probabilities, own = table[probability_columns(classes)].to_numpy(np.float64), np.eye(len(classes))[labels]
        values = {"recall": probabilities.argmax(1) == labels, "nll": log_losses(labels, probabilities)}
        columns |= {"share": own.mean(0), f"probability_{when}": probabilities.mean(0)}
        columns |= {f"{name}_{when}": _share(own.T @ one, own.sum(0)) for name, one in values.items()}
        columns[f"brier_{when}"] = ((probabilities - own) ** 2).mean(0)
    return pd.DataFrame(columns, index=pd.Index(classes, name="class"))


def abstain_threshold(config: ConfigRuns) -> float:
    """Confidence below which a config's runs abstain, the mean where they differ."""
    return float(np.mean([config.calibration(run)["abstain_below"] for run in config.counted_runs]))


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


def _accuracy(right: np.ndarray, n: np.ndarray) -> dict[str, np.ndarray]:
    """Accuracy in each slot with its interval, from sums (groups, slots)."""
    observed, left = leave_out(_share, right, n)
    n_groups = (n > 0).sum(0)
    ends = share_interval(observed[0], n.sum(0), variance(left), n_groups - 1)
    low, high = (np.where(n_groups >= LEAST_GROUPS, end, np.nan) for end in ends)
    return {"accuracy": observed[0], "low": low, "high": high}
