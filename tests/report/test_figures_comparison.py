import json
import shutil
from dataclasses import replace

import drawings as draw
import made_studies
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color
from sklearn.metrics import f1_score

from poseemo_lib.plots.comparison import Columns, detail_table
from poseemo_lib.plots.curves import training_curves as draw_curves
from poseemo_lib.report.data import ReportData, load_report_data
from poseemo_lib.report.figures import architecture_bars, architecture_detailed_comparison, training_curves
from poseemo_lib.training.evaluation import probability_columns
from poseemo_lib.training.run_folder import STUDY_FILE

ALL = (architecture_bars, architecture_detailed_comparison, training_curves)
MAIN = {
    "majority": {"architecture": "majority"},
    "extra_trees": {"architecture": "extra_trees", "skill": 0.5},
    "net": {"architecture": "conv1d", "skill": 0.9},
    "gru": {"architecture": "gru", "skill": 0.45},
    "bad": {"architecture": "conv1d", "model": {}, "skill": 0.1, "lr": 0.01},
}
NETWORKS = ["net", "gru", "bad"]


@pytest.fixture(autouse=True)
def close_figures():
    """Close a test's own figures; several tests share some, and a closed one draws no more."""
    before = set(plt.get_fignums())
    yield
    for number in set(plt.get_fignums()) - before:
        plt.close(number)


@pytest.fixture(autouse=True, scope="module")
def close_shared_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return made_studies.made_study(tmp_path_factory.mktemp("studies") / "main", MAIN)


@pytest.fixture(scope="module")
def material(runs):
    return load_report_data(runs)


@pytest.fixture(scope="module")
def bars(material):
    return architecture_bars.draw(material)


@pytest.fixture(scope="module")
def details(material):
    return architecture_detailed_comparison.draw(material)


@pytest.fixture(scope="module")
def curves(material):
    return training_curves.draw(material)


def some(root, tmp_path, *names):
    """A study of some configs of another."""
    for name in names:
        shutil.copytree(root / name, tmp_path / "some" / name)
    return tmp_path / "some"


def answer(folder, column):
    """Let a run answer one class always."""
    table = pd.read_parquet(folder / "predictions.parquet")
    table[[name for name in table.columns if name.startswith("p_")]] = 0.0
    table[column] = 1.0
    table.to_parquet(folder / "predictions.parquet")


def change_records(root, change):
    for path in root.rglob("run.json"):
        record = json.loads(path.read_text())
        change(record)
        path.write_text(json.dumps(record))


def macro_f1(material, name):
    """Mean over seeds of scikit-learn's score."""
    config = material.results[name]
    scores = []
    for table in config.predictions("test").values():
        answers = np.array(config.classes)[table[probability_columns(config.classes)].to_numpy().argmax(1)]
        scores.append(f1_score(table["label"], answers, average="macro", labels=sorted(set(table["label"]))))
    return np.mean(scores)


def marks(ax):
    return [line for line in ax.lines if line.get_marker() == "o"]


def note(drawn):
    return drawn.figure.get_supxlabel().replace("\n", " ")


def texts(ax):
    return [text.get_text() for text in ax.texts]


def not_run(drawn):
    return "not run" in drawn.text and any("not run" in text for ax in drawn.figure.axes for text in texts(ax))


