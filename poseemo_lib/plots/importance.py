"""Figure of what a model looks at: joints, kinds of features, people and time, and what was planted."""

import matplotlib.pyplot as plt
import numpy as np

from poseemo_lib.plots import style
from poseemo_lib.skeleton import COCO_KEYPOINTS, EDGES, JOINT

# A body seen from the front, its left at our right: x, y of the right side and the middle; the left mirrors it.
_FRONT = {
    "nose": (0, -0.06),
    "eye": (0.14, -0.26),
    "ear": (0.32, -0.14),
    "shoulder": (0.4, 0.34),
    "elbow": (0.62, 0.78),
    "wrist": (0.7, 1.22),
    "hip": (0.24, 1.22),
    "knee": (0.28, 1.82),
    "ankle": (0.3, 2.4),
}
_BAR, _NULL, _ATTENTION = "#0072B2", "#8c8c8c", "#D55E00"
_TITLES = {"feature": "Kind of feature", "person": "Person", "time": "Time in the window, s"}
_TARGETS = {"joints": "joints", "person": "person", "frames": "time span"}


@style.in_style
def feature_importance(
    importance, recovery, *, title: str, sample: str, synthetic: bool, leaky: bool = False, attention: bool = True
):
    """Draw what a model's answers rest on, with random networks as the reference.

    Parameters
    ----------
    importance : DataFrame
        kind (joint, feature, person, time), name, drop, low, high, randomised_drop: shares, drawn as points; for time
        also attention and even, NaN where there is none.
    recovery : DataFrame or None
        method, target, model (trained, randomised), precision, chance, difference, difference_low, difference_high.
        None: not known.
    title : str
        What it is, and what the figure says.
    sample : str
        What the numbers rest on.
    synthetic, leaky : bool
        See :func:`poseemo_lib.plots.style.note_data`.
    attention : bool
        Whether the model pools by attention.

    Returns
    -------
    fig, axes
        Joints, body, features, people, time, recovery.
    """
    fig = plt.figure(figsize=(13, 8.6), layout="constrained")
    grid = [["joint", "body", "feature", "person"], ["joint", "body", "time", "recovery"]]
    axes = fig.subplot_mosaic(grid, width_ratios=(1.15, 0.95, 1.2, 1.15), height_ratios=(1, 1.15))
    parts = {kind: rows for kind, rows in importance.groupby("kind", sort=False)}
    joints = parts["joint"].sort_values("drop", ascending=False, kind="stable")
    names = [name.replace("_", " ") for name in joints["name"]]
    draw_drops(axes["joint"], joints, names)
    axes["joint"].set_title("Joint (both people)")
    draw_body(axes["body"], parts["joint"].set_index("name")["drop"])
    for kind in ("feature", "person"):
        draw_drops(axes[kind], parts[kind], list(parts[kind]["name"]))
        axes[kind].set_title(_TITLES[kind])
    draw_times(axes["time"], parts["time"], attention)
    draw_recovery(axes["recovery"], recovery)
    style.title_figure(fig, title)
    style.note_sample(fig, sample)
    style.note_data(fig, synthetic, leaky)
    return fig, np.array([axes[name] for name in ("joint", "body", "feature", "person", "time", "recovery")])


def draw_drops(ax, rows, names: list[str]) -> None:
    """Draw falls of a score as bars with intervals, the largest on top as given, and random networks' as grey marks."""
    drop, low, high, null = (100 * rows[name].to_numpy(float) for name in ("drop", "low", "high", "randomised_drop"))
    place = np.arange(len(drop))
    ax.barh(place, drop, height=0.62, color=_BAR, alpha=0.55)
    ax.hlines(place, low, high, color=_BAR, linewidth=2)
    ax.plot(null, place, "D", color=_NULL, markersize=4.5, markeredgecolor="white", markeredgewidth=0.5)
    ax.axvline(0, color="black", linewidth=0.8)
    for y, value in zip(place, drop, strict=True):
        _write_right(ax, y, f"{round(value)}")
    ax.set_yticks(place, names)
    ax.use_sticky_edges = False
    ax.set_ylim(len(drop) - 0.4, -0.6)
    ax.set_xlabel("drop of balanced accuracy, points")
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")


def _write_right(ax, y: float, text: str) -> None:
    at = {"xycoords": ax.get_yaxis_transform(), "textcoords": "offset points"}
    ax.annotate(text, (1, y), (3, 0), va="center", fontsize=8.5, **at)


