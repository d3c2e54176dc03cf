"""What a network's predictions depend on: attention, integrated gradients and permutation importance.

All functions take a `Standardised` network, windows of features (B, T, F) and their mask (B, T). Features are changed
after standardisation, where a joint that was not seen is 0.
"""

import copy
import warnings
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from poseemo_lib.features.tensor_features import CHANNEL_NAMES
from poseemo_lib.models.layers import AttentionPooling
from poseemo_lib.skeleton import COCO_KEYPOINTS, MAX_PEOPLE, N_KEYPOINTS
from poseemo_lib.training.jackknife import find_groups, leave_out, mean_interval, variance
from poseemo_lib.training.metrics import log_losses

CHUNK = 256
FEATURE_TYPES = {"x": ("x",), "y": ("y",), "confidence": ("confidence",),
                 "velocity": ("vx", "vy"), "acceleration": ("ax", "ay")}  # fmt: skip


def as_joints(features: Tensor) -> Tensor:
    """View features (B, T, F) as (B, T, M, K, 7)."""
    return features.unflatten(-1, (MAX_PEOPLE, N_KEYPOINTS, len(CHANNEL_NAMES)))


@torch.inference_mode()
def attention_over_time(model: nn.Module, features: Tensor, mask: Tensor) -> Tensor | None:
    """Weights (B, T) with which the network averages over time, 0 on padding; None if it does not pool by attention.

    They do not explain a prediction (Jain and Wallace 2019, "Attention is not explanation"): a frame already carries
    what a recurrent or convolutional network gathered from others.
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
    """Logits minus their mean over classes, on which no prediction depends."""
    return logits - logits.mean(-1, keepdim=True)


def integrated_gradients(
    model: nn.Module, features: Tensor, mask: Tensor, target: Tensor, *, n_steps: int = 32
) -> Tensor:
    """Signed contributions (B, T, M, K, 7) of each number of a window to the margin of its class `target` (B,).

    Integrated gradients (Sundararajan et al. 2017, "Axiomatic attribution for deep networks") along the straight line
    from 0 throughout, where nothing was seen, to the standardised window, at `n_steps` Gauss-Legendre points. They add
    up to the window's margin (:func:`class_margin`) minus that of the empty window, up to the error of the integral.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")  # of tqdm, which it imports
        from captum.attr import IntegratedGradients

    method = IntegratedGradients(lambda x, frames: class_margin(model.classify(x, frames)))
    # cuDNN cannot differentiate a recurrent network in evaluation mode.
    with torch.backends.cudnn.flags(enabled=False):
        parts = [
            method.attribute(
                model.standardise(features[rows]),
                baselines=0,
                target=target[rows],
                additional_forward_args=(mask[rows],),
                n_steps=n_steps,
                internal_batch_size=CHUNK,
            )
            for rows in torch.arange(len(features)).split(CHUNK)
        ]
    return as_joints(torch.cat(parts)).detach().float()


@torch.inference_mode()
def integral_error(
    model: nn.Module, features: Tensor, mask: Tensor, target: Tensor, contributions: Tensor
) -> tuple[float, float]:
    """Mean distance of summed contributions from the difference of margins, and mean size of that difference."""
    x = model.standardise(features)
    full, empty = (class_margin(model.classify(one, mask)) for one in (x, torch.zeros_like(x)))
    wanted = (full - empty).gather(1, target[:, None])[:, 0]
    return float((contributions.sum((1, 2, 3, 4)) - wanted).abs().mean()), float(wanted.abs().mean())


