"""Comparison plot: the variations of deep_residual, best first."""

import pandas as pd

from poseemo_lib.analysis.variations import Variations, find_variations
from poseemo_lib.plots.style import count, name_text
from poseemo_lib.plots.variations import variation_bars
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn, not_run

TITLE = "Variations of deep_residual"
COMMAND = "No study of this dataset has deep_residual; `poseemo study parameters/studies/ablations.yaml` makes one."


def draw(material: ReportData) -> Drawn:
    """Draw macro-F1 of every variation of deep_residual.

    Parameters
    ----------
    material : ReportData

    Returns
    -------
    Drawn
        Data: variations, seeds, baselines.
    """
    found = find_variations(material.studies, material.best)
    if found is None:
        return not_run(TITLE, COMMAND)
    table, seeds, baselines = found.score_table(), found.seed_table(), found.baseline_table()
    figure, _ = variation_bars(table, seeds, baselines, title=_title(table), note=note(found), **found.sample)
    return Drawn(figure, describe(table, baselines), {"variations": table, "seeds": seeds, "baselines": baselines})


def _title(table: pd.DataFrame) -> str:
    changed, plain = table[~table["is_plain"]], table.iloc[0]
    if changed.empty:
        return f"{TITLE}: none was run beside the plain one"
    low, high = 100 * changed["mean"].min(), 100 * changed["mean"].max()
    return f"{TITLE}: means from {low:.1f} to {high:.1f} %, the plain one {100 * plain['mean']:.1f} %; no test"


def note(found: Variations) -> str:
    """Say which config is the plain one, what is not comparable, and that intervals are no tests."""
    plain = found.plain
    differs = (
        f", which differs from the defaults in {', '.join(map(name_text, found.changes))}" if found.changes else ""
    )
    texts = [f"The plain one is {name_text(plain.config.name)} of {name_text(plain.study)}{differs}."]
    if len({row.study for row in found.rows}) > 1:
        texts.append("In brackets: the study, where several have a variation.")
    if found.n_commits > 1:
        texts.append(f"The runs are of {found.n_commits} versions of the code.")
    if found.left_out:
        texts.append(f"Left out, tested on other clips: {', '.join(map(name_text, found.left_out))}.")
    return " ".join([*texts, "Intervals that overlap are no test."])


def describe(table: pd.DataFrame, baselines: pd.DataFrame) -> str:
    """Text for the figure: every variation's score, the best first, and the baselines'."""
    rows = table.sort_values("mean", ascending=False)
    each = "; ".join(
        f"{row.label} {100 * row.mean_:.1f} % ({100 * row.low:.1f} to {100 * row.high:.1f})"
        for row in rows.rename(columns={"mean": "mean_"}).itertuples()
    )
    beside = "; ".join(
        f"{name} {100 * mean:.1f} %" for name, mean in zip(baselines["name"], baselines["mean"], strict=True)
    )
    text = f"Bars of {count(len(table), 'variation')} of deep_residual. Macro-F1 with 95 % interval: {each}"
    return text + (f". Baselines: {beside}" if beside else "")
