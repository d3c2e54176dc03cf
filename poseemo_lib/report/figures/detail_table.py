"""Comparison plot: every number of every config in one table."""

import textwrap
from collections.abc import Callable
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import EngFormatter

from poseemo_lib.analysis.configs import ENSEMBLE, ConfigRuns
from poseemo_lib.plots import style
from poseemo_lib.plots.confusion import draw_heatmap
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn, note_text, sample_of
from poseemo_lib.text import percent
from poseemo_lib.training.metrics import RECALL_THRESHOLD

FOUND, RECALL = "classes_above_5_percent", "recall "
OF_RUNS = ("seconds", "best_epoch")
SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "top_2_accuracy", "kappa", "mcc", "ece", FOUND)


class Columns(NamedTuple):
    """Columns of the table that share a title and colours: head by column, and how a value is written.

    `most` has the darkest colour, 0 the lightest; None: each column by itself, on a log scale.
    """

    title: str
    heads: dict[str, str]
    colours: str
    written: Callable[[float], str]
    most: float | None


def draw(data: ReportData) -> Drawn:
    """Draw scores, calibration, recall of every class and cost of every config, and the configs that were not run.

    Data: details.
    """
    table, missing = details(data), data.results.not_run
    title = _title(table, data)
    each = "; ".join(
        f"{name} macro-F1 {percent(row['macro_f1'])}, accuracy {percent(row['accuracy'])}, "
        f"classes found {row[FOUND]:.3g}"
        for name, row in table.iterrows()
    )
    text = f"Table of {len(table)} configs. {title}. {each}" + (f". Not run: {', '.join(missing)}" if missing else "")
    return Drawn(_figure(table, missing, title, data), text, {"details": table.reset_index()})


def details(data: ReportData) -> pd.DataFrame:
    """Collect the numbers of every config of the study, the highest macro-F1 first.

    Scores are means over seeds, with their 95 % intervals in `_low` and `_high`; seconds and best_epoch are means over
    runs, with the lowest and the highest run. Configs tested on other clips than the selected one (is_apart) are last.
    """
    same = {config.name for config in data.main.configs}
    rows = [
        {
            "config": config.name,
            "is_baseline": config.is_baseline,
            "is_chosen": config.name == data.best.name,
            "is_apart": config.name not in same,
            "n_seeds": config.scores.n_seeds,
            **_scores(config),
            **_cost(config),
        }
        for config in data.results.configs
    ]
    table = pd.DataFrame(rows).set_index("config")
    return table.sort_values(["is_apart", "macro_f1"], ascending=[True, False], kind="stable")


def _scores(config: ConfigRuns) -> dict:
    recall = config.recall.rename(columns={"recall": "mean"}).set_index("class")
    rows = {name: config.scores.score(name) for name in SCORES}
    # A temperature belongs to one run, and an ensemble is made of several.
    unknown = pd.Series(np.nan, ["mean", "low", "high"])
    is_ensemble = config.architecture == ENSEMBLE
    rows["ece_calibrated"] = unknown if is_ensemble else config.calibrated_scores.score("ece")
    rows |= {RECALL + name: recall.loc[name] for name in config.classes}
    ends = {f"{name}_{end}": row[end] for name, row in rows.items() for end in ("low", "high")}
    return {name: row["mean"] for name, row in rows.items()} | ends


def _cost(config: ConfigRuns) -> dict[str, float]:
    records = [] if config.architecture == ENSEMBLE else [run.record for run in config.counted_runs]
    own = pd.DataFrame(records, columns=list(OF_RUNS), dtype=float)
    several = own if len(own) > 1 else own.head(0)
    sizes = {"n_parameters": config.n_parameters or np.nan, "multiply_adds": config.multiply_adds or np.nan}
    return sizes | own.mean().to_dict() | {**several.min().add_suffix("_low"), **several.max().add_suffix("_high")}


