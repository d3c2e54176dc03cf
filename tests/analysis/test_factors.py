import made_studies
import numpy as np
import pytest

from poseemo_lib.analysis import factors
from poseemo_lib.analysis.results import load_results
from poseemo_lib.report.comparisons import comparisons


@pytest.fixture(scope="module")
def ablation(tmp_path_factory):
    return load_results(made_studies.made_study(tmp_path_factory.mktemp("a"), made_studies.ABLATION))


@pytest.fixture(scope="module")
def imbalance(tmp_path_factory):
    return load_results(made_studies.made_study(tmp_path_factory.mktemp("i"), made_studies.IMBALANCE))


@pytest.fixture(scope="module")
def leakage(tmp_path_factory):
    root = tmp_path_factory.mktemp("l")
    return load_results(made_studies.made_study(root, made_studies.LEAKAGE, leaks=made_studies.LEAKS))


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
    bases = {"4", "256", "standard", "attention", "0.3", "without", "body", "2", "all"}
    assert set(table.loc[table["is_base"], "value"]) == bases


def test_what_differs_from_the_base_comes_from_the_tests(ablation):
    tests = comparisons(ablation, "base")
    table = factors.ablation_table(ablation, tests=tests)
    assert set(table.loc[table["significant"], "config"]) == set(tests.loc[tests["significant"], "a"])
    row = table.set_index("config").loc["pre_activation"]
    score = ablation["pre_activation"].scores.score("macro_f1")
    assert row["significant"] and row[["mean", "low", "high"]].tolist() == score[["mean", "low", "high"]].tolist()


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


def test_models_under_two_splits_are_paired(leakage):
    table, leaks = factors.leakage_table(leakage)
    assert set(table["model"]) == {"majority", "deep_residual"} and set(table["split"]) == {"random", "grouped"}
    assert leaks == {"random": made_studies.LEAKS["random"], "grouped": {}}
    net = table[table["model"] == "deep_residual"].set_index("split")
    assert net.loc["random", "config"] == "net_random" and net.loc["random", "mean"] > net.loc["grouped", "mean"]
    assert net["n_clips"].tolist() == [144, 144] and set(table["metric"]) == {"balanced_accuracy"}


def test_models_of_one_architecture_are_named_by_their_settings(tmp_path):
    splits = {"a": {}, "b": {"split": "random", "allow_leak": True}}
    models = {"plain": {}, "mean": {"model": {"pooling": "mean"}}}
    configs = {f"{m}_{s}": models[m] | splits[s] for m in models for s in splits}
    table, _ = factors.leakage_table(load_results(made_studies.made_study(tmp_path, configs, seeds=[0])))
    assert len(set(table["model"])) == 2 and all(name.startswith("deep_residual") for name in table["model"])
    assert any("pooling" in name for name in table["model"])
