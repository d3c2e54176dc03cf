import itertools

import numpy as np
import pytest

from poseemo_lib.features import preparation
from poseemo_lib.features.preparation import Preparation
from poseemo_lib.skeleton import JOINT

MISSING = np.array([np.nan, np.nan, 0], np.float32)


def walker(n_frames, speed=1.0, people=1):
    """Every joint on the line x = y = speed * t, confidence 1."""
    keypoints = np.ones((n_frames, people, 17, 3), np.float32)
    keypoints[..., :2] = (np.arange(n_frames) * speed).reshape(-1, 1, 1, 1)
    return keypoints


def hide(keypoints, *where):
    out = keypoints.copy()
    out[where] = MISSING
    return out


def person(torso=100.0, shift=(300.0, 200.0), n_frames=5):
    """A still body facing the camera, shoulders at shift, hips one torso below."""
    keypoints = np.broadcast_to(MISSING, (n_frames, 1, 17, 3)).copy()
    for name, x, y in [("shoulder", 0.4, 0.0), ("hip", 0.2, 1.0), ("ankle", 0.2, 2.8)]:
        for side, sign in (("left", 1), ("right", -1)):
            keypoints[:, :, JOINT[f"{side}_{name}"]] = shift[0] + sign * x * torso, shift[1] + y * torso, 1.0
    return keypoints


def test_unsure_joints_become_missing():
    keypoints = walker(3)
    keypoints[1, 0, 4, 2] = 0.05
    out = preparation.drop_unsure(keypoints, 0.1)
    np.testing.assert_array_equal(out, hide(keypoints, 1, 0, 4))
    assert keypoints[1, 0, 4, 2] > 0  # what was given is left alone


def test_gaps_are_filled_as_joint_by_joint():
    rng = np.random.default_rng(0)
    keypoints = rng.normal(300, 60, (90, 2, 17, 3)).astype(np.float32)
    keypoints[..., 2] = rng.uniform(0.1, 1, keypoints.shape[:-1])
    keypoints[(np.repeat(rng.random((30, 2, 17)) < 0.3, 3, 0)) | (rng.random((90, 2, 17)) < 0.2)] = MISSING
    out = preparation.fill_gaps(keypoints, 4.5)
    for joint in np.ndindex(2, 17):
        np.testing.assert_array_equal(out[:, *joint], bridge(keypoints[:, *joint], 4.5))


def bridge(track, limit):
    """Fill the gaps of one joint's track (T, 3), one after another."""
    out, seen = track.copy(), np.flatnonzero(track[:, 2] > 0)
    for low, high in itertools.pairwise(seen):
        if high - low - 1 <= limit:
            for t in range(low + 1, high):
                out[t] = track[low] + (track[high] - track[low]) * np.float32((t - low) / (high - low))
    return out


def test_smoothing_averages_what_was_seen_and_keeps_what_is_missing():
    keypoints = hide(walker(9), 4, 0, 0)
    out = preparation.smooth(keypoints, 3)
    np.testing.assert_allclose(out[1:8, 0, 1], keypoints[1:8, 0, 1])
    assert np.isnan(out[4, 0, 0, :2]).all()
    assert out[3, 0, 0, 0] == 2.5  # frames 2 and 3
    np.testing.assert_array_equal(preparation.smooth(keypoints, 0), keypoints)


@pytest.mark.parametrize(
    ("fps", "n_frames", "wanted"), [(50.0, 21, 11), (12.5, 11, 21), (30.0, 31, 26), (29.97, 60, 50), (1.0, 1, 1)]
)
def test_a_walker_keeps_its_speed_a_second(fps, n_frames, wanted):
    out = preparation.resample(walker(n_frames, speed=1 / fps), fps, 25.0)
    np.testing.assert_allclose(out[:, 0, 0, 0], np.arange(wanted) / 25.0, atol=1e-5)


def test_a_frame_between_one_that_is_seen_and_one_that_is_not_is_missing():
    out = preparation.resample(hide(walker(5), 2, 0, 0), 12.5, 25.0)
    assert np.flatnonzero(np.isnan(out[:, 0, 0, 0])).tolist() == [3, 4, 5]
    np.testing.assert_array_equal(out[:, 0, 0, 2] == 0, np.isnan(out[:, 0, 0, 0]))


def test_normalised_by_the_picture_it_runs_from_minus_to_plus_one_half():
    keypoints = np.ones((2, 1, 17, 3), np.float32)
    keypoints[0, ..., :2], keypoints[1, ..., :2] = 0, (640, 480)
    out = preparation.normalise_frame(keypoints, 640, 480)
    assert (out[0, ..., :2] == -0.5).all() and (out[1, ..., :2] == 0.5).all()


