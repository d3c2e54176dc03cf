"""Figures that compare configs: differences from baselines, and every number of every config."""

import textwrap
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colormaps

from poseemo_lib.plots import style

_HIGHER, _LOWER, _OPEN = "#0072B2", "#D55E00", "#777777"
_NO_VALUE_COLOUR, _NO_ROW_COLOUR = (0.97, 0.97, 0.97), (0.93, 0.93, 0.93)
# Relative luminance of sRGB, roughly; below this one white is easier to read than black (WCAG 2.2, contrast ratio).
_COLOUR_WEIGHTS, _GAMMA, _DARK = (0.2126, 0.7152, 0.0722), 2.2, 0.18
_COLUMN_LETTERS = 9  # of a head, that there is room for
_OFF_LINES = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}


@style.in_style
def baseline_differences(
    table, panels, *, title: str = "", sample: str = "", synthetic: bool, leaky: bool = False, score_name="macro-F1"
):
    """Forest plot: how far each network lies from each of some baselines, with intervals.

    Parameters
    ----------
    table : DataFrame
        One row a network and baseline: a (network), b (baseline), difference, low, high, score (of the network; all
        shares), significant (whether tests support a difference), is_chosen. Networks are drawn in this order.
    panels : dict
        What a panel is about -> the baseline's name in `b`, or None where it was not run.
    title, sample : str
        Above the figure, and under it.
    synthetic, leaky : bool
        See :func:`poseemo_lib.plots.style.note_data`.
    score_name : str

    Returns
    -------
    fig, axes
        As many as panels.
    """
    rows = table.drop_duplicates("a")
    size = (3.2 + 3.9 * len(panels), 1.9 + 0.29 * max(len(rows), 3))
    fig, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, layout="constrained", squeeze=False)
    axes = axes[0]
    for ax, (what, name) in zip(axes, panels.items(), strict=True):
        ax.set_title(f"From the {what}, points\n{style.name_text(name or '')}")
        if name is not None:
            _forest(ax, table[table["b"] == name], [*rows["a"]])
    _limit_differences([ax for ax, name in zip(axes, panels.values(), strict=True) if name], table)
    _name_networks(axes[0], rows, score_name)
    for ax, (what, name) in zip(axes, panels.items(), strict=True):
        if name is None:
            _leave_out(ax, f"There is no {what}.")
    if title:
        style.title_figure(fig, title)
    if sample:
        style.note_sample(fig, sample)
    style.note_data(fig, synthetic, leaky)
    return fig, axes


def _forest(ax, rows, networks: list[str]) -> None:
    """Draw one baseline's differences: filled where tests support them, open where not."""
    ax.axvline(0, color="black", linewidth=1, zorder=0.9)
    for row in rows.to_dict("records"):
        i, told = networks.index(row["a"]), row["significant"]
        colour = (_HIGHER if row["difference"] > 0 else _LOWER) if told else _OPEN
        low, value, high = (100 * row[name] for name in ("low", "difference", "high"))
        ax.plot([low, high], [i, i], color=colour, linewidth=1.8, solid_capstyle="butt")
        ax.plot(value, i, "o", color=colour, markerfacecolor=colour if told else "white", markersize=7)
        ax.annotate(f"{value:+.1f}", (max(high, value), i), (4, 0), textcoords="offset points", va="center",
                    fontsize=8, color=colour if told else "#444444", weight="bold" if told else "normal",
                    bbox=_OFF_LINES)  # fmt: skip
    ax.grid(axis="x")
    ax.tick_params(axis="y", length=0)


def _limit_differences(axes, table) -> None:
    """Give all panels one scale, with zero in it and room for the numbers at the right."""
    ends = 100 * table[["low", "difference", "high"]].to_numpy(float)
    low, high = min(np.nanmin(ends), 0), max(np.nanmax(ends), 0)
    room = max(high - low, 1)
    for ax in axes:
        ax.set_xlim(low - 0.05 * room, high + 0.2 * room)


def _name_networks(ax, rows, score_name: str) -> None:
    names = [f"{style.name_text(row.a, 30)}, {100 * row.score:.1f} %" for row in rows.itertuples()]
    ax.set_yticks(range(len(names)), names)
    _embolden(ax, rows["is_chosen"])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_ylabel(f"network, its {score_name}")


def _embolden(ax, which) -> None:
    for label, bold in zip(ax.get_yticklabels(), which, strict=True):
        label.set_fontweight("bold" if bold else "normal")


def _leave_out(ax, why: str) -> None:
    # The other panel keeps the names that both share.
    ax.set_xticks([])
    ax.tick_params(axis="y", length=0)
    ax.spines[:].set_visible(False)
    ax.text(0.5, 0.5, f"not run\n{why}", transform=ax.transAxes, ha="center", va="center", color="#555555", fontsize=9)


class Columns(NamedTuple):
    """Columns of a table that are drawn in one colour.

    Parameters
    ----------
    title : str
    heads : dict
        Column of the table -> its head.
    colours : str
        Name of a matplotlib colour map, light to dark.
    written : callable
        A value -> its text.
    most : float or None
        Value of the darkest colour; 0 has the lightest. None: each column by itself, on a log scale.
    """

    title: str
    heads: dict[str, str]
    colours: str
    written: Callable[[float], str]
    most: float | None


