"""Find the same movement twice: a pose-sequence distance, and a compact sketch that says which pairs to measure.

The sketch of a person's track is the start of a cosine series over the clip of each joint's position, relative to the
track's own centre and spread. It does not change with the place and size of the body in the picture or with the frame
rate, little with noise, and a mirrored track has the sketch with some signs changed, so that near pairs are
neighbours in a k-d tree.
"""

from functools import lru_cache

import numpy as np

from poseemo_lib.skeleton import FLIP_ORDER, JOINT, N_KEYPOINTS

RATE = 25.0
MAX_SECONDS = 10
MAX_LAG_SECONDS = 1.0
MIN_FRAMES = 12
MIN_SEEN = 84
SKETCH_SIZE = 32
SKETCH_RADIUS = 0.1
NEIGHBOURS = 6
MAX_CANDIDATES = 10_000
_COSINES = 3
# In pixels: less than this is one point, not a body.
_LEAST_SPREAD = 1e-3
_FLIP = list(FLIP_ORDER)
_MIRROR = np.array([-1, 1], dtype=np.float32)


def track_sequence(keypoints: np.ndarray, fps: float) -> np.ndarray | None:
    """Bring a person's track to 25 frames a second, centred, scaled to its spread.

    Parameters
    ----------
    keypoints : array (T, 17, 3)
        x, y, confidence; not seen: NaN.
    fps : float

    Returns
    -------
    array (T', 17, 2), float32, or None
        At most the first 10 seconds, averaged over five frames, so that the detector's noise counts less than the
        movement; NaN where a joint was not seen. None for a track with too little in it to be
        compared: fewer than 12 frames, or than 84 joints seen over all frames (7 joints in 12 frames).
    """
    xy = keypoints[..., :2]
    seen = np.isfinite(xy[..., 0])
    if len(xy) < MIN_FRAMES or seen.sum() < MIN_SEEN:
        return None
    centre = xy[seen].mean(0)
    spread = np.sqrt(np.square(xy[seen] - centre).sum(-1).mean())
    if spread < _LEAST_SPREAD:
        return None
    n_out = int(min((len(xy) - 1) / fps, MAX_SECONDS) * RATE + 1e-6) + 1
    position = np.arange(n_out) * (fps / RATE)
    before = np.minimum(position.astype(int), len(xy) - 1)
    after = np.minimum(before + 1, len(xy) - 1)
    share = (position - before)[:, None, None]
    # A frame that is hit exactly does not need the next one to be seen.
    after = np.where(share[:, 0, 0] < 1e-3, before, after)
    out = xy[before] * (1 - share) + xy[after] * share
    return _smooth((out - centre) / spread).astype(np.float32)


def _smooth(sequence: np.ndarray) -> np.ndarray:
    """Average over five frames, as far as they are seen; what is missing stays missing."""
    from scipy.ndimage import uniform_filter1d

    seen = np.isfinite(sequence)
    total = uniform_filter1d(np.where(seen, sequence, 0), 5, axis=0, mode="constant")
    share = uniform_filter1d(seen.astype(float), 5, axis=0, mode="constant")
    return np.where(seen, total / np.maximum(share, 0.1), np.nan)


