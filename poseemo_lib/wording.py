"""Sentences of the report, made from runs: every number in them is computed here from what the runs left behind.

Names that come from data are escaped, since the sentences end up in Markdown and HTML.
"""

import html
from collections import Counter

import numpy as np
import pandas as pd

from poseemo_lib.results import Cell, Results

PERCENT = "{:.1f} %"


def _percent(share: float) -> str:
    return PERCENT.format(100 * share)


def _score(cell: Cell, metric: str) -> pd.Series:
    return cell.scores.scores.set_index("metric").loc[metric]


def _with_interval(cell: Cell, metric: str) -> str:
    score = _score(cell, metric)
    return f"{_percent(score['mean'])} [{100 * score['low']:.1f}, {100 * score['high']:.1f}]"


def _majority(results: Results) -> Cell | None:
    return next((cell for cell in results.cells if cell.architecture == "majority"), None)


def opening(results: Results) -> str:
    """Answer first: the best network by validation, its scores with intervals, and what they are to be held against."""
    best = results.best()
    lines = []
    if results.synthetic:
        lines.append(
            '<div class="warning"><b>Synthetic data.</b> The clips are drawn, not filmed. They show that the system '
            "works; they say nothing about people.</div>"
        )
    if results.leaks:
        found = ", ".join(f"{count} {html.escape(kind)}" for kind, count in results.leaks.items())
        lines.append(
            '<div class="warning"><b>Leaky split.</b> These runs were allowed to train on a split with leaks '
            f"({found}). The scores are too high and no estimate of anything.</div>"
        )
    if results.incomplete:
        names = ", ".join(html.escape(name) for name in results.incomplete[:10])
        more = f" and {len(results.incomplete) - 10} more" if len(results.incomplete) > 10 else ""
        lines.append(f"**Not run, or not complete**, and left out: {names}{more}.")
    lines.append(
        f"**{html.escape(best.name)}**, chosen {_among(results)}, reaches a balanced accuracy of "
        f"**{_with_interval(best, 'balanced_accuracy')}** on the test part "
        f"(chance {_percent(results.chance)}), an accuracy of {_with_interval(best, 'accuracy')} and a macro-F1 of "
        f"{_with_interval(best, 'macro_f1')}: means over {len(best.seeds)} seeds with 95 % intervals resampled by "
        f"{best.scores.resampled_by} ({_counted(best)})."
    )
    lines.append(against_baselines(results))
    return "\n\n".join(lines)


def _among(results: Results) -> str:
    networks = sum(not cell.is_baseline for cell in results.cells)
    if not networks:
        return f"by validation among {len(results.cells)} baselines (there is no network in this study)"
    return f"by validation among {networks} networks" if networks > 1 else "as the only network"


def _counted(cell: Cell) -> str:
    unit = "recordings" if cell.runs[0].record["parameters"]["score_by"] == "source" else "clips"
    return f"{cell.scores.n_clips} {unit} in {cell.scores.n_groups} groups"


def against_baselines(results: Results) -> str:
    """Hold the best network against chance and against the baselines, claiming no more than the intervals carry."""
    best, majority = results.best(), _majority(results)
    score = _score(best, "balanced_accuracy")
    if score["low"] > results.chance:
        text = "Its balanced accuracy is above chance: the interval lies above it."
    elif score["high"] < results.chance:
        text = "Its balanced accuracy is below chance: the interval lies below it."
    else:
        text = "Its balanced accuracy cannot be told from chance: the interval contains it."
    if majority is None:
        text += " The majority baseline was not run."
    else:
        text += (
            f" Always answering the largest class gets an accuracy of {_percent(_score(majority, 'accuracy')['mean'])} "
            f"and a macro-F1 of {_percent(_score(majority, 'macro_f1')['mean'])}."
        )
    others = [cell for cell in results.cells if cell.is_baseline and cell is not majority]
    if others and not best.is_baseline:
        strongest = max(others, key=lambda cell: _score(cell, "balanced_accuracy")["mean"])
        ahead = "above" if score["mean"] > _score(strongest, "balanced_accuracy")["mean"] else "not above"
        text += (
            f" The strongest baseline, {html.escape(strongest.name)}, has a balanced accuracy of "
            f"{_with_interval(strongest, 'balanced_accuracy')}; the network's mean is {ahead} it. "
            "Overlapping intervals rank nothing."
        )
    return text


def describe_scores(table: pd.DataFrame) -> str:
    """Text for the picture of all scores."""
    rows = table[table["metric"] == "balanced_accuracy"]
    parts = [f"{row.cell} {100 * row.mean:.1f} % ({100 * row.low:.1f} to {100 * row.high:.1f})" for row in _rows(rows)]
    return "Balanced accuracy with 95 % interval: " + "; ".join(parts)