@style.in_style
def detail_table(
    table, groups, *, not_run=(), title: str = "", sample: str = "", synthetic: bool, leaky: bool = False, ax=None
):
    """Draw a table with a colour behind each value: a row a config, its columns in groups.

    Parameters
    ----------
    table : DataFrame
        Index: names of the configs. is_baseline, is_chosen, is_apart (tested on other clips than the chosen one), and
        the groups' columns; where there are `<column>_low` and `<column>_high` too, they are written below the value.
        NaN is a dash.
    groups : sequence of Columns
    not_run : sequence of str
        Names of configs without runs, each a row that says so.
    title, sample : str
        Above the figure, and under it.
    synthetic, leaky : bool
        See :func:`poseemo_lib.plots.style.note_data`.
    ax : Axes, optional

    Returns
    -------
    fig, ax
    """
    columns = [(group, column) for group in groups for column in group.heads]
    n_rows = len(table) + len(not_run)
    fig, ax = style.axes_or_new(ax, width=2.6 + 0.75 * len(columns), height=2.2 + 0.38 * n_rows)
    shades = np.full((n_rows, len(columns), 3), _NO_ROW_COLOUR)
    for j, (group, column) in enumerate(columns):
        shades[: len(table), j] = _shades(table[column].to_numpy(float), group)
    ax.imshow(shades, aspect="auto", interpolation="none")
    for j, (group, column) in enumerate(columns):
        _write_column(ax, j, table, column, group, shades[:, j])
    for i in range(len(table), n_rows):
        ax.text(len(columns) / 2 - 0.5, i, "not run", ha="center", va="center", color="#555555", fontsize=9)
    _divide(ax, groups, n_rows)
    _head_columns(ax, groups)
    _name_configs(ax, table, not_run)
    if title:
        style.title_figure(fig, title)
    if sample:
        style.note_sample(fig, sample)
    style.note_data(fig, synthetic, leaky)
    return fig, ax


def _shades(values, group: Columns) -> np.ndarray:
    """Colour of each value, (N, 3)."""
    known = np.isfinite(values)
    shares = _log_shares(values) if group.most is None else values / (group.most or 1)
    colours = colormaps[group.colours](0.05 + 0.75 * np.clip(np.where(known, shares, 0), 0, 1))[:, :3]
    return np.where(known[:, None], colours, _NO_VALUE_COLOUR)


def _log_shares(values) -> np.ndarray:
    logs = np.log(np.where(values > 0, values, np.nan))
    if not np.isfinite(logs).any():
        return np.zeros_like(values)
    low, high = np.nanmin(logs), np.nanmax(logs)
    return np.nan_to_num((logs - low) / (high - low)) if high > low else np.zeros_like(values)


def _write_column(ax, j: int, table, column: str, group: Columns, shades) -> None:
    with_interval = {f"{column}_low", f"{column}_high"} <= set(table.columns)
    for i, value in enumerate(table[column].to_numpy(float)):
        colour = "white" if shades[i] ** _GAMMA @ _COLOUR_WEIGHTS < _DARK else "black"
        look = {"ha": "center", "va": "center", "color": colour}
        if not np.isfinite(value):
            ax.text(j, i, "–", **look | {"color": "#777777"}, fontsize=8)
            continue
        ends = table[[f"{column}_low", f"{column}_high"]].iloc[i].to_numpy(float) if with_interval else ()
        low_high = " to ".join(map(group.written, ends)) if len(ends) and np.isfinite(ends).all() else ""
        ax.text(j, i - 0.15 * bool(low_high), group.written(value), **look, fontsize=9.5)
        if low_high:
            ax.text(j, i + 0.27, low_high, **look, fontsize=7)


def _divide(ax, groups, n_rows: int) -> None:
    """Part the rows by thin lines and the groups by thick ones, and name the groups under the table."""
    for i in range(1, n_rows):
        ax.axhline(i - 0.5, color="white", linewidth=1)
    start = 0
    for group in groups:
        end = start + len(group.heads)
        ax.axvline(end - 0.5, color="white", linewidth=6)
        colour = colormaps[group.colours](0.8)
        line = ax.plot([start - 0.4, end - 0.6], [n_rows - 0.42] * 2, color=colour, linewidth=3, clip_on=False)[0]
        line.set_solid_capstyle("butt")
        text = "\n".join(textwrap.wrap(group.title, 9 * (end - start), break_long_words=False))
        ax.annotate(text, ((start + end - 1) / 2, n_rows - 0.42), (0, -4), textcoords="offset points", ha="center",
                    va="top", fontsize=8.5, color="#333333", annotation_clip=False)  # fmt: skip
        start = end
    ax.set_ylim(n_rows - 0.5, -0.5)


def _head_columns(ax, groups) -> None:
    heads = [head for group in groups for head in group.heads.values()]
    flat = all(_fit_beside(*pair) for pair in pairwise(heads))
    turned = {} if flat else {"rotation": 40, "ha": "left", "rotation_mode": "anchor"}
    ax.xaxis.tick_top()
    texts = heads if flat else [head.replace("-\n", "-").replace("\n", " ") for head in heads]
    ax.set_xticks(range(len(heads)), texts, fontsize=8, **turned)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _fit_beside(a: str, b: str) -> bool:
    """Tell whether two heads, which stand on one line below, do not lie on each other."""
    lines = zip(a.split("\n")[::-1], b.split("\n")[::-1], strict=False)
    return all((len(one) + len(other)) / 2 <= _COLUMN_LETTERS for one, other in lines)


def _name_configs(ax, table, not_run) -> None:
    names = [style.name_text(name) + ("†" if apart else "") for name, apart in table["is_apart"].items()]
    ax.set_yticks(range(len(table) + len(not_run)), [*names, *map(style.name_text, not_run)])
    _embolden(ax, [*table["is_chosen"], *(False for _ in not_run)])
    grey = style.MODEL_KINDS["baseline"][0]
    for label, is_baseline in zip(ax.get_yticklabels(), table["is_baseline"], strict=False):
        label.set_color(grey if is_baseline else "black")
        label.set_fontstyle("italic" if is_baseline else "normal")