class TestBars:
    def test_differences_are_those_of_the_scores(self, material, bars):
        table = bars.data["differences"]
        assert len(table) == 6 and set(table["b"]) == {"majority", "extra_trees"}
        for row in table.itertuples():
            assert row.difference == pytest.approx(macro_f1(material, row.a) - macro_f1(material, row.b))
            assert row.score == pytest.approx(macro_f1(material, row.a))

    def test_networks_are_sorted_by_score_and_the_chosen_one_is_bold(self, material, bars):
        wanted = sorted(NETWORKS, key=lambda name: -macro_f1(material, name))
        labels = bars.figure.axes[0].get_yticklabels()
        assert [label.get_text() for label in labels] == [
            f"{name}, {100 * macro_f1(material, name):.1f} %" for name in wanted
        ]
        bold = [label.get_text() for label in labels if label.get_fontweight() == "bold"]
        assert bold == [f"{material.best.name}, {100 * macro_f1(material, material.best.name):.1f} %"]

    def test_marks_are_filled_where_tests_support_a_difference(self, bars):
        table = bars.data["differences"]
        assert set(table["significant"]) == {True, False}
        for ax, name in zip(bars.figure.axes, ("majority", "extra_trees"), strict=True):
            rows = table[table["b"] == name].reset_index(drop=True)
            for row, mark in zip(rows.itertuples(), marks(ax), strict=True):
                assert mark.get_xydata().tolist() == [[pytest.approx(100 * row.difference), row.Index]]
                assert same_color(mark.get_markerfacecolor(), "white") != row.significant
            ends = [line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 2][1:]
            np.testing.assert_allclose(ends, 100 * rows[["low", "high"]])

    def test_what_is_told_lower_has_another_colour_than_what_is_told_higher(self, bars):
        table = bars.data["differences"].set_index(["a", "b"])
        assert table.loc[("bad", "extra_trees"), "significant"] and table.loc[("net", "extra_trees"), "significant"]
        colours = {mark.get_ydata()[0]: mark.get_color() for mark in marks(bars.figure.axes[1])}
        assert colours[0] != colours[2]
        assert "1 above extra_trees and 1 below it" in bars.figure.get_suptitle()

    def test_note_says_what_it_rests_on(self, bars):
        for text in ("144 clips in 12 groups, 2 seeds", "95 % interval", "Holm", "6 comparisons", "often be missed"):
            assert text in note(bars)
        assert [text.get_text() for text in bars.figure.texts][-1] == "synthetic data"
        assert not draw.overlapping(bars.figure)

    def test_one_seed_claims_nothing_and_says_why(self, runs, tmp_path):
        root = some(runs, tmp_path, "majority", "net")
        shutil.rmtree(root / "net" / "seed-1")
        drawn = architecture_bars.draw(load_report_data(root))
        assert not drawn.data["differences"]["significant"].any()
        assert drawn.figure.get_suptitle() == "Nothing can be told apart: one seed of a network ranks nothing"
        assert all(same_color(mark.get_markerfacecolor(), "white") for mark in marks(drawn.figure.axes[0]))
        assert "often be missed" not in note(drawn)

    def test_few_groups_claim_nothing_and_say_why(self, tmp_path):
        made_studies.made_study(tmp_path, {name: MAIN[name] for name in ("majority", "net")}, n_groups=4)
        drawn = architecture_bars.draw(load_report_data(tmp_path))
        assert "under 8 groups" in drawn.figure.get_suptitle() and not drawn.data["differences"]["significant"].any()

    def test_a_missing_kind_of_baseline_is_a_panel_that_says_so(self, runs, tmp_path):
        drawn = architecture_bars.draw(load_report_data(some(runs, tmp_path, "majority", "net")))
        assert any("not run" in text for text in texts(drawn.figure.axes[1]))
        assert drawn.figure.axes[0].get_yticklabels()[0].get_text().startswith("net")
        drawn = architecture_bars.draw(load_report_data(some(runs, tmp_path / "other", "extra_trees", "net")))
        assert any("no majority baseline" in text for text in texts(drawn.figure.axes[0]))
        assert drawn.figure.axes[0].get_yticklabels()[0].get_text().startswith("net")

    def test_without_baselines_or_networks_it_was_not_run(self, runs, tmp_path):
        for i, names in enumerate((("net", "gru"), ("majority", "extra_trees"))):
            drawn = architecture_bars.draw(load_report_data(some(runs, tmp_path / str(i), *names)))
            assert not_run(drawn) and not drawn.data

    def test_a_changed_answer_changes_the_data(self, runs, tmp_path, bars):
        root = shutil.copytree(runs, tmp_path / "main")
        answer(root / "net" / "seed-0", "p_sad")
        table = architecture_bars.draw(load_report_data(root)).data["differences"]
        changed = ~np.isclose(table.set_index(["a", "b"])["difference"].sort_index(),
                              bars.data["differences"].set_index(["a", "b"])["difference"].sort_index())  # fmt: skip
        assert changed.tolist() == [name == "net" for name in ("bad", "bad", "gru", "gru", "net", "net")]


