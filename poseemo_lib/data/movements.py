"""A person's track as movements of limbs, and whether two tracks show the same movement.

Limbs are vectors from joint to joint, as complex numbers x + iy. Place in the picture does not change them; turning and
scaling the picture multiply them all by one number.
"""

from collections.abc import Sequence

import numpy as np

from poseemo_lib.skeleton import JOINT

RATE = 25.0
MAX_SECONDS = 10
MIN_FRAMES = 20  # at 25 a second: the shorter window
LEAST_SEEN = 0.5  # share of the frames in which a joint is seen, else its limbs are missing
N_UPPER, _N_TRUNK = 6, 8  # the first limbs; of the others, legs are often hidden
SMOOTH_FRAMES = 7  # reduces the estimator's noise
_STEPS = 8  # of the alignment in time
_LOWEST, _HIGHEST = (-np.inf, 0.65, -0.3), (np.inf, 1.5, 0.3)  # shift in seconds, speed, change of speed a second
_PERIOD = 10, 62  # frames
_WORTH_A_LOOK = 8.0  # evidence
_ALIKE = 0.93  # first correlation of most copies, aligned in time; two gaits of one person reach 0.9
_TILTS = (-0.26, 0.0, 0.26)  # of a camera, in radians
_COSINES = np.array([-0.9, -0.5, 0.0, 0.5, 0.9])  # of the angle between two cameras
_SHARES = np.array([0.0, 0.4, 0.7, 0.9, 0.97])  # of a limb's movement that two cameras agree on
_HERTZ = 3.5, 5.0, 7.5  # movement is below the first, the estimator's noise between the others
_NOISE_SHARE = 0.1  # smoothed noise between them, as a share of that below
LIMBS = [
    ("head", "neck"), ("right_shoulder", "left_shoulder"), ("left_elbow", "left_shoulder"),
    ("right_elbow", "right_shoulder"), ("left_wrist", "left_elbow"), ("right_wrist", "right_elbow"),
    ("left_hip", "left_shoulder"), ("right_hip", "right_shoulder"), ("left_knee", "left_hip"),
    ("right_knee", "right_hip"), ("left_ankle", "left_knee"), ("right_ankle", "right_knee"),
]  # fmt: skip
_POINT = JOINT | {"head": 17, "neck": 18}
_ENDS, _STARTS = (np.array([_POINT[limb[i]] for limb in LIMBS]) for i in (0, 1))
OTHER_SIDE = np.array([0, 1, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10])
MIRROR = np.where(np.arange(len(LIMBS)) == 1, 1, -1)  # the line of the shoulders is reversed as well


def track_limbs(keypoints: np.ndarray, fps: float, smooth: int = SMOOTH_FRAMES) -> np.ndarray | None:
    """Describe a person's track (T, 17, 3) by its limbs at 25 frames a second.

    Returns
    -------
    array (T', 12), complex64, or None
        x + iy of each limb, at most 10 seconds, gaps filled, averaged over `smooth` frames, in units of the mean upper
        limb; NaN for limbs whose joints are seen in fewer than half of the frames. None for less than 0.8 seconds or
        fewer than two upper limbs.
    """
    from scipy.ndimage import uniform_filter1d

    n_frames = int(min((len(keypoints) - 1) / fps, MAX_SECONDS) * RATE + 1e-6) + 1
    seen = np.isfinite(keypoints[..., 0])
    shown = seen.mean(0) >= LEAST_SEEN
    if n_frames < MIN_FRAMES or not shown.any():
        return None
    time, own_time = np.arange(n_frames) / RATE, np.arange(len(keypoints)) / fps
    points = np.full((n_frames, len(_POINT)), np.nan + 0j, np.complex128)
    xy = keypoints[..., 0] + 1j * keypoints[..., 1].astype(np.float64)
    for joint in np.flatnonzero(shown):
        points[:, joint] = np.interp(time, own_time[seen[:, joint]], xy[seen[:, joint], joint])
    if shown[:5].any():
        points[:, 17] = points[:, :5][:, shown[:5]].mean(1)
    points[:, 18] = points[:, 5:7].mean(1)
    limbs = np.ascontiguousarray(points[:, _ENDS] - points[:, _STARTS])
    size = np.sqrt(np.square(np.abs(limbs[:, :N_UPPER])).mean(0))
    if np.isfinite(size).sum() < 2 or not np.nanmax(size) > 1e-3:
        return None
    pairs = limbs.view(np.float64) / np.nanmean(size)
    # Reflected at its ends so that a steady movement stays as it is.
    reach = smooth // 2
    pairs = np.concatenate([2 * pairs[:1] - pairs[reach:0:-1], pairs, 2 * pairs[-1:] - pairs[-2 : -reach - 2 : -1]])
    return uniform_filter1d(pairs, smooth, axis=0)[reach:-reach].astype(np.float32).view(np.complex64)


