"""What each figure draws, against the runs themselves."""
# ruff: noqa: F811  (fixtures)

import json
import shutil

import drawings as draw
import made_studies
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from made_figures import FIGURES, MAIN, close_figures, no_measured_speed, of_whole, runs, whole  # noqa: F401
from matplotlib.colors import same_color
from sklearn.metrics import f1_score

from poseemo_lib.data.dataset import Dataset
from poseemo_lib.report.data import load_report_data
from poseemo_lib.report.figures import error_analysis, radar, summary
from poseemo_lib.report.figures.poster import fit_text
from poseemo_lib.training.evaluation import probability_columns

pytestmark = pytest.mark.usefixtures("close_figures", "no_measured_speed")


def some(runs, target, *names):
    """A study of some configs of the main one."""
    for name in names:
        shutil.copytree(runs / "main" / name, target / name)
    return target


def change_records(root, change):
    for path in sorted(root.rglob("run.json")):
        record = json.loads(path.read_text())
        change(record)
        path.write_text(json.dumps(record))


def macro_f1(config):
    """Mean over seeds of scikit-learn's score."""
    scores = []
    for table in config.predictions("test").values():
        predicted = np.array(config.classes)[table[probability_columns(config.classes)].to_numpy().argmax(1)]
        scores.append(f1_score(table["label"], predicted, average="macro", labels=sorted(set(table["label"]))))
    return np.mean(scores)


class TestDifferences:
    def test_they_are_those_of_the_scores_and_filled_where_tests_support_them(self, whole, of_whole):
        drawn = of_whole("architecture_comparison")
        table = drawn.data["differences"]
        assert set(table["b"]) == {"stratified", "extra_trees"}
        for row in table[table["b"] == "extra_trees"].itertuples():
            wanted = macro_f1(whole.main[row.a]) - macro_f1(whole.main[row.b])
            assert row.difference == pytest.approx(wanted) and row.score == pytest.approx(macro_f1(whole.main[row.a]))
        assert list(table["a"].unique()) == sorted(["net", "gru", "bad"], key=lambda name: -macro_f1(whole.main[name]))
        for ax, name in zip(drawn.figure.axes, ("stratified", "extra_trees"), strict=True):
            points = [line for line in ax.lines if line.get_marker() == "o"]
            for row, point in zip(table[table["b"] == name].itertuples(), points, strict=True):
                assert point.get_xdata()[0] == pytest.approx(100 * row.difference)
                assert same_color(point.get_markerfacecolor(), "white") != row.significant
        assert points[0].get_color() != points[2].get_color()  # above and below
        assert "1 scores significantly above extra_trees, 1 below it" in draw.title(drawn.figure)
        for text in ("144 clips in 12 groups", "Holm", "6 comparisons", "often be missed"):
            assert text in draw.note(drawn.figure)
        bold = [name.get_text() for name in drawn.figure.axes[0].get_yticklabels() if name.get_fontweight() == "bold"]
        assert len(bold) == 1 and bold[0].startswith(whole.best.name)

    def test_one_seed_or_few_groups_claim_nothing_and_say_why(self, runs, tmp_path):
        root = some(runs, tmp_path / "seed", "majority", "net")
        shutil.rmtree(root / "net" / "seed-1")
        made_studies.made_study(tmp_path / "few", {name: MAIN[name] for name in ("majority", "net")}, n_groups=4)
        for folder, why in ((root, "not tested: one seed"), (tmp_path / "few", "not tested: fewer than 8 groups")):
            drawn = FIGURES["architecture_comparison"](load_report_data(folder))
            assert not drawn.data["differences"]["significant"].any() and why in draw.title(drawn.figure)

    def test_without_baselines_networks_are_compared_with_guessing(self, runs, tmp_path):
        drawn = FIGURES["architecture_comparison"](load_report_data(some(runs, tmp_path, "net", "gru")))
        assert set(drawn.data["differences"]["b"]) == {"stratified"}


