"""Figure 08: what the chosen model gets wrong, and whether it knows."""

import matplotlib.pyplot as plt
import numpy as np

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.predictions import confusion_pairs, most_confident_errors, predictions_table, recall_by_size
from poseemo_lib.analysis.reliability import (
    LEAST_GROUPS,
    abstain_threshold,
    calibration_errors,
    coverage_table,
    reliability_table,
)
from poseemo_lib.plots import skeleton_strip, style
from poseemo_lib.plots.best_model import draw_pairs
from poseemo_lib.plots.calibration import (
    confidence_of_answers,
    coverage_curve,
    label_classes,
    recall_against_size,
    reliability_diagram,
)
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn

N_CLIPS, N_FRAMES = 3, 9


def draw(material: ReportData) -> Drawn:
    """Draw error pairs, class size against recall, confidences, calibration, coverage, and the surest mistakes.

    Parameters
    ----------
    material : ReportData

    Returns
    -------
    Drawn
        Tables: pairs, recall_by_size, answers (every answer of every seed), reliability_before, reliability_after,
        calibration_errors, coverage, most_confident_errors.
    """
    config = material.best
    data = tables_of(config)
    fig = _figure(config, data, material)
    return Drawn(fig, _text(config, data), data)


def tables_of(config: ConfigRuns) -> dict:
    """Make the tables that the figure draws, by name."""
    thresholds = np.append(np.linspace(0, 1, 101), abstain_threshold(config))
    raw, calibrated = config.predictions("test"), config.calibrated("test")
    return {
        "pairs": confusion_pairs(config.scores.confusion, config.classes),
        "recall_by_size": recall_by_size(config),
        "answers": predictions_table(calibrated, config.classes),
        "reliability_before": reliability_table(raw, config.classes),
        "reliability_after": reliability_table(calibrated, config.classes),
        "calibration_errors": calibration_errors(config).rename_axis("when").reset_index(),
        "coverage": coverage_table(calibrated, config.classes, thresholds=thresholds),
        "most_confident_errors": most_confident_errors(config, N_CLIPS),
    }


@style.in_style
def _figure(config: ConfigRuns, data: dict, material: ReportData):
    strips = 2.1 * max(len(data["most_confident_errors"]) if material.dataset is not None else 0, 0.6)
    fig = plt.figure(figsize=(13, 8.4 + strips), layout="constrained")
    panels, clips = fig.subfigures(2, 1, height_ratios=(8.4, strips))
    (pairs, sizes, sure), (reliable, covered, spare) = panels.subplots(2, 3)
    draw_pairs(pairs, data["pairs"].head(8), int(data["pairs"]["count"].sum()))
    recall_against_size(data["recall_by_size"], config.classes, ax=sizes)
    confidence_of_answers(data["answers"]["confidence"], data["answers"]["right"], ax=sure)
    errors = data["calibration_errors"].set_index("when")
    reliability_diagram(data["reliability_before"], data["reliability_after"], errors, ax=reliable)
    coverage_curve(data["coverage"], abstain_threshold(config), config.unit, ax=covered)
    _write_summary(spare, config, data)
    _draw_clips(clips, data["most_confident_errors"], material)
    style.title_figure(fig, f"Errors of {style.name_text(config.name)}, chosen by validation")
    scores = config.scores
    sample = style.sample_text(scores.n_clips, scores.n_groups, [scores.n_seeds], unit=config.unit,
                               resampled_by=scores.resampled_by, interval="Lines, band and [ ]")  # fmt: skip
    bare = f"Points without a line: answers in fewer than {LEAST_GROUPS} groups."
    style.note_sample(fig, f"{sample} {bare} Answers of all seeds are pooled; the temperature is fitted on validation.")
    style.note_data(fig, material.results.synthetic, bool(config.leaks))
    label_classes(sizes, data["recall_by_size"])
    return fig


