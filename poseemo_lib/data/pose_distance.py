"""The distance between two people's tracks as movements: in torso lengths, whatever their place, size and start."""

import numpy as np

from poseemo_lib.skeleton import FLIP_ORDER, N_KEYPOINTS, torso_length

RATE = 25.0
MAX_SECONDS = 10
MAX_LAG_SECONDS = 1.0
MIN_FRAMES = 12
MIN_SEEN = 84  # joints over all frames: 7 joints in 12 frames
LEAST_SPREAD = 1e-3  # pixels; less is a point, not a body
_FLIP = list(FLIP_ORDER)
_MIRROR = np.array([-1, 1], dtype=np.float32)


def track_sequence(keypoints: np.ndarray, fps: float) -> np.ndarray | None:
    """Bring a person's track to 25 frames a second, centre it and divide it by its spread.

    Parameters
    ----------
    keypoints : array (T, 17, 3)
        x, y, confidence; not seen: NaN.
    fps : float

    Returns
    -------
    array (T', 17, 2), float32, or None
        At most 10 seconds, averaged over five frames to reduce the estimator's noise; NaN where not seen. None for a
        track with fewer than 12 frames or 84 joints.
    """
    xy = keypoints[..., :2]
    seen = np.isfinite(xy[..., 0])
    if len(xy) < MIN_FRAMES or seen.sum() < MIN_SEEN:
        return None
    centre = xy[seen].mean(0)
    spread = np.sqrt(np.square(xy[seen] - centre).sum(-1).mean())
    if spread < LEAST_SPREAD:
        return None
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
    return sequence[..., _FLIP, :] * _MIRROR


def pose_distance(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Compare two tracks as movements.

    One is moved, scaled (least squares) and shifted in time by up to a second onto the other.

    Parameters
    ----------
    a, b : arrays (T, 17, 2)
        From :func:`track_sequence`.

    Returns
    -------
    (float, float)
        The mean distance of the joints seen in both, in torso lengths of `a` (in its spread where no torso is seen);
        and the correlation, -1 to 1, of the movements (positions less each joint's mean), which tells a copy from
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