class TestDetails:
    def test_numbers_are_those_of_the_configs(self, material, details):
        table = details.data["details"].set_index("config")
        for config in material.results.configs:
            row, confusion = table.loc[config.name], config.scores.confusion
            assert row["accuracy"] == pytest.approx(np.trace(confusion) / confusion.sum())
            assert row["macro_f1"] == pytest.approx(macro_f1(material, config.name))
            assert row["ece_calibrated"] == config.calibrated_scores.scores.set_index("metric").loc["ece", "mean"]
            np.testing.assert_allclose(
                [row[f"recall {name}"] for name in config.classes], np.diag(confusion) / confusion.sum(1), atol=0.02
            )
        assert table.loc["net", "n_parameters"] == material.results["net"].n_parameters
        assert table.loc["net", ["seconds", "best_epoch"]].tolist() == [1, 3]
        assert table.loc["majority", ["n_parameters", "multiply_adds", "best_epoch"]].isna().all()
        assert table.loc["majority", "classes_above_5_percent"] == 1

    def test_each_number_is_written_in_its_place(self, material, details):
        table, ax = details.data["details"], details.figure.axes[0]
        at = {}  # column and row -> what is written there, from the top
        for text in sorted(ax.texts, key=lambda text: text.get_position()[1]):
            at.setdefault(tuple(map(round, text.get_position())), []).append(text.get_text())
        for i, row in table.iterrows():
            interval = f"{100 * row['accuracy_low']:.1f} to {100 * row['accuracy_high']:.1f}"
            assert at[0, i] == [f"{100 * row['accuracy']:.1f}", interval]
            recalls = [f"{100 * row[f'recall {name}']:.0f}" for name in material.classes]
            assert [at[9 + j, i][0] for j in range(7)] == recalls
        assert [label.get_text() for label in ax.get_yticklabels()] == table["config"].tolist()
        assert table["macro_f1"].is_monotonic_decreasing

    def test_what_is_written_can_be_read_on_its_colour(self, details):
        ax = details.figure.axes[0]
        shades = ax.images[0].get_array()
        linear = np.where(shades <= 0.04045, shades / 12.92, ((shades + 0.055) / 1.055) ** 2.4)
        luminance = linear @ [0.2126, 0.7152, 0.0722]
        for text in ax.texts:
            if text.get_color() in ("white", "black"):
                behind = luminance[round(text.get_position()[1]), round(text.get_position()[0])]
                own = float(text.get_color() == "white")
                assert (max(own, behind) + 0.05) / (min(own, behind) + 0.05) > 4, text.get_text()
        assert {"white", "black"} <= {text.get_color() for text in ax.texts}

    def test_nothing_lies_on_each_other(self, details):
        assert not draw.overlapping(details.figure)
        assert any(text.get_text() == "synthetic data" for text in details.figure.texts)
        assert "144 clips in 12 groups" in note(details) and "95 %" in note(details)

    def test_configs_that_were_not_run_are_rows_that_say_so(self, runs, tmp_path):
        root = some(runs, tmp_path, "majority", "net")
        planned = [("majority", "majority-0"), ("net", "net-0"), ("net", "net-1"), ("later", "later-0")]
        content = {"runs": [{"config": config, "identity": one, "folder": one} for config, one in planned]}
        (root / STUDY_FILE).write_text(json.dumps(content))
        drawn = architecture_detailed_comparison.draw(load_report_data(root))
        ax = drawn.figure.axes[0]
        assert ax.get_yticklabels()[-1].get_text() == "later"
        assert [text.get_position()[1] for text in ax.texts if text.get_text() == "not run"] == [2]
        assert "Not run: later" in drawn.text and "later" not in set(drawn.data["details"]["config"])

    def test_configs_with_other_clips_come_last_and_are_marked(self, tmp_path):
        made_studies.made_study(tmp_path, made_studies.LEAKAGE, leaks=made_studies.LEAKS)
        drawn = architecture_detailed_comparison.draw(load_report_data(tmp_path))
        labels = [label.get_text() for label in drawn.figure.axes[0].get_yticklabels()]
        assert labels == ["net_grouped", "majority_grouped", "net_random†", "majority_random†"]
        assert "Leaky split: majority_random, net_random." in note(drawn)
        assert any("leaky split" in text.get_text() for text in drawn.figure.texts)

    def test_a_class_without_test_clips_is_a_dash(self, runs, tmp_path):
        root = some(runs, tmp_path, "majority", "net")
        for path in root.rglob("predictions.parquet"):
            table = pd.read_parquet(path)
            table[(table["label"] != "fear") | (table["split"] == "val")].to_parquet(path)
        drawn = architecture_detailed_comparison.draw(load_report_data(root))
        assert drawn.data["details"]["recall fear"].isna().all()
        at = {text.get_position(): text.get_text() for text in drawn.figure.axes[0].texts}
        assert (at[(11, 0)], at[(11, 1)]) == ("–", "–")

    def test_an_ensemble_is_a_row_without_costs(self, runs, tmp_path):
        root = some(runs, tmp_path, "net", "gru")
        drawn = architecture_detailed_comparison.draw(load_report_data(root, base="gru"))
        table = drawn.data["details"].set_index("config")
        row = table.loc["ensemble of 2"]
        assert row[["n_parameters", "seconds", "best_epoch", "ece_calibrated"]].isna().all()
        assert np.isfinite(row["macro_f1"]) and not row["is_chosen"]

    def test_a_changed_answer_changes_the_data(self, runs, tmp_path, details):
        root = some(runs, tmp_path, "majority", "net")
        answer(root / "net" / "seed-0", "p_sad")
        table = architecture_detailed_comparison.draw(load_report_data(root)).data["details"].set_index("config")
        before = details.data["details"].set_index("config")
        assert table.loc["net", "accuracy"] < before.loc["net", "accuracy"]
        assert table.loc["majority", "accuracy"] == before.loc["majority", "accuracy"]

    def test_long_heads_are_turned(self):
        table = pd.DataFrame({"is_baseline": False, "is_chosen": True, "is_apart": False, "a": [0.5], "b": [np.nan]},
                             index=["config"])  # fmt: skip
        groups = [Columns("one", {"a": "a very long name", "b": "another long one"}, "Blues", "{:.1f}".format, 1)]
        fig, ax = detail_table(table, groups, synthetic=False)
        assert {label.get_rotation() for label in ax.get_xticklabels()} == {40}
        assert not draw.overlapping(fig)


