"""Figure 09: the study on one page, for a poster."""

import numpy as np
import pandas as pd

from poseemo_lib.analysis import factors
from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.reliability import predicted_share
from poseemo_lib.analysis.statistics import is_skilled, not_tested
from poseemo_lib.clips import EMOTIONS
from poseemo_lib.plots import style
from poseemo_lib.plots.style import name_text
from poseemo_lib.report.comparisons import comparisons
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn, confusion_table, note_text, points_text, sample_of
from poseemo_lib.report.figures.factors import corrections, leak_pair, leak_title
from poseemo_lib.report.figures.poster import Panel, draw_poster
from poseemo_lib.report.findings import groups_known
from poseemo_lib.report.provenance import provenance
from poseemo_lib.report.templates import METRIC_NAMES
from poseemo_lib.text import count, listed, p_text, percent

MOST_CONFIGS, MOST_BASELINES, MOST_NAMES = 8, 3, 4
BAR = ["name", "value", "low", "high"]
TILE_METRICS = ("macro_f1", "balanced_accuracy")
LIGHT = "#9CC7E3"


def draw(data: ReportData) -> Drawn:
    """Draw question, answer, scores, confusions, best and worst class, leak, double correction, limits and sources.

    Data: scores (of the selected config and the majority baseline), configs, tests, confusion, classes, leak,
    regimes.
    """
    best, tests, configs, scores = data.best, data.baseline_tests, configs_table(data), data.main.score_table()
    panels = {"classes": class_panel(best), "leak": leak_panel(data), "regimes": double_panel(data)}
    words = _words(data, tests, len(configs))
    figure = draw_poster(
        words, _tiles(data), _config_bars(configs), best.scores.confusion, best.classes, list(panels.values()),
        synthetic=data.results.synthetic, leaky=bool(best.leaks),
    )  # fmt: skip
    tables = {
        "scores": scores[scores["config"].isin([best.name, data.majority and data.majority.name])],
        "configs": configs,
        "tests": tests,
        "confusion": confusion_table(best),
        **{name: panel.bars[BAR] for name, panel in panels.items() if panel.bars is not None},
    }
    each = ", ".join(f"{row['config']} {row['metric'].replace('_', ' ')} {percent(row['mean'])}"
                     for row in tables["scores"].to_dict("records"))  # fmt: skip
    shown = [f"{'; '.join(panel.title.splitlines())}{': not run' if panel.bars is None else ''}."
             for panel in panels.values()]  # fmt: skip
    said = [words["question"], words["data"], f"{words['answer']}.", words["detail"], f"Scores: {each}.", *shown]
    return Drawn(figure, " ".join(said).replace(r"\$", "$"), tables)


def configs_table(data: ReportData) -> pd.DataFrame:
    """Choose the configs to draw: majority and the strongest baselines, and of the others the highest on validation.

    The table has name, mean, low, high (macro-F1 on test), is_baseline and is_chosen, the highest mean first.
    """
    best, configs = data.best.name, data.main.configs
    scores = data.main.size_table().set_index("config")
    baselines = sorted(
        (config for config in configs if config.is_baseline),
        key=lambda config: (config.name != best, not config.is_majority, -scores.loc[config.name, "mean"]),
    )
    others = sorted(
        (config for config in configs if not config.is_baseline),
        key=lambda config: (config.name != best, -config.validation_macro_f1),
    )
    # Either kind may take the places that the other does not need.
    n_baselines = max(MOST_BASELINES, MOST_CONFIGS - len(others))
    shown = [*baselines[:n_baselines], *others][:MOST_CONFIGS]
    table = scores.loc[[config.name for config in shown], ["is_baseline", "mean", "low", "high"]]
    table = table.assign(is_chosen=table.index == best).rename_axis("name").reset_index()
    return table.sort_values("mean", ascending=False, kind="stable", ignore_index=True)


def _config_bars(configs: pd.DataFrame) -> pd.DataFrame:
    bars = configs.rename(columns={"mean": "value"})
    names = [name_text(row.name, 28) + ", baseline" * bool(row.is_baseline) + ", selected" * bool(row.is_chosen)
             for row in bars.itertuples()]  # fmt: skip
    colours = np.where(bars["is_chosen"], style.BLUE, np.where(bars["is_baseline"], style.GREY, LIGHT))
    return bars.assign(name=names, colour=colours, hatch=np.where(bars["is_baseline"], "//", ""))


