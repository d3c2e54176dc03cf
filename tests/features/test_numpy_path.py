import numpy as np
import pytest
import torch

from poseemo_lib.clips import PoseClip, mark_missing
from poseemo_lib.data.synthetic import generate_clips
from poseemo_lib.inference import numpy_path
from poseemo_lib.training.batching import Preparation, evaluation_batch, prepare_clips

N_FRAMES = 64


def by_torch(keypoints, fps, how, n_frames=N_FRAMES):
    clip = PoseClip("a", "sad", keypoints, fps, 640, 480, "s", "g")
    data = prepare_clips([clip], ("sad",), how)
    features, mask = evaluation_batch(data, torch.tensor([0]), torch.tensor([0]), n_frames)
    return features[0].numpy(), mask[0].numpy()


def check(keypoints, fps=25.0, how=None, n_frames=N_FRAMES):
    how = how or Preparation()
    features, mask = numpy_path.window_features(keypoints, fps, 640, 480, n_frames=n_frames, preparation=vars(how))
    wanted, wanted_mask = by_torch(keypoints, fps, how, n_frames)
    assert features.dtype == np.float32 and np.isfinite(features).all()
    np.testing.assert_array_equal(mask, wanted_mask)
    np.testing.assert_allclose(features, wanted, atol=2e-5, rtol=2e-5)


@pytest.fixture(scope="module")
def clips():
    return [clip for clip, _ in generate_clips(40, seed=5)]


def test_clips_of_all_kinds_have_the_features_that_torch_derives(clips):
    assert {clip.n_people for clip in clips} == {1, 2} and len({clip.fps for clip in clips}) > 1
    for clip in clips:
        check(clip.keypoints, clip.fps)


@pytest.mark.parametrize(
    "how",
    [
        Preparation(normalisation="frame"),
        Preparation(positions="scene"),
        Preparation(people=1),
        Preparation(smoothing=5),
        Preparation(max_gap=0.0),
        Preparation(max_gap=1.0, min_confidence=0.6),
        Preparation(fps=30.0),
        Preparation(fps=12.5, smoothing=3),
    ],
    ids=str,
)
def test_every_preparation(clips, how):
    for clip in clips[:12]:
        check(clip.keypoints, clip.fps, how)


@pytest.mark.parametrize("fps", [1.0, 7.3, 23.976, 25.0, 29.97, 60.0, 120.0])
def test_every_rate(clips, fps):
    check(clips[0].keypoints, fps)
    check(clips[1].keypoints[:3], fps)


def holes(keypoints, *where):
    holed = keypoints.copy()
    holed[where] = 0
    return mark_missing(holed)


def test_windows_that_lack_things(clips):
    body = next(clip.keypoints for clip in clips if clip.n_people == 2)
    hips, shoulders = [11, 12], [5, 6]
    check(holes(body, slice(None), slice(None), hips))
    check(holes(body, slice(None), slice(None), [*hips, *shoulders]))
    check(holes(body, slice(None), slice(None), slice(1, None)))
    check(holes(body, slice(None), 1))
    check(holes(body, slice(None), 0))
    check(holes(body, slice(5, 20)))
    check(holes(body, slice(None)))
    check(body[:1])
    check(body[:2], n_frames=4)
    random = np.random.default_rng(0).random(body.shape[:3]) < 0.3
    check(holes(body, random))