@torch.no_grad()
def randomised(model: nn.Module, seed: int) -> nn.Module:
    """Copy a network in evaluation mode and draw all its parameters anew, without touching the global generator.

    An explanation that looks the same on it explains the data or the architecture, not what was learned (Adebayo et al.
    2018, "Sanity checks for saliency maps"). Layers are reset as before training; other parameters, such as a joint's
    embedding, come from a normal distribution with their own mean and standard deviation. The standardisation is kept.
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


def feature_blocks(n_frames: int) -> list[tuple[str, str, tuple]]:
    """List the blocks of features that are permuted together: (kind, name, index into (B, T, M, K, 7)).

    Kinds are joint, feature, person and time (eight equal spans of frames).
    """
    every = slice(None)
    joints = [("joint", name, (every, every, every, k)) for k, name in enumerate(COCO_KEYPOINTS)]
    types = [
        ("feature", name, (..., [CHANNEL_NAMES.index(channel) for channel in channels]))
        for name, channels in FEATURE_TYPES.items()
    ]
    people = [("person", f"person {m + 1}", (every, every, m)) for m in range(MAX_PEOPLE)]
    edges = np.linspace(0, n_frames, 9).round().astype(int).tolist()
    spans = [("time", f"{a}-{b}", (every, slice(a, b))) for a, b in pairwise(edges) if b > a]
    return [*joints, *types, *people, *spans]


@dataclass(frozen=True)
class Permuted:
    """Effect of permuting G blocks of features on the predictions of one run for U clips (or recordings)."""

    drop: np.ndarray  # (G, U), fall of the share of right predictions, mean over repeats
    loss_increase: np.ndarray  # (G, U), rise of the negative log likelihood in nats, mean over repeats
    label: np.ndarray  # (U,), index of the class


@torch.inference_mode()
def permute_blocks(
    model: nn.Module,
    features: Tensor,
    mask: Tensor,
    labels: np.ndarray,
    unit: np.ndarray,
    blocks: list[tuple],
    *,
    n_repeats: int = 2,
    seed: int = 0,
) -> Permuted:
    """Permutation importance (Breiman 2001): exchange one block of features at a time between windows, and score.

    Every window gets the block of the next one in a random order, once a repeat. Where the other window is shorter or
    lacks a joint, the block says "not seen". `labels` (B,) are class indices; `unit` (B,) numbers the clip or recording
    of each window, over which probabilities are averaged; `blocks` come from :func:`feature_blocks`.
    """
    x = as_joints(model.standardise(features))
    label = np.zeros(unit.max() + 1, dtype=int)
    label[unit] = labels
    before = predict(model, x, mask)
    right, loss = _score(before, unit, label)
    drop, increase = np.zeros((2, len(blocks), len(label)))
    generator = torch.Generator().manual_seed(seed)
    for _ in range(n_repeats):
        order = torch.randperm(len(x), generator=generator)
        donor = torch.empty_like(order)
        donor[order] = order.roll(1)
        other = x[donor.to(x.device)]
        for number, (_, _, index) in enumerate(blocks):
            now_right, now_loss = _score(_exchanged(model, x, other, mask, index, before), unit, label)
            drop[number] += (right - now_right) / n_repeats
            increase[number] += (now_loss - loss) / n_repeats
    return Permuted(drop, increase, label)


def _exchanged(model: nn.Module, x: Tensor, other: Tensor, mask: Tensor, index: tuple, before: np.ndarray):
    """Probabilities (B, C) of windows with a block of others; where those are equal there, as in padding, `before`."""
    new = other[index]
    rows = (new != x[index]).flatten(1).any(1)
    after = before.copy()
    if rows.any():
        changed = x[rows]
        changed[index] = new[rows]
        after[rows.cpu().numpy()] = predict(model, changed, mask[rows])
    return after


@torch.inference_mode()
def predict(model: nn.Module, x: Tensor, mask: Tensor) -> np.ndarray:
    """Predict the probabilities (B, C) of standardised windows (B, T, M, K, 7)."""
    rows = torch.arange(len(x)).split(CHUNK)
    logits = torch.cat([model.classify(x[part].flatten(2), mask[part]) for part in rows])
    return logits.float().softmax(-1).cpu().numpy()


def _score(probabilities: np.ndarray, unit: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average windows (B, C) by unit; return whether each is right, and its loss: (U,), (U,)."""
    total = np.zeros((len(label), probabilities.shape[1]))
    np.add.at(total, unit, probabilities)
    mean = total / np.bincount(unit)[:, None]
    return (mean.argmax(1) == label).astype(float), log_losses(label, mean)


def importance_table(blocks: list[tuple], runs: list[Permuted], units: pd.DataFrame) -> pd.DataFrame:
    """Average the importance of each block over classes, as balanced accuracy does, with a 95 % interval.

    `units` has the clip_id and group_id of the units of all runs, one run after the other. One row a block: kind, name;
    drop in balanced accuracy (a share), low, high; loss_increase (nats), loss_low, loss_high.
    """
    values = np.concatenate([np.concatenate([run.drop, run.loss_increase]) for run in runs], 1).T  # (N, 2 G)
    label = np.concatenate([run.label for run in runs])
    groups = find_groups(units)
    sums, counts = (
        np.moveaxis(groups.sums(units, one, label, label.max() + 1), 1, 0) for one in (values, np.ones((len(label), 1)))
    )
    (observed,), left = leave_out(_class_mean, sums, counts)
    low, high = mean_interval(observed, variance(left), len(left) - 1)
    table = pd.DataFrame([block[:2] for block in blocks], columns=["kind", "name"])
    g = len(blocks)
    table[["drop", "low", "high"]] = np.column_stack([observed[:g], low[:g], high[:g]]).clip(-1, 1)  # shares
    table[["loss_increase", "loss_low", "loss_high"]] = np.column_stack([observed[g:], low[g:], high[g:]])
    return table


def _class_mean(total: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Mean over the classes that are left: sums (C, R, V) and counts (C, R, 1) -> (R, V)."""
    means = np.where(n > 0, total / np.maximum(n, 1), 0)
    return means.sum(0) / (n > 0).sum(0)
