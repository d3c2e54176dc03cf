"""Figures of a dataset: how many clips, and what was not seen."""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from poseemo_lib.plots import style
from poseemo_lib.skeleton import COCO_KEYPOINTS

_PART_MARKERS = {"train": "o", "val": "D", "test": "s"}
_SPLIT_ALPHA = {"train": 1.0, "val": 0.6, "test": 0.25}


@style.in_style
def data_distribution(table, split, classes, *, synthetic: bool, leaky: bool = False, missing=None, ax=None):
    """Clips of each class in training, validation and test.

    Parameters
    ----------
    table : DataFrame
        One row a clip: label, group_id.
    split : sequence of N str
        train, val or test for each row.
    classes : tuple of str
    synthetic, leaky : bool
        See :func:`poseemo_lib.plots.style.note_data`.
    missing : sequence of N float, optional
        Share of joints that were not seen in each clip; its mean is written beside each class.
    ax : Axes, optional

    Returns
    -------
    fig, ax
    """
    own = ax is None
    fig, ax = style.axes_or_new(ax, width=7.0, height=1.4 + 0.4 * len(classes))
    table = pd.DataFrame({"label": list(table["label"]), "group": list(table["group_id"]), "split": list(split)})
    counts = pd.crosstab(table["label"], table["split"]).reindex(index=classes, columns=_SPLIT_ALPHA, fill_value=0)
    left = np.zeros(len(classes))
    for name, alpha in _SPLIT_ALPHA.items():
        bars = ax.barh(range(len(classes)), counts[name], left=left, edgecolor="white", linewidth=0.8)
        for bar, label in zip(bars, classes, strict=True):
            colour, hatch, _ = style.emotion_mark(label, classes)
            bar.set(facecolor=colour, alpha=alpha, hatch=hatch)
        left += counts[name].to_numpy()
    _write_totals(ax, left, _mean_by_class(table["label"], missing, classes))
    ax.set_yticks(range(len(classes)), [style.name_text(name, 20) for name in classes])
    ax.invert_yaxis()
    ax.set_xlabel("clips")
    ax.set_xlim(0, (1.25 if missing is None else 1.5) * max(left.max(), 1))
    ax.set_title(f"{style.count(len(table), 'clip')} in {style.count(table['group'].nunique(), 'group')}")
    handles = [Patch(facecolor="#444444", alpha=alpha, label=_split_label(table, name)) for name, alpha in
               _SPLIT_ALPHA.items()]  # fmt: skip
    if own:
        fig.legend(handles=handles, loc="outside lower center", ncols=3)
    else:
        _legend_below(ax, handles, 1)
    style.note_data(fig, synthetic, leaky)
    return fig, ax


def _split_label(table: pd.DataFrame, name: str) -> str:
    rows = table[table["split"] == name]
    return f"{name}: {len(rows):,} in {style.count(rows['group'].nunique(), 'group')}"


def _legend_below(ax, handles, n_columns: int) -> None:
    """Put a legend under the name of the axis, where it lies on no data."""
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(-0.02, -0.13), ncols=n_columns, borderaxespad=0)


def _mean_by_class(labels: pd.Series, values, classes) -> list[float | None]:
    if values is None:
        return [None] * len(classes)
    means = pd.Series(np.asarray(values, dtype=float)).groupby(labels.to_numpy()).mean()
    return [means.get(name) for name in classes]


def _write_totals(ax, totals: np.ndarray, missing: list[float | None]) -> None:
    for i, (total, share) in enumerate(zip(totals, missing, strict=True)):
        text = f" {total:.0f} ({_percent(total / max(totals.sum(), 1))})"
        ax.text(total, i, text if share is None else f"{text}, {_percent(share)} unseen", va="center", fontsize=9)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


@style.in_style
def class_shares(table, classes, *, ax=None):
    """Share of each class within training, validation and test: alike where the parts are drawn well.

    Parameters
    ----------
    table : DataFrame
        One row a class, in the order of `classes`: train_clips and train_share (0 to 1), and so for val and test.
    classes : tuple of str
    ax : Axes, optional

    Returns
    -------
    fig, ax
    """
    fig, ax = style.axes_or_new(ax, height=1.4 + 0.4 * len(classes))
    for i, name in enumerate(classes):
        colour, _, _ = style.emotion_mark(name, classes)
        shares = 100 * table[[f"{part}_share" for part in _SPLIT_ALPHA]].iloc[i]
        ax.plot([shares.min(), shares.max()], [i, i], color=colour, linewidth=2)
        for marker, share in zip(_PART_MARKERS.values(), shares, strict=True):
            ax.plot(share, i, marker, color=colour, markeredgecolor="black", markersize=7, alpha=0.9)
    counts = table[[f"{part}_clips" for part in _SPLIT_ALPHA]].to_numpy()
    ax.set_yticks(range(len(classes)), [" / ".join(f"{n:,}" for n in row) for row in counts])
    ax.set_ylabel(f"clips: {' / '.join(_SPLIT_ALPHA)}")
    most = 100 * table[[f"{part}_share" for part in _SPLIT_ALPHA]].to_numpy().max()
    ax.set(
        ylim=(len(classes) - 0.4, -0.6),
        xlim=(-0.03 * max(most, 1), 1.08 * max(most, 1)),
        xlabel="share of the part's clips, %",
    )
    ax.set_title("Share in each part")
    ax.grid(axis="x")
    look = {"color": "#888888", "markeredgecolor": "black", "linestyle": ""}
    handles = [Line2D([], [], marker=marker, label=part, **look) for part, marker in _PART_MARKERS.items()]
    _legend_below(ax, handles, len(handles))
    return fig, ax


@style.in_style
def missing_share(share, *, n_frames: int | None = None, synthetic: bool, ax=None):
    """How often each joint was not seen.

    Parameters
    ----------
    share : array (17,)
        0 to 1, of the frames in which the person is there.
    n_frames : int, optional
        How many frames that is.
    synthetic : bool
    ax : Axes, optional

    Returns
    -------
    fig, ax
    """
    fig, ax = style.axes_or_new(ax, height=4.4)
    values = 100 * np.asarray(share, dtype=float)
    ax.barh(range(len(values)), values, color="#0072B2")
    for i, value in enumerate(values):
        ax.text(value, i, f" {value:.0f} %", va="center", fontsize=9)
    ax.set_yticks(range(len(values)), [name.replace("_", " ") for name in COCO_KEYPOINTS])
    ax.invert_yaxis()
    ax.set_xlim(0, 110)
    ax.set_xlabel("share of frames without the joint, %")
    ax.set_title("Joints that were not seen" + (f" ({n_frames} frames)" if n_frames else ""))
    style.note_data(fig, synthetic)
    return fig, ax
