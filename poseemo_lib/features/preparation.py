"""From raw to clean keypoints, once a clip: the steps, each a function of one array, and :func:`prepare`, all of them.

Keypoints are (T, M, K, 3), float32: x, y, confidence; missing: NaN, NaN, 0. Every step returns a new array.
"""

from typing import Literal

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from poseemo_lib.skeleton import CHANNELS, MAX_PEOPLE, N_KEYPOINTS, PARTS, median, torso_length

_MISSING = np.array([np.nan, np.nan, 0], np.float32)
_SHOULDERS = list(PARTS["shoulders"])
_TORSO = [*PARTS["shoulders"], *PARTS["hips"]]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Preparation:
    """How keypoints are cleaned, resampled and normalised before windows are cut.

    Parameters
    ----------
    min_confidence : float
        Keypoints with less confidence count as missing.
    max_gap : float
        Longest gap that is interpolated, seconds.
    smoothing : int
        Window of the moving average, frames of the original rate, odd; 0: none.
    fps : float
        Frame rate of everything that follows.
    normalisation : {"body", "frame"}
        See :func:`normalise_body` and :func:`normalise_frame`.
    positions : {"person", "scene"}
        Origin of the x and y features: see `tensor_features.to_features`.
    people : int
        1 keeps the first person only.
    """

    min_confidence: float = Field(0.1, ge=0, le=1)
    max_gap: float = Field(0.2, ge=0)
    smoothing: int = Field(0, ge=0)
    fps: float = Field(25.0, gt=0)
    normalisation: Literal["body", "frame"] = "body"
    positions: Literal["person", "scene"] = "person"
    people: int = Field(MAX_PEOPLE, ge=1, le=MAX_PEOPLE)


def prepare(keypoints: np.ndarray, fps: float, width: int, height: int, how: Preparation) -> np.ndarray:
    """Clean, resample and normalise one clip.

    Parameters
    ----------
    keypoints : array (T, 1 or 2, 17, 3)
        In pixels.
    fps : float
        Their frame rate.
    width, height : int
        Size of the picture, pixels.
    how : Preparation

    Returns
    -------
    array (T', 2, 17, 3)
        At the rate `how.fps`; an absent person is missing throughout.
    """
    slots = np.broadcast_to(_MISSING, (len(keypoints), MAX_PEOPLE, N_KEYPOINTS, len(CHANNELS))).copy()
    people = min(how.people, keypoints.shape[1])
    slots[:, :people] = keypoints[:, :people]
    clean = drop_unsure(slots, how.min_confidence)
    clean = fill_gaps(clean, how.max_gap * fps)
    clean = smooth(clean, how.smoothing)
    clean = resample(clean, fps, how.fps)
    return normalise_body(clean) if how.normalisation == "body" else normalise_frame(clean, width, height)


def drop_unsure(keypoints: np.ndarray, min_confidence: float) -> np.ndarray:
    """Mark keypoints (..., 3) with less confidence than `min_confidence` as missing."""
    out = keypoints.copy()
    out[out[..., 2] < min_confidence] = _MISSING
    return out


def fill_gaps(keypoints: np.ndarray, max_frames: float) -> np.ndarray:
    """Bridge short gaps of a joint by linear interpolation between the frames around the gap.

    Confidence is interpolated too. Gaps at the start or the end of a clip, and longer ones, stay missing.

    Parameters
    ----------
    keypoints : array (T, M, K, 3)
    max_frames : float
        Longest gap that is bridged.

    Returns
    -------
    array (T, M, K, 3)
    """
    out, frame = keypoints.copy(), np.arange(len(keypoints))[:, None, None]
    seen = keypoints[..., 2] > 0
    before = np.maximum.accumulate(np.where(seen, frame, -1))
    after = np.minimum.accumulate(np.where(seen, frame, len(keypoints))[::-1])[::-1]
    bridged = ~seen & (before >= 0) & (after < len(keypoints)) & (after - before - 1 <= max_frames)
    if bridged.any():
        t, *joint = np.nonzero(bridged)
        before, after = before[bridged], after[bridged]
        first, last = keypoints[before, *joint], keypoints[after, *joint]
        weight = ((t - before) / (after - before)).astype(keypoints.dtype)[:, None]
        out[bridged] = first + (last - first) * weight
    return out


