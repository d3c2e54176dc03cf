"""Confusion matrix as a heatmap."""

import numpy as np
import seaborn as sns

from poseemo_lib.plots import style


@style.in_style
def confusion_matrix(
    confusion, classes, *, synthetic: bool, leaky: bool = False, title: str = "", n_seeds: int = 1, unit="clip", ax=None
):
    """Draw the share of each true class that was predicted as each class, with counts.

    Parameters
    ----------
    confusion : array (C, C), int
        Rows are the true class; the sum over `n_seeds` seeds.
    classes : tuple of C str
    unit : str
        What was counted.
    """
    fig, ax = style.axes_or_new(ax, width=2.4 + 0.62 * len(classes), height=1.9 + 0.55 * len(classes))
    draw_confusion(ax, confusion, classes, text="{share:.0f} %\n{count}")
    over = "" if n_seeds == 1 else f", sum over {n_seeds} seeds"
    ax.set(title=title, ylabel=f"true class ({unit}s{over})")
    style.finish(fig, synthetic=synthetic, leaky=leaky)
    return fig, ax


def draw_confusion(ax, confusion, classes, *, text: str = "{share:.0f}", counts: bool = True, fontsize: float = 8.5):
    """Draw a confusion matrix, coloured by the share of the true class; a class without clips is a row of dashes.

    `text` is the format of a field, from `share` (percent) and `count`; with `counts` the names of the true classes
    have their number of clips.
    """
    confusion = np.asarray(confusion)
    n, support = len(classes), confusion.sum(1)
    share = 100 * confusion / np.where(support, support, np.nan)[:, None]
    texts = [[text.format(share=a, count=f"{b:,}") for a, b in zip(*row, strict=True)]
             for row in zip(share, confusion, strict=True)]  # fmt: skip
    names = [style.name_text(name, 14) for name in classes]
    rows = [f"{name} ({total:,})" for name, total in zip(names, support, strict=True)] if counts else names
    draw_heatmap(ax, share, texts, columns=names, rows=rows, vmax=100, fontsize=fontsize * min(1, 9 / n))
    ax.set_xticks(ax.get_xticks(), names, rotation=35, ha="right", rotation_mode="anchor")
    ax.set(xlabel="predicted class", ylabel="true class")


def draw_heatmap(ax, values, texts, *, columns, rows, fontsize: float, cmap="Blues", vmin=0, vmax=1) -> None:
    """Draw numbers, (rows, columns), as fields with texts; NaN is a dash."""
    figure = ax.get_figure(root=True)
    layout = figure.get_layout_engine()
    figure.set_layout_engine("none")  # seaborn draws the whole figure here, and its layout takes half the time
    sns.heatmap(values, annot=np.asarray(texts, dtype=object), fmt="", vmin=vmin, vmax=vmax, cmap=cmap, cbar=False,
                linewidths=0.5, xticklabels=False, yticklabels=False, annot_kws={"fontsize": fontsize},
                ax=ax)  # fmt: skip
    figure.set_layout_engine(layout)
    for i, j in np.argwhere(~np.isfinite(values)):
        ax.text(j + 0.5, i + 0.5, "–", ha="center", va="center", fontsize=fontsize, color=style.DARK)
    ax.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=0)
    ax.set_yticks(np.arange(len(rows)) + 0.5, rows, rotation=0)
    ax.tick_params(length=0)
