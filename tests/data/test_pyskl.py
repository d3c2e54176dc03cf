import os
import pickle
import struct

import made_formats
import numpy as np
import pytest

from poseemo_lib.data.formats import pyskl
from poseemo_lib.errors import FormatError, UsageError
from poseemo_lib.skeleton import COCO_KEYPOINTS, JOINT, JOINT_NAMES

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def annotation(name="a", label=3, people=2, frames=4, joints=17, kind=np.float32, **changes):
    """Joint j of person m at (100 m + j, 10 j + t) with score 0.5."""
    m, t, j = np.meshgrid(range(people), range(frames), range(joints), indexing="ij")
    return {
        "frame_dir": name,
        "label": label,
        "img_shape": (480, 640),
        "original_shape": (480, 640),
        "total_frames": frames,
        "keypoint": np.stack([100 * m + j + 1, 10 * j + t], -1).astype(kind),
        "keypoint_score": np.full(m.shape, 0.5, kind),
    } | changes


def save(path, content, protocol=4):
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def one(tmp_path, protocol=4, options=None, **changes):
    path = save(tmp_path / "one.pkl", {"split": {}, "annotations": [annotation(**changes)]}, protocol)
    (recording,) = pyskl.read(path, **(options or {}))
    return recording


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, ">f4"])
def test_every_protocol_and_type_of_number(tmp_path, protocol, kind):
    recording = one(tmp_path, protocol, kind=kind)
    assert recording.keypoints.shape == (4, 2, 17, 3) and recording.keypoints.dtype == np.float32
    t, m, j = np.meshgrid(range(4), range(2), range(17), indexing="ij")
    expected = np.stack([100 * m + j + 1, 10 * j + t, np.full(t.shape, 0.5)], -1)
    np.testing.assert_array_equal(recording.keypoints, expected)
    assert (recording.name, recording.label, recording.split) == ("a", "3", None)
    assert (recording.fps, recording.width, recording.height, recording.tracked) == (25, 640, 480, True)


