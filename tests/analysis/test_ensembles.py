from dataclasses import replace

import made_studies
import numpy as np
import pandas as pd
import pytest
from made_runs import CLASSES, make_table, predict, write_config, write_run

from poseemo_lib.analysis.ensembles import (
    best_by_validation,
    ensemble_config,
    ensemble_predictions,
    nested_selection,
)
from poseemo_lib.analysis.results import load_results
from poseemo_lib.clips import EMOTIONS
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.training.evaluation import check_predictions, config_scores, probability_columns
from poseemo_lib.training.metrics import score_predictions

COLUMNS = probability_columns(CLASSES)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Better on validation is worse on test, so that a choice by test would show."""
    root = tmp_path_factory.mktemp("study")
    for name, test, val in (("n1", 0.5, 0.9), ("n2", 0.6, 0.8), ("n3", 0.7, 0.5), ("n4", 0.95, 0.4)):
        write_config(root, name, test, val_share=val, lr=test)
    write_config(root, "trees", 0.9, val_share=0.99, architecture="extra_trees")
    return load_results(root)


def test_the_mean_of_probabilities_seed_by_seed(study):
    configs = {name: study[name].predictions() for name in ("n1", "n2", "n3")}
    configs["n2"] = {seed: table.sample(frac=1, random_state=seed) for seed, table in configs["n2"].items()}
    mean = ensemble_predictions(configs, study.classes)
    assert list(mean) == [0, 1, 2]
    for seed, table in mean.items():
        check_predictions(table, study.classes)
        by_hand = sum(configs[name][seed].set_index("clip_id")[COLUMNS] for name in configs) / 3
        got = table.set_index("clip_id")
        pd.testing.assert_frame_equal(got[COLUMNS], by_hand.loc[got.index], check_like=True)
        assert (got["label"] == configs["n1"][seed].set_index("clip_id")["label"].loc[got.index]).all()
    alone = ensemble_predictions({"n1": configs["n1"]}, study.classes)
    assert config_scores(alone, CLASSES).scores.equals(study["n1"].scores.scores)


def test_only_seeds_that_all_have(study):
    configs = {name: study[name].predictions() for name in ("n1", "n2")}
    del configs["n2"][0]
    assert list(ensemble_predictions(configs, CLASSES)) == [1, 2]
    with pytest.raises(PoseemoError, match=r"a seed in common, got n1 \[0, 1, 2\], other \[9\]"):
        ensemble_predictions({"n1": configs["n1"], "other": {9: configs["n2"][1]}}, CLASSES)
    fewer = {"n1": configs["n1"], "n2": {seed: table.iloc[1:] for seed, table in configs["n2"].items()}}
    with pytest.raises(PoseemoError, match="n1 and n2: wanted predictions of the same clips"):
        ensemble_predictions(fewer, CLASSES)


def test_validation_alone_chooses_and_only_among_networks(study):
    assert best_by_validation(study, 2) == {"": ["n1", "n2"]}
    assert best_by_validation(study, 99) == {"": ["n1", "n2", "n3", "n4"]}
    backwards = replace(study, configs=study.configs[::-1])
    assert best_by_validation(backwards, 3) == best_by_validation(study, 3)
    with pytest.raises(UsageError, match="got n = 0 and 4 networks"):
        best_by_validation(study, 0)
    with pytest.raises(UsageError, match="got n = 3 and 0 networks"):
        best_by_validation(replace(study, configs=[study["trees"]]))


def test_it_scores_like_a_config(study):
    ensemble = ensemble_config(study, 2)
    assert (ensemble.name, ensemble.is_baseline, ensemble.seeds) == ("ensemble of 2", False, [0, 1, 2])
    assert ensemble.classes == CLASSES and len(ensemble.runs) == 6
    assert 0.5 < ensemble.validation_macro_f1 <= 1
    table = replace(study, configs=[*study.configs, ensemble]).score_table()
    assert set(table["config"]) == {"trees", "n1", "n2", "n3", "n4", "ensemble of 2"}


def test_three_independent_voters_are_right_more_often_than_one(tmp_path):
    """Right with probability 0.7 each, errors spread over two classes: two of three agree on the right one."""
    for name in ("u", "v", "w"):
        write_config(tmp_path, name, 0.7, n_each=120, lr=name)
    results = load_results(tmp_path)
    ensemble = ensemble_config(results, 3).scores.score("accuracy")["mean"]
    # At least two right: 0.784. One right and the others wrong in two ways (0.7 * 0.09 / 2 * 3): a tie of three,
    # won by the first class, which is the right one in a third.
    assert ensemble == pytest.approx(0.784 + 0.7 * 0.09 / 2, abs=0.015)


@pytest.fixture
def folded(tmp_path):
    """Two networks, each good on the validation split of another fold, and poor on that fold's test group."""
    labels = np.tile([0, 1, 2], 10)
    for name, good in (("first", "x"), ("second", "y")):
        for fold in ("x", "y"):
            for seed in (0, 1):
                rng = np.random.default_rng([seed, *name.encode(), *fold.encode()])
                share = 0.9 if fold == good else 0.4
                other = "y" if fold == "x" else "x"
                tables = {
                    "val": make_table(labels, predict(labels, share, rng), other, "val", other),
                    "test": make_table(labels, predict(labels, 1.3 - share, rng), fold, "test", fold),
                }
                write_run(tmp_path / name / fold / f"seed-{seed}", name, tables, seed=seed, fold=fold, lr=name)
    return load_results(tmp_path)


