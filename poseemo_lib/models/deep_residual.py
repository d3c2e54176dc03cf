"""deep_residual: a frame-wise residual network, pooled over time.

The published study's network. A frame is embedded, passes residual blocks (He et al. 2016a, "Deep residual learning";
pre-activation after He et al. 2016b, "Identity mappings"), and the frames are pooled by attention, mean or maximum, or,
which was not published, by mean and standard deviation. Movement enters only through the velocities and accelerations
among the features.
"""

import torch
from torch import Tensor, nn

from poseemo_lib.models.layers import build_pooling, check_choice, classification_head, frame_embedding, masked_mean


class DeepResidual(nn.Module):
    """Frame-wise residual network with blocks of one kind (:data:`BLOCKS`) and pooling over time (`layers.POOLINGS`).

    `squeeze_excitation` reweights the channels of every block by a gate computed from their mean over time (Hu et al.
    2018).
    """

    def __init__(
        self,
        n_classes: int,
        *,
        hidden: int = 256,
        blocks: int = 4,
        block: str = "standard",
        pooling: str = "attention",
        dropout: float = 0.3,
        squeeze_excitation: bool = False,
    ):
        super().__init__()
        check_choice("block", block, BLOCKS)
        self.embed = frame_embedding(hidden, dropout)
        self.blocks = nn.ModuleList(Residual(hidden, block, dropout, squeeze_excitation) for _ in range(blocks))
        self.pool = build_pooling(pooling, hidden, hidden // 2)
        self.head = classification_head(hidden * self.pool.expansion, hidden, n_classes, dropout)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Classify windows: features (B, T, F) and mask (B, T), True for real frames -> logits (B, n_classes)."""
        x = self.embed(features)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.pool(x, mask))


class Residual(nn.Module):
    """One residual block on (B, T, hidden)."""

    def __init__(self, hidden: int, kind: str, dropout: float, squeeze_excitation: bool):
        super().__init__()
        self.branch = nn.Sequential(*BLOCKS[kind](hidden, dropout))
        self.gate = SqueezeExcitation(hidden) if squeeze_excitation else None
        # A pre-activation block leaves the sum untouched; the others end in a ReLU.
        self.after = nn.Identity() if kind == "pre_activation" else nn.ReLU()

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map x (B, T, D) to (B, T, D)."""
        change = self.branch(x)
        return self.after(x + (self.gate(change, mask) if self.gate else change))


class SqueezeExcitation(nn.Module):
    """Channel gate from the mean over the real frames (Hu et al. 2018)."""

    def __init__(self, hidden: int, reduction: int = 16):
        super().__init__()
        narrow = max(hidden // reduction, 1)
        self.gate = nn.Sequential(nn.Linear(hidden, narrow), nn.ReLU(), nn.Linear(narrow, hidden))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Scale the channels of x (B, T, D)."""
        return x * torch.sigmoid(self.gate(masked_mean(x, mask)))[:, None]


def _standard(hidden: int, dropout: float) -> list[nn.Module]:
    first = [nn.Linear(hidden, hidden), *_norm_relu(hidden), nn.Dropout(dropout)]
    return [*first, nn.Linear(hidden, hidden), nn.LayerNorm(hidden)]


def _pre_activation(hidden: int, dropout: float) -> list[nn.Module]:
    first = [*_norm_relu(hidden), nn.Linear(hidden, hidden)]
    return [*first, *_norm_relu(hidden), nn.Dropout(dropout), nn.Linear(hidden, hidden)]


def _bottleneck(hidden: int, dropout: float) -> list[nn.Module]:
    narrow = hidden // 4
    first = [nn.Linear(hidden, narrow), *_norm_relu(narrow), nn.Linear(narrow, narrow), *_norm_relu(narrow)]
    return [*first, nn.Dropout(dropout), nn.Linear(narrow, hidden), nn.LayerNorm(hidden)]


def _norm_relu(width: int) -> list[nn.Module]:
    return [nn.LayerNorm(width), nn.ReLU()]


BLOCKS = {"standard": _standard, "bottleneck": _bottleneck, "pre_activation": _pre_activation}
