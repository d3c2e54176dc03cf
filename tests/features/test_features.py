import pytest
import torch

from poseemo_lib.features.tensor_features import ACCELERATION_UNIT, CHANNEL_NAMES, N_FEATURES, to_features

FPS = 25.0


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


@pytest.mark.parametrize("n_frames", [1, 2])
def test_very_short_windows(n_frames):
    assert torch.isfinite(to_features(motion(torch.ones(n_frames, 2)), everything(n_frames), FPS)).all()
