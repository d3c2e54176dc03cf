import numpy as np
import pytest

from poseemo_lib.skeleton import JOINT, N_KEYPOINTS
from poseemo_lib.video.tracking import Tracker, follow, main_people, oks

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
    a[0] = (np.nan, np.nan, 0)
    assert oks(a[None], moved[None]).tolist() == [[0]]  # no joint in common


def test_the_order_of_the_detector_does_not_matter():
    crowd = np.concatenate([crossing(), missing(FRAMES, 2)], 1)
    crowd[::7, 2] = pose(1500, 100, size=50)
    wanted = main_people(crowd)
    assert wanted.shape == (FRAMES, 2, 17, 3)
    for seed in range(3):
        np.testing.assert_array_equal(main_people(shuffle(crowd, seed)), wanted)


@pytest.mark.parametrize("where", [np.s_[8:14, 0], np.s_[::2, :, JOINT["nose"] : 9]], ids=["a short gap", "joints"])
def test_what_is_missing_for_a_while_does_not_break_a_track(where):
    keypoints = crossing()
    keypoints[where] = (np.nan, np.nan, 0)
    np.testing.assert_array_equal(main_people(shuffle(keypoints, 1)), keypoints)


def test_a_longer_gap_starts_another_person():
    keypoints = np.stack([pose(300, 300)] * FRAMES)[:, None]
    keypoints[20:32] = (np.nan, np.nan, 0)
    assert main_people(keypoints).shape[1] == 1
    keypoints[32] = (np.nan, np.nan, 0)
    found = main_people(keypoints)
    assert found.shape[1] == 2
    assert np.flatnonzero(found[:, 0, 0, 2]).tolist() == list(range(33, FRAMES))  # the longer part comes first
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


def test_nobody_is_one_missing_person():
    found = main_people(missing(7, 3))
    assert found.shape == (7, 1, 17, 3) and found.dtype == np.float32
    assert np.isnan(found[..., :2]).all() and (found[..., 2] == 0).all()
    assert main_people(np.zeros((4, 0, 17, 3))).shape == (4, 1, 17, 3)


def passing(speed, hidden=0, depth=1.0, fps=25.0):
    """(T, P, 17, 3) and (T, P) who it is: people 200 px high who pass each other at the middle frame.

    `speed` is in pixels a frame at 25 fps, of which 7 are a walk (1.5 m/s where 1.7 m are 200 px); the second is
    `depth` times as high and as fast, and is not seen in the `hidden` frames around the crossing.
    """
    reach = round(300 / speed * fps / 25)  # frames from the start to the crossing
    # Half a step beside the crossing: people in the very same place cannot be distinguished.
    steps = (np.arange(2 * reach) - reach + 0.5) * speed * 25 / fps
    people = [[pose(600 + x, 300) for x in steps], [pose(600 - x * depth, 300, size=200 * depth) for x in steps]]
    keypoints = np.stack(people, 1)
    start = reach - hidden // 2
    keypoints[start : start + hidden, 1] = (np.nan, np.nan, 0)
    return keypoints


def shuffled_ids(tracker, keypoints, seed):
    """(T, P) numbers that the tracker gives in the order of `keypoints`, which it sees in another order every frame."""
    rng = np.random.default_rng(seed)
    ids = np.full(keypoints.shape[:2], -1)
    for frame, poses in enumerate(keypoints):
        order = rng.permutation(len(poses))
        ids[frame, order] = tracker.update(poses[order])
    return ids


def one_number_each(ids):
    return all(len(set(person[person >= 0])) == 1 for person in ids.T) and len(set(ids[ids >= 0])) == ids.shape[1]


@pytest.mark.parametrize("fps", [10, 25, 60])
@pytest.mark.parametrize("depth", [1.0, 0.6])
@pytest.mark.parametrize(("speed", "hidden"), [(2, 0), (2, 12), (4, 9), (7, 0), (7, 8), (10, 5)])
def test_people_who_pass_keep_their_numbers(speed, hidden, depth, fps):
    keypoints = passing(speed, round(hidden * fps / 25), depth, fps)
    for seed in range(3):
        ids = shuffled_ids(Tracker(fps=fps), keypoints, seed)
        assert one_number_each(ids)
        assert ids[0].tolist() == [0, 1]  # from left to right, whatever the order of the detector
    assert (ids == -1).sum() == (keypoints[..., 2].max(-1) == 0).sum()


