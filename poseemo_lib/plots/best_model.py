"""Figure of one model: what it takes for what, how well it finds each class, and the facts about it."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator

from poseemo_lib.plots import style

SCORE_NAMES = {"precision": "precision", "recall": "recall", "f1": "F1"}
_ERROR = "#D55E00"


@style.in_style
def best_model_analysis(
    confusion,
    per_class,
    pairs,
    facts: dict[str, str],
    classes,
    *,
    title: str,
    sample: str,
    synthetic: bool,
    leaky: bool = False,
    n_pairs: int = 8,
):
    """Draw one model: two confusion matrices, facts, scores of each class, answers beside truth, top confusions.

    Parameters
    ----------
    confusion : array (C, C), int
        Rows are the true class; the sum over seeds.
    per_class : DataFrame
        class, metric (precision, recall, f1), mean, low, high: shares, 0 to 1; NaN where a class has no clips.
    pairs : DataFrame
        true, predicted, count, share_of_true; the most frequent first.
    facts : dict
        What is known of the model -> its value, both as written.
    classes : tuple of C str
    title : str
        What it is, and what the figure says.
    sample : str
        What the numbers rest on: see :func:`poseemo_lib.plots.style.sample_text`.
    synthetic, leaky : bool
        See :func:`poseemo_lib.plots.style.note_data`.
    n_pairs : int
        Number of confusions that are drawn.

    Returns
    -------
    fig, axes
        Shares, counts, facts, precision, recall, F1, answers, confusions.
    """
    confusion = np.asarray(confusion)
    height = 10.4 + 0.35 * max(len(classes) - 7, 0)
    fig = plt.figure(figsize=(13, height), layout="constrained")
    top, bottom = fig.subfigures(2, 1, height_ratios=(1.12, 1))
    shares, counts, words = top.subplots(1, 3, width_ratios=(1, 1, 0.8))
    *scores, gap, answers, errors = bottom.subplots(1, 6, width_ratios=(1, 1, 1, 0.08, 1.5, 1.5))
    gap.remove()
    draw_shares(shares, confusion, classes)
    shares.set_title("Share of each true class, %")
    draw_counts(counts, confusion, classes)
    counts.set_title(f"Answers: {np.trace(confusion):,} of {confusion.sum():,} are right")
    _write_facts(words, facts)
    for ax, metric in zip(scores, SCORE_NAMES, strict=True):
        _class_scores(ax, per_class[per_class["metric"] == metric].set_index("class"), classes)
        ax.set_title(f"{SCORE_NAMES[metric]}, %")
    _name_classes(scores[0], classes)
    for ax in scores[1:]:
        ax.set_yticks(range(len(classes)), [])
    draw_answers(answers, confusion, classes)
    draw_pairs(errors, pairs.head(n_pairs), int(confusion.sum() - np.trace(confusion)))
    style.title_figure(fig, title)
    style.note_sample(fig, sample)
    style.note_data(fig, synthetic, leaky)
    return fig, np.array([shares, counts, words, *scores, answers, errors])


def draw_shares(ax, confusion, classes, fontsize: float = 9) -> None:
    """Draw a confusion matrix as shares of the true class, in percent; a class without clips is a row of dashes."""
    support = confusion.sum(1, keepdims=True)
    share = np.divide(100 * confusion, support, out=np.full(confusion.shape, np.nan), where=support > 0)
    texts = [[f"{value:.0f}" if np.isfinite(value) else "–" for value in row] for row in share]
    _matrix(ax, share, texts, 100, classes, fontsize)
    ax.set(ylabel="true", xlabel="predicted")


def draw_counts(ax, confusion, classes, fontsize: float = 9) -> None:
    """Draw a confusion matrix as counts, with the number of each true class beside its name."""
    texts = [[f"{value:,}" if value else "·" for value in row] for row in confusion]
    _matrix(ax, confusion, texts, max(confusion.max(), 1), classes, fontsize)
    names = [f"{style.name_text(name, 14)} ({n:,})" for name, n in zip(classes, confusion.sum(1), strict=True)]
    ax.set_yticks(range(len(classes)), names)
    ax.set_xlabel("predicted")


def _matrix(ax, values, texts, most: float, classes, fontsize: float) -> None:
    n = len(classes)
    ax.imshow(values, vmin=0, vmax=most, cmap="Blues")
    size = min(fontsize, fontsize * 9 / n)
    for i, j in np.ndindex(n, n):
        look = {"color": "white" if values[i, j] > 0.55 * most else "black", "weight": "bold" if i == j else "normal"}
        ax.text(j, i, texts[i][j], ha="center", va="center", fontsize=size, **look)
    names = [style.name_text(name, 14) for name in classes]
    ax.set_xticks(range(n), names, rotation=40, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(n), names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _write_facts(ax, facts: dict[str, str]) -> None:
    """Write names and values in two columns; a long value goes on in the next line."""
    ax.set(xticks=[], yticks=[])
    ax.axis("off")
    ax.set_title("Key facts")
    step = 1 / max(len(facts), 12)
    for i, (name, value) in enumerate(facts.items()):
        y = 1 - (i + 0.5) * step
        ax.text(0, y, name, transform=ax.transAxes, va="center", fontsize=9, color="#444444")
        ax.text(1, y, value, transform=ax.transAxes, va="center", ha="right", fontsize=9.5, weight="bold")
        ax.plot([0, 1], [y - step / 2] * 2, transform=ax.transAxes, color="#dddddd", linewidth=0.8)


def _class_scores(ax, rows, classes) -> None:
    """Draw one score of every class as a mark with its interval, and its value at the right."""
    for i, name in enumerate(classes):
        colour, _, marker = style.emotion_mark(name, classes)
        mean, low, high = 100 * rows.loc[name, ["mean", "low", "high"]].to_numpy(float)
        if not np.isfinite(mean):
            ax.text(50, i, "no test clips", ha="center", va="center", fontsize=8, color="#555555")
            continue
        ax.plot([low, high], [i, i], color=colour, linewidth=2.4, solid_capstyle="butt")
        ax.plot(mean, i, marker, color=colour, markersize=8, markeredgecolor="black", markeredgewidth=0.6)
        ax.annotate(f"{mean:.0f}", (1, i), (4, 0), xycoords=ax.get_yaxis_transform(), textcoords="offset points",
                    va="center", ha="left", fontsize=9)  # fmt: skip
    ax.set(xlim=(-4, 110), ylim=(len(classes) - 0.5, -0.5), xticks=(0, 50, 100))
    ax.grid(axis="x")
    ax.tick_params(axis="y", length=0)


def _name_classes(ax, classes) -> None:
    ax.set_yticks(range(len(classes)), [style.name_text(name, 14) for name in classes])


def draw_answers(ax, confusion, classes) -> None:
    """Draw how often each class is answered as bars, and how often it is true as a black line through each."""
    total = max(confusion.sum(), 1)
    predicted, true = 100 * confusion.sum(0) / total, 100 * confusion.sum(1) / total
    for i, name in enumerate(classes):
        colour, hatch, _ = style.emotion_mark(name, classes)
        ax.barh(i, predicted[i], height=0.62, color=colour, hatch=hatch, edgecolor="white", linewidth=0.6)
        ax.plot([true[i]] * 2, [i - 0.42, i + 0.42], color="black", linewidth=2.4, solid_capstyle="butt")
        place = (max(predicted[i], true[i]), i)
        ax.annotate(f"{predicted[i]:.0f} for {true[i]:.0f}", place, (6, 0), textcoords="offset points", va="center",
                    fontsize=8.5)  # fmt: skip
    _name_classes(ax, classes)
    ax.set(xlim=(0, 1.4 * max(predicted.max(), true.max())), ylim=(len(classes) - 0.5, -0.5))
    ax.set_xlabel("% of all answers")
    ax.set_title("Answered (bar) for true (black line)")
    ax.tick_params(axis="y", length=0)


def draw_pairs(ax, pairs, n_errors: int) -> None:
    """Draw the most frequent errors as bars: how often, and what share of the true class that is."""
    if pairs.empty:
        ax.set_title("Most frequent errors")
        ax.set(xticks=[], yticks=[])
        ax.text(0.5, 0.5, "no error", transform=ax.transAxes, ha="center", va="center", color="#555555")
        return
    for i, row in enumerate(pairs.to_dict("records")):
        ax.barh(i, row["count"], height=0.62, color=_ERROR, alpha=0.55, edgecolor=_ERROR)
        ax.annotate(f"{row['count']:,}, {100 * row['share_of_true']:.0f} % of {style.name_text(row['true'], 12)}",
                    (row["count"], i), (4, 0), textcoords="offset points", va="center", fontsize=8.5)  # fmt: skip
    names = [f"{style.name_text(a, 12)} → {style.name_text(b, 12)}"
             for a, b in zip(pairs["true"], pairs["predicted"], strict=True)]  # fmt: skip
    ax.set_yticks(range(len(pairs)), names)
    ax.set(xlim=(0, 1.9 * pairs["count"].max()), ylim=(max(len(pairs), 5) - 0.5, -0.5))
    ax.set_xlabel("answers (true → answered)")
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.set_title(f"Most frequent of {n_errors:,} errors")
    ax.tick_params(axis="y", length=0)
