"""Figure 02: scores of all configs beside baselines and chance, and against size; and a plot of the differences."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.observers import Observers
from poseemo_lib.analysis.ranking import pareto_front
from poseemo_lib.analysis.results import SHOWN_METRICS, Results
from poseemo_lib.analysis.statistics import ALPHA, adjusted, compare_configs, compare_with_guess, not_tested
from poseemo_lib.plots import marks, style
from poseemo_lib.plots.labels import label_points
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures import drawn
from poseemo_lib.report.figures.drawn import Drawn, interval_text, not_run
from poseemo_lib.report.templates import METRIC_NAMES
from poseemo_lib.text import count, percent

ROW = 0.33  # inches
TITLE = "Networks against baselines"


def draw(data: ReportData) -> Drawn:
    """Draw macro-F1, balanced accuracy and accuracy of all configs with intervals, and macro-F1 against size.

    Data: scores, seeds, sizes.
    """
    main, not_run = data.main, data.results.not_run
    scores, seeds, sizes = _with_not_run(main.score_table(), not_run), main.seed_scores(), main.size_table()
    people = drawn.observers_text(data.observers, "macro_f1")
    text = describe(main.score_table(), sizes, people) + (f". Not run: {', '.join(not_run)}" if not_run else "")
    apart = _apart(data)
    tables = {"scores": scores, "seeds": seeds, "sizes": sizes}
    return Drawn(_figure(**tables, data=data, apart=apart), f"{text}. {apart}".removesuffix(" "), tables)


def _with_not_run(scores: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Add a row without a score for each config and metric that was not run; its number of seeds is 0."""
    empty = {"n_seeds": 0, "is_baseline": False, "is_majority": False}
    rows = [{"config": name, "metric": metric} | empty for name in names for metric in SHOWN_METRICS]
    return pd.concat([scores, pd.DataFrame(rows)], ignore_index=True) if rows else scores


@style.in_style
def _figure(scores, seeds, sizes, data: ReportData, apart: str):
    main = data.main
    networks = sizes[~sizes["is_baseline"].astype(bool)]
    bars = 1.5 + ROW * scores["config"].nunique()
    places, heights = ([[*METRIC_NAMES], ["sizes"] * 3], (bars, 4.9)) if len(networks) else ([[*METRIC_NAMES]], None)
    size = (12.5, bars + (5.4 if len(networks) else 0.6))
    fig, axes = plt.subplot_mosaic(places, height_ratios=heights, figsize=size, layout="constrained")
    ranks = main.ranks(data.tests)
    letters = dict(zip(ranks["config"], ranks["letters"].str.replace(" ", ""), strict=True))
    draw_scores(axes, scores, seeds, letters, data.best.name, data.observers)
    lost = draw_sizes(axes["sizes"], sizes) if len(networks) else []
    n_seeds = scores.loc[scores["n_seeds"] > 0, "n_seeds"]
    note = [drawn.note_text("comparison", letters=letters, lost=lost, observers=data.observers), apart]
    drawn.finish_study(fig, main, n_seeds, title=_title(data), note=note)
    if len(networks):
        _name_networks(axes["sizes"], sizes)
    return fig


def draw_scores(axes, scores, seeds, letters: dict[str, str], selected: str, observers: Observers | None) -> None:
    """Draw bars for each metric, the highest macro-F1 first, with single seeds, chance, baselines and people."""
    ranked = scores[scores["metric"] == "macro_f1"].sort_values("mean", ascending=False, kind="stable")
    order = ranked["config"]
    names = drawn.names_with_seeds(order, ranked["n_seeds"])
    names = [f"{text}  {letters.get(name, '')}".strip() for name, text in zip(order, names, strict=True)]
    for metric, title in METRIC_NAMES.items():
        rows = scores[scores["metric"] == metric].set_index("config", drop=False).loc[order]
        is_baseline = rows["is_baseline"].astype(bool)
        lines = marks.baseline_lines(rows[is_baseline])
        lines += [(share, "chance", style.BLACK, ":") for share in rows["chance"].dropna().unique()]
        people = observers.scores if observers else {}
        lines += [(own.score(metric)["mean"], name, *drawn.PEOPLE[name]) for name, own in people.items()]
        colours = [style.GREY if one else style.BLUE for one in is_baseline]
        own = seeds[seeds["metric"] == metric].set_index("config")["value"]
        marks.draw_bars(axes[metric], rows, names, colours=colours, bold=order == selected, lines=lines, seeds=own,
                        title=f"{title}, %", levels=3 + len(people))  # fmt: skip
        axes[metric].tick_params(labelleft=metric == "macro_f1")


