"""Comparison plot: every number of every cell in one table."""

import numpy as np
import pandas as pd
from matplotlib.ticker import EngFormatter

from poseemo_lib.cells import ENSEMBLE, Cell
from poseemo_lib.figures.drawn import Drawn
from poseemo_lib.material import Material
from poseemo_lib.metrics import RECALL_THRESHOLD
from poseemo_lib.plots.comparison import Columns, detail_table
from poseemo_lib.plots.style import name_text, sample_text

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
RECALL = "recall "


def draw(material: Material) -> Drawn:
    """Draw scores, calibration, recall of every class and cost of every cell, and the cells that were not run.

    Parameters
    ----------
    material : Material

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


def details(material: Material) -> pd.DataFrame:
    """Collect the numbers of every cell of the study.

    Parameters
    ----------
    material : Material

    Returns
    -------
    DataFrame
        Index cell; is_baseline, is_chosen, is_apart (tested on other clips than the chosen one), n_seeds; means over
        seeds of scores (shares; of the first ones with `_low` and `_high`), of `classes_above_5_percent` and of the
        recall of every class; n_parameters, multiply_adds (of one window), seconds (of one run) and best_epoch.
        Best macro-F1 first, those that are apart last.
    """
    same = {cell.name for cell in material.main.cells}
    rows = [
        {
            "cell": cell.name,
            "is_baseline": cell.is_baseline,
            "is_chosen": cell.name == material.best.name,
            "is_apart": cell.name not in same,
            **_scores(cell),
            **_cost(cell),
        }
        for cell in material.results.cells
    ]
    table = pd.DataFrame(rows).set_index("cell")
    return table.sort_values(["is_apart", "macro_f1"], ascending=[True, False], kind="stable")


def _scores(cell: Cell) -> dict:
    scores = cell.scores.scores.set_index("metric")
    ends = {f"{name}_{end}": scores.loc[name, end] for name in (*SHARES, *AGREEMENT) for end in ("low", "high")}
    recall = cell.scores.per_class.query("metric == 'recall'").set_index("class")["mean"]
    return {
        "n_seeds": cell.scores.n_seeds,
        **{name: scores.loc[name, "mean"] for name in (*SHARES, *AGREEMENT, "ece", "classes_above_5_percent")},
        "ece_calibrated": _calibrated_ece(cell),
        **ends,
        **{RECALL + name: recall[name] for name in cell.classes},
    }


def _calibrated_ece(cell: Cell) -> float:
    # A temperature belongs to one run, and an ensemble is made of several.
    if cell.architecture == ENSEMBLE:
        return np.nan
    return cell.calibrated_scores.scores.set_index("metric").loc["ece", "mean"]


def _cost(cell: Cell) -> dict[str, float]:
    own = [] if cell.architecture == ENSEMBLE else [run.record for run in cell.runs if run.seed in cell.seeds]
    return {
        "n_parameters": _number(cell.n_parameters),
        "multiply_adds": _number(cell.multiply_adds),
        **{name: _mean([record.get(name) for record in own]) for name in ("seconds", "best_epoch")},
    }


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _mean(values: list[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else np.nan


def _groups(table: pd.DataFrame, classes: tuple[str, ...]) -> list[Columns]:
    worst = float(np.nanmax([*np.ravel(table[[*ECE]]), 0]))
    recalls = {RECALL + name: name_text(name, 16) for name in classes}
    found = {"classes_above_5_percent": f"recall\n> {100 * RECALL_THRESHOLD:.0f} %"}
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
    return f"{value:.1f}".removesuffix(".0") if value < 1000 else EngFormatter(places=1, sep=" ")(value)


def _title(table: pd.DataFrame, material: Material) -> str:
    row, name = table.loc[material.best.name], name_text(material.best.name)
    found = f"{row['classes_above_5_percent']:.3g} of {len(material.classes)} classes are found"
    if row["is_baseline"]:
        return f"{name}: macro-F1 {100 * row['macro_f1']:.1f} %, {found}; no network was run"
    return f"{name}, chosen by validation: macro-F1 {100 * row['macro_f1']:.1f} %, {found}"


def _sample(table: pd.DataFrame, material: Material) -> str:
    scores = material.best.scores
    text = sample_text(
        scores.n_clips, scores.n_groups, table["n_seeds"], unit=material.best.unit, resampled_by=scores.resampled_by,
        interval="Small numbers",
    )  # fmt: skip
    more = (
        " Values are means over seeds. Bold: chosen by validation; grey italics: baselines. Seconds are of one run, "
        "multiply-adds of one window. Colours: ECE up to the largest here; cost and training on a log scale, each "
        "column by itself."
    )
    leaky = [name_text(cell.name) for cell in material.results.cells if cell.leaks]
    more += " †: tested on other clips, not comparable." if table["is_apart"].any() else ""
    return text + more + (f" Leaky split: {', '.join(leaky)}." if leaky else "")


def _describe(table: pd.DataFrame, title: str, missing: list[str]) -> str:
    each = "; ".join(
        f"{name} macro-F1 {100 * row['macro_f1']:.1f} %, accuracy {100 * row['accuracy']:.1f} %, "
        f"{row['classes_above_5_percent']:.3g} classes found"
        for name, row in table.iterrows()
    )
    return f"Table of {len(table)} cells. {title}. {each}" + (f". Not run: {', '.join(missing)}" if missing else "")
