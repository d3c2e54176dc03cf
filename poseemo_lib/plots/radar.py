"""Figure of a few networks on several axes at once, with the numbers beside it."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from poseemo_lib.plots import style

# Colour, marker and line of a network, by its place.
_MARKS = (
    ("#0072B2", "o", "-"), ("#E69F00", "s", "--"), ("#009E73", "^", "-."), ("#CC79A7", "D", ":"),
    ("#D55E00", "P", (0, (6, 1, 1, 1, 1, 1))),
)  # fmt: skip
MOST = len(_MARKS)
_DIRECTIONS = {-1: "right", 0: "center", 1: "left"}
# In widths of a column.
_NAME_WIDTH = 2.3
_KEY_START, _KEY_STEP = 0.02, 0.22
_SHADE = "#DCEBF7"


class Axis(NamedTuple):
    """An axis of a radar.

    Parameters
    ----------
    name : str
        Column of its values.
    title : str
        As written.
    centre, rim : float
        Values at the middle and at the rim; the rim is better, and may be the smaller one.
    is_log : bool
        Whether equal steps are equal factors.
    pattern : str
        How a value is written, for `str.format`.
    """

    name: str
    title: str
    centre: float
    rim: float
    is_log: bool
    pattern: str


def scaled(values, axis: Axis) -> np.ndarray:
    """Place values on an axis: 0 the centre, 1 the rim.

    Parameters
    ----------
    values : sequence of float
        NaN stays NaN.
    axis : Axis

    Returns
    -------
    array, float64
        Of the same length; values beyond the ends lie at the ends.
    """
    values, ends = np.asarray(values, dtype=np.float64), np.array([axis.centre, axis.rim], dtype=np.float64)
    if axis.is_log:
        values, ends = np.log(values), np.log(ends)
    return np.clip((values - ends[0]) / (ends[1] - ends[0]), 0, 1)


@style.in_style
def radar_comparison(
    values: pd.DataFrame,
    axes: Sequence[Axis],
    texts: pd.DataFrame,
    *,
    title: str,
    sample: str,
    synthetic: bool,
    leaky: bool = False,
):
    """Draw networks as polygons over axes whose ends are written at them, and their values as a table.

    Parameters
    ----------
    values : DataFrame
        Index: names, at most :data:`MOST`, the most important first; a column an axis. NaN: not measured, a gap.
    axes : sequence of Axis
        In the order around the circle, from the top clockwise.
    texts : DataFrame
        Index and columns of `values`: as written in the table.
    title, sample : str
        What the figure says, and what its numbers rest on.
    synthetic, leaky : bool
        See :func:`poseemo_lib.plots.style.note_data`.

    Returns
    -------
    fig, axes
        The radar and the table.
    """
    fig = plt.figure(figsize=(12.2, 6.2), layout="constrained")
    left, right = fig.subfigures(1, 2, width_ratios=(1, 1.3))
    radar, table = left.add_subplot(projection="polar"), right.add_subplot()
    angles = np.linspace(0, 2 * np.pi, len(axes), endpoint=False)
    _dress(radar, angles)
    for i, axis in enumerate(axes):
        _write_axis(radar, angles[i], axis)
    places = np.column_stack([scaled(values[axis.name], axis) for axis in axes])
    for i in reversed(range(len(values))):
        _polygon(radar, angles, places[i], i)
    _write_table(table, axes, texts, best_values(values, axes))
    style.title_figure(fig, title)
    style.note_sample(fig, sample)
    style.note_data(fig, synthetic, leaky)
    return fig, np.array([radar, table])


def _dress(ax, angles: np.ndarray) -> None:
    """Draw straight rings and spokes; each axis has a scale of its own, so the rings carry no number."""
    ax.set_theta_offset(np.pi / 2)
    ax.set_theta_direction(-1)
    ax.set(ylim=(0, 1), xticks=[], yticks=[])
    ax.spines["polar"].set_visible(False)
    around = np.append(angles, angles[0])
    for ring in range(1, 5):
        ax.plot(around, np.full(len(around), ring / 4), color="#777777" if ring == 4 else "#dddddd",
                linewidth=1.2 if ring == 4 else 0.8, zorder=1)  # fmt: skip
    for angle in angles:
        ax.plot([angle, angle], [0, 1], color="#cccccc", linewidth=0.8, zorder=1)


def _write_axis(ax, angle: float, axis: Axis) -> None:
    """Write an axis' name, and the values at its ends, outside of the rim."""
    side = int(np.sign(round(np.sin(angle), 6)))
    up = int(np.sign(round(np.cos(angle), 6)))
    ends = [axis.pattern.format(end).replace("%", " %") for end in (axis.rim, axis.centre)]
    lines = [f"rim {ends[0]}", f"centre {ends[1]}"]
    place = {"ha": _DIRECTIONS[side], "va": "center" if side else {1: "bottom", -1: "top"}[up]}
    text = "\n".join([*axis.title.split(", "), *lines, *(["log scale"] if axis.is_log else [])])
    ax.text(angle, 1.07, text, fontsize=9, linespacing=1.2, **place)