def test_each_fold_chooses_by_its_own_validation(folded):
    assert best_by_validation(folded, 1) == {"x": ["first"], "y": ["second"]}
    ensemble = ensemble_config(folded, 1)
    tables = ensemble.predictions()
    assert sorted(tables) == [0, 1] and all(len(table) == 60 for table in tables.values())
    for fold, name in (("x", "first"), ("y", "second")):
        mine = tables[0][tables[0]["group_id"] == fold].set_index("clip_id")[COLUMNS]
        wanted = folded[name].predictions()[0].set_index("clip_id")[COLUMNS].loc[mine.index]
        pd.testing.assert_frame_equal(mine, wanted)
    # good on validation is poor on test here: the choice has not looked at the test split
    assert ensemble.scores.score("accuracy")["mean"] < 0.6
    assert {(run.config, run.fold) for run in ensemble.runs} == {("first", "x"), ("second", "y")}


def test_networks_with_other_folds_are_refused(folded):
    first, second = folded["first"], folded["second"]
    less = replace(second, runs=[run for run in second.runs if run.fold == "x"])
    with pytest.raises(PoseemoError, match=r"same folds, got \['x', 'y'\] of first and \['x'\] of second"):
        best_by_validation(replace(folded, configs=[first, less]))


NETWORKS = {name: {"folds": 3, "repeats": 2, "lr": lr} for name, lr in (("a", 0.1), ("b", 0.2), ("c", 0.3))}


def macro_f1(tables):
    table = pd.concat(tables)
    labels = pd.Index(EMOTIONS).get_indexer(table["label"])
    return score_predictions(labels, table[probability_columns(EMOTIONS)].to_numpy(), EMOTIONS)["macro_f1"]


def test_the_nested_score_is_that_of_each_fold_s_own_selection_computed_by_hand(tmp_path):
    made_studies.made_study(tmp_path, NETWORKS | {"trees": {"folds": 3, "repeats": 2, "architecture": "extra_trees"}})
    results = load_results(tmp_path)
    nested = nested_selection(results)

    def predictions(name, fold, seed, split):
        table = pd.read_parquet(tmp_path / name / f"fold-{fold}" / f"seed-{seed}" / "predictions.parquet")
        return table[table["split"] == split]

    chosen, scores = {}, []
    for repeat in (1, 2):
        for fold in (f"{repeat}-{k}" for k in (1, 2, 3)):
            inside = {
                name: np.mean([macro_f1([predictions(name, fold, seed, "val")]) for seed in (0, 1)])
                for name in NETWORKS
            }
            chosen[fold] = max(inside, key=inside.get)
        for seed in (0, 1):
            folds = [one for one in chosen if one.startswith(f"{repeat}-")]
            scores.append(macro_f1([predictions(chosen[fold], fold, seed, "test") for fold in folds]))
    assert {fold: configs[0].name for fold, configs in nested.members.items()} == chosen and len(
        set(chosen.values())
    ) > 1
    assert nested.scores.score("macro_f1")["mean"] == pytest.approx(np.mean(scores))
    assert (nested.seeds, nested.scores.n_seeds, nested.scores.n_repeats) == ([0, 1], 2, 2)
    assert nested.scores.n_clips == 144 and nested.scores.n_groups == 12
    # The same clips, one table for each seed of each repeat, as any config has them.
    assert sorted(nested.predictions()) == sorted(results["a"].predictions())
    assert all(len(table) == 144 == table["clip_id"].nunique() for table in nested.predictions().values())


def test_without_folds_or_with_one_network_nothing_is_nested(tmp_path):
    made_studies.made_study(tmp_path / "plain", {"a": {"lr": 0.1}, "b": {"lr": 0.2}})
    assert nested_selection(load_results(tmp_path / "plain")) is None
    made_studies.made_study(tmp_path / "one", {"a": NETWORKS["a"]})
    assert nested_selection(load_results(tmp_path / "one")) is None
