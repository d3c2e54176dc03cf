"""What a network's answers rest on: attention and integrated gradients. Permutation: see `permutation`.

All functions work on a `Standardised` network, windows of features (B, T, F) and their mask (B, T). A window is
(T, M, K, 7) too. Where features are changed, it is the standardised ones: a joint that was not seen is 0 there.
"""

import copy
import warnings

import torch
from torch import Tensor, nn

from poseemo_lib.features.tensor_features import CHANNEL_NAMES
from poseemo_lib.models.pooling import AttentionPooling
from poseemo_lib.skeleton import MAX_PEOPLE, N_KEYPOINTS

CHUNK = 256


def as_joints(features: Tensor) -> Tensor:
    """View features (B, T, F) as (B, T, M, K, 7)."""
    return features.unflatten(-1, (MAX_PEOPLE, N_KEYPOINTS, len(CHANNEL_NAMES)))


@torch.inference_mode()
def attention_over_time(model: nn.Module, features: Tensor, mask: Tensor) -> Tensor | None:
    """Weights with which the network averages over time.

    Attention says what is averaged, not why an answer was given (Jain and Wallace 2019, "Attention is not
    explanation"): a frame already carries what a recurrent or convolutional network gathered from others.

    Parameters
    ----------
    model : nn.Module
    features : tensor (B, T, F)
    mask : bool tensor (B, T)

    Returns
    -------
    tensor (B, T) or None
        0 on padding, sum 1. None where the network does not pool by attention.
    """
    pool = next((part for part in model.modules() if isinstance(part, AttentionPooling)), None)
    if pool is None:
        return None
    seen: list[Tensor] = []
    hook = pool.register_forward_pre_hook(lambda module, inputs: seen.append(module.weights(*inputs)))
    try:
        for rows in torch.arange(len(features)).split(CHUNK):
            model(features[rows], mask[rows])
    finally:
        hook.remove()
    return torch.cat(seen)


def class_margin(logits: Tensor) -> Tensor:
    """Logits less their mean over classes: what is left when the part that no answer depends on is taken away."""
    return logits - logits.mean(-1, keepdim=True)


def integrated_gradients(
    model: nn.Module, features: Tensor, mask: Tensor, target: Tensor, *, n_steps: int = 32, chunk: int = CHUNK
) -> Tensor:
    """Contribution of each number of a window to the margin of a class (:func:`class_margin`).

    Integrated gradients (Sundararajan et al. 2017, "Axiomatic attribution for deep networks") along the straight line
    from "nothing was seen", 0 throughout, to the standardised window. The line starts behind the standardisation,
    because that jumps where a confidence reaches 0.

    Parameters
    ----------
    model : Standardised
    features : tensor (B, T, F)
    mask : bool tensor (B, T)
    target : int tensor (B,)
        The class of each window.
    n_steps : int
        Points of the integral (Gauss-Legendre).
    chunk : int
        Windows that pass the network together; it bounds the memory.

    Returns
    -------
    tensor (B, T, M, K, 7)
        Signed. The sum over a window is its margin less that of the empty window, up to the error of the integral.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")  # of tqdm, which it imports
        from captum.attr import IntegratedGradients

    def margin(x: Tensor, frames: Tensor) -> Tensor:
        return class_margin(model.network(x, frames))

    method = IntegratedGradients(margin)
    # cuDNN cannot differentiate a recurrent network in evaluation mode.
    with torch.backends.cudnn.flags(enabled=False):
        parts = [
            method.attribute(
                model.standardise(features[rows]),
                baselines=0,
                target=target[rows],
                additional_forward_args=(mask[rows],),
                n_steps=n_steps,
                internal_batch_size=max(chunk, len(rows)),
            )
            for rows in torch.arange(len(features)).split(chunk)
        ]
    return as_joints(torch.cat(parts)).detach().float()


@torch.inference_mode()
def integral_error(
    model: nn.Module, features: Tensor, mask: Tensor, target: Tensor, contributions: Tensor
) -> tuple[float, float]:
    """Measure how far contributions are from adding up, and to what they should.

    Parameters
    ----------
    model, features, mask, target
        As in :func:`integrated_gradients`.
    contributions : tensor (B, T, M, K, 7)
        Its result.

    Returns
    -------
    error, size : float
        Means over windows: the distance of the sum from the difference of margins, and that difference's absolute.
    """
    x = model.standardise(features)
    full, empty = (class_margin(model.network(one, mask)) for one in (x, torch.zeros_like(x)))
    wanted = (full - empty).gather(1, target[:, None])[:, 0]
    return float((contributions.sum((1, 2, 3, 4)) - wanted).abs().mean()), float(wanted.abs().mean())


@torch.no_grad()
def randomised(model: nn.Module, seed: int) -> nn.Module:
    """Copy a network and draw all its parameters anew.

    An explanation that looks the same on it explains the data or the architecture, not what was learned (Adebayo et
    al. 2018, "Sanity checks for saliency maps"). Layers are drawn as before training; parameters that are no layer's,
    such as a joint's embedding, from a normal distribution with their own mean and standard deviation. The
    standardisation of the input is kept.

    Parameters
    ----------
    model : nn.Module
    seed : int

    Returns
    -------
    nn.Module
        In evaluation mode; the caller's random numbers are left as they were.
    """
    other = copy.deepcopy(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for part in other.modules():
            # Attention's has an underscore.
            reset = getattr(part, "reset_parameters", None) or getattr(part, "_reset_parameters", None)
            if reset:
                reset()
                continue
            for value in part.parameters(recurse=False):
                value.copy_(value.mean() + value.std(correction=0) * torch.randn(value.shape))
    return other.eval()