def _write_summary(ax, config: ConfigRuns, data: dict) -> None:
    """Write what the panels say, in a few lines."""
    ax.axis("off")
    ax.text(0, 0.95, "\n\n".join(_summary(config, data)), transform=ax.transAxes, va="top", fontsize=10.5)


def _summary(config: ConfigRuns, data: dict) -> list[str]:
    answers, errors = data["answers"], data["calibration_errors"].set_index("when")["mean"]
    wrong = answers[~answers["right"]]
    lines = [f"{len(wrong):,} of {len(answers):,} answers are wrong."]
    if len(data["pairs"]):
        top = data["pairs"].iloc[0]
        true, predicted = (style.name_text(top[key], 14) for key in ("true", "predicted"))
        lines.append(f"Most often {true} is taken for {predicted}:\n{top['count']} times.")
    sure = int((wrong["confidence"] >= 0.5).sum())
    lines.append(f"{sure:,} of the wrong ones are at least half sure.")
    before, after = 100 * errors["before"], 100 * errors["after"]
    lines.append(f"ECE {before:.1f} % as trained, {after:.1f} % calibrated:\nread it with the intervals.")
    return lines


def _draw_clips(fig, rows, material: ReportData) -> None:
    """Draw the clips that the model is surest of and wrong about, one row each."""
    if rows.empty or material.dataset is None:
        why = "No clip is answered wrongly." if rows.empty else "The dataset of these runs was not found."
        style.write_not_run(fig.subplots(), why)
        return
    wanted = set(rows["dataset_clip"])
    found = {clip.clip_id: clip for clip in material.dataset.clips(wanted.__contains__)}
    for row, axes in zip(rows.to_dict("records"), fig.subplots(len(rows), N_FRAMES, squeeze=False), strict=True):
        clip = found[row["dataset_clip"]]
        used = axes[: min(N_FRAMES, clip.n_frames)]
        # Marked as synthetic as a whole.
        skeleton_strip(centred(clip.keypoints), synthetic=False, n=len(used), fps=clip.fps, axes=used)
        for ax in axes[len(used) :]:
            ax.remove()
        true, answer = style.name_text(row["label"], 14), style.name_text(row["prediction"], 14)
        text = f"{true},\ntaken for\n{answer},\n{100 * row['confidence']:.0f} % sure"
        axes[0].set_ylabel(text, rotation=0, ha="right", va="center", labelpad=8)
    fig.suptitle(
        "Surest and wrong, by the mean over seeds; each frame is centred on its bodies", x=0.008, ha="left", fontsize=11
    )


def centred(keypoints: np.ndarray) -> np.ndarray:
    """Move each frame so that what was seen in it lies about the origin: who walks far stays large enough to see.

    Parameters
    ----------
    keypoints : array (T, M, 17, 3)
        x, y and confidence; missing: NaN.

    Returns
    -------
    array (T, M, 17, 3), float64
        A copy. A frame in which nothing was seen stays as it is.
    """
    moved = np.array(keypoints, dtype=np.float64)
    xy = moved[..., :2].reshape(len(moved), -1, 2)
    middle = (np.fmin.reduce(xy, axis=1) + np.fmax.reduce(xy, axis=1)) / 2
    moved[..., :2] -= np.nan_to_num(middle)[:, None, None]
    return moved


def _text(config: ConfigRuns, data: dict) -> str:
    clips = "; ".join(
        f"{row['clip_id'].removeprefix('/')}: {row['label']} taken for {row['prediction']}, {100 * row['confidence']:.0f} %"
        for row in data["most_confident_errors"].to_dict("records")
    )
    lines = " ".join(line.replace("\n", " ") for line in _summary(config, data))
    used = coverage_table(config.calibrated("test"), config.classes, thresholds=[abstain_threshold(config)]).iloc[0]
    return f"Errors of {config.name}. {lines} {100 * used['coverage']:.0f} % get an answer. Surest and wrong: {clips}"
