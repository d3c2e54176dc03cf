"""From raw to clean, resampled, normalised keypoints: pure functions over many clips at once.

The clips are stacked along time: `keypoints` is (S, M, K, C) with S the frames of all clips together, and
`lengths` (N,) says how many belong to each. One clip is `lengths = tensor([T])`. Missing stays NaN.
No function looks across the border between two clips, so a clip gives the same numbers alone and in a stack.
"""

import torch
from torch import Tensor

from poseemo_lib.skeleton import JOINT, TORSO_PER_SHOULDER_WIDTH


def clip_of_frame(lengths: Tensor) -> Tensor:
    """Index of the clip that each stacked frame belongs to: (N,) -> (S,)."""
    return torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)


def starts_of(lengths: Tensor) -> Tensor:
    """First stacked frame of each clip: (N,) -> (N,)."""
    return torch.cumsum(lengths, 0) - lengths


def drop_unsure(keypoints: Tensor, min_confidence: float) -> Tensor:
    """Mark keypoints below a confidence as missing.

    Parameters
    ----------
    keypoints : tensor (..., 3)
    min_confidence : float
        0 to 1. Keypoints with less are NaN, NaN, 0 in the result.

    Returns
    -------
    tensor (..., 3)
    """
    unsure = keypoints[..., 2] < min_confidence
    missing = keypoints.new_tensor([torch.nan, torch.nan, 0.0])
    return torch.where(unsure[..., None], missing, keypoints)


def fill_gaps(keypoints: Tensor, lengths: Tensor, max_frames: Tensor) -> Tensor:
    """Bridge short gaps of a joint by linear interpolation between the frames around the gap.

    Confidence is interpolated too. Gaps at the start or the end of a clip, and longer ones, stay missing.

    Parameters
    ----------
    keypoints : tensor (S, M, K, 3)
    lengths : int tensor (N,)
    max_frames : tensor (N,)
        Longest gap that is bridged in each clip, in frames.

    Returns
    -------
    tensor (S, M, K, 3)
    """
    n_frames, channels = len(keypoints), keypoints.shape[-1]
    n_joints = keypoints[0, ..., 0].numel()
    # One joint's frames after the other's, (M K S,): few gaps are short enough, and only they are computed.
    seen = (keypoints[..., 2] > 0).movedim(0, -1).flatten()
    before = (seen[:-1] & ~seen[1:]).nonzero().flatten()
    after = (seen[1:] & ~seen[:-1]).nonzero().flatten() + 1
    # What is missing at the start has no frame before it, and what is missing at the end none after it.
    after = after[int(not seen[0]) :]
    before = before[: len(after)]
    clip = clip_of_frame(lengths)
    frame, gap = before % n_frames, after - before
    to_end = (starts_of(lengths) + lengths - 1)[clip[frame]] - frame
    bridged = (gap <= to_end) & (gap - 1 <= max_frames[clip[frame]])
    first, gap = frame[bridged] * n_joints + before[bridged] // n_frames, gap[bridged]
    which = clip_of_frame(gap - 1)
    step = torch.arange(len(which), device=keypoints.device) - starts_of(gap - 1)[which] + 1
    # Back in the order of the memory, (S M K, C), where a joint's next frame is `n_joints` rows on.
    out = keypoints.clone(memory_format=torch.contiguous_format)
    rows = out.view(-1, channels)
    a, b = rows[first][which], rows[first + gap * n_joints][which]
    weight = (step / gap[which])[:, None].to(keypoints.dtype)
    rows[first[which] + step * n_joints] = a + (b - a) * weight
    return out


