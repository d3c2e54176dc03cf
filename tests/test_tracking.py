import numpy as np
import pytest

from poseemo_lib.skeleton import JOINT, N_KEYPOINTS
from poseemo_lib.tracking import main_people, oks

FRAMES = 60


def pose(x=0.0, y=0.0, size=200.0, confidence=0.9):
    """(17, 3): one fixed body, `size` pixels high, with its centre at (x, y)."""
    shape = np.random.default_rng(5).uniform(-0.5, 0.5, (N_KEYPOINTS, 2)) * (0.4, 1)
    return np.column_stack([shape * size + (x, y), np.full(N_KEYPOINTS, confidence)]).astype(np.float32)


def missing(*shape):
    return np.broadcast_to(np.array([np.nan, np.nan, 0], np.float32), (*shape, N_KEYPOINTS, 3)).copy()


def crossing():
    """(60, 2, 17, 3): two people of one size who walk through each other."""
    left = [pose(100 + 10 * t, 300) for t in range(FRAMES)]
    right = [pose(690 - 10 * t, 300, confidence=0.8) for t in range(FRAMES)]
    return np.stack([left, right], 1)


def shuffle(keypoints, seed):
    rng = np.random.default_rng(seed)
    return np.stack([frame[rng.permutation(len(frame))] for frame in keypoints])


def test_oks_in_closed_form():
    a = pose(size=200)
    np.testing.assert_allclose(oks(a[None], a[None]), [[1]])
    moved = a.copy()
    moved[:, 0] += 10
    sides = np.ptp(a[:, :2], axis=0)
    # One joint in common, so the mean is that joint's own similarity: sigma 0.026 for the nose.
    moved[1:] = (np.nan, np.nan, 0)
    area = sides.prod()
    np.testing.assert_allclose(oks(a[None], moved[None]), [[np.exp(-100 / (2 * area * 0.052**2))]], rtol=1e-4)


def test_oks_without_a_common_joint_is_zero():
    a, b = pose(), pose()
    a[:8], b[8:] = (np.nan, np.nan, 0), (np.nan, np.nan, 0)
    assert oks(a[None], b[None]).tolist() == [[0]]


def test_two_people_who_cross_keep_their_identity():
    found = main_people(shuffle(crossing(), 0))
    np.testing.assert_array_equal(found, crossing())


def test_the_order_of_the_detector_does_not_matter():
    crowd = np.concatenate([crossing(), missing(FRAMES, 2)], 1)
    crowd[::7, 2] = pose(1500, 100, size=50)
    wanted = main_people(crowd)
    assert wanted.shape == (FRAMES, 2, 17, 3)
    for seed in range(3):
        np.testing.assert_array_equal(main_people(shuffle(crowd, seed)), wanted)


def test_a_short_gap_is_bridged_and_stays_missing():
    keypoints = crossing()
    keypoints[8:14, 0] = (np.nan, np.nan, 0)
    found = main_people(shuffle(keypoints, 1))
    np.testing.assert_array_equal(found, keypoints)


def test_a_longer_gap_starts_another_person():
    keypoints = np.stack([pose(300, 300)] * FRAMES)[:, None]
    keypoints[20:30] = (np.nan, np.nan, 0)
    assert main_people(keypoints, max_gap=10).shape[1] == 1
    found = main_people(keypoints, max_gap=9)
    assert found.shape[1] == 2
    assert np.flatnonzero(found[:, 0, 0, 2]).tolist() == list(range(30, FRAMES))  # the longer part comes first
    assert np.flatnonzero(found[:, 1, 0, 2]).tolist() == list(range(20))


@pytest.mark.parametrize(
    "second", [{"size": 150}, {"confidence": 0.5}, {"absent": 30}], ids=["size", "confidence", "presence"]
)
def test_the_main_person_is_larger_surer_or_longer_there(second):
    absent = second.pop("absent", 0)
    main, other = pose(200, 300), pose(600, 300, **second)
    keypoints = np.stack([[other, main]] * FRAMES)
    keypoints[FRAMES - absent :, 0] = (np.nan, np.nan, 0)
    found = main_people(keypoints)
    np.testing.assert_array_equal(found[:, 0], np.stack([main] * FRAMES))
    np.testing.assert_array_equal(found[:10, 1], np.stack([other] * 10))


def test_a_third_person_is_left_out_and_a_ghost_too():
    people = [pose(x, 300, size=size) for x, size in ((200, 200), (600, 180), (1000, 160))]
    found = main_people(np.stack([people] * FRAMES))
    np.testing.assert_array_equal(found[0], people[:2])
    ghost = np.stack([people[:2]] * FRAMES)
    ghost[5:, 1] = (np.nan, np.nan, 0)  # 5 of 60 frames
    assert main_people(ghost).shape[1] == 1
    assert main_people(ghost, min_presence=0.05).shape[1] == 2


def test_a_jump_across_the_picture_is_another_person():
    keypoints = np.stack([pose(200 if t < 30 else 900, 300) for t in range(FRAMES)])[:, None]
    assert main_people(keypoints).shape[1] == 2


def test_nobody_is_one_missing_person():
    found = main_people(missing(7, 3))
    assert found.shape == (7, 1, 17, 3) and found.dtype == np.float32
    assert np.isnan(found[..., :2]).all() and (found[..., 2] == 0).all()
    assert main_people(np.zeros((4, 0, 17, 3))).shape == (4, 1, 17, 3)


def test_joints_that_come_and_go_do_not_break_a_track():
    keypoints = crossing()
    keypoints[::2, :, JOINT["nose"] : 9] = (np.nan, np.nan, 0)
    keypoints[5, 0, :-1] = (np.nan, np.nan, 0)  # a single joint
    found = main_people(shuffle(keypoints, 2), min_similarity=0.1)
    np.testing.assert_array_equal(found, keypoints)