def test_the_table_writes_each_number_with_its_interval(whole, of_whole):
    drawn = of_whole("architecture_detailed_comparison")
    table = drawn.data["details"].set_index("config")
    for config in whole.results.configs:
        row = table.loc[config.name]
        for name in ("accuracy", "ece", "kappa", "classes_above_5_percent"):
            wanted = config.scores.score(name)[["mean", "low", "high"]]
            assert row[[name, f"{name}_low", f"{name}_high"]].tolist() == wanted.tolist()
        recall = config.scores.per_class.query("metric == 'recall'").set_index("class")["mean"]
        np.testing.assert_allclose(row[[f"recall {name}" for name in config.classes]].astype(float), recall)
    assert table["macro_f1"].is_monotonic_decreasing and table.loc["majority", "n_parameters":"best_epoch"].isna().any()
    first = table.iloc[0]
    written = {text.get_text() for ax in drawn.figure.axes for text in ax.texts}
    for name in ("accuracy", "macro_f1"):
        ends = f"{100 * first[f'{name}_low']:.1f} to {100 * first[f'{name}_high']:.1f}"
        assert f"{100 * first[name]:.1f}\n{ends}" in written


def test_bars_are_means_over_seeds_and_a_front_is_drawn(of_whole):
    drawn = of_whole("02_architecture_comparison")
    means = drawn.data["seeds"].query("metric == 'macro_f1'").groupby("config")["value"].mean()
    table = drawn.data["scores"].query("metric == 'macro_f1'").set_index("config")["mean"].sort_values(ascending=False)
    np.testing.assert_allclose(means.loc[table.index], table)
    bars = [bar.get_width() for bar in drawn.figure.axes[0].patches]
    np.testing.assert_allclose(bars, 100 * table)
    assert "on the Pareto front" in drawn.text


class TestCurves:
    def test_the_mean_of_the_logged_histories_and_the_chosen_epochs(self, runs, tmp_path):
        root = some(runs, tmp_path, "net", "gru")
        change_records(root, lambda record: record.update(best_epoch=2 + record["parameters"]["seed"]))
        found = load_report_data(root)
        drawn = FIGURES["06_training_curves"](found)
        history = pd.concat([run.history() for run in found.best.runs]).groupby("epoch").mean()
        np.testing.assert_allclose(drawn.figure.axes[1].lines[0].get_ydata(), 100 * history["val_macro_f1"])
        for ax in drawn.figure.axes:
            stars = [list(line.get_xdata()) for line in ax.lines if line.get_marker() == "*" and len(line.get_xdata())]
            assert stars == [[2, 3]]
        assert "epochs 2 to 3 of 4" in draw.title(drawn.figure) and "never the last one" in draw.title(drawn.figure)
        assert len({ax.get_ylim() for ax in drawn.figure.axes[1:]}) == 1


class TestTimeline:
    def test_the_line_follows_validation_in_the_order_of_the_time_stamps(self, runs, tmp_path):
        root = some(runs, tmp_path, "majority", "net", "gru")
        order = {("gru", 1): 1, ("net", 0): 2, ("majority", 0): 3, ("gru", 0): 4, ("net", 1): 5, ("majority", 1): 6}

        def stamp(record):
            minute = order[record["config"], record["parameters"]["seed"]]
            record["finished"] = f"2026-01-01T00:0{minute}:00+00:00"

        change_records(root, stamp)
        table = FIGURES["10_improvement_timeline"](load_report_data(root)).data["runs"]
        # One seed stands for a baseline without chance in it.
        assert list(zip(table["config"], table["seed"], strict=True)) == sorted(order, key=order.get)[:5]
        assert list(table["number"]) == [1, 2, 3, 4, 5]
        networks = table[~table["is_baseline"]]
        assert (networks["is_new_best"] == (networks["val"] > networks["val"].cummax().shift(fill_value=-1))).all()


class TestSplit:
    def test_clips_and_shares_are_those_of_the_split_and_a_shared_group_is_named(self, runs, tmp_path):
        root = some(runs, tmp_path, "net")
        for path in root.rglob("split.parquet"):
            split = pd.read_parquet(path)
            split.loc[split["group_id"] == "val-0", "group_id"] = "train-0"
            split.to_parquet(path)
        drawn = FIGURES["01_data_distribution"](load_report_data(root))
        table = drawn.data["clips"].set_index("class")
        for part in ("train", "val", "test"):
            rows = split[split["part"] == part]
            assert table[f"{part}_clips"].sum() == len(rows) and table[f"{part}_share"].sum() == pytest.approx(1)
            assert table.loc["fear", f"{part}_groups"] == rows[rows["label"] == "fear"]["group_id"].nunique()
        assert "A leak: 1 group with clips in more than one split" in draw.note(drawn.figure)
        assert "missing" not in drawn.data and "dataset of these runs was not found" in draw.words(drawn.figure)

    def test_joints_are_counted_where_the_dataset_is_found(self, tiny, tmp_path):
        root = made_studies.made_study(tmp_path / "runs", {"net": {"dataset": str(tiny)}}, seeds=(0,))
        content = Dataset(tiny).info.content_hash
        change_records(root, lambda record: record["dataset"].update(content_hash=content))
        seen = [(clip.keypoints[:, :, 15, 2] > 0).ravel() for clip in Dataset(tiny).clips()]
        share = FIGURES["01_data_distribution"](load_report_data(root)).data["missing"].set_index("joint")["share"]
        assert share["left_ankle"] == pytest.approx(1 - np.concatenate(seen).mean())


