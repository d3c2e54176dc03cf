"""Augmentation of keypoints, before features are derived: pure functions, then their seeded composition.

Every function takes keypoints (B, T, M, K, 3) with missing joints as NaN, NaN, 0, and one setting a clip, and returns
new keypoints. NaN plus anything is NaN, so a missing joint stays missing and never moves.
Coordinates are centred (see `preparation.normalise_*`), so that mirroring is x -> -x.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from poseemo_lib.skeleton import FLIP_ORDER


def flip(keypoints: Tensor, chosen: Tensor) -> Tensor:
    """Mirror the chosen clips (B,), left joints becoming right ones."""
    mirrored = keypoints[..., FLIP_ORDER, :] * keypoints.new_tensor([-1.0, 1.0, 1.0])
    return torch.where(_per_clip(chosen), mirrored, keypoints)


def scale_rotate(keypoints: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate clockwise and scale about the mean of the joints: cosine and sine (B,) of the angle, times the factor."""
    cos, sin = _per_clip(cos, ends=1), _per_clip(sin, ends=1)
    # In double precision, so that the order of the sum does not matter.
    mean = torch.nan_to_num(keypoints[..., :2].flatten(1, 3).double().nanmean(1)).to(keypoints.dtype)
    centre = _per_clip(mean, ends=1)
    x, y = (keypoints[..., :2] - centre).unbind(-1)
    turned = torch.stack([x * cos - y * sin, x * sin + y * cos], -1) + centre
    return torch.cat([turned, keypoints[..., 2:]], -1)


def add_noise(keypoints: Tensor, noise: Tensor) -> Tensor:
    """Add a displacement (B, T, M, K, 2) to x and y."""
    return torch.cat([keypoints[..., :2] + noise, keypoints[..., 2:]], -1)


def drop_joints(keypoints: Tensor, dropped: Tensor) -> Tensor:
    """Mark joints of a person (B, M, K) as missing through the whole window."""
    missing = keypoints.new_tensor([torch.nan, torch.nan, 0.0])
    return torch.where(dropped[:, None, :, :, None], missing, keypoints)


def swap_people(keypoints: Tensor, chosen: Tensor) -> Tensor:
    """Exchange the person slots of the chosen clips (B,) in which every person has a seen joint."""
    everybody = (keypoints[..., 2] > 0).any(3).any(1).all(1)
    return torch.where(_per_clip(chosen & everybody), keypoints.flip(2), keypoints)


def _per_clip(values: Tensor, ends: int = 0) -> Tensor:
    """View (B, ...) so that it broadcasts against (B, T, M, K, C), or against (B, T, M, K) with `ends` of 1."""
    return values.view(len(values), *[1] * (4 - ends), *values.shape[1:])


@dataclass(frozen=True)
class Augmentation:
    """How much of each step, as in `parameters.RunParameters`; 0 leaves it out.

    `time_warp` is applied while cropping (`batching.crop_positions`), everything else here. With `slot_swap` a lone
    person stays in the first slot, as in the dataset.
    """

    flip: float = 0.0
    scale: float = 0.0
    rotation: float = 0.0
    noise: float = 0.0
    time_warp: float = 0.0
    joint_dropout: float = 0.0
    slot_swap: float = 0.0


STEPS = dict(
    flip=flip, scale_rotate=scale_rotate, add_noise=add_noise, drop_joints=drop_joints, swap_people=swap_people
)
# Name of a step -> its settings, which were drawn for each clip of a batch; a step that is left out has none.
Draws = dict[str, tuple[Tensor, ...]]


def draw(how: Augmentation, shape: tuple[int, int, int, int], generator: torch.Generator) -> Draws:
    """Draw the settings of a batch of shape (B, T, M, K) from one generator, on its device."""
    n_clips, _, n_people, n_joints = shape

    def uniform(*shape):
        return torch.rand(shape, generator=generator, device=generator.device)

    draws = {}
    if how.flip:
        draws["flip"] = (uniform(n_clips) < how.flip,)
    if how.scale or how.rotation:
        factor = 1 + how.scale * (2 * uniform(n_clips) - 1)
        angle = math.radians(how.rotation) * (2 * uniform(n_clips) - 1)
        draws["scale_rotate"] = angle.cos() * factor, angle.sin() * factor
    if how.noise:
        noise = torch.randn((*shape, 2), generator=generator, device=generator.device)
        draws["add_noise"] = (noise.mul_(how.noise),)
    if how.joint_dropout:
        draws["drop_joints"] = (uniform(n_clips, n_people, n_joints) < how.joint_dropout,)
    if how.slot_swap:
        draws["swap_people"] = (uniform(n_clips) < how.slot_swap,)
    return draws


def augment_as(keypoints: Tensor, draws: Draws) -> Tensor:
    """Apply the steps that were drawn, in their order: (B, T, M, K, 3) -> the same."""
    for step, settings in draws.items():
        keypoints = STEPS[step](keypoints, *settings)
    return keypoints


def augment(keypoints: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Draw settings for each clip (:func:`draw`) and apply them (:func:`augment_as`): (B, T, M, K, 3) -> the same."""
    return augment_as(keypoints, draw(how, keypoints.shape[:-1], generator))
