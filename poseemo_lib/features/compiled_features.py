"""Windows and their features on a CPU, mostly by loops that Numba compiles; imports no torch.

They equal `batching.gather_windows`, `augmentation.augment_as` and `tensor_features.to_features`, operation by
operation (tests/features/test_features.py), in a fifth of the time. Numba compiles at the first call and keeps the
result on disk.
Windows are float32 arrays (B, T, M, K, 3): x, y, confidence; missing, and padding: NaN, NaN, 0.
"""

import math
from collections.abc import Callable

import numba
import numpy as np

from poseemo_lib.features.layout import CHANNEL_NAMES, motion_scales
from poseemo_lib.skeleton import CHANNELS, FLIP_ORDER, JOINT, MAX_PEOPLE, N_KEYPOINTS

_SHOULDERS = (JOINT["left_shoulder"], JOINT["right_shoulder"])
_ZERO, _NAN = np.float32(0), np.float32(np.nan)
_MISSING = np.array([np.nan, np.nan, 0], np.float32)


def compiled(function: Callable) -> Callable:
    """Compile a function at its first call, and keep the result on disk where that can be written.

    Without `fastmath` the order of operations is kept, and with it the numbers of the same operations on tensors.
    Skeletons are arguments, because a kept result would also keep the globals that it was compiled with.
    """
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither beside the file nor in the user's cache can anything be written
        return numba.njit(**options)(function)


