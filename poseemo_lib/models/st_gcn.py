"""st_gcn: a spatio-temporal graph network on the skeleton, shared by all people.

After Yan et al. 2018 ("Spatial temporal graph convolutional networks": the graph split by the distance to the body's
centre) and Duan et al. 2022 ("PYSKL": ST-GCN++, the graph's weights refined by learning, residual branches, temporal
convolutions of several dilations and a maximum side by side). Smaller than both, and with holes: a joint that was not
seen is 0 in every layer, sends nothing to its neighbours, and counts neither in the normalisation's statistics nor in
the pooling. Padding and absent people are holes too.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from poseemo_lib.errors import UsageError
from poseemo_lib.models.people import (
    PeoplePooling,
    find_people,
    merge_frames,
    partitioned_adjacency,
    patch_embedding,
    seen_in_patch,
    streams,
)
from poseemo_lib.skeleton import N_KEYPOINTS


class STGCN(nn.Module):
    """Blocks of graph and temporal convolution, mean over seen joints and frames, pooling over people.

    The first third of the blocks has `hidden` channels, the second twice as many, the last four times; frames are
    halved where channels are doubled. `patch` frames enter as one, `stream` is the input (`people.STREAMS`), `people`
    the pooling over the people of a window (`people.PeoplePooling`); dropout is applied before the last layer.

    Raises
    ------
    UsageError
        An unknown `stream` or `people`, or a `hidden` below 4.
    """

    def __init__(
        self,
        n_classes: int,
        *,
        hidden: int = 32,
        blocks: int = 6,
        patch: int = 2,
        stream: str = "both",
        people: str = "mean",
        dropout: float = 0.3,
    ):
        super().__init__()
        if hidden < 4:
            raise UsageError(f"hidden: wanted 4 or more, a channel for each branch over time, got {hidden}")
        self.stream, self.patch = stream, patch
        widths = [hidden * 2 ** (3 * i // blocks) for i in range(blocks)]
        self.pool = PeoplePooling(people)
        self.embed = patch_embedding(stream, patch, hidden)
        # Which joint it is: convolutions over the graph alone could not tell left from right.
        self.joint = nn.Parameter(torch.zeros(N_KEYPOINTS, 1, 1, hidden))
        self.norm = SeenNorm(hidden)
        self.blocks = nn.ModuleList(
            Block(before, width) for before, width in zip([hidden, *widths], widths, strict=False)
        )
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(widths[-1], n_classes))

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Classify windows: features (B, T, F) and mask (B, T), True for real frames -> logits (B, n_classes)."""
        people = find_people(features, mask)
        # (K, P, T, C): joints first makes graph convolution one matrix product, channels last the others cheap.
        x = streams(people.joints, people.seen, self.stream).permute(2, 0, 1, 3)
        x, seen = merge_frames(x, people.seen.permute(2, 0, 1), self.patch)
        x = self.norm(self.embed(x) + self.joint, seen)
        for block in self.blocks:
            x, seen = block(x, seen)
        # Holes are 0, so the sum is that of what was seen.
        x = x.sum((0, 2)) / seen.sum((0, 2)).clamp(min=1)[:, None]
        return self.head(self.pool(x, people, features.shape[0]))


