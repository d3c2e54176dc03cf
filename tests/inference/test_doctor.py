import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from poseemo_lib.data.dataset import Dataset
from poseemo_lib.data.dataset.statistics import STATISTICS_FILE, dataset_statistics, measure_clip, summarise
from poseemo_lib.data.formats import Recording
from poseemo_lib.errors import FormatError
from poseemo_lib.inference.doctor import MEASURES, compare_measures, diagnose
from poseemo_lib.inference.inputs import InputRecording, read_recordings
from poseemo_lib.inference.predictor import load_predictor
from poseemo_lib.skeleton import JOINT, PARTS


@pytest.fixture(scope="module")
def recordings(tiny):
    return list(read_recordings(tiny, "dataset", []))


def standing(n_frames=20, n_people=1, torso=100.0):
    """People whose shoulders are 60 wide and one torso above their hips, all joints seen."""
    keypoints = np.zeros((n_frames, n_people, 17, 3), np.float32)
    keypoints[..., 2] = 0.8
    places = {"left_shoulder": (30, 0), "right_shoulder": (-30, 0), "left_hip": (20, torso), "right_hip": (-20, torso)}
    for name, place in places.items():
        keypoints[..., JOINT[name], :2] = place
    return keypoints


def changed(one, keypoints=None, **changes):
    keypoints = one.recording.keypoints if keypoints is None else keypoints
    return replace(one, recording=replace(one.recording, keypoints=keypoints, **changes))


class TestMeasures:
    def test_closed_forms(self):
        keypoints = standing(21)
        keypoints[..., 0] += 5 * np.arange(21)[:, None, None]
        found = measure_clip(keypoints, 25.0, 400)
        wanted = {"fps": 25, "seconds": 21 / 25, "nobody": 0, "second_person": 0, "torso": 100, "torso_share": 0.25}
        wanted |= {f"missing_{part}": 0 for part in PARTS} | {"confidence": 0.8, "speed": 5 * 25 / 100}
        assert found == pytest.approx(wanted)

    def test_missing_is_counted_where_its_person_is(self):
        keypoints = standing(20, 2)
        keypoints[:10, 1] = [np.nan, np.nan, 0]
        keypoints[0, 0] = [np.nan, np.nan, 0]
        keypoints[:, :, PARTS["legs"]] = [np.nan, np.nan, 0]
        keypoints[10:, 1, PARTS["head"]] = [np.nan, np.nan, 0]
        found = measure_clip(keypoints, 25.0, 400)
        assert found["nobody"] == 1 / 20 and found["second_person"] == 10 / 20
        assert found["missing_legs"] == 1 and found["missing_arms"] == 0
        assert found["missing_head"] == pytest.approx(10 / 29)

    def test_nobody_at_all_is_not_measured(self):
        keypoints = np.full((5, 1, 17, 3), np.nan, np.float32)
        keypoints[..., 2] = 0
        found = measure_clip(keypoints, 25.0, 400)
        unknown = {"torso", "torso_share", "confidence", "speed", *(f"missing_{part}" for part in PARTS)}
        assert found["nobody"] == 1 and {name for name, value in found.items() if np.isnan(value)} == unknown
        summary = summarise([found, measure_clip(standing(), 30.0, 400)])
        assert summary["n_clips"] == 2 and summary["measures"]["torso"]["n"] == 1
        assert summary["measures"]["fps"]["median"] == 27.5 and summarise([]) == {"n_clips": 0, "measures": {}}

    def test_a_run_keeps_those_of_its_training_clips(self, small_run, tiny):
        stored = json.loads((small_run / STATISTICS_FILE).read_text())
        split = load_predictor(small_run).run.split()
        wanted = split.loc[split["part"] == "train", "clip_id"]
        assert stored == dataset_statistics(Dataset(tiny), wanted) and stored["n_clips"] == len(wanted)
        assert {measure.name for measure in MEASURES} == set(stored["measures"])


