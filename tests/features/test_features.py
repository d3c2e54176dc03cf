"""The 238 features: what they are, and that the compiled and the tensor path give the same numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from poseemo_lib.clips import EMOTIONS, PoseClip, mark_missing
from poseemo_lib.features.augmentation import Augmentation, augment_as, draw
from poseemo_lib.features.preparation import Preparation
from poseemo_lib.features.tensor_features import ACCELERATION_UNIT, CHANNEL_NAMES, N_FEATURES, to_features
from poseemo_lib.skeleton import JOINT
from poseemo_lib.training.batching import crop_positions, features_at, gather_windows, prepare_clips

FPS, N_FRAMES = 25.0, 48
EVERYTHING = {"scale": 0.1, "rotation": 10.0, "noise": 0.01, "joint_dropout": 0.2, "flip": 0.5, "slot_swap": 0.5}
STEPS = [{name: value} for name, value in EVERYTHING.items()]


def view(features):
    """(B, T, F) -> (B, T, M, K, 7)."""
    return features.view(*features.shape[:2], 2, 17, len(CHANNEL_NAMES))


def motion(position, people=2):
    """All joints of all people at the positions (T, 2), confidence 1."""
    keypoints = torch.ones(1, len(position), people, 17, 3)
    keypoints[..., :2] = position[None, :, None, None]
    return keypoints


def everything(n_frames):
    return torch.ones(1, n_frames, dtype=torch.bool)


def test_238_features_in_the_order_of_the_contract():
    assert N_FEATURES == 238
    keypoints = motion(torch.zeros(4, 2))
    keypoints[0, :, 1, 3, 0] = 5.0
    features = to_features(keypoints, everything(4), FPS)
    assert features.shape == (1, 4, 238)
    # person 1, joint 3, x
    assert (features[0, 0] == 5.0).nonzero().flatten().tolist() == [(1 * 17 + 3) * 7]


def test_a_walker_has_one_velocity_and_no_acceleration():
    t = torch.arange(6.0)
    features = view(to_features(motion(torch.stack([t / FPS, 2 * t / FPS], 1)), everything(6), FPS))
    assert features[0, 0, ..., 3:].abs().sum() == 0  # nothing before the first frame
    torch.testing.assert_close(features[0, 1:, 0, 0, 3], torch.ones(5))
    torch.testing.assert_close(features[0, 1:, 0, 0, 4], torch.full((5,), 2.0))
    assert features[..., 5:].abs().max() < 1e-4


def test_motions_a_frame_are_plain_differences():
    """Of the published study: x[t] - x[t - 1], and the difference of two of these."""
    t = torch.arange(6.0)
    square = motion(torch.stack([t, t**2], 1))
    features = view(to_features(square, everything(6), FPS, motion_unit="frame"))
    assert torch.equal(features[0, 1:, 0, 0, 3:5], torch.stack([torch.ones(5), 2 * t[1:] - 1], 1))
    assert torch.equal(features[0, 2:, 0, 0, 5:], torch.tensor([0.0, 2.0]).expand(4, 2))


def test_a_falling_body_has_one_acceleration():
    t = torch.arange(8.0, dtype=torch.float64) / FPS
    fall = torch.stack([torch.zeros_like(t), 0.5 * 9.81 * t**2], 1).float()
    features = view(to_features(motion(fall), everything(8), FPS))
    torch.testing.assert_close(features[0, 2:, 0, 0, 6], torch.full((6,), 9.81 / ACCELERATION_UNIT), atol=1e-3, rtol=0)
    assert features[0, :2, 0, 0, 6].abs().sum() == 0


def test_a_missing_joint_is_zero_and_has_no_velocity_around_it():
    t = torch.arange(8.0)
    keypoints = motion(torch.stack([t, t], 1) + 3)
    keypoints[0, 4, 0, 9] = torch.tensor([torch.nan, torch.nan, 0.0])
    features = view(to_features(keypoints, everything(8), FPS))
    assert features[0, 4, 0, 9].abs().sum() == 0
    assert features[0, 5, 0, 9, 3:].abs().sum() == 0  # velocity needs frame 4
    assert features[0, 6, 0, 9, 3] > 0 and features[0, 6, 0, 9, 5] == 0  # acceleration needs it too
    assert features[0, 4, 0, 8, 0] > 0


def test_padding_is_zero_and_does_not_change_the_rest():
    t = torch.arange(8.0)
    keypoints = motion(torch.stack([t, t], 1))
    mask = everything(8).clone()
    mask[0, 5:] = False
    features = to_features(keypoints, mask, FPS)
    assert features[0, 5:].abs().sum() == 0
    torch.testing.assert_close(features[:, :5], to_features(keypoints[:, :5], everything(5), FPS))


def make_clip(number):
    """Joints that come and go, people that come late, leave early or are not there at all."""
    rng = np.random.default_rng(number)
    n_frames, people = int(rng.choice([1, 2, 3, 20, 48, 90])), int(rng.integers(1, 3))
    keypoints = rng.normal(300, 60, (1, people, 17, 3)) + rng.normal(0, 3, (n_frames, people, 17, 3)).cumsum(0)
    keypoints[..., 2] = rng.uniform(0.3, 1, (n_frames, people, 17))
    keypoints[rng.random((n_frames, people, 17)) < rng.choice([0, 0.1, 0.5])] = np.nan
    keypoints[:, rng.random((people, 17)) < rng.choice([0, 0.3])] = np.nan
    keypoints[: rng.integers(0, 10), people - 1] = np.nan
    if number % 11 == 0:
        keypoints[:] = np.nan
    return PoseClip(f"c{number}", EMOTIONS[number % 7], mark_missing(keypoints), 25.0, 640, 480, f"s{number}", "g")


def prepared(positions):
    return prepare_clips(map(make_clip, range(66)), EMOTIONS, Preparation(positions=positions))


DATA = {positions: prepared(positions) for positions in ("scene", "person")}
UNITS = ("second", "frame")


def by_tensors(data, clip, position, draws):
    keypoints, mask = gather_windows(data, clip, position)
    return to_features(augment_as(keypoints, draws), mask, data.fps, data.positions, data.motion_unit), mask


def windows(data, time_warp=0.1, **how):
    """Every clip twice, with draws of their own."""
    generator = torch.Generator().manual_seed(3)
    clip = torch.arange(len(data)).repeat(2)
    position = crop_positions(data.lengths[clip], N_FRAMES, time_warp, generator)
    return clip, position, draw(Augmentation(**how), (*position.shape, 2, 17), generator)


@pytest.mark.parametrize("time_warp", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("how", [{}, *STEPS, EVERYTHING], ids=lambda how: "+".join(how) or "nothing")
def test_both_paths_give_the_same_bits(how, time_warp):
    given = windows(DATA["scene"], time_warp, **how)
    for data in (replace(DATA["scene"], motion_unit=unit) for unit in UNITS):
        (features, mask), (wanted, same_mask) = features_at(data, *given), by_tensors(data, *given)
        assert torch.equal(mask, same_mask) and torch.equal(features, wanted)


@pytest.mark.parametrize("how", [{}, EVERYTHING], ids=["nothing", "everything"])
@pytest.mark.parametrize("unit", UNITS)
def test_both_paths_give_the_same_positions_from_the_person(how, unit):
    """Where both shoulders are seen bit by bit; a mean of several joints to the rounding of its sum."""
    data = replace(DATA["person"], motion_unit=unit)
    given = windows(data, **how)
    features, wanted = (way(data, *given)[0].unflatten(2, (2, 17, 7)) for way in (features_at, by_tensors))
    torch.testing.assert_close(features, wanted, rtol=0, atol=2e-6)
    shoulders = (features[..., [JOINT["left_shoulder"], JOINT["right_shoulder"]], 2] > 0).all(-1)
    assert shoulders.any() and not shoulders.all()
    assert torch.equal(features[shoulders], wanted[shoulders])
    assert torch.equal(features[..., 2:], wanted[..., 2:])


def test_a_window_does_not_depend_on_its_batch():
    data = DATA["person"]
    clip, position, _ = windows(data)
    together, _ = features_at(data, clip, position, {})
    for row in (0, 7, 40):
        alone, _ = features_at(data, clip[row : row + 1], position[row : row + 1], {})
        assert torch.equal(alone[0], together[row])


@pytest.mark.parametrize("change", ["one person", "before the start", "frames that are missing", "no frame"])
def test_what_would_read_beside_the_clips_is_refused(change):
    data = DATA["scene"]
    clip, position, draws = windows(data)
    if change == "one person":
        data = replace(data, keypoints=data.keypoints[:, :1])
    elif change == "before the start":
        position = position - 1
    else:
        data = replace(data, keypoints=data.keypoints[: {"frames that are missing": -1, "no frame": 0}[change]])
    with pytest.raises(ValueError, match="wanted windows inside"):
        features_at(data, clip, position, draws)
