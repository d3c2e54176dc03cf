"""Input standardisation that is saved with a network, the same for every architecture."""

import torch
from torch import Tensor, nn

from poseemo_lib.features.tensor_features import CHANNEL_NAMES
from poseemo_lib.skeleton import MAX_PEOPLE, N_KEYPOINTS

_CONFIDENCE = CHANNEL_NAMES.index("confidence")
_POSITIONS, _MOTIONS = slice(0, 2), slice(3, None)


class Standardised(nn.Module):
    """A network whose positions have mean 0 and whose positions and motions have standard deviation 1.

    Mean and deviation are those of `features` (B, T, F), windows of the training split: one a joint and channel, the
    same for both people. What was not seen stays 0, confidences stay as they are, and velocities and accelerations keep
    their zero; they get the standard deviation `motion`, and 0 hides them. Of windows of zeros the mean is 0 and the
    deviation 1: nothing is standardised. Where the network has more than `n_classes` outputs, the others are reserved.
    """

    def __init__(self, network: nn.Module, features: Tensor, motion: float = 1.0, n_classes: int | None = None):
        super().__init__()
        self.network, self.n_classes = network, n_classes
        mean, std = feature_moments(features)
        std[..., _MOTIONS] = std[..., _MOTIONS] / motion if motion else torch.inf
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Classify windows: features (B, T, F), mask (B, T) -> logits (B, n_classes)."""
        return self.classify(self.standardise(features), mask)

    def classify(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the logits of standardised windows.

        Training has those of reserved outputs too. Otherwise they are left out, and so the probabilities of the classes
        add up to 1.
        """
        logits = self.network(x, mask)
        return logits if self.training else logits[:, : self.n_classes]

    def standardise(self, features: Tensor) -> Tensor:
        """Standardise features (B, T, F)."""
        x = features.view(*features.shape[:2], MAX_PEOPLE, *self.mean.shape)
        seen = x[..., _CONFIDENCE, None] > 0
        return ((x - self.mean * seen) / self.std).flatten(2)


def feature_moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (K, 7) over people, frames and windows (B, T, F).

    The mean is 0 for everything but x and y; the deviation is about 0 for velocities and accelerations, and 1 for the
    confidence and for what was never seen.
    """
    # (B T M, K, C)
    x = features.reshape(-1, N_KEYPOINTS, len(CHANNEL_NAMES))
    # Positions count where the joint was seen, motions where there is one.
    counted = (x != 0) & (x[..., _CONFIDENCE, None] > 0)
    counted[..., _POSITIONS] = x[..., _CONFIDENCE, None] > 0
    n = counted.sum(0)
    mean = torch.zeros_like(x[0])
    mean[..., _POSITIONS] = ((x * counted).sum(0) / n.clamp(min=1))[..., _POSITIONS]
    std = (((x - mean).square() * counted).sum(0) / n.clamp(min=1)).sqrt()
    std[n == 0] = 1.0
    std[..., _CONFIDENCE] = 1.0
    return mean, std.clamp(min=1e-2)
