"""Comparison plot: everything about the plain deep_residual."""

from pathlib import Path

import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.results import SHOWN_METRICS, Results
from poseemo_lib.analysis.variations import Variations, find_variations
from poseemo_lib.plots.network import network_details
from poseemo_lib.plots.scores import METRIC_NAMES
from poseemo_lib.plots.style import count, name_text
from poseemo_lib.report.alt_texts import describe_confusion
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.deep_residual_variations import COMMAND
from poseemo_lib.report.figures.drawn import Drawn, not_run

TITLE = "deep_residual in detail"


def draw(material: ReportData) -> Drawn:
    """Draw scores, recall of every class, learning curves and confusions of the plain deep_residual.

    Parameters
    ----------
    material : ReportData

    Returns
    -------
    Drawn
        Data: scores, seeds, recall, confusion, history.
    """
    found = find_variations(material.studies, material.best)
    if found is None:
        return not_run(TITLE, COMMAND)
    config = found.plain.config
    facts = Results(Path(), [config], []).sample
    data = _tables(config)
    histories = [(run.history(), run.record.get("best_epoch")) for run in _counting(config)]
    histories = [(history, epoch) for history, epoch in histories if len(history)]
    panels = (data["scores"], data["seeds"], data["recall"], config.scores.confusion, config.classes, histories)
    figure, _ = network_details(*panels, title=_title(found), note=_note(found), **facts)
    return Drawn(figure, _describe(config, data["scores"]), data)


def _counting(config: ConfigRuns) -> list:
    return [run for run in config.runs if run.seed in config.seeds]


def _tables(config: ConfigRuns) -> dict[str, pd.DataFrame]:
    scores, per_class = config.scores.scores, config.scores.per_class
    recall = per_class[per_class["metric"] == "recall"].rename(columns={"mean": "recall"})
    names = pd.Index(config.classes, name="true")
    histories = [run.history().assign(seed=run.seed, fold=run.fold) for run in _counting(config)]
    return {
        "scores": scores[scores["metric"].isin(SHOWN_METRICS)].reset_index(drop=True),
        "seeds": Results(Path(), [config], []).seed_scores(),
        "recall": recall[["class", "recall", "low", "high", "support"]].reset_index(drop=True),
        "confusion": pd.DataFrame(config.scores.confusion, index=names, columns=list(config.classes)).reset_index(),
        "history": pd.concat(histories, ignore_index=True),
    }


def _title(found: Variations) -> str:
    """Say which config it is."""
    config = found.plain.config
    return f"{TITLE}: config {name_text(config.name)} of {name_text(found.plain.study)}, {config.n_parameters:,} parameters"


def _note(found: Variations) -> str:
    again = [name_text(f"{row.study}/{row.config.name}") for row in found.rows[1:] if not row.changes]
    texts = [f"Not at its default: {', '.join(map(name_text, found.changes))}."] if found.changes else []
    return " ".join([*texts, f"The same setting again, not drawn: {', '.join(again)}."] if again else texts)


def _describe(config: ConfigRuns, scores: pd.DataFrame) -> str:
    each = ", ".join(
        f"{METRIC_NAMES[row['metric']]} {100 * row['mean']:.1f} % ({100 * row['low']:.1f} to {100 * row['high']:.1f})"
        for _, row in scores.iterrows()
    )
    text = f"deep_residual, config {config.name}, {count(len(config.seeds), 'seed')}: {each}. "
    return text + describe_confusion(config.scores.confusion, config.classes)
