"""Figures of what was done about rare classes, and what came of it."""

import matplotlib.pyplot as plt
import numpy as np

from poseemo_lib.plots import style
from poseemo_lib.plots.labels import LABEL_LEVEL, label_verticals, spread
from poseemo_lib.plots.scores import METRIC_NAMES, limit_scores, write_value

_WORST = "#B45F06"
_ONCE, _DOUBLED = "#0072B2", "#D55E00"


@style.in_style
def imbalance_regimes(
    table,
    classes,
    *,
    n_clips: int,
    n_groups: int,
    synthetic: bool,
    leaky: bool = False,
    unit: str = "clip",
    resampled_by: str = "group",
    axes=None,
):
    """Recall of every class under every regime, and how often each class was answered beside how often it is true.

    Parameters
    ----------
    table : DataFrame
        One row a regime and class, in the order to draw: regime, class, recall, low, high, predicted, true (shares, 0
        to 1; recall NaN where the class has no clips), n_seeds.
    classes : tuple of str
    n_clips, n_groups : int
        What was predicted.
    synthetic, leaky : bool
        See :func:`poseemo_lib.plots.style.note_data`.
    unit, resampled_by : str
        What was scored, and what the intervals were drawn over.
    axes : sequence of 2 Axes, optional
        For recall and for shares.

    Returns
    -------
    fig, axes
    """
    regimes = list(dict.fromkeys(table["regime"]))
    if axes is None:
        size = (5.6 + 0.8 * len(classes), 2.6 + 0.5 * len(regimes))
        ratios = {"width_ratios": (len(classes) + 1, 6)}
        _, axes = plt.subplots(1, 2, figsize=size, sharey=True, gridspec_kw=ratios, layout="constrained")
    fig = axes[0].figure
    wide = {name: table.pivot(index="regime", columns="class", values=name).reindex(index=regimes, columns=classes)
            for name in ("recall", "low", "high", "predicted", "true")}  # fmt: skip
    wide = {name: 100 * values.to_numpy(float) for name, values in wide.items()}
    _recall_panel(axes[0], wide, regimes, classes)
    _share_panel(axes[1], wide["predicted"], wide["true"], classes)
    sample = style.sample_text(n_clips, n_groups, table["n_seeds"], unit=unit, resampled_by=resampled_by,
                               interval="Small numbers")  # fmt: skip
    style.note_sample(
        fig,
        f"{sample} Misplaced: answers that would have to change for each class to be answered as often as it is true.",
    )
    style.note_data(fig, synthetic, leaky)
    return fig, axes


def _recall_panel(ax, wide, regimes, classes) -> None:
    means = [np.nanmean(row) if np.isfinite(row).any() else np.nan for row in wide["recall"]]
    shown = np.column_stack([wide["recall"], means])
    # The first row, of the true shares, has no colour.
    ax.imshow(np.vstack([np.full(shown.shape[1], np.nan), shown]), vmin=0, vmax=100, cmap="Blues", aspect="auto")
    ax.axvline(len(classes) - 0.5, color="white", linewidth=4)
    centred = {"ha": "center", "va": "center"}
    for j, share in enumerate(wide["true"][0]):
        ax.text(j, 0, f"{share:.0f} %", **centred, fontsize=9, color="#444444")
    for i, j in np.ndindex(shown.shape):
        colour = "white" if shown[i, j] > 55 else "black"
        has_interval = j < len(classes) and np.isfinite(wide["low"][i, j])
        text = f"{shown[i, j]:.0f}" if np.isfinite(shown[i, j]) else "–"
        ax.text(j, i + 1 - 0.14 * has_interval, text, **centred, fontsize=10, color=colour)
        if has_interval:
            interval = f"{wide['low'][i, j]:.0f}–{wide['high'][i, j]:.0f}"
            ax.text(j, i + 1.27, interval, **centred, fontsize=6.5, color=colour)
    names = [*(style.name_text(name, 16) for name in classes), "mean"]
    ax.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(regimes) + 1), ["true share", *(style.name_text(name) for name in regimes)])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title("How much of each class is found (recall, %)")


def _share_panel(ax, predicted, true, classes) -> None:
    """Draw the truth once, on top, since regimes of one split share it, and the answers of each regime under it."""
    rows = np.nan_to_num(np.vstack([true[:1], predicted]))
    left = np.zeros(len(rows))
    for j, name in enumerate(classes):
        colour, hatch, _ = style.emotion_mark(name, classes)
        look = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0.8}
        ax.barh(range(len(rows)), rows[:, j], left=left, height=0.72, **look)
        left += rows[:, j]
    middles = rows[0].cumsum() - rows[0] / 2
    for place, name in zip(spread(middles, 6.5, 0, 97), classes, strict=True):
        turned = {"rotation": 40, "rotation_mode": "anchor", "ha": "left", "va": "bottom"}
        ax.text(place, -0.42, style.name_text(name, 12), fontsize=8, **turned)
    wrong = np.abs(predicted - true).sum(1) / 2
    worst = np.nanargmax(wrong) if np.isfinite(wrong).any() else -1
    ax.text(102, 0, "misplaced", va="center", fontsize=8, color="#444444")
    for i, value in enumerate(wrong):
        bold = {"color": _WORST, "weight": "bold"} if i == worst and len(wrong) > 1 else {}
        ax.text(102, i + 1, f"{value:.0f} %", va="center", fontsize=9, **bold)
    ax.tick_params(axis="y", length=0)
    ax.set(xlim=(0, 100), ylim=(len(rows) - 0.5, -0.5), xlabel="share of the answers, %")
    ax.set_title("What is answered, under what is true", pad=10 + 3.4 * min(max(map(len, classes)), 12))


