import made_studies
import numpy as np
import pandas as pd
import pytest

from poseemo_lib.analysis import factors
from poseemo_lib.analysis.results import load_results
from poseemo_lib.report import alt_texts, findings
from poseemo_lib.report.comparisons import comparisons


@pytest.fixture(scope="module")
def ablation(tmp_path_factory):
    return load_results(made_studies.made_study(tmp_path_factory.mktemp("a"), made_studies.ABLATION, seeds=(0, 1, 2)))


@pytest.fixture(scope="module")
def imbalance(tmp_path_factory):
    return load_results(made_studies.made_study(tmp_path_factory.mktemp("i"), made_studies.IMBALANCE))


@pytest.fixture(scope="module")
def leakage(tmp_path_factory):
    return load_results(
        made_studies.made_study(tmp_path_factory.mktemp("l"), made_studies.LEAKAGE, leaks=made_studies.LEAKS)
    )


def test_factors_and_values_come_from_the_parameters(ablation):
    assert factors.base_config(ablation).name == "base"
    table = factors.ablation_table(ablation)
    values = {factor: list(rows["value"]) for factor, rows in table.groupby("factor")}
    augmentation = values.pop("augmentation")
    assert values == {
        "hidden": ["128", "256", "512"],
        "blocks": ["2", "4", "6", "8"],
        "block": ["standard", "bottleneck", "pre_activation"],
        "pooling": ["attention", "max", "mean"],
        "dropout": ["0.2", "0.3", "0.4", "0.5"],
        "squeeze_excitation": ["without", "with"],
        "normalisation": ["body", "frame"],
        "people": ["1", "2"],
    }
    names = {"flip", "scale", "rotation", "noise", "time warp", "joint dropout", "slot swap"}
    assert augmentation[0] == "all" and set(augmentation[1:]) == {"none"} | {f"only {name}" for name in names}
    assert (table.groupby("factor")["is_base"].sum() == 1).all()
    assert set(table.loc[table["is_base"], "value"]) == {
        "4",
        "256",
        "standard",
        "attention",
        "0.3",
        "without",
        "body",
        "2",
        "all",
    }


def test_scores_of_an_ablation_are_those_of_the_configs(ablation):
    table = factors.ablation_table(ablation)
    for _, row in table.iterrows():
        score = ablation[row["config"]].scores.scores.set_index("metric").loc["macro_f1"]
        assert (row["mean"], row["low"], row["high"], row["n_seeds"]) == tuple(
            score[["mean", "low", "high", "n_seeds"]]
        )


def test_what_differs_from_the_base_comes_from_the_tests(ablation):
    tests = comparisons(ablation, "base", n_bootstrap=500)
    table = factors.ablation_table(ablation, tests=tests)
    assert set(table.loc[table["significant"], "config"]) == set(tests.loc[tests["significant"], "a"])
    assert table.set_index("config").loc["pre_activation", "significant"]
    text = alt_texts.describe_ablation(table)
    assert f"block pre_activation {100 * table.set_index('config').loc['pre_activation', 'mean']:.1f} %" in text


def test_two_augmentations_that_were_changed_are_named(tmp_path):
    configs = {"base": {}, "more": {"rotation": 20.0, "scale": 0.2}, "less": {"flip": 0.0}, "rate": {"lr": 0.1}}
    results = load_results(made_studies.made_study(tmp_path, configs, seeds=[0]))
    table = factors.ablation_table(results).set_index("config")
    assert table.loc["more", "value"] == "scale 0.2, rotation 20.0" and table.loc["less", "value"] == "without flip"
    assert table.loc["rate", ["factor", "value"]].tolist() == ["lr", "0.1"]


def test_a_study_of_architectures_is_no_ablation(tmp_path):
    configs = {name: {"architecture": name} for name in ("deep_residual", "bilstm")} | {
        "mean": {"model": {"pooling": "mean"}}
    }
    results = load_results(made_studies.made_study(tmp_path, configs, seeds=[0]))
    assert factors.base_config(results) is None and factors.ablation_table(results).empty
    assert factors.imbalance_table(results).empty and factors.leakage_table(results)[0].empty


