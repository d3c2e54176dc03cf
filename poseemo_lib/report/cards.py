"""Model card and dataset card in Markdown, made from runs and dataset alone; their texts are in `templates/`."""

import numpy as np
import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.factors import settings, settings_of
from poseemo_lib.analysis.variations import changes_of
from poseemo_lib.clips import SPLITS
from poseemo_lib.data.dataset import Dataset
from poseemo_lib.files import hash_file
from poseemo_lib.report import findings
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.provenance import provenance
from poseemo_lib.report.templates import Markup, render, sentence
from poseemo_lib.skeleton import COCO_KEYPOINTS
from poseemo_lib.text import listed

QUANTILES = (0, 0.05, 0.5, 0.95, 1)


def model_card(data: ReportData) -> str:
    """Describe the selected model: what it is, how good, how certain, and what it must not be used for."""
    best = data.best
    return render(
        "model_card",
        best=best,
        synthetic=data.results.synthetic,
        selection=Markup(findings.selection(data)),
        changes=changes_of(best, settings_of({"architecture": best.architecture})),
        split=Markup(split_text(best)),
        baselines=[config for config in data.main.configs if config.is_baseline and config is not best],
        tests=[] if best.is_baseline else data.baseline_tests.to_dict("records"),
        skill=data.skill,
        per_class=best.scores.per_class.set_index(["class", "metric"]),
        shares=best.predicted_shares,
        calibration=Markup(findings.calibration(data)),
        caution=Markup(findings.caution(data)),
        limits=Markup(findings.limits(data, law=False)),
        provenance=provenance(data),
        minutes=sum(run.record.get("seconds", 0) for run in best.runs) / 60,
        hashes=_hashes(best),
        weights=_weights(best),
        settings=settings(best),
    )


def _weights(config: ConfigRuns) -> str:
    """Name the hash of every run's weights."""
    found = [(run, run.folder / "weights.safetensors") for run in config.runs]
    return "; ".join(
        f"seed {run.seed}{f', fold {run.fold}' if run.fold else ''}: {hash_file(path)}"
        for run, path in found
        if path.exists()
    )


def _hashes(config: ConfigRuns) -> dict[str, str]:
    """Name the hashes of dataset and split in a config's runs, each once."""
    records = [run.record for run in config.runs]
    datasets = sorted({record["dataset"]["content_hash"] for record in records})
    splits = sorted({record.get("split_hash", "not recorded") for record in records})
    return {"hash of the dataset": ", ".join(datasets), "hash of the split": ", ".join(splits)}


def dataset_card(data: ReportData) -> str:
    """Describe the dataset of the runs; without the dataset only what the runs recorded."""
    best, dataset = data.best, data.dataset
    clips = dataset.table() if dataset else pd.concat([run.split() for run in best.runs]).drop_duplicates("clip_id")
    return render(
        "dataset_card",
        best=best,
        synthetic=data.results.synthetic,
        info=dataset.info if dataset else None,
        observers=data.observers,
        clips=clips,
        classes=dataset.classes if dataset else best.classes,
        **(_content(dataset, clips) if dataset else {}),
        split=Markup(split_text(best)),
        hashes=_hashes(best),
    )


def split_counts(config: ConfigRuns) -> pd.DataFrame:
    """Count the clips of every class, the groups and the recordings in each split of a config.

    Index: the classes, `all clips`, `groups`, `recordings`; columns train, val, test. A cell is a text: a number, or
    the smallest and the largest if folds differ.
    """
    folds = [_counts(run.split(), config.classes) for run in config.runs if run.seed == min(config.seeds)]
    low, high = (getattr(np, name)([fold.to_numpy() for fold in folds], axis=0) for name in ("min", "max"))
    span = np.vectorize(lambda least, most: f"{least:,}" if least == most else f"{least:,} to {most:,}")
    return pd.DataFrame(span(low, high), index=folds[0].index, columns=folds[0].columns)


def _counts(split: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    counts = pd.crosstab(split["label"], split["part"]).reindex(index=list(classes), columns=list(SPLITS), fill_value=0)
    counts.loc["all clips"] = counts.sum()
    for name, column in (("groups", "group_id"), ("recordings", "source_id")):
        counts.loc[name] = split.groupby("part")[column].nunique().reindex(SPLITS, fill_value=0)
    return counts.astype(int)


def split_text(config: ConfigRuns) -> str:
    """Say how a config's clips were split, what the audit found, and how many of each class are in each split."""
    rows = split_counts(config).reset_index().to_numpy()
    return sentence("split", config, len({run.fold for run in config.runs}), findings.groups_known(config), rows)


def _content(dataset: Dataset, clips: pd.DataFrame) -> dict:
    """Collect for the template what only the dataset knows."""
    return {
        "missing": missing_joints(dataset),
        "people": _common(clips["n_people"]),
        "rates": _common(clips["fps"].map("{:g}".format)),
        "frames": _quantiles(clips["n_frames"], "{:.0f}"),
        "seconds": _quantiles(clips["n_frames"] / clips["fps"], "{:.1f}"),
        "origins": _common(clips["origin"]),
        "recipe": "; ".join(f"{key}: {value}" for key, value in dataset.info.recipe.items()),
    }


def missing_joints(dataset: Dataset) -> pd.Series:
    """Return for each joint the share of frames, over all people, in which it is missing; NaN without a frame."""
    seen, n = np.zeros(len(COCO_KEYPOINTS)), 0
    for clip in dataset.clips():
        values = clip.keypoints.reshape(-1, len(COCO_KEYPOINTS), 3)
        seen, n = seen + (values[..., 2] > 0).sum(0), n + len(values)
    return pd.Series(1 - seen / n if n else np.full(len(seen), np.nan), index=list(COCO_KEYPOINTS))


def _common(values: pd.Series) -> str:
    return listed((f"{name}: {n:,}" for name, n in values.value_counts().items()), 6)


def _quantiles(values: pd.Series, form: str) -> str:
    low, five, middle, most, high = (form.format(value) for value in values.quantile(QUANTILES))
    return f"{low} to {high}, median {middle}, nine in ten between {five} and {most}"
