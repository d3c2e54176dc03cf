import matplotlib

matplotlib.use("Agg")

import drawings as draw
import matplotlib.pyplot as plt
import numpy as np
import pytest

from poseemo_lib import plots
from poseemo_lib.clips import EMOTIONS
from poseemo_lib.plots import style
from poseemo_lib.plots.labels import spread
from poseemo_lib.plots.size import pareto_front

ODD = ["<script>alert(1)</script>", "a$x_1$b$", "line\nbreak", "naïve&co", "x" * 60]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def texts(fig):
    return [text.get_text() for text in fig.findobj(matplotlib.text.Text)]


def row_names(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def bars(ax):
    return {round(bar.get_y() + bar.get_height() / 2): bar.get_width() for bar in ax.patches}


class TestNoTextsOverlap:
    def test_the_check_finds_overlaps(self):
        fig, ax = plt.subplots()
        ax.text(0.5, 0.5, "one")
        ax.text(0.5, 0.5, "two", rotation=90, rotation_mode="anchor")
        ax.text(0.5, 0.9, "three")
        assert draw.overlapping(fig) in ([("one", "two")], [("two", "one")])

    @pytest.mark.parametrize("configs", [2, 15])
    def test_architectures(self, configs):
        names = (
            [*draw.BASELINES, *draw.ARCHITECTURES][-configs:]
            if configs == 2
            else [*draw.ARCHITECTURES[:11], *draw.BASELINES]
        )
        fig, _ = draw.architectures(names, True, letters=True)
        assert not draw.overlapping(fig)

    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("close", [False, True])
    def test_sizes_of_13_models(self, seed, close, monkeypatch):
        monkeypatch.setattr(draw, "RNG", np.random.default_rng(seed))
        fig, _ = plots.score_against_size(draw.size_table(13, close=close), **draw.COUNTS, synthetic=True)
        assert not draw.overlapping(fig)

    def test_ablations(self):
        assert not draw.overlapping(draw.ablation(draw.EVERY_FACTOR, True)[0])

    @pytest.mark.parametrize("regimes", [2, 6])
    def test_regimes(self, regimes):
        assert not draw.overlapping(
            draw.imbalance([f"both (the published bug) {i}" for i in range(regimes)], EMOTIONS, True)[0]
        )

    def test_leaks(self):
        assert not draw.overlapping(draw.leakage(["majority", "extra_trees", "gru"], ["random", "grouped"], True)[0])

    def test_odd_names(self):
        for fig, _ in (
            draw.architectures(ODD, True),
            draw.ablation({name: ["1", name] for name in ODD}, True),
            draw.imbalance(ODD, tuple(ODD), True),
            draw.leakage(ODD, ["random", "grouped"], True),
        ):
            assert not draw.overlapping(fig)


class TestArchitectureComparison:
    def test_draws_scores_intervals_seeds_and_lines(self):
        scores = draw.score_table(["gru", "majority", "extra_trees"])
        seeds = draw.seed_table(scores)
        fig, axes = plots.architecture_comparison(scores, **draw.COUNTS, seed_scores=seeds, synthetic=False)
        for ax, metric in zip(axes, plots.scores.METRIC_NAMES, strict=True):
            rows = scores[scores["metric"] == metric].set_index("config").loc[row_names(axes[0])]
            assert bars(ax) == pytest.approx(dict(enumerate(100 * rows["mean"])))
            np.testing.assert_allclose([line.get_xdata() for line in ax.lines[:3]], 100 * rows[["low", "high"]])
            dots = next(line for line in ax.lines if line.get_label() == "seeds")
            np.testing.assert_allclose(
                np.sort(dots.get_xdata()), np.sort(100 * seeds[seeds["metric"] == metric]["value"])
            )
            upright = {round(line.get_xdata()[0], 6) for line in ax.lines if list(line.get_ydata()) == [0, 1]}
            wanted = {rows.loc["majority", "mean"], rows.loc["extra_trees", "mean"]}
            wanted |= {1 / 7} if metric == "balanced_accuracy" else set()
            assert upright == {round(100 * value, 6) for value in wanted}
        assert (
            "889 clips in 79 groups, 3 seeds a config" in fig.get_supxlabel()
            and "resampled by group" in fig.get_supxlabel()
        )

    def test_the_best_comes_first_whatever_it_is(self):
        scores = draw.score_table(["gru", "bilstm", "extra_trees"])
        scores["mean"] = scores["config"].map({"gru": 0.5, "bilstm": 0.3, "extra_trees": 0.6})
        _, axes = plots.architecture_comparison(scores, **draw.COUNTS, synthetic=False)
        assert row_names(axes[0]) == ["extra_trees", "gru", "bilstm"]

    def test_one_seed_is_one_seed_and_missing_scores_are_said(self):
        scores = draw.score_table(["gru", "bilstm"], n_seeds=1)
        scores.loc[scores["config"] == "gru", ["mean", "low", "high"]] = np.nan
        scores = scores[~((scores["config"] == "bilstm") & (scores["metric"] == "accuracy"))]
        fig, axes = plots.architecture_comparison(scores, **draw.COUNTS, synthetic=False)
        assert row_names(axes[0]) == ["bilstm", "gru"] and "1 seed a config" in fig.get_supxlabel()
        assert [len(bars(ax)) for ax in axes] == [1, 1, 0]
        assert texts(fig).count("not defined") == 4

    def test_an_interval_that_is_not_defined_is_left_out(self):
        scores = draw.score_table(["gru"]).assign(low=np.nan, high=np.nan)
        fig, axes = plots.architecture_comparison(scores, **draw.COUNTS, synthetic=False)
        fig.canvas.draw()
        assert np.isnan(axes[0].lines[0].get_xdata()).all() and len(bars(axes[0])) == 1

    def test_letters_stand_in_columns(self):
        scores = draw.score_table(["gru", "bilstm", "conv1d"])
        fig, axes = plots.architecture_comparison(
            scores, **draw.COUNTS, synthetic=False, letters={"gru": "a", "bilstm": "a b", "conv1d": "b"}
        )
        names = row_names(axes[0])
        found = {
            (names[round(t.xy[1])], t.get_text()): t.get_position()[0] for t in axes[0].texts if t.get_text() in "ab"
        }
        assert set(found) == {("gru", "a"), ("bilstm", "a"), ("bilstm", "b"), ("conv1d", "b")}
        assert len({x for (_, letter), x in found.items() if letter == "a"}) == 1
        assert found["bilstm", "a"] < found["bilstm", "b"]
        assert "share a letter cannot be told apart" in fig.get_supxlabel().replace("\n", " ")


class TestSize:
    @pytest.mark.parametrize("size", ["n_parameters", "multiply_adds"])
    def test_draws_points_front_and_baselines(self, size):
        table = draw.size_table(5)
        fig, ax = plots.score_against_size(table, **draw.COUNTS, synthetic=False, size=size)
        networks = table[~table["is_baseline"]]
        dots = next(line for line in ax.lines if line.get_label() == "networks")
        np.testing.assert_allclose(dots.get_xydata(), np.c_[networks[size], 100 * networks["mean"]])
        steps = next(line for line in ax.lines if line.get_label() == "Pareto front")
        front = networks.iloc[pareto_front(networks[size], networks["mean"])]
        np.testing.assert_allclose(steps.get_xydata(), np.c_[front[size], 100 * front["mean"]])
        assert ax.get_xscale() == "log" and {*networks["config"]} <= set(texts(fig))
        named = [text for text in texts(fig) if text.split(" ")[0] in draw.BASELINES]
        assert len(named) == 4
        for _, row in table[table["is_baseline"]].iterrows():
            assert any(text.startswith(f"{row['config']} {100 * row['mean']:.1f}") for text in named)

    def test_a_network_of_unknown_size_is_named(self):
        table = draw.size_table(3)
        table.loc[table["config"] == "bilstm", "n_parameters"] = np.nan
        table.loc[0, ["mean", "low", "high"]] = np.nan
        fig, _ = plots.score_against_size(
            table.iloc[:3].assign(n_parameters=[1e5, 2e5, np.nan]), **draw.COUNTS, synthetic=False
        )
        assert "unknown: deep_residual, deep_residual_mean" in fig.get_supxlabel().replace("\n", " ")

    def test_baselines_alone_are_drawn(self):
        fig, ax = plots.score_against_size(draw.size_table(0), **draw.COUNTS, synthetic=False)
        assert not draw.overlapping(fig)

    def test_spread_moves_no_more_than_it_must(self):
        np.testing.assert_allclose(spread([5, 1, 9], 2, 0, 10), [5, 1, 9])
        np.testing.assert_allclose(spread([5, 5], 2, 0, 10), [4, 6])
        assert np.diff(np.sort(spread(draw.RNG.random(9), 1, 0, 10))).min() > 1 - 1e-9
        moved = spread([10, 10, 10], 2, 0, 10)
        assert moved.max() <= 10 and len(spread([], 1, 0, 1)) == 0


class TestAblation:
    def test_draws_every_value_and_marks_the_base_in_each_panel(self):
        table = draw.ablation_table({"hidden": ["256", "128", "512"], "people": ["2", "1"], "odd": ["a", "b"]})
        _, axes = plots.ablation_panels(table, **draw.COUNTS, synthetic=False)
        panels = {ax.get_title(loc="left"): ax for ax in axes}
        assert len(axes) == 10 and "odd" in panels
        for factor in ("hidden", "people"):
            rows, ax = table[table["factor"] == factor], panels[factor]
            assert [label.get_text() for label in ax.get_xticklabels()] == list(rows["value"])
            points = [line for line in ax.lines if len(line.get_xdata()) == 1]
            np.testing.assert_allclose([line.get_ydata()[0] for line in points], 100 * rows["mean"])
            assert [line.get_marker() == "D" for line in points] == list(rows["is_base"])
        assert len({ax.get_ylim() for ax in axes}) == 1
        assert [text.get_text() for text in panels["dropout"].texts] == ["not run"]

    def test_a_factor_with_its_base_only_was_not_run(self):
        fig, axes = draw.ablation({"hidden": ["256"]}, False)
        assert texts(fig).count("not run") == 9

    def test_what_cannot_be_told_from_the_base_is_open(self):
        table = draw.ablation_table({"hidden": ["256", "128", "512"]}).assign(significant=[False, True, False])
        fig, axes = plots.ablation_panels(table, **draw.COUNTS, synthetic=False)
        faces = [line.get_markerfacecolor() for line in axes[0].lines if len(line.get_xdata()) == 1]
        assert [face == "white" for face in faces] == [False, False, True]
        assert (
            "Holm" in fig.get_supxlabel()
            and "Holm" not in draw.ablation({"hidden": ["1", "2"]}, False)[0].get_supxlabel()
        )

    def test_one_seed_and_no_interval(self):
        table = draw.ablation_table({"hidden": ["256", "128"]}).assign(n_seeds=1, low=np.nan, high=np.nan)
        fig, _ = plots.ablation_panels(table, **draw.COUNTS, synthetic=False)
        fig.canvas.draw()
        assert "1 seed a config" in fig.get_supxlabel()


class TestImbalance:
    def test_draws_recall_and_shares(self):
        table = draw.imbalance_table(["none", "focal loss"], EMOTIONS)
        fig, (left, right) = plots.imbalance_regimes(table, EMOTIONS, **draw.COUNTS, synthetic=False)
        recall = table.pivot(index="regime", columns="class", values="recall").loc[
            ["none", "focal loss"], list(EMOTIONS)
        ]
        shown = np.asarray(left.images[0].get_array().filled(np.nan))
        np.testing.assert_allclose(shown[1:, :-1], 100 * recall)
        np.testing.assert_allclose(shown[1:, -1], 100 * recall.mean(axis=1))
        assert np.isnan(shown[0]).all()
        widths = np.array([bar.get_width() for bar in right.patches]).reshape(len(EMOTIONS), 3).T
        for row, regime in ((1, "none"), (2, "focal loss")):
            rows = table[table["regime"] == regime]
            np.testing.assert_allclose(widths[row], 100 * rows["predicted"])
            np.testing.assert_allclose(widths[0], 100 * rows["true"])
            wrong = 50 * (rows["predicted"] - rows["true"]).abs().sum()
            assert right.texts[7 + row].get_text() == f"{wrong:.0f} %"
        np.testing.assert_allclose(widths.sum(1), 100)

    def test_a_class_without_clips_has_no_recall(self):
        table = draw.imbalance_table(["none", "focal loss"], ("a", "b", "c"))
        table.loc[table["class"] == "b", ["recall", "low", "high", "true"]] = np.nan, np.nan, np.nan, 0
        fig, (left, _) = plots.imbalance_regimes(table, ("a", "b", "c"), **draw.COUNTS, synthetic=False)
        assert texts(fig).count("–") == 2
        assert np.isfinite(left.images[0].get_array().filled(np.nan)[1:, -1]).all()


class TestLeakage:
    def test_draws_both_splits_and_says_what_the_audit_found(self):
        table = draw.leakage_table(["majority", "gru"], ["grouped", "random"])
        fig, ax = plots.leakage_comparison(table, {"random": "12 group", "grouped": ""}, synthetic=False)
        names = row_names(ax)
        assert names == ["majority, random", "majority, grouped", "gru, random", "gru, grouped"]
        means = {f"{row.model}, {row.split}": 100 * row["mean"] for _, row in table.iterrows()}
        assert bars(ax) == pytest.approx({i: means[name] for i, name in enumerate(names)})
        hatched = {round(bar.get_y() + 0.35) for bar in ax.patches if bar.get_hatch()}
        assert hatched == {0, 2}
        note = fig.get_supxlabel().replace("\n", " ")
        assert "random (889 clips in 79 groups): the audit found 12 group." in note
        assert "grouped (889 clips in 79 groups): the audit found no leak." in note
        assert "a difference is what such an evaluation would have reported, not skill" in note

    def test_every_split_has_its_own_chance(self):
        table = draw.leakage_table(["gru"], ["grouped", "random"])
        table.loc[table["split"] == "random", "chance"] = 0.5
        _, ax = plots.leakage_comparison(table, {"random": "12 group"}, synthetic=False)
        places = [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":"]
        np.testing.assert_allclose(places, [50, 100 / 7])

    def test_a_score_that_is_missing_leaves_its_row_empty(self):
        table = draw.leakage_table(["gru"], ["grouped", "random"])
        table.loc[table["split"] == "random", ["mean", "low", "high"]] = np.nan
        fig, _ = plots.leakage_comparison(table.assign(n_seeds=1), {}, synthetic=False)
        fig.canvas.draw()
        assert "1 seed a model" in fig.get_supxlabel().replace("\n", " ")


def test_names_are_written_as_they_are():
    assert style.name_text("a$x$b\n c") == r"a\$x\$b c"
    assert style.name_text("x" * 50, 10) == "x" * 9 + "…"
    assert style.count(1, "seed") == "1 seed" and style.count(1200, "clip") == "1,200 clips"
