"""From predictions to scores with intervals.

A predictions table has one row a clip: clip_id, split, label, group_id, source_id, and one probability a class in the
columns `p_<class>`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from poseemo_lib.errors import PoseemoError
from poseemo_lib.training import metrics
from poseemo_lib.training.jackknife import (
    Groups,
    add_variances,
    between,
    find_groups,
    leave_out,
    mean_interval,
    resampled_by,
    score_interval,
    share_interval,
    variance,
)

ID_COLUMNS = ("clip_id", "split", "label", "group_id", "source_id")
PER_CLASS_SCORES = ("precision", "recall", "f1")
# How the interval of a score is made: see :mod:`poseemo_lib.training.jackknife`.
SHARES_OF_CLIPS = ("accuracy", "top_2_accuracy")
AVERAGES = ("balanced_accuracy", "macro_precision", "macro_recall", "macro_f1")


@dataclass(frozen=True, order=True)
class Training:
    """One seed in one repeat of a cross-validation: what a table of predictions is of where there are repeats."""

    seed: int
    repeat: int

    def __str__(self) -> str:
        """Write it after "seed"."""
        return f"{self.seed}, repeat {self.repeat}"


def mean_within_repeats(keys: Iterable[int | Training], values: np.ndarray) -> np.ndarray:
    """Average values (keys, ...) over the seeds of each repeat, since they share its folds; seeds alone stay."""
    repeats = np.array([getattr(key, "repeat", 0) for key in keys])
    several = np.unique(repeats)
    return np.stack([values[repeats == one].mean(0) for one in several]) if len(several) > 1 else values


def n_seeds(keys: Iterable[int | Training]) -> int:
    """Count seeds."""
    return len({getattr(key, "seed", key) for key in keys})


@dataclass(frozen=True)
class ConfigScores:
    """Scores of one config over its seeds and repeats, with 95 % intervals.

    Parameters
    ----------
    scores : DataFrame
        One row a metric: metric, mean and sd over seeds and repeats (NaN with one of each), low, high, n_seeds.
    per_class : DataFrame
        One row a class and score: class, metric (precision, recall, f1), mean, sd, low, high, support (mean number of
        clips over seeds).
    confusion : array (C, C), int64
        Sum over seeds and repeats; rows are the true class.
    n_clips, n_groups, n_seeds, n_repeats : int
        Clips and groups are counted once, even if several seeds predict them. Without a cross-validation, one repeat.
    resampled_by : {"group", "recording", "clip"}
        See :func:`poseemo_lib.training.jackknife.resampled_by`.
    """

    scores: pd.DataFrame
    per_class: pd.DataFrame
    confusion: np.ndarray
    n_clips: int
    n_groups: int
    n_seeds: int
    n_repeats: int
    resampled_by: str

    def score(self, metric: str) -> pd.Series:
        """Return one row of `scores`: mean, sd, low, high, n_seeds."""
        return self.scores.set_index("metric").loc[metric]


def probability_columns(classes: tuple[str, ...]) -> list[str]:
    """Names of the probability columns, in the order of the classes."""
    return [f"p_{name}" for name in classes]


def check_predictions(predictions: pd.DataFrame, classes: tuple[str, ...], where: str = "predictions") -> None:
    """Raise PoseemoError, naming `where`, if a table is not a sound predictions table of one split.

    That is: a column is missing, there are no rows or rows of several splits, a clip comes twice, a label is unknown,
    or the probabilities of a clip are not finite, negative or do not add up to 1.
    """
    missing = [name for name in (*ID_COLUMNS, *probability_columns(classes)) if name not in predictions.columns]
    if missing:
        raise PoseemoError(f"{where}: wanted the columns of a predictions table, missing {', '.join(missing)}")
    if predictions.empty:
        raise PoseemoError(f"{where}: wanted at least one clip, got none")
    if predictions["split"].nunique(dropna=False) > 1:
        splits = sorted(map(str, predictions["split"].unique()))
        raise PoseemoError(f"{where}: wanted one split, got {', '.join(splits)}; score each split by itself")
    probabilities = predictions[probability_columns(classes)].to_numpy(np.float64)
    faults = {
        "each clip once": predictions["clip_id"].duplicated(),
        f"a label of {', '.join(classes)}": ~predictions["label"].isin(classes),
        # NaN is not sound either.
        "probabilities that add up to 1": ~((probabilities >= 0).all(1) & (abs(probabilities.sum(1) - 1) < 1e-3)),
    }
    for wanted, bad in faults.items():
        if bad.any():
            row = predictions[bad].iloc[0]
            raise PoseemoError(f"{where}: clip {row['clip_id']!r}: wanted {wanted}, got {row.to_dict()}")


def average_by_source(predictions: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """Average the probabilities over the clips (windows, camera views) of each recording.

    Returns a predictions table with one row a source_id, which is also its clip_id, and the column n_clips.

    Raises
    ------
    PoseemoError
        A recording has clips of several labels or groups.
    """
    check_predictions(predictions, classes)
    by_source = predictions.groupby("source_id", sort=True)
    mixed = by_source[["label", "group_id"]].nunique(dropna=False).gt(1).any(axis=1)
    if mixed.any():
        raise PoseemoError(
            f"recording {mixed.idxmax()!r}: wanted one label and one group, got several; use score_by: clip"
        )
    columns = probability_columns(classes)
    out = by_source[["split", "label", "group_id"]].first().join(by_source[columns].mean())
    out = out.assign(n_clips=by_source.size()).reset_index()
    return out.assign(clip_id=out["source_id"])[[*ID_COLUMNS, "n_clips", *columns]]


def scored_units(predictions: pd.DataFrame, split: str, classes: tuple[str, ...], score_by: str) -> pd.DataFrame:
    """Select one split of a run's predictions, and average it by recording if `score_by` is "source"."""
    table = predictions[predictions["split"] == split].reset_index(drop=True)
    return average_by_source(table, classes) if score_by == "source" else table


