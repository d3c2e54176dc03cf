"""Real files of other tools: what is known of them, and that the joints fit a body."""

from pathlib import Path

import numpy as np
import pytest

from poseemo_lib.data.formats import find_files, load_reader
from poseemo_lib.errors import FormatError
from poseemo_lib.skeleton import JOINT

FORMATS = Path(__file__).parents[3] / "shared" / "data" / "formats"
# File -> people in each recording, frames, rate, size, tracked.
FILES = {
    "openpose": ([3], 60, (25, 716, 553), False),
    "coco/coco_keypoints.json": ([1, 2, 4, 5], 1, (25, 640, 425), False),
    "coco/posetrack18_val.json": ([11, 2, 1], 1, (25, 1920, 1080), True),
    "sleap/one_person_dance_movenet.slp": ([1], 545, (25, 353, 458), True),
    "pose/openpose.pose": ([1], 93, (24, 1000, 1000), True),
}


def read(name):
    if not FORMATS.is_dir():
        pytest.skip("needs ../shared/data/formats")
    (path,) = find_files(name.partition("/")[0], FORMATS / name)
    return load_reader(name.partition("/")[0]).read(path)


@pytest.mark.parametrize("name", FILES)
def test_real_files_are_read(name):
    people, frames, picture, tracked = FILES[name]
    found = read(name)
    assert [each.keypoints.shape[1] for each in found] == people and len(found[0].keypoints) == frames
    assert (found[0].fps, found[0].width, found[0].height) == picture and found[0].tracked == tracked
    x, y, _ = np.concatenate([each.keypoints.reshape(-1, 17, 3) for each in found]).transpose(2, 0, 1)

    def share(a, b, values=y):
        """Share of the people in whom `a` has the smaller value, of those in whom both were seen."""
        a, b = values[:, JOINT[a]], values[:, JOINT[b]]
        known = np.isfinite(a + b)
        return (a < b)[known].mean() if known.any() else 1

    assert share("nose", "left_hip") > 0.95 and share("left_hip", "left_ankle") > 0.95
    sides = [x[:, JOINT[f"left_{part}"]] - x[:, JOINT[f"right_{part}"]] for part in ("shoulder", "hip")]
    known = np.isfinite(sides).all(0)
    assert not known.any() or (np.sign(sides[0]) == np.sign(sides[1]))[known].mean() > 0.8


def test_real_numbers():
    np.testing.assert_allclose(read("openpose")[0].keypoints[0, 0, 0], [400.086, 100.333, 0.948204])
    coco = read("coco/coco_keypoints.json")
    assert [each.name for each in coco] == ["000000000785", "000000040083", "000000196141", "000000197388"]
    np.testing.assert_array_equal(coco[0].keypoints[0, 0, 0], [367, 81, 1])
    assert set(np.unique(coco[1].keypoints[..., 2])) == {0, 0.5, 1}  # hidden joints: 0.5
    first = read("coco/posetrack18_val.json")[0].keypoints[0, 0]
    np.testing.assert_array_equal(first[JOINT["nose"]], [401, 530, 1])
    np.testing.assert_array_equal(first[JOINT["left_shoulder"]], [377, 560, 1])
    assert np.isnan(first[[JOINT["left_eye"], JOINT["right_eye"]], :2]).all()  # head_bottom, head_top are not eyes
    signer = read("pose/openpose.pose")[0].keypoints[:, 0, :, 2]  # from the waist up
    assert (signer[:, :9] > 0).all() and (signer[:, 11:] == 0).all()


@pytest.mark.parametrize(
    ("name", "message"),
    [("sleap_bomb/x_happy.slp", "at most"), ("sleap_negative_rate/x_happy.slp", "fps: wanted"),
     ("pyskl_laughs_name/x_happy.pkl", "name under frame_dir"), ("movement_hang.nc", "not a sound netCDF file")],
)  # fmt: skip
def test_files_that_no_honest_tool_writes_are_refused(name, message):
    path = FORMATS.parent / "cases" / "hostile" / name
    if not path.is_file():
        pytest.skip("needs ../shared/data/cases")
    with pytest.raises(FormatError, match=message):
        load_reader(name.split("_")[0]).read(path)
