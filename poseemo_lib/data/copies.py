"""Changed copies of one clip: mirrored, time-warped, with drifting joints, rotated, mixed with another clip.

Everything is in pixels and float64. A copy has the frames, frame rate, picture and confidences of its source and is
rounded as its source is, so none of them distinguishes copies from originals. A joint that was not seen stays missing.
"""

import math
from dataclasses import dataclass

import numpy as np

from poseemo_lib.clips import PoseClip
from poseemo_lib.features.preparation import body_frame, fill_gaps, smooth, take_between
from poseemo_lib.skeleton import FLIP_ORDER

KINDS = ("mirror", "time_warp", "joint_noise", "rotation", "interpolation")
MOST_KINDS = 3
BEND = (0.1, 0.3)
DRIFT = (0.01, 0.03)  # torso lengths
DRIFT_SECONDS = 0.5
ANGLE = (3.0, 12.0)  # degrees
WEIGHT = (0.1, 0.3)
LEAST_KEPT = 0.95
_PARTNER_GAP = 0.2  # seconds
_MOST_DECIMALS = 3


@dataclass(frozen=True)
class Change:
    """What makes one copy; the defaults change nothing."""

    mirror: bool = False  # about the middle of the picture, left and right exchanged
    bend: float = 0.0  # -1 to 1: the speed runs from 1 - bend to 1 + bend, and the clip keeps its length
    drift: np.ndarray | None = None  # (knots, M, 17, 2): displacement of each joint in torso lengths, every half second
    angle: float = 0.0  # degrees, clockwise in the picture, about the mean of the joints
    weight: float = 0.0  # share of the partner clip, 0 to 1


def draw_change(clip: PoseClip, kinds: tuple[str, ...], rng: np.random.Generator) -> Change:
    """Draw one to three of the kinds, and how much of each.

    `mirror` is not drawn alone where there is another kind: two such copies would be equal.
    """
    count = rng.integers(1, min(MOST_KINDS, len(kinds)) + 1)
    drawn = {kinds[i] for i in rng.permutation(len(kinds))[:count]}
    if drawn == {"mirror"} and len(kinds) > 1:
        drawn.add(kinds[rng.choice([i for i, kind in enumerate(kinds) if kind != "mirror"])])
    # All are drawn in a fixed order, so that one kind more or less does not change the others.
    bend, drift, angle, weight = (rng.uniform(*limits) for limits in (BEND, DRIFT, ANGLE, WEIGHT))
    turn, speed_up = rng.choice([-1, 1], size=2)
    knots = math.ceil((clip.n_frames - 1) / clip.fps / DRIFT_SECONDS) + 1
    return Change(
        mirror="mirror" in drawn,
        bend=speed_up * bend if "time_warp" in drawn else 0.0,
        drift=drift * rng.standard_normal((knots, *clip.keypoints.shape[1:3], 2)) if "joint_noise" in drawn else None,
        angle=turn * angle if "rotation" in drawn else 0.0,
        weight=weight if "interpolation" in drawn else 0.0,
    )


def change_clip(clip: PoseClip, change: Change, partner: PoseClip | None = None) -> np.ndarray:
    """Make the keypoints (T, M, 17, 3) of a copy of a clip.

    `partner`, needed where the change has a weight, is the clip that it is mixed with, of as many people.
    """
    out = clip.keypoints.astype(np.float64)
    origin, unit = body_frame(out)
    if change.weight:
        out = interpolate(out, _as_seen_beside(partner, clip.n_frames, origin, unit), change.weight)
    if change.bend:
        out = time_warp(out, change.bend)
    if change.drift is not None:
        out[..., :2] += unit * drift_of(change.drift, clip)
    seen = out[..., 2] > 0
    if change.angle and seen.any():
        out[seen, :2] = _rotate(out[seen, :2], math.radians(change.angle))
    if change.mirror:
        out = out[:, :, FLIP_ORDER]
        out[..., 0] = clip.width - out[..., 0]
    decimals = decimals_of(clip.keypoints)
    if decimals is not None:
        out[..., :2] = np.round(out[..., :2], decimals)
    if not _outside(clip.keypoints, clip).any():
        # Its estimator saw nothing outside the picture, so nothing in the copy is outside.
        out[_outside(out, clip)] = (np.nan, np.nan, 0)
    return out.astype(np.float32)


