import inspect

import drawings as draw
import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from poseemo_lib import plots
from poseemo_lib.clips import EMOTIONS
from poseemo_lib.plots import style

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def clip_table(n):
    return pd.DataFrame({"label": RNG.choice(EMOTIONS, n), "group_id": RNG.integers(0, 1 + n // 10, n).astype(str)})


def history(n):
    epochs = np.arange(1, n + 1)
    columns = {name: RNG.random(n) for name in ("train_loss", "val_loss", "val_macro_f1", "lr")}
    return pd.DataFrame({"epoch": epochs, **columns})


def walking(n_frames, people):
    keypoints = RNG.normal(100, 20, (n_frames, people, 17, 3))
    keypoints[RNG.random(keypoints.shape[:3]) < 0.2] = np.nan
    return keypoints


def draw_data(n, synthetic, **more):
    return plots.data_distribution(
        clip_table(n), RNG.choice(["train", "val", "test"], n), EMOTIONS, synthetic=synthetic, **more
    )


def draw_confusion(n, top, synthetic, **more):
    classes = EMOTIONS if n == 7 else tuple(f"class {i}" for i in range(n))
    return plots.confusion_matrix(RNG.integers(0, top, (n, n)), classes, synthetic=synthetic, title="model", **more)


def draw_curves(seeds, epochs, synthetic, **more):
    histories = {k: history(epochs) for k in range(seeds)}
    return plots.learning_curves(histories, {k: epochs for k in range(seeds)}, synthetic=synthetic, **more)


def draw_traces(n_frames, joints, synthetic, **more):
    features = RNG.normal(size=(n_frames, 238))
    return plots.feature_traces(features, np.ones(n_frames, bool), joints, fps=25, synthetic=synthetic, **more)


# name -> (a tiny drawing, a large one)
DRAWINGS = {
    "architecture_comparison": (
        lambda s: draw.architectures(["majority"], s),
        lambda s: draw.architectures([f"config {i}" for i in range(25)] + ["majority"], s, letters=True),
    ),
    "score_against_size": (lambda s: draw.sizes(1, s), lambda s: draw.sizes(13, s)),
    "ablation_panels": (lambda s: draw.ablation({}, s), lambda s: draw.ablation(draw.EVERY_FACTOR, s)),
    "imbalance_regimes": (
        lambda s: draw.imbalance(["none"], ("a", "b"), s),
        lambda s: draw.imbalance([f"regime {i}" for i in range(8)], EMOTIONS, s),
    ),
    "leakage_comparison": (
        lambda s: draw.leakage(["gru"], ["random"], s),
        lambda s: draw.leakage(["majority", "gru", "x" * 40], ["random", "grouped", "official"], s),
    ),
    "data_distribution": (lambda s: draw_data(1, s), lambda s: draw_data(20_000, s, missing=RNG.random(20_000))),
    "missing_share": (
        lambda s: plots.missing_share(np.zeros(17), n_frames=0, synthetic=s),
        lambda s: plots.missing_share(np.ones(17), n_frames=10**7, synthetic=s),
    ),
    "confusion_matrix": (lambda s: draw_confusion(2, 1, s), lambda s: draw_confusion(12, 10**5, s, n_seeds=5)),
    "learning_curves": (lambda s: draw_curves(1, 1, s), lambda s: draw_curves(10, 300, s, title="deep_residual")),
    "skeleton_strip": (
        lambda s: plots.skeleton_strip(walking(1, 1), synthetic=s),
        lambda s: plots.skeleton_strip(walking(900, 2), synthetic=s, n=8, fps=25, title="clip"),
    ),
    "feature_traces": (
        lambda s: draw_traces(1, ("nose",), s),
        lambda s: draw_traces(500, ("nose", "left_wrist", "left_ankle"), s),
    ),
}


def texts(fig):
    return [text.get_text() for text in fig.findobj(matplotlib.text.Text)]


def test_every_plot_is_drawn_here():
    assert set(DRAWINGS) == set(plots.__all__)


@pytest.mark.parametrize("size", [0, 1], ids=["tiny", "large"])
@pytest.mark.parametrize("name", DRAWINGS)
def test_draws_inside_the_figure_and_off_the_mark(name, size):
    before = dict(plt.rcParams)
    fig, axes = DRAWINGS[name][size](True)
    assert dict(plt.rcParams) == before
    assert isinstance(fig, Figure) and all(ax.figure is fig for ax in np.ravel(axes))
    fig.canvas.draw()
    boxes = {text: text.get_window_extent() for text in draw.written(fig)}
    mark = next(box for text, box in boxes.items() if text.get_text() == style.SYNTHETIC_TEXT)
    page = fig.bbox.padded(2)
    for text, box in boxes.items():
        assert page.contains(*box.min) and page.contains(*box.max), text
        assert text.get_text() == style.SYNTHETIC_TEXT or not mark.overlaps(box), text


@pytest.mark.parametrize("name", DRAWINGS)
def test_real_data_are_not_called_synthetic(name):
    fig, _ = DRAWINGS[name][0](False)
    assert style.SYNTHETIC_TEXT not in texts(fig)


@pytest.mark.parametrize("name", plots.__all__)
def test_synthetic_must_be_said(name):
    parameter = inspect.signature(getattr(plots, name)).parameters["synthetic"]
    assert parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty


def test_given_axes_are_used():
    fig, axes = plt.subplots(1, 3)
    assert draw.architectures(["gru", "majority"], False, axes=axes)[0] is fig
    fig, ax = plt.subplots()
    assert draw_confusion(2, 9, True, ax=ax) == (fig, ax)
    assert style.SYNTHETIC_TEXT in texts(fig)


def test_the_mark_comes_once():
    fig, _ = draw_confusion(2, 9, True)
    style.note_data(fig, True)
    assert texts(fig).count(style.SYNTHETIC_TEXT) == 1


@pytest.mark.parametrize("synthetic", [True, False])
def test_figures_of_leaky_runs_say_so(synthetic):
    fig, _ = plots.confusion_matrix(np.eye(2, dtype=int), ("a", "b"), synthetic=synthetic, leaky=True)
    (mark,) = [text for text in texts(fig) if style.LEAKY_TEXT in text]
    assert (style.SYNTHETIC_TEXT in mark) == synthetic


def test_data_distribution_counts():
    table = pd.DataFrame({"label": ["happy", "happy", "sad"], "group_id": ["a", "b", "b"]})
    fig, ax = plots.data_distribution(
        table, ["train", "test", "train"], EMOTIONS, synthetic=False, missing=[0.5, 0.3, 0]
    )
    written = [text.get_text().strip() for text in ax.texts]
    assert written[3] == "2 (67 %), 40 % unseen" and written[5] == "1 (33 %), 0 % unseen"
    assert written[0] == "0 (0 %)"
    assert "train: 2 in 2 groups" in texts(fig) and "val: 0 in 0 groups" in texts(fig)
    assert sum(bar.get_width() for bar in ax.patches) == 3


def test_confusion_is_normalised_by_row():
    fig, ax = plots.confusion_matrix([[3, 1], [0, 0]], ("a", "b"), synthetic=False)
    np.testing.assert_allclose(ax.images[0].get_array(), [[75, 25], [0, 0]])
    assert {"75 %", "3", "25 %", "1"} <= set(texts(fig)) and "a (4)" in texts(fig)


def test_learning_curves_mark_the_chosen_epoch():
    one = history(10)
    _, axes = plots.learning_curves({4: one}, {4: 7}, synthetic=False)
    star = next(line for line in axes[1].lines if line.get_marker() == "*")
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (7, 100 * one["val_macro_f1"][6])
    _, axes = plots.learning_curves({4: one}, {}, synthetic=False)
    assert all(len(line.get_xdata()) == 0 for line in axes[1].lines if line.get_marker() == "*")


def test_epochs_are_whole_numbers():
    fig, axes = draw_curves(2, 3, True)
    fig.canvas.draw()
    for ax in axes:
        assert all(tick == round(tick) for tick in ax.get_xticks())


def test_a_number_stands_behind_the_farthest_seed():
    scores = draw.score_table(["gru", "majority"])
    scores["mean"], scores["low"], scores["high"] = 0.3, 0.2, 0.4
    seeds = scores.assign(seed=0, value=np.where(scores["config"] == "gru", 0.8, 0.3))
    _, axes = plots.architecture_comparison(scores, **draw.COUNTS, seed_scores=seeds, synthetic=False)
    for ax in axes:
        assert [note.xy[0] for note in ax.texts if note.get_text() == "30.0"] == pytest.approx([80, 40])
        assert ax.get_xlim()[1] > 80


@pytest.mark.parametrize("n", [1, 13])
def test_the_front_goes_on_for_larger_networks(n):
    fig, ax = draw.sizes(n, True)
    steps = next(line for line in ax.lines if line.get_label() == "Pareto front")
    right, top = ax.get_xlim()[1], steps.get_ydata()[-1]
    ends = [line.get_xydata() for line in ax.lines if len(line.get_xdata()) == 2]
    assert any(np.allclose(end, [(steps.get_xdata()[-1], top), (right, top)]) for end in ends)


def test_a_panel_keeps_what_its_figure_says():
    fig, ax = plt.subplots()
    style.note_sample(fig, "Said before.")
    table = draw.size_table(3).assign(n_parameters=[1e5, 2e5, *[np.nan] * 5])
    plots.score_against_size(table, **draw.COUNTS, synthetic=False, noted=True, ax=ax)
    assert "Said before. Not drawn against size" in fig.get_supxlabel() and "889 clips" not in fig.get_supxlabel()


def test_skeletons_have_y_down_and_no_missing_joints():
    keypoints = np.full((3, 2, 17, 3), np.nan)
    keypoints[:, 0] = np.linspace(0, 1, 17 * 3).reshape(17, 3)
    keypoints[0, 0, 10] = np.nan
    _, axes = plots.skeleton_strip(keypoints, synthetic=False)
    assert len(axes) == 3
    low, high = axes[0].get_ylim()
    assert low > high
    drawn = [
        sum(np.isfinite(line.get_xdata()).all() and len(line.get_xdata()) == 2 for line in ax.lines) for ax in axes
    ]
    # The right wrist has one edge.
    assert drawn[0] == drawn[1] - 1


def test_a_clip_without_anyone_is_drawn_empty():
    _, axes = plots.skeleton_strip(np.full((5, 1, 17, 3), np.nan), synthetic=False)
    assert len(axes) == 5


def test_traces_leave_gaps_where_a_joint_was_not_seen():
    features = np.ones((20, 238))
    features[8:10] = 0
    _, axes = plots.feature_traces(features, np.arange(20) < 18, ["left_wrist"], fps=10, synthetic=False)
    for ax, lost in zip(axes[:, 0], ([8, 9, 18, 19], [0, 8, 9, 10, 18, 19], [0, 1, 8, 9, 10, 11, 18, 19]), strict=True):
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(ax.lines[0].get_ydata())), lost)
    assert axes[0, 0].lines[0].get_xdata()[-1] == 1.9


def test_classes_look_different_and_keep_their_look():
    assert set(style.EMOTION_MARKS) == set(EMOTIONS)
    for part in range(3):
        assert len({mark[part] for mark in style.EMOTION_MARKS.values()}) == 7
    assert style.emotion_mark("sad", EMOTIONS) == style.emotion_mark("sad", ("happy", "sad"))
    others = ("pain", "pride", "relief")
    assert len({style.emotion_mark(name, others) for name in others}) == 3