def draw_sizes(ax, table) -> list[str]:
    """Draw macro-F1 against parameters, with the Pareto front; return the networks of unknown size or score."""
    is_baseline = table["is_baseline"].astype(bool)
    networks, (known, front) = table[~is_baseline], known_sizes(table)
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


def known_sizes(sizes: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the networks whose size and score are known, and those of them on the Pareto front."""
    networks = sizes[~sizes["is_baseline"].astype(bool) & (sizes["n_parameters"] > 0)].dropna(subset="mean")
    return networks, networks.iloc[pareto_front(networks["n_parameters"], networks["mean"])]


def _name_networks(ax, sizes) -> None:
    rows, front = known_sizes(sizes)
    strokes = [(row.n_parameters, 100 * row.low, row.n_parameters, 100 * row.high) for row in rows.itertuples()]
    strokes += [(*a, b[0], a[1]) for a, b in pairwise(zip(front["n_parameters"], 100 * front["mean"], strict=True))]
    label_points(ax, rows["n_parameters"], 100 * rows["mean"], map(style.name_text, rows["config"]), strokes=strokes)


def _apart(data: ReportData) -> str:
    """Name the configs that were tested on other clips, and have no row."""
    kept = {config.name for config in data.main.configs}
    names = [style.name_text(config.name) for config in data.results.configs if config.name not in kept]
    return f"Not comparable, tested on other clips: {', '.join(names)}." if names else ""


def _title(data: ReportData) -> str:
    """Say which config was selected, its score, and which networks differ significantly."""
    best, pairs = data.best, data.tests[data.tests["family"] == "networks"]
    tests = pairs[pairs["limit"] == ""]
    kind = "selected on validation" if best.is_network else "the baseline with the highest validation score"
    text = f"{style.name_text(best.name)}, {kind}, reaches {percent(best.scores.score('macro_f1')['mean'])} macro-F1"
    if len(tests) == 1:
        row = tests.iloc[0]
        verb = "differ" if row["significant"] else "do not differ"
        return f"{text}; {style.name_text(row['a'])} and {style.name_text(row['b'])} {verb} significantly"
    if tests.empty:
        return text if pairs.empty else f"{text}; pairs of networks {not_tested(pairs['limit'])}"
    found = int(tests["significant"].sum())
    verb = "differs" if found == 1 else "differ"
    return f"{text}; {found or 'none'} of {len(tests)} pairs of networks {verb} significantly"


def describe(scores: pd.DataFrame, sizes: pd.DataFrame, people: str = "") -> str:
    """Word both parts of the figure: macro-F1 of configs and people, the networks on the Pareto front, and the rest."""
    rows = scores[scores["metric"] == "macro_f1"].sort_values("mean", ascending=False)
    each = "; ".join(f"{row['config']} {interval_text(row)}" for _, row in rows.iterrows()) + people
    networks, front = known_sizes(sizes)
    named = "; ".join(f"{row['config']}, {row['n_parameters']:,.0f} parameters" for _, row in front.iterrows())
    others = [name for name in networks["config"] if name not in set(front["config"])]
    rest = f". Not on it: {', '.join(others)}" if others else ""
    text = f"Bars of {len(rows)} configs. macro-F1 with 95 % interval: {each}. Score against size"
    return f"{text}; on the Pareto front: {named}{rest}" if len(networks) else f"Bars of {len(rows)} configs: {each}"


def draw_differences(data: ReportData) -> Drawn:
    """Draw the difference of every network from guessing by the labels' shares and from the strongest baseline.

    Data: differences.
    """
    configs = data.main.configs
    if not any(config.is_network for config in configs):
        study = "`poseemo study parameters/studies/architectures.yaml`"
        return not_run(TITLE, f"{study} runs the networks that this figure compares.")
    table = difference_table(data)
    title = _differences_title(table)
    return Drawn(_differences(table, title, data.main), _describe_differences(table, title), {"differences": table})


def difference_table(data: ReportData) -> pd.DataFrame:
    """Compare every network with guessing and the strongest baseline by macro-F1, as one family; no ensembles.

    The rows are those of :func:`poseemo_lib.analysis.statistics.compare_configs`, with the score of the network (`a`)
    and whether it was selected; the highest score comes first.
    """
    configs = data.main.configs
    scores = {config.name: float(config.scores.score("macro_f1")["mean"]) for config in configs if config.is_network}
    names = sorted(scores, key=scores.get, reverse=True)
    baselines = [config for config in configs if config.is_baseline and not config.is_blind]
    strongest = sorted(baselines, key=lambda config: -config.scores.score("macro_f1")["mean"])[:1]
    predictions = {config.name: config.predictions("test") for config in configs if config.name in names}
    rows = [compare_with_guess(name, predictions, data.classes, metric="macro_f1") for name in names]
    for config in strongest:
        pairs = [(name, config.name) for name in names]
        every = predictions | {config.name: config.predictions("test")}
        rows += compare_configs(every, data.classes, pairs=pairs, fixed=[config.name], pool=names).to_dict("records")
    table = adjusted(rows)
    return table.assign(score=table["a"].map(scores), is_chosen=table["a"] == data.best.name)


@style.in_style
def _differences(table, title: str, main: Results):
    """Forest plot: filled points where tests support a difference, open ones where they do not."""
    rows, panels = table.drop_duplicates("a"), list(table["b"].unique())
    size = (3.4 + 3.9 * len(panels), 1.9 + 0.29 * max(len(rows), 3))
    fig, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, layout="constrained", squeeze=False)
    for ax, name in zip(axes[0], panels, strict=True):
        ax.axvline(0, color="black", linewidth=1, zorder=0.9)
        for i, row in enumerate(table[table["b"] == name].to_dict("records")):
            sure = row["significant"]
            colour = (style.BLUE if row["difference"] > 0 else style.ORANGE) if sure else style.GREY
            look = {"markerfacecolor": colour if sure else "white", "markersize": 7}
            marks.draw_point(ax, i, row, value="difference", colour=colour, written="{:+.1f}", **look)
        marks.name_rows(ax, [f"{style.name_text(row.a, 30)}, {100 * row.score:.1f} %" for row in rows.itertuples()],
                        rows["is_chosen"])  # fmt: skip
        against = "guessing by the labels' shares" if name == "stratified" else style.name_text(name)
        ax.set(title=f"Against {against}", xlabel="difference, points")
        ax.tick_params(labelleft=ax is axes[0][0])
        ax.grid(axis="x")
    ends = 100 * table[["low", "difference", "high"]].to_numpy(float)
    low, high = min(np.nanmin(ends), 0), max(np.nanmax(ends), 0)
    for ax in axes[0]:
        ax.set_xlim(low - 0.05 * (high - low), high + 0.2 * (high - low) + 0.1)
    axes[0][0].set_ylabel("network, macro-F1")
    note = _differences_note(table, main.best())
    style.finish(fig, title=title, note=[note], synthetic=main.synthetic, leaky=bool(main.leaks))
    return fig


def _differences_title(table: pd.DataFrame) -> str:
    """Say what the tests support: how many networks score above which baseline, or why nothing can be claimed."""
    if (table["limit"] != "").all():
        more = " and the strongest baseline" if table["b"].nunique() > 1 else ""
        return f"Differences from guessing{more}, {not_tested(table['limit'])}"
    n = table["a"].nunique()
    found = [_counted(rows, style.name_text(name, 24)) for name, rows in table.groupby("b", sort=False)]
    return f"Of {count(n, 'network')}, {'; '.join(found)}"


def _counted(rows: pd.DataFrame, name: str) -> str:
    higher = int((rows["significant"] & (rows["difference"] > 0)).sum())
    lower = int((rows["significant"] & (rows["difference"] < 0)).sum())
    below = f", {lower} below it" if lower else ""
    verb = "score" if higher > 1 else "scores"
    return f"{higher or 'none'} {verb} significantly above {name}{below}"


def _differences_note(table: pd.DataFrame, best: ConfigRuns) -> str:
    tested = table[table["limit"] == ""]
    sizes = [f"{100 * size:.0f}" for size in tested["detectable"].agg(["min", "max"]).dropna()]
    return drawn.note_text(
        "differences", n_clips=best.scores.n_clips, unit=best.unit, n_groups=best.scores.n_groups, alpha=ALPHA,
        seeds=style.seeds_text(table["n_seeds_a"]), n=len(table), n_limited=len(table) - len(tested),
        limits=not_tested(table["limit"]), detectable=" to ".join(dict.fromkeys(sizes)),
    )  # fmt: skip


def _describe_differences(table: pd.DataFrame, title: str) -> str:
    found = [not_tested([row.limit]) or f"{'' if row.significant else 'not '}significant" for row in table.itertuples()]
    each = "; ".join(f"{row['a']} from {row['b']} {drawn.points_text(row)}, {text}"
                     for row, text in zip(table.to_dict("records"), found, strict=True))  # fmt: skip
    return f"{title}. Differences in macro-F1 in points, with 95 % interval: {each}"
