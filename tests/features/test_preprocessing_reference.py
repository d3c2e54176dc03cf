"""The preparation of clips against a plain formulation, which looks at every joint of every frame: the same bits."""

import numpy as np
import pytest
import torch

from poseemo_lib.features import preparation as pre
from poseemo_lib.skeleton import TORSO_PER_SHOULDER_WIDTH
from poseemo_lib.skeleton import JOINT
from poseemo_lib.training.batching import Preparation, prepare_keypoints

MISSING = torch.tensor([torch.nan, torch.nan, 0.0])
SHOULDERS = [JOINT["left_shoulder"], JOINT["right_shoulder"]]
HIPS = [JOINT["left_hip"], JOINT["right_hip"]]


def plain_fill_gaps(keypoints, lengths, max_frames):
    n_frames, n_people, n_joints, channels = keypoints.shape
    clip = pre.clip_of_frame(lengths)
    first = pre.starts_of(lengths)[clip][:, None, None]
    last = first + (lengths[clip] - 1)[:, None, None]
    frame = torch.arange(n_frames)[:, None, None].expand(-1, n_people, n_joints)
    seen = keypoints[..., 2] > 0
    before = torch.where(seen, frame, -1).cummax(0).values
    after = torch.where(seen, frame, n_frames).flip(0).cummin(0).values.flip(0)
    bridged = ~seen & (before >= first) & (after <= last) & (after - before - 1 <= max_frames[clip][:, None, None])
    before, after = torch.where(bridged, before, frame), torch.where(bridged, after, frame)
    weight = (frame - before) / (after - before).clamp(min=1)
    a = keypoints.gather(0, before[..., None].expand(-1, -1, -1, channels))
    b = keypoints.gather(0, after[..., None].expand(-1, -1, -1, channels))
    return torch.where(bridged[..., None], a + (b - a) * weight[..., None].to(keypoints.dtype), keypoints)


def plain_gather_between(keypoints, position):
    low = position.floor().long()
    weight = (position - low).to(keypoints.dtype)[..., None, None, None]
    high = torch.where(weight[..., 0, 0, 0] > 0, low + 1, low)
    a, b = keypoints[low], keypoints[high]
    lost = (a[..., 2:] <= 0) | (b[..., 2:] <= 0)
    return torch.where(lost, MISSING.to(keypoints.dtype), a + (b - a) * weight)


def plain_normalise_body(keypoints, lengths):
    xy = keypoints[..., :2]
    shoulders, hips = xy[..., SHOULDERS, :], xy[..., HIPS, :]
    middle, joints = shoulders.mean(-2), xy.nanmean(-2)
    torso = (middle - hips.mean(-2)).norm(dim=-1)
    width = (shoulders[..., 0, :] - shoulders[..., 1, :]).norm(dim=-1)
    largest, smallest = (torch.where(xy.isnan(), -torch.inf, sign * xy).amax(-2) for sign in (1, -1))
    extent = torch.where(largest.isinf(), torch.nan, largest + smallest).norm(dim=-1)
    unit, origin = [], []
    for part in torch.arange(len(keypoints)).split(lengths.tolist()):
        usual = people_mean(torso[part], 0.5)
        usual = TORSO_PER_SHOULDER_WIDTH * people_mean(width[part], 0.9) if usual.isnan() else usual
        usual = 0.5 * people_mean(extent[part], 0.5) if usual.isnan() else usual
        place = people_mean(middle[part], 0.5)
        place = people_mean(joints[part], 0.5) if place.isnan().any() else place
        unit.append(usual.clamp(min=1e-3))
        origin.append(torch.nan_to_num(place))
    clip = pre.clip_of_frame(lengths)
    normal = (xy - torch.stack(origin)[clip][:, None, None]) / torch.stack(unit)[clip][:, None, None, None]
    return torch.cat([normal, keypoints[..., 2:]], -1)


