"""From predictions to scores with intervals.

A predictions table is a pandas DataFrame, one row a clip: clip_id, split, label, group_id, source_id, and one
probability a class in the columns `p_<class>`.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from poseemo_lib.errors import PoseemoError
from poseemo_lib.training import metrics

ID_COLUMNS = ("clip_id", "split", "label", "group_id", "source_id")
TOP_K = 2
PER_CLASS_SCORES = ("precision", "recall", "f1")
# Averages over all classes of the test part, and the count of those that are found.
OVER_CLASSES = ("balanced_accuracy", "macro_precision", "macro_recall", "macro_f1", "classes_above_5_percent")
# Of the draws. A class in three groups is missing from fewer (exp(-3)), one in two of ten groups from 11 %.
MOST_LOST = 0.05


@dataclass(frozen=True)
class ConfigScores:
    """Scores of one config of a study over its seeds, with 95 % bootstrap intervals.

    Parameters
    ----------
    scores : DataFrame
        One row a metric: metric, mean and sd over seeds, low, high, n_seeds. The sd of one seed is NaN.
    per_class : DataFrame
        One row a class and score: class, metric (precision, recall, f1), mean, sd, low, high, support.
        Support is the mean number of clips over seeds.
    confusion : array (C, C), int64
        Sum over seeds; rows are the true class.
    n_clips, n_groups, n_seeds, n_bootstrap : int
        Clips and groups are counted once, also where several seeds predict them.
    resampled_by : {"group", "recording", "clip"}
        See :func:`resampled_by`. Only with "group" does the interval know of the differences between groups.
    """

    scores: pd.DataFrame
    per_class: pd.DataFrame
    confusion: np.ndarray
    n_clips: int
    n_groups: int
    n_seeds: int
    n_bootstrap: int
    resampled_by: str


def probability_columns(classes: tuple[str, ...]) -> list[str]:
    """Names of the probability columns, in the order of the classes."""
    return [f"p_{name}" for name in classes]


def check_predictions(predictions: pd.DataFrame, classes: tuple[str, ...], where: str = "predictions") -> None:
    """Raise if a table is no sound predictions table of one split.

    Parameters
    ----------
    predictions : DataFrame
    classes : tuple of str
    where : str
        The file or run, for the message.

    Raises
    ------
    PoseemoError
        A column is missing, there are no rows or rows of several splits, a clip comes twice, a label is unknown,
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
    repeated = predictions["clip_id"][predictions["clip_id"].duplicated()]
    if len(repeated):
        raise PoseemoError(f"{where}: wanted each clip once, got clip {repeated.iloc[0]!r} more than once")
    unknown = predictions[~predictions["label"].isin(classes)]
    if len(unknown):
        row = unknown.iloc[0]
        raise PoseemoError(
            f"{where}: clip {row['clip_id']!r}: wanted a label of {', '.join(classes)}, got {row['label']!r}"
        )
    probabilities = predictions[probability_columns(classes)].to_numpy(np.float64)
    # Written so that NaN counts as bad.
    sound = (probabilities >= 0).all(1) & (np.abs(probabilities.sum(1) - 1) < 1e-3)
    if not sound.all():
        clip, values = predictions["clip_id"].iloc[int(np.argmin(sound))], probabilities[np.argmin(sound)]
        raise PoseemoError(f"{where}: clip {clip!r}: wanted probabilities that add up to 1, got {values.tolist()}")


