"""Figure 06: how the networks were trained, as their runs logged it."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.plots import style
from poseemo_lib.plots.training import draw_losses, draw_scores
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn, not_run, note_text
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
        return not_run(
            TITLE, "`poseemo study parameters/studies/demo.yaml` trains networks, whose curves this figure draws."
        )
    runs = {one.name: first_fold(one) for one in data.main.configs if one.is_network}
    curves = curve_table(runs)
    if curves.empty:
        return not_run(TITLE, "the runs have no history, which every training writes; run the study again.")
    return Drawn(_figure(curves, runs, data), _describe(curves, config, len(runs)), {"curves": curves})


def first_fold(config: ConfigRuns) -> list[Run]:
    """Return the runs of all seeds; of those with folds, the runs of the first one by name."""
    fold = min(run.fold for run in config.runs)
    return sorted((run for run in config.runs if run.fold == fold), key=lambda run: run.seed)


def curve_table(runs: dict[str, list[Run]]) -> pd.DataFrame:
    """Join the histories of all runs: a row for each epoch of a run; is_best: validation chose the epoch.

    A run without history has no row.
    """
    tables = [pd.DataFrame(columns=["config", "seed", "fold", *COLUMNS, "is_best"])]
    for config, own in runs.items():
        for run in own:
            table = run.history().reindex(columns=["config", "seed", "fold", *COLUMNS])
            is_best = table["epoch"] == run.record.get("best_epoch")
            tables.append(table.assign(config=config, seed=run.seed, fold=run.fold, is_best=is_best))
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


@style.in_style
def _figure(curves: pd.DataFrame, runs: dict[str, list[Run]], data: ReportData):
    """Draw loss and score of the selected network, and the scores of the others with it in grey behind them."""
    config = data.best
    reached = curves[curves["is_best"].astype(bool)].groupby("config")["val_macro_f1"].mean()
    others = sorted((name for name in runs if name != config.name), key=lambda name: -reached.get(name, -1))
    n_columns = int(np.clip(len(others), 4, 6))
    n_rows = -(-len(others) // n_columns)
    fig = plt.figure(figsize=(11.5, 4.5 + 1.7 * n_rows), layout="constrained")
    halves = fig.add_gridspec(2, 1, height_ratios=(3, 1.6 * n_rows)) if others else fig.add_gridspec(1, 1)
    loss, score = (fig.add_subplot(place) for place in halves[0].subgridspec(1, 2))
    own = curves[curves["config"] == config.name]
    draw_training(loss, score, own)
    axes = [score]
    for k, name in enumerate(others):
        ax = fig.add_subplot(halves[1].subgridspec(n_rows, n_columns)[k // n_columns, k % n_columns])
        rows = curves[curves["config"] == name]
        if rows.empty:
            style.write_missing(ax, f"{style.name_text(name, 24)}: its runs have no history.", 24)
            continue
        if len(own):
            draw_scores(ax, own.assign(is_best=False), colour="#bbbbbb")
        draw_scores(ax, rows, style.name_text(name, 24))
        ax.set_xlim(0.5, curves["epoch"].max() + 0.5)
        axes.append(ax)
    highest = 100 * curves["val_macro_f1"].astype(float).max()
    for ax in axes:  # one scale, so that they can be compared
        ax.set_ylim(0, 1.08 * max(highest, 1))
    style.finish(fig, title=_title(curves, config), note=[_note(runs, config)], synthetic=data.main.synthetic,
                 leaky=bool(data.main.leaks))  # fmt: skip
    return fig


def draw_training(loss, score, curves: pd.DataFrame) -> None:
    """Draw the losses and the validation score of one config."""
    if curves.empty:
        for ax in (loss, score):
            style.write_missing(ax, "The runs have no history.")
        return
    draw_losses(loss, curves)
    draw_scores(score, curves)


def _title(curves: pd.DataFrame, config: ConfigRuns) -> str:
    """Say which epochs validation chose for the selected network, and how often that is the last one."""
    own, name = curves[curves["config"] == config.name], style.name_text(config.name)
    best = own[own["is_best"].astype(bool)]
    ends = own.groupby("seed")["epoch"].max()
    last = int((best["epoch"].to_numpy() == ends.loc[best["seed"]].to_numpy()).sum())
    first, latest = best["epoch"].min(), best["epoch"].max()
    epochs = f"epoch {first}" if first == latest else f"epochs {first} to {latest}"
    over = f"the last one for {last} of {count(len(best), 'seed')}" if last else "never the last one"
    n_folds = len({run.fold for run in config.runs})
    where = f" (first of {n_folds} folds)" if n_folds > 1 else ""
    if config.parameters["choose_after"] == 1:
        return f"{name} keeps its last epoch, {ends.max()}{where}"
    return f"Validation chose {epochs} of {ends.max()} for {name}: {over}{where}"


def _note(runs: dict[str, list[Run]], config: ConfigRuns) -> str:
    run = runs[config.name][0]
    groups = run.split().query("part == 'val'")["group_id"]
    return note_text(
        "curves", seeds=style.seeds_text(map(len, runs.values())), n_clips=len(groups),
        n_groups=groups.nunique(dropna=False), n_folds=len({one.fold for one in config.runs}),
        fold=style.name_text(run.fold), repeats=run.repeat, n_networks=len(runs),
        choose_after=config.parameters["choose_after"],
    )  # fmt: skip


def _describe(curves: pd.DataFrame, config: ConfigRuns, n_networks: int) -> str:
    """Word the chosen epoch and its validation macro-F1 for every seed of the selected network."""
    own = curves[curves["config"] == config.name]
    parts = [
        f"seed {row.seed}: epoch {row.epoch} of {(own['seed'] == row.seed).sum()}, "
        f"validation macro-F1 {row.val_macro_f1:.3f}"
        for row in own[own["is_best"].astype(bool)].itertuples()
    ]
    return f"{config.name}. Learning curves. {'; '.join(parts)}. {count(n_networks, 'network')} drawn"
