"""Paired comparisons of configs: which differences the test clips support, and which would go unseen.

A difference of macro-F1 is tested with a t-test whose standard error has two parts. One is the bootstrap over whole
groups, the same draw for both configs, since clips of one group are alike; it is widened by sqrt(G / (G - 1)) and held
against t with G - 1 degrees of freedom, because a percentile interval of a few groups is too short (Hesterberg 2015,
"What teachers should know about the bootstrap", American Statistician 69; Cameron and Miller 2015, "A practitioner's
guide to cluster-robust inference", Journal of Human Resources 50). The other is the spread over seeds, since two
trainings of one architecture differ too; it is pooled over the networks of a study, since two or three seeds of one say
little of it. Both together: Welch (1947) and Satterthwaite (1946).

McNemar's exact test stands beside it and decides nothing: it tests accuracy, not macro-F1, and takes the clips for
independent. A clip has one answer in it, the mean over seeds: clips that counted once a seed would make p too small.
"""

import math
from collections.abc import Collection, Iterable
from itertools import combinations

import numpy as np
import pandas as pd

from poseemo_lib.analysis.predictions import Predictions, check_same_clips, mean_over_seeds
from poseemo_lib.analysis.resampling import Resampled, SeedSpread, draw_groups, pool_spreads, resample, seed_parts
from poseemo_lib.training.evaluation import probability_columns

ALPHA = 0.05
POWER = 0.8
# Below this many groups no difference is claimed: between equal configs, 6 groups gave 7.5 % false claims, 8 gave 4 %.
MIN_GROUPS = 8


def mcnemar(a_right: np.ndarray, b_right: np.ndarray) -> tuple[int, int, float]:
    """Test whether two classifiers are right equally often (McNemar 1947), exactly.

    Parameters
    ----------
    a_right, b_right : bool array (N,)
        Whether each was right on a clip. Clips count as independent.

    Returns
    -------
    n_a_only, n_b_only : int
        Clips that one of them got right and the other did not.
    p : float
        Two-sided.
    """
    from statsmodels.stats.contingency_tables import mcnemar as test

    a_right, b_right = np.asarray(a_right, bool), np.asarray(b_right, bool)
    n_a, n_b = int((a_right & ~b_right).sum()), int((b_right & ~a_right).sum())
    both, neither = int((a_right & b_right).sum()), int((~a_right & ~b_right).sum())
    return n_a, n_b, float(test([[both, n_a], [n_b, neither]], exact=True).pvalue)


