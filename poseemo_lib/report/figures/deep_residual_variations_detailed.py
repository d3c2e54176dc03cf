"""Comparison plot: the variations of deep_residual in detail."""

import pandas as pd

from poseemo_lib.analysis.variations import find_variations
from poseemo_lib.plots.style import count
from poseemo_lib.plots.variations import variation_details
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.deep_residual_variations import COMMAND, note
from poseemo_lib.report.figures.drawn import Drawn, not_run

TITLE = "Variations of deep_residual in detail"


def draw(material: ReportData) -> Drawn:
    """Draw score against size, validation against test, recall of every class and the spread over seeds.

    Parameters
    ----------
    material : ReportData

    Returns
    -------
    Drawn
        Data: variations, seeds, recall.
    """
    found = find_variations(material.studies, material.best)
    if found is None:
        return not_run(TITLE, COMMAND)
    data = {"variations": found.score_table(), "seeds": found.seed_table(), "recall": found.recall_table()}
    classes = found.plain.config.classes
    figure, _ = variation_details(*data.values(), classes, title=TITLE, note=note(found), **found.sample)
    return Drawn(figure, describe(data["variations"], data["recall"]), data)


def describe(table: pd.DataFrame, recall: pd.DataFrame) -> str:
    """Text for the figure: sizes, what validation chooses and what that costs, the class that is found least."""
    sizes = table["n_parameters"].dropna()
    chosen, best = table.loc[table["validation"].idxmax()], table.loc[table["mean"].idxmax()]
    rarest = recall.groupby("class")["recall"].mean().dropna()
    text = (
        f"{count(len(table), 'variation')} of {sizes.min():,.0f} to {sizes.max():,.0f} parameters. Validation chooses "
        f"{chosen['label']}, macro-F1 {100 * chosen['mean']:.1f} % on test; the best there is {best['label']}, "
        f"{100 * best['mean']:.1f} %"
    )
    if len(rarest):
        text += f". Found least: {rarest.idxmin()}, mean recall {100 * rarest.min():.0f} %"
    spread = table["sd"].dropna()
    return text + (f". Spread over seeds: sd up to {100 * spread.max():.1f} points" if len(spread) else "")
