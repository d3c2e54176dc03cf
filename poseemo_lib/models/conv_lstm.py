"""conv_lstm: convolutions over time, then an LSTM over what they found.

After Donahue et al. 2015, "Long-term recurrent convolutional networks", and Ordóñez and Roggen 2016 (DeepConvLSTM), who
did it for body-worn sensors.
"""

from torch import Tensor, nn

from poseemo_lib.models.layers import ConvNorm, classification_head, frame_embedding, run_recurrent


class ConvLSTM(nn.Module):
    """Projection, convolutions, bidirectional LSTM, head on its last states.

    The last states are where the directions end: forward at the last real frame, backward at the first. `hidden` is the
    width of the projection, the convolutions and each direction; `blocks` counts the convolutions, `kernel` their
    frames (odd). Chosen here, because the published sizes leave it open: ReLU and dropout after each convolution's
    batch normalisation.

    Raises
    ------
    UsageError
        `kernel` is even.
    """

    def __init__(self, n_classes: int, *, hidden: int = 128, blocks: int = 2, kernel: int = 3, dropout: float = 0.3):
        super().__init__()
        self.embed = frame_embedding(hidden, dropout)
        self.convs = nn.ModuleList(ConvNorm(hidden, hidden, kernel) for _ in range(blocks))
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(hidden, hidden, batch_first=True, bidirectional=True)
        self.head = classification_head(2 * hidden, hidden, n_classes, dropout)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Classify windows: features (B, T, F) and mask (B, T), True for real frames -> logits (B, n_classes)."""
        x = self.embed(features).transpose(1, 2)
        for conv in self.convs:
            x = self.dropout(conv(x, mask).relu())
        return self.head(run_recurrent(self.lstm, x.transpose(1, 2), mask)[1])