def people_mean(values, quantile):
    """Quantile over the frames (T, M, ...) of those that are numbers, by rank, then the people's mean."""
    columns = values.flatten(2) if values.ndim > 2 else values[..., None]
    found = torch.full(columns.shape[1:], torch.nan)
    for place in np.ndindex(*found.shape):
        column = columns[:, *place]
        column = column[~column.isnan()].sort().values
        if len(column):
            found[place] = column[round(float(np.float32((len(column) - 1) * np.float32(quantile))))]
    return found.nanmean(0).view(values.shape[2:])


def random_stack(seed, n_clips=40):
    """Stack clips of 1 to 60 frames: whole and upper bodies, heads alone, nobody, one person, gaps of any length."""
    rng = np.random.default_rng(seed)
    lengths = rng.choice([1, 1, 2, 3, 12, 25, 60], n_clips)
    clips = []
    for number, length in enumerate(lengths):
        body = rng.normal(300, 60, (1, 2, 17, 2)) + rng.normal(0, 5, (length, 2, 17, 2)).cumsum(0)
        clip = np.concatenate([body, rng.uniform(0, 1, (length, 2, 17, 1))], -1).astype(np.float32)
        gone = np.zeros((length, 2, 17), bool)
        for _ in range(number % 5 * 20):
            start, joint = rng.integers(length), rng.integers(17)
            gone[start : start + rng.integers(1, 15), rng.integers(2), joint] = True
        gone[:, :, (17, 17, 11, 5, 0)[rng.integers(5)] :] = True
        gone[:, 1] |= number % 3 == 0
        gone[rng.random(length) < 0.1] = True
        clip[gone] = MISSING.numpy()
        clips.append(clip)
    fps = torch.from_numpy(rng.choice([10.0, 24.0, 25.0, 29.97, 60.0], n_clips))
    return torch.from_numpy(np.concatenate(clips)), torch.from_numpy(lengths), fps


def same(found, wanted):
    torch.testing.assert_close(found, wanted, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("seed", range(4))
def test_every_step_gives_the_same_bits(seed):
    keypoints, lengths, fps = random_stack(seed)
    keypoints = pre.drop_unsure(keypoints, 0.1)
    filled = pre.fill_gaps(keypoints, lengths, 0.2 * fps)
    same(filled, plain_fill_gaps(keypoints, lengths, 0.2 * fps))
    assert (filled[..., 2] > 0).sum() > (keypoints[..., 2] > 0).sum() + 50
    position = torch.from_numpy(np.random.default_rng(seed).uniform(0, len(filled) - 1, (7, 30)))
    position[0] = position[0].floor()
    same(pre.gather_between(filled, position), plain_gather_between(filled, position))
    resampled, lengths = pre.resample(filled, lengths, fps, 25.0)
    same(pre.normalise_body(resampled, lengths), plain_normalise_body(resampled, lengths))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gaps_of_views_and_doubles_are_filled_and_the_input_is_left_alone(dtype):
    keypoints, lengths, fps = random_stack(9, 5)
    keypoints = keypoints.to(dtype)
    before = keypoints.clone()
    for view in (
        keypoints,
        keypoints[:, 1:],
        keypoints.flip(1),
        keypoints.transpose(1, 2).contiguous().transpose(1, 2),
    ):
        same(pre.fill_gaps(view, lengths, 0.3 * fps), plain_fill_gaps(view, lengths, 0.3 * fps))
    same(keypoints, before)


@pytest.mark.parametrize("normalisation", ["body", "frame"])
def test_a_clip_is_prepared_alone_as_in_a_stack(normalisation):
    keypoints, lengths, fps = random_stack(5)
    size = torch.full((len(lengths),), 640), torch.full((len(lengths),), 480)
    how = Preparation(normalisation=normalisation, smoothing=3)
    together, _ = prepare_keypoints(keypoints, lengths, fps, size, how)
    alone = [
        prepare_keypoints(clip, lengths[i : i + 1], fps[i : i + 1], (size[0][i : i + 1], size[1][i : i + 1]), how)[0]
        for i, clip in enumerate(keypoints.split(lengths.tolist()))
    ]
    same(together, torch.cat(alone))
