"""What drawing a figure of the report returns."""

from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from poseemo_lib.plots.style import empty_figure


class Drawn(NamedTuple):
    """A figure, a text for those who cannot see it, and the numbers that it draws.

    Parameters
    ----------
    figure : matplotlib Figure
    text : str
        What it shows, with its most important numbers, made from `data`.
    data : dict of DataFrame
        Name of a table -> the table, as drawn; saved beside the picture.
    """

    figure: Figure
    text: str
    data: dict[str, pd.DataFrame]


def not_run(title: str, why: str) -> Drawn:
    """Return the empty panel of a figure whose runs are not there.

    Parameters
    ----------
    title : str
        What the figure would have shown.
    why : str
        What was not run, or not found, and what would make it.
    """
    return Drawn(empty_figure(title, why), f"{title}: not run. {why}", {})
