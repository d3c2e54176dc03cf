import json
import shutil

import numpy as np
import pandas as pd
import pytest

from poseemo_lib import wording
from poseemo_lib.errors import PoseemoError
from poseemo_lib.results import load_results
from poseemo_lib.runs import STUDY_FILE

CLASSES = ("angry", "happy", "sad")


def write_run(folder, cell, labels, predicted, *, architecture="deep_residual", seed=0, fold="", **parameters):
    """A run folder by hand, whose predictions are known."""
    folder.mkdir(parents=True)
    table = pd.DataFrame({"label": labels})
    table["clip_id"] = table["source_id"] = table["group_id"] = [f"{fold}{i}" for i in range(len(labels))]
    for name in CLASSES:
        table[f"p_{name}"] = np.where(np.array(predicted) == name, 0.9, 0.05)
    both = pd.concat([table.assign(split="val"), table.assign(split="test")])
    both.to_parquet(folder / "predictions.parquet")
    values = {
        "architecture": architecture,
        "seed": seed,
        "fold": fold,
        "score_by": "clip",
        "dataset": "d",
        **parameters,
    }
    record = {
        "status": "complete", "cell": cell, "identity": f"{cell}{seed}{fold}{parameters}", "parameters": values,
        "classes": CLASSES, "leaks": {}, "dataset": {"content_hash": "h", "synthetic": False, "name": "d"},
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(record))
    return record


LABELS = ["angry", "happy", "sad"] * 8


def test_runs_of_one_cell_that_differ_in_more_than_the_seed_are_not_pooled(tmp_path):
    write_run(tmp_path / "a" / "seed-0", "a", LABELS, LABELS, lr=1.0)
    write_run(tmp_path / "a" / "seed-1", "a", LABELS, LABELS, seed=1, lr=2.0)
    with pytest.raises(PoseemoError, match="cell a: wanted runs that differ in seed and fold only, got lr too"):
        load_results(tmp_path)


def test_only_the_runs_of_the_study_count_and_the_missing_ones_are_named(tmp_path):
    kept = write_run(tmp_path / "a" / "seed-0", "a", LABELS, LABELS, lr=1.0)
    write_run(tmp_path / "a" / "seed-1", "a", LABELS, LABELS, seed=1, lr=2.0)  # of an earlier version of the study
    plan = [
        {"cell": "a", "identity": kept["identity"], "folder": "a/seed-0"},
        {"cell": "b", "identity": "other", "folder": "b/<seed>-0"},
    ]
    (tmp_path / STUDY_FILE).write_text(json.dumps({"runs": plan}))
    results = load_results(tmp_path)
    assert [run.record["identity"] for run in results.runs] == [kept["identity"]]
    assert results.incomplete == ["b/<seed>-0"]
    assert "Not run, or not complete**, and left out: b/&lt;seed&gt;-0." in wording.opening(results)


def test_chance_is_that_of_the_classes_in_the_test_part(tmp_path):
    write_run(tmp_path / "a", "a", ["angry", "happy"] * 9, ["angry"] * 18)
    results = load_results(tmp_path)
    assert results.chance == 0.5
    assert "cannot be told from chance" in wording.against_baselines(results)


@pytest.mark.parametrize(
    ("predicted", "words"),
    [(LABELS, "is above chance"), (["happy", "sad", "angry"] * 8, "is below chance"), (["sad"] * 24, "cannot be told")],
)
def test_the_words_follow_the_interval(tmp_path, predicted, words):
    write_run(tmp_path / "a", "a", LABELS, predicted)
    text = wording.against_baselines(load_results(tmp_path))
    assert words in text and "majority baseline was not run" in text


def test_the_majority_baseline_is_known_by_what_it_is(tmp_path):
    write_run(tmp_path / "a", "a", LABELS, LABELS)
    write_run(tmp_path / "floor", "floor", LABELS, ["sad"] * 24, architecture="majority")
    text = wording.against_baselines(load_results(tmp_path))
    assert "largest class gets an accuracy of 33.3 %" in text and "strongest baseline" not in text


def test_cells_that_were_tested_on_other_clips_are_pointed_out(tmp_path):
    for fold in ("x", "y"):
        write_run(tmp_path / "a" / fold, "a", LABELS, LABELS, fold=fold)
    write_run(tmp_path / "b" / "x", "b", LABELS, LABELS, fold="x")
    text = wording.caution(load_results(tmp_path))
    assert "Not all cells were tested on the same clips (a 48, b 24)" in text
    assert "only within a fold has the test part no say" in text


def test_datasets_are_not_mixed(tmp_path):
    write_run(tmp_path / "a", "a", LABELS, LABELS)
    write_run(tmp_path / "b", "b", LABELS, LABELS)
    path = tmp_path / "b" / "run.json"
    path.write_text(path.read_text().replace('"content_hash": "h"', '"content_hash": "other"'))
    with pytest.raises(PoseemoError, match="wanted runs of one dataset, found several"):
        load_results(tmp_path)
    shutil.rmtree(tmp_path / "b")
    assert load_results(tmp_path).best().name == "a"
