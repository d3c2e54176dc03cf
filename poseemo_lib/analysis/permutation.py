"""What a network's answers lose when a block of features is permuted among windows.

Windows and features are those of `attribution`; a joint that was not seen is 0.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from poseemo_lib.analysis.attribution import CHUNK, as_joints
from poseemo_lib.features.tensor_features import CHANNEL_NAMES
from poseemo_lib.skeleton import COCO_KEYPOINTS, MAX_PEOPLE
from poseemo_lib.training.evaluation import draw_units, resampling_units
from poseemo_lib.training.metrics import log_losses

N_SPANS = 8
FEATURE_TYPES = {"x": ("x",), "y": ("y",), "confidence": ("confidence",),
                 "velocity": ("vx", "vy"), "acceleration": ("ax", "ay")}  # fmt: skip


def feature_blocks(n_frames: int, n_spans: int = N_SPANS) -> list[tuple[str, str, tuple]]:
    """List the blocks of features that are permuted together.

    Parameters
    ----------
    n_frames : int
        T of a window.
    n_spans : int
        Number of equal spans of time.

    Returns
    -------
    list of (kind, name, index)
        Kind is joint, feature, person or time; the index is one into (B, T, M, K, 7).
    """
    every = slice(None)
    joints = [("joint", name, (every, every, every, k)) for k, name in enumerate(COCO_KEYPOINTS)]
    types = [
        ("feature", name, (..., [CHANNEL_NAMES.index(channel) for channel in channels]))
        for name, channels in FEATURE_TYPES.items()
    ]
    people = [("person", f"person {m + 1}", (every, every, m)) for m in range(MAX_PEOPLE)]
    edges = np.linspace(0, n_frames, n_spans + 1).round().astype(int)
    spans = [
        ("time", f"{start}-{stop}", (every, slice(start, stop)))
        for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        if stop > start
    ]
    return [*joints, *types, *people, *spans]


@dataclass(frozen=True)
class Permuted:
    """What permuting blocks of features does to the answers of one run, unit by unit (clip, or recording).

    Parameters
    ----------
    drop : array (G, U)
        Fall of the share of right answers, mean over repeats, a row a block.
    loss_increase : array (G, U)
        Rise of the negative log likelihood, nats, mean over repeats.
    label : int array (U,)
        Index of the class.
    """

    drop: np.ndarray
    loss_increase: np.ndarray
    label: np.ndarray


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
    """Give windows one block of features at a time from other windows, and score the answers (Breiman 2001).

    Every window gets the block of the next one in a random order, so that none keeps its own. Where the other window
    is shorter or lacks a joint, the block says "not seen".

    Parameters
    ----------
    model : Standardised
    features : tensor (B, T, F)
    mask : bool tensor (B, T)
    labels : int array (B,)
        Index of the class of each window.
    unit : int array (B,)
        0 to U - 1: the clip or recording of each window, over which probabilities are averaged.
    blocks : list of G
        From :func:`feature_blocks`.
    n_repeats : int
        Random orders.
    seed : int
        Of the orders.

    Returns
    -------
    Permuted
    """
    x = as_joints(model.standardise(features))
    label = np.zeros(unit.max() + 1, dtype=int)
    label[unit] = labels
    before = _probabilities(model, x, mask)
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
        after[rows.cpu().numpy()] = _probabilities(model, changed, mask[rows])
    return after


def _probabilities(model: nn.Module, x: Tensor, mask: Tensor) -> np.ndarray:
    rows = torch.arange(len(x)).split(CHUNK)
    logits = torch.cat([model.network(x[part].flatten(2), mask[part]) for part in rows])
    return logits.float().softmax(-1).cpu().numpy()


def _score(probabilities: np.ndarray, unit: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average windows (B, C) by unit; return right answers and losses (U,)."""
    total = np.zeros((len(label), probabilities.shape[1]))
    np.add.at(total, unit, probabilities)
    mean = total / np.bincount(unit)[:, None]
    return (mean.argmax(1) == label).astype(float), log_losses(label, mean)


def importance_table(
    blocks: list[tuple], parts: list[Permuted], units: pd.DataFrame, *, n_bootstrap: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Average the importance of each block, with a 95 % interval: over classes, as in balanced accuracy.

    Whole groups are drawn with replacement, the same draw for all runs, and the mean over classes is taken in each.

    Parameters
    ----------
    blocks : list of G
        From :func:`feature_blocks`.
    parts : list of Permuted
        One a run.
    units : DataFrame
        clip_id and group_id of the units of all parts, one part after the other.
    n_bootstrap, seed : int
        Of the draws.

    Returns
    -------
    DataFrame
        One row a block: kind, name; drop of balanced accuracy (a share), low, high; loss_increase (nats), loss_low,
        loss_high.
    """
    values = np.concatenate([np.concatenate([part.drop, part.loss_increase]) for part in parts], 1).T  # (N, 2 G)
    label = np.concatenate([part.label for part in parts])
    column, names = resampling_units(units)
    where = names.get_indexer(units[column])
    sums, counts = _sums_by_class(values, label, where, len(names))
    observed = _class_mean(np.ones((1, len(names))), sums, counts)[0]
    drawn = _class_mean(draw_units(len(names), n_bootstrap, seed), sums, counts)
    low, high = np.nanpercentile(drawn, [2.5, 97.5], axis=0)
    table = pd.DataFrame([block[:2] for block in blocks], columns=["kind", "name"])
    g = len(blocks)
    for name, half in (("drop", slice(0, g)), ("loss_increase", slice(g, None))):
        ends = ("low", "high") if name == "drop" else ("loss_low", "loss_high")
        table[[name, *ends]] = np.column_stack([observed[half], low[half], high[half]])
    return table


def _sums_by_class(values: np.ndarray, label: np.ndarray, where: np.ndarray, n_units: int):
    """Sum values (N, V) within classes and resampled units: (C, units, V), and their numbers (C, units, 1)."""
    n_classes = label.max() + 1
    sums, counts = np.zeros((n_classes, n_units, values.shape[1])), np.zeros((n_classes, n_units, 1))
    np.add.at(sums, (label, where), values)
    np.add.at(counts, (label, where), 1)
    return sums, counts


def _class_mean(weights: np.ndarray, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean over those classes that a draw has: weights (R, units) -> (R, V)."""
    total, n = weights @ sums, weights @ counts
    means = np.where(n > 0, total / np.maximum(n, 1), 0)
    return means.sum(0) / (n > 0).sum(0)
