"""Scores of a config on its clips and on resampled groups, and the spread of scores over seeds."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from poseemo_lib.analysis.predictions import Predictions
from poseemo_lib.training import metrics
from poseemo_lib.training.evaluation import draw_units, probability_columns, resampled_by, resampling_units


@dataclass(frozen=True)
class SeedSpread:
    """Variance of one training's score over seeds, and its degrees of freedom."""

    variance: float = 0.0
    df: int = 0


@dataclass(frozen=True)
class Resampled:
    """A config's score on its clips and on resampled groups.

    Parameters
    ----------
    by_seed : array (seeds,)
    drawn : array (draws,)
        The mean over seeds.
    n_clips, n_groups : int
    groups_known : bool
        Whether its groups are more than its recordings, each by itself: see `evaluation.resampled_by`.
    """

    by_seed: np.ndarray
    drawn: np.ndarray
    n_clips: int
    n_groups: int
    groups_known: bool = True

    @property
    def spread(self) -> SeedSpread:
        """Its own spread over seeds; no degrees of freedom where there is one seed only."""
        k = len(self.by_seed)
        return SeedSpread(float(self.by_seed.var(ddof=1)), k - 1) if k > 1 else SeedSpread()


def pool_spreads(configs: Iterable[Resampled]) -> SeedSpread:
    """Pool the variances over seeds of several configs, weighted by their degrees of freedom (as in an ANOVA)."""
    spreads = [config.spread for config in configs]
    df = sum(spread.df for spread in spreads)
    return SeedSpread(sum(spread.variance * spread.df for spread in spreads) / df, df) if df else SeedSpread()


def seed_parts(pooled: list[Resampled], single: list[Resampled], spread: SeedSpread) -> list[tuple[float, int]]:
    """Give the variances that seeds add to a difference of means over seeds, each with its degrees of freedom.

    Parameters
    ----------
    pooled : list of Resampled
        Configs whose spread is taken from `spread`, or their own if that is larger: two or three seeds of one config say
        little, and pooling alone would make an unsteady config look steady.
    single : list of Resampled
        Configs that stand for themselves.
    spread : SeedSpread
        From :func:`pool_spreads`.

    Returns
    -------
    list of (variance, degrees of freedom)
    """
    parts = [(config.spread.variance / len(config.by_seed), config.spread.df) for config in single if config.spread.df]
    if pooled and spread.df:
        variances = [max(config.spread.variance, spread.variance) / len(config.by_seed) for config in pooled]
        parts.append((sum(variances), spread.df))
    return parts


def draw_groups(table: pd.DataFrame, n_bootstrap: int, seed: int) -> np.ndarray:
    """Draw groups of a predictions table with replacement: how often each comes, (n_bootstrap, groups)."""
    return draw_units(len(resampling_units(table)[1]), n_bootstrap, seed)


def resample(predictions: Predictions, classes: tuple[str, ...], metric: str, weights: np.ndarray) -> Resampled:
    """Score draws of groups (R, groups) through confusion sums per group, as `evaluation.config_scores` does."""
    tables = [table for _, table in sorted(predictions.items())]
    column, units = resampling_units(tables[0])
    n = len(classes)
    by_seed, drawn = [], np.zeros(len(weights))
    for table in tables:
        labels = pd.Index(classes).get_indexer(table["label"])
        answers = table[probability_columns(classes)].to_numpy().argmax(1)
        slots = (units.get_indexer(table[column]) * n + labels) * n + answers
        sums = np.bincount(slots, minlength=len(units) * n * n).reshape(len(units), n * n)
        by_seed.append(_score(sums.sum(0)[None], metric, n)[0])
        drawn += _score(weights @ sums, metric, n) / len(tables)
    n_groups = tables[0]["group_id"].nunique(dropna=False)
    return Resampled(np.array(by_seed), drawn, len(tables[0]), n_groups, resampled_by(tables[0]) == "group")


def _score(confusion: np.ndarray, metric: str, n_classes: int) -> np.ndarray:
    return metrics.scores_from_confusion(confusion.reshape(-1, n_classes, n_classes))[metric]
