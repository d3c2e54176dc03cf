import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from made_commands import poseemo
from made_prediction import Recorded, recording_of, train
from shared_videos import MODEL, needs_shared, stretch, write

from poseemo_lib.data.formats import npz
from poseemo_lib.errors import PoseemoError
from poseemo_lib.inference.live.view import View

pytest.importorskip("av")
pytest.importorskip("cv2")
from poseemo_lib.video.frames import read_frames  # noqa: E402


def live(*arguments, code=0):
    """Run the command without a window; return what it said."""
    done = poseemo("live", *arguments, "--headless")
    assert done.returncode == code, (arguments, done.stderr)
    return done.stderr if code else done.stdout


def live_outside(folder, run, *options, **env):
    """Start the command in a process of its own, on a long keypoint file."""
    command = [sys.executable, "-m", "poseemo_lib.cli", "live", str(run), "--source", "long.npz", *options]
    env = {**os.environ, "OMP_NUM_THREADS": "1", **env}
    return subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True)


def same_as_predict(run, source, folder, *options):
    """Check that the predictions saved are those of `predict`; return what was said, and them."""
    text = live(run, "--source", source, "--save", folder / "l.csv", *options)
    assert poseemo("predict", run, source, "--out", folder / "p.csv", *options).returncode == 0
    saved, batch = (pd.read_csv(folder / name, dtype={"tracks": str}) for name in ("l.csv", "p.csv"))
    pd.testing.assert_frame_equal(saved, batch, rtol=0, atol=1e-6)
    return text, saved


@pytest.fixture
def longest(clips):
    return max(clips, key=lambda clip: clip.n_frames)


@pytest.fixture
def long_file(longest, tmp_path):
    npz.write([recording_of(longest.with_(keypoints=np.concatenate([longest.keypoints] * 60)))], tmp_path / "long.npz")


@pytest.mark.parametrize("name", ["stratified", "logistic_regression", "rocket"])
def test_a_baseline_is_used_like_a_network_and_not_exported(name, tiny, keypoint_file, tmp_path):
    folder = train(tiny, tmp_path / "runs" / "seed-0", architecture=name, model={})
    text, saved = same_as_predict(folder, keypoint_file, tmp_path, "--stride", 0.1)
    assert f"{name} of " in text and len(saved) > 5
    assert f"compared with the data of {name} of " in poseemo("doctor", folder, keypoint_file).stdout
    refused = poseemo("export", folder, tmp_path / "b.onnx")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert f"wanted the run of a network, got the baseline {name}" in refused.stderr


def test_a_keypoint_file_gives_the_same_as_predict(small_run, keypoint_file, tmp_path):
    text, saved = same_as_predict(small_run, keypoint_file, tmp_path, "--stride", 0.1)
    assert text.count("posture is not a feeling") == 1 and "trained on synthetic data" in text
    assert "frames in" in text and "0 dropped" in text and len(saved) > 5


def test_a_clip_of_a_dataset_with_everything_written(small_run, tiny, clips, tmp_path):
    call = (small_run, "--source", tiny, "--clip", clips[3].clip_id)
    call += ("--out", tmp_path / "o.mp4", "--save", tmp_path / "w.json")
    live(*call)
    content = json.loads((tmp_path / "w.json").read_text())
    assert content["windows"][0]["label"] == clips[3].label and content["recordings"].keys() == {clips[3].clip_id}
    frames = list(read_frames(tmp_path / "o.mp4"))
    assert len(frames) == clips[3].n_frames and frames[-1].rgb.max() > 200
    assert "--overwrite" in live(*call, code=2)


