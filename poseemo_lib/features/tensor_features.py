"""The 238 features as tensor operations, for a GPU and for exported graphs; `compiled_features` is the path on a CPU.

Only in these two modules a missing value becomes a number (0) and a mask (confidence 0).
"""

import torch
from torch import Tensor

from poseemo_lib.features.layout import ACCELERATION_UNIT, CHANNEL_NAMES, N_FEATURES, motion_scales
from poseemo_lib.skeleton import PARTS

__all__ = ["ACCELERATION_UNIT", "CHANNEL_NAMES", "N_FEATURES", "to_features"]


def to_features(
    keypoints: Tensor, mask: Tensor, fps: float, positions: str = "scene", motion_unit: str = "second"
) -> Tensor:
    """Derive features (B, T, M * K * 7) of windows (B, T, M, K, 3), whose mask (B, T) is true for real frames.

    Velocity is the difference to the frame before, acceleration the difference of two velocities: both use the past
    only, so that a stream gives what a recording gives. A difference is 0 where one of its frames lacks the joint;
    padded frames are 0 throughout. `positions` of `person` gives x and y relative to the midpoint of the person's own
    shoulders in that frame, or to the mean of the seen joints; velocities and accelerations are always in the scene,
    in the unit that `layout.motion_scales` describes.
    """
    keypoints = torch.where(mask[..., None, None, None], keypoints, torch.nan)
    xy, confidence = keypoints[..., :2], keypoints[..., 2:]
    to_velocity, to_acceleration = motion_scales(fps, motion_unit)
    velocity = _difference(xy) * to_velocity
    acceleration = _difference(velocity) * to_acceleration
    if positions == "person":
        centre = xy[..., PARTS["shoulders"], :].mean(-2, keepdim=True)
        xy = xy - torch.where(centre.isnan(), xy.nanmean(-2, keepdim=True), centre)
    features = torch.cat([xy, confidence, velocity, acceleration], -1)
    return torch.nan_to_num(features, nan=0.0).flatten(2)


def _difference(values: Tensor) -> Tensor:
    """Difference to the frame before, NaN at the first: (B, T, ...) -> (B, T, ...)."""
    first = torch.full_like(values[:, :1], torch.nan)
    return torch.cat([first, values[:, 1:] - values[:, :-1]], 1)
