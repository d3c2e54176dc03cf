"""Changed copies of one clip: mirrored, time-warped, with drifting joints, rotated, mixed with another clip.

Everything is in pixels and float64, a batch of copies of one clip at once. A copy has the frames, frame rate, picture
and confidences of its source and is rounded as its source is, so that none of them tells copies from originals.
A joint that was not seen stays so: it never moves and is never invented.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from poseemo_lib.clips import PoseClip
from poseemo_lib.features.augmentation import add_noise, flip, scale_rotate
from poseemo_lib.features.preparation import body_frame, fill_gaps, smooth, take_between

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
    """What makes one copy; the defaults change nothing.

    Parameters
    ----------
    mirror : bool
        About the middle of the picture, left and right exchanged.
    bend : float
        -1 to 1 without the ends; the speed runs from 1 - bend to 1 + bend, and the clip keeps its length.
    drift : array (knots, M, 17, 2) or None
        Displacement of each joint in torso lengths, every half second.
    angle : float
        Degrees, clockwise in the picture, about the mean of the joints.
    weight : float
        Share of the partner clip, 0 to 1.
    """

    mirror: bool = False
    bend: float = 0.0
    drift: np.ndarray | None = None
    angle: float = 0.0
    weight: float = 0.0


def draw_change(clip: PoseClip, kinds: tuple[str, ...], rng: np.random.Generator) -> Change:
    """Draw one to three of the kinds, and how much of each.

    Parameters
    ----------
    clip : PoseClip
        The source, whose shape the drift has.
    kinds : tuple of str
        At least one of :data:`KINDS`. `mirror` is not drawn alone where there is another: two copies would be equal.
    rng : numpy.random.Generator

    Returns
    -------
    Change
    """
    count = rng.integers(1, min(MOST_KINDS, len(kinds)) + 1)
    drawn = {kinds[i] for i in rng.permutation(len(kinds))[:count]}
    if drawn == {"mirror"} and len(kinds) > 1:
        drawn.add(kinds[rng.choice([i for i, kind in enumerate(kinds) if kind != "mirror"])])
    # All are drawn in a fixed order, so that a kind more or less does not change what the others are.
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


def change_clip(clip: PoseClip, changes: list[Change], partners: list[PoseClip | None]) -> np.ndarray:
    """Make copies of a clip.

    Parameters
    ----------
    clip : PoseClip
    changes : list of B Change
    partners : list of B PoseClip or None
        The clip that a copy is mixed with, of as many people; None where its weight is 0.

    Returns
    -------
    array (B, T, M, 17, 3), float32
        Pixels and confidence, NaN, NaN, 0 where not seen.
    """
    source = torch.from_numpy(clip.keypoints).double()
    keypoints = source.expand(len(changes), *source.shape)
    origin, unit = body_frame(source.numpy())
    if any(change.weight for change in changes):
        others = [
            _as_seen_beside(partner, clip.n_frames, origin, unit) if change.weight else source
            for partner, change in zip(partners, changes, strict=True)
        ]
        keypoints = interpolate(keypoints, torch.stack(others), _column(changes, "weight"))
    keypoints = time_warp(keypoints, _column(changes, "bend"))
    if any(change.drift is not None for change in changes):
        still = np.zeros((2, *source.shape[1:3], 2))
        drift = torch.stack([drift_of(still if c.drift is None else c.drift, clip) for c in changes])
        keypoints = add_noise(keypoints, float(unit) * drift)
    angle = torch.deg2rad(_column(changes, "angle"))
    turned = scale_rotate(keypoints, torch.ones_like(angle), angle)
    keypoints = torch.where((angle != 0).view(-1, 1, 1, 1, 1), turned, keypoints)
    # The middle of the picture is zero for the mirror.
    middle = keypoints.new_tensor([clip.width / 2, 0.0, 0.0])
    mirror = torch.tensor([change.mirror for change in changes])
    mirrored = flip(keypoints - middle, mirror) + middle
    keypoints = torch.where(mirror.view(-1, 1, 1, 1, 1), mirrored, keypoints).numpy()
    decimals = decimals_of(clip.keypoints)
    if decimals is not None:
        keypoints = np.concatenate([np.round(keypoints[..., :2], decimals), keypoints[..., 2:]], axis=-1)
    if not _outside(clip.keypoints, clip).any():
        # Its estimator saw nothing outside the picture, and so there is nothing outside in the copy.
        keypoints = np.where(_outside(keypoints, clip)[..., None], (np.nan, np.nan, 0), keypoints)
    return keypoints.astype(np.float32)


def _outside(keypoints: np.ndarray, clip: PoseClip) -> np.ndarray:
    xy = keypoints[..., :2]
    return ((xy < 0) | (xy > (clip.width, clip.height))).any(-1)


def _column(changes: list[Change], name: str) -> Tensor:
    return torch.tensor([getattr(change, name) for change in changes], dtype=torch.float64)


def keeps_enough(copy: np.ndarray, source: np.ndarray) -> bool:
    """Tell whether a copy shows at least 95 % of what its source shows: the test that copies of every class pass."""
    seen = (copy[..., 2] > 0).sum()
    return bool(seen > 0 and seen >= LEAST_KEPT * (source[..., 2] > 0).sum())


def decimals_of(keypoints: np.ndarray) -> int | None:
    """Count the decimals, 0 to 3, that x and y are rounded to; None where they have more."""
    xy = keypoints[..., :2][keypoints[..., 2] > 0]
    for decimals in range(_MOST_DECIMALS + 1):
        if (np.round(xy.astype(np.float64), decimals).astype(np.float32) == xy).all():
            return decimals
    return None


def _as_seen_beside(partner: PoseClip, n_frames: int, origin: np.ndarray, unit: float) -> Tensor:
    """Bring a partner to the place, size and number of frames of a source: (n_frames, M, K, 3)."""
    keypoints = partner.keypoints.astype(np.float64)
    own_origin, own_unit = body_frame(keypoints)
    # Gaps that every run bridges anyway would otherwise be missing in the copy.
    placed = fill_gaps(keypoints, _PARTNER_GAP * partner.fps)
    placed[..., :2] = origin + unit * (placed[..., :2] - own_origin) / own_unit
    # Divided last: the last frame is hit exactly.
    position = np.arange(n_frames) * (partner.n_frames - 1) / max(n_frames - 1, 1)
    return torch.from_numpy(_take_seen(placed, position))


def interpolate(keypoints: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    """Mix clips joint by joint; a joint that one of the two lacks is missing, confidences are the first's.

    Parameters
    ----------
    keypoints, other : tensor (B, T, M, K, 3)
    weight : tensor (B,)
        Share of `other`; 0 leaves a clip as it is.

    Returns
    -------
    tensor (B, T, M, K, 3)
    """
    weight = weight.view(-1, 1, 1, 1, 1)
    xy = keypoints[..., :2] + weight * (other[..., :2] - keypoints[..., :2])
    both = (keypoints[..., 2:] > 0) & (other[..., 2:] > 0)
    missing = keypoints.new_tensor([torch.nan, torch.nan, 0.0])
    mixed = torch.where(both, torch.cat([xy, keypoints[..., 2:]], -1), missing)
    return torch.where(weight > 0, mixed, keypoints)


def time_warp(keypoints: Tensor, bend: Tensor) -> Tensor:
    """Let the speed change linearly from 1 - bend to 1 + bend over a clip, which keeps its length.

    Frame k of the result is frame k - bend k (1 - k / (T - 1)) of the clip. The nearest frame's jitter, its distance
    from the mean of three frames, is kept; so a steady motion ends exact but for half a frame beside a gap or an end.

    Parameters
    ----------
    keypoints : tensor (B, T, M, K, 3)
    bend : tensor (B,)
        More than -1 and less than 1.

    Returns
    -------
    tensor (B, T, M, K, 3)
        A joint is seen where the nearest frame of the clip sees it, so that as much is missing as before.
    """
    n_frames = keypoints.shape[1]
    share = np.arange(n_frames) / max(n_frames - 1, 1)
    warped = [
        _warp(clip, np.arange(n_frames) * (1 - b * (1 - share))) if b else clip
        for clip, b in zip(keypoints.numpy(), bend.tolist(), strict=True)
    ]
    return torch.from_numpy(np.stack(warped))


def _warp(keypoints: np.ndarray, position: np.ndarray) -> np.ndarray:
    # The mean of two frames has less of the estimator's jitter than either: only the path is interpolated, and the rest
    # is that of the nearest frame, or calm would be a sign of the classes that have copies.
    path = smooth(keypoints, 3)
    jitter = (keypoints - path)[np.round(position).astype(int)]
    warped = _take_seen(path, position)
    warped[..., :2] += jitter[..., :2]
    return warped


def _take_seen(keypoints: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Take frames (T, M, K, 3) at fractional positions (N,), each joint as far as the nearest frame sees it.

    The place is interpolated where both frames see the joint, else the nearest frame's, and so is the confidence.
    """
    between, nearest = take_between(keypoints, position), keypoints[np.round(position).astype(int)]
    nearest[..., :2] = np.where(between[..., 2:] > 0, between[..., :2], nearest[..., :2])
    return nearest


def drift_of(knots: np.ndarray, clip: PoseClip) -> Tensor:
    """Interpolate displacements between their knots, every half second: (knots, M, 17, 2) -> (T, M, 17, 2).

    Noise that is new in every frame would make jitter a sign of the classes that have copies.
    """
    position = torch.arange(clip.n_frames, dtype=torch.float64) / clip.fps / DRIFT_SECONDS
    hats = (1 - (position[:, None] - torch.arange(len(knots))).abs()).clamp(min=0)
    return torch.einsum("tj,jmkc->tmkc", hats, torch.from_numpy(knots))
