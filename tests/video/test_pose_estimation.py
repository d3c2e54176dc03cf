"""Pose estimators: joints where the mathematics says, one recording knows nothing of another, faults in one line."""

import sys
import zipfile
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
from made_networks import save_network
from shared_videos import MODEL, SHA256, VIDEOS, needs_shared

from poseemo_lib.clips import PoseClip, check_clip
from poseemo_lib.errors import UsageError
from poseemo_lib.skeleton import COCO_KEYPOINTS, FLIP_ORDER, JOINT, LAYOUTS
from poseemo_lib.video.estimators import mediapipe, open_estimator
from poseemo_lib.video.frames import read_frames


@pytest.fixture(scope="module")
def blazepose():
    needs_shared()
    with open_estimator(model=MODEL) as estimator:
        yield estimator


@pytest.fixture(scope="module")
def films():
    """The first frames of the dance and of the two people."""
    needs_shared()
    names = ("one_person_dance", "two_people_outdoor_cam01")
    return [list(islice(read_frames(VIDEOS / f"{name}.mp4"), 40, 48)) for name in names]


def estimate(estimator, frames):
    return [estimator.estimate(frame.rgb, frame.seconds) for frame in frames]


def same(a, b):
    return len(a) == len(b) and all(np.array_equal(x, y, equal_nan=True) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("people", [1, 4])
def test_a_recording_knows_nothing_of_the_one_before(people, films, blazepose):
    dance, two = films[0][:4], films[1][:4]
    with open_estimator(model=MODEL, people=people) as estimator:
        alone = estimate(estimator, two)
        estimator.reset()
        assert same(estimate(estimator, two), alone)
        estimator.reset()
        estimate(estimator, dance)
        estimator.reset()
        assert same(estimate(estimator, two), alone)
    if people == 1:  # MediaPipe follows and smooths one person, so there is something that could leak
        with open_estimator(model=MODEL, people=1) as estimator:
            estimate(estimator, dance)
            assert not same([estimator.estimate(f.rgb, 1000 + f.seconds) for f in two], alone)


def test_estimates_are_clips_of_people_the_right_way_up(blazepose, films):
    dance, two = films
    assert blazepose.info.text() == f"mediapipe {MODEL.name} sha256:{SHA256}" and "CPU" in blazepose.info.provider
    blazepose.reset()
    poses = estimate(blazepose, dance)
    assert all(pose.shape == (1, 17, 3) and pose.dtype == np.float32 for pose in poses)
    check_clip(PoseClip("a", "happy", np.stack(poses), 30, 384, 496, "a", "a"))
    x, y = poses[0][0, :, 0], poses[0][0, :, 1]
    heights = [y[[JOINT[name] for name in COCO_KEYPOINTS if part in name]].mean() for part in ("eye", "hip", "ankle")]
    assert heights == sorted(heights) and max(heights) < 496
    assert x[JOINT["left_shoulder"]] > x[JOINT["right_shoulder"]]  # he faces us
    blazepose.reset()
    people = estimate(blazepose, two)
    assert sum(len(found) == 2 for found in people) >= 7
    check_clip(PoseClip("a", "happy", np.stack([p for p in people if len(p) == 2]), 60, 1088, 1920, "a", "a"))


def test_a_mirrored_picture_gives_mirrored_people(blazepose, films):
    frame = films[0][0]
    blazepose.reset()
    (plain,) = blazepose.estimate(frame.rgb, 0)
    blazepose.reset()
    (mirrored,) = blazepose.estimate(frame.rgb[:, ::-1], 0)  # a view that is not contiguous
    mirrored[:, 0] = frame.rgb.shape[1] - 1 - mirrored[:, 0]
    torso = np.linalg.norm(plain[[5, 6], :2].mean(0) - plain[[11, 12], :2].mean(0))
    far = np.linalg.norm(mirrored[list(FLIP_ORDER), :2] - plain[:, :2], axis=1) / torso
    assert np.median(far) < 0.1 and far.max() < 0.5


def test_nothing_is_told_on_standard_error_and_nobody_is_nobody(films, capfd, blazepose):
    capfd.readouterr()
    with open_estimator(model=MODEL) as estimator:
        for _ in range(2):
            assert estimator.estimate(np.full((48, 64, 3), 127, np.uint8), 0.0).shape == (0, 17, 3)
            estimator.reset()
        estimate(estimator, films[1][:3])
        estimator.reset()
        estimate(estimator, films[0][:3])
    assert capfd.readouterr() == ("", "")


def test_each_joint_is_taken_from_the_landmark_of_its_name():
    vision = pytest.importorskip("mediapipe.tasks.python.vision")
    landmarks = vision.PoseLandmark
    assert [landmarks[name.upper()].value for name in COCO_KEYPOINTS] == list(LAYOUTS["blazepose33"])


def landmarks(confidences):
    return [
        SimpleNamespace(x=i / 10, y=-i / 100, visibility=seen, presence=there)
        for i, (seen, there) in enumerate(confidences)
    ]


def test_landmarks_become_pixels_with_visibility_times_presence():
    pairs = [(0.5, 0.8)] * 33
    pairs[11], pairs[12], pairs[13] = (0.0, 1.0), (None, None), (1.0, 1.0)
    (pose,) = mediapipe._keypoints([landmarks(pairs)], 200, 100)
    ankle = pose[JOINT["left_ankle"]]  # landmark 27, outside the picture: kept as it is
    assert np.allclose(ankle, [27 / 10 * 200, -27, 0.4])
    for name in ("left_shoulder", "right_shoulder"):
        assert np.isnan(pose[JOINT[name], :2]).all() and pose[JOINT[name], 2] == 0
    assert pose[JOINT["left_elbow"], 2] == 1
    assert mediapipe._keypoints([], 200, 100).shape == (0, 17, 3)
    assert mediapipe._keypoints([landmarks([(0, 0)] * 33)], 200, 100).shape == (0, 17, 3)


def test_one_person_found_twice_is_given_once_and_two_people_twice():
    rng = np.random.default_rng(0)
    person = np.concatenate([rng.uniform(0, 100, (17, 2)), np.full((17, 1), 0.6)], -1).astype(np.float32)
    again = person + np.array([2, -2, 0.2], np.float32)
    beside = person + np.array([90, 0, 0], np.float32)
    kept = mediapipe._without_doubles(np.stack([person, beside, again]))
    assert np.array_equal(kept, np.stack([beside, again]))
    assert len(mediapipe._without_doubles(np.stack([person, beside]))) == 2


def refusal(name, model, **options):
    with pytest.raises(UsageError) as caught:
        open_estimator(name, model=model, **options)
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2
    return str(caught.value)


def test_what_is_no_model_is_refused_in_one_line(tmp_path, capfd):
    text, empty, junk = tmp_path / "text", tmp_path / "empty", tmp_path / "junk.task"
    text.write_text("this is a text")
    empty.write_bytes(b"")
    with zipfile.ZipFile(junk, "w") as archive:
        for part in ("pose_detector.tflite", "pose_landmarks_detector.tflite"):
            archive.writestr(part, b"junk" * 100)
    for name, wanted in (("mediapipe", "a MediaPipe pose landmarker (.task)"), ("rtmo", "an RTMO model (.onnx)")):
        for path in (empty, tmp_path, text, tmp_path / "none"):
            assert refusal(name, path).startswith(f"{path}: wanted {wanted}, ")
    assert "MediaPipe cannot open it" in refusal("mediapipe", junk)
    assert refusal("rtmpose", text) == f"model: rtmpose wants 2 files, DETECTOR.onnx,POSE.onnx, got {text}"
    assert refusal("rtmpose", f"{empty},{text}").startswith(f"{empty}: wanted a YOLOX detector (.onnx), ")
    assert capfd.readouterr() == ("", "")


def test_options_out_of_range_are_refused_first(tmp_path):
    assert refusal("openpose", None) == "estimator: wanted one of mediapipe, rtmo, rtmpose, got 'openpose'"
    assert refusal("rtmo", None, people=0) == "people: wanted 1 to 20, got 0"
    assert refusal("rtmo", None, min_confidence=1.5) == "min_confidence: wanted 0 to 1, got 1.5"
    assert refusal("mediapipe", rtmo(tmp_path), device="cuda").startswith(f"{tmp_path}")
    assert "device: wanted cpu, cuda" in refusal("rtmo", rtmo(tmp_path), device="tpu")
    if MODEL.is_file():
        assert "device: mediapipe runs on the cpu, got 'cuda'" in refusal("mediapipe", MODEL, device="cuda")


@pytest.mark.parametrize(
    ("name", "module"), [("mediapipe", "mediapipe.tasks.python"), ("rtmo", "rtmlib"), ("rtmo", "onnxruntime")]
)
def test_what_is_not_installed_is_said_with_what_to_install(name, module, monkeypatch, tmp_path):
    if name == "mediapipe":
        needs_shared()
    model = MODEL if name == "mediapipe" else rtmo(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    assert refusal(name, model).endswith("which is not installed; run `pip install 'poseemo[video]'`")


def rtmo(folder, poses=None, boxes=None, size=(640, 640), watched=None, name="rtmo.onnx"):
    poses = np.zeros((1, 1, 17, 3), np.float32) if poses is None else poses
    boxes = np.zeros((1, len(poses[0]), 5), np.float32) if boxes is None else boxes
    return save_network(folder / name, size, {"dets": boxes, "keypoints": poses}, watched)


def a_pose(left, top, confidence):
    pose = np.arange(34, dtype=np.float32).reshape(17, 2) * [2, 3] + [left, top]
    return np.concatenate([pose, np.full((17, 1), confidence)], -1).astype(np.float32)


def test_rtmo_gives_its_joints_in_pixels_surest_person_first(tmp_path):
    poses = np.stack([a_pose(10, 20, 0.6), a_pose(300, 100, 0.9), a_pose(302, 101, 0.9), a_pose(400, 300, 0.7)])
    poses[0, 3, 2] = 0  # an ear that was not seen
    boxes = np.array(
        [[0, 0, 150, 150, 0.8], [300, 100, 380, 200, 0.95], [302, 100, 382, 200, 0.9], [400, 300, 500, 400, 0.3]]
    )
    model = rtmo(tmp_path, poses[None], boxes[None].astype(np.float32))
    rgb = np.zeros((100, 200, 3), np.uint8)  # shown 3.2 times as large, at the top left of 640 x 640
    with open_estimator("rtmo", model=model) as estimator:
        found = estimator.estimate(rgb, 0)
        assert same([estimator.estimate(rgb, 9)], [found])
        assert estimator.info.provider == "CPUExecutionProvider" and estimator.info.model == "rtmo.onnx"
    wanted = poses[[1, 0]] / [3.2, 3.2, 1]  # the third is the second again, the last below the threshold
    wanted[1, 3] = [np.nan, np.nan, 0]
    assert found.dtype == np.float32 and np.allclose(found, wanted, equal_nan=True)
    with open_estimator("rtmo", model=model, people=1) as estimator:
        assert np.allclose(estimator.estimate(rgb, 0), wanted[:1])
    with open_estimator("rtmo", model=model, min_confidence=0.1) as estimator:
        assert len(estimator.estimate(rgb, 0)) == 3


def test_rtmo_takes_its_models_size_and_blue_first(tmp_path):
    watch = np.zeros((1, 1, 17, 3), np.float32)
    watch[..., 2] = 1 / 255
    boxes = np.array([[[0, 0, 50, 50, 0.9]]], np.float32)
    model = rtmo(tmp_path, np.zeros((1, 1, 17, 3), np.float32), boxes, (416, 416), ("keypoints", watch))
    with open_estimator("rtmo", model=model) as estimator:
        found = estimator.estimate(np.full((416, 416, 3), [51, 102, 204], np.uint8), 0)
        assert np.allclose(found[0, :, 2], 204 / 255)


def simcc(x, y, score, size=(256, 192)):
    """Answers of RTMPose with every joint's peak at (x[k], y[k]) of the picture that the network sees."""
    height, width = size
    out = np.zeros((1, 17, 2 * width), np.float32), np.zeros((1, 17, 2 * height), np.float32)
    joints = np.arange(17)
    out[0][0, joints, np.round(2 * x).astype(int)] = score
    out[1][0, joints, np.round(2 * y).astype(int)] = score
    return {"simcc_x": out[0], "simcc_y": out[1]}


def detector(folder, boxes, classes=None, size=(416, 416), name="det.onnx"):
    classes = np.zeros((1, len(boxes)), np.int64) if classes is None else np.array([classes], np.int64)
    boxes = np.array([boxes], np.float32).reshape(1, -1, 5)
    return save_network(folder / name, size, {"dets": boxes, "labels": classes})


X, Y = np.linspace(5, 187, 17), np.linspace(250, 3, 17)


def test_rtmpose_gives_joints_of_each_box_in_pixels(tmp_path):
    score = np.linspace(0.2, 1.2, 17)
    score[4] = 0
    pose = save_network(tmp_path / "pose.onnx", (256, 192), simcc(X, Y, score))
    boxes = [[20, 10, 60, 110, 0.6], [100, 20, 300, 100, 0.9], [0, 0, 400, 400, 0.95], [0, 0, 9, 9, 0.4]]
    det = detector(tmp_path, boxes, [0, 0, 56, 0])  # a person, a person, a chair, a person below the threshold
    rgb = np.zeros((208, 416, 3), np.uint8)  # as wide as the detector's picture: not scaled
    with open_estimator("rtmpose", model=f"{det},{pose}") as estimator:
        found = estimator.estimate(rgb, 0)
        assert estimator.info.model == "det.onnx+pose.onnx" and estimator.info.sha256.count("+") == 1
    wanted = []
    for left, top, right, bottom, _ in (boxes[1], boxes[0]):
        height = 1.25 * max(bottom - top, (right - left) / 0.75)
        corner = np.array([(left + right) / 2 - 0.375 * height, (top + bottom) / 2 - height / 2])
        place = np.stack([np.round(2 * X) / 2 / 192 * 0.75 * height, np.round(2 * Y) / 2 / 256 * height], -1) + corner
        wanted.append(np.concatenate([place, np.minimum(score, 1)[:, None]], -1))
    wanted = np.array(wanted)
    wanted[:, 4] = [np.nan, np.nan, 0]
    assert np.allclose(found, wanted, atol=1e-3, equal_nan=True)
    with open_estimator("rtmpose", model=f"{det},{pose}", people=1) as estimator:
        assert np.allclose(estimator.estimate(rgb, 0), wanted[:1], atol=1e-3, equal_nan=True)


def test_rtmpose_sees_red_first(tmp_path):
    answers = simcc(X, Y, np.full(17, 0.5))
    peaks = (answers["simcc_x"] > 0).astype(np.float32)
    pose = save_network(tmp_path / "pose.onnx", (256, 192), answers, ("simcc_x", peaks))
    det = detector(tmp_path, [[50, 50, 350, 350, 0.9]])
    rgb = np.full((416, 416, 3), [150, 20, 240], np.uint8)
    with open_estimator("rtmpose", model=f"{det},{pose}") as estimator:
        red = (150 - 123.675) / 58.395
        assert np.allclose(estimator.estimate(rgb, 0)[0, :, 2], (0.5 + red + 0.5) / 2, atol=0.01)


def test_who_finds_nobody_gives_nobody(tmp_path):
    pose = save_network(tmp_path / "pose.onnx", (256, 192), simcc(X, Y, np.full(17, 0.9)))
    detectors = [detector(tmp_path, boxes, name=f"{len(boxes)}.onnx") for boxes in ([], [[0, 0, 9, 9, 0.1]])]
    models = [("rtmpose", f"{one},{pose}") for one in detectors]
    models += [("rtmo", rtmo(tmp_path, np.zeros((1, n, 17, 3), np.float32), name=f"rtmo{n}.onnx")) for n in (0, 3)]
    for name, model in models:
        with open_estimator(name, model=model) as estimator:
            assert estimator.estimate(np.zeros((48, 64, 3), np.uint8), 0).shape == (0, 17, 3)


def test_a_detector_that_gives_raw_anchors_is_read_too(tmp_path):
    anchors = np.zeros((1, 64 + 16 + 4, 4 + 1 + 80), np.float32)
    # Cell (2, 3) of stride 8: middle at ((2 + 0.5) 8, (3 + 0.25) 8), 32 x 48 large; a dog beside it is nobody.
    anchors[0, 3 * 8 + 2] = [0.5, 0.25, np.log(4), np.log(6), 0.9, 0.95, *[0] * 79]
    anchors[0, 64 + 2 * 4 + 3] = [0.5, 0.5, 0, 0, 0.9, *[0] * 16, 0.95, *[0] * 63]
    det = save_network(tmp_path / "det.onnx", (64, 64), {"raw": anchors})
    pose = save_network(tmp_path / "pose.onnx", (256, 192), simcc(np.full(17, 96), np.full(17, 128), np.full(17, 0.9)))
    with open_estimator("rtmpose", model=f"{det},{pose}") as estimator:
        found = estimator.estimate(np.zeros((128, 128, 3), np.uint8), 0)  # twice the network's picture
    assert found.shape == (1, 17, 3) and np.allclose(found[0, :, :2], [2 * 20, 2 * 26], atol=1e-3)


def test_a_network_with_other_outputs_is_refused(tmp_path):
    for answers in (
        {"simcc_x": np.zeros((1, 26, 384), np.float32), "simcc_y": np.zeros((1, 26, 512), np.float32)},
        {"simcc_x": np.zeros((1, 17, 384), np.float32)},
    ):
        pose = save_network(tmp_path / "pose.onnx", (256, 192), answers)
        text = refusal("rtmpose", f"{detector(tmp_path, [[0, 0, 9, 9, 0.9]])},{pose}")
        assert text.startswith(f"{pose}: wanted an RTMPose model (.onnx) with outputs like")
    assert "wanted an RTMO model" in refusal("rtmo", detector(tmp_path, [[0, 0, 9, 9, 0.9]]))


def test_a_device_that_is_not_there_is_not_claimed(tmp_path, capfd):
    import onnxruntime

    with open_estimator("rtmo", model=rtmo(tmp_path), device="cuda") as estimator:
        there = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
        assert there or estimator.info.provider == "CPUExecutionProvider"
    assert capfd.readouterr().out == ""
