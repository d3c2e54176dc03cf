"""The 238 features as tensor operations, for a GPU and for exported graphs; `compiled_features` is the path on a CPU.

Here and there only, missing becomes a number (0) and a mask (confidence 0).
"""

import torch
from torch import Tensor

from poseemo_lib.features.layout import ACCELERATION_UNIT, CHANNEL_NAMES, N_FEATURES
from poseemo_lib.skeleton import JOINT

__all__ = ["ACCELERATION_UNIT", "CHANNEL_NAMES", "N_FEATURES", "about_person", "to_features"]


def to_features(keypoints: Tensor, mask: Tensor, fps: float, positions: str = "scene") -> Tensor:
    """Derive the features of a batch of windows.

    Velocity is the difference to the frame before, acceleration the difference of two velocities: both use the past
    only, so a stream gives what a recording gives. A joint that was not seen in all frames that a difference needs has
    0 there. Padded frames are 0 throughout.

    Parameters
    ----------
    keypoints : tensor (B, T, M, K, 3)
        Normalised x, y, and confidence; missing: NaN, NaN, 0.
    mask : bool tensor (B, T)
        True for real frames.
    fps : float
    positions : {"scene", "person"}
        `person` gives x and y relative to the person's own shoulder midpoint in that frame (:func:`about_person`).
        Velocities and accelerations are those in the scene either way.

    Returns
    -------
    tensor (B, T, M * K * 7)
        person -> joint -> :data:`CHANNEL_NAMES`; no NaN.
    """
    keypoints = torch.where(mask[..., None, None, None], keypoints, torch.nan)
    xy, confidence = keypoints[..., :2], keypoints[..., 2:]
    velocity = _difference(xy) * fps
    acceleration = _difference(velocity) * (fps / ACCELERATION_UNIT)
    if positions == "person":
        xy = about_person(xy)
    features = torch.cat([xy, confidence, velocity, acceleration], -1)
    return torch.nan_to_num(features, nan=0.0).flatten(2)


def _difference(values: Tensor) -> Tensor:
    """Difference to the frame before, NaN at the first: (B, T, ...) -> (B, T, ...)."""
    first = torch.full_like(values[:, :1], torch.nan)
    return torch.cat([first, values[:, 1:] - values[:, :-1]], 1)


def about_person(xy: Tensor) -> Tensor:
    """Give xy (..., K, 2) relative to each person's shoulder midpoint, or to the mean of the joints that were seen."""
    centre = xy[..., [JOINT["left_shoulder"], JOINT["right_shoulder"]], :].mean(-2, keepdim=True)
    return xy - torch.where(centre.isnan(), xy.nanmean(-2, keepdim=True), centre)