def class_panel(config: ConfigRuns) -> Panel:
    """Show the recall of the classes with the highest and the lowest one."""
    recall = config.recall.dropna(subset="recall").set_index("class").rename(columns={"recall": "value"})
    names = list(dict.fromkeys([recall["value"].idxmax(), recall["value"].idxmin()]))
    colours, hatches, _ = zip(*(style.emotion_mark(name, config.classes) for name in names), strict=True)
    bars = recall.loc[names].rename_axis("name").reset_index().assign(colour=colours, hatch=hatches)
    words = [f"Highest recall: {name_text(names[0], 20)}", f"lowest: {name_text(names[-1], 20)}"]
    title = "\n".join(words[: len(names)]) if recall["value"].max() else "No class is found"
    missing = len(config.classes) - len(recall)
    left_out = f" {missing} of {len(config.classes)} classes have no test clips." if missing else ""
    note = f"Recall: the share of a class's clips that is predicted as that class. Lines: 95 % intervals.{left_out}"
    return Panel(title, bars, note)


def leak_panel(data: ReportData) -> Panel:
    """Show one network under a split with a leak and under one without."""
    pair = leak_pair(data)
    if not pair:
        why = "Not run: `poseemo study parameters/studies/leakage.yaml` trains a network on a leaky split."
        return Panel("How much a leaky split inflates scores", None, why)
    study, (leaky, clean) = data.leakage[0], pair
    bars = pd.DataFrame(pair).rename(columns={"mean": "value"}).assign(
        name=[f"{leaky['split']} split, with a leak", f"{clean['split']} split, clean"],
        colour=[style.ORANGE, style.BLUE], hatch=["//", ""],
    )  # fmt: skip
    n_leaks = sum(factors.leakage_table(study)[1][leaky["split"]].values())
    tests = comparisons(study)
    row = tests.query("family == 'splits' and a == @leaky['config'] and b == @clean['config']").iloc[0]
    found = "" if row["significant"] else f", {not_tested([row['limit']]) or 'not significant'}"
    note = (
        f"Balanced accuracy, {name_text(leaky['model'], 20)}, study {name_text(study.root.name, 20)}: "
        f"{points_text(row)} points{found}. The audit counts {n_leaks:,} leaks."
    )
    return Panel(leak_title(pair), bars, note)


def double_panel(data: ReportData) -> Panel:
    """Show how often the most frequent class is true, and predicted without and with two corrections."""
    study, table = data.imbalance
    corrected = {config: corrections(study[config]) for config in dict.fromkeys(table["config"])}
    twice = [config for config, kinds in corrected.items() if len(kinds) > 1]
    if not twice:
        why = "Not run: `poseemo study parameters/studies/imbalance.yaml` corrects for rare classes twice."
        return Panel("Correcting for rare classes twice", None, why)
    largest = table.loc[table["true"].idxmax(), "class"]
    true = table[table["class"] == largest].set_index("config").loc[twice[0], "true"]
    rows = [{"name": "true share", "mean": true, "low": np.nan, "high": np.nan, "colour": style.DARK, "hatch": ""}]
    plain = [config for config, kinds in corrected.items() if not kinds][:1]
    for text, configs, colour, hatch in (
        ("predicted, uncorrected", plain, style.BLUE, ""),
        ("predicted, corrected twice", twice[:1], style.ORANGE, "//"),
    ):  # fmt: skip
        for config in configs:
            share = predicted_share(study[config].predictions("test"), study.classes, largest)
            rows.append({"name": text, **share, "colour": colour, "hatch": hatch})
    bars, name = pd.DataFrame(rows).rename(columns={"mean": "value"}), name_text(largest, 16)
    title = f"Correcting twice predicts {name} for {100 * bars['value'].iloc[-1]:.0f} %, true for {100 * true:.0f} %"
    kinds = " and ".join(corrected[twice[0]])
    note = f"How often {name}, the most frequent class, is true or predicted, with 95 % intervals. Twice: {kinds}."
    return Panel(title, bars, note)


def _tiles(data: ReportData) -> list[tuple[str, str, str, str, bool]]:
    """Two scores of the selected config, and the same two of the majority baseline where that is another config."""
    best, majority = data.best, data.majority
    tiles = [_tile(best, metric, name_text(best.name, 20), True) for metric in TILE_METRICS]
    if majority is None:
        return [*tiles, ("Chance", "balanced accuracy", percent(best.chance), "majority baseline: not run", False)]
    if majority.name == best.name:
        return tiles
    return [*tiles, *(_tile(majority, metric, "majority baseline", False) for metric in TILE_METRICS)]


def _tile(config: ConfigRuns, metric: str, owner: str, is_chosen: bool) -> tuple[str, str, str, str, bool]:
    row = config.scores.score(metric)
    interval = f"95 % interval {100 * row['low']:.1f} to {100 * row['high']:.1f}"
    note = interval if np.isfinite(row["low"]) else "no interval: too few groups"
    return owner, METRIC_NAMES[metric], percent(row["mean"]), note, is_chosen


