"""What `poseemo inspect` prints: what is in a dataset, what is wrong with it, and whether a split of it leaks."""

import io

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from poseemo_lib.clips import SPLITS
from poseemo_lib.data.audit import KINDS, LIMITS, AuditReport, audit
from poseemo_lib.data.dataset import Dataset, Fault
from poseemo_lib.data.dataset.ratings import read_ratings
from poseemo_lib.data.splits import default_method, make_split, split_hash
from poseemo_lib.errors import DatasetError
from poseemo_lib.skeleton import COCO_KEYPOINTS, N_KEYPOINTS
from poseemo_lib.text import count

MAX_FAULTS = 20
_LEAKS = {
    "source": "recordings in two splits",
    "group": "groups in two splits",
    "exact": "sets of equal clips in two splits",
    "augmented": "families of copies in two splits, or with copies held out",
    "near": "pairs of near-duplicates in two splits",
}
_COLUMNS = ["label", "split", "origin", "people", "fps", "group", "source", "frames", "seconds"]


def inspect_dataset(
    dataset: Dataset, method: str | None = None, *, seed: int = 0, fold: str | None = None
) -> tuple[str, bool]:
    """Describe a dataset, list its faults and audit a split.

    The split is made by :func:`poseemo_lib.data.splits.make_split`; by default it is the dataset's own where there is
    one, otherwise `grouped`. Returns lines of text, and whether there is neither a fault nor a leak.
    """
    clips, faults, n_faults = [], [], 0
    seen, frames_of_people = np.zeros(N_KEYPOINTS, dtype=np.int64), 0
    for item in dataset.scan():
        if isinstance(item, Fault):
            n_faults += 1
            faults += [item] if n_faults <= MAX_FAULTS else []
            continue
        kind = (item.label, item.split or "none", item.origin, item.n_people, f"{item.fps:.6g}")
        clips.append((*kind, hash(item.group_id), hash(item.source_id), item.n_frames, item.n_frames / item.fps))
        seen += (item.keypoints[..., 2] > 0).sum((0, 1))
        frames_of_people += item.n_frames * item.n_people
    sections = [_head(dataset)]
    if clips:
        table = pd.DataFrame(clips, columns=_COLUMNS)
        sections += [_classes(table, dataset.classes), _kinds(table), _missing(1 - seen / frames_of_people)]
    else:
        sections.append("clips\n  none without a fault")
    sections.append(_faults(faults, n_faults))
    leaks, ok = ("leaks\n  not checked: repair or rewrite the dataset first", False)
    if not n_faults:
        leaks, ok = _leaks(dataset, method, seed, fold)
        try:
            if (ratings := read_ratings(dataset)) is not None:
                rated = count(ratings.iloc[:, 0].nunique(), "clip" if "clip_id" in ratings else "recording")
                people = count(ratings["rater"].nunique(), "observer")
                sections.append(f"ratings\n  {count(len(ratings), 'rating')} of {rated} by {people}")
        except DatasetError as error:
            sections, ok = [*sections, f"ratings\n  {error}"], False
    return "\n\n".join([*sections, leaks]) + "\n", ok


def _table(title: str, rows: list[tuple], header: tuple[str, ...] = ()) -> str:
    """Write rows as aligned text; below a header, all columns but the first are numbers."""
    table = Table(box=None, show_header=any(header), pad_edge=False)
    for i in range(len(rows[0])):
        table.add_column(header[i] if header else "", justify="right" if header and i else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(str, row))
    console = Console(file=io.StringIO(), width=160, color_system=None, markup=False, emoji=False, highlight=False)
    console.print(table)
    return "\n".join([title, *(f"  {line.rstrip()}" for line in console.file.getvalue().splitlines())])


def _head(dataset: Dataset) -> str:
    info = dataset.info
    rows = [
        ("name", info.name),
        ("data", "SYNTHETIC: made by a generator, not filmed" if info.synthetic else "real"),
        ("clips", str(info.n_clips) + ("" if info.complete else " (writing was interrupted)")),
        ("source", info.source or "not stated"),
        ("licence", info.licence or "not stated"),
        ("to cite", info.citation or "not stated"),
        ("estimator", ", ".join(f"{key} {value}" for key, value in (info.estimator or {}).items()) or "not stated"),
        ("made", f"{info.created} by poseemo {info.poseemo_version}"),
        ("content", info.content_hash),
    ]
    return _table(f"dataset {dataset.root}", rows)


