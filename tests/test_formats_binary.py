"""The formats of arrays and binary files: sleap, pose, mediapipe, movement, npz; and joints by name."""

import io
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from poseemo_lib.clips import mark_missing
from poseemo_lib.errors import FormatError, UsageError
from poseemo_lib.formats import READERS, WRITERS, Recording, load_reader, load_writer, reader_options, writer_options
from poseemo_lib.formats.names import joint_index, pick_named
from poseemo_lib.skeleton import COCO_KEYPOINTS, JOINT, JOINT_NAMES

SHARED = Path(__file__).parents[2] / "shared" / "data" / "formats"
BINARY = ("sleap", "pose", "mediapipe", "movement", "npz")


def made(people=2, frames=20, **changes):
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(1, 600, (frames, people, 17, 3)).astype(np.float32)
    keypoints[..., 2] = rng.uniform(0, 1, keypoints.shape[:-1])
    keypoints[rng.uniform(size=keypoints.shape[:-1]) < 0.2] = 0
    keypoints[5:8, -1] = 0
    settings = {"fps": 29.97, "width": 640, "height": 480, "label": "sad", "split": "val"}
    return Recording(mark_missing(keypoints), **(settings | changes))


def write(format, folder, recording=None):
    writer = load_writer(format)
    path = folder / f"clip{writer.SUFFIX}"
    writer.write([recording or made()], path)
    return path


def read(format, path, **options):
    (recording,) = load_reader(format).read(path, **options)
    return recording


@pytest.mark.parametrize("format", BINARY)
@pytest.mark.parametrize("people", [1, 2, 4])
def test_the_round_trip_is_exact(tmp_path, format, people):
    recording = made(people)
    path = write(format, tmp_path, recording)
    assert load_reader(format).find(tmp_path) == [path]
    back = read(format, path)
    np.testing.assert_array_equal(back.keypoints, recording.keypoints)
    assert back.keypoints.dtype == np.float32
    assert (back.fps, back.width, back.height) == (29.97, 640, 480)
    holds = format in ("movement", "npz")
    assert (back.label, back.split) == (("sad", "val") if holds else (None, None))
    assert back.tracked == (people == 1 or format not in ("pose", "mediapipe"))
    if format in ("pose", "mediapipe"):
        assert read(format, path, tracked=True).tracked
    else:
        path.unlink()
        assert not read(format, write(format, tmp_path, made(people, tracked=False))).tracked


@pytest.mark.parametrize("format", BINARY)
def test_what_the_file_does_not_tell_the_options_do(tmp_path, format):
    path = write(format, tmp_path)
    assert (read(format, path, width=700).width, read(format, path, height=500).height) == (700, 500)
    for wrong, message in {"fps": 0, "width": -5, "height": 0}.items():
        with pytest.raises(UsageError, match="wanted 1"):
            read(format, path, **{wrong: message})
    with pytest.raises(UsageError, match="fps: wanted a number or none, got 'abc'"):
        read(format, path, fps="abc")


@pytest.mark.parametrize("format", BINARY)
def test_several_recordings_do_not_go_into_one_file(tmp_path, format):
    with pytest.raises(UsageError, match="wanted one recording for a file of this format, got 2"):
        load_writer(format).write([made(), made()], tmp_path / "x")