def still(*stays, n_frames=200):
    """(T, len(stays), 17, 3): people who are seen in frames [start, stop) at (x, size); [(start, stop, x, size)]."""
    keypoints = missing(n_frames, len(stays))
    for person, (start, stop, x, size) in enumerate(stays):
        keypoints[start:stop, person] = pose(x, 300, size=size)
    return keypoints


@pytest.mark.parametrize(("fps", "gap"), [(10, 5), (25, 12), (60, 29)])
def test_the_gap_is_a_time_where_the_rate_is_known(fps, gap):
    for missed, numbers in ((gap, {0}), (gap + 1, {0, 1})):
        keypoints = still((0, 30, 300, 200), (30 + missed, 200, 300, 200))
        assert set(follow(keypoints, fps=fps, max_absence=0).ravel()) - {-1} == numbers


@pytest.mark.parametrize(
    ("back", "same"),
    [
        ((45, 300, 200), True),  # after more than max_gap
        ((80, 300, 200), True),  # at the limit
        ((81, 300, 200), False),
        ((45, 360, 200), True),  # a little further on
        ((45, 450, 200), False),
        ((45, 300, 260), True),
        ((45, 300, 380), False),
    ],
)
def test_who_comes_back_near_the_last_place_keeps_the_number(back, same):
    start, x, size = back
    ids = follow(still((0, 30, 300, 200), (start, 200, x, size), n_frames=200))
    assert (ids[start, 1] == 0) == same and (ids[start:, 1] == ids[start, 1]).all()


def test_nobody_comes_back_where_two_are_in_question():
    left, right = (0, 30, 300, 200), (0, 30, 380, 200)
    # Both were out of sight, and may have changed places.
    assert set(follow(still(left, right, (50, 200, 300, 200)))[50:].ravel()) - {-1} == {2}
    # Two come where one left.
    assert set(follow(still(left, (50, 200, 290, 200), (50, 200, 340, 200)))[50:].ravel()) - {-1} == {1, 2}
    # One who is far away is in no doubt.
    assert set(follow(still(left, (0, 30, 900, 200), (50, 200, 300, 200)))[50:].ravel()) - {-1} == {0}


def test_two_who_cross_out_of_sight_never_get_each_others_number():
    for hidden in range(1, 60, 4):
        keypoints = passing(4)
        middle = len(keypoints) // 2
        keypoints[middle - hidden // 2 : middle + hidden // 2 + 1] = (np.nan, np.nan, 0)
        ids = follow(keypoints)
        for person in (0, 1):
            assert ids[0, 1 - person] not in ids[:, person]


def test_a_reset_ends_tracks_and_numbers_go_on():
    tracker, person = Tracker(), pose(300, 300)[None]
    assert tracker.update(person).tolist() == [0] and tracker.update(person).tolist() == [0]
    tracker.reset()
    assert tracker.update(person).tolist() == [1]
    assert tracker.update(missing(2)).tolist() == [-1, -1]
    assert tracker.update(np.zeros((0, 17, 3))).tolist() == []
    assert tracker.update(np.concatenate([missing(1), person])).tolist() == [-1, 1]


def test_nobody_is_followed_across_a_cut():
    keypoints = np.stack([pose(300, 300)] * FRAMES)[:, None]
    found = main_people(keypoints, cuts=[40])
    assert [np.flatnonzero(found[:, slot, 0, 2]).tolist() for slot in (0, 1)] == [
        list(range(40)),
        list(range(40, 60)),
    ]
    np.testing.assert_array_equal(main_people(keypoints, cuts=[0]), main_people(keypoints))
    # Of three scenes the two longest are kept.
    found = main_people(keypoints, cuts=[10, 35])
    assert np.flatnonzero(np.isnan(found[..., 0, 0]).all(1)).tolist() == list(range(10))