def _polygon(ax, angles: np.ndarray, places: np.ndarray, i: int) -> None:
    colour, marker, line = _MARKS[i]
    around = np.append(angles, angles[0])
    look = {"linewidth": 2.8 if i == 0 else 1.6, "markersize": 7, "markeredgecolor": "white", "markeredgewidth": 0.7}
    ax.plot(around, np.append(places, places[0]), marker=marker, linestyle=line, color=colour, zorder=3, clip_on=False,
            **look)  # fmt: skip
    if i == 0 and np.isfinite(places).all():
        ax.fill(angles, places, color=colour, alpha=0.12, zorder=2)


def best_values(values: pd.DataFrame, axes: Sequence[Axis]) -> np.ndarray:
    """Tell which values are the best of their axis: array (names, axes), bool; none where all are alike."""
    signed = np.column_stack([np.sign(axis.rim - axis.centre) * values[axis.name] for axis in axes])
    known = np.where(np.isnan(signed), -np.inf, signed)
    return (known == known.max(0)) & (known.max(0) > known.min(0))


def _write_table(ax, axes: Sequence[Axis], texts: pd.DataFrame, best: np.ndarray) -> None:
    """Write the values, a row a network behind its mark; the first one in bold, the best of a column shaded."""
    n = len(texts)
    ax.axis("off")
    ax.set(xlim=(0, _NAME_WIDTH + len(axes)), ylim=(max(n, MOST) + 0.6, -1.1))
    centres = _NAME_WIDTH + 0.5 + np.arange(len(axes))
    for x, axis in zip(centres, axes, strict=True):
        ax.text(x, -0.45, axis.title.replace(", ", "\n"), ha="center", va="center", fontsize=8.5, color="#333333")
    ax.plot(ax.get_xlim(), [0, 0], color="#777777", linewidth=1)
    for i, (name, row) in enumerate(texts.iterrows()):
        weight = "bold" if i == 0 else "normal"
        colour, marker, line = _MARKS[i]
        key = {"marker": marker, "markevery": [1], "linestyle": line, "linewidth": 2, "markersize": 7}
        ax.plot(_KEY_START + _KEY_STEP * np.arange(3), np.full(3, i + 0.5), color=colour, **key)
        ax.text(0.56, i + 0.5, _two_lines(name), va="center", fontsize=9, weight=weight)
        for x, axis, is_best in zip(centres, axes, best[i], strict=True):
            if is_best:
                ax.add_patch(plt.Rectangle((x - 0.46, i + 0.14), 0.92, 0.72, color=_SHADE, linewidth=0))
            ax.text(x, i + 0.5, row[axis.name], ha="center", va="center", fontsize=9, weight=weight)
        ax.plot(ax.get_xlim(), [i + 1] * 2, color="#dddddd", linewidth=0.8)


def _two_lines(name: object, width: int = 16) -> str:
    """Break a long name once, at an underscore or a space where there is one."""
    text = " ".join(str(name).split())
    if len(text) <= width:
        return style.name_text(text)
    cut = max(text.rfind(mark, 0, width) for mark in "_ -") + 1 or width
    return f"{style.name_text(text[:cut].strip())}\n{style.name_text(text[cut:].strip(), width)}"
