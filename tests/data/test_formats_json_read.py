"""What the readers of JSON and text make of a file: AlphaPose, COCO, Ultralytics."""

import numpy as np
import pytest
from made_json import NAN, annotated, entry, line, put, result

from poseemo_lib.data.formats import alphapose, coco, ultralytics
from poseemo_lib.errors import UsageError
from poseemo_lib.skeleton import COCO_KEYPOINTS, JOINT_NAMES

# AlphaPose


@pytest.mark.parametrize(("joints", "layout"), [(17, "coco17"), (26, "halpe26"), (133, None), (136, "halpe26")])
def test_alphapose_layouts_are_by_the_number_of_joints(tmp_path, joints, layout):
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


# COCO


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


@pytest.mark.parametrize(
    ("tails", "tracked"),
    [(((), ()), False), (((0.8,), (0.9,)), False), (((0.8, 4), (0.9, 2)), True), (((1,), (1,)), False)],
)
@pytest.mark.parametrize("channels", [2, 3])
def test_labels_with_and_without_confidence_and_id(tmp_path, tails, tracked, channels):
    lines = [line(x, tail=t, channels=channels) for x, t in zip((0.5, 0.25), tails, strict=True)]
    put(tmp_path / "v_1.txt", "\n".join(lines))
    put(tmp_path / "v_3.txt", line(0.75, tail=tails[1], channels=channels) + "\n")
    put(tmp_path / "classes.txt", "person\n")
    put(tmp_path / "._v_1.txt", "of macOS")
    assert ultralytics.find(tmp_path) == [tmp_path]
    (found,) = ultralytics.read(tmp_path, width=640, height=480)
    assert found.tracked == tracked and (found.width, found.height) == (640, 480)
    x = [[160, 320], [NAN, NAN], [480, NAN]] if tracked else [[320, 160], [NAN, NAN], [480, NAN]]
    np.testing.assert_array_equal(found.keypoints[:, :, 0, 0], x)
    np.testing.assert_allclose(found.keypoints[0, 0, 5], [x[0][0], 120, 0.9 if channels == 3 else 1])
    put(tmp_path / "v_4.txt", line(0.75, tail=tails[1][:-1], channels=channels))  # a frame without ids
    assert not ultralytics.read(tmp_path, width=640, height=480)[0].tracked


def test_labels_for_training_have_flags_and_zeros_are_missing(tmp_path):
    text = line().split()
    text[5:14] = ["0.5", "0.5", "2", "0.25", "0.5", "1", "0", "0", "0.4"]
    text[16::3] = ["2"] * 14
    text[13] = "1"  # at 0, 0
    (found,) = ultralytics.read(put(tmp_path / "a.txt", " ".join(text)), width=100, height=100)
    np.testing.assert_array_equal(found.keypoints[0, 0, :3], [[50, 50, 1], [25, 50, 0.5], [NAN, NAN, 0]])


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
    with pytest.raises(UsageError, match="give the options width and height"):
        ultralytics.read(path)
    found = ultralytics.read(path, width=640, height=480)[0]
    np.testing.assert_array_equal(found.keypoints[0, 0, 0], [320, 120, 0.75])
