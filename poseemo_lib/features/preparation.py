"""From raw to clean keypoints, once a clip: :func:`prepare`, and its steps, each a function of one array.

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
    """How keypoints are cleaned, resampled and normalised; the names and units are those of `RunParameters`.

    `max_gap` is in seconds, `smoothing` in frames of the original rate. `positions` is the origin of the x and y
    features and `motion_unit` the unit of velocities and accelerations (`tensor_features.to_features`).
    """

    min_confidence: float = Field(0.1, ge=0, le=1)
    max_gap: float = Field(0.2, ge=0)
    smoothing: int = Field(0, ge=0)
    fps: float = Field(25.0, gt=0)
    normalisation: Literal["body", "frame"] = "body"
    positions: Literal["person", "scene"] = "person"
    motion_unit: Literal["second", "frame"] = "second"
    people: int = Field(MAX_PEOPLE, ge=1, le=MAX_PEOPLE)


def prepare(keypoints: np.ndarray, fps: float, width: int, height: int, how: Preparation) -> np.ndarray:
    """Clean, resample and normalise one clip: keypoints (T, 1 or 2, 17, 3) in pixels -> (T', 2, 17, 3) at `how.fps`.

    `fps` is the clip's own frame rate, `width` and `height` the size of its picture in pixels. An absent person is
    missing throughout.
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
    """Interpolate x, y and confidence linearly over gaps of a joint of `max_frames` frames or less.

    Longer gaps, and gaps at the start or the end of a clip, stay missing.
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
    """Centred moving average of x and y over the frames of the window (odd; 0: none) in which the joint was seen.

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
    """Bring a clip to another frame rate by linear interpolation: floor((T - 1) * target_fps / fps) + 1 frames.

    A joint is missing where one of the two frames that it would be interpolated from lacks it.
    """
    step = fps / target_fps
    # The small number keeps the full length of a clip whose rate differs from the target by a rounding error.
    position = np.round(np.arange(int((len(keypoints) - 1) / step + 1e-6) + 1) * step, 6)
    return take_between(keypoints, np.minimum(position, len(keypoints) - 1))


def take_between(keypoints: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Interpolate keypoints (T, M, K, 3) linearly at positions (N,) from 0 to T - 1: (N, M, K, 3).

    A joint is missing where one of the two frames lacks it; at a whole number the frame itself is returned.
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
    """Express pixels in torso lengths from the clip's own median shoulder midpoint (:func:`body_frame`), y down.

    Values are about -2 to 2. Movement through the scene is kept.
    """
    origin, unit = body_frame(keypoints)
    out = keypoints.copy()
    out[..., :2] = (keypoints[..., :2] - origin) / unit
    return out


def body_frame(keypoints: np.ndarray) -> tuple[np.ndarray, float]:
    """Find the origin and the unit of a clip (T, M, K, 3): pixels (2,), and pixels.

    The origin is the median midpoint of the shoulders, the unit the length of the torso (`skeleton.torso_length`);
    without shoulders, the median centre of the seen joints and half their extent. Two people share the means of their
    origins and units, so that their order does not matter and their distance is kept. A torso length that was estimated
    from the shoulders counts only where no whole torso is seen.
    """
    xy = keypoints[..., :2]
    measured = (~np.isnan(xy[..., _TORSO, 0])).all(-1).any(0)  # (M,): whose hips and shoulders are seen
    unit = _mean(torso_length(xy[:, measured] if measured.any() else xy))
    if np.isnan(unit):  # no shoulders
        extent = np.fmax.reduce(xy, -2) - np.fmin.reduce(xy, -2)
        unit = 0.5 * _mean(median(np.hypot(*np.moveaxis(extent, -1, 0))))
        origin = np.nan_to_num(_mean(median(_mean(xy, -2))))
    else:
        origin = _mean(median(xy[..., _SHOULDERS, :].mean(-2)))
    return origin, np.maximum(unit, keypoints.dtype.type(1e-3))


def _mean(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Mean without the missing values; NaN where there is no other."""
    number = ~np.isnan(values)
    count = number.sum(axis)
    total = np.where(number, values, 0).sum(axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(values.dtype)
