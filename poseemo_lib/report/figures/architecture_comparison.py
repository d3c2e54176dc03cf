"""Figure 02: scores of all configs beside the baselines and chance, and score against size."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from poseemo_lib.analysis.ranking import pareto_front
from poseemo_lib.analysis.results import SHOWN_METRICS
from poseemo_lib.plots import marks, style
from poseemo_lib.plots.labels import label_points
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn, finish_study, interval_text
from poseemo_lib.report.templates import METRIC_NAMES
from poseemo_lib.text import count, percent

ROW = 0.33  # inches


def draw(data: ReportData) -> Drawn:
    """Draw macro-F1, balanced accuracy and accuracy of all configs with intervals, and macro-F1 against size.

    Data: scores, seeds, sizes.
    """
    main, not_run = data.main, data.results.not_run
    scores, seeds, sizes = _with_not_run(main.score_table(), not_run), main.seed_scores(), main.size_table()
    text = describe(main.score_table(), sizes) + (f". Not run: {', '.join(not_run)}" if not_run else "")
    apart = _apart(data)
    fig = _figure(scores, seeds, sizes, data, apart)
    return Drawn(fig, f"{text}. {apart}".removesuffix(" "), {"scores": scores, "seeds": seeds, "sizes": sizes})


def _with_not_run(scores: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Add a row without a score for each config and metric that was not run; its number of seeds is 0."""
    empty = {"mean": np.nan, "sd": np.nan, "low": np.nan, "high": np.nan, "n_seeds": 0, "chance": np.nan}
    empty |= {"is_baseline": False, "is_majority": False}
    rows = [{"config": name, "metric": metric} | empty for name in names for metric in SHOWN_METRICS]
    return pd.concat([scores, pd.DataFrame(rows)], ignore_index=True) if rows else scores


@style.in_style
def _figure(scores, seeds, sizes, data: ReportData, apart: str):
    main = data.main
    networks = sizes[~sizes["is_baseline"].astype(bool)]
    bars = 1.5 + ROW * scores["config"].nunique()
    fig = plt.figure(figsize=(12.5, bars + (5.4 if len(networks) else 0.6)), layout="constrained")
    grid = fig.add_gridspec(2, 3, height_ratios=(bars, 4.9)) if len(networks) else fig.add_gridspec(1, 3)
    first = fig.add_subplot(grid[0, 0])
    axes = [first, *(fig.add_subplot(grid[0, i], sharey=first) for i in (1, 2))]
    ranks = main.ranks(data.tests)
    letters = dict(zip(ranks["config"], ranks["letters"].str.replace(" ", ""), strict=True))
    draw_scores(axes, scores, seeds, letters, data.best.name)
    below = fig.add_subplot(grid[1, :]) if len(networks) else None
    lost = [] if below is None else draw_sizes(below, sizes)
    n_seeds = scores.loc[scores["n_seeds"] > 0, "n_seeds"]
    note = [
        "Circles: single seeds. Bold: selected on validation.",
        "Networks that share a letter do not differ significantly." if letters else "",
        f"Not drawn against size, size or score unknown: {', '.join(lost)}." if lost else "",
        apart,
    ]
    finish_study(fig, main.sample, n_seeds, title=_title(data), note=" ".join(filter(None, note)))
    if below is not None:
        _name_networks(below, networks)
    return fig


def draw_scores(axes, scores, seeds, letters: dict[str, str], selected: str) -> None:
    """Draw a panel of bars for each metric, the highest macro-F1 first, with single seeds, chance and the baselines."""
    by_metric = {metric: scores[scores["metric"] == metric].set_index("config", drop=False) for metric in METRIC_NAMES}
    order = list(by_metric["macro_f1"].sort_values("mean", ascending=False, kind="stable").index)
    usual = scores.loc[scores["n_seeds"] > 0, "n_seeds"].mode().max()
    names = []
    for name in order:
        n = int(scores.loc[scores["config"] == name, "n_seeds"].max())
        few = f" ({count(n, 'seed')})" if n not in (0, usual) else ""
        names.append(style.name_text(name) + few + (f"  {letters[name]}" if name in letters else ""))
    for ax, (metric, rows) in zip(axes, by_metric.items(), strict=True):
        own = seeds[(seeds["metric"] == metric) & seeds["config"].isin(order)]
        highest = own.groupby("config")["value"].max()
        for i, row in enumerate(rows.reindex(order).to_dict("records")):
            if row["n_seeds"]:
                colour = style.GREY if row["is_baseline"] else style.BLUE
                beyond = highest.get(row["config"], np.nan)
                marks.draw_bar(ax, i, row, colour=colour, written="{:.1f}", beyond=beyond)
            else:
                ax.text(0.02, i, "not run", transform=ax.get_yaxis_transform(), va="center", fontsize=8)
        marks.draw_seeds(ax, own["value"], own["config"].map(order.index))
        marks.name_rows(ax, names, [name == selected for name in order])
        marks.limit_scores(ax, [*rows[["mean", "high", "chance"]].to_numpy(float).ravel(), *highest])
        lines = marks.baseline_lines(rows[rows["is_baseline"].astype(bool)])
        lines += [(share, "chance", style.BLACK, ":") for share in rows["chance"].dropna().unique()]
        marks.draw_references(ax, lines, f"{METRIC_NAMES[metric]}, %", levels=3)
        ax.tick_params(labelleft=ax is axes[0])


