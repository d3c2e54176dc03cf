"""How uncertain a score is: whole groups are left out, one at a time, because clips of one group are alike.

The delete-one-group jackknife (Efron and Stein 1981, "The jackknife estimate of variance", Annals of Statistics 9),
with the t distribution of G - 1 degrees of freedom. Percentile intervals of a bootstrap are too short with few groups
(`benchmarks/interval_coverage.py`). What is left out are sums over groups, so that all G estimates are one subtraction.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit, stdtrit

LEVEL = 0.95


@dataclass(frozen=True)
class Groups:
    """What is left out one at a time: see :func:`find_groups`."""

    column: str  # group_id, or clip_id where there is only one group
    values: pd.Index  # the G values of that column, sorted

    def sums(self, table: pd.DataFrame, values=1.0, slots=0, n_slots: int = 1) -> np.ndarray:
        """Sum values, a number or (N[, V]), within groups and slots (N,) of a table of N rows: (G, n_slots[, V])."""
        at = self.values.get_indexer(table[self.column]) * n_slots + slots
        values = np.asarray(values, dtype=np.float64)
        out = np.zeros((len(self.values) * n_slots, *values.shape[1:]))
        np.add.at(out, at, values)
        return out.reshape(len(self.values), n_slots, *values.shape[1:])


def find_groups(table: pd.DataFrame) -> Groups:
    """Find the groups of a table, or its clips where there is only one group."""
    column = "group_id" if table["group_id"].nunique(dropna=False) > 1 else "clip_id"
    return Groups(column, pd.Index(table[column].unique()).sort_values())


def leave_out(statistic: Callable, *sums: np.ndarray) -> tuple:
    """Compute a statistic of sums (..., G, S) over all groups, and without each of them.

    The statistic takes one array (..., R, S) for each of `sums`. Its values for R = 1, all groups, and for R = G, all
    but one, are returned.
    """
    totals = [values.sum(-2, keepdims=True) for values in sums]
    return statistic(*totals), statistic(*(total - values for total, values in zip(totals, sums, strict=True)))


def variance(left: np.ndarray) -> np.ndarray:
    """Variance of a statistic, from its values without each group: (G, ...) -> (...).

    Values that are not defined (NaN) are left out; where fewer than two are defined, it is NaN.
    """
    n = np.isfinite(left).sum(0)
    mean = np.nansum(left, 0) / np.maximum(n, 1)
    return np.where(n > 1, np.nansum((left - mean) ** 2, 0) * (n - 1) / np.maximum(n, 1), np.nan)


def between(values: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Variance between trainings, without what it has from the clips: can be negative; 0 for one training.

    From the statistic of each training (n, ...), and without each group (n, G, ...).
    """
    if len(values) == 1:
        return np.zeros(values.shape[1:])
    from_clips = variance(np.moveaxis(left - left.mean(0), 1, 0)).sum(0) / (len(values) - 1)
    return values.var(0, ddof=1) - from_clips


def add_variances(one, df_one, other, df_other) -> tuple[np.ndarray, np.ndarray]:
    """Add two parts of a variance; the degrees of freedom are Satterthwaite's (1946). A part may be 0."""
    total = np.asarray(one + other)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = total**2 / (one**2 / df_one + other**2 / df_other)
    return total, np.where(other > 0, df, df_one)


def mean_interval(value, variance, df, low: float = -np.inf, high: float = np.inf) -> tuple[np.ndarray, np.ndarray]:
    """Give the t-interval of a mean or difference, cut at the ends of its range."""
    half = _quantile(df) * np.sqrt(variance)
    return np.clip(value - half, low, high), np.clip(value + half, low, high)


def score_interval(value, variance, df) -> tuple[np.ndarray, np.ndarray]:
    """Give the t-interval of a score between 0 and 1, on the logit scale; a score of 0 or 1 is its own interval."""
    with np.errstate(divide="ignore", invalid="ignore"):
        half = _quantile(df) * np.sqrt(variance) / (value * (1 - value))
        ends = [expit(logit(value) + sign * half) for sign in (-1, 1)]
    inside = (value > 0) & (value < 1)
    return tuple(np.where(inside, end, np.where(np.isnan(variance), np.nan, value)) for end in ends)


def share_interval(share, n, variance, df) -> tuple[np.ndarray, np.ndarray]:
    """Give the interval of a share of n clips: Wilson's (1927), widened because clips of a group are alike.

    n is divided by the design effect, and t stands for the normal distribution (Korn and Graubard 1998, "Confidence
    intervals for proportions with small expected number of positive counts", Survey Methodology 24). With fewer than
    about 20 clips it is a little too long.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        n = np.fmin(n, share * (1 - share) / variance)  # the effective number of clips
        squared = _quantile(df) ** 2 / n
        middle = (share + squared / 2) / (1 + squared)
        half = np.sqrt(squared * (share * (1 - share) + squared / 4)) / (1 + squared)
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)


def _quantile(df) -> np.ndarray:
    return stdtrit(np.maximum(df, 1), (1 + LEVEL) / 2)


def resampled_by(table: pd.DataFrame) -> str:
    """Name what is left out: "group" if groups are known, else "recording" or "clip".

    Groups are known if there are several, and they hold several recordings. A dataset without known groups has each
    recording, or each clip, as a group of its own. Clips of one show or actor are then left out separately, and the
    interval does not reflect how alike they are.
    """
    n_clips, n_groups, n_sources = (table[name].nunique(dropna=False) for name in ("clip_id", "group_id", "source_id"))
    if n_groups in (1, n_clips):
        return "clip"
    return "recording" if n_groups == n_sources else "group"
