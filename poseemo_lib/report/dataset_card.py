"""Dataset card in Markdown, made from the dataset and the runs alone.

After Gebru et al. 2021 ("Datasheets for datasets"), in the order of Hugging Face's cards. Names that come from data are
escaped.
"""

import numpy as np
import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.clips import SPLITS
from poseemo_lib.data.dataset import Dataset
from poseemo_lib.report import limits, wording
from poseemo_lib.report.card_text import escape, hashes, sections, span, table
from poseemo_lib.report.material import Material
from poseemo_lib.skeleton import COCO_KEYPOINTS

_SYNTHETIC = (
    "> **Synthetic data.** The clips are drawn by a program, not filmed. Nothing here is evidence about people, and "
    "nothing made of it may be used on people."
)

QUANTILES = (0, 0.05, 0.5, 0.95, 1)


def dataset_card(material: Material) -> str:
    """Describe the dataset of the runs: what is in it, where it comes from, how it was split and audited.

    Parameters
    ----------
    material : Material

    Returns
    -------
    str
        Markdown. Without the dataset only what the runs know, which the card then says.
    """
    best, dataset = material.best, material.dataset
    name = escape(best.runs[0].record["dataset"]["name"])
    missing = (
        "" if dataset else "The dataset was not found where the runs were read. What follows is what the runs know."
    )
    return sections(
        f"# Dataset card: {name}",
        warnings(material),
        missing,
        "## Motivation",
        "To train and test networks that read a label, one a clip, from the keypoints of bodies. It holds no pictures. "
        + limits.FEELING,
        "## Composition",
        *(_composition(dataset) if dataset else [_counts_of_runs(best)]),
        "## Collection and labels",
        _origin(dataset) if dataset else "Not known to the runs.",
        "## Split and audit",
        split_text(best),
        "## Uses",
        f"{limits.CONSENT} {limits.CULTURE}",
        "\n".join(f"- {line}" for line in (limits.BANNED, limits.TELL)),
        "## Distribution",
        f"Licence: {escape(dataset.info.licence or 'not stated')}." if dataset else "Licence: not known to the runs.",
        "## Provenance",
        _dataset_provenance(best, dataset),
    )


def warnings(material: Material) -> str:
    """Say first that data are synthetic, or that the split of the chosen config leaks."""
    lines = [_SYNTHETIC] if material.results.synthetic else []
    if material.best.leaks:
        found = wording.found_by_audit(material.best.leaks)
        lines.append(f"> **Leaky split** ({found}). The scores are too high, and no estimate of anything.")
    return "\n>\n".join(lines)


def part_table(config: ConfigRuns) -> pd.DataFrame:
    """Count the clips of every class, the groups and the recordings in each part of a config's split.

    Parameters
    ----------
    config : ConfigRuns

    Returns
    -------
    DataFrame
        Index: the classes, `all clips`, `groups`, `recordings`; columns train, val, test; texts: a number, or the
        smallest and the largest where folds differ.
    """
    folds = [_part_counts(run.split(), config.classes) for run in config.runs if run.seed == min(config.seeds)]
    low, high = (getattr(np, name)([fold.to_numpy() for fold in folds], axis=0) for name in ("min", "max"))
    texts = [[span(pair, "{:,}") for pair in zip(*rows, strict=True)] for rows in zip(low, high, strict=True)]
    return pd.DataFrame(texts, index=folds[0].index, columns=folds[0].columns)