def holm(p: Iterable[float]) -> np.ndarray:
    """Adjust p-values for their number (Holm 1979); NaN stands for no test and stays."""
    # By hand: `statsmodels.stats.multitest.multipletests` collects garbage in every call, which takes longer than all
    # else in a comparison.
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
    n_bootstrap: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare configs that were tested on the same clips, pair by pair.

    Parameters
    ----------
    predictions : dict
        ConfigRuns -> seed -> predictions table.
    classes : tuple of str
    metric : {"macro_f1", "balanced_accuracy", "accuracy"}
    pairs : iterable of (str, str), optional
        What to compare, chosen before looking: Holm's correction is for their number. Default: all pairs.
    fixed : collection of str
        Configs that one seed speaks for, since they come out the same with every seed or stand for themselves only.
        Any other config with one seed is never called different: one seed ranks no architecture.
    pool : collection of str
        Configs whose spread over seeds is pooled with that of the compared ones that are not `fixed`: networks that
        were tested on the same clips.
    n_bootstrap, seed : int
        Number of draws of groups, and their seed.

    Returns
    -------
    DataFrame
        One row a pair:

        - a, b, metric; difference: mean over seeds of a minus that of b; low, high: 95 % interval (not adjusted);
          se, df: standard error and degrees of freedom
        - p, p_holm: of the difference, and adjusted for all rows
        - n_a_only, n_b_only, p_mcnemar, p_mcnemar_holm: of the accuracy of the answers averaged over seeds
        - significant: p_holm < 0.05, and nothing in `limit`. McNemar has no say in it: see the module
        - limit: "groups" where there are fewer than 8 or they are not known, "seeds" where a config that is not `fixed`
          has one, else ""
        - detectable: see :func:`smallest_detectable_difference`, at Holm's strictest level
        - n_clips, n_groups, n_seeds_a, n_seeds_b, n_comparisons, paired

    Raises
    ------
    PoseemoError
        Two configs, or two seeds of one, were tested on different clips, or a table is not sound.
    """
    pairs = list(combinations(predictions, 2) if pairs is None else pairs)
    names = list(dict.fromkeys([*(name for pair in pairs for name in pair), *pool]))
    averaged = {name: mean_over_seeds(predictions[name], classes, name) for name in names}
    for name in names:
        check_same_clips(averaged[names[0]], averaged[name], names[0], name)
    # The same draws of groups for all configs and seeds: that is what pairs them.
    weights = draw_groups(averaged[names[0]], n_bootstrap, seed) if names else None
    scores = {name: resample(predictions[name], classes, metric, weights) for name in names}
    spread = pool_spreads(config for name, config in scores.items() if name not in fixed)
    right = {name: _answers_right(averaged[name], classes) for name in names}
    rows = []
    for a, b in pairs:
        one, other, both = scores[a], scores[b], {a: scores[a], b: scores[b]}
        n_a, n_b, p = mcnemar(right[a], right[b])
        group_part = _group_variance(one.drawn - other.drawn, one.n_groups), max(one.n_groups - 1, 1)
        parts = [group_part, *_seed_parts(both, fixed, spread)]
        row = _difference(one, other, parts) | {"n_a_only": n_a, "n_b_only": n_b, "p_mcnemar": p}
        rows.append({"a": a, "b": b, "metric": metric, **row, "limit": _limit(both, fixed), "paired": True})
    return adjusted(rows)


def compare_apart(
    a: tuple[str, Predictions],
    b: tuple[str, Predictions],
    classes: tuple[str, ...],
    *,
    metric: str = "macro_f1",
    fixed: Collection[str] = (),
    n_bootstrap: int = 10_000,
    seed: int = 0,
) -> dict:
    """Compare two configs that were tested on different clips, as under two splits of one dataset.

    Both are resampled by themselves. Where the two test parts share groups the interval is too long rather than too
    short, as long as what is easy for one config is easy for the other.

    Parameters
    ----------
    a, b : (str, dict of DataFrame)
        Name, and seed -> predictions table.
    classes, metric, fixed, n_bootstrap, seed
        See :func:`compare_configs`.

    Returns
    -------
    dict
        A row for :func:`adjusted`, which makes of several the table that :func:`compare_configs` returns; without a
        McNemar test, and with the clips and groups of the smaller part.
    """
    sides = []
    for (name, predictions), draws in zip((a, b), (seed, seed + 1), strict=True):
        averaged = mean_over_seeds(predictions, classes, name)
        sides.append(resample(predictions, classes, metric, draw_groups(averaged, n_bootstrap, draws)))
    one, other = sides
    group_parts = [(_group_variance(config.drawn, config.n_groups), max(config.n_groups - 1, 1)) for config in sides]
    both = {a[0]: one, b[0]: other}
    spread = pool_spreads(config for name, config in both.items() if name not in fixed)
    row = _difference(one, other, [*group_parts, *_seed_parts(both, fixed, spread)])
    row |= {"n_a_only": None, "n_b_only": None, "p_mcnemar": np.nan}
    return {"a": a[0], "b": b[0], "metric": metric, **row, "limit": _limit(both, fixed), "paired": False}


def compare_with_constant(
    name: str,
    predictions: dict[str, Predictions],
    constant: float,
    classes: tuple[str, ...],
    *,
    metric: str = "balanced_accuracy",
    fixed: Collection[str] = (),
    n_bootstrap: int = 10_000,
    seed: int = 0,
) -> dict:
    """Compare one config, chosen before looking, with a number that has no spread, such as chance.

    Parameters
    ----------
    name : str
        Of the config.
    predictions : dict
        ConfigRuns -> seed -> predictions table: its own, and those of other networks that were tested on the same clips,
        whose spread over seeds is pooled with its own.
    constant : float
        In the unit of the metric.
    classes, metric, fixed, n_bootstrap, seed
        See :func:`compare_configs`.

    Returns
    -------
    dict
        a, metric, constant, difference, low, high, se, df, p, significant, limit, n_clips, n_groups, n_seeds: see
        :func:`compare_configs`.

    Raises
    ------
    PoseemoError
        Configs or seeds were tested on different clips, or a table is not sound.
    """
    averaged = {one: mean_over_seeds(tables, classes, one) for one, tables in predictions.items()}
    for other, table in averaged.items():
        check_same_clips(averaged[name], table, name, other)
    weights = draw_groups(averaged[name], n_bootstrap, seed)
    scores = {one: resample(tables, classes, metric, weights) for one, tables in predictions.items()}
    spread = pool_spreads(config for one, config in scores.items() if one not in fixed)
    config, own = scores[name], {name: scores[name]}
    parts = [
        (_group_variance(config.drawn, config.n_groups), max(config.n_groups - 1, 1)),
        *_seed_parts(own, fixed, spread),
    ]
    row = _t_test(float(config.by_seed.mean()) - constant, config.n_groups, parts)
    row |= {"limit": _limit(own, fixed), "n_clips": config.n_clips, "n_groups": config.n_groups}
    row |= {"n_seeds": len(config.by_seed), "significant": row["p"] < ALPHA and not row["limit"]}
    return {"a": name, "metric": metric, "constant": constant, **row}


def adjusted(rows: Iterable[dict]) -> pd.DataFrame:
    """Make comparisons one family: Holm's correction over all of them, and what follows from it.

    Parameters
    ----------
    rows : iterable of dict
        Of :func:`compare_apart`, or rows of :func:`compare_configs` (`table.to_dict("records")`).

    Returns
    -------
    DataFrame
        See :func:`compare_configs`.
    """
    table = pd.DataFrame(list(rows), columns=_COLUMNS)
    table["n_comparisons"] = len(table)
    for column in ("p", "p_mcnemar"):
        table[f"{column}_holm"] = holm(table[column])
    table["significant"] = (table["p_holm"] < ALPHA) & (table["limit"] == "")
    levels = ALPHA / max(len(table), 1)
    table["detectable"] = [
        smallest_detectable_difference(se, df, alpha=levels) for se, df in zip(table["se"], table["df"], strict=True)
    ]
    return table.astype({"n_a_only": "Int64", "n_b_only": "Int64"})


_COLUMNS = (
    *("a", "b", "metric", "difference", "low", "high", "se", "df", "p", "p_holm"),
    *("n_a_only", "n_b_only", "p_mcnemar", "p_mcnemar_holm", "significant", "limit", "detectable"),
    *("n_clips", "n_groups", "n_seeds_a", "n_seeds_b", "n_comparisons", "paired"),
)


def _answers_right(averaged: pd.DataFrame, classes: tuple[str, ...]) -> np.ndarray:
    labels = pd.Index(classes).get_indexer(averaged["label"])
    return averaged[probability_columns(classes)].to_numpy().argmax(1) == labels


def _group_variance(drawn: np.ndarray, n_groups: int) -> float:
    # A bootstrap of G units has (G - 1) / G of the variance.
    return float(drawn.var(ddof=1)) * n_groups / max(n_groups - 1, 1)


def _limit(configs: dict[str, Resampled], fixed: Collection[str]) -> str:
    if any(config.n_groups < MIN_GROUPS or not config.groups_known for config in configs.values()):
        return "groups"
    return "seeds" if any(len(config.by_seed) < 2 for name, config in configs.items() if name not in fixed) else ""


def _seed_parts(configs: dict[str, Resampled], fixed: Collection[str], spread: SeedSpread) -> list[tuple[float, int]]:
    alone = [config for name, config in configs.items() if name in fixed]
    return seed_parts([config for name, config in configs.items() if name not in fixed], alone, spread)


def _difference(one: Resampled, other: Resampled, parts: list[tuple[float, int]]) -> dict:
    n_groups = min(one.n_groups, other.n_groups)
    counts = {"n_clips": min(one.n_clips, other.n_clips), "n_groups": n_groups}
    counts |= {"n_seeds_a": len(one.by_seed), "n_seeds_b": len(other.by_seed)}
    return _t_test(float(one.by_seed.mean() - other.by_seed.mean()), n_groups, parts) | counts


def _t_test(difference: float, n_groups: int, parts: list[tuple[float, int]]) -> dict:
    """Welch's t of a difference, from its variance in parts with their degrees of freedom."""
    from scipy.stats import t

    variance = sum(part for part, _ in parts)
    se = math.sqrt(variance)
    if se < 1e-12:
        # Every group says the same: what is left is the chance that all of them have the same sign.
        df, p = float(n_groups - 1), 1.0 if abs(difference) < 1e-12 else 2.0 ** (1 - n_groups)
    else:
        df = variance**2 / sum(part**2 / freedom for part, freedom in parts)
        p = float(2 * t.sf(abs(difference) / se, df))
    half = float(t.ppf(1 - ALPHA / 2, df)) * se if se else 0.0
    # Two shares differ by at most 1.
    interval = {"low": max(difference - half, -1.0), "high": min(difference + half, 1.0)}
    return {"difference": difference, **interval, "se": se, "df": df, "p": p}


def smallest_detectable_difference(se: float, df: float, *, alpha: float = ALPHA, power: float = POWER) -> float:
    """Difference that a two-sided test would find with the given probability.

    Bloom 1995, "Minimum detectable effects", Evaluation Review 19.

    Parameters
    ----------
    se, df : float
        Standard error and degrees of freedom of the difference, as :func:`compare_configs` returns them.
    alpha : float
        Level of the test; divide by the number of comparisons for Holm's strictest one.
    power : float
        0.5 to 1, exclusive.

    Returns
    -------
    float
        In the unit of the standard error.
    """
    from scipy.stats import t

    return float((t.ppf(1 - alpha / 2, df) + t.ppf(power, df)) * se) if se else 0.0
