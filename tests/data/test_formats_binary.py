"""What holds for every format of arrays and binary files: sleap, pose, mediapipe, movement, npz."""

import io
import sys
import zipfile

import numpy as np
import pytest
from made_formats import made, read, write

from poseemo_lib.clips import mark_missing
from poseemo_lib.data.formats import Recording, find_files, load_reader, load_writer
from poseemo_lib.errors import FormatError, UsageError

BINARY = ("sleap", "pose", "mediapipe", "movement", "npz")


@pytest.mark.parametrize("format", BINARY)
@pytest.mark.parametrize("people", [1, 2, 4])
def test_the_round_trip_is_exact(tmp_path, format, people):
    recording = made(people)
    path = write(format, tmp_path, recording)
    assert find_files(format, tmp_path) == [path]
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
    with pytest.raises(UsageError, match="height: should be greater than or equal to 1, got 0"):
        read(format, path, height=0)
    with pytest.raises(UsageError, match="fps: should be a valid number, got 'abc'"):
        read(format, path, fps="abc")


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
        with pytest.raises(UsageError, match=rf"needs {name}.*; run `pip install 'poseemo\[formats\]'`"):
            call()


def test_a_small_file_that_claims_much(tmp_path):
    import h5py

    with h5py.File(tmp_path / "a.nc", "w") as file:
        file.create_dataset("position", (10**9, 2, 17, 2), "f4", chunks=(1000, 2, 17, 2), compression="gzip")
    with pytest.raises(FormatError):
        read("movement", tmp_path / "a.nc")
    with h5py.File(tmp_path / "a.slp", "w") as file:
        file.create_dataset("frames", (10**10,), "f8", chunks=(1000,), compression="gzip")
    with pytest.raises(FormatError, match="wanted arrays of at most"):
        read("sleap", tmp_path / "a.slp")


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
