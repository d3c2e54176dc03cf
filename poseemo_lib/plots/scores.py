"""Figures of results: models side by side, and what is taken for what."""

import matplotlib.pyplot as plt
import numpy as np

from poseemo_lib.plots import style
from poseemo_lib.plots.labels import LABEL_LEVEL, label_verticals

METRIC_NAMES = {"macro_f1": "macro-F1", "balanced_accuracy": "balanced accuracy", "accuracy": "accuracy"}
_KEEPS_LINES_OFF = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}
_COLUMN = 7  # points, width of a column of letters


@style.in_style
def architecture_comparison(
    scores,
    *,
    n_clips: int,
    n_groups: int,
    synthetic: bool,
    leaky: bool = False,
    unit: str = "clip",
    resampled_by: str = "group",
    seed_scores=None,
    letters: dict[str, str] | None = None,
    chosen: str = "",
    metrics: dict[str, str] = METRIC_NAMES,
    axes=None,
):
    """Bars of the configs' scores with their intervals, best first, beside chance and the baselines to beat.

    Vertical lines: chance, always answering the most frequent class, and the strongest other baseline.

    Parameters
    ----------
    scores : DataFrame
        One row a config and metric: config, metric, mean, low, high, n_seeds (0: not run), is_baseline, is_majority,
        chance (NaN: no line). Scores are shares, 0 to 1. Sorted by the first metric.
    n_clips, n_groups : int
        What was predicted.
    synthetic, leaky : bool
        See :func:`poseemo_lib.plots.style.note_data`.
    unit, resampled_by : str
        What was scored, and what the intervals were drawn over.
    seed_scores : DataFrame, optional
        config, seed, metric, value: drawn as small circles.
    letters : dict, optional
        Network -> letters of a rank table, with spaces between; those that share one cannot be told apart.
    chosen : str
        ConfigRuns whose name is bold, the one that validation chooses.
    metrics : dict
        Metric -> title, one panel each.
    axes : sequence of Axes, optional
        As many as metrics.

    Returns
    -------
    fig, axes
    """
    order = scores[scores["metric"] == next(iter(metrics))].sort_values("mean", ascending=False, kind="stable")
    configs = list(order["config"]) + [
        config for config in scores["config"].unique() if config not in set(order["config"])
    ]
    if axes is None:
        size = (3.1 * len(metrics) + 2.2, 2.1 + 0.33 * len(configs))
        fig, axes = plt.subplots(1, len(metrics), figsize=size, sharey=True, squeeze=False, layout="constrained")
        axes = axes[0]
    fig = axes[0].figure
    for ax, metric in zip(axes, metrics, strict=True):
        seeds = None if seed_scores is None else seed_scores[seed_scores["metric"] == metric]
        _score_panel(ax, scores[scores["metric"] == metric].set_index("config").reindex(configs), seeds)
        if seeds is not None:
            _seed_dots(ax, seeds, configs)
    seeds = scores.groupby("config")["n_seeds"].max()
    _name_rows(axes[0], configs, seeds, letters or {}, chosen)
    more = " Circles: single seeds." if seed_scores is not None else ""
    more += " Networks that share a letter cannot be told apart." if letters else ""
    more += " Bold: chosen by validation." if chosen in configs else ""
    sample = {"unit": unit, "resampled_by": resampled_by, "interval": "Lines"}
    style.note_sample(fig, style.sample_text(n_clips, n_groups, seeds[seeds > 0], **sample) + more)
    style.note_data(fig, synthetic, leaky)
    levels = [
        label_verticals(ax, _reference_lines(ax, scores[scores["metric"] == metric]))
        for ax, metric in zip(axes, metrics, strict=True)
    ]
    for ax, title in zip(axes, metrics.values(), strict=True):
        ax.set_title(f"{title}, %", pad=6 + LABEL_LEVEL * max(levels))
    return fig, axes


