"""Find pairs of clips that may show the same movement, without comparing all of them.

Every person's track is described by a sketch of 32 numbers: the start of a cosine series over time of each joint's
position, relative to the track's own centre and spread. Place, size and frame rate do not change it, noise changes it
little, and mirroring only changes some of its signs. So similar tracks are neighbours in a k-d tree, and only
neighbours are measured with :func:`poseemo_lib.data.pose_distance.pose_distance`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from poseemo_lib.clips import PoseClip
from poseemo_lib.data.dataset import ROW_GROUP_CLIPS, Dataset
from poseemo_lib.data.pose_distance import (
    LEAST_SPREAD,
    MIN_FRAMES,
    MIN_SEEN,
    mirror_sequence,
    pose_distance,
    track_sequence,
)
from poseemo_lib.skeleton import N_KEYPOINTS

SKETCH_SIZE = 32
SKETCH_RADIUS = 0.1
NEIGHBOURS = 6
MAX_CANDIDATES = 10_000
_COSINES = 3
_SAMPLE_ROW_GROUPS = 32
_QUERY_ROWS = 8192


@dataclass(frozen=True)
class Tracks:
    """The people's tracks of the clips in use that show enough, one entry each."""

    row: np.ndarray  # of the clip in the dataset
    person: np.ndarray
    sketch: np.ndarray  # (N, 32), float16

    @classmethod
    def join(cls, some: list["Tracks"]) -> "Tracks":
        """Put tracks one after another."""
        empty = cls(np.empty(0, np.int32), np.empty(0, np.int8), np.empty((0, SKETCH_SIZE), np.float16))
        columns = zip(*((one.row, one.person, one.sketch) for one in (empty, *some)), strict=True)
        return cls(*map(np.concatenate, columns))


def track_descriptor(keypoints: np.ndarray) -> np.ndarray | None:
    """Describe a person's track by three cosine coefficients of each joint's path.

    Parameters
    ----------
    keypoints : array (T, 17, 3)
        x, y, confidence; not seen: NaN.

    Returns
    -------
    array (102,), float32, or None
        3 coefficients x 17 joints x (x, y), scaled so that distances between descriptors are root mean squares over the
        joints. A joint seen in few frames counts little. None as for `track_sequence`.
    """
    xy = keypoints[..., :2]
    seen = np.isfinite(xy[..., 0])
    n_seen = seen.sum()
    if len(xy) < MIN_FRAMES or n_seen < MIN_SEEN:
        return None
    centre = np.einsum("tkc->c", np.where(seen[..., None], xy, 0)) / n_seen
    centred = np.where(seen[..., None], xy - centre, 0)
    spread = np.sqrt(np.vdot(centred, centred) / n_seen)
    if spread < LEAST_SPREAD:
        return None
    scale = seen.mean(0).max() * spread * np.sqrt(N_KEYPOINTS) * len(xy)
    return (_cosine_basis(len(xy)) @ (centred.reshape(len(xy), -1) / scale)).astype(np.float32).ravel()


@lru_cache(maxsize=1024)
def _cosine_basis(n_frames: int) -> np.ndarray:
    time = (np.arange(n_frames) + 0.5) / n_frames
    basis = np.cos(np.pi * np.arange(_COSINES)[:, None] * time)
    return (basis * np.sqrt([[1], [2], [2]])).astype(np.float32)


def sketch_tracks(clips: list[tuple[int, PoseClip]], directions: np.ndarray) -> Tracks:
    """Sketch the tracks of some clips, given with their row numbers, along the directions of :func:`fit_sketch`."""
    entries = [(row, person, found) for row, clip in clips for person, found in _described(clip)]
    if not entries:
        return Tracks.join([])
    rows, people, descriptors = zip(*entries, strict=True)
    sketch = (np.array(descriptors) @ directions).astype(np.float16)
    return Tracks(np.array(rows, np.int32), np.array(people, np.int8), sketch)


