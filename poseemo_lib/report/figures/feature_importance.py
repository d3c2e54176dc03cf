"""Figure 07: what the selected network's predictions rely on, and whether such attributions can be trusted here."""

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from poseemo_lib.errors import PoseemoError
from poseemo_lib.plots import marks, style
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn, not_run, note_text, points_text
from poseemo_lib.skeleton import COCO_KEYPOINTS, EDGES, JOINT

if TYPE_CHECKING:
    from poseemo_lib.analysis.interpretation import Interpretation

TITLE = "What the selected model relies on"
TARGETS = {"joints": "joints", "person": "person", "frames": "time span"}
# A body seen from the front, its left at our right: x, y of the right side and the middle; the left mirrors it.
_FRONT_POSITION = {
    "nose": (0, -0.06), "eye": (0.14, -0.26), "ear": (0.32, -0.14), "shoulder": (0.4, 0.34), "elbow": (0.62, 0.78),
    "wrist": (0.7, 1.22), "hip": (0.24, 1.22), "knee": (0.28, 1.82), "ankle": (0.3, 2.4),
}  # fmt: skip


def draw(data: ReportData) -> Drawn:
    """Draw the importance of joints, feature types, people and time for the selected config, with sanity checks.

    Data: importance, similarity, counts, and recovery on synthetic data: see
    :class:`poseemo_lib.analysis.interpretation.Interpretation`.
    """
    try:
        found = data.interpretation
    except PoseemoError as error:  # weights or clips are missing
        return not_run(TITLE, str(error))
    if found is None:
        network = f"the selected config, {data.best.name}, is not a network."
        missing = "the dataset of these runs was not found, neither where they were made nor in data/."
        return not_run(TITLE, missing if data.best.is_network else network)
    return draw_interpretation(found, synthetic=data.results.synthetic, leaky=bool(data.best.leaks))


def draw_interpretation(found: "Interpretation", *, synthetic: bool, leaky: bool = False) -> Drawn:
    """Draw what was found out about a config; `synthetic` and `leaky` as of :func:`poseemo_lib.plots.style.finish`."""
    title = f"{style.name_text(found.config)}: {headline(found.importance)}"
    fig = importance_figure(
        found.importance, found.recovery, title=title, note=[note(found)], synthetic=synthetic, leaky=leaky
    )
    tables = {"importance": found.importance, "similarity": found.similarity, "counts": pd.DataFrame([found.counts])}
    if found.recovery is not None:
        tables["recovery"] = found.recovery
    return Drawn(fig, describe(found), tables)


@style.in_style
def importance_figure(importance, recovery, *, title: str, note: list[str], synthetic: bool, leaky: bool = False):
    """Draw the panels; the tables are those of :class:`poseemo_lib.analysis.interpretation.Interpretation`."""
    fig = plt.figure(figsize=(13, 8.8), layout="constrained")
    grid = [["joint", "body", "feature", "person"], ["joint", "body", "time", "recovery"]]
    axes = fig.subplot_mosaic(grid, width_ratios=(1.15, 0.95, 1.2, 1.15), height_ratios=(1, 1.15))
    parts = dict(list(importance.groupby("kind", sort=False)))
    parts["joint"] = parts["joint"].sort_values("drop", ascending=False, kind="stable")
    for kind, head in (("joint", "Joint (both people)"), ("feature", "Kind of feature"), ("person", "Person")):
        names = [name.replace("_", " ") for name in parts[kind]["name"]]
        _draw_drops(axes[kind], parts[kind], vertical=False)
        marks.write_values(axes[kind], [f"{round(100 * drop)}" for drop in parts[kind]["drop"]])
        marks.name_rows(axes[kind], names)
        axes[kind].set(xlabel="drop in balanced accuracy, points", title=head)
        axes[kind].grid(axis="x")
    _draw_body(axes["body"], parts["joint"].set_index("name")["drop"])
    _draw_times(axes["time"], parts["time"])
    _draw_recovery(axes["recovery"], recovery)
    style.finish(fig, title=title, note=note, synthetic=synthetic, leaky=leaky)
    return fig


def _draw_drops(ax, rows, *, vertical: bool) -> None:
    """Draw falls of a score as bars with intervals, and those of random networks as grey diamonds."""
    for i, row in enumerate(rows.to_dict("records")):
        marks.draw_bar(ax, i, row, value="drop", colour=style.BLUE, vertical=vertical)
    null, places = 100 * rows["randomised_drop"], range(len(rows))
    ax.plot(*((places, null) if vertical else (null, places)), "D", color=style.GREY, markersize=4.5,
            markeredgecolor="white", markeredgewidth=0.5)  # fmt: skip
    (ax.axhline if vertical else ax.axvline)(0, color="black", linewidth=0.8)


def front_view() -> np.ndarray:
    """Place the 17 joints of a body seen from the front: (17, 2), x to our right, y down."""
    sides, places = {"left": 1, "right": -1}, []
    for name in COCO_KEYPOINTS:
        side, _, part = name.rpartition("_")
        x, y = _FRONT_POSITION[part]
        places.append((sides.get(side, 0) * x, y))
    return np.array(places)