def draw_sizes(ax, table) -> list[str]:
    """Draw macro-F1 against parameters, with the Pareto front; return the networks of unknown size or score."""
    is_baseline = table["is_baseline"].astype(bool)
    networks, known = table[~is_baseline], _known(table[~is_baseline])
    front = known.iloc[pareto_front(known["n_parameters"], known["mean"])]
    for row in known.to_dict("records"):
        colour = style.BLACK if row["config"] in set(front["config"]) else style.BLUE
        marks.draw_point(ax, row["n_parameters"], row, colour=colour, vertical=True)
    sizes = known["n_parameters"]
    marks.scale_sizes(ax, sizes, max((sizes.max() / sizes.min()) ** 0.22, 1.6))
    if len(known):
        # No larger network beats the last one of the front.
        ends = [*front["n_parameters"], ax.get_xlim()[1]], [*front["mean"], front["mean"].iloc[-1]]
        ax.step(ends[0], 100 * np.array(ends[1]), where="post", color=style.BLACK, linewidth=1, zorder=1)
    strongest = table[is_baseline].astype({"mean": float}).nlargest(1, "mean")
    for name, mean in zip(strongest["config"], 100 * strongest["mean"], strict=True):
        ax.axhline(mean, color=style.GREY, linestyle="--", linewidth=1, zorder=0.9)
        ax.annotate(f"{style.name_text(name, 22)} {mean:.1f}", (1, mean), (-2, 2), xycoords=ax.get_yaxis_transform(),
                    textcoords="offset points", ha="right", fontsize=8, color=style.DARK)  # fmt: skip
    ax.set_title("Macro-F1 against size. Black: Pareto front; dashed: strongest baseline")
    return [style.name_text(name) for name in networks["config"] if name not in set(known["config"])]


def _known(networks: pd.DataFrame) -> pd.DataFrame:
    return networks[networks["n_parameters"].astype(float) > 0].dropna(subset="mean")


def _name_networks(ax, networks) -> None:
    rows = _known(networks)
    strokes = [(row.n_parameters, 100 * row.low, row.n_parameters, 100 * row.high) for row in rows.itertuples()]
    front = rows.iloc[pareto_front(rows["n_parameters"], rows["mean"])]
    strokes += [(*a, b[0], a[1]) for a, b in pairwise(zip(front["n_parameters"], 100 * front["mean"], strict=True))]
    strokes = [stroke for stroke in strokes if np.isfinite(stroke).all()]
    label_points(ax, rows["n_parameters"], 100 * rows["mean"], map(style.name_text, rows["config"]), strokes=strokes)


def _apart(data: ReportData) -> str:
    """Name the configs that were tested on other clips, and have no row."""
    kept = {config.name for config in data.main.configs}
    names = [style.name_text(config.name) for config in data.results.configs if config.name not in kept]
    return f"Not comparable, tested on other clips: {', '.join(names)}." if names else ""


def _title(data: ReportData) -> str:
    """Say which config was selected, its score, and which networks differ significantly."""
    best, tests = data.best, data.tests[data.tests["family"] == "networks"]
    kind = "selected on validation" if best.is_network else "the baseline with the highest validation score"
    text = f"{style.name_text(best.name)}, {kind}, reaches {percent(best.scores.score('macro_f1')['mean'])} macro-F1"
    if len(tests) == 1:
        row = tests.iloc[0]
        verb = "differ" if row["significant"] else "do not differ"
        return f"{text}; {style.name_text(row['a'])} and {style.name_text(row['b'])} {verb} significantly"
    if tests.empty:
        return text
    found = int(tests["significant"].sum())
    return f"{text}; {found or 'none'} of {len(tests)} pairs of networks differ significantly"


def describe(scores: pd.DataFrame, sizes: pd.DataFrame) -> str:
    """Word both parts of the figure: macro-F1 of every config, the networks on the Pareto front, and the rest."""
    rows = scores[scores["metric"] == "macro_f1"].sort_values("mean", ascending=False)
    each = "; ".join(f"{row['config']} {interval_text(row)}" for _, row in rows.iterrows())
    networks = _known(sizes[~sizes["is_baseline"].astype(bool)]).reset_index(drop=True)
    front = networks.loc[pareto_front(networks["n_parameters"], networks["mean"])]
    named = "; ".join(f"{row['config']}, {row['n_parameters']:,.0f} parameters" for _, row in front.iterrows())
    others = [name for name in networks["config"] if name not in set(front["config"])]
    rest = f". Not on it: {', '.join(others)}" if others else ""
    text = f"Bars of {len(rows)} configs. macro-F1 with 95 % interval: {each}. Score against size"
    return f"{text}; on the Pareto front: {named}{rest}" if len(networks) else f"Bars of {len(rows)} configs: {each}"