class TestCurves:
    def test_lines_are_the_logged_histories_of_all_seeds(self, material, curves):
        loss, score = curves.figure.axes[:2]
        for i, run in enumerate(material.best.runs):
            history = run.history()
            lines = loss.lines[3 * i : 3 * i + 2]
            np.testing.assert_allclose([line.get_ydata() for line in lines], history[["train_loss", "val_loss"]].T)
            np.testing.assert_allclose(score.lines[2 * i].get_ydata(), 100 * history["val_macro_f1"])
        assert len(score.lines) == 2 * len(material.best.runs)

    def test_stars_are_at_the_chosen_epoch(self, runs, tmp_path):
        root = some(runs, tmp_path, "net", "gru")
        change_records(root, lambda record: record.update(best_epoch=2 + record["parameters"]["seed"]))
        drawn = training_curves.draw(load_report_data(root))
        for ax in drawn.figure.axes:
            assert [list(line.get_xdata()) for line in ax.lines if line.get_marker() == "*"] == [[2], [3]]
        assert "epochs 2 to 3 of 4: never the last one" in drawn.figure.get_suptitle()
        assert "epoch 2 of 4" in drawn.text and "epoch 3 of 4" in drawn.text

    def test_other_networks_are_small_panels_of_one_scale(self, curves):
        titles = [ax.get_title(loc="left") for ax in curves.figure.axes[2:]]
        assert sorted(titles) == ["bad", "gru"]
        assert len({ax.get_ylim() for ax in curves.figure.axes[1:]}) == 1
        assert len({ax.get_xlim() for ax in curves.figure.axes[2:]}) == 1
        assert set(curves.data["curves"]["config"]) == set(NETWORKS)

    def test_epochs_are_whole_numbers(self, curves):
        for ax in curves.figure.axes:
            low, high = ax.get_xlim()
            ticks = [tick for tick in ax.get_xticks() if low <= tick <= high]
            assert ticks and all(tick == round(tick) for tick in ticks)

    def test_nothing_lies_on_each_other(self, curves):
        assert not draw.overlapping(curves.figure)
        assert "2 seeds" in note(curves) and "144 validation clips in 12 groups" in note(curves)
        assert any(text.get_text() == "synthetic data" for text in curves.figure.texts)

    def test_of_folds_the_first_is_drawn_and_said(self, runs, tmp_path):
        root = tmp_path / "folds"
        for fold in ("b", "a"):
            other = shutil.copytree(runs / "net", root / "net" / f"fold-{fold}")
            change_records(other, lambda record, fold=fold: record["parameters"].update(fold=fold))
            for path in other.rglob("history.csv"):
                pd.read_csv(path).assign(val_macro_f1=0.2 if fold == "a" else 0.7).to_csv(path, index=False)
        drawn = training_curves.draw(load_report_data(root))
        assert set(drawn.data["curves"]["fold"]) == {"a"}
        assert (drawn.data["curves"]["val_macro_f1"] == 0.2).all()
        assert "only the first of 2 is drawn, which tests a" in note(drawn)
        assert drawn.figure.get_suptitle().endswith("(first of 2 folds)")

    def test_without_network_or_history_it_was_not_run(self, runs, tmp_path):
        assert not_run(training_curves.draw(load_report_data(some(runs, tmp_path / "a", "majority", "extra_trees"))))
        root = some(runs, tmp_path / "b", "net")
        for path in root.rglob("history.csv"):
            path.unlink()
        assert not_run(training_curves.draw(load_report_data(root)))

    def test_a_network_without_history_is_an_empty_panel(self, runs, tmp_path):
        for missing in ("gru", "net"):
            root = some(runs, tmp_path / missing, "net", "gru")
            for path in (root / missing).rglob("history.csv"):
                path.unlink()
            drawn = training_curves.draw(load_report_data(root))
            empty = [ax for ax in drawn.figure.axes if any("not run" in text for text in texts(ax))]
            assert len(empty) == (2 if missing == "net" else 1)

    @pytest.mark.parametrize("n_epochs, n_seeds", [(1, 1), (1, 3), (40, 6)])
    def test_one_epoch_and_many_seeds(self, n_epochs, n_seeds):
        table = pd.DataFrame(
            [(seed, epoch) for seed in range(n_seeds) for epoch in range(1, n_epochs + 1)], columns=["seed", "epoch"]
        ).assign(train_loss=1.0, val_loss=1.0, val_macro_f1=0.3, is_best=lambda rows: rows["epoch"] == n_epochs)
        both = pd.concat([table.assign(config=name) for name in ("one $x$", "<two>")])
        fig, axes = draw_curves(both, ["one $x$", "<two>"], synthetic=True, title="t", sample="s")
        assert not draw.overlapping(fig) and set(axes) == {"loss", "score", "<two>"}


@pytest.mark.parametrize("names", [("net",), ("majority",), ("majority", "net")])
def test_any_study_makes_every_figure(runs, tmp_path, names):
    material = load_report_data(some(runs, tmp_path, *names))
    for module in ALL:
        drawn = module.draw(material)
        drawn.figure.draw_without_rendering()
        assert drawn.text and all(isinstance(table, pd.DataFrame) for table in drawn.data.values())


def test_names_from_data_start_no_formula(runs, tmp_path):
    material = load_report_data(some(runs, tmp_path, "majority", "net"))
    configs = [replace(config, name=f"<b>${config.name}_$ and a name that is far too long to be written") for config in
             material.results.configs]  # fmt: skip
    for module in ALL:
        drawn = module.draw(ReportData((replace(material.results, configs=configs),)))
        assert not draw.overlapping(drawn.figure)


def test_the_mark_of_a_leak(tmp_path):
    leaky = {name: made_studies.LEAKAGE[name] for name in ("majority_random", "net_random")}
    made_studies.made_study(tmp_path, leaky, leaks=made_studies.LEAKS)
    material = load_report_data(tmp_path)
    for module in ALL:
        assert any("leaky split" in text.get_text() for text in module.draw(material).figure.texts)
