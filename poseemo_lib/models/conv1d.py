"""conv1d: three convolutions over time, averaged (Wang et al. 2017, "Time series classification from scratch")."""

from torch import Tensor, nn

from poseemo_lib.models.layers import ConvNorm, build_pooling, classification_head, frame_embedding


class Conv1d(nn.Module):
    """Projection, three convolutions of widths 1, 2 and 2 times `hidden`, mean over time.

    Chosen here, because the published sizes leave it open: ReLU and dropout after the projection, which has no norm,
    and after each convolution's batch normalisation. `kernel` counts frames and is odd.

    Raises
    ------
    UsageError
        `kernel` is even.
    """

    def __init__(
        self, n_classes: int, *, hidden: int = 128, kernel: int = 3, pooling: str = "mean", dropout: float = 0.3
    ):
        super().__init__()
        self.embed = frame_embedding(hidden, dropout, norm=False)
        widths = ((hidden, hidden), (hidden, 2 * hidden), (2 * hidden, 2 * hidden))
        self.convs = nn.ModuleList(ConvNorm(n_in, n_out, kernel) for n_in, n_out in widths)
        self.dropout = nn.Dropout(dropout)
        self.pool = build_pooling(pooling, 2 * hidden, hidden)
        self.head = classification_head(2 * hidden * self.pool.expansion, hidden, n_classes, dropout)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Classify windows: features (B, T, F) and mask (B, T), True for real frames -> logits (B, n_classes)."""
        x = self.embed(features).transpose(1, 2)
        for conv in self.convs:
            x = self.dropout(conv(x, mask).relu())
        return self.head(self.pool(x.transpose(1, 2), mask))
