"""tcn_bilstm: dilated convolutions, a bidirectional LSTM and self-attention, one after another.

Temporal convolutional network after Bai et al. 2018 (here both sides of a frame are seen, and batch normalisation
stands in for weight normalisation), LSTM after Graves and Schmidhuber 2005, attention after Vaswani et al. 2017.
"""

import torch
from torch import Tensor, nn

from poseemo_lib.errors import UsageError
from poseemo_lib.models.layers import (
    AttentionPooling,
    ConvNorm,
    classification_head,
    frame_embedding,
    masked_max,
    run_recurrent,
)


class TcnBiLSTM(nn.Module):
    """Projection, residual convolutions of growing dilation, BiLSTM, self-attention, attention joined with maximum.

    Chosen here, because the published sizes leave it open: dilation doubles from block to block; the LSTM's norm
    follows it without a shortcut, the self-attention's norm follows the sum with its input; attention pooling and the
    maximum over frames are concatenated, so that the head's input is twice the width. Each direction of the LSTM has
    half of `hidden`; `kernel` counts frames and is odd.

    Raises
    ------
    UsageError
        `hidden` is odd, `heads` does not divide it, or `kernel` is even.
    """

    def __init__(
        self,
        n_classes: int,
        *,
        hidden: int = 128,
        blocks: int = 3,
        kernel: int = 3,
        heads: int = 8,
        dropout: float = 0.3,
    ):
        super().__init__()
        if hidden % 2 or hidden % heads:
            raise UsageError(f"hidden: wanted an even number that heads, {heads}, divides, got {hidden}")
        self.embed = frame_embedding(hidden, dropout)
        self.blocks = nn.ModuleList(TemporalBlock(hidden, kernel, 2**i, dropout) for i in range(blocks))
        self.lstm = nn.LSTM(hidden, hidden // 2, batch_first=True, bidirectional=True)
        self.lstm_norm = nn.LayerNorm(hidden)
        self.attention = nn.MultiheadAttention(hidden, heads, dropout, batch_first=True)
        self.attention_norm = nn.LayerNorm(hidden)
        self.pool = AttentionPooling(hidden, hidden // 4)
        first = [nn.Linear(2 * hidden, hidden), nn.ReLU(), nn.Dropout(dropout)]
        self.head = nn.Sequential(*first, *classification_head(hidden, hidden // 2, n_classes, dropout))

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Classify windows: features (B, T, F) and mask (B, T), True for real frames -> logits (B, n_classes)."""
        x = self.embed(features).transpose(1, 2)
        for block in self.blocks:
            x = block(x, mask)
        x = self.lstm_norm(run_recurrent(self.lstm, x.transpose(1, 2), mask)[0])
        attended, _ = self.attention(x, x, x, key_padding_mask=~mask, need_weights=False)
        x = self.attention_norm(x + attended)
        return self.head(torch.cat([self.pool(x, mask), masked_max(x, mask)], -1))


class TemporalBlock(nn.Module):
    """Two dilated convolutions with batch normalisation, added to their input."""

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float):
        super().__init__()
        self.first = ConvNorm(width, width, kernel, dilation)
        self.second = ConvNorm(width, width, kernel, dilation)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map x (B, D, T) under mask (B, T) to (B, D, T)."""
        change = self.dropout(self.first(x, mask).relu())
        return (x + self.dropout(self.second(change, mask))).relu()
