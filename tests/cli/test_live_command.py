import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import SMALL
from typer.testing import CliRunner

from poseemo_lib.cli.live import app
from poseemo_lib.cli.predict import app as predict_app
from poseemo_lib.data.dataset import Dataset
from poseemo_lib.data.formats import Recording
from poseemo_lib.data.formats.npz import write
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.inference.live.view import check_screen
from poseemo_lib.training.parameters import check_parameters
from poseemo_lib.training.run import execute_run

pytest.importorskip("av")
pytest.importorskip("cv2")
from poseemo_lib.video.frames import VideoWriter, read_frames  # noqa: E402

SHARED = Path(__file__).parents[3] / "shared"
DANCE = SHARED / "data" / "videos" / "one_person_dance.mp4"
MODEL = SHARED / "models" / "pose_landmarker_full.task"


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    values = {**SMALL, "architecture": "deep_residual", "epochs": 1, "dataset": str(tiny)}
    return execute_run(check_parameters(values), tmp_path_factory.mktemp("runs") / "net" / "seed-0")


@pytest.fixture
def keypoints(tiny, tmp_path):
    clip = next(clip for clip in Dataset(tiny).clips() if clip.n_people == 2)
    write([Recording(clip.keypoints, clip.fps, clip.width, clip.height, tracked=False)], tmp_path / "one.npz")
    return tmp_path / "one.npz"


def invoke(*arguments, command=app):
    name = [] if len(command.registered_commands) == 1 else ["predict"]
    return CliRunner().invoke(command, [*name, *(str(one) for one in arguments)])


class TestCommand:
    def test_a_keypoint_file_gives_the_same_as_predict(self, run, keypoints, tmp_path):
        done = invoke(run, "--source", keypoints, "--headless", "--save", tmp_path / "l.csv", "--stride", 0.1)
        assert done.exit_code == 0, done.output
        assert done.output.count("posture is not a feeling") == 1 and "trained on synthetic data" in done.output
        assert "frames in" in done.output and "0 dropped" in done.output
        assert invoke(
            run, keypoints, "--stride", 0.1, "--out", tmp_path / "p.csv", command=predict_app
        ).exit_code == 0  # fmt: skip
        live, batch = pd.read_csv(tmp_path / "l.csv"), pd.read_csv(tmp_path / "p.csv")
        assert list(live) == list(batch) and live["tracks"].astype(str).tolist() == batch["tracks"].astype(str).tolist()
        assert len(live) > 5 and live["prediction"].tolist() == batch["prediction"].tolist()
        np.testing.assert_allclose(live.filter(like="p_"), batch.filter(like="p_"), atol=1e-6)

    def test_a_clip_of_a_dataset_with_everything_written(self, run, tiny, tmp_path):
        clip = list(Dataset(tiny).clips())[3]
        files = ("--out", tmp_path / "o.mp4", "--save", tmp_path / "w.json")
        done = invoke(run, "--source", tiny, "--clip", clip.clip_id, "--headless", *files)
        assert done.exit_code == 0, done.output
        content = json.loads((tmp_path / "w.json").read_text())
        assert content["windows"][0]["label"] == clip.label and content["recordings"].keys() == {clip.clip_id}
        frames = list(read_frames(tmp_path / "o.mp4"))
        assert len(frames) == clip.n_frames and frames[-1].rgb.max() > 200
        again = invoke(run, "--source", tiny, "--clip", clip.clip_id, "--headless", *files)
        assert isinstance(again.exception, UsageError) and "--overwrite" in str(again.exception)

    def test_nothing_is_stored_unless_it_is_asked_for(self, run, keypoints, tmp_path, monkeypatch):
        (tmp_path / "empty").mkdir()
        monkeypatch.chdir(tmp_path / "empty")
        assert invoke(run, "--source", keypoints, "--headless", "--seconds", 0.5).exit_code == 0
        assert not list((tmp_path / "empty").iterdir())

    def test_wrong_calls_come_before_any_work(self, run, keypoints, tmp_path):
        for arguments, match in (
            (["--stride", 0], "--stride: wanted seconds above 0"),
            (["--seconds", -1], "--seconds: wanted seconds above 0"),
            (["--out", tmp_path / "a.gif"], "ends in one of .mp4"),
            (["--save", tmp_path / "a.xlsx"], "ends in one of .json"),
            (["--clip", "x"], "has no such recording"),
            (["--set", "frames=3"], "got frames"),
        ):
            done = invoke(run, "--source", keypoints, "--headless", *arguments)
            assert isinstance(done.exception, UsageError) and match in str(done.exception), (arguments, done.exception)
        done = invoke(run, "--headless", "--clip", "x")
        assert isinstance(done.exception, UsageError) and "--clip: wants --source" in str(done.exception)
        assert [path.name for path in tmp_path.iterdir()] == ["one.npz"]

    def test_without_a_display_it_says_what_to_do(self, monkeypatch, run, keypoints):
        monkeypatch.setattr(sys, "platform", "linux")
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            monkeypatch.delenv(name, raising=False)
        done = invoke(run, "--source", keypoints)
        assert isinstance(done.exception, UsageError) and done.exception.exit_code == 2
        assert "wanted a display" in str(done.exception) and "--headless" in str(done.exception)

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="X11")
    def test_a_display_that_is_not_there_ends_nothing(self):
        with pytest.raises(UsageError, match="cannot open one here"):
            check_screen({**os.environ, "DISPLAY": ":93931", "WAYLAND_DISPLAY": "", "QT_QPA_PLATFORM": "xcb"})

    @pytest.mark.slow
    def test_a_truncated_video_is_told_and_the_rest_is_kept(self, run, tmp_path):
        if not (DANCE.exists() and MODEL.exists()):
            pytest.skip("no ../shared with a video and a pose model")
        pytest.importorskip("mediapipe")
        whole = tmp_path / "whole.mkv"
        with VideoWriter(whole, 30, 384, 496) as writer:
            for frame in read_frames(DANCE):
                if frame.index >= 60:
                    break
                writer.write(frame.rgb)
        (tmp_path / "cut.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        done = invoke(
            run, "--source", tmp_path / "cut.mkv", "--model", MODEL, "--headless", "--save", tmp_path / "w.csv"
        )
        assert isinstance(done.exception, PoseemoError) and "truncated" in str(done.exception)
        assert len(pd.read_csv(tmp_path / "w.csv"))


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_ends_it_with_its_files_written(run, tiny, tmp_path):
    clip = max(Dataset(tiny).clips(), key=lambda clip: clip.n_frames)
    keypoints = np.concatenate([clip.keypoints] * 20)
    write([Recording(keypoints, clip.fps, clip.width, clip.height)], tmp_path / "long.npz")
    code = "import sys; from poseemo_lib.cli.live import app; app(sys.argv[1:])"
    options = ["--source", "long.npz", "--headless", "--realtime", "--out", "o.mp4", "--save", "w.csv"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(run), *options], cwd=tmp_path, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    while not list(tmp_path.glob("*o.mp4*")):
        assert process.poll() is None
        time.sleep(0.1)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=30)
    assert process.returncode == 0 and "frames in" in text
    n_frames = sum(1 for _ in read_frames(tmp_path / "o.mp4"))
    assert 0 < n_frames < len(keypoints)
    pd.read_csv(tmp_path / "w.csv")


