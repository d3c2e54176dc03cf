"""Figure of a study's course: what each run reached, and the best so far by validation."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from poseemo_lib.plots import style
from poseemo_lib.plots.labels import label_points

_HALF_MARK = 5  # points
_VALIDATION, _TEST, _BEST = "#0072B2", "#D55E00", "#000000"


@style.in_style
def improvement_timeline(table, *, x_name: str, sample: str, synthetic: bool, leaky: bool = False, ax=None):
    """Draw every config and seed when it was done, and a step line of the best so far by validation.

    Parameters
    ----------
    table : DataFrame
        One row a config and seed, in the order in which they were done: x, config, seed, is_baseline, val and test
        (macro-F1, shares), is_new_best.
    x_name : str
        What `x` is.
    sample : str
        What the numbers rest on.
    synthetic, leaky : bool
        See :func:`poseemo_lib.plots.style.note_data`.
    ax : Axes, optional

    Returns
    -------
    fig, ax
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(11, 5.6), layout="constrained")
    x, val, test = table["x"].to_numpy(float), 100 * table["val"].to_numpy(float), 100 * table["test"].to_numpy(float)
    ax.vlines(x, val, test, color="#bbbbbb", linewidth=1, zorder=1)
    networks = ~table["is_baseline"].to_numpy(bool)
    for chosen, marker in ((networks, "o"), (~networks, "s")):
        # Larger, so that a rim remains where both are alike.
        ring = {"markerfacecolor": "white", "markersize": 8, "markeredgewidth": 0.9}
        ax.plot(x[chosen], test[chosen], marker, color=_TEST, zorder=2, **ring)
        ax.plot(x[chosen], val[chosen], marker, color=_VALIDATION, markersize=6.5, zorder=3)
    new = table["is_new_best"].to_numpy(bool)
    margin = max(0.02 * (x[-1] - x[0]), 0.5)
    left, right = x[0] - margin, x[-1] + margin
    ends = [*x[new][1:], right]
    ax.step([*x[new], right], [*val[new], val[new][-1]], where="post", color=_BEST, linewidth=1.4, zorder=2.5)
    ax.set(xlabel=x_name, ylabel="macro-F1, %", ylim=(0, 1.16 * max(val.max(), test.max(), 1)), xlim=(left, right))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(axis="y")
    _legend(ax)
    style.title_figure(ax.figure, _headline(table))
    style.note_sample(ax.figure, sample)
    style.note_data(ax.figure, synthetic, leaky)
    names = [f"{style.name_text(row.config, 24)}, seed {row.seed}" for row in table[new].itertuples()]
    steps = [(a, b, c, b) for a, b, c in zip(x[new], val[new], ends, strict=True)]
    steps += [(b, c, b, d) for b, c, d in zip(ends, val[new], val[new][1:], strict=False)]
    runs = [(a, b, a, c) for a, b, c in zip(x, val, test, strict=True)]
    runs += [mark for values in (val, test) for mark in _marks(ax, x, values)]
    before = set(ax.texts)
    label_points(ax, x[new], val[new], names, colours=["#000000"] * len(names), lines=steps + runs)
    for note in set(ax.texts) - before:
        note.set_path_effects([withStroke(linewidth=2.5, foreground="white")])  # keeps lines off the names
    return ax.figure, ax


def _marks(ax, x: np.ndarray, y: np.ndarray) -> list[tuple[float, float, float, float]]:
    """Give each mark as a level and an upright segment in data coordinates, as long as the mark is wide."""
    ax.figure.draw_without_rendering()
    half = _HALF_MARK * ax.figure.dpi / 72
    places = ax.transData.transform(np.column_stack([x, y]))
    ends = [(place - reach, place + reach) for place in places for reach in ((half, 0), (0, half))]
    return [tuple(ax.transData.inverted().transform(segment).ravel()) for segment in ends]


def _legend(ax) -> None:
    """Say what is drawn how, above the axes and in the colours of the marks."""
    texts = (("● validation", _VALIDATION), ("○ test", _TEST), ("— best so far by validation", _BEST),
             ("squares: baselines", "#444444"))  # fmt: skip
    margins = (0, 0.12, 0.2, 0.44)
    for (text, colour), left in zip(texts, margins, strict=True):
        ax.text(left, 1.02, text, transform=ax.transAxes, color=colour, fontsize=9, va="bottom")


def _headline(table) -> str:
    last = table[table["is_new_best"]].iloc[-1]
    done = int(np.flatnonzero(table["is_new_best"])[-1]) + 1
    name = style.name_text(last["config"], 24)
    val, test = (f"{100 * last[column]:.1f} %" for column in ("val", "test"))
    came = f"The best single seed by validation came as number {done} of {len(table)}"
    return f"{came}: {name}, seed {last['seed']}, {val} there, {test} on test"
