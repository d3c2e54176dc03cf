import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import SMALL

from poseemo_lib import prediction_output as output
from poseemo_lib.batching import Preparation
from poseemo_lib.calibration import calibrated
from poseemo_lib.dataset import Dataset
from poseemo_lib.errors import FormatError, PoseemoError, UsageError
from poseemo_lib.evaluation import probability_columns
from poseemo_lib.experiment import execute_run
from poseemo_lib.format_guess import guess_formats
from poseemo_lib.formats import Recording
from poseemo_lib.formats.npz import write
from poseemo_lib.input_prediction import predict_input
from poseemo_lib.parameters import check_parameters
from poseemo_lib.prediction import (
    NOT_SURE,
    PredictorInfo,
    answers,
    load_predictor,
    predict_recording,
    windows_of,
)
from poseemo_lib.prediction_inputs import input_kind, stack_people
from poseemo_lib.torch_predictor import TorchPredictor
from poseemo_lib.windows import Window

SHARED = Path(__file__).parents[2] / "shared"
NETWORK = {**SMALL, "architecture": "deep_residual", "epochs": 1}


def train(tiny, folder, **values):
    return execute_run(check_parameters({**NETWORK, "dataset": str(tiny), **values}), folder)


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    return train(tiny, tmp_path_factory.mktemp("runs") / "net" / "seed-0", eval_crops=3)


@pytest.fixture(scope="module")
def predictor(run):
    return load_predictor(run)


@pytest.fixture(scope="module")
def clips(tiny):
    return list(Dataset(tiny).clips())


def recording_of(clip):
    return Recording(clip.keypoints, clip.fps, clip.width, clip.height)


def columns_of(info):
    return probability_columns(info.classes)


