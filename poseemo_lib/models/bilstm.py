"""bilstm: a bidirectional LSTM over frames (Hochreiter and Schmidhuber 1997; Graves and Schmidhuber 2005)."""

from torch import Tensor, nn

from poseemo_lib.models.layers import build_pooling, classification_head, frame_embedding, run_recurrent


class BiLSTM(nn.Module):
    """Projection, bidirectional LSTM, pooling over time (`layers.POOLINGS`).

    `hidden` is the width of the projection and of each direction. The published small network is
    `hidden=128, layers=1`, the large one `hidden=256, layers=2`.
    """

    def __init__(
        self, n_classes: int, *, hidden: int = 128, layers: int = 1, pooling: str = "attention", dropout: float = 0.3
    ):
        super().__init__()
        self.embed = frame_embedding(hidden, dropout)
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(hidden, hidden, layers, batch_first=True, bidirectional=True, dropout=between)
        self.pool = build_pooling(pooling, 2 * hidden, hidden)
        self.head = classification_head(2 * hidden * self.pool.expansion, hidden, n_classes, dropout)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Classify windows: features (B, T, F) and mask (B, T), True for real frames -> logits (B, n_classes)."""
        x, _ = run_recurrent(self.lstm, self.embed(features), mask)
        return self.head(self.pool(x, mask))
