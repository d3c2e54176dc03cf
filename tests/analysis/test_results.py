import json
import shutil

import made_runs
import made_studies
import numpy as np
import pandas as pd
import pytest
from made_runs import make_table
from sklearn.metrics import balanced_accuracy_score, f1_score

from poseemo_lib.analysis.results import format_comparisons, format_ranks, load_results, run_table
from poseemo_lib.errors import PoseemoError
from poseemo_lib.report.comparisons import comparisons
from poseemo_lib.training.evaluation import Training
from poseemo_lib.training.run_folder import STUDY_FILE

LABELS = np.tile([0, 1, 2], 8)


def write_run(folder, config, labels, predicted, *, fold="", **more):
    """A run folder whose predictions are known, the same in both splits; every clip is its own group."""
    groups = [f"g{i}" for i in range(len(labels))]
    tables = {split: make_table(labels, predicted, groups, split, fold) for split in ("val", "test")}
    return made_runs.write_run(folder, config, tables, fold=fold, **more)


@pytest.mark.parametrize("text", ["{", '{"runs": [3]}', "{}"])
def test_a_damaged_list_of_runs_is_named_with_what_to_do(tmp_path, text):
    write_run(tmp_path / "a", "a", LABELS, LABELS)
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(PoseemoError, match="study.json: wanted the list of the study's runs.*start the study again"):
        load_results(tmp_path)


def test_runs_of_one_config_that_differ_in_more_than_the_seed_are_not_pooled(tmp_path):
    write_run(tmp_path / "a" / "seed-0", "a", LABELS, LABELS, lr=1.0)
    write_run(tmp_path / "a" / "seed-1", "a", LABELS, LABELS, seed=1, lr=2.0)
    with pytest.raises(PoseemoError, match="config a: wanted runs that differ in seed and fold only, got lr too"):
        load_results(tmp_path)


def test_only_the_runs_of_the_study_count_and_the_missing_ones_are_named(tmp_path):
    kept = write_run(tmp_path / "a" / "seed-0", "a", LABELS, LABELS, lr=1.0)
    write_run(tmp_path / "a" / "seed-1", "a", LABELS, LABELS, seed=1, lr=2.0)  # of an earlier version of the study
    plan = [
        {"config": "a", "identity": kept["identity"], "folder": "a/seed-0"},
        {"config": "b", "identity": "other", "folder": "b/<seed>-0"},
    ]
    (tmp_path / STUDY_FILE).write_text(json.dumps({"runs": plan}))
    results = load_results(tmp_path)
    assert [run.record["identity"] for run in results.runs] == [kept["identity"]]
    assert results.incomplete == ["b/<seed>-0"]


def test_chance_is_that_of_the_classes_in_the_test_split(tmp_path):
    write_run(tmp_path / "a", "a", np.tile([0, 1], 9), np.zeros(18, int))
    write_run(tmp_path / "b", "b", LABELS, LABELS)
    table = load_results(tmp_path).score_table().query("metric == 'balanced_accuracy'").set_index("config")
    assert dict(table["chance"]) == pytest.approx({"a": 1 / 2, "b": 1 / 3})


def test_datasets_are_not_mixed(tmp_path):
    write_run(tmp_path / "a", "a", LABELS, LABELS)
    write_run(tmp_path / "b", "b", LABELS, LABELS)
    path = tmp_path / "b" / "run.json"
    path.write_text(path.read_text().replace('"content_hash": "h"', '"content_hash": "other"'))
    with pytest.raises(PoseemoError, match="wanted runs of one dataset, found several"):
        load_results(tmp_path)
    shutil.rmtree(tmp_path / "b")
    assert load_results(tmp_path).best().name == "a"