def _words(data: ReportData, tests: pd.DataFrame, n_drawn: int) -> dict[str, str]:
    best, n_all = data.best, len(data.main.configs)
    kind = "emotions" if set(best.classes) <= set(EMOTIONS) else "classes"
    drawn = " Drawn: the majority and the strongest other baselines, and of the rest the highest on validation."
    return {
        "question": f"Can a network recognise {len(best.classes)} {kind} from body pose alone?",
        "data": _data(best, data.results.synthetic),
        "answer": _answer(data, tests),
        "detail": _detail(data, tests),
        "bars": f"Macro-F1 of {count(n_all, 'model') if n_drawn == n_all else f'{n_drawn} of {n_all} models'}",
        "confusion": "Predictions, % of each true class",
        "limits": note_text("poster limits", wrong=1 - best.scores.score("accuracy")["mean"], unit=best.unit),
        "sample": f"{sample_of(best, 'Intervals of scores')}{drawn * (n_drawn < n_all)} {_provenance(data)}",
    }


def _data(config: ConfigRuns, synthetic: bool) -> str:
    """Say what was trained and tested on."""
    record, scores = config.runs[0].record, config.scores
    return note_text(
        "poster data", name=name_text(record["dataset"]["name"]), clips=record["clips"], n_clips=scores.n_clips,
        n_groups=scores.n_groups, unit=config.unit, folds=any(run.fold for run in config.runs),
        known=groups_known(config), unseen=groups_known(config) and not config.leaks, synthetic=synthetic,
    )  # fmt: skip


def _answer(data: ReportData, tests: pd.DataFrame) -> str:
    """Say what the tests against the baselines support."""
    name = ("On a leaky split, so no estimate: " if data.best.leaks else "") + name_text(data.best.name, 30)
    if data.best.is_baseline:
        return f"No network was run. {name} is the baseline with the highest validation score"
    guessing = f"{name} is {'' if is_skilled(data.skill) else 'not shown to be '}better than guessing"
    if limit := not_tested(row["limit"] for row in data.skill):
        return f"The skill of {name} is {limit}"
    if tests.empty:
        return guessing
    sure, up = tests["significant"], tests["difference"] > 0
    groups = {"is better than": sure & up, "is worse than": sure & ~up, "does not differ significantly from": ~sure}
    named = [(verb, list(tests.loc[own, "b"])) for verb, own in groups.items() if own.any()]
    # What they are is said once.
    kinds = ["the baselines " if len(named[0][1]) > 1 else "the baseline ", *[""] * (len(named) - 1)]
    said = [f"{verb} {kind}{_listed(names)}" for kind, (verb, names) in zip(kinds, named, strict=True)]
    return f"{guessing}; it {', '.join(said[:-1])}{' but ' if len(said) > 1 else ''}{said[-1]}"


def _listed(names: list[str]) -> str:
    text = listed([name_text(name, 24) for name in names], MOST_NAMES)
    return text if len(names) > MOST_NAMES else " and ".join(text.rsplit(", ", 1))


def _detail(data: ReportData, tests: pd.DataFrame) -> str:
    """Say how the config was selected, and what the tests against chance and the strongest baseline found."""
    n = sum(config.is_network for config in data.main.configs)
    among = f"among {n} networks" if n > 1 else "as the only network" if n else "among the baselines"
    texts = [f"Selected {among} by macro-F1 on validation, {percent(data.best.validation_macro_f1)}."]
    texts += [f"Balanced accuracy against chance: {_test(row)}." for row in data.skill[:1]]
    texts += [f"Macro-F1 against {name_text(row['b'], 24)}, the strongest baseline: {_test(row)}."
              for row in tests.sort_values("difference").head(1).to_dict("records")]  # fmt: skip
    return " ".join(texts)


def _test(row: dict) -> str:
    points = f"{points_text(row)} points"
    if row["limit"]:
        return f"{points}; {not_tested([row['limit']])}"
    return f"{points}, {p_text(row['p_holm'])} (Holm, {count(row['n_comparisons'], 'test')})"


def _provenance(data: ReportData) -> str:
    facts = provenance(data)
    seeds = ", ".join(map(str, sorted({run.seed for run in data.results.runs})))
    parts = {"Dataset": f"{facts['dataset']}, {facts['dataset hash']}", "seeds": seeds}
    parts |= {name: facts[name] for name in ("commit", "poseemo", "torch", "device")}
    return "; ".join(f"{name} {text}" for name, text in parts.items()).replace("$", r"\$") + "."
