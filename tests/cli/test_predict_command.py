import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_commands import poseemo
from typer.testing import CliRunner

from poseemo_lib.cli.predict import app
from poseemo_lib.cli.shared import check_out
from poseemo_lib.errors import FormatError, PoseemoError, UsageError

SHARED = Path(__file__).parents[3] / "shared"
DANCE = SHARED / "data" / "videos" / "one_person_dance.mp4"
MODEL = SHARED / "models" / "pose_landmarker_full.task"


def invoke(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_it_prints_what_it_is_what_it_found_and_writes_it(small_run, keypoint_file, tmp_path):
    done = invoke("predict", small_run, keypoint_file, "--out", tmp_path / "out.json", "--stride", 0.2)
    assert done.exit_code == 0, done.output
    assert "posture is not a feeling" in done.output and "trained on synthetic data" in done.output
    assert "most probable" in done.output and "windows of 1 recording" in done.output
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["stride_seconds"] == 0.2 and content["kind"] == "npz" and len(content["windows"]) > 2
    again = invoke("predict", small_run, keypoint_file, "--out", tmp_path / "out.json")
    assert isinstance(again.exception, UsageError) and "--overwrite" in str(again.exception)
    assert invoke("predict", small_run, keypoint_file, "--out", tmp_path / "out.json", "--overwrite").exit_code == 0


def test_clips_of_a_dataset(small_run, tiny, tmp_path):
    done = invoke("predict", small_run, tiny, "--clips", "--out", tmp_path / "out.parquet")
    assert done.exit_code == 0 and "120 clips, " in done.output and "label" in done.output
    table = pd.read_parquet(tmp_path / "out.parquet")
    assert len(table) == 120 and "start_seconds" not in table
    np.testing.assert_allclose(table.filter(like="p_").sum(axis=1), 1)


def test_what_could_not_be_used_is_listed_and_the_rest_is_written(small_run, keypoint_file, tmp_path):
    (tmp_path / "two.npz").write_bytes(keypoint_file.read_bytes()[:200])
    done = invoke("predict", small_run, tmp_path, "--out", tmp_path / "out.csv")
    assert isinstance(done.exception, PoseemoError) and done.exception.exit_code == 1
    assert "two.npz" in done.output and set(pd.read_csv(tmp_path / "out.csv")["recording"]) == {"one.npz"}


def test_wrong_calls_come_before_any_work(small_run, keypoint_file, tmp_path):
    for arguments, match in (
        (["--overlay", tmp_path / "a.mp4"], "--overlay: wants a video file"),
        (["--overlay", tmp_path / "a.gif"], "ends in one of .mp4"),
        (["--out", tmp_path / "a.xlsx"], "ends in one of .json"),
        (["--set", "frames"], "wanted KEY=VALUE"),
        (["--set", "frames=3"], "got frames"),
        (["--format", "c3d"], "--format: wanted one of"),
        (["--clips"], "--clips: wants a dataset"),
    ):
        done = invoke("predict", small_run, keypoint_file, *arguments)
        assert isinstance(done.exception, UsageError) and match in str(done.exception), (arguments, done.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["one.npz"]


def test_a_place_that_cannot_be_written_and_the_input_itself_are_refused(tmp_path):
    path = tmp_path / "dance.mp4"
    path.write_bytes(b"film")
    (tmp_path / "link.mp4").symlink_to(path)
    for name in ("dance.mp4", "link.mp4"):
        with pytest.raises(UsageError, match="is the input; choose another name"):
            check_out(tmp_path / name, (".mp4",), overwrite=True, input=str(path))
    check_out(tmp_path / "new.mp4", (".mp4",), input=str(path))
    with pytest.raises(UsageError, match="/proc/x.csv: cannot be written there"):
        check_out(Path("/proc/x.csv"), (".csv",))
    with pytest.raises(UsageError, match="wanted a folder that exists"):
        check_out(tmp_path / "none" / "a.csv", (".csv",))


def test_the_options_of_a_format_are_listed(small_run, keypoint_file):
    for command in ("predict", "doctor"):
        done = invoke(command, small_run, keypoint_file, "--set", "help")
        assert done.exit_code == 0 and "fps = None" in done.output


def test_doctor_says_what_differs_and_ends_well(small_run, tiny, keypoint_file, tmp_path):
    done = invoke("doctor", small_run, keypoint_file)
    assert done.exit_code == 0 and "frame rate" in done.output and "read as npz" in done.output
    done = invoke("doctor", small_run, keypoint_file, "--set", "fps=5")
    assert done.exit_code == 0 and "- frame rate is lower: " in done.output
    (tmp_path / "one.npz").write_bytes(b"PK")
    done = invoke("doctor", small_run, keypoint_file)
    assert isinstance(done.exception, FormatError)


@pytest.mark.slow
def test_a_real_video_end_to_end(small_run, tmp_path):
    if not (DANCE.exists() and MODEL.exists()):
        pytest.skip("no ../shared with a video and a pose model")
    pytest.importorskip("mediapipe")
    from poseemo_lib.video.frames import probe

    done = invoke(
        "predict", small_run, DANCE, "--model", MODEL, "--overlay", tmp_path / "o.mp4", "--out", tmp_path / "o.csv"
    )
    assert done.exit_code == 0, done.output
    table, made = pd.read_csv(tmp_path / "o.csv"), probe(tmp_path / "o.mp4")
    assert (table["people"] == 1).all() and table["stop_seconds"].iloc[-1] == pytest.approx(545 / 30, abs=0.1)
    assert (made.width, made.height) == (384, 496) and made.n_frames == pytest.approx(545, abs=2)


def test_a_fault_is_one_line_and_an_exit_code(small_run, tmp_path):
    (tmp_path / "text.mp4").write_text("no video\n" * 9)
    for name, code in (("text.mp4", 1), ("none.mp4", 2)):
        done = poseemo("predict", small_run, tmp_path / name)
        assert done.returncode == code and done.stderr.startswith("poseemo: ") and done.stderr.count("\n") == 1
        assert name in done.stderr
