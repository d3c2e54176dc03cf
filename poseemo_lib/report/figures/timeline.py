"""Figure 10: the highest validation score so far, as the study's runs were finished."""

from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from poseemo_lib.analysis.results import Results
from poseemo_lib.plots import style
from poseemo_lib.plots.labels import label_points
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn, note_text
from poseemo_lib.text import percent
from poseemo_lib.training.evaluation import config_scores


def draw(data: ReportData) -> Drawn:
    """Draw validation and test macro-F1 of every config and seed in the order in which their last runs were finished.

    Configs that were tested on other clips than the selected one, or on a leaky split, are left out.

    Data: runs.
    """
    results = comparable(data)
    table = timeline(results)
    table.insert(0, "number", range(1, len(table) + 1))
    steps = "; ".join(
        f"{row.config}, seed {row.seed}: {percent(row.val)} on validation, {percent(row.test)} on test"
        for row in table[table["is_new_best"]].itertuples()
    )
    text = f"Macro-F1 of {len(table)} configs and seeds as they were finished. New highest on validation: {steps}"
    return Drawn(_figure(table, _note(data, results), results), text, {"runs": table})


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
    rows = []
    for config in results.configs:
        for seed, test in config.predictions("test").items():
            runs = [run for run in config.counted_runs if config.training_of(run) == seed]
            row = {"finished": max(run.record["finished"] for run in runs)}
            row |= {"config": config.name, "seed": seed, "is_baseline": config.is_baseline}
            for split, predictions in (("val", config.predictions("val")[seed]), ("test", test)):
                scores = config_scores({seed: predictions}, config.classes)
                row[split] = float(scores.score("macro_f1")["mean"])
            rows.append(row)
    table = pd.DataFrame(rows).sort_values(["finished", "config", "seed"], kind="stable", ignore_index=True)
    can_be_chosen = ~table["is_baseline"] | table["is_baseline"].all()
    reached = table["val"].where(can_be_chosen, -1.0)
    return table.assign(is_new_best=reached > reached.cummax().shift(fill_value=-1.0))


@style.in_style
def _figure(table: pd.DataFrame, note: str, results: Results):
    fig, ax = style.axes_or_new(None, 11, 5.8)
    x, val, test = table["number"].to_numpy(), 100 * table["val"].to_numpy(), 100 * table["test"].to_numpy()
    ax.vlines(x, val, test, color="#bbbbbb", linewidth=1, zorder=1)
    is_baseline, new = table["is_baseline"].to_numpy(bool), table["is_new_best"].to_numpy(bool)
    for rows, marker, kind in ((~is_baseline, "o", "network"), (is_baseline, "s", "baseline")):
        if rows.any():  # those of the test set are larger, so that a rim remains where both are alike
            ax.plot(x[rows], test[rows], marker, color=style.ORANGE, markerfacecolor="white", markersize=8, zorder=2,
                    label=f"{kind}, test")  # fmt: skip
            ax.plot(x[rows], val[rows], marker, color=style.BLUE, markersize=6.5, zorder=3, label=f"{kind}, validation")
    ends = [*x[new], len(x) + 0.5]
    ax.step(ends, [*val[new], val[new][-1]], where="post", color=style.BLACK, linewidth=1.4, zorder=2.5,
            label="highest so far on validation")  # fmt: skip
    ax.set(xlabel="runs in the order in which they finished", xlim=(0.5, ends[-1]))
    ax.set(ylabel="macro-F1, %", ylim=(0, 1.16 * max(val.max(), test.max(), 1)))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(axis="y")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=5, borderaxespad=0, columnspacing=1.2)
    style.finish(fig, title=_title(table), note=[note], synthetic=results.synthetic, leaky=bool(results.leaks))
    names = [f"{style.name_text(row.config, 24)}, seed {row.seed}" for row in table[new].itertuples()]
    strokes = [(a, b, c, b) for a, b, c in zip(ends, val[new], ends[1:], strict=False)]
    strokes += [(a, low, a, high) for a, low, high in zip(x, np.fmin(val, test), np.fmax(val, test), strict=True)]
    label_points(ax, x[new], val[new], names, strokes=strokes)
    return fig


def _title(table: pd.DataFrame) -> str:
    last = table[table["is_new_best"]].iloc[-1]
    name = f"{style.name_text(last['config'], 24)}, seed {last['seed']},"
    return f"{name} has the highest validation score, {percent(last['val'])}; on test it has {percent(last['test'])}"


def _note(data: ReportData, results: Results) -> str:
    best, kept = data.best, {config.name for config in results.configs}
    singles = [config.name for config in data.results.configs if config.is_baseline or config.is_network]
    return note_text(
        "timeline", n_clips=best.scores.n_clips, unit=best.unit, n_groups=best.scores.n_groups,
        folds=any(run.fold for run in results.runs), is_network=best.is_network, name=style.name_text(best.name),
        n_seeds=len(best.seeds), validation=best.validation_macro_f1, n_left=len(set(singles) - kept),
    )  # fmt: skip
