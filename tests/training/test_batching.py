import numpy as np
import pytest
import torch

from poseemo_lib.clips import EMOTIONS, PoseClip, mark_missing
from poseemo_lib.features.augmentation import Augmentation
from poseemo_lib.features.preparation import Preparation
from poseemo_lib.training.batching import (
    crop_positions,
    evaluation_batch,
    evaluation_windows,
    gather_windows,
    prepare_clips,
    training_batch,
)
from poseemo_lib.training.fit import epoch_order
from poseemo_lib.training.losses import inverse_frequency_weights


def make_clip(number, n_frames=40, people=1, fps=25.0, seed=None):
    rng = np.random.default_rng(number if seed is None else seed)
    keypoints = rng.normal(300, 60, (1, people, 17, 3)) + rng.normal(0, 3, (n_frames, people, 17, 3)).cumsum(0)
    keypoints[..., 2] = rng.uniform(0.3, 1, (n_frames, people, 17))
    keypoints[rng.random((n_frames, people, 17)) < 0.1] = np.nan
    label = EMOTIONS[number % 7]
    return PoseClip(f"clip{number}", label, mark_missing(keypoints), fps, 640, 480, f"s{number}", f"g{number}")


CLIPS = [
    make_clip(0, 40),
    make_clip(1, 100, 2),
    make_clip(2, 64, 2, 30.0),
    make_clip(3, 7),
    make_clip(4, 300, 1, 23.976),
]


@pytest.fixture(params=["body", "frame"])
def data(request):
    return prepare_clips(CLIPS, EMOTIONS, Preparation(normalisation=request.param))


def test_a_clip_is_prepared_alone_as_in_company(data):
    assert data.lengths.tolist() == [40, 100, 53, 7, 312] and len(data.keypoints) == data.lengths.sum()
    assert data.labels.tolist() == [0, 1, 2, 3, 4]
    kind = "body" if data.keypoints[..., 0].nan_to_num().abs().max() > 0.8 else "frame"
    for i, clip in enumerate(CLIPS):
        alone = prepare_clips([clip], EMOTIONS, Preparation(normalisation=kind))
        start, length = data.starts[i], data.lengths[i]
        torch.testing.assert_close(data.keypoints[start : start + length], alone.keypoints, equal_nan=True)


@pytest.mark.parametrize("crops", [1, 3, 5])
def test_evaluation_windows_lie_inside_and_one_is_centred(crops):
    lengths = torch.tensor([40, 100, 64, 65, 312])
    clip, start = evaluation_windows(lengths, 64, crops)
    assert (start >= 0).all() and ((start + 64 <= lengths[clip]) | (start == 0)).all()
    wanted = [1, crops, 1, min(2, crops), crops]
    assert torch.bincount(clip).tolist() == wanted
    if crops == 1:
        assert start.tolist() == [0, 18, 0, 0, 124]


def test_random_crops_without_warp_are_whole_frames_and_cover_the_clip():
    lengths = torch.full((4000,), 70)
    position = crop_positions(lengths, 64, 0.0, torch.Generator().manual_seed(0))
    assert torch.equal(position, position.round())
    assert torch.equal(position[:, 1:] - position[:, :-1], torch.ones(4000, 63, dtype=torch.float64))
    counts = torch.bincount(position[:, 0].long(), minlength=7)
    assert len(counts) == 7 and counts.min() > 450  # 571 each on average


def test_warped_crops_go_forward_within_the_stated_speeds_and_stay_inside():
    lengths = torch.randint(80, 200, (500,), generator=torch.Generator().manual_seed(1))
    position = crop_positions(lengths, 64, 0.25, torch.Generator().manual_seed(0))
    speed = position[:, 1:] - position[:, :-1]
    assert speed.min() >= 0.8 - 1e-9 and speed.max() <= 1.25 + 1e-9
    assert (position[:, 0] >= 0).all() and (position[:, -1] <= lengths - 1).all()


def test_gathered_windows_are_the_clips_frames(data):
    keypoints, mask = gather_windows(data, torch.tensor([1, 3]), torch.arange(20, 84).repeat(2, 1).double())
    start = data.starts[1]
    torch.testing.assert_close(keypoints[0], data.keypoints[start + 20 : start + 84], equal_nan=True)
    assert mask[0].all() and not mask[1].any()
    assert keypoints[1, ..., :2].isnan().all()


def test_without_augmentation_a_short_clip_gives_the_same_features_in_training_and_evaluation(data):
    clip = torch.tensor([0, 3])
    a, mask = training_batch(data, clip, 64, Augmentation(), torch.Generator().manual_seed(0))
    b, same = evaluation_batch(data, clip, torch.zeros(2, dtype=torch.long), 64)
    torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert torch.equal(mask, same) and mask.sum(1).tolist() == [40, 7]


class TestSampling:
    labels = torch.tensor([0] * 900 + [1] * 90 + [2] * 10)

    def test_uniform_sees_every_clip_once(self):
        order = epoch_order(self.labels, "uniform", torch.Generator().manual_seed(0))
        assert order.sort().values.tolist() == list(range(1000))

    def test_balanced_draws_the_classes_alike(self):
        order = epoch_order(self.labels, "balanced", torch.Generator().manual_seed(0))
        counts = torch.bincount(self.labels[order])
        assert len(order) == 1000 and counts.min() > 280 and counts.max() < 390

    def test_weights_are_sklearns(self):
        from sklearn.utils.class_weight import compute_class_weight

        wanted = compute_class_weight("balanced", classes=np.arange(3), y=self.labels.numpy())
        np.testing.assert_allclose(inverse_frequency_weights(self.labels, 3), wanted, rtol=1e-6)
