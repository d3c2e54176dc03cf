"""Ratings: how people labelled what they saw of a dataset, in the file `ratings.csv` in its folder."""

import pandas as pd

from poseemo_lib.data.dataset.reader import Dataset
from poseemo_lib.errors import DatasetError
from poseemo_lib.text import first_line

RATINGS_FILE = "ratings.csv"
# What was rated: clips, or whole recordings, of which a dataset may hold several clips.
KEYS = ("clip_id", "source_id")


def read_ratings(dataset: Dataset) -> pd.DataFrame | None:
    """Read the ratings of a dataset: clip_id or source_id, rater, label, one row a rating; None where it has none.

    Raises
    ------
    DatasetError
        The file cannot be read, or rates a clip or with a label that the dataset does not have, or twice.
    """
    path = f"{dataset.root}/{RATINGS_FILE}"
    try:
        with dataset.fs.open(path, "rb") as file:
            ratings = pd.read_csv(file, dtype=str, keep_default_na=False, skipinitialspace=True, encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read: {first_line(error)}") from None
    key = next((name for name in KEYS if name in ratings.columns), "")
    if not key or not {"rater", "label"} <= set(ratings.columns):
        raise DatasetError(
            f"{path}: wanted the columns {' or '.join(KEYS)}, rater and label, got {', '.join(ratings.columns)}"
        )
    n_labels = dataset.table().groupby(key)["label"].nunique()
    faults = {
        f"a {key} of the dataset": (key, ~ratings[key].isin(n_labels.index)),
        "a recording whose clips have one label": (key, ratings[key].isin(n_labels.index[n_labels > 1])),
        f"a label of {', '.join(dataset.classes)}": ("label", ~ratings["label"].isin(dataset.classes)),
        f"one rating of a rater for {key}": (key, ratings.duplicated([key, "rater"])),
    }
    for wanted, (column, bad) in faults.items():
        if bad.any():
            line, got = int(bad.to_numpy().argmax()) + 2, ratings.loc[bad, column].iloc[0]
            raise DatasetError(f"{path}: line {line}: wanted {wanted}, got {got!r} ({bad.sum():,} such ratings)")
    return ratings[[key, "rater", "label"]]


def rating_counts(ratings: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """Count the ratings of each clip or recording, the index, by label, the columns."""
    return pd.crosstab(ratings.iloc[:, 0], ratings["label"]).reindex(columns=list(classes), fill_value=0)