def _classes(clips: pd.DataFrame, classes: tuple[str, ...]) -> str:
    columns = [name for name in (*SPLITS, "none") if (clips["split"] == name).any()]
    counts = pd.crosstab(clips["label"], clips["split"]).reindex(index=classes, columns=columns, fill_value=0)
    rows = [(label, *row, row.sum(), f"{100 * row.sum() / len(clips):.1f} %") for label, row in counts.iterrows()]
    rows.append(("all", *counts.sum(), len(clips), "100.0 %"))
    note = "the dataset's own split" if columns != ["none"] else "the dataset has no split of its own"
    return _table(f"clips ({note})", rows, ("", *columns, "all", "share"))


def _kinds(clips: pd.DataFrame) -> str:
    rows = [(f"{name}s", clips[name].nunique()) for name in ("group", "source")]
    for name in ("origin", "people", "fps"):
        counts = clips[name].value_counts()
        more = f", {len(counts) - 6} more" if len(counts) > 6 else ""
        rows.append((name, ", ".join(f"{value}: {n}" for value, n in counts.head(6).items()) + more))
    for name, decimals in (("frames", 0), ("seconds", 1)):
        low, median, high = clips[name].quantile([0.05, 0.5, 0.95], interpolation="lower").round(decimals)
        first, last = clips[name].min().round(decimals), clips[name].max().round(decimals)
        rows.append((name, f"{first:g} to {last:g}, median {median:g}, nine in ten from {low:g} to {high:g}"))
    return _table("properties of the clips", rows)


def _missing(shares: np.ndarray) -> str:
    rows = [(name, f"{100 * share:.1f} %") for name, share in zip(COCO_KEYPOINTS, shares, strict=True)]
    rows.append(("all joints", f"{100 * shares.mean():.1f} %"))
    return _table("missing joints, share of each person's frames", rows, ("", ""))


def _faults(faults: list[Fault], n_faults: int) -> str:
    if not n_faults:
        return "faults\n  none"
    more = [f"  ... and {n_faults - len(faults)} more"] if n_faults > len(faults) else []
    return "\n".join([f"faults: {n_faults}", *(f"  {fault}" for fault in faults), *more])


def _leaks(dataset: Dataset, method: str | None, seed: int, fold: str | None) -> tuple[str, bool]:
    table = dataset.table()
    chosen = method or default_method(table)
    try:
        split = make_split(table, chosen, seed=seed, fold=fold)
    except DatasetError as error:
        # Unless this split was asked for, it is no fault of the dataset that it cannot be split this way.
        return f"leaks\n  not checked: {error}", method is None
    report = audit(dataset, split)
    name = chosen + (f", fold {fold}" if fold else "") + (f", seed {seed}" if chosen != "official" else "")
    return audit_text(report, name, split), report.ok


def audit_text(report: AuditReport, name: str, split: pd.Series) -> str:
    """Write an audit report as aligned lines; `name` is what to call the split."""
    sizes = ", ".join(f"{n} {split}" for split, n in report.n_clips.items())
    unused = int(split.isna().sum())
    lines = [
        f"leaks between train, val and test of the split {name}: {'none' if report.ok else 'FOUND'}",
        f"  clips    {sizes}" + (f", {unused} not used" if unused else ""),
        f"  hash     {split_hash(split)}",
    ]
    for kind in KINDS:
        touched = f", touching {report.held_out[kind]} val and test clips" if report.counts[kind] else ""
        lines.append(f"  {kind:<10}{report.counts[kind]:>6} {_LEAKS[kind]}{touched}")
        lines += [f"{'':12}{leak}" for leak in report.examples[kind]]
    lines.append(f"  the audit cannot find: {LIMITS}")
    if report.candidates > report.compared:
        lines.append(
            f"  near is not complete: there are too many similar clips, so only the {report.compared} most similar "
            "pairs were measured"
        )
    return "\n".join(lines)
