"""Model card and dataset card in Markdown, made from runs and dataset alone; their texts are in `templates/`."""

import hashlib
from collections.abc import Iterable

import numpy as np
import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.factors import settings
from poseemo_lib.analysis.variations import changes_of, default_settings
from poseemo_lib.clips import SPLITS
from poseemo_lib.data.dataset import Dataset
from poseemo_lib.report import findings
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.provenance import provenance
from poseemo_lib.report.templates import METRIC_NAMES, Markup, render, sentence
from poseemo_lib.skeleton import COCO_KEYPOINTS
from poseemo_lib.text import count, listed, percent, with_interval

QUANTILES = (0, 0.05, 0.5, 0.95, 1)


def model_card(data: ReportData) -> str:
    """Describe the selected model: what it is, how good, how certain, and what it must not be used for."""
    best = data.best
    return render(
        "model_card",
        name=best.name,
        synthetic=data.results.synthetic,
        best_leaks=best.leaks,
        classes=best.classes,
        selection=Markup(findings.selection(data)),
        details=_details(best),
        split=Markup(split_text(best)),
        scores=best.scores,
        unit=best.unit,
        min_groups=findings.MIN_GROUPS,
        score_rows=_score_rows(data),
        tests=None if best.is_baseline else data.baseline_tests.to_dict("records"),
        chance_sentence="" if best.is_baseline else Markup(findings.against_chance(data.main)),
        class_rows=_class_rows(best),
        calibration=Markup(findings.calibration(data)),
        caution=Markup(findings.caution(data)),
        limits=Markup(findings.limits(data, law=False)),
        provenance=_model_provenance(data),
        settings=settings(best),
    )


def _details(config: ConfigRuns) -> list[tuple]:
    values = config.parameters
    people = "one person" if values["people"] == 1 else "two people"
    changes = changes_of(config, default_settings(config.architecture))
    return [
        ("architecture", config.architecture),
        ("trainable parameters", f"{config.n_parameters:,}" if config.n_parameters else "not counted"),
        ("multiply-adds per window", f"{config.multiply_adds:,}" if config.multiply_adds else "not counted"),
        ("input", f"{values['n_frames']} frames at {values['fps']:g} per second, {people}"),
        ("normalisation", values["normalisation"]),
        ("one prediction per", config.unit),
        ("trained", f"{count(len(config.seeds), 'seed')}, {count(len(config.runs), 'run')}"),
        ("differs from the defaults in", ", ".join(changes) or "nothing"),
    ]


def _interval(row) -> Markup:
    return Markup(with_interval(row["mean"], row["low"], row["high"]))


def _score_rows(data: ReportData) -> list[list]:
    best, rows = data.best, []
    for config in [best, *(config for config in data.main.configs if config.is_baseline and config is not best)]:
        scores = config.scores.scores.set_index("metric")
        name = Markup(sentence("bold", config.name)) if config is best else f"{config.name} (baseline)"
        rows.append([name, *(_interval(scores.loc[metric]) for metric in METRIC_NAMES), len(config.seeds)])
    chance = [percent(best.chance) if name == "balanced_accuracy" else "" for name in METRIC_NAMES]
    return [*rows, ["chance", *chance, ""]]


def _class_rows(config: ConfigRuns) -> list[list]:
    scores, shares = config.scores.per_class.set_index(["class", "metric"]), config.predicted_shares
    return [
        [
            name,
            *(_interval(scores.loc[(name, metric)]) for metric in ("precision", "recall", "f1")),
            f"{scores.loc[(name, 'recall'), 'support']:g}",
            percent(shares.loc[name, "true"]),
            percent(shares.loc[name, "predicted"]),
        ]
        for name in config.classes
    ]


def _model_provenance(data: ReportData) -> list[tuple]:
    """Where all runs come from, and what is the model's own."""
    records = [run.record for run in data.best.runs]
    weights = [
        f"seed {run.seed}{f', fold {run.fold}' if run.fold else ''}: {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for run in data.best.runs
        if (path := run.folder / "weights.safetensors").exists()
    ]
    return [
        *provenance(data).items(),
        ("minutes for this model", f"{sum(record.get('seconds', 0) for record in records) / 60:.1f}"),
        *_hashes(records),
        ("SHA-256 of its weights", "; ".join(weights) or "no file of weights"),
    ]


def _hashes(records: Iterable[dict]) -> list[tuple[str, str]]:
    """Name the hashes of dataset and split in runs' records, each once."""
    datasets = sorted({record["dataset"]["content_hash"] for record in records})
    splits = sorted({record.get("split_hash", "not recorded") for record in records})
    return [("hash of the dataset", ", ".join(datasets)), ("hash of the split", ", ".join(splits))]


