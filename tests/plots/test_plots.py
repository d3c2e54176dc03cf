import inspect

import drawings as draw
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from poseemo_lib import plots
from poseemo_lib.clips import EMOTIONS
from poseemo_lib.plots import marks, style
from poseemo_lib.plots.labels import label_points
from poseemo_lib.plots.predictions import predictions_over_time

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def clip_table(n):
    return pd.DataFrame({"label": RNG.choice(EMOTIONS, n), "group_id": RNG.integers(0, 1 + n // 10, n).astype(str)})


def history(n):
    columns = {name: RNG.random(n) for name in ("train_loss", "val_loss", "val_macro_f1", "lr")}
    return pd.DataFrame({"epoch": np.arange(1, n + 1), **columns})


def walking(n_frames, people):
    keypoints = RNG.normal(100, 20, (n_frames, people, 17, 3))
    keypoints[RNG.random(keypoints.shape[:3]) < 0.2] = np.nan
    return keypoints


def draw_data(n, synthetic):
    split = RNG.choice(["train", "val", "test"], n)
    return plots.data_distribution(clip_table(n), split, EMOTIONS, synthetic=synthetic)


def draw_confusion(n, top, synthetic, **more):
    classes = EMOTIONS if n == 7 else tuple(f"class {i}" for i in range(n))
    return plots.confusion_matrix(RNG.integers(0, top, (n, n)), classes, synthetic=synthetic, title="model", **more)


def draw_curves(seeds, epochs, synthetic, **more):
    histories = {k: history(epochs) for k in range(seeds)}
    return plots.learning_curves(histories, {k: epochs for k in range(seeds)}, synthetic=synthetic, **more)


def draw_traces(n_frames, joints, synthetic):
    features = RNG.normal(size=(n_frames, 238))
    return plots.feature_traces(features, np.ones(n_frames, bool), joints, fps=25, synthetic=synthetic)


# name -> (a tiny drawing, a large one)
DRAWINGS = {
    "data_distribution": (lambda s: draw_data(1, s), lambda s: draw_data(20_000, s)),
    "missing_share": (
        lambda s: plots.missing_share(np.zeros(17), n_frames=0, synthetic=s),
        lambda s: plots.missing_share(np.ones(17), n_frames=10**7, synthetic=s),
    ),
    "confusion_matrix": (lambda s: draw_confusion(2, 1, s), lambda s: draw_confusion(12, 10**4, s, n_seeds=5)),
    "learning_curves": (lambda s: draw_curves(1, 1, s), lambda s: draw_curves(4, 60, s, title="deep_residual")),
    "skeleton_strip": (
        lambda s: plots.skeleton_strip(walking(1, 1), synthetic=s),
        lambda s: plots.skeleton_strip(walking(900, 2), synthetic=s, n=8, fps=25, title="clip"),
    ),
    "feature_traces": (
        lambda s: draw_traces(1, ("nose",), s),
        lambda s: draw_traces(500, ("nose", "left_wrist", "left_ankle"), s),
    ),
}


def test_every_plot_is_drawn_here():
    assert set(DRAWINGS) == set(plots.__all__)


@pytest.mark.parametrize("size", [0, 1], ids=["tiny", "large"])
@pytest.mark.parametrize("name", DRAWINGS)
def test_draws_inside_the_figure_and_off_the_mark(name, size):
    before = dict(plt.rcParams)
    fig, axes = DRAWINGS[name][size](True)
    assert dict(plt.rcParams) == before
    assert isinstance(fig, Figure) and all(ax.figure is fig for ax in np.ravel(axes))
    assert not draw.overlapping(fig)
    assert draw.words(fig).count(style.SYNTHETIC_TEXT) == 1


@pytest.mark.parametrize("name", DRAWINGS)
def test_real_data_are_not_called_synthetic_and_the_kind_must_be_said(name):
    fig, _ = DRAWINGS[name][0](False)
    assert style.SYNTHETIC_TEXT not in draw.words(fig)
    parameter = inspect.signature(getattr(plots, name)).parameters["synthetic"]
    assert parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty


def test_given_axes_are_used_and_the_mark_comes_once():
    fig, ax = plt.subplots()
    assert draw_confusion(2, 9, True, ax=ax) == (fig, ax)
    style.finish(fig, synthetic=True)
    assert draw.words(fig).count(style.SYNTHETIC_TEXT) == 1


@pytest.mark.parametrize("synthetic", [True, False])
def test_figures_of_leaky_runs_say_so(synthetic):
    fig, _ = plots.confusion_matrix(np.eye(2, dtype=int), ("a", "b"), synthetic=synthetic, leaky=True)
    assert style.LEAKY_TEXT in draw.words(fig) and (style.SYNTHETIC_TEXT in draw.words(fig)) == synthetic


def test_data_distribution_counts():
    table = pd.DataFrame({"label": ["happy", "happy", "sad"], "group_id": ["a", "b", "b"]})
    fig, ax = plots.data_distribution(table, ["train", "test", "train"], EMOTIONS, synthetic=False)
    assert [text.get_text().strip() for text in ax.texts][3:6] == ["2 (67 %)", "0 (0 %)", "1 (33 %)"]
    assert "train: 2 clips in 2 groups" in draw.words(fig) and "val: 0 clips in 0 groups" in draw.words(fig)
    assert sum(bar.get_width() for bar in ax.patches) == 3


def test_confusion_is_normalised_by_row_and_a_class_without_clips_is_dashes():
    fig, ax = plots.confusion_matrix([[3, 1], [0, 0]], ("a", "b"), synthetic=False)
    np.testing.assert_allclose(ax.collections[0].get_array().filled(np.nan), [[75, 25], [np.nan, np.nan]])
    assert {"75 %\n3", "25 %\n1", "–"} == {text.get_text() for text in ax.texts}
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a (4)", "b (0)"]


def test_learning_curves_draw_the_mean_the_range_and_the_chosen_epochs():
    histories = {4: history(10), 5: history(10)}
    _, axes = plots.learning_curves(histories, {4: 7, 5: 10}, synthetic=False)
    line, star = axes[1].lines
    scores = 100 * np.array([table["val_macro_f1"] for table in histories.values()])
    np.testing.assert_allclose(line.get_ydata(), scores.mean(0))
    np.testing.assert_allclose(star.get_xydata(), [[7, scores[0, 6]], [10, scores[1, 9]]])
    band = axes[1].collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(scores.max()) and band[:, 1].min() == pytest.approx(scores.min())
    assert all(tick == round(tick) for ax in axes for tick in ax.get_xticks())
    _, axes = plots.learning_curves(histories, {}, synthetic=False)
    assert not len(axes[1].lines[1].get_xdata())


def test_skeletons_have_y_down_and_no_missing_joints():
    keypoints = np.full((3, 2, 17, 3), np.nan)
    keypoints[:, 0] = np.linspace(0, 1, 17 * 3).reshape(17, 3)
    keypoints[0, 0, 10] = np.nan
    _, axes = plots.skeleton_strip(keypoints, synthetic=False)
    low, high = axes[0].get_ylim()
    assert len(axes) == 3 and low > high
    ends = [[line.get_xdata() for line in ax.lines] for ax in axes]
    drawn = [sum(np.isfinite(x).all() and len(x) == 2 for x in lines) for lines in ends]
    assert drawn[0] == drawn[1] - 1  # the right wrist has one edge
    assert len(plots.skeleton_strip(np.full((5, 1, 17, 3), np.nan), synthetic=False)[1]) == 5


def test_traces_leave_gaps_where_a_joint_was_not_seen():
    features = np.ones((20, 238))
    features[8:10] = 0
    _, axes = plots.feature_traces(features, np.arange(20) < 18, ["left_wrist"], fps=10, synthetic=False)
    for ax, lost in zip(axes[:, 0], ([8, 9, 18, 19], [0, 8, 9, 10, 18, 19], [0, 1, 8, 9, 10, 11, 18, 19]), strict=True):
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(ax.lines[0].get_ydata())), lost)
    assert axes[0, 0].lines[0].get_xdata()[-1] == 1.9


@pytest.mark.parametrize("classes, n", [(EMOTIONS, 3), (("calm", "a$x_1$b$", "happy"), 3), (EMOTIONS, 1)])
def test_every_class_is_a_line_of_its_own_look_over_time(classes, n):
    values = np.random.default_rng(0).dirichlet(np.ones(len(classes)), n)
    rows = pd.DataFrame(values, columns=[f"p_{one}" for one in classes]).assign(stop_seconds=[2.6, 2.8, 3.0][:n])
    fig, ax = predictions_over_time(rows, classes, threshold=0.4, synthetic=True, title="A clip")
    for line, name in zip(ax.lines, classes, strict=True):
        assert line.get_color() == style.emotion_mark(name, classes)[0]
        np.testing.assert_allclose(line.get_xydata(), rows[["stop_seconds", f"p_{name}"]])
    assert not draw.overlapping(fig) and style.SYNTHETIC_TEXT in draw.words(fig)


class TestMarks:
    ROW = {"mean": 0.3, "low": 0.2, "high": 0.4}

    @pytest.mark.parametrize("draw_one", [marks.draw_point, marks.draw_bar])
    @pytest.mark.parametrize("vertical", [False, True])
    def test_a_share_its_interval_and_its_value(self, draw_one, vertical):
        _, ax = plt.subplots()
        draw_one(ax, 2, self.ROW, colour="red", vertical=vertical, written="{:.1f}", beyond=0.8)
        turn = slice(None, None, -1 if vertical else 1)
        interval, point = ax.lines
        np.testing.assert_allclose(interval.get_xydata()[:, turn], [[20, 2], [40, 2]])
        np.testing.assert_allclose(point.get_xydata()[:, turn], [[30, 2]])
        assert ax.texts[0].get_text() == "30.0" and ax.texts[0].xy[turn] == pytest.approx((80, 2))
        for bar in ax.patches:
            assert (bar.get_height() if vertical else bar.get_width()) == 30

    def test_an_unknown_share_is_said_and_an_unknown_interval_left_out(self):
        _, ax = plt.subplots()
        marks.draw_bar(ax, 0, dict.fromkeys(self.ROW, np.nan), colour="red")
        assert ax.texts[0].get_text() == "not defined" and not ax.patches and not ax.lines
        marks.draw_bar(ax, 0, self.ROW | {"low": np.nan, "high": np.nan}, colour="red", written="{:.0f}")
        ax.figure.draw_without_rendering()
        assert len(ax.patches) == 1 and ax.texts[1].get_text() == "30"

    def test_reference_lines_are_named_on_levels_of_their_own(self):
        _, ax = plt.subplots()
        marks.limit_scores(ax, [0.9])
        lines = [(0.5, "majority", "red", "--"), (0.51, "another of a long name", "blue", "-"), (np.nan, "x", "k", "-")]
        marks.draw_references(ax, lines, "macro-F1, %")
        assert [line.get_xdata()[0] for line in ax.lines] == [50, 51] and not draw.overlapping(ax.figure)

    @pytest.mark.parametrize("seed", range(3))
    def test_labels_of_crowded_points_do_not_overlap(self, seed):
        rng = np.random.default_rng(seed)
        fig, ax = plt.subplots(figsize=(9, 5), layout="constrained")
        x, y = rng.uniform(0, 1, 13), rng.uniform(50, 53, 13)
        ax.plot(x, y, "o")
        label_points(ax, x, y, [f"deep_residual_{i}" for i in range(13)])
        assert not draw.overlapping(fig)


def test_names_are_written_as_they_are():
    assert style.name_text("a$x$b\n c") == r"a\$x\$b c"
    assert style.name_text("x" * 50, 10) == "x" * 9 + "…"
    assert style.seeds_text([1, 3]) == "1 to 3 seeds" and style.seeds_text([1]) == "1 seed"
