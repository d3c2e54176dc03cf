"""Figures of results: models side by side, and what is taken for what."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D

from poseemo_lib.plots import style

METRIC_NAMES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro-F1"}


@style.in_style
def score_comparison(
    scores,
    *,
    n_clips: int,
    n_groups: int,
    synthetic: bool,
    leaky: bool = False,
    resampled_by: str = "group",
    metrics: dict[str, str] = METRIC_NAMES,
    axes=None,
):
    """Mean score of every cell with its 95 % interval, beside chance and the majority baseline.

    Parameters
    ----------
    scores : DataFrame
        One row a cell and metric: cell, metric, mean, low, high, sd, n_seeds, is_baseline, chance (NaN: no line).
        Scores are shares, 0 to 1. A cell named `majority` gives the majority line.
    n_clips, n_groups : int
        What was predicted.
    synthetic, leaky : bool
        See :func:`poseemo_lib.plots.style.note_data`.
    resampled_by : str
        What the intervals were drawn over.
    metrics : dict
        Metric -> title, one panel each.
    axes : sequence of Axes, optional
        As many as metrics.

    Returns
    -------
    fig, axes
    """
    cells = scores.drop_duplicates("cell").sort_values("is_baseline", kind="stable")
    if axes is None:
        size = (3.1 * len(metrics) + 1.6, 1.7 + 0.38 * len(cells))
        fig, axes = plt.subplots(1, len(metrics), figsize=size, sharey=True, squeeze=False, layout="constrained")
        axes = axes[0]
    fig = axes[0].figure
    for ax, (metric, title) in zip(axes, metrics.items(), strict=True):
        rows = scores[scores["metric"] == metric].set_index("cell").reindex(cells["cell"])
        _score_panel(ax, rows)
        ax.set_title(title)
        ax.set_xlabel("%")
    seeds = [f"{cell} ({n} seed{'s' * (n != 1)})" for cell, n in zip(cells["cell"], cells["n_seeds"], strict=True)]
    axes[0].set_yticks(range(len(cells)), seeds)
    axes[0].set_ylim(len(cells) - 0.5, -0.7)
    interval = f"bars: 95 % bootstrap interval, resampled by {resampled_by}"
    style.title_figure(fig, f"{n_clips} clips in {n_groups} group{'s' * (n_groups != 1)}; {interval}")
    fig.legend(handles=_score_legend(scores), loc="outside lower center", ncols=4)
    style.note_data(fig, synthetic, leaky)
    return fig, axes


def _score_panel(ax, rows) -> None:
    for i, (_, row) in enumerate(rows.iterrows()):
        colour, marker = style.MODEL_KINDS["baseline" if row["is_baseline"] is True else "network"]
        ax.plot([100 * row["low"], 100 * row["high"]], [i, i], color=colour, linewidth=2.2, solid_capstyle="butt")
        face = "white" if marker == "s" else colour
        ax.plot(100 * row["mean"], i, marker, color=colour, markerfacecolor=face, markersize=7)
        if np.isfinite(row["mean"]):
            box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}  # keeps the lines off the number
            text = f"{100 * row['mean']:.1f}"
            ax.text(100 * row["mean"], i - 0.2, text, ha="center", va="bottom", fontsize=8, bbox=box)
    if "majority" in rows.index:
        ax.axvline(100 * rows.loc["majority", "mean"], color=style.MAJORITY, linestyle="--", linewidth=1.2, zorder=0)
    chance = rows["chance"].dropna()
    if len(chance):
        ax.axvline(100 * chance.iloc[0], color=style.CHANCE, linestyle=":", linewidth=1.2, zorder=0)
    ax.set_xlim(*_score_limits(rows))
    ax.grid(axis="x")


def _score_limits(rows) -> tuple[float, float]:
    high = np.nanmax([*(100 * rows[["mean", "high", "chance"]]).to_numpy(float).ravel(), 10])
    return 0, min(1.1 * high, 102)


def _score_legend(scores) -> list[Line2D]:
    handles = []
    for kind, (colour, marker) in style.MODEL_KINDS.items():
        if (scores["is_baseline"] == (kind == "baseline")).any():
            face = "white" if kind == "baseline" else colour
            handles.append(Line2D([], [], color=colour, marker=marker, markerfacecolor=face, label=kind))
    if (scores["cell"] == "majority").any():
        handles.append(Line2D([], [], color=style.MAJORITY, linestyle="--", label="always the most frequent class"))
    if scores["chance"].notna().any():
        handles.append(Line2D([], [], color=style.CHANCE, linestyle=":", label="chance"))
    return handles


@style.in_style
def confusion_matrix(
    confusion, classes, *, synthetic: bool, leaky: bool = False, title: str = "", n_seeds: int = 1, ax=None
):
    """Shares of each true class that went to each predicted class, with counts.

    Parameters
    ----------
    confusion : array (C, C), int
        Rows are the true class. The sum over seeds where there are several.
    classes : tuple of C str
    synthetic, leaky : bool
        See :func:`poseemo_lib.plots.style.note_data`.
    title : str
    n_seeds : int
        How many seeds the counts are summed over.
    ax : Axes, optional

    Returns
    -------
    fig, ax
    """
    confusion = np.asarray(confusion)
    n = len(classes)
    fig, ax = style.axes_or_new(ax, width=2.4 + 0.62 * n, height=1.9 + 0.55 * n)
    support = confusion.sum(1, keepdims=True)
    share = 100 * confusion / np.maximum(support, 1)
    image = ax.imshow(share, vmin=0, vmax=100, cmap="Blues")
    for i, j in np.ndindex(n, n):
        colour = "white" if share[i, j] > 55 else "black"
        ax.text(j, i - 0.12, f"{share[i, j]:.0f} %", ha="center", va="center", fontsize=9, color=colour)
        ax.text(j, i + 0.24, f"{confusion[i, j]}", ha="center", va="center", fontsize=7, color=colour)
    ax.set_xticks(range(n), classes, rotation=40, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(n), [f"{name} ({count})" for name, count in zip(classes, support[:, 0], strict=True)])
    ax.set_xlabel("predicted")
    ax.set_ylabel("true (clips)" if n_seeds == 1 else f"true (clips, sum over {n_seeds} seeds)")
    ax.set_title(title)
    fig.colorbar(image, ax=ax, shrink=0.8, label="share of the true class, %")
    style.note_data(fig, synthetic, leaky)
    return fig, ax
