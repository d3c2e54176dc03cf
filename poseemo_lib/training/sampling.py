"""Which clips an epoch sees, in which order."""

import torch
from torch import Tensor


def class_counts(labels: Tensor, n_classes: int) -> Tensor:
    """Count the clips of each class: (N,) -> (n_classes,)."""
    return torch.bincount(labels, minlength=n_classes)


def epoch_order(labels: Tensor, n_classes: int, sampler: str, generator: torch.Generator) -> Tensor:
    """Draw the order of one epoch.

    Parameters
    ----------
    labels : int tensor (N,)
        Labels of the training clips.
    n_classes : int
    sampler : {"uniform", "balanced"}
        `uniform`: every clip once. `balanced`: N draws with replacement, each class equally likely, as published.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    int tensor (N,)
        Positions in `labels`.
    """
    if sampler == "uniform":
        return torch.randperm(len(labels), generator=generator)
    weights = 1.0 / class_counts(labels, n_classes).double()[labels]
    return torch.multinomial(weights, len(labels), replacement=True, generator=generator)


def inverse_frequency_weights(labels: Tensor, n_classes: int) -> Tensor:
    """Loss weights N / (n_classes * count), 0 for a class without clips: (N,) -> (n_classes,)."""
    counts = class_counts(labels, n_classes).double()
    present = counts > 0
    weights = torch.where(present, len(labels) / (present.sum() * counts.clamp(min=1)), 0.0)
    return weights.float()
