"""Predictions of configs: all of them, their mean over seeds, and the errors among them."""

import numpy as np
import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns, pooled_names
from poseemo_lib.errors import PoseemoError
from poseemo_lib.training.evaluation import Training, check_predictions, probability_columns

# Seed -> predictions table of one split, as `ConfigRuns.predictions()` returns it.
Predictions = dict[int | Training, pd.DataFrame]


def predictions_table(predictions: Predictions, classes: tuple[str, ...]) -> pd.DataFrame:
    """List all predictions: seed, clip_id, group_id, label, prediction, confidence (largest probability), right."""
    table = pd.concat([one.assign(seed=seed) for seed, one in predictions.items()], ignore_index=True)
    probabilities = table[probability_columns(classes)].to_numpy(np.float64)
    prediction = np.asarray(classes, dtype=object)[probabilities.argmax(1)]
    out = table[["seed", "clip_id", "group_id", "label"]].assign(prediction=prediction, confidence=probabilities.max(1))
    return out.assign(right=out["prediction"] == out["label"])


def mean_over_seeds(predictions: Predictions, classes: tuple[str, ...], name: str = "config") -> pd.DataFrame:
    """Average the probabilities of each clip over a config's seeds: see :func:`mean_probabilities`."""
    return mean_probabilities({f"{name}, seed {seed}": table for seed, table in sorted(predictions.items())}, classes)


def mean_probabilities(tables: dict[str, pd.DataFrame], classes: tuple[str, ...]) -> pd.DataFrame:
    """Average the probabilities of each clip over predictions tables of one split, by their names in messages.

    Returns a predictions table, sorted by clip_id.

    Raises
    ------
    PoseemoError
        A table is not sound, or the tables hold different clips.
    """
    columns, ordered = probability_columns(classes), {}
    for name, table in tables.items():
        check_predictions(table, classes, name)
        ordered[name] = table.sort_values("clip_id", ignore_index=True)
        first = next(iter(ordered))
        check_same_clips(ordered[first], ordered[name], first, name)
    mean = np.mean([table[columns].to_numpy(np.float64) for table in ordered.values()], axis=0)
    return ordered[first].drop(columns=columns).join(pd.DataFrame(mean, columns=columns))


def check_same_clips(a: pd.DataFrame, b: pd.DataFrame, name_a: str, name_b: str) -> None:
    """Raise unless two tables, sorted by clip_id, hold the same clips with the same labels and groups."""
    only_a, only_b = set(a["clip_id"]) - set(b["clip_id"]), set(b["clip_id"]) - set(a["clip_id"])
    if only_a or only_b:
        raise PoseemoError(
            f"{name_a} and {name_b}: wanted predictions of the same clips to compare them, got {len(only_a)} clips of "
            f"{name_a} only and {len(only_b)} of {name_b} only (as {min(only_a | only_b)!r}); compare runs of one split"
        )
    for column in ("label", "group_id"):
        same = (a[column] == b[column]) | (a[column].isna() & b[column].isna())
        if not same.all():
            clip = a["clip_id"][~same].iloc[0]
            raise PoseemoError(
                f"{name_a} and {name_b}: wanted one {column} a clip to compare them, clip {clip!r} has two"
            )


def mean_predictions(config: ConfigRuns) -> pd.DataFrame:
    """Average a config's calibrated probabilities over the seeds: one prediction a clip (or recording, as scored).

    Columns: clip_id (as in `ConfigRuns.predictions`), label, group_id, prediction, confidence, p_true (probability of
    the label), right, n_seeds, dataset_clip (its clip_id in the dataset; the first clip of a recording).
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
    key, clips = "source_id" if config.unit == "recording" else "clip_id", {}
    for run in config.runs:
        first = run.predictions("test").drop_duplicates(key)
        clips |= dict(zip(pooled_names(first[key], run, "test"), first["clip_id"], strict=True))
    return table.assign(dataset_clip=table.index.map(clips)).reset_index()


def most_confident_errors(config: ConfigRuns, n: int = 4) -> pd.DataFrame:
    """Return up to n wrong rows of :func:`mean_predictions`, those with the highest confidence first."""
    wrong = mean_predictions(config).query("~right")
    return wrong.sort_values(["confidence", "clip_id"], ascending=[False, True], ignore_index=True).head(n)


def confusion_pairs(confusion: np.ndarray, classes: tuple[str, ...]) -> pd.DataFrame:
    """List the pairs of classes that were confused, from counts (C, C) with the true class in rows.

    The most frequent pair comes first. Columns: true, predicted, count, share_of_true (of the clips of the true class),
    share_of_errors.
    """
    wrong = np.where(np.eye(len(classes), dtype=bool), 0, confusion)
    rows = [
        (classes[i], classes[j], int(wrong[i, j]), wrong[i, j] / confusion[i].sum(), wrong[i, j] / wrong.sum())
        for i, j in zip(*np.nonzero(wrong), strict=True)
    ]
    table = pd.DataFrame(rows, columns=["true", "predicted", "count", "share_of_true", "share_of_errors"])
    return table.sort_values(["count", "share_of_true"], ascending=False, kind="stable", ignore_index=True)


def recall_by_size(config: ConfigRuns) -> pd.DataFrame:
    """Compare the recall of each class, by calibrated predictions, with the number of its training clips.

    Columns: class, n_train (mean over runs), recall (NaN without test clips), low, high, support (test clips, mean over
    seeds).
    """
    counts = pd.DataFrame([run.split().query("part == 'train'")["label"].value_counts() for run in config.counted_runs])
    n_train = counts.reindex(columns=list(config.classes)).fillna(0).mean()
    recall = config.calibrated_scores.per_class.query("metric == 'recall'").rename(columns={"mean": "recall"})
    table = recall[["class", "recall", "low", "high", "support"]].reset_index(drop=True)
    table.insert(1, "n_train", n_train.loc[table["class"]].to_numpy())
    return table
