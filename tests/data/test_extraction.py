import csv
import os
import re
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from made_processes import all_gone, children_of, poseemo_command, wait_until
from shared_videos import MODEL, dance, needs_shared, noise, stretch, write

from poseemo_lib.data.dataset import Dataset
from poseemo_lib.data.extraction.clip import Quality, extract_video
from poseemo_lib.data.extraction.results import load_result, read_quality, result_path, results_folder, save_result
from poseemo_lib.data.formats import Recording
from poseemo_lib.errors import FormatError, PoseemoError, UsageError
from poseemo_lib.studies.extraction import extract_dataset

ROOT = Path(__file__).parents[2]
ESTIMATOR = {"model": str(MODEL), "people": 2}


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two good videos in CAER's layout."""
    needs_shared()
    folder = tmp_path_factory.mktemp("videos")
    dance(folder / "train" / "Happy" / "0001.mp4", 0)
    dance(folder / "test" / "Anger" / "0001.avi", 100)
    return folder


@pytest.fixture(scope="module")
def bad_videos(tmp_path_factory):
    """One good video among others that are none."""
    needs_shared()
    folder = tmp_path_factory.mktemp("bad")
    good = dance(folder / "happy" / "good.mp4", 0, 10)
    noise(folder / "happy" / "noise.mp4")
    (folder / "sad").mkdir()
    (folder / "sad" / "text.mp4").write_text("not a video\n" * 50)
    (folder / "sad" / "empty.mp4").touch()
    content = dance(folder / "happy" / "cut.avi", 0, 12).read_bytes()
    (folder / "happy" / "cut.avi").write_bytes(content[: len(content) * 2 // 3])
    (folder / "sad" / "corrupt.mp4").write_bytes(good.read_bytes()[:3000])
    return folder


@pytest.fixture(scope="module")
def estimator():
    needs_shared()
    from poseemo_lib.video.estimators import open_estimator

    with open_estimator(**ESTIMATOR) as opened:
        yield opened


def extract(src, out, **options):
    return extract_dataset(src, out, **{"name": "d", "estimator": ESTIMATOR} | options)


def clips(out):
    return {clip.clip_id: clip for clip in Dataset(out).clips()}


def test_a_video_gives_what_the_estimator_gives_frame_by_frame(videos, estimator):
    from poseemo_lib.video.frames import read_frames
    from poseemo_lib.video.tracking import main_people

    path, told = videos / "train" / "Happy" / "0001.mp4", []
    recording, quality = extract_video(path, estimator, progress=lambda done, n: told.append((done, n)))
    estimator.reset()
    poses = [estimator.estimate(frame.rgb, frame.seconds) for frame in read_frames(path)]
    assert {len(one) for one in poses} == {1}
    np.testing.assert_array_equal(recording.keypoints, main_people(np.stack(poses), fps=30, max_absence=50))
    assert recording.keypoints.shape == (20, 1, 17, 3) and recording.tracked
    assert (recording.fps, recording.width, recording.height) == (30, 384, 496)
    assert (quality.frames, quality.seconds, quality.detected, quality.people) == (20, 20 / 30, 1, 1)
    assert (quality.two_people, quality.cuts, quality.repeated, quality.damage) == (0, (), 0, "")
    assert set(quality.missing) == {"head", "shoulders", "arms", "hips", "legs"}
    assert told == [(n, 20) for n in range(1, 21)]


def test_a_cut_ends_tracks_and_a_lower_rate_takes_fewer_pictures(tmp_path, estimator):
    first = [np.ascontiguousarray(p[:480, :272]) for p in stretch("one_person_dance.mp4", 0, 20)]
    second = list(stretch("two_people_outdoor_cam01.mp4", 0, 10))
    path = write(tmp_path / "v.mp4", [*first, *second])
    recording, quality = extract_video(path, estimator)
    assert quality.cuts == (20,)
    there = (recording.keypoints[..., 2] > 0).any(-1)
    assert there[:20].sum(1).max() == 1  # a person of the one scene is not in the other
    assert not any(person[:20].any() and person[20:].any() for person in there.T)
    recording, quality = extract_video(path, estimator, cuts=False, fps=10)
    assert quality.cuts == () and recording.fps == 10 and len(recording.keypoints) == 10


def test_a_video_without_people_shows_nobody_and_others_are_no_videos(bad_videos, estimator):
    recording, quality = extract_video(bad_videos / "happy" / "noise.mp4", estimator)
    assert quality.detected == quality.people == 0 and not (recording.keypoints[..., 2] > 0).any()
    for name in ("text", "empty", "corrupt"):
        with pytest.raises(FormatError, match=f"{name}.mp4: "):
            extract_video(bad_videos / "sad" / f"{name}.mp4", estimator)


def test_a_dataset_with_what_can_be_used_and_a_word_on_the_rest(bad_videos, tmp_path):
    command = poseemo_command("extract", bad_videos, "out", "--model", MODEL, "--people", 2, "--licence", "L")
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)
    code, said = done.returncode, done.stdout + done.stderr
    assert code == 1 and "Traceback" not in said
    assert re.search(r"happy/noise.mp4: wanted somebody in the pictures, found nobody in any of 5", said)
    assert "poseemo: 4 of 6 videos failed (see above); the others are in out" in said
    assert re.search(r"1 damaged; what could be read is kept:\n  .*cut.avi: truncated", said)
    there = clips(tmp_path / "out")
    assert set(there) == {"happy/good", "happy/cut"} and 0 < there["happy/cut"].n_frames < 12
    with open(tmp_path / "out" / "quality.csv") as file:
        rows = {row["clip_id"]: row for row in csv.DictReader(file)}
    assert {name for name, row in rows.items() if row["used"] == "1"} == set(there)
    assert rows["happy/good"]["detected"] == "1.0" and rows["happy/noise"]["detected"] == "0.0"
    assert rows["sad/text"]["fault"].startswith(str(bad_videos)) and rows["sad/text"]["detected"] == ""

    # The results wait for the broken ones: without these the same call is done, and nothing is made again.
    before = Dataset(tmp_path / "out").info
    assert before.estimator["sha256"].startswith("b02e0b") and before.licence == "L"
    assert before.recipe["people"] == 2 and before.recipe["cuts"] is True
    for path in (bad_videos / "sad").iterdir():
        path.rename(path.with_suffix(".broken"))
    try:
        report = extract(bad_videos, tmp_path / "out", licence="L")
        assert report.done_before == 3 and len(report.faults) == 1
    finally:
        for path in (bad_videos / "sad").iterdir():
            path.rename(path.with_suffix(".mp4"))
    assert report.info.content_hash == before.content_hash
    assert not (tmp_path / "out" / ".extract").exists()


def test_what_cannot_be_is_refused_before_anything_is_decoded(videos, tmp_path, monkeypatch):
    monkeypatch.setattr("poseemo_lib.studies.extraction._extract", None)
    (tmp_path / "zero.task").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "done").mkdir()
    (tmp_path / "done" / "dataset.json").touch()
    for src, out, options, said in [
        (tmp_path / "empty", "o", {}, r"empty: wanted videos \("),
        (videos, "o", {"estimator": {"model": str(tmp_path / "zero.task")}}, "zero.task: wanted a MediaPipe pose land"),
        (videos, "o", {"estimator": {"model": str(tmp_path / "none.task")}}, "none.task"),
        (videos, "o", {"estimator": {"name": "magic"}}, "estimator: wanted one of mediapipe"),
        (videos, "file", {}, "file: wanted a new folder, got a file"),
        (videos, "done", {}, "done: wanted an empty folder, got a dataset"),
        (videos, "file:///o", {}, "wanted a folder on a file system, got a URL"),
        (videos, "o", {"label_map": {"anger": "rage"}}, "--label-map: wanted a class among"),
    ]:
        with pytest.raises(UsageError, match=said):
            extract(src, out if "://" in out else tmp_path / out, **options)
    assert not (tmp_path / "o").exists()