@pytest.mark.parametrize("format", BINARY)
def test_faulty_files_give_one_clear_line(tmp_path, format):
    """Empty, text, other kinds, truncated anywhere, bytes flipped."""
    sound = write(format, tmp_path).read_bytes()
    path = tmp_path / f"bad{load_writer(format).SUFFIX}"
    bytes_ = [b"", b"hello\n", b"\x00" * 1000, b"\x89HDF\r\n\x1a\n" + b"\x00" * 50, b"PK\x03\x04", b"\x93NUMPY", b"{}"]
    cuts = [sound[: len(sound) * part // 10] for part in range(1, 10)]
    for content in bytes_ + cuts:
        path.write_bytes(content)
        with pytest.raises(FormatError) as error:
            load_reader(format).read(path)
        assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)
    rng = np.random.default_rng(1)
    for _ in range(40 if format in ("sleap", "movement") else 300):
        content = bytearray(sound)
        content[rng.integers(min(len(sound), 4000))] = rng.integers(256)
        path.write_bytes(content)
        try:
            load_reader(format).read(path)
        except FormatError as error:
            assert "\n" not in str(error)
        except UsageError as error:  # x and y of almost nothing: parts of a picture of no size
            assert format == "mediapipe" and "width and height" in str(error)
    with pytest.raises(FormatError):
        load_reader(format).read(tmp_path / "nothing")
    with pytest.raises(FormatError):
        load_reader(format).read(tmp_path)


@pytest.mark.parametrize("format", BINARY)
def test_nobody_is_an_error(tmp_path, format):
    path = tmp_path / f"empty{load_writer(format).SUFFIX}"
    load_writer(format).write([Recording(mark_missing(np.zeros((5, 1, 17, 3))), 25, 640, 480)], path)
    with pytest.raises(FormatError, match="wanted a person in at least one frame"):
        load_reader(format).read(path)


@pytest.mark.parametrize(
    ("format", "package", "name"),
    [("sleap", "sleap_io", "sleap-io"), ("pose", "pose_format", "pose-format"), ("movement", "xarray", "xarray and")],
)
def test_a_missing_extra_says_what_to_install(tmp_path, monkeypatch, format, package, name):
    path = write(format, tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    for call in (lambda: read(format, path), lambda: write(format, tmp_path)):
        with pytest.raises(UsageError, match=rf"wants {name}.*; run `pip install 'poseemo\[formats\]'`"):
            call()


def test_every_format_is_listed_and_keeps_the_contract():
    assert set(READERS) - set(WRITERS) == {"bvh"}
    for name in READERS:
        assert callable(load_reader(name).find) and isinstance(reader_options(name), dict)
    for name in WRITERS:
        writer = load_writer(name)
        assert (
            isinstance(writer.SUFFIX, str) and isinstance(writer.LOST, str) and isinstance(writer_options(name), dict)
        )
    with pytest.raises(UsageError, match="format: wanted one of openpose, .*, got 'bvh'"):
        load_writer("bvh")


# --- joints by name


@pytest.mark.parametrize(
    "form",
    [
        "{side}_{part}", "{part}_{side}", "{s}_{part}", "{part}_{s}", "{S}{Part}", "{Part}{S}", "{side}{Part}",
        "{Part}{Side}", "{Side} {Part}", "{SIDE}_{PART}", "{side}{part}", "{s}{part}", "{part}.{S}", "{side}-{part}",
        "mixamorig:{Side}{Part}", "{Part}-{Side}",
    ],
)  # fmt: skip
def test_names_of_many_tools(form):
    for name in COCO_KEYPOINTS[1:]:
        side, part = name.split("_")
        words = {"side": side, "part": part, "s": side[0], "Side": side.title(), "Part": part.title()}
        words |= {"S": side[0].upper(), "SIDE": side.upper(), "PART": part.upper()}
        assert joint_index(form.format(**words)) == JOINT[name], form.format(**words)


@pytest.mark.parametrize(
    "name",
    ["", "left_eye_inner", "LEFT_EYE_OUTER", "left_hand", "neck", "MidHip", "left", "head", "left_right_eye", "eyes"]
    + ["shoulder", "shoulder1", "LBigToe", "l_foot", "left_left_eye", "nosetip", "forearm_left", "elbow_wrist"],
)
def test_names_that_are_no_coco_joint(name):
    assert joint_index(name) is None


def test_names_agree_with_the_layouts():
    for layout in ("body25", "coco18", "halpe26", "blazepose33"):
        found = [joint_index(name) for name in JOINT_NAMES[layout]]
        assert sorted(joint for joint in found if joint is not None) == list(range(17)), layout


def test_picking_by_name():
    keypoints = np.arange(1, 25, dtype=float).reshape(1, 8, 3)
    names = ["tail", "RShoulder", "LShoulder", "nose", "l_hip", "LEFT_HIP_2", "RHip", "left wrist"]
    found = pick_named(keypoints, names, "a.slp")
    np.testing.assert_array_equal(found[0, JOINT["left_shoulder"]], [7, 8, 1])
    assert (found[0, :, 2] > 0).sum() == 6
    with pytest.raises(FormatError, match="a.slp: wanted one left_shoulder, got 'LShoulder' and 'shoulder_l'"):
        pick_named(keypoints, ["LShoulder", "shoulder_l", *names[:6]], "a.slp")
    mouse = ["nose", "left_ear", "right_ear", "left_hip", "right_hip", "tail_base", "tail_tip", "spine"]
    with pytest.raises(FormatError, match="wanted joints named as COCO's .* got 5 of 17 in nose, left_ear"):
        pick_named(keypoints, mouse, "mouse.slp")


# --- sleap


def labels(skeleton, frames):
    """Frames of lists of (points (J, 2), score or none for a user's, track)."""
    import sleap_io as sio

    video = sio.Video("v.mp4", open_backend=False)
    made_frames = []
    for index, people in frames.items():
        instances = [
            sio.Instance.from_numpy(points, skeleton=skeleton, track=track)
            if score is None
            else sio.PredictedInstance.from_numpy(
                points, skeleton=skeleton, point_scores=np.full(len(points), score), score=score, track=track
            )
            for points, score, track in people
        ]
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
    with pytest.raises(FormatError, match="wanted joints named as COCO's .*got 2 of 17 in snout"):
        read("sleap", path)
    far = {0: [(place(0), 0.5, None)], 10_000_000: [(place(0), 0.5, None)]}
    with pytest.raises(FormatError, match="wanted frame numbers, got 2 frames from 0 to 10000000"):
        read("sleap", save_labels(tmp_path / "far.slp", human, far))


def seen_shares(keypoints, test):
    """Share of the frames in which `test` holds, of those in which it can be told."""
    with np.errstate(invalid="ignore"):
        x, y = keypoints[:, 0, :, 0], keypoints[:, 0, :, 1]
        values = test(x, y)
    return values[np.isfinite(values)].mean()


def order(values, a, b):
    """1 where `a` is smaller than `b`, NaN where one is missing."""
    a, b = values[:, JOINT[a]], values[:, JOINT[b]]
    return np.where(np.isfinite(a + b), a < b, np.nan)


def test_real_sleap_file():
    path = SHARED / "sleap" / "one_person_dance_movenet.slp"
    if not path.is_file():
        pytest.skip("needs ../shared/data/formats/sleap")
    recording = read("sleap", path, fps=30, width=384, height=496)
    keypoints = recording.keypoints
    assert keypoints.shape == (545, 1, 17, 3) and recording.tracked
    assert (keypoints[..., 2] > 0).all() and (keypoints[..., 2] <= 1).all()
    # A dance: she bends down and turns round. 98 % of the frames have the head above the hips; shoulders and hips agree
    # in 99 % on which side is left, which is on the right of the picture in 79 and 80 %.
    assert seen_shares(keypoints, lambda x, y: order(y, "nose", "left_hip")) > 0.97
    assert seen_shares(keypoints, lambda x, y: order(y, "left_hip", "left_ankle")) > 0.97

    def agree(x, y):
        return (order(x, "left_shoulder", "right_shoulder") == order(x, "left_hip", "right_hip")).astype(float)

    assert seen_shares(keypoints, agree) > 0.98
    assert 0.75 < seen_shares(keypoints, lambda x, y: order(x, "right_shoulder", "left_shoulder")) < 0.85


# --- pose


def test_real_pose_file():
    path = SHARED / "pose" / "openpose.pose"
    if not path.is_file():
        pytest.skip("needs ../shared/data/formats/pose")
    recording = read("pose", path)
    keypoints = recording.keypoints
    assert keypoints.shape == (93, 1, 17, 3)
    assert (recording.fps, recording.width, recording.height, recording.tracked) == (24, 1000, 1000, True)
    # A signer who faces the camera, from the waist up: nothing below the wrists is seen.
    seen = (keypoints[:, 0, :, 2] > 0).mean(0)
    assert (seen[:9] == 1).all() and (seen[11:] == 0).all()
    assert seen_shares(keypoints, lambda x, y: order(y, "nose", "left_shoulder")) == 1
    for part in ("eye", "ear", "shoulder", "elbow"):
        assert seen_shares(keypoints, lambda x, y, part=part: order(x, f"right_{part}", f"left_{part}")) == 1


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
    with pytest.raises(FormatError, match="wanted pixels, got coordinates of at most 2"):
        read("pose", save_pose(tmp_path / "c.pose", parts, data / 400, confidence))
    with pytest.raises(FormatError, match="wanted 1 to 1000 frames per second, got 0; give the option fps"):
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


# --- mediapipe


def landmarks(columns, frames=6, people=None):
    """Landmark j at (0.1 + 0.02 j, 0.2 + 0.02 j), z -0.5 to 0.5, visibility 0.8, presence 0.5."""
    j = np.arange(33)
    one = np.stack([0.1 + 0.02 * j, 0.2 + 0.02 * j, np.linspace(-0.5, 0.5, 33), np.full(33, 0.8), np.full(33, 0.5)], 1)
    shape = (frames,) if people is None else (frames, people)
    return np.broadcast_to(one[:, :columns], (*shape, 33, columns)).copy()


def save_array(path, array):
    np.save(path, array)
    return path


@pytest.mark.parametrize(("columns", "confidence"), [(3, 1.0), (4, 0.8), (5, 0.4)])
@pytest.mark.parametrize("people", [None, 3])
def test_mediapipe_arrays(tmp_path, columns, confidence, people):
    path = save_array(tmp_path / "a.npy", landmarks(columns, people=people))
    assert load_reader("mediapipe").find(tmp_path) == [path]
    recording = read("mediapipe", path, width=1000, height=500)
    assert recording.keypoints.shape == (6, people or 1, 17, 3) and recording.tracked == (people is None)
    for name in COCO_KEYPOINTS:
        j = JOINT_NAMES["blazepose33"].index(name)
        expected = [1000 * (0.1 + 0.02 * j), 500 * (0.2 + 0.02 * j), confidence]
        np.testing.assert_allclose(recording.keypoints[2, -1, JOINT[name]], expected, rtol=1e-6)
    with pytest.raises(UsageError, match="wanted the options width and height: it holds parts of the picture"):
        read("mediapipe", path)


def test_mediapipe_third_column_units_and_missing(tmp_path):
    array = landmarks(3)
    array[..., 2] = 0.25
    array[1] = 0
    array[2, :, :2] = np.nan
    path = save_array(tmp_path / "a.npy", array)
    size = {"width": 640, "height": 480}
    recording = read("mediapipe", path, **size)
    assert (recording.keypoints[[0, 3], ..., 2] == 0.25).all() and (recording.keypoints[[1, 2], ..., 2] == 0).all()
    assert (read("mediapipe", path, third="z", **size).keypoints[0, ..., 2] == 1).all()
    pixels = read("mediapipe", path, units="pixels")
    np.testing.assert_allclose(pixels.keypoints[0, 0, 0], [0.1, 0.2, 0.25])
    array[..., :2] *= 640
    assert read("mediapipe", save_array(path, array)).width == round(640 * (0.1 + 0.02 * 28) + 0.5)
    with pytest.raises(UsageError, match="units: wanted one of auto, parts, pixels"):
        read("mediapipe", path, units="metres")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((5, 17, 3)), r"got 0 such in an array \(5, 17, 3\)"),
        (np.ones((5, 33, 2)), "got 0 such"),
        (np.ones((0, 33, 4)), "got 0 such"),
        (np.full((5, 33, 4), "x"), "got 0 such"),
        (np.full((5, 33, 4), None), "holds Python objects, which are not loaded"),
        (np.full((5, 33, 4), np.nan), "at least one frame, got none in 5 frames"),
    ],
)
def test_mediapipe_other_arrays(tmp_path, array, message):
    with pytest.raises(FormatError, match=message):
        read("mediapipe", save_array(tmp_path / "a.npy", array), width=10, height=10)


