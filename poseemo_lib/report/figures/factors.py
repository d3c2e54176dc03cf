"""Figures of studies that change one thing: an ablation (04), corrections for rare classes, and a leaky split."""

from dataclasses import replace

import matplotlib.pyplot as plt
import pandas as pd

from poseemo_lib.analysis import factors
from poseemo_lib.analysis.predictions import predictions_table
from poseemo_lib.analysis.reliability import predicted_share
from poseemo_lib.analysis.results import Results
from poseemo_lib.analysis.statistics import not_tested
from poseemo_lib.plots import marks, style
from poseemo_lib.report import findings
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn, finish_study, interval_text, not_run, note_text
from poseemo_lib.report.templates import METRIC_NAMES, sentence
from poseemo_lib.text import count, percent

ABLATED = (
    "hidden", "blocks", "block", "pooling", "dropout", "squeeze_excitation", "normalisation", "augmentation", "people",
)  # fmt: skip
N_COLUMNS = 3
STUDY = "`poseemo study parameters/studies/{}.yaml` runs the configs that this figure compares."


def draw_ablation(data: ReportData) -> Drawn:
    """Draw macro-F1 of every value of every factor, all else as in the base config.

    Data: ablation.
    """
    study, table = data.ablation
    if table.empty:
        return not_run("Ablation", STUDY.format("ablations"))
    own = replace(study, configs=[config for config in study.configs if config.name in set(table["config"])])
    base, changes = table[table["is_base"]].iloc[0], table[~table["is_base"]]
    each = "; ".join(f"{row['factor']} {row['value']} {interval_text(row)}" for _, row in changes.iterrows())
    text = f"Ablation, one factor at a time. Base {interval_text(base)}; {each}"
    name = f"{style.name_text(base['config'])} ({study[base['config']].architecture})"
    title = f"{count(len(changes), 'change')} to {name}"
    if "significant" in table:
        told = [f"{row['factor']} {row['value']}" for _, row in changes[changes["significant"]].iterrows()]
        limits = not_tested(changes["limit"])
        if all(changes["limit"]):
            title, text = f"{title}, one at a time: {limits}", f"{text}. Differences from the base: {limits}"
        else:
            title += f", one at a time: {len(told) or 'none'} with a significant effect on macro-F1"
            text += f". Significantly different from the base: {', '.join(told) or 'none'}"
            text += f"; some {limits}" if limits else ""
    return Drawn(_ablation_figure(table, title, own), text, {"ablation": table})