def test_other_settings_give_other_results_and_a_second_process_is_refused(tmp_path):
    (video := tmp_path / "v.mp4").touch()
    with results_folder(tmp_path / "out") as folder:
        assert result_path(folder, "v", video, {"people": 1}) != result_path(folder, "v", video, {"people": 2})
        with pytest.raises(PoseemoError, match="another process extracts into it"), results_folder(tmp_path / "out"):
            pass
    assert not (tmp_path / "out").exists()  # nothing was done
    with results_folder(tmp_path / "out") as folder:
        (folder / "a.npz").touch()
        (folder / ".tmp-1-b.npz").touch()
    with results_folder(tmp_path / "out") as folder:
        assert [path.name for path in folder.glob("*.npz")] == ["a.npz"]  # as left by one that was killed


def test_a_result_is_there_whole_or_not_at_all(tmp_path):
    keypoints = np.random.default_rng(0).random((3, 2, 17, 3), np.float32)
    quality = Quality(25, 64, 48, 3, 0.12, 1, 1.5, 0.5, {"head": 0.25}, (2,), 0, "truncated")
    path = tmp_path / "a.npz"
    save_result(path, Recording(keypoints, 25, 64, 48), quality)
    recording, read = load_result(path)
    assert read == quality == read_quality(path)
    np.testing.assert_array_equal(recording.keypoints, keypoints)
    path.write_bytes(path.read_bytes()[:-40])
    assert read_quality(path) is None and read_quality(tmp_path / "b.npz") is None
    with pytest.raises(FormatError, match="wanted a result, cannot be read"):
        load_result(path)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "said"), [(signal.SIGKILL, ""), (signal.SIGINT, "poseemo: stopped; finished work")])
def test_an_extraction_that_is_stopped_goes_on(tmp_path, number, said):
    needs_shared()
    for k in range(4):
        dance(tmp_path / "v" / ("happy" if k % 2 else "sad") / f"{k}.avi", 40 * k, 40)
    whole = extract(tmp_path / "v", tmp_path / "whole", jobs=2)
    options = ("--name", "d", "--model", MODEL, "--people", 2)
    command = poseemo_command("extract", tmp_path / "v", tmp_path / "out", *options)
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    results = tmp_path / "out" / ".extract"
    wait_until(lambda: len(list(results.glob("*.npz"))) == 2)
    below = children_of(process)
    os.kill(process.pid, number)
    error = process.communicate(timeout=20)[1]
    assert all_gone(below) and said in error and "Traceback" not in error
    done = {path: path.stat().st_mtime_ns for path in results.glob("*.npz")}
    assert not (tmp_path / "out" / "dataset.json").exists()
    (results / ".tmp-1-a.npz").write_text("half")  # as of a process that was killed as it wrote

    done_again = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done_again.returncode == 0, done_again.stderr
    assert f"4 videos, {len(done)} done before, {4 - len(done)} to extract" in done_again.stdout
    there = clips(tmp_path / "out")
    assert sorted(there) == ["happy/1", "happy/3", "sad/0", "sad/2"]
    assert Dataset(tmp_path / "out").info.content_hash == whole.info.content_hash
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "clips-00000.parquet",
        "dataset.json",
        "quality.csv",
    ]
