"""The skeleton as a graph of matrices: neighbours, distance to the body's centre, and the split by it."""

import numpy as np
import torch
from torch import Tensor

from poseemo_lib.models.people import CONFIDENCE
from poseemo_lib.skeleton import EDGES, JOINT, N_KEYPOINTS

STREAMS = ("joint", "bone", "both")
# Connects the head to the shoulders where eyes and ears are not seen.
GRAPH_EDGES = (*EDGES, (JOINT["nose"], JOINT["left_shoulder"]), (JOINT["nose"], JOINT["right_shoulder"]))
# The shoulders: positions can be given relative to their midpoint, and of all joints they are seen most often.
_CENTRE = (JOINT["left_shoulder"], JOINT["right_shoulder"])


def adjacency() -> np.ndarray:
    """Return the graph with self-loops, float32 (K, K), 1 where there is an edge."""
    graph = np.eye(N_KEYPOINTS, dtype=np.float32)
    for first, second in GRAPH_EDGES:
        graph[first, second] = graph[second, first] = 1
    return graph


def hops_to_centre() -> np.ndarray:
    """Count the edges from each joint to the nearer shoulder: int (K,)."""
    graph, hops = adjacency(), np.full(N_KEYPOINTS, -1)
    reached = np.isin(np.arange(N_KEYPOINTS), _CENTRE)
    for distance in range(N_KEYPOINTS):
        hops[(hops < 0) & reached] = distance
        reached = graph @ reached > 0
    return hops


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
