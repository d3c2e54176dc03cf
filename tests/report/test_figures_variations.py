import json
import shutil

import drawings as draw
import made_studies
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from poseemo_lib.analysis import factors
from poseemo_lib.analysis.variations import find_variations
from poseemo_lib.report.data import load_report_data
from poseemo_lib.report.figures import (
    ablation_study,
    deep_residual_detailed_analysis,
    deep_residual_variations,
    deep_residual_variations_detailed,
    neutral_fix_comparison,
)
from poseemo_lib.training.evaluation import probability_columns

ALL = (
    ablation_study, deep_residual_detailed_analysis, deep_residual_variations, deep_residual_variations_detailed,
    neutral_fix_comparison,
)  # fmt: skip
MAIN = {
    "majority": {"architecture": "majority"},
    "extra_trees": {"architecture": "extra_trees", "skill": 0.4},
    "net": {"skill": 0.5},
    "gru": {"architecture": "gru"},
}
SOME = ("base", "hidden_128", "blocks_2", "bottleneck", "mean", "gate", "no_augmentation", "only_flip", "one_person")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("studies")
    made_studies.made_study(root / "main", MAIN)
    made_studies.made_study(root / "ablations", {name: made_studies.ABLATION[name] for name in SOME}, seeds=(0,))
    made_studies.made_study(root / "imbalance", made_studies.IMBALANCE)
    made_studies.made_study(root / "leakage", made_studies.LEAKAGE, leaks=made_studies.LEAKS)
    return root


@pytest.fixture(scope="module")
def material(runs):
    return load_report_data([runs / name for name in ("main", "ablations", "imbalance", "leakage")])


def overlapping(figure):
    FigureCanvasAgg(figure)  # a figure that pyplot has closed has no canvas that draws
    return draw.overlapping(figure)


def answer(path, column, rows=slice(None)):
    """Let a run answer one class for some of its clips."""
    table = pd.read_parquet(path / "predictions.parquet")
    names = [name for name in table.columns if name.startswith("p_")]
    table.loc[table.index[rows], names] = 0.0
    table.loc[table.index[rows], column] = 1.0
    table.to_parquet(path / "predictions.parquet")


@pytest.fixture(scope="module")
def pictures(material):
    return {module: module.draw(material) for module in ALL}


class TestVariations:
    def test_the_plain_one_is_the_default_of_the_first_study(self, material):
        found = find_variations(material.studies, material.best)
        assert (found.plain.study, found.plain.config.name, found.changes) == ("main", "net", ())
        assert [config.name for config in found.baselines] == ["extra_trees", "majority"]

    def test_they_are_named_by_what_they_change(self, material):
        found = find_variations(material.studies, material.best)
        names = {row.config.name: row.label for row in found.rows if row.study == "ablations"}
        assert names["hidden_128"] == "hidden 128" and names["bottleneck"] == "block bottleneck"
        assert names["gate"] == "with squeeze excitation" and names["no_augmentation"] == "augmentation none"
        assert names["only_flip"] == "augmentation only flip" and names["one_person"] == "people 1"

    def test_one_variation_in_two_studies_stays_two(self, material):
        labels = [row.label for row in find_variations(material.studies, material.best).rows if not row.changes]
        assert labels == ["plain (main)", "plain (ablations)", "plain (imbalance)", "plain (leakage)"]

    def test_what_was_tested_on_other_clips_is_left_out_and_named(self, material):
        found = find_variations(material.studies, material.best)
        assert found.left_out == ("leakage/net_random",)
        assert "leakage/net_random" in deep_residual_variations.note(found)
        assert not found.sample["leaky"]

    def test_other_datasets_are_left_out(self, runs, tmp_path):
        other = shutil.copytree(runs / "ablations", tmp_path / "ablations")
        for path in other.rglob("run.json"):
            record = json.loads(path.read_text())
            record["dataset"]["content_hash"] = "another"
            path.write_text(json.dumps(record))
        material = load_report_data([runs / "main", other])
        found = find_variations(material.studies, material.best)
        assert [row.config.name for row in found.rows] == ["net"]

    def test_folders_of_one_name_and_configs_of_one_setting_have_labels_of_their_own(self, runs, tmp_path):
        made_studies.made_study(tmp_path / "main", {"again": {}, "twin": {}})
        material = load_report_data([runs / "main", tmp_path / "main"])
        labels = [row.label for row in find_variations(material.studies, material.best).rows]
        assert len(set(labels)) == 3 and all(label.startswith("plain (") for label in labels)
        assert any("again" in label for label in labels) and any("twin" in label for label in labels)

    def test_tables_are_those_of_the_configs(self, material):
        found = find_variations(material.studies, material.best)
        table, seeds = found.score_table().set_index("label"), found.seed_table()
        for row in found.rows:
            score = row.config.scores.scores.set_index("metric").loc["macro_f1"]
            assert table.loc[row.label, "mean"] == score["mean"]
            own = seeds[seeds["label"] == row.label]
            assert list(own["seed"]) == row.config.seeds and own["value"].mean() == pytest.approx(score["mean"])
        assert len(found.recall_table()) == len(found.rows) * len(found.plain.config.classes)