def front_view() -> np.ndarray:
    """Place the 17 joints of a body seen from the front: (17, 2), x to our right, y down."""
    sides = {"left": 1, "right": -1}
    places = []
    for name in COCO_KEYPOINTS:
        side, _, part = name.rpartition("_")
        x, y = _FRONT[part]
        places.append((sides.get(side, 0) * x, y))
    return np.array(places)


def draw_body(ax, drop) -> None:
    """Draw the joints of a body as dots, the larger and darker the more they matter.

    Parameters
    ----------
    ax : Axes
    drop : Series
        Joint name -> fall of the score, a share; falls below 0 are drawn as 0.
    """
    places = front_view()
    values = 100 * np.clip([drop[name] for name in COCO_KEYPOINTS], 0, None)
    most = max(values.max(), 1e-9)
    for a, b in EDGES:
        ax.plot(*places[[a, b]].T, color="#bbbbbb", linewidth=2, zorder=1, solid_capstyle="round")
    ax.scatter(*places.T, s=25 + 320 * values / most, c=values, vmin=0, vmax=most, cmap="Blues",
               edgecolors="black", linewidths=0.7, zorder=2)  # fmt: skip
    for name, at in (("right_wrist", -1), ("left_wrist", 1)):
        x, y = places[JOINT[name]]
        ax.annotate(f"{name.split('_')[0]}\nhand", (x, y), (4 * at, -14), textcoords="offset points", va="top",
                    ha="center", fontsize=8.5, color="#444444")  # fmt: skip
    ax.set(aspect="equal", xlim=(-1, 1), ylim=(2.85, -0.5), xticks=[], yticks=[])
    ax.text(0, 2.6, "the larger and darker,\nthe more is lost", ha="center", va="top", fontsize=8.5, color="#444444")
    ax.spines[:].set_visible(False)
    ax.set_title("The same on a body")


def draw_times(ax, rows, attention: bool) -> None:
    """Draw the fall of the score by span of time, and where the attention lies."""
    drop, low, high, null = (100 * rows[name].to_numpy(float) for name in ("drop", "low", "high", "randomised_drop"))
    place = np.arange(len(rows))
    ax.bar(place, drop, width=0.68, color=_BAR, alpha=0.55)
    ax.vlines(place, low, high, color=_BAR, linewidth=2)
    ax.plot(place, null, "D", color=_NULL, markersize=4.5, markeredgecolor="white", markeredgewidth=0.5)
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set_xticks(place, rows["name"], rotation=40, ha="right", rotation_mode="anchor")
    ax.set_ylabel("drop, points (bars)")
    ax.set_title(_TITLES["time"])
    ax.grid(axis="y")
    if not attention:
        ax.text(0.99, 0.99, "no attention in this network", transform=ax.transAxes, ha="right", va="top", fontsize=8.5,
                color=_ATTENTION)  # fmt: skip
        return
    share, even = (100 * rows[name].to_numpy(float) for name in ("attention", "even"))
    ax.plot(place, share, "o-", color=_ATTENTION, linewidth=1.6, markersize=4)
    ax.step(np.append(place - 0.5, place[-1] + 0.5), np.append(even, even[-1]), where="post", color=_ATTENTION,
            linewidth=1, linestyle=(0, (4, 3)))  # fmt: skip
    ax.set_ylim(top=1.35 * max(share.max(), even.max(), high.max()))
    ax.text(0.99, 0.99, "line: attention, %\ndashes: spread evenly", transform=ax.transAxes, ha="right", va="top",
            fontsize=8.5, color=_ATTENTION)  # fmt: skip


def draw_recovery(ax, recovery) -> None:
    """Draw how well attributions find what was planted: difference to chance of trained and of random networks."""
    ax.set_title("Finds what was planted?")
    if recovery is None or recovery.empty:
        style.write_not_run(ax, "no clip says where its emotion is")
        return
    order = recovery.assign(place=recovery["target"].map(list(_TARGETS).index)).sort_values("place", kind="stable")
    pairs = order[["method", "target"]].drop_duplicates().itertuples(index=False)
    names = []
    for i, (method, target) in enumerate(pairs):
        rows = recovery[(recovery["method"] == method) & (recovery["target"] == target)].set_index("model")
        names.append(f"{_TARGETS[target]}\n{method}")
        for model, colour, shift in (("trained", _BAR, -0.16), ("randomised", _NULL, 0.16)):
            mean, low, high = 100 * rows.loc[model, ["difference", "difference_low", "difference_high"]].to_numpy(float)
            ax.hlines(i + shift, low, high, color=colour, linewidth=2)
            ax.plot(mean, i + shift, "o" if model == "trained" else "D", color=colour, markersize=6)
        precision, chance = 100 * rows.loc["trained", ["precision", "chance"]].to_numpy(float)
        _write_right(ax, i, f"{precision:.0f} for {chance:.0f}")
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlabel("precision above chance, points\nblue: trained, grey: random weights")
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")


