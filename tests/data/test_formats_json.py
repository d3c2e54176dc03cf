"""The formats of JSON and text, written and read, and real files: openpose, alphapose, coco, ultralytics."""

import json
from pathlib import Path

import numpy as np
import pytest
from made_json import made, same

from poseemo_lib.data.formats import Recording, alphapose, coco, find_files, openpose, ultralytics
from poseemo_lib.data.formats.frames import shortest
from poseemo_lib.errors import UsageError
from poseemo_lib.skeleton import COCO_KEYPOINTS, JOINT, JOINT_NAMES

FORMATS = Path(__file__).parents[3] / "shared" / "data" / "formats"


# Round trips


@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize(
    ("module", "name"),
    [(openpose, "x"), (alphapose, "x.json"), (coco, "x.json"), (ultralytics, "x"), (ultralytics, "x.json")],
)
def test_written_and_read_is_the_same(tmp_path, module, name, tracked):
    wanted = made(tracked=tracked)
    module.write([wanted], tmp_path / name)
    assert find_files(module.__name__.rpartition(".")[2], tmp_path) == [tmp_path / name]
    (found,) = module.read(tmp_path / name, fps=25, width=1920, height=1080)
    if module is alphapose:  # as LOST says
        assert "frames after the last person" in module.LOST
        last = np.flatnonzero((wanted.keypoints[..., 2] > 0).any((1, 2)))[-1]
        wanted = Recording(wanted.keypoints[: last + 1], 25.0, 1920, 1080, tracked=tracked)
    same(found, wanted)


def test_coco_keeps_rate_size_names_and_labels_of_many(tmp_path):
    wanted = [
        made(20, tracked=t, seed=s, name=f"a/{s}", label="happy", split="val") for s, t in enumerate([True, False])
    ]
    coco.write(wanted, tmp_path / "x.json")
    for found, each in zip(coco.read(tmp_path / "x.json"), wanted, strict=True):
        same(found, each)
        assert (found.name, found.label, found.split) == (each.name, "happy", "val")
    assert coco.read(tmp_path / "x.json", fps=10, width=100, height=50)[1].fps == 10


def test_alphapose_holds_many(tmp_path):
    wanted = [made(20, seed=s, name=name) for s, name in enumerate(["walk_7", "run"])]
    alphapose.write(wanted, tmp_path / "x.json")
    for got, each in zip(alphapose.read(tmp_path / "x.json", width=1920, height=1080), wanted, strict=True):
        shown = np.flatnonzero((each.keypoints[..., 2] > 0).any((1, 2)))
        np.testing.assert_array_equal(got.keypoints, each.keypoints[shown[0] : shown[-1] + 1])
        assert got.name == each.name


def test_numbers_are_written_exactly_and_shortly():
    bits = np.random.default_rng(3).integers(0, 2**32, 20_000, dtype=np.uint32).view(np.float32)
    bits = bits[np.isfinite(bits)]
    text = json.dumps(shortest(bits))
    np.testing.assert_array_equal(np.array(json.loads(text), np.float32), bits)
    assert json.dumps(shortest(np.array([0.1, 12.25], np.float32))) == "[0.1, 12.25]"


def test_labels_are_exact_for_any_float(tmp_path):
    rng = np.random.default_rng(4)
    keypoints = (10 ** rng.uniform(-6, 5, (300, 1, 17, 3))).astype(np.float32)
    keypoints[..., 2] = rng.uniform(0, 1, (300, 1, 17)).astype(np.float32) + np.float32(1e-6)
    keypoints[..., 2] = np.minimum(keypoints[..., 2], 1)
    wanted = Recording(keypoints, 25.0, 1917, 1079)
    ultralytics.write([wanted], tmp_path / "x")
    same(ultralytics.read(tmp_path / "x", width=1917, height=1079)[0], wanted)


def test_a_folder_with_frames_is_not_mixed_with_others(tmp_path):
    for module in (openpose, ultralytics):
        module.write([made(4)], tmp_path / module.__name__)
        with pytest.raises(UsageError, match="wanted a new folder"):
            module.write([made(3)], tmp_path / module.__name__)