def test_mediapipe_archives(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, something=landmarks(4), fps=30.0, width=640, height=480, names=np.array(["a"]))
    assert read("mediapipe", path).fps == 30 and read("mediapipe", path).width == 640
    np.savez(path, one=landmarks(4), two=landmarks(4))
    with pytest.raises(FormatError, match="got 2 such in one"):
        read("mediapipe", path, width=1, height=1)
    np.savez(path, landmarks=landmarks(4), fps=[30.0, 25.0])
    with pytest.raises(FormatError, match="fps: wanted one number, 1 to 1000"):
        read("mediapipe", path, width=10, height=10)


# --- movement


def movement_dataset(names=COCO_KEYPOINTS, frames=10, people=2, space="xy", confidence=None, **attributes):
    """A dataset as movement makes it; joint j of person p at (100 p + j + 1, t)."""
    import xarray

    t, s, j, p = np.meshgrid(range(frames), range(len(space)), range(len(names)), range(people), indexing="ij")
    position = np.where(s == 0, 100.0 * p + j + 1, t + 1.0)
    score = np.full((frames, len(names), people), np.nan) if confidence is None else confidence
    return xarray.Dataset(
        {
            "position": (("time", "space", "keypoints", "individuals"), position),
            "confidence": (("time", "keypoints", "individuals"), score),
        },
        coords={
            "time": np.arange(frames) / 30,
            "space": list(space),
            "keypoints": list(names),
            "individuals": [f"id_{i}" for i in range(people)],
        },
        attrs={"ds_type": "poses", "fps": 30.0, "time_unit": "seconds"} | attributes,
    )


