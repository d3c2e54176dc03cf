"""Figure 10: the highest validation score so far, as the study's runs were finished."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.results import Results
from poseemo_lib.plots import style
from poseemo_lib.plots.labels import label_points
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn
from poseemo_lib.text import count, percent
from poseemo_lib.training.evaluation import config_scores

# A study that stood still for longer than it worked, or of which most runs bear one time, is drawn by number.
MOST_IDLE, FEWEST_TIMES = 2.0, 0.5


def draw(data: ReportData) -> Drawn:
    """Draw validation and test macro-F1 of every config and seed when its last run was finished.

    Configs that were tested on other clips than the selected one, or on a leaky split, are left out.

    Data: runs.
    """
    results = comparable(data)
    table = timeline(results)
    x, x_name = _places(table, results)
    table.insert(0, "x", x)
    steps = "; ".join(
        f"{row.config}, seed {row.seed}: {percent(row.val)} on validation, {percent(row.test)} on test"
        for row in table[table["is_new_best"]].itertuples()
    )
    text = f"Macro-F1 of {len(table)} configs and seeds as they were finished. New highest on validation: {steps}"
    return Drawn(_figure(table, x_name, _note(data, results), results), text, {"runs": table})


def comparable(data: ReportData) -> Results:
    """Return the configs that validation may choose between: the same test clips, no ensemble, no leak."""
    leaky = bool(data.best.leaks)
    configs = [config for config in data.main.configs if config.is_baseline or config.is_network]
    return replace(data.main, configs=[config for config in configs if leaky or not config.leaks])


def timeline(results: Results) -> pd.DataFrame:
    """Score every config and seed (val and test macro-F1) in the order in which they, or their last fold, finished.

    is_new_best: none before had as much on validation. If there are networks, a baseline is never the best, because it
    cannot be selected.
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


@style.in_style
def _figure(table: pd.DataFrame, x_name: str, note: str, results: Results):
    fig, ax = style.axes_or_new(None, 11, 5.8)
    x, val, test = (factor * table[name].to_numpy(float) for name, factor in (("x", 1), ("val", 100), ("test", 100)))
    ax.vlines(x, val, test, color="#bbbbbb", linewidth=1, zorder=1)
    is_baseline, new = table["is_baseline"].to_numpy(bool), table["is_new_best"].to_numpy(bool)
    for rows, marker, kind in ((~is_baseline, "o", "network"), (is_baseline, "s", "baseline")):
        if rows.any():  # those of the test set are larger, so that a rim remains where both are alike
            ax.plot(x[rows], test[rows], marker, color=style.ORANGE, markerfacecolor="white", markersize=8, zorder=2,
                    label=f"{kind}, test")  # fmt: skip
            ax.plot(x[rows], val[rows], marker, color=style.BLUE, markersize=6.5, zorder=3, label=f"{kind}, validation")
    margin = max(0.02 * (x[-1] - x[0]), 0.5)
    ends = [*x[new], x[-1] + margin]
    ax.step(ends, [*val[new], val[new][-1]], where="post", color=style.BLACK, linewidth=1.4, zorder=2.5,
            label="highest so far on validation")  # fmt: skip
    ax.set(xlabel=x_name, ylabel="macro-F1, %", ylim=(0, 1.16 * max(val.max(), test.max(), 1)))
    ax.set_xlim(x[0] - margin, x[-1] + margin)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(axis="y")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=5, borderaxespad=0, columnspacing=1.2)
    style.finish(fig, title=_title(table), note=note, synthetic=results.synthetic, leaky=bool(results.leaks))
    names = [f"{style.name_text(row.config, 24)}, seed {row.seed}" for row in table[new].itertuples()]
    strokes = [(a, b, c, b) for a, b, c in zip(ends, val[new], ends[1:], strict=False)]
    strokes += [(a, low, a, high) for a, low, high in zip(x, np.fmin(val, test), np.fmax(val, test), strict=True)]
    label_points(ax, x[new], val[new], names, strokes=strokes)
    return fig


def _title(table: pd.DataFrame) -> str:
    last = table[table["is_new_best"]].iloc[-1]
    done = int(np.flatnonzero(table["is_new_best"])[-1]) + 1
    name = style.name_text(last["config"], 24)
    return (
        f"The highest single validation score came with run {done} of {len(table)}: {name}, seed {last['seed']}, "
        f"{percent(last['val'])}, and {percent(last['test'])} on test"
    )


def _note(data: ReportData, results: Results) -> str:
    """Say what the values rest on, what the line follows and what is left out."""
    best, scores = data.best, data.best.scores
    kept = {config.name for config in results.configs}
    singles = [config for config in data.results.configs if config.is_baseline or config.is_network]
    n_left = sum(config.name not in kept for config in singles)
    folds = any(run.fold for run in results.runs)
    texts = [
        f"Test set: {count(scores.n_clips, best.unit)} in {count(scores.n_groups, 'group')}; one value for "
        f"each config and seed{', pooled over its folds when the last was finished' if folds else ''}, no interval.",
        "The line follows the networks only, as the selection does." if best.is_network else "",
        f"{style.name_text(best.name)} is selected by its mean over {count(len(best.seeds), 'seed')}: "
        f"{percent(best.validation_macro_f1)} on validation.",
        "The highest test score is not followed: that would be selecting on the test set.",
        f"Left out, with other test clips or a leak: {count(n_left, 'config')}." if n_left else "",
    ]
    return " ".join(text for text in texts if text)
