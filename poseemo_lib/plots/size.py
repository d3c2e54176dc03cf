"""Figure of what a model's size buys."""

from itertools import pairwise

import numpy as np
from matplotlib.patheffects import withStroke
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from poseemo_lib.plots import style
from poseemo_lib.plots.labels import label_points, spread

SIZE_NAMES = {"n_parameters": "parameters", "multiply_adds": "multiply-adds for one window"}
_FRONT = "#000000"
_NEAR = 16  # points between a name and a point that it does not name


@style.in_style
def score_against_size(
    table,
    *,
    n_clips: int,
    n_groups: int,
    synthetic: bool,
    leaky: bool = False,
    unit: str = "clip",
    resampled_by: str = "group",
    size: str = "n_parameters",
    score_name: str = "macro-F1",
    noted: bool = False,
    ax=None,
):
    """Score against size, with the models that no other beats in both joined to the Pareto front.

    Parameters
    ----------
    table : DataFrame
        One row a config: config, mean, low, high (shares, 0 to 1), n_seeds, is_baseline and a column `size`. Baselines are
        horizontal lines; a network without a size is named under the axis.
    n_clips, n_groups : int
        What was predicted.
    synthetic, leaky : bool
        See :func:`poseemo_lib.plots.style.note_data`.
    unit, resampled_by : str
        What was scored, and what the intervals were drawn over.
    size : str
        A key of :data:`SIZE_NAMES`.
    score_name : str
    noted : bool
        The figure says already what it rests on; only what is not drawn is added to that.
    ax : Axes, optional

    Returns
    -------
    fig, ax
    """
    fig, ax = style.axes_or_new(ax, width=9.0, height=5.8)
    baselines = table[table["is_baseline"].astype(bool)].dropna(subset="mean")
    networks = table[~table["is_baseline"].astype(bool)]
    known = networks[np.isfinite(networks[size].astype(float)) & (networks[size] > 0) & networks["mean"].notna()]
    colour, marker = style.MODEL_KINDS["network"]
    x, y = known[size].to_numpy(float), 100 * known["mean"].to_numpy(float)
    ax.vlines(x, 100 * known["low"], 100 * known["high"], color=colour, linewidth=3, alpha=0.2)
    ax.plot(x, y, marker, color=colour, markersize=6, label="networks")
    front = pareto_front(x, y)
    ax.plot(x[front], y[front], marker, color=_FRONT, markersize=6)
    ax.plot(x[front], y[front], color=_FRONT, linewidth=1, drawstyle="steps-post", zorder=1, label="Pareto front")
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(EngFormatter(sep=" "))
    ax.xaxis.set_minor_locator(NullLocator())
    _set_limits(ax, x, known, baselines)
    beyond = [(x[i], y[i], ax.get_xlim()[1], y[i]) for i in front[-1:]]  # no larger network beats the last one
    for x0, y0, x1, y1 in beyond:
        ax.plot([x0, x1], [y0, y1], color=_FRONT, linewidth=1, zorder=1)
    ax.set(xlabel=f"{SIZE_NAMES[size]} (log scale)", ylabel=f"{score_name}, %")
    ax.set_title(
        ("Black steps" if len(front) > 1 else "Black") + ": no other network that is no larger has a mean as high"
    )
    ax.grid(axis="y")
    text = style.sample_text(n_clips, n_groups, table["n_seeds"], unit=unit, resampled_by=resampled_by,
                             interval="Vertical lines")  # fmt: skip
    if noted:
        text = " ".join(fig.get_supxlabel().split())
    if lost := sorted(set(networks["config"]) - set(known["config"])):
        names = ", ".join(style.name_text(name) for name in lost)
        text += f" Not drawn against size, size or score unknown: {names}."
    style.note_sample(fig, text)
    style.note_data(fig, synthetic, leaky)
    fig.draw_without_rendering()  # what follows needs the final layout
    _label_baselines(ax, baselines)
    strokes = [(a, 100 * low, a, 100 * high) for a, low, high in zip(x, known["low"], known["high"], strict=True)]
    strokes += [(*ax.get_xlim()[:1], 100 * mean, ax.get_xlim()[1], 100 * mean) for mean in baselines["mean"]]
    corners = [point for a, b in pairwise(front) for point in ((x[a], y[a]), (x[b], y[a]))]
    strokes += [*((*a, *b) for a, b in pairwise(corners)), *beyond]
    names = [style.name_text(name) for name in known["config"]]
    on_front = [_FRONT if i in set(front) else colour for i in range(len(x))]
    before = set(ax.texts)
    label_points(ax, x, y, names, colours=on_front, lines=[line for line in strokes if np.isfinite(line).all()])
    _tie_names(ax, [note for note in ax.texts if note not in before])
    return fig, ax


