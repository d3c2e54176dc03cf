"""Figures of one architecture's variations."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from poseemo_lib.plots import style
from poseemo_lib.plots.labels import LABEL_LEVEL, label_points, label_verticals
from poseemo_lib.plots.scores import limit_scores, write_value

_PLAIN, _CHANGED = ("#000000", "D"), ("#0072B2", "o")
_CHOSEN, _BEST = "#D55E00", "#006D4F"
# Sizes that differ by a smaller share count as one: their points lie on each other.
_ALIKE = 0.1
DOTS = {"color": "black", "markerfacecolor": "white", "markersize": 3.6, "markeredgewidth": 0.8, "linestyle": ""}


def _look(row) -> tuple[str, str]:
    return _PLAIN if row["is_plain"] else _CHANGED


def note_facts(fig, table, text: str, facts: dict) -> None:
    """Write what the figure rests on, then its mark."""
    names = ("n_clips", "n_groups", "unit", "resampled_by")
    counts = {name: facts[name] for name in names if name in facts}
    sample = style.sample_text(n_seeds=table["n_seeds"], **{"unit": "clip", "resampled_by": "group"} | counts,
                               interval="Lines")  # fmt: skip
    style.note_sample(fig, f"{sample} {text}".strip())
    style.note_data(fig, facts["synthetic"], facts.get("leaky", False))


@style.in_style
def variation_bars(
    table, seeds, baselines, *, title: str = "", note: str = "", score_name="macro-F1", ax=None, **facts
):
    """Bars of all variations with intervals and single seeds, the best first, beside baselines and the plain one.

    Parameters
    ----------
    table : DataFrame
        One row a variation: label, is_plain, mean, low, high (shares, 0 to 1), n_seeds. The first one is drawn as a
        line too.
    seeds : DataFrame
        label, seed, value.
    baselines : DataFrame
        name, is_majority, mean; the majority and the strongest other are lines.
    title, note : str
        Above the figure, and added to what is said under it.
    score_name : str
    ax : Axes, optional
    **facts
        n_clips, n_groups, synthetic; leaky, unit and resampled_by where they differ from none, clip and group: see
        :func:`poseemo_lib.plots.style.sample_text`.

    Returns
    -------
    fig, ax
    """
    rows = table.sort_values("mean", ascending=False, kind="stable")
    fig, ax = style.axes_or_new(ax, width=9.0, height=2.3 + 0.29 * len(rows))
    for i, (_, row) in enumerate(rows.iterrows()):
        draw_bar(ax, i, row)
    places = {label: i for i, label in enumerate(rows["label"])}
    ax.plot(100 * seeds["value"], [places[label] for label in seeds["label"]], "o", label="seeds", **DOTS)
    _name_rows(ax, rows)
    limit_scores(ax, rows[["mean", "high"]])
    if title:
        style.title_figure(fig, title)
    note_facts(fig, table, f"Circles: single seeds. Black: the plain one. {note}", facts)
    levels = label_verticals(ax, _reference_lines(ax, table.iloc[0], baselines))
    ax.set_title(f"{score_name}, %", pad=6 + LABEL_LEVEL * levels)
    return fig, ax


def draw_bar(ax, i: int, row) -> None:
    """Draw one score (mean, low, high, is_plain) as a bar with its interval and value, or say that there is none."""
    if not np.isfinite(row["mean"]):
        ax.text(0.02, i, "not defined", transform=ax.get_yaxis_transform(), va="center", fontsize=8)
        return
    colour, _ = _look(row)
    ax.barh(i, 100 * row["mean"], height=0.66, color=colour, alpha=0.4, edgecolor=colour, linewidth=0.8)
    ax.plot([100 * row["low"], 100 * row["high"]], [i, i], color=colour, linewidth=1.8, solid_capstyle="butt")
    write_value(ax, i, 100 * row["mean"], 100 * row["high"])


def _name_rows(ax, rows) -> None:
    """Name the rows, the plain one in bold, with the number of seeds where it is not that of most."""
    usual = rows["n_seeds"].mode().max()
    counts = ["" if n == usual else f", {style.count(n, 'seed')}" for n in rows["n_seeds"]]
    names = [style.name_text(name, 44) + text for name, text in zip(rows["label"], counts, strict=True)]
    ax.set_yticks(range(len(rows)), names, fontsize=8)
    for label, is_plain in zip(ax.get_yticklabels(), rows["is_plain"], strict=True):
        label.set_fontweight("bold" if is_plain else "normal")
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)


def _reference_lines(ax, plain, baselines) -> list[tuple[float, str, str]]:
    others = baselines[~baselines["is_majority"].astype(bool)].dropna(subset="mean")
    lines = [(100 * plain["mean"], style.name_text(plain["label"]), _PLAIN[0], ":")]
    lines += [
        (100 * mean, "majority", style.MAJORITY, "--") for mean in baselines[baselines["is_majority"] == 1]["mean"]
    ]
    if len(others):
        top = others.loc[others["mean"].idxmax()]
        lines.append((100 * top["mean"], style.name_text(top["name"], 20), style.STRONGEST, "-"))
    guess = others[others["name"] == "stratified"]
    lines += [(100 * mean, "guessing", style.CHANCE, "-.") for mean in guess["mean"] if len(others) > 1]
    lines = [line for line in lines if np.isfinite(line[0])]
    for x, _, colour, dashes in lines:
        ax.axvline(x, color=colour, linestyle=dashes, linewidth=1.1, zorder=0.9)
    return [(x, name, colour) for x, name, colour, _ in lines]


@style.in_style
def variation_details(
    table, seeds, recall, classes, *, title: str = "", note: str = "", score_name="macro-F1", **facts
):
    """Four panels: score against size, validation against test, recall of every class, spread over seeds.

    Parameters
    ----------
    table : DataFrame
        As of :func:`variation_bars`, with n_parameters and validation (mean score there, share).
    seeds : DataFrame
        label, seed, value.
    recall : DataFrame
        label, class, recall.
    classes : tuple of str
    title, note, score_name, **facts
        See :func:`variation_bars`.

    Returns
    -------
    fig, axes
        Four, in the order of the panels.
    """
    rows = table.sort_values("mean", ascending=False, kind="stable").reset_index(drop=True)
    fig = plt.figure(figsize=(12.0, 6.6 + 0.24 * len(rows)), layout="constrained")
    grid = fig.add_gridspec(2, 2, height_ratios=(4.2, 1.0 + 0.24 * len(rows)), width_ratios=(6, 5))
    size, choice, heat = (fig.add_subplot(grid[place]) for place in ((0, 0), (0, 1), (1, 0)))
    spread = fig.add_subplot(grid[1, 1], sharey=heat)
    _recall_panel(heat, recall.pivot(index="label", columns="class", values="recall"), rows, classes)
    _spread_panel(spread, seeds, rows, score_name)
    _choice_panel(choice, rows, score_name)
    points = _size_panel(size, rows, score_name)
    if title:
        style.title_figure(fig, title)
    note_facts(fig, table, f"Black diamonds, bold: the plain one. {note}", facts)
    _label(size, points)
    return fig, (size, choice, heat, spread)


def _label(ax, points) -> None:
    """Name points (x, y, text, colour) off all other marks; the last step, since it needs the final layout."""
    if not points:
        return
    marks = [line.get_xydata() for line in ax.lines]
    # A single point as a short stroke.
    strokes = [(*mark[0] * (0.97, 1), *mark[-1] * (1.03, 1)) for mark in marks]
    x, y, texts, colours = (list(values) for values in zip(*points, strict=True))
    label_points(ax, x, y, texts, colours=colours, lines=strokes, fontsize=7.5)


def _size_panel(ax, rows, score_name: str) -> list:
    """Draw score against parameters; return what to name: all that are clearly smaller or larger than the plain one."""
    known = rows[rows["n_parameters"].astype(float) > 0].dropna(subset="mean")
    ax.set_title("More parameters, a better score?")
    if len(known) < 2:
        style.write_not_run(ax, "There is nothing to compare: one variation.")
        return []
    for _, row in known.iterrows():
        colour, marker = _look(row)
        x = row["n_parameters"]
        ax.plot([x, x], [100 * row["low"], 100 * row["high"]], color=colour, linewidth=1, alpha=0.3)
        ax.plot(x, 100 * row["mean"], marker, color=colour, markersize=5)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(EngFormatter(sep=" "))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim(known["n_parameters"].min() / 1.7, known["n_parameters"].max() * 1.7)
    ax.set(xlabel="parameters (log scale)", ylabel=f"{score_name}, %")
    ax.grid(axis="y")
    usual = rows[rows["is_plain"]]["n_parameters"].max()
    return [
        (row["n_parameters"], 100 * row["mean"], style.name_text(row["label"]), _CHANGED[0])
        for _, row in known.iterrows()
        if not abs(row["n_parameters"] / usual - 1) < _ALIKE
    ]


def _choice_panel(ax, rows, score_name: str) -> None:
    """Draw test against validation, and say what validation chooses and what is best on test."""
    both = rows.dropna(subset=["mean", "validation"])
    ax.set_title("Does validation choose well?", pad=8 + 2 * LABEL_LEVEL)
    if len(both) < 2:
        style.write_not_run(ax, "There is nothing to choose from: one variation.")
        return
    for _, row in both.iterrows():
        colour, marker = _look(row)
        ax.plot(100 * row["validation"], 100 * row["mean"], marker, color=colour, markersize=5, alpha=0.8)
    values = 100 * both[["validation", "mean"]].to_numpy(float)
    span = [values.min() - 2, values.max() + 2]
    ax.plot(span, span, color="#999999", linewidth=0.8, zorder=0.5)
    ax.set(xlabel=f"validation {score_name}, %", ylabel=f"test {score_name}, %")
    ax.grid()
    chosen, best = both.loc[both["validation"].idxmax()], both.loc[both["mean"].idxmax()]
    ring = {"color": _BEST, "markersize": 13, "markerfacecolor": "none", "markeredgewidth": 1.3}
    ax.plot(100 * best["validation"], 100 * best["mean"], "o", label="best", **ring)
    ax.plot(100 * chosen["validation"], 100 * chosen["mean"], "*", color=_CHOSEN, markersize=13, label="chosen")
    _head(ax, 1, f"★ its choice: {_scored(chosen)}", _CHOSEN)
    _head(ax, 0, f"○ best on test: {_scored(best)}", _BEST)


def _head(ax, level: int, text: str, colour: str) -> None:
    ax.annotate(text, (0, 1), (0, 3 + LABEL_LEVEL * level), xycoords="axes fraction", textcoords="offset points",
                fontsize=8, color=colour)  # fmt: skip


def _scored(row) -> str:
    return f"{style.name_text(row['label'])}, {100 * row['mean']:.1f} % on test"


def _recall_panel(ax, wide, rows, classes) -> None:
    shown = 100 * wide.reindex(index=rows["label"], columns=list(classes)).to_numpy(float)
    ax.imshow(shown, vmin=0, vmax=100, cmap="Blues", aspect="auto")
    for i, j in np.ndindex(shown.shape):
        text = f"{shown[i, j]:.0f}" if np.isfinite(shown[i, j]) else "–"
        colour = "white" if shown[i, j] > 55 else "black"
        ax.text(j, i, text, ha="center", va="center", fontsize=8, color=colour)
    names = [style.name_text(name, 16) for name in classes]
    ax.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")
    _name_rows(ax, rows)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title("How much of each class is found (recall, %)")


def _spread_panel(ax, seeds, rows, score_name: str) -> None:
    places = {label: i for i, label in enumerate(rows["label"])}
    for label, own in seeds.groupby("label"):
        ax.plot([100 * own["value"].min(), 100 * own["value"].max()], [places[label]] * 2, color="#bbbbbb", linewidth=2)
    ax.plot(100 * seeds["value"], [places[label] for label in seeds["label"]], "o", label="seeds", **DOTS)
    for i, (_, row) in enumerate(rows.iterrows()):
        text = f"sd {100 * row['sd']:.1f}" if np.isfinite(row["sd"]) else "one seed"
        ax.annotate(text, (1, i), (4, 0), xycoords=ax.get_yaxis_transform(), textcoords="offset points", va="center",
                    fontsize=7.5, color="#444444", annotation_clip=False)  # fmt: skip
    ax.tick_params(axis="y", length=0, labelleft=False)
    ax.grid(axis="x")
    ax.set_xlabel(f"{score_name} of each seed, %")
    ax.set_title("How much seeds differ")
