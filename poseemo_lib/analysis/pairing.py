"""Answers of configs to the same clips, side by side."""

import numpy as np
import pandas as pd

from poseemo_lib.errors import PoseemoError
from poseemo_lib.training.evaluation import check_predictions, probability_columns

# Seed -> predictions table of one split, as `ConfigRuns.predictions()` returns it.
Predictions = dict[int, pd.DataFrame]


def mean_over_seeds(predictions: Predictions, classes: tuple[str, ...], name: str = "config") -> pd.DataFrame:
    """Average a config's probabilities over its seeds: one answer a clip.

    Parameters
    ----------
    predictions : dict of DataFrame
        Seed -> predictions table of one split, as `ConfigRuns.predictions()` returns it.
    classes : tuple of str
    name : str
        Of the config, for messages.

    Returns
    -------
    DataFrame
        A predictions table, sorted by clip_id.

    Raises
    ------
    PoseemoError
        A table is not sound, there is none, or the seeds were tested on different clips.
    """
    if not predictions:
        raise PoseemoError(f"{name}: wanted the predictions of at least one seed, got none")
    for seed, table in predictions.items():
        check_predictions(table, classes, f"{name}, predictions of seed {seed}")
    columns = probability_columns(classes)
    tables = [table.sort_values("clip_id", ignore_index=True) for _, table in sorted(predictions.items())]
    for seed, table in zip(sorted(predictions), tables, strict=True):
        check_same_clips(tables[0], table, name, f"its seed {seed}")
    mean = np.mean([table[columns].to_numpy(np.float64) for table in tables], axis=0)
    return tables[0].drop(columns=columns).join(pd.DataFrame(mean, columns=columns))


def check_same_clips(a: pd.DataFrame, b: pd.DataFrame, name_a: str, name_b: str) -> None:
    """Raise unless two tables, sorted by clip_id, hold the same clips with the same labels and groups.

    Parameters
    ----------
    a, b : DataFrame
    name_a, name_b : str
        For the message.

    Raises
    ------
    PoseemoError
        The common clips alone would be a selection, so they are not used.
    """
    only_a, only_b = set(a["clip_id"]) - set(b["clip_id"]), set(b["clip_id"]) - set(a["clip_id"])
    if only_a or only_b:
        raise PoseemoError(
            f"{name_a} and {name_b}: wanted predictions of the same clips to compare them, got {len(only_a)} clips of "
            f"{name_a} only and {len(only_b)} of {name_b} only (as {min(only_a | only_b)!r}); compare runs of one split"
        )
    for column in ("label", "group_id"):
        same = (a[column] == b[column]) | (a[column].isna() & b[column].isna())
        differing = a["clip_id"][~same]
        if len(differing):
            raise PoseemoError(
                f"{name_a} and {name_b}: wanted one {column} a clip to compare them, clip {differing.iloc[0]!r} has two"
            )
