"""Augmentation of keypoints, before features are derived: pure functions, then their seeded composition.

Every function takes keypoints (B, T, M, K, 3) with missing joints as NaN, NaN, 0, and one setting a clip, and returns
new keypoints. NaN plus anything is NaN, so a missing joint stays missing and never moves.
Coordinates are centred (see `preprocessing.normalise_*`), so that mirroring is x -> -x.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from poseemo_lib.skeleton import FLIP_ORDER


def flip(keypoints: Tensor, chosen: Tensor) -> Tensor:
    """Mirror the chosen clips, left joints becoming right ones.

    Parameters
    ----------
    keypoints : tensor (B, T, M, K, 3)
    chosen : bool tensor (B,)
    """
    mirrored = keypoints[..., FLIP_ORDER, :] * keypoints.new_tensor([-1.0, 1.0, 1.0])
    return torch.where(_per_clip(chosen), mirrored, keypoints)


def scale_rotate(keypoints: Tensor, factor: Tensor, angle: Tensor) -> Tensor:
    """Scale and rotate each clip about the mean of its joints.

    Parameters
    ----------
    keypoints : tensor (B, T, M, K, 3)
    factor : tensor (B,)
    angle : tensor (B,)
        Radians, clockwise in the picture (y points down).
    """
    xy = keypoints[..., :2]
    centre = _per_clip(torch.nan_to_num(xy.flatten(1, 3).nanmean(1)), ends=1)
    cos, sin = torch.cos(angle) * factor, torch.sin(angle) * factor
    matrix = torch.stack([cos, sin, -sin, cos], -1).view(-1, 1, 1, 2, 2)
    turned = ((xy - centre).flatten(2, 3) @ matrix.squeeze(1)).view_as(xy)
    return torch.cat([turned + centre, keypoints[..., 2:]], -1)


def add_noise(keypoints: Tensor, noise: Tensor) -> Tensor:
    """Add a displacement (B, T, M, K, 2) to x and y."""
    return torch.cat([keypoints[..., :2] + noise, keypoints[..., 2:]], -1)


def drop_joints(keypoints: Tensor, dropped: Tensor) -> Tensor:
    """Mark joints of a person (B, M, K) as missing through the whole window."""
    missing = keypoints.new_tensor([torch.nan, torch.nan, 0.0])
    return torch.where(dropped[:, None, :, :, None], missing, keypoints)


def swap_people(keypoints: Tensor, chosen: Tensor) -> Tensor:
    """Exchange the person slots of the chosen clips."""
    return torch.where(_per_clip(chosen), keypoints.flip(2), keypoints)


def has_everybody(keypoints: Tensor) -> Tensor:
    """Tell which clips have a seen joint of every person: (B, T, M, K, 3) -> (B,)."""
    return (keypoints[..., 2] > 0).any(3).any(1).all(1)


def _per_clip(values: Tensor, ends: int = 0) -> Tensor:
    """View (B, ...) so that it broadcasts against (B, T, M, K, C)."""
    return values.view(len(values), *[1] * (4 - ends), *values.shape[1:])


@dataclass(frozen=True)
class Augmentation:
    """How much of each; 0 leaves a step out.

    Parameters
    ----------
    flip : float
        Probability of mirroring a clip.
    scale : float
        Factor drawn from 1 - scale to 1 + scale.
    rotation : float
        Angle drawn from -rotation to rotation, degrees.
    noise : float
        Standard deviation of Gaussian noise, in normalised units.
    time_warp : float
        Speeds at the two ends of a window drawn from 1 / (1 + time_warp) to 1 + time_warp (applied while cropping).
    joint_dropout : float
        Probability that a joint is missing through the window.
    slot_swap : float
        Probability of exchanging two people. A lone person stays in the first slot, as in the dataset.
    """

    flip: float = 0.0
    scale: float = 0.0
    rotation: float = 0.0
    noise: float = 0.0
    time_warp: float = 0.0
    joint_dropout: float = 0.0
    slot_swap: float = 0.0


def augment(keypoints: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Apply the steps of `how` with settings drawn for each clip from one generator.

    Parameters
    ----------
    keypoints : tensor (B, T, M, K, 3)
    how : Augmentation
        `time_warp` is not used here: it happens while cropping (`batching.crop_positions`).
    generator : torch.Generator
        On the keypoints' device.

    Returns
    -------
    tensor (B, T, M, K, 3)
    """
    n_clips, _, n_people, n_joints, _ = keypoints.shape

    def uniform(*shape):
        return torch.rand(shape, generator=generator, device=keypoints.device)

    if how.flip:
        keypoints = flip(keypoints, uniform(n_clips) < how.flip)
    if how.scale or how.rotation:
        factor = 1 + how.scale * (2 * uniform(n_clips) - 1)
        angle = math.radians(how.rotation) * (2 * uniform(n_clips) - 1)
        keypoints = scale_rotate(keypoints, factor, angle)
    if how.noise:
        shape = (*keypoints.shape[:-1], 2)
        normal = torch.randn(shape, generator=generator, device=keypoints.device)
        keypoints = add_noise(keypoints, how.noise * normal)
    if how.joint_dropout:
        keypoints = drop_joints(keypoints, uniform(n_clips, n_people, n_joints) < how.joint_dropout)
    if how.slot_swap:
        keypoints = swap_people(keypoints, (uniform(n_clips) < how.slot_swap) & has_everybody(keypoints))
    return keypoints
