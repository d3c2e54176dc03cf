"""From predictions to scores with intervals.

A predictions table has one row a clip: clip_id, split, label, group_id, source_id, and one probability a class in the
columns `p_<class>`.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from poseemo_lib.errors import PoseemoError
from poseemo_lib.training import metrics
from poseemo_lib.training.bootstrap import draw_groups, interval, resampled_by

ID_COLUMNS = ("clip_id", "split", "label", "group_id", "source_id")
PER_CLASS_SCORES = ("precision", "recall", "f1")
# Scores that need every class of the test split.
OVER_CLASSES = ("balanced_accuracy", "macro_precision", "macro_recall", "macro_f1", "classes_above_5_percent")
# Largest share of draws without some class that is left out. A class in three groups is missing from exp(-3) of them.
MOST_LOST = 0.05


@dataclass(frozen=True)
class ConfigScores:
    """Scores of one config over its seeds, with 95 % bootstrap intervals.

    Parameters
    ----------
    scores : DataFrame
        One row a metric: metric, mean and sd over seeds (NaN with one seed), low, high, n_seeds.
    per_class : DataFrame
        One row a class and score: class, metric (precision, recall, f1), mean, sd, low, high, support (mean number of
        clips over seeds).
    confusion : array (C, C), int64
        Sum over seeds; rows are the true class.
    n_clips, n_groups, n_seeds : int
        Clips and groups are counted once, even if several seeds predict them.
    resampled_by : {"group", "recording", "clip"}
        See :func:`poseemo_lib.training.bootstrap.resampled_by`.
    """

    scores: pd.DataFrame
    per_class: pd.DataFrame
    confusion: np.ndarray
    n_clips: int
    n_groups: int
    n_seeds: int
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
    predictions_by_seed: dict[int, pd.DataFrame], classes: tuple[str, ...], *, n_bootstrap: int = 2000, seed: int = 0
) -> ConfigScores:
    """Score one config: mean and sd over seeds, and a 95 % interval of the mean.

    Percentile bootstrap over groups (Davison and Hinkley 1997, "Bootstrap methods and their application", ch. 3.8): the
    same draw of groups for all seeds, and the mean over seeds in each draw.

    An average over classes is not defined in a draw that lacks a class, so such draws are left out. If they are more
    than :data:`MOST_LOST`, some class depends on one or two groups; leaving those draws out would hide the uncertainty,
    and each draw is averaged over the classes that it has. With fewer than about ten groups the interval is too short.
    The ECE of a draw is biased upwards, so the interval of a small ECE can lie above it.

    Parameters
    ----------
    predictions_by_seed : dict of DataFrame
        Seed -> predictions table of one split. Seeds may hold different clips, as with a split drawn per seed.
    classes : tuple of str
    n_bootstrap, seed : int

    Returns
    -------
    ConfigScores
        Metrics: those of :func:`poseemo_lib.training.metrics.scores_from_confusion`, top_2_accuracy, ece and nll.

    Raises
    ------
    PoseemoError
        A table is not sound.
    """
    tables = list(predictions_by_seed.values())
    for number, table in predictions_by_seed.items():
        check_predictions(table, classes, f"predictions of seed {number}")
    every = pd.concat([table[["clip_id", "group_id", "source_id"]] for table in tables])
    groups = draw_groups(every, n_bootstrap, seed)
    sums = [np.stack(one) for one in zip(*(_sums(table, classes, groups) for table in tables), strict=True)]
    observed, drawn = groups.apply(_scores, *sums)
    drawn = _leave_out_lacking(drawn, observed)
    summary = {name: _summarise(observed[name][:, 0], drawn[name].mean(0)) for name in observed}
    confusion = sums[0].sum((0, 1)).reshape(len(classes), len(classes))
    support = confusion.sum(1) / len(tables)
    per_class = [
        pd.DataFrame({"class": classes, "metric": name, **summary.pop(name), "support": support})
        for name in PER_CLASS_SCORES
    ]
    scores = pd.DataFrame(summary).T.astype(float).rename_axis("metric").reset_index()
    return ConfigScores(
        scores=scores.assign(n_seeds=len(tables)),
        per_class=pd.concat(per_class, ignore_index=True),
        confusion=np.rint(confusion).astype(np.int64),
        n_clips=every["clip_id"].nunique(),
        n_groups=every["group_id"].nunique(dropna=False),
        n_seeds=len(tables),
        resampled_by=resampled_by(every),
    )


def _sums(table: pd.DataFrame, classes: tuple[str, ...], groups) -> tuple[np.ndarray, ...]:
    """Sum what the scores need within groups: confusion, calibration gaps, top-k hits and log losses."""
    labels = pd.Index(classes).get_indexer(table["label"])
    probabilities = table[probability_columns(classes)].to_numpy(np.float64)
    bins, gaps = metrics.calibration_gaps(labels, probabilities)
    return (
        groups.sums(table, 1.0, labels * len(classes) + probabilities.argmax(1), len(classes) ** 2),
        groups.sums(table, gaps, bins, metrics.ECE_BINS),
        groups.sums(table, metrics.top_k_hits(labels, probabilities, 2)),
        groups.sums(table, metrics.log_losses(labels, probabilities)),
    )


def _scores(confusion: np.ndarray, gaps: np.ndarray, hits: np.ndarray, losses: np.ndarray) -> dict[str, np.ndarray]:
    """Scores of sums (seeds, R, slots): arrays (seeds, R), per class (seeds, R, C)."""
    n_classes = int(np.sqrt(confusion.shape[-1]))
    confusion = confusion.reshape(*confusion.shape[:2], n_classes, n_classes)
    n_clips = confusion.sum((-2, -1))
    n_clips = np.where(n_clips > 0, n_clips, np.nan)  # a draw can miss every clip of a seed
    per_class = metrics.per_class_scores(confusion)
    return metrics.scores_from_confusion(confusion) | {
        "top_2_accuracy": hits[..., 0] / n_clips,
        "ece": np.abs(gaps).sum(-1) / n_clips,
        "nll": losses[..., 0] / n_clips,
        **{name: per_class[name] for name in PER_CLASS_SCORES},
    }


def _leave_out_lacking(drawn: dict[str, np.ndarray], observed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Set averages over classes to NaN in draws that lack a class of their seed's split, unless those are many."""
    lacking = (np.isnan(drawn["recall"]) & ~np.isnan(observed["recall"])).any(-1)  # (seeds, R)
    if lacking.any(0).mean() > MOST_LOST:
        return drawn
    return drawn | {name: np.where(lacking, np.nan, drawn[name]) for name in OVER_CLASSES}


def _summarise(observed: np.ndarray, drawn: np.ndarray) -> dict[str, np.ndarray]:
    """Mean and sd over seeds (seeds, ...), and the interval over draws (R, ...)."""
    low, high = interval(drawn)
    sd = observed.std(0, ddof=1) if len(observed) > 1 else np.full(observed.shape[1:], np.nan)
    return {"mean": observed.mean(0), "sd": sd, "low": low, "high": high}