def save_netcdf(path, dataset):
    dataset.to_netcdf(path, engine="h5netcdf")
    return path


def test_movement_both_orders_and_both_names(tmp_path):
    names = ["Spine", *[name.replace("_", " ").title() for name in reversed(COCO_KEYPOINTS)]]
    dataset = movement_dataset(names)
    old = read("movement", save_netcdf(tmp_path / "a.nc", dataset))
    turned = dataset.rename(keypoints="keypoint", individuals="individual")
    turned = turned.transpose("individual", "keypoint", "space", "time")
    new = read("movement", save_netcdf(tmp_path / "b.nc", turned))
    np.testing.assert_array_equal(old.keypoints, new.keypoints)
    assert old.keypoints.shape == (10, 2, 17, 3) and old.tracked and old.fps == 30
    # Names from the back, after the spine; no confidence is known.
    np.testing.assert_array_equal(old.keypoints[4, 1, JOINT["nose"]], [118, 5, 1])
    np.testing.assert_array_equal(old.keypoints[4, 0, JOINT["right_ankle"]], [2, 5, 1])


def test_movement_confidence_frames_and_gaps(tmp_path):
    confidence = np.full((10, 17, 2), 0.25)
    confidence[3] = np.nan
    dataset = movement_dataset(confidence=confidence)
    recording = read("movement", save_netcdf(tmp_path / "a.nc", dataset))
    assert (recording.keypoints[0, ..., 2] == 0.25).all() and (recording.keypoints[3, ..., 2] == 0).all()
    some = read("movement", save_netcdf(tmp_path / "b.nc", dataset.isel(time=[2, 5, 6])))
    assert some.keypoints.shape[0] == 5 and (some.keypoints[1:3, ..., 2] == 0).all()
    np.testing.assert_array_equal(some.keypoints[3], recording.keypoints[5])
    frames = dataset.assign_coords(time=np.arange(10) + 100)
    frames.attrs = {"time_unit": "frames", "ds_type": "poses"}
    path = save_netcdf(tmp_path / "c.nc", frames)
    assert read("movement", path).fps == 25 and read("movement", path, fps=50).fps == 50
    np.testing.assert_array_equal(read("movement", path).keypoints, recording.keypoints)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop_vars("position"), "wanted movement's poses, position .* got none"),
        (lambda d: d.isel(individuals=0), "got time, space, keypoints"),
        (lambda d: movement_dataset(space="xyz"), "wanted positions x, y in a picture, got x, y, z"),
        (lambda d: movement_dataset(["a", "b"]), "wanted joints named as COCO's"),
        (lambda d: d.assign_coords(time=np.zeros(10)), "wanted times that rise by a frame or more"),
        (lambda d: d.assign_coords(time=np.arange(10) * 1e6), "wanted times that rise by a frame or more"),
        (lambda d: d.assign_coords(time=[f"t{i}" for i in range(10)]), "wanted numbers for position and time"),
        (lambda d: d.isel(time=slice(0)), "wanted poses of at most"),
        (lambda d: d * np.nan, "wanted a person in at least one frame"),
    ],
)
def test_movement_other_datasets(tmp_path, change, message):
    with pytest.raises(FormatError, match=message) as error:
        read("movement", save_netcdf(tmp_path / "a.nc", change(movement_dataset())))
    assert "\n" not in str(error.value)


