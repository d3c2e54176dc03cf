"""Figures of studies that change one thing: an ablation (04), corrections for rare classes, and a leaky split."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from poseemo_lib.analysis import factors
from poseemo_lib.analysis.predictions import predictions_table
from poseemo_lib.analysis.reliability import predicted_share
from poseemo_lib.analysis.results import Results
from poseemo_lib.plots import marks, style
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn, finish_study, interval_text, not_run
from poseemo_lib.report.templates import METRIC_NAMES, sentence
from poseemo_lib.text import count, percent

ABLATED = (
    "hidden", "blocks", "block", "pooling", "dropout", "squeeze_excitation", "normalisation", "augmentation", "people",
)  # fmt: skip
N_COLUMNS = 3


def draw_ablation(data: ReportData) -> Drawn:
    """Draw macro-F1 of every value of every factor, all else as in the base config.

    Data: ablation.
    """
    study, table = data.ablation
    if table.empty:
        why = "No study changes one setting at a time; `poseemo study parameters/studies/ablations.yaml` does."
        return not_run("Ablation", why)
    own = replace(study, configs=[config for config in study.configs if config.name in set(table["config"])])
    base, changes = table[table["is_base"]].iloc[0], table[~table["is_base"]]
    each = "; ".join(f"{row['factor']} {row['value']} {interval_text(row)}" for _, row in changes.iterrows())
    text = f"Ablation, one factor at a time. Base {interval_text(base)}; {each}"
    name = f"{style.name_text(base['config'])} ({study[base['config']].architecture})"
    title = f"{count(len(changes), 'change')} to {name}"
    if "significant" in table:
        told = [f"{row['factor']} {row['value']}" for _, row in changes[changes["significant"]].iterrows()]
        title += f", one at a time: {len(told) or 'none'} with a significant effect on macro-F1"
        text += f". Significantly different from the base: {', '.join(told) or 'none'}"
    return Drawn(_ablation_figure(table, title, own.sample), text, {"ablation": table})


@style.in_style
def _ablation_figure(table, title: str, sample: dict):
    shown = list(dict.fromkeys([*ABLATED, *table["factor"]]))
    n_rows = -(-len(shown) // N_COLUMNS)
    size = (3.4 * N_COLUMNS, 1.2 + 2.3 * n_rows)
    fig, grid = plt.subplots(n_rows, N_COLUMNS, figsize=size, sharey=True, squeeze=False, layout="constrained")
    for ax in grid.ravel()[len(shown) :]:
        ax.remove()
    for ax, factor in zip(grid.ravel(), shown, strict=False):
        _draw_factor(ax, table[table["factor"] == factor], table[table["is_base"]]["mean"])
        ax.set_title(style.name_text(factor.replace("_", " ")))
    ends = 100 * table[["mean", "low", "high"]].to_numpy(float)
    if np.isfinite(ends).any():
        margin = max(0.06 * (np.nanmax(ends) - np.nanmin(ends)), 1)
        grid[0, 0].set_ylim(max(np.nanmin(ends) - margin, 0), np.nanmax(ends) + 3 * margin)
    for ax in grid[:, 0]:
        ax.set_ylabel("macro-F1, %")
    note = "Black diamond and dotted line: the base config."
    if "significant" in table:
        note += " Filled: significantly different from the base (Holm-corrected); open: not."
    finish_study(fig, sample, table["n_seeds"], title=title, interval="Vertical lines", note=note)
    return fig


def _draw_factor(ax, rows, base) -> None:
    if rows["is_base"].all():  # nothing beside the base, or nothing at all
        ax.set_xticks([])
        ax.text(0.5, 0.5, "not run", transform=ax.transAxes, ha="center", va="center", fontsize=9, color=style.DARK)
        return
    for mean in base.head(1):
        ax.axhline(100 * mean, color=style.BLACK, linestyle=":", linewidth=1, zorder=0.9)
    for i, (_, row) in enumerate(rows.iterrows()):
        colour, marker = (style.BLACK, "D") if row["is_base"] else (style.BLUE, "o")
        face = colour if row["is_base"] or row.get("significant", True) else "white"
        look = {"colour": colour, "marker": marker, "markerfacecolor": face}
        marks.draw_point(ax, i, row, vertical=True, written="{:.1f}", **look)
    texts = [style.name_text(value, 20) for value in rows["value"]]
    turned = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if sum(map(len, texts)) > 28 else {}
    ax.set_xticks(range(len(rows)), texts, fontsize=8, **turned)
    ax.set_xlim(-0.6, len(rows) - 0.4)
    ax.grid(axis="y")


def draw_corrections(data: ReportData) -> Drawn:
    """Draw scores under every correction for rare classes, and how often the most frequent class is predicted.

    Data: scores, seeds, predicted.
    """
    study, table = data.imbalance
    if table.empty:
        why = "No study compares corrections; `poseemo study parameters/studies/imbalance.yaml` does."
        return not_run("Correcting for rare classes", why)
    names = dict(zip(table["config"], _regimes(table), strict=True))
    own = replace(study, configs=[study[name] for name in names])
    largest = table.loc[table["true"].idxmax(), "class"]
    scores = own.score_table().assign(regime=lambda rows: rows["config"].map(names))
    scores = scores.set_index("metric").loc[list(METRIC_NAMES)[::-1]].reset_index()
    tables = {
        "scores": scores[["regime", "config", "metric", "mean", "sd", "low", "high", "n_seeds"]],
        "seeds": own.seed_scores().assign(regime=lambda rows: rows["config"].map(names)),
        "predicted": _predicted(own, names, largest),
    }
    twice = [name for config, name in names.items() if len(corrections(own[config])) > 1]
    figure = _corrections_figure(tables, twice, largest, own.sample)
    return Drawn(figure, _describe_corrections(tables, largest), tables)


def _regimes(table: pd.DataFrame) -> pd.Series:
    """Name each config's regime, with the config's name where two have one."""
    shared = table.groupby("regime")["config"].nunique()
    return table["regime"].where(table["regime"].map(shared) == 1, table["regime"] + " (" + table["config"] + ")")


def corrections(config) -> list[str]:
    """Name how a config corrects for rare classes."""
    values = factors.settings(config)
    kinds = {"sampler": ("sampler", "balanced"), "weights": ("class_weights", "inverse"),
             "logits": ("loss", "logit_adjustment")}  # fmt: skip
    return [name for name, (parameter, value) in kinds.items() if values[parameter] == value]


def _predicted(study: Results, names: dict[str, str], largest: str) -> pd.DataFrame:
    """Share of a class among the predictions and among the labels, for every seed; low and high are of the mean."""
    rows = []
    for config in study.configs:
        predictions = config.predictions("test")
        ends = predicted_share(predictions, config.classes, largest)[["low", "high"]]
        for seed, own in predictions_table(predictions, config.classes).groupby("seed"):
            shares = {"predicted": (own["prediction"] == largest).mean(), "true": (own["label"] == largest).mean()}
            rows.append({"regime": names[config.name], "config": config.name, "seed": seed} | shares | dict(ends))
    return pd.DataFrame(rows)


@style.in_style
def _corrections_figure(tables: dict, twice: list[str], largest: str, sample: dict):
    scores, seeds, predicted = tables["scores"], tables["seeds"], tables["predicted"]
    regimes, metrics = list(dict.fromkeys(scores["regime"])), list(dict.fromkeys(scores["metric"]))
    size = (2.4 + 2.6 * (len(metrics) + 1), 2.3 + 0.42 * len(regimes))
    fig, axes = plt.subplots(1, len(metrics) + 1, figsize=size, sharey=True, layout="constrained")
    means = predicted.groupby("regime")[["predicted", "low", "high", "true"]].mean()
    panels = [
        (scores[scores["metric"] == name].set_index("regime"), "mean", seeds[seeds["metric"] == name], "value", [],
         f"{METRIC_NAMES[name]}, %") for name in metrics
    ]  # fmt: skip
    true = [(means["true"].iloc[0], "true share", style.BLACK, "--")]
    panels.append((means, "predicted", predicted, "predicted", true, f"predicted {style.name_text(largest, 14)}, %"))
    for ax, (rows, value, own, column, lines, title) in zip(axes, panels, strict=True):
        highest = own.groupby("regime")[column].max()
        marks.limit_scores(ax, [*rows[[value, "high"]].to_numpy(float).ravel(), *highest, *(line[0] for line in lines)])
        room = 0.2 * ax.get_xlim()[1] / 100  # of a written value
        for i, regime in enumerate(regimes):
            row, colour = rows.loc[regime], style.ORANGE if regime in twice else style.BLUE
            edge = np.fmax(highest[regime], row["high"])
            beyond = next((share for share, *_ in lines if edge < share < edge + room), edge)
            marks.draw_bar(ax, i, row, value=value, colour=colour, hatch="//" * (regime in twice),
                             written="{:.1f}", beyond=beyond)  # fmt: skip
        marks.draw_seeds(ax, own[column], own["regime"].map(regimes.index))
        marks.name_rows(ax, [style.name_text(name) for name in regimes])
        marks.draw_references(ax, lines, title, levels=1)
        ax.tick_params(labelleft=ax is axes[0])
    more = " Orange, hatched: corrected twice." if twice else ""
    finish_study(fig, sample, scores["n_seeds"], title=_corrections_title(means, twice, largest),
                 note=f"Circles: single seeds.{more}")  # fmt: skip
    return fig


def _corrections_title(means: pd.DataFrame, twice: list[str], largest: str) -> str:
    name = style.name_text(largest)
    if not twice:
        share = 100 * means["true"].max()
        return f"Correcting for rare classes: the most frequent class, {name}, is {share:.0f} % of the test set"
    row = means.loc[twice[0]]
    return (
        f"Correcting twice predicts {name} for {100 * row['predicted']:.0f} % of the test set; it is true for "
        f"{100 * row['true']:.0f} %"
    )


def _describe_corrections(tables: dict[str, pd.DataFrame], largest: str) -> str:
    predicted = tables["predicted"].groupby("regime", sort=False)[["predicted", "low", "high", "true"]].mean()
    parts = []
    for regime, rows in tables["scores"].groupby("regime", sort=False):
        each = ", ".join(f"{METRIC_NAMES[row['metric']]} {interval_text(row)}" for _, row in rows.iterrows())
        parts.append(f"{regime}: {each}, {largest} predicted for {interval_text(predicted.loc[regime], 'predicted')}")
    share = percent(predicted["true"].iloc[0])
    return f"Corrections for rare classes; {largest} is true for {share}. " + "; ".join(parts)


def draw_leak(data: ReportData) -> Drawn:
    """Draw the balanced accuracy of each model under each of its splits.

    The splits have other test sets with other shares of the classes, which move accuracy and macro-F1 by themselves.

    Data: splits.
    """
    study, table = data.leakage
    if table.empty:
        why = "No model was trained under two splits; `poseemo study parameters/studies/leakage.yaml` does that."
        return not_run("How much a leaky split inflates scores", why)
    leaks = factors.leakage_table(study)[1]
    title = "The same models under several splits"
    if pair := leak_pair(data):
        leaky, clean = (f"{100 * row['mean']:.0f} %" for row in pair)
        name = style.name_text(pair[0]["model"], 24)
        title = f"A leaky split would have reported {leaky} instead of {clean} for {name}"
    return Drawn(_leak_figure(table, leaks, study, title), describe_leak(table, leaks), {"splits": table})


@style.in_style
def _leak_figure(table, leaks: dict[str, dict[str, int]], study: Results, title: str):
    splits = sorted(leaks, key=lambda split: bool(leaks[split]), reverse=True)
    rows = table.assign(order=table["split"].map(splits.index), model_order=table.groupby("model", sort=False).ngroup())
    rows = rows.sort_values(["model_order", "order"], kind="stable").to_dict("records")
    fig, ax = style.axes_or_new(None, width=8.0, height=2.3 + 0.15 * len(splits) + 0.42 * len(rows))
    for i, row in enumerate(rows):
        leaky = bool(leaks[row["split"]])
        marks.draw_bar(ax, i, row, colour=style.ORANGE if leaky else style.BLUE, hatch="//" * leaky,
                         written="{:.1f}")  # fmt: skip
        # Each test set has its own classes, so its own chance.
        ax.plot([100 * row["chance"]] * 2, [i - 0.42, i + 0.42], color=style.BLACK, linestyle=":", linewidth=1.4)
    marks.limit_scores(ax, table[["mean", "high"]])
    marks.name_rows(ax, [f"{style.name_text(row['model'], 24)}, {style.name_text(row['split'], 16)}" for row in rows])
    ax.set_title("Balanced accuracy, %. Orange, hatched: the audit found a leak in the split")
    sample = study.sample
    sizes = []
    for split in splits:
        row = table[table["split"] == split].iloc[0]
        found = sentence("leaks", leaks[split]) or "no leak"
        n = f"{count(int(row['n_clips']), sample['unit'])} in {count(int(row['n_groups']), 'group')}"
        sizes.append(f"{style.name_text(split)} ({n}): the audit found {found}.")
    note = (
        f"Test sets: {' '.join(sizes)} {style.seeds_text(table['n_seeds'])} per model. Lines: 95 % bootstrap interval "
        f"of the mean over seeds, resampled by {sample['resampled_by']}. The splits test different clips: a difference "
        "is what a leaky evaluation would have reported, not skill. Dotted: chance."
    )
    style.finish(fig, title=title, note=note, synthetic=sample["synthetic"])
    return fig


def leak_pair(data: ReportData) -> list[dict]:
    """Return the rows of one network, if possible the selected one, under a leaky and a clean split; or none."""
    study, table = data.leakage
    if table.empty:
        return []
    leaks, pairs = factors.leakage_table(study)[1], {}
    for _, rows in table.groupby("model", sort=False):
        is_leaky = rows["split"].map(lambda split: bool(leaks[split]))
        config = study[rows["config"].iloc[0]]
        if config.is_network and is_leaky.any() and not is_leaky.all():
            pairs.setdefault(config.architecture, [rows[is_leaky].iloc[0].to_dict(), rows[~is_leaky].iloc[0].to_dict()])
    return pairs.get(data.best.architecture) or next(iter(pairs.values()), [])


def describe_leak(table: pd.DataFrame, leaks: dict[str, dict[str, int]]) -> str:
    """Word the scores of the same models under several splits, and how many leaks each split has."""
    each = "; ".join(f"{row['model']}, {row['split']} split, {interval_text(row)}" for _, row in table.iterrows())
    found = "; ".join(f"{split}: {sum(kinds.values())} leaks" for split, kinds in leaks.items())
    return f"The same models under several splits ({found}). Balanced accuracy: {each}"
