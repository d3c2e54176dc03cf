"""Comparison plots: the variations of deep_residual (scores, then details), and its default config in detail."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.results import SHOWN_METRICS, Results
from poseemo_lib.analysis.variations import Variations, find_variations
from poseemo_lib.plots import marks, style
from poseemo_lib.plots.confusion import confusion_matrix, draw_heatmap
from poseemo_lib.plots.labels import label_points
from poseemo_lib.report.alt_texts import describe_confusion
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures import drawn
from poseemo_lib.report.figures.drawn import Drawn, interval_text, not_run
from poseemo_lib.report.figures.training_curves import curve_table, draw_training
from poseemo_lib.report.templates import METRIC_NAMES
from poseemo_lib.text import count, percent

TITLE = "Variations of deep_residual"
STUDY = "poseemo study parameters/studies/ablations.yaml"
COMMAND = f"`{STUDY}` trains the variations that this figure compares."
ALIKE = 0.1  # sizes that differ by a smaller share are drawn without a name: their points lie on each other


def draw_bars(data: ReportData) -> Drawn:
    """Draw macro-F1 of every variation of deep_residual, with single seeds and the baselines.

    Data: variations, seeds, baselines.
    """
    found = find_variations(data.studies, data.best)
    if found is None:
        return not_run(TITLE, COMMAND)
    table, seeds, baselines = found.score_table(), found.seed_table(), found.baseline_table()
    rows = table.sort_values("mean", ascending=False, kind="stable")
    each = "; ".join(f"{row['label']} {interval_text(row)}" for _, row in rows.iterrows())
    text = f"Bars of {count(len(table), 'variation')} of deep_residual. Macro-F1 with 95 % interval: {each}"
    if len(baselines):
        means = zip(baselines["name"], baselines["mean"], strict=True)
        text += f". Baselines: {'; '.join(f'{name} {percent(mean)}' for name, mean in means)}"
    tables = {"variations": table, "seeds": seeds, "baselines": baselines}
    return Drawn(_bars(rows, seeds, baselines, found), text, tables)


@style.in_style
def _bars(rows: pd.DataFrame, seeds: pd.DataFrame, baselines: pd.DataFrame, found: Variations):
    fig, ax = style.axes_or_new(None, width=9.0, height=2.5 + 0.29 * len(rows))
    plain = rows[rows["label"] == found.plain.label].iloc[0]
    lines = [(plain["mean"], style.name_text(plain["label"]), style.BLACK, ":")]
    names = drawn.names_with_seeds(rows["label"], rows["n_seeds"])
    marks.draw_bars(ax, rows.set_index("label"), names, colours=[_look(row)[0] for row in rows.to_dict("records")],
                    bold=rows["is_plain"], seeds=seeds.set_index("label")["value"], title="macro-F1, %",
                    lines=lines + marks.baseline_lines(baselines, "name"))  # fmt: skip
    note = ["Circles: single seeds. Black: the default config.", _note(found)]
    drawn.finish_study(fig, found.results, rows["n_seeds"], title=_title(rows, plain), note=note)
    return fig


def _title(rows: pd.DataFrame, plain) -> str:
    changed = rows[~rows["is_plain"]]["mean"]
    if changed.empty:
        return f"{TITLE}: only the default config was run; `{STUDY}` runs the others"
    span = f"{100 * changed.min():.1f} to {percent(changed.max())}"
    return f"{TITLE} reach {span} macro-F1; the default config has {percent(plain['mean'])}"


def _note(found: Variations) -> str:
    plain = found.plain
    return drawn.note_text(
        "variations", name=style.name_text(plain.config.name), study=style.name_text(plain.study),
        changes=list(map(style.name_text, found.changes)), several=len({row.study for row in found.rows}) > 1,
        n_commits=found.n_commits, left_out=list(map(style.name_text, found.left_out)),
    )  # fmt: skip


def _look(row) -> tuple[str, str]:
    return (style.BLACK, "D") if row["is_plain"] else (style.BLUE, "o")


def draw_details(data: ReportData) -> Drawn:
    """Draw score against size, test against validation, recall of every class and the spread over seeds.

    Data: variations, seeds, recall.
    """
    found = find_variations(data.studies, data.best)
    if found is None or len(found.rows) < 2:
        return not_run(f"{TITLE} in detail", COMMAND)
    table, seeds, recall = found.score_table(), found.seed_table(), found.recall_table()
    sizes, spread = table["n_parameters"].dropna(), table["sd"].dropna()
    ends = " to ".join(dict.fromkeys(f"{size:,.0f}" for size in (sizes.min(), sizes.max())))
    text = f"{count(len(table), 'variation')} with {ends} parameters. {_choice(table)}"
    means = recall.groupby("class")["recall"].mean().dropna()
    text += f". Lowest mean recall: {means.idxmin()}, {100 * means.min():.0f} %" if len(means) else ""
    text += f". Spread over seeds: sd up to {100 * spread.max():.1f} points" if len(spread) else ""
    tables = {"variations": table, "seeds": seeds, "recall": recall}
    return Drawn(_details(**tables, found=found), text, tables)


def _choice(table: pd.DataFrame) -> str:
    """Say which variation validation selects, and which one scores highest on test."""
    selected, highest = table.loc[table["validation"].idxmax()], table.loc[table["mean"].idxmax()]
    if selected["label"] == highest["label"]:
        return f"Validation selects {style.name_text(selected['label'])}, which is also highest on test"
    names = [f"{style.name_text(row['label'])} ({percent(row['mean'])} on test)" for row in (selected, highest)]
    return f"Validation selects {names[0]}; the highest on test is {names[1]}"


@style.in_style
def _details(variations: pd.DataFrame, seeds: pd.DataFrame, recall: pd.DataFrame, found: Variations):
    rows = variations.sort_values("mean", ascending=False, kind="stable").reset_index(drop=True)
    classes, labels = list(found.plain.config.classes), list(rows["label"])
    fig = plt.figure(figsize=(12.0, 6.8 + 0.24 * len(rows)), layout="constrained")
    grid = fig.add_gridspec(2, 2, height_ratios=(4.2, 1.2 + 0.24 * len(rows)), width_ratios=(6, 5))
    size, choice, heat, spread = (fig.add_subplot(grid[place]) for place in ((0, 0), (0, 1), (1, 0), (1, 1)))
    wide = 100 * recall.pivot(index="label", columns="class", values="recall").reindex(labels, columns=classes)
    texts = [[f"{value:.0f}" for value in row] for row in wide.to_numpy(float)]
    names = [style.name_text(name, 16) for name in classes]
    draw_heatmap(heat, wide.to_numpy(float), texts, columns=names, rows=[], fontsize=8, vmax=100)
    marks.name_rows(heat, drawn.names_with_seeds(rows["label"], rows["n_seeds"]), rows["is_plain"], 0.5, fontsize=8)
    heat.set(ylim=(len(rows), 0), title="Recall of each class, %")
    _draw_spread(spread, seeds, rows)
    named = _draw_sizes(size, rows)
    _draw_choice(choice, rows)
    note = ["Black diamonds, bold: the default config.", _note(found)]
    drawn.finish_study(fig, found.results, rows["n_seeds"], title=_choice(rows), note=note)
    strokes = [(row.n_parameters, 100 * row.low, row.n_parameters, 100 * row.high) for row in rows.itertuples()]
    label_points(size, named["n_parameters"], 100 * named["mean"], map(style.name_text, named["label"]),
                 colour=style.BLUE, strokes=strokes)  # fmt: skip
    return fig


def _draw_sizes(ax, rows: pd.DataFrame) -> pd.DataFrame:
    """Draw score against parameters; return the rows to name: those clearly smaller or larger than the default."""
    known = rows[rows["n_parameters"].astype(float) > 0].dropna(subset="mean")
    for row in known.to_dict("records"):
        colour, marker = _look(row)
        look = {"marker": marker, "markersize": 5, "width": 0.8, "vertical": True}
        marks.draw_point(ax, row["n_parameters"], row, colour=colour, **look)
    marks.scale_sizes(ax, known["n_parameters"], 1.7)
    ax.set_title("Score against size")
    usual = rows[rows["is_plain"]]["n_parameters"].max()
    return known[~((known["n_parameters"] / usual - 1).abs() < ALIKE)]


def _draw_choice(ax, rows: pd.DataFrame) -> None:
    """Draw test against validation, and mark what validation selects and what is highest on test."""
    for row in rows.to_dict("records"):
        colour, marker = _look(row)
        ax.plot(100 * row["validation"], 100 * row["mean"], marker, color=colour, markersize=5, alpha=0.8)
    least = 100 * rows[["validation", "mean"]].min(axis=None)
    ax.axline((least, least), slope=1, color="#999999", linewidth=0.8, zorder=0.5)
    selected, highest = rows.loc[rows["validation"].idxmax()], rows.loc[rows["mean"].idxmax()]
    ring = {"color": "#006D4F", "markersize": 13, "markerfacecolor": "none", "markeredgewidth": 1.3, "linestyle": ""}
    ax.plot(100 * highest["validation"], 100 * highest["mean"], "o", label="highest on test", **ring)
    ax.plot(100 * selected["validation"], 100 * selected["mean"], "*", color=style.ORANGE, markersize=13, linestyle="",
            label="selected on validation")  # fmt: skip
    ax.legend(loc="best")
    ax.set(xlabel="validation macro-F1, %", ylabel="test macro-F1, %", title="Test against validation")
    ax.grid()


def _draw_spread(ax, seeds: pd.DataFrame, rows: pd.DataFrame) -> None:
    labels = list(rows["label"])
    ends = 100 * seeds.groupby("label")["value"].agg(["min", "max"]).loc[labels]
    ax.hlines(range(len(labels)), ends["min"], ends["max"], color="#bbbbbb", linewidth=2)
    marks.draw_seeds(ax, seeds["value"], seeds["label"].map(labels.index))
    texts = [f"sd {100 * sd:.1f}" if np.isfinite(sd) else "one seed" for sd in rows["sd"]]
    marks.name_rows(ax, texts, fontsize=8)
    ax.yaxis.tick_right()
    ax.tick_params(length=0)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.grid(axis="x")
    ax.set(xlabel="macro-F1 of each seed, %", title="Spread over seeds")


def draw_default(data: ReportData) -> Drawn:
    """Draw scores, recall of every class, learning curves and confusions of the default deep_residual.

    Data: scores, seeds, recall, confusion, history.
    """
    found = find_variations(data.studies, data.best)
    if found is None:
        return not_run("deep_residual in detail", COMMAND)
    config = found.plain.config
    tables = _tables(config)
    each = ", ".join(f"{METRIC_NAMES[row['metric']]} {interval_text(row)}" for _, row in tables["scores"].iterrows())
    text = f"deep_residual, config {config.name}, {count(len(config.seeds), 'seed')}: {each}. "
    return Drawn(_default(found, tables), text + describe_confusion(config.scores.confusion, config.classes), tables)


def _tables(config: ConfigRuns) -> dict[str, pd.DataFrame]:
    scores = config.scores.scores
    return {
        "scores": scores[scores["metric"].isin(SHOWN_METRICS)].reset_index(drop=True),
        "seeds": Results(Path(), [config]).seed_scores(),
        "recall": config.recall[["class", "recall", "low", "high", "support"]].reset_index(drop=True),
        "confusion": drawn.confusion_table(config),
        "history": curve_table({config.name: config.counted_runs}),
    }


@style.in_style
def _default(found: Variations, tables: dict):
    config, classes = found.plain.config, found.plain.config.classes
    study = Results(Path(), [config])
    fig, axes = plt.subplot_mosaic(
        [["scores", "recall", "confusion"], ["loss", "f1", "confusion"]], layout="constrained",
        figsize=(9.6 + 0.55 * len(classes), 6.4 + 0.1 * len(classes)), width_ratios=(3, 3, 2.2 + 0.35 * len(classes)),
    )  # fmt: skip
    scores = tables["scores"].set_index("metric").reindex(list(METRIC_NAMES))
    names = [METRIC_NAMES[name].replace(" ", "\n") for name in scores.index]
    marks.draw_bars(axes["scores"], scores, names, colours=style.BLUE, title="Test scores, %",
                    seeds=tables["seeds"].set_index("metric")["value"])  # fmt: skip
    recall = tables["recall"].set_index("class").reindex(list(classes))
    colours, hatches, _ = zip(*(style.emotion_mark(name, classes) for name in classes), strict=True)
    names = [f"{style.name_text(name, 16)} ({row['support']:.3g})" for name, row in recall.iterrows()]
    marks.draw_bars(axes["recall"], recall, names, value="recall", colours=colours, hatches=hatches,
                    title=f"Recall of each class, % (test {config.unit}s)")  # fmt: skip
    draw_training(axes["loss"], axes["f1"], tables["history"])
    n_seeds = int(tables["scores"]["n_seeds"].max())
    confusion_matrix(config.scores.confusion, classes, synthetic=study.synthetic, leaky=bool(study.leaks),
                     title="Confusion matrix", n_seeds=n_seeds, unit=config.unit, ax=axes["confusion"])  # fmt: skip
    again = [style.name_text(f"{row.study}/{row.config.name}") for row in found.rows[1:] if not row.changes]
    note = ["Circles: single seeds. Curves: mean of the seeds, with a band over all."]
    note += [f"Changed from the defaults: {', '.join(map(style.name_text, found.changes))}."] if found.changes else []
    note += [f"The same config again, not drawn: {', '.join(again)}."] if again else []
    title = (
        f"deep_residual (config {style.name_text(config.name)} of {style.name_text(found.plain.study)}, "
        f"{config.n_parameters:,} parameters) reaches {percent(scores.loc['macro_f1', 'mean'])} macro-F1"
    )
    drawn.finish_study(fig, study, tables["scores"]["n_seeds"], title=title, note=note)
    return fig
