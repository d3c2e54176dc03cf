"""Figure 07: what the best network's answers rest on, and whether such figures can be trusted here."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from poseemo_lib.errors import PoseemoError
from poseemo_lib.plots.importance import feature_importance
from poseemo_lib.plots.style import count, name_text
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn, not_run

if TYPE_CHECKING:
    from poseemo_lib.analysis.interpretation import Interpretation

TITLE = "What the best model looks at"


def draw(material: ReportData) -> Drawn:
    """Draw the importance of joints, feature types, people and time of the best config, beside its sanity checks.

    Parameters
    ----------
    material : ReportData

    Returns
    -------
    Drawn
        Tables: importance, similarity, counts, and recovery on synthetic data: see
        :class:`poseemo_lib.analysis.interpretation.Interpretation`.
    """
    try:
        found = material.interpretation
    except PoseemoError as error:  # weights or clips are missing
        return not_run(TITLE, str(error))
    if found is None:
        return not_run(TITLE, why_not(material))
    return draw_interpretation(found, synthetic=material.results.synthetic, leaky=bool(material.best.leaks))


def draw_interpretation(found: "Interpretation", *, synthetic: bool, leaky: bool = False) -> Drawn:
    """Draw what was found out about a config.

    Parameters
    ----------
    found : Interpretation
    synthetic, leaky : bool
        See :func:`poseemo_lib.plots.style.note_data`.

    Returns
    -------
    Drawn
        See :func:`draw`.
    """
    fig, _ = feature_importance(
        found.importance,
        found.recovery,
        title=f"{name_text(found.config)}: {headline(found.importance)}",
        sample=sample(found),
        synthetic=synthetic,
        leaky=leaky,
        attention=bool(found.importance["attention"].notna().any()),
    )
    data = {"importance": found.importance, "similarity": found.similarity, "counts": pd.DataFrame([found.counts])}
    if found.recovery is not None:
        data["recovery"] = found.recovery
    return Drawn(fig, describe(found), data)


def why_not(material: ReportData) -> str:
    """Say why the best config cannot be looked into."""
    if not material.best.is_network:
        return f"The best config, {material.best.name}, is no network."
    return "The dataset of these runs is not where they were made, nor in data/."


def headline(importance: pd.DataFrame) -> str:
    """Name the block of each kind without which most is lost, of those whose interval lies above 0."""
    sure = importance[importance["low"] > 0].sort_values("drop", ascending=False, kind="stable")
    if sure.empty:
        return "no single block is missed beyond its interval"
    top = sure.drop_duplicates("kind").to_dict("records")
    parts = [f"{_named(row['kind'], row['name'])} ({100 * row['drop']:.0f})" for row in top]
    return f"balanced accuracy falls most, in points, without {', '.join(parts)}"


def _named(kind: str, name: str) -> str:
    return f"{name} s" if kind == "time" else name.replace("_", " ")


def sample(found: "Interpretation") -> str:
    """Say what the figure's numbers rest on."""
    n = found.counts
    sizes = f"{count(n['n_clips'], n['unit'])} in {count(n['n_groups'], 'group')}, {count(n['n_seeds'], 'seed')}"
    permuted = (
        f"Each bar: balanced accuracy lost when that block comes from another window "
        f"({count(n['n_repeats'], 'random order')}), with a 95 % bootstrap interval, resampled by {n['resampled_by']}"
    )
    grey = "grey: the same of networks with random weights"
    if found.recovery is None:
        return f"{sizes}. {permuted}; {grey}."
    most = count(int(found.recovery["n_clips"].max()), "clip")
    check = f"precision at k against a random ranking, in {most} at most; {count(n['n_random'], 'random network')}"
    return f"{sizes}. {permuted}; {grey}. Lower right: {check}; numbers: precision for chance, %."


def describe(found: "Interpretation") -> str:
    """Word the figure: the most important blocks with their intervals, and the sanity checks."""
    parts = [f"What {found.config} looks at ({sample(found)})"]
    for kind, rows in found.importance.groupby("kind", sort=False):
        top = rows.sort_values("drop", ascending=False, kind="stable").head(3)
        each = ", ".join(f"{_named(kind, row['name'])} {_interval(row, 'drop')}" for row in top.to_dict("records"))
        parts.append(f"{kind}: {each} points")
    parts += recovery_sentences(found)
    return ". ".join(part.rstrip(".") for part in parts) + "."


def recovery_sentences(found: "Interpretation") -> list[str]:
    """Say how well each attribution finds what was planted, trained and with random weights; empty on other data."""
    if found.recovery is None:
        return []
    table = found.recovery.set_index(["method", "target", "model"]).sort_index()
    pairs = found.recovery[["method", "target"]].drop_duplicates().itertuples(index=False, name=None)
    return [_recovery_sentence(*pair, table.loc[pair]) for pair in pairs]


def _recovery_sentence(method: str, target: str, rows: pd.DataFrame) -> str:
    trained, random = (rows.loc[name].to_dict() for name in ("trained", "randomised"))
    what = {"joints": "the planted joints", "frames": "the planted span of time", "person": "the person who shows it"}
    name, _, share = method.partition(", ")
    precision, chance = (f"{100 * trained[key]:.0f} %" for key in ("precision", "chance"))
    return (
        f"{name.capitalize()} and {what[target]}: {share or 'precision'} {precision} where chance is {chance}, "
        f"{_interval(trained, 'difference', 'difference_')} points above it; with random weights "
        f"{_interval(random, 'difference', 'difference_')} points{_fixed_order(trained)}"
    )


def _fixed_order(row: dict) -> str:
    """Say what knowing where things usually are would find."""
    fixed = row.get("fixed", np.nan)
    if not np.isfinite(fixed):
        return ""
    return f"; one order for all clips, learned from other groups, finds {100 * fixed:.0f} %"


def _interval(row, name: str, ends: str = "") -> str:
    return f"{100 * row[name]:+.1f} [{100 * row[f'{ends}low']:+.1f}, {100 * row[f'{ends}high']:+.1f}]"
