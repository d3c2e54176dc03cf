"""The usual input path, to compare with: a Dataset that makes one sample at a time in NumPy, and a DataLoader.

A sample is cropped, augmented and turned into features as in `training.batching` and `features.augmentation`,
one clip after another, with draws of its own.
"""

import math
import warnings

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from poseemo_lib.features.augmentation import Augmentation
from poseemo_lib.features.tensor_features import to_features
from poseemo_lib.skeleton import FLIP_ORDER
from poseemo_lib.training.batching import PreparedClips

_MISSING = np.array([np.nan, np.nan, 0], np.float32)
_FLIP = np.array(FLIP_ORDER)


class PlainClips(Dataset):
    """Training windows of prepared clips, a fresh crop and augmentation each time.

    Parameters
    ----------
    data : PreparedClips
        Copied to NumPy, one array a clip.
    n_frames : int
    how : Augmentation
    seed : int
    """

    def __init__(self, data: PreparedClips, n_frames: int, how: Augmentation, seed: int = 0):
        stacked, lengths = data.keypoints.cpu().numpy(), data.lengths.cpu().tolist()
        self.clips = [clip.copy() for clip in np.split(stacked, np.cumsum(lengths)[:-1])]
        self.labels = data.labels.cpu().tolist()
        self.n_frames, self.how, self.fps, self.positions = n_frames, how, data.fps, data.positions
        self.rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray, int]:
        position = crop(len(self.clips[index]), self.n_frames, self.how.time_warp, self.rng)
        return *self.sample(index, position), self.labels[index]

    def sample(self, index: int, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Make features (T, F) and mask (T,) of a clip at positions (T,)."""
        clip = self.clips[index]
        mask = position <= len(clip) - 1
        window = augment(gather(clip, position[mask]), self.how, self.rng, self.n_frames)
        real = torch.ones(1, len(window), dtype=torch.bool)
        keypoints = torch.from_numpy(np.ascontiguousarray(window))[None]
        features = to_features(keypoints, real, self.fps, self.positions)[0].numpy()
        padded = np.zeros((self.n_frames, features.shape[1]), np.float32)
        padded[mask] = features
        return padded, mask


def crop(length: int, n_frames: int, time_warp: float, rng: np.random.Generator) -> np.ndarray:
    """Draw positions (T,) in a clip: `batching.crop_positions` for one clip."""
    first, last = (1 + time_warp) ** (2 * rng.random(2) - 1)
    speed = first + (last - first) * np.linspace(0, 1, n_frames - 1)
    local = np.concatenate([[0.0], np.cumsum(speed)])
    spare = max(length - 1 - local[-1], 0.0)
    start = rng.random() * (spare + 1)
    return local + min(start if time_warp else math.floor(start), spare)


def gather(clip: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Interpolate frames (T, M, K, 3) of a clip at positions (T,)."""
    low = np.floor(position).astype(np.intp)
    weight = (position - low).astype(np.float32)[:, None, None, None]
    high = np.where(weight[:, 0, 0, 0] > 0, low + 1, low)
    a, b = clip[low], clip[high]
    mixed = a + (b - a) * weight
    mixed[(a[..., 2] <= 0) | (b[..., 2] <= 0)] = _MISSING
    return mixed


def augment(keypoints: np.ndarray, how: Augmentation, rng: np.random.Generator, n_frames: int) -> np.ndarray:
    """Augment one window (T, M, K, 3): `augmentation.augment` for one clip."""
    if how.flip and rng.random() < how.flip:
        keypoints = keypoints[:, :, _FLIP] * np.array([-1, 1, 1], np.float32)
    if how.scale or how.rotation:
        factor = 1 + how.scale * (2 * rng.random() - 1)
        keypoints = _scale_rotate(keypoints, factor, math.radians(how.rotation) * (2 * rng.random() - 1))
    if how.noise:
        keypoints = keypoints.copy()
        keypoints[..., :2] += how.noise * rng.standard_normal(keypoints[..., :2].shape, np.float32)
    if how.joint_dropout:
        keypoints = keypoints.copy()
        keypoints[:, rng.random(keypoints.shape[1:3]) < how.joint_dropout] = _MISSING
    if how.slot_swap and rng.random() < how.slot_swap and (keypoints[..., 2] > 0).any((0, 2)).all():
        keypoints = keypoints[:, ::-1]
    return keypoints


def _scale_rotate(keypoints: np.ndarray, factor: float, angle: float) -> np.ndarray:
    xy = keypoints[..., :2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nobody seen in the whole window
        centre = np.nan_to_num(np.nanmean(xy, (0, 1, 2)))
    cos, sin = math.cos(angle) * factor, math.sin(angle) * factor
    turned = keypoints.copy()
    turned[..., :2] = (xy - centre) @ np.array([[cos, sin], [-sin, cos]], np.float32) + centre
    return turned


def plain_loader(clips: PlainClips, batch_size: int, workers: int = 0) -> DataLoader:
    """Load shuffled batches of features, masks and labels; the workers live on from epoch to epoch."""
    generator = torch.Generator().manual_seed(0)
    return DataLoader(
        clips,
        batch_size,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        generator=generator,
        worker_init_fn=_other_draws if workers else None,
    )


def _other_draws(number: int) -> None:
    torch.utils.data.get_worker_info().dataset.rng = np.random.default_rng([1, number])