@style.in_style
def _ablation_figure(table, title: str, study: Results):
    changed = dict.fromkeys(table[~table["is_base"]]["factor"])
    shown = sorted(changed, key=lambda factor: ABLATED.index(factor) if factor in ABLATED else len(ABLATED))
    n_rows = -(-len(shown) // N_COLUMNS)
    size = (3.4 * N_COLUMNS, 1.2 + 2.3 * n_rows)
    fig, grid = plt.subplots(n_rows, N_COLUMNS, figsize=size, sharey=True, squeeze=False, layout="constrained")
    for ax in grid.ravel()[len(shown) :]:
        ax.remove()
    for ax, factor in zip(grid.ravel(), shown, strict=False):
        _draw_factor(ax, table[table["factor"] == factor])
        ax.axhline(100 * table[table["is_base"]]["mean"].iloc[0], color="black", linestyle=":", linewidth=1, zorder=0.9)
        ax.set_title(style.name_text(factor.replace("_", " ")))
    low, high = 100 * table[["mean", "low"]].min(axis=None), 100 * table[["mean", "high"]].max(axis=None)
    margin = max(0.06 * (high - low), 1)
    grid[0, 0].set_ylim(max(low - margin, 0), high + 3 * margin)
    for ax in grid[:, 0]:
        ax.set_ylabel("macro-F1, %")
    filled = "Filled: significantly different from the base (Holm-corrected); open: not, or not tested."
    missing = ", ".join(factor.replace("_", " ") for factor in ABLATED if factor not in changed)
    note = [
        "Black diamond and dotted line: the base config.",
        filled if "significant" in table else "",
        f"Not run: {missing}; `poseemo study parameters/studies/ablations.yaml` changes them too." if missing else "",
    ]
    finish_study(fig, study, table["n_seeds"], title=title, interval="Vertical lines", note=note)
    return fig


def _draw_factor(ax, rows) -> None:
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
        return not_run("Correcting for rare classes", STUDY.format("imbalance"))
    names = dict(zip(table["config"], _regimes(table), strict=True))
    own = replace(study, configs=[study[name] for name in names])
    largest = table.loc[table["true"].idxmax(), "class"]
    tables = {"scores": own.score_table(), "seeds": own.seed_scores(), "predicted": _predicted(own, largest)}
    tables = {kind: one.assign(regime=one["config"].map(names)) for kind, one in tables.items()}
    twice = [names[config.name] for config in own.configs if len(corrections(config)) > 1]
    tested = findings.bug_text(data)
    figure = _corrections_figure(tables, twice, largest, own, tested.replace("$", r"\$"))
    return Drawn(figure, f"{_describe_corrections(tables, largest)}. {tested}".removesuffix(". "), tables)


def _regimes(table: pd.DataFrame) -> pd.Series:
    """Name each config's regime, with the config's name where two have one."""
    shared = table.groupby("regime")["config"].nunique()
    return table["regime"].where(table["regime"].map(shared) == 1, table["regime"] + " (" + table["config"] + ")")


def corrections(config) -> list[str]:
    """Name how a config corrects for rare classes."""
    values = factors.settings(config)
    kinds = {"sampler": values["sampler"] == "balanced", "weights": values["class_weights"] != "none",
             "logits": values["loss"] == "logit_adjustment"}  # fmt: skip
    return [name for name, corrects in kinds.items() if corrects]


def _predicted(study: Results, largest: str) -> pd.DataFrame:
    """Share of a class among the predictions and among the labels, for every seed; low and high are of the mean."""
    rows = []
    for config in study.configs:
        predictions = config.predictions("test")
        ends = predicted_share(predictions, config.classes, largest)[["low", "high"]]
        for seed, own in predictions_table(predictions, config.classes).groupby("seed"):
            shares = {"predicted": (own["prediction"] == largest).mean(), "true": (own["label"] == largest).mean()}
            rows.append({"config": config.name, "seed": seed} | shares | dict(ends))
    return pd.DataFrame(rows)


@style.in_style
def _corrections_figure(tables: dict, twice: list[str], largest: str, study: Results, tested: str):
    scores, seeds, predicted = (table.set_index("regime") for table in tables.values())
    means = predicted.groupby(level=0, sort=False)[["predicted", "low", "high", "true"]].mean()
    size = (2.4 + 2.6 * (len(METRIC_NAMES) + 1), 2.3 + 0.42 * len(means))
    fig, axes = plt.subplots(1, len(METRIC_NAMES) + 1, figsize=size, sharey=True, layout="constrained")
    looks = {"colours": [style.ORANGE if name in twice else style.BLUE for name in means.index],
             "hatches": ["//" * (name in twice) for name in means.index], "levels": 1}  # fmt: skip
    names = [style.name_text(name) for name in means.index]
    for ax, (metric, title) in zip(axes, reversed(METRIC_NAMES.items()), strict=False):
        own = seeds[seeds["metric"] == metric]["value"]
        marks.draw_bars(ax, scores[scores["metric"] == metric], names, seeds=own, title=f"{title}, %", **looks)
    marks.draw_bars(axes[-1], means, names, value="predicted", seeds=predicted["predicted"],
                    lines=[(means["true"].iloc[0], "true share", style.BLACK, "--")],
                    title=f"predicted {style.name_text(largest, 14)}, %", **looks)  # fmt: skip
    for ax in axes[1:]:
        ax.tick_params(labelleft=False)
    note = ["Circles: single seeds.", "Orange, hatched: corrected twice." if twice else "", tested]
    finish_study(fig, study, scores["n_seeds"], title=_corrections_title(means, twice, largest), note=note)
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
    for regime, rows in tables["scores"].set_index("metric").groupby("regime", sort=False):
        each = ", ".join(f"{name} {interval_text(rows.loc[metric])}" for metric, name in METRIC_NAMES.items())
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
        return not_run("How much a leaky split inflates scores", STUDY.format("leakage"))
    leaks = factors.leakage_table(study)[1]
    title = "The same models under several splits"
    if pair := leak_pair(data):
        title = f"{leak_title(pair)} for {style.name_text(pair[0]['model'], 24)}"
    return Drawn(_leak_figure(table, leaks, study, title), describe_leak(table, leaks), {"splits": table})


@style.in_style
def _leak_figure(table, leaks: dict[str, dict[str, int]], study: Results, title: str):
    splits = sorted(leaks, key=lambda split: bool(leaks[split]), reverse=True)
    rows = table.assign(order=table["split"].map(splits.index), model_order=table.groupby("model", sort=False).ngroup())
    rows = rows.sort_values(["model_order", "order"], kind="stable", ignore_index=True)
    fig, ax = style.axes_or_new(None, width=8.0, height=2.3 + 0.15 * len(splits) + 0.42 * len(rows))
    leaky = [bool(leaks[split]) for split in rows["split"]]
    names = [f"{style.name_text(row.model, 24)}, {style.name_text(row.split, 16)}" for row in rows.itertuples()]
    marks.draw_bars(ax, rows, names, colours=[style.ORANGE if one else style.BLUE for one in leaky],
                    hatches=["//" * one for one in leaky],
                    title="Balanced accuracy, %. Orange, hatched: the audit found a leak in the split")  # fmt: skip
    # Each test set has its own classes, so its own chance.
    ax.vlines(100 * rows["chance"], rows.index - 0.42, rows.index + 0.42, color="black", linestyle=":", linewidth=1.4)
    sizes = table.groupby("split")[["n_clips", "n_groups"]].first().astype(int)
    note = note_text(
        "leak", unit=study.best().unit, resampled_by=study.best().scores.resampled_by,
        splits=[(style.name_text(split), *sizes.loc[split], sentence("leaks", leaks[split])) for split in splits],
        seeds=style.seeds_text(table["n_seeds"]),
    )  # fmt: skip
    style.finish(fig, title=title, note=[note], synthetic=study.synthetic)
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


def leak_title(pair: list[dict]) -> str:
    """Say what the leaky split of a :func:`leak_pair` would have reported."""
    return "A leaky split would have reported {:.0f} % instead of {:.0f} %".format(*(100 * row["mean"] for row in pair))


def describe_leak(table: pd.DataFrame, leaks: dict[str, dict[str, int]]) -> str:
    """Word the scores of the same models under several splits, and how many leaks each split has."""
    each = "; ".join(f"{row['model']}, {row['split']} split, {interval_text(row)}" for _, row in table.iterrows())
    found = "; ".join(f"{split}: {sum(kinds.values())} leaks" for split, kinds in leaks.items())
    return f"The same models under several splits ({found}). Balanced accuracy: {each}"
