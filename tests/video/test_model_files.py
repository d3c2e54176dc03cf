"""Model files: what is named must be one; what is fetched is checked, kept, and fetched once."""

import hashlib
import zipfile

import pytest
from made_server import nobody_there, serving

from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.files import hash_file
from poseemo_lib.video.estimators import find_model, mediapipe, rtm
from poseemo_lib.video.estimators.model_files import cache_folder, fetch, unpack_member

CONTENT = b"weights " * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch):
    files = {"/good.task": CONTENT, "/other.task": b"something else", "/cut.task": CONTENT}
    with serving(monkeypatch, files) as server:
        server.cut.add("/cut.task")
        yield server


@pytest.fixture
def nobody():
    with nobody_there() as address:
        yield address


def test_a_model_is_fetched_once_and_checked(server, tmp_path):
    path = fetch(f"{server.at}/good.task", SHA256, tmp_path / "new" / "cache")
    assert path == tmp_path / "new" / "cache" / "good.task" and path.read_bytes() == CONTENT
    assert hash_file(path) == SHA256
    assert fetch(f"{server.at}/good.task", SHA256, path.parent) == path and server.asked == ["/good.task"]
    path.write_bytes(CONTENT[:-1])  # damaged on disk
    assert fetch(f"{server.at}/good.task", SHA256, path.parent).read_bytes() == CONTENT
    assert server.asked == ["/good.task"] * 2


@pytest.mark.parametrize("name", ["other.task", "cut.task"])
def test_another_file_is_not_kept(server, tmp_path, name):
    with pytest.raises(PoseemoError) as caught:
        fetch(f"{server.at}/{name}", SHA256, tmp_path)
    text = str(caught.value)
    assert "\n" not in text and f"Download {server.at}/{name} yourself and name it with `--model FILE`" in text
    assert name == "cut.task" or f"expected sha256:{SHA256}" in text
    assert list(tmp_path.iterdir()) == []


def test_no_server_no_file_no_place_are_one_line_each(server, nobody, tmp_path):
    full = tmp_path / "file"
    full.write_text("")
    for address, folder, words in (
        (f"{nobody}/good.task", tmp_path, "no answer from the server (ConnectionError)"),
        (f"{server.at}/missing.task", tmp_path, "the server answered 404"),
        (f"{server.at}/good.task", full / "cache", f"{full}"),
    ):
        with pytest.raises(PoseemoError, match="the model cannot be fetched: ") as caught:
            fetch(address, SHA256, folder)
        assert words in str(caught.value) and "\n" not in str(caught.value) and caught.value.exit_code == 1
        assert f"Download {address} yourself" in str(caught.value)


def test_the_mirror_is_asked_where_the_first_address_fails(server, nobody, tmp_path):
    assert fetch(f"{nobody}/good.task", SHA256, tmp_path, mirror=f"{server.at}/good.task").read_bytes() == CONTENT
    with pytest.raises(PoseemoError, match=r"no answer .*; the server answered 404\. Download"):
        fetch(f"{nobody}/a.task", SHA256, tmp_path, mirror=f"{server.at}/a.task")


def zipped(path, *names, content=b"network"):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return path


def test_a_member_of_an_archive_is_kept_beside_it(tmp_path):
    archive = zipped(tmp_path / "rtmo-m.zip", "2023/rtmo/end2end.onnx", "2023/rtmo/deploy.json")
    path = unpack_member(archive, "end2end.onnx")
    assert path == tmp_path / "rtmo-m.onnx" and path.read_bytes() == b"network"
    assert unpack_member(archive, "end2end.onnx") == path and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("kind", ["text", "cut", "lacking"])
def test_a_damaged_archive_is_said_and_removed(tmp_path, kind):
    archive = zipped(tmp_path / "a.zip", "end2end.onnx" if kind == "cut" else "readme.txt")
    if kind == "text":
        archive.write_text("no archive")
    if kind == "cut":
        archive.write_bytes(archive.read_bytes()[:40])
    with pytest.raises(PoseemoError, match=r"wanted a zip archive with end2end.onnx, got another file; try again"):
        unpack_member(archive, "end2end.onnx")
    assert list(tmp_path.iterdir()) == []


def test_mediapipes_model_is_fetched_where_none_is_named(server, tmp_path, monkeypatch):
    task = zipped(tmp_path / "x.task", "pose_detector.tflite", "pose_landmarks_detector.tflite")
    server.files["/full.task"] = task.read_bytes()
    monkeypatch.setenv("POSEEMO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("POSEEMO_POSE_MODEL", raising=False)
    monkeypatch.setattr(mediapipe, "ADDRESS", f"{server.at}/full.task")
    monkeypatch.setattr(mediapipe, "SHA256", hash_file(task))
    assert cache_folder() == tmp_path / "cache" / "models"
    assert find_model("mediapipe") == str(tmp_path / "cache" / "models" / "full.task")
    monkeypatch.setenv("POSEEMO_POSE_MODEL", str(task))
    assert find_model("mediapipe") == str(task)
    assert find_model("mediapipe", tmp_path / "cache" / "models" / "full.task") != str(task)
    monkeypatch.setenv("POSEEMO_POSE_MODEL", str(tmp_path / "none.task"))
    with pytest.raises(UsageError, match=r"none.task: wanted a MediaPipe pose landmarker"):
        find_model("mediapipe")


def test_rtms_models_are_fetched_and_unpacked(server, tmp_path, monkeypatch):
    for name in ("det", "pose"):
        server.files[f"/{name}.zip"] = zipped(tmp_path / f"{name}.zip", "x/end2end.onnx").read_bytes()
    monkeypatch.setenv("POSEEMO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("POSEEMO_POSE_MODEL", raising=False)
    monkeypatch.setattr(rtm, "_addresses", lambda name: (f"{server.at}/det.zip", f"{server.at}/pose.zip"))
    folder = tmp_path / "cache" / "models"
    assert find_model("rtmpose") == f"{folder}/det.onnx,{folder}/pose.onnx"
    assert find_model("rtmpose") and server.asked == ["/det.zip", "/pose.zip"]