class TestBestModel:
    def test_counts_and_the_printed_accuracy(self, whole, of_whole):
        drawn = of_whole("03_best_model_analysis")
        confusion = drawn.data["confusion"].set_index("true").to_numpy()
        tables = whole.best.predictions().values()
        correct = sum((t.filter(regex="^p_").idxmax(axis=1).str[2:] == t["label"]).sum() for t in tables)
        assert np.trace(confusion) == correct and confusion.sum() == sum(map(len, tables))
        words = draw.words(drawn.figure)
        assert f"{correct:,} of {confusion.sum():,} predictions are correct" in words
        accuracy = f"{100 * correct / confusion.sum():.1f} %"
        assert accuracy in words and accuracy in drawn.text

    def test_errors_are_counted_and_reliability_has_its_intervals(self, of_whole):
        drawn = of_whole("08_error_analysis")
        predictions = drawn.data["predictions"]
        wrong = int((~predictions["right"]).sum())
        assert wrong == drawn.data["pairs"]["count"].sum()
        assert f"{wrong:,} of {len(predictions):,} predictions are wrong" in drawn.text
        assert f"{100 * wrong / len(predictions):.1f} % of test clips" in draw.title(drawn.figure)
        _, ax = plt.subplots()
        error_analysis.draw_reliability(ax, drawn.data)
        for lines, name in zip(ax.collections[::2], ("after", "before"), strict=True):
            rows = drawn.data[f"reliability_{name}"].query("n > 0")
            ends = np.array([path.vertices[:, 1] for path in lines.get_paths()])
            np.testing.assert_allclose(ends, 100 * rows[["low", "high"]].to_numpy(float))


class TestFactors:
    def test_corrections_are_those_of_the_configs(self, whole, of_whole):
        drawn = of_whole("neutral_fix_comparison")
        study, table = whole.imbalance
        largest = table.loc[table["true"].idxmax(), "class"]
        means = drawn.data["predicted"].groupby("config")[["predicted", "true"]].mean()
        for config in study.configs:
            shares = config.predicted_shares.loc[largest, ["predicted", "true"]]
            np.testing.assert_allclose(means.loc[config.name], shares)
        hatched = [bar for ax in drawn.figure.axes for bar in ax.patches if bar.get_hatch()]
        assert len(hatched) == 4  # the double correction, in each panel
        assert draw.title(drawn.figure).startswith(f"Correcting twice predicts {largest} for ")

    def test_the_leak_is_stated_as_what_would_have_been_reported(self, whole, of_whole):
        drawn = of_whole("leakage_comparison")
        scores = {config.name: config.scores.score("balanced_accuracy")["mean"] for config in whole.leakage[0].configs}
        leaky, clean = 100 * scores["net_random"], 100 * scores["net_grouped"]
        assert f"would have reported {leaky:.0f} % instead of {clean:.0f} %" in draw.title(drawn.figure)
        assert "the audit found no leak" in draw.note(drawn.figure) and "random: 50 leaks" in drawn.text
        assert len([bar for bar in drawn.figure.axes[0].patches if bar.get_hatch()]) == 2

    def test_an_ablation_marks_the_base_and_counts_what_is_significant(self, tmp_path):
        small = {"model": {"hidden": 128}, "skill": 0.1}
        made_studies.made_study(tmp_path, {"base": {}, "small": small, "mean": {"model": {"pooling": "mean"}}})
        drawn = FIGURES["04_ablation_study"](load_report_data(tmp_path))
        assert draw.title(drawn.figure).endswith("1 with a significant effect on macro-F1")
        assert drawn.text.endswith("Significantly different from the base: hidden 128")
        panels = {ax.get_title(loc="left"): ax for ax in drawn.figure.axes}
        assert set(panels) == {"hidden", "pooling"} and "dropout" in draw.note(drawn.figure).partition("Not run:")[2]
        assert {line.get_marker() for line in panels["hidden"].lines if len(line.get_xdata()) == 1} == {"D", "o"}


