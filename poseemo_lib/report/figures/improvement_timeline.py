"""Figure 10: the best score so far, as the study's runs were finished."""

from dataclasses import replace
from datetime import datetime

import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.results import Results
from poseemo_lib.plots.style import count, name_text
from poseemo_lib.plots.timeline import improvement_timeline
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn
from poseemo_lib.training.evaluation import config_scores

# A study that stood still for longer than it worked, or of which most runs bear one time, is drawn by number.
MOST_IDLE = 2.0
FEWEST_TIMES = 0.5


def draw(material: ReportData) -> Drawn:
    """Draw validation and test macro-F1 of every config and seed of the study, when its last run was finished.

    Configs that were tested on other clips than the chosen one, or on a leaky split where that has none, are left out.

    Parameters
    ----------
    material : ReportData

    Returns
    -------
    Drawn
        Data: `runs`.
    """
    results = comparable(material)
    table = timeline(results)
    x, x_name = _places(table, results)
    table.insert(0, "x", x)
    fig, _ = improvement_timeline(
        table, x_name=x_name, sample=_sample(material, results), synthetic=results.synthetic, leaky=bool(results.leaks)
    )
    return Drawn(fig, _text(table), {"runs": table})


def comparable(material: ReportData) -> Results:
    """Return the single configs that validation may choose between: the same test clips, and no leak but the chosen's.

    Parameters
    ----------
    material : ReportData

    Returns
    -------
    Results
    """
    leaky = bool(material.best.leaks)
    configs = [config for config in material.main.configs if config.is_baseline or config.is_network]
    return replace(material.main, configs=[config for config in configs if leaky or not config.leaks])


def _sample(material: ReportData, results: Results) -> str:
    """Say what the values rest on, what the line follows and what is left out."""
    best, scores = material.best, material.best.scores
    kept = {config.name for config in results.configs}
    singles = [config for config in material.results.configs if config.is_baseline or config.is_network]
    n_left = sum(config.name not in kept for config in singles)
    folds = any(run.fold for run in results.runs)
    texts = [
        f"{count(scores.n_clips, best.unit)} in {count(scores.n_groups, 'group')} tested; one value for each config and "
        f"seed{', pooled over its folds when the last was finished' if folds else ''}, without an interval.",
        "The line follows the networks, as the choice does." if best.is_network else "",
        f"{name_text(best.name)} is chosen, by its mean over {count(len(best.seeds), 'seed')}: "
        f"{100 * best.validation_macro_f1:.1f} % on validation.",
        "The best so far on test is not drawn: following it would be choosing on the test part.",
        f"{count(n_left, 'config')} with other test clips or a leak left out." if n_left else "",
    ]
    return " ".join(text for text in texts if text)


def timeline(results: Results) -> pd.DataFrame:
    """Score every config and seed, in the order in which they were finished.

    Parameters
    ----------
    results : Results

    Returns
    -------
    DataFrame
        finished (UTC, of the last fold), config, seed, is_baseline, val and test (macro-F1), is_new_best: whether none
        before had as much on validation. Where there are networks, a baseline is never the best: none can be chosen.
    """
    rows = [row for config in results.configs for row in _rows(config)]
    table = pd.DataFrame(rows).sort_values(["finished", "config", "seed"], kind="stable", ignore_index=True)
    can_be_chosen = ~table["is_baseline"] | table["is_baseline"].all()
    reached = table["val"].where(can_be_chosen, -1.0)
    return table.assign(is_new_best=reached > reached.cummax().shift(fill_value=-1.0))


def _rows(config: ConfigRuns) -> list[dict]:
    val, test = (_by_seed(config, split) for split in ("val", "test"))
    finished = {seed: max(run.record["finished"] for run in config.runs if run.seed == seed) for seed in sorted(test)}
    return [
        {"finished": finished[seed], "config": config.name, "seed": seed, "is_baseline": config.is_baseline}
        | {"val": val[seed], "test": test[seed]}
        for seed in finished
    ]


def _by_seed(config: ConfigRuns, split: str) -> dict[int, float]:
    """Score each seed by itself: macro-F1."""
    scores = {}
    for seed, table in config.predictions(split).items():
        found = config_scores({seed: table}, config.classes, n_bootstrap=1).scores.set_index("metric")
        scores[seed] = float(found.loc["macro_f1", "mean"])
    return scores


def _places(table: pd.DataFrame, results: Results) -> tuple[list[float], str]:
    """Give minutes since the first start, or numbers where the study stood still for long or times are alike."""
    start = min(datetime.fromisoformat(run.record["started"]) for run in results.runs)
    minutes = [(datetime.fromisoformat(text) - start).total_seconds() / 60 for text in table["finished"]]
    worked = sum(run.record["seconds"] for run in results.runs) / 60
    if max(minutes) > MOST_IDLE * max(worked, 1) or len(set(minutes)) < FEWEST_TIMES * len(minutes):
        return [float(i + 1) for i in range(len(table))], "number of the run, in the order in which they were finished"
    return minutes, "minutes since the first run was started"


def _text(table: pd.DataFrame) -> str:
    steps = "; ".join(
        f"{row.config}, seed {row.seed}: {100 * row.val:.1f} % on validation, {100 * row.test:.1f} % on test"
        for row in table[table["is_new_best"]].itertuples()
    )
    return f"Macro-F1 of {len(table)} configs and seeds as they were finished. New bests by validation: {steps}"