def smooth(keypoints: np.ndarray, window: int) -> np.ndarray:
    """Centred moving average of x and y over the frames of the window in which the joint was seen.

    Parameters
    ----------
    keypoints : array (T, M, K, 3)
    window : int
        Frames, odd; 0 or 1 changes nothing.

    Returns
    -------
    array (T, M, K, 3)
        Missing joints stay missing; confidences are unchanged.
    """
    out, reach = keypoints.copy(), window // 2
    if reach == 0:
        return out
    seen = keypoints[..., 2:] > 0
    values = np.concatenate([np.where(seen, keypoints[..., :2], 0), seen], -1)
    values = np.pad(values, [(reach, reach), (0, 0), (0, 0), (0, 0)])
    total = sum(values[shift : shift + len(keypoints)] for shift in range(2 * reach + 1))
    out[..., :2] = np.where(seen, total[..., :2] / np.maximum(total[..., 2:], 1), np.nan)
    return out


def resample(keypoints: np.ndarray, fps: float, target_fps: float) -> np.ndarray:
    """Bring a clip to another frame rate by linear interpolation.

    Parameters
    ----------
    keypoints : array (T, M, K, 3)
    fps, target_fps : float

    Returns
    -------
    array (T', M, K, 3)
        floor((T - 1) * target_fps / fps) + 1 frames. A joint is missing where one of the two frames that it would be
        interpolated from lacks it.
    """
    step = fps / target_fps
    # The small number keeps a clip whose rate is the target's but for a rounding error at its full length.
    position = np.round(np.arange(int((len(keypoints) - 1) / step + 1e-6) + 1) * step, 6)
    return take_between(keypoints, np.minimum(position, len(keypoints) - 1))


def take_between(keypoints: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Take frames at fractional positions by linear interpolation.

    Parameters
    ----------
    keypoints : array (T, M, K, 3)
    position : float array (N,)
        0 to T - 1. At a whole number the frame itself is returned.

    Returns
    -------
    array (N, M, K, 3)
        Missing where one of the two frames lacks the joint.
    """
    low = position.astype(int)
    weight = (position - low).astype(keypoints.dtype)
    first, last = keypoints[low], keypoints[low + (weight > 0)]
    lost = (first[..., 2] <= 0) | (last[..., 2] <= 0)
    out = first + (last - first) * weight[:, None, None, None]
    out[..., 2][lost] = 0  # x and y of what is missing are NaN, and so is any sum with them
    return out


def normalise_frame(keypoints: np.ndarray, width: int, height: int) -> np.ndarray:
    """Divide pixels by the size of the picture and centre: x and y run from -0.5 to 0.5, as the published study did."""
    out = keypoints.copy()
    out[..., :2] = keypoints[..., :2] / np.array([width, height], keypoints.dtype) - keypoints.dtype.type(0.5)
    return out


def normalise_body(keypoints: np.ndarray) -> np.ndarray:
    """Measure a clip in torso lengths from its own median shoulder midpoint; movement through the scene is kept.

    Parameters
    ----------
    keypoints : array (T, M, K, 3)
        Pixels.

    Returns
    -------
    array (T, M, K, 3)
        About -2 to 2, y down. See :func:`body_frame`.
    """
    origin, unit = body_frame(keypoints)
    out = keypoints.copy()
    out[..., :2] = (keypoints[..., :2] - origin) / unit
    return out


def body_frame(keypoints: np.ndarray) -> tuple[np.ndarray, float]:
    """Find the origin and the unit of a clip (T, M, K, 3): pixels (2,), and pixels.

    The origin is the median midpoint of the shoulders, the unit the length of the torso (`skeleton.torso_length`).
    Without shoulders they are the median middle of the joints that were seen and half their extent. Both people share
    one origin and one unit, the means of theirs, so that their order does not matter and their distance is kept; the
    length of a torso that is out of sight, guessed from the shoulders, counts only where no torso is in sight.
    """
    xy = keypoints[..., :2]
    measured = (~np.isnan(xy[..., _TORSO, 0])).all(-1).any(0)  # (M,): whose hips and shoulders are in sight
    unit = _mean(torso_length(xy[:, measured] if measured.any() else xy))
    if np.isnan(unit):  # no shoulders
        extent = np.fmax.reduce(xy, -2) - np.fmin.reduce(xy, -2)
        unit = 0.5 * _mean(median(np.hypot(*np.moveaxis(extent, -1, 0))))
        origin = np.nan_to_num(_mean(median(_mean(xy, -2))))
    else:
        origin = _mean(median(xy[..., _SHOULDERS, :].mean(-2)))
    return origin, np.maximum(unit, keypoints.dtype.type(1e-3))


def _mean(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Mean of the numbers; NaN where there is none."""
    number = ~np.isnan(values)
    count = number.sum(axis)
    total = np.where(number, values, 0).sum(axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(values.dtype)
