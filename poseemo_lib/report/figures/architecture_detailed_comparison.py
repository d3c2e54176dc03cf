"""Comparison plot: every number of every config in one table."""

import numpy as np
import pandas as pd
from matplotlib.ticker import EngFormatter

from poseemo_lib.analysis.configs import ENSEMBLE, ConfigRuns
from poseemo_lib.plots.comparison import Columns, detail_table
from poseemo_lib.plots.style import name_text, sample_text
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn
from poseemo_lib.training.metrics import RECALL_THRESHOLD

SHARES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced\naccuracy",
    "macro_f1": "macro-F1",
    "top_2_accuracy": "top 2",
}
AGREEMENT = {"kappa": "kappa", "mcc": "MCC"}
ECE = {"ece": "raw", "ece_calibrated": "calibrated"}
COST = {
    "n_parameters": "parameters",
    "multiply_adds": "multiply-\nadds",
    "seconds": "training,\nseconds",
    "best_epoch": "epoch\nchosen",
}
FOUND, RECALL = "classes_above_5_percent", "recall "
OF_RUNS = ("seconds", "best_epoch")


def draw(material: ReportData) -> Drawn:
    """Draw scores, calibration, recall of every class and cost of every config, and the configs that were not run.

    Parameters
    ----------
    material : ReportData

    Returns
    -------
    Drawn
        Data: details.
    """
    table, results = details(material), material.results
    title = _title(table, material)
    figure, _ = detail_table(
        table, _groups(table, material.classes), not_run=results.not_run, title=title, sample=_sample(table, material),
        synthetic=results.synthetic, leaky=bool(results.leaks),
    )  # fmt: skip
    return Drawn(figure, _describe(table, title, results.not_run), {"details": table.reset_index()})


def details(material: ReportData) -> pd.DataFrame:
    """Collect the numbers of every config of the study.

    Parameters
    ----------
    material : ReportData

    Returns
    -------
    DataFrame
        Index config; is_baseline, is_chosen, is_apart (tested on other clips than the chosen one), n_seeds; means over
        seeds of scores (shares), of `classes_above_5_percent` and of the recall of every class, with the ends of their
        95 % intervals in `_low` and `_high`; n_parameters, multiply_adds (of one window); the means over runs of
        seconds and best_epoch, with the least and the most of a run in `_low` and `_high`. Best macro-F1 first, those
        that are apart last.
    """
    same = {config.name for config in material.main.configs}
    rows = [
        {
            "config": config.name,
            "is_baseline": config.is_baseline,
            "is_chosen": config.name == material.best.name,
            "is_apart": config.name not in same,
            **_scores(config),
            **_cost(config),
        }
        for config in material.results.configs
    ]
    table = pd.DataFrame(rows).set_index("config")
    return table.sort_values(["is_apart", "macro_f1"], ascending=[True, False], kind="stable")


def _scores(config: ConfigRuns) -> dict:
    scores = config.scores.scores.set_index("metric")
    recall = config.scores.per_class.query("metric == 'recall'").set_index("class")
    rows = {name: scores.loc[name] for name in (*SHARES, *AGREEMENT, "ece", FOUND)}
    rows |= {"ece_calibrated": _calibrated_ece(config)} | {RECALL + name: recall.loc[name] for name in config.classes}
    values = {name: row["mean"] for name, row in rows.items()}
    ends = {f"{name}_{end}": row[end] for name, row in rows.items() for end in ("low", "high")}
    return {"n_seeds": config.scores.n_seeds} | values | ends


def _calibrated_ece(config: ConfigRuns) -> pd.Series:
    # A temperature belongs to one run, and an ensemble is made of several.
    if config.architecture == ENSEMBLE:
        return pd.Series(np.nan, ["mean", "low", "high"])
    return config.calibrated_scores.scores.set_index("metric").loc["ece"]


def _cost(config: ConfigRuns) -> dict[str, float]:
    own = [] if config.architecture == ENSEMBLE else [run.record for run in config.runs if run.seed in config.seeds]
    sizes = {"n_parameters": _number(config.n_parameters), "multiply_adds": _number(config.multiply_adds)}
    return sizes | {key: value for name in OF_RUNS for key, value in _span(name, own).items()}


def _span(name: str, records: list[dict]) -> dict[str, float]:
    """Mean of a number over runs, and the least and the most of them where there are several."""
    known = [record[name] for record in records if record.get(name) is not None] or [np.nan]
    ends = (min(known), max(known)) if len(known) > 1 else (np.nan, np.nan)
    return {name: float(np.mean(known)), f"{name}_low": float(ends[0]), f"{name}_high": float(ends[1])}


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _groups(table: pd.DataFrame, classes: tuple[str, ...]) -> list[Columns]:
    worst = float(np.nanmax([*np.ravel(table[[*ECE]]), 0]))
    recalls = {RECALL + name: name_text(name, 16) for name in classes}
    found = {FOUND: f"recall\n> {100 * RECALL_THRESHOLD:.0f} %"}
    return [
        Columns("scores, %", SHARES, "Blues", _percent, 1),
        Columns("agreement beyond chance", AGREEMENT, "Blues", "{:.2f}".format, 1),
        Columns("calibration error (ECE), %", ECE, "Oranges", _percent, worst),
        Columns("classes found", found, "Greens", "{:.3g}".format, len(classes)),
        Columns("recall of each class, %", recalls, "Greens", lambda value: f"{100 * value:.0f}", 1),
        Columns("cost and training", COST, "Greys", _short, None),
    ]


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _short(value: float) -> str:
    if value >= 1000:
        return EngFormatter(places=1, sep=" ")(value)
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}".removesuffix(".0")


def _title(table: pd.DataFrame, material: ReportData) -> str:
    row, name = table.loc[material.best.name], name_text(material.best.name)
    found = f"{row[FOUND]:.3g} of {len(material.classes)} classes are found"
    if row["is_baseline"]:
        return f"{name}: macro-F1 {100 * row['macro_f1']:.1f} %, {found}; no network was run"
    return f"{name}, chosen by validation: macro-F1 {100 * row['macro_f1']:.1f} %, {found}"


def _sample(table: pd.DataFrame, material: ReportData) -> str:
    scores = material.best.scores
    text = sample_text(
        scores.n_clips, scores.n_groups, table["n_seeds"], unit=material.best.unit, resampled_by=scores.resampled_by,
        interval="Small numbers",
    )  # fmt: skip
    more = (
        " Those of seconds and epoch: the least and the most of a run. Resampling raises the ECE, so that its interval "
        "may lie above it. Values are means over seeds; parameters and multiply-adds (of one window) are counted. "
        "Bold: chosen by validation; grey italics: baselines. Colours: ECE up to the largest here; cost and training "
        "on a log scale, each column by itself."
    )
    leaky = [name_text(config.name) for config in material.results.configs if config.leaks]
    more += " †: tested on other clips, not comparable." if table["is_apart"].any() else ""
    return text + more + (f" Leaky split: {', '.join(leaky)}." if leaky else "")


def _describe(table: pd.DataFrame, title: str, missing: list[str]) -> str:
    each = "; ".join(
        f"{name} macro-F1 {100 * row['macro_f1']:.1f} %, accuracy {100 * row['accuracy']:.1f} %, "
        f"{row[FOUND]:.3g} classes found"
        for name, row in table.iterrows()
    )
    return f"Table of {len(table)} configs. {title}. {each}" + (f". Not run: {', '.join(missing)}" if missing else "")