@style.in_style
def attention_courses(attention: dict, mask, spans, titles, *, fps: float, synthetic: bool):
    """Draw attention over time of some clips, of a trained network and of one with random weights.

    Parameters
    ----------
    attention : dict of array (N, T)
        "trained" and "random weights"; 0 on padding.
    mask : bool array (N, T)
    spans : list of N (int, int) or None
        First frame of what was planted and the one behind its last.
    titles : list of N str
        What each clip is.
    fps : float
    synthetic : bool

    Returns
    -------
    fig, axes
    """
    n = len(titles)
    fig, axes = plt.subplots(1, n, figsize=(3.2 * n, 2.9), sharey=True, squeeze=False, layout="constrained")
    for i, ax in enumerate(axes[0]):
        real = np.asarray(mask[i], dtype=bool)
        seconds = np.arange(real.sum()) / fps
        for (name, values), colour, line in zip(attention.items(), (_BAR, _NULL), ("-", "--"), strict=True):
            ax.plot(seconds, np.asarray(values[i])[real] * real.sum(), line, color=colour, label=name)
        _shade(ax, spans[i], fps)
        ax.set(xlabel="seconds", title=style.name_text(titles[i], 28))
    axes[0, 0].set_ylabel("attention (1: spread evenly)")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    style.title_figure(fig, "Where the average over time has its weight; shaded: planted" if any(spans) else
                       "Where the average over time has its weight")  # fmt: skip
    style.note_data(fig, synthetic)
    return fig, axes[0]


def _shade(ax, span: tuple[int, int] | None, fps: float) -> None:
    if span is not None:
        ax.axvspan((span[0] - 0.5) / fps, (span[1] - 0.5) / fps, color="#E69F00", alpha=0.22, linewidth=0)


@style.in_style
def contribution_maps(contributions: dict, mask, spans, titles, *, fps: float, synthetic: bool):
    """Draw contributions per joint and frame of some clips, a row of panels a network, each on a scale of its own.

    Parameters
    ----------
    contributions : dict of array (N, T, 17)
        Network -> signed contributions towards each clip's own class.
    mask, spans, titles, fps, synthetic
        See :func:`attention_courses`.

    Returns
    -------
    fig, axes
    """
    rows, columns = len(contributions), len(titles)
    size = (1.6 + 3.0 * columns, 0.9 + 3.1 * rows)
    fig, axes = plt.subplots(rows, columns, figsize=size, sharey=True, squeeze=False, layout="constrained")
    for number, (line, (name, values)) in enumerate(zip(axes, contributions.items(), strict=True)):
        for i, ax in enumerate(line):
            n = int(np.asarray(mask[i]).sum())
            shown = np.asarray(values[i])[:n].T
            most = max(np.abs(shown).max(), 1e-9)
            # A real frame's middle is its time.
            extent = (-0.5 / fps, (n - 0.5) / fps, len(COCO_KEYPOINTS) - 0.5, -0.5)
            ax.imshow(shown, aspect="auto", cmap="RdBu_r", vmin=-most, vmax=most, extent=extent, interpolation="none")
            if spans[i] is not None:
                for edge in spans[i]:
                    ax.axvline((edge - 0.5) / fps, color="black", linewidth=1.2, linestyle="--")
            ax.set_title(style.name_text(titles[i], 28) if number == 0 else "", fontsize=10)
        line[0].set_ylabel(name)
        line[0].set_yticks(
            range(len(COCO_KEYPOINTS)), [joint.replace("_", " ") for joint in COCO_KEYPOINTS], fontsize=8
        )
    for ax in axes[-1]:
        ax.set_xlabel("seconds")
    planted = "; dashes: planted from and to" if any(spans) else ""
    style.title_figure(fig, f"Red speaks for the true class, blue against it{planted}")
    style.note_data(fig, synthetic)
    return fig, axes