def average_by_source(predictions: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """Average the probabilities over the clips (windows, camera views) that were cut from one recording.

    Parameters
    ----------
    predictions : DataFrame
        A predictions table of one split.
    classes : tuple of str

    Returns
    -------
    DataFrame
        A predictions table with one row a source_id, which is also its clip_id, and the column n_clips.

    Raises
    ------
    PoseemoError
        A recording has clips of several labels or groups, so that it has no single answer.
    """
    check_predictions(predictions, classes)
    by_source = predictions.groupby("source_id", sort=True)
    for column in ("label", "group_id"):
        distinct = by_source[column].nunique(dropna=False)
        if (distinct > 1).any():
            source = distinct.index[distinct > 1][0]
            raise PoseemoError(
                f"source {source!r}: wanted one {column} in a recording to average it, got {distinct[source]}; "
                "score its clips one by one"
            )
    columns = probability_columns(classes)
    out = by_source[["split", "label", "group_id"]].first().join(by_source[columns].mean())
    out["n_clips"] = by_source.size()
    out = out.reset_index()
    out.insert(0, "clip_id", out["source_id"])
    return out[[*ID_COLUMNS, "n_clips", *columns]]


def scored_units(predictions: pd.DataFrame, split: str, classes: tuple[str, ...], score_by: str) -> pd.DataFrame:
    """Give the rows of one split in the unit that a run is scored by: clips, or the recordings they were cut from.

    Parameters
    ----------
    predictions : DataFrame
        A run's predictions of several splits.
    split : str
    classes : tuple of str
    score_by : {"clip", "source"}

    Returns
    -------
    DataFrame
        A predictions table of that split.
    """
    table = predictions[predictions["split"] == split].reset_index(drop=True)
    return average_by_source(table, classes) if score_by == "source" else table


def config_scores(
    predictions_by_seed: dict[int, pd.DataFrame],
    classes: tuple[str, ...],
    *,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> ConfigScores:
    """Score one config of a study: mean and sd over seeds, and a 95 % interval of the mean, resampled by group.

    Percentile bootstrap over groups (Davison and Hinkley 1997, "Bootstrap methods and their application", ch. 3.8):
    whole groups are drawn with replacement, the same draw for all seeds, and the mean over seeds is taken in each
    draw. Only sums per group are resampled, so that the work is one matrix product.
    An average over the classes is not defined in a draw that lacks a class: it would be one over others, and of a
    constant answer, whose balanced accuracy is 1 / number of classes, one that moves. Such draws are left out of it,
    unless they are more than :data:`MOST_LOST`: some class then hangs on one or two groups, and without those draws
    the interval would hide how little is known of it; then each draw is averaged over the classes that it has.
    With fewer than about ten groups such an interval is too short. The ECE of a draw is biased upwards, so the
    interval of a small ECE can lie above it.

    Parameters
    ----------
    predictions_by_seed : dict of DataFrame
        Seed -> predictions table of one split. Seeds may hold different clips, as with a split drawn per seed.
    classes : tuple of str
    n_bootstrap : int
        Number of draws.
    seed : int
        Of the draws.

    Returns
    -------
    ConfigScores
        Metrics: those of :func:`poseemo_lib.training.metrics.scores_from_confusion`, top_2_accuracy, ece and nll.

    Raises
    ------
    PoseemoError
        A table is not sound, or there is none.
    """
    if not predictions_by_seed:
        raise PoseemoError("wanted the predictions of at least one seed, got none")
    tables = list(predictions_by_seed.values())
    for number, table in predictions_by_seed.items():
        check_predictions(table, classes, f"predictions of seed {number}")
    every = pd.concat([table[["clip_id", "group_id", "source_id"]] for table in tables])
    unit, units = resampling_units(every)
    sums = _stack([_unit_sums(table, classes, units.get_indexer(table[unit])) for table in tables], len(units))
    weights = draw_units(len(units), n_bootstrap, seed)
    observed = _scores(sums, np.ones((1, len(units))))
    drawn = _leave_out_lacking(_scores(sums, weights), observed)
    summary = {name: _summarise(observed[name][:, 0], drawn[name]) for name in observed}
    confusion = sums["confusion"].sum((0, 1)).reshape(len(classes), len(classes))
    return ConfigScores(
        scores=_score_table(summary, len(tables)),
        per_class=_per_class_table(summary, classes, confusion.sum(1) / len(tables)),
        confusion=np.rint(confusion).astype(np.int64),
        n_clips=every["clip_id"].nunique(),
        n_groups=every["group_id"].nunique(dropna=False),
        n_seeds=len(tables),
        n_bootstrap=n_bootstrap,
        resampled_by=resampled_by(every),
    )


def resampling_units(table: pd.DataFrame) -> tuple[str, pd.Index]:
    """Choose what a bootstrap draws with replacement: groups, or clips where there is a single group.

    Parameters
    ----------
    table : DataFrame
        With clip_id and group_id; clips may come several times.

    Returns
    -------
    column : {"group_id", "clip_id"}
    units : Index
        Its values, sorted, so that the order of the rows does not matter.
    """
    column = "group_id" if table["group_id"].nunique(dropna=False) > 1 else "clip_id"
    return column, pd.Index(table[column].unique()).sort_values()


def resampled_by(table: pd.DataFrame) -> str:
    """Name what the draws of :func:`resampling_units` are draws of.

    A dataset that does not know its groups has each recording, or each clip, as a group of its own. Then clips of one
    show or actor are drawn apart, and the draws do not know how alike those are.

    Parameters
    ----------
    table : DataFrame
        With clip_id, group_id and source_id; clips may come several times.

    Returns
    -------
    {"group", "recording", "clip"}
        "group" only where groups are known: there are several, and they hold several recordings.
    """
    n_clips, n_groups, n_sources = (table[name].nunique(dropna=False) for name in ("clip_id", "group_id", "source_id"))
    if n_groups in (1, n_clips):
        return "clip"
    return "recording" if n_groups == n_sources else "group"


def draw_units(n_units: int, n_bootstrap: int, seed: int) -> np.ndarray:
    """Draw units with replacement: array (n_bootstrap, n_units), how often each one came, float64."""
    draws = np.random.default_rng(seed).multinomial(n_units, np.full(n_units, 1 / n_units), n_bootstrap)
    return draws.astype(np.float64)


def _unit_sums(table: pd.DataFrame, classes: tuple[str, ...], unit: np.ndarray) -> dict[str, tuple]:
    """Everything that the scores need as (unit, slot, value, number of slots), to be summed within units."""
    labels = pd.Index(classes).get_indexer(table["label"])
    probabilities = table[probability_columns(classes)].to_numpy(np.float64)
    bins, gaps = metrics.calibration_gaps(labels, probabilities)
    one, first = np.ones(len(labels)), np.zeros(len(labels), np.int64)
    configs = labels * len(classes) + probabilities.argmax(1)
    return {
        "confusion": (unit, configs, one, len(classes) ** 2),
        "gaps": (unit, bins, gaps, metrics.ECE_BINS),
        "top_2": (unit, first, metrics.top_k_hits(labels, probabilities, TOP_K), 1),
        "nll": (unit, first, metrics.log_losses(labels, probabilities), 1),
    }


def _stack(per_seed: list[dict[str, tuple]], n_units: int) -> dict[str, np.ndarray]:
    """Sum within units: dict of arrays (seeds, units, slots)."""

    def summed(unit, slot, value, n_slots):
        return np.bincount(unit * n_slots + slot, value, minlength=n_units * n_slots).reshape(n_units, n_slots)

    return {name: np.stack([summed(*one[name]) for one in per_seed]) for name in per_seed[0]}


def _scores(sums: dict[str, np.ndarray], weights: np.ndarray) -> dict[str, np.ndarray]:
    """Score weighted sums over units: weights (R, units) -> arrays (seeds, R), per class (seeds, R, C)."""
    total = {name: weights @ values for name, values in sums.items()}  # (seeds, R, slots)
    n_classes = int(np.sqrt(total["confusion"].shape[-1]))
    confusion = total["confusion"].reshape(*total["confusion"].shape[:2], n_classes, n_classes)
    n_clips = confusion.sum((-2, -1))
    # A draw can miss every clip of a seed; its scores are NaN.
    n_clips = np.where(n_clips > 0, n_clips, np.nan)
    per_class = metrics.per_class_scores(confusion)
    return metrics.scores_from_confusion(confusion) | {
        "top_2_accuracy": total["top_2"][..., 0] / n_clips,
        "ece": np.abs(total["gaps"]).sum(-1) / n_clips,
        "nll": total["nll"][..., 0] / n_clips,
        **{name: per_class[name] for name in PER_CLASS_SCORES},
    }


def _leave_out_lacking(drawn: dict[str, np.ndarray], observed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Make averages over classes NaN in draws that lack a class of their seed's test part, unless those are many."""
    # The recall of a class without a clip is NaN.
    lacking = (np.isnan(drawn["recall"]) & ~np.isnan(observed["recall"])).any(-1)  # (seeds, R)
    if lacking.any(0).mean() > MOST_LOST:
        return drawn
    return drawn | {name: np.where(lacking, np.nan, drawn[name]) for name in OVER_CLASSES}


def _summarise(observed: np.ndarray, drawn: np.ndarray) -> dict[str, np.ndarray]:
    """Mean and sd over seeds (axis 0), and the interval of the mean over draws (axis 1 of `drawn`).

    Draws in which the score is not defined for some seed are left out; without any defined draw the interval is NaN.
    """
    means = drawn.mean(0)
    columns = means.reshape(len(means), -1).T  # one metric, or one row a class
    low, high = np.array([_percentiles(column[np.isfinite(column)]) for column in columns]).T
    sd = observed.std(0, ddof=1) if len(observed) > 1 else np.full(observed.shape[1:], np.nan)
    shape = means.shape[1:]
    return {"mean": observed.mean(0), "sd": sd, "low": low.reshape(shape), "high": high.reshape(shape)}


def _percentiles(values: np.ndarray) -> np.ndarray:
    return np.percentile(values, [2.5, 97.5]) if values.size else np.full(2, np.nan)


def _score_table(summary: dict, n_seeds: int) -> pd.DataFrame:
    rows = [
        {"metric": name} | {key: float(value) for key, value in one.items()}
        for name, one in summary.items()
        if name not in PER_CLASS_SCORES
    ]
    return pd.DataFrame(rows).assign(n_seeds=n_seeds)


def _per_class_table(summary: dict, classes: tuple[str, ...], support: np.ndarray) -> pd.DataFrame:
    tables = [
        pd.DataFrame({"class": classes, "metric": name, **summary[name], "support": support})
        for name in PER_CLASS_SCORES
    ]
    return pd.concat(tables, ignore_index=True)