class TestDeepResidualVariations:
    def test_bars_dots_and_lines(self, material, pictures):
        drawn = pictures[deep_residual_variations]
        ax, table = drawn.figure.axes[0], drawn.data["variations"]
        ranked = table.sort_values("mean", ascending=False, kind="stable")
        np.testing.assert_allclose([bar.get_width() for bar in ax.patches], 100 * ranked["mean"])
        dots = next(line for line in ax.lines if line.get_label() == "seeds")
        np.testing.assert_allclose(np.sort(dots.get_xdata()), np.sort(100 * drawn.data["seeds"]["value"]))
        upright = {round(line.get_xdata()[0], 6) for line in ax.lines if list(line.get_ydata()) == [0, 1]}
        wanted = [table["mean"].iloc[0], *drawn.data["baselines"]["mean"]]
        assert upright == {round(100 * value, 6) for value in wanted}
        bold = [label.get_text() for label in ax.get_yticklabels() if label.get_fontweight() == "bold"]
        assert len(bold) == 4 and all(label.startswith("plain (") for label in bold)
        assert not overlapping(drawn.figure)

    def test_the_title_gives_the_span_and_the_note_says_what_is_plain(self, material, pictures):
        drawn = pictures[deep_residual_variations]
        table = drawn.data["variations"]
        changed = 100 * table[~table["is_plain"]]["mean"]
        title = drawn.figure.get_suptitle()
        assert f"means from {changed.min():.1f} to {changed.max():.1f} %" in title and "no test" in title
        note = drawn.figure.get_supxlabel().replace("\n", " ")
        assert "The plain one is net of main." in note and "no test" in note
        assert any(text.get_text() == "synthetic data" for text in drawn.figure.texts)
        assert "plain (main)" in drawn.text and "majority" in drawn.text

    def test_a_changed_answer_changes_the_data(self, runs, tmp_path):
        before = deep_residual_variations.draw(load_report_data(runs / "main")).data["variations"]
        other = shutil.copytree(runs / "main", tmp_path / "main")
        answer(other / "net" / "seed-0", "p_sad")
        after = deep_residual_variations.draw(load_report_data(other)).data["variations"]
        assert after["mean"].iloc[0] < before["mean"].iloc[0]


