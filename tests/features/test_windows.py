import tracemalloc

import numpy as np
import pytest

from poseemo_lib.features.preparation import resample
from poseemo_lib.features.windows import WindowCutter, cut_windows, raw_length
from poseemo_lib.video.tracking import main_people

RNG = np.random.default_rng(3)
SHAPE = RNG.uniform(-0.5, 0.5, (17, 2)) * (80, 200)
FPS, N_FRAMES = 25, 16  # a window has 16 frames


def people(n_frames, n_people=2, seed=0):
    """(T, P, 17, 3): people of falling size, who walk at places of their own."""
    rng = np.random.default_rng(seed)
    size = 1 - 0.1 * np.arange(n_people)[:, None, None]
    place = np.arange(n_people)[:, None] * (300, 0) + rng.normal(0, 2, (n_frames, 1, 2)).cumsum(0)
    xy = place[:, :, None] + SHAPE * size + rng.normal(0, 0.5, (n_frames, n_people, 17, 2))
    return np.concatenate([xy, np.full((n_frames, n_people, 17, 1), 0.9)], -1).astype(np.float32)


def gone(keypoints, *where):
    keypoints = keypoints.copy()
    keypoints[where] = (np.nan, np.nan, 0)
    return keypoints


def cut(keypoints, tracked=False, stride=0.4, **options):
    return cut_windows(keypoints, FPS, N_FRAMES, FPS, tracked=tracked, stride=stride, **options)


def spans(windows):
    return [(window.start, window.stop) for window in windows]


def assert_same(found, wanted, tracks=True):
    assert spans(found) == spans(wanted)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a.keypoints, b.keypoints)
        assert not tracks or a.tracks == b.tracks


def test_the_raw_length_is_the_shortest_that_resampling_makes_long_enough():
    def resampled(n_frames, fps, model_fps):
        return len(resample(np.zeros((n_frames, 1, 1, 3), np.float32), fps, model_fps))

    rates = [1, 7.5, 10, 12.5, 15, 23.976, 24, 24000 / 1001, 25, 29.97, 30, 30000 / 1001, 48, 50, 59.94, 60, 120, 999.9]
    for fps in rates + RNG.uniform(1, 240, 20).tolist():
        for model_fps in (10, 12.5, 25.0, 29.97, 30):
            for n_frames in (1, 2, 3, 16, 63, 64, 150):
                length = raw_length(n_frames, model_fps, fps)
                assert resampled(length, fps, model_fps) >= n_frames
                assert length == 1 or resampled(length - 1, fps, model_fps) < n_frames


@pytest.mark.parametrize("n_frames", [2, 15, 16, 17, 25, 26, 27, 36, 100])
def test_where_windows_are(n_frames):
    step = 10
    ends = list(range(16, n_frames + 1, step))
    if not ends or ends[-1] != n_frames:
        ends.append(n_frames)
    assert spans(cut(people(n_frames))) == [(max(0, end - 16), end) for end in ends]


@pytest.mark.parametrize("tracked", [False, True])
def test_a_stream_gives_the_windows_of_the_recording(tracked):
    keypoints, cuts = gone(people(143, 4), slice(20, 50), 1), [31, 36, 100]
    wanted = cut(keypoints, tracked, cuts=cuts)
    cutter, found = WindowCutter(FPS, N_FRAMES, FPS), []
    for frame, poses in enumerate(keypoints):
        seen = (poses[:, :, 2] > 0).any(-1)  # a stream lists only who is there
        ids = np.arange(4)[seen] if tracked else None
        found += cutter.push(poses[seen], ids=ids, cut=frame in cuts)
    assert_same(found + cutter.flush(), wanted)
    assert len(wanted) > 10
    numbered = [window for poses in people(16, 3) for window in cutter.push(poses, ids=np.array([-1, 7, 5]))]
    assert [window.tracks for window in numbered] == [(7, 5)]  # below 0 is nobody


def test_a_window_is_the_clip_of_its_frames():
    keypoints = gone(people(90, 3), slice(30, 36), 0)
    windows = cut(keypoints)
    for window in windows:
        clip = keypoints[window.start : window.stop]
        np.testing.assert_array_equal(window.keypoints, main_people(clip))
        assert window.keypoints.dtype == np.float32
    # The first person weighs less where they are missing, and is the same person afterwards.
    assert [window.tracks for window in windows] == [(0, 1)] * 2 + [(1, 2)] * 2 + [(0, 1)] * 5


def test_the_order_of_people_does_not_matter():
    keypoints = people(90, 4)
    shuffled = np.stack([poses[RNG.permutation(4)] for poses in keypoints])
    assert_same(cut(shuffled), cut(keypoints))
    slots = RNG.permutation(4)
    found, wanted = cut(keypoints[:, slots], tracked=True), cut(keypoints, tracked=True)
    assert_same(found, wanted, tracks=False)
    assert [tuple(slots[list(window.tracks)]) for window in found] == [window.tracks for window in wanted]


def test_people_says_how_many_slots():
    found, wanted = cut(people(40, 3), people=1), cut(people(40, 3))
    assert [window.keypoints.shape[1] for window in found] == [1] * len(found)
    np.testing.assert_array_equal(found[0].keypoints, wanted[0].keypoints[:, :1])


def test_no_window_straddles_a_cut_and_nobody_is_followed_across():
    windows = cut(people(100), cuts=[40, 45])
    assert spans(windows) == [(0, 16), (10, 26), (20, 36), (24, 40), (40, 45), (45, 61), (55, 71), (65, 81)] + [
        (75, 91),
        (84, 100),
    ]
    assert [window.tracks for window in windows] == [(0, 1)] * 4 + [(2, 3)] + [(4, 5)] * 5
    assert_same(cut(people(30), cuts=[0]), cut(people(30)))
    # One frame between two cuts is no window.
    assert spans(cut(people(42), cuts=[20, 21])) == [(0, 16), (4, 20), (21, 37), (26, 42)]
    # A window that ended just before a cut is not given twice.
    assert spans(cut(people(32), cuts=[26])) == [(0, 16), (10, 26), (26, 32)]


def test_a_window_shows_somebody_in_two_frames():
    nobody = gone(people(60), slice(None))
    assert cut(nobody) == [] and cut(nobody[:, :0]) == [] and cut(nobody[:0]) == []
    one = nobody.copy()
    one[30] = people(60)[30]
    assert cut(one) == []
    one[31] = people(60)[31]
    assert spans(cut(one)) == [(20, 36), (30, 46)]
    assert cut(people(1)) == []
    middle = gone(people(60), slice(20, 60))
    assert spans(cut(middle)) == [(0, 16), (10, 26)]
    ghost = nobody.copy()
    ghost[..., 2] = 0.5  # confident, but nowhere
    assert cut(ghost) == []


def test_an_endless_stream_takes_no_more_memory():
    cutter, crowd = WindowCutter(FPS, N_FRAMES, FPS), people(20, 4)

    def push(n):
        for i in range(n):  # new people all the time
            cutter.push(crowd[i % 20] + np.float32([i * 500 % 9000, 0, 0]))

    tracemalloc.start()
    push(120)
    before = tracemalloc.get_traced_memory()[0]
    push(240)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 50_000  # a frame is 816 bytes
