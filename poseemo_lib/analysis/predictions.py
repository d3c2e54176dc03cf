"""Predictions of configs: every one, the mean over seeds, and what is wrong with them."""

import numpy as np
import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.errors import PoseemoError
from poseemo_lib.training.evaluation import check_predictions, probability_columns

# Seed -> predictions table of one split, as `ConfigRuns.predictions()` returns it.
Predictions = dict[int, pd.DataFrame]
PAIR_COLUMNS = ["true", "predicted", "count", "share_of_true", "share_of_errors"]


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


def predictions_table(predictions: Predictions, classes: tuple[str, ...]) -> pd.DataFrame:
    """List every answer of every seed.

    Parameters
    ----------
    predictions : dict of DataFrame
        Seed -> predictions table of one split.
    classes : tuple of str

    Returns
    -------
    DataFrame
        seed, clip_id, group_id, label, answer, confidence (largest probability), right.
    """
    table = pd.concat([one.assign(seed=seed) for seed, one in predictions.items()], ignore_index=True)
    probabilities = table[probability_columns(classes)].to_numpy(np.float64)
    answer = np.asarray(classes, dtype=object)[probabilities.argmax(1)]
    out = table[["seed", "clip_id", "group_id", "label"]].assign(prediction=answer, confidence=probabilities.max(1))
    return out.assign(right=out["prediction"] == out["label"])


def confusion_pairs(confusion: np.ndarray, classes: tuple[str, ...]) -> pd.DataFrame:
    """List which class was taken for which, the most frequent pair first.

    Parameters
    ----------
    confusion : array (C, C), int
        Rows are the true class.
    classes : tuple of C str

    Returns
    -------
    DataFrame
        true, predicted, count, share_of_true (of the clips of the true class), share_of_errors. Pairs that did not
        happen are left out; empty without an error.
    """
    confusion = np.asarray(confusion)
    wrong = np.where(np.eye(len(classes), dtype=bool), 0, confusion)
    rows = [
        (classes[i], classes[j], int(wrong[i, j]), wrong[i, j] / confusion[i].sum(), wrong[i, j] / wrong.sum())
        for i, j in zip(*np.nonzero(wrong), strict=True)
    ]
    table = pd.DataFrame(rows, columns=PAIR_COLUMNS)
    return table.sort_values(["count", "share_of_true"], ascending=False, kind="stable", ignore_index=True)


def recall_by_size(config: ConfigRuns) -> pd.DataFrame:
    """Hold the recall of each class against how many clips of it were trained on.

    Parameters
    ----------
    config : ConfigRuns

    Returns
    -------
    DataFrame
        One row a class: class, n_train (mean over runs), recall, low, high, support (test clips, mean over seeds).
        A class without test clips has no recall: NaN.
    """
    recall = config.scores.per_class.query("metric == 'recall'").rename(columns={"mean": "recall"})
    runs = [run for run in config.runs if run.seed in config.seeds]
    counts = pd.DataFrame([run.split().query("part == 'train'")["label"].value_counts() for run in runs])
    n_train = counts.reindex(columns=list(config.classes)).fillna(0).mean()
    table = recall[["class", "recall", "low", "high", "support"]].reset_index(drop=True)
    table.insert(1, "n_train", n_train.loc[table["class"]].to_numpy())
    return table


def mean_predictions(config: ConfigRuns) -> pd.DataFrame:
    """Average a config's calibrated probabilities over the seeds: one answer a clip (or recording, as scored).

    Parameters
    ----------
    config : ConfigRuns

    Returns
    -------
    DataFrame
        clip_id (as in `ConfigRuns.predictions`), label, group_id, answer, confidence, p_true (probability of the label),
        right, n_seeds, dataset_clip (its clip_id in the dataset; the first clip of a recording).
    """
    columns = probability_columns(config.classes)
    by_clip = pd.concat(config.calibrated("test").values()).groupby("clip_id", sort=True)
    table = by_clip[["label", "group_id"]].first()
    mean = by_clip[columns].mean().to_numpy(np.float64)
    true = pd.Index(config.classes).get_indexer(table["label"])
    table = table.assign(
        prediction=np.asarray(config.classes, dtype=object)[mean.argmax(1)],
        confidence=mean.max(1),
        p_true=mean[np.arange(len(mean)), true],
        n_seeds=by_clip.size(),
    )
    table["right"] = table["prediction"] == table["label"]
    return table.assign(dataset_clip=table.index.map(_dataset_clips(config))).reset_index()


def most_confident_errors(config: ConfigRuns, n: int = 4) -> pd.DataFrame:
    """Find the clips that a config is surest of and wrong about, by the mean over its seeds.

    Parameters
    ----------
    config : ConfigRuns
    n : int
        At most so many.

    Returns
    -------
    DataFrame
        Rows of :func:`mean_predictions`, the surest first.
    """
    wrong = mean_predictions(config).query("~right")
    return wrong.sort_values(["confidence", "clip_id"], ascending=[False, True], ignore_index=True).head(n)


def _dataset_clips(config: ConfigRuns) -> dict[str, str]:
    """Find the dataset's clip_id of everything that a config predicts."""
    key = "source_id" if config.unit == "recording" else "clip_id"
    found = {}
    for run in config.runs:
        table = run.predictions("test").drop_duplicates(key)
        found |= dict(zip(run.fold + "/" + table[key], table["clip_id"], strict=True))
    return found