class TestVariations:
    def test_bars_are_the_means_and_the_default_is_bold(self, of_whole):
        drawn = of_whole("deep_residual_variations")
        ranked = drawn.data["variations"].sort_values("mean", ascending=False, kind="stable")
        ax = drawn.figure.axes[0]
        np.testing.assert_allclose([bar.get_width() for bar in ax.patches], 100 * ranked["mean"])
        bold = [label.get_text() for label in ax.get_yticklabels() if label.get_fontweight() == "bold"]
        assert len(bold) == ranked["is_plain"].sum()
        changed = 100 * ranked[~ranked["is_plain"]]["mean"]
        assert f"{changed.min():.1f} to {changed.max():.1f} %" in draw.title(drawn.figure)

    def test_details_mark_what_validation_selects_and_draw_every_recall(self, whole, of_whole):
        drawn = of_whole("deep_residual_variations_detailed")
        table = drawn.data["variations"]
        selected, highest = table.loc[table["validation"].idxmax()], table.loc[table["mean"].idxmax()]
        lines = {line.get_label(): line.get_xydata() for line in drawn.figure.axes[1].lines}
        for name, row in (("selected on validation", selected), ("highest on test", highest)):
            np.testing.assert_allclose(lines[name], [100 * row[["validation", "mean"]].astype(float)])
        wide = drawn.data["recall"].pivot(index="label", columns="class", values="recall")
        wide = wide.loc[table.sort_values("mean", ascending=False, kind="stable")["label"], list(whole.classes)]
        np.testing.assert_allclose(drawn.figure.axes[2].collections[0].get_array(), 100 * wide)


class TestRadar:
    def test_scaling_and_the_best_values(self):
        share, cost = radar.Axis("a", "a", "{}"), radar.Axis("b", "b", "{}", 100, 1, True)
        np.testing.assert_allclose(radar.scaled([0, 0.25, 1], share), [0, 0.25, 1])
        np.testing.assert_allclose(radar.scaled([100, 10, 1, 0.1, np.nan], cost), [0, 0.5, 1, 1, np.nan])
        values = pd.DataFrame({"a": [0.1, 0.3, 0.3], "b": [5.0, 50.0, np.nan]})
        assert radar.best_values(values, [share, cost]).tolist() == [[False, True], [True, False], [True, False]]
        for costs, ends in (([300, 5000], (100, 10_000)), ([10], (10, 100)), ([np.nan], (1, 10))):
            assert radar.decades(pd.Series(costs, dtype=float)) == dict(zip(("rim", "centre"), ends, strict=True))


class TestPoster:
    def test_the_result_and_panels_are_those_of_the_runs(self, whole, of_whole):
        drawn = of_whole("09_summary_infographic")
        words = draw.words(drawn.figure)
        assert f"{whole.best.name} is better than guessing; it" in words
        scores = drawn.data["scores"].set_index(["config", "metric"])["mean"]
        assert f"{100 * scores[whole.best.name, 'macro_f1']:.1f} %" in words
        recall = whole.best.scores.per_class.query("metric == 'recall'").set_index("class")["mean"]
        assert list(drawn.data["classes"]["name"]) == [recall.idxmax(), recall.idxmin()]
        study, table = whole.imbalance
        largest = table.loc[table["true"].idxmax(), "class"]
        wanted = [study[name].predicted_shares.loc[largest, "predicted"] for name in ("nothing", "twice")]
        np.testing.assert_allclose(drawn.data["regimes"]["value"].iloc[1:], wanted)
        assert len(drawn.data["leak"]) == 2

    def test_texts_fit_their_boxes(self):
        text, size = fit_text("word " * 60, 20, 3, 0.5)
        assert size == 8 and text.endswith("…") and text.count("\n") + 1 == int(0.5 * 72 / (8 * 1.3))
        assert fit_text("short", 20, 3, 0.5) == ("short", 20)
        assert fit_text("x" * 90, 12, 2, 1)[0].replace("\n", "") == "x" * 90

    def test_at_most_eight_configs(self, tmp_path):
        configs = {f"net {i}": {"model": {"hidden": 128}, "skill": 0.2 + 0.08 * i} for i in range(8)}
        kinds = ("majority", "stratified", "extra_trees", "logistic_regression")
        configs |= {name: {"architecture": name, "skill": 0.3} for name in kinds}
        found = load_report_data(made_studies.made_study(tmp_path, configs, seeds=(0,)))
        table = summary.configs_table(found)
        assert len(table) == 8 and table["is_baseline"].sum() == 3
        assert {"majority", found.best.name} <= set(table["name"])
