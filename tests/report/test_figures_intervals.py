"""Every score that is drawn has its interval."""

import json

import drawings as draw
import made_studies
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from made_runs import CLASSES, make_table
from matplotlib.collections import LineCollection

from poseemo_lib.analysis.reliability import predicted_share, reliability_table
from poseemo_lib.plots.calibration import reliability_diagram
from poseemo_lib.plots.infographic import fit_text
from poseemo_lib.report.data import load_report_data
from poseemo_lib.report.figures import architecture_detailed_comparison, neutral_fix_comparison, summary_infographic
from poseemo_lib.training.evaluation import probability_columns

MAIN = {"majority": {"architecture": "majority"}, "net": {"architecture": "conv1d", "skill": 0.8}, "gru": {}}
SECONDS = {"net": (40.0, 121.0)}
NOTES = ("Recall: the share", "Balanced accuracy, ", "How often ")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    root = tmp_path_factory.mktemp("studies")
    made_studies.made_study(root / "main", MAIN)
    made_studies.made_study(root / "imbalance", made_studies.IMBALANCE)
    made_studies.made_study(root / "leakage", made_studies.LEAKAGE, leaks=made_studies.LEAKS)
    for config, each in SECONDS.items():
        for seed, seconds in enumerate(each):
            path = root / "main" / config / f"seed-{seed}" / "run.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | {"seconds": seconds, "best_epoch": 2 + seed}))
    return load_report_data([root / name for name in ("main", "imbalance", "leakage")])


class TestTable:
    def test_every_score_has_the_interval_of_its_config_and_runs_their_least_and_most(self, material):
        table = architecture_detailed_comparison.details(material)
        for config in material.results.configs:
            row, scores = table.loc[config.name], config.scores.scores.set_index("metric")
            wanted = {name: scores.loc[name] for name in ("accuracy", "ece", "kappa", "classes_above_5_percent")}
            wanted["ece_calibrated"] = config.calibrated_scores.scores.set_index("metric").loc["ece"]
            recall = config.scores.per_class.query("metric == 'recall'").set_index("class")
            wanted |= {f"recall {name}": recall.loc[name] for name in config.classes}
            for name, one in wanted.items():
                assert row[[name, f"{name}_low", f"{name}_high"]].tolist() == one[["mean", "low", "high"]].tolist()
        net = table.loc["net"]
        assert net[["seconds", "seconds_low", "seconds_high"]].tolist() == [80.5, 40, 121]
        assert net[["best_epoch", "best_epoch_low", "best_epoch_high"]].tolist() == [2.5, 2, 3]
        # one seed counts of a baseline without chance in it
        assert table.loc["majority", ["seconds_low", "seconds_high"]].isna().all()

    def test_each_interval_is_written_under_its_number_and_can_be_read(self, material):
        drawn = architecture_detailed_comparison.draw(material)
        table, ax = drawn.data["details"], drawn.figure.axes[0]
        small = [text for text in ax.texts if " to " in text.get_text()]
        # of all but parameters, multiply-adds and the baseline's seconds and epoch
        assert len(small) == len(table) * (4 + 2 + 2 + 1 + 7 + 2) - 2
        assert min(text.get_fontsize() for text in small) >= 7
        i = table.index[table["config"] == "net"][0]
        row = [text.get_text() for text in small if round(text.get_position()[1]) == i]
        net = table.loc[i]
        assert f"{100 * net['ece_low']:.1f} to {100 * net['ece_high']:.1f}" in row and "40 to 121" in row
        assert f"{100 * net['recall sad_low']:.0f} to {100 * net['recall sad_high']:.0f}" in row
        said = drawn.figure.get_supxlabel().replace("\n", " ")
        assert "Small numbers: 95 % bootstrap interval" in said and "seconds and epoch: the least and the most" in said
        assert not draw.overlapping(drawn.figure)

    def test_numbers_of_a_column_do_not_lie_on_those_of_the_next(self, material):
        fig = architecture_detailed_comparison.draw(material).figure
        fig.canvas.draw()
        ax = fig.axes[0]
        width = np.diff(ax.transData.transform([[0, 0], [1, 0]])[:, 0])[0]
        assert max(text.get_window_extent().width for text in ax.texts if " to " in text.get_text()) < width


