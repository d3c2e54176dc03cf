"""Panels on confidence: whether it says how often an answer is right, and what it gains to give no answer."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from poseemo_lib.plots import style

BEFORE, AFTER, RIGHT, WRONG = "#666666", "#0072B2", "#0072B2", "#D55E00"


@style.in_style
def reliability_diagram(before, after, errors, *, ax=None):
    """Accuracy against confidence, before and after the temperature, with intervals; calibrated is on the diagonal.

    Parameters
    ----------
    before, after : DataFrame
        From :func:`poseemo_lib.analysis.reliability.reliability_table`.
    errors : DataFrame
        Index before, after; mean, low, high of the ECE.
    ax : Axes, optional

    Returns
    -------
    fig, ax
    """
    fig, ax = style.axes_or_new(ax, 4.6, 4.2)
    ax.plot([0, 100], [0, 100], color="black", linewidth=0.9, linestyle=":")
    # The raw ones, thin and hollow, lie on top: with a temperature near 1 both have about the same places.
    looks = (("raw", before, BEFORE, "s", "before"), ("calibrated", after, AFTER, "o", "after"))
    for name, table, colour, marker, key in looks:
        rows, raw = table[table["n"] > 0], key == "before"
        x, y = 100 * rows["confidence"], 100 * rows["accuracy"]
        lines = {"linewidth": 1, "zorder": 2.6} if raw else {"linewidth": 3.5, "alpha": 0.4}
        ax.vlines(x, 100 * rows["low"], 100 * rows["high"], color=colour, **lines)
        sizes = (20 if raw else 12) + 60 * rows["n"] / max(rows["n"].max(), 1)
        ax.scatter(x, y, sizes, marker=marker, facecolor="none" if raw else colour, edgecolor=colour, linewidth=1.2,
                   zorder=3 + raw)  # fmt: skip
        error = errors.loc[key]
        text = f"{name}: ECE {100 * error['mean']:.1f} [{100 * error['low']:.1f}, {100 * error['high']:.1f}]"
        ax.text(0.03, 0.985 if raw else 0.915, text, transform=ax.transAxes, va="top", fontsize=9,
                color=colour, weight="bold")  # fmt: skip
    ax.set(xlim=(0, 102), ylim=(-3, 126), xlabel="confidence, %", ylabel="right answers, %")
    ax.set_yticks(range(0, 101, 20))
    ax.set_title("Is the confidence the share of right answers?")
    ax.grid(True)
    return fig, ax


@style.in_style
def coverage_curve(table, threshold: float, unit: str = "clip", *, ax=None):
    """Accuracy of the answers that are given, against the share of clips that get one.

    Parameters
    ----------
    table : DataFrame
        From :func:`poseemo_lib.analysis.reliability.coverage_table`, with a row for `threshold`.
    threshold : float
        Least confidence that gets an answer, in use.
    unit : str
        What gets an answer: clip or recording.
    ax : Axes, optional

    Returns
    -------
    fig, ax
    """
    fig, ax = style.axes_or_new(ax, 4.6, 4.2)
    rows = table[table["n"] > 0].drop_duplicates("coverage", keep="first")
    x = 100 * rows["coverage"]
    ax.fill_between(x, 100 * rows["low"], 100 * rows["high"], color=AFTER, alpha=0.2, linewidth=0)
    ax.plot(x, 100 * rows["accuracy"], color=AFTER, linewidth=2)
    used = table.iloc[int(np.argmin(np.abs(table["threshold"] - threshold)))]
    title = f"Below {100 * threshold:.0f} % confidence, no answer: no {unit} gets one"
    if used["n"]:
        point = (100 * used["coverage"], 100 * used["accuracy"])
        ax.plot(*point, "o", color="black", markersize=8)
        every = rows.iloc[0]
        text = f"{point[1]:.0f} % of the answers given are right,\n{100 * every['accuracy']:.0f} % if all are given"
        ax.text(0.04, 0.05, text, transform=ax.transAxes, fontsize=9)
        title = f"Below {100 * threshold:.0f} % confidence, no answer: {point[0]:.0f} % get one"
    ax.set(xlim=(0, 102), ylim=(0, 104), xlabel=f"{unit}s with an answer, %", ylabel="of these right, %")
    ax.set_title(title)
    ax.grid(True)
    return fig, ax


@style.in_style
def confidence_of_answers(confidence, right, *, n_bins: int = 20, ax=None):
    """How sure right and wrong answers are, as two histograms back to back.

    Parameters
    ----------
    confidence : sequence of N float
        Largest calibrated probability, 0 to 1.
    right : sequence of N bool
    n_bins : int
    ax : Axes, optional

    Returns
    -------
    fig, ax
    """
    fig, ax = style.axes_or_new(ax, 4.6, 4.2)
    confidence, right = np.asarray(confidence, float), np.asarray(right, bool)
    edges = np.linspace(0, 1, n_bins + 1)
    most = 1
    for chosen, sign, colour, hatch in ((right, 1, RIGHT, ""), (~right, -1, WRONG, "//")):
        counts = np.histogram(confidence[chosen], edges)[0]
        most = max(most, counts.max())
        ax.bar(100 * edges[:-1], sign * counts, 100 / n_bins, align="edge", color=colour, alpha=0.7, hatch=hatch,
               edgecolor="white")  # fmt: skip
    ax.axhline(0, color="black", linewidth=0.8)
    for chosen, name, y, colour in ((right, "right", 0.97, RIGHT), (~right, "wrong", 0.03, WRONG)):
        middle = f", median confidence {100 * np.median(confidence[chosen]):.0f} %" if chosen.any() else ""
        ax.text(0.02, y, f"{chosen.sum():,} {name}{middle}", transform=ax.transAxes, color=colour, weight="bold",
                va="top" if y > 0.5 else "bottom", fontsize=9)  # fmt: skip
    ax.set(xlim=(0, 100), ylim=(-1.25 * most, 1.25 * most), xlabel="confidence, %", ylabel="answers")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):.0f}")
    ax.set_title("How sure are right and wrong answers?")
    return fig, ax


@style.in_style
def recall_against_size(table, classes, *, ax=None):
    """Recall of each class against the clips of it that were trained on.

    Parameters
    ----------
    table : DataFrame
        From :func:`poseemo_lib.analysis.predictions.recall_by_size`.
    classes : tuple of str
    ax : Axes, optional

    Returns
    -------
    fig, ax
    """
    fig, ax = style.axes_or_new(ax, 4.6, 4.2)
    for row in _apart(table).to_dict("records"):
        colour, _, marker = style.emotion_mark(row["class"], classes)
        ax.vlines(row["x"], 100 * row["low"], 100 * row["high"], color=colour, linewidth=2)
        ax.plot(row["x"], 100 * row["recall"], marker, color=colour, markersize=9, markeredgecolor="black",
                markeredgewidth=0.6)  # fmt: skip
    ax.set(ylim=(-3, 112), xlabel="training clips of the class", ylabel="recall, %")
    ax.set_xlim(0, 1.15 * max(table["n_train"].max(), 1))
    ax.set_title("Are rare classes found less?")
    ax.grid(True)
    return fig, ax


def _apart(table):
    """Give each class with a recall a place `x`: its size, moved a little where classes are about as large."""
    rows = table.dropna(subset="recall").sort_values("n_train", kind="stable")
    least, places = 0.022 * max(table["n_train"].max(), 1), []
    for size in rows["n_train"]:
        places.append(max(size, places[-1] + least) if places else size)
    return rows.assign(x=places)


def label_classes(ax, table) -> None:
    """Name the marks of :func:`recall_against_size`; call it when all else is laid out."""
    from poseemo_lib.plots.labels import label_points

    rows = _apart(table)
    if len(rows):
        lines = [(row.x, 100 * row.low, row.x, 100 * row.high) for row in rows.itertuples()]
        names = [style.name_text(name, 14) for name in rows["class"]]
        x, y = rows["x"].to_numpy(), 100 * rows["recall"].to_numpy()
        label_points(ax, x, y, names, colours=["#222222"] * len(names), lines=lines)
