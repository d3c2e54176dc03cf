"""Figure 06: how the networks were trained, as their runs logged it."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.plots import style
from poseemo_lib.plots.training import draw_losses, draw_scores
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn, not_run
from poseemo_lib.text import count
from poseemo_lib.training.run_folder import Run

TITLE = "Training"
COLUMNS = ("epoch", "train_loss", "val_loss", "val_macro_f1", "lr")


def draw(data: ReportData) -> Drawn:
    """Draw the logged histories of all seeds: large for the selected network, small for the others.

    Data: curves.
    """
    config = data.best
    if not config.is_network:
        why = "Only baselines were run; `poseemo study parameters/studies/demo.yaml` trains networks."
        return not_run(TITLE, why)
    runs = {one.name: first_fold(one) for one in data.main.configs if one.is_network}
    curves = curve_table(runs)
    if curves.empty:
        return not_run(TITLE, "The runs have no history, which every training writes; run the study again.")
    return Drawn(_figure(curves, runs, data), _describe(curves, config, len(runs)), {"curves": curves})


def first_fold(config: ConfigRuns) -> list[Run]:
    """Return the runs of all seeds; of those with folds, the runs of the first one by name."""
    fold = min(run.fold for run in config.runs)
    return sorted((run for run in config.runs if run.fold == fold), key=lambda run: run.seed)


def curve_table(runs: dict[str, list[Run]]) -> pd.DataFrame:
    """Join the histories of all runs: a row for each epoch of a run; is_best: validation chose the epoch.

    A column that a run lacks is NaN; a run without history has no row.
    """
    tables = [pd.DataFrame(columns=["config", "seed", "fold", *COLUMNS, "is_best"])]
    for config, own in runs.items():
        for run in own:
            history = run.history()
            if "epoch" in history and len(history):
                facts = pd.DataFrame({"config": config, "seed": run.seed, "fold": run.fold}, index=history.index)
                table = facts.join(history.reindex(columns=COLUMNS))
                tables.append(table.assign(is_best=table["epoch"] == run.record.get("best_epoch")))
    return pd.concat(tables[1:] or tables, ignore_index=True)


@style.in_style
def _figure(curves: pd.DataFrame, runs: dict[str, list[Run]], data: ReportData):
    """Draw loss and score of the selected network, and the scores of the others with it in grey behind them."""
    config, sample = data.best, data.main.sample
    reached = curves[curves["is_best"].astype(bool)].groupby("config")["val_macro_f1"].mean()
    others = sorted((name for name in runs if name != config.name), key=lambda name: -reached.get(name, -1))
    n_columns = int(np.clip(len(others), 4, 6))
    n_rows = -(-len(others) // n_columns)
    fig = plt.figure(figsize=(11.5, 4.5 + 1.7 * n_rows), layout="constrained")
    halves = fig.add_gridspec(2, 1, height_ratios=(3, 1.6 * n_rows)) if others else fig.add_gridspec(1, 1)
    loss, score = (fig.add_subplot(place) for place in halves[0].subgridspec(1, 2))
    own = curves[curves["config"] == config.name]
    if own.empty:
        for ax in (loss, score):
            style.write_not_run(ax, "the runs have no history")
    else:
        draw_losses(loss, own)
        draw_scores(score, own)
    axes = [score]
    for k, name in enumerate(others):
        ax = fig.add_subplot(halves[1].subgridspec(n_rows, n_columns)[k // n_columns, k % n_columns])
        ax.set_title(style.name_text(name, 24), fontsize=9)
        rows = curves[curves["config"] == name]
        if rows.empty:
            style.write_not_run(ax, "no history")
            continue
        if len(own):
            draw_scores(ax, own.assign(is_best=False), colour="#bbbbbb")
        draw_scores(ax, rows, style.name_text(name, 24))
        ax.set_xlim(0.5, curves["epoch"].max() + 0.5)
        axes.append(ax)
    highest = 100 * curves["val_macro_f1"].astype(float).max()
    for ax in axes:  # one scale, so that they can be compared
        ax.set_ylim(0, 1.08 * max(highest, 1) if np.isfinite(highest) else 1)
    style.finish(fig, title=_title(curves, config), note=_note(runs, config), synthetic=sample["synthetic"],
                 leaky=sample["leaky"])  # fmt: skip
    return fig


def _title(curves: pd.DataFrame, config: ConfigRuns) -> str:
    """Say which epochs validation chose for the selected network, and how often that is the last one."""
    own, name = curves[curves["config"] == config.name], style.name_text(config.name)
    best = own[own["is_best"].astype(bool)]
    if best.empty:
        return f"{name}: its history has no chosen epoch"
    ends = own.groupby("seed")["epoch"].max()
    last = int((best["epoch"].to_numpy() == ends.loc[best["seed"]].to_numpy()).sum())
    first, latest = best["epoch"].min(), best["epoch"].max()
    epochs = f"epoch {first}" if first == latest else f"epochs {first} to {latest}"
    over = f"the last one for {last} of {count(len(best), 'seed')}" if last else "never the last one"
    n_folds = len({run.fold for run in config.runs})
    where = f" (first of {n_folds} folds)" if n_folds > 1 else ""
    return f"Validation chose {epochs} of {ends.max()} for {name}: {over}{where}"


def _note(runs: dict[str, list[Run]], config: ConfigRuns) -> str:
    run = next(iter(runs[config.name]))
    split = run.split()
    rows = split[split["part"] == "val"]
    folds, share = {one.fold for one in config.runs}, config.parameters["choose_after"]
    texts = [
        f"Lines: mean of {style.seeds_text(map(len, runs.values()))} per network; bands: lowest to highest seed. "
        f"{count(len(rows), 'validation clip')} in "
        f"{count(rows['group_id'].nunique(dropna=False), 'group')}. No intervals: these scores chose the epochs.",
        f"Only the first of {len(folds)} folds is drawn, which tests {style.name_text(run.fold)}." * (len(folds) > 1),
        "Training loss is what was minimised, validation loss the plain log loss, so their levels differ.",
        f"No epoch is chosen in the first {100 * share:.0f} % of the epochs." if share else "",
        "Grey: the selected network again." if len(runs) > 1 else "",
    ]
    return " ".join(text for text in texts if text)


def _describe(curves: pd.DataFrame, config: ConfigRuns, n_networks: int) -> str:
    """Word the chosen epoch and its validation macro-F1 for every seed of the selected network."""
    own = curves[curves["config"] == config.name]
    parts = [
        f"seed {row.seed}: epoch {row.epoch} of {(own['seed'] == row.seed).sum()}, "
        f"validation macro-F1 {row.val_macro_f1:.3f}"
        for row in own[own["is_best"].astype(bool)].itertuples()
    ]
    return f"{config.name}. Learning curves. {'; '.join(parts)}. {count(n_networks, 'network')} drawn"
