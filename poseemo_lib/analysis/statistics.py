"""Tests of differences between configs: which ones the test clips support, and which would go unnoticed.

A difference is tested with a t-test whose variance has two parts. The first is the jackknife's over groups of clips,
with the same group left out for both configs, and G - 1 degrees of freedom (Cameron and Miller 2015, "A practitioner's
guide to cluster-robust inference", Journal of Human Resources 50). The second is the variance between trainings,
without what it has from the clips, which the first part holds already. It is pooled over the networks of a study, since
two or three seeds of one config say little about it. They are combined as by Welch (1947) and Satterthwaite (1946).
With few seeds that variance can by chance be far too small. The standard error is therefore at least so large that the
interval is as long as that of a t-test of the seeds' scores alone.
Where a cross-validation is repeated, the trainings of a repeat share its folds, so a training here is the mean of them.

McNemar's exact test is reported beside it and decides nothing: it tests accuracy, and takes the clips as independent.
"""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import t as student

from poseemo_lib.analysis.predictions import Predictions, check_same_clips, mean_over_seeds
from poseemo_lib.training.evaluation import mean_within_repeats, n_seeds, probability_columns
from poseemo_lib.training.jackknife import (
    Groups,
    between,
    find_groups,
    leave_out,
    mean_interval,
    resampled_by,
    variance,
)
from poseemo_lib.training.metrics import per_class_scores, scores_from_confusion

ALPHA = 0.05
POWER = 0.8
# No difference is claimed with fewer groups: between equal configs, 6 groups gave 7.5 % false claims, 8 gave 4 %.
MIN_GROUPS = 8
# Why a difference is not tested; the first that holds.
FEW_GROUPS, UNKNOWN_GROUPS, ONE_SEED = LIMITS = f"fewer than {MIN_GROUPS} groups", "unknown groups", "one seed"
RECALL = "recall of "
# Whom a model's score is compared with, who sees no pose.
GUESSERS = {"balanced_accuracy": "chance", "macro_f1": "stratified", "accuracy": "majority"}


@dataclass(frozen=True)
class Resampled:
    """A config's score on its clips, and without each group, by seed, or by repeat as the mean of its seeds."""

    by_seed: np.ndarray  # (seeds,)
    left: np.ndarray  # (seeds, groups)
    n_clips: int
    n_groups: int
    groups_known: bool = True  # see `jackknife.resampled_by`
    fixed: bool = False  # one seed is enough: see `compare_configs`
    n_seeds: int = 1
    n_repeats: int = 1

    @property
    def seed_variance(self) -> float:
        """Variance of the score over trainings, without what comes from the clips: can be negative; 0 with one seed."""
        return float(between(self.by_seed, self.left))

    @property
    def limit(self) -> str:
        """Why no difference may be claimed of it: one of `LIMITS`, or "" where it may."""
        if self.n_groups < MIN_GROUPS:
            return FEW_GROUPS
        if not self.groups_known:
            return UNKNOWN_GROUPS
        return ONE_SEED if len(self.by_seed) < 2 and not self.fixed else ""


def resample(
    predictions: Predictions, classes: tuple[str, ...], metric: str, groups: Groups, fixed: bool = False, shares=None
) -> Resampled:
    """Score a config's predictions on its clips, and without each group; with `shares`, above a guesser's score."""
    n, of = len(classes), metric.removeprefix(RECALL)
    keys, tables = zip(*sorted(predictions.items()), strict=True)

    def score(confusion: np.ndarray) -> np.ndarray:
        confusion = confusion.reshape(-1, n, n)
        if of != metric:
            return per_class_scores(confusion)["recall"][:, classes.index(of)]
        guessed = 0.0 if shares is None else scores_from_confusion(confusion.sum(-1, keepdims=True) * shares)[metric]
        return scores_from_confusion(confusion)[metric] - guessed

    scores = []
    for table in tables:
        labels = pd.Index(classes).get_indexer(table["label"])
        predicted = table[probability_columns(classes)].to_numpy().argmax(1)
        scores.append(leave_out(score, groups.sums(table, 1.0, labels * n + predicted, n * n)))
    observed, left = (mean_within_repeats(keys, np.stack(one)) for one in zip(*scores, strict=True))
    first = tables[0]
    n_groups, known = first["group_id"].nunique(dropna=False), resampled_by(first) == "group"
    repeats = len(keys) // n_seeds(keys)
    return Resampled(observed[:, 0], left, len(first), n_groups, known, fixed, n_seeds(keys), repeats)


