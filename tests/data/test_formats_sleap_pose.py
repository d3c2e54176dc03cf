"""SLEAP's labels and the `.pose` of sign language processing."""

import struct

import numpy as np
import pytest
from made_formats import made, read, write

from poseemo_lib.errors import FormatError
from poseemo_lib.skeleton import COCO_KEYPOINTS, JOINT, JOINT_NAMES

# --- sleap


def labels(skeleton, frames):
    """Frames of lists of (points (J, 2), score or none for a user's, track)."""
    import sleap_io as sio

    video = sio.Video("v.mp4", open_backend=False)
    made_frames = []
    for index, people in frames.items():
        instances = []
        for points, score, track in people:
            scores = {} if score is None else {"point_scores": np.full(len(points), score), "score": score}
            kind = sio.PredictedInstance if scores else sio.Instance
            instances.append(kind.from_numpy(points, skeleton=skeleton, track=track, **scores))
        made_frames.append(sio.LabeledFrame(video=video, frame_idx=index, instances=instances))
    return sio.Labels(made_frames, videos=[video], skeletons=[skeleton])


def save_labels(path, skeleton, frames):
    import sleap_io as sio

    sio.save_slp(labels(skeleton, frames), str(path), embed=False, verbose=False)
    return path


@pytest.fixture(scope="module")
def human():
    import sleap_io as sio

    return sio.Skeleton(["neck", *reversed(COCO_KEYPOINTS)])


def place(x):
    points = np.stack([x + np.arange(18.0), 10 * np.arange(18.0)], 1)
    points[-1] = np.nan  # the nose
    return points


def test_sleap_users_and_scores_and_gaps(tmp_path, human):
    frames = {2: [(place(10), 0.5, None)], 4: [(place(20), None, None)]}
    recording = read("sleap", save_labels(tmp_path / "a.slp", human, frames))
    assert recording.keypoints.shape == (5, 1, 17, 3) and not recording.tracked
    ankle = recording.keypoints[:, 0, JOINT["right_ankle"]]
    np.testing.assert_array_equal(ankle[[2, 4]], [[11, 10, 0.5], [21, 10, 1]])
    assert np.isnan(ankle[[0, 1, 3], :2]).all() and (recording.keypoints[:, 0, JOINT["nose"], 2] == 0).all()
    assert (recording.fps, recording.width, recording.height) == (25, 36, 160)


def test_sleap_tracks_are_people(tmp_path, human):
    import sleap_io as sio

    a, b = sio.Track("a"), sio.Track("b")
    both = {0: [(place(0), 0.5, a), (place(100), 0.5, b)], 1: [(place(101), 0.5, b), (place(1), 0.5, a)]}
    recording = read("sleap", save_labels(tmp_path / "both.slp", human, both))
    assert recording.tracked
    np.testing.assert_array_equal(recording.keypoints[:, :, JOINT["left_hip"], 0] // 100, [[0, 1], [0, 1]])
    # Two people after each other would share the slot of a single one.
    in_turn = {0: [(place(0), 0.5, a)], 1: [(place(100), 0.5, b)]}
    recording = read("sleap", save_labels(tmp_path / "turn.slp", human, in_turn))
    assert recording.keypoints.shape[1] == 1 and not recording.tracked
    # Who has no track is kept.
    mixed = {0: [(place(0), 0.5, a), (place(100), 0.5, None)], 1: [(place(1), 0.5, a)]}
    recording = read("sleap", save_labels(tmp_path / "mixed.slp", human, mixed))
    assert recording.keypoints.shape[1] == 2 and not recording.tracked
    assert (recording.keypoints[0, :, JOINT["left_hip"], 2] > 0).all()


def test_sleap_of_a_mouse_and_far_frames(tmp_path, human):
    import sleap_io as sio

    mouse = sio.Skeleton(["snout", "left_ear", "right_ear", "tail"])
    path = save_labels(tmp_path / "mouse.slp", mouse, {0: [(np.ones((4, 2)), 0.5, None)]})
    with pytest.raises(FormatError, match="wanted joints named like COCO's .*got 2 of 17 in snout"):
        read("sleap", path)
    far = {0: [(place(0), 0.5, None)], 10_000_000: [(place(0), 0.5, None)]}
    with pytest.raises(FormatError, match="wanted frame numbers, got 2 frames over 10000001 numbers"):
        read("sleap", save_labels(tmp_path / "far.slp", human, far))


# --- pose


def save_pose(path, components, data, confidence, fps=25.0):
    from pose_format import Pose
    from pose_format.numpy import NumPyPoseBody
    from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

    parts = [PoseHeaderComponent(name, list(points), [], [], form) for name, points, form in components]
    header = PoseHeader(0.2, PoseHeaderDimensions(640, 480), parts)
    with path.open("wb") as file:
        Pose(header, NumPyPoseBody(fps, data, confidence)).write(file)
    return path


def test_pose_of_mediapipe_with_depth_and_other_components(tmp_path):
    names = [name.upper() for name in JOINT_NAMES["blazepose33"]]
    hand, world = [f"H_{i}" for i in range(21)], ("POSE_WORLD_LANDMARKS", names, "XYZC")
    rng = np.random.default_rng(0)
    data = rng.uniform(10, 400, (7, 1, 21 + 33 + 33, 3)).astype(np.float32)
    confidence = rng.uniform(0.1, 1, data.shape[:-1]).astype(np.float32)
    parts = [("RIGHT_HAND_LANDMARKS", hand, "XYZC"), world, ("POSE_LANDMARKS", names, "XYZC")]
    recording = read("pose", save_pose(tmp_path / "a.pose", parts, data, confidence))
    for name in COCO_KEYPOINTS:
        place = 21 + 33 + JOINT_NAMES["blazepose33"].index(name)
        np.testing.assert_array_equal(recording.keypoints[:, 0, JOINT[name], :2], data[:, 0, place, :2])
        np.testing.assert_array_equal(recording.keypoints[:, 0, JOINT[name], 2], confidence[:, 0, place])
    with pytest.raises(FormatError, match="component with the joints of a body .* got RIGHT_HAND.*, POSE_WORLD"):
        read("pose", save_pose(tmp_path / "b.pose", parts[:2], data[:, :, :54], confidence[:, :, :54]))
    with pytest.raises(FormatError, match="wanted pixels, got coordinates of mostly at most 2"):
        read("pose", save_pose(tmp_path / "c.pose", parts, data / 400, confidence))
    with pytest.raises(FormatError, match="fps: wanted a number from 1 to 1000, got 0.0; --set fps"):
        read("pose", save_pose(tmp_path / "d.pose", parts, data, confidence, fps=0.0))


def test_pose_claims_and_sizes(tmp_path):
    sound = write("pose", tmp_path).read_bytes()
    at = len(sound) - 20 * 2 * 17 * 12 - 6
    assert struct.unpack("<IH", sound[at : at + 6]) == (20, 2)
    path = tmp_path / "claims.pose"
    path.write_bytes(sound[:at] + struct.pack("<IH", 2**32 - 1, 2**16 - 1) + sound[at + 6 :])
    with pytest.raises(FormatError, match="truncated, damaged"):
        read("pose", path)
    path.write_bytes(struct.pack("<f", 7.5) + sound[4:])
    with pytest.raises(FormatError, match="wanted a .pose file of version 0.0 to 0.2"):
        read("pose", path)
    with pytest.raises(FormatError, match="at most 65535 pixels a side"):
        write("pose", tmp_path, made(width=70_000))
