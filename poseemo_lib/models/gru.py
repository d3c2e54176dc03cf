"""gru: bidirectional gated recurrent units over frames (Cho et al. 2014, "Learning phrase representations")."""

from torch import Tensor, nn

from poseemo_lib.models.layers import build_pooling, classification_head, frame_embedding, run_recurrent


class GRU(nn.Module):
    """Projection, bidirectional GRU, pooling over time (`layers.POOLINGS`).

    `hidden` is the width of the projection and of each direction. Chosen here, because the published sizes leave it
    open: ReLU after the projection's norm; dropout after the projection, between the layers and in the head.
    """

    def __init__(
        self, n_classes: int, *, hidden: int = 128, layers: int = 2, pooling: str = "attention", dropout: float = 0.3
    ):
        super().__init__()
        self.embed = frame_embedding(hidden, dropout)
        between = dropout if layers > 1 else 0.0
        self.gru = nn.GRU(hidden, hidden, layers, batch_first=True, bidirectional=True, dropout=between)
        self.pool = build_pooling(pooling, 2 * hidden, hidden)
        self.head = classification_head(2 * hidden * self.pool.expansion, hidden, n_classes, dropout)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Classify windows: features (B, T, F) and mask (B, T), True for real frames -> logits (B, n_classes)."""
        x, _ = run_recurrent(self.gru, self.embed(features), mask)
        return self.head(self.pool(x, mask))