def _part_counts(split: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    counts = pd.crosstab(split["label"], split["part"]).reindex(index=list(classes), columns=list(SPLITS), fill_value=0)
    by_part = split.groupby("part")
    counts.loc["all clips"] = counts.sum()
    counts.loc["groups"] = by_part["group_id"].nunique().reindex(SPLITS, fill_value=0)
    counts.loc["recordings"] = by_part["source_id"].nunique().reindex(SPLITS, fill_value=0)
    return counts.astype(int)


def split_text(config: ConfigRuns) -> str:
    """Say how a config's clips were split, what the audit found, and how many of each class are in each part."""
    counts = part_table(config)
    folds = len({run.fold for run in config.runs})
    how = escape(config.parameters["split"].replace("_", " "))
    text = f"Split: {how}" + (
        f", {folds} folds, with the smallest and the largest number where they differ." if folds > 1 else "."
    )
    found = wording.found_by_audit(config.leaks) or "no leak"
    audit = f"The audit found {found} between the parts. {wording.shared_by_parts(config)}"
    rows = [[escape(name), *row] for name, row in zip(counts.index, counts.to_numpy(), strict=True)]
    return sections(f"{text} {audit}", table(["", "train", "validation", "test"], rows))


def _counts_of_runs(config: ConfigRuns) -> str:
    split = pd.concat([run.split() for run in config.runs]).drop_duplicates("clip_id")
    return f"The runs saw {_amount(split)}. By class:\n\n{_label_table(split, config.classes)}"


def _amount(clips: pd.DataFrame) -> str:
    n = len(clips), clips["group_id"].nunique(), clips["source_id"].nunique()
    return f"{n[0]:,} clips in {wording.counted(n[1], 'group')}, cut from {wording.counted(n[2], 'recording')}"


def _label_table(clips: pd.DataFrame, classes: tuple[str, ...]) -> str:
    by_label = clips.groupby("label")
    counts = by_label.size().reindex(list(classes), fill_value=0)
    names = by_label[["group_id", "source_id"]].nunique().reindex(list(classes), fill_value=0)
    rows = [
        [escape(name), f"{n:,}", f"{100 * n / max(len(clips), 1):.1f} %", f"{groups:,}", f"{sources:,}"]
        for name, n, (groups, sources) in zip(classes, counts, names.to_numpy(), strict=True)
    ]
    return table(["class", "clips", "share", "groups", "recordings"], rows)


def _composition(dataset: Dataset) -> list[str]:
    clips = dataset.table()
    missing = missing_joints(dataset)
    seconds = clips["n_frames"] / clips["fps"]
    facts = [
        ("people", _common(clips["n_people"])),
        ("frames a second", _common(clips["fps"].map("{:g}".format))),
        ("frames a clip", _quantiles(clips["n_frames"], "{:.0f}")),
        ("seconds a clip", _quantiles(seconds, "{:.1f}")),
        ("origin", _common(clips["origin"])),
        ("changed copies of other clips", f"{clips['augmented_from'].notna().sum():,}"),
        ("joints not seen", f"{100 * missing.mean():.1f} % of all"),
    ]
    joints = [[name.replace("_", " "), f"{100 * share:.1f} %"] for name, share in missing.items()]
    return [
        f"{_amount(clips)}. A clip is one label and the {len(COCO_KEYPOINTS)} COCO keypoints of each person in each "
        "frame: x, y and a confidence.",
        _label_table(clips, dataset.classes),
        table(["", "clips"], facts),
        "Joints not seen, share of the frames of each person:",
        table(["joint", "not seen"], joints),
    ]


def missing_joints(dataset: Dataset) -> pd.Series:
    """Share of the frames of each person in which a joint was not seen.

    Parameters
    ----------
    dataset : Dataset

    Returns
    -------
    Series
        Joint -> share; NaN without a frame.

    Raises
    ------
    DatasetError
        A shard is missing or damaged.
    """
    seen, n = np.zeros(len(COCO_KEYPOINTS)), 0
    for _, batch in dataset.batches(("keypoints",)):
        values = batch.column("keypoints").flatten().to_numpy(zero_copy_only=False).reshape(-1, len(COCO_KEYPOINTS), 3)
        seen, n = seen + (values[..., 2] > 0).sum(0), n + len(values)
    return pd.Series(1 - seen / n if n else np.full(len(seen), np.nan), index=list(COCO_KEYPOINTS))


def _common(values: pd.Series, most: int = 6) -> str:
    counts = values.value_counts()
    texts = [f"{escape(name)}: {n:,}" for name, n in counts.head(most).items()]
    return ", ".join(texts) + (f", {len(counts) - most} more" if len(counts) > most else "")


def _quantiles(values: pd.Series, form: str) -> str:
    low, five, middle, most, high = (form.format(value) for value in values.quantile(QUANTILES))
    return f"{low} to {high}, median {middle}, nine in ten between {five} and {most}"


def _origin(dataset: Dataset) -> str:
    info = dataset.info
    who = "No people were filmed." if info.synthetic else "Whether the people in it agreed to this use is not recorded."
    estimator = ", ".join(f"{key} {value}" for key, value in (info.estimator or {}).items()) or "none stated"
    return f"Source: {escape(info.source or 'not stated')}. {who} Pose estimator: {escape(estimator)}."


def _dataset_provenance(config: ConfigRuns, dataset: Dataset | None) -> str:
    records = [run.record for run in config.runs]
    rows = [("content hash", hashes("dataset", records)), ("split hash", hashes("split", records))]
    if dataset:
        info = dataset.info
        rows += [
            ("made", f"{escape(info.created)} by poseemo {escape(info.poseemo_version)}, format {info.format_version}"),
            (
                "recipe",
                "; ".join(f"{escape(key)}: {escape(value)}" for key, value in info.recipe.items()) or "not stated",
            ),
        ]
    return table(["", ""], rows)
