import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from conftest import SMALL

from poseemo_lib.data.dataset import Dataset
from poseemo_lib.data.dataset.statistics import STATISTICS_FILE, dataset_statistics, measure_clip, summarise
from poseemo_lib.data.formats import Recording
from poseemo_lib.errors import FormatError
from poseemo_lib.inference.doctor import MEASURES, compare, diagnose, diagnosis_text
from poseemo_lib.inference.inputs import Source, read_sources
from poseemo_lib.inference.predictor import load_predictor
from poseemo_lib.skeleton import JOINT, PARTS
from poseemo_lib.training.parameters import check_parameters
from poseemo_lib.training.run import execute_run


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    values = {**SMALL, "architecture": "deep_residual", "epochs": 1, "dataset": str(tiny)}
    return execute_run(check_parameters(values), tmp_path_factory.mktemp("runs") / "net" / "seed-0")


@pytest.fixture(scope="module")
def predictor(run):
    return load_predictor(run)


@pytest.fixture(scope="module")
def sources(tiny):
    return list(read_sources(tiny, "dataset", []))


def standing(n_frames=20, n_people=1, torso=100.0):
    """People whose shoulders are 60 wide and one torso above their hips, all joints seen."""
    keypoints = np.zeros((n_frames, n_people, 17, 3), np.float32)
    keypoints[..., 2] = 0.8
    places = {"left_shoulder": (30, 0), "right_shoulder": (-30, 0), "left_hip": (20, torso), "right_hip": (-20, torso)}
    for name, place in places.items():
        keypoints[..., JOINT[name], :2] = place
    return keypoints


def changed(source, keypoints=None, **changes):
    recording = source.recording
    keypoints = recording.keypoints if keypoints is None else keypoints
    return replace(source, recording=replace(recording, keypoints=keypoints, **changes))


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

    def test_without_hips_the_torso_is_told_by_the_shoulders(self):
        keypoints = standing()
        keypoints[:, :, PARTS["hips"]] = [np.nan, np.nan, 0]
        assert measure_clip(keypoints, 25.0, 400)["torso"] == pytest.approx(1.25 * 60)

    def test_nobody_at_all_is_not_measured(self):
        keypoints = np.full((5, 1, 17, 3), np.nan, np.float32)
        keypoints[..., 2] = 0
        found = measure_clip(keypoints, 25.0, 400)
        unknown = {"torso", "torso_share", "confidence", "speed", *(f"missing_{part}" for part in PARTS)}
        assert found["nobody"] == 1 and {name for name, value in found.items() if np.isnan(value)} == unknown
        summary = summarise([found, measure_clip(standing(), 30.0, 400)])
        assert summary["n_clips"] == 2 and summary["measures"]["torso"]["n"] == 1
        assert summary["measures"]["fps"]["median"] == 27.5 and summarise([]) == {"n_clips": 0, "measures": {}}

    def test_a_run_keeps_those_of_its_training_clips(self, run, tiny):
        stored = json.loads((run / STATISTICS_FILE).read_text())
        split = load_predictor(run).run.split()
        wanted = split.loc[split["part"] == "train", "clip_id"]
        assert stored == dataset_statistics(Dataset(tiny), wanted) and stored["n_clips"] == len(wanted)
        assert {measure.name for measure in MEASURES} == set(stored["measures"])


class TestDiagnosis:
    def verdicts(self, predictor, sources):
        found = diagnose(predictor, sources, [])
        return dict(zip([one.name for one in MEASURES], found.table["verdict"], strict=True)), found

    def test_the_training_data_themselves_are_fine(self, predictor, sources):
        verdicts, found = self.verdicts(predictor, sources)
        assert set(verdicts.values()) == {"ok"} and found.warnings == []
        assert "looks like the training clips" in diagnosis_text(found)

    def test_each_difference_is_found_and_says_what_to_do(self, predictor, sources):
        sources = sources[:30]
        slow = [changed(one, one.recording.keypoints[::4], fps=one.recording.fps / 4) for one in sources]
        verdicts, found = self.verdicts(predictor, slow)
        assert verdicts["fps"] == "lower" and any("higher rate" in line for line in found.warnings)
        small = [changed(one, one.recording.keypoints * np.float32([0.1, 0.1, 1])) for one in sources]
        assert self.verdicts(predictor, small)[0]["torso"] == "lower"
        verdicts, found = self.verdicts(predictor, [changed(one, fps=4 * one.recording.fps) for one in sources])
        assert verdicts["speed"] == "higher" and verdicts["fps"] == "higher"
        assert any("--set fps=RATE" in line for line in found.warnings)
        sure = [one.recording.keypoints.copy() for one in sources]
        for keypoints in sure:
            keypoints[..., 2] = keypoints[..., 2] > 0
        found = diagnose(predictor, map(changed, sources, sure), [])
        assert any(line.startswith("confidence of joints is higher") for line in found.warnings)

    def test_missing_parts_and_empty_frames(self, predictor, sources):
        hidden = [one.recording.keypoints.copy() for one in sources[:30]]
        for keypoints in hidden:
            keypoints[:, :, PARTS["shoulders"]] = [np.nan, np.nan, 0]
            keypoints[::3] = [np.nan, np.nan, 0]
        verdicts, found = self.verdicts(predictor, list(map(changed, sources, hidden)))
        assert verdicts["missing_shoulders"] == verdicts["nobody"] == "higher"
        assert any("the shoulders are often missing" in line for line in found.warnings)

    def test_a_size_in_the_picture_matters_only_where_the_network_sees_it(self, predictor):
        part = {"low": 0.4, "median": 0.5, "high": 0.6}
        seen = {"torso_share": {"low": 0.1, "median": 0.1, "high": 0.1}}
        for normalisation, advised in (("body", False), ("frame", True)):
            info = replace(predictor.info, preparation=replace(predictor.info.preparation, normalisation=normalisation))
            table = compare({"torso_share": part}, seen, info).set_index("measure")
            row = table.loc["torso, of the picture's height"]
            assert row["verdict"] == "lower" and bool(row["advice"]) == advised
            assert (table.drop(row.name)["verdict"] == "unknown").all()

    def test_an_older_run_is_looked_at_in_its_dataset_or_not_at_all(self, run, sources, tmp_path):
        folder = shutil.copytree(run, tmp_path / "seed-0")
        (folder / STATISTICS_FILE).unlink()
        found = diagnose(load_predictor(folder), sources[:5], [])
        assert found.n_clips == json.loads((run / STATISTICS_FILE).read_text())["n_clips"]
        record = json.loads((folder / "run.json").read_text())
        record["parameters"]["dataset"] = str(tmp_path / "none")
        (folder / "run.json").write_text(json.dumps(record))
        found = diagnose(load_predictor(folder), sources[:5], ["a.json: damaged"])
        assert found.n_clips == 0 and set(found.table["verdict"]) == {"unknown"}
        assert found.warnings == ["a.json: damaged"] and "dataset is not found" in diagnosis_text(found)

    def test_an_input_without_anybody_is_unusable(self, predictor):
        nobody = np.full((50, 1, 17, 3), np.nan, np.float32)
        nobody[..., 2] = 0
        with pytest.raises(FormatError, match="got fewer in each of 1 recording"):
            diagnose(predictor, [Source("a", Recording(nobody, 25.0, 100, 100))], [])
        with pytest.raises(FormatError, match="a.json: damaged"):
            diagnose(predictor, [], ["a.json: damaged"])