@style.in_style
def regime_scores(
    scores,
    seeds,
    answered,
    *,
    largest: str,
    n_clips: int,
    n_groups: int,
    synthetic: bool,
    leaky: bool = False,
    unit: str = "clip",
    resampled_by: str = "group",
    doubled=(),
    title: str = "",
    axes=None,
):
    """Scores of every regime, and how often it answers the most frequent class beside how often that is true.

    Parameters
    ----------
    scores : DataFrame
        One row a regime and metric, in the order to draw: regime, metric, mean, low, high (shares, 0 to 1), n_seeds.
    seeds : DataFrame
        regime, seed, metric, value.
    answered : DataFrame
        regime, seed, predicted, true: shares of the most frequent class; low, high of the mean of `predicted` over
        seeds, the same in all rows of a regime.
    largest : str
        That class.
    n_clips, n_groups : int
        What was predicted.
    synthetic, leaky : bool
        See :func:`poseemo_lib.plots.style.note_data`.
    unit, resampled_by : str
        What was scored, and what the intervals were drawn over.
    doubled : collection of str
        Regimes that correct more than once; they have a colour and a hatch of their own.
    title : str
        Above all panels.
    axes : sequence of Axes, optional
        As many as metrics, and one.

    Returns
    -------
    fig, axes
    """
    regimes, metrics = list(dict.fromkeys(scores["regime"])), list(dict.fromkeys(scores["metric"]))
    if axes is None:
        size = (2.4 + 2.5 * (len(metrics) + 1), 2.1 + 0.42 * len(regimes))
        _, axes = plt.subplots(1, len(metrics) + 1, figsize=size, sharey=True, layout="constrained")
    fig = axes[0].figure
    for ax, metric in zip(axes, metrics, strict=False):
        rows = scores[scores["metric"] == metric].set_index("regime").reindex(regimes)
        _regime_bars(ax, rows, doubled)
        _dots(ax, seeds[seeds["metric"] == metric], "value", regimes)
        ax.set_title(f"{METRIC_NAMES.get(metric, metric)}, %")
    means = answered.groupby("regime")[["predicted", "low", "high", "true"]].mean().reindex(regimes)
    _answered_panel(axes[-1], means, answered, regimes, doubled)
    axes[-1].set_title(f"answered {style.name_text(largest, 16)}, %", pad=6 + LABEL_LEVEL)
    for ax in axes[:-1]:
        ax.set_title(ax.get_title(loc="left"), pad=6 + LABEL_LEVEL)
    axes[0].set_yticks(range(len(regimes)), [style.name_text(name) for name in regimes])
    axes[0].set_ylim(len(regimes) - 0.4, -0.6)
    if title:
        style.title_figure(fig, title)
    sample = style.sample_text(n_clips, n_groups, scores["n_seeds"], unit=unit, resampled_by=resampled_by,
                               interval="Lines")  # fmt: skip
    more = " Orange, hatched: corrected more than once." if len(doubled) else ""
    style.note_sample(fig, f"{sample} Circles: single seeds.{more}")
    style.note_data(fig, synthetic, leaky)
    label_verticals(axes[-1], [(100 * share, "true", style.CHANCE) for share in means["true"].head(1)])
    return fig, axes


def _regime_bars(ax, rows, doubled) -> None:
    for i, (name, row) in enumerate(rows.iterrows()):
        if not np.isfinite(row["mean"]):
            ax.text(0.02, i, "not defined", transform=ax.get_yaxis_transform(), va="center", fontsize=8)
            continue
        _bar(ax, i, row["mean"], name in doubled)
        _interval(ax, i, row, name in doubled)
        write_value(ax, i, 100 * row["mean"], 100 * row["high"])
    limit_scores(ax, rows[["mean", "high"]])
    ax.tick_params(axis="y", length=0)


def _answered_panel(ax, means, answered, regimes, doubled) -> None:
    """Bars of the answers with their intervals; a line at the truth, which regimes of one split share."""
    limit_scores(ax, [*means["high"], *means["predicted"], *means["true"], *answered["predicted"]])
    room = 0.18 * ax.get_xlim()[1]  # that a value takes
    for i, (name, row) in enumerate(means.iterrows()):
        _bar(ax, i, row["predicted"], name in doubled)
        _interval(ax, i, row, name in doubled)
        own = answered[answered["regime"] == name]["predicted"].max()
        edge, true = 100 * np.fmax(own, row["high"]), 100 * means["true"].iloc[0]
        write_value(ax, i, 100 * row["predicted"], true if edge < true < edge + room else edge)
    _dots(ax, answered, "predicted", regimes)
    for share in means["true"].head(1):
        ax.axvline(100 * share, color=style.CHANCE, linestyle="--", linewidth=1.2)
    ax.tick_params(axis="y", length=0)


def _colour(is_doubled: bool) -> str:
    return _DOUBLED if is_doubled else _ONCE


def _bar(ax, i: int, share: float, is_doubled: bool) -> None:
    colour = _colour(is_doubled)
    ax.barh(i, 100 * share, height=0.68, facecolor=colour, alpha=0.4, edgecolor=colour, hatch="//" * is_doubled)


def _interval(ax, i: int, row, is_doubled: bool) -> None:
    ax.plot([100 * row["low"], 100 * row["high"]], [i, i], color=_colour(is_doubled), linewidth=2)


def _dots(ax, rows, column: str, regimes: list[str]) -> None:
    places = [regimes.index(name) for name in rows["regime"]]
    ax.plot(100 * rows[column], places, "o", color="black", markerfacecolor="white", markersize=3.6,
            markeredgewidth=0.8, label="seeds")  # fmt: skip
