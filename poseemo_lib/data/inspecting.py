"""What `poseemo inspect` prints: what is in a dataset, what is wrong with it, and whether a split of it leaks."""

from collections import Counter

import numpy as np
import pandas as pd

from poseemo_lib.clips import SPLITS, PoseClip
from poseemo_lib.data.audit import KINDS, NEAR_THRESHOLD, AuditReport, audit
from poseemo_lib.data.dataset import Dataset, Fault
from poseemo_lib.data.near_duplicates import SKETCH_RADIUS
from poseemo_lib.data.splits import default_method, make_split, split_hash
from poseemo_lib.errors import DatasetError
from poseemo_lib.skeleton import COCO_KEYPOINTS, N_KEYPOINTS

MAX_FAULTS = 20
_LEAK_WORDS = {
    "source": "recordings on two sides",
    "group": "groups on two sides",
    "exact": "sets of equal clips on two sides",
    "augmented": "families of copies on two sides, or with copies held out",
    "near": "pairs of near-duplicates on two sides",
}


def inspect_dataset(
    dataset: Dataset,
    method: str | None = None,
    *,
    seed: int = 0,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    fold: str | None = None,
    near_threshold: float = NEAR_THRESHOLD,
) -> tuple[str, bool]:
    """Describe a dataset, list its faults and audit a split.

    Parameters
    ----------
    dataset : Dataset
    method : str, optional
        The split to audit, see :func:`poseemo_lib.data.splits.make_split`; by default the dataset's own where it has one,
        otherwise `grouped`.
    seed, fractions, fold
        Of the split.
    near_threshold : float
        Of the audit.

    Returns
    -------
    (str, bool)
        Lines of text, and whether there is neither a fault nor a leak.

    Raises
    ------
    UsageError
        An unknown method or fold.
    """
    counts = _Counts()
    faults, n_faults = [], 0
    for item in dataset.scan():
        if isinstance(item, Fault):
            n_faults += 1
            faults += [item] if n_faults <= MAX_FAULTS else []
        else:
            counts.add(item)
    sections = [_head(dataset), counts.text(dataset.classes), _fault_text(faults, n_faults)]
    if n_faults:
        sections.append("leaks\n  not looked for: mend or rewrite the dataset first")
        return "\n\n".join(sections) + "\n", False
    text, ok = _audit_text(dataset, method, seed, fractions, fold, near_threshold)
    return "\n\n".join([*sections, text]) + "\n", ok


class _Counts:
    """What is counted of the sound clips while they stream by; only the sets of names grow, as hashes."""

    def __init__(self):
        self.by_label = Counter()
        self.by_origin, self.by_people, self.by_fps = Counter(), Counter(), Counter()
        self.groups, self.sources = set(), set()
        # Clips by number of frames, and seconds in tenths: enough for quantiles, however many clips there are.
        self.frames, self.tenths = Counter(), Counter()
        self.seen = np.zeros(N_KEYPOINTS, dtype=np.int64)
        self.frames_of_people = 0

    def add(self, clip: PoseClip) -> None:
        self.by_label[clip.label, clip.split or "none"] += 1
        self.by_origin[clip.origin] += 1
        self.by_people[clip.n_people] += 1
        self.by_fps[f"{clip.fps:.6g}"] += 1
        self.groups.add(hash(clip.group_id))
        self.sources.add(hash(clip.source_id))
        self.frames[clip.n_frames] += 1
        self.tenths[round(10 * clip.n_frames / clip.fps)] += 1
        self.seen += (clip.keypoints[..., 2] > 0).sum((0, 1))
        self.frames_of_people += clip.n_frames * clip.n_people

    def text(self, classes: tuple[str, ...]) -> str:
        if not self.frames_of_people:
            return "clips\n  none that is sound"
        return "\n\n".join([self._class_text(classes), self._kind_text(), self._missing_text()])

    def _class_text(self, classes: tuple[str, ...]) -> str:
        columns = [name for name in (*SPLITS, "none") if any(split == name for _, split in self.by_label)]
        table = pd.DataFrame(
            [[self.by_label[label, name] for name in columns] for label in classes], index=classes, columns=columns
        )
        table["all"] = table.sum(axis=1)
        table.loc["all"] = table.sum(axis=0)
        table["share"] = [f"{100 * n / table.loc['all', 'all']:.1f} %" for n in table["all"]]
        note = "  (the dataset's own split)" if columns != ["none"] else "  (the dataset has no split of its own)"
        return "clips" + note + "\n" + _indent(table.to_string())

    def _kind_text(self) -> str:
        rows = [
            ("groups", str(len(self.groups))),
            ("sources", str(len(self.sources))),
            ("origin", _counted(self.by_origin)),
            ("people", _counted(self.by_people)),
            ("fps", _counted(self.by_fps)),
            ("frames", _quantile_text(self.frames, 1)),
            ("seconds", _quantile_text(self.tenths, 10)),
        ]
        return "what they are\n" + "\n".join(f"  {name:<9}{value}" for name, value in rows)

    def _missing_text(self) -> str:
        missing = 100 * (1 - self.seen / self.frames_of_people)
        lines = [f"  {name:<16}{share:5.1f} %" for name, share in zip(COCO_KEYPOINTS, missing, strict=True)]
        total = f"  {'all joints':<16}{missing.mean():5.1f} %"
        return "joints not seen, share of the frames of each person\n" + "\n".join([*lines, total])


