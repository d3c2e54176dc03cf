import json
import re
import shutil
from types import SimpleNamespace

import made_studies
import numpy as np
import pandas as pd
import pytest
from made_runs import make_table, write_cell, write_run

from poseemo_lib.report import limits, provenance, trust, wording
from poseemo_lib.report.material import load_material
from poseemo_lib.training.calibration import scale_probabilities
from poseemo_lib.training.metrics import expected_calibration_error

CONFIGS = {
    "floor": {"architecture": "majority"},
    "guess": {"architecture": "stratified", "skill": 0.05},
    "good": {"skill": 0.8},
    "poor": {"architecture": "gru", "skill": 0.1},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return made_studies.made_study(tmp_path_factory.mktemp("runs") / "study", CONFIGS)


@pytest.fixture(scope="module")
def material(root):
    return load_material(root)


def predictions(root, config, seed):
    table = pd.read_parquet(root / config / f"seed-{seed}" / "predictions.parquet")
    return table[table["split"] == "test"].reset_index(drop=True)


def accuracy(root, config, seeds=(0, 1)):
    """Diagonal over total, by hand, mean over seeds."""
    shares = []
    for seed in seeds:
        table = predictions(root, config, seed)
        answers = table.filter(regex="^p_").idxmax(axis=1).str.removeprefix("p_")
        confusion = pd.crosstab(table["label"], answers).reindex(columns=sorted(set(table["label"])), fill_value=0)
        shares.append(np.trace(confusion.sort_index()) / len(table))
    return np.mean(shares)


def answer_lines(text):
    return [line for line in text.split("\n\n") if "warning" not in line and "Not run" not in line]


def test_the_printed_accuracy_is_that_of_the_predictions_and_changes_with_them(root, material, tmp_path):
    text = wording.opening(material)
    assert f"Its accuracy is {100 * accuracy(root, 'good'):.1f} % [" in text
    assert f"largest class gets an accuracy of {100 * accuracy(root, 'floor', [0]):.1f} %" in text
    changed = shutil.copytree(root, tmp_path / "study")
    path = changed / "good" / "seed-0" / "predictions.parquet"
    table = pd.read_parquet(path)
    first = table.index[table["split"] == "test"][:20]
    columns = [name for name in table if name.startswith("p_")]
    table.loc[first, columns] = np.roll(table.loc[first, columns].to_numpy(), 1, axis=1)
    table.to_parquet(path)
    other = wording.opening(load_material(changed))
    assert accuracy(changed, "good") != accuracy(root, "good") and other != text
    assert f"Its accuracy is {100 * accuracy(changed, 'good'):.1f} % [" in other
    assert trust.calibration(load_material(changed)) != trust.calibration(material)


def test_the_scores_of_the_opening_are_those_of_the_table(material):
    scores = material.results["good"].scores.scores.set_index("metric")
    text = wording.opening(material)
    for metric in ("macro_f1", "balanced_accuracy", "accuracy"):
        row = scores.loc[metric]
        assert f"{100 * row['mean']:.1f} % [{100 * row['low']:.1f}, {100 * row['high']:.1f}]" in text


def test_the_opening_warns_first_and_then_answers_in_five_lines(material):
    text = wording.opening(material)
    lines = text.split("\n\n")
    assert "Synthetic data" in lines[0] and lines[1].startswith("**good**, chosen by validation among 2 networks")
    assert len(answer_lines(text)) <= 5 and all(len(line) < 330 for line in answer_lines(text))
    assert "means over 2 seeds, with 95 % intervals resampled by group (144 clips in 12 groups)" in lines[-1]


def test_only_what_the_tests_support_is_claimed(material):
    tests = wording.baseline_tests(material).set_index("b")
    assert set(tests.index) == {"floor", "guess"} and set(tests["a"]) == {"good"} and tests["significant"].all()
    text = wording.opening(material)
    for name, row in tests.iterrows():
        points = f"{100 * row['difference']:+.1f} points [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"
        assert f"**good** has a higher macro-F1 than **{name}** ({points}, p < 0.001 after Holm's" in text
    claims = re.findall(r"\b(higher|lower|better|worse|above|below)\b", text)
    assert claims == ["higher", "higher"]


def test_the_strongest_baseline_is_the_one_that_is_nearest(material):
    scores = {
        name: material.results[name].scores.scores.set_index("metric").loc["macro_f1", "mean"] for name in CONFIGS
    }
    text = wording.opening(material)
    assert f"Strongest other baseline: guess, macro-F1 {100 * scores['guess']:.1f} %." in text


def test_a_base_changes_nothing_in_what_the_opening_says(root, material):
    held = load_material(root, "guess")
    assert set(held.tests["family"]) == {"base"}
    mine, planned = wording.baseline_tests(held), wording.baseline_tests(material)
    for name in ("difference", "low", "high", "p_holm"):
        assert list(mine[name]) == pytest.approx(list(planned[name]))
    assert wording.opening(held) == wording.opening(material)


@pytest.mark.parametrize(
    ("seeds", "n_groups", "reason"),
    [([0], 12, "nothing is claimed from one seed"), ([0, 1], 5, "nothing is claimed without at least 8 groups")],
)
def test_one_seed_or_few_groups_claim_nothing(tmp_path, seeds, n_groups, reason):
    text = wording.opening(load_material(made_studies.made_study(tmp_path, CONFIGS, seeds=seeds, n_groups=n_groups)))
    assert text.count(f"; {reason}).") == 2 and "higher" not in text
    assert ("from one seed, with" in text) == (len(seeds) == 1)


def test_a_study_of_baselines_says_that_there_is_no_network(tmp_path):
    configs = {name: CONFIGS[name] for name in ("floor", "guess")}
    material = load_material(made_studies.made_study(tmp_path, configs))
    text = wording.opening(material)
    assert "among 2 baselines (there is no network in this study)" in text and "largest class" in text
    assert "told apart" not in text and wording.baseline_tests(material).empty
    assert "no answer is given" in trust.calibration(material) and limits.limits(material)


def test_one_network_alone_is_held_against_chance(tmp_path):
    material = load_material(made_studies.made_study(tmp_path, {"net": {"skill": 0.9}}))
    text = wording.opening(material)
    assert "chosen as the only network" in text and "The majority baseline was not run." in text
    assert "Its balanced accuracy is above chance (+" in text and "Strongest" not in text


def test_every_line_about_a_leaky_study_says_so(tmp_path):
    configs = {"net": {"split": "random", "allow_leak": True}}
    configs["floor"] = configs["net"] | {"architecture": "majority"}
    text = wording.opening(load_material(made_studies.made_study(tmp_path, configs, leaks=made_studies.LEAKS)))
    assert "These runs were allowed to train on a split with leaks (12 recordings, 30 groups" in text
    lines = answer_lines(text)
    assert all(line.startswith("On a leaky split, so no estimate of anything: ") for line in lines[:-1])


def test_the_clean_configs_are_the_answer_where_some_leak(tmp_path):
    root = made_studies.made_study(tmp_path, made_studies.LEAKAGE, leaks=made_studies.LEAKS)
    text = wording.opening(load_material(root))
    assert "Some runs (majority_random, net_random) were" in text
    assert "**net_grouped** has a higher macro-F1 than **majority_grouped**" in text and "On a leaky" not in text


def test_missing_runs_are_named_but_not_all_of_them(root, tmp_path):
    copy = shutil.copytree(root, tmp_path / "study")
    planned = [{"config": "net", "identity": str(i), "folder": f"<net>/seed-{i}"} for i in range(9)]
    one = json.loads((copy / "good" / "seed-0" / "run.json").read_text())
    planned.append({"config": "good", "identity": one["identity"], "folder": "good/seed-0"})
    (copy / "study.json").write_text(json.dumps({"runs": planned}))
    text = wording.opening(load_material(copy))
    assert "left out: &lt;net&gt;/seed-0, &lt;net&gt;/seed-1, &lt;net&gt;/seed-2 and 6 more." in text


def test_folds_and_recordings_are_counted_as_what_they_are(tmp_path):
    for architecture, name in (("gru", "net"), ("majority", "floor")):
        for fold in range(8):
            labels = np.random.default_rng(fold).integers(0, 3, 6).repeat(2)  # two clips a recording
            table = make_table(labels, labels if name == "net" else labels * 0, f"g{fold}", prefix=f"f{fold}-")
            table["source_id"] = [f"f{fold}-{number // 2}" for number in range(12)]
            parts = {part: table.assign(split=part) for part in ("val", "test")}
            write_run(tmp_path / name / f"fold-{fold}" / "seed-0", name, parts, architecture=architecture,
                      fold=f"g{fold}", score_by="source")  # fmt: skip
    material = load_material(tmp_path)
    text = wording.opening(material)
    assert "(48 recordings in 8 groups)" in text
    assert "of the test recordings get one" in trust.calibration(material)
    assert "in 8 runs" in trust.calibration(material)


def test_names_from_data_are_escaped(root, tmp_path):
    copy = shutil.copytree(root, tmp_path / "study")
    for path in copy.rglob("run.json"):
        text = path.read_text().replace('"config": "good"', '"config": "<script>"').replace('"made"', '"<b>|"')
        path.write_text(text)
    material = load_material(copy)
    texts = [wording.opening(material), trust.calibration(material), limits.limits(material)]
    for text in [*texts, *provenance.provenance(material).values()]:
        assert not re.search(r"<(script|b>\|)", text)
    assert "&lt;script&gt;" in texts[0] and "&lt;b&gt;|" in texts[2]


def test_calibration_is_that_of_the_test_part(root, material):
    best, text = material.best, trust.calibration(material)
    before, after, answered, right = [], [], [], []
    for run in best.runs:
        table = predictions(root, "good", run.seed)
        labels = pd.Index(material.classes).get_indexer(table["label"])
        raw = table[[f"p_{name}" for name in material.classes]].to_numpy()
        scaled = scale_probabilities(raw, best.calibration(run)["temperature"])
        before.append(expected_calibration_error(labels, raw))
        after.append(expected_calibration_error(labels, scaled))
        answered.append(scaled.max(1) >= 0.5)
        right.append(scaled.argmax(1) == labels)
    answered, right = np.concatenate(answered), np.concatenate(right)
    assert f"is {100 * np.mean(before):.1f} % [" in text and f"and {100 * np.mean(after):.1f} % [" in text
    assert (
        f"{100 * answered.mean():.1f} % of the test clips get one, and {100 * right[answered].mean():.1f} % [" in text
    )
    assert f"of all answers, {100 * right.mean():.1f} % [" in text
    temperatures = sorted(f"{best.calibration(run)['temperature']:.2f}" for run in best.runs)
    assert f"({temperatures[0]} to {temperatures[-1]} in 2 runs)" in text


def test_where_nobody_gets_an_answer_no_accuracy_is_given(tmp_path):
    write_cell(tmp_path, "net", 0.2)
    text = trust.calibration(load_material(tmp_path))
    assert "here no clip gets one." in text and "nan" not in text


def test_few_groups_get_no_interval_and_a_useless_temperature_is_said(tmp_path):
    write_cell(tmp_path, "net", 1.0, n_groups=3)
    text = trust.calibration(load_material(tmp_path))
    assert "(no interval: too few groups)" in text and "in 3 it is at the end of its range, which" in text


def interpreted(material, recovery=True):
    rows = [
        ("joint", "left <wrist>", 0.12, 0.05, 0.2, 0.01),
        ("joint", "nose", 0.2, 0.1, 0.3, 0.0),
        ("joint", "hip", 0.3, -0.1, 0.6, 0.0),
        ("time", "first eighth", 0.01, -0.01, 0.03, 0.0),
    ]
    importance = pd.DataFrame(rows, columns=["kind", "name", "drop", "low", "high", "randomised_drop"])
    found = pd.DataFrame(
        [
            ("integrated gradients", "joints", "trained", 0.7, 0.6, 0.8, 0.3),
            ("integrated gradients", "joints", "randomised", 0.31, 0.2, 0.4, 0.3),
        ],
        columns=["method", "target", "model", "precision", "low", "high", "chance"],
    )
    alike = [{"compared": "two seeds", "target": "joints", "correlation": 0.7, "low": 0.6, "high": 0.8}]
    there = SimpleNamespace(importance=importance, recovery=found if recovery else None, similarity=pd.DataFrame(alike))
    return SimpleNamespace(best=material.best, interpretation=there)


def test_importance_names_what_can_be_told_from_nothing(material):
    text = trust.importance(interpreted(material))
    assert "- joints: nose 20.0 [10.0, 30.0] (0.0); left &lt;wrist&gt; 12.0 [5.0, 20.0] (1.0)" in text
    assert (
        "hip" not in text
        and "- spans of time, seconds: none of 1 costs an amount that can be told from nothing" in text
    )
    assert (
        "planted joints: precision trained 70.0 % [60.0, 80.0], randomised 31.0 % [20.0, 40.0]; chance 30.0 %" in text
    )
    assert "planted" not in trust.importance(interpreted(material, recovery=False))
    assert "- two seeds, joints: 0.70 [0.60, 0.80]" in text
    nothing = SimpleNamespace(best=material.best, interpretation=None)
    assert trust.importance(nothing).startswith("**Not run**")


def test_the_limits_say_what_must_be_said(root, material):
    text = limits.limits(material)
    assert text.startswith("- The data are synthetic")
    for words in ("not a feeling", "annotators", "consent", "Article 5(1)(f)", "medical or safety", "Article 50(3)",
                  "cameras", "cultures", "no answer is given", "2024/1689"):  # fmt: skip
        assert words in text
    assert f"{100 * (1 - accuracy(root, 'good')):.1f} % of its answers on the test part are wrong" in text


def test_limits_of_real_data_do_not_call_them_synthetic(tmp_path):
    write_cell(tmp_path, "net", 0.9)
    assert "synthetic" not in limits.limits(load_material(tmp_path))


def test_provenance_adds_up_the_runs_of_all_studies(root, tmp_path):
    other = made_studies.made_study(tmp_path / "other", {"one": {}}, seeds=[0])
    facts = provenance.provenance(load_material([root, other]))
    assert facts["runs"] == "study: 8 complete; other: 1 complete" and facts["dataset"] == "made (synthetic)"
    assert facts["hours of all runs"] == f"{9 / 3600:.2f}" and facts["device"] == "cpu" and facts["split"] == "grouped"
    assert facts["first start, last end"] == "2026-01-01T00:00:00+00:00 to 2026-01-01T00:00:01+00:00"
    assert facts["the report again"] == f"<code>poseemo report {root.resolve()} {other.resolve()}</code>"
    assert facts["the runs again"].count("no study file has these configs and seeds") == 2


def test_provenance_of_runs_that_noted_little_says_so(tmp_path):
    write_cell(tmp_path, "net", 0.9)
    facts = provenance.provenance(load_material(tmp_path))
    assert facts["commit"] == facts["torch"] == facts["hours of all runs"] == "not noted" and facts["dataset"] == "d"


def test_the_command_of_a_study_is_that_of_the_file_with_its_configs(root, tmp_path, monkeypatch):
    folder = tmp_path / "parameters" / "studies"
    folder.mkdir(parents=True)
    monkeypatch.setattr(provenance, "PARAMETERS", tmp_path / "parameters")
    configs = {name: {key: value for key, value in own.items() if key != "skill"} for name, own in CONFIGS.items()}
    plan = {"name": "mine", "dataset": "made", "seeds": [0, 1, 2], "configs": configs}

    def command(**changes):
        (folder / "mine.yaml").write_text(json.dumps(plan | changes))
        return provenance.provenance(load_material(root))["the runs again"]

    assert command() == f"<code>poseemo study {folder / 'mine.yaml'} --out {root.resolve()}</code>"
    for changes in ({"seeds": [0]}, {"dataset": "another"}, {"base": {"lr": "1e-2"}}, {"configs": {"good": {}}}):
        assert "no study file" in command(**changes)