def smooth(keypoints: Tensor, lengths: Tensor, window: int) -> Tensor:
    """Centred moving average of x and y over the frames of the window in which the joint was seen.

    Parameters
    ----------
    keypoints : tensor (S, M, K, 3)
    lengths : int tensor (N,)
    window : int
        Frames, odd; 0 or 1 changes nothing.

    Returns
    -------
    tensor (S, M, K, 3)
        Missing joints stay missing; confidences are unchanged.
    """
    if window <= 1:
        return keypoints
    clip = clip_of_frame(lengths)
    seen = keypoints[..., 2:] > 0
    xy = torch.where(seen, keypoints[..., :2], 0.0)
    total, count = torch.zeros_like(xy), torch.zeros_like(keypoints[..., 2:])
    frame = torch.arange(len(clip), device=keypoints.device)
    for shift in range(-(window // 2), window // 2 + 1):
        other = (frame + shift).clamp(0, len(clip) - 1)
        inside = ((frame + shift == other) & (clip[other] == clip))[:, None, None, None] & seen[other]
        total = total + torch.where(inside, xy[other], 0.0)
        count = count + inside
    mean = torch.where(seen, total / count.clamp(min=1), torch.nan)
    return torch.cat([mean, keypoints[..., 2:]], -1)


def resample(keypoints: Tensor, lengths: Tensor, fps: Tensor, target_fps: float) -> tuple[Tensor, Tensor]:
    """Bring every clip to one frame rate by linear interpolation.

    A joint is missing where one of the two frames that it would be interpolated from lacks it.

    Parameters
    ----------
    keypoints : tensor (S, M, K, 3)
    lengths : int tensor (N,)
    fps : float64 tensor (N,)
        Frames per second of each clip.
    target_fps : float

    Returns
    -------
    keypoints : tensor (S', M, K, 3)
    lengths : int tensor (N,)
        floor((T - 1) * target_fps / fps) + 1 frames a clip.
    """
    step = fps.double() / target_fps
    # The small number keeps a clip whose rate is the target's by a rounding error at its full length.
    new_lengths = ((lengths - 1) / step + 1e-6).floor().long() + 1
    clip = clip_of_frame(new_lengths)
    local = torch.arange(len(clip), device=keypoints.device) - starts_of(new_lengths)[clip]
    position = (local * step[clip]).round(decimals=6)
    position = torch.minimum(position, (lengths[clip] - 1).double())
    return gather_between(keypoints, starts_of(lengths)[clip] + position), new_lengths


def normalise_frame(keypoints: Tensor, lengths: Tensor, width: Tensor, height: Tensor) -> Tensor:
    """Divide by the size of the picture and centre: x and y run from -0.5 to 0.5, as the published study did.

    Parameters
    ----------
    keypoints : tensor (S, M, K, 3)
        Pixels.
    lengths : int tensor (N,)
    width, height : tensor (N,)
        Pixels.

    Returns
    -------
    tensor (S, M, K, 3)
    """
    clip = clip_of_frame(lengths)
    size = torch.stack([width, height], -1).to(keypoints.dtype)[clip][:, None, None]
    return torch.cat([keypoints[..., :2] / size - 0.5, keypoints[..., 2:]], -1)


def normalise_body(keypoints: Tensor, lengths: Tensor) -> Tensor:
    """Measure a clip in torso lengths from its own median shoulder midpoint; movement through the scene is kept.

    The unit is the median distance between the midpoints of shoulders and hips. Where the hips are out of the
    picture it is the clip's widest usual (0.9 quantile) shoulder width times 1.25, and where there are no shoulders
    either, half the extent of the joints that were seen. Both people share one origin and one unit, the means of
    theirs, so that their order does not matter and their distance is kept.

    Parameters
    ----------
    keypoints : tensor (S, M, K, 3)
        Pixels.
    lengths : int tensor (N,)

    Returns
    -------
    tensor (S, M, K, 3)
        About -2 to 2, y down.
    """
    xy = keypoints[..., :2]
    origin, unit = _body_frame(xy, lengths)
    clip = clip_of_frame(lengths)
    normal = (xy - origin[clip][:, None, None]) / unit[clip][:, None, None, None]
    return torch.cat([normal, keypoints[..., 2:]], -1)


def _body_frame(xy: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Find the origin (N, 2) and the unit (N,) of each clip."""
    left, right = xy[..., JOINT["left_shoulder"], :], xy[..., JOINT["right_shoulder"], :]
    middle = (left + right) / 2
    torso = (middle - (xy[..., JOINT["left_hip"], :] + xy[..., JOINT["right_hip"], :]) / 2).norm(dim=-1)
    width = (left - right).norm(dim=-1)
    # All at once: for one short clip the number of calls is what costs.
    usual = _person_mean(torch.stack([torso, width, *middle.unbind(-1)], 1), lengths, (0.5, 0.9, 0.5, 0.5))
    origin, unit = usual[:, 2:], _first_number(usual[:, 0], TORSO_PER_SHOULDER_WIDTH * usual[:, 1])
    lost = unit.isnan()  # no shoulders
    if lost.any():
        origin[lost], unit[lost] = _extent_frame(xy[lost[clip_of_frame(lengths)]], lengths[lost])
    return origin, unit.clamp(min=1e-3)


def _extent_frame(xy: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Find the middle (N, 2) and half the extent (N,) of the joints that are seen; 0 and NaN without any."""
    # (S, M) extents: a column of NaN gives NaN.
    extent = (_nan_max(xy) + _nan_max(-xy)).norm(dim=-1)
    medians = _person_mean(torch.stack([extent, *xy.nanmean(-2).unbind(-1)], 1), lengths, (0.5, 0.5, 0.5))
    return torch.nan_to_num(medians[:, 1:]), 0.5 * medians[:, 0]


def _person_mean(values: Tensor, lengths: Tensor, quantiles: tuple[float, ...]) -> Tensor:
    """Quantiles over the frames of each clip and person, NaN left out, then the people's mean: (S, Q, M) -> (N, Q)."""
    clip = clip_of_frame(lengths)
    local = torch.arange(len(clip), device=values.device) - starts_of(lengths)[clip]
    padded = values.new_full((len(lengths), *values.shape[1:], int(lengths.max())), torch.nan)
    padded[clip, :, :, local] = values
    ordered = padded.sort().values  # NaN last
    last = ((~ordered.isnan()).sum(-1, keepdim=True) - 1).clamp(min=0)
    rank = (last * values.new_tensor(quantiles)[:, None, None]).round().long()
    return ordered.gather(-1, rank).squeeze(-1).nanmean(-1)


def _first_number(values: Tensor, otherwise: Tensor) -> Tensor:
    return torch.where(values.isnan(), otherwise, values)


def _nan_max(xy: Tensor) -> Tensor:
    largest = torch.where(xy.isnan(), -torch.inf, xy).amax(-2)
    return torch.where(largest.isinf(), torch.nan, largest)


def gather_between(keypoints: Tensor, position: Tensor) -> Tensor:
    """Take stacked frames at fractional positions by linear interpolation.

    Parameters
    ----------
    keypoints : tensor (S, M, K, C)
    position : float tensor (...)
        0 to S - 1. At a whole number the frame itself is returned.

    Returns
    -------
    tensor (..., M, K, C)
        NaN, NaN, 0 where one of the two frames lacks the joint.
    """
    low = position.floor().long()
    weight = (position - low).to(keypoints.dtype)
    high = low + (weight > 0)
    a, mixed = keypoints[low], keypoints[high]
    lost = (a[..., 2] <= 0) | (mixed[..., 2] <= 0)
    # In place: the copies are large. x and y of what is missing are NaN, and so is any sum with them.
    mixed.sub_(a).mul_(weight[..., None, None, None]).add_(a)
    mixed[..., 2].masked_fill_(lost, 0)
    return mixed
