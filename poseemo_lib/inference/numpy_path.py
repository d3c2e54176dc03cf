"""One window of raw keypoints -> features without torch: `batching.prepare_keypoints` and `features.to_features` again.

It serves exported networks, on machines without torch. A test holds it against the path with torch on every kind of
window. Keypoints are (T, M, K, 3), missing: NaN, NaN, 0; what a function does is said at its namesake in
`poseemo_lib.features.preparation` and `poseemo_lib.features.tensor_features`.
"""

import numpy as np

from poseemo_lib.features.layout import ACCELERATION_UNIT, N_FEATURES
from poseemo_lib.skeleton import CHANNELS, JOINT, MAX_PEOPLE, N_KEYPOINTS, TORSO_PER_SHOULDER_WIDTH

_SHOULDERS = [JOINT["left_shoulder"], JOINT["right_shoulder"]]
_HIPS = [JOINT["left_hip"], JOINT["right_hip"]]
_MISSING = np.array([np.nan, np.nan, 0], np.float32)


def window_features(
    keypoints: np.ndarray, fps: float, width: int, height: int, *, n_frames: int, preparation: dict
) -> tuple[np.ndarray, np.ndarray]:
    """Prepare one window as a clip of its own and derive the features of its first frames.

    Parameters
    ----------
    keypoints : array (T, M, 17, 3), float32
        Raw, in pixels; M = 1 or 2.
    fps : float
        Their frames per second.
    width, height : int
        Size of the picture in pixels.
    n_frames : int
        Frames of a window of the network.
    preparation : dict
        The fields of `batching.Preparation`.

    Returns
    -------
    features : array (n_frames, F), float32
        Padded frames are 0.
    mask : bool array (n_frames,)
        True for real frames.
    """
    clean, mask = prepare_window(keypoints, fps, width, height, n_frames=n_frames, preparation=preparation)
    features = np.zeros((n_frames, N_FEATURES), np.float32)
    features[mask] = to_features(clean[mask], preparation["fps"], preparation["positions"])
    return features, mask


def prepare_window(
    keypoints: np.ndarray, fps: float, width: int, height: int, *, n_frames: int, preparation: dict
) -> tuple[np.ndarray, np.ndarray]:
    """Prepare one window as a clip of its own and keep its first frames: see :func:`window_features`.

    Returns
    -------
    keypoints : array (n_frames, 2, 17, 3), float32
        Missing, and padding: NaN, NaN, 0.
    mask : bool array (n_frames,)
    """
    clean = prepare_keypoints(keypoints, fps, width, height, preparation)[:n_frames]
    window = np.broadcast_to(_MISSING, (n_frames, *clean.shape[1:])).copy()
    window[: len(clean)] = clean
    return window, np.arange(n_frames) < len(clean)


def prepare_keypoints(keypoints: np.ndarray, fps: float, width: int, height: int, preparation: dict) -> np.ndarray:
    """Clean, resample and normalise one window: (T, M, K, 3) -> (T', 2, K, 3)."""
    filled = np.broadcast_to(_MISSING, (len(keypoints), MAX_PEOPLE, N_KEYPOINTS, len(CHANNELS))).copy()
    used = min(preparation["people"], keypoints.shape[1])
    filled[:, :used] = keypoints[:, :used]
    filled[filled[..., 2] < preparation["min_confidence"]] = _MISSING
    filled = _fill_gaps(filled, preparation["max_gap"] * fps)
    filled = _smooth(filled, preparation["smoothing"])
    filled = _resample(filled, fps, preparation["fps"])
    if preparation["normalisation"] == "frame":
        filled[..., :2] = filled[..., :2] / np.array([width, height], np.float32) - np.float32(0.5)
        return filled
    return _normalise_body(filled)


def to_features(keypoints: np.ndarray, fps: float, positions: str) -> np.ndarray:
    """Derive the features of real frames: (T, M, K, 3) -> (T, F)."""
    xy, confidence = keypoints[..., :2], keypoints[..., 2:]
    velocity = _difference(xy) * np.float32(fps)
    acceleration = _difference(velocity) * np.float32(fps / ACCELERATION_UNIT)
    if positions == "person":
        left, right = (xy[..., joint, None, :] for joint in _SHOULDERS)
        centre = (left + right) / 2
        if (lost := np.isnan(centre)).any():
            centre = np.where(lost, _nanmean(xy, -2)[..., None, :], centre)
        xy = xy - centre
    features = np.concatenate([xy, confidence, velocity, acceleration], -1)
    features[np.isnan(features)] = 0
    return features.reshape(len(keypoints), -1)


def _difference(values: np.ndarray) -> np.ndarray:
    out = np.empty_like(values)
    out[:1] = np.nan
    np.subtract(values[1:], values[:-1], out=out[1:])
    return out