def _described(clip: PoseClip) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (person, descriptor) for the tracks of a clip that show enough."""
    for person in range(clip.n_people):
        descriptor = track_descriptor(clip.keypoints[:, person])
        if descriptor is not None:
            yield person, descriptor


def sample_sketch(dataset: Dataset) -> tuple[np.ndarray, np.ndarray] | None:
    """Fit the sketch to row groups spread over the dataset; None where no clip shows enough."""
    starts = np.unique(np.linspace(0, max(len(dataset) - ROW_GROUP_CLIPS, 0), _SAMPLE_ROW_GROUPS).astype(int))
    rows = (starts[:, None] + np.arange(ROW_GROUP_CLIPS)).ravel()
    sample = [found for _, clip in dataset.take(rows[rows < len(dataset)]) for _, found in _described(clip)]
    return fit_sketch(np.array(sample)) if sample else None


def fit_sketch(descriptors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the directions in which tracks differ most, apart for what mirroring keeps and what it reverses.

    Parameters
    ----------
    descriptors : array (N, 102)

    Returns
    -------
    (array (102, 32), array (32,))
        Orthonormal directions, so that distances only shrink, and their signs under mirroring, 1 or -1.
    """
    shaped = descriptors.reshape(-1, _COSINES, N_KEYPOINTS, 2)
    mirrored = mirror_sequence(shaped).reshape(descriptors.shape)
    kept, reversed_ = (descriptors + mirrored) / 2, (descriptors - mirrored) / 2
    # The mean of what mirroring reverses is zero in a dataset and its mirror image.
    parts = [np.linalg.eigh(part.T @ part) for part in (kept - kept.mean(0), reversed_)]
    values, directions = (np.concatenate(columns, axis=-1) for columns in zip(*parts, strict=True))
    signs = np.repeat([1, -1], descriptors.shape[1])
    order = np.argsort(values)[::-1][:SKETCH_SIZE]
    return directions[:, order].astype(np.float32), signs[order]


def neighbour_pairs(sketches: np.ndarray, signs: np.ndarray, splits: np.ndarray) -> tuple[pd.DataFrame, float]:
    """Find the pairs of tracks in different splits whose sketches are near, mirrored too.

    Parameters
    ----------
    sketches : array (N, 32)
    signs : array (32,)
        From :func:`fit_sketch`.
    splits : array (N,), int
        0 train, 1 validation, 2 test.

    Returns
    -------
    pairs : DataFrame
        a, b (row numbers, the earlier split first), mirrored and distance: for a track at most its six nearest in each
        later split, altogether the 10,000 nearest pairs.
    radius : float
        Pairs nearer than this are all there, except for the limit of six.
    """
    from scipy.spatial import cKDTree

    pairs = pd.DataFrame({"a": np.empty(0, int), "b": np.empty(0, int), "mirrored": np.empty(0, bool), "distance": 0.0})
    radius = SKETCH_RADIUS
    for split in (1, 2):
        inside, others = np.flatnonzero(splits == split), np.flatnonzero((splits >= 0) & (splits < split))
        if not inside.size:
            continue
        tree = cKDTree(sketches[inside].astype(np.float32))
        for start in range(0, others.size, _QUERY_ROWS):
            some = others[start : start + _QUERY_ROWS]
            for flip in (False, True):
                wanted = sketches[some].astype(np.float32) * (signs if flip else 1)
                distance, position = tree.query(wanted, k=NEIGHBOURS, distance_upper_bound=radius)
                row, column = np.nonzero(position < inside.size)
                found = {"a": some[row], "b": inside[position[row, column]], "mirrored": flip}
                pairs = pd.concat([pairs, pd.DataFrame(found | {"distance": distance[row, column]})])
                if len(pairs) > 2 * MAX_CANDIDATES:
                    pairs, radius = _nearest(pairs, radius)
    return _nearest(pairs, radius)


def _nearest(pairs: pd.DataFrame, radius: float) -> tuple[pd.DataFrame, float]:
    """Keep the nearest pairs; where some had to go, search no further than those that stay."""
    nearest = pairs.sort_values("distance", kind="stable", ignore_index=True).head(MAX_CANDIDATES)
    return nearest, float(nearest["distance"].iloc[-1]) if len(nearest) < len(pairs) else radius


def measure_pairs(dataset: Dataset, tracks: Tracks, pairs: pd.DataFrame) -> np.ndarray:
    """Read the tracks of candidate pairs again and compare them with `pose_distance`.

    `pairs` has a and b, entries of `tracks`, and mirrored: whether b is mirrored first. Returns (P, 2): distances in
    torso lengths and correlations of the movements.
    """
    # In one pass: candidates lie all over the dataset, so a second pass would read about as much again.
    sequences = _sequences(dataset, tracks, np.unique(pairs[["a", "b"]]))
    results = np.empty((len(pairs), 2))
    for i, (one, other, flip) in enumerate(pairs[["a", "b", "mirrored"]].itertuples(index=False)):
        a, b = sequences[one].astype(np.float32), sequences[other].astype(np.float32)
        results[i] = pose_distance(a, mirror_sequence(b) if flip else b)
    return results


def _sequences(dataset: Dataset, tracks: Tracks, wanted: np.ndarray) -> dict[int, np.ndarray]:
    """Read tracks as float16, which is fine enough for the distance and halves the memory."""
    entries = {(int(tracks.row[i]), int(tracks.person[i])): int(i) for i in wanted}
    return {
        entries[row, person]: track_sequence(clip.keypoints[:, person], clip.fps).astype(np.float16)
        for row, clip in dataset.take(tracks.row[wanted])
        for person in range(clip.n_people)
        if (row, person) in entries
    }