def gather_windows(
    keypoints: np.ndarray, starts: np.ndarray, lengths: np.ndarray, position: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cut windows out of stacked clips by linear interpolation: windows (B, T, M, K, 3) and the mask (B, T).

    Parameters
    ----------
    keypoints : float32 array (S, M, K, 3)
        All clips stacked along time.
    starts, lengths : int64 array (B,)
        First stacked frame and number of frames of the clip of each window.
    position : float64 array (B, T)
        Frames in the clip, 0 or more, may be fractional; past the end is padding.

    Raises
    ------
    ValueError
        Other shapes, positions below 0, or clips beyond the stacked frames: the compiled loops check no bounds.
    """
    wanted = (MAX_PEOPLE, N_KEYPOINTS, len(CHANNELS))
    inside = (starts >= 0) & (lengths > 0) & (starts + lengths <= len(keypoints))
    if keypoints.shape[1:] != wanted or (position < 0).any() or not inside.all():
        raise ValueError(f"wanted windows inside keypoints (S, *{wanted}), got keypoints {keypoints.shape}")
    windows, mask = np.empty((*position.shape, *wanted), np.float32), np.empty(position.shape, bool)
    _gather(keypoints, starts, lengths, position, windows, mask)
    return windows, mask


def augment_in_place(windows: np.ndarray, draws) -> None:
    """Change windows (B, T, M, K, 3) as was drawn: see :func:`poseemo_lib.features.augmentation.augment_as`."""
    for step, settings in draws.items():
        _STEPS[step](windows, *(values.numpy() for values in settings))


def derive_features(windows: np.ndarray, fps: float, positions: str, motion_unit: str) -> np.ndarray:
    """Derive features (B, T, F) of windows: see :func:`poseemo_lib.features.tensor_features.to_features`."""
    features = np.empty((*windows.shape[:-1], len(CHANNEL_NAMES)), np.float32)
    shoulders = _SHOULDERS if positions == "person" else None
    velocity, acceleration = map(np.float32, motion_scales(fps, motion_unit))
    _derive(windows, velocity, acceleration, shoulders, features)
    return features.reshape(*windows.shape[:2], -1)


def _flip(windows: np.ndarray, chosen: np.ndarray) -> None:
    mirrored = windows[chosen].take(FLIP_ORDER, axis=3)
    mirrored[..., 0] *= -1
    windows[chosen] = mirrored


def _add_noise(windows: np.ndarray, noise: np.ndarray) -> None:
    for axis in range(2):  # both at once take ten times as long
        windows[..., axis] += noise[..., axis]


def _drop_joints(windows: np.ndarray, dropped: np.ndarray) -> None:
    clip, person, joint = np.nonzero(dropped)
    windows[clip, :, person, joint] = _MISSING


def _swap_people(windows: np.ndarray, chosen: np.ndarray) -> None:
    everybody = (windows[..., 2] > 0).any(3).any(1).all(1)
    windows[chosen & everybody] = windows[chosen & everybody, :, ::-1]


# Indices throughout: a view of an array counts references, which takes longer than the work on a row.


@compiled
def _gather(keypoints, starts, lengths, position, windows, mask):
    for b in range(position.shape[0]):
        for t in range(position.shape[1]):
            mask[b, t] = position[b, t] <= lengths[b] - 1
            at = starts[b] + position[b, t]
            low = int(math.floor(at)) if mask[b, t] else 0
            weight = np.float32(at - low)
            high = low + 1 if mask[b, t] and weight > 0 else low
            for m in range(keypoints.shape[1]):
                for k in range(keypoints.shape[2]):
                    if mask[b, t] and keypoints[low, m, k, 2] > 0 and keypoints[high, m, k, 2] > 0:
                        for c in range(3):
                            first = keypoints[low, m, k, c]
                            windows[b, t, m, k, c] = first + (keypoints[high, m, k, c] - first) * weight
                    else:
                        windows[b, t, m, k, 0] = windows[b, t, m, k, 1] = _NAN
                        windows[b, t, m, k, 2] = _ZERO


@compiled
def _scale_rotate(windows, cos, sin):
    """Scale and rotate each window about the mean of its joints."""
    n_windows, n_frames, n_people, n_joints, _ = windows.shape
    for b in range(n_windows):
        total_x, total_y, n = 0.0, 0.0, 0
        for t in range(n_frames):
            for m in range(n_people):
                for k in range(n_joints):
                    if windows[b, t, m, k, 2] > 0:
                        total_x += windows[b, t, m, k, 0]
                        total_y += windows[b, t, m, k, 1]
                        n += 1
        centre_x, centre_y = np.float32(total_x / max(n, 1)), np.float32(total_y / max(n, 1))
        for t in range(n_frames):
            for m in range(n_people):
                for k in range(n_joints):
                    x, y = windows[b, t, m, k, 0] - centre_x, windows[b, t, m, k, 1] - centre_y
                    windows[b, t, m, k, 0] = (x * cos[b] - y * sin[b]) + centre_x
                    windows[b, t, m, k, 1] = (x * sin[b] + y * cos[b]) + centre_y


_STEPS = dict(
    flip=_flip, scale_rotate=_scale_rotate, add_noise=_add_noise, drop_joints=_drop_joints, swap_people=_swap_people
)


@compiled
def _derive(windows, velocity, acceleration, shoulders, features):
    n_windows, n_frames, n_people, n_joints, _ = windows.shape
    for b in range(n_windows):
        for t in range(n_frames):
            for m in range(n_people):
                origin_x = origin_y = _ZERO
                if shoulders is not None:
                    origin_x, origin_y = _origin(windows, b, t, m, shoulders)
                for k in range(n_joints):
                    x, y = windows[b, t, m, k, 0], windows[b, t, m, k, 1]
                    vx = vy = ax = ay = _ZERO
                    if t > 0:
                        before_x, before_y = windows[b, t - 1, m, k, 0], windows[b, t - 1, m, k, 1]
                        vx, vy = (x - before_x) * velocity, (y - before_y) * velocity
                    if t > 1:
                        ax = (vx - (before_x - windows[b, t - 2, m, k, 0]) * velocity) * acceleration
                        ay = (vy - (before_y - windows[b, t - 2, m, k, 1]) * velocity) * acceleration
                    features[b, t, m, k, 0], features[b, t, m, k, 1] = x - origin_x, y - origin_y
                    features[b, t, m, k, 2] = windows[b, t, m, k, 2]
                    features[b, t, m, k, 3], features[b, t, m, k, 4] = vx, vy
                    features[b, t, m, k, 5], features[b, t, m, k, 6] = ax, ay
                    for c in range(features.shape[4]):
                        if features[b, t, m, k, c] != features[b, t, m, k, c]:  # NaN
                            features[b, t, m, k, c] = _ZERO


@compiled
def _origin(windows, b, t, m, shoulders):
    """Find the midpoint of a person's shoulders in a frame, or the mean of the seen joints; 0 if there is none."""
    left, right = shoulders
    x = (windows[b, t, m, left, 0] + windows[b, t, m, right, 0]) / 2
    y = (windows[b, t, m, left, 1] + windows[b, t, m, right, 1]) / 2
    if x == x:
        return x, y
    x, y, n = _ZERO, _ZERO, 0
    for k in range(windows.shape[3]):
        if windows[b, t, m, k, 2] > 0:
            x, y, n = x + windows[b, t, m, k, 0], y + windows[b, t, m, k, 1], n + 1
    return x / np.float32(max(n, 1)), y / np.float32(max(n, 1))
