"""The people of a window for the networks that work on joints: who is there, their skeleton as a graph, pooling.

A person slot that is empty throughout a window is left out before the network runs, so that it costs and changes
nothing. In an exported graph, where shapes may not depend on values, it is kept, and changes nothing either.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse.csgraph import shortest_path
from torch import Tensor, nn
from torch.nn import functional

from poseemo_lib.features.tensor_features import CHANNEL_NAMES
from poseemo_lib.models.layers import check_choice
from poseemo_lib.skeleton import EDGES, JOINT, MAX_PEOPLE, N_KEYPOINTS

CONFIDENCE = CHANNEL_NAMES.index("confidence")
STREAMS = ("joint", "bone", "both")
# Connects the head to the shoulders where eyes and ears are not seen.
GRAPH_EDGES = (*EDGES, (JOINT["nose"], JOINT["left_shoulder"]), (JOINT["nose"], JOINT["right_shoulder"]))
# The shoulders: positions can be given relative to their midpoint, and of all joints they are seen most often.
_CENTRE = (JOINT["left_shoulder"], JOINT["right_shoulder"])


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
    if torch.compiler.is_exporting():
        clip = torch.arange(features.shape[0], device=features.device)[:, None].expand(-1, MAX_PEOPLE)
        return People(joints.flatten(0, 1), seen.flatten(0, 1), clip.flatten())
    clip, slot = seen.flatten(2).any(2).nonzero(as_tuple=True)
    return People(joints[clip, slot], seen[clip, slot], clip)


class PeoplePooling(nn.Module):
    """Mean or maximum over the people of each window; a window with nobody gets zeros."""

    def __init__(self, kind: str):
        super().__init__()
        check_choice("people", kind, ("mean", "max"))
        self.kind = kind

    def forward(self, x: Tensor, people: People, n_clips: int) -> Tensor:
        """Pool x (P, D) to (n_clips, D)."""
        there = people.seen.flatten(1).any(1)[:, None].to(x.dtype)
        n = x.new_zeros(n_clips, 1).index_add(0, people.clip, there)
        pooled = x.new_zeros(n_clips, x.shape[1])
        if self.kind == "mean":
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


def adjacency() -> np.ndarray:
    """Return the graph with self-loops, float32 (K, K), 1 where there is an edge."""
    graph = np.eye(N_KEYPOINTS, dtype=np.float32)
    for first, second in GRAPH_EDGES:
        graph[first, second] = graph[second, first] = 1
    return graph


def hops_to_centre() -> np.ndarray:
    """Count the edges from each joint to the nearer shoulder: int (K,)."""
    return shortest_path(adjacency(), unweighted=True, indices=_CENTRE).min(0).astype(int)


def inner_neighbours() -> np.ndarray:
    """Mark each joint's neighbours that are nearest to the centre (of a shoulder: the other): float32 (K, K)."""
    neighbours = adjacency() - np.eye(N_KEYPOINTS) > 0
    hops = np.where(neighbours, hops_to_centre(), N_KEYPOINTS)
    return (hops == hops.min(1, keepdims=True)).astype(np.float32)


def partitioned_adjacency() -> np.ndarray:
    """Split the graph by the neighbour's distance to the body's centre (Yan et al. 2018, spatial configuration).

    Returns
    -------
    float32 array (3, K, K)
        Entry (s, i, j) is the weight of joint j in joint i's neighbourhood; for s = 0 j is as far from the centre as i,
        for 1 nearer, for 2 farther. The sum over s is D^-1 (A + I), whose rows sum to 1.
    """
    graph = adjacency()
    graph /= graph.sum(1, keepdims=True)
    hops = hops_to_centre()
    farther = np.sign(hops[None, :] - hops[:, None])
    return np.stack([graph * (farther == sign) for sign in (0, -1, 1)])


_INNER = torch.from_numpy(inner_neighbours())


def streams(x: Tensor, seen: Tensor, stream: str) -> Tensor:
    """Return the joints' channels, the bones', or both.

    A bone is a joint's channels minus the mean of those of its seen neighbours nearest to the body's centre, with the
    smaller of the two confidences; 0 where an end was not seen. In a run the channels were standardised joint by joint
    before, so that a bone is a difference of standardised channels, not a limb's vector.

    Parameters
    ----------
    x : tensor (..., K, 7)
        0 where a joint was not seen.
    seen : bool tensor (..., K)
    stream : {"joint", "bone", "both"}

    Returns
    -------
    tensor (..., K, 7 or 14)
    """
    if stream == "joint":
        return x
    neighbours = _INNER.to(x)
    n = seen.to(x.dtype) @ neighbours.T
    inner = (neighbours @ x) / n.clamp(min=1)[..., None]
    bones = x - inner
    bones[..., CONFIDENCE] = torch.minimum(x, inner)[..., CONFIDENCE]
    bones = torch.where((seen & (n > 0))[..., None], bones, 0.0)
    return bones if stream == "bone" else torch.cat([x, bones], -1)


def patch_embedding(stream: str, patch: int, hidden: int) -> nn.Linear:
    """Make the layer that projects a joint's channels in `patch` frames, of one of :data:`STREAMS`, to `hidden`."""
    check_choice("stream", stream, STREAMS)
    return nn.Linear(len(CHANNEL_NAMES) * (2 if stream == "both" else 1) * patch, hidden)
