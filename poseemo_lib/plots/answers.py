"""Figure of a recording's answers as they come."""

import matplotlib.pyplot as plt
from matplotlib.ticker import PercentFormatter

from poseemo_lib.plots import style


@style.in_style
def answers_over_time(table, classes, *, threshold: float, synthetic: bool, title: str = "", ax=None):
    """Draw the probability of every class, window by window, and the threshold of an answer.

    Parameters
    ----------
    table : DataFrame
        One row a window: stop_seconds and p_<class> for each class, as `poseemo_lib.inference.predictor` gives it.
    classes : sequence of str
    threshold : float
        With less the answer is "not sure", 0 to 1.
    synthetic : bool
        See :func:`poseemo_lib.plots.style.note_data`.
    title : str
    ax : Axes, optional

    Returns
    -------
    fig, ax
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
    for name in classes:
        colour, _, marker = style.emotion_mark(name, tuple(classes))
        look = {"color": colour, "marker": marker, "markersize": 4.5, "linewidth": 1.6, "label": style.name_text(name)}
        ax.plot(table["stop_seconds"], table[f"p_{name}"], **look)
    ax.axhspan(0, threshold, color="#eeeeee", zorder=0)
    ax.text(0.995, threshold, "not sure below", transform=ax.get_yaxis_transform(), ha="right", va="top", fontsize=8)
    ax.set(xlabel="end of the window, seconds", ylabel="calibrated probability", ylim=(0, 1))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.figure.legend(*ax.get_legend_handles_labels(), loc="outside right center")
    style.title_figure(ax.figure, style.name_text(title, 80))
    style.note_data(ax.figure, synthetic)
    return ax.figure, ax