def mcnemar(a_right: np.ndarray, b_right: np.ndarray) -> tuple[int, int, float]:
    """McNemar's exact test (1947) of bool arrays (N,): clips that only a, and only b, got right, and a two-sided p."""
    from statsmodels.stats.contingency_tables import mcnemar as test

    n_a, n_b = int((a_right & ~b_right).sum()), int((b_right & ~a_right).sum())
    return n_a, n_b, float(test([[0, n_a], [n_b, 0]], exact=True).pvalue)


def holm(p: Iterable[float]) -> np.ndarray:
    """Adjust p-values for their number (Holm 1979); NaN stands for no test and stays."""
    # statsmodels' `multipletests` collects garbage in every call, which takes longer than a whole comparison.
    p = np.asarray(list(p), dtype=np.float64)
    out, order = np.full(p.shape, np.nan), np.argsort(p)[: np.isfinite(p).sum()]  # NaN comes last
    out[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1)
    return out


def compare_configs(
    predictions: dict[str, Predictions],
    classes: tuple[str, ...],
    *,
    metric: str = "macro_f1",
    pairs: Iterable[tuple[str, str]] | None = None,
    fixed: Collection[str] = (),
    pool: Collection[str] = (),
) -> pd.DataFrame:
    """Compare configs that were tested on the same clips, pair by pair.

    Parameters
    ----------
    predictions : dict
        Config -> seed -> predictions table.
    classes : tuple of str
    metric : {"macro_f1", "balanced_accuracy", "accuracy"} or "recall of <class>"
    pairs : iterable of (str, str), optional
        What to compare, chosen before the scores were seen. Default: all pairs.
    fixed : collection of str
        Configs for which one seed is enough: the same with every seed, or of interest only as they are. No difference
        is claimed of any other config with one seed.
    pool : collection of str
        Further configs whose variance over seeds is pooled with that of the compared ones.

    Returns
    -------
    DataFrame
        One row a pair:

        - a, b, metric; difference: mean over seeds of a minus that of b; low, high: 95 % interval (not adjusted);
          se, df: standard error and degrees of freedom
        - p, p_holm: of the difference, and adjusted for all rows
        - n_a_only, n_b_only, p_mcnemar, p_mcnemar_holm: accuracy of the probabilities averaged over seeds
        - significant: p_holm < 0.05, and no `limit`
        - limit: why the difference counts as not tested, one of :data:`LIMITS`; else ""
        - detectable: see :func:`smallest_detectable_difference`, at Holm's strictest level
        - n_clips, n_groups, n_seeds_a, n_seeds_b, n_repeats, n_comparisons, paired

    Raises
    ------
    PoseemoError
        Two configs, or two seeds of one, were tested on different clips, or a table is not sound.
    """
    pairs = list(combinations(predictions, 2) if pairs is None else pairs)
    names = dict.fromkeys([*(name for pair in pairs for name in pair), *pool])
    used = {name: predictions[name] for name in names}
    averaged, scores = _resample_paired(used, classes, metric, fixed)
    columns = probability_columns(classes)
    right = {
        name: table[columns].to_numpy().argmax(1) == pd.Index(classes).get_indexer(table["label"])
        for name, table in averaged.items()
    }
    rows = []
    for a, b in pairs:
        n_a, n_b, p = mcnemar(right[a], right[b])
        row = _compare(scores[a], scores[b], [scores[a].left.mean(0) - scores[b].left.mean(0)], scores.values())
        row |= {"n_a_only": n_a, "n_b_only": n_b, "p_mcnemar": p, "paired": True}
        rows.append({"a": a, "b": b, "metric": metric, **row})
    return adjusted(rows)


def _resample_paired(
    predictions: dict[str, Predictions], classes, metric, fixed, shares=None
) -> tuple[dict[str, pd.DataFrame], dict[str, Resampled]]:
    """Average and resample configs that were tested on the same clips, all without the same groups."""
    averaged = {name: mean_over_seeds(tables, classes, name) for name, tables in predictions.items()}
    if not averaged:
        return {}, {}
    first = next(iter(averaged))
    for name, table in averaged.items():
        check_same_clips(averaged[first], table, first, name)
    groups = find_groups(averaged[first])
    scores = {
        name: resample(tables, classes, metric, groups, name in fixed, shares) for name, tables in predictions.items()
    }
    return averaged, scores


