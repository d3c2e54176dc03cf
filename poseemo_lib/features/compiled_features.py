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

from poseemo_lib.features.augmentation import Draws
from poseemo_lib.features.compiled import compiled
from poseemo_lib.features.layout import ACCELERATION_UNIT, CHANNEL_NAMES
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

    Raises
    ------
    ValueError
        Other shapes, positions below 0, or clips beyond the stacked frames, whose memory would be read.
    """
    if keypoints.shape[1:] != (MAX_PEOPLE, N_KEYPOINTS, len(CHANNELS)) or (position < 0).any():
        raise ValueError(
            f"wanted keypoints (S, {MAX_PEOPLE}, {N_KEYPOINTS}, {len(CHANNELS)}) and positions of 0 or more, got "
            f"{tuple(keypoints.shape)} and {int((position < 0).sum())} positions below 0"
        )
    if not ((starts >= 0) & (lengths > 0) & (starts + lengths <= len(keypoints))).all():
        raise ValueError(f"wanted clips inside the {len(keypoints)} stacked frames, got starts or lengths beyond them")
    # Not `torch.empty`, which fills what it gives where deterministic algorithms are asked for.
    features = torch.from_numpy(np.empty((*position.shape, MAX_PEOPLE, N_KEYPOINTS, len(CHANNEL_NAMES)), np.float32))
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
    return features.flatten(2), mask


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
    # Indices all the way: a view of an array counts references, which takes longer than the work on a row.
    n_frames, n_people, n_joints = position.shape[1], keypoints.shape[1], keypoints.shape[2]
    x = np.empty((n_frames, n_people, n_joints), np.float32)
    y, confidence = np.empty_like(x), np.empty_like(x)
    for b in range(len(position)):
        flip = len(flipped) > 0 and flipped[b]
        _gather(keypoints, starts, lengths, position, b, flip, flip_order, x, y, confidence, mask)
        if len(cos):
            _scale_rotate(x, y, cos[b], sin[b])
        if len(noise):
            _displace(noise, b, x, y)
        if len(hidden):
            _hide(hidden, b, x, y, confidence)
        swap = len(swapped) > 0 and swapped[b] and _everybody(confidence)
        _write(x, y, confidence, swap, shoulders, fps, acceleration, features, b)


@compiled
def _gather(keypoints, starts, lengths, position, b, flip, flip_order, x, y, confidence, mask):
    """Interpolate the frames of one window, mirrored or not; missing joints and padding become NaN, NaN, 0."""
    n_frames, n_people, n_joints = x.shape
    for t in range(n_frames):
        real = position[b, t] <= lengths[b] - 1
        mask[b, t] = real
        at = starts[b] + position[b, t]
        low = int(math.floor(at)) if real else 0
        weight = np.float32(at - low)
        high = low + 1 if real and weight > 0 else low
        for m in range(n_people):
            for k in range(n_joints):
                j = flip_order[k] if flip else k
                seen_low, seen_high = keypoints[low, m, j, 2], keypoints[high, m, j, 2]
                if real and seen_low > 0 and seen_high > 0:
                    x_low, y_low = keypoints[low, m, j, 0], keypoints[low, m, j, 1]
                    mixed = x_low + (keypoints[high, m, j, 0] - x_low) * weight
                    x[t, m, k] = -mixed if flip else mixed
                    y[t, m, k] = y_low + (keypoints[high, m, j, 1] - y_low) * weight
                    confidence[t, m, k] = seen_low + (seen_high - seen_low) * weight
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
def _displace(noise, b, x, y):
    """Add the displacements (B, T, M, K, 2) of window `b`."""
    n_frames, n_people, n_joints = x.shape
    for t in range(n_frames):
        for m in range(n_people):
            for k in range(n_joints):
                x[t, m, k] += noise[b, t, m, k, 0]
                y[t, m, k] += noise[b, t, m, k, 1]


@compiled
def _hide(hidden, b, x, y, confidence):
    """Make joints (B, M, K) missing through window `b`."""
    for m in range(hidden.shape[1]):
        for k in range(hidden.shape[2]):
            if hidden[b, m, k]:
                x[:, m, k], y[:, m, k], confidence[:, m, k] = _NAN, _NAN, _ZERO


@compiled
def _everybody(confidence):
    """Tell whether each person has a joint that is seen."""
    found = True
    for m in range(confidence.shape[1]):
        found &= (confidence[:, m] > 0).any()
    return found


@compiled
def _write(x, y, confidence, swap, shoulders, fps, acceleration, features, b):
    """Derive the features (B, T, M, K, 7) of window `b` and write them, missing as 0."""
    n_frames, n_people, n_joints = x.shape
    for t in range(n_frames):
        for m in range(n_people):
            origin_x, origin_y = _origin(x, y, t, m, shoulders) if len(shoulders) else (_ZERO, _ZERO)
            slot = n_people - 1 - m if swap else m
            for k in range(n_joints):
                px, py = x[t, m, k], y[t, m, k]
                vx = vy = ax = ay = _ZERO
                if t > 0:
                    vx, vy = (px - x[t - 1, m, k]) * fps, (py - y[t - 1, m, k]) * fps
                if t > 1:
                    ax = (vx - (x[t - 1, m, k] - x[t - 2, m, k]) * fps) * acceleration
                    ay = (vy - (y[t - 1, m, k] - y[t - 2, m, k]) * fps) * acceleration
                features[b, t, slot, k, 0] = _number(px - origin_x)
                features[b, t, slot, k, 1] = _number(py - origin_y)
                features[b, t, slot, k, 2] = confidence[t, m, k]
                features[b, t, slot, k, 3] = _number(vx)
                features[b, t, slot, k, 4] = _number(vy)
                features[b, t, slot, k, 5] = _number(ax)
                features[b, t, slot, k, 6] = _number(ay)


@compiled
def _origin(x, y, t, m, shoulders):
    """Find the middle of a person's shoulders in a frame, or the mean of the joints that are seen; 0 of none."""
    left, right = shoulders[0], shoulders[1]
    middle_x, middle_y = (x[t, m, left] + x[t, m, right]) / 2, (y[t, m, left] + y[t, m, right]) / 2
    if middle_x == middle_x:
        return middle_x, middle_y
    total_x, total_y, n = _ZERO, _ZERO, 0
    for k in range(x.shape[2]):
        if x[t, m, k] == x[t, m, k]:
            total_x, total_y, n = total_x + x[t, m, k], total_y + y[t, m, k], n + 1
    return total_x / np.float32(max(n, 1)), total_y / np.float32(max(n, 1))


@compiled
def _number(value):
    return value if value == value else _ZERO