def test_a_default_that_is_written_out_is_no_difference(tmp_path):
    configs = {"base": {"model": {"hidden": 256}}, "same": {}}
    one, two = (
        factors.settings(config)
        for config in load_results(made_studies.made_study(tmp_path, configs, seeds=[0])).configs
    )
    assert factors.differing_factors(one, two) == set()


def test_regimes_come_from_the_parameters_and_in_order(imbalance):
    assert factors.base_config(imbalance) is None
    table = factors.imbalance_table(imbalance)
    assert list(dict.fromkeys(table["regime"])) == [
        "none", "class weights", "balanced sampler", "both (the published bug)", "focal loss", "logit adjustment"
    ]  # fmt: skip
    for name, rows in table.groupby("config"):
        tables = imbalance[name].predictions().values()
        right = [
            t[t["label"] == "sad"][[f"p_{c}" for c in imbalance.classes]].to_numpy().argmax(1) == 5 for t in tables
        ]
        assert rows.set_index("class").loc["sad", "recall"] == pytest.approx(np.mean([r.mean() for r in right]))
        assert rows[["predicted", "true"]].sum().tolist() == pytest.approx([1, 1])
    rarest = table.loc[table["true"].idxmin(), "class"]
    assert f"none: recall of {rarest}" in alt_texts.describe_imbalance(table)


def test_the_regimes_are_told_by_the_most_frequent_class(imbalance):
    table = factors.imbalance_table(imbalance)
    text = findings.regimes(table)
    assert "The most frequent class, neutral, makes up" in text and len(text.splitlines()) == 8
    never = table.assign(predicted=0.0, recall=0.0, low=0.0, high=0.0)
    assert "- focal loss: never predicted, recall 0.0 % [0.0, 0.0]" in findings.regimes(never)
    one = table[(table["regime"] == "none") & (table["class"] == "neutral")].iloc[0]
    assert f"- none: predicted for {100 * one['predicted']:.1f} % of the clips, recall" in text


def test_models_under_two_splits_are_paired(leakage):
    table, leaks = factors.leakage_table(leakage)
    assert set(table["model"]) == {"majority", "deep_residual"} and set(table["split"]) == {"random", "grouped"}
    assert leaks == {"random": made_studies.LEAKS["random"], "grouped": {}}
    net = table[table["model"] == "deep_residual"].set_index("split")
    assert net.loc["random", "config"] == "net_random" and net.loc["random", "mean"] > net.loc["grouped", "mean"]
    assert net["n_clips"].tolist() == [144, 144] and set(table["metric"]) == {"balanced_accuracy"}
    assert "random: 50 leaks" in alt_texts.describe_leakage(table, leaks)


def test_models_of_one_architecture_are_told_apart_by_their_settings(tmp_path):
    splits = {"a": {}, "b": {"split": "random", "allow_leak": True}}
    models = {"plain": {}, "mean": {"model": {"pooling": "mean"}}}
    configs = {f"{m}_{s}": models[m] | splits[s] for m in models for s in splits}
    table, _ = factors.leakage_table(load_results(made_studies.made_study(tmp_path, configs, seeds=[0])))
    assert len(set(table["model"])) == 2 and all(name.startswith("deep_residual") for name in table["model"])
    assert any("pooling" in name for name in table["model"])


def test_texts_of_scores_and_sizes():
    table = pd.DataFrame(
        {
            "config": ["a", "b", "c"], "metric": "macro_f1", "mean": [0.5, 0.6, 0.4], "low": 0.1, "high": 0.9,
            "is_baseline": False, "n_parameters": [1000, 2000, 3000],
        }
    )  # fmt: skip
    assert alt_texts.describe_scores(table).endswith(
        "b 60.0 % (10.0 to 90.0); a 50.0 % (10.0 to 90.0); c 40.0 % (10.0 to 90.0)"
    )
    text = alt_texts.describe_sizes(table)
    assert (
        "a, 1,000, 50.0 %" in text
        and "b, 2,000, 60.0 %" in text
        and text.endswith("A lower mean than one that is no larger: c")
    )
