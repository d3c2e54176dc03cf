import dataclasses
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from made_prediction import Recorded, made_info, recording_of, train

from poseemo_lib.data.dataset import Dataset
from poseemo_lib.data.formats import Recording
from poseemo_lib.errors import FormatError
from poseemo_lib.features.preparation import Preparation
from poseemo_lib.inference import predictions
from poseemo_lib.inference.predictions import predict_input
from poseemo_lib.inference.predictor import NOT_SURE, load_predictor, name_predictions, predict_recording
from poseemo_lib.training.calibration import calibrated
from poseemo_lib.training.evaluation import probability_columns
from poseemo_lib.training.parameters import BASELINE_NAMES


class TestAgainstTheEvaluation:
    @pytest.mark.parametrize(
        "values",
        [
            {},
            {"people": 1, "normalisation": "frame", "smoothing": 3},
            *({"architecture": name, "model": {}, "smoothing": 3} for name in BASELINE_NAMES),
            {"architecture": "rocket", "model": {}, "people": 1},
        ],
        ids=str,
    )
    def test_clips_get_the_probabilities_of_the_run_calibrated(self, values, tiny, small_run, tmp_path):
        folder = train(tiny, tmp_path / "net" / "seed-0", eval_crops=2, **values) if values else small_run
        predictor = load_predictor(folder)
        found = predict_input(predictor, tiny, clips=True).table.set_index("recording")
        stored = pd.read_parquet(folder / "predictions.parquet")
        fit = json.loads((folder / "calibration.json").read_text())
        wanted = calibrated(stored, predictor.info.classes, fit).set_index("clip_id")
        assert len(found) == len(Dataset(tiny)) and len(wanted) > 20
        if values.get("architecture"):
            wanted = wanted[wanted["split"] == "test"]  # those of validation are of another fit
            assert len(wanted) > 10
        else:
            assert fit["prior"] == "training" and not np.allclose(predictor.info.class_factors, 1)
        columns = probability_columns(predictor.info.classes)
        np.testing.assert_allclose(found.loc[wanted.index, columns], wanted[columns], atol=1e-6)
        assert (found.loc[wanted.index, "label"] == wanted["label"]).all()

    @pytest.mark.parametrize("architecture", ["", "rocket"])
    def test_a_window_of_a_short_clip_is_the_one_of_the_evaluation(
        self, architecture, predictor, clips, tiny, tmp_path
    ):
        if architecture:
            folder = train(tiny, tmp_path / "b" / "seed-0", architecture=architecture, model={}, eval_crops=3)
            predictor = load_predictor(folder)
        # With two people the slots of a window go by their weights.
        alone = [clip for clip in clips if (clip.keypoints[..., 2] > 0).any((0, 2)).sum() == 1]
        for clip in alone[:20]:
            longest = int(np.floor(15 * clip.fps / 25 + 1e-6)) + 1
            for n_frames in (longest, longest // 2):
                short = clip.with_(keypoints=clip.keypoints[:n_frames])
                table = predict_recording(predictor, recording_of(short))
                assert len(table) == 1 and table["stop_seconds"][0] == n_frames / clip.fps
                wanted = predictor.clip_probabilities([short])
                np.testing.assert_allclose(table[probability_columns(predictor.info.classes)], wanted, atol=1e-6)


def test_the_detector_s_order_of_people_changes_nothing(predictor, clips):
    clip = next(clip for clip in clips if clip.n_people == 2 and (clip.keypoints[..., 2] > 0).any((0, 2)).all())
    swapped = clip.keypoints.copy()
    swapped[::3] = swapped[::3, ::-1]
    orders = (clip, clip.with_(keypoints=swapped))
    a, b = (predict_recording(predictor, recording_of(one, tracked=False)) for one in orders)
    np.testing.assert_allclose(a.filter(like="p_"), b.filter(like="p_"), atol=1e-6)
    assert (a["people"] == b["people"]).all()


class TestPredictions:
    info = made_info("n", ("a", "b", "c"), n_frames=64)

    def test_below_the_threshold_there_is_none(self):
        probabilities = np.array([[0.5, 0.3, 0.2], [0.49, 0.31, 0.2], [0.1, 0.2, 0.7]])
        assert name_predictions(probabilities, self.info) == ["a", NOT_SURE, "c"]
        assert name_predictions(np.zeros((0, 3)), self.info) == []

    def test_it_says_what_the_run_is(self, predictor):
        info = predictor.info
        assert info.synthetic and info.seconds == 16 / 25 and info.preparation == Preparation()
        metrics = json.loads((predictor.run.folder / "metrics.json").read_text())
        scores, shown = metrics["test"], metrics["calibrated"]["test"]
        for name in ("accuracy", "balanced_accuracy"):
            both = f"{100 * shown[name]:.0f} % ({100 * scores[name]:.0f} % as trained)"
            assert f"{name.replace('_', ' ')} {both}" in predictions.describe_predictor(info)
        assert info.scores["balanced_accuracy"] == scores["balanced_accuracy"] and info.scores["chance"] <= 0.5
        text = predictions.describe_predictor(info)
        assert "posture is not a feeling" in text and "synthetic" in text and "Balanced accuracy" in text
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


@pytest.fixture(scope="module")
def found(predictor, tiny):
    return predict_input(predictor, tiny)


class TestFiles:
    def test_all_three_read_back_equal(self, found, predictor, tmp_path):
        for suffix in predictions.SUFFIXES:
            predictions.write_prediction(found, tmp_path / f"out{suffix}")
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
        table = predictions.display_table(found, most=5)
        assert len(table) == 5 and list(table)[:3] == ["recording", "seconds", "people"]
        summary = predictions.summarise_prediction(found)
        assert f"{len(found.table)} windows of 120 recordings" in summary and "agree" not in summary  # nothing is sure
        sure = dataclasses.replace(found, table=found.table.assign(prediction=found.table["label"]))
        n = len(found.table)
        assert f"{n} of {n} predictions agree with the label" in predictions.summarise_prediction(sure)


def test_pictures_are_estimated_tracked_and_predicted(predictor, clips, tmp_path):
    made_videos = pytest.importorskip("made_videos")
    path = made_videos.make_video(tmp_path / "a.mp4", made_videos.GREYS * 2)
    clip = next(clip for clip in clips if clip.n_frames > 50)
    estimator, kept = Recorded(clip.keypoints), []
    found = predict_input(predictor, path, estimator=lambda: estimator, each=lambda *one: kept.append(one))
    assert estimator.calls == 40 and found.kind == "video"
    wanted = predict_recording(
        predictor, Recording(clip.keypoints[:40], 25.0, 64, 48, tracked=False), cuts=kept[0][0].cuts
    )
    pd.testing.assert_frame_equal(found.table.drop(columns="recording"), wanted)
    nobody = Recorded(np.zeros((40, 0, 17, 3), np.float32))
    with pytest.raises(FormatError, match=r"got fewer in 1.6 s"):
        predict_input(predictor, path, estimator=lambda: nobody)


def test_importing_it_loads_no_torch():
    modules = "inference.predictor, inference.predictions, inference.doctor, inference.overlay_video, cli.predict"
    code = "; ".join(f"import poseemo_lib.{name.strip()}" for name in modules.split(","))
    code += "; import sys; print([m for m in ('torch', 'cv2', 'av', 'mediapipe', 'matplotlib') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
