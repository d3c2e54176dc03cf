import numpy as np
import pytest

from poseemo_lib.clips import EMOTIONS, PoseClip, check_clip, clip_faults, mark_missing
from poseemo_lib.errors import ClipError


def make_clip(seed=0, frames=8, people=1, **changes):
    rng = np.random.default_rng(seed)
    keypoints = rng.uniform(1, 400, (frames, people, 17, 3))
    keypoints[..., 2] = rng.uniform(0.1, 1, (frames, people, 17))
    keypoints[rng.random((frames, people, 17)) < 0.2, 2] = 0
    clip = PoseClip("clip-1", "sad", mark_missing(keypoints), 25.0, 640, 480, "film-1", "show-1")
    return clip.with_(**changes)


def broken_keypoints(change):
    keypoints = make_clip().keypoints.copy()
    change(keypoints)
    return keypoints


def test_mark_missing_has_one_form_and_leaves_its_input_alone():
    given = np.array(
        [[3, 4, 0.5], [3, 4, 0], [np.nan, 4, 0.9], [3, 4, np.nan], [3, 4, -1], [3, 4, 1.5], [np.inf, 1, 1]]
    )
    before = given.copy()
    out = mark_missing(given)
    np.testing.assert_array_equal(given, before)
    missing = np.float32([np.nan, np.nan, 0])
    np.testing.assert_array_equal(
        out, np.float32([[3, 4, 0.5], missing, missing, missing, missing, [3, 4, 1], missing])
    )
    assert out.dtype == np.float32
    np.testing.assert_array_equal(mark_missing(out), out)


def test_a_sound_clip_has_no_fault_and_is_returned_itself():
    clip = make_clip(people=2)
    assert clip_faults(clip, EMOTIONS) == []
    assert check_clip(clip, EMOTIONS) is clip and clip_faults(clip.with_(label="glad")) == []
    assert (clip.n_frames, clip.n_people) == (8, 2)
    assert clip_faults(clip.with_(fps=30, width=np.int64(5), origin="augmented", augmented_from="clip-0")) == []


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"clip_id": ""}, "clip_id: wanted a text that is not empty, got ''"),
        ({"source_id": None}, "source_id"),
        ({"clip_id": "name\udc80"}, "clip_id"),
        ({"label": "glad"}, "label: wanted one of angry"),
        ({"split": "dev"}, "split: wanted train, val, test or none, got 'dev'"),
        ({"origin": "made"}, "origin"),
        ({"origin": "augmented"}, "augmented_from"),
        ({"augmented_from": "clip-0"}, "augmented_from"),
        ({"origin": "augmented", "augmented_from": "clip-1"}, "augmented_from"),
        ({"fps": float("nan")}, "fps: wanted 1 to 1000, got nan"),
        ({"fps": None}, "fps"),
        ({"width": -640}, "width: wanted a whole number of pixels, 1 to 100000, got -640"),
        ({"height": 480.5}, "height"),
        ({"keypoints": None}, "keypoints: wanted an array"),
        ({"keypoints": np.zeros((4, 1, 18, 3), np.float32)}, "got (4, 1, 18, 3)"),
        ({"keypoints": np.zeros((0, 1, 17, 3), np.float32)}, "got zero frames"),
        ({"keypoints": np.zeros((4, 3, 17, 3), np.float32)}, "wanted 1 to 2 people, got 3"),
        ({"keypoints": make_clip().keypoints.astype(np.float64)}, "wanted float32, got float64"),
        ({"keypoints": mark_missing(np.zeros((4, 1, 17, 3)))}, "got NaN everywhere"),
        ({"keypoints": np.zeros((4, 1, 17, 3), np.float32)}, "wanted x = y = NaN exactly where confidence is 0"),
        ({"keypoints": broken_keypoints(lambda k: k.__setitem__((..., 2), 1.5))}, "confidence: wanted 0 to 1"),
        ({"keypoints": broken_keypoints(lambda k: k.__setitem__((0, 0, 0, 2), np.nan))}, "1 NaN"),
        ({"keypoints": broken_keypoints(lambda k: k.__setitem__((0, 0), [np.nan, 5, 0]))}, "wanted x = y = NaN"),
    ],
)
def test_each_fault_is_named(changes, wanted):
    clip = make_clip().with_(**changes)
    faults = clip_faults(clip, EMOTIONS)
    assert len(faults) == 1, faults
    assert wanted in faults[0]
    with pytest.raises(ClipError) as error:
        check_clip(clip, EMOTIONS, where="a/b.json")
    assert str(error.value).startswith("a/b.json: clip ")


def test_all_faults_come_in_one_message():
    clip = make_clip(label="glad", width=0, fps=-1, keypoints=mark_missing(np.zeros((4, 1, 17, 3))))
    with pytest.raises(ClipError) as error:
        check_clip(clip, EMOTIONS)
    for word in ("label", "width", "fps", "NaN everywhere"):
        assert word in str(error.value)