class TestDiagnosis:
    def verdicts(self, predictor, recordings):
        found = diagnose(predictor, recordings, [])
        return dict(zip([one.name for one in MEASURES], found.table["verdict"], strict=True)), found

    def test_the_training_data_themselves_are_fine(self, predictor, recordings):
        verdicts, found = self.verdicts(predictor, recordings)
        assert set(verdicts.values()) == {"ok"} and found.warnings == []
        assert len(found.table) == len(MEASURES) and "%" in found.table["input"][2]

    def test_each_difference_is_found_and_says_what_to_do(self, predictor, recordings):
        recordings = recordings[:30]
        slow = [changed(one, one.recording.keypoints[::4], fps=one.recording.fps / 4) for one in recordings]
        verdicts, found = self.verdicts(predictor, slow)
        assert verdicts["fps"] == "lower" and any("higher rate" in line for line in found.warnings)
        small = [changed(one, one.recording.keypoints * np.float32([0.1, 0.1, 1])) for one in recordings]
        assert self.verdicts(predictor, small)[0]["torso"] == "lower"
        verdicts, found = self.verdicts(predictor, [changed(one, fps=4 * one.recording.fps) for one in recordings])
        assert verdicts["speed"] == "higher" and verdicts["fps"] == "higher"
        assert any("--set fps=RATE" in line for line in found.warnings)
        sure = [one.recording.keypoints.copy() for one in recordings]
        for keypoints in sure:
            keypoints[..., 2] = keypoints[..., 2] > 0
        found = diagnose(predictor, map(changed, recordings, sure), [])
        assert any(line.startswith("confidence of joints is higher") for line in found.warnings)

    def test_missing_parts_and_empty_frames(self, predictor, recordings):
        hidden = [one.recording.keypoints.copy() for one in recordings[:30]]
        for keypoints in hidden:
            keypoints[:, :, PARTS["shoulders"]] = [np.nan, np.nan, 0]
            keypoints[::3] = [np.nan, np.nan, 0]
        verdicts, found = self.verdicts(predictor, list(map(changed, recordings, hidden)))
        assert verdicts["missing_shoulders"] == verdicts["nobody"] == "higher"
        assert any("the shoulders are often missing" in line for line in found.warnings)

    def test_a_size_in_the_picture_matters_only_where_the_network_sees_it(self, predictor):
        part = {"low": 0.4, "median": 0.5, "high": 0.6}
        seen = {"torso_share": {"low": 0.1, "median": 0.1, "high": 0.1}}
        for normalisation, advised in (("body", False), ("frame", True)):
            seen_by = replace(predictor.info.preparation, normalisation=normalisation)
            info = predictor.info.model_copy(update={"preparation": seen_by})
            table = compare_measures({"torso_share": part}, seen, info).set_index("measure")
            row = table.loc["torso, share of the picture's height"]
            assert row["verdict"] == "lower" and bool(row["advice"]) == advised
            assert (table.drop(row.name)["verdict"] == "?").all()

    def test_an_older_run_is_looked_at_in_its_dataset_or_not_at_all(self, small_run, recordings, tmp_path):
        folder = shutil.copytree(small_run, tmp_path / "seed-0")
        (folder / STATISTICS_FILE).unlink()
        found = diagnose(load_predictor(folder), recordings[:5], [])
        assert found.n_clips == json.loads((small_run / STATISTICS_FILE).read_text())["n_clips"]
        record = json.loads((folder / "run.json").read_text())
        record["parameters"]["dataset"] = str(tmp_path / "none")
        (folder / "run.json").write_text(json.dumps(record))
        found = diagnose(load_predictor(folder), recordings[:5], ["a.json: damaged"])
        assert found.n_clips == 0 and set(found.table["verdict"]) == {"?"}
        assert found.warnings == ["a.json: damaged"] and set(found.table["training"]) == {"-"}

    def test_an_input_without_anybody_is_unusable(self, predictor):
        nobody = np.full((50, 1, 17, 3), np.nan, np.float32)
        nobody[..., 2] = 0
        with pytest.raises(FormatError, match="got fewer in each of 1 recording"):
            diagnose(predictor, [InputRecording("a", Recording(nobody, 25.0, 100, 100))], [])
        with pytest.raises(FormatError, match="a.json: damaged"):
            diagnose(predictor, [], ["a.json: damaged"])