class TestDetails:
    def test_choice_of_validation_and_best_on_test(self, material, pictures):
        drawn = pictures[deep_residual_variations_detailed]
        table, choice = drawn.data["variations"], drawn.figure.axes[1]
        chosen, best = table.loc[table["validation"].idxmax()], table.loc[table["mean"].idxmax()]
        lines = {line.get_label(): line.get_xydata()[0] for line in choice.lines}
        np.testing.assert_allclose(lines["chosen"], [100 * chosen["validation"], 100 * chosen["mean"]])
        np.testing.assert_allclose(lines["best"], [100 * best["validation"], 100 * best["mean"]])
        assert chosen["label"] in drawn.text and best["label"] in drawn.text
        assert not overlapping(drawn.figure)

    def test_recall_and_spread_share_their_rows(self, material, pictures):
        drawn = pictures[deep_residual_variations_detailed]
        heat, spread = drawn.figure.axes[2:4]
        table = drawn.data["variations"].sort_values("mean", ascending=False, kind="stable")
        wide = drawn.data["recall"].pivot(index="label", columns="class", values="recall")
        wanted = wide.loc[table["label"], list(material.classes)]
        np.testing.assert_allclose(np.asarray(heat.images[0].get_array()), 100 * wanted)
        said = [text.get_text() for text in spread.texts]
        assert said == [f"sd {100 * sd:.1f}" if np.isfinite(sd) else "one seed" for sd in table["sd"]]

    def test_one_variation_has_nothing_to_choose_from(self, runs):
        drawn = deep_residual_variations_detailed.draw(load_report_data(runs / "main"))
        written = [text.get_text() for ax in drawn.figure.axes for text in ax.texts]
        assert sum(text.startswith("not run") for text in written) == 2
        assert "1 variation of" in drawn.text

    def test_everything_about_the_plain_one(self, material, pictures):
        drawn = pictures[deep_residual_detailed_analysis]
        config = find_variations(material.studies, material.best).plain.config
        confusion = drawn.data["confusion"].set_index("true").to_numpy()
        accuracy = drawn.data["scores"].set_index("metric").loc["accuracy", "mean"]
        assert np.trace(confusion) / confusion.sum() == pytest.approx(accuracy)
        assert confusion.sum() == config.scores.n_clips * len(config.seeds)
        assert len(drawn.data["history"]) == sum(len(run.history()) for run in config.runs)
        assert "config net of main" in drawn.figure.get_suptitle()
        assert "plain" not in drawn.figure.get_suptitle() and "ablations/base" in drawn.figure.get_supxlabel()
        stars = [line for line in drawn.figure.axes[4].lines if line.get_marker() == "*"]
        assert [float(line.get_xdata()[0]) for line in stars] == [run.record["best_epoch"] for run in config.runs]
        assert not overlapping(drawn.figure)

    def test_runs_without_history(self, runs, tmp_path):
        other = shutil.copytree(runs / "main", tmp_path / "main")
        for path in other.rglob("history.csv"):
            path.unlink()
        drawn = deep_residual_detailed_analysis.draw(load_report_data(other))
        drawn.figure.canvas.draw()
        written = [text.get_text() for ax in drawn.figure.axes for text in ax.texts]
        assert sum("no history" in text.replace("\n", " ") for text in written) == 2 and drawn.data["history"].empty

    def test_folds_and_recordings(self, tmp_path):
        parts = {f"g{i}": {"split": "leave_one_group_out", "fold": f"g{i}", "score_by": "source"} for i in range(3)}
        for fold, values in parts.items():
            made_studies.made_study(tmp_path / fold, {"net": values}, seeds=(0,))
        material = load_report_data(tmp_path)
        drawn = deep_residual_detailed_analysis.draw(material)
        assert "test recordings" in drawn.figure.axes[1].get_title(loc="left")
        assert set(drawn.data["history"]["fold"]) == set(parts)
        deep_residual_variations_detailed.draw(material).figure.canvas.draw()


class TestAblationStudy:
    def test_panels_title_and_text(self, material, pictures):
        drawn = pictures[ablation_study]
        study, table = material.ablation
        assert study.root.name == "ablations" and len(table) == len(drawn.data["ablation"])
        n = (~table["is_base"]).sum()
        assert f"{n} changes to base (deep_residual)" in drawn.figure.get_suptitle()
        panels = {ax.get_title(loc="left"): ax for ax in drawn.figure.axes}
        assert [text.get_text() for text in panels["dropout"].texts] == ["not run"]
        assert len([line for line in panels["hidden"].lines if len(line.get_xdata()) == 1]) == 2
        assert len(panels["hidden"].get_yticks())  # that of a panel that was not run has none to share
        assert "Can be told from the base: " in drawn.text
        assert not overlapping(drawn.figure)

    def test_the_title_counts_what_the_tests_can_tell(self, runs, tmp_path):
        small = {"model": {"hidden": 128}, "skill": 0.1}
        made_studies.made_study(
            tmp_path / "three", {"base": {}, "small": small, "mean": {"model": {"pooling": "mean"}}}
        )
        drawn = ablation_study.draw(load_report_data(tmp_path / "three"))
        assert drawn.figure.get_suptitle().endswith("1 can be told from it")
        told = drawn.text.rsplit(": ", 1)[1]
        assert told == "hidden 128"