def compare_apart(
    a: tuple[str, Predictions],
    b: tuple[str, Predictions],
    classes: tuple[str, ...],
    *,
    metric: str = "macro_f1",
    fixed: Collection[str] = (),
) -> dict:
    """Compare two configs that were tested on different clips, as under two splits of one dataset.

    Each is resampled by itself. Where the test splits share groups the interval is too long rather than too short, as
    long as clips that are easy for one config are easy for the other.

    `a` and `b` are a name and its predictions; for all else see :func:`compare_configs`. Returns a row for
    :func:`adjusted`, without McNemar's test, with the clips and groups of the smaller test split.
    """
    sides = []
    for name, predictions in (a, b):
        groups = find_groups(mean_over_seeds(predictions, classes, name))
        sides.append(resample(predictions, classes, metric, groups, name in fixed))
    one, other = sides
    row = _compare(one, other, [one.left.mean(0), other.left.mean(0)], (one, other))
    row |= {"n_a_only": None, "n_b_only": None, "p_mcnemar": np.nan, "paired": False}
    return {"a": a[0], "b": b[0], "metric": metric, **row}


def compare_with_guess(
    name: str, predictions: dict[str, Predictions], classes: tuple[str, ...], *, metric: str
) -> dict:
    """Compare one config, chosen before the scores were seen, with a guesser who knows only the shares of the labels.

    By accuracy the guesser always names the most frequent class (majority). By any other metric he names each class as
    often as it occurs (stratified), and his score is that of his expected predictions: a balanced accuracy of chance.

    `predictions` also has other networks that were tested on the same clips, whose variance over seeds is pooled with
    its own. For all else see :func:`compare_configs`. Returns a row for :func:`adjusted`, without McNemar's test.
    """
    labels = next(iter(predictions[name].values()))["label"]
    shares = labels.value_counts(normalize=True).reindex(classes, fill_value=0.0).to_numpy()
    if metric == "accuracy":
        shares = np.eye(len(classes))[shares.argmax()]
    _, scores = _resample_paired(predictions, classes, metric, (), shares)
    config = scores[name]
    row = _t_test(float(config.by_seed.mean()), [config], [config.left.mean(0)], scores.values())
    row |= {"limit": config.limit, "n_clips": config.n_clips, "n_groups": config.n_groups, "paired": True}
    row |= {"n_repeats": config.n_repeats}
    row |= {"n_seeds_a": config.n_seeds, "n_seeds_b": 1, "n_a_only": None, "n_b_only": None, "p_mcnemar": np.nan}
    return {"a": name, "b": GUESSERS.get(metric, "stratified"), "metric": metric, **row}


def not_tested(limits: Iterable[str]) -> str:
    """Say why differences with these limits are not tested, as every text does; empty where they are."""
    given = set(limits)
    found = [limit for limit in LIMITS if limit in given]
    return f"not tested: {', '.join(found)}" if found else ""


def is_skilled(rows: list[dict]) -> bool:
    """Whether a config is better than chance and than guessing: rows of :func:`compare_with_guess`, adjusted."""
    kept = [row for row in rows if row["metric"] != "accuracy"]
    return bool(kept) and all(row["significant"] and row["difference"] > 0 for row in kept)


def adjusted(rows: Iterable[dict]) -> pd.DataFrame:
    """Make rows of :func:`compare_apart` or :func:`compare_configs` one family, with Holm's correction for all."""
    table = pd.DataFrame(list(rows), columns=_COLUMNS)
    table["n_comparisons"] = len(table)
    for column in ("p", "p_mcnemar"):
        table[f"{column}_holm"] = holm(table[column])
    table["significant"] = (table["p_holm"] < ALPHA) & (table["limit"] == "")
    table["detectable"] = smallest_detectable_difference(table["se"], table["df"], alpha=ALPHA / max(len(table), 1))
    return table.astype({"n_a_only": "Int64", "n_b_only": "Int64"})


