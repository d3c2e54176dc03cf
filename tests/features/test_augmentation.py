import math

import pytest
import torch

from poseemo_lib.features import augmentation as aug
from poseemo_lib.skeleton import JOINT

EVERYTHING = aug.Augmentation(
    flip=0.5, scale=0.1, rotation=10.0, noise=0.01, time_warp=0.1, joint_dropout=0.2, slot_swap=0.5
)


def random_batch(n_clips=6, n_frames=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    keypoints = torch.randn(n_clips, n_frames, 2, 17, 3, generator=generator)
    keypoints[..., 2] = 1.0
    hidden = torch.rand(n_clips, n_frames, 2, 17, generator=generator) < 0.2
    keypoints[hidden] = torch.tensor([torch.nan, torch.nan, 0.0])
    return keypoints


def everyone(n=6):
    return torch.ones(n, dtype=torch.bool)


def missing(keypoints):
    return keypoints[..., 0].isnan()


def assert_equal(found, wanted):
    torch.testing.assert_close(found, wanted, equal_nan=True, rtol=0, atol=0)


def test_flipping_makes_left_joints_right_ones_and_twice_is_the_identity():
    keypoints = random_batch()
    out = aug.flip(keypoints, everyone())
    assert_equal(aug.flip(out, everyone()), keypoints)
    left, right = JOINT["left_wrist"], JOINT["right_wrist"]
    assert_equal(out[..., right, 0], -keypoints[..., left, 0])
    assert_equal(out[..., right, 1:], keypoints[..., left, 1:])


def scale_rotate(keypoints, factor, angle):
    angle = torch.full((len(keypoints),), angle)
    return aug.scale_rotate(keypoints, factor * angle.cos(), factor * angle.sin())


def test_rotation_by_a_quarter_about_the_body():
    keypoints = torch.ones(1, 1, 1, 17, 3)
    keypoints[..., :2] = 10.0
    keypoints[0, 0, 0, 0, 0], keypoints[0, 0, 0, 1, 0] = 11.0, 9.0  # the mean stays at 10, 10
    out = scale_rotate(keypoints, 1.0, math.pi / 2)
    torch.testing.assert_close(out[0, 0, 0, :2, :2], torch.tensor([[10.0, 11.0], [10.0, 9.0]]))


def test_scaling_scales_distances_and_keeps_the_centre():
    keypoints = random_batch()
    out = scale_rotate(keypoints, 1.1, 0.3)
    before, after = ((k[:, 0, 0, 5, :2] - k[:, 0, 0, 6, :2]).norm(dim=-1) for k in (keypoints, out))
    torch.testing.assert_close(after, 1.1 * before, equal_nan=True)
    torch.testing.assert_close(out[..., :2].flatten(1, 3).nanmean(1), keypoints[..., :2].flatten(1, 3).nanmean(1))


def test_swapping_people_twice_is_the_identity():
    keypoints = random_batch()
    once = aug.swap_people(keypoints, everyone())
    assert_equal(once[:, :, 0], keypoints[:, :, 1])
    assert_equal(aug.swap_people(once, everyone()), keypoints)


def test_a_lone_person_keeps_the_first_slot():
    keypoints = random_batch(2)
    keypoints[0, :, 1] = torch.tensor([torch.nan, torch.nan, 0.0])
    out = aug.augment(keypoints, aug.Augmentation(slot_swap=1.0), torch.Generator())
    assert_equal(out[0], keypoints[0])
    assert_equal(out[1], keypoints[1].flip(1))


def test_noise_has_the_size_asked_for_and_skips_missing_joints():
    keypoints = random_batch(200)
    out = aug.augment(keypoints, aug.Augmentation(noise=0.05), torch.Generator().manual_seed(1))
    change = (out - keypoints)[..., :2]
    assert missing(out).equal(missing(keypoints))
    assert change[~change.isnan()].std() == pytest.approx(0.05, rel=0.05)


def test_everything_together_is_repeatable_and_never_revives_a_joint():
    keypoints = random_batch()
    seeded = [aug.augment(keypoints, EVERYTHING, torch.Generator().manual_seed(s)) for s in (3, 3, 4)]
    assert_equal(seeded[0], seeded[1])
    assert not torch.equal(seeded[0].nan_to_num(), seeded[2].nan_to_num())
    assert missing(seeded[0]).sum() >= missing(keypoints).sum()
    assert ((seeded[0][..., 2] == 0) == missing(seeded[0])).all()
