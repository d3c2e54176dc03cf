"""Figure 08: what the selected model gets wrong, and whether its confidence tells."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.predictions import confusion_pairs, most_confident_errors, predictions_table, recall_by_size
from poseemo_lib.analysis.reliability import (
    LEAST_GROUPS,
    abstain_threshold,
    calibration_errors,
    coverage_table,
    reliability_table,
)
from poseemo_lib.plots import marks, skeleton_strip, style
from poseemo_lib.plots.labels import label_points
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.best_model import draw_pairs
from poseemo_lib.report.figures.drawn import Drawn, sample_of
from poseemo_lib.text import percent

N_CLIPS, N_FRAMES, N_BINS = 3, 9, 20
STRIP = 2.1  # inches


def draw(data: ReportData) -> Drawn:
    """Draw error pairs, recall against class size, confidences, calibration, coverage, and the most confident errors.

    Data: pairs, recall_by_size, predictions (of every seed), reliability_before, reliability_after,
    calibration_errors, coverage, most_confident_errors.
    """
    config = data.best
    tables = tables_of(config)
    clips = "; ".join(
        f"{row['clip_id'].removeprefix('/')}: {row['label']} predicted as {row['prediction']}, "
        f"{100 * row['confidence']:.0f} %"
        for row in tables["most_confident_errors"].to_dict("records")
    )
    lines = " ".join(_summary(tables))
    share = tables["coverage"].set_index("threshold")["coverage"][abstain_threshold(config)]
    text = f"Errors of {config.name}. {lines} {100 * share:.0f} % get a prediction."
    return Drawn(_figure(config, tables, data), f"{text} Most confident errors: {clips}", tables)


def tables_of(config: ConfigRuns) -> dict[str, pd.DataFrame]:
    """Make the tables that the figure draws, by name."""
    thresholds = np.append(np.linspace(0, 1, 101), abstain_threshold(config))
    raw, calibrated = config.predictions("test"), config.calibrated("test")
    return {
        "pairs": confusion_pairs(config.calibrated_scores.confusion, config.classes),
        "recall_by_size": recall_by_size(config),
        "predictions": predictions_table(calibrated, config.classes),
        "reliability_before": reliability_table(raw, config.classes),
        "reliability_after": reliability_table(calibrated, config.classes),
        "calibration_errors": calibration_errors(config).rename_axis("when").reset_index(),
        "coverage": coverage_table(calibrated, config.classes, thresholds=thresholds),
        "most_confident_errors": most_confident_errors(config, N_CLIPS),
    }


@style.in_style
def _figure(config: ConfigRuns, tables: dict, data: ReportData):
    n_strips = len(tables["most_confident_errors"]) if data.dataset is not None else 0
    strips = STRIP * max(n_strips, 0.6)
    fig = plt.figure(figsize=(13, 8.6 + strips), layout="constrained")
    panels, clips = fig.subfigures(2, 1, height_ratios=(8.6, strips))
    (pairs, sizes, sure), (reliable, covered, spare) = panels.subplots(2, 3)
    draw_pairs(pairs, tables["pairs"].head(8), int(tables["pairs"]["count"].sum()))
    named = draw_recall(sizes, tables["recall_by_size"], config.classes)
    draw_confidences(sure, tables["predictions"])
    draw_reliability(reliable, tables)
    draw_coverage(covered, tables["coverage"], abstain_threshold(config), config.unit)
    spare.axis("off")
    text = "\n\n".join(textwrap.fill(line, 40) for line in _summary(tables))
    spare.text(0, 0.95, text, transform=spare.transAxes, va="top", fontsize=10.5)
    _draw_clips(clips, tables["most_confident_errors"], data)
    wrong = (~tables["predictions"]["right"]).mean()
    note = [
        sample_of(config, "Lines, band and [ ]"),
        f"Points without a line: predictions in fewer than {LEAST_GROUPS} groups.",
        "Calibrated predictions of all seeds, pooled; with a class prior some differ from those as trained.",
    ]
    style.finish(
        fig, note=note,
        title=f"The selected {style.name_text(config.name)}, calibrated, is wrong on {percent(wrong)} of test "
        f"{config.unit}s",
        synthetic=data.results.synthetic, leaky=bool(config.leaks),
    )  # fmt: skip
    strokes = [(row.x, 100 * row.low, row.x, 100 * row.high) for row in named.itertuples()]
    label_points(sizes, named["x"], 100 * named["recall"], [style.name_text(name, 14) for name in named["class"]],
                 strokes=strokes)  # fmt: skip
    return fig


def draw_recall(ax, table: pd.DataFrame, classes) -> pd.DataFrame:
    """Draw recall of each class against its training clips; return the classes with their places `x`.

    Classes of about one size are moved a little apart.
    """
    rows = table.dropna(subset="recall").sort_values("n_train", kind="stable")
    least, places = 0.022 * max(table["n_train"].max(), 1), []
    for size in rows["n_train"]:
        places.append(max(size, places[-1] + least) if places else size)
    rows = rows.assign(x=places)
    for row in rows.to_dict("records"):
        colour, _, marker = style.emotion_mark(row["class"], classes)
        marks.draw_point(ax, row["x"], row, value="recall", colour=colour, marker=marker, markersize=9, vertical=True)
    ax.set(ylim=(-3, 112), xlabel="training clips of the class", ylabel="recall, %", title="Recall against class size")
    ax.set_xlim(0, 1.15 * max(table["n_train"].max(), 1))
    ax.grid(True)
    return rows


def draw_confidences(ax, predictions: pd.DataFrame) -> None:
    """Draw the confidences of correct and wrong predictions as histograms; `predictions` has confidence and right."""
    kinds = predictions["right"].map({True: "correct", False: "wrong"}).rename("prediction")
    rows = pd.DataFrame({"confidence": 100 * predictions["confidence"], "prediction": kinds})
    colours = {"correct": style.BLUE, "wrong": style.ORANGE}
    colours = {kind: colour for kind, colour in colours.items() if (kinds == kind).any()}
    sns.histplot(rows, x="confidence", hue="prediction", hue_order=list(colours), palette=colours, multiple="dodge",
                 shrink=0.9, bins=np.linspace(0, 100, N_BINS + 1), legend=False, ax=ax)  # fmt: skip
    for i, (kind, colour) in enumerate(colours.items()):
        own = rows[rows["prediction"] == kind]["confidence"]
        ax.text(0.02, 0.97 - 0.08 * i, f"{len(own):,} {kind}, median confidence {own.median():.0f} %",
                transform=ax.transAxes, color=colour, weight="bold", va="top", fontsize=9)  # fmt: skip
    ax.set(xlim=(0, 100), ylim=(0, 1.25 * ax.get_ylim()[1]), xlabel="confidence, %", ylabel="predictions")
    ax.set_title("Confidence of correct and wrong predictions")


def draw_reliability(ax, tables: dict) -> None:
    """Draw accuracy against confidence, raw and calibrated, with intervals; a calibrated model is on the diagonal."""
    ax.plot([0, 100], [0, 100], color="black", linewidth=0.9, linestyle=":")
    errors = tables["calibration_errors"].set_index("when")
    # The raw ones, hollow and thin, lie on top: with a temperature near 1 both have about the same places.
    looks = (("calibrated", "after", style.BLUE, "o", 3.5, 0.4), ("raw", "before", style.GREY, "s", 1, 1))
    for level, (name, when, colour, marker, width, alpha) in enumerate(looks):
        rows = tables[f"reliability_{when}"].query("n > 0")
        x, y = 100 * rows["confidence"], 100 * rows["accuracy"]
        ax.vlines(x, 100 * rows["low"], 100 * rows["high"], color=colour, linewidth=width, alpha=alpha)
        ax.scatter(x, y, 15 + 60 * rows["n"] / max(rows["n"].max(), 1), marker=marker, edgecolor=colour, linewidth=1.2,
                   facecolor=colour if when == "after" else "none", zorder=3 + level)  # fmt: skip
        mean, low, high = 100 * errors.loc[when, ["mean", "low", "high"]].astype(float)
        ax.text(0.03, 0.915 + 0.07 * level, f"{name}: ECE {mean:.1f} [{low:.1f}, {high:.1f}]", transform=ax.transAxes,
                va="top", fontsize=9, color=colour, weight="bold")  # fmt: skip
    ax.set(xlim=(0, 102), ylim=(-3, 126), yticks=range(0, 101, 20), xlabel="confidence, %", ylabel="accuracy, %")
    ax.set_title("Accuracy against confidence")
    ax.grid(True)


def draw_coverage(ax, table: pd.DataFrame, threshold: float, unit: str) -> None:
    """Draw accuracy against the share of clips that get a prediction, and the threshold in use, one of the table's."""
    rows = table[table["n"] > 0].drop_duplicates("coverage", keep="first")
    x = 100 * rows["coverage"]
    ax.fill_between(x, 100 * rows["low"], 100 * rows["high"], color=style.BLUE, alpha=0.2, linewidth=0)
    ax.plot(x, 100 * rows["accuracy"], color=style.BLUE, linewidth=2)
    used = table.set_index("threshold").loc[threshold]
    head = f"Threshold {100 * threshold:.0f} % confidence"
    ax.set_title(f"{head}: no {unit} gets a prediction")
    if used["n"]:
        covered, accuracy = 100 * used["coverage"], 100 * used["accuracy"]
        ax.plot(covered, accuracy, "o", color="black", markersize=8)
        every = 100 * rows.iloc[0]["accuracy"]
        text = f"{accuracy:.0f} % of these predictions are correct,\n{every:.0f} % without a threshold"
        ax.text(0.04, 0.05, text, transform=ax.transAxes, fontsize=9)
        ax.set_title(f"{head}: {covered:.0f} % of {unit}s get a prediction")
    ax.set(xlim=(0, 102), ylim=(0, 104), xlabel=f"{unit}s with a prediction, %", ylabel="accuracy, %")
    ax.grid(True)


