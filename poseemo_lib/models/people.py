"""The people of a window, and pooling over them, for the models that work on people and joints.

A person slot that is empty throughout a window is left out before the network runs, so that it costs and changes
nothing. In an exported graph, where shapes may not depend on values, it is kept, and changes nothing either.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from poseemo_lib.features.tensor_features import CHANNEL_NAMES
from poseemo_lib.skeleton import MAX_PEOPLE, N_KEYPOINTS

CONFIDENCE = CHANNEL_NAMES.index("confidence")
PEOPLE_POOLINGS = ("mean", "max")


class People(NamedTuple):
    """The people of a batch of windows, P in all: features (P, T, K, 7), 0 where a joint was not seen.

    `seen` (P, T, K) is true where a joint was seen in a real frame; `clip` (P,) is each person's window, ascending.
    """

    joints: Tensor
    seen: Tensor
    clip: Tensor


def find_people(features: Tensor, mask: Tensor) -> People:
    """Gather the person slots of features (B, T, F) in which a joint was seen in a real frame of the mask (B, T)."""
    joints = features.unflatten(2, (MAX_PEOPLE, N_KEYPOINTS, len(CHANNEL_NAMES)))
    # (B, T, M, K)
    seen = (joints[..., CONFIDENCE] > 0) & mask[..., None, None]
    joints, seen = torch.where(seen[..., None], joints, 0.0).transpose(1, 2), seen.transpose(1, 2)
    if features.is_meta or torch.compiler.is_exporting():
        clip = torch.arange(features.shape[0], device=features.device)[:, None].expand(-1, MAX_PEOPLE)
        return People(joints.flatten(0, 1), seen.flatten(0, 1), clip.flatten())
    clip, slot = seen.flatten(2).any(2).nonzero(as_tuple=True)
    return People(joints[clip, slot], seen[clip, slot], clip)


def pool_people(x: Tensor, people: People, n_clips: int, pooling: str = "mean") -> Tensor:
    """Pool x (P, D) of the people of each window to (n_clips, D); a window with nobody gets zeros."""
    there = people.seen.flatten(1).any(1)[:, None].to(x.dtype)
    n = x.new_zeros(n_clips, 1).index_add(0, people.clip, there)
    pooled = x.new_zeros(n_clips, x.shape[1])
    if pooling == "mean":
        return pooled.index_add(0, people.clip, x * there) / n.clamp(min=1)
    lowest = x.masked_fill(there == 0, -torch.inf)
    most = pooled.scatter_reduce(0, people.clip[:, None].expand_as(x), lowest, "amax", include_self=False)
    return torch.where(n > 0, most, 0.0)


def seen_in_patch(seen: Tensor, patch: int) -> Tensor:
    """Tell for each `patch` frames whether a joint was seen in one of them: (K, P, T) -> (K, P, ceil(T / patch))."""
    return functional.pad(seen, (0, -seen.shape[-1] % patch)).unflatten(-1, (-1, patch)).any(-1)


def merge_frames(x: Tensor, seen: Tensor, patch: int) -> tuple[Tensor, Tensor]:
    """Put `patch` frames of x (K, P, T, C) and seen (K, P, T) side by side as one, missing ones 0.

    Returns (K, P, ceil(T / patch), patch * C), and whether the joint was seen in one of the frames.
    """
    x = functional.pad(x, (0, 0, 0, -x.shape[2] % patch))
    return x.unflatten(2, (-1, patch)).flatten(3), seen_in_patch(seen, patch)
