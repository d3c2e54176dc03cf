"""Losses of a classification, one number a clip: cross-entropy and its variants against imbalance."""

import torch
from torch import Tensor
from torch.nn import functional


def classification_losses(
    logits: Tensor,
    labels: Tensor,
    *,
    loss: str = "cross_entropy",
    label_smoothing: float = 0.0,
    class_weights: Tensor | None = None,
    focal_gamma: float = 2.0,
    log_prior: Tensor | None = None,
) -> Tensor:
    """Compute the loss (B,) of every clip from logits (B, n_classes) and labels (B,) or shares (B, n_classes).

    Parameters
    ----------
    loss : {"cross_entropy", "focal", "logit_adjustment"}
        `focal`: cross-entropy times (1 - p)^gamma, p the probability of the true class (Lin et al. 2017, "Focal loss
        for dense object detection", eq. 4), so it takes no shares. `logit_adjustment`: cross-entropy of logits + log
        prior, so that the plain logits estimate the classes as if they were equally frequent (Menon et al. 2021,
        "Long-tail learning via logit adjustment", eq. 10, tau = 1).
    log_prior : tensor (n_classes,), optional
        For `logit_adjustment`: see :func:`log_class_prior`.
    """
    if loss == "logit_adjustment":
        logits = logits + log_prior
    losses = functional.cross_entropy(
        logits, labels, weight=class_weights, label_smoothing=label_smoothing, reduction="none"
    )
    if loss == "focal":
        own = logits.log_softmax(1).gather(1, labels[:, None]).squeeze(1)
        # Above 0, where the gradient would be infinite for a gamma below 1.
        losses = losses * (-torch.expm1(own)).clamp(min=1e-6) ** focal_gamma
    return losses


def log_class_prior(labels: Tensor, n_classes: int) -> Tensor:
    """Logarithm of each class's share of training labels: (N,) -> (n_classes,); a class without clips counts as one."""
    counts = torch.bincount(labels, minlength=n_classes).clamp(min=1)
    return (counts / counts.sum()).log()


def inverse_frequency_weights(labels: Tensor, n_classes: int) -> Tensor:
    """Loss weights N / (n_classes * count), 0 for a class without clips: (N,) -> (n_classes,)."""
    counts = torch.bincount(labels, minlength=n_classes).double()
    return torch.where(counts > 0, len(labels) / ((counts > 0).sum() * counts.clamp(min=1)), 0.0).float()
