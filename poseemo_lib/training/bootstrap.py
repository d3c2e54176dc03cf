"""The bootstrap of this library: whole groups are drawn with replacement, because clips of one group are alike.

What is resampled are sums over groups, so that all draws of a statistic are one matrix product.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class GroupBootstrap:
    """Draws of groups, made by :func:`draw_groups`."""

    column: str  # what is drawn: group_id, or clip_id where there is only one group
    groups: pd.Index  # the G values of that column, sorted
    weights: np.ndarray  # (R, G), float64: how often each of them was drawn

    def sums(self, table: pd.DataFrame, values=1.0, slots=0, n_slots: int = 1) -> np.ndarray:
        """Sum values, a number or (N[, V]), within groups and slots (N,) of a table of N rows: (G, n_slots[, V])."""
        at = self.groups.get_indexer(table[self.column]) * n_slots + slots
        values = np.asarray(values, dtype=np.float64)
        out = np.zeros((len(self.groups) * n_slots, *values.shape[1:]))
        np.add.at(out, at, values)
        return out.reshape(len(self.groups), n_slots, *values.shape[1:])

    def apply(self, statistic: Callable, *sums: np.ndarray) -> tuple:
        """Compute a statistic of sums (..., G, S) over all groups, and over the groups of each draw.

        The statistic takes one array (..., R, S) for each of `sums`. Its values for R = 1, all groups, and for all R
        draws are returned.
        """
        observed = statistic(*(values.sum(-2, keepdims=True) for values in sums))
        return observed, statistic(*(self.weights @ values for values in sums))


def draw_groups(table: pd.DataFrame, n_bootstrap: int = 2000, seed: int = 0) -> GroupBootstrap:
    """Draw the groups of a table with replacement, or its clips where there is only one group.

    Clips may come several times, and their order does not matter.
    """
    column = "group_id" if table["group_id"].nunique(dropna=False) > 1 else "clip_id"
    groups = pd.Index(table[column].unique()).sort_values()
    n = len(groups)
    draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), n_bootstrap)
    return GroupBootstrap(column, groups, draws.astype(np.float64))


def interval(drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the 95 % percentile interval over draws: (R, ...) -> two arrays (...).

    Draws in which the statistic is not defined (NaN) are left out; where it is defined in none, the ends are NaN.
    """
    ends = np.full((2, *drawn.shape[1:]), np.nan)
    defined = np.isfinite(drawn).any(0)
    if defined.any():
        ends[:, defined] = np.nanpercentile(drawn[:, defined], [2.5, 97.5], axis=0)
    return ends[0], ends[1]


def resampled_by(table: pd.DataFrame) -> str:
    """Name what :func:`draw_groups` draws: "group" if groups are known, else "recording" or "clip".

    Groups are known if there are several, and they hold several recordings. A dataset without known groups has each
    recording, or each clip, as a group of its own. Clips of one show or actor are then drawn separately, and the
    interval does not reflect how alike they are.
    """
    n_clips, n_groups, n_sources = (table[name].nunique(dropna=False) for name in ("clip_id", "group_id", "source_id"))
    if n_groups in (1, n_clips):
        return "clip"
    return "recording" if n_groups == n_sources else "group"
