"""What a config gets wrong: pairs of classes, rare classes, and the clips that it is surest of and wrong about."""

import numpy as np
import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.training.evaluation import probability_columns

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


def mean_answers(config: ConfigRuns) -> pd.DataFrame:
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


def surest_mistakes(config: ConfigRuns, n: int = 4) -> pd.DataFrame:
    """Find the clips that a config is surest of and wrong about, by the mean over its seeds.

    Parameters
    ----------
    config : ConfigRuns
    n : int
        At most so many.

    Returns
    -------
    DataFrame
        Rows of :func:`mean_answers`, the surest first.
    """
    wrong = mean_answers(config).query("~right")
    return wrong.sort_values(["confidence", "clip_id"], ascending=[False, True], ignore_index=True).head(n)


def _dataset_clips(config: ConfigRuns) -> dict[str, str]:
    """Find the dataset's clip_id of everything that a config predicts."""
    key = "source_id" if config.unit == "recording" else "clip_id"
    found = {}
    for run in config.runs:
        table = run.predictions("test").drop_duplicates(key)
        found |= dict(zip(run.fold + "/" + table[key], table["clip_id"], strict=True))
    return found