def _outside(keypoints: np.ndarray, clip: PoseClip) -> np.ndarray:
    xy = keypoints[..., :2]
    return ((xy < 0) | (xy > (clip.width, clip.height))).any(-1)


def _rotate(points: np.ndarray, angle: float) -> np.ndarray:
    """Rotate points (N, 2) about their mean."""
    centre, cos, sin = points.mean(0), math.cos(angle), math.sin(angle)
    return (points - centre) @ np.array([[cos, sin], [-sin, cos]]) + centre


def keeps_enough(copy: np.ndarray, source: np.ndarray) -> bool:
    """Tell whether a copy shows at least 95 % of what its source shows; copies of every class must."""
    seen = (copy[..., 2] > 0).sum()
    return bool(seen > 0 and seen >= LEAST_KEPT * (source[..., 2] > 0).sum())


def decimals_of(keypoints: np.ndarray) -> int | None:
    """Count the decimals, 0 to 3, that x and y are rounded to; None where they have more."""
    xy = keypoints[..., :2][keypoints[..., 2] > 0]
    for decimals in range(_MOST_DECIMALS + 1):
        if (np.round(xy.astype(np.float64), decimals).astype(np.float32) == xy).all():
            return decimals
    return None


def _as_seen_beside(partner: PoseClip, n_frames: int, origin: np.ndarray, unit: float) -> np.ndarray:
    """Bring a partner to the place, size and number of frames of a source: (n_frames, M, 17, 3)."""
    keypoints = partner.keypoints.astype(np.float64)
    own_origin, own_unit = body_frame(keypoints)
    # Gaps that every run bridges anyway would otherwise be missing in the copy.
    placed = fill_gaps(keypoints, _PARTNER_GAP * partner.fps)
    placed[..., :2] = origin + unit * (placed[..., :2] - own_origin) / own_unit
    # Divided last: the last frame is hit exactly.
    return _take_seen(placed, np.arange(n_frames) * (partner.n_frames - 1) / max(n_frames - 1, 1))


def interpolate(keypoints: np.ndarray, other: np.ndarray, weight: float) -> np.ndarray:
    """Mix two clips (T, M, K, 3) joint by joint.

    `weight` is the share of the second. A joint that one of the two lacks is missing; confidences are the first's.
    """
    out = keypoints.copy()
    out[..., :2] += weight * (other[..., :2] - keypoints[..., :2])
    out[(keypoints[..., 2] == 0) | (other[..., 2] == 0)] = (np.nan, np.nan, 0)
    return out


def time_warp(keypoints: np.ndarray, bend: float) -> np.ndarray:
    """Let the speed change linearly from 1 - bend to 1 + bend over a clip (T, M, K, 3), which keeps its length.

    Frame k of the result is frame k - bend k (1 - k / (T - 1)) of the clip. A joint is seen where the nearest frame
    sees it, so as much is missing as before. A steady motion is exact except within half a frame of a gap or an end.
    """
    frame = np.arange(len(keypoints))
    position = frame * (1 - bend * (1 - frame / max(len(keypoints) - 1, 1)))
    # The mean of two frames has less of the estimator's jitter than either. So only the smooth path is interpolated and
    # the nearest frame's jitter is kept, or calm tracks would give away the classes that have copies.
    path = smooth(keypoints, 3)
    warped = _take_seen(path, position)
    warped[..., :2] += (keypoints - path)[np.round(position).astype(int)][..., :2]
    return warped


def _take_seen(keypoints: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Take frames (T, M, K, 3) at fractional positions (N,), each joint as far as the nearest frame sees it.

    The place is interpolated where both frames see the joint, else the nearest frame's, and so is the confidence.
    """
    between, nearest = take_between(keypoints, position), keypoints[np.round(position).astype(int)]
    nearest[..., :2] = np.where(between[..., 2:] > 0, between[..., :2], nearest[..., :2])
    return nearest


def drift_of(knots: np.ndarray, clip: PoseClip) -> np.ndarray:
    """Interpolate displacements between their knots, every half second: (knots, M, 17, 2) -> (T, M, 17, 2).

    Noise that is new in every frame would make jitter a sign of the classes that have copies.
    """
    position = np.arange(clip.n_frames) / clip.fps / DRIFT_SECONDS
    hats = np.clip(1 - np.abs(position[:, None] - np.arange(len(knots))), 0, None)
    return np.einsum("tj,jmkc->tmkc", hats, knots)
