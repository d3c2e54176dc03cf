"""What charts of scores share: a point or bar with its interval, its value, seeds, limits and reference lines."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from poseemo_lib.plots import style

_OFF_LINES = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
_LEVEL = 10.4  # points from one level of names above an axes to the next


def draw_point(
    ax, place: float, row, *, colour: str, value: str = "mean", vertical: bool = False, width: float = 1.8,
    written: str = "", beyond: float = np.nan, **look,
) -> None:  # fmt: skip
    """Draw a share as a point with its interval, in percent; a NaN is "not defined", or "not run" of 0 seeds.

    Parameters
    ----------
    place : float
        On the other axis.
    row : mapping
        Shares in `value`, low and high; without ends there is no interval. May have n_seeds.
    width : float
        Of the interval's line, in points.
    written : str
        Format of the value, which is written beyond all marks; empty: not written.
    beyond : float
        A share that is marked farther out than the interval, such as that of a seed.
    **look
        Of the point, for `ax.plot`.
    """
    mean, low, high = (100 * float(row[name]) for name in (value, "low", "high"))
    if not np.isfinite(mean):
        x, y = (place, 0.02) if vertical else (0.02, place)
        transform = ax.get_xaxis_transform() if vertical else ax.get_yaxis_transform()
        text = "not run" if row.get("n_seeds") == 0 else "not defined"
        ax.text(x, y, text, va="center", fontsize=8, bbox=_OFF_LINES, transform=transform)
        return
    turn = (lambda along, across: (across, along)) if vertical else (lambda along, across: (along, across))
    ax.plot(*turn([low, high], [place, place]), color=colour, linewidth=width, solid_capstyle="butt")
    ax.plot(*turn(mean, place), **{"marker": "o", "color": colour} | look)
    if written:
        align = {"ha": "center"} if vertical else {"va": "center", "bbox": _OFF_LINES}
        ax.annotate(written.format(mean), turn(np.nanmax([mean, high, 100 * beyond]), place), turn(5, 0), fontsize=8,
                    textcoords="offset points", **align)  # fmt: skip


def draw_bar(ax, place: float, row, *, colour: str, value: str = "mean", hatch="", height=0.68, vertical=False, **more):
    """Draw a share as a bar with its interval: see :func:`draw_point`."""
    bar = {"color": colour, "alpha": 0.45, "edgecolor": colour, "linewidth": 0.8, "hatch": hatch}
    if np.isfinite(row[value]):
        (ax.bar if vertical else ax.barh)(place, 100 * row[value], height, **bar)
    draw_point(ax, place, row, colour=colour, value=value, vertical=vertical, marker="", **more)


def draw_bars(
    ax, rows, names, *, colours, hatches="", seeds=None, bold=(), value: str = "mean", lines=(), title="", levels=0
) -> None:
    """Draw a bar with its interval and value for each row, from the top.

    Parameters
    ----------
    rows : DataFrame
        As for :func:`draw_point`; its index tells which `seeds` belong to a row.
    colours, hatches : str or list
        One for all rows, or one each.
    seeds : Series, optional
        Shares of single seeds, drawn as circles.
    lines, title, levels
        As for :func:`draw_references`.
    """
    seeds = pd.Series(dtype=float) if seeds is None else seeds[seeds.index.isin(rows.index)].astype(float)
    highest = seeds.groupby(level=0).max().reindex(rows.index)
    looks = [[one] * len(rows) if isinstance(one, str) else one for one in (colours, hatches)]
    for i, (row, colour, hatch, beyond) in enumerate(zip(rows.to_dict("records"), *looks, highest, strict=True)):
        draw_bar(ax, i, row, value=value, colour=colour, hatch=hatch, written="{:.1f}", beyond=beyond)
    if len(seeds):
        draw_seeds(ax, seeds, rows.index.get_indexer(seeds.index))
    name_rows(ax, names, bold)
    limit_scores(ax, [*rows[[value, "high"]].to_numpy(float).ravel(), *highest, *(line[0] for line in lines)])
    draw_references(ax, lines, title, levels)


def draw_seeds(ax, shares, places) -> None:
    """Draw single seeds as small circles, in percent."""
    look = {"facecolor": "white", "edgecolor": "black", "linewidth": 0.8, "size": 3.8, "jitter": False, "zorder": 3}
    sns.stripplot(x=100 * np.asarray(shares, dtype=float), y=np.asarray(places, dtype=float), orient="h", ax=ax,
                  native_scale=True, legend=False, **look)  # fmt: skip


def name_rows(ax, names, bold=(), offset: float = 0, **font) -> None:
    """Name the rows of a horizontal chart from the top, some in bold."""
    ax.set_yticks(np.arange(len(names)) + offset, names, **font)
    for label, strong in zip(ax.get_yticklabels(), bold, strict=False):
        label.set_fontweight("bold" if strong else "normal")
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.set(xlabel="", ylabel="")


def write_values(ax, texts) -> None:
    """Write a text for each row beyond the right end of a horizontal chart."""
    for i, text in enumerate(texts):
        ax.annotate(text, (1, i), (3, 0), xycoords=ax.get_yaxis_transform(), textcoords="offset points", va="center",
                    fontsize=8.5)  # fmt: skip


def limit_scores(ax, shares) -> None:
    """Leave room for the values behind the bars; no tick lies above 100 %."""
    most = np.nanmax([*np.ravel(100 * np.asarray(shares, dtype=float)), 10])
    ax.set_xlim(0, 1.22 * most)
    ax.set_xticks([tick for tick in ax.get_xticks() if 0 <= tick <= min(1.22 * most, 100)])
    ax.grid(axis="x")


def scale_sizes(ax, sizes, room: float) -> None:
    """Make x a log scale of parameters, from the smallest to the largest size and a factor of `room` beyond."""
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(EngFormatter(sep=" "))
    ax.xaxis.set_minor_locator(NullLocator())
    if len(sizes):
        ax.set_xlim(sizes.min() / room, sizes.max() * room)
    ax.set(xlabel="parameters (log scale)", ylabel="macro-F1, %")
    ax.grid(axis="y")


def draw_references(ax, lines, title: str, levels: int = 0) -> None:
    """Draw vertical lines, (share, name, colour, style), name each on its own level above the axes, and add the title.

    The limits are final before. `levels` is the number of lines of the panels beside.
    """
    lines = sorted(line for line in lines if np.isfinite(line[0]))
    middle = sum(ax.get_xlim()) / 2
    for level, (share, name, colour, dashes) in enumerate(lines):
        ax.axvline(100 * share, color=colour, linestyle=dashes, linewidth=1.1, zorder=0.9)
        ax.annotate(name, (100 * share, 1), (0, 2 + _LEVEL * level), xycoords=("data", "axes fraction"),
                    textcoords="offset points", ha="left" if 100 * share < middle else "right", va="bottom", fontsize=8,
                    color=colour)  # fmt: skip
    ax.set_title(title, pad=6 + _LEVEL * max(levels, len(lines)))


def baseline_lines(rows, name: str = "config") -> list[tuple[float, str, str, str]]:
    """Return the lines of the majority baseline and the strongest other one, for :func:`draw_references`.

    `rows` has the columns `name`, is_majority and mean (a share) of the baselines.
    """
    rows = rows.astype({"mean": float}).dropna(subset="mean")
    is_majority = rows["is_majority"].astype(bool)
    lines = [(mean, "majority", style.ORANGE, "--") for mean in rows[is_majority]["mean"]]
    strongest = rows[~is_majority].nlargest(1, "mean")
    return lines + [(row["mean"], style.name_text(row[name], 20), style.GREY, "-") for _, row in strongest.iterrows()]