def config_scores(
    predictions_by_seed: dict[int | Training, pd.DataFrame], classes: tuple[str, ...], *, shared: bool = False
) -> ConfigScores:
    """Score one config: mean and sd over seeds, and a 95 % interval of the mean over groups of clips.

    Each group is left out once, for all seeds at the same time. An average over classes is then over those that are
    left. The interval is that of these trained networks on other clips; it does not hold how much trainings differ.
    Where a cross-validation is repeated it also holds how much the repeats differ, divided by their number. A repeat
    has the same groups, so it does not lower the part of the groups.

    Parameters
    ----------
    predictions_by_seed : dict of DataFrame
        Seed -> predictions table of one split. Seeds may hold different clips, as with a split drawn per seed.
    classes : tuple of str
    shared : bool
        Count a clip for every class, by its probability, and not once for the most probable one.

    Returns
    -------
    ConfigScores
        Metrics: those of :func:`poseemo_lib.training.metrics.scores_from_confusion`, top_2_accuracy, ece,
        nll and brier.

    Raises
    ------
    PoseemoError
        A table is not sound.
    """
    tables = list(predictions_by_seed.values())
    for number, table in predictions_by_seed.items():
        check_predictions(table, classes, f"predictions of seed {number}")
    every = pd.concat([table[["clip_id", "group_id", "source_id"]] for table in tables])
    groups = find_groups(every)
    sums = [np.stack(one) for one in zip(*(_sums(table, classes, groups, shared) for table in tables), strict=True)]
    observed, left = leave_out(_scores, *sums)
    confusion = sums[0].sum((0, 1)).reshape(len(classes), len(classes)) / len(tables)
    support, predicted, n_clips = confusion.sum(1), confusion.sum(0), confusion.sum()
    n = dict.fromkeys(SHARES_OF_CLIPS, n_clips) | {
        "recall": support,
        "precision": predicted,
        "f1": (support + predicted) / 2,
    }
    ends = {"kappa": (-1, 1), "mcc": (-1, 1), "ece": (0, 1), "classes_above_5_percent": (0, len(classes))}
    summary = {
        name: _summarise(
            name, observed[name][:, 0], left[name], n.get(name), ends.get(name, (0, np.inf)), predictions_by_seed
        )
        for name in observed
    }
    per_class = [
        pd.DataFrame({"class": classes, "metric": name, **summary.pop(name), "support": support})
        for name in PER_CLASS_SCORES
    ]
    scores = pd.DataFrame(summary).T.astype(float).rename_axis("metric").reset_index()
    return ConfigScores(
        scores=scores.assign(n_seeds=n_seeds(predictions_by_seed)),
        per_class=pd.concat(per_class, ignore_index=True),
        confusion=np.rint(confusion * len(tables)).astype(np.int64),
        n_clips=every["clip_id"].nunique(),
        n_groups=every["group_id"].nunique(dropna=False),
        n_seeds=n_seeds(predictions_by_seed),
        n_repeats=len(tables) // n_seeds(predictions_by_seed),
        resampled_by=resampled_by(every),
    )


