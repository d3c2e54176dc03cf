import json
from pathlib import Path

import numpy as np
import pytest

from poseemo_lib.errors import FormatError, UsageError
from poseemo_lib.formats import Recording, alphapose, coco, openpose, ultralytics
from poseemo_lib.formats.frames import shortest
from poseemo_lib.skeleton import COCO_KEYPOINTS, JOINT, JOINT_NAMES

FORMATS = Path(__file__).parents[2] / "shared" / "data" / "formats"
NAN = float("nan")


def made(n_frames=40, people=3, tracked=True, seed=0, **told):
    """A recording with missing joints and people who come and go, in the first and last frame nobody."""
    rng = np.random.default_rng(seed)
    keypoints = rng.uniform(-3, 1900, (n_frames, people, 17, 3)).astype(np.float32)
    keypoints[..., 2] = rng.uniform(0.001, 1, (n_frames, people, 17))
    away = rng.random((n_frames, people)) < 0.3
    away[[0, -1]], away[n_frames // 2] = True, False
    if not tracked:
        away.sort(1)  # detectors leave no gap
    keypoints[(rng.random((n_frames, people, 17)) < 0.2) | away[..., None]] = [np.nan, np.nan, 0]
    return Recording(keypoints, 25.0, 1920, 1080, tracked=tracked, **told)


def same(found, wanted):
    np.testing.assert_array_equal(found.keypoints, wanted.keypoints)
    assert found.keypoints.dtype == np.float32
    for field in ("fps", "width", "height", "tracked"):
        assert getattr(found, field) == getattr(wanted, field)


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


# Round trips


@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize(
    ("module", "name"),
    [(openpose, "x"), (alphapose, "x.json"), (coco, "x.json"), (ultralytics, "x"), (ultralytics, "x.json")],
)
def test_written_and_read_is_the_same(tmp_path, module, name, tracked):
    wanted = made(tracked=tracked)
    module.write([wanted], tmp_path / name)
    assert module.find(tmp_path) == [tmp_path / name]
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
    found = alphapose.read(tmp_path / "x.json", width=1920, height=1080)
    assert [each.name for each in found] == ["walk_7", "run"]
    for got, each in zip(found, wanted, strict=True):
        shown = np.flatnonzero((each.keypoints[..., 2] > 0).any((1, 2)))
        np.testing.assert_array_equal(got.keypoints, each.keypoints[shown[0] : shown[-1] + 1])


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
        with pytest.raises(UsageError, match="wanted one recording"):
            module.write([made(3), made(3)], tmp_path / "new")


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


# AlphaPose


def entry(image, x=100.0, joints=17, **more):
    values = [value for j in range(joints) for value in (x + j, 2.0 * j, 0.5)]
    return {"image_id": image, "category_id": 1, "keypoints": values, "score": 2.5, **more}


@pytest.mark.parametrize(("joints", "layout"), [(17, "coco17"), (26, "halpe26"), (133, None), (136, "halpe26")])
def test_alphapose_layouts_are_told_by_the_number_of_joints(tmp_path, joints, layout):
    (found,) = alphapose.read(put(tmp_path / "a.json", [entry("0.jpg", joints=joints)]))
    order = JOINT_NAMES[layout or "coco17"]
    np.testing.assert_allclose(found.keypoints[0, 0, :, 0], [100 + order.index(name) for name in COCO_KEYPOINTS])


def test_alphapose_time_begins_at_0_in_a_video_and_at_the_first_image_elsewhere(tmp_path):
    (found,) = alphapose.read(put(tmp_path / "a.json", [entry("2.jpg"), entry("10.jpg")]))
    assert (found.keypoints[..., 2] > 0).any((1, 2)).nonzero()[0].tolist() == [2, 10]
    for images in (["shot_0002.png", "shot_0004.png"], [2, 4]):
        (found,) = alphapose.read(put(tmp_path / "a.json", [entry(image) for image in images]))
        assert len(found.keypoints) == 3 and found.name is None


@pytest.mark.parametrize(
    "nested", [lambda i: i, lambda i: float(i), lambda i: [float(i)], lambda i: [[float(i)], [9.0]]]
)
def test_alphapose_ids_are_slots(tmp_path, nested):
    content = [entry("0.jpg", 1, idx=nested(5)), entry("0.jpg", 2, idx=nested(3)), entry("1.jpg", 3, idx=nested(5))]
    (found,) = alphapose.read(put(tmp_path / "a.json", content))
    assert found.tracked
    np.testing.assert_array_equal(found.keypoints[:, :, 0, 0], [[2, 1], [NAN, 3]])


@pytest.mark.parametrize(
    "ids", [[0, 0, 0], [[[0.0], [0.0]], [0.0], 0], [1, 1, 2], [1, None, 2], ["a", "b", "c"], [1, NAN, 2]]
)
def test_ids_that_say_nothing_do_not_count(tmp_path, ids):
    images = ["0.jpg", "0.jpg", "1.jpg"]
    content = [entry(image, x, idx=i) for image, x, i in zip(images, (1, 2, 3), ids, strict=True)]
    (found,) = alphapose.read(put(tmp_path / "a.json", content))
    assert not found.tracked
    np.testing.assert_array_equal(found.keypoints[:, :, 0, 0], [[1, 2], [3, NAN]])


def test_confidences_above_1_become_1(tmp_path):
    content = [entry("0.jpg")]
    content[0]["keypoints"][2] = 1.7
    assert alphapose.read(put(tmp_path / "a.json", content))[0].keypoints[0, 0, 0, 2] == 1


# COCO


def annotated(n=4, names=COCO_KEYPOINTS, v=2, **image):
    images = [{"id": i, "file_name": f"clip/{i:04d}.jpg", "width": 640, "height": 480} | image for i in range(n)]
    people = [{"id": i, "image_id": i, "category_id": 1, "keypoints": [10.5 + i, 20, v] * len(names)} for i in range(n)]
    person = {"id": 1, "name": "person", "keypoints": list(names)}
    return {"images": images, "annotations": people, "categories": [person]}


def test_images_of_one_name_and_size_with_close_numbers_are_frames(tmp_path):
    content = annotated()
    (found,) = coco.read(put(tmp_path / "a.json", content))
    np.testing.assert_array_equal(found.keypoints[:, 0, 0, 0], [10.5, 11.5, 12.5, 13.5])
    assert found.name is None and (found.width, found.height) == (640, 480)
    content["images"][1]["width"] = 320
    assert [each.name for each in coco.read(put(tmp_path / "a.json", content))] == [f"clip/{i:04d}" for i in range(4)]
    content = annotated()
    content["images"][3]["file_name"] = "clip/9999.jpg"
    assert len(coco.read(put(tmp_path / "a.json", content))) == 4
    content["images"][3]["file_name"] = "other/0003.jpg"
    assert [each.name for each in coco.read(put(tmp_path / "a.json", content))] == ["clip", "other/0003"]


def test_videos_by_id_and_frames_by_name_or_frame_id(tmp_path):
    content = annotated()
    for image, (video, frame) in zip(content["images"], [(7, 0), (7, 2), (8, 1), (8, 0)], strict=True):
        image |= {"video_id": video, "frame_id": frame, "file_name": "same.jpg"}
    content["videos"] = [{"id": 8, "fps": 12.5}]
    a, b = coco.read(put(tmp_path / "a.json", content))
    assert (a.name, a.fps, b.name, b.fps) == ("7", 25, "8", 12.5)
    np.testing.assert_array_equal(a.keypoints[:, 0, 0, 0], [10.5, NAN, 11.5])
    np.testing.assert_array_equal(b.keypoints[:, 0, 0, 0], [13.5, 12.5])


@pytest.mark.parametrize(
    ("visible", "scores", "confidence"),
    [((0, 1, 2), None, (0, 0.5, 1)), ((0, 1, 1), None, (0, 1, 1)), ((0, 0.25, 1), None, (0, 0.25, 1)),
     ((0, 1, 2), (0.9, 0.8, 0.7), (0, 0.8, 0.7))],
)  # fmt: skip
def test_visibility_becomes_confidence(tmp_path, visible, scores, confidence):
    content = annotated(1)
    person = content["annotations"][0]
    person["keypoints"][2::3] = [*visible, *visible[-1:] * 14]
    if scores:
        person["scores"] = [*scores, *scores[-1:] * 14]
    (found,) = coco.read(put(tmp_path / "a.json", content))
    np.testing.assert_allclose(found.keypoints[0, 0, :3, 2], confidence)


def test_joints_go_by_name_in_any_order_and_number(tmp_path):
    rng = np.random.default_rng(5)
    names = ["head_top", "neck", *(name for name in COCO_KEYPOINTS if "e" in name and name != "nose")]
    rng.shuffle(names)
    content = annotated(1, names)
    content["annotations"][0]["keypoints"] = [v for i in range(len(names)) for v in (100 + i, 1, 2)]
    (found,) = coco.read(put(tmp_path / "a.json", content))
    for k, name in enumerate(COCO_KEYPOINTS):
        wanted = 100 + names.index(name) if name in names else NAN
        np.testing.assert_array_equal(found.keypoints[0, 0, k, 0], wanted)


def test_crowds_boxes_and_other_categories_are_left_out(tmp_path):
    content = annotated(2)
    extra = {"id": 9, "image_id": 0, "category_id": 1, "keypoints": [5, 5, 2] * 17}
    content["annotations"] += [extra | {"iscrowd": 1}, extra | {"category_id": 18}, {"id": 10, "image_id": 0}]
    assert coco.read(put(tmp_path / "a.json", content))[0].keypoints.shape[1] == 1


# Ultralytics


def line(x=0.5, v=0.9, tail=(), joints=17, channels=3):
    return " ".join(map(str, [0, 0.5, 0.5, 0.2, 0.4, *((x, 0.25, v)[:channels] * joints), *tail]))


@pytest.mark.parametrize(
    ("tails", "tracked"),
    [
        (((), ()), False),
        (((0.8,), (0.9,)), False),
        (((4,), (2,)), True),
        (((0.8, 4), (0.9, 2)), True),
        (((1,), (1,)), False),
    ],
)
@pytest.mark.parametrize("channels", [2, 3])
def test_labels_with_and_without_confidence_and_id(tmp_path, tails, tracked, channels):
    put(
        tmp_path / "v_1.txt",
        "\n".join(line(x, tail=t, channels=channels) for x, t in zip((0.5, 0.25), tails, strict=True)),
    )
    put(tmp_path / "v_3.txt", line(0.75, tail=tails[1], channels=channels) + "\n")
    put(tmp_path / "classes.txt", "person\n")
    assert ultralytics.find(tmp_path) == [tmp_path]
    (found,) = ultralytics.read(tmp_path, width=640, height=480)
    assert found.tracked == tracked and (found.width, found.height) == (640, 480)
    x = [[160, 320], [NAN, NAN], [480, NAN]] if tracked else [[320, 160], [NAN, NAN], [480, NAN]]
    np.testing.assert_array_equal(found.keypoints[:, :, 0, 0], x)
    np.testing.assert_allclose(found.keypoints[0, 0, 5], [x[0][0], 120, 0.9 if channels == 3 else 1])


def test_labels_for_training_have_flags_and_zeros_are_missing(tmp_path):
    text = line().split()
    text[5:14] = ["0.5", "0.5", "2", "0.25", "0.5", "1", "0", "0", "0.4"]
    text[16::3] = ["2"] * 14
    text[13] = "1"  # at 0, 0
    (found,) = ultralytics.read(put(tmp_path / "a.txt", " ".join(text)), width=100, height=100)
    np.testing.assert_array_equal(found.keypoints[0, 0, :3], [[50, 50, 1], [25, 50, 0.5], [NAN, NAN, 0]])


def result(x=100.0, joints=17, **more):
    keypoints = {"x": [x] * joints, "y": [50.0] * joints, "visible": [0.75] * joints}
    return {"name": "person", "class": 0, "confidence": 0.9, "box": {}, "keypoints": keypoints, **more}


def test_json_a_frame_a_file_with_all_frames_and_predictions(tmp_path):
    for i, people in {1: [result(1.5)], 2: [], 4: [result(4.0), result(5.0)]}.items():
        put(tmp_path / "frames" / f"walk_{i}.json", people)
    put(tmp_path / "all_1.json", [[result(7.0, track_id=3)], [], [result(8.0, track_id=3), result(9.0, track_id=1)]])
    put(tmp_path / "predictions.json", [entry(4), entry(5)])
    found = ultralytics.find(tmp_path)
    assert [path.name for path in found] == ["all_1.json", "frames", "predictions.json"]
    (whole,), (frames,), (predicted,) = (ultralytics.read(path) for path in found)
    np.testing.assert_array_equal(whole.keypoints[:, :, 0, 0], [[NAN, 7], [NAN, NAN], [9, 8]])
    np.testing.assert_array_equal(frames.keypoints[:, :, 0, 0], [[1.5, NAN], [NAN, NAN], [NAN, NAN], [4, 5]])
    assert whole.tracked and not frames.tracked and predicted.keypoints.shape == (2, 1, 17, 3)
    assert frames.keypoints[0, 0, 0, 2] == 0.75


def test_normalised_json_wants_a_size(tmp_path):
    person = result(0.5)
    person["keypoints"]["y"] = [0.25] * 17
    path = put(tmp_path / "a.json", [person])
    with pytest.raises(FormatError, match="give width and height"):
        ultralytics.read(path)
    found = ultralytics.read(path, width=640, height=480)[0]
    np.testing.assert_array_equal(found.keypoints[0, 0, 0], [320, 120, 0.75])


def test_labels_want_a_size(tmp_path):
    with pytest.raises(UsageError, match="options width and height"):
        ultralytics.read(put(tmp_path / "a.txt", line()))


# Faults: one line that names the file


def faulty(**changes):
    return annotated(2) | changes


def with_person(**changes):
    content = annotated(2)
    content["annotations"][1] |= changes
    return content


FAULTS = [
    (alphapose, '[{"image_id": "0.jpg", "keyp', "truncated or damaged JSON"),
    (alphapose, "", "truncated or damaged JSON"),
    (alphapose, "[" * 100_000, "nested too deeply"),
    (alphapose, "[" + "9" * 5000 + "]", "damaged JSON"),
    (alphapose, [], "wanted a list of results .* got an empty list"),
    (alphapose, {}, "got an empty object"),
    (alphapose, [3], "entry 0: wanted an object .* got 3"),
    (alphapose, [{"keypoints": []}], "wanted an object with image_id and keypoints, got keypoints"),
    (alphapose, [entry("0.jpg", joints=14)], r"wanted 51 or 78 or .* got 42 \(14 joints\)"),
    (alphapose, [entry("0.jpg"), entry("1.jpg", joints=26)], "one number of joints in all entries, got 17, 26"),
    (alphapose, [entry("0.jpg") | {"keypoints": [None] * 51}], "entry 0: keypoints: wanted numbers, got None"),
    (alphapose, [entry("0.jpg") | {"keypoints": ["1"] * 51}], "wanted numbers, got '1'"),
    (alphapose, [entry("0.jpg") | {"keypoints": [10**400] * 51}], "wanted numbers, got a number too large"),
    (alphapose, [entry("0.jpg") | {"keypoints": [[1, 2, 3]] * 17}], "wanted numbers, got a list of 3"),
    (alphapose, [entry("0.jpg") | {"keypoints": {}}], "wanted numbers, got an empty object"),
    (alphapose, [entry("0.jpg") | {"keypoints": [NAN] * 51}], "wanted a person in at least one frame"),
    (alphapose, [entry("0.jpg") | {"keypoints": [0] * 51}], "wanted a person in at least one frame"),
    (alphapose, [entry("a_1.jpg"), entry("a_01.png")], "one image for each frame number"),
    (alphapose, [entry("a_1.jpg"), entry("a_1700000000.jpg")], "frame numbers in the names"),
    (coco, '{"images": [', "truncated or damaged JSON"),
    (coco, [entry("0.jpg")], "COCO's images and annotations, got a list of 1; .* alphapose"),
    (coco, {}, "COCO's images and annotations, got an empty object"),
    (coco, faulty(images=[]), "wanted images for all annotations"),
    (coco, faulty(images=[3]), "images: a list of 1 that are not all objects"),
    (coco, faulty(annotations={}), "annotations: an empty object"),
    (coco, faulty(annotations=[]), "a person in at least one image, got none in 2"),
    (coco, faulty(categories=[]), "joints' names in categories"),
    (coco, faulty(categories=[{"id": 1, "keypoints": ["nose", "tail"]}]), "named as COCO's"),
    (coco, with_person(keypoints=[1, 2, 2] * 14), "annotation 1: wanted 51 values .* got 42"),
    (coco, with_person(keypoints="text"), "annotation 1: wanted numbers, got 'text'"),
    (coco, with_person(scores=[1.0] * 5), "annotation 1: scores: wanted 17"),
    (coco, with_person(image_id=77), "none with the id 77"),
    (coco, annotated(2, id=5), "an id of its own for each image"),
    (coco, annotated(2, vid_id="v", file_name="a.jpg"), "video v: wanted a frame number of its own"),
    (coco, annotated(2, width="wide"), "width: wanted a number of 1 to 100000, got 'wide'"),
    (coco, annotated(2, width=[1]), "width: wanted a number"),
    (coco, annotated(2, v=0), "a person in at least one image"),
    (coco, annotated(2, v=NAN), "a person in at least one image"),
    (ultralytics, "[[{", "truncated or damaged JSON"),
    (ultralytics, "[]", "wanted a person in at least one frame"),
    (ultralytics, [[], []], "wanted a person in at least one frame, got none in 2 frames"),
    (ultralytics, {"a": 1}, "wanted a list of people or a list of such lists, got an object of 1"),
    (ultralytics, [[], {}], "wanted a list of people or a list of such lists"),
    (ultralytics, [[7]], "frame 0: wanted a person with keypoints of x, y and visible, got 7"),
    (ultralytics, [{"name": "person", "box": {}}], "got name, box; is it a pose model"),
    (ultralytics, [result(joints=14)], "wanted 17 joints in x, y and visible, got 14, 14, 14"),
    (ultralytics, [result() | {"keypoints": {"x": [1] * 17, "y": [1] * 16}}], "got 17, 16"),
    (ultralytics, [result() | {"keypoints": {"x": "no", "y": []}}], "x: wanted numbers, got 'no'"),
    (ultralytics, [result(NAN)], "wanted a person in at least one frame"),
]


@pytest.mark.parametrize(("module", "content", "message"), FAULTS)
def test_faulty_json_is_named_in_one_line(tmp_path, module, content, message):
    path = put(tmp_path / "bad.json", content)
    with pytest.raises(FormatError, match=message) as error:
        module.read(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (line(joints=14), "line 1: wanted 56 values .* got 47"),
        ("0 0.5 0.5 0.2 0.4", "got 5"),
        (line() + "\n" + line(tail=(0.5,)), "line 2: .* got 57"),
        (line(x="x"), "wanted numbers"),
        (line(x="nan"), "wanted a person in at least one frame"),
        ("", "wanted a person in at least one frame"),
    ],
)
def test_faulty_labels_are_named_in_one_line(tmp_path, text, message):
    path = put(tmp_path / "bad.txt", text)
    with pytest.raises(FormatError, match=message) as error:
        ultralytics.read(path, width=640, height=480)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_labels_of_two_kinds_in_one_recording(tmp_path):
    put(tmp_path / "a_1.txt", line())
    put(tmp_path / "a_2.txt", line(tail=(0.5,)))
    with pytest.raises(FormatError, match="56 in a_1.txt, 57 in a_2.txt"):
        ultralytics.read(tmp_path, width=640, height=480)


