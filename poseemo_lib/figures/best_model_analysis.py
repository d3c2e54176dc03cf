"""Figure 03: the model that validation chose, in detail."""

import numpy as np
import pandas as pd

from poseemo_lib.alt_texts import describe_confusion
from poseemo_lib.cells import Cell
from poseemo_lib.figures.drawn import Drawn
from poseemo_lib.material import Material
from poseemo_lib.mistakes import confusion_pairs
from poseemo_lib.plots.best_model import best_model_analysis
from poseemo_lib.plots.style import count, name_text, sample_text
from poseemo_lib.reliability import calibration_errors

SHOWN = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro-F1"}


def draw(material: Material) -> Drawn:
    """Draw the best cell: confusion, scores of each class, answers beside truth, top confusions and key facts.

    Parameters
    ----------
    material : Material

    Returns
    -------
    Drawn
        Tables: confusion (counts, summed over seeds), per_class, answers, pairs, facts (numbers).
    """
    cell, facts = material.best, facts_of(material)
    scores = cell.scores
    pairs = confusion_pairs(scores.confusion, cell.classes)
    fig, _ = best_model_analysis(
        scores.confusion,
        scores.per_class,
        pairs,
        _written(facts, material),
        cell.classes,
        title=f"{name_text(cell.name)}, chosen by validation: {_headline(cell)}",
        sample=_sample(cell),
        synthetic=material.results.synthetic,
        leaky=bool(cell.leaks),
    )
    data = {
        "confusion": pd.DataFrame(scores.confusion, index=pd.Index(cell.classes, name="true"), columns=cell.classes),
        "per_class": scores.per_class,
        "answers": cell.answers,
        "pairs": pairs,
        "facts": facts,
    }
    return Drawn(fig, f"{_fact_text(cell, facts)} {describe_confusion(scores.confusion, cell.classes)}.", data)


def facts_of(material: Material) -> pd.DataFrame:
    """Collect the numbers that are written beside the best cell.

    Parameters
    ----------
    material : Material

    Returns
    -------
    DataFrame
        Index fact; value, and low and high where it has an interval. Unknown or not run: NaN.
    """
    cell = material.best
    scores = cell.scores.scores.set_index("metric")[["mean", "low", "high"]].rename(columns={"mean": "value"})
    ece = calibration_errors(cell)[["mean", "low", "high"]].rename(columns={"mean": "value"})
    majority = next((other for other in material.main.cells if other.is_majority), None)
    known = {
        **{f"majority_{name}": _mean_score(majority, name) for name in SHOWN},
        "chance": cell.chance,
        "parameters": np.nan if cell.n_parameters is None else cell.n_parameters,
        "seeds": len(cell.seeds),
        "clips": cell.scores.n_clips,
        "groups": cell.scores.n_groups,
        "validation_macro_f1": cell.validation_macro_f1,
    }
    tables = [scores.loc[[*SHOWN, "kappa"]], ece.add_prefix("ece_", axis=0), pd.DataFrame({"value": known})]
    return pd.concat(tables).rename_axis("fact")


def _mean_score(cell: Cell | None, metric: str) -> float:
    return np.nan if cell is None else cell.scores.scores.set_index("metric").loc[metric, "mean"]


def _written(facts: pd.DataFrame, material: Material) -> dict[str, str]:
    """Write the facts as names and values."""
    value = facts["value"]
    majority = [f"{100 * value[f'majority_{name}']:.1f} %" for name in ("accuracy", "macro_f1")]
    ran = np.isfinite(value["majority_accuracy"])
    cell = material.best
    return {
        **{name: _with_interval(facts.loc[metric], 100, " %") for metric, name in SHOWN.items()},
        "kappa": _with_interval(facts.loc["kappa"], 1, ""),
        "ECE, raw": _with_interval(facts.loc["ece_before"], 100, " %"),
        "ECE, calibrated": _with_interval(facts.loc["ece_after"], 100, " %"),
        "majority: accuracy": majority[0] if ran else "not run",
        "majority: macro-F1": majority[1] if ran else "not run",
        "chance, balanced acc.": f"{100 * value['chance']:.1f} %",
        "parameters": "none counted" if np.isnan(value["parameters"]) else f"{value['parameters']:,.0f}",
        "seeds": f"{value['seeds']:.0f}",
        f"test {cell.unit}s, groups": f"{value['clips']:,.0f}, {value['groups']:,.0f}",
        "chosen among": count(sum(other.is_network for other in material.main.cells), "network"),
    }


def _with_interval(row: pd.Series, factor: float, unit: str) -> str:
    digits = 1 if factor == 100 else 2
    mean, low, high = (f"{factor * row[name]:.{digits}f}" for name in ("value", "low", "high"))
    return f"{mean}{unit} [{low}, {high}]"


def _headline(cell: Cell) -> str:
    """Say how much is right, and which class is found best and which worst."""
    recall = cell.scores.per_class.query("metric == 'recall'").set_index("class")["mean"].dropna()
    best, worst = recall.idxmax(), recall.idxmin()
    right = f"{100 * _mean_score(cell, 'accuracy'):.1f} % of the answers are right"
    return (
        f"{right}; {name_text(best, 16)} is found best ({100 * recall[best]:.0f} %), "
        f"{name_text(worst, 16)} least ({100 * recall[worst]:.0f} %)"
    )


def _sample(cell: Cell) -> str:
    scores = cell.scores
    text = sample_text(scores.n_clips, scores.n_groups, [scores.n_seeds], unit=cell.unit,
                       resampled_by=scores.resampled_by, interval="Coloured lines and [ ]")  # fmt: skip
    return f"{text} Counts are summed over seeds: {int(scores.confusion.sum()):,} answers."


def _fact_text(cell: Cell, facts: pd.DataFrame) -> str:
    each = ", ".join(f"{name} {_with_interval(facts.loc[metric], 100, ' %')}" for metric, name in SHOWN.items())
    counted = f"{count(cell.scores.n_clips, cell.unit)}, {count(len(cell.seeds), 'seed')}"
    return f"The best cell by validation, {cell.name} ({counted}): {each}."