def test_normalised_by_the_body_it_is_in_torsos_from_the_shoulders_wherever_and_however_large():
    out = preparation.normalise_body(person())
    np.testing.assert_allclose(out[0, 0, JOINT["left_shoulder"], :2], [0.4, 0.0], atol=1e-6)
    np.testing.assert_allclose(out[0, 0, JOINT["right_ankle"], :2], [-0.2, 2.8], atol=1e-6)
    other = preparation.normalise_body(person(torso=37.0, shift=(20.0, 900.0)))
    np.testing.assert_allclose(other, out, atol=1e-5, rtol=1e-5)


def test_normalised_by_the_body_it_keeps_movement_through_the_scene():
    moving = person(n_frames=11)
    moving[..., 0] += np.arange(11).reshape(-1, 1, 1) * 10  # a tenth of a torso a frame
    out = preparation.normalise_body(moving)
    np.testing.assert_allclose(np.diff(out[:, 0, JOINT["left_hip"], 0]), 0.1, atol=1e-5)


def test_without_hips_the_width_of_the_shoulders_is_the_unit_and_without_shoulders_the_extent():
    no_hips = hide(person(), slice(None), slice(None), [JOINT["left_hip"], JOINT["right_hip"]])
    out = preparation.normalise_body(no_hips)  # width 80 pixels, unit 100
    np.testing.assert_allclose(out[0, 0, JOINT["left_shoulder"], 0], 0.4, atol=1e-6)
    head = hide(walker(3), slice(None))
    head[:, :, 0], head[:, :, 1] = (10, 10, 1), (16, 18, 1)
    out = preparation.normalise_body(head)
    np.testing.assert_allclose(np.linalg.norm(out[0, 0, 1, :2] - out[0, 0, 0, :2]), 2.0, atol=1e-5)


def test_people_share_a_frame_that_depends_neither_on_their_order_nor_on_an_absent_one():
    two = np.concatenate([person(), person(torso=60.0, shift=(700.0, 250.0))], 1)
    out = preparation.normalise_body(two)
    np.testing.assert_array_equal(preparation.normalise_body(two[:, ::-1])[:, ::-1], out)
    np.testing.assert_allclose(out[0, 1, JOINT["left_hip"], 1] - out[0, 1, JOINT["left_shoulder"], 1], 60 / 80)
    alone = preparation.normalise_body(np.concatenate([person(), hide(person(), slice(None))], 1))
    np.testing.assert_array_equal(alone[:, :1], preparation.normalise_body(person()))
    assert np.isnan(alone[:, 1, :, :2]).all()
    # A torso that is out of sight does not count beside one that is seen.
    no_hips = hide(two, slice(None), 1, [JOINT["left_hip"], JOINT["right_hip"]])
    assert preparation.body_frame(no_hips)[1] == 100


def test_one_point_and_nobody_have_a_frame_too():
    point = hide(walker(3), slice(None))
    point[1, 0, 9] = 30, 40, 0.5
    assert np.isfinite(preparation.body_frame(point)[0]).all() and preparation.normalise_body(point)[1, 0, 9, 0] == 0
    nobody = preparation.normalise_body(hide(walker(3), slice(None)))
    np.testing.assert_array_equal(nobody, hide(walker(3), slice(None)))


@pytest.mark.parametrize("normalisation", ["body", "frame"])
def test_a_clip_is_cleaned_resampled_and_normalised_into_two_slots(normalisation):
    keypoints = np.concatenate([person(n_frames=26), person(shift=(500.0, 200.0), n_frames=26)], 1)
    keypoints[..., 2] = 0.9
    keypoints[3, 0, JOINT["nose"], 2] = 0.05
    how = Preparation(normalisation=normalisation, fps=12.5, smoothing=3)
    before = keypoints.copy()
    out = preparation.prepare(keypoints, 25.0, 640, 480, how)
    assert out.shape == (13, 2, 17, 3) and out.dtype == np.float32
    np.testing.assert_array_equal(keypoints, before)
    one = preparation.prepare(keypoints, 25.0, 640, 480, Preparation(people=1))
    assert np.isnan(one[:, 1, :, :2]).all() and np.isfinite(one[:, 0, JOINT["left_hip"]]).all()
    np.testing.assert_array_equal(one, preparation.prepare(keypoints[:, :1], 25.0, 640, 480, Preparation()))