def test_what_movement_gets_is_its_schema(tmp_path):
    """Variables, dimensions and coordinates of `ValidPosesInputs.to_dataset` of movement 0.15."""
    import xarray

    with xarray.open_dataset(write("movement", tmp_path), engine="h5netcdf") as dataset:
        assert dataset.position.dims == ("time", "space", "keypoints", "individuals")
        assert dataset.confidence.dims == ("time", "keypoints", "individuals")
        assert list(dataset.space.values) == ["x", "y"] and list(dataset.individuals.values) == ["id_0", "id_1"]
        assert list(dataset.keypoints.values) == list(COCO_KEYPOINTS)
        np.testing.assert_allclose(dataset.time, np.arange(20) / 29.97)
        assert dataset.attrs["ds_type"] == "poses" and dataset.attrs["time_unit"] == "seconds"


def test_a_small_file_that_claims_much(tmp_path):
    import h5py

    with h5py.File(tmp_path / "a.nc", "w") as file:
        file.create_dataset("position", (10**9, 2, 17, 2), "f4", chunks=(1000, 2, 17, 2), compression="gzip")
    with pytest.raises(FormatError):
        read("movement", tmp_path / "a.nc")
    with h5py.File(tmp_path / "a.slp", "w") as file:
        file.create_dataset("frames", (10**10,), "f8", chunks=(1000,), compression="gzip")
    with pytest.raises(FormatError, match="wanted SLEAP's frames of at most"):
        read("sleap", tmp_path / "a.slp")


