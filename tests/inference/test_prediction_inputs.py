"""What can be predicted from, and the faults of inputs and runs in a line."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from made_prediction import recording_of, train

from poseemo_lib.data.formats.guess import guess
from poseemo_lib.data.formats.npz import write
from poseemo_lib.errors import FormatError, PoseemoError, UsageError
from poseemo_lib.inference.inputs import input_kind
from poseemo_lib.inference.predictions import describe_predictor, predict_input
from poseemo_lib.inference.predictor import load_predictor, predict_recording

SHARED = Path(__file__).parents[3] / "shared"


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
        from poseemo_lib.data.synthetic import write_synthetic_dataset

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
            ("a.json", [{"image_id": "0.jpg", "keypoints": []}], "alphapose"),
            ("a.json", [{"name": "person", "keypoints": {}}], "ultralytics"),
            ("a_000_keypoints.json", {}, "openpose"),
            ("coco_keypoints.json", {"annotations": []}, "coco"),
            ("a.json", {"version": 1}, None),
            ("a.slp", None, "sleap"),
            ("a.txt", "prose", None),
        ],
    )
    def test_formats_are_told_by_name_and_content(self, name, content, wanted, tmp_path):
        (tmp_path / name).write_text("" if content is None else json.dumps(content))
        if wanted is not None:
            assert guess(tmp_path / name) == guess(tmp_path) == wanted
            return
        with pytest.raises(UsageError, match="got one of an unknown format; say --format NAME"):
            guess(tmp_path / name)

    def test_lines_of_numbers_are_labels(self, tmp_path):
        (tmp_path / "a.txt").write_text("0 " + " ".join(["0.5"] * 55) + "\n")
        assert guess(tmp_path) == "ultralytics"
        (tmp_path / "a.slp").touch()
        with pytest.raises(UsageError, match="could be sleap or ultralytics"):
            guess(tmp_path)

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
        self.faulty(predictor, tmp_path / "a.md", "an unknown format; say --format", UsageError)
        self.faulty(
            predictor, tmp_path / "a.md", "--format: wanted one of video, dataset, bvh", UsageError, format="c3d"
        )
        (tmp_path / "text.mp4").write_text("this is no video\n" * 20)
        self.faulty(predictor, tmp_path / "text.mp4", "text.mp4")
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

    def test_runs_that_cannot_predict(self, tiny, small_run, tmp_path):
        with pytest.raises(UsageError, match="give one of them: .*seed-0"):
            load_predictor(small_run.parent)
        with pytest.raises(UsageError, match="found nothing"):
            load_predictor(tmp_path / "none")
        with pytest.raises(UsageError, match="a file of another kind"):
            load_predictor(small_run / "run.json")
        with pytest.raises(UsageError, match="wanted run folders"):
            load_predictor(tiny)
        majority = train(tiny, tmp_path / "majority" / "seed-0", architecture="majority", model={})
        (majority / "baseline.skops").write_bytes(b"broken")
        with pytest.raises(PoseemoError, match="baseline.skops: cannot be read"):
            load_predictor(majority)
        (majority / "run.json").write_text("{}")
        with pytest.raises(UsageError, match="no complete run"):
            load_predictor(majority.parent)

    @pytest.mark.parametrize(
        ("name", "content", "match"),
        [
            ("weights.safetensors", None, "weights.safetensors: cannot be read"),
            ("weights.safetensors", b"broken", "weights.safetensors: cannot be read"),
            ("calibration.json", b"{}", "calibration.json: wanted temperature"),
            ("training_statistics.json", b"[1", "training_statistics.json: cannot be read"),
        ],
    )
    def test_damaged_runs_are_one_line(self, name, content, match, small_run, tmp_path):
        folder = shutil.copytree(small_run, tmp_path / "seed-0")
        (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
        with pytest.raises(PoseemoError, match=match) as caught:
            load_predictor(folder)
        assert "\n" not in str(caught.value)

    def test_a_run_without_calibration_statistics_and_metrics_still_predicts(
        self, small_run, clips, tmp_path, monkeypatch
    ):
        monkeypatch.setattr("poseemo_lib.training.calibration.LEAST_GROUPS", 1)  # as in `small_run`
        folder = shutil.copytree(small_run, tmp_path / "seed-0")
        for name in ("calibration.json", "training_statistics.json", "metrics.json"):
            (folder / name).unlink()
        old, new = load_predictor(folder), load_predictor(small_run)
        alone = new.run.calibration()["without_prior"]["temperature"]
        assert old.info.temperature == pytest.approx(alone) and old.info.statistics == {}
        assert old.info.scores == {} and "Balanced accuracy" not in describe_predictor(old.info)
