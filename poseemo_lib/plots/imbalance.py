"""Figure of what was done about rare classes, and what came of it."""

import matplotlib.pyplot as plt
import numpy as np

from poseemo_lib.plots import style
from poseemo_lib.plots.labels import spread

_WORST = "#B45F06"


@style.in_style
def imbalance_regimes(
    table,
    classes,
    *,
    n_clips: int,
    n_groups: int,
    synthetic: bool,
    leaky: bool = False,
    unit: str = "clip",
    resampled_by: str = "group",
    axes=None,
):
    """Recall of every class under every regime, and how often each class was answered beside how often it is true.

    Parameters
    ----------
    table : DataFrame
        One row a regime and class, in the order to draw: regime, class, recall, low, high, predicted, true (shares, 0
        to 1; recall NaN where the class has no clips), n_seeds.
    classes : tuple of str
    n_clips, n_groups : int
        What was predicted.
    synthetic, leaky : bool
        See :func:`poseemo_lib.plots.style.note_data`.
    unit, resampled_by : str
        What was scored, and what the intervals were drawn over.
    axes : sequence of 2 Axes, optional
        For recall and for shares.

    Returns
    -------
    fig, axes
    """
    regimes = list(dict.fromkeys(table["regime"]))
    if axes is None:
        size = (5.6 + 0.8 * len(classes), 2.6 + 0.5 * len(regimes))
        ratios = {"width_ratios": (len(classes) + 1, 6)}
        _, axes = plt.subplots(1, 2, figsize=size, sharey=True, gridspec_kw=ratios, layout="constrained")
    fig = axes[0].figure
    wide = {name: table.pivot(index="regime", columns="class", values=name).reindex(index=regimes, columns=classes)
            for name in ("recall", "low", "high", "predicted", "true")}  # fmt: skip
    wide = {name: 100 * values.to_numpy(float) for name, values in wide.items()}
    _recall_panel(axes[0], wide, regimes, classes)
    _share_panel(axes[1], wide["predicted"], wide["true"], classes)
    sample = style.sample_text(n_clips, n_groups, table["n_seeds"], unit=unit, resampled_by=resampled_by,
                               interval="Small numbers")  # fmt: skip
    style.note_sample(
        fig,
        f"{sample} Misplaced: answers that would have to change for each class to be answered as often as it is true.",
    )
    style.note_data(fig, synthetic, leaky)
    return fig, axes


def _recall_panel(ax, wide, regimes, classes) -> None:
    means = [np.nanmean(row) if np.isfinite(row).any() else np.nan for row in wide["recall"]]
    shown = np.column_stack([wide["recall"], means])
    # The first row, of the true shares, has no colour.
    ax.imshow(np.vstack([np.full(shown.shape[1], np.nan), shown]), vmin=0, vmax=100, cmap="Blues", aspect="auto")
    ax.axvline(len(classes) - 0.5, color="white", linewidth=4)
    centred = {"ha": "center", "va": "center"}
    for j, share in enumerate(wide["true"][0]):
        ax.text(j, 0, f"{share:.0f} %", **centred, fontsize=9, color="#444444")
    for i, j in np.ndindex(shown.shape):
        colour = "white" if shown[i, j] > 55 else "black"
        has_interval = j < len(classes) and np.isfinite(wide["low"][i, j])
        text = f"{shown[i, j]:.0f}" if np.isfinite(shown[i, j]) else "–"
        ax.text(j, i + 1 - 0.14 * has_interval, text, **centred, fontsize=10, color=colour)
        if has_interval:
            interval = f"{wide['low'][i, j]:.0f}–{wide['high'][i, j]:.0f}"
            ax.text(j, i + 1.27, interval, **centred, fontsize=6.5, color=colour)
    names = [*(style.name_text(name, 16) for name in classes), "mean"]
    ax.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(regimes) + 1), ["true share", *(style.name_text(name) for name in regimes)])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title("How much of each class is found (recall, %)")


def _share_panel(ax, predicted, true, classes) -> None:
    """Draw the truth once, on top, since regimes of one split share it, and the answers of each regime under it."""
    rows = np.nan_to_num(np.vstack([true[:1], predicted]))
    left = np.zeros(len(rows))
    for j, name in enumerate(classes):
        colour, hatch, _ = style.emotion_mark(name, classes)
        look = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0.8}
        ax.barh(range(len(rows)), rows[:, j], left=left, height=0.72, **look)
        left += rows[:, j]
    middles = rows[0].cumsum() - rows[0] / 2
    for place, name in zip(spread(middles, 6.5, 0, 97), classes, strict=True):
        turned = {"rotation": 40, "rotation_mode": "anchor", "ha": "left", "va": "bottom"}
        ax.text(place, -0.42, style.name_text(name, 12), fontsize=8, **turned)
    wrong = np.abs(predicted - true).sum(1) / 2
    worst = np.nanargmax(wrong) if np.isfinite(wrong).any() else -1
    ax.text(102, 0, "misplaced", va="center", fontsize=8, color="#444444")
    for i, value in enumerate(wrong):
        bold = {"color": _WORST, "weight": "bold"} if i == worst and len(wrong) > 1 else {}
        ax.text(102, i + 1, f"{value:.0f} %", va="center", fontsize=9, **bold)
    ax.tick_params(axis="y", length=0)
    ax.set(xlim=(0, 100), ylim=(len(rows) - 0.5, -0.5), xlabel="share of the answers, %")
    ax.set_title("What is answered, under what is true", pad=10 + 3.4 * min(max(map(len, classes)), 12))
