"""Report figure 04: one setting changed at a time."""

from dataclasses import replace

import pandas as pd

from poseemo_lib.analysis.results import Results
from poseemo_lib.plots.ablations import ablation_panels
from poseemo_lib.plots.style import name_text
from poseemo_lib.report.alt_texts import describe_ablation
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn, not_run

TITLE = "Ablation"
COMMAND = "No study changes one setting of a network at a time; `poseemo study parameters/studies/ablations.yaml` does."


def draw(material: ReportData) -> Drawn:
    """Draw the score of every value of every factor, all else as in the base setting.

    Parameters
    ----------
    material : ReportData

    Returns
    -------
    Drawn
        Data: ablation.
    """
    study, table = material.ablation
    if table.empty:
        return not_run(TITLE, COMMAND)
    own = replace(study, configs=[config for config in study.configs if config.name in set(table["config"])])
    figure, _ = ablation_panels(table, title=_title(own, table), **own.sample)
    return Drawn(figure, describe_ablation(table) + _told(table), {"ablation": table})


def _title(study: Results, table: pd.DataFrame) -> str:
    base = table[table["is_base"]].iloc[0]["config"]
    changes = table[~table["is_base"]]
    text = f"{len(changes)} changes to {name_text(base)} ({study[base].architecture}), one at a time"
    if "significant" not in table:
        return text
    return f"{text}: {int(changes['significant'].sum()) or 'none'} can be told from it"


def _told(table: pd.DataFrame) -> str:
    """Name the changes that the tests can tell from the base."""
    if "significant" not in table:
        return ""
    told = [f"{row['factor']} {row['value']}" for _, row in table[table["significant"]].iterrows()]
    return f". Can be told from the base: {', '.join(told) or 'none'}"