def test_nothing_is_stored_unless_it_is_asked_for(small_run, keypoint_file, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    live(small_run, "--source", keypoint_file, "--seconds", 0.5)
    assert not list((tmp_path / "empty").iterdir())


def test_options_reach_the_loop_and_what_was_predicted_before_an_error_is_saved(
    small_run, keypoint_file, tmp_path, monkeypatch
):
    def fail(session, source, **how):
        raise PoseemoError(f"camera 0: {how['view']} {session.smoothing} {how['seconds']}")

    monkeypatch.setattr("poseemo_lib.inference.live.loop.run_live", fail)
    options = ("--mirror", "--skeleton-only", "--smoothing", 0, "--seconds", 9, "--save", tmp_path / "w.csv")
    said = live(small_run, "--source", keypoint_file, *options, code=1)
    assert said == f"poseemo: camera 0: {View(mirror=True, hidden=True)} 0.0 9.0\n"
    assert "prediction" in pd.read_csv(tmp_path / "w.csv")


def test_wrong_calls_come_before_any_work(small_run, keypoint_file, tmp_path):
    for arguments, message in (
        (["--stride", 0], "--stride"),
        (["--seconds", -1], "--seconds"),
        (["--out", tmp_path / "a.gif"], "ends in one of .mp4"),
        (["--save", tmp_path / "a.xlsx"], "ends in one of .json"),
        (["--clip", "x"], "has no such recording"),
        (["--set", "frames=3"], "got frames"),
    ):
        assert message in live(small_run, "--source", keypoint_file, *arguments, code=2)
    assert "--clip: wants --source" in live(small_run, "--clip", "x", code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["one.npz"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="X11")
def test_without_a_display_it_says_what_to_do(monkeypatch, small_run, keypoint_file):
    for name, value in {"DISPLAY": ":93931", "WAYLAND_DISPLAY": "", "QT_QPA_PLATFORM": "xcb"}.items():
        monkeypatch.setenv(name, value)
    done = poseemo("live", small_run, "--source", keypoint_file)
    assert done.returncode == 2 and "wanted a display" in done.stderr and "--headless" in done.stderr


def test_a_truncated_video_is_reported_and_what_can_be_read_is_predicted(small_run, longest, tmp_path, monkeypatch):
    pictures = np.random.default_rng(0).integers(0, 255, (2 * 40, 48, 64, 3), np.uint8)
    whole = write(tmp_path / "whole.mkv", pictures, fps=25).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    people = np.concatenate([longest.keypoints] * 4)
    monkeypatch.setattr("poseemo_lib.video.estimators.open_estimator", lambda *_, **__: Recorded(people))
    said = live(small_run, "--source", tmp_path / "cut.mkv", "--save", tmp_path / "w.csv", code=1)
    assert "cut.mkv: truncated" in said and len(pd.read_csv(tmp_path / "w.csv"))


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_ends_it_with_its_files_written(small_run, long_file, tmp_path):
    process = live_outside(tmp_path, small_run, "--headless", "--realtime", "--out", "o.mp4", "--save", "w.csv")
    while not list(tmp_path.glob("*o.mp4*")):
        assert process.poll() is None
        time.sleep(0.1)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "frames in" in text
    assert sum(1 for _ in read_frames(tmp_path / "o.mp4")) > 0
    pd.read_csv(tmp_path / "w.csv")


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("Xvfb") and shutil.which("xdotool")), reason="no Xvfb and xdotool")
def test_a_real_window_takes_keys(small_run, long_file, tmp_path):
    read, wrote = os.pipe()
    server = ["Xvfb", "-displayfd", str(wrote), "-screen", "0", "1280x900x24"]
    server = subprocess.Popen(server, pass_fds=[wrote], stderr=subprocess.DEVNULL)
    os.close(wrote)
    try:
        display = {"DISPLAY": f":{os.read(read, 9).decode().strip()}"}
        process = live_outside(tmp_path, small_run, "--save", "w.csv", **display)

        def press(*command):
            command, env = ["xdotool", *command], {**os.environ, **display}
            return subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=60).stdout

        window = press("search", "--sync", "--onlyvisible", "--name", "poseemo: long.npz").split()[0]
        time.sleep(2)
        for key in ("m", "h", "q"):
            press("windowfocus", window, "key", key)
            time.sleep(0.5)
        text, _ = process.communicate(timeout=20)
        assert process.returncode == 0 and "frames in" in text and (tmp_path / "w.csv").exists()
    finally:
        server.terminate()
        server.wait()


@pytest.mark.slow
def test_a_real_video_gives_the_same_as_predict(small_run, tmp_path):
    needs_shared()
    # With a scene cut to the same man mirrored and upside down.
    pictures = [
        picture if k < 100 else np.ascontiguousarray(picture[::-1, ::-1])
        for k, picture in enumerate(stretch("one_person_dance.mp4", 0, 180))
    ]
    video = write(tmp_path / "a.mp4", pictures)
    _, saved = same_as_predict(small_run, video, tmp_path, "--model", MODEL, "--stride", 0.2)
    assert any(abs(stop - 100 / 30) < 0.01 for stop in saved["stop_seconds"])  # no window over the cut


@pytest.mark.slow
def test_the_notebook_shows_it_on_a_file(small_run, tiny, longest, tmp_path):
    import nbformat

    from poseemo_lib.studies.notebook import execute_notebook

    parameters = {"run": str(small_run), "source": str(tiny), "clip": longest.clip_id}
    execute_notebook("06_live.ipynb", tmp_path / "o.ipynb", parameters)
    outputs = [o for cell in nbformat.read(tmp_path / "o.ipynb", 4).cells for o in cell.get("outputs", [])]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    data = [output.get("data", {}) for output in outputs]
    assert any("video/mp4;base64," in one.get("text/html", "") for one in data) and any("image/png" in o for o in data)
    told = "".join(output.get("text", "") for output in outputs)
    assert float(told.split("largest difference ")[1].split()[0]) < 1e-6