@pytest.mark.slow
def test_a_real_video_gives_the_same_as_predict(run, tmp_path):
    if not (DANCE.exists() and MODEL.exists()):
        pytest.skip("no ../shared with a video and a pose model")
    pytest.importorskip("mediapipe")
    # Encoded anew, with a scene cut to the same man mirrored and upside down.
    with VideoWriter(tmp_path / "a.mp4", 30, 384, 496) as writer:
        for frame in read_frames(DANCE):
            if frame.index >= 180:
                break
            writer.write(frame.rgb if frame.index < 100 else np.ascontiguousarray(frame.rgb[::-1, ::-1]))
    videos = ("--model", MODEL, "--stride", 0.2)
    assert invoke(run, tmp_path / "a.mp4", *videos, "--out", tmp_path / "p.csv", command=predict_app).exit_code == 0
    done = invoke(run, "--source", tmp_path / "a.mp4", *videos, "--headless", "--save", tmp_path / "l.csv")
    assert done.exit_code == 0, done.output
    live, batch = pd.read_csv(tmp_path / "l.csv"), pd.read_csv(tmp_path / "p.csv")
    assert live["stop_seconds"].tolist() == batch["stop_seconds"].tolist()
    assert any(abs(stop - 100 / 30) < 0.01 for stop in live["stop_seconds"])  # no window over the cut
    np.testing.assert_allclose(live.filter(like="p_"), batch.filter(like="p_"), atol=1e-6)


@pytest.mark.slow
def test_a_real_window_takes_keys(run, tiny, tmp_path):
    if not (shutil.which("Xvfb") and shutil.which("xdotool")):
        pytest.skip("no Xvfb and xdotool to open a window without a screen")
    clip = max(Dataset(tiny).clips(), key=lambda clip: clip.n_frames)
    write([Recording(np.concatenate([clip.keypoints] * 60), clip.fps, clip.width, clip.height)], tmp_path / "long.npz")
    read, wrote = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(wrote), "-screen", "0", "1280x900x24"], pass_fds=[wrote], stderr=subprocess.DEVNULL
    )
    try:
        os.close(wrote)
        env = {**os.environ, "DISPLAY": f":{os.read(read, 9).decode().strip()}", "OMP_NUM_THREADS": "1"}
        code = "import sys; from poseemo_lib.cli.live import app; app(sys.argv[1:])"
        options = ["--source", "long.npz", "--save", "w.csv"]
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(run), *options], cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True
        )
        wait = ["xdotool", "search", "--sync", "--onlyvisible", "--name", "poseemo: long.npz"]
        window = subprocess.run(wait, env=env, capture_output=True, text=True, timeout=60).stdout.split()[0]
        time.sleep(2)
        for key in ("m", "h", "q"):
            subprocess.run(["xdotool", "windowfocus", window, "key", key], env=env, check=True, capture_output=True)
            time.sleep(0.5)
        text, _ = process.communicate(timeout=20)
        assert process.returncode == 0 and "frames in" in text and (tmp_path / "w.csv").exists()
    finally:
        os.close(read)
        server.terminate()
        server.wait()


@pytest.mark.slow
def test_the_notebook_shows_it_on_a_file(run, tiny, tmp_path):
    import nbformat

    from poseemo_lib.studies.notebook import execute_notebook

    clip = max(Dataset(tiny).clips(), key=lambda clip: clip.n_frames)
    parameters = {"run": str(run), "source": str(tiny), "clip": clip.clip_id}
    execute_notebook("06_live.ipynb", tmp_path / "o.ipynb", parameters)
    outputs = [o for cell in nbformat.read(tmp_path / "o.ipynb", 4).cells for o in cell.get("outputs", [])]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    data = [output.get("data", {}) for output in outputs]
    assert any("video/mp4;base64," in one.get("text/html", "") for one in data) and any("image/png" in o for o in data)
    told = "".join(output.get("text", "") for output in outputs)
    assert float(told.split("largest difference ")[1].split()[0]) < 1e-6
