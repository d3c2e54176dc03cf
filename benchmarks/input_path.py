"""Cropping, augmentation and features: against a Dataset and a DataLoader, stage by stage, and against the bytes."""

from collections.abc import Iterator

import numpy as np
import torch
from common import (
    Options,
    Row,
    in_turns,
    named_threads,
    prepared_clips,
    rows_of,
    seconds_of,
    shares_of,
    thread_counts,
    threads,
)
from plain_loader import PlainClips, plain_loader

from poseemo_lib.features.augmentation import Augmentation, augment, augment_as, draw
from poseemo_lib.features.tensor_features import N_FEATURES, to_features
from poseemo_lib.skeleton import MAX_PEOPLE, N_KEYPOINTS
from poseemo_lib.training.batching import (
    PreparedClips,
    crop_positions,
    evaluation_batch,
    features_at,
    gather_windows,
    training_batch,
)
from poseemo_lib.training.parameters import RunParameters, settings_from

N_FRAMES = RunParameters().n_frames
SUBJECT = "input_path"
# Read once and written once: keypoints (T, M, K, 3) and features (T, F) of a window, float32.
BYTES_IN, BYTES_OUT = 4 * N_FRAMES * MAX_PEOPLE * N_KEYPOINTS * 3, 4 * N_FRAMES * N_FEATURES


def measure(options: Options) -> Iterator[Row]:
    """Measure every row of this subject."""
    data = prepared_clips(options.size(1000, 120), options.device)
    how = settings_from(Augmentation, RunParameters())
    check_same(data)
    for count in thread_counts(options):
        with threads(count):
            for batch_size in (32, 256):
                name = f"batch {batch_size}, {named_threads(count)}"
                yield from against_loader(data, how, batch_size, name, options)
                yield from by_stage(data, how, batch_size, name, options)


def check_same(data: PreparedClips) -> None:
    """Refuse to compare two paths that do not compute the same: windows that leave nothing to chance.

    Raises
    ------
    AssertionError
    """
    few = torch.arange(min(64, len(data)), device=data.keypoints.device)
    start = torch.zeros_like(few)
    wanted, mask = evaluation_batch(data, few, start, N_FRAMES)
    _assert_equal(data, Augmentation(), wanted, mask, np.arange(N_FRAMES, dtype=float))
    position = 1.3 * np.arange(N_FRAMES)
    at = torch.from_numpy(position).to(few.device).expand(len(few), -1)
    windows, mask = gather_windows(data, few, at)
    sure = Augmentation(flip=1.0, slot_swap=1.0)  # what happens always needs no draw
    turned = augment(windows, sure, torch.Generator(few.device))
    _assert_equal(data, sure, to_features(turned, mask, data.fps, data.positions), mask, position)


def _assert_equal(data: PreparedClips, how: Augmentation, wanted, mask, position: np.ndarray) -> None:
    plain = PlainClips(data, N_FRAMES, how)
    for index in range(len(wanted)):
        features, there = plain.sample(index, position)
        np.testing.assert_array_equal(there, mask[index].cpu().numpy())
        np.testing.assert_allclose(features, wanted[index].cpu().numpy(), rtol=1e-5, atol=1e-4)


def epoch(data: PreparedClips, how: Augmentation, batch_size: int, generator: torch.Generator) -> None:
    """Make the features of every clip once, in batches, as the training loop does."""
    order = torch.randperm(len(data)).to(data.keypoints.device)
    for clip in order.split(batch_size):
        training_batch(data, clip, N_FRAMES, how, generator)


def against_loader(data, how, batch_size: int, name: str, options: Options) -> Iterator[Row]:
    """Compare with the Dataset and its DataLoader, samples a second."""
    device, generator = options.device, torch.Generator(options.device)

    def ours() -> float:
        return len(data) / seconds_of(lambda: epoch(data, how, batch_size, generator), device)

    def plain(workers: int):
        loader = plain_loader(PlainClips(data, N_FRAMES, how), batch_size, workers)
        return lambda: len(data) / seconds_of(lambda: _to_device(loader, device), device)

    arms = {"poseemo": ours} | {f"DataLoader, {workers} workers": plain(workers) for workers in (0, 2)}
    if device == "cpu":
        arms["tensor operations"] = lambda: (
            len(data) / seconds_of(lambda: _operations(data, how, batch_size, generator))
        )
    yield from rows_of(SUBJECT, name, "samples/s", in_turns(arms, options.turns(5)))


def _operations(data, how: Augmentation, batch_size: int, generator: torch.Generator) -> None:
    """Do as :func:`epoch` by the tensor operations that a GPU is given."""
    for clip in torch.randperm(len(data)).split(batch_size):
        position = crop_positions(data.lengths[clip], N_FRAMES, how.time_warp, generator)
        draws = draw(how, (*position.shape, MAX_PEOPLE, N_KEYPOINTS), generator)
        windows, mask = gather_windows(data, clip, position)
        to_features(augment_as(windows, draws), mask, data.fps, data.positions)


def _to_device(loader, device: str) -> None:
    for features, mask, labels in loader:
        features.to(device), mask.to(device), labels.to(device)


def by_stage(data, how, batch_size: int, name: str, options: Options) -> Iterator[Row]:
    """Split a batch into its stages, and compare with a copy of the bytes that it has to read and write at least."""
    device, generator = options.device, torch.Generator(options.device)
    clip = torch.arange(batch_size, device=device) % len(data)
    shape = (batch_size, N_FRAMES, MAX_PEOPLE, N_KEYPOINTS)
    position = crop_positions(data.lengths[clip], N_FRAMES, how.time_warp, generator)
    draws = draw(how, shape, generator)
    # A copy reads and writes the same number of bytes.
    size = batch_size * (BYTES_IN + BYTES_OUT) // 8
    source, target = torch.ones(size, device=device), torch.empty(size, device=device)
    stages = {
        "whole": lambda: training_batch(data, clip, N_FRAMES, how, generator),
        "draw: crops": lambda: crop_positions(data.lengths[clip], N_FRAMES, how.time_warp, generator),
        "draw: augmentation": lambda: draw(how, shape, generator),
        "draw: noise alone": lambda: draw(Augmentation(noise=how.noise), shape, generator),
        "gather, augment, features": lambda: features_at(data, clip, position, draws),
        "gather, features": lambda: features_at(data, clip, position, {}),
        "copy of the same bytes": lambda: target.copy_(source),
    }
    repeats = options.size(10, 2)
    arms = {stage: _per_sample(work, batch_size, repeats, device) for stage, work in stages.items()}
    yield from shares_of(SUBJECT, f"stages, {name}", "us/sample", in_turns(arms, options.turns(7)))


def _per_sample(work, batch_size: int, repeats: int, device: str):
    return lambda: 1e6 * seconds_of(lambda: [work() for _ in range(repeats)], device) / repeats / batch_size
