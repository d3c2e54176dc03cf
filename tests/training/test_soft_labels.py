import numpy as np
import pandas as pd
import pytest
import torch
from conftest import SMALL
from made_ratings import rated_copy
from safetensors.numpy import load_file

from poseemo_lib.data.dataset import Dataset
from poseemo_lib.data.dataset.ratings import RATINGS_FILE
from poseemo_lib.errors import UsageError
from poseemo_lib.studies.plan import Study, plan_runs
from poseemo_lib.training.inputs import load_inputs, soft_targets
from poseemo_lib.training.parameters import check_parameters
from poseemo_lib.training.run import train_run
from poseemo_lib.training.run_folder import Run, read_record


def parameters(dataset, **values):
    return check_parameters({"dataset": str(dataset), **SMALL, "epochs": 1, **values})


@pytest.fixture(scope="module")
def rated(tiny, tmp_path_factory):
    return rated_copy(tiny, tmp_path_factory.mktemp("rated") / "tiny")


def weights(folder):
    return load_file(folder / "weights.safetensors")


def test_targets_by_hand():
    table = pd.DataFrame({"clip_id": ["b", "a1", "a2"], "source_id": ["b", "a", "a"], "label": ["y", "x", "x"]})
    rows = [("a", "P1", "x"), ("a", "P2", "x"), ("a", "P3", "z"), ("elsewhere", "P1", "y")]
    ratings = pd.DataFrame(rows, columns=["source_id", "rater", "label"])
    wanted = [[0, 1, 0], [2 / 3, 0, 1 / 3], [2 / 3, 0, 1 / 3]]
    np.testing.assert_allclose(soft_targets(ratings, table, ("x", "y", "z")), wanted, rtol=1e-6)


def test_the_targets_of_a_run_are_in_the_order_of_its_clips(rated):
    inputs = load_inputs(parameters(rated, labels="soft"))
    ratings = pd.read_csv(rated / RATINGS_FILE)
    for place in (0, 7, 100):
        own = ratings.loc[ratings["clip_id"] == inputs.data.clip_ids[place], "label"]
        shares = own.value_counts(normalize=True).reindex(inputs.classes).fillna(0)
        np.testing.assert_allclose(inputs.targets[place], shares, rtol=1e-6)


def test_ratings_change_nothing_with_hard_labels(tiny, rated, tmp_path):
    folders = [train_run(parameters(data), tmp_path / name) for data, name in ((tiny, "a"), (rated, "b"))]
    first, second = map(weights, folders)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert len({read_record(folder)["identity"] for folder in folders}) == 1


def test_soft_labels_train_on_the_ratings_of_training_clips_alone(rated, tmp_path):
    """Ratings of validation and test clips change nothing: these are scored by their labels."""
    hard, soft = (train_run(parameters(rated, labels=kind), tmp_path / kind) for kind in ("hard", "soft"))
    assert any(not np.array_equal(weights(hard)[name], weights(soft)[name]) for name in weights(hard))
    split = Run(soft, read_record(soft)).split()
    ratings, trained = pd.read_csv(rated / RATINGS_FILE), split.loc[split["part"] == "train", "clip_id"]
    ratings.loc[~ratings["clip_id"].isin(trained), "label"] = "fear"
    other = train_run(parameters(rated_copy(rated, tmp_path / "d", ratings), labels="soft"), tmp_path / "other")
    assert all(np.array_equal(weights(soft)[name], weights(other)[name]) for name in weights(soft))
    for name in ("predictions.parquet", "metrics.json", "calibration.json"):
        assert (soft / name).read_bytes() == (other / name).read_bytes()


def test_unanimous_ratings_train_as_the_labels_do(tiny, tmp_path):
    table = Dataset(tiny).table()
    agreed = table[["clip_id", "label"]].assign(rater="P1")[["clip_id", "rater", "label"]]
    data = rated_copy(tiny, tmp_path / "agreed", agreed)
    hard, soft = (load_inputs(parameters(data, labels=kind)) for kind in ("hard", "soft"))
    assert hard.targets is None and torch.equal(soft.targets.argmax(1), hard.data.labels)
    assert set(soft.targets.unique().tolist()) == {0.0, 1.0}


def test_soft_labels_without_ratings_are_refused(tiny, tmp_path):
    with pytest.raises(
        UsageError, match=r"labels: soft wants people's ratings in ratings.csv, found none; use labels: hard"
    ):
        load_inputs(parameters(tiny, labels="soft"))
    study = Study(name="s", dataset=str(tiny), configs={"net": {"labels": "soft"}})
    with pytest.raises(UsageError, match="mine.yaml: configs.net: .*labels: soft wants"):
        plan_runs(study, "mine.yaml", tmp_path)


def test_a_changed_rating_is_another_run_of_soft_labels_only(tiny, rated, tmp_path):
    study = {"name": "s", "seeds": [0], "configs": {"hard": {}, "soft": {"labels": "soft"}}}
    other = rated_copy(tiny, tmp_path / "other", seed=1)
    plans = [plan_runs(Study(dataset=str(data), **study), "mine.yaml", tmp_path) for data in (rated, other)]
    identities = [{run.config: run.identity for run in plan} for plan in plans]
    assert identities[0]["hard"] == identities[1]["hard"] and identities[0]["soft"] != identities[1]["soft"]
    inputs = load_inputs(check_parameters({"dataset": str(rated), "labels": "soft"}))
    assert inputs.identity == identities[0]["soft"]