def _summary(tables: dict) -> list[str]:
    """Say what the panels show, in a few lines."""
    predictions, errors = tables["predictions"], tables["calibration_errors"].set_index("when")["mean"]
    wrong = predictions[~predictions["right"]]
    sure = int((wrong["confidence"] >= 0.5).sum())
    return [
        f"{len(wrong):,} of {len(predictions):,} predictions are wrong.",
        *(f"Most often {style.name_text(top['true'], 14)} is predicted as {style.name_text(top['predicted'], 14)}: "
          f"{top['count']} times." for top in tables["pairs"].head(1).to_dict("records")),
        f"{sure:,} wrong predictions have a confidence of at least one half.",
        f"ECE {percent(errors['before'])} raw, {percent(errors['after'])} calibrated; see the intervals.",
    ]  # fmt: skip


def _draw_clips(fig, rows: pd.DataFrame, data: ReportData) -> None:
    """Draw the clips of the most confident errors, one row each."""
    if rows.empty or data.dataset is None:
        why = "The dataset of these runs was not found, so the most confident errors are not shown."
        why = "No clip is predicted wrongly." if rows.empty else why
        style.write_missing(fig.subplots(), why, 100)
        return
    wanted = set(rows["dataset_clip"])
    found = {clip.clip_id: clip for clip in data.dataset.clips(wanted.__contains__)}
    for row, axes in zip(rows.to_dict("records"), fig.subplots(len(rows), N_FRAMES, squeeze=False), strict=True):
        clip = found[row["dataset_clip"]]
        used = axes[: min(N_FRAMES, clip.n_frames)]
        # The whole figure is marked as synthetic.
        skeleton_strip(centred(clip.keypoints), synthetic=False, n=len(used), fps=clip.fps, axes=used)
        for ax in axes[len(used) :]:
            ax.remove()
        true, predicted = style.name_text(row["label"], 14), style.name_text(row["prediction"], 14)
        text = f"{true},\npredicted\n{predicted},\n{100 * row['confidence']:.0f} % confident"
        axes[0].set_ylabel(text, rotation=0, ha="right", va="center", labelpad=8)
    fig.suptitle("Most confident errors (mean over seeds); each frame is centred on its bodies", x=0.008, ha="left",
                 fontsize=11)  # fmt: skip


def centred(keypoints: np.ndarray) -> np.ndarray:
    """Return a copy, (T, M, 17, 3), with the bodies of each frame about the origin, so that a walking body is large."""
    moved = np.array(keypoints, dtype=np.float64)
    xy = moved[..., :2].reshape(len(moved), -1, 2)
    middle = (np.fmin.reduce(xy, axis=1) + np.fmax.reduce(xy, axis=1)) / 2
    moved[..., :2] -= np.nan_to_num(middle)[:, None, None]
    return moved