class TestAnsweredShare:
    def test_it_equals_a_naive_bootstrap_over_groups(self, material):
        config = material.results["net"]
        tables = config.predictions("test")
        share = predicted_share(tables, config.classes, "neutral", n_bootstrap=200)
        answers = {
            seed: np.array(config.classes)[table[probability_columns(config.classes)].to_numpy().argmax(1)]
            for seed, table in tables.items()
        }
        groups = sorted(set(tables[0]["group_id"]))
        draws = np.random.default_rng(0).multinomial(len(groups), np.full(len(groups), 1 / len(groups)), 200)
        naive = []
        for drawn in draws:
            times = dict(zip(groups, drawn, strict=True))
            repeated = [np.repeat(answers[seed], tables[seed]["group_id"].map(times)) for seed in tables]
            naive.append(np.mean([(one == "neutral").mean() for one in repeated]))
        assert share["mean"] == pytest.approx(np.mean([(one == "neutral").mean() for one in answers.values()]))
        assert share[["low", "high"]].tolist() == pytest.approx(np.percentile(naive, [2.5, 97.5]).tolist())
        assert predicted_share(tables, config.classes, "no class").tolist() == [0, 0, 0]

    def test_the_panel_of_answers_draws_it_and_keeps_values_off_the_truth(self, material):
        drawn = neutral_fix_comparison.draw(material)
        study, table = material.imbalance
        largest = table.loc[table["true"].idxmax(), "class"]
        answered, ax = drawn.data["predicted"], drawn.figure.axes[-1]
        lines = [np.ravel(line.get_data()) for line in ax.lines if len(line.get_xdata()) == 2]
        for config in study.configs:
            share = predicted_share(config.predictions("test"), config.classes, largest)
            rows = answered[answered["config"] == config.name]
            assert (rows[["low", "high"]] == share[["low", "high"]]).all(axis=None)
            assert any(np.allclose(line[:2], 100 * share[["low", "high"]]) for line in lines)
            interval = f"{100 * share['mean']:.1f} % ({100 * share['low']:.1f} to {100 * share['high']:.1f})"
            assert f"{largest} answered for {interval}" in drawn.text
        drawn.figure.canvas.draw()
        true = ax.transData.transform((100 * answered["true"].iloc[0], 0))[0]
        boxes = [text.get_window_extent() for text in ax.texts if text.get_text().replace(".", "").isdigit()]
        assert boxes and not any(box.x0 < true < box.x1 for box in boxes)


def test_raw_and_calibrated_confidences_have_intervals():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    raw, calibrated = (make_table(labels, labels, np.repeat([f"g{i}" for i in range(12)], 25)) for _ in range(2))
    for table, alpha in ((raw, 0.5), (calibrated, 1)):
        table[probability_columns(CLASSES)] = rng.dirichlet(np.full(3, alpha), 300)
    tables = [reliability_table({0: table}, CLASSES) for table in (raw, calibrated)]
    errors = pd.DataFrame({"mean": 0.2, "low": 0.1, "high": 0.3}, ["before", "after"])
    _, ax = reliability_diagram(*tables, errors)
    lines = [one for one in ax.collections if isinstance(one, LineCollection)]
    for one, table in zip(lines, tables, strict=True):
        table = table.dropna(subset="low")
        drawn = np.array([path.vertices for path in one.get_paths() if np.isfinite(path.vertices).all()])
        assert len(drawn) == len(table) > 5
        np.testing.assert_allclose(drawn[:, :, 1], 100 * table[["low", "high"]])
        np.testing.assert_allclose(drawn[:, 0, 0], 100 * table["confidence"])
    # those of the raw ones are light and still seen where both lie on each other
    assert lines[0].get_linewidth() < lines[1].get_linewidth() and lines[0].get_zorder() > lines[1].get_zorder()


class TestPoster:
    def test_the_notes_under_the_small_pictures_are_of_one_size_and_nothing_overlaps(self, material):
        fig = summary_infographic.draw(material).figure
        starts = [next(text for text in fig.texts if text.get_text().startswith(start)) for start in NOTES]
        assert [text.get_fontsize() for text in starts] == [10.5] * 3
        assert not draw.overlapping(fig)

    def test_long_names_leave_the_note_of_the_leak_as_large(self, material):
        panel = summary_infographic.leak_panel(material)
        note = panel.note.replace("study leakage", f"study {20 * 'm'}", 1)
        lines, size = fit_text(note, 10.5, 3.27, 0.78)
        assert len(panel.bars) == 2 and size == 10.5 and " ".join(lines) == note

    def test_shares_of_answers_have_the_intervals_of_the_configs(self, material):
        bars = summary_infographic.double_panel(material).bars.set_index("name")
        study, table = material.imbalance
        largest = table.loc[table["true"].idxmax(), "class"]
        ends = bars.loc["answered, uncorrected", ["value", "low", "high"]].tolist()
        plain = study[table.loc[table["regime"] == "none", "config"].iloc[0]]
        assert ends == predicted_share(plain.predictions("test"), plain.classes, largest).tolist()
        assert bars.loc["true share", ["low", "high"]].isna().all()