@pytest.mark.parametrize("module", [alphapose, coco, ultralytics, openpose])
def test_other_bytes_folders_and_nothing(tmp_path, module):
    size = {"width": 640, "height": 480}
    bad = tmp_path / "bad_keypoints.json"
    bad.write_bytes(b'[{"image_id": "\xff\xfe\x80"}]')
    with pytest.raises(FormatError, match="wanted JSON in UTF-8"):
        module.read(bad, **size)
    (tmp_path / "folder.json").mkdir()
    for path in (tmp_path / "folder.json", tmp_path / "nothing.json"):
        with pytest.raises(FormatError, match=r"(folder|nothing)\.json: (cannot be read|wanted .* found none)"):
            module.read(path, **size)
    assert module.find(tmp_path / "folder.json") == []
    with pytest.raises(UsageError, match="fps"):
        module.read(bad, fps=0)
    with pytest.raises(UsageError, match="width"):
        module.read(bad, width="wide")


def test_json_with_a_byte_order_mark_or_in_utf_16(tmp_path):
    text = json.dumps([entry("0.jpg")])
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "a.json").write_bytes(text.encode(encoding))
        assert len(alphapose.read(tmp_path / "a.json")) == 1


def test_a_nan_or_a_number_beyond_floats_is_a_missing_joint(tmp_path):
    content = [entry("0.jpg")]
    content[0]["keypoints"][:9] = [NAN, 1.0, 0.5, 1e39, 1.0, 0.5, 1.0, 1.0, 0.5]
    (found,) = alphapose.read(put(tmp_path / "a.json", content))
    np.testing.assert_array_equal(found.keypoints[0, 0, :3], [[NAN, NAN, 0], [NAN, NAN, 0], [1, 1, 0.5]])


def test_so_many_tracks_that_slots_do_not_fit_are_left_to_be_linked(tmp_path, monkeypatch):
    monkeypatch.setattr("poseemo_lib.formats.frames._MOST_SLOTS", 5)
    (found,) = alphapose.read(put(tmp_path / "a.json", [entry(f"{i}.jpg", idx=i + 1) for i in range(4)]))
    assert not found.tracked and found.keypoints.shape == (4, 1, 17, 3)
