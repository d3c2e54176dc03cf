"""Figure 03: the selected model in detail."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.predictions import confusion_pairs
from poseemo_lib.analysis.reliability import calibration_errors
from poseemo_lib.plots import marks, style
from poseemo_lib.plots.confusion import draw_confusion
from poseemo_lib.report.alt_texts import describe_confusion
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import (
    PEOPLE,
    Drawn,
    confusion_table,
    interval_text,
    note_text,
    observers_text,
    sample_of,
)
from poseemo_lib.text import count, percent

SHOWN = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro-F1"}
FACTS = SHOWN | {"kappa": "kappa", "ece_before": "ECE, raw", "ece_after": "ECE, calibrated"}
CLASS_SCORES = {"precision": "Precision", "recall": "Recall", "f1": "F1"}
MOST_PAIRS = 8


def draw(data: ReportData) -> Drawn:
    """Draw confusions, scores of each class, predicted beside true shares, frequent errors and key facts.

    Data: confusion (counts, summed over seeds), per_class, shares (true and predicted), pairs, facts (numbers), and
    observers (recall of people), where there are ratings.
    """
    config = data.best
    scores, classes = config.scores, config.classes
    tables = {
        "confusion": confusion_table(config),
        "per_class": scores.per_class,
        "shares": config.predicted_shares.rename_axis("class").reset_index(),
        "pairs": confusion_pairs(scores.confusion, classes),
        "facts": facts_of(data),
    }
    if data.observers:
        tables["observers"] = data.observers.recall.reset_index()
    each = ", ".join(f"{name} {interval_text(scores.score(metric))}" for metric, name in SHOWN.items())
    each += observers_text(data.observers, "accuracy")
    sizes = f"{count(scores.n_clips, config.unit)}, {count(len(config.seeds), 'seed')}"
    text = f"The selected model, {config.name} ({sizes}): {each}. {describe_confusion(scores.confusion, classes)}."
    return Drawn(_figure(config, tables, data), text, tables)


def facts_of(data: ReportData) -> pd.DataFrame:
    """Collect what is written beside the selected model: fact, value, low, high (shares or counts), text."""
    config, ends = data.best, ["mean", "low", "high"]
    size, networks = config.n_parameters, sum(other.is_network for other in data.main.configs)
    errors = calibration_errors(config).add_prefix("ece_", axis=0)
    facts = pd.concat([config.scores.scores.set_index("metric"), errors]).loc[list(FACTS), ends]
    facts["text"] = [interval_text(row) for row in facts.to_dict("records")]
    facts.loc["kappa", "text"] = "{:.2f} [{:.2f}, {:.2f}]".format(*facts.loc["kappa", ends])
    majority = {f"majority: {SHOWN[metric]}": data.majority and data.majority.scores.score(metric)["mean"]
                for metric in ("accuracy", "macro_f1")}  # fmt: skip
    numbers = [
        *((name, share, "not run" if share is None else percent(share)) for name, share in majority.items()),
        ("chance, balanced acc.", config.chance, percent(config.chance)),
        ("parameters", size, f"{size:,}" if size else "none"),
        ("seeds", len(config.seeds), str(len(config.seeds))),
        (f"test {config.unit}s", config.scores.n_clips, f"{config.scores.n_clips:,}"),
        ("test groups", config.scores.n_groups, f"{config.scores.n_groups:,}"),
        ("selected among", networks, count(networks, "network")),
    ]
    facts = facts.rename(index=FACTS).rename_axis("fact").reset_index().rename(columns={"mean": "value"})
    return pd.concat([facts, pd.DataFrame(numbers, columns=["fact", "value", "text"])], ignore_index=True)


@style.in_style
def _figure(config: ConfigRuns, tables: dict, data: ReportData):
    classes, confusion = config.classes, config.scores.confusion
    fig = plt.figure(figsize=(13, 10.4 + 0.35 * max(len(classes) - 7, 0)), layout="constrained")
    top, bottom = fig.subfigures(2, 1, height_ratios=(1.12, 1))
    shares, counts, words = top.subplots(1, 3, width_ratios=(1, 1, 0.8))
    *scores, gap, predicted, errors = bottom.subplots(1, 6, width_ratios=(1, 1, 1, 0.08, 1.5, 1.5))
    gap.remove()
    draw_confusion(shares, confusion, classes, fontsize=9, counts=False)
    shares.set_title("Share of each true class, %")
    draw_confusion(counts, confusion, classes, text="{count}", fontsize=9)
    counts.set_title(f"Counts: {np.trace(confusion):,} of {confusion.sum():,} predictions are correct")
    counts.set_ylabel("")
    _write_facts(words, tables["facts"][["fact", "text"]])
    names = [style.name_text(name, 14) for name in classes]
    per_class = tables["per_class"].set_index(["metric", "class"])
    for ax, (metric, title) in zip(scores, CLASS_SCORES.items(), strict=True):
        for i, name in enumerate(classes):
            colour, _, marker = style.emotion_mark(name, classes)
            row = per_class.loc[(metric, name)]
            marks.draw_point(ax, i, row, colour=colour, marker=marker, markersize=8, width=2.4)
        if metric == "recall" and data.observers:
            _draw_observers(ax, data.observers.recall.loc[list(classes)])
        marks.write_values(ax, [f"{value:.0f}" for value in 100 * per_class["mean"][metric].reindex(classes)])
        marks.name_rows(ax, names if ax is scores[0] else [""] * len(names))
        ax.set(xlim=(-4, 110), xticks=(0, 50, 100), title=f"{title}, %")
        ax.grid(axis="x")
    _draw_shares(predicted, tables["shares"], classes)
    draw_pairs(errors, tables["pairs"].head(MOST_PAIRS), int(tables["pairs"]["count"].sum()))
    note = [sample_of(config, "Coloured lines and [ ]"), f"Counts: {confusion.sum():,} predictions of all seeds."]
    if data.observers:
        note.append(note_text("people", observers=data.observers))
    style.finish(
        fig, title=_title(config), note=note,
        synthetic=data.results.synthetic, leaky=bool(config.leaks),
    )  # fmt: skip
    return fig


def _write_facts(ax, facts: pd.DataFrame) -> None:
    ax.axis("off")
    ax.set_title("Key facts")
    table = ax.table(facts.to_numpy(), colWidths=(0.45, 0.55), edges="B", bbox=(0, 0, 1, 1))
    for (_, column), cell in table.get_celld().items():
        cell.PAD = 0.01
        cell.set_edgecolor("#dddddd")
        cell.set_text_props(ha="right" if column else "left", weight="bold" if column else "normal")
    table.auto_set_font_size(False)
    table.set_fontsize(9)


def _draw_observers(ax, recall: pd.DataFrame) -> None:
    """Draw the recall of people as a short line for each class, and name the lines below."""
    for name, shares in recall.items():
        colour, dashes = PEOPLE[name]
        ax.vlines(100 * shares, np.arange(len(shares)) - 0.4, np.arange(len(shares)) + 0.4, color=colour,
                  linestyle=dashes, linewidth=1.4, label=name)  # fmt: skip
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), fontsize=8)


def _draw_shares(ax, shares: pd.DataFrame, classes) -> None:
    """Draw how often each class is predicted as bars, and how often it is true as black lines."""
    percent = 100 * shares.set_index("class").loc[list(classes), ["predicted", "true"]]
    for i, (name, (predicted, true)) in enumerate(percent.iterrows()):
        colour, hatch, _ = style.emotion_mark(name, classes)
        ax.barh(i, predicted, height=0.62, color=colour, hatch=hatch, edgecolor="white", linewidth=0.6)
        ax.plot([true] * 2, [i - 0.42, i + 0.42], color="black", linewidth=2.4, solid_capstyle="butt")
        ax.annotate(f"{predicted:.0f} / {true:.0f}", (max(predicted, true), i), (6, 0), textcoords="offset points",
                    va="center", fontsize=8.5)  # fmt: skip
    marks.name_rows(ax, [style.name_text(name, 14) for name in classes])
    ax.set(xlim=(0, 1.4 * percent.to_numpy().max()), xlabel="% of all predictions")
    ax.set_title("Predicted (bar) and true (line)")


def draw_pairs(ax, pairs: pd.DataFrame, n_errors: int) -> None:
    """Draw the most frequent errors as bars: how many, and what share of the true class that is."""
    if pairs.empty:
        style.write_missing(ax, "No prediction is wrong.")
        return
    bars = ax.barh(range(len(pairs)), pairs["count"], height=0.62, color=style.ORANGE, alpha=0.6)
    rows = pairs.to_dict("records")
    ax.bar_label(bars, [f"{row['count']:,}, {100 * row['share_of_true']:.0f} % of {style.name_text(row['true'], 12)}"
                        for row in rows], padding=4, fontsize=8.5)  # fmt: skip
    marks.name_rows(ax, [" → ".join(style.name_text(row[key], 12) for key in ("true", "predicted")) for row in rows])
    ax.set(xlim=(0, 1.9 * pairs["count"].max()), ylim=(max(len(pairs), 5) - 0.5, -0.5))
    ax.set(xlabel="predictions (true → predicted)", title=f"Most frequent of {count(n_errors, 'error')}")
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def _title(config: ConfigRuns) -> str:
    """Say how much is correct, and the classes of the highest and lowest recall."""
    recall = config.recall.set_index("class")["recall"].dropna()
    ends = [f"{style.name_text(name, 16)} ({100 * recall[name]:.0f} %)" for name in (recall.idxmax(), recall.idxmin())]
    accuracy = 100 * config.scores.score("accuracy")["mean"]
    correct = f"is correct on {accuracy:.1f} % of test {config.unit}s"
    recalls = f"recall is highest for {ends[0]}, lowest for {ends[1]}"
    return f"{style.name_text(config.name)}, selected on validation, {correct}; {recalls}"