def test_openpose_writes_middles_and_no_feet(tmp_path):
    recording = made(3, 1)
    openpose.write([recording], tmp_path / "x")
    person = json.loads((tmp_path / "x" / "frame_000000000001_keypoints.json").read_text())["people"][0]
    body = np.array(person["pose_keypoints_2d"]).reshape(25, 3)
    names, keypoints = JOINT_NAMES["body25"], recording.keypoints[1, 0]
    shoulders = keypoints[[JOINT["left_shoulder"], JOINT["right_shoulder"]]]
    expected = np.array([*shoulders[:, :2].mean(0), shoulders[:, 2].min()])
    np.testing.assert_allclose(body[names.index("neck")], np.nan_to_num(expected), rtol=1e-6)
    assert (body[19:] == 0).all() and person["person_id"] == [0]


# Real files


def people_of(recordings):
    poses = np.concatenate([each.keypoints.reshape(-1, 17, 3) for each in recordings])
    return poses[(poses[..., 2] > 0).any(-1)]


def share(holds, *values):
    """Share of the people for whom something holds, of those in whom all that it needs was seen."""
    known = np.isfinite(np.sum(values, 0))
    assert known.sum() >= 5
    return holds[known].mean()


def real(name):
    if not FORMATS.is_dir():
        pytest.skip("needs the files of ../shared/data/formats")
    if name == "openpose":
        return openpose.read(FORMATS / "openpose")
    return coco.read(FORMATS / "coco" / f"{name}.json")


@pytest.mark.parametrize("name", ["openpose", "coco_keypoints", "posetrack18_val"])
def test_joint_names_of_real_files_fit_the_bodies(name):
    poses = people_of(real(name))
    at = {joint: poses[:, k, :2] for k, joint in enumerate(COCO_KEYPOINTS)}
    shoulders, hips, ankles = (
        (at[f"left_{part}"][:, 1] + at[f"right_{part}"][:, 1]) / 2 for part in ("shoulder", "hip", "ankle")
    )
    nose = at["nose"][:, 1]
    assert share(nose < shoulders, nose, shoulders) == share(shoulders < hips, shoulders, hips) == 1
    assert share(hips < ankles, hips, ankles) == 1
    for far, near in (("wrist", "elbow"), ("ankle", "knee"), ("elbow", "shoulder")):
        for side, other in (("left", "right"), ("right", "left")):
            own = np.linalg.norm(at[f"{side}_{far}"] - at[f"{side}_{near}"], axis=-1)
            across = np.linalg.norm(at[f"{side}_{far}"] - at[f"{other}_{near}"], axis=-1)
            assert share(own < across, own, across) > 0.55
    turned = at["left_shoulder"][:, 0] - at["right_shoulder"][:, 0]
    hip = at["left_hip"][:, 0] - at["right_hip"][:, 0]
    assert share(turned * hip > 0, turned, hip) > 0.8
    if name != "posetrack18_val":  # which has no eyes; who shows both faces the camera
        eye = at["left_eye"][:, 0] - at["right_eye"][:, 0]
        assert share((turned > 0) & (eye > 0), turned, eye) > 0.85


def test_real_coco_images_are_recordings_of_their_own():
    found = real("coco_keypoints")
    assert [each.name for each in found] == ["000000000785", "000000040083", "000000196141", "000000197388"]
    assert [each.keypoints.shape[1] for each in found] == [1, 2, 4, 5]  # those with a joint that is labelled
    assert (found[0].width, found[0].height, found[0].tracked) == (640, 425, False)
    np.testing.assert_array_equal(found[0].keypoints[0, 0, 0], [367, 81, 1])
    assert set(np.unique(found[1].keypoints[..., 2])) == {0, 0.5, 1}  # hidden joints: 0.5


def test_real_posetrack_is_one_recording_a_video():
    found = real("posetrack18_val")
    assert [each.name for each in found] == ["012834", "009473", "003418"]
    assert [each.keypoints.shape[1] for each in found] == [11, 2, 1] and all(each.tracked for each in found)
    first = found[0].keypoints[0, 0]
    np.testing.assert_array_equal(first[JOINT["nose"]], [401, 530, 1])
    np.testing.assert_array_equal(first[JOINT["left_shoulder"]], [377, 560, 1])
    assert np.isnan(first[[JOINT["left_eye"], JOINT["right_eye"]], :2]).all()  # head_bottom, head_top are no eyes