def _draw_body(ax, drop) -> None:
    """Draw the joints of a body as dots, the larger and darker the larger their drop; falls below 0 count as 0."""
    places = front_view()
    values = 100 * np.clip([drop[name] for name in COCO_KEYPOINTS], 0, None)
    most = max(values.max(), 1e-9)
    for edge in EDGES:
        ax.plot(*places[list(edge)].T, color="#bbbbbb", linewidth=2, zorder=1, solid_capstyle="round")
    ax.scatter(*places.T, s=25 + 320 * values / most, c=values, vmin=0, vmax=most, cmap="Blues", edgecolors="black",
               linewidths=0.7, zorder=2)  # fmt: skip
    for name, at in (("right_wrist", -1), ("left_wrist", 1)):
        ax.annotate(f"{name.split('_')[0]}\nhand", places[JOINT[name]], (4 * at, -14), textcoords="offset points",
                    va="top", ha="center", fontsize=8.5, color=style.DARK)  # fmt: skip
    ax.text(0, 2.6, "larger and darker:\nlarger drop", ha="center", va="top", fontsize=8.5, color=style.DARK)
    ax.set(aspect="equal", xlim=(-1, 1), ylim=(2.85, -0.5), xticks=[], yticks=[], title="The same on a body")
    ax.spines[:].set_visible(False)


def _draw_times(ax, rows) -> None:
    """Draw the fall of the score by span of time, and where the attention lies."""
    _draw_drops(ax, rows, vertical=True)
    places = np.arange(len(rows))
    ax.set_xticks(places, rows["name"], rotation=40, ha="right", rotation_mode="anchor")
    ax.set(ylabel="drop, points (bars)", title="Time in the window, s")
    ax.grid(axis="y")
    look = {"transform": ax.transAxes, "ha": "right", "va": "top", "fontsize": 8.5, "color": style.ORANGE}
    if rows["attention"].isna().all():
        ax.text(0.99, 0.99, "this network has no attention", **look)
        return
    share, even = (100 * rows[name].to_numpy(float) for name in ("attention", "even"))
    ax.plot(places, share, "o-", color=style.ORANGE, linewidth=1.6, markersize=4)
    ax.plot(places, even, color=style.ORANGE, linewidth=1, linestyle="--", drawstyle="steps-mid")
    ax.set_ylim(top=1.35 * max(share.max(), even.max(), 100 * rows["high"].max()))
    ax.text(0.99, 0.99, "line: attention, %\ndashes: uniform attention", **look)


def _draw_recovery(ax, recovery) -> None:
    """Draw how well attributions find what was planted: difference from chance of trained and of random networks."""
    ax.set_title("Recovery of the planted signal")
    if recovery is None or recovery.empty:
        style.write_missing(ax, "Not run: only synthetic clips say where their emotion is.", 30)
        return
    order = recovery.assign(place=recovery["target"].map(list(TARGETS).index)).sort_values("place", kind="stable")
    names, shares = [], []
    for i, ((_, target, method), rows) in enumerate(order.groupby(["place", "target", "method"], sort=False)):
        rows = rows.assign(low=rows["difference_low"], high=rows["difference_high"]).set_index("model")
        names.append(f"{TARGETS[target]}\n{method}")
        for model, colour, marker, shift in (
            ("trained", style.BLUE, "o", -0.16),
            ("randomised", style.GREY, "D", 0.16),
        ):
            marks.draw_point(ax, i + shift, rows.loc[model], value="difference", colour=colour, marker=marker)
        shares.append("{:.0f} / {:.0f}".format(*100 * rows.loc["trained", ["precision", "chance"]].to_numpy(float)))
    marks.write_values(ax, shares)
    ax.axvline(0, color="black", linewidth=0.8)
    marks.name_rows(ax, names, fontsize=8)
    ax.set_xlabel("precision above chance, points\nblue: trained, grey: random weights")
    ax.grid(axis="x")


def headline(importance: pd.DataFrame) -> str:
    """Name the input of each kind with the largest drop, of those whose interval lies above 0."""
    sure = importance[importance["low"] > 0].sort_values("drop", ascending=False, kind="stable")
    if sure.empty:
        return "permuting no single input lowers the score beyond its interval"
    top = sure.drop_duplicates("kind").to_dict("records")
    parts = [f"{_named(row['kind'], row['name'])} ({100 * row['drop']:.0f} points)" for row in top]
    return f"balanced accuracy falls most by permuting {', '.join(parts)}"


def _named(kind: str, name: str) -> str:
    return f"{name} s" if kind == "time" else name.replace("_", " ")


def note(found: "Interpretation") -> str:
    """Say what the figure's numbers rest on."""
    n_recovery = 0 if found.recovery is None else int(found.recovery["n_clips"].max())
    return note_text("importance", **found.counts, n_recovery=n_recovery)


def describe(found: "Interpretation") -> str:
    """Word the figure: the inputs with the largest drops and their intervals, and the sanity checks."""
    parts = [f"What {found.config} relies on", note(found)]
    for kind, rows in found.importance.groupby("kind", sort=False):
        top = rows.sort_values("drop", ascending=False, kind="stable").head(3)
        each = ", ".join(f"{_named(kind, row['name'])} {points_text(row, 'drop')}" for row in top.to_dict("records"))
        parts.append(f"{kind}: {each} points")
    parts += recovery_sentences(found)
    return ". ".join(part.rstrip(".") for part in parts) + "."


def recovery_sentences(found: "Interpretation") -> list[str]:
    """Say how well each attribution finds what was planted, trained and with random weights; empty on other data."""
    if found.recovery is None:
        return []
    return [
        _recovery_sentence(method, target, rows.set_index("model"))
        for (method, target), rows in found.recovery.groupby(["method", "target"], sort=False)
    ]


def _recovery_sentence(method: str, target: str, rows: pd.DataFrame) -> str:
    name, _, share = method.partition(", ")
    trained, random = (rows.loc[name] for name in ("trained", "randomised"))
    return note_text(
        "recovery", name=name.capitalize(), share=share or "precision", target=target, trained=trained.to_dict(),
        above=points_text(trained, ends="difference_"), random=points_text(random, ends="difference_"),
    )  # fmt: skip
