"""Opening, calibration, importance, limits and provenance in words: numbers from the runs, claims from the tests."""

import json
import re
import shutil
from collections import Counter
from types import SimpleNamespace

import made_studies
import numpy as np
import pandas as pd
import pytest
from made_runs import make_table, write_config, write_run

from poseemo_lib.analysis.reliability import calibration_by_class
from poseemo_lib.analysis.results import load_results
from poseemo_lib.report import findings, provenance
from poseemo_lib.report.cards import dataset_card, model_card
from poseemo_lib.report.comparisons import comparisons
from poseemo_lib.report.data import load_report_data
from poseemo_lib.report.figures import error_analysis
from poseemo_lib.report.templates import sentence
from poseemo_lib.text import with_interval
from poseemo_lib.training.calibration import factors_of, scale_probabilities
from poseemo_lib.training.metrics import expected_calibration_error

CONFIGS = {
    "floor": {"architecture": "majority"},
    "trees": {"architecture": "extra_trees", "skill": 0.05},
    "good": {"skill": 0.8},
    "poor": {"architecture": "gru", "skill": 0.1},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return made_studies.made_study(tmp_path_factory.mktemp("runs") / "study", CONFIGS)


@pytest.fixture(scope="module")
def data(root):
    return load_report_data(root)


@pytest.fixture(scope="module")
def text(data):
    return findings.opening(data)


def opening(root, configs, **more):
    return findings.opening(load_report_data(made_studies.made_study(root, configs, **more)))


def accuracy(root, config, seeds=(0, 1)):
    """Diagonal over total, by hand, mean over seeds."""
    shares = []
    for seed in seeds:
        table = pd.read_parquet(root / config / f"seed-{seed}" / "predictions.parquet").query("split == 'test'")
        predicted = table.filter(regex="^p_").idxmax(axis=1).str.removeprefix("p_")
        shares.append((predicted == table["label"]).mean())
    return np.mean(shares)


def test_it_says_what_was_done_and_how_often_the_model_is_wrong(root, text):
    first = text.split("\n\n")[0]
    assert first.startswith("2 networks and 2 baselines were trained to recognise 7 emotions from body pose, on 144 ")
    assert f"The selected model is wrong on {100 * (1 - accuracy(root, 'good')):.1f} % of test clips." in first


def test_its_scores_are_those_of_the_predictions_and_change_with_them(root, data, text, tmp_path):
    for metric, row in data.best.scores.scores.set_index("metric").iterrows():
        if metric in ("macro_f1", "balanced_accuracy", "accuracy"):
            assert f"{100 * row['mean']:.1f} % [{100 * row['low']:.1f}, {100 * row['high']:.1f}]" in text
    above = 100 * (accuracy(root, "good") - data.best.predicted_shares["true"].max())
    assert f"accuracy is significantly above that of always predicting the most frequent class ({above:+.1f}" in text
    changed = shutil.copytree(root, tmp_path / "study")
    path = changed / "good" / "seed-0" / "predictions.parquet"
    table = pd.read_parquet(path)
    first = table.index[table["split"] == "test"][:20]
    columns = [name for name in table if name.startswith("p_")]
    table.loc[first, columns] = np.roll(table.loc[first, columns].to_numpy(), 1, axis=1)
    table.to_parquet(path)
    other = load_report_data(changed)
    assert f"Its accuracy is {100 * accuracy(changed, 'good'):.1f} % [" in findings.opening(other) != text
    assert findings.calibration(other) != findings.calibration(data)


def test_it_warns_first_and_is_short(text):
    lines = text.split("\n\n")
    assert "Synthetic data" in lines[1] and lines[2].startswith("**good**, selected by validation from 2 networks")
    assert len(lines) == 6 and all(len(line) < 480 for line in lines)
    assert "means over 2 seeds, with 95 % intervals by group (144 clips in 12 groups)" in lines[-1]


def test_only_what_the_tests_support_is_claimed(data, text):
    tests = data.baseline_tests.set_index("b")
    assert set(tests.index) == {"trees"} and set(tests["a"]) == {"good"} and tests["significant"].all()
    for name, row in tests.iterrows():
        points = f"{100 * row['difference']:+.1f} points [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"
        assert f"**good** has a significantly higher macro-F1 than **{name}** ({points}, p < 0.001" in text
    assert re.findall(r"\b(higher|lower|better|worse|above|below)\b", text) == ["better", "above", "higher"]
    score = data.results["trees"].scores.scores.set_index("metric").loc["macro_f1", "mean"]
    assert f"The strongest baseline is trees, with a macro-F1 of {100 * score:.1f} %." in text


def test_a_base_changes_nothing_in_it(root, data, text):
    held = load_report_data(root, "trees")
    assert set(held.tests["family"]) == {"guess", "base"}
    for name in ("difference", "low", "high", "p_holm"):
        assert list(held.baseline_tests[name]) == pytest.approx(list(data.baseline_tests[name]))
    assert findings.opening(held).split("\n\n")[2:] == text.split("\n\n")[2:]


def test_what_a_study_lacks_is_said(tmp_path):
    baselines = opening(tmp_path / "baselines", {name: CONFIGS[name] for name in ("floor", "trees")})
    assert "from 2 baselines (this study has no network)" in baselines
    assert "significantly" not in baselines
    alone = opening(tmp_path / "alone", {"net": {"skill": 0.9}})
    assert "**net**, the only network, reaches" in alone and "No baseline that sees the pose was run." in alone
    assert "**net** is better than guessing" in alone and "strongest" not in alone


def test_leaks_are_said_and_clean_configs_are_the_result(tmp_path):
    configs = {"net": {"split": "random", "allow_leak": True}}
    configs["floor"] = configs["net"] | {"architecture": "majority"}
    text = opening(tmp_path / "all", configs, leaks=made_studies.LEAKS)
    found = "12 recordings, 30 groups, 8 families of copies shared between splits"
    assert f"These runs were allowed to train on a split with leaks ({found})" in text
    assert all(line.startswith("Leaky split, inflated score: ") for line in text.split("\n\n")[3:-1])
    some = opening(tmp_path / "some", made_studies.LEAKAGE, leaks=made_studies.LEAKS)
    assert "Some runs (majority_random, net_random) were" in some and "inflated score:" not in some
    assert "**net_grouped** is better than guessing" in some


def test_missing_runs_are_named_but_not_all_of_them(root, tmp_path):
    copy = shutil.copytree(root, tmp_path / "study")
    planned = [{"config": "net", "identity": str(i), "folder": f"<net>/seed-{i}"} for i in range(9)]
    one = json.loads((copy / "good" / "seed-0" / "run.json").read_text())
    planned.append({"config": "good", "identity": one["identity"], "folder": "good/seed-0"})
    (copy / "study.json").write_text(json.dumps({"runs": planned}))
    text = findings.opening(load_report_data(copy))
    assert "left out: &lt;net&gt;/seed-0, &lt;net&gt;/seed-1, &lt;net&gt;/seed-2 and 6 more." in text


def test_a_repeated_cross_validation_and_the_score_of_its_own_selections_are_said(tmp_path):
    values = {"folds": 3, "repeats": 2}
    configs = {"first": values | {"lr": 0.1}, "second": values | {"lr": 0.2}}
    data = load_report_data(made_studies.made_study(tmp_path / "s", configs))
    text = findings.opening(data)
    assert "in 3 folds of whole groups, dealt anew 2 times, and tested on 144 clips in 12 groups" in text
    assert "12 groups are few: the length of an interval is itself uncertain by about 21 %). Its accuracy" in text
    assert "are means over 2 seeds and 2 repeats of the folds, with 95 % intervals by group" in text
    score = data.nested.scores.score("macro_f1")
    chosen = Counter(members[0].name for members in data.nested.members.values())
    each = ", ".join(f"{name} in {n}" for name, n in chosen.items())
    said = (
        f"Selected in each fold by that fold's validation alone ({each} of 6 folds), the networks together have a "
        f"macro-F1 of {with_interval(score['mean'], score['low'], score['high'])} and a balanced accuracy of"
    )
    assert len(chosen) == 2 and said in text
    assert "this favours it. Selected in each fold" in findings.findings(data)
    assert "2 seeds each, 2 repeats of the folds" in findings.findings(data)
    caution = findings.caution(data)
    assert "as far as 2 repeats show it, how groups are dealt to folds" in caution and "other seeds" not in caution
    assert "Every group is tested in one fold of each repeat" in caution and "12 groups are few" in caution
    assert "12 groups are few" in model_card(data)


def test_folds_recordings_and_absent_classes_are_said(tmp_path):
    for architecture, name in (("gru", "net"), ("majority", "floor")):
        for fold in range(8):
            labels = np.random.default_rng(fold).integers(0, 3, 6).repeat(2)  # two clips a recording
            table = make_table(labels, labels if name == "net" else labels * 0, f"g{fold}", prefix=f"f{fold}-")
            table["source_id"] = [f"f{fold}-{number // 2}" for number in range(12)]
            parts = {part: table.assign(split=part) for part in ("val", "test")}
            write_run(tmp_path / name / f"fold-{fold}" / "seed-0", name, parts, architecture=architecture,
                      fold=f"g{fold}", score_by="source")  # fmt: skip
    data = load_report_data(tmp_path)
    text = findings.opening(data)
    assert "in 8 folds that each hold out one group" in text and "tested on 48 recordings in 8 groups" in text
    assert "of the test recordings get a prediction" in findings.calibration(data)
    assert "Selecting a config by its validation scores therefore uses all groups" in findings.caution(data)


@pytest.fixture(scope="module")
def lucky_root(tmp_path_factory):
    """Validation prefers `first`; `lucky` and `<other>` are ahead on test, `lucky` by far."""
    root = tmp_path_factory.mktemp("study")
    shares = {"first": (0.5, 0.95), "lucky": (0.95, 0.4), "<other>": (0.7, 0.3), "last": (0.1, 0.1)}
    for name, (share, val_share) in shares.items():
        write_config(root, name, share, val_share=val_share)
    return root


def test_the_highest_score_on_test_is_named_with_its_test(lucky_root):
    data = load_report_data(lucky_root)
    score = data.main["lucky"].scores.scores.set_index("metric").loc["macro_f1", "mean"]
    own = data.best.scores.scores.set_index("metric").loc["macro_f1", "mean"]
    text = findings.higher_on_test(data.main, data.tests)
    numbers = f"macro-F1 {100 * score:.1f} %, {100 * (score - own):+.1f} points ["
    assert text.startswith(f"**lucky** scores higher on the test split ({numbers}")
    assert "significant: p < 0.001 after Holm's correction for 6 comparisons), as does 1 other config." in text
    assert text in findings.opening(data)
    held = comparisons(data.results, "last")  # a pair that was not planned is tested
    assert "after Holm's correction for 3 comparisons" in findings.higher_on_test(data.main, held)


def test_a_higher_score_of_one_seed_is_no_claim_and_a_baseline_counts(tmp_path):
    write_config(tmp_path / "one", "first", 0.5, val_share=0.95, seeds=[0])
    write_config(tmp_path / "one", "<b>", 0.95, val_share=0.4, seeds=[0])
    results = load_results(tmp_path / "one")
    text = findings.higher_on_test(results, comparisons(results))
    assert "**&lt;b&gt;** scores higher" in text and "not tested: one seed)" in text
    configs = {"trees": {"architecture": "extra_trees", "skill": 0.9}, "net": {"skill": 0.4}}
    results = load_results(made_studies.made_study(tmp_path / "study", configs))
    text = findings.higher_on_test(results, comparisons(results))
    assert text.startswith("**trees** scores higher") and results.best().name == "net"


@pytest.mark.parametrize(
    ("share", "more", "words"),
    [
        (0.9, {}, "**a** is better than guessing: balanced accuracy +"),
        (0.0, {}, "**a** is not significantly better than guessing: balanced accuracy -"),
        (1 / 3, {}, "**a** is not significantly better than guessing"),
        (0.9, {"n_groups": 7}, "**a** (84 clips in 7 groups) is not tested: fewer than 8 groups. Measured: balanced"),
    ],
)
def test_skill_takes_a_test_and_groups_and_seeds(tmp_path, share, more, words):
    write_config(tmp_path, "a", share, **more)
    data = load_report_data(tmp_path)
    said = sentence("skill", data.skill)
    assert words in said and said in findings.opening(data) and said in findings.findings(data)


def test_calibration_is_that_of_the_test_split(data):
    best, text = data.best, findings.calibration(data)
    before, after, given, right = [], [], [], []
    for run in best.runs:
        table = run.predictions("test")
        labels = pd.Index(data.classes).get_indexer(table["label"])
        raw = table[[f"p_{name}" for name in data.classes]].to_numpy()
        fit = best.calibration(run)
        scaled = scale_probabilities(raw, fit["temperature"], factors_of(fit, best.classes))
        before.append(expected_calibration_error(labels, raw))
        after.append(expected_calibration_error(labels, scaled))
        given.append(scaled.max(1) >= 0.5)
        right.append(scaled.argmax(1) == labels)
    given, right = np.concatenate(given), np.concatenate(right)
    for words in (f"is {100 * np.mean(before):.1f} % [", f"and {100 * np.mean(after):.1f} % [",
                  f"{100 * given.mean():.1f} % of the test clips get a prediction, "
        f"and {100 * right[given].mean():.1f} %",
                  f"compared with {100 * right.mean():.1f} % ["):  # fmt: skip
        assert words in text


def test_what_a_prior_changes_is_shown_overall_by_class_and_in_the_figure_of_errors(root, tmp_path):
    changed = shutil.copytree(root, tmp_path / "study")
    for path in changed.glob("good/*/calibration.json"):
        fit = json.loads(path.read_text())
        assert fit["prior"] == "training"
        path.write_text(json.dumps(fit | {"class_factors": {**fit["class_factors"], "neutral": 30}}))
    data = load_report_data(changed)
    best, text = data.best, findings.calibration(data)
    raw, now = (np.concatenate([table.filter(regex="^p_").to_numpy().argmax(1) for table in tables.values()])
                for tables in (best.predictions("test"), best.calibrated("test")))  # fmt: skip
    assert f"here for {100 * (raw != now).mean():.1f} % of the test clips" in text and (raw != now).mean() > 0.1
    assert "class prior: training in 2 runs)" in text
    by_class, tables = calibration_by_class(best), error_analysis.tables_of(best)
    steps = (("as trained", "before", best.scores), ("temperature and class prior", "after", best.calibrated_scores))
    for step, when, found in steps:
        (line,) = (line for line in text.splitlines() if line.startswith(f"| {step} |"))
        names = ("nll", "brier", "ece", "macro_f1", "balanced_accuracy", "accuracy")
        values = [found.score(name)["mean"] for name in names]
        assert [cell.split()[0] for cell in line.split("|")[2:-1]] == [
            *(f"{value:.2f}" for value in values[:2]), *(f"{100 * value:.1f}" for value in values[2:])
        ]  # fmt: skip
        assert by_class[f"brier_{when}"].sum() == pytest.approx(found.score("brier")["mean"])
        assert (by_class["share"] * by_class[f"nll_{when}"]).sum() == pytest.approx(found.score("nll")["mean"])
        assert (by_class["share"] * by_class[f"recall_{when}"]).sum() == pytest.approx(found.score("accuracy")["mean"])
    assert tables["pairs"]["count"].sum() == (~tables["predictions"]["right"]).sum()
    # The scores, and what is chosen by them, are as trained.
    assert f"accuracy is {100 * accuracy(changed, 'good'):.1f} % [" in findings.opening(data)


@pytest.mark.parametrize(
    ("share", "n_groups", "words"),
    [
        (0.2, 10, "here no clip gets one."),
        (1.0, 3, "(no interval: too few groups)"),
        (1.0, 3, "nothing is fitted"),
        (1.0, 4, "calibrates nothing"),
    ],
)
def test_calibration_that_cannot_be_given_says_why(tmp_path, share, n_groups, words):
    write_config(tmp_path, "net", share, n_groups=n_groups)
    text = findings.calibration(load_report_data(tmp_path))
    assert words in text and "nan" not in text


def test_importance_names_inputs_whose_interval_is_above_zero(data):
    rows = [("joint", "left <wrist>", 0.12, 0.05, 0.2, 0.01), ("joint", "hip", 0.3, -0.1, 0.6, 0.0),
            ("time", "first", 0.01, -0.01, 0.03, 0.0)]  # fmt: skip
    importance = pd.DataFrame(rows, columns=["kind", "name", "drop", "low", "high", "randomised_drop"])
    recovery = [("integrated gradients", "joints", "trained", 0.7, 0.6, 0.8, 0.3)]
    recovery = pd.DataFrame(recovery, columns=["method", "target", "model", "precision", "low", "high", "chance"])
    alike = pd.DataFrame([{"compared": "two seeds", "target": "joints", "correlation": 0.7, "low": 0.6, "high": 0.8}])
    found = SimpleNamespace(importance=importance, recovery=recovery, similarity=alike)
    text = findings.importance(SimpleNamespace(best=data.best, interpretation=found))
    assert "- joints: left &lt;wrist&gt; 12.0 [5.0, 20.0] (1.0)\n" in text and "hip" not in text
    assert "- time spans: no loss has an interval above zero (1 tested)" in text
    assert "- integrated gradients, joints: trained network 70.0 % [60.0, 80.0], chance 30.0 %" in text
    assert "- two seeds, joints: 0.70 [0.60, 0.80]" in text
    found.recovery = None
    assert "chance" not in findings.importance(SimpleNamespace(best=data.best, interpretation=found))
    assert findings.importance(SimpleNamespace(interpretation=None)).startswith("**Not run**")


def test_the_limits_say_what_must_be_said(data, tmp_path):
    text = findings.limits(data)
    assert text.startswith("- The data are synthetic")
    for words in ("not a feeling", "annotators", "consent", "Article 5(1)(f)", "medical or safety", "Article 50(3)",
                  "cameras", "cultures", "gives no prediction", "2024/1689"):  # fmt: skip
        assert words in text
    accuracy = data.best.scores.scores.set_index("metric").loc["accuracy", "mean"]
    assert f"wrong on {100 * (1 - accuracy):.1f} % of the test clips" in text
    write_config(tmp_path, "net", 0.9)
    assert "synthetic" not in findings.limits(load_report_data(tmp_path))


def test_names_from_data_stay_text(root, tmp_path):
    copy = shutil.copytree(root, tmp_path / "study")
    for path in copy.rglob("run.json"):
        text = path.read_text().replace('"config": "good"', '"config": "<script>[x](y)`*$"')
        path.write_text(text.replace('"made"', '"<b>|"'))
    odd = load_report_data(copy)
    texts = [findings.opening(odd), findings.findings(odd), findings.calibration(odd), findings.limits(odd)]
    for text in [*texts, provenance.provenance_table(odd), model_card(odd), dataset_card(odd)]:
        assert "<script" not in text and "<b>|" not in text and ("&lt;script&gt;" in text or "&lt;b&gt;&#124;" in text)
        for block in text.split("\n\n"):  # a table keeps its columns
            assert len({line.count("|") for line in block.splitlines() if line.startswith("|")}) <= 1, block