def pose_distance(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Compare two tracks as movements.

    One is moved, scaled (least squares) and shifted in time by up to a second onto the other. The distance is the mean
    over the joints seen in both, in torso lengths: the median distance from mid-shoulder to mid-hip or, where the
    hips are not seen, what shoulder width and neck say of it. The correlation of the movements (positions less each
    joint's mean) tells a copy from another body that stands still in a like pose.

    Parameters
    ----------
    a, b : arrays (T, 17, 2)
        From :func:`track_sequence`.

    Returns
    -------
    (float, float)
        Distance in torso lengths, and correlation of the movements, -1 to 1. (inf, 0) where the tracks share less
        than half of what the smaller one shows.
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
    moved, moved_too = _centred(one, both, 0), _centred(two, both, 0)
    power = np.sqrt(np.square(moved).sum() * np.square(moved_too).sum())
    return float(distance / _torso(a)), float((moved * moved_too).sum() / max(power, 1e-12))


def _centred(sequence: np.ndarray, seen: np.ndarray, axis) -> np.ndarray:
    """Subtract the mean of what is seen, (T, 17, 1), over some axes; the rest becomes 0."""
    filled = np.where(seen, sequence, 0)
    mean = filled.sum(axis, keepdims=True) / np.maximum(seen.sum(axis, keepdims=True), 1)
    return (filled - mean) * seen


def _best_lag(a: np.ndarray, b: np.ndarray) -> int | None:
    """Find by how many frames `b` starts after `a` where they fit best, in least squares over move and scale."""
    size = 2 ** int(np.ceil(np.log2(len(a) + len(b))))
    seen_a, x_a, power_a = _spectra(a, size)
    seen_b, x_b, power_b = _spectra(b, size)
    # Sums over the frames that overlap, for every lag at once, as cross-correlations.
    cross = np.concatenate(
        [
            [(seen_a * seen_b.conj()).sum(1), (power_a * seen_b.conj()).sum(1), (seen_a * power_b.conj()).sum(1)],
            [(x_a * x_b.conj()).sum((1, 2))],
            (x_a * seen_b.conj()[:, None]).sum(2).T,
            (seen_a[:, None] * x_b.conj()).sum(2).T,
        ]
    )
    longest = min(int(MAX_LAG_SECONDS * RATE), len(a) - 1, len(b) - 1)
    lags = np.arange(-longest, longest + 1)
    n, aa, bb, ab, *sums = np.fft.irfft(cross, size)[:, lags % size]
    safe_n = np.maximum(n, 1)
    aa = aa - (sums[0] ** 2 + sums[1] ** 2) / safe_n
    bb = bb - (sums[2] ** 2 + sums[3] ** 2) / safe_n
    ab = ab - (sums[0] * sums[2] + sums[1] * sums[3]) / safe_n
    residual = (aa - np.maximum(ab, 0) ** 2 / np.maximum(bb, 1e-9)) / safe_n
    least = max(MIN_SEEN, 0.5 * min(np.isfinite(a[..., 0]).sum(), np.isfinite(b[..., 0]).sum()))
    residual = np.where(np.round(n) >= least, residual, np.inf)
    best = int(residual.argmin())
    return int(lags[best]) if np.isfinite(residual[best]) else None


def _spectra(sequence: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fourier transforms over time of what is seen (W, 17), the positions (W, 2, 17) and their squares (W, 17)."""
    seen = np.isfinite(sequence[..., :1])
    filled = np.where(seen, sequence, 0)
    seen = seen[..., 0].astype(np.float32)
    power = filled[..., 0] ** 2 + filled[..., 1] ** 2
    # One transform for all 68 series; single precision, twice as fast, is enough to choose a lag.
    series = np.concatenate([seen, power, filled[..., 0], filled[..., 1]], axis=1)
    spectrum = np.fft.rfft(series, size, axis=0).reshape(-1, 4, N_KEYPOINTS)
    return spectrum[:, 0], spectrum[:, 2:], spectrum[:, 1]


def _torso(sequence: np.ndarray) -> float:
    """Median torso length; without hips 1.3 shoulder widths or 1.7 times nose to mid-shoulder, the larger."""
    shoulders = sequence[:, [JOINT["left_shoulder"], JOINT["right_shoulder"]]]
    hips = sequence[:, [JOINT["left_hip"], JOINT["right_hip"]]].mean(1)
    torso = _median_length(shoulders.mean(1) - hips)
    if torso > 0:
        return torso
    width = _median_length(shoulders[:, 0] - shoulders[:, 1])
    neck = _median_length(sequence[:, JOINT["nose"]] - shoulders.mean(1))
    # The spread, 1 in these units, stands in where neither is seen.
    return max(1.3 * width, 1.7 * neck) or 1.0


def _median_length(vectors: np.ndarray) -> float:
    lengths = np.sqrt(np.square(vectors).sum(-1))
    lengths = lengths[np.isfinite(lengths)]
    return float(np.median(lengths)) if lengths.size >= MIN_FRAMES else 0.0


def mirror_sequence(sequence: np.ndarray) -> np.ndarray:
    """Flip a centred track (..., 17, 2): x changes its sign, left and right change places."""
    return sequence[..., _FLIP, :] * _MIRROR


def track_descriptor(keypoints: np.ndarray) -> np.ndarray | None:
    """Describe a person's track by three cosine coefficients of each joint's path.

    Parameters
    ----------
    keypoints : array (T, 17, 3)
        x, y, confidence; not seen: NaN.

    Returns
    -------
    array (102,), float32, or None
        3 coefficients x 17 joints x (x, y), in units of the track's spread over the root of 17: distances between
        descriptors are root mean squares over the joints. A joint seen in few frames counts little, so that one
        frame more or less changes little. None as for :func:`track_sequence`.
    """
    xy = keypoints[..., :2]
    seen = np.isfinite(xy[..., 0])
    n_seen = seen.sum()
    if len(xy) < MIN_FRAMES or n_seen < MIN_SEEN:
        return None
    centre = np.einsum("tkc->c", np.where(seen[..., None], xy, 0)) / n_seen
    centred = np.where(seen[..., None], xy - centre, 0)
    spread = np.sqrt(np.vdot(centred, centred) / n_seen)
    if spread < _LEAST_SPREAD:
        return None
    scale = seen.mean(0).max() * spread * np.sqrt(N_KEYPOINTS) * len(xy)
    return (_cosine_basis(len(xy)) @ (centred.reshape(len(xy), -1) / scale)).astype(np.float32).ravel()


@lru_cache(maxsize=1024)
def _cosine_basis(n_frames: int) -> np.ndarray:
    time = (np.arange(n_frames) + 0.5) / n_frames
    basis = np.cos(np.pi * np.arange(_COSINES)[:, None] * time)
    return (basis * np.sqrt([[1], [2], [2]])).astype(np.float32)


def fit_sketch(descriptors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the directions in which tracks differ most, apart for what mirroring keeps and what it turns round.

    Parameters
    ----------
    descriptors : array (N, 102)
        Of a sample of the dataset.

    Returns
    -------
    (array (102, 32), array (32,))
        Orthonormal directions, so that distances only shrink, and their signs under mirroring, 1 or -1.
    """
    shaped = descriptors.reshape(-1, _COSINES, N_KEYPOINTS, 2)
    mirrored = mirror_sequence(shaped).reshape(descriptors.shape)
    values, directions, signs = [], [], []
    for sign in (1, -1):
        part = (descriptors + sign * mirrored) / 2
        # The mean of what mirroring turns round is zero in a dataset and its mirror image.
        part = part - part.mean(0) if sign == 1 else part
        value, direction = np.linalg.eigh(part.T @ part)
        values.append(value)
        directions.append(direction)
        signs.append(np.full(value.size, sign))
    order = np.argsort(np.concatenate(values))[::-1][:SKETCH_SIZE]
    return np.concatenate(directions, axis=1)[:, order].astype(np.float32), np.concatenate(signs)[order]


def neighbour_pairs(sketches: np.ndarray, signs: np.ndarray, sides: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Find the pairs of tracks on different sides whose sketches are near, mirrored too.

    Parameters
    ----------
    sketches : array (N, 32)
    signs : array (32,)
        From :func:`fit_sketch`.
    sides : array (N,), int
        0 train, 1 validation, 2 test.

    Returns
    -------
    pairs : array (P, 2), int
        Row numbers, the earlier side first. For a track, at most its six nearest on each later side; altogether the
        10,000 nearest pairs.
    mirrored : array (P,), bool
    radius : float
        Pairs that are nearer than this are all there, but for the limit of six.
    """
    from scipy.spatial import cKDTree

    found = _Nearest()
    for side in (1, 2):
        inside, others = np.flatnonzero(sides == side), np.flatnonzero((sides >= 0) & (sides < side))
        if not inside.size:
            continue
        tree = cKDTree(sketches[inside].astype(np.float32))
        for start in range(0, others.size, 8192):
            some = others[start : start + 8192]
            for flip in (False, True):
                asked = sketches[some].astype(np.float32) * (signs if flip else 1)
                distance, position = tree.query(asked, k=NEIGHBOURS, distance_upper_bound=found.radius)
                row, column = np.nonzero(position < inside.size)
                found.add(some[row], inside[position[row, column]], flip, distance[row, column])
    found.cut()
    return np.stack([found.one, found.other], axis=1), found.flip, found.radius


class _Nearest:
    """The nearest pairs so far; once there are enough, the radius that is searched shrinks to theirs."""

    def __init__(self):
        self.one, self.other = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        self.flip, self.distance = np.empty(0, dtype=bool), np.empty(0)
        self.radius = SKETCH_RADIUS

    def add(self, one: np.ndarray, other: np.ndarray, flip: bool, distance: np.ndarray) -> None:
        self.one, self.other = np.append(self.one, one), np.append(self.other, other)
        self.flip, self.distance = np.append(self.flip, np.full(one.size, flip)), np.append(self.distance, distance)
        if self.distance.size > 2 * MAX_CANDIDATES:
            self.cut()

    def cut(self) -> None:
        nearest = np.argsort(self.distance, kind="stable")[:MAX_CANDIDATES]
        if nearest.size < self.distance.size:
            self.radius = float(self.distance[nearest[-1]])
        self.one, self.other = self.one[nearest], self.other[nearest]
        self.flip, self.distance = self.flip[nearest], self.distance[nearest]
