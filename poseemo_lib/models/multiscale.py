"""multiscale: convolutions of four lengths in parallel (Szegedy et al. 2015, "Going deeper with convolutions")."""

import torch
from torch import Tensor, nn

from poseemo_lib.models.layers import MaskedBatchNorm, TemporalConv, build_pooling, classification_head, frame_embedding

# Frames, as published: 0.1 to 0.4 s at 25 frames a second.
KERNELS = (3, 5, 7, 11)


class MultiScale(nn.Module):
    """Projection, four parallel convolutions, attention pooling.

    `hidden` is the width of the projection; each convolution has half. Chosen here, because the published sizes leave
    it open: ReLU and dropout after the projection, which has no norm, and after the one batch normalisation over the
    four joined outputs.
    """

    def __init__(self, n_classes: int, *, hidden: int = 128, pooling: str = "attention", dropout: float = 0.3):
        super().__init__()
        self.embed = frame_embedding(hidden, dropout, norm=False)
        self.branches = nn.ModuleList(TemporalConv(hidden, hidden // 2, kernel) for kernel in KERNELS)
        joined = len(KERNELS) * (hidden // 2)
        self.norm = MaskedBatchNorm(joined)
        self.dropout = nn.Dropout(dropout)
        self.pool = build_pooling(pooling, joined, hidden)
        self.head = classification_head(joined * self.pool.expansion, hidden, n_classes, dropout)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Classify windows: features (B, T, F) and mask (B, T), True for real frames -> logits (B, n_classes)."""
        x = self.embed(features).transpose(1, 2)
        x = torch.cat([branch(x, mask) for branch in self.branches], 1)
        x = self.dropout(self.norm(x, mask).relu())
        return self.head(self.pool(x.transpose(1, 2), mask))
