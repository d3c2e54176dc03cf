"""Pooling over time that never looks at padding."""

import torch
from torch import Tensor, nn

from poseemo_lib.errors import UsageError


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over the real frames: x (B, T, D), mask (B, T) -> (B, D)."""
    weights = mask.to(x.dtype)[..., None]
    return (x * weights).sum(1) / weights.sum(1).clamp(min=1)


def masked_max(x: Tensor, mask: Tensor) -> Tensor:
    """Maximum over the real frames: x (B, T, D), mask (B, T) -> (B, D)."""
    return x.masked_fill(~mask[..., None], -torch.inf).amax(1)


class MeanPooling(nn.Module):
    """:func:`masked_mean` as a module."""

    expansion = 1

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool x (B, T, D) under mask (B, T) to (B, D)."""
        return masked_mean(x, mask)


class MaxPooling(nn.Module):
    """:func:`masked_max` as a module."""

    expansion = 1

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool x (B, T, D) under mask (B, T) to (B, D)."""
        return masked_max(x, mask)


class MeanStdPooling(nn.Module):
    """Mean and standard deviation over the real frames (statistics pooling, Snyder et al. 2018, "X-vectors")."""

    expansion = 2

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool x (B, T, D) under mask (B, T) to (B, 2 D)."""
        mean = masked_mean(x, mask)
        variance = masked_mean((x - mean[:, None]).square(), mask)
        # The small number keeps the root's gradient finite where a channel does not move.
        return torch.cat([mean, (variance + 1e-5).sqrt()], -1)


class AttentionPooling(nn.Module):
    """Mean over time with learned weights (Bahdanau et al. 2015, additive attention without a query).

    Parameters
    ----------
    n_channels : int
        D of the input.
    n_hidden : int
        Width of the scoring layer.
    """

    expansion = 1

    def __init__(self, n_channels: int, n_hidden: int):
        super().__init__()
        # No bias on the score: the softmax cancels it.
        self.score = nn.Sequential(nn.Linear(n_channels, n_hidden), nn.Tanh(), nn.Linear(n_hidden, 1, bias=False))

    def weights(self, x: Tensor, mask: Tensor) -> Tensor:
        """Attention over time: x (B, T, D), mask (B, T) -> (B, T), 0 on padding, sum 1."""
        return self.score(x).squeeze(-1).masked_fill(~mask, -torch.inf).softmax(1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool x (B, T, D) under mask (B, T) to (B, D)."""
        return (self.weights(x, mask)[:, None] @ x).squeeze(1)


POOLINGS = ("attention", "mean", "max", "mean_std")


def build_pooling(name: str, n_channels: int, n_hidden: int) -> nn.Module:
    """Make a pooling of frames of `n_channels`, with `n_hidden` units in attention's scoring layer.

    Its attribute `expansion` says how much wider the result is than a frame. An unknown name raises a UsageError.
    """
    if name not in POOLINGS:
        raise UsageError(f"pooling: wanted one of {', '.join(POOLINGS)}, got {name!r}")
    if name == "attention":
        return AttentionPooling(n_channels, n_hidden)
    return {"mean": MeanPooling, "max": MaxPooling, "mean_std": MeanStdPooling}[name]()
