"""transformer: self-attention over frames (Vaswani et al. 2017), read out at a class token (Devlin et al. 2019)."""

import math

import torch
from torch import Tensor, nn

from poseemo_lib.errors import UsageError
from poseemo_lib.features.tensor_features import N_FEATURES
from poseemo_lib.models.layers import classification_head


class Transformer(nn.Module):
    """Projection, sinusoidal positions, class token, pre-norm encoder (Xiong et al. 2020), head on the token.

    Chosen here, because the published sizes leave it open: no ReLU after the projection's norm; positions are added to
    the frames only, not to the token; ReLU in the encoder and the head; dropout 0.1, as in Vaswani et al. The head's
    norm is the one that ends a pre-norm encoder.

    Raises
    ------
    UsageError
        `heads` does not divide `hidden`.
    """

    def __init__(
        self,
        n_classes: int,
        *,
        hidden: int = 128,
        layers: int = 2,
        heads: int = 4,
        feed_forward: int = 512,
        dropout: float = 0.1,
    ):
        super().__init__()
        if hidden % heads:
            raise UsageError(f"heads: wanted a divisor of hidden, {hidden}, got {heads}")
        self.embed = nn.Sequential(nn.Linear(N_FEATURES, hidden), nn.LayerNorm(hidden))
        self.token = nn.Parameter(0.02 * torch.randn(hidden))
        self.dropout = nn.Dropout(dropout)
        # Not nn.TransformerEncoder, whose layers would all start from the same weights.
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(hidden, heads, feed_forward, dropout, batch_first=True, norm_first=True)
            for _ in range(layers)
        )
        self.head = nn.Sequential(nn.LayerNorm(hidden), *classification_head(hidden, hidden // 2, n_classes, dropout))

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Classify windows: features (B, T, F) and mask (B, T), True for real frames -> logits (B, n_classes)."""
        x = self.embed(features)
        x = x + positions(*x.shape[1:]).to(x)
        x = self.dropout(torch.cat([self.token.expand(x.shape[0], 1, -1).to(x.dtype), x], 1))
        padding = torch.cat([mask.new_zeros(mask.shape[0], 1), ~mask], 1)
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=padding)
        return self.head(x[:, 0])


def positions(n_frames: int, n_channels: int) -> Tensor:
    """Sinusoidal positions (Vaswani et al. 2017, section 3.5), sines beside cosines: (n_frames, n_channels)."""
    n = math.ceil(n_channels / 2)
    angle = torch.arange(n_frames)[:, None] * 1e4 ** (-torch.arange(n) / n)
    return torch.cat([angle.sin(), angle.cos()], -1)[:, :n_channels]
