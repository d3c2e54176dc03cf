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
from poseemo_lib.report.figures.drawn import Drawn, sample_of
from poseemo_lib.text import count, percent

SHOWN = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro-F1"}
CLASS_SCORES = {"precision": "Precision", "recall": "Recall", "f1": "F1"}
MOST_PAIRS = 8


def draw(data: ReportData) -> Drawn:
    """Draw confusions, scores of each class, predicted beside true shares, frequent errors and key facts.

    Data: confusion (counts, summed over seeds), per_class, shares (true and predicted), pairs, facts (numbers).
    """
    config, facts = data.best, facts_of(data)
    scores, classes = config.scores, config.classes
    tables = {
        "confusion": pd.DataFrame(scores.confusion, index=pd.Index(classes, name="true"), columns=classes),
        "per_class": scores.per_class,
        "shares": config.predicted_shares,
        "pairs": confusion_pairs(scores.confusion, classes),
        "facts": facts,
    }
    each = ", ".join(f"{name} {_with_interval(facts.loc[metric])}" for metric, name in SHOWN.items())
    sizes = f"{count(scores.n_clips, config.unit)}, {count(len(config.seeds), 'seed')}"
    text = f"The selected model, {config.name} ({sizes}): {each}. {describe_confusion(scores.confusion, classes)}."
    return Drawn(_figure(config, tables, data), text, tables)


def facts_of(data: ReportData) -> pd.DataFrame:
    """Collect the numbers that are written beside the selected model: index fact; value, low, high; unknown: NaN."""
    config = data.best
    scores = config.scores.scores.set_index("metric").loc[[*SHOWN, "kappa"]]
    ece = calibration_errors(config).add_prefix("ece_", axis=0)
    known = {
        **{f"majority_{name}": data.majority.scores.score(name)["mean"] if data.majority else np.nan for name in SHOWN},
        "chance": config.chance,
        "parameters": np.nan if config.n_parameters is None else config.n_parameters,
        "seeds": len(config.seeds),
        "clips": config.scores.n_clips,
        "groups": config.scores.n_groups,
        "validation_macro_f1": config.validation_macro_f1,
    }
    tables = [table[["mean", "low", "high"]].rename(columns={"mean": "value"}) for table in (scores, ece)]
    return pd.concat([*tables, pd.DataFrame({"value": known})]).rename_axis("fact")


def _written(facts: pd.DataFrame, data: ReportData) -> dict[str, str]:
    """Write the facts as names and values."""
    value, config = facts["value"], data.best
    ran = np.isfinite(value["majority_accuracy"])
    majority = {f"majority: {SHOWN[name]}": percent(value[f"majority_{name}"]) if ran else "not run"
                for name in ("accuracy", "macro_f1")}  # fmt: skip
    return {
        **{name: _with_interval(facts.loc[metric]) for metric, name in SHOWN.items()},
        "kappa": "{:.2f} [{:.2f}, {:.2f}]".format(*facts.loc["kappa", ["value", "low", "high"]]),
        "ECE, raw": _with_interval(facts.loc["ece_before"]),
        "ECE, calibrated": _with_interval(facts.loc["ece_after"]),
        **majority,
        "chance, balanced acc.": percent(value["chance"]),
        "parameters": "none" if np.isnan(value["parameters"]) else f"{value['parameters']:,.0f}",
        "seeds": f"{value['seeds']:.0f}",
        f"test {config.unit}s, groups": f"{value['clips']:,.0f}, {value['groups']:,.0f}",
        "selected among": count(sum(other.is_network for other in data.main.configs), "network"),
    }


def _with_interval(row: pd.Series) -> str:
    value, low, high = (100 * row[name] for name in ("value", "low", "high"))
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]"


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
    _write_facts(words, _written(tables["facts"], data))
    names = [style.name_text(name, 14) for name in classes]
    per_class = tables["per_class"].set_index(["metric", "class"])
    for ax, (metric, title) in zip(scores, CLASS_SCORES.items(), strict=True):
        for i, name in enumerate(classes):
            colour, _, marker = style.emotion_mark(name, classes)
            row = per_class.loc[(metric, name)]
            marks.draw_point(ax, i, row, colour=colour, marker=marker, markersize=8, width=2.4)
            if np.isfinite(row["mean"]):
                ax.annotate(f"{100 * row['mean']:.0f}", (1, i), (4, 0), xycoords=ax.get_yaxis_transform(),
                            textcoords="offset points", va="center", fontsize=9)  # fmt: skip
        marks.name_rows(ax, names if ax is scores[0] else [""] * len(names))
        ax.set(xlim=(-4, 110), xticks=(0, 50, 100), title=f"{title}, %")
        ax.grid(axis="x")
    _draw_shares(predicted, tables["shares"], classes)
    draw_pairs(errors, tables["pairs"].head(MOST_PAIRS), int(tables["pairs"]["count"].sum()))
    note = f"Counts are summed over seeds: {confusion.sum():,} predictions."
    style.finish(
        fig, title=_title(config), note=f"{sample_of(config, 'Coloured lines and [ ]')} {note}",
        synthetic=data.results.synthetic, leaky=bool(config.leaks),
    )  # fmt: skip
    return fig


def _write_facts(ax, facts: dict[str, str]) -> None:
    ax.axis("off")
    ax.set_title("Key facts")
    step = 1 / max(len(facts), 12)
    for i, (name, value) in enumerate(facts.items()):
        y = 1 - (i + 0.5) * step
        ax.text(0, y, name, transform=ax.transAxes, va="center", fontsize=9, color=style.DARK)
        ax.text(1, y, value, transform=ax.transAxes, va="center", ha="right", fontsize=9.5, weight="bold")
        ax.plot([0, 1], [y - step / 2] * 2, transform=ax.transAxes, color="#dddddd", linewidth=0.8)


def _draw_shares(ax, shares: pd.DataFrame, classes) -> None:
    """Draw how often each class is predicted as bars, and how often it is true as black lines."""
    percent = 100 * shares.loc[list(classes), ["predicted", "true"]]
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
        ax.set_title("Most frequent errors")
        style.write_not_run(ax, head="no error")
        return
    bars = ax.barh(range(len(pairs)), pairs["count"], height=0.62, color=style.ORANGE, alpha=0.6)
    rows = pairs.to_dict("records")
    ax.bar_label(bars, [f"{row['count']:,}, {100 * row['share_of_true']:.0f} % of {style.name_text(row['true'], 12)}"
                        for row in rows], padding=4, fontsize=8.5)  # fmt: skip
    names = [[style.name_text(row[key], 12) for key in ("true", "predicted")] for row in rows]
    marks.name_rows(ax, [" → ".join(pair) for pair in names])
    ax.set(xlim=(0, 1.9 * pairs["count"].max()), ylim=(max(len(pairs), 5) - 0.5, -0.5))
    ax.set(xlabel="predictions (true → predicted)", title=f"Most frequent of {count(n_errors, 'error')}")
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def _title(config: ConfigRuns) -> str:
    """Say how much is correct, and the classes of the highest and lowest recall."""
    recall = config.scores.per_class.query("metric == 'recall'").set_index("class")["mean"].dropna()
    ends = [f"{style.name_text(name, 16)} ({100 * recall[name]:.0f} %)" for name in (recall.idxmax(), recall.idxmin())]
    accuracy = 100 * config.scores.score("accuracy")["mean"]
    correct = f"is correct on {accuracy:.1f} % of test {config.unit}s"
    recalls = f"recall is highest for {ends[0]}, lowest for {ends[1]}"
    return f"{style.name_text(config.name)}, selected on validation, {correct}; {recalls}"
