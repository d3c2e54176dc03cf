import json

import numpy as np
import pytest

from poseemo_lib.data.formats import openpose
from poseemo_lib.errors import FormatError
from poseemo_lib.skeleton import COCO_KEYPOINTS, JOINT_NAMES


def person(count=25, x=100.0):
    """Joint j at (x + j, 2 j) with confidence 0.5."""
    return [value for j in range(count) for value in (x + j, 2.0 * j, 0.5)]


def write(folder, number, *people, stem="clip_", key="pose_keypoints_2d", text=None):
    folder.mkdir(parents=True, exist_ok=True)
    content = {"version": 1.3, "people": [{"person_id": [-1], key: values} for values in people]}
    path = folder / f"{stem}{number:012d}_keypoints.json"
    path.write_text(json.dumps(content) if text is None else text)
    return path


@pytest.mark.parametrize("layout", ["body25", "coco18"])
@pytest.mark.parametrize("key", ["pose_keypoints_2d", "pose_keypoints"])
def test_the_number_of_values_gives_the_layout(tmp_path, layout, key):
    order = JOINT_NAMES[layout]
    found = openpose.read(write(tmp_path, 0, person(len(order)), key=key))[0].keypoints[0]
    places = np.array([order.index(name) for name in COCO_KEYPOINTS])
    np.testing.assert_allclose(found[0], np.stack([100 + places, 2 * places, np.full(17, 0.5)], 1))


def test_frames_are_sorted_by_number_and_gaps_are_missing(tmp_path):
    for number in (10, 9, 12):  # 10 sorts before 9 as a text
        path = write(tmp_path, 0, person(x=number))
        path.rename(tmp_path / f"frame{number}_keypoints.json")
    (recording,) = openpose.read(tmp_path, fps=30, width=640, height=480)
    assert recording.keypoints.shape == (4, 1, 17, 3) and recording.keypoints.dtype == np.float32
    np.testing.assert_array_equal(recording.keypoints[:, 0, 0, 0], [9, 10, np.nan, 12])
    assert (recording.keypoints[2, ..., 2] == 0).all()
    assert (recording.fps, recording.width, recording.height, recording.tracked) == (30, 640, 480, False)


def test_a_folder_of_frames_is_a_clip_and_a_folder_of_folders_several(tmp_path):
    for clip in ("happy/a.1", "sad/b"):
        write(tmp_path / clip, 0, person())
        write(tmp_path / clip, 1, person())
    write(tmp_path / "mixed", 0, person(x=1), stem="c_")
    write(tmp_path / "mixed", 0, person(x=2), stem="d_")
    write(tmp_path / "mixed", 1, person(x=2), stem="d_")
    (tmp_path / "happy" / "notes.json").write_text("{}")
    found = [path.relative_to(tmp_path).as_posix() for path in openpose.find(tmp_path)]
    assert found == ["happy/a.1", "mixed/c", "mixed/d", "sad/b"]
    assert openpose.find(tmp_path / "sad" / "b") == [tmp_path / "sad" / "b"]
    assert [len(openpose.read(path)[0].keypoints) for path in openpose.find(tmp_path)] == [2, 1, 2, 2]
    assert openpose.read(tmp_path / "mixed" / "d")[0].keypoints[0, 0, 0, 0] == 2
    with pytest.raises(FormatError, match="one recording, got those of c, d"):
        openpose.read(tmp_path / "mixed")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"version": 1.3, "peop', "truncated or damaged JSON"),
        ("[]", "list of people"),
        ('{"people": [4]}', "person 0: wanted 75 .* got 0"),
        ('{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}', "person 0: wanted 75 .* got 3"),
        (json.dumps({"people": [{"pose_keypoints_2d": ["x"] * 75}]}), "person 0: wanted numbers"),
        (json.dumps({"people": [{"pose_keypoints_2d": [[1]] * 74 + [2]}]}), "person 0: wanted numbers"),
    ],
)
def test_faulty_frames_are_named(tmp_path, text, message):
    write(tmp_path, 0, person())
    write(tmp_path, 1, text=text)
    with pytest.raises(FormatError, match=message) as error:
        openpose.read(tmp_path)
    assert "clip_000000000001_keypoints.json" in str(error.value)


def test_faulty_recordings_are_named(tmp_path):
    write(tmp_path / "empty", 0)
    with pytest.raises(FormatError, match="at least one frame, got none in 1 frames"):
        openpose.read(tmp_path / "empty")
    write(tmp_path / "stamps", 0, person())
    write(tmp_path / "stamps", 1_700_000_000, person())
    with pytest.raises(FormatError, match="wanted frame numbers"):
        openpose.read(tmp_path / "stamps")
    write(tmp_path / "twice", 1, person()).rename(tmp_path / "twice" / "clip_01_keypoints.json")
    write(tmp_path / "twice", 1, person())
    with pytest.raises(FormatError, match="one file for each frame number"):
        openpose.read(tmp_path / "twice")
    write(tmp_path / "scaled", 0, [0.5] * 75)
    with pytest.raises(FormatError, match="keypoint_scale"):
        openpose.read(tmp_path / "scaled")
    with pytest.raises(FormatError, match="found none"):
        openpose.read(tmp_path / "nothing")
