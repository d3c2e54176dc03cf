"""Comparison plot: what correcting for rare classes not at all, once and twice does to the most frequent class."""

from dataclasses import replace

import pandas as pd

from poseemo_lib.analysis import factors
from poseemo_lib.analysis.predictions import predictions_table
from poseemo_lib.analysis.reliability import predicted_share
from poseemo_lib.analysis.results import Results
from poseemo_lib.plots.imbalance import regime_scores
from poseemo_lib.plots.scores import METRIC_NAMES
from poseemo_lib.plots.style import name_text
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn, not_run

TITLE = "Correcting for rare classes"
COMMAND = (
    "No study has one network under several corrections for rare classes; "
    "`poseemo study parameters/studies/imbalance.yaml` makes one."
)


def draw(material: ReportData) -> Drawn:
    """Draw scores of every regime and how often it answers the most frequent class.

    Parameters
    ----------
    material : ReportData

    Returns
    -------
    Drawn
        Data: scores, seeds, answered.
    """
    study, table = material.imbalance
    if table.empty:
        return not_run(TITLE, COMMAND)
    names = dict(zip(table["config"], _regimes(table), strict=True))
    own = replace(study, configs=[study[name] for name in names])
    largest = table.loc[table["true"].idxmax(), "class"]
    scores = own.score_table().assign(regime=lambda rows: rows["config"].map(names))
    scores = scores.set_index("metric").loc[list(METRIC_NAMES)[::-1]].reset_index()
    data = {
        "scores": scores[["regime", "config", "metric", "mean", "sd", "low", "high", "n_seeds"]],
        "seeds": own.seed_scores().assign(regime=lambda rows: rows["config"].map(names)),
        "predicted": _answered(own, names, largest),
    }
    doubled = [name for config, name in names.items() if _corrections(own[config]) > 1]
    title = _title(data["predicted"], doubled, largest)
    figure, _ = regime_scores(*data.values(), largest=largest, doubled=doubled, title=title, **own.sample)
    return Drawn(figure, _describe(data, largest), data)


def _regimes(table: pd.DataFrame) -> pd.Series:
    """Name each config's regime, with the config's name where two have one."""
    shared = table.groupby("regime")["config"].nunique()
    return table["regime"].where(table["regime"].map(shared) == 1, table["regime"] + " (" + table["config"] + ")")


def _corrections(config) -> int:
    values = factors.settings(config)
    return sum((values["sampler"] == "balanced", values["class_weights"] == "inverse",
                values["loss"] == "logit_adjustment"))  # fmt: skip


def _answered(study: Results, names: dict[str, str], largest: str) -> pd.DataFrame:
    """Share of a class among the answers and among the labels, for every seed; low and high are of the mean."""
    rows = []
    for config in study.configs:
        predictions = config.predictions("test")
        ends = predicted_share(predictions, config.classes, largest)[["low", "high"]]
        for seed, own in predictions_table(predictions, config.classes).groupby("seed"):
            shares = {"predicted": (own["prediction"] == largest).mean(), "true": (own["label"] == largest).mean()}
            rows.append({"regime": names[config.name], "config": config.name, "seed": seed} | shares | dict(ends))
    return pd.DataFrame(rows)


def _title(answered: pd.DataFrame, doubled: list[str], largest: str) -> str:
    means = answered.groupby("regime")[["predicted", "true"]].mean()
    name = name_text(largest)
    if not doubled:
        return f"{TITLE}: the most frequent class, {name}, is {100 * means['true'].max():.0f} % of what is tested"
    share = means.loc[doubled[0]]
    return (
        f"Corrected twice, {name} is the answer for {100 * share['predicted']:.0f} % where it is true for "
        f"{100 * share['true']:.0f} %"
    )


def _describe(data: dict[str, pd.DataFrame], largest: str) -> str:
    answered = data["predicted"].groupby("regime", sort=False)[["predicted", "low", "high", "true"]].mean()
    answered = answered.rename(columns={"predicted": "mean"})
    parts = []
    for regime, rows in data["scores"].groupby("regime", sort=False):
        each = ", ".join(f"{METRIC_NAMES[row['metric']]} {_interval(row)}" for _, row in rows.iterrows())
        parts.append(f"{regime}: {each}, {largest} answered for {_interval(answered.loc[regime])}")
    share = 100 * answered["true"].iloc[0]
    return f"Regimes against uneven classes; {largest} is true for {share:.0f} %. " + "; ".join(parts)


def _interval(row) -> str:
    return f"{100 * row['mean']:.1f} % ({100 * row['low']:.1f} to {100 * row['high']:.1f})"
