"""Figure 03: the model that validation chose, in detail."""

import numpy as np
import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.predictions import confusion_pairs
from poseemo_lib.analysis.reliability import calibration_errors
from poseemo_lib.plots.best_model import best_model_analysis
from poseemo_lib.plots.style import count, name_text, sample_text
from poseemo_lib.report.alt_texts import describe_confusion
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn

SHOWN = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro-F1"}


def draw(material: ReportData) -> Drawn:
    """Draw the best config: confusion, scores of each class, answers beside truth, top confusions and key facts.

    Parameters
    ----------
    material : ReportData

    Returns
    -------
    Drawn
        Tables: confusion (counts, summed over seeds), per_class, answers, pairs, facts (numbers).
    """
    config, facts = material.best, facts_of(material)
    scores = config.scores
    pairs = confusion_pairs(scores.confusion, config.classes)
    fig, _ = best_model_analysis(
        scores.confusion,
        scores.per_class,
        pairs,
        _written(facts, material),
        config.classes,
        title=f"{name_text(config.name)}, chosen by validation: {_headline(config)}",
        sample=_sample(config),
        synthetic=material.results.synthetic,
        leaky=bool(config.leaks),
    )
    data = {
        "confusion": pd.DataFrame(
            scores.confusion, index=pd.Index(config.classes, name="true"), columns=config.classes
        ),
        "per_class": scores.per_class,
        "answers": config.predicted_shares,
        "pairs": pairs,
        "facts": facts,
    }
    return Drawn(fig, f"{_fact_text(config, facts)} {describe_confusion(scores.confusion, config.classes)}.", data)


def facts_of(material: ReportData) -> pd.DataFrame:
    """Collect the numbers that are written beside the best config.

    Parameters
    ----------
    material : ReportData

    Returns
    -------
    DataFrame
        Index fact; value, and low and high where it has an interval. Unknown or not run: NaN.
    """
    config = material.best
    scores = config.scores.scores.set_index("metric")[["mean", "low", "high"]].rename(columns={"mean": "value"})
    ece = calibration_errors(config)[["mean", "low", "high"]].rename(columns={"mean": "value"})
    majority = next((other for other in material.main.configs if other.is_majority), None)
    known = {
        **{f"majority_{name}": _mean_score(majority, name) for name in SHOWN},
        "chance": config.chance,
        "parameters": np.nan if config.n_parameters is None else config.n_parameters,
        "seeds": len(config.seeds),
        "clips": config.scores.n_clips,
        "groups": config.scores.n_groups,
        "validation_macro_f1": config.validation_macro_f1,
    }
    tables = [scores.loc[[*SHOWN, "kappa"]], ece.add_prefix("ece_", axis=0), pd.DataFrame({"value": known})]
    return pd.concat(tables).rename_axis("fact")


def _mean_score(config: ConfigRuns | None, metric: str) -> float:
    return np.nan if config is None else config.scores.scores.set_index("metric").loc[metric, "mean"]


def _written(facts: pd.DataFrame, material: ReportData) -> dict[str, str]:
    """Write the facts as names and values."""
    value = facts["value"]
    majority = [f"{100 * value[f'majority_{name}']:.1f} %" for name in ("accuracy", "macro_f1")]
    ran = np.isfinite(value["majority_accuracy"])
    config = material.best
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
        f"test {config.unit}s, groups": f"{value['clips']:,.0f}, {value['groups']:,.0f}",
        "chosen among": count(sum(other.is_network for other in material.main.configs), "network"),
    }


def _with_interval(row: pd.Series, factor: float, unit: str) -> str:
    digits = 1 if factor == 100 else 2
    mean, low, high = (f"{factor * row[name]:.{digits}f}" for name in ("value", "low", "high"))
    return f"{mean}{unit} [{low}, {high}]"


def _headline(config: ConfigRuns) -> str:
    """Say how much is right, and which class is found best and which worst."""
    recall = config.scores.per_class.query("metric == 'recall'").set_index("class")["mean"].dropna()
    best, worst = recall.idxmax(), recall.idxmin()
    right = f"{100 * _mean_score(config, 'accuracy'):.1f} % of the answers are right"
    return (
        f"{right}; {name_text(best, 16)} is found best ({100 * recall[best]:.0f} %), "
        f"{name_text(worst, 16)} least ({100 * recall[worst]:.0f} %)"
    )


def _sample(config: ConfigRuns) -> str:
    scores = config.scores
    text = sample_text(scores.n_clips, scores.n_groups, [scores.n_seeds], unit=config.unit,
                       resampled_by=scores.resampled_by, interval="Coloured lines and [ ]")  # fmt: skip
    return f"{text} Counts are summed over seeds: {int(scores.confusion.sum()):,} answers."


def _fact_text(config: ConfigRuns, facts: pd.DataFrame) -> str:
    each = ", ".join(f"{name} {_with_interval(facts.loc[metric], 100, ' %')}" for metric, name in SHOWN.items())
    counted = f"{count(config.scores.n_clips, config.unit)}, {count(len(config.seeds), 'seed')}"
    return f"The best config by validation, {config.name} ({counted}): {each}."
