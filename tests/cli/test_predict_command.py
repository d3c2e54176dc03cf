import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_commands import poseemo
from shared_videos import MODEL, VIDEOS, needs_shared

from poseemo_lib.cli.shared import check_out
from poseemo_lib.errors import UsageError


def said(*arguments, code=0):
    """Run a command; return what it said."""
    done = poseemo(*arguments)
    assert done.returncode == code, (arguments, done.stderr)
    return done.stdout + done.stderr


def test_it_prints_what_it_is_what_it_found_and_writes_it(small_run, keypoint_file, tmp_path):
    call = ("predict", small_run, keypoint_file, "--out", tmp_path / "out.json", "--stride", 0.2)
    text = said(*call)
    for part in ("posture is not a feeling", "trained on synthetic data", "most probable", "windows of 1 recording"):
        assert part in text
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["stride_seconds"] == 0.2 and content["kind"] == "npz" and len(content["windows"]) > 2
    assert "--overwrite" in said(*call, code=2)
    said(*call, "--overwrite")


def test_clips_of_a_dataset(small_run, tiny, tmp_path):
    text = said("predict", small_run, tiny, "--clips", "--out", tmp_path / "out.parquet")
    assert "120 clips, " in text and "label" in text
    table = pd.read_parquet(tmp_path / "out.parquet")
    assert len(table) == 120 and "start_seconds" not in table
    np.testing.assert_allclose(table.filter(like="p_").sum(axis=1), 1)


def test_what_could_not_be_used_is_listed_and_the_rest_is_written(small_run, keypoint_file, tmp_path):
    (tmp_path / "two.npz").write_bytes(keypoint_file.read_bytes()[:200])
    assert "two.npz" in said("predict", small_run, tmp_path, "--out", tmp_path / "out.csv", code=1)
    assert set(pd.read_csv(tmp_path / "out.csv")["recording"]) == {"one.npz"}


def test_wrong_calls_come_before_any_work(small_run, keypoint_file, tmp_path):
    for arguments, message in (
        (["--stride", 0], "--stride"),
        (["--overlay", tmp_path / "a.mp4"], "--overlay: wants a video file"),
        (["--overlay", tmp_path / "a.gif"], "ends in one of .mp4"),
        (["--out", tmp_path / "a.xlsx"], "ends in one of .json"),
        (["--set", "frames"], "wanted KEY=VALUE"),
        (["--set", "frames=3"], "got frames"),
        (["--format", "c3d"], "--format: wanted one of"),
        (["--clips"], "--clips: wants a dataset"),
    ):
        assert message in said("predict", small_run, keypoint_file, *arguments, code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["one.npz"]


def test_a_place_that_cannot_be_written_and_the_input_itself_are_refused(tmp_path):
    path = tmp_path / "dance.mp4"
    path.write_bytes(b"film")
    (tmp_path / "link.mp4").symlink_to(path)
    check_out(tmp_path / "new.mp4", (".mp4",), False, str(path))
    for place, message in (
        (path, "is the input; choose another name"),
        (tmp_path / "link.mp4", "is the input; choose another name"),
        (Path("/proc/x.mp4"), "/proc/x.mp4: cannot be written there"),
        (tmp_path / "none" / "a.mp4", "wanted a folder that exists"),
    ):
        with pytest.raises(UsageError, match=message):
            check_out(place, (".mp4",), True, str(path))


def test_the_options_of_a_format_are_listed(small_run, keypoint_file):
    for command, source in (("predict", ()), ("doctor", ()), ("live", ("--source",))):
        assert "fps = None" in said(command, small_run, *source, keypoint_file, "--set", "help")


def test_doctor_says_what_differs_and_ends_well(small_run, keypoint_file):
    text = said("doctor", small_run, keypoint_file)
    assert "frame rate" in text and "read as npz" in text
    assert "- frame rate is lower: " in said("doctor", small_run, keypoint_file, "--set", "fps=5")
    keypoint_file.write_bytes(keypoint_file.read_bytes().replace(b"PK\1\2", b"lost"))
    assert "cannot be read as an archive of arrays" in said("doctor", small_run, keypoint_file, code=1)


@pytest.mark.slow
def test_a_real_video_end_to_end(small_run, tmp_path):
    needs_shared()
    from poseemo_lib.video.frames import probe

    outs = ("--overlay", tmp_path / "o.mp4", "--out", tmp_path / "o.csv")
    said("predict", small_run, VIDEOS / "one_person_dance.mp4", "--model", MODEL, *outs)
    table, made = pd.read_csv(tmp_path / "o.csv"), probe(tmp_path / "o.mp4")
    assert (table["people"] == 1).all() and table["stop_seconds"].iloc[-1] == pytest.approx(545 / 30, abs=0.1)
    assert (made.width, made.height) == (384, 496) and made.n_frames == pytest.approx(545, abs=2)


def test_a_fault_is_one_line_and_an_exit_code(small_run, tmp_path):
    (tmp_path / "text.mp4").write_text("no video\n" * 9)
    for name, code in (("text.mp4", 1), ("none.mp4", 2)):
        done = poseemo("predict", small_run, tmp_path / name)
        assert done.returncode == code and done.stderr.startswith("poseemo: ") and done.stderr.count("\n") == 1
        assert name in done.stderr
