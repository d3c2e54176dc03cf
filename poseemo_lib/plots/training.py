"""Figures of training: how losses and scores ran, and which epoch was taken."""

import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator

from poseemo_lib.plots import style

_TRAIN, _VAL = "#0072B2", "#D55E00"


@style.in_style
def learning_curves(histories, chosen, *, synthetic: bool, leaky: bool = False, title: str = "", axes=None):
    """Loss, validation macro-F1 and learning rate over epochs, one line a seed.

    Parameters
    ----------
    histories : dict of DataFrame
        Seed -> epoch, train_loss, val_loss, val_macro_f1, lr.
    chosen : dict of int
        Seed -> the epoch that validation chose, marked by a star.
    synthetic, leaky : bool
        See :func:`poseemo_lib.plots.style.note_data`.
    title : str
    axes : sequence of 3 Axes, optional

    Returns
    -------
    fig, axes
    """
    if axes is None:
        ratios = {"width_ratios": (3, 3, 2)}
        _, axes = plt.subplots(1, 3, figsize=(10.5, 3.5), gridspec_kw=ratios, layout="constrained")
    loss, f1, rate = axes
    for i, (seed, history) in enumerate(histories.items()):
        # A single epoch is no line.
        thin = {"linewidth": 1.3, "alpha": 0.8, "marker": "." if len(history) == 1 else None}
        names = {"train_loss": "training", "val_loss": "validation"} if i == 0 else {}
        loss.plot(history["epoch"], history["train_loss"], "--", color=_TRAIN, label=names.get("train_loss"), **thin)
        loss.plot(history["epoch"], history["val_loss"], color=_VAL, label=names.get("val_loss"), **thin)
        f1.plot(history["epoch"], 100 * history["val_macro_f1"], color=_VAL, **thin)
        rate.plot(history["epoch"], history["lr"], color="#444444", **thin)
        _mark_epoch((loss, f1), history, chosen.get(seed), label="epoch chosen" if i == 0 else None)
    for ax, name in zip(axes, ("loss", "validation macro-F1, %", "learning rate"), strict=True):
        ax.set(xlabel="epoch", title=name)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(axis="y")
    rate.ticklabel_format(axis="y", style="sci", scilimits=(0, 0), useMathText=True)
    # The power of ten stands where the title would.
    rate.yaxis.get_offset_text().set_horizontalalignment("left")
    rate.set_title("learning rate", loc="right")
    rate.set_title("", loc="left")
    fig = loss.figure
    fig.legend(*loss.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    head = f"{title}: " if title else ""
    style.title_figure(fig, f"{head}{style.count(len(histories), 'seed')}, one line each")
    style.note_data(fig, synthetic, leaky)
    return fig, axes


def _mark_epoch(axes, history, epoch: int | None, label: str | None) -> None:
    at = history[history["epoch"] == epoch]
    star = {"color": "black", "markersize": 10, "linestyle": "", "zorder": 5}
    axes[0].plot(at["epoch"], at["val_loss"], "*", label=label, **star)
    axes[1].plot(at["epoch"], 100 * at["val_macro_f1"], "*", **star)
