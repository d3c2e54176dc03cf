"""The compiled pass against the chain of tensor operations: the same numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from poseemo_lib.clips import EMOTIONS, PoseClip, mark_missing
from poseemo_lib.features.augmentation import Augmentation, Draws, augment_as, draw
from poseemo_lib.features.tensor_features import to_features
from poseemo_lib.skeleton import JOINT
from poseemo_lib.training.batching import Preparation, crop_positions, features_at, gather_windows, prepare_clips

N_FRAMES = 48
EVERYTHING = {"scale": 0.1, "rotation": 10.0, "noise": 0.01, "joint_dropout": 0.2, "flip": 0.5, "slot_swap": 0.5}
STEPS = [{name: value} for name, value in EVERYTHING.items()]


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


def by_operations(data, clip, position, draws):
    keypoints, mask = gather_windows(data, clip, position)
    return to_features(augment_as(keypoints, draws), mask, data.fps, data.positions), mask


def windows(data, time_warp=0.1, **how):
    """Every clip twice, with draws of their own."""
    generator = torch.Generator().manual_seed(3)
    clip = torch.arange(len(data)).repeat(2)
    position = crop_positions(data.lengths[clip], N_FRAMES, time_warp, generator)
    return clip, position, draw(Augmentation(**how), (*position.shape, 2, 17), generator)


@pytest.mark.parametrize("time_warp", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("how", [{}, *STEPS, EVERYTHING], ids=lambda how: "+".join(how) or "nothing")
def test_the_same_bits_as_the_operations(how, time_warp):
    data = DATA["scene"]
    given = windows(data, time_warp, **how)
    (features, mask), (wanted, same_mask) = features_at(data, *given), by_operations(data, *given)
    assert torch.equal(mask, same_mask) and torch.equal(features, wanted)


@pytest.mark.parametrize("how", [{}, EVERYTHING], ids=["nothing", "everything"])
def test_positions_from_the_person(how):
    """Where both shoulders are seen bit by bit; a mean of several joints to the rounding of its sum."""
    data = DATA["person"]
    given = windows(data, **how)
    features, wanted = (way(data, *given)[0].unflatten(2, (2, 17, 7)) for way in (features_at, by_operations))
    torch.testing.assert_close(features, wanted, rtol=0, atol=2e-6)
    shoulders = (features[..., [JOINT["left_shoulder"], JOINT["right_shoulder"]], 2] > 0).all(-1)
    assert shoulders.any() and not shoulders.all()
    assert torch.equal(features[shoulders], wanted[shoulders])
    assert torch.equal(features[..., 2:], wanted[..., 2:])


def test_nothing_is_changed_that_was_given():
    data = DATA["scene"]
    given = windows(data, **EVERYTHING)
    before = [value.clone() for value in (data.keypoints, *given[:2], *vars(given[2]).values())]
    features_at(data, *given)
    after = (data.keypoints, *given[:2], *vars(given[2]).values())
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


def test_a_window_does_not_depend_on_its_batch():
    data = DATA["person"]
    clip, position, _ = windows(data)
    together, _ = features_at(data, clip, position, Draws())
    for row in (0, 7, 40):
        alone, _ = features_at(data, clip[row : row + 1], position[row : row + 1], Draws())
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
    with pytest.raises(ValueError, match="wanted keypoints|wanted clips inside"):
        features_at(data, clip, position, draws)