class TestAgainstTheEvaluation:
    @pytest.mark.parametrize("values", [{}, {"people": 1, "normalisation": "frame", "smoothing": 3}])
    def test_clips_get_the_probabilities_of_the_run_calibrated(self, values, tiny, run, tmp_path):
        folder = train(tiny, tmp_path / "net" / "seed-0", eval_crops=2, **values) if values else run
        predictor = load_predictor(folder)
        found = predict_input(predictor, tiny, clips=True).table.set_index("recording")
        stored = pd.read_parquet(folder / "predictions.parquet")
        wanted = calibrated(stored, predictor.info.classes, predictor.info.temperature).set_index("clip_id")
        columns = columns_of(predictor.info)
        assert len(found) == len(Dataset(tiny)) and len(wanted) > 20
        np.testing.assert_allclose(found.loc[wanted.index, columns], wanted[columns], atol=1e-6)
        assert (found.loc[wanted.index, "label"] == wanted["label"]).all()

    def test_a_window_of_a_short_clip_is_the_one_of_the_evaluation(self, predictor, clips):
        # With two people the slots of a window go by their weights.
        alone = [clip for clip in clips if (clip.keypoints[..., 2] > 0).any((0, 2)).sum() == 1]
        for clip in alone[:20]:
            longest = int(np.floor(15 * clip.fps / 25 + 1e-6)) + 1
            for n_frames in (longest, longest // 2):
                short = clip.with_(keypoints=clip.keypoints[:n_frames])
                table = predict_recording(predictor, recording_of(short))
                assert len(table) == 1 and table["stop_seconds"][0] == n_frames / clip.fps
                wanted = predictor.clip_probabilities([short])
                np.testing.assert_allclose(table[columns_of(predictor.info)], wanted, atol=1e-6)

    def test_windows_of_one_recording_do_not_depend_on_each_other(self, predictor, clips):
        recording = recording_of(max(clips, key=lambda clip: clip.n_frames))
        windows = windows_of(predictor.info, recording, stride=0.2)
        size = (recording.fps, recording.width, recording.height)
        alone = np.concatenate([predictor.probabilities([window], *size) for window in windows])
        assert len(windows) > 3
        np.testing.assert_allclose(predictor.probabilities(windows, *size), alone, atol=1e-6)
        assert predictor.probabilities([], *size).shape == (0, len(predictor.info.classes))


class TestInvariance:
    def window(self, clips):
        clip = next(clip for clip in clips if clip.n_people == 2 and (clip.keypoints[..., 2] > 0).any((0, 2)).all())
        return clip, Window(clip.keypoints[:30], 0, 30, (0, 1))

    def test_an_absent_second_person_and_the_order_change_nothing(self, predictor, clips):
        clip, window = self.window(clips)
        size = (clip.fps, clip.width, clip.height)
        missing = np.broadcast_to(np.float32([np.nan, np.nan, 0]), window.keypoints[:, :1].shape)
        one = replace(window, keypoints=window.keypoints[:, :1])
        padded = replace(window, keypoints=np.concatenate([one.keypoints, missing], 1))
        a, b = (predictor.probabilities([each], *size) for each in (one, padded))
        np.testing.assert_allclose(a, b, atol=1e-6)

    def test_the_detector_s_order_of_people_changes_nothing(self, predictor, clips):
        clip, _ = self.window(clips)
        recording = replace(recording_of(clip), tracked=False)
        swapped = recording.keypoints.copy()
        swapped[::3] = swapped[::3, ::-1]
        a, b = (predict_recording(predictor, replace(recording, keypoints=k)) for k in (recording.keypoints, swapped))
        np.testing.assert_allclose(a[columns_of(predictor.info)], b[columns_of(predictor.info)], atol=1e-6)
        assert (a["people"] == b["people"]).all()

    def test_values_under_missing_joints_do_not_count(self, predictor, clips):
        clip, window = self.window(clips)
        hidden = np.where(window.keypoints[..., 2:] > 0, window.keypoints, np.float32([np.nan, np.nan, 0]))
        size = (clip.fps, clip.width, clip.height)
        a, b = (predictor.probabilities([replace(window, keypoints=k)], *size) for k in (window.keypoints, hidden))
        np.testing.assert_array_equal(a, b)


class TestAnswers:
    info = PredictorInfo("n", ("a", "b", "c"), 1.0, 0.5, 64, vars(Preparation()), False)

    def test_below_the_threshold_there_is_none(self):
        probabilities = np.array([[0.5, 0.3, 0.2], [0.49, 0.31, 0.2], [0.1, 0.2, 0.7]])
        assert answers(probabilities, self.info) == ["a", NOT_SURE, "c"]
        assert answers(np.zeros((0, 3)), self.info) == []

    def test_it_says_what_the_run_is(self, predictor):
        info = predictor.info
        assert info.synthetic and info.seconds == 16 / 25 and info.preparation == vars(Preparation())
        scores = json.loads((predictor.run.folder / "metrics.json").read_text())["test"]
        assert info.scores["balanced_accuracy"] == scores["balanced_accuracy"] and info.scores["chance"] <= 0.5
        text = output.describe_predictor(info)
        assert "posture is not a feeling" in text and "synthetic" in text and "balanced accuracy" in text
        assert info.statistics["n_clips"] == predictor.run.record["clips"]["train"]

    def test_the_best_baseline_of_the_study_stands_beside_the_score(self, tiny, tmp_path):
        for name in ("majority", "stratified"):
            train(tiny, tmp_path / "study" / name / "seed-0", architecture=name, model={})
        folder = train(tiny, tmp_path / "study" / "net" / "seed-0")
        scores = load_predictor(folder).info.scores
        beside = {
            name: json.loads((tmp_path / "study" / name / "seed-0" / "metrics.json").read_text())["test"]
            for name in ("majority", "stratified")
        }
        best = max(beside, key=lambda name: beside[name]["balanced_accuracy"])
        assert scores["baseline"] == beside[best]["balanced_accuracy"] and scores["baseline_name"] == best


class TestInputs:
    def test_a_dataset_and_one_shard_give_windows_of_each_clip(self, predictor, tiny, clips):
        found = predict_input(predictor, tiny)
        assert found.kind == "dataset" and set(found.table["recording"]) == {clip.clip_id for clip in clips}
        clip = clips[7]
        rows = found.table[found.table["recording"] == clip.clip_id].drop(columns=["recording", "label"])
        pd.testing.assert_frame_equal(rows.reset_index(drop=True), predict_recording(predictor, recording_of(clip)))
        shard = predict_input(predictor, next(Path(tiny).glob("clips-*.parquet")))
        pd.testing.assert_frame_equal(shard.table, found.table)

    def test_a_keypoint_file_gives_what_its_recording_gives(self, predictor, clips, tmp_path):
        recording = recording_of(clips[0])
        write([recording], tmp_path / "one.npz")
        found = predict_input(predictor, tmp_path / "one.npz")
        assert found.kind == "npz" and list(found.recordings) == ["one.npz"] and "label" not in found.table
        wanted = predict_recording(predictor, recording)
        pd.testing.assert_frame_equal(found.table.drop(columns="recording"), wanted)

    def test_a_faulty_file_of_several_is_named_and_the_rest_goes_on(self, predictor, clips, tmp_path):
        for number in (1, 2):
            write([recording_of(clips[number])], tmp_path / f"{number}.npz")
        (tmp_path / "3.npz").write_bytes((tmp_path / "1.npz").read_bytes()[:300])
        found = predict_input(predictor, tmp_path)
        assert list(found.recordings) == ["1.npz", "2.npz"] and len(found.faults) == 1 and "3.npz" in found.faults[0]

    def test_a_damaged_clip_of_a_dataset_is_named_and_the_rest_goes_on(self, predictor, tmp_path):
        from poseemo_lib.synthetic import write_synthetic_dataset

        write_synthetic_dataset(tmp_path / "data", 6, seed=3)
        shard = next((tmp_path / "data").glob("clips-*.parquet"))
        table = pq.read_table(shard)
        labels = table["label"].to_pylist()
        labels[2] = "joy"
        column = table.schema.get_field_index("label")
        pq.write_table(table.set_column(column, table.schema.field("label"), [labels]), shard)
        found = predict_input(predictor, tmp_path / "data")
        assert len(found.recordings) == 5 and len(found.faults) == 1 and "'joy'" in found.faults[0]

    @pytest.mark.parametrize(
        ("name", "content", "wanted"),
        [
            ("a.json", {"annotations": [], "images": []}, ["coco"]),
            ("a.json", [{"image_id": "0.jpg", "keypoints": []}], ["alphapose"]),
            ("a.json", [{"name": "person", "keypoints": {}}], ["ultralytics"]),
            ("a_000_keypoints.json", {}, ["openpose"]),
            ("coco_keypoints.json", {"annotations": []}, ["coco"]),
            ("a.json", {"version": 1}, []),
            ("a.slp", None, ["sleap"]),
            ("a.txt", "prose", []),
            ("a.md", None, []),
        ],
    )
    def test_formats_are_told_by_name_and_content(self, name, content, wanted, tmp_path):
        (tmp_path / name).write_text("" if content is None else json.dumps(content))
        assert guess_formats(tmp_path / name) == guess_formats(tmp_path) == wanted

    def test_lines_of_numbers_are_labels(self, tmp_path):
        (tmp_path / "a.txt").write_text("0 " + " ".join(["0.5"] * 55) + "\n")
        assert guess_formats(tmp_path) == ["ultralytics"]

    def test_every_shared_file_is_recognised(self):
        if not SHARED.is_dir():
            pytest.skip("no ../shared")
        formats = SHARED / "data" / "formats"
        wanted = {"sleap/one_person_dance_movenet.slp": "sleap", "openpose": "openpose", "pose/openpose.pose": "pose",
                  "coco/coco_keypoints.json": "coco", "coco/posetrack18_val.json": "coco"}  # fmt: skip
        assert {name: input_kind(formats / name) for name in wanted} == wanted
        assert (
            input_kind(SHARED / "data" / "videos") == input_kind(SHARED / "data/videos/one_person_dance.mp4") == "video"
        )
        assert input_kind(SHARED / "data" / "bandai-namco") == "bvh"

    def test_frames_of_different_numbers_of_people_are_stacked(self):
        poses = [np.zeros((0, 17, 3)), np.ones((2, 17, 3)), np.ones((1, 17, 3))]
        stacked = stack_people(poses)
        assert stacked.shape == (3, 2, 17, 3)
        np.testing.assert_array_equal((stacked[..., 2] > 0).any(-1).sum(1), [0, 2, 1])
        assert np.isnan(stacked[0, :, :, :2]).all() and stack_people([]).shape == (0, 1, 17, 3)


class TestFaults:
    def faulty(self, predictor, path, match, kind=FormatError, **options):
        with pytest.raises(kind, match=match) as caught:
            predict_input(predictor, path, **options)
        assert str(caught.value).count("\n") <= 1

    def test_each_is_one_line(self, predictor, tmp_path):
        (tmp_path / "empty").mkdir()
        self.faulty(predictor, tmp_path / "empty", "got an empty folder", UsageError)
        self.faulty(predictor, tmp_path / "none.mp4", "found nothing", UsageError)
        (tmp_path / "a.md").write_text("text")
        self.faulty(predictor, tmp_path / "a.md", "no reader claims; say --format", UsageError)
        self.faulty(
            predictor, tmp_path / "a.md", "--format: wanted one of video, dataset, bvh", UsageError, format="c3d"
        )
        (tmp_path / "text.mp4").write_text("this is no video\n" * 20)
        self.faulty(predictor, tmp_path / "text.mp4", "text.mp4")
        (tmp_path / "zero.mp4").touch()
        self.faulty(predictor, tmp_path / "zero.mp4", "empty file")
        people = [{"pose_keypoints_2d": [1.0] * 42}]
        (tmp_path / "a_0_keypoints.json").write_text(json.dumps({"people": people}))
        self.faulty(predictor, tmp_path / "a_0_keypoints.json", "42|14")
        entry = {"image_id": "0.jpg", "category_id": 1, "keypoints": [1.0] * 42, "score": 1.0}
        (tmp_path / "r.json").write_text(json.dumps([entry]))
        self.faulty(predictor, tmp_path / "r.json", "r.json.*(42|14)")
        (tmp_path / "cut.json").write_text('{"people": [')
        self.faulty(predictor, tmp_path / "cut.json", "damaged JSON")

    def test_options_that_do_not_go_together(self, predictor, tiny, clips, tmp_path):
        write([recording_of(clips[0])], tmp_path / "one.npz")
        self.faulty(predictor, tmp_path / "one.npz", "--clips: wants a dataset", UsageError, clips=True)
        self.faulty(predictor, tmp_path / "one.npz", "got view", UsageError, options={"view": 1})
        self.faulty(predictor, tiny, "--set: is for keypoint formats", UsageError, options={"fps": 1})
        self.faulty(predictor, tiny, "--stride: wanted seconds above 0", UsageError, stride=0)
        missing = Path(tiny) / "clips-99999.parquet"
        self.faulty(predictor, missing, "found nothing", UsageError)

    def test_runs_that_cannot_predict(self, tiny, run, tmp_path):
        with pytest.raises(UsageError, match="give one of them: .*seed-0"):
            load_predictor(run.parent)
        with pytest.raises(UsageError, match="found nothing"):
            load_predictor(tmp_path / "none")
        with pytest.raises(UsageError, match="a file of another kind"):
            load_predictor(run / "run.json")
        with pytest.raises(UsageError, match="wanted run folders"):
            load_predictor(tiny)
        majority = train(tiny, tmp_path / "majority" / "seed-0", architecture="majority", model={})
        with pytest.raises(PoseemoError, match="the baseline majority, which has no weights"):
            load_predictor(majority)
        with pytest.raises(UsageError, match="no complete run of a network"):
            load_predictor(majority.parent)

    @pytest.mark.parametrize(
        ("name", "content", "match"),
        [
            ("weights.safetensors", None, "weights.safetensors: cannot be read"),
            ("weights.safetensors", b"broken", "weights.safetensors: cannot be read"),
            ("calibration.json", b"{}", "calibration.json: wanted temperature"),
            ("calibration.json", b"{", "calibration.json: cannot be read"),
            ("training_statistics.json", b"[1]", "training_statistics.json: damaged"),
            ("metrics.json", b"{}", "metrics.json: wanted the scores"),
        ],
    )
    def test_damaged_runs_are_one_line(self, name, content, match, run, tmp_path):
        import shutil

        folder = shutil.copytree(run, tmp_path / "seed-0")
        (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
        with pytest.raises(PoseemoError, match=match) as caught:
            load_predictor(folder)
        assert "\n" not in str(caught.value)

    def test_a_run_without_calibration_statistics_and_metrics_still_predicts(self, run, clips, tmp_path):
        import shutil

        folder = shutil.copytree(run, tmp_path / "seed-0")
        for name in ("calibration.json", "training_statistics.json", "metrics.json"):
            (folder / name).unlink()
        old, new = TorchPredictor(folder), TorchPredictor(run)
        assert old.info.temperature == pytest.approx(new.info.temperature) and old.info.statistics == {}
        assert old.info.scores == {} and "balanced accuracy" not in output.describe_predictor(old.info)


@pytest.fixture(scope="module")
def found(predictor, tiny):
    return predict_input(predictor, tiny)


class TestFiles:
    def test_all_three_read_back_equal(self, found, predictor, tmp_path):
        for suffix in output.SUFFIXES:
            output.write_prediction(found, tmp_path / f"out{suffix}")
        csv = pd.read_csv(tmp_path / "out.csv", dtype={"tracks": object}, keep_default_na=False)
        parquet = pd.read_parquet(tmp_path / "out.parquet")
        content = json.loads((tmp_path / "out.json").read_text())
        rows = pd.DataFrame(content["windows"])
        values = pd.DataFrame(rows.pop("probabilities").tolist()).add_prefix("p_")
        whole = pd.concat([rows, values], axis=1)[list(found.table)]
        for read in (parquet, whole):
            pd.testing.assert_frame_equal(read, found.table, check_exact=True, check_dtype=False)
        pd.testing.assert_frame_equal(csv, found.table, rtol=1e-14, check_dtype=False)
        info = predictor.info
        assert content["classes"] == list(info.classes) and content["temperature"] == info.temperature
        assert content["abstain_below"] == info.abstain_below and content["synthetic"] is True
        assert "feeling" in content["note"] and content["predictor"] == info.name

    def test_text_names_what_was_read_and_is_cut_where_it_is_long(self, found):
        text = output.prediction_text(found, most=5)
        assert len(text.splitlines()) == 7 and f"{len(found.table) - 5} more" in text
        summary = output.summary_text(found)
        assert f"{len(found.table)} windows of 120 recordings" in summary and "so that this is no score" in summary

    def test_nothing_is_overwritten_unasked(self, tmp_path):
        path = tmp_path / "a.json"
        path.touch()
        with pytest.raises(UsageError, match="exists; choose another name"):
            output.check_out(path)
        assert output.check_out(path, overwrite=True) == path
        with pytest.raises(UsageError, match=r"ends in one of .json, .csv, .parquet"):
            output.check_out(tmp_path / "a.txt")
        with pytest.raises(UsageError, match="wanted a folder that exists"):
            output.check_out(tmp_path / "none" / "a.csv")


class TestVideo:
    """An estimator that is not there, so that the path from pictures to answers is tested without a model's file."""

    class Planted:
        def __init__(self, keypoints):
            self.keypoints, self.calls, self.resets = keypoints, 0, 0

        def estimate(self, rgb, seconds):
            self.calls += 1
            return self.keypoints[self.calls - 1]

        def reset(self):
            self.resets += 1

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    def write_video(self, path, n_frames):
        from poseemo_lib.video import VideoWriter

        rng = np.random.default_rng(0)
        with VideoWriter(path, 25, 64, 48) as writer:
            for _ in range(n_frames):
                writer.write(rng.integers(100, 120, (48, 64, 3)).astype(np.uint8))

    def test_pictures_are_estimated_tracked_and_predicted(self, predictor, clips, tmp_path):
        pytest.importorskip("av")
        clip = next(clip for clip in clips if clip.n_frames > 50)
        self.write_video(tmp_path / "a.mp4", 40)
        planted, kept = self.Planted(clip.keypoints), []
        found = predict_input(
            predictor, tmp_path / "a.mp4", estimator=lambda: planted, each=lambda *one: kept.append(one)
        )
        assert planted.calls == 40 and planted.resets >= 1 and found.kind == "video"
        recording = Recording(clip.keypoints[:40], 25.0, 64, 48, tracked=False)
        cuts = kept[0][0].cuts
        wanted = predict_recording(predictor, recording, cuts=cuts)
        pd.testing.assert_frame_equal(found.table.drop(columns="recording"), wanted)

    def test_a_video_without_people_is_one_line(self, predictor, tmp_path):
        pytest.importorskip("av")
        self.write_video(tmp_path / "a.mp4", 10)
        nobody = self.Planted(np.zeros((10, 0, 17, 3), np.float32))
        with pytest.raises(FormatError, match=r"got fewer in 0.4 s"):
            predict_input(predictor, tmp_path / "a.mp4", estimator=lambda: nobody)


def test_importing_it_loads_no_torch():
    modules = "prediction, input_prediction, prediction_output, doctor, overlay_video, commands.predict"
    code = "; ".join(f"import poseemo_lib.{name.strip()}" for name in modules.split(","))
    code += "; import sys; print([m for m in ('torch', 'cv2', 'av', 'mediapipe', 'matplotlib') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