_COLUMNS = (
    *("a", "b", "metric", "difference", "low", "high", "se", "df", "p", "p_holm"),
    *("n_a_only", "n_b_only", "p_mcnemar", "p_mcnemar_holm", "significant", "limit", "detectable"),
    *("n_clips", "n_groups", "n_seeds_a", "n_seeds_b", "n_repeats", "n_comparisons", "paired"),
)


def _compare(one: Resampled, other: Resampled, left: list[np.ndarray], pool: Collection[Resampled]) -> dict:
    """Test a difference, whose variance over groups is that of all of `left` together."""
    row = _t_test(float(one.by_seed.mean() - other.by_seed.mean()), [one, other], left, pool)
    limits = {one.limit, other.limit}
    row["limit"] = next((limit for limit in LIMITS if limit in limits), "")
    row |= {"n_clips": min(one.n_clips, other.n_clips), "n_groups": min(one.n_groups, other.n_groups)}
    row |= {"n_repeats": min(one.n_repeats, other.n_repeats)}
    return row | {"n_seeds_a": one.n_seeds, "n_seeds_b": other.n_seeds}


def _seed_parts(compared: list[Resampled], pool: Collection[Resampled]) -> list[tuple[float, int]]:
    """Variances that seeds add to a difference of means, each with its degrees of freedom.

    A config that is not fixed has the pooled variance, or its own if that is larger.
    """
    pooled, df = pooled_variance(pool)
    parts = [
        (max(config.seed_variance, 0) / len(config.by_seed), len(config.by_seed) - 1)
        for config in compared
        if config.fixed and len(config.by_seed) > 1
    ]
    own = [max(config.seed_variance, pooled) / len(config.by_seed) for config in compared if not config.fixed]
    return [*parts, (sum(own), df)] if own and df else parts


def pooled_variance(configs: Iterable[Resampled], *, with_clips: bool = False) -> tuple[float, int]:
    """Pool the variances over seeds of configs that are not fixed, as in an ANOVA, with their degrees of freedom.

    Parameters
    ----------
    configs : iterable of Resampled
    with_clips : bool
        Keep what comes from the clips.
    """
    weighted = [
        (config.by_seed.var(ddof=1) if with_clips else config.seed_variance, len(config.by_seed) - 1)
        for config in configs
        if not config.fixed and len(config.by_seed) > 1
    ]
    df = sum(n for _, n in weighted)
    return (float(max(sum(one * n for one, n in weighted) / df, 0.0)), df) if df else (0.0, 0)


def _t_test(difference: float, compared: list[Resampled], left: list[np.ndarray], pool: Collection[Resampled]) -> dict:
    """Test a difference, whose variance over groups is that of all of `left` together."""
    parts = [(float(variance(one)), max(len(one) - 1, 1)) for one in left] + _seed_parts(compared, pool)
    total, n_groups = sum(part for part, _ in parts), min(config.n_groups for config in compared)
    if total < 1e-24:  # all groups agree: p is the chance that all of them have one sign
        total, df, p = 0.0, float(n_groups - 1), 1.0 if abs(difference) < 1e-12 else 2.0 ** (1 - n_groups)
    else:
        df = total**2 / sum(part**2 / freedom for part, freedom in parts)
        alone, n = pooled_variance(pool, with_clips=True)
        alone *= sum(1 / len(config.by_seed) for config in compared if not config.fixed)
        if alone:
            total = max(total, alone * (student.ppf(1 - ALPHA / 2, n) / student.ppf(1 - ALPHA / 2, df)) ** 2)
        p = float(2 * student.sf(abs(difference) / math.sqrt(total), df))
    low, high = mean_interval(difference, total, df, -1.0, 1.0)
    return {"difference": difference, "low": low, "high": high, "se": math.sqrt(total), "df": df, "p": p}


def smallest_detectable_difference(se, df, *, alpha: float = ALPHA):
    """Difference that a two-sided test at level `alpha` would find with the probability :data:`POWER`.

    Bloom 1995, "Minimum detectable effects", Evaluation Review 19. `se` and `df`, numbers or arrays, are those of
    :func:`compare_configs`; divide `alpha` by the number of comparisons for Holm's strictest level.
    """
    return np.where(np.asarray(se) > 0, (student.ppf(1 - alpha / 2, df) + student.ppf(POWER, df)) * se, 0.0)