def mirror_limbs(limbs: np.ndarray) -> np.ndarray:
    """Mirror limbs (..., 12): x changes its sign, left and right change places."""
    return (MIRROR * limbs.conj())[..., OTHER_SIDE]


def movement_evidence(a: np.ndarray, b: np.ndarray, starts: tuple[int, int], length: int) -> tuple[float, float, float]:
    """Tell how unlikely it is that two unrelated tracks of limbs (T, 12) move so alike.

    From a pair of windows that are alike, `b` is aligned to `a` in time: shift, speed and a steady change of speed, by
    repeated linear least squares.

    Returns
    -------
    (float, float, float)
        The evidence, minus the natural logarithm of the chance, from Wilks' lambda of the two canonical correlations of
        the movements (limbs less their means) and an effective number of observations, which accounts for limbs that
        move together and for slow movements (Bartlett). And the two correlations: of one view of a movement and a copy
        both are near 1, with another camera only the first. (0, 0, 0) where the two share too little.
    """
    both = np.isfinite(a[0]) & np.isfinite(b[0])
    a, b = a[:, both], b[:, both]
    middle = starts[0] + (length - 1) / 2
    seconds = (np.arange(len(a)) - middle) / RATE
    shift, speed, bend = (starts[1] + (length - 1) / 2) / RATE, 1.0, 0.0
    speed_of_b = np.gradient(b, 1 / RATE, axis=0)
    best, least = (0.0,), int(0.8 * min(len(a), len(b), MIN_FRAMES))
    for step in range(_STEPS):
        position = RATE * (shift + speed * seconds + bend * seconds**2)
        inside = (position >= 0) & (position <= len(b) - 1) & (speed + 2 * bend * seconds > 0.2)
        inside &= np.abs(seconds) <= 0.6 * 1.5**step  # from the windows outwards
        if inside.sum() < least or both.sum() < 2:
            break
        position, time = position[inside], seconds[inside, None]
        one = a[inside] - a[inside].mean(0)
        other, change = _between(b, position), _between(speed_of_b, position)
        other = other - other.mean(0)
        correlations, x, y, _, (turn, _) = _canonical(one, other)
        fit = -len(time) * np.log(1 - 0.9999 * correlations**2).sum()
        if fit > best[0]:
            best = fit, one, other, np.flatnonzero(inside), position
        if correlations[0] < min(0.45 + 0.1 * step, 0.65):
            return 0.0, 0.0, 0.0
        # Along the first canonical direction, x = y + y' (d0 + d1 t + d2 t^2).
        slope = change.real * turn[0] + change.imag * turn[1]
        columns = np.stack([y[0], slope, slope * time, slope * time**2], -1)
        columns = (columns - columns.mean(0)).reshape(-1, 4)
        gram = columns.T @ columns
        solution = np.linalg.solve(gram + 1e-3 * np.diag(np.diag(gram)) + 1e-9 * np.eye(4), columns.T @ x[0].ravel())
        steps = np.clip(solution[1:] / max(solution[0], 0.3), -0.1, 0.1)
        shift, speed, bend = np.clip((shift + steps[0], speed + steps[1], bend + steps[2]), _LOWEST, _HIGHEST)
        if np.abs(steps).max() < 1e-3:
            break
    if not best[0]:
        return 0.0, 0.0, 0.0
    _, one, other, frames, position = best
    # Neither large limbs nor slow movements should hide the others.
    weight = np.square(np.abs(one)).mean(0) * np.square(np.abs(other)).mean(0)
    weight = (weight + 1e-12) ** -0.125
    spans = (frames[0], frames[-1] + 1), (int(position[0]), int(position[-1]) + 1)
    one, other, a, b = (part * weight for part in (one, other, a, b))
    return max(
        _evidence(one, other, a, b, spans),
        _evidence(*(np.diff(part, axis=0) for part in (one, other, a, b)), spans),
    )