def dataset_card(data: ReportData) -> str:
    """Describe the dataset of the runs; without the dataset only what the runs recorded."""
    best, dataset = data.best, data.dataset
    known = pd.concat([run.split() for run in best.runs]).drop_duplicates("clip_id")
    clips = dataset.table() if dataset else known
    return render(
        "dataset_card",
        name=best.runs[0].record["dataset"]["name"],
        synthetic=data.results.synthetic,
        best_leaks=best.leaks,
        info=dataset.info if dataset else None,
        n_clips=len(clips),
        n_groups=clips["group_id"].nunique(),
        n_recordings=clips["source_id"].nunique(),
        class_rows=_label_rows(clips, dataset.classes if dataset else best.classes),
        **(_content(dataset, clips) if dataset else {}),
        split=Markup(split_text(best)),
        provenance=_dataset_provenance(best, dataset),
    )


def split_table(config: ConfigRuns) -> pd.DataFrame:
    """Count the clips of every class, the groups and the recordings in each split of a config.

    Index: the classes, `all clips`, `groups`, `recordings`; columns train, val, test. A cell is a text: a number, or
    the smallest and the largest if folds differ.
    """
    folds = [_split_counts(run.split(), config.classes) for run in config.runs if run.seed == min(config.seeds)]
    low, high = (getattr(np, name)([fold.to_numpy() for fold in folds], axis=0) for name in ("min", "max"))
    span = np.vectorize(lambda least, most: f"{least:,}" if least == most else f"{least:,} to {most:,}")
    return pd.DataFrame(span(low, high), index=folds[0].index, columns=folds[0].columns)


def _split_counts(split: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    counts = pd.crosstab(split["label"], split["part"]).reindex(index=list(classes), columns=list(SPLITS), fill_value=0)
    counts.loc["all clips"] = counts.sum()
    for name, column in (("groups", "group_id"), ("recordings", "source_id")):
        counts.loc[name] = split.groupby("part")[column].nunique().reindex(SPLITS, fill_value=0)
    return counts.astype(int)


def split_text(config: ConfigRuns) -> str:
    """Say how a config's clips were split, what the audit found, and how many of each class are in each split."""
    table = split_table(config)
    rows = [[name, *row] for name, row in zip(table.index, table.to_numpy(), strict=True)]
    how = config.parameters["split"].replace("_", " ")
    return sentence(
        "split", how, len({run.fold for run in config.runs}), config.leaks, findings.groups_known(config), rows
    )


def _label_rows(clips: pd.DataFrame, classes: tuple[str, ...]) -> list[list[str]]:
    rows = []
    for name in classes:
        own = clips[clips["label"] == name]
        distinct = [f"{own[column].nunique():,}" for column in ("group_id", "source_id")]
        rows.append([name, f"{len(own):,}", percent(len(own) / max(len(clips), 1)), *distinct])
    return rows


def _content(dataset: Dataset, clips: pd.DataFrame) -> dict:
    """Collect for the template what only the dataset knows."""
    missing = missing_joints(dataset)
    facts = [
        ("people", _common(clips["n_people"])),
        ("frames per second", _common(clips["fps"].map("{:g}".format))),
        ("frames per clip", _quantiles(clips["n_frames"], "{:.0f}")),
        ("seconds per clip", _quantiles(clips["n_frames"] / clips["fps"], "{:.1f}")),
        ("origin", _common(clips["origin"])),
        ("augmented copies of other clips", f"{clips['augmented_from'].notna().sum():,}"),
        ("missing joints", f"{percent(missing.mean())} of all"),
    ]
    estimator = ", ".join(f"{key} {value}" for key, value in (dataset.info.estimator or {}).items())
    joints = [(name.replace("_", " "), percent(share)) for name, share in missing.items()]
    return {"facts": facts, "joints": joints, "estimator": estimator or "none stated"}


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


def _dataset_provenance(config: ConfigRuns, dataset: Dataset | None) -> list[tuple[str, str]]:
    rows = _hashes([run.record for run in config.runs])
    if dataset:
        info = dataset.info
        recipe = "; ".join(f"{key}: {value}" for key, value in info.recipe.items())
        rows += [
            ("made", f"{info.created} by poseemo {info.poseemo_version}, format {info.format_version}"),
            ("recipe", recipe or "not stated"),
        ]
    return rows
