"""The leakage audit: does a split show the training set what validation and test ask for.

Five kinds of leak between train, val and test are looked for:

- `source`: clips of one recording on two sides.
- `group`: clips of one show, scene or actor on two sides.
- `exact`: the same keypoints, bit for bit, on two sides.
- `augmented`: a changed copy of a clip on another side than its source or siblings, or a copy in val or test at all.
- `near`: the same movement twice. Two people's tracks, moved, scaled, mirrored or not, and shifted by up to a second
  onto each other, are at most 0.03 torso lengths apart (mean over the joints seen in both, noise averaged over 0.2 s)
  and their movements correlate by 0.9 or more.

`near` finds copies with noise of 2 % of the torso, another size or place in the picture, a mirror image, another frame
rate, and some frames cut off either end. It does not find: a shift by more than a second or a cut of more than about a
tenth of the clip; a change of speed or of view; a body that hardly moves, once noise is added to it (nothing tells it
from another that stands as still); tracks of fewer than 12 frames. Of a movement that is there many times, not every
pair is listed.

Candidates for `near` are neighbours in a sketch of 32 numbers (:mod:`poseemo_lib.data.near_duplicates`); only they, and at
most 10,000 pairs of them, are measured. The audit streams: it keeps about 130 bytes a clip and, while candidates are
measured, their tracks: 70 bytes a frame, at most 350 MB. Its time grows with the number of clips as long as bodies and
framings differ; among clips that are all alike the search for neighbours grows with the square.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from poseemo_lib.clips import SPLITS
from poseemo_lib.data.audit_sketches import Facts, Tracks, measure_pairs, read_facts, sample_sketch
from poseemo_lib.data.blocks import family_roots
from poseemo_lib.data.dataset import Dataset
from poseemo_lib.data.near_duplicates import SKETCH_RADIUS, neighbour_pairs

KINDS = ("source", "group", "exact", "augmented", "near")
NEAR_THRESHOLD = 0.03
MIN_MOTION_CORRELATION = 0.9
_EXAMPLES = 5
_MEANS = {"exact": " with equal keypoints", "augmented": " in one family of copies"}


@dataclass(frozen=True)
class Leak:
    """One example of a leak: two clips on two sides. `clip_b` is empty for a copy that is held out on its own."""

    kind: str
    clip_a: str
    part_a: str
    clip_b: str
    part_b: str
    detail: str

    def __str__(self) -> str:
        other = f" ~ {self.clip_b} ({self.part_b})" if self.clip_b else ""
        return f"{self.clip_a} ({self.part_a}){other}: {self.detail}"


@dataclass(frozen=True)
class AuditReport:
    """What the audit found.

    Parameters
    ----------
    n_clips : dict
        Part ("train", "val", "test") -> number of clips.
    counts : dict
        Kind -> number of leaks: recordings, groups, sets of equal clips, families of copies, pairs of near clips.
    held_out : dict
        Kind -> number of validation and test clips that the leaks touch.
    examples : list of Leak
        The first few of each kind.
    compared : int
        How many candidate pairs were measured for `near`.
    search_radius : float
        Up to which sketch distance candidates were taken; below 0.1 there were too many to measure all.
    """

    n_clips: dict[str, int]
    counts: dict[str, int]
    held_out: dict[str, int]
    examples: list[Leak] = field(default_factory=list)
    compared: int = 0
    search_radius: float = SKETCH_RADIUS

    @property
    def ok(self) -> bool:
        """No leak of any kind."""
        return not any(self.counts.values())

    def summary(self) -> str:
        """One line."""
        found = [f"{kind} {self.counts[kind]}" for kind in KINDS if self.counts[kind]]
        return f"leaks between train, val and test: {', '.join(found)}" if found else "no leak found"


def audit(dataset: Dataset, split: pd.Series, *, near_threshold: float = NEAR_THRESHOLD) -> AuditReport:
    """Look for leaks between the parts of a split; the module says which.

    Parameters
    ----------
    dataset : Dataset
    split : Series
        "train", "val", "test" or missing by clip_id, as :func:`poseemo_lib.data.splits.make_split` returns it.
        Clips that it does not name are not used.
    near_threshold : float
        Largest distance in torso lengths of what counts as the same movement; 0 leaves `near` out.

    Returns
    -------
    AuditReport

    Raises
    ------
    UsageError
        The split names a clip that the dataset does not have, or a part that there is not.
    DatasetError, ClipError
        The dataset is damaged.
    """
    sketch = sample_sketch(dataset) if near_threshold > 0 else None
    directions, signs = sketch or (None, None)
    facts, tracks = read_facts(dataset, split, directions)
    families = family_roots(facts.clip, facts.copied_from, facts.copied)
    found = [
        _straddling("source", facts.source, facts.side),
        _straddling("group", facts.group, facts.side),
        _straddling("exact", facts.keypoints, facts.side),
        _straddling("augmented", families, facts.side, alone=facts.copied & (facts.side > 0)),
    ]
    compared, radius = 0, SKETCH_RADIUS
    if sketch is not None:
        pairs, mirrored, radius = neighbour_pairs(tracks.sketch, signs, facts.side[tracks.row])
        compared = len(pairs)
        found.append(_near(dataset, facts, tracks, pairs, mirrored, near_threshold))
    return AuditReport(
        n_clips={name: int((facts.side == i).sum()) for i, name in enumerate(SPLITS)},
        counts=dict.fromkeys(KINDS, 0) | {one.kind: one.count for one in found},
        held_out=dict.fromkeys(KINDS, 0) | {one.kind: one.held_out for one in found},
        examples=_with_names(dataset, facts, [example for one in found for example in one.examples]),
        compared=compared,
        search_radius=radius,
    )


@dataclass(frozen=True)
class _Found:
    """The leaks of one kind; examples are (kind, row, row or -1, detail)."""

    kind: str
    count: int
    held_out: int
    examples: list[tuple[str, int, int, str]]


def _straddling(kind: str, keys: np.ndarray, side: np.ndarray, alone: np.ndarray | None = None) -> _Found:
    """Find the keys that clips on two sides share, and those of clips that are a leak `alone`."""
    rows = np.flatnonzero(side >= 0)
    codes, unique = pd.factorize(keys[rows])
    counts = np.bincount(codes * 3 + side[rows], minlength=3 * len(unique)).reshape(-1, 3)
    leaking = (counts > 0).sum(1) > 1
    if alone is not None:
        leaking[codes[alone[rows]]] = True
    touched = leaking[codes]
    examples = []
    for code in pd.unique(codes[touched])[:_EXAMPLES]:
        members = rows[codes == code]
        members = members[np.argsort(side[members], kind="stable")]
        other = members[-1] if side[members[-1]] != side[members[0]] else -1
        inside = ", ".join(f"{n} {name}" for name, n in zip(SPLITS, counts[code], strict=True) if n)
        examples.append((kind, int(members[0]), int(other), inside + _MEANS.get(kind, "")))
    return _Found(kind, int(leaking.sum()), int((side[rows[touched]] > 0).sum()), examples)


def _near(dataset: Dataset, facts: Facts, tracks: Tracks, pairs, mirrored, threshold: float) -> _Found:
    """Measure the candidates; keep the nearest pair of tracks of each pair of clips, without equal clips."""
    clips = tracks.row[pairs]
    different = facts.keypoints[clips[:, 0]] != facts.keypoints[clips[:, 1]]
    measured = measure_pairs(dataset, tracks, pairs[different], mirrored[different])
    table = pd.DataFrame(clips[different], columns=["a", "b"])
    table = table.assign(distance=measured[:, 0], correlation=measured[:, 1], mirrored=mirrored[different])
    table = table[(table["distance"] <= threshold) & (table["correlation"] >= MIN_MOTION_CORRELATION)]
    table = table.sort_values(["distance", "a", "b"]).drop_duplicates(["a", "b"])
    examples = []
    for row in table.head(_EXAMPLES).itertuples():
        detail = f"distance {row.distance:.3f} torso lengths{', mirrored' if row.mirrored else ''}"
        examples.append(("near", int(row.a), int(row.b), detail))
    touched = np.unique(table[["a", "b"]])
    return _Found("near", len(table), int((facts.side[touched] > 0).sum()), examples)


def _with_names(dataset: Dataset, facts: Facts, examples: list[tuple[str, int, int, str]]) -> list[Leak]:
    """Read the names of the clips in the examples."""
    wanted = {row for _, a, b, _ in examples for row in (a, b) if row >= 0}
    names, first = {-1: {"clip_id": ""}}, 0
    for _, batch in dataset.batches(("clip_id", "source_id", "group_id")) if wanted else ():
        for row in wanted.intersection(range(first, first + batch.num_rows)):
            names[row] = batch.slice(row - first, 1).to_pylist()[0]
        first += batch.num_rows
    leaks = []
    for kind, a, b, detail in examples:
        what = f"{kind} {names[a][f'{kind}_id']!r}: " if kind in ("source", "group") else ""
        part_a, part_b = (SPLITS[facts.side[row]] if row >= 0 else "" for row in (a, b))
        leaks.append(Leak(kind, names[a]["clip_id"], part_a, names[b]["clip_id"], part_b, what + detail))
    return leaks
