"""Charts of what a network attends to in single clips: attention over time, and contributions of joints and frames."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from poseemo_lib.plots import style
from poseemo_lib.skeleton import COCO_KEYPOINTS


@style.in_style
def attention_courses(attention: dict, mask, spans, titles, *, fps: float, synthetic: bool):
    """Draw the attention of a trained network, and of one with random weights, over time for N clips.

    Parameters
    ----------
    attention : dict of array (N, T)
        "trained" and "random weights"; 0 on padding.
    mask : bool array (N, T)
    spans : list of N (int, int) or None
        First frame of the planted emotion and the one after its last.
    titles : list of N str
    """
    n = len(titles)
    fig, axes = plt.subplots(1, n, figsize=(3.2 * n, 2.9), sharey=True, squeeze=False, layout="constrained")
    for i, ax in enumerate(axes[0]):
        real = np.asarray(mask[i], dtype=bool)
        for (name, values), colour, line in zip(attention.items(), (style.BLUE, style.GREY), ("-", "--"), strict=True):
            course = np.asarray(values[i])[real] * real.sum()
            ax.plot(np.arange(real.sum()) / fps, course, line, color=colour, label=name)
        if spans[i] is not None:
            ax.axvspan(*((frame - 0.5) / fps for frame in spans[i]), color="#E69F00", alpha=0.22, linewidth=0)
        ax.set(xlabel="seconds", title=style.name_text(titles[i], 28))
    axes[0, 0].set_ylabel("attention (1: uniform)")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    planted = "; shaded: the planted emotion" if any(spans) else ""
    style.finish(fig, title=f"Attention over time{planted}", synthetic=synthetic)
    return fig, axes[0]


@style.in_style
def contribution_maps(contributions: dict, mask, spans, titles, *, fps: float, synthetic: bool):
    """Draw contributions of joints and frames in N clips: a row of heatmaps per network, each on its own scale.

    `contributions` has for every network signed contributions towards each clip's own class, (N, T, 17); the rest is as
    for :func:`attention_courses`.
    """
    rows, columns = len(contributions), len(titles)
    size = (1.6 + 3.0 * columns, 0.9 + 3.1 * rows)
    fig, axes = plt.subplots(rows, columns, figsize=size, sharey=True, squeeze=False, layout="constrained")
    joints = [name.replace("_", " ") for name in COCO_KEYPOINTS]
    for line, (name, values) in zip(axes, contributions.items(), strict=True):
        for i, ax in enumerate(line):
            shown = np.asarray(values[i])[: int(np.asarray(mask[i]).sum())].T
            most = max(np.abs(shown).max(), 1e-9)
            sns.heatmap(shown, cmap="RdBu_r", vmin=-most, vmax=most, cbar=False, ax=ax, yticklabels=joints)
            ticks = np.arange(0, shown.shape[1] / fps, 0.5)
            ax.set_xticks(ticks * fps + 0.5, [f"{tick:g}" for tick in ticks], rotation=0)
            for edge in spans[i] or ():
                ax.axvline(edge, color="black", linewidth=1.2, linestyle="--")
        line[0].set_ylabel(name)
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(style.name_text(title, 28), fontsize=10)
    for ax in axes[-1]:
        ax.set_xlabel("seconds")
    planted = "; dashes: start and end of the planted emotion" if any(spans) else ""
    style.finish(fig, title=f"Red: evidence for the true class, blue: against it{planted}", synthetic=synthetic)
    return fig, axes
