"""Fit one model: the training loop, its checkpoint, and prediction. It reads and writes no file but the checkpoint."""

import copy
import ctypes
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from poseemo_lib.errors import TrainingError
from poseemo_lib.features.augmentation import Augmentation
from poseemo_lib.files import replacing
from poseemo_lib.training.batching import PreparedClips, evaluation_batch, evaluation_windows, training_batch
from poseemo_lib.training.losses import classification_losses, inverse_frequency_weights, log_class_prior
from poseemo_lib.training.metrics import confusion_counts, scores_from_confusion
from poseemo_lib.training.parameters import RunParameters, settings_from

EVALUATION_BATCH = 256


@dataclass
class Progress:
    """What a checkpoint holds besides the weights and the optimizer."""

    epoch: int = 0
    resumed_at: int = 0  # epochs that were there before this attempt
    best_epoch: int = 0
    best_score: float = -math.inf
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)


def epoch_seed(seed: int, epoch: int, purpose: int) -> int:
    """Seed of one kind of draw in an epoch: 0 dropout, 1 the order of clips, 2 crops and augmentation.

    Nothing else is random, so that a resumed run continues as one that was never stopped.
    """
    return int(np.random.SeedSequence([seed, epoch, purpose]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def learning_rate(step: int, steps_an_epoch: int, settings: RunParameters) -> float:
    """Linear warm-up, then half a cosine to zero (Loshchilov and Hutter 2017, without restarts)."""
    warmup = settings.warmup_epochs * steps_an_epoch
    total = settings.epochs * steps_an_epoch
    if step < warmup:
        return settings.lr * (step + 1) / (warmup + 1)
    share = (step - warmup) / max(total - warmup, 1)
    return settings.lr * 0.5 * (1 + math.cos(math.pi * share))


def make_optimizer(model: nn.Module, settings: RunParameters) -> torch.optim.Optimizer:
    """Make AdamW (Loshchilov and Hutter 2019) in its fused form."""
    return torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay, fused=True)


@cache
def keep_memory() -> None:
    """Have glibc keep freed blocks for the next step instead of returning them: 2 to 6 % of a step."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    # <malloc.h>: M_MMAP_THRESHOLD, then M_TRIM_THRESHOLD; an older glibc refuses the first and stays as it was.
    if hasattr(library, "mallopt") and library.mallopt(-3, 2**30):
        library.mallopt(-1, 2**31 - 1)


def epoch_order(labels: Tensor, sampler: str, generator: torch.Generator) -> Tensor:
    """Draw the order of one epoch: positions in the training labels (N,) -> (N,).

    `uniform`: every clip once. `balanced`: N draws with replacement, each class equally likely, as published.
    """
    if sampler == "uniform":
        return torch.randperm(len(labels), generator=generator)
    weights = 1.0 / torch.bincount(labels).double()[labels]
    return torch.multinomial(weights, len(labels), replacement=True, generator=generator)


def fit(
    model: nn.Module,
    data: PreparedClips,
    train: Tensor,
    val: Tensor,
    n_classes: int,
    settings: RunParameters,
    *,
    targets: Tensor | None = None,
    checkpoint: Path | None = None,
    identity: str = "",
    report: Callable[[dict], None] | None = None,
) -> Progress:
    """Train a model and keep the averaged weights of the epoch with the best validation macro-F1, or of the last one.

    Parameters
    ----------
    model : nn.Module
        On the device of `data`. At the end it holds the chosen weights.
    train, val : int tensor (N,)
        Indices of the training and validation clips.
    targets : tensor (N, n_classes), optional
        Shares of the classes that the loss of each clip of `data` is of, in place of its label.
    checkpoint : Path, optional
        Written after each epoch; where it exists and has the same `identity`, training continues from it.
    report : callable, optional
        Called with the history's row after each epoch.

    Raises
    ------
    TrainingError
        The loss was not finite.
    """
    keep_memory()
    optimizer = make_optimizer(model, settings)
    average = copy.deepcopy(model)
    state = {"model": model, "average": average, "optimizer": optimizer}
    progress = _load_checkpoint(checkpoint, identity, state, data.keypoints.device) or Progress()
    progress.resumed_at = progress.epoch
    labels = data.labels[train]
    targets = data.labels if targets is None else targets
    losses = partial(
        classification_losses,
        loss=settings.loss,
        label_smoothing=settings.label_smoothing,
        class_weights=_class_weights(labels, settings.n_outputs or n_classes, settings.class_weights),
        focal_gamma=settings.focal_gamma,
        log_prior=log_class_prior(labels, settings.n_outputs or n_classes),
    )
    while progress.epoch < settings.epochs:
        if progress.best_epoch and 0 < settings.patience <= progress.epoch - progress.best_epoch:
            break
        started = time.perf_counter()
        row = _train_epoch(model, average, optimizer, data, targets, train, progress.epoch, losses, settings)
        row |= validate(average, data, val, n_classes, settings)
        progress.epoch += 1
        row = {"epoch": progress.epoch, **row, "seconds": time.perf_counter() - started}
        progress.history.append(row)
        late_enough = progress.epoch > settings.choose_after * settings.epochs or progress.epoch == settings.epochs
        if late_enough and row["val_macro_f1"] > progress.best_score:
            progress.best_score, progress.best_epoch = row["val_macro_f1"], progress.epoch
            progress.best_weights = {k: v.detach().cpu().clone() for k, v in average.state_dict().items()}
        if checkpoint:
            _save_checkpoint(checkpoint, identity, state, progress)
        if report:
            report(row)
    model.load_state_dict(progress.best_weights)
    return progress


def _class_weights(labels: Tensor, n_outputs: int, choice: str | list[float]) -> Tensor | None:
    if isinstance(choice, str):
        return inverse_frequency_weights(labels, n_outputs) if choice == "inverse" else None
    return torch.tensor(choice, device=labels.device)


def _train_epoch(model, average, optimizer, data, targets, train, epoch, loss_function, settings) -> dict[str, float]:
    device = data.keypoints.device
    torch.manual_seed(epoch_seed(settings.seed, epoch, 0))  # dropout
    order_generator = torch.Generator().manual_seed(epoch_seed(settings.seed, epoch, 1))
    generator = torch.Generator(device).manual_seed(epoch_seed(settings.seed, epoch, 2))  # crops and augmentation
    order = train[epoch_order(data.labels[train].cpu(), settings.sampler, order_generator).to(device)]
    batches = order.split(settings.batch_size)
    augmentation = settings_from(Augmentation, settings)
    made = []  # losses (B,), looked at after the epoch, so that no step waits for a GPU
    model.train()
    for step, clip in enumerate(batches, epoch * len(batches)):
        lr = learning_rate(step, len(batches), settings)
        optimizer.param_groups[0]["lr"] = lr
        features, mask = training_batch(data, clip, settings.n_frames, augmentation, generator)
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
            logits = model(features, mask)
        losses = loss_function(logits.float(), targets[clip])
        optimizer.zero_grad(set_to_none=True)
        losses.mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        optimizer.step()
        update_average(average, model, settings.weight_average, step)
        made.append(losses.detach())
    bad = order[~torch.isfinite(torch.cat(made))]
    if len(bad):
        raise TrainingError(
            f"epoch {epoch + 1}: wanted a finite loss, got NaN or infinity, first for clip "
            f"{data.clip_ids[int(bad[0])]!r}; look at that clip, or lower lr"
        )
    return {"lr": lr, "train_loss": float(sum(losses.mean() * len(losses) for losses in made)) / len(order)}


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Move the averaged weights towards the model's: an exponential moving average over the steps.

    The average is validated, chosen and kept (Polyak and Juditsky 1992; Tarvainen and Valpola 2017). In early steps it
    forgets the random start faster. With a decay of 0 it is the model itself.
    """
    decay = min(decay, (1 + step) / (10 + step)) if decay else 0.0
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
    for mine, its in zip(average.buffers(), model.buffers(), strict=True):
        mine.copy_(its)


@torch.inference_mode()
def predict(model: nn.Module, data: PreparedClips, index: Tensor, settings: RunParameters) -> Tensor:
    """Predict the clips `index` (N,): probabilities (N, n_classes), means over `batching.evaluation_windows`."""
    was_training = model.training
    model.eval()
    clip, start = evaluation_windows(data.lengths[index], settings.n_frames, settings.eval_crops)
    parts = []
    for rows in torch.arange(len(clip), device=clip.device).split(EVALUATION_BATCH):
        features, mask = evaluation_batch(data, index[clip[rows]], start[rows], settings.n_frames)
        with torch.autocast(features.device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
            logits = model(features, mask)
        parts.append(logits.float().softmax(-1))
    model.train(was_training)
    return mean_over_windows(torch.cat(parts), clip, len(index))


def mean_over_windows(probabilities: Tensor, clip: Tensor, n_clips: int) -> Tensor:
    """Average the windows (W, n_classes) of each clip (W,): (n_clips, n_classes)."""
    total = probabilities.new_zeros(n_clips, probabilities.shape[1]).index_add_(0, clip, probabilities)
    return total / torch.bincount(clip, minlength=n_clips)[:, None]


def validate(model: nn.Module, data: PreparedClips, val: Tensor, n_classes: int, settings: RunParameters) -> dict:
    """Compute loss, accuracy, balanced accuracy and macro-F1 on the validation clips, as a row of the history."""
    probabilities = predict(model, data, val, settings)
    labels = data.labels[val]
    loss = -probabilities.gather(1, labels[:, None]).clamp(min=1e-12).log().mean()
    confusion = confusion_counts(labels.cpu().numpy(), probabilities.argmax(1).cpu().numpy(), n_classes)
    scores = scores_from_confusion(confusion)
    kept = ("accuracy", "balanced_accuracy", "macro_f1")
    return {"val_loss": float(loss)} | {f"val_{name}": float(scores[name]) for name in kept}


def _save_checkpoint(path: Path, identity: str, state: dict, progress: Progress) -> None:
    content = {name: part.state_dict() for name, part in state.items()}
    with replacing(path) as temporary:
        torch.save({"identity": identity, "progress": vars(progress), **content}, temporary)


def _load_checkpoint(path: Path | None, identity: str, state: dict, device: torch.device) -> Progress | None:
    if path is None or not path.exists():
        return None
    content = torch.load(path, map_location=device, weights_only=True)
    if content["identity"] != identity:
        return None
    for name, part in state.items():
        part.load_state_dict(content[name])
    return Progress(**content["progress"])
