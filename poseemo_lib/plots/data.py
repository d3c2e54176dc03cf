"""Charts of a dataset: how many clips of each class, and which joints were not seen."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import MaxNLocator

from poseemo_lib.plots import style
from poseemo_lib.skeleton import COCO_KEYPOINTS
from poseemo_lib.text import count

SPLIT_COLOURS = {"train": style.BLUE, "val": "#E69F00", "test": "#009E73"}


@style.in_style
def data_distribution(table, split, classes, *, synthetic: bool, leaky: bool = False, ax=None):
    """Draw how many clips of each class are in each split.

    `table` has a label and a group_id for each clip, `split` train, val or test.
    """
    fig, ax = style.axes_or_new(ax, width=7.0, height=1.8 + 0.4 * len(classes))
    clips = pd.DataFrame({"group": list(table["group_id"]), "split": list(split)})
    clips["class"] = pd.Categorical(list(table["label"]), list(classes))
    order = list(SPLIT_COLOURS)
    counts = pd.crosstab(clips["class"], clips["split"], dropna=False).reindex(index=list(classes), columns=order)
    sns.histplot(clips, y="class", hue="split", hue_order=order[::-1], multiple="stack", palette=SPLIT_COLOURS,
                 shrink=0.75, alpha=0.85, legend=False, ax=ax)  # fmt: skip
    totals = counts.fillna(0).sum(axis=1)
    for i, total in enumerate(totals):
        ax.text(total, i, f" {total:,.0f} ({100 * total / max(totals.sum(), 1):.0f} %)", va="center", fontsize=9)
    ax.set_yticks(range(len(classes)), [style.name_text(name, 20) for name in classes])
    ax.set(xlabel="clips", ylabel="", xlim=(0, 1.3 * max(totals.max(), 1)), ylim=(len(classes) - 0.4, -0.6))
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.set_title(f"{count(len(clips), 'clip')} in {count(clips['group'].nunique(), 'group')}")
    named = [f"{name}: {_sizes(clips[clips['split'] == name])}" for name in order]
    bars = [ax.barh(0, 0, color=colour, alpha=0.85) for colour in SPLIT_COLOURS.values()]
    ax.legend(bars, named, loc="upper left", bbox_to_anchor=(-0.02, -0.13), borderaxespad=0)
    style.finish(fig, synthetic=synthetic, leaky=leaky)
    return fig, ax


def _sizes(rows: pd.DataFrame) -> str:
    return f"{count(len(rows), 'clip')} in {count(rows['group'].nunique(), 'group')}"


@style.in_style
def missing_share(share, *, n_frames: int | None = None, synthetic: bool, ax=None):
    """Draw the share (0 to 1) of a person's frames in which each of the 17 joints is missing."""
    fig, ax = style.axes_or_new(ax, height=4.4)
    bars = ax.barh(range(len(COCO_KEYPOINTS)), 100 * np.asarray(share, dtype=float), color=style.BLUE)
    ax.bar_label(bars, fmt="%.0f %%", padding=3, fontsize=9)
    ax.set_yticks(range(len(COCO_KEYPOINTS)), [name.replace("_", " ") for name in COCO_KEYPOINTS])
    ax.set(xlim=(0, 112), ylim=(len(COCO_KEYPOINTS) - 0.4, -0.6), xlabel="frames in which the joint is missing, %")
    ax.set_title("Missing joints" + (f" ({n_frames:,} frames)" if n_frames else ""))
    style.finish(fig, synthetic=synthetic)
    return fig, ax
