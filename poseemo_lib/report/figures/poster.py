"""The page of figure 09: texts, tiles and small charts at fixed places of an A3 poster."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from poseemo_lib.plots import marks, style
from poseemo_lib.plots.confusion import draw_confusion

# A3, inches.
_WIDTH, _HEIGHT, _MARGIN = 11.7, 16.5, 0.6
_INSIDE = _WIDTH - 2 * _MARGIN
_LINE_SPACING, _POINTS_AN_INCH, _LEAST_SIZE = 1.3, 72, 8
# Mean width of a letter, in its size.
_LETTER = {"normal": 0.56, "bold": 0.63}
LEAST_ROWS = 4


class Panel(NamedTuple):
    """A few bars (name, value, low, high, colour, hatch) with a message and a note; None: they were not run."""

    title: str
    bars: pd.DataFrame | None
    note: str


@style.in_style
def draw_poster(
    words: dict[str, str], tiles: Sequence[tuple[str, str, str, str, bool]], configs: pd.DataFrame,
    confusion: np.ndarray, classes: tuple[str, ...], panels: Sequence[Panel], *, synthetic: bool, leaky: bool = False,
):  # fmt: skip
    """Draw a page of A3, with at most four tiles and three panels.

    Parameters
    ----------
    words : dict
        What is written from the top: question, data, answer, detail, bars and confusion (two titles), limits (a line
        each), sample.
    tiles : sequence of tuple
        Whose number it is, what it is, the number, its interval, and whether it is of the selected config.
    configs : DataFrame
        name, value, low, high (shares), colour, hatch and is_chosen, drawn from the top in this order.
    confusion : array (C, C)
    """
    fig = plt.figure(figsize=(_WIDTH, _HEIGHT), facecolor="white")
    _write(fig, words["question"], (_MARGIN, 0.62), (_INSIDE, 1.1), 31, weight="bold")
    _write(fig, words["data"], (_MARGIN, 1.78), (_INSIDE, 0.72), 13.5, color=style.DARK)
    _write(fig, words["answer"], (_MARGIN, 2.76), (_INSIDE, 0.82), 21, weight="bold", color=style.BLUE)
    for i, (owner, label, value, note, is_chosen) in enumerate(tiles):
        left, width = _MARGIN + i * _INSIDE / 4, _INSIDE / 4 - 0.15
        colour = style.BLUE if is_chosen else style.DARK
        _write(fig, owner, (left, 3.64), (width, 0.25), 12.5, color=colour, weight="bold")
        _write(fig, label, (left, 3.86), (width, 0.25), 12.5)
        _write(fig, value, (left, 4.1), (width, 0.72), 39, color=colour, weight="bold")
        _write(fig, note, (left, 4.76), (width, 0.25), 11.5, color=style.DARK)
    _write(fig, words["detail"], (_MARGIN, 5.16), (_INSIDE, 0.76), 13)
    _write(fig, words["bars"], (_MARGIN, 6.16), (5.0, 0.5), 15, weight="bold")
    _write(fig, words["confusion"], (6.2, 6.16), (4.9, 0.5), 15, weight="bold")
    bars, shares = _axes(fig, (_MARGIN, 6.72), (5.0, 4.55)), _axes(fig, (7.15, 6.72), (3.95, 3.95))
    _draw_bars(bars, configs, 12, LEAST_ROWS)
    draw_confusion(shares, confusion, classes, counts=False, fontsize=13)
    shares.tick_params(labelsize=min(11.5, 11.5 * 11 / len(classes)))
    for i, panel in enumerate(panels):
        _draw_panel(fig, panel, _MARGIN + i * (_INSIDE + 0.35) / 3, (_INSIDE + 0.35) / 3 - 0.35)
    _write(fig, "What it cannot do", (_MARGIN, 14.48), (_INSIDE, 0.3), 15, weight="bold")
    _write(fig, words["limits"], (_MARGIN, 14.81), (_INSIDE, 0.96), 12)
    _write(fig, words["sample"], (_MARGIN, 15.8), (_INSIDE, 0.52), 10, color=style.DARK)
    for above, below in ((2.6, 6.0), (11.62, 14.38)):
        for y in (1 - above / _HEIGHT, 1 - below / _HEIGHT):
            fig.add_artist(plt.Line2D([_MARGIN / _WIDTH, 1 - _MARGIN / _WIDTH], [y, y], color="#cccccc", linewidth=1.2))
    # A frame that nobody sees keeps the margins where a figure is saved without its empty rim.
    fig.add_artist(plt.Rectangle((0, 0), 1, 1, transform=fig.transFigure, fill=False, edgecolor="white"))
    style.finish(fig, synthetic=synthetic, leaky=leaky)
    return fig


def _axes(fig, place: tuple[float, float], size: tuple[float, float]):
    """Add axes at a place from the left and the top, of a size, in inches."""
    left, bottom = place[0] / _WIDTH, 1 - (place[1] + size[1]) / _HEIGHT
    return fig.add_axes([left, bottom, size[0] / _WIDTH, size[1] / _HEIGHT])


def _write(fig, text: str, place, box, size: float, **font) -> None:
    """Write a text from a place downwards, smaller where it does not fit its box; all in inches."""
    text, size = fit_text(text, size, *box, weight=font.get("weight", "normal"))
    fig.text(place[0] / _WIDTH, 1 - place[1] / _HEIGHT, text, va="top", fontsize=size,
             linespacing=_LINE_SPACING / 1.2, **font)  # fmt: skip


def fit_text(text: str, size: float, width: float, height: float, *, weight: str = "normal") -> tuple[str, float]:
    """Break a text into lines that fit a box, in inches, in a smaller size if they must; the rest is cut."""
    while True:
        letters = int(width * _POINTS_AN_INCH / (size * _LETTER[weight]))
        most = max(int(height * _POINTS_AN_INCH / (size * _LINE_SPACING)), 1)
        lines = [line for own in text.splitlines() for line in textwrap.wrap(own, letters)]
        if len(lines) <= most or size <= _LEAST_SIZE:
            return "\n".join(lines[:most]) + "…" * (len(lines) > most), size
        size -= 0.5


def _draw_panel(fig, panel: Panel, left: float, width: float) -> None:
    """Draw a message, its bars and what they are."""
    _write(fig, panel.title, (left, 11.78), (width, 0.56), 14, weight="bold")
    ax = _axes(fig, (left, 12.38), (width, 1.18 if panel.bars is not None else 1.6))
    if panel.bars is None:
        style.write_missing(ax, panel.note, 38)
        return
    _draw_bars(ax, panel.bars, 11, 3)
    _write(fig, panel.note, (left, 13.56), (width, 0.78), 10.5, color=style.DARK)


def _draw_bars(ax, bars: pd.DataFrame, size: float, least_rows: int) -> None:
    """Draw bars with intervals, the name above the start of each and the value above the end of the axes."""
    for i, row in enumerate(bars.to_dict("records")):
        look = {"fontsize": size, "weight": "bold" if row.get("is_chosen") else "normal", "va": "center"}
        if np.isfinite(row["value"]):
            marks.draw_bar(ax, i + 0.2, row, value="value", colour=row["colour"], hatch=row["hatch"],
                             height=0.38)  # fmt: skip
        ax.text(0, i - 0.21, row["name"], ha="left", **look)
        text = f"{100 * row['value']:.1f} %" if np.isfinite(row["value"]) else "not defined"
        ax.text(100, i - 0.21, text, ha="right", **look)
    ax.set(xlim=(0, 100), ylim=(max(len(bars), least_rows) - 0.5, -0.5), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
