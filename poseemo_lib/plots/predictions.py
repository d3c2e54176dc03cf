"""Probabilities of a recording's classes over time."""

from matplotlib.ticker import PercentFormatter

from poseemo_lib.plots import style


@style.in_style
def predictions_over_time(table, classes, *, threshold: float, synthetic: bool, title: str = "", ax=None):
    """Draw the probability of every class, window by window, and the threshold of a prediction (0 to 1).

    `table` has stop_seconds and p_<class> for each window, as from `poseemo_lib.inference.predictor`.
    """
    fig, ax = style.axes_or_new(ax, 8, 3.6)
    for name in classes:
        colour, _, marker = style.emotion_mark(name, tuple(classes))
        ax.plot(table["stop_seconds"], table[f"p_{name}"], color=colour, marker=marker, markersize=4.5, linewidth=1.6,
                label=style.name_text(name))  # fmt: skip
    ax.axhspan(0, threshold, color="#eeeeee", zorder=0)
    ax.text(0.995, threshold, "not sure below", transform=ax.get_yaxis_transform(), ha="right", va="top", fontsize=8)
    ax.set(xlabel="end of the window, seconds", ylabel="calibrated probability", ylim=(0, 1))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    fig.legend(*ax.get_legend_handles_labels(), loc="outside right center")
    style.finish(fig, title=style.name_text(title, 80), synthetic=synthetic)
    return fig, ax