def _columns(table: pd.DataFrame, classes: tuple[str, ...]) -> list[Columns]:
    worst = float(np.nanmax([*np.ravel(table[["ece", "ece_calibrated"]]), 0])) or 1
    scores = {"accuracy": "accuracy", "balanced_accuracy": "balanced\naccuracy", "macro_f1": "macro-F1",
              "top_2_accuracy": "top 2"}  # fmt: skip
    cost = {"n_parameters": "para-\nmeters", "multiply_adds": "multiply-\nadds", "seconds": "training,\nseconds",
            "best_epoch": "chosen\nepoch"}  # fmt: skip
    one_digit = lambda share: f"{100 * share:.1f}"  # noqa: E731
    return [
        Columns("scores, %", scores, "Blues", one_digit, 1),
        Columns("agreement beyond chance", {"kappa": "kappa", "mcc": "MCC"}, "Blues", "{:.2f}".format, 1),
        Columns("calibration error (ECE), %", {"ece": "raw", "ece_calibrated": "cali-\nbrated"}, "Oranges", one_digit,
                worst),
        Columns("classes found", {FOUND: f"recall\n> {100 * RECALL_THRESHOLD:.0f} %"}, "Greens", "{:.3g}".format,
                len(classes)),
        Columns("recall of each class, %", {RECALL + name: style.name_text(name, 9) for name in classes}, "Greens",
                lambda share: f"{100 * share:.0f}", 1),
        Columns("cost and training", cost, "Greys", _short, None),
    ]  # fmt: skip


def _short(value: float) -> str:
    if value >= 1000:
        return EngFormatter(places=1, sep=" ")(value)
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}".removesuffix(".0")


@style.in_style
def _figure(table, missing: list[str], title: str, data: ReportData):
    """Draw each group of columns as a heatmap of its own colours, side by side."""
    groups, shown = _columns(table, data.classes), table.reindex([*table.index, *missing])
    n_columns = sum(len(group.heads) for group in groups)
    fig, axes = plt.subplots(
        1, len(groups), figsize=(2.6 + 0.84 * n_columns, 2.4 + 0.4 * len(shown)), layout="constrained",
        width_ratios=[len(group.heads) for group in groups],
    )  # fmt: skip
    for ax, group in zip(axes, groups, strict=True):
        _draw_columns(ax, shown, group)
    names = [style.name_text(name) + "†" * bool(apart) for name, apart in table["is_apart"].items()]
    names += [f"{style.name_text(name)}: not run" for name in missing]
    axes[0].set_yticks(np.arange(len(shown)) + 0.5, names)
    looks = zip(table["is_chosen"], table["is_baseline"], strict=True)
    for label, (is_chosen, is_baseline) in zip(axes[0].get_yticklabels(), looks, strict=False):
        label.set(weight="bold" if is_chosen else "normal", style="italic" if is_baseline else "normal")
    style.finish(fig, title=title, note=_note(table, data), synthetic=data.results.synthetic,
                 leaky=bool(data.results.leaks))  # fmt: skip
    return fig


def _draw_columns(ax, table: pd.DataFrame, group: Columns) -> None:
    values = table[list(group.heads)].astype(float)
    if group.most is None:
        logs = np.log(values.where(values > 0))
        shades = (logs - logs.min()) / (logs.max() - logs.min())
    else:
        shades = values / group.most
    draw_heatmap(ax, shades.fillna(0).where(values.notna()).to_numpy(), _texts(table, group), rows=[], fontsize=8,
                 columns=group.heads.values(), cmap=group.colours, vmin=-0.06, vmax=1.25)  # fmt: skip
    ax.xaxis.tick_top()
    ax.tick_params(axis="x", length=0, labelsize=8)
    ax.set_xlabel("\n".join(textwrap.wrap(group.title, 9 * len(group.heads) + 2)), fontsize=9)


def _texts(table: pd.DataFrame, group: Columns) -> list[list[str]]:
    """Write each value, with its interval below it where it has one."""
    texts = []
    for row in table.to_dict("records"):
        texts.append([])
        for column in group.heads:
            ends = [row.get(f"{column}_{end}", np.nan) for end in ("low", "high")]
            interval = f"\n{' to '.join(map(group.written, ends))}" if np.isfinite(ends).all() else ""
            texts[-1].append(group.written(row[column]) + interval if np.isfinite(row[column]) else "")
    return texts


def _title(table: pd.DataFrame, data: ReportData) -> str:
    row, name = table.loc[data.best.name], style.name_text(data.best.name)
    kind = "" if row["is_baseline"] else ", selected on validation,"
    found = f"finds {row[FOUND]:.3g} of {len(data.classes)} classes"
    return f"{name}{kind} reaches {percent(row['macro_f1'])} macro-F1 and {found}"


def _note(table: pd.DataFrame, data: ReportData) -> list[str]:
    leaky = [style.name_text(config.name) for config in data.results.configs if config.leaks]
    note = note_text("details", apart=table["is_apart"].any(), leaky=leaky)
    return [sample_of(data.best, "Second lines", table["n_seeds"]), note]