def test_scores_of_seeds_are_those_of_their_predictions_and_average_to_the_config(tmp_path):
    results = load_results(made_studies.made_study(tmp_path, {"a": {}}, seeds=(0, 3)))
    table = results.seed_scores().set_index(["config", "seed", "metric"])["value"]
    for seed in (0, 3):
        predictions = results["a"].predictions()[seed]
        predicted = predictions[[f"p_{name}" for name in results.classes]].to_numpy().argmax(1)
        truth = pd.Index(results.classes).get_indexer(predictions["label"])
        assert table["a", seed, "macro_f1"] == pytest.approx(f1_score(truth, predicted, average="macro"))
        assert table["a", seed, "balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, predicted))
    scores = results.score_table().set_index("metric")["mean"]
    assert scores["macro_f1"] == pytest.approx(table["a", :, "macro_f1"].mean())


def test_predicted_shares_follow_the_predictions(tmp_path):
    write_run(tmp_path / "a", "a", LABELS, np.repeat([2, 1], 12))
    shares = load_results(tmp_path)["a"].predicted_shares
    assert list(shares["predicted"]) == [0, 0.5, 0.5] and shares["true"].sum() == pytest.approx(1)


def test_a_baseline_without_chance_in_it_counts_one_seed(tmp_path):
    configs = {"majority": {"architecture": "majority"}, "guess": {"architecture": "stratified"}}
    results = load_results(made_studies.made_study(tmp_path, configs, seeds=(0, 1, 2)))
    assert results["majority"].seeds == [0] and results["guess"].seeds == [0, 1, 2]
    table = results.score_table().query("metric == 'macro_f1'").set_index("config")
    assert dict(table["n_seeds"]) == {"majority": 1, "guess": 3} and np.isnan(table.loc["majority", "sd"])


def test_a_seed_that_lacks_a_fold_does_not_count(tmp_path):
    for fold, seed in (("x", 0), ("y", 0), ("x", 1)):
        write_run(tmp_path / f"{fold}{seed}", "a", LABELS, LABELS, fold=fold, seed=seed)
    config = load_results(tmp_path)["a"]
    assert config.seeds == [0] and set(config.predictions()) == {0} and len(config.tested_on) == 48


def test_the_folds_of_a_repeat_are_pooled_to_one_score_and_the_repeats_averaged(tmp_path):
    values = {"folds": 3, "repeats": 2}
    made_studies.made_study(tmp_path, {"net": values, "trees": {"architecture": "extra_trees", **values}})
    results = load_results(tmp_path)
    net = results["net"]
    tables = net.predictions()
    assert list(tables) == [Training(seed, repeat) for seed in (0, 1) for repeat in (1, 2)]
    for key, table in tables.items():
        assert sorted(table["clip_id"]) == sorted(f"grouped-all-{i}" for i in range(144))
        own = [run for run in net.runs if (run.seed, run.repeat) == (key.seed, key.repeat)]
        pd.testing.assert_frame_equal(table, pd.concat([run.predictions() for run in own], ignore_index=True))
    single = results.seed_scores().query("config == 'net' and metric == 'accuracy'")["value"]
    assert len(single) == 4 and net.scores.score("accuracy")["mean"] == pytest.approx(single.mean())
    assert (net.scores.n_seeds, net.scores.n_repeats, net.scores.n_clips, net.scores.n_groups) == (2, 2, 144, 12)
    assert [len(split.configs) for split in results.by_split()] == [2]


def test_a_repeat_that_lacks_a_fold_does_not_count(tmp_path):
    made_studies.made_study(tmp_path, {"net": {"folds": 3, "repeats": 3}}, seeds=(0,))
    shutil.rmtree(tmp_path / "net" / "fold-2-3")
    shutil.rmtree(tmp_path / "net" / "fold-3-1")
    config = load_results(tmp_path)["net"]
    assert list(config.predictions()) == [0] and len(config.predictions()[0]) == 144 and config.n_repeats == 1
    for place in ("1-1", "2-1", "3-2"):
        shutil.rmtree(tmp_path / "net" / f"fold-{place}")
    config = load_results(tmp_path)["net"]  # no repeat is whole: the first of those with most folds
    assert [run.fold for run in config.counted_runs] == ["1-2", "1-3"]


def test_two_splits_are_two_parts_and_the_clean_one_decides(tmp_path):
    results = load_results(made_studies.made_study(tmp_path, made_studies.LEAKAGE, leaks=made_studies.LEAKS))
    clean, leaky = results.by_split()
    assert {config.name for config in clean.configs} == {"majority_grouped", "net_grouped"}
    assert not clean.leaks and leaky.leaks == made_studies.LEAKS["random"] == results.leaks
    assert results["net_random"].validation_macro_f1 > results["net_grouped"].validation_macro_f1
    assert results.best().name == "net_grouped"


def test_sizes_are_those_of_the_models(tmp_path):
    configs = {"net": {}, "small": {"model": {"hidden": 128}}, "extra_trees": {"architecture": "extra_trees"}}
    table = load_results(made_studies.made_study(tmp_path, configs, seeds=[0])).size_table().set_index("config")
    assert table["n_parameters"].to_dict() == pytest.approx(
        {"net": 692_743, "small": 190_727, "extra_trees": np.nan}, nan_ok=True
    )
    assert np.isnan(table.loc["extra_trees", "multiply_adds"])
    # A frame of `small`: 238 x 128, 8 x 128 x 128, attention 128 x 64 and 64 (weights and sum), at 64 frames; the head.
    assert table.loc["small", "multiply_adds"] == pytest.approx(64 * (238 * 128 + 8 * 128**2 + 128 * 64), rel=0.02)
    assert table.loc["net", "multiply_adds"] > 3 * table.loc["small", "multiply_adds"]


def test_ranks_take_the_tests_of_all_pairs(tmp_path):
    configs = {name: {"skill": skill} for name, skill in (("good", 0.9), ("twin", 0.9), ("bad", 0.1))}
    configs["majority"] = {"architecture": "majority"}
    results = load_results(made_studies.made_study(tmp_path, configs, seeds=(0, 1, 2)))
    tests = comparisons(results)
    ranks = results.ranks(tests).set_index("config")
    assert set(ranks.index) == {"good", "twin", "bad"} and ranks.loc["good", "letters"] == ranks.loc["twin", "letters"]
    assert ranks.loc["bad", "letters"] != ranks.loc["good", "letters"]
    assert format_ranks(results.ranks(tests)).loc["bad", "rank"] == "3"
    assert results.ranks(comparisons(results, "good")).empty
    text = format_comparisons(tests)
    assert len(text) == 6 and set(text["significant"]) == {"yes", "no"} and "< 0.001" in set(text["p"])
    points = text["a - b, points"].str.split(" ").str[0].astype(float).abs()
    assert points.is_monotonic_decreasing


def test_a_row_of_the_run_table_is_a_run_with_the_scores_of_its_own_clips(tmp_path):
    configs = {"majority": {"architecture": "majority"}, "net": {}}
    results = load_results(made_studies.made_study(tmp_path, configs))
    table = run_table(results)
    assert len(table) == 4 and table["n_parameters"].isna().sum() == 2
    for row in table.itertuples():
        run = next(run for run in results.runs if (run.config, run.seed) == (row.config, row.seed))
        predicted = run.predictions("test").filter(regex="^p_").idxmax(axis=1).str.removeprefix("p_")
        assert row.test_accuracy == pytest.approx((predicted == run.predictions("test")["label"]).mean())


def test_studies_and_runs_of_an_older_version_are_read(tmp_path):
    record = write_run(tmp_path / "a" / "seed-0", "a", LABELS, LABELS)
    record["cell"] = record.pop("config")
    (tmp_path / "a" / "seed-0" / "run.json").write_text(json.dumps(record))
    plan = [{"cell": "a", "identity": record["identity"], "folder": "a/seed-0"}]
    (tmp_path / STUDY_FILE).write_text(json.dumps({"runs": plan}))
    results = load_results(tmp_path)
    assert [config.name for config in results.configs] == ["a"] and not results.incomplete
