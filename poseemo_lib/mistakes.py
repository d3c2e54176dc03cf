"""What a cell gets wrong: pairs of classes, rare classes, and the clips that it is surest of and wrong about."""

import numpy as np
import pandas as pd

from poseemo_lib.cells import Cell
from poseemo_lib.evaluation import probability_columns

PAIR_COLUMNS = ["true", "predicted", "count", "share_of_true", "share_of_errors"]


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


def recall_by_size(cell: Cell) -> pd.DataFrame:
    """Hold the recall of each class against how many clips of it were trained on.

    Parameters
    ----------
    cell : Cell

    Returns
    -------
    DataFrame
        One row a class: class, n_train (mean over runs), recall, low, high, support (test clips, mean over seeds).
        A class without test clips has no recall: NaN.
    """
    recall = cell.scores.per_class.query("metric == 'recall'").rename(columns={"mean": "recall"})
    runs = [run for run in cell.runs if run.seed in cell.seeds]
    counts = pd.DataFrame([run.split().query("part == 'train'")["label"].value_counts() for run in runs])
    n_train = counts.reindex(columns=list(cell.classes)).fillna(0).mean()
    table = recall[["class", "recall", "low", "high", "support"]].reset_index(drop=True)
    table.insert(1, "n_train", n_train.loc[table["class"]].to_numpy())
    return table


def mean_answers(cell: Cell) -> pd.DataFrame:
    """Average a cell's calibrated probabilities over the seeds: one answer a clip (or recording, as scored).

    Parameters
    ----------
    cell : Cell

    Returns
    -------
    DataFrame
        clip_id (as in `Cell.predictions`), label, group_id, answer, confidence, p_true (probability of the label),
        right, n_seeds, dataset_clip (its clip_id in the dataset; the first clip of a recording).
    """
    columns = probability_columns(cell.classes)
    by_clip = pd.concat(cell.calibrated("test").values()).groupby("clip_id", sort=True)
    table = by_clip[["label", "group_id"]].first()
    mean = by_clip[columns].mean().to_numpy(np.float64)
    true = pd.Index(cell.classes).get_indexer(table["label"])
    table = table.assign(
        answer=np.asarray(cell.classes, dtype=object)[mean.argmax(1)],
        confidence=mean.max(1),
        p_true=mean[np.arange(len(mean)), true],
        n_seeds=by_clip.size(),
    )
    table["right"] = table["answer"] == table["label"]
    return table.assign(dataset_clip=table.index.map(_dataset_clips(cell))).reset_index()


def surest_mistakes(cell: Cell, n: int = 4) -> pd.DataFrame:
    """Find the clips that a cell is surest of and wrong about, by the mean over its seeds.

    Parameters
    ----------
    cell : Cell
    n : int
        At most so many.

    Returns
    -------
    DataFrame
        Rows of :func:`mean_answers`, the surest first.
    """
    wrong = mean_answers(cell).query("~right")
    return wrong.sort_values(["confidence", "clip_id"], ascending=[False, True], ignore_index=True).head(n)


def _dataset_clips(cell: Cell) -> dict[str, str]:
    """Find the dataset's clip_id of everything that a cell predicts."""
    key = "source_id" if cell.unit == "recording" else "clip_id"
    found = {}
    for run in cell.runs:
        table = run.predictions("test").drop_duplicates(key)
        found |= dict(zip(run.fold + "/" + table[key], table["clip_id"], strict=True))
    return found
