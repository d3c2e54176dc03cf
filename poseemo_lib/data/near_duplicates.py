"""Find pairs of clips that may show the same movement, without comparing all of them.

Every person's track is described by a sketch of 32 numbers: the start of a cosine series over time of each joint's
position, relative to the track's own centre and spread. Place, size and frame rate do not change it, noise changes it
little, and mirroring only changes some of its signs. So similar tracks are neighbours in a k-d tree, and only
neighbours are measured with :func:`pose_distance`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from poseemo_lib.clips import PoseClip
from poseemo_lib.data.dataset import ROW_GROUP_CLIPS, Dataset
from poseemo_lib.skeleton import FLIP_ORDER, N_KEYPOINTS, torso_length

SKETCH_SIZE = 32
SKETCH_RADIUS = 0.1
NEIGHBOURS = 6
MAX_CANDIDATES = 10_000
RATE = 25.0
MAX_SECONDS = 10
MAX_LAG_SECONDS = 1.0
MIN_FRAMES = 12
MIN_SEEN = 84  # joints over all frames: 7 joints in 12 frames
LEAST_SPREAD = 1e-3  # pixels; less is a point, not a body
_COSINES = 3
_SAMPLE_ROW_GROUPS = 32
_QUERY_ROWS = 8192
_MIRROR = np.array([-1, 1], dtype=np.float32)


@dataclass(frozen=True)
class Tracks:
    """The people's tracks of the clips in use that show enough, one entry each."""

    row: np.ndarray  # of the clip in the dataset
    person: np.ndarray
    sketch: np.ndarray  # (N, 32), float16

    @classmethod
    def join(cls, some: list["Tracks"]) -> "Tracks":
        """Put tracks one after another."""
        columns = zip(*((one.row, one.person, one.sketch) for one in some), strict=True)
        return cls(*map(np.concatenate, columns))


