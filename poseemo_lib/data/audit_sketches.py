"""What the audit keeps of a dataset: a few numbers a clip and a sketch a person's track, read in one stream."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd

from poseemo_lib.clips import SPLITS, PoseClip
from poseemo_lib.data.dataset import ROW_GROUP_CLIPS, Dataset
from poseemo_lib.data.near_duplicates import (
    SKETCH_SIZE,
    fit_sketch,
    mirror_sequence,
    pose_distance,
    track_descriptor,
    track_sequence,
)
from poseemo_lib.errors import DatasetError, UsageError

_SAMPLE_ROW_GROUPS = 32


@dataclass(frozen=True)
class Facts:
    """One entry a clip, in the order of the dataset; names as 64-bit hashes.

    Two of a million names have the same hash with a chance of 1 in 37 million.
    """

    side: np.ndarray  # 0 train, 1 val, 2 test, -1 not used
    clip: np.ndarray
    source: np.ndarray
    group: np.ndarray
    copied: np.ndarray  # bool: an augmented copy
    copied_from: np.ndarray
    keypoints: np.ndarray


@dataclass(frozen=True)
class Tracks:
    """One entry a person's track of the clips that are used and show enough."""

    row: np.ndarray
    person: np.ndarray
    sketch: np.ndarray  # (N, 32), float16


def sample_sketch(dataset: Dataset) -> tuple[np.ndarray, np.ndarray] | None:
    """Fit the sketch to row groups spread over the dataset; None where no clip shows enough."""
    starts = np.unique(np.linspace(0, max(len(dataset) - ROW_GROUP_CLIPS, 0), _SAMPLE_ROW_GROUPS).astype(int))
    rows = (starts[:, None] + np.arange(ROW_GROUP_CLIPS)).ravel()
    described = [found for _, clip in dataset.take(rows[rows < len(dataset)]) for _, found in _described(clip)]
    return fit_sketch(np.array(described)) if described else None


def read_facts(dataset: Dataset, split: pd.Series, directions: np.ndarray | None) -> tuple[Facts, Tracks]:
    """Read every clip once.

    Parameters
    ----------
    dataset : Dataset
    split : Series
        Parts by clip_id.
    directions : array (102, 32), optional
        Of the sketch; without it no track is described.

    Returns
    -------
    (Facts, Tracks)

    Raises
    ------
    UsageError
        The split names unknown clips or parts.
    DatasetError, ClipError
        The dataset is damaged.
    """
    side_of = _SideLookup(split)
    columns, tracks, row = [], [], 0
    for clips in _batches(dataset.clips(), ROW_GROUP_CLIPS):
        columns.append(_columns(clips, side_of))
        if directions is not None:
            tracks.append(_track_columns(clips, columns[-1][0], row, directions))
        row += len(clips)
    facts = Facts(*(np.concatenate(parts) for parts in zip(*columns, strict=True))) if columns else None
    if facts is None:
        raise DatasetError(f"{dataset.root}: wanted clips to audit, got an empty dataset")
    if not pd.Index(facts.clip).is_unique:
        raise DatasetError(f"{dataset.root}: wanted each clip_id once, got one twice; `poseemo inspect` names it")
    side_of.check_all_found(len(facts.clip))
    if not tracks:
        return facts, Tracks(np.empty(0, np.int32), np.empty(0, np.int8), np.empty((0, SKETCH_SIZE), np.float16))
    return facts, Tracks(*(np.concatenate(parts) for parts in zip(*tracks, strict=True)))


def _columns(clips: tuple[PoseClip, ...], side_of) -> tuple[np.ndarray, ...]:
    ids = _hashes(clip.clip_id for clip in clips)
    return (
        side_of(ids),
        ids,
        _hashes(clip.source_id for clip in clips),
        _hashes(clip.group_id for clip in clips),
        np.array([clip.augmented_from is not None for clip in clips]),
        _hashes(clip.augmented_from or "" for clip in clips),
        np.array([_keypoint_hash(clip) for clip in clips], dtype=np.uint64),
    )


