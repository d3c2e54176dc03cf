"""The leakage audit: whether a split shows the training set what validation and test ask for.

Five kinds of leak between train, val and test are looked for:

- `source`: clips of one recording in two splits.
- `group`: clips of one show, scene or actor in two splits.
- `exact`: the same keypoints, bit for bit, in two splits.
- `augmented`: a changed copy of a clip in another split than its source or siblings, or any copy in val or test.
- `near`: the same movement twice. Two people's tracks, moved, scaled, mirrored or not, and shifted by up to a second
  onto each other, are at most 0.03 torso lengths apart (mean over the joints seen in both, noise averaged over 0.2 s)
  and their movements correlate by 0.9 or more.

`near` finds copies with noise of 2 % of the torso, another size or place in the picture, a mirror image, another frame
rate, and some frames cut off either end. It does not find: a shift by more than a second or a cut of more than about a
tenth of the clip; a change of speed or of view; a body that hardly moves, once noise is added to it (nothing
distinguishes it from another that stands as still); tracks of fewer than 12 frames. Of a movement that occurs many
times, not every pair is listed.

Candidates for `near` are neighbours in a sketch of 32 numbers (:mod:`poseemo_lib.data.near_duplicates`); only they, and
at most 10,000 pairs of them, are measured. The audit streams: it keeps about 130 bytes a clip and, while candidates are
measured, their tracks: 70 bytes a frame, at most 350 MB. Its time grows with the number of clips as long as bodies and
framings differ; among clips that are all alike the search for neighbours grows with the square.
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
from poseemo_lib.data.near_duplicates import Tracks, measure_pairs, neighbour_pairs, sample_sketch, sketch_tracks
from poseemo_lib.errors import DatasetError, UsageError

KINDS = ("source", "group", "exact", "augmented", "near")
NEAR_THRESHOLD = 0.03
MIN_MOTION_CORRELATION = 0.9
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
    search_radius: float  # largest distance of candidates' sketches; below 0.1, there were too many to measure all

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
    directions, signs = sample_sketch(dataset)
    clips, tracks = read_clips(dataset, split, directions)
    splits, copied = clips["split"].to_numpy(), clips["copied"].to_numpy()
    families = family_roots(clips["clip"], clips["copied_from"], copied)
    found = {kind: _straddling(kind, clips[kind], splits) for kind in ("source", "group", "exact")}
    found["augmented"] = _straddling("augmented", families, splits, alone=copied & (splits > 0))
    pairs, radius = neighbour_pairs(tracks.sketch, signs, splits[tracks.row])
    found["near"] = _near(dataset, clips, tracks, pairs)
    return AuditReport(
        n_clips={name: int((splits == number).sum()) for number, name in enumerate(SPLITS)},
        counts={kind: found[kind].count for kind in KINDS},
        held_out={kind: found[kind].held_out for kind in KINDS},
        examples=_examples(dataset, splits, found),
        compared=len(pairs),
        search_radius=radius,
    )


def read_clips(dataset: Dataset, split: pd.Series, directions: np.ndarray) -> tuple[pd.DataFrame, Tracks]:
    """Read every clip once and keep of it what the audit compares; sketch tracks along `directions`.

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
        used = [(first + i, clip) for i, clip in enumerate(batch) if part["split"][i] >= 0]
        tracks.append(sketch_tracks(used, directions))
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


def _near(dataset: Dataset, clips: pd.DataFrame, tracks: Tracks, pairs: pd.DataFrame) -> _Finding:
    """Measure the candidates; keep the nearest pair of tracks of each pair of clips, without equal clips."""
    exact = clips["exact"].to_numpy()
    rows = tracks.row[pairs[["a", "b"]]]
    different = exact[rows[:, 0]] != exact[rows[:, 1]]
    table = pairs[different].reset_index(drop=True)
    table[["distance", "correlation"]] = measure_pairs(dataset, tracks, table)
    table[["a", "b"]] = rows[different]
    table = table[(table["distance"] <= NEAR_THRESHOLD) & (table["correlation"] >= MIN_MOTION_CORRELATION)]
    table = table.sort_values(["distance", "a", "b"]).drop_duplicates(["a", "b"])
    examples = [
        (int(row.a), int(row.b), f"distance {row.distance:.3f} torso lengths{', mirrored' if row.mirrored else ''}")
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