def _centre_and_spread(keypoints: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Mean place of the joints seen in a track, and their distance from it; None where too little is seen."""
    xy = keypoints[..., :2]
    xy = xy[np.isfinite(xy[..., 0])]
    if len(keypoints) < MIN_FRAMES or len(xy) < MIN_SEEN:
        return None
    centre = xy.mean(0)
    spread = np.sqrt(np.square(xy - centre).sum(-1).mean())
    return (centre, spread) if spread >= LEAST_SPREAD else None


def track_descriptor(keypoints: np.ndarray) -> np.ndarray | None:
    """Describe a person's track (T, 17, 3) by three cosine coefficients of each joint's path.

    Returns
    -------
    array (102,), float32, or None
        3 coefficients x 17 joints x (x, y), scaled so that distances between descriptors are root mean squares over the
        joints. A joint seen in few frames counts little. None as for :func:`track_sequence`.
    """
    if (found := _centre_and_spread(keypoints)) is None:
        return None
    (centre, spread), n_frames = found, len(keypoints)
    seen = np.isfinite(keypoints[..., 0])
    centred = np.where(seen[..., None], keypoints[..., :2] - centre, 0)
    scale = seen.mean(0).max() * spread * np.sqrt(N_KEYPOINTS) * n_frames
    return (_cosine_basis(n_frames) @ (centred.reshape(n_frames, -1) / scale)).astype(np.float32).ravel()


@lru_cache(maxsize=1024)
def _cosine_basis(n_frames: int) -> np.ndarray:
    time = (np.arange(n_frames) + 0.5) / n_frames
    basis = np.cos(np.pi * np.arange(_COSINES)[:, None] * time)
    return (basis * np.sqrt([[1], [2], [2]])).astype(np.float32)


def sketch_tracks(clips: list[tuple[int, PoseClip]], directions: np.ndarray) -> Tracks:
    """Sketch the tracks of some clips, given with their row numbers, along the directions of :func:`fit_sketch`."""
    entries = [(row, person, found) for row, clip in clips for person, found in _described(clip)]
    rows, people = (np.array([entry[i] for entry in entries], kind) for i, kind in enumerate((np.int32, np.int8)))
    descriptors = np.array([found for *_, found in entries], np.float32).reshape(-1, len(directions))
    return Tracks(rows, people, (descriptors @ directions).astype(np.float16))


def _described(clip: PoseClip) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (person, descriptor) for the tracks of a clip that show enough."""
    for person in range(clip.n_people):
        descriptor = track_descriptor(clip.keypoints[:, person])
        if descriptor is not None:
            yield person, descriptor


def sample_sketch(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Fit the sketch to row groups spread over the dataset."""
    starts = np.unique(np.linspace(0, max(len(dataset) - ROW_GROUP_CLIPS, 0), _SAMPLE_ROW_GROUPS).astype(int))
    rows = (starts[:, None] + np.arange(ROW_GROUP_CLIPS)).ravel()
    sample = [found for _, clip in dataset.take(rows[rows < len(dataset)]) for _, found in _described(clip)]
    return fit_sketch(np.array(sample or [np.zeros(2 * _COSINES * N_KEYPOINTS, np.float32)]))


def fit_sketch(descriptors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the directions in which tracks differ most, separately for what mirroring keeps and what it reverses.

    From descriptors (N, 102). Returns orthonormal directions (102, 32), so that distances only shrink, and their signs
    under mirroring (32,), 1 or -1.
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
    """Find the pairs of tracks in different splits whose sketches are near each other, mirrored or not.

    `sketches` is (N, 32), `signs` (32,) comes from :func:`fit_sketch`, `splits` (N,) is 0 train, 1 validation, 2 test.

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
    """Read the tracks of candidate pairs again and compare them with :func:`pose_distance`: (P, 2)."""
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


def track_sequence(keypoints: np.ndarray, fps: float) -> np.ndarray | None:
    """Bring a person's track (T, 17, 3) to 25 frames a second, centre it and divide it by its spread.

    Returns
    -------
    array (T', 17, 2), float32, or None
        At most 10 seconds, averaged over five frames to reduce the estimator's noise; NaN where not seen. None for a
        track with fewer than 12 frames or 84 joints.
    """
    if (found := _centre_and_spread(keypoints)) is None:
        return None
    (centre, spread), xy = found, keypoints[..., :2]
    n_out = int(min((len(xy) - 1) / fps, MAX_SECONDS) * RATE + 1e-6) + 1
    position = np.arange(n_out) * (fps / RATE)
    before = np.minimum(position.astype(int), len(xy) - 1)
    share = (position - before)[:, None, None]
    # A frame that is hit exactly does not need the next one to be seen.
    after = np.where(share[:, 0, 0] < 1e-3, before, np.minimum(before + 1, len(xy) - 1))
    out = xy[before] * (1 - share) + xy[after] * share
    return _smooth((out - centre) / spread).astype(np.float32)


def _smooth(sequence: np.ndarray) -> np.ndarray:
    """Average over five frames, as far as they are seen; what is missing stays missing."""
    from scipy.ndimage import uniform_filter1d

    seen = np.isfinite(sequence)
    total = uniform_filter1d(np.where(seen, sequence, 0), 5, axis=0, mode="constant")
    share = uniform_filter1d(seen.astype(float), 5, axis=0, mode="constant")
    return np.where(seen, total / np.maximum(share, 0.1), np.nan)


def mirror_sequence(sequence: np.ndarray) -> np.ndarray:
    """Mirror a centred track (..., 17, 2): x changes its sign, left and right change places."""
    return sequence[..., FLIP_ORDER, :] * _MIRROR


def pose_distance(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Compare two tracks (T, 17, 2) of :func:`track_sequence` as movements.

    One is moved, scaled (least squares) and shifted in time by up to a second onto the other.

    Returns
    -------
    (float, float)
        The mean distance of the joints seen in both, in torso lengths of `a` (in its spread where no torso is seen);
        and the correlation of the movements (positions less each joint's mean), which distinguishes a copy from
        another body that stands still in a similar pose. (inf, 0) where the two share less than half of what the
        smaller one shows.
    """
    lag = _best_lag(a, b)
    if lag is None:
        return np.inf, 0.0
    first, last = max(0, lag), min(len(a), len(b) + lag)
    one, two = a[first:last], b[first - lag : last - lag]
    both = (np.isfinite(one[..., 0]) & np.isfinite(two[..., 0]))[..., None]
    one, two = _centred(one, both, (0, 1)), _centred(two, both, (0, 1))
    scale = (one * two).sum() / max(np.square(two).sum(), 1e-12)
    distance = np.sqrt(np.square(one - scale * two).sum(-1)).sum() / both.sum()
    torso = torso_length(a)
    moved, moved_too = _centred(one, both, 0), _centred(two, both, 0)
    power = np.sqrt(np.square(moved).sum() * np.square(moved_too).sum())
    return float(distance / (torso if torso > 0 else 1)), float((moved * moved_too).sum() / max(power, 1e-12))


def _centred(sequence: np.ndarray, seen: np.ndarray, axis) -> np.ndarray:
    """Subtract the mean of what is seen, (T, 17, 1), over some axes; the rest becomes 0."""
    filled = np.where(seen, sequence, 0)
    mean = filled.sum(axis, keepdims=True) / np.maximum(seen.sum(axis, keepdims=True), 1)
    return (filled - mean) * seen


def _best_lag(a: np.ndarray, b: np.ndarray) -> int | None:
    """Find how many frames after `a` the track `b` starts where they fit best, in least squares over move and scale."""
    size = 2 ** int(np.ceil(np.log2(len(a) + len(b))))
    seen_a, power_a, x_a, y_a = _spectra(a, size)
    seen_b, power_b, x_b, y_b = _spectra(b, size).conj()
    # Sums over the overlapping frames, for every lag at once, as cross-correlations.
    cross = [
        seen_a * seen_b, power_a * seen_b, seen_a * power_b, x_a * x_b + y_a * y_b,
        x_a * seen_b, y_a * seen_b, seen_a * x_b, seen_a * y_b,
    ]  # fmt: skip
    longest = min(int(MAX_LAG_SECONDS * RATE), len(a) - 1, len(b) - 1)
    lags = np.arange(-longest, longest + 1)
    n, aa, bb, ab, ax, ay, bx, by = np.fft.irfft([one.sum(1) for one in cross], size)[:, lags % size]
    safe_n = np.maximum(n, 1)
    aa = aa - (ax**2 + ay**2) / safe_n
    bb = bb - (bx**2 + by**2) / safe_n
    ab = ab - (ax * bx + ay * by) / safe_n
    residual = (aa - np.maximum(ab, 0) ** 2 / np.maximum(bb, 1e-9)) / safe_n
    least = max(MIN_SEEN, 0.5 * min(np.isfinite(a[..., 0]).sum(), np.isfinite(b[..., 0]).sum()))
    residual = np.where(np.round(n) >= least, residual, np.inf)
    best = int(residual.argmin())
    return int(lags[best]) if np.isfinite(residual[best]) else None


def _spectra(sequence: np.ndarray, size: int) -> np.ndarray:
    """Fourier transforms over time of what is seen, the squared positions, x and y: (4, W, 17)."""
    seen = np.isfinite(sequence[..., 0])
    x, y = np.moveaxis(np.where(seen[..., None], sequence, 0), -1, 0)
    # One transform for all 68 series; single precision, twice as fast, is enough to choose a lag.
    series = np.concatenate([seen.astype(np.float32), x**2 + y**2, x, y], axis=1)
    return np.fft.rfft(series, size, axis=0).reshape(-1, 4, N_KEYPOINTS).swapaxes(0, 1)