def _rows(table: pd.DataFrame):
    # itertuples would hide the column `mean` behind nothing, but a namedtuple keeps the access short.
    return table[["cell", "mean", "low", "high"]].itertuples(index=False)


def describe_confusion(confusion: np.ndarray, classes: tuple[str, ...]) -> str:
    """Text for a confusion matrix: recall of every class, and the most frequent confusion."""
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    recalls = ", ".join(f"{name} {100 * shares[i, i]:.0f} %" for i, name in enumerate(classes))
    off = np.where(np.eye(len(classes), dtype=bool), -1, shares)
    row, column = np.unravel_index(off.argmax(), off.shape)
    worst = f"most often confused: {classes[row]} taken for {classes[column]} ({100 * shares[row, column]:.0f} %)"
    return f"Confusion matrix. Recall: {recalls}; {worst}"


def describe_curves(histories: dict[int, pd.DataFrame], chosen: dict[int, int]) -> str:
    """Text for learning curves: the chosen epoch and its validation macro-F1 for every seed."""
    parts = []
    for seed, history in histories.items():
        value = history.set_index("epoch").loc[chosen[seed], "val_macro_f1"]
        parts.append(f"seed {seed}: epoch {chosen[seed]} of {len(history)}, validation macro-F1 {value:.3f}")
    return "Learning curves. " + "; ".join(parts)


def describe_clips(record: dict) -> str:
    """Text for the picture of the split."""
    return "Clips of every class: " + ", ".join(f"{part} {count}" for part, count in record["clips"].items())


def caution(results: Results) -> str:
    """Say what makes the intervals of this study weak, where something does."""
    scores = results.best().scores
    lines = [
        "The intervals cover the choice of test groups, not that of seeds (their spread is the ±), nor other data."
    ]
    if any(run.fold for run in results.runs):
        lines.append(
            "Every group is tested in one fold and trains or validates in the others, so a choice between networks by "
            "validation has seen all groups; only within a fold has the test part no say."
        )
    if (counts := _clips_of(results)) and len(set(counts.values())) > 1:
        lines.append(f"Not all cells were tested on the same clips ({_listed(counts)}); compare only those that were.")
    if scores.n_groups < 10:
        lines.append(f"With {scores.n_groups} groups they are rough and probably too short.")
    if scores.resampled_by == "clip":
        lines.append("There is one group only, so they are resampled by clip and too short.")
    if scores.n_seeds < 3:
        lines.append(f"{scores.n_seeds} seed{'s' * (scores.n_seeds > 1)} tell little about the spread over seeds.")
    return " ".join(lines)


def _clips_of(results: Results) -> dict[str, int]:
    return {cell.name: cell.scores.n_clips for cell in results.cells}


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{html.escape(name)} {count}" for name, count in counts.items())


def limits(results: Results) -> str:
    """Say what the method cannot do, and where its use is unlawful."""
    lines = [
        "- A posture is not a feeling. The labels say what annotators saw in acted or broadcast scenes, and reading "
        "emotion from posture is uncertain and bound to culture.",
        "- The scores hold for clips like these. Other cameras, other people and other pose estimators lower them.",
        "- Do not use it to judge a person. In the European Union inferring emotions at work or in education is "
        "prohibited (AI Act, Article 5(1)(f)), with narrow exceptions for medical and safety reasons.",
    ]
    if results.synthetic:
        lines.insert(0, "- The data are synthetic: nothing here is evidence about people.")
    return "\n".join(lines)


def provenance(results: Results) -> dict[str, str]:
    """Collect what made the runs: dataset, versions, devices, time."""
    records = [run.record for run in results.runs]

    def every(*keys) -> str:
        values = Counter()
        for record in records:
            value = record
            for key in keys:
                value = value[key]
            values[str(value)] += 1
        return ", ".join(html.escape(value) for value in sorted(values)) or "unknown"

    return {
        "runs": f"{len(records)} complete, {len(results.incomplete)} not",
        "dataset": every("dataset", "name"),
        "dataset content hash": every("dataset", "content_hash"),
        "split": every("parameters", "split"),
        "poseemo": every("poseemo_version"),
        "commit": every("commit"),
        "torch": every("torch_version"),
        "device": every("device"),
        "time of all runs": f"{sum(record['seconds'] for record in records) / 60:.1f} minutes",
        "first and last": f"{min(r['started'] for r in records)} to {max(r['finished'] for r in records)}",
    }