class Block(nn.Module):
    """Graph convolution, then temporal convolution, each with its residual; frames are halved where it widens."""

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.space = GraphConvolution(n_in, n_out)
        self.space_norm = SeenNorm(n_out)
        self.skip = nn.Linear(n_in, n_out) if n_in != n_out else nn.Identity()
        self.stride = 2 if n_in != n_out else 1
        self.time = TemporalConvolution(n_out, self.stride)

    def forward(self, x: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Map x (K, P, T, C_in) and seen (K, P, T) to (K, P, T', C_out) and (K, P, T')."""
        x = functional.relu(self.space_norm(self.space(x) + self.skip(x), seen))
        kept = seen_in_patch(seen, self.stride)
        return functional.relu(self.time(x, kept) + _every(x, self.stride)), kept


class GraphConvolution(nn.Module):
    """Mix the joints by each part of the graph and the channels by that part's weights, and sum over the parts.

    The graph is the skeleton's plus a learned refinement that starts at 0, so that weight decay pulls to the skeleton.
    """

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        parts = torch.from_numpy(partitioned_adjacency())
        self.register_buffer("skeleton", parts, persistent=False)
        self.refinement = nn.Parameter(torch.zeros_like(parts))
        self.weight = nn.Parameter(torch.empty(len(parts), n_in, n_out))
        nn.init.normal_(self.weight, std=(n_in * len(parts)) ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (K, ..., C_in) to (K, ..., C_out)."""
        graph = (self.skeleton + self.refinement).flatten(0, 1)
        first, *others = (graph @ x.flatten(1)).view(len(self.weight), -1, x.shape[-1]).unbind()
        out = first @ self.weight[0]
        for part, weight in zip(others, self.weight[1:], strict=True):
            out = torch.addmm(out, part, weight)
        return out.view(*x.shape[:-1], out.shape[1])


class TemporalConvolution(nn.Module):
    """Four branches over time, a quarter of the channels each, joined by a linear layer.

    Convolutions over 3 frames, over 3 frames two apart, the maximum of 3 frames, and the frame itself.
    """

    def __init__(self, n_channels: int, stride: int):
        super().__init__()
        quarter = n_channels // 4
        self.quarter, self.stride = quarter, stride
        self.near = nn.Conv2d(quarter, quarter, (3, 1), (stride, 1), (1, 0), bias=False)
        self.far = nn.Conv2d(quarter, quarter, (3, 1), (stride, 1), (2, 0), (2, 1), bias=False)
        self.branch_norm = SeenNorm(n_channels)
        self.join = nn.Linear(n_channels, n_channels)
        self.norm = SeenNorm(n_channels)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """Map x (K, P, T, C) to (K, P, T', C); seen (K, P, T') is that of the result."""
        near, far, most, same = x.split([self.quarter] * 3 + [x.shape[-1] - 3 * self.quarter], -1)
        # Non-negative values: the pooling's border of minus infinity and a hole's 0 are the same to a maximum.
        most = _over_time(most, lambda z: functional.max_pool2d(z, (3, 1), (self.stride, 1), (1, 0)))
        near, far = _over_time(near, self.near), _over_time(far, self.far)
        branches = torch.cat([near, far, most, _every(same, self.stride)], -1)
        x = functional.relu(self.branch_norm(branches, seen))
        return self.norm(self.join(x), seen)


def _over_time(x: Tensor, layer) -> Tensor:
    """Apply a 2-D layer of kernels (n, 1) to x (K, P, T, C), without moving the channels from the last place."""
    y = layer(x.flatten(0, 1)[:, :, None].permute(0, 3, 1, 2))
    return y.permute(0, 2, 3, 1)[:, :, 0].unflatten(0, x.shape[:2])


class SeenNorm(nn.BatchNorm1d):
    """Batch normalisation over seen joints (Ioffe and Szegedy 2015); holes come out as 0."""

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """Normalise x (..., C) where seen (...) is true."""
        if not self.training:
            y = super().forward(x.reshape(-1, x.shape[-1])).view(x.shape)
            return torch.where(seen[..., None], y, 0.0)
        # Selecting the seen rows is cheaper here than weighted sums, and costs nothing where all were seen.
        rows = seen.flatten().nonzero().squeeze(1)
        flat = x.reshape(-1, x.shape[-1])
        everything = len(rows) == len(flat)
        y = functional.batch_norm(
            flat if everything else flat.index_select(0, rows),
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            len(rows) > 1,  # of one row there is no variance: then the running statistics serve
            self.momentum,
            self.eps,
        )
        return (y if everything else y.new_zeros(flat.shape).index_copy(0, rows, y)).view(x.shape)


def _every(x: Tensor, stride: int) -> Tensor:
    """Give every stride-th frame of x (K, P, T, C)."""
    # A slice of everything would still cost a copy on the way back.
    return x[:, :, ::stride] if stride > 1 else x