# --- npz


def test_npz_as_people_make_it(tmp_path):
    keypoints = np.full((4, 17, 3), 5.0)  # one person, float64
    keypoints[..., 2] = 2
    keypoints[0, 0] = 0
    np.savez_compressed(tmp_path / "a.npz", keypoints=keypoints)
    recording = read("npz", tmp_path / "a.npz", fps=50)
    assert recording.keypoints.shape == (4, 1, 17, 3) and recording.tracked
    assert (recording.fps, recording.width, recording.height) == (50, 5, 5)
    assert np.isnan(recording.keypoints[0, 0, 0, 0]) and recording.keypoints[1, 0, 0, 2] == 1


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"poses": np.ones((4, 17, 3))}, "wanted an array named keypoints, got none"),
        ({"keypoints": np.ones((4, 14, 3))}, r"got float64 of \(4, 14, 3\)"),
        ({"keypoints": np.ones((4, 2, 17, 2))}, r"wanted numbers of the shape \(frames, people, 17, 3\)"),
        ({"keypoints": np.full((4, 17, 3), "x")}, "got <U1"),
        ({"keypoints": np.full((4, 17, 3), None)}, "Python objects, which are not loaded"),
        ({"keypoints": np.ones((4, 17, 3)), "fps": "fast"}, "fps: wanted one value"),
        ({"keypoints": np.ones((4, 17, 3)), "fps": 0.0}, "fps: wanted 1 to 1000, got 0"),
        ({"keypoints": np.ones((4, 17, 3)), "width": [4, 5]}, "width: wanted one value"),
        ({"keypoints": np.ones((4, 17, 3)), "split": "later"}, "split: wanted one of train, val, test"),
        ({"keypoints": np.ones((4, 17, 3)), "label": np.array(None)}, "Python objects"),
    ],
)
def test_npz_other_archives(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(FormatError, match=message):
        read("npz", tmp_path / "a.npz")


def test_an_archive_that_claims_or_unpacks_to_much(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 1, 17, 3)})
    for body in (b"", b"\x00" * 1000):
        with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("keypoints.npy", header.getvalue() + body)
        with pytest.raises(FormatError, match="it claims 204000000000 bytes of"):
            read("npz", tmp_path / "a.npz")
    (tmp_path / "a.npy").write_bytes(header.getvalue() + b"\x00" * 1000)
    with pytest.raises(FormatError, match="it claims 204000000000 bytes of"):
        read("mediapipe", tmp_path / "a.npy")
