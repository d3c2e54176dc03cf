import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from poseemo_lib.cli.live import app
from poseemo_lib.cli.predict import app as predict_app
from poseemo_lib.data.dataset import Dataset
from poseemo_lib.data.formats import Recording
from poseemo_lib.data.formats.npz import write
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.inference.live.view import View, check_screen

pytest.importorskip("av")
pytest.importorskip("cv2")
from poseemo_lib.video.frames import read_frames  # noqa: E402
from poseemo_lib.video.writing import video_writer  # noqa: E402

SHARED = Path(__file__).parents[3] / "shared"
DANCE = SHARED / "data" / "videos" / "one_person_dance.mp4"
MODEL = SHARED / "models" / "pose_landmarker_full.task"


def invoke(*arguments, command=app):
    name = [] if len(command.registered_commands) == 1 else ["predict"]
    return CliRunner().invoke(command, [*name, *(str(one) for one in arguments)])


class TestCommand:
    def test_a_keypoint_file_gives_the_same_as_predict(self, small_run, keypoint_file, tmp_path):
        done = invoke(small_run, "--source", keypoint_file, "--headless", "--save", tmp_path / "l.csv", "--stride", 0.1)
        assert done.exit_code == 0, done.output
        assert done.output.count("posture is not a feeling") == 1 and "trained on synthetic data" in done.output
        assert "frames in" in done.output and "0 dropped" in done.output
        assert invoke(
            small_run, keypoint_file, "--stride", 0.1, "--out", tmp_path / "p.csv", command=predict_app
        ).exit_code == 0  # fmt: skip
        live, batch = pd.read_csv(tmp_path / "l.csv"), pd.read_csv(tmp_path / "p.csv")
        assert list(live) == list(batch) and live["tracks"].astype(str).tolist() == batch["tracks"].astype(str).tolist()
        assert len(live) > 5 and live["prediction"].tolist() == batch["prediction"].tolist()
        np.testing.assert_allclose(live.filter(like="p_"), batch.filter(like="p_"), atol=1e-6)

    def test_a_clip_of_a_dataset_with_everything_written(self, small_run, tiny, tmp_path):
        clip = list(Dataset(tiny).clips())[3]
        files = ("--out", tmp_path / "o.mp4", "--save", tmp_path / "w.json")
        done = invoke(small_run, "--source", tiny, "--clip", clip.clip_id, "--headless", *files)
        assert done.exit_code == 0, done.output
        content = json.loads((tmp_path / "w.json").read_text())
        assert content["windows"][0]["label"] == clip.label and content["recordings"].keys() == {clip.clip_id}
        frames = list(read_frames(tmp_path / "o.mp4"))
        assert len(frames) == clip.n_frames and frames[-1].rgb.max() > 200
        again = invoke(small_run, "--source", tiny, "--clip", clip.clip_id, "--headless", *files)
        assert isinstance(again.exception, UsageError) and "--overwrite" in str(again.exception)

    def test_nothing_is_stored_unless_it_is_asked_for(self, small_run, keypoint_file, tmp_path, monkeypatch):
        (tmp_path / "empty").mkdir()
        monkeypatch.chdir(tmp_path / "empty")
        assert invoke(small_run, "--source", keypoint_file, "--headless", "--seconds", 0.5).exit_code == 0
        assert not list((tmp_path / "empty").iterdir())

    def test_options_reach_the_loop_whose_error_keeps_the_file(self, small_run, keypoint_file, tmp_path, monkeypatch):
        def fail(session, source, **how):
            raise PoseemoError(f"camera 0: {how['view']} {session.smoothing} {how['seconds']}")

        monkeypatch.setattr("poseemo_lib.inference.live.loop.run_live", fail)
        options = ("--mirror", "--skeleton-only", "--smoothing", 0, "--seconds", 9, "--save", tmp_path / "w.csv")
        done = invoke(small_run, "--source", keypoint_file, "--headless", *options)
        assert str(done.exception) == f"camera 0: {View(mirror=True, hidden=True)} 0.0 9.0"
        assert done.exception.exit_code == 1 and "prediction" in pd.read_csv(tmp_path / "w.csv")

    def test_wrong_calls_come_before_any_work(self, small_run, keypoint_file, tmp_path):
        for arguments, match in (
            (["--stride", 0], "--stride: wanted seconds above 0"),
            (["--seconds", -1], "--seconds: wanted seconds above 0"),
            (["--out", tmp_path / "a.gif"], "ends in one of .mp4"),
            (["--save", tmp_path / "a.xlsx"], "ends in one of .json"),
            (["--clip", "x"], "has no such recording"),
            (["--set", "frames=3"], "got frames"),
        ):
            done = invoke(small_run, "--source", keypoint_file, "--headless", *arguments)
            assert isinstance(done.exception, UsageError) and match in str(done.exception), (arguments, done.exception)
        done = invoke(small_run, "--headless", "--clip", "x")
        assert isinstance(done.exception, UsageError) and "--clip: wants --source" in str(done.exception)
        assert [path.name for path in tmp_path.iterdir()] == ["one.npz"]

    def test_without_a_display_it_says_what_to_do(self, monkeypatch, small_run, keypoint_file):
        monkeypatch.setattr(sys, "platform", "linux")
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            monkeypatch.delenv(name, raising=False)
        done = invoke(small_run, "--source", keypoint_file)
        assert isinstance(done.exception, UsageError) and done.exception.exit_code == 2
        assert "wanted a display" in str(done.exception) and "--headless" in str(done.exception)

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="X11")
    def test_a_display_that_is_not_there_ends_nothing(self):
        with pytest.raises(UsageError, match="cannot open one here"):
            check_screen({**os.environ, "DISPLAY": ":93931", "WAYLAND_DISPLAY": "", "QT_QPA_PLATFORM": "xcb"})


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_ends_it_with_its_files_written(small_run, tiny, tmp_path):
    clip = max(Dataset(tiny).clips(), key=lambda clip: clip.n_frames)
    keypoints = np.concatenate([clip.keypoints] * 20)
    write([Recording(keypoints, clip.fps, clip.width, clip.height)], tmp_path / "long.npz")
    code = "import sys; from poseemo_lib.cli.live import app; app(sys.argv[1:])"
    options = ["--source", "long.npz", "--headless", "--realtime", "--out", "o.mp4", "--save", "w.csv"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(small_run), *options], cwd=tmp_path, stdout=subprocess.PIPE, text=True,
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
def test_a_real_video_gives_the_same_as_predict(small_run, tmp_path):
    if not (DANCE.exists() and MODEL.exists()):
        pytest.skip("no ../shared with a video and a pose model")
    pytest.importorskip("mediapipe")
    # Encoded anew, with a scene cut to the same man mirrored and upside down.
    with video_writer(tmp_path / "a.mp4", 30, 384, 496) as writer:
        for frame in read_frames(DANCE):
            if frame.index >= 180:
                break
            writer.write(frame.rgb if frame.index < 100 else np.ascontiguousarray(frame.rgb[::-1, ::-1]))
    videos = ("--model", MODEL, "--stride", 0.2)
    assert (
        invoke(small_run, tmp_path / "a.mp4", *videos, "--out", tmp_path / "p.csv", command=predict_app).exit_code == 0
    )
    done = invoke(small_run, "--source", tmp_path / "a.mp4", *videos, "--headless", "--save", tmp_path / "l.csv")
    assert done.exit_code == 0, done.output
    live, batch = pd.read_csv(tmp_path / "l.csv"), pd.read_csv(tmp_path / "p.csv")
    assert live["stop_seconds"].tolist() == batch["stop_seconds"].tolist()
    assert any(abs(stop - 100 / 30) < 0.01 for stop in live["stop_seconds"])  # no window over the cut
    np.testing.assert_allclose(live.filter(like="p_"), batch.filter(like="p_"), atol=1e-6)


@pytest.mark.slow
def test_the_notebook_shows_it_on_a_file(small_run, tiny, tmp_path):
    import nbformat

    from poseemo_lib.studies.notebook import execute_notebook

    clip = max(Dataset(tiny).clips(), key=lambda clip: clip.n_frames)
    parameters = {"run": str(small_run), "source": str(tiny), "clip": clip.clip_id}
    execute_notebook("06_live.ipynb", tmp_path / "o.ipynb", parameters)
    outputs = [o for cell in nbformat.read(tmp_path / "o.ipynb", 4).cells for o in cell.get("outputs", [])]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    data = [output.get("data", {}) for output in outputs]
    assert any("video/mp4;base64," in one.get("text/html", "") for one in data) and any("image/png" in o for o in data)
    told = "".join(output.get("text", "") for output in outputs)
    assert float(told.split("largest difference ")[1].split()[0]) < 1e-6
