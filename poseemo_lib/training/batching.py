"""From clips to batches on the device: preparation once, then windows, augmentation and features for each batch.

All clips lie on the device as one stacked tensor (S, M, K, C). On a GPU a batch is made by tensor operations, on a CPU
by compiled loops (`features.compiled_features`) that give the same numbers.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from poseemo_lib.clips import PoseClip
from poseemo_lib.features import compiled_features
from poseemo_lib.features.augmentation import Augmentation, Draws, augment_as, draw
from poseemo_lib.features.preparation import Preparation, prepare
from poseemo_lib.features.tensor_features import to_features


@dataclass(frozen=True)
class PreparedClips:
    """Clips on the device, prepared and stacked along time: keypoints (S, M, K, 3), NaN where missing.

    `starts` and `lengths` (N,) are the first frame and the number of frames of each clip, `labels` (N,) the index of
    its class, or -1 where its label is not one of the classes. For `positions` and `motion_unit` see
    `tensor_features.to_features`.
    """

    keypoints: Tensor
    starts: Tensor
    lengths: Tensor
    labels: Tensor
    clip_ids: list[str]
    fps: float
    positions: str = "scene"
    motion_unit: str = "second"

    def __len__(self) -> int:
        return len(self.clip_ids)


def prepare_clips(
    clips: Iterable[PoseClip], classes: tuple[str, ...], how: Preparation, device: torch.device | str = "cpu"
) -> PreparedClips:
    """Prepare clips (at least one), number their labels, and stack them on the device."""
    arrays, clip_ids, labels = [], [], []
    for clip in clips:
        arrays.append(prepare(clip.keypoints, clip.fps, clip.width, clip.height, how))
        clip_ids.append(clip.clip_id)
        labels.append(classes.index(clip.label) if clip.label in classes else -1)
    keypoints = torch.from_numpy(np.concatenate(arrays)).to(device)
    lengths, labels = torch.tensor([len(array) for array in arrays]), torch.tensor(labels)
    starts = lengths.cumsum(0) - lengths
    stacked = keypoints, starts.to(device), lengths.to(device), labels.to(device)
    return PreparedClips(*stacked, clip_ids, how.fps, how.positions, how.motion_unit)


def evaluation_windows(lengths: Tensor, n_frames: int, crops: int) -> tuple[Tensor, Tensor]:
    """Lay `crops` evenly spaced windows over clips of the lengths (N,); a single one is in the middle.

    A clip of `n_frames` or less has one window. Returns each window's index of a clip (W,) and first frame in it (W,).
    """
    spare = (lengths - n_frames).clamp(min=0)
    wanted = torch.minimum(spare + 1, torch.full_like(spare, crops))
    clip = torch.arange(len(wanted), device=lengths.device).repeat_interleave(wanted)
    number = torch.arange(len(clip), device=lengths.device) - (wanted.cumsum(0) - wanted)[clip]
    # The centres of `wanted` equal stretches of the spare frames.
    share = (number + 0.5) / wanted[clip]
    return clip, (share * spare[clip]).floor().long()


def crop_positions(lengths: Tensor, n_frames: int, time_warp: float, generator: torch.Generator) -> Tensor:
    """Draw a random window of each clip, its speed changing linearly from one end to the other.

    The speeds at the ends are drawn from 1 / (1 + time_warp) to 1 + time_warp. Returns positions in the clips of the
    lengths (B,), in frames: float64 (B, n_frames); those past the end (> length - 1) are padding.
    """
    draws = torch.rand(len(lengths), 3, generator=generator, device=lengths.device, dtype=torch.float64)
    ends = (1 + time_warp) ** (2 * draws[:, :2] - 1)
    share = torch.linspace(0, 1, n_frames - 1, dtype=torch.float64, device=lengths.device)
    speed = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * share
    local = torch.cat([torch.zeros_like(speed[:, :1]), speed.cumsum(1)], 1)
    spare = (lengths[:, None] - 1 - local[:, -1:]).clamp(min=0)
    start = draws[:, 2:] * (spare + 1)
    if time_warp == 0:
        start = start.floor()  # whole frames need no interpolation
    return local + torch.minimum(start, spare)


def gather_windows(data: PreparedClips, clip: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
    """Cut windows of the clips (B,) at positions (B, T) in frames, which may be fractional.

    Returns keypoints (B, T, M, K, 3), with padding as NaN, NaN, 0, and the mask (B, T), true for real frames.
    """
    last = (data.lengths[clip] - 1)[:, None]
    mask = position <= last
    at = data.starts[clip][:, None] + torch.minimum(position, last.to(position.dtype))
    low = at.floor().long()
    weight = (at - low).to(data.keypoints.dtype)[..., None, None, None]
    first, second = data.keypoints[low], data.keypoints[low + (at > low)]
    seen = (first[..., 2:] > 0) & (second[..., 2:] > 0) & mask[..., None, None, None]
    missing = first.new_tensor([torch.nan, torch.nan, 0.0])
    return torch.where(seen, first + (second - first) * weight, missing), mask


def training_batch(
    data: PreparedClips, clip: Tensor, n_frames: int, how: Augmentation, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Cut random windows and augment them: features (B, T, F) and mask (B, T)."""
    position = crop_positions(data.lengths[clip], n_frames, how.time_warp, generator)
    draws = draw(how, (*position.shape, *data.keypoints.shape[1:3]), generator)
    return features_at(data, clip, position, draws)


def features_at(data: PreparedClips, clip: Tensor, position: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """Cut windows (see :func:`gather_windows`), augment them and derive features (B, T, F) and mask (B, T)."""
    if data.keypoints.device.type == "cpu":
        where = (data.keypoints, data.starts[clip], data.lengths[clip], position)
        windows, mask = compiled_features.gather_windows(*(values.numpy() for values in where))
        compiled_features.augment_in_place(windows, draws)
        features = compiled_features.derive_features(windows, data.fps, data.positions, data.motion_unit)
        return torch.from_numpy(features), torch.from_numpy(mask)
    keypoints, mask = gather_windows(data, clip, position)
    return to_features(augment_as(keypoints, draws), mask, data.fps, data.positions, data.motion_unit), mask


def window_keypoints(data: PreparedClips, clip: Tensor, start: Tensor, n_frames: int) -> tuple[Tensor, Tensor]:
    """Cut windows of `n_frames` frames from `start` on: keypoints (B, T, M, K, 3) and mask (B, T)."""
    return gather_windows(data, clip, _frames_from(start, n_frames))


def evaluation_batch(data: PreparedClips, clip: Tensor, start: Tensor, n_frames: int) -> tuple[Tensor, Tensor]:
    """Cut windows of `n_frames` frames from `start` on, without augmentation: features (B, T, F) and mask (B, T)."""
    return features_at(data, clip, _frames_from(start, n_frames), {})


def _frames_from(start: Tensor, n_frames: int) -> Tensor:
    return (start[:, None] + torch.arange(n_frames, device=start.device)).double()