def _score_panel(ax, rows, seeds) -> None:
    farthest = {} if seeds is None else (100 * seeds.groupby("config")["value"].max()).to_dict()
    for i, (name, row) in enumerate(rows.iterrows()):
        mean, low, high = 100 * row["mean"], 100 * row["low"], 100 * row["high"]
        if not np.isfinite(mean):
            text = "not defined" if row["n_seeds"] else "not run"
            ax.text(0.02, i, text, transform=ax.get_yaxis_transform(), va="center", fontsize=8, bbox=_KEEPS_LINES_OFF)
            continue
        colour, _ = style.MODEL_KINDS["baseline" if row["is_baseline"] is True else "network"]
        ax.barh(i, mean, height=0.68, color=colour, alpha=0.45, edgecolor=colour, linewidth=0.8)
        ax.plot([low, high], [i, i], color=colour, linewidth=2, solid_capstyle="butt")
        write_value(ax, i, mean, max(high, farthest.get(name, high)))
    beyond = [value / 100 for value in farthest.values()]
    limit_scores(ax, [*rows[["mean", "high", "chance"]].to_numpy(float).ravel(), *beyond])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)


def write_value(ax, row: float, mean: float, high: float) -> None:
    """Write a bar's value behind `high`, the end of its interval or a mark beyond it, in percent."""
    edge = max(value for value in (mean, high) if np.isfinite(value))
    look = {"va": "center", "fontsize": 8, "bbox": _KEEPS_LINES_OFF}
    ax.annotate(f"{mean:.1f}", (edge, row), (5, 0), textcoords="offset points", **look)


def limit_scores(ax, shares) -> None:
    """Give a panel of bars room for the numbers behind them; no tick lies above 100 %."""
    most = np.nanmax([*np.ravel(100 * np.asarray(shares, dtype=float)), 10])
    ax.set_xlim(0, 1.22 * most)
    ax.set_xticks([tick for tick in ax.get_xticks() if 0 <= tick <= min(1.22 * most, 100)])
    ax.grid(axis="x")


def _seed_dots(ax, rows, configs: list[str]) -> None:
    rows = rows[rows["config"].isin(configs)]
    places = [configs.index(config) for config in rows["config"]]
    ax.plot(100 * rows["value"], places, "o", color="black", markerfacecolor="white", markersize=3.2,
            markeredgewidth=0.7, label="seeds")  # fmt: skip


def _name_rows(ax, configs: list[str], seeds, letters: dict[str, str], chosen: str) -> None:
    """Write names beside the rows, the chosen one bold, with the number of seeds if not that of most, and letters."""
    usual = seeds[seeds > 0].mode().max()
    names = [
        style.name_text(config)
        + ("" if seeds[config] in (0, usual) else f" ({style.count(int(seeds[config]), 'seed')})")
        for config in configs
    ]
    columns = sorted(
        {letter for text in letters.values() for letter in text.split()}, key=lambda letter: (len(letter), letter)
    )
    ax.set_yticks(range(len(configs)), names)
    for config, label in zip(configs, ax.get_yticklabels(), strict=True):
        label.set_fontweight("bold" if config == chosen else "normal")
    ax.tick_params(axis="y", pad=4 + _COLUMN * len(columns))
    for i, config in enumerate(configs):
        for letter in letters.get(config, "").split():
            left = _COLUMN * (columns.index(letter) - len(columns)) - 1
            ax.annotate(letter, (0, i), xycoords=ax.get_yaxis_transform(), xytext=(left, 0), fontsize=8,
                        textcoords="offset points", va="center", ha="left")  # fmt: skip


def _reference_lines(ax, rows) -> list[tuple[float, str, str]]:
    """Draw what the bars are held against; return each line's place, name and colour."""
    rows = rows.dropna(subset="mean")
    others = rows[rows["is_baseline"].astype(bool) & ~rows["is_majority"].astype(bool)]
    lines = [(100 * value, "chance", style.CHANCE, ":") for value in rows["chance"].dropna().unique()]
    lines += [
        (100 * value, "majority", style.MAJORITY, "--") for value in rows[rows["is_majority"].astype(bool)]["mean"]
    ]
    if len(others):
        top = others.loc[others["mean"].idxmax()]
        lines.append((100 * top["mean"], style.name_text(top["config"], 20), style.STRONGEST, "-"))
    for x, _, colour, line in lines:
        ax.axvline(x, color=colour, linestyle=line, linewidth=1.1, zorder=0.9)
    return [(x, name, colour) for x, name, colour, _ in lines]


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
    classes = [style.name_text(name) for name in classes]
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
