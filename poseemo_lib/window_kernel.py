"""Windows of stacked keypoints to features in one pass over the memory, on a processor.

It computes what `batching.gather_windows`, `augmentation.augment_as` and `features.to_features` compute one after
another, in the same order of operations, so that the numbers are theirs, bit by bit but for the mean of several joints
where a shoulder is not seen, whose sum is rounded otherwise (tests/test_window_kernel.py). As tensor
operations every number goes through memory some twenty times; here a window's keypoints stay in the cache, are read
once, and its features are written once. Numba compiles it at the first call, in seconds, and keeps the result on disk.
"""

import math

import numpy as np
import torch
from torch import Tensor

from poseemo_lib.augmentation import Draws
from poseemo_lib.compiled import compiled
from poseemo_lib.feature_layout import ACCELERATION_UNIT, N_FEATURES
from poseemo_lib.skeleton import CHANNELS, FLIP_ORDER, JOINT, MAX_PEOPLE, N_KEYPOINTS

# Given as arguments: what is compiled is kept, and would keep constants of other files.
_FLIP = np.array(FLIP_ORDER)
_SHOULDERS = np.array([JOINT["left_shoulder"], JOINT["right_shoulder"]])
_ZERO, _NAN = np.float32(0), np.float32(np.nan)


def window_features(
    keypoints: Tensor, starts: Tensor, lengths: Tensor, position: Tensor, draws: Draws, fps: float, positions: str
) -> tuple[Tensor, Tensor]:
    """Cut windows out of stacked clips, augment them and derive their features.

    Parameters
    ----------
    keypoints : float32 tensor (S, M, K, 3)
        All clips stacked along time, normalised, NaN, NaN, 0 where missing; in the processor's memory.
    starts, lengths : int64 tensor (B,)
        First stacked frame and number of frames of the clip of each window.
    position : float64 tensor (B, T)
        Frames in the clip, 0 or more, may be fractional; past the end is padding.
    draws : Draws
        How each window is augmented.
    fps : float
    positions : {"scene", "person"}
        See `features.to_features`.

    Returns
    -------
    features : float32 tensor (B, T, F)
    mask : bool tensor (B, T)
        True for real frames.
    """
    if keypoints.shape[1:] != (MAX_PEOPLE, N_KEYPOINTS, len(CHANNELS)) or (position < 0).any():
        raise ValueError(
            f"wanted keypoints (S, {MAX_PEOPLE}, {N_KEYPOINTS}, {len(CHANNELS)}) and positions of 0 or more, got "
            f"{tuple(keypoints.shape)} and {int((position < 0).sum())} positions below 0"
        )
    # Not `torch.empty`, which fills what it gives where deterministic algorithms are asked for.
    features = torch.from_numpy(np.empty((*position.shape, N_FEATURES), np.float32))
    mask = torch.from_numpy(np.empty(position.shape, bool))
    _fill(
        *(values.numpy() for values in (keypoints, starts, lengths, position)),
        **_arrays(draws),
        flip_order=_FLIP,
        shoulders=_SHOULDERS if positions == "person" else _SHOULDERS[:0],
        fps=np.float32(fps),
        acceleration=np.float32(fps / ACCELERATION_UNIT),
        features=features.numpy(),
        mask=mask.numpy(),
    )
    return features, mask


def _arrays(draws: Draws) -> dict[str, np.ndarray]:
    """Give what was drawn as arrays; a step that is left out is one without windows."""
    cos = sin = np.empty(0, np.float32)
    if draws.factor is not None:
        cos = (torch.cos(draws.angle) * draws.factor).numpy()
        sin = (torch.sin(draws.angle) * draws.factor).numpy()
    return {
        "flipped": np.empty(0, bool) if draws.flipped is None else draws.flipped.numpy(),
        "cos": cos,
        "sin": sin,
        "noise": np.empty((0, 0, 0, 0, 0), np.float32) if draws.noise is None else draws.noise.numpy(),
        "hidden": np.empty((0, 0, 0), bool) if draws.hidden is None else draws.hidden.numpy(),
        "swapped": np.empty(0, bool) if draws.swapped is None else draws.swapped.numpy(),
    }


@compiled
def _fill(
    keypoints,
    starts,
    lengths,
    position,
    flipped,
    cos,
    sin,
    noise,
    hidden,
    swapped,
    flip_order,
    shoulders,
    fps,
    acceleration,
    features,
    mask,
):
    n_frames, n_people, n_joints = position.shape[1], keypoints.shape[1], keypoints.shape[2]
    x = np.empty((n_frames, n_people, n_joints), np.float32)
    y, confidence = np.empty_like(x), np.empty_like(x)
    for b in range(len(position)):
        mask[b] = position[b] <= lengths[b] - 1
        flip = len(flipped) > 0 and flipped[b]
        _gather(keypoints, starts[b], position[b], mask[b], flip, flip_order, x, y, confidence)
        if len(cos):
            _scale_rotate(x, y, cos[b], sin[b])
        if len(noise):
            _displace(noise[b], x, y)
        if len(hidden):
            _hide(hidden[b], x, y, confidence)
        swap = len(swapped) > 0 and swapped[b] and _everybody(confidence)
        _write(x, y, confidence, swap, shoulders, fps, acceleration, features[b])