class TestNeutralFix:
    def test_scores_and_answers_are_those_of_the_configs(self, material, pictures):
        drawn = pictures[neutral_fix_comparison]
        study, table = material.imbalance
        largest = table.loc[table["true"].idxmax(), "class"]
        means = drawn.data["predicted"].groupby("config")[["predicted", "true"]].mean()
        for config in study.configs:
            np.testing.assert_allclose(
                means.loc[config.name], config.predicted_shares.loc[largest, ["predicted", "true"]]
            )
            scores = drawn.data["scores"].query("config == @config.name").set_index("metric")
            wanted = config.scores.scores.set_index("metric").loc[scores.index]
            np.testing.assert_allclose(scores[["mean", "low", "high"]], wanted[["mean", "low", "high"]])
        hatched = [bar for ax in drawn.figure.axes for bar in ax.patches if bar.get_hatch()]
        assert len(hatched) == 4  # the published bug, in each panel
        assert f"answered {largest}, %" in drawn.figure.axes[-1].get_title(loc="left")
        assert not overlapping(drawn.figure)

    def test_the_title_is_of_the_double_correction(self, runs, tmp_path):
        other = shutil.copytree(runs / "imbalance", tmp_path / "imbalance")
        for seed in (0, 1):
            answer(other / "twice" / f"seed-{seed}", "p_sad")
        drawn = neutral_fix_comparison.draw(load_report_data(other))
        assert drawn.figure.get_suptitle().startswith("Corrected twice, neutral is the answer for 0 % where")
        shutil.rmtree(other / "twice")
        assert "Corrected twice" not in neutral_fix_comparison.draw(load_report_data(other)).figure.get_suptitle()

    def test_two_configs_of_one_regime_have_rows_of_their_own(self, runs, tmp_path):
        other = shutil.copytree(runs / "imbalance", tmp_path / "imbalance")
        made_studies.made_study(other, {"nothing again": {"sampler": "uniform"}})
        regimes = neutral_fix_comparison.draw(load_report_data(other)).data["scores"]["regime"].unique()
        assert {"none (nothing)", "none (nothing again)"} <= set(regimes)


class TestNotRun:
    def test_a_study_without_them_names_the_commands(self, tmp_path):
        made_studies.made_study(tmp_path, {"majority": {"architecture": "majority"}, "gru": {"architecture": "gru"}})
        material = load_report_data(tmp_path)
        for module in ALL:
            drawn = module.draw(material)
            assert "not run" in drawn.text and "poseemo study parameters/studies/" in drawn.text and drawn.data == {}

    def test_baselines_alone(self, tmp_path):
        made_studies.made_study(tmp_path, {"majority": {"architecture": "majority"}}, seeds=(0,))
        assert all("not run" in module.draw(load_report_data(tmp_path)).text for module in ALL)

    def test_a_deleted_study_leaves_an_empty_panel(self, runs):
        assert "not run" in ablation_study.draw(load_report_data(runs / "main")).text
        assert "not run" in neutral_fix_comparison.draw(load_report_data(runs / "main")).text


def test_odd_names_and_a_class_without_test_clips(runs, tmp_path):
    made_studies.made_study(tmp_path / "a$b$ <script>", {"x$y$ <b>": {}, "q|" + "z" * 60: {"model": {"hidden": 128}}})
    for path in (tmp_path / "a$b$ <script>").rglob("predictions.parquet"):
        table = pd.read_parquet(path)
        table[~((table["split"] == "test") & (table["label"] == "fear"))].to_parquet(path)
    material = load_report_data(tmp_path / "a$b$ <script>")
    assert probability_columns(material.classes)
    for module in ALL:
        assert not overlapping(module.draw(material).figure)
    title = deep_residual_detailed_analysis.draw(material).figure.get_suptitle()
    assert r"x\$y\$ <b> of a\$b\$ <script>" in title  # no formula
    recall = deep_residual_detailed_analysis.draw(material).data["recall"].set_index("class")["recall"]
    assert np.isnan(recall["fear"])


def test_settings_of_the_defaults_are_those_of_a_plain_run(material):
    from poseemo_lib.analysis.variations import default_settings

    assert not factors.differing_factors(default_settings("deep_residual"), factors.settings(material.results["net"]))
