"""Comparison plot: everything about the plain deep_residual."""

from pathlib import Path

import pandas as pd

from poseemo_lib.alt_texts import describe_confusion
from poseemo_lib.cells import Cell
from poseemo_lib.figures.deep_residual_variations import COMMAND
from poseemo_lib.figures.drawn import Drawn, not_run
from poseemo_lib.material import Material
from poseemo_lib.plots.network import network_details
from poseemo_lib.plots.scores import METRIC_NAMES
from poseemo_lib.plots.style import count, name_text
from poseemo_lib.results import SHOWN_METRICS, Results
from poseemo_lib.variations import Variations, find_variations

TITLE = "deep_residual in detail"


def draw(material: Material) -> Drawn:
    """Draw scores, recall of every class, learning curves and confusions of the plain deep_residual.

    Parameters
    ----------
    material : Material

    Returns
    -------
    Drawn
        Data: scores, seeds, recall, confusion, history.
    """
    found = find_variations(material)
    if found is None:
        return not_run(TITLE, COMMAND)
    cell = found.plain.cell
    facts = Results(Path(), [cell], []).facts
    data = _tables(cell)
    histories = [(run.history(), run.record.get("best_epoch")) for run in _counting(cell)]
    histories = [(history, epoch) for history, epoch in histories if len(history)]
    panels = (data["scores"], data["seeds"], data["recall"], cell.scores.confusion, cell.classes, histories)
    figure, _ = network_details(*panels, title=_title(found), note=_note(found), **facts)
    return Drawn(figure, _describe(cell, data["scores"]), data)


def _counting(cell: Cell) -> list:
    return [run for run in cell.runs if run.seed in cell.seeds]


def _tables(cell: Cell) -> dict[str, pd.DataFrame]:
    scores, per_class = cell.scores.scores, cell.scores.per_class
    recall = per_class[per_class["metric"] == "recall"].rename(columns={"mean": "recall"})
    names = pd.Index(cell.classes, name="true")
    histories = [run.history().assign(seed=run.seed, fold=run.fold) for run in _counting(cell)]
    return {
        "scores": scores[scores["metric"].isin(SHOWN_METRICS)].reset_index(drop=True),
        "seeds": Results(Path(), [cell], []).seed_scores(),
        "recall": recall[["class", "recall", "low", "high", "support"]].reset_index(drop=True),
        "confusion": pd.DataFrame(cell.scores.confusion, index=names, columns=list(cell.classes)).reset_index(),
        "history": pd.concat(histories, ignore_index=True),
    }


def _title(found: Variations) -> str:
    """Say which cell it is."""
    cell = found.plain.cell
    return f"{TITLE}: cell {name_text(cell.name)} of {name_text(found.plain.study)}, {cell.n_parameters:,} parameters"


def _note(found: Variations) -> str:
    again = [name_text(f"{row.study}/{row.cell.name}") for row in found.rows[1:] if not row.changes]
    texts = [f"Not at its default: {', '.join(map(name_text, found.changes))}."] if found.changes else []
    return " ".join([*texts, f"The same setting again, not drawn: {', '.join(again)}."] if again else texts)


def _describe(cell: Cell, scores: pd.DataFrame) -> str:
    each = ", ".join(
        f"{METRIC_NAMES[row['metric']]} {100 * row['mean']:.1f} % ({100 * row['low']:.1f} to {100 * row['high']:.1f})"
        for _, row in scores.iterrows()
    )
    text = f"deep_residual, cell {cell.name}, {count(len(cell.seeds), 'seed')}: {each}. "
    return text + describe_confusion(cell.scores.confusion, cell.classes)
