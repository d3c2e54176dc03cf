"""PoseClip, one labelled sequence of keypoints of one or two people, and its validation.

A keypoint that was not seen has x = y = NaN and confidence 0. Nothing is filled in at this level.
"""

from dataclasses import dataclass, replace
from numbers import Integral, Real

import numpy as np

from poseemo_lib.errors import ClipError
from poseemo_lib.skeleton import CHANNELS, MAX_PEOPLE, N_KEYPOINTS

EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
SPLITS = ("train", "val", "test")
ORIGINS = ("real", "synthetic", "augmented")


@dataclass(frozen=True)
class PoseClip:
    """One clip."""

    clip_id: str  # unique in its dataset
    label: str  # one of the dataset's classes
    keypoints: np.ndarray  # (T, M, 17, 3), float32: x and y in pixels (origin top left, y down), confidence in 0..1
    fps: float
    width: int  # of the picture, pixels
    height: int
    source_id: str  # the recording that the clip was cut from
    group_id: str  # what must not be in two splits: show, scene, actor
    split: str | None = None  # the official split, train, val or test, where there is one
    origin: str = "real"  # or synthetic, augmented
    augmented_from: str | None = None  # clip_id of the clip that this one is a changed copy of

    @property
    def n_frames(self) -> int:
        """Number of frames, T."""
        return self.keypoints.shape[0]

    @property
    def n_people(self) -> int:
        """Number of person slots, M."""
        return self.keypoints.shape[1]

    def with_(self, **changes) -> "PoseClip":
        """Return a copy with some fields changed."""
        return replace(self, **changes)


def mark_missing(keypoints: np.ndarray) -> np.ndarray:
    """Give every keypoint (..., 3) that was not seen its one form: x = y = NaN, confidence 0; as float32.

    A keypoint counts as not seen where x, y or confidence is not finite, or the confidence is 0 or less.
    Confidences above 1, which some estimators give, become 1.
    """
    out = np.array(keypoints, dtype=np.float32)
    missing = ~np.isfinite(out).all(-1) | (out[..., 2] <= 0)
    out[..., :2][missing] = np.nan
    out[..., 2] = np.where(missing, 0, np.minimum(out[..., 2], 1))
    return out


def clip_faults(clip: PoseClip, classes: tuple[str, ...] | None = None, synthetic: bool = True) -> list[str]:
    """List everything that is wrong with a clip, each as "wanted ..., got ...".

    Without `classes` any label is fine; `synthetic`: the clip may be synthetic.
    """
    faults = [
        f"{name}: wanted a text that is not empty, got {getattr(clip, name)!r}"
        for name in ("clip_id", "source_id", "group_id")
        if not _is_text(getattr(clip, name))
    ]
    if not _is_text(clip.label) or (classes is not None and clip.label not in classes):
        faults.append(f"label: wanted {'one of ' + ', '.join(classes) if classes else 'a text'}, got {clip.label!r}")
    if clip.split is not None and clip.split not in SPLITS:
        faults.append(f"split: wanted train, val, test or none, got {clip.split!r}")
    if clip.origin == "synthetic" and not synthetic:
        faults.append("origin: wanted no synthetic clip in a dataset with synthetic false, got one")
    return faults + _origin_faults(clip) + _picture_faults(clip) + _keypoint_faults(clip.keypoints)


def _is_text(value) -> bool:
    """Tell whether a value is a text that is not empty and that UTF-8 can encode (some file names cannot)."""
    try:
        return isinstance(value, str) and len(value.encode()) > 0
    except UnicodeEncodeError:
        return False


def _origin_faults(clip: PoseClip) -> list[str]:
    if clip.origin not in ORIGINS:
        return [f"origin: wanted one of {', '.join(ORIGINS)}, got {clip.origin!r}"]
    named = _is_text(clip.augmented_from) and clip.augmented_from != clip.clip_id
    if named if clip.origin == "augmented" else clip.augmented_from is None:
        return []
    wanted = "augmented_from: wanted the source clip's id with origin augmented and none otherwise"
    return [f"{wanted}, got {clip.augmented_from!r} with origin {clip.origin!r}"]


def _picture_faults(clip: PoseClip) -> list[str]:
    faults = []
    if not (isinstance(clip.fps, Real) and 1 <= clip.fps <= 1000):
        faults.append(f"fps: wanted 1 to 1000, got {clip.fps!r}")
    for name in ("width", "height"):
        value = getattr(clip, name)
        if not (isinstance(value, Integral) and 1 <= value <= 100_000):
            faults.append(f"{name}: wanted a whole number of pixels, 1 to 100000, got {value!r}")
    return faults


def _keypoint_faults(keypoints: np.ndarray) -> list[str]:
    if not isinstance(keypoints, np.ndarray):
        return [f"keypoints: wanted an array, got {type(keypoints).__name__}"]
    wanted = f"(frames, 1 to {MAX_PEOPLE} people, {N_KEYPOINTS} joints, {len(CHANNELS)} channels)"
    if keypoints.ndim != 4 or keypoints.shape[2:] != (N_KEYPOINTS, len(CHANNELS)):
        return [f"keypoints: wanted the shape {wanted}, got {keypoints.shape}"]
    if keypoints.shape[0] == 0:
        return ["keypoints: wanted at least one frame, got zero frames"]
    if not 1 <= keypoints.shape[1] <= MAX_PEOPLE:
        return [f"keypoints: wanted 1 to {MAX_PEOPLE} people, got {keypoints.shape[1]}"]
    if keypoints.dtype != np.float32:
        return [f"keypoints: wanted float32, got {keypoints.dtype}"]
    faults = []
    x, y, confidence = keypoints[..., 0], keypoints[..., 1], keypoints[..., 2]
    seen = np.isfinite(x) & np.isfinite(y)
    # NaN compares false, so that a confidence of NaN is caught here too.
    if not ((confidence >= 0) & (confidence <= 1)).all():
        low, high = np.nanmin(confidence, initial=0), np.nanmax(confidence, initial=0)
        faults.append(f"confidence: wanted 0 to 1, got {low:g} to {high:g} with {np.isnan(confidence).sum()} NaN")
    elif (seen != (confidence > 0)).any() or (~seen & ~(np.isnan(x) & np.isnan(y))).any():
        faults.append(
            "keypoints: wanted x = y = NaN exactly where confidence is 0 (see clips.mark_missing), "
            f"got {int((seen != (confidence > 0)).sum())} joints that differ"
        )
    if not seen.any():
        faults.append("keypoints: wanted at least one joint seen in one frame, got NaN everywhere")
    return faults


def check_clip(
    clip: PoseClip, classes: tuple[str, ...] | None = None, where: str = "", synthetic: bool = True
) -> PoseClip:
    """Return the clip, or raise a ClipError with every fault that it has; `where` is the file that it came from."""
    if faults := clip_faults(clip, classes, synthetic):
        place = f"{where}: " if where else ""
        raise ClipError(f"{place}clip {clip.clip_id!r}: " + "; ".join(faults))
    return clip