def _counted(counter: Counter) -> str:
    common = counter.most_common(6)
    rest = len(counter) - len(common)
    return ", ".join(f"{name}: {n}" for name, n in common) + (f", {rest} more" if rest else "")


def _quantile_text(counter: Counter, divisor: int) -> str:
    values = np.array(sorted(counter))
    share = np.cumsum([counter[value] for value in values]) / counter.total()
    low, median, high = (values[np.searchsorted(share, q)] / divisor for q in (0.05, 0.5, 0.95))
    return (
        f"{values[0] / divisor:g} to {values[-1] / divisor:g}, median {median:g}, "
        f"nine in ten between {low:g} and {high:g}"
    )


def _head(dataset: Dataset) -> str:
    info = dataset.info
    kind = "SYNTHETIC: made by a generator, not filmed" if info.synthetic else "real"
    estimator = ", ".join(f"{key} {value}" for key, value in (info.estimator or {}).items()) or "not stated"
    rows = [
        ("name", info.name),
        ("data", kind),
        ("clips", str(info.n_clips) + ("" if info.complete else " (writing was interrupted)")),
        ("source", info.source or "not stated"),
        ("licence", info.licence or "not stated"),
        ("estimator", estimator),
        ("made", f"{info.created} by poseemo {info.poseemo_version}"),
        ("content", info.content_hash),
    ]
    return f"dataset {dataset.root}\n" + "\n".join(f"  {name:<11}{value}" for name, value in rows)


def _fault_text(faults: list[Fault], n_faults: int) -> str:
    if not n_faults:
        return "faults\n  none"
    more = [f"... and {n_faults - len(faults)} more"] if n_faults > len(faults) else []
    return f"faults: {n_faults}\n" + _indent("\n".join([*map(str, faults), *more]))


def _audit_text(dataset: Dataset, method, seed, fractions, fold, near_threshold) -> tuple[str, bool]:
    table = dataset.table()
    chosen = method or default_method(table)
    try:
        split = make_split(table, chosen, seed=seed, fractions=fractions, fold=fold)
    except DatasetError as error:
        # Without a wish for this split it is no fault of the dataset that it cannot be split so.
        return f"leaks\n  not looked for: {error}", method is None
    report = audit(dataset, split, near_threshold=near_threshold)
    return audit_text(report, _split_name(chosen, seed, fold), split), report.ok


def _split_name(method: str, seed: int, fold: str | None) -> str:
    return method + (f", fold {fold}" if fold else "") + (f", seed {seed}" if method != "official" else "")


def audit_text(report: AuditReport, name: str, split: pd.Series) -> str:
    """Write an audit report as aligned lines.

    Parameters
    ----------
    report : AuditReport
    name : str
        What to call the split.
    split : Series

    Returns
    -------
    str
    """
    sizes = ", ".join(f"{n} {part}" for part, n in report.n_clips.items())
    unused = int(split.isna().sum())
    lines = [
        f"leaks between the parts of the split {name}: {'none' if report.ok else 'FOUND'}",
        f"  parts    {sizes}" + (f", {unused} not used" if unused else ""),
        f"  hash     {split_hash(split)}",
    ]
    for kind in KINDS:
        touched = f", touching {report.held_out[kind]} val and test clips" if report.counts[kind] else ""
        lines.append(f"  {kind:<10}{report.counts[kind]:>6} {_LEAK_WORDS[kind]}{touched}")
        lines += [f"{'':12}{leak}" for leak in report.examples if leak.kind == kind]
    if report.search_radius < SKETCH_RADIUS:
        lines.append(
            f"  near is not complete: of too many like clips the {report.compared} likeliest pairs were measured"
        )
    return "\n".join(lines)


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