def _track_columns(clips, sides: np.ndarray, first: int, directions: np.ndarray) -> tuple[np.ndarray, ...]:
    entries = [
        (first + i, person, found)
        for i, clip in enumerate(clips)
        if sides[i] >= 0
        for person, found in _described(clip)
    ]
    rows, people, descriptors = zip(*entries, strict=True) if entries else ((), (), ())
    sketch = np.array(descriptors, dtype=np.float32).reshape(-1, len(directions)) @ directions
    return np.array(rows, dtype=np.int32), np.array(people, dtype=np.int8), sketch.astype(np.float16)


def _described(clip: PoseClip) -> Iterator[tuple[int, np.ndarray]]:
    for person in range(clip.n_people):
        found = track_descriptor(clip.keypoints[:, person])
        if found is not None:
            yield person, found


def _batches(items: Iterable, size: int) -> Iterator[tuple]:
    items = iter(items)
    while batch := tuple(islice(items, size)):
        yield batch


def _hashes(texts: Iterable[str]) -> np.ndarray:
    return pd.util.hash_array(np.array(list(texts), dtype=object), categorize=False)


def _keypoint_hash(clip: PoseClip) -> int:
    # One bit pattern for NaN; the number of people tells shapes of equal size apart.
    keypoints = np.where(np.isnan(clip.keypoints), np.float32(np.nan), clip.keypoints)
    digest = hashlib.blake2b(keypoints.tobytes(), digest_size=8, salt=bytes([clip.n_people]))
    return int.from_bytes(digest.digest(), "little")


class _SideLookup:
    """From hashes of clip ids to sides."""

    def __init__(self, split: pd.Series):
        unknown = sorted(set(split.dropna()) - set(SPLITS), key=str)
        if unknown:
            raise UsageError(f"split: wanted the parts train, val and test, got {', '.join(map(repr, unknown))}")
        self.names = split.index
        self.index = pd.Index(_hashes(split.index))
        if not self.index.is_unique:
            raise UsageError("split: wanted each clip_id once, got one twice")
        # The last entry is where get_indexer's -1, not found, points.
        self.sides = np.append(pd.Index(SPLITS).get_indexer(split), -1).astype(np.int8)
        self.found = np.zeros(len(self.sides), dtype=bool)

    def __call__(self, ids: np.ndarray) -> np.ndarray:
        positions = self.index.get_indexer(ids)
        self.found[positions] = True
        return self.sides[positions]

    def check_all_found(self, n_clips: int) -> None:
        missing = np.flatnonzero(~self.found[:-1] & (self.sides[:-1] >= 0))
        if missing.size:
            raise UsageError(
                f"split: wanted clips of this dataset of {n_clips}, got {missing.size} that it does not have, "
                f"such as {self.names[missing[0]]!r}; make the split from this dataset's own table"
            )


def measure_pairs(dataset: Dataset, tracks: Tracks, pairs: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Read the tracks of candidate pairs again and compare them.

    Parameters
    ----------
    dataset : Dataset
    tracks : Tracks
    pairs : array (P, 2), int
        Entries of `tracks`.
    mirrored : array (P,), bool
        Whether the second is mirrored first.

    Returns
    -------
    array (P, 2)
        Distance in torso lengths and correlation of the movements: see `near_duplicates.pose_distance`.
    """
    # In one pass: candidates lie all over the dataset, so that a second one would read about as much again.
    sequences = _sequences(dataset, tracks, np.unique(pairs))
    results = np.empty((len(pairs), 2))
    for i, (one, other) in enumerate(pairs.tolist()):
        a, b = sequences[one].astype(np.float32), sequences[other].astype(np.float32)
        results[i] = pose_distance(a, mirror_sequence(b) if mirrored[i] else b)
    return results


def _sequences(dataset: Dataset, tracks: Tracks, wanted: np.ndarray) -> dict[int, np.ndarray]:
    """Read tracks as float16, which is fine enough for the distance and halves the memory."""
    by_place = {(int(tracks.row[i]), int(tracks.person[i])): int(i) for i in wanted}
    sequences = {}
    for row, clip in dataset.take(tracks.row[wanted]):
        for person in range(clip.n_people):
            if (row, person) in by_place:
                sequence = track_sequence(clip.keypoints[:, person], clip.fps)
                sequences[by_place[row, person]] = sequence.astype(np.float16)
    return sequences
