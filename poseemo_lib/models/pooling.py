"""Pooling over time that never looks at padding."""

import torch
from torch import Tensor, nn

from poseemo_lib.models.layers import check_choice


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over the real frames: x (B, T, D), mask (B, T) -> (B, D)."""
    weights = mask.to(x.dtype)[..., None]
    return (x * weights).sum(1) / weights.sum(1).clamp(min=1)


def masked_max(x: Tensor, mask: Tensor) -> Tensor:
    """Maximum over the real frames: x (B, T, D), mask (B, T) -> (B, D)."""
    return x.masked_fill(~mask[..., None], -torch.inf).amax(1)


def masked_mean_std(x: Tensor, mask: Tensor) -> Tensor:
    """Mean beside standard deviation over the real frames (statistics pooling, Snyder et al. 2018): -> (B, 2 D)."""
    mean = masked_mean(x, mask)
    variance = masked_mean((x - mean[:, None]).square(), mask)
    # The small number keeps the root's gradient finite where a channel does not move.
    return torch.cat([mean, (variance + 1e-5).sqrt()], -1)


class PlainPooling(nn.Module):
    """One of the functions above as a module."""

    def __init__(self, name: str):
        super().__init__()
        self.pool = {"mean": masked_mean, "max": masked_max, "mean_std": masked_mean_std}[name]
        self.expansion = 2 if name == "mean_std" else 1

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool x (B, T, D) under mask (B, T) to (B, D), or to (B, 2 D)."""
        return self.pool(x, mask)


class AttentionPooling(nn.Module):
    """Mean over time with learned weights (Bahdanau et al. 2015, additive attention without a query)."""

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
    check_choice("pooling", name, POOLINGS)
    return AttentionPooling(n_channels, n_hidden) if name == "attention" else PlainPooling(name)
