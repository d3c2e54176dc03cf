"""Figure of one network: everything that its runs say about it."""

import matplotlib.pyplot as plt
import numpy as np

from poseemo_lib.plots import style
from poseemo_lib.plots.scores import METRIC_NAMES, confusion_matrix, limit_scores, write_value
from poseemo_lib.plots.variations import DOTS, draw_bar, note_facts

_TRAIN, _VAL = "#0072B2", "#D55E00"


@style.in_style
def network_details(scores, seeds, recall, confusion, classes, histories, *, title: str = "", note: str = "", **facts):
    """Everything about one config: its scores, recall of every class, how it was trained, what it confuses.

    Parameters
    ----------
    scores : DataFrame
        metric, mean, low, high (shares, 0 to 1), n_seeds.
    seeds : DataFrame
        seed, metric, value.
    recall : DataFrame
        class, recall, low, high, support (test clips).
    confusion : array (C, C), int
        Rows are the true class; the sum over seeds.
    classes : tuple of C str
    histories : sequence of (DataFrame, int)
        A run's epoch, train_loss, val_loss, val_macro_f1, and the epoch that validation chose.
    title, note, **facts
        See :func:`variation_bars`.

    Returns
    -------
    fig, axes
        dict: scores, recall, loss, f1, confusion.
    """
    size = (9.6 + 0.55 * len(classes), 6.0 + 0.1 * len(classes))
    fig, axes = plt.subplot_mosaic(
        [["scores", "recall", "confusion"], ["loss", "f1", "confusion"]],
        figsize=size, layout="constrained", width_ratios=(3, 3, 2.2 + 0.35 * len(classes)),
    )  # fmt: skip
    if title:
        style.title_figure(fig, title)
    _metric_panel(axes["scores"], scores, seeds)
    _class_panel(axes["recall"], recall, classes, facts.get("unit", "clip"))
    _loss_panel(axes["loss"], histories)
    _f1_panel(axes["f1"], histories)
    n_seeds = int(scores["n_seeds"].max())
    confusion_matrix(confusion, classes, synthetic=facts["synthetic"], leaky=facts.get("leaky", False),
                     title="What is taken for what", n_seeds=n_seeds, ax=axes["confusion"])  # fmt: skip
    unit = facts.get("unit", "clip")
    over = "" if n_seeds == 1 else f", sum over {n_seeds} seeds"
    axes["confusion"].set_ylabel(f"true ({unit}s{over})")
    note_facts(fig, scores, f"Circles: single seeds. Stars: the epoch that validation chose. {note}", facts)
    return fig, axes


def _metric_panel(ax, scores, seeds) -> None:
    rows = scores.set_index("metric").reindex([name for name in METRIC_NAMES if name in set(scores["metric"])])
    for i, (_, row) in enumerate(rows.iterrows()):
        draw_bar(ax, i, {**row, "is_plain": False})
    own = seeds[seeds["metric"].isin(rows.index)]
    ax.plot(100 * own["value"], [list(rows.index).index(name) for name in own["metric"]], "o", label="seeds", **DOTS)
    ax.set_yticks(range(len(rows)), [METRIC_NAMES[name].replace(" ", "\n") for name in rows.index])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    limit_scores(ax, rows[["mean", "high"]])
    ax.set_title("Scores on test, %")


def _class_panel(ax, recall, classes, unit: str) -> None:
    rows = recall.set_index("class").reindex(list(classes))
    for i, (name, row) in enumerate(rows.iterrows()):
        colour, hatch, _ = style.emotion_mark(name, classes)
        if not np.isfinite(row["recall"]):
            ax.text(0.02, i, f"no test {unit}s", transform=ax.get_yaxis_transform(), va="center", fontsize=8)
            continue
        ax.barh(i, 100 * row["recall"], height=0.7, color=colour, hatch=hatch, edgecolor="white", linewidth=0)
        ax.plot([100 * row["low"], 100 * row["high"]], [i, i], color="black", linewidth=1.4)
        write_value(ax, i, 100 * row["recall"], 100 * row["high"])
    names = [f"{style.name_text(name, 16)} ({row['support']:.3g})" for name, row in rows.iterrows()]
    ax.set_yticks(range(len(rows)), names)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    limit_scores(ax, rows[["recall", "high"]])
    ax.set_title(f"Recall of each class, % (test {unit}s)")


def _loss_panel(ax, histories) -> None:
    for history, chosen in histories:
        thin = {"linewidth": 1.2, "alpha": 0.8, "marker": "." if len(history) == 1 else None}
        ax.plot(history["epoch"], history["train_loss"], "--", color=_TRAIN, **thin)
        ax.plot(history["epoch"], history["val_loss"], color=_VAL, **thin)
        _star(ax, history, chosen, "val_loss", 1)
    _finish_curves(ax, histories, "Loss: training dashed, validation solid")


def _f1_panel(ax, histories) -> None:
    for history, chosen in histories:
        thin = {"linewidth": 1.2, "alpha": 0.8, "marker": "." if len(history) == 1 else None}
        ax.plot(history["epoch"], 100 * history["val_macro_f1"], color=_VAL, **thin)
        _star(ax, history, chosen, "val_macro_f1", 100)
    _finish_curves(ax, histories, "Validation macro-F1, %")


def _star(ax, history, chosen: int, column: str, factor: float) -> None:
    at = history[history["epoch"] == chosen]
    ax.plot(at["epoch"], factor * at[column], "*", color="black", markersize=9, zorder=5)


def _finish_curves(ax, histories, title: str) -> None:
    ax.set_title(title)
    if not histories:
        style.write_not_run(ax, "the runs have no history")
        return
    ax.set_xlabel(f"epoch ({style.count(len(histories), 'run')}, one line each)")
    ax.grid(axis="y")
