"""The leakage audit: whether a split shows the training set what validation and test ask for.

Five kinds of leak between train, val and test are looked for:

- `source`: clips of one recording in two splits.
- `group`: clips of one show, scene or actor in two splits.
- `exact`: the same keypoints, bit for bit, in two splits.
- `augmented`: a changed copy of a clip in another split than its source or siblings, or any copy in val or test.
- `near`: the same movement twice. Two people's tracks are aligned in time and compared limb by limb; a pair is a leak
  if so much likeness is not expected by chance among all pairs that were compared
  (:func:`poseemo_lib.data.movements.movement_evidence`).

`near` finds most copies that were turned, scaled, moved or mirrored, that have another frame rate or speed, hidden
legs, noise or another estimator's filter, or that are parts of a clip; docs/method.md says how many of each. What it
does not find is in :data:`LIMITS`. Of a movement that occurs many times, not every pair is listed.

Candidates for `near` have similar windows (:mod:`poseemo_lib.data.near_duplicates`); only they, and at most 20,000
of them, are measured. The audit streams: it keeps about 1.5 kB a clip and, while candidates are measured, their
tracks.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd

from poseemo_lib.clips import SPLITS, PoseClip
from poseemo_lib.data.blocks import family_roots
from poseemo_lib.data.dataset import ROW_GROUP_CLIPS, Dataset
from poseemo_lib.data.near_duplicates import (
    Sketch,
    Tracks,
    candidate_pairs,
    least_evidence,
    measure_pairs,
    sample_sketches,
    sketch_tracks,
)
from poseemo_lib.errors import DatasetError, UsageError

KINDS = ("source", "group", "exact", "augmented", "near")
LIMITS = (
    "about half of the movements seen by one other camera, all that begin later there, a tenth of the unmarked copies "
    "that enhance makes, less than 1 s in common, simple movements or still bodies with noise"
)
_EXAMPLES = 5
_NOTES = {"exact": " with equal keypoints", "augmented": " in one family of copies"}


@dataclass(frozen=True)
class AuditReport:
    """What the audit found; the keys of `counts`, `held_out` and `examples` are the :data:`KINDS` of leaks."""

    n_clips: dict[str, int]  # of train, val and test
    counts: dict[str, int]  # recordings, groups, sets of equal clips, families of copies, pairs of near clips
    held_out: dict[str, int]  # validation and test clips that the leaks touch
    examples: dict[str, list[str]]  # the first few of each kind: `clip (split) ~ other (split): detail`
    compared: int  # candidate pairs measured for `near`
    candidates: int  # how many there were; more than `compared`, if there were too many to measure all

    @property
    def ok(self) -> bool:
        """No leak of any kind."""
        return not any(self.counts.values())


@dataclass(frozen=True)
class _Finding:
    """The leaks of one kind; examples are (row, row or -1, detail)."""

    count: int
    held_out: int
    examples: list[tuple[int, int, str]]


def audit(dataset: Dataset, split: pd.Series) -> AuditReport:
    """Look for leaks between train, val and test; the module says which.

    `split` is as :func:`poseemo_lib.data.splits.make_split` returns it; clips that it does not name are not used.

    Raises
    ------
    UsageError
        The split names a clip that the dataset does not have, or a split other than these three.
    DatasetError, ClipError
        The dataset is damaged or empty.
    """
    sketches = sample_sketches(dataset)
    clips, tracks = read_clips(dataset, split, sketches)
    splits, copied = clips["split"].to_numpy(), clips["copied"].to_numpy()
    families = family_roots(clips["clip"], clips["copied_from"], copied)
    found = {kind: _straddling(kind, clips[kind], splits) for kind in ("source", "group", "exact")}
    found["augmented"] = _straddling("augmented", families, splits, alone=copied & (splits > 0))
    pairs, n_candidates = candidate_pairs(tracks, sketches, splits[tracks.row])
    found["near"] = _near(dataset, clips, tracks, pairs, least_evidence(tracks, splits[tracks.row]))
    return AuditReport(
        n_clips={name: int((splits == number).sum()) for number, name in enumerate(SPLITS)},
        counts={kind: found[kind].count for kind in KINDS},
        held_out={kind: found[kind].held_out for kind in KINDS},
        examples=_examples(dataset, splits, found),
        compared=len(pairs),
        candidates=n_candidates,
    )


def read_clips(dataset: Dataset, split: pd.Series, sketches: list[Sketch]) -> tuple[pd.DataFrame, Tracks]:
    """Read every clip once and keep of it what the audit compares.

    `clips`, in the order of the dataset, has split (0 train, 1 val, 2 test, -1 not used), copied, and as 64-bit hashes
    clip, source, group, copied_from and exact (the keypoints). Two of a million names have the same hash with a chance
    of 1 in 37 million.
    """
    names = pd.Index(_hashes(split.index))
    # The last entry is where get_indexer's -1, not found, points.
    numbers = np.append(pd.Index(SPLITS).get_indexer(split), -1).astype(np.int8)
    parts, tracks, first, stream = [], [], 0, dataset.clips()
    while batch := list(islice(stream, ROW_GROUP_CLIPS)):
        part = {name: _hashes(getattr(clip, f"{name}_id") for clip in batch) for name in ("clip", "source", "group")}
        part["split"] = numbers[names.get_indexer(part["clip"])]
        part["copied"] = np.array([clip.augmented_from is not None for clip in batch])
        part["copied_from"] = _hashes(clip.augmented_from or "" for clip in batch)
        part["exact"] = np.array([_keypoint_hash(clip) for clip in batch], dtype=np.uint64)
        parts.append(part)
        used = [(first + i, clip, part["split"][i]) for i, clip in enumerate(batch) if part["split"][i] >= 0]
        tracks.append(sketch_tracks(used, sketches))
        first += len(batch)
    if not parts:
        raise DatasetError(f"{dataset.root}: wanted clips to audit, got an empty dataset")
    clips = pd.DataFrame({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    strange = split.notna().to_numpy() & ~(names.isin(clips["clip"]) & (numbers[:-1] >= 0))
    if strange.any():
        got = f"{strange.sum()} others, such as {split.index[strange][0]!r} in {split[strange].iloc[0]}"
        raise UsageError(f"split: wanted clips of this dataset in train, val or test, got {got}; split its own table")
    return clips, Tracks.join(tracks)


def _hashes(texts: Iterable[str]) -> np.ndarray:
    return pd.util.hash_array(np.array(list(texts), dtype=object), categorize=False)


def _keypoint_hash(clip: PoseClip) -> int:
    # One bit pattern for NaN; the number of people distinguishes shapes of equal size.
    keypoints = np.where(np.isnan(clip.keypoints), np.float32(np.nan), clip.keypoints)
    digest = hashlib.blake2b(keypoints.tobytes(), digest_size=8, salt=bytes([clip.n_people]))
    return int.from_bytes(digest.digest(), "little")


def _straddling(kind: str, keys, splits: np.ndarray, alone: np.ndarray | None = None) -> _Finding:
    """Find the keys that clips in two splits share, and those of clips that are a leak `alone`."""
    rows = np.flatnonzero(splits >= 0)
    codes, unique = pd.factorize(np.asarray(keys)[rows])
    counts = np.bincount(codes * 3 + splits[rows], minlength=3 * len(unique)).reshape(-1, 3)
    leaking = (counts > 0).sum(1) > 1
    if alone is not None:
        leaking[codes[alone[rows]]] = True
    touched = leaking[codes]
    examples = []
    for code in pd.unique(codes[touched])[:_EXAMPLES]:
        members = rows[codes == code]
        members = members[np.argsort(splits[members], kind="stable")]
        other = members[-1] if splits[members[-1]] != splits[members[0]] else -1
        inside = ", ".join(f"{n} {name}" for name, n in zip(SPLITS, counts[code], strict=True) if n)
        examples.append((int(members[0]), int(other), inside + _NOTES.get(kind, "")))
    return _Finding(int(leaking.sum()), int((splits[rows[touched]] > 0).sum()), examples)


def _near(dataset: Dataset, clips: pd.DataFrame, tracks: Tracks, pairs: pd.DataFrame, least: float) -> _Finding:
    """Measure the candidates; keep the clearest pair of tracks of each pair of clips, without equal clips."""
    exact = clips["exact"].to_numpy()
    rows = tracks.row[pairs[["a", "b"]]]
    different = exact[rows[:, 0]] != exact[rows[:, 1]]
    table = pairs[different].reset_index(drop=True)
    table = pd.concat([table, measure_pairs(dataset, tracks, table)], axis=1)
    table[["a", "b"]] = rows[different]
    table = table[table["evidence"] >= least]
    table = table.sort_values(["evidence", "a", "b"], ascending=[False, True, True]).drop_duplicates(["a", "b"])
    examples = [
        (int(row.a), int(row.b), f"correlations {row.one:.2f} and {row.both:.2f}{', mirrored' if row.mirrored else ''}")
        for row in table.head(_EXAMPLES).itertuples()
    ]
    touched = np.unique(table[["a", "b"]])
    return _Finding(len(table), int((clips["split"].to_numpy()[touched] > 0).sum()), examples)


def _examples(dataset: Dataset, splits: np.ndarray, found: dict[str, _Finding]) -> dict[str, list[str]]:
    """Write the examples with the names of their clips."""
    wanted = {row for one in found.values() for a, b, _ in one.examples for row in (a, b) if row >= 0}
    clips = dict(dataset.take(sorted(wanted)))
    texts = {kind: [] for kind in KINDS}
    for kind, text in texts.items():
        for a, b, detail in found[kind].examples:
            both = " ~ ".join(f"{clips[row].clip_id} ({SPLITS[splits[row]]})" for row in (a, b) if row >= 0)
            of = f"{kind} {getattr(clips[a], f'{kind}_id')!r}: " if kind in ("source", "group") else ""
            text.append(f"{both}: {of}{detail}")
    return texts
