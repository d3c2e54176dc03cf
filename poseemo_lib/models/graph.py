"""The skeleton as a graph of matrices: neighbours, distance to the body's centre, and the split by it."""

import numpy as np
import torch
from torch import Tensor

from poseemo_lib.models.people import CONFIDENCE
from poseemo_lib.skeleton import EDGES, JOINT, N_KEYPOINTS

STREAMS = ("joint", "bone", "both")
# Where eyes and ears are not seen, the head still hangs on the shoulders.
GRAPH_EDGES = (*EDGES, (JOINT["nose"], JOINT["left_shoulder"]), (JOINT["nose"], JOINT["right_shoulder"]))
# The shoulders: positions can be given relative to their midpoint, and of all joints they are seen most often.
_CENTRE = (JOINT["left_shoulder"], JOINT["right_shoulder"])


def adjacency(edges: tuple[tuple[int, int], ...] = GRAPH_EDGES) -> np.ndarray:
    """Give the graph with self-loops, float32 (K, K), 1 where there is an edge."""
    graph = np.eye(N_KEYPOINTS, dtype=np.float32)
    for first, second in edges:
        graph[first, second] = graph[second, first] = 1
    return graph


def hops_to_centre() -> np.ndarray:
    """Give the number of edges from each joint to the nearer shoulder: int (K,)."""
    graph, hops = adjacency(), np.full(N_KEYPOINTS, -1)
    reached = np.isin(np.arange(N_KEYPOINTS), _CENTRE)
    for distance in range(N_KEYPOINTS):
        hops[(hops < 0) & reached] = distance
        reached = graph @ reached > 0
    return hops


def inner_neighbours() -> np.ndarray:
    """Say which joints hold each joint: float32 (K, K), 1 for those of its neighbours that are nearest to the centre.

    A shoulder is held by the other shoulder.
    """
    neighbours = adjacency() - np.eye(N_KEYPOINTS) > 0
    hops = np.where(neighbours, hops_to_centre(), N_KEYPOINTS)
    return (hops == hops.min(1, keepdims=True)).astype(np.float32)


def partitioned_adjacency(edges: tuple[tuple[int, int], ...] = GRAPH_EDGES) -> np.ndarray:
    """Split the graph by the neighbour's distance to the body's centre (Yan et al. 2018, spatial configuration).

    Returns
    -------
    float32 array (3, K, K)
        Entry (s, i, j) is joint j's share in what joint i hears: j is as far from the centre as i (or i itself),
        nearer, or farther. The sum over s is D^-1 (A + I): its rows sum to 1.
    """
    graph = adjacency(edges)
    graph /= graph.sum(1, keepdims=True)
    hops = hops_to_centre()
    farther = np.sign(hops[None, :] - hops[:, None])
    return np.stack([graph * (farther == sign) for sign in (0, -1, 1)])


_HOLDS = torch.from_numpy(inner_neighbours())


def streams(x: Tensor, seen: Tensor, stream: str) -> Tensor:
    """Give the joints' channels, the bones', or both.

    A bone is the difference of a joint's channels to the mean of those of its neighbours nearest to the body's centre
    that were seen, with the smaller of the two confidences; 0 where an end was not seen. In training the channels are
    standardised joint by joint before they come here, so a bone is a difference of standardised channels, not a limb's
    vector: walking changes it a little.

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
    holds = _HOLDS.to(x)
    n = seen.to(x.dtype) @ holds.T
    inner = (holds @ x) / n.clamp(min=1)[..., None]
    bones = x - inner
    bones[..., CONFIDENCE] = torch.minimum(x, inner)[..., CONFIDENCE]
    bones = torch.where((seen & (n > 0))[..., None], bones, 0.0)
    return bones if stream == "bone" else torch.cat([x, bones], -1)
