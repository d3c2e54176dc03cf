"""Report figure 06: how the networks were trained, as their runs logged it."""

import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.plots.curves import training_curves
from poseemo_lib.plots.style import count, name_text
from poseemo_lib.report.alt_texts import describe_curves
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn, not_run
from poseemo_lib.training.run_folder import Run

TITLE = "Training"
COMMAND = "Only baselines were run, which have no epochs; `poseemo study parameters/studies/demo.yaml` trains networks."
COLUMNS = ("epoch", "train_loss", "val_loss", "val_macro_f1", "lr")


def draw(material: ReportData) -> Drawn:
    """Draw the logged histories of all seeds: large for the chosen network, small for the others.

    Parameters
    ----------
    material : ReportData

    Returns
    -------
    Drawn
        Data: curves.
    """
    config = material.best
    if not config.is_network:
        return not_run(TITLE, COMMAND)
    runs = {one.name: first_fold(one) for one in material.main.configs if one.is_network}
    curves = curve_table(runs)
    if curves.empty:
        return not_run(TITLE, "The runs have no history, which every training writes; run the study again.")
    facts = material.main.sample
    figure, _ = training_curves(
        curves, _ordered(curves, runs, config.name), title=_title(curves, config), sample=_sample(runs, config),
        synthetic=facts["synthetic"], leaky=facts["leaky"],
    )  # fmt: skip
    return Drawn(figure, _describe(curves, config, len(runs)), {"curves": curves})


def first_fold(config: ConfigRuns) -> list[Run]:
    """Give the runs of all seeds; of those with folds, those of the first one by name."""
    fold = min(run.fold for run in config.runs)
    return sorted((run for run in config.runs if run.fold == fold), key=lambda run: run.seed)


def curve_table(runs: dict[str, list[Run]]) -> pd.DataFrame:
    """Put histories below each other.

    Parameters
    ----------
    runs : dict
        ConfigRuns -> its runs.

    Returns
    -------
    DataFrame
        One row an epoch of a run: config, seed, fold, epoch, train_loss, val_loss, val_macro_f1, lr, is_best (whether
        validation chose the epoch). A column that a run has not is NaN; a run without history has no row.
    """
    tables = [_history(config, run) for config, own in runs.items() for run in own]
    tables = [table for table in tables if len(table)]
    empty = pd.DataFrame(columns=["config", "seed", "fold", *COLUMNS, "is_best"])
    return pd.concat(tables, ignore_index=True) if tables else empty


def _history(config: str, run: Run) -> pd.DataFrame:
    history = run.history()
    if "epoch" not in history:
        return pd.DataFrame()
    facts = pd.DataFrame({"config": config, "seed": run.seed, "fold": run.fold}, index=history.index)
    own = history.reindex(columns=COLUMNS)
    return facts.join(own).assign(is_best=own["epoch"] == run.record.get("best_epoch"))


def _ordered(curves: pd.DataFrame, runs: dict[str, list[Run]], first: str) -> list[str]:
    """Order the networks by the mean of what they reached on validation, the chosen one first, those unknown last."""
    reached = curves[curves["is_best"]].groupby("config")["val_macro_f1"].mean()
    others = [name for name in runs if name != first]
    return [first, *sorted(others, key=lambda name: -reached.get(name, -1))]


def _title(curves: pd.DataFrame, config: ConfigRuns) -> str:
    """Say which epochs' weights the chosen network keeps, and how often that is the last one."""
    own, name = curves[curves["config"] == config.name], name_text(config.name)
    best = own[own["is_best"]]
    if best.empty:
        return f"{name}, chosen by validation: no chosen epoch is in its history"
    ends = own.groupby("seed")["epoch"].max()
    last = int((best["epoch"].to_numpy() == ends.loc[best["seed"]].to_numpy()).sum())
    first, latest = best["epoch"].min(), best["epoch"].max()
    epochs = f"epoch {first}" if first == latest else f"epochs {first} to {latest}"
    over = f"the last one for {last} of {count(len(best), 'seed')}" if last else "never the last one"
    n_folds = len({run.fold for run in config.runs})
    where = f" (first of {n_folds} folds)" if n_folds > 1 else ""
    return f"{name}, chosen by validation, keeps its weights of {epochs} of {ends.max()}: {over}{where}"


def _sample(runs: dict[str, list[Run]], config: ConfigRuns) -> str:
    """Say what the curves rest on."""
    run = runs[config.name][0]
    split = run.split()
    part = split[split["part"] == "val"]
    n_seeds = sorted({len(own) for own in runs.values()})
    seeds = count(n_seeds[-1], "seed") if len(n_seeds) == 1 else f"{n_seeds[0]} to {n_seeds[-1]} seeds"
    folds, share = {one.fold for one in config.runs}, config.parameters["choose_after"]
    texts = [
        f"As logged, one line a seed, {seeds} a network; {count(len(part), 'validation clip')} in "
        f"{count(part['group_id'].nunique(dropna=False), 'group')}. No intervals: these scores chose the epochs.",
        f"Folds: only the first of {len(folds)} is drawn, which tests {name_text(run.fold)}." if len(folds) > 1 else "",
        "Training loss is what was minimised, validation loss the plain log loss: their levels differ.",
        f"No epoch is chosen in the first {100 * share:.0f} % of the epochs." if share else "",
        "Grey: the chosen network again. Baselines have no epochs." if len(runs) > 1 else "",
    ]
    return " ".join(text for text in texts if text)


def _describe(curves: pd.DataFrame, config: ConfigRuns, n_networks: int) -> str:
    own = curves[curves["config"] == config.name]
    best = own[own["is_best"]]
    chosen = dict(zip(best["seed"].tolist(), best["epoch"].tolist(), strict=True))
    histories = {seed: table for seed, table in own.groupby("seed") if seed in chosen}
    return f"{config.name}. {describe_curves(histories, chosen)}. {count(n_networks, 'network')} drawn"