def _sums(table: pd.DataFrame, classes: tuple[str, ...], groups: Groups, shared: bool) -> tuple[np.ndarray, ...]:
    """Sum what the scores need within groups: confusion, calibration gaps, top-k hits, log losses, Brier scores."""
    labels = pd.Index(classes).get_indexer(table["label"])
    probabilities = table[probability_columns(classes)].to_numpy(np.float64)
    bins, gaps = metrics.calibration_gaps(labels, probabilities)
    moments = groups.sums(table, metrics.moments(gaps), bins, metrics.ECE_BINS)
    votes = probabilities if shared else np.eye(len(classes))[probabilities.argmax(1)]
    return (
        groups.sums(table, votes, labels, len(classes)).reshape(len(moments), -1),
        moments.reshape(len(moments), -1),
        groups.sums(table, metrics.top_k_hits(labels, probabilities, 2)),
        groups.sums(table, metrics.log_losses(labels, probabilities)),
        groups.sums(table, metrics.brier_scores(labels, probabilities)),
    )


def _scores(confusion: np.ndarray, moments: np.ndarray, hits, losses, briers) -> dict[str, np.ndarray]:
    """Scores of sums (seeds, R, slots): arrays (seeds, R), per class (seeds, R, C)."""
    n_classes = int(np.sqrt(confusion.shape[-1]))
    confusion = confusion.reshape(*confusion.shape[:2], n_classes, n_classes)
    n_clips = confusion.sum((-2, -1))
    n_clips = np.where(n_clips > 0, n_clips, np.nan)  # a seed can have no clip but those left out
    per_class = metrics.per_class_scores(confusion)
    return metrics.scores_from_confusion(confusion) | {
        "top_2_accuracy": hits[..., 0] / n_clips,
        "ece": metrics.debiased_ece(moments.reshape(*moments.shape[:-1], metrics.ECE_BINS, -1)),
        "nll": losses[..., 0] / n_clips,
        "brier": briers[..., 0] / n_clips,
        **{name: per_class[name] for name in PER_CLASS_SCORES},
    }


def _summarise(name: str, observed: np.ndarray, left: np.ndarray, n, ends, keys) -> dict[str, np.ndarray]:
    """Mean and sd over trainings (trainings, ...), and the interval, from the values without each group too."""
    mean, spread, df = observed.mean(0), variance(left.mean(0)), left.shape[1] - 1
    repeats = mean_within_repeats(keys, observed)
    if n_seeds(keys) < len(observed):
        of_repeats = np.fmax(between(repeats, mean_within_repeats(keys, left)), 0) / len(repeats)  # NaN: not defined
        spread, df = add_variances(spread, df, of_repeats, len(repeats) - 1)
    if n is not None:
        low, high = share_interval(mean, n, spread, df)
    elif name in AVERAGES:
        low, high = score_interval(mean, spread, df)
    else:
        low, high = mean_interval(mean, spread, df, *ends)
    sd = observed.std(0, ddof=1) if len(observed) > 1 else np.full(observed.shape[1:], np.nan)
    return {"mean": mean, "sd": sd, "low": low, "high": high}