def _fill_gaps(keypoints: np.ndarray, most: float) -> np.ndarray:
    n_frames = len(keypoints)
    frame = np.arange(n_frames)[:, None, None]
    seen = keypoints[..., 2] > 0
    before = np.maximum.accumulate(np.where(seen, frame, -1), 0)
    after = np.minimum.accumulate(np.where(seen, frame, n_frames)[::-1], 0)[::-1]
    bridged = ~seen & (before >= 0) & (after < n_frames) & (after - before - 1 <= np.float32(most))
    if not bridged.any():
        return keypoints
    at = np.nonzero(bridged)
    a, b = (keypoints[(side[at], *at[1:])] for side in (before, after))
    weight = ((at[0] - before[at]) / (after - before)[at]).astype(np.float32)[:, None]
    filled = keypoints.copy()
    filled[at] = a + (b - a) * weight
    return filled


def _smooth(keypoints: np.ndarray, window: int) -> np.ndarray:
    if window <= 1:
        return keypoints
    seen = keypoints[..., 2:] > 0
    xy = np.where(seen, keypoints[..., :2], np.float32(0))
    total, count = np.zeros_like(xy), np.zeros_like(keypoints[..., 2:])
    for shift in range(-(window // 2), window // 2 + 1):
        frames = np.arange(max(0, -shift), min(len(xy), len(xy) - shift))  # both ends inside
        total[frames] += xy[frames + shift]
        count[frames] += seen[frames + shift]
    smoothed = keypoints.copy()
    smoothed[..., :2] = np.where(seen, total / np.maximum(count, 1), np.nan)
    return smoothed


def _resample(keypoints: np.ndarray, fps: float, target_fps: float) -> np.ndarray:
    step = fps / target_fps
    length = int(np.floor((len(keypoints) - 1) / step + 1e-6)) + 1
    position = np.minimum(np.round(np.arange(length) * step, 6), len(keypoints) - 1)
    low = np.floor(position).astype(np.intp)
    weight = (position - low).astype(np.float32)[:, None, None, None]
    high = np.where(weight[:, 0, 0, 0] > 0, low + 1, low)
    a, b = keypoints[low], keypoints[high]
    mixed = a + (b - a) * weight
    mixed[(a[..., 2] <= 0) | (b[..., 2] <= 0)] = _MISSING
    return mixed


def _normalise_body(keypoints: np.ndarray) -> np.ndarray:
    xy = keypoints[..., :2]
    shoulders, hips = xy[..., _SHOULDERS, :], xy[..., _HIPS, :]
    middle = (shoulders[..., 0, :] + shoulders[..., 1, :]) / 2
    torso = _length(middle - (hips[..., 0, :] + hips[..., 1, :]) / 2)
    unit, *origin = _person_means(np.stack([torso, middle[..., 0], middle[..., 1]]), 0.5)
    if np.isnan(unit):
        width = _length(shoulders[..., 0, :] - shoulders[..., 1, :])
        unit = np.float32(TORSO_PER_SHOULDER_WIDTH) * _person_means(width[None], 0.9)[0]
    if np.isnan(unit):
        sides = np.fmax.reduce(xy, -2) - np.fmin.reduce(xy, -2)
        unit = np.float32(0.5) * _person_means(_length(sides)[None], 0.5)[0]
    origin = np.array(origin, np.float32)
    if np.isnan(origin).any():
        otherwise = _person_means(np.moveaxis(_nanmean(xy, -2), -1, 0), 0.5)
        origin = np.where(np.isnan(origin), otherwise, origin)
    origin[np.isnan(origin)] = 0
    normal = keypoints.copy()
    # A unit of NaN, where nobody is seen, leaves NaN.
    normal[..., :2] = (xy - origin) / np.maximum(unit, np.float32(1e-3))
    return normal


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt(vectors[..., 0] ** 2 + vectors[..., 1] ** 2)


def _person_means(values: np.ndarray, quantile: float) -> np.ndarray:
    """Quantile over the frames of each person, NaN left out, then the mean of the people: (S, T, M) -> (S,)."""
    ordered = np.sort(values, 1)  # NaN last
    count = (~np.isnan(ordered)).sum(1)
    rank = np.round(np.maximum(count - 1, 0).astype(np.float32) * np.float32(quantile)).astype(np.intp)
    signal, person = np.ogrid[: len(values), : values.shape[2]]
    return _nanmean(ordered[signal, rank, person], -1)


def _nanmean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean of the numbers; NaN where there is none."""
    there = ~np.isnan(values)
    total, count = np.where(there, values, np.float32(0)).sum(axis), there.sum(axis)
    return np.where(count > 0, total / np.maximum(count, 1).astype(np.float32), np.float32(np.nan))
