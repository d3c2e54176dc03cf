"""A study on one page, for a poster: question, answer, scores, confusions, what to beware of, and where it is from."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.font_manager import FontProperties
from matplotlib.patheffects import Normal, Stroke
from matplotlib.textpath import text_to_path

from poseemo_lib.plots import style
from poseemo_lib.plots.best_model import draw_shares

# A3, inches.
_WIDTH, _HEIGHT, _MARGIN = 11.7, 16.5, 0.6
_INSIDE = _WIDTH - 2 * _MARGIN
_INK, _GREY, _CHOSEN, _NETWORK, _BASELINE = "#111111", "#555555", "#0072B2", "#9CC7E3", "#BBBBBB"
_ASCENT, _LINE_SPACING, _POINTS_AN_INCH, _LEAST_SIZE = 0.8, 1.3, 72, 8
# Letters on a screen are a little wider than their outlines.
_SLACK = 1.06
LEAST_ROWS = 4


class Tile(NamedTuple):
    """A number in large type.

    Parameters
    ----------
    owner, label, value, note : str
        What it is of, what it is, the number, and its interval.
    is_chosen : bool
        Whether it is of the chosen config; the others are what it is held against.
    """

    owner: str
    label: str
    value: str
    note: str
    is_chosen: bool


class Panel(NamedTuple):
    """A few bars with a message.

    Parameters
    ----------
    title : str
        The message.
    bars : DataFrame
        name, value, low, high (shares, 0 to 1; low and high NaN: no interval), colour, hatch; no rows: not run.
    note : str
        What the bars are, or why they were not run.
    """

    title: str
    bars: pd.DataFrame
    note: str


class Words(NamedTuple):
    """What is written on the page.

    Parameters
    ----------
    question, data, answer, detail : str
        In this order from the top, in ever smaller type but for the answer.
    bars, confusion : str
        Titles of the two large pictures.
    limits : sequence of str
        What cannot be done with it: a paragraph each.
    sample, provenance : str
        What the numbers rest on, and what made them.
    """

    question: str
    data: str
    answer: str
    detail: str
    bars: str
    confusion: str
    limits: Sequence[str]
    sample: str
    provenance: str


@style.in_style
def summary_infographic(
    words: Words,
    tiles: Sequence[Tile],
    configs: pd.DataFrame,
    confusion: np.ndarray,
    classes: tuple[str, ...],
    panels: Sequence[Panel],
    *,
    synthetic: bool,
    leaky: bool = False,
):
    """Draw a page of A3.

    Parameters
    ----------
    words : Words
    tiles : sequence of Tile
        At most four.
    configs : DataFrame
        name, mean, low, high (shares, 0 to 1), is_baseline, is_chosen; drawn from the top in this order.
    confusion : array (C, C), int
        Of the chosen config; rows are the true class.
    classes : tuple of C str
    panels : sequence of Panel
        At most three.
    synthetic, leaky : bool
        See :func:`poseemo_lib.plots.style.note_data`.

    Returns
    -------
    fig, axes
        Bars of the configs, confusion matrix, and an axes a panel.
    """
    fig = plt.figure(figsize=(_WIDTH, _HEIGHT), facecolor="white")
    _write(fig, words.question, (_MARGIN, 0.62), (_INSIDE, 1.1), 31, weight="bold")
    _write(fig, words.data, (_MARGIN, 1.78), (_INSIDE, 0.72), 13.5, color=_GREY)
    _rule(fig, 2.6)
    _write(fig, words.answer, (_MARGIN, 2.76), (_INSIDE, 0.82), 21, weight="bold", color=_CHOSEN)
    for i, tile in enumerate(tiles):
        _write_tile(fig, tile, _MARGIN + i * _INSIDE / 4)
    _write(fig, words.detail, (_MARGIN, 5.16), (_INSIDE, 0.76), 13)
    _rule(fig, 6.0)
    bars, shares = _axes(fig, (_MARGIN, 6.72), (5.0, 4.55)), _axes(fig, (7.15, 6.72), (3.95, 3.95))
    _write(fig, words.bars, (_MARGIN, 6.16), (5.0, 0.5), 15, weight="bold")
    _write(fig, words.confusion, (6.2, 6.16), (4.9, 0.5), 15, weight="bold")
    _draw_configs(bars, configs)
    draw_shares(shares, np.asarray(confusion), classes, fontsize=13)
    shares.set(xlabel="predicted", ylabel="true class")
    shares.tick_params(labelsize=min(11.5, 11.5 * 11 / len(classes)))
    _rule(fig, 11.62)
    below = [_draw_panel(fig, panel, _MARGIN + i * (_INSIDE + 0.35) / 3) for i, panel in enumerate(panels)]
    _rule(fig, 14.38)
    _write(fig, "What it cannot do", (_MARGIN, 14.48), (_INSIDE, 0.3), 15, weight="bold")
    for i, text in enumerate(words.limits):
        _write(fig, text, (_MARGIN, 14.81 + i * 0.49), (_INSIDE, 0.47), 12)
    _write(fig, f"{words.sample} {words.provenance}", (_MARGIN, 15.8), (_INSIDE, 0.52), 10, color=_GREY)
    style.note_data(fig, synthetic, leaky)
    return fig, np.array([bars, shares, *below])


def _axes(fig, place: tuple[float, float], size: tuple[float, float]):
    """Add axes at a place from the left and the top, of a size, in inches."""
    left, bottom = place[0] / _WIDTH, 1 - (place[1] + size[1]) / _HEIGHT
    return fig.add_axes([left, bottom, size[0] / _WIDTH, size[1] / _HEIGHT])


def _rule(fig, top: float) -> None:
    y = 1 - top / _HEIGHT
    fig.add_artist(plt.Line2D([_MARGIN / _WIDTH, 1 - _MARGIN / _WIDTH], [y, y], color="#cccccc", linewidth=1.2))


def _write(fig, text: str, place, box, size: float, *, color: str = _INK, **font) -> None:
    """Write a text from a place downwards, smaller where it does not fit its box; all in inches."""
    lines, size = fit_text(text, size, *box, weight=font.get("weight", "normal"))
    for i, line in enumerate(lines):
        top = place[1] + size * (_ASCENT + i * _LINE_SPACING) / _POINTS_AN_INCH
        fig.text(place[0] / _WIDTH, 1 - top / _HEIGHT, line, va="baseline", fontsize=size, color=color, **font)


def fit_text(text: str, size: float, width: float, height: float, *, weight: str = "normal") -> tuple[list[str], float]:
    """Break a text into lines that fit a box, in a smaller size if they must; the rest that fits in none is cut.

    Parameters
    ----------
    text : str
    size : float
        The largest, in points.
    width, height : float
        Of the box, in inches.
    weight : str
        Of the font.

    Returns
    -------
    lines : list of str
    size : float
    """
    while True:
        lines = wrap_text(text, size, width, weight)
        most = max(int(height * _POINTS_AN_INCH / (size * _LINE_SPACING)), 1)
        if len(lines) <= most:
            return lines, size
        if size <= _LEAST_SIZE:
            return [*lines[: most - 1], f"{lines[most - 1][:-2]}…"], size
        size -= 0.5


def wrap_text(text: str, size: float, width: float, weight: str = "normal") -> list[str]:
    """Break a text into lines no wider than `width` inches; its own line breaks stay, a longer word is broken too."""
    return [line for own in text.splitlines() for line in _wrap_line(own, (size, weight), width) if line]


def _wrap_line(text: str, font: tuple[float, str], width: float) -> list[str]:
    lines, used = [""], 0.0
    for word in text.split():
        while _text_width(word, font) > width:
            cut = next(n for n in range(len(word) - 1, 0, -1) if n == 1 or _text_width(word[:n], font) <= width)
            lines, word, used = [*lines, word[:cut]], word[cut:], width
        # The width of a space is that between two letters.
        gap = _text_width("n n", font) - _text_width("nn", font) if lines[-1] else 0.0
        own = _text_width(word, font)
        fits = used + gap + own <= width
        lines = [*lines[:-1], f"{lines[-1]} {word}".strip()] if fits else [*lines, word]
        used = used + gap + own if fits else own
    return lines


@lru_cache(maxsize=10_000)
def _text_width(text: str, font: tuple[float, str]) -> float:
    """Width in inches."""
    properties = FontProperties(size=font[0], weight=font[1])
    return text_to_path.get_text_width_height_descent(text, properties, ismath=False)[0] * _SLACK / _POINTS_AN_INCH


def _write_tile(fig, tile: Tile, left: float) -> None:
    """Write what it is of, what it is, the number and its interval, one below the other."""
    width, colour = _INSIDE / 4 - 0.15, _CHOSEN if tile.is_chosen else _GREY
    _write(fig, tile.owner, (left, 3.64), (width, 0.25), 12.5, color=colour, weight="bold")
    _write(fig, tile.label, (left, 3.86), (width, 0.25), 12.5)
    _write(fig, tile.value, (left, 4.1), (width, 0.72), 39, color=colour, weight="bold")
    _write(fig, tile.note, (left, 4.76), (width, 0.25), 11.5, color=_GREY)


def _draw_configs(ax, configs: pd.DataFrame) -> None:
    """Draw a bar a config, its name and score above the bar."""
    for i, row in enumerate(configs.to_dict("records")):
        colour = _CHOSEN if row["is_chosen"] else _BASELINE if row["is_baseline"] else _NETWORK
        kinds = [name for name in ("baseline", "chosen") if row[f"is_{name}"]]
        bar = row | {"value": row["mean"], "colour": colour, "hatch": "//" if row["is_baseline"] else ""}
        _bar(ax, i, bar, ", ".join([style.name_text(row["name"], 28), *kinds]), 12, bold=row["is_chosen"])
    _dress(ax, max(len(configs), LEAST_ROWS))


def _draw_panel(fig, panel: Panel, left: float):
    """Draw a message, its bars and what they are."""
    width = (_INSIDE + 0.35) / 3 - 0.35
    _write(fig, panel.title, (left, 11.78), (width, 0.56), 14, weight="bold")
    ax = _axes(fig, (left, 12.38), (width, 1.18 if len(panel.bars) else 1.6))
    if panel.bars.empty:
        style.write_not_run(ax, panel.note)
        return ax
    for i, row in enumerate(panel.bars.to_dict("records")):
        _bar(ax, i, row, style.name_text(row["name"], 26), 11)
    _dress(ax, 3)
    _write(fig, panel.note, (left, 13.56), (width, 0.78), 10.5, color=_GREY)
    return ax


def _bar(ax, i: int, row: dict, name: str, size: float, bold: bool = False) -> None:
    """Draw one bar with its interval, the name above its start and the value above the end of the axes."""
    value, low, high = (100 * row[key] for key in ("value", "low", "high"))
    look = {"fontsize": size, "weight": "bold" if bold else "normal", "va": "center", "color": _INK}
    ax.barh(i + 0.2, value, height=0.38, color=row["colour"], hatch=row["hatch"], edgecolor="white", linewidth=0.5)
    if np.isfinite(low):
        outlined = [Stroke(linewidth=3.6, foreground="white"), Normal()]
        ax.plot([low, high], [i + 0.2] * 2, color=_INK, linewidth=1.6, solid_capstyle="butt", path_effects=outlined)
    ax.text(0, i - 0.21, name, ha="left", **look)
    ax.text(100, i - 0.21, f"{value:.1f} %" if np.isfinite(value) else "not defined", ha="right", **look)


def _dress(ax, n_rows: int) -> None:
    ax.set(xlim=(0, 100), ylim=(n_rows - 0.5, -0.5), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