def test_arrays_in_columns_and_names_of_numpy_1(tmp_path):
    made = annotation()
    made["keypoint"] = np.asfortranarray(made["keypoint"])
    made["label"] = np.int64(2)
    text = pickle.dumps([made], protocol=3)
    assert b"numpy._core" in text
    (new,) = pyskl.read(save(tmp_path / "new.pkl", [made], 3))
    (tmp_path / "old.pkl").write_bytes(text.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    (old,) = pyskl.read(tmp_path / "old.pkl")
    np.testing.assert_array_equal(old.keypoints, new.keypoints)
    np.testing.assert_array_equal(new.keypoints[1, 1, 3], [104, 31, 0.5])
    assert old.label == new.label == "2"


def test_labels_and_classes(tmp_path):
    assert one(tmp_path, options={"classes": ["a", "b", "c", "sad"]}).label == "sad"
    assert one(tmp_path, label="sad").label == "sad"
    with pytest.raises(FormatError, match="a: label: wanted one of 2 classes, 0 to 1, got 3"):
        one(tmp_path, options={"classes": ["a", "b"]})
    for wrong in (-1, 2.5, [1, 2], None.__class__):
        with pytest.raises(FormatError):
            one(tmp_path, label=wrong)


def test_splits(tmp_path):
    def splits(table, **options):
        content = {"split": table, "annotations": [annotation("a"), annotation("b"), annotation("c")]}
        return [recording.split for recording in pyskl.read(save(tmp_path / "s.pkl", content), **options)]

    assert splits({"train": ["a"], "validation": ["b"]}) == ["train", "val", None]
    assert splits({"xsub_train": ["a"], "xsub_val": ["b", "c"]}) == ["train", "val", "val"]
    assert splits({"train1": np.array(["a", "c"]), "test1": ("b",)}) == ["train", "test", "train"]
    both = {"xsub_train": ["a"], "xsub_val": ["b"], "xview_train": ["b"], "xview_val": ["a"]}
    with pytest.raises(UsageError, match="protocol: wanted one of xsub, xview, or none, got no choice"):
        splits(both)
    assert splits(both, protocol="xview") == ["val", "train", None]
    assert splits(both, protocol="none") == [None] * 3
    with pytest.raises(FormatError, match="wanted each clip in one split, got 'a' in train and val"):
        splits({"train": ["a"], "val": ["a"]})


def test_other_layouts(tmp_path):
    for layout, options in {"coco18": {}, "halpe26": {}, "body25": {"layout": "body25"}}.items():
        joints = len(JOINT_NAMES[layout])
        recording = one(tmp_path, joints=joints, options=options)
        for name in COCO_KEYPOINTS:
            assert recording.keypoints[0, 0, JOINT[name], 0] == JOINT_NAMES[layout].index(name) + 1, (layout, name)
    ntu = one(tmp_path, joints=25, options={"layout": "ntu25"})
    assert ntu.keypoints[0, 0, JOINT["left_wrist"], 0] == JOINT_NAMES["ntu25"].index("left_wrist") + 1
    assert np.isnan(ntu.keypoints[0, 0, JOINT["left_eye"], 0])
    assert one(tmp_path, joints=133).keypoints.shape == (4, 2, 17, 3)
    with pytest.raises(FormatError, match="wanted joints of a known layout, got 25; give the option layout: coco17"):
        one(tmp_path, joints=25)
    with pytest.raises(FormatError, match=r"wanted 25 joints \(ntu25\), got 17"):
        one(tmp_path, options={"layout": "ntu25"})
    with pytest.raises(UsageError, match="layout: should be 'coco17'"):
        one(tmp_path, options={"layout": "kinect"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "wanted annotations, got none"),
        (3, "wanted PYSKL's dict with split and annotations, got 3"),
        ({"images": [], "videos": []}, "got 'images', 'videos'"),
        ({"annotations": [4]}, "annotation 0: wanted a dict, got 4"),
        ([annotation(name="")], "annotation 0: wanted its name under frame_dir"),
        ([annotation(keypoint=[[1, 2]])], "a: wanted an array under keypoint"),
        ([{"frame_dir": "k", "label": 1, "raw_file": "x.pkl"}], "got keypoints in another file"),
        ([annotation(keypoint=np.ones((1, 4, 25, 3)))], "wanted 2D keypoints, got 3D ones"),
        ([annotation(total_frames=9)], "wanted total_frames as in keypoint, 4, got 9"),
        ([annotation(img_shape=(0, 5))], "img_shape: wanted"),
        ([annotation(keypoint_score=np.zeros((2, 4, 17)))], "at least one frame, got none in 4 frames"),
        ([annotation(keypoint=np.zeros((2, 4), "i4,i4"))], "not a sound pickle"),
        ({"split": {"train": [1]}, "annotations": [annotation()]}, "split train: wanted a list of names"),
        ({"split": ["a"], "annotations": [annotation()]}, "wanted a dict as split and a list as classes"),
    ],
)
def test_faulty_content_is_named(tmp_path, content, message):
    path = save(tmp_path / "bad.pkl", content)
    with pytest.raises(FormatError, match=message) as error:
        pyskl.read(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


class Calls:
    """Is a call of a function when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_that_calls_anything_is_refused_and_nothing_runs(tmp_path, protocol):
    proof = tmp_path / "ran"
    calls = {
        "posix.system": Calls(os.system, f"touch {proof}"),
        "builtins.eval": Calls(eval, f"open({str(proof)!r}, 'w')"),
        "builtins.getattr": Calls(getattr, Calls(__import__, "os"), "system"),
        "numpy": Calls(np.load, "x.npy"),
        "": Calls(pickle.loads, b"cos\nsystem\n."),
    }
    for name, call in calls.items():
        for content in (call, {"annotations": [annotation(label=call)]}, [annotation(), {"frame_dir": [call]}]):
            path = save(tmp_path / "evil.pkl", content, protocol)
            with pytest.raises(FormatError, match="refused: this pickle wants to call '.*nothing was run") as error:
                pyskl.read(path)
            # Protocols 0 to 2 name what Python 2 called it.
            assert name in str(error.value) or protocol < 3
            assert "\n" not in str(error.value)
    assert not proof.exists()


def refused(path, program, message=None):
    path.write_bytes(program)
    with pytest.raises(FormatError, match=message) as error:
        pyskl.read(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_tricks_with_what_is_allowed(tmp_path):
    proof = tmp_path / "ran"
    touch = f"(V touch {proof}\ntR.".encode()
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntVb\ntR"
    for program in (
        b"cposix\nsystem\n" + touch,
        b"cnumpy\nf2py.os.system\n" + touch,  # a name with dots
        b"\x80\x04\x8c\x08os\nsystem\x8c\x00\x93.",  # a name in two parts
        b"c__builtin__\neval\n" + touch,  # Python 2's name
        b"\x80\x02\x82\x01.",  # the registry of extensions
        b"P1\n.",  # a persistent id
        b"(iposix\nsystem\n.",  # an instance
        b"cnumpy\nndarray\n}(V__setstate__\ncnumpy\ndtype\nusb.",  # the state of a class
        b"c_codecs\nencode\n}(V__code__\nI1\nsb.",  # the state of a function
        array[:-1] + b"tR(tR.",  # a call of what a call gave
        array + b"(I1\n(I1\ntcnumpy\ndtype\n(VO8\ntRI0\n(ltb.",  # an array of objects
        b"c_codecs\nencode\n(Vx\nVrot13\ntR.",  # another encoding
    ):
        refused(tmp_path / "evil.pkl", program)
    assert not proof.exists()


def test_claims_of_memory_are_not_believed(tmp_path):
    import resource

    huge = struct.pack("<Q", 2**36)
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntVb\ntR"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for program in (
        b"N" + b"r" + struct.pack("<I", 2**31 - 1) + b".",  # a memo of two billion entries
        b"\x80\x05\x96" + huge + b"a.",  # bytearray of 64 GiB
        b"\x80\x04\x8e" + huge + b"a.",  # bytes of 64 GiB
        b"\x80\x04\x95" + huge + b"a.",  # a frame of 64 GiB
        array + b"(I1\n(L68719476736L\ntcnumpy\ndtype\n(Vf8\ntRI0\nVabc\ntb.",
        # A text of 100 kB, encoded 100 times.
        b"c_codecs\nencode\np0\n(V" + b"x" * 100_000 + b"\nVlatin1\ntp1\nR" + b"g0\ng1\nR" * 100 + b".",
        b"}" + b"(" * 500_000 + b"t" * 500_000 + b"I1\ns.",  # a key that is nested deeply
    ):
        refused(tmp_path / "huge.pkl", program)
    # One array that a thousand annotations share.
    many = [annotation(frames=5000, keypoint_score=None)] * 1000
    refused(tmp_path / "shared.pkl", pickle.dumps(many), "claim more than the file holds")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_nested_references_are_not_written_out(tmp_path):
    laugh = ["ha"]
    for _ in range(60):
        laugh = [laugh, laugh]
    refused(tmp_path / "a.pkl", pickle.dumps([annotation(name=laugh)]), "wanted its name under frame_dir")
    refused(tmp_path / "a.pkl", pickle.dumps([annotation(total_frames=laugh)]), "total_frames")
    refused(tmp_path / "a.pkl", pickle.dumps({"x": laugh}), "annotations, got 'x'")


def test_damaged_files_give_one_line_or_a_recording(tmp_path):
    """Files that are cut, of another kind, or with any one byte flipped."""
    sound = pickle.dumps({"split": {"train": ["a"]}, "annotations": [annotation(people=1, frames=1)]}, 4)
    path = tmp_path / "bad.pkl"
    for content in (b"", b"hello\n", b"\x00" * 100, b"PK\x03\x04", b"{}", sound[:-1], sound[:200]):
        refused(path, content, "not a sound pickle")
    rng, failed = np.random.default_rng(0), 0
    for place in rng.integers(0, len(sound), 200):
        path.write_bytes(sound[:place] + bytes([rng.integers(256)]) + sound[place + 1 :])
        try:
            pyskl.read(path)
        except FormatError as error:
            failed += 1
            assert "\n" not in str(error)
    assert failed > 20
    for place in (tmp_path / "none.pkl", tmp_path):
        with pytest.raises(FormatError, match="cannot be read"):
            pyskl.read(place)


def made(name, label="sad", split=None, **changes):
    return made_formats.made(name=name, label=label, split=split, **changes)


def test_the_round_trip_is_exact(tmp_path):
    recordings = [made("a", split="train"), made("bb", "happy", "val", tracked=False), made("ccc", None, fps=25.0)]
    pyskl.write(recordings, tmp_path / "all.pkl")
    for back, recording in zip(pyskl.read(tmp_path / "all.pkl"), recordings, strict=True):
        np.testing.assert_array_equal(back.keypoints, recording.keypoints)
        for name in ("fps", "width", "height", "label", "split", "name", "tracked"):
            assert getattr(back, name) == getattr(recording, name), name


def test_what_is_written_is_what_the_tools_expect(tmp_path):
    pyskl.write([made("a", "sad", "train"), made("b", "angry", "test")], tmp_path / "all.pkl")
    text = (tmp_path / "all.pkl").read_bytes()
    assert b"numpy.core.multiarray" in text and b"numpy._core" not in text
    content = pickle.loads(text)  # plain, as the tools do it
    assert content["split"] == {"train": ["a"], "test": ["b"]}
    first, second = content["annotations"]
    assert (first["label"], second["label"]) == (5, 0) and content["classes"][5] == "sad"
    assert first["keypoint"].shape == (2, 20, 17, 2) and first["keypoint_score"].shape == (2, 20, 17)
    assert (first["img_shape"], first["total_frames"]) == ((480, 640), 20)
    assert (first["keypoint"][first["keypoint_score"] == 0] == 0).all() and np.isfinite(first["keypoint"]).all()


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(UsageError, match="wanted a name of its own for each recording, got 'a' twice"):
        pyskl.write([made("a"), made("a")], tmp_path / "x.pkl")
    with pytest.raises(UsageError, match="classes: wanted every label among happy, got sad"):
        pyskl.write([made("a")], tmp_path / "x.pkl", classes=["happy"])
    pyskl.write([made("a", "dance")], tmp_path / "x.pkl")
    assert pyskl.read(tmp_path / "x.pkl")[0].label == "dance"
