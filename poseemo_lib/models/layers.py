"""What most of the models begin and end with."""

from torch import nn


def frame_embedding(n_features: int, hidden: int, dropout: float, *, norm: bool = True) -> nn.Sequential:
    """Project every frame: (B, T, n_features) -> (B, T, hidden)."""
    norms = [nn.LayerNorm(hidden)] if norm else []
    return nn.Sequential(nn.Linear(n_features, hidden), *norms, nn.ReLU(), nn.Dropout(dropout))


def classification_head(n_inputs: int, hidden: int, n_classes: int, dropout: float) -> nn.Sequential:
    """Classify a window by two layers: (B, n_inputs) -> logits (B, n_classes)."""
    return nn.Sequential(nn.Linear(n_inputs, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, n_classes))
