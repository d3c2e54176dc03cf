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


class TestFlip:
    def test_twice_is_the_identity(self):
        keypoints = random_batch()
        torch.testing.assert_close(
            aug.flip(aug.flip(keypoints, everyone()), everyone()), keypoints, equal_nan=True, rtol=0, atol=0
        )

    def test_left_becomes_right_on_the_other_side(self):
        keypoints = random_batch()
        out = aug.flip(keypoints, everyone())
        left, right = JOINT["left_wrist"], JOINT["right_wrist"]
        torch.testing.assert_close(out[..., right, 0], -keypoints[..., left, 0], equal_nan=True)
        torch.testing.assert_close(out[..., right, 1:], keypoints[..., left, 1:], equal_nan=True)


def test_rotation_by_a_quarter_about_the_body():
    keypoints = torch.ones(1, 1, 1, 17, 3)
    keypoints[..., :2] = 10.0
    keypoints[0, 0, 0, 0, 0], keypoints[0, 0, 0, 1, 0] = 11.0, 9.0  # the mean stays at 10, 10
    out = aug.scale_rotate(keypoints, torch.ones(1), torch.tensor([math.pi / 2]))
    torch.testing.assert_close(out[0, 0, 0, 0, :2], torch.tensor([10.0, 11.0]))
    torch.testing.assert_close(out[0, 0, 0, 1, :2], torch.tensor([10.0, 9.0]))


def test_scaling_scales_distances_and_keeps_the_centre():
    keypoints = random_batch()
    out = aug.scale_rotate(keypoints, torch.full((6,), 1.1), torch.full((6,), 0.3))
    before = (keypoints[:, 0, 0, 5, :2] - keypoints[:, 0, 0, 6, :2]).norm(dim=-1)
    after = (out[:, 0, 0, 5, :2] - out[:, 0, 0, 6, :2]).norm(dim=-1)
    torch.testing.assert_close(after, 1.1 * before, equal_nan=True)
    torch.testing.assert_close(out[..., :2].flatten(1, 3).nanmean(1), keypoints[..., :2].flatten(1, 3).nanmean(1))


def test_swapping_people_twice_is_the_identity():
    keypoints = random_batch()
    once = aug.swap_people(keypoints, everyone())
    torch.testing.assert_close(once[:, :, 0], keypoints[:, :, 1], equal_nan=True)
    torch.testing.assert_close(aug.swap_people(once, everyone()), keypoints, equal_nan=True)


def test_a_lone_person_keeps_the_first_slot():
    keypoints = random_batch(2)
    keypoints[0, :, 1] = torch.tensor([torch.nan, torch.nan, 0.0])
    out = aug.augment(keypoints, aug.Augmentation(slot_swap=1.0), torch.Generator())
    torch.testing.assert_close(out[0], keypoints[0], equal_nan=True)
    torch.testing.assert_close(out[1], keypoints[1].flip(1), equal_nan=True)


def test_noise_has_the_size_asked_for_and_skips_missing_joints():
    keypoints = random_batch(200)
    out = aug.augment(keypoints, aug.Augmentation(noise=0.05), torch.Generator().manual_seed(1))
    change = (out - keypoints)[..., :2]
    assert missing(out).equal(missing(keypoints))
    assert change[~change.isnan()].std() == pytest.approx(0.05, rel=0.05)


def test_everything_together_is_repeatable_and_never_revives_a_joint():
    keypoints = random_batch()
    seeded = [aug.augment(keypoints, EVERYTHING, torch.Generator().manual_seed(s)) for s in (3, 3, 4)]
    torch.testing.assert_close(seeded[0], seeded[1], equal_nan=True, rtol=0, atol=0)
    assert not torch.equal(seeded[0].nan_to_num(), seeded[2].nan_to_num())
    assert missing(seeded[0]).sum() >= missing(keypoints).sum()
    assert ((seeded[0][..., 2] == 0) == missing(seeded[0])).all()