def _between(values: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Interpolate (T, K) linearly at fractional frames."""
    before = np.minimum(position.astype(int), len(values) - 2)
    share = (position - before)[:, None]
    return values[before] * (1 - share) + values[before + 1] * share


def _canonical(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, ...]:
    """Find the canonical correlations of the coordinates of two movements (T, K).

    Returns the two correlations, both movements along the canonical directions (2, T, K), and both's directions (2, 2).
    """
    x, y = (np.stack([part.real.ravel(), part.imag.ravel()]).astype(np.float64) for part in (one, other))
    roots = [_inverse_root(part @ part.T) for part in (x, y)]
    left, values, right = np.linalg.svd(roots[0] @ (x @ y.T) @ roots[1])
    left, right = left.T @ roots[0], right @ roots[1]
    return np.clip(values, 0, 1), (left @ x).reshape(2, *one.shape), (right @ y).reshape(2, *one.shape), left, right


def _inverse_root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return vectors / np.sqrt(np.maximum(values, 1e-4 * values[-1] + 1e-12)) @ vectors.T


def _evidence(one, other, a, b, spans) -> tuple[float, float, float]:
    """Measure movements that are aligned, parts of the tracks `a` and `b`: as :func:`movement_evidence`."""
    correlations, x, y, left, right = _canonical(one, other)
    n = np.array([max(_observations(*sides) - 2.5, 0) for sides in zip(x, y, strict=True)])
    n /= 1 if correlations[0] > _ALIKE else 2  # the less alike must tell twice as much
    unlike = 1 - (1 - 1e-6) * correlations**2
    evidence = -n @ np.log(unlike) / 2
    if evidence > _WORTH_A_LOOK:
        own = np.maximum(_own_likeness(a, spans[0], left), _own_likeness(b, spans[1], right))
        evidence = n @ np.maximum(np.log((1 - own**2) / unlike), 0) / 2
    return float(evidence), *map(float, correlations)


def _own_likeness(track: np.ndarray, span: tuple[int, int], directions: np.ndarray) -> np.ndarray:
    """Largest correlation of a part of a track (T, K) with what it does before and after, along directions (2, 2).

    In a periodic movement, only what is nearer to a period than the next period is tells something.
    """
    first, last, own = span[0], min(span[1], len(track)), np.zeros(2)
    along = np.tensordot(directions, np.stack([track.real, track.imag]), 1)
    for lag in (*range(-_PERIOD[1], -_PERIOD[0], 3), *range(_PERIOD[0], _PERIOD[1], 3)):
        begin, end = max(first, -lag), min(last, len(track) - lag)
        if end - begin >= max(15, (last - first) // 2):
            here, there = (
                part - part.mean(1, keepdims=True) for part in (along[:, begin:end], along[:, begin + lag : end + lag])
            )
            power = np.square(here).sum((1, 2)) * np.square(there).sum((1, 2))
            own = np.maximum(own, (here * there).sum((1, 2)) / np.sqrt(power + 1e-20))
    return np.minimum(own, 0.999)


def _observations(x: np.ndarray, y: np.ndarray) -> float:
    """Effective number of observations in two real movements (T, K): independent limbs times independent moments."""
    limbs = [part.T @ part for part in (x, y)]
    spectra = [np.square(np.abs(np.fft.fft(part, 2 * len(part), axis=0))).sum(1) for part in (x, y)]
    number = 0.5  # twice as many frequencies as frames
    for a, b in (limbs, spectra):
        total = np.sum(a) * np.sum(b) if a.ndim == 1 else np.trace(a) * np.trace(b)
        number *= total / max(np.sum(a * b), 1e-12)
    return float(number)


def same_moment_evidence(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """Tell how much likelier two tracks (T, 12) that begin together are as two views of one movement than as two.

    Cameras see the same vertical movement, but for a tilt; how much of the horizontal movement they share depends on
    the angle between them. Returns the natural logarithm of the Bayes factor, less the largest with one of the tracks
    0.4 to 2.5 s late, because people who walk resemble each other once in every step, or zeros where that is as large;
    and the correlations as :func:`movement_evidence` does.
    """
    both = np.flatnonzero(np.isfinite(a[0]) & np.isfinite(b[0]))
    both, n = both[both < _N_TRUNK], min(len(a), len(b))
    if len(both) < 2 or n < 2 * MIN_FRAMES:
        return 0.0, 0.0, 0.0
    a, b = a[:n, both], b[:n, both]
    evidence, tilts = _bayes_factor(a, b, (_TILTS, _TILTS))
    if evidence > _WORTH_A_LOOK:
        late = range(_PERIOD[0], min(_PERIOD[1], n // 2), 2)
        most = 0.0
        for pair in (pair for lag in late for pair in ((a[lag:], b[:-lag]), (a[:-lag], b[lag:]))):
            most = max(most, _bayes_factor(*pair, tilts)[0] * n / len(pair[0]))
            if most >= evidence:
                return 0.0, 0.0, 0.0
        evidence -= most
        # Limbs that move together, as in a gait, are no independent observations.
        for part in (a.imag, b.imag):
            part = (part - part.mean(0)) / (part.std(0) + 1e-9)
            evidence *= np.sqrt(len(both) / np.square(part.T @ part / n).sum())
    return float(evidence), *map(float, _canonical(a - a.mean(0), b - b.mean(0))[0])


def _bayes_factor(one: np.ndarray, other: np.ndarray, tilts: tuple[Sequence, Sequence]) -> tuple[float, tuple]:
    """Weigh two movements (T, K); return the factor's logarithm and, of the given tilts of each, the best."""
    from scipy.fft import dct
    from scipy.ndimage import uniform_filter1d

    hertz = np.arange(1, len(one)) * RATE / 2 / len(one)
    low, high = hertz < _HERTZ[0], (hertz > _HERTZ[1]) & (hertz < _HERTZ[2])
    parts = []
    for part, angles in zip((one, other), tilts, strict=True):
        turned = part * np.exp(1j * np.array(angles))[:, None, None]
        # (vertical or horizontal, tilts, frequencies, K)
        series = dct(np.stack([turned.imag, turned.real]), axis=2, norm="ortho")[:, :, 1:]
        noise = np.square(series[:, :, high]).mean(2, keepdims=True) / _NOISE_SHARE
        power = np.maximum(uniform_filter1d(np.square(series[:, :, low]), 5, axis=2, mode="nearest"), 1e-9)
        parts.append((series[:, :, low] / np.sqrt(power), np.sqrt(np.clip(1 - noise / power, 0, 1))))
    (x, sure), (y, too) = parts
    above = _limbs_factor(x[0, :, None], y[0], sure[0, :, None] * too[0], np.ones(1))[0]
    i, j = np.unravel_index(above.argmax(), above.shape)
    beside = _limbs_factor(x[1, i], y[1, j], sure[1, i] * too[1, j], _COSINES)
    factor = above[i, j] + np.logaddexp.reduce(beside) - np.log(len(_COSINES))
    return float(factor), ([tilts[0][i]], [tilts[1][j]])


def _limbs_factor(x: np.ndarray, y: np.ndarray, most: np.ndarray, cosines: np.ndarray) -> np.ndarray:
    """Add up the factors' logarithms over limbs (..., F, K), each limb's a mean over how much of it agrees.

    Returns one for each cosine: (C, ...).
    """
    correlation = np.multiply.outer(np.outer(cosines, _SHARES), most)
    unlike = 1 - correlation**2
    factor = correlation * (x * y) / unlike - correlation**2 * (x**2 + y**2) / (2 * unlike) - np.log(unlike) / 2
    return (np.logaddexp.reduce(factor.sum(-2), axis=1) - np.log(len(_SHARES))).sum(-1)
