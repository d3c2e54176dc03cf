"""Curves of training: losses and scores over epochs, the mean of the seeds with a band over all of them."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.ticker import MaxNLocator

from poseemo_lib.plots import style
from poseemo_lib.text import count

TRAIN, VAL = style.BLUE, style.ORANGE


@style.in_style
def learning_curves(histories, chosen, *, synthetic: bool, leaky: bool = False, title: str = ""):
    """Draw loss, validation macro-F1 and learning rate over epochs.

    Parameters
    ----------
    histories : dict of DataFrame
        Seed -> epoch, train_loss, val_loss, val_macro_f1, lr.
    chosen : dict of int
        Seed -> the epoch that validation chose, marked by a star.
    """
    fig, axes = plt.subplots(1, 3, figsize=(10.5, 3.5), width_ratios=(3, 3, 2), layout="constrained")
    tables = [table.assign(seed=seed, is_best=table["epoch"] == chosen.get(seed)) for seed, table in histories.items()]
    curves = pd.concat(tables, ignore_index=True)
    draw_losses(axes[0], curves)
    draw_scores(axes[1], curves)
    draw_curve(axes[2], curves, "lr", colour=style.DARK)
    axes[2].set_title("Learning rate", loc="right")
    axes[2].ticklabel_format(axis="y", style="sci", scilimits=(0, 0), useMathText=True)
    style.finish(fig, title=title or count(len(histories), "seed"), synthetic=synthetic, leaky=leaky)
    return fig, axes


def draw_losses(ax, curves) -> None:
    """Draw training and validation loss with the chosen epochs; `curves` has seed, epoch, is_best and both losses."""
    draw_curve(ax, curves, "train_loss", colour=TRAIN, linestyle="--", label="training")
    draw_curve(ax, curves, "val_loss", colour=VAL, label="validation")
    _draw_chosen(ax, curves, "val_loss")
    ax.legend()
    ax.set_title("Loss (★: chosen epoch)")


def draw_scores(ax, curves, title: str = "Validation macro-F1, %", colour: str = VAL) -> None:
    """Draw validation macro-F1 in percent with the chosen epochs; `curves` has seed, epoch, is_best, val_macro_f1."""
    percent = curves.assign(val_macro_f1=100 * curves["val_macro_f1"])
    draw_curve(ax, percent, "val_macro_f1", colour=colour)
    _draw_chosen(ax, percent, "val_macro_f1")
    ax.set_title(title)


def draw_curve(ax, curves, column: str, *, colour: str, **look) -> None:
    """Draw the mean of the seeds over epochs, and a band from the lowest to the highest seed."""
    marker = "o" if curves["epoch"].nunique() == 1 else None  # a single epoch is no line
    sns.lineplot(curves, x="epoch", y=column, errorbar=("pi", 100), color=colour, marker=marker, ax=ax, **look)
    ax.set(xlabel="epoch", ylabel="")
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    ax.set_xlim(curves["epoch"].min() - 0.5, curves["epoch"].max() + 0.5)
    ax.grid(True, axis="y")


def _draw_chosen(ax, curves, column: str) -> None:
    best = curves[curves["is_best"].astype(bool)]
    ax.plot(best["epoch"], best[column], "*", color="black", markersize=10, markeredgewidth=0, zorder=5)