@compiled
def _gather(keypoints, start, position, mask, flip, flip_order, x, y, confidence):
    """Interpolate the frames of one window, mirrored or not; missing joints and padding become NaN, NaN, 0."""
    n_frames, n_people, n_joints = x.shape
    for t in range(n_frames):
        at = start + position[t]
        low = int(math.floor(at)) if mask[t] else 0
        weight = np.float32(at - low)
        high = low + 1 if mask[t] and weight > 0 else low
        a, b = keypoints[low], keypoints[high]
        for m in range(n_people):
            for k in range(n_joints):
                j = flip_order[k] if flip else k
                if mask[t] and a[m, j, 2] > 0 and b[m, j, 2] > 0:
                    mixed = a[m, j, 0] + (b[m, j, 0] - a[m, j, 0]) * weight
                    x[t, m, k] = -mixed if flip else mixed
                    y[t, m, k] = a[m, j, 1] + (b[m, j, 1] - a[m, j, 1]) * weight
                    confidence[t, m, k] = a[m, j, 2] + (b[m, j, 2] - a[m, j, 2]) * weight
                else:
                    x[t, m, k], y[t, m, k], confidence[t, m, k] = _NAN, _NAN, _ZERO


@compiled
def _scale_rotate(x, y, cos, sin):
    """Scale and rotate one window about the mean of its joints."""
    x, y = x.ravel(), y.ravel()
    total_x, total_y, n = 0.0, 0.0, 0
    for i in range(len(x)):
        if x[i] == x[i]:
            total_x, total_y, n = total_x + x[i], total_y + y[i], n + 1
    centre_x, centre_y = np.float32(total_x / max(n, 1)), np.float32(total_y / max(n, 1))
    for i in range(len(x)):
        dx, dy = x[i] - centre_x, y[i] - centre_y
        x[i] = (dx * cos - dy * sin) + centre_x
        y[i] = (dx * sin + dy * cos) + centre_y


@compiled
def _displace(noise, x, y):
    """Add a displacement (T, M, K, 2)."""
    noise, x, y = noise.reshape(-1, 2), x.ravel(), y.ravel()
    for i in range(len(x)):
        x[i] += noise[i, 0]
        y[i] += noise[i, 1]


@compiled
def _hide(hidden, x, y, confidence):
    """Make joints (M, K) missing through one window."""
    for m in range(hidden.shape[0]):
        for k in range(hidden.shape[1]):
            if hidden[m, k]:
                x[:, m, k], y[:, m, k], confidence[:, m, k] = _NAN, _NAN, _ZERO


@compiled
def _everybody(confidence):
    """Tell whether each person has a joint that is seen."""
    found = True
    for m in range(confidence.shape[1]):
        found &= (confidence[:, m] > 0).any()
    return found


@compiled
def _write(x, y, confidence, swap, shoulders, fps, acceleration, features):
    """Derive the features of one window and write them, missing as 0."""
    n_frames, n_people, n_joints = x.shape
    for t in range(n_frames):
        for m in range(n_people):
            origin_x, origin_y = _origin(x[t, m], y[t, m], shoulders) if len(shoulders) else (_ZERO, _ZERO)
            column = (n_people - 1 - m if swap else m) * n_joints * 7
            for k in range(n_joints):
                px, py = x[t, m, k], y[t, m, k]
                vx = vy = ax = ay = _ZERO
                if t > 0:
                    vx, vy = (px - x[t - 1, m, k]) * fps, (py - y[t - 1, m, k]) * fps
                if t > 1:
                    ax = (vx - (x[t - 1, m, k] - x[t - 2, m, k]) * fps) * acceleration
                    ay = (vy - (y[t - 1, m, k] - y[t - 2, m, k]) * fps) * acceleration
                features[t, column] = _number(px - origin_x)
                features[t, column + 1] = _number(py - origin_y)
                features[t, column + 2] = confidence[t, m, k]
                features[t, column + 3] = _number(vx)
                features[t, column + 4] = _number(vy)
                features[t, column + 5] = _number(ax)
                features[t, column + 6] = _number(ay)
                column += 7


@compiled
def _origin(x, y, shoulders):
    """Find the middle of one person's shoulders, or the mean of the joints that are seen; 0 of none."""
    left, right = shoulders
    middle_x, middle_y = (x[left] + x[right]) / 2, (y[left] + y[right]) / 2
    if middle_x == middle_x:
        return middle_x, middle_y
    total_x, total_y, n = _ZERO, _ZERO, 0
    for k in range(len(x)):
        if x[k] == x[k]:
            total_x, total_y, n = total_x + x[k], total_y + y[k], n + 1
    return total_x / np.float32(max(n, 1)), total_y / np.float32(max(n, 1))


@compiled
def _number(value):
    return value if value == value else _ZERO