def _tie_names(ax, notes) -> None:
    """Keep lines off the names, and tie each name to its point where another point lies near it too."""
    scale = ax.figure.dpi / 72
    named = [note for note in notes if note.get_text()]
    tied = {tuple(note.xy) for note in notes if not note.get_text()}
    dots = {tuple(note.xy): ax.transData.transform(note.xy) for note in named}
    for note in named:
        note.set(path_effects=[withStroke(linewidth=2.5, foreground="white")], zorder=4)
        box, place = note.get_window_extent(), tuple(note.xy)
        others = [dot for other, dot in dots.items() if other != place]
        near = any(np.hypot(*(dot - np.clip(dot, box.min, box.max))) < _NEAR * scale for dot in others)
        if near and place not in tied:
            _draw_leader(ax, place, dots[place], box, note.get_color())


def _draw_leader(ax, place, dot, box, colour: str) -> None:
    line = {"arrowstyle": "-", "color": colour, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
    edge = (np.clip(dot, box.min, box.max) - dot) * 72 / ax.figure.dpi
    leader = ax.annotate("", place, xytext=edge, textcoords="offset points", arrowprops=line)
    leader.set_in_layout(False)


def _set_limits(ax, x, known, baselines) -> None:
    """Leave room for names at either side; the height is that of the networks, and of baselines above them."""
    if len(x):
        factor = max((x.max() / x.min()) ** 0.22, 1.6)
        ax.set_xlim(x.min() / factor, x.max() * factor)
    values = 100 * (known if len(known) else baselines)[["low", "high", "mean"]].to_numpy(float).ravel()
    values = values[np.isfinite(values)]
    if len(values):
        top = max(values.max(), 100 * baselines["mean"].max()) if len(baselines) else values.max()
        margin = max(0.08 * (top - values.min()), 2)
        ax.set_ylim(max(values.min() - margin, 0), top + margin)


def _label_baselines(ax, baselines) -> None:
    """Draw the baselines as lines and name them in the right margin, moved apart; those far below by an arrow."""
    low, high = ax.get_ylim()
    height = ax.figure.get_size_inches()[1] * ax.get_position().height * 72  # points
    values = 100 * baselines["mean"].to_numpy(float)
    places = spread(values, 12 * (high - low) / height, low, high)
    for value, place, name in zip(values, places, baselines["config"], strict=True):
        text = f"{style.name_text(name, 22)} {value:.1f}" + (" ↓" if value < low else "")
        look = {"va": "center", "fontsize": 8, "color": "#444444"}
        line = {"arrowstyle": "-", "color": style.STRONGEST, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0}
        if value >= low:
            ax.axhline(value, color=style.STRONGEST, linestyle="--", linewidth=1, zorder=0.9)
        ends = {"xycoords": ("axes fraction", "data"), "textcoords": ("axes fraction", "data")}
        ax.annotate(text, (1, max(value, low)), (1.03, place), **ends, **look,
                    arrowprops=line if value >= low else None)  # fmt: skip


def pareto_front(size, score) -> np.ndarray:
    """Find the models that no other beats in both size and score.

    Parameters
    ----------
    size, score : sequence of N float
        A model with a NaN is not on the front and beats none.

    Returns
    -------
    int array
        Indices of the models for which no other is at least as small and at least as good, and better in one;
        by size.
    """
    size, score = np.asarray(size, dtype=float), np.asarray(score, dtype=float)
    no_worse = (size[:, None] <= size) & (score[:, None] >= score)  # [i, j]: i is no worse than j; False for NaN
    better = (size[:, None] < size) | (score[:, None] > score)
    beaten = (no_worse & better).any(0)
    front = np.flatnonzero(~beaten & np.isfinite(size) & np.isfinite(score))
    return front[np.lexsort((score[front], size[front]))]
