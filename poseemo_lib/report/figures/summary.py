"""Figure 09: the study on one page, for a poster."""

import numpy as np
import pandas as pd

from poseemo_lib.analysis import factors
from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.reliability import predicted_share
from poseemo_lib.analysis.statistics import MIN_GROUPS
from poseemo_lib.clips import EMOTIONS
from poseemo_lib.plots import style
from poseemo_lib.plots.style import name_text
from poseemo_lib.report.comparisons import comparisons
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn, sample_of
from poseemo_lib.report.figures.factors import corrections, leak_pair
from poseemo_lib.report.figures.poster import Panel, Tile, Words, draw_poster
from poseemo_lib.report.findings import groups_known
from poseemo_lib.report.provenance import provenance
from poseemo_lib.report.templates import sentence
from poseemo_lib.text import count, p_text, percent

MOST_CONFIGS, MOST_BASELINES, MOST_NAMES = 8, 3, 4
TILE_METRICS = {"macro_f1": "macro-F1", "balanced_accuracy": "balanced accuracy"}
BAR_COLUMNS = ["name", "value", "low", "high", "colour", "hatch"]
LIGHT = "#9CC7E3"


def draw(data: ReportData) -> Drawn:
    """Draw question, answer, scores, confusions, best and worst class, leak, double correction, limits and sources.

    Data: scores (of the selected config and the majority baseline), configs, tests, confusion, classes, leak,
    regimes.
    """
    best, tests = data.best, data.baseline_tests
    configs, panels = configs_table(data), [class_panel(best), leak_panel(data), double_panel(data)]
    words, scores = _words(data, tests, configs), _score_rows(data)
    figure = draw_poster(
        words, _tiles(data), _config_bars(configs), best.scores.confusion, best.classes, panels,
        synthetic=data.results.synthetic, leaky=bool(best.leaks),
    )  # fmt: skip
    names = zip(("classes", "leak", "regimes"), panels, strict=True)
    tables = {
        "scores": scores,
        "configs": configs,
        "tests": tests,
        "confusion": pd.DataFrame(best.scores.confusion, pd.Index(best.classes, name="true"), list(best.classes)),
        **{name: panel.bars[BAR_COLUMNS[:4]] for name, panel in names},
    }
    each = ", ".join(f"{row['config']} {row['metric'].replace('_', ' ')} {percent(row['mean'])}"
                     for row in scores.to_dict("records"))  # fmt: skip
    shown = [f"{'; '.join(panel.title.splitlines())}{'.' if len(panel.bars) else ': not run.'}" for panel in panels]
    said = [words.question, words.data, f"{words.answer}.", words.detail, f"Scores: {each}.", *shown]
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
    looks = []
    for row in configs.to_dict("records"):
        kinds = [text for text, own in (("baseline", row["is_baseline"]), ("selected", row["is_chosen"])) if own]
        colour = style.BLUE if row["is_chosen"] else style.GREY if row["is_baseline"] else LIGHT
        looks.append((", ".join([name_text(row["name"], 28), *kinds]), colour, "//" * row["is_baseline"]))
    named = pd.DataFrame(looks, columns=["name", "colour", "hatch"])
    return configs.rename(columns={"mean": "value"}).drop(columns="name").join(named)


def class_panel(config: ConfigRuns) -> Panel:
    """Show the recall of the classes with the highest and the lowest one."""
    recall = config.scores.per_class.query("metric == 'recall'").dropna(subset="mean").set_index("class")
    names = list(dict.fromkeys([recall["mean"].idxmax(), recall["mean"].idxmin()]))
    looks = [style.emotion_mark(name, config.classes)[:2] for name in names]
    bars = recall.loc[names, ["mean", "low", "high"]].rename(columns={"mean": "value"}).rename_axis("name")
    bars = bars.assign(colour=[look[0] for look in looks], hatch=[look[1] for look in looks]).reset_index()
    words = [f"Highest recall: {name_text(names[0], 20)}", f"lowest: {name_text(names[-1], 20)}"]
    title = "\n".join(words[: len(names)]) if recall["mean"].max() else "No class is found"
    missing = len(config.classes) - len(recall)
    left_out = f" {missing} of {len(config.classes)} classes have no test clips." if missing else ""
    note = f"Recall: the share of a class's clips that is predicted as that class. Lines: 95 % intervals.{left_out}"
    return Panel(title, bars[BAR_COLUMNS], note)


def leak_panel(data: ReportData) -> Panel:
    """Show one network under a split with a leak and under one without."""
    pair = leak_pair(data)
    if not pair:
        why = "No network was trained on a split with a leak and on a clean one. See parameters/studies/leakage.yaml."
        return Panel("How much a leaky split inflates scores", pd.DataFrame(columns=BAR_COLUMNS), why)
    study, (leaky, clean) = data.leakage[0], pair
    bars = pd.DataFrame(pair).rename(columns={"mean": "value"}).assign(
        name=[f"{leaky['split']} split, with a leak", f"{clean['split']} split, clean"],
        colour=[style.ORANGE, style.BLUE], hatch=["//", ""],
    )  # fmt: skip
    n_leaks = sum(factors.leakage_table(study)[1][leaky["split"]].values())
    tests = comparisons(study)
    row = tests.query("family == 'splits' and a == @leaky['config'] and b == @clean['config']").iloc[0]
    points = f"{100 * row['difference']:+.0f} [{100 * row['low']:+.0f}, {100 * row['high']:+.0f}] points"
    note = (
        f"Balanced accuracy, {name_text(leaky['model'], 20)}, study {name_text(study.root.name, 20)}: {points}"
        f"{'' if row['significant'] else ', not significant'}. The audit counts {n_leaks:,} leaks."
    )
    title = f"A leaky split would have reported {100 * leaky['mean']:.0f} % instead of {100 * clean['mean']:.0f} %"
    return Panel(title, bars[BAR_COLUMNS], note)


def double_panel(data: ReportData) -> Panel:
    """Show how often the most frequent class is true, and predicted without and with two corrections."""
    study, table = data.imbalance
    corrected = {config: corrections(study[config]) for config in dict.fromkeys(table["config"])}
    twice = [config for config, kinds in corrected.items() if len(kinds) > 1]
    if not twice:
        why = "No network was trained with two corrections for rare classes. See parameters/studies/imbalance.yaml."
        return Panel("Correcting for rare classes twice", pd.DataFrame(columns=BAR_COLUMNS), why)
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
    return Panel(title, bars[BAR_COLUMNS], note)


def _score_rows(data: ReportData) -> pd.DataFrame:
    """Scores of the selected config and of the majority baseline: config, metric, mean, low, high."""
    configs = {config.name: config for config in (data.best, data.majority) if config}
    table = pd.concat([one.scores.scores.assign(config=name) for name, one in configs.items()], ignore_index=True)
    wanted = table["metric"].isin(["macro_f1", "balanced_accuracy", "accuracy"])
    return table.loc[wanted, ["config", "metric", "mean", "low", "high"]].reset_index(drop=True)


def _tiles(data: ReportData) -> list[Tile]:
    """Two scores of the selected config, and the same two of the majority baseline where that is another config."""
    best, majority = data.best, data.majority
    tiles = [_tile(best, metric, name_text(best.name, 20), True) for metric in TILE_METRICS]
    if majority is None:
        chance = Tile("Chance", "balanced accuracy", percent(best.chance), "majority baseline: not run", False)
        return [*tiles, chance]
    if majority.name == best.name:
        return tiles
    return [*tiles, *(_tile(majority, metric, "majority baseline", False) for metric in TILE_METRICS)]


def _tile(config: ConfigRuns, metric: str, owner: str, is_chosen: bool) -> Tile:
    row = config.scores.score(metric)
    interval = f"95 % interval {100 * row['low']:.1f} to {100 * row['high']:.1f}"
    note = interval if np.isfinite(row["low"]) else "no interval: too few groups"
    return Tile(owner, TILE_METRICS[metric], percent(row["mean"]), note, is_chosen)


def _words(data: ReportData, tests: pd.DataFrame, configs: pd.DataFrame) -> Words:
    best, n_all = data.best, len(data.main.configs)
    kind = "emotions" if set(best.classes) <= set(EMOTIONS) else "classes"
    drawn = " Drawn: the majority and the strongest other baselines, and of the rest the highest on validation."
    return Words(
        question=f"Can a network recognise {len(best.classes)} {kind} from body pose alone?",
        data=_data(best, data.results.synthetic),
        answer=_answer(data, tests),
        detail=_detail(data, tests),
        bars=f"Macro-F1 of {count(n_all, 'model') if len(configs) == n_all else f'{len(configs)} of {n_all} models'}",
        confusion="Predictions, % of each true class",
        limits=_limits(best),
        sample=sample_of(best, "Intervals of scores") + drawn * (len(configs) < n_all),
        provenance=_provenance(data),
    )


def _data(config: ConfigRuns, synthetic: bool) -> str:
    """Say what was trained and tested on."""
    record, scores = config.runs[0].record, config.scores
    clips = record["clips"]
    tested = f"{count(scores.n_clips, config.unit)} in {count(scores.n_groups, 'group')}"
    if any(run.fold for run in config.runs):
        parts = f"{sum(clips.values()):,} clips; {tested} tested, each group by models trained on the others"
    else:
        parts = f"{clips['train']:,} clips to train, {clips['val']:,} to validate; tested on {tested}"
        parts += " that training has not seen" if groups_known(config) and not config.leaks else ""
    drawn = " Synthetic: the clips were generated, not filmed, and say nothing about people." if synthetic else ""
    return f"Data: {name_text(record['dataset']['name'])}. {parts}.{drawn}"


def _answer(data: ReportData, tests: pd.DataFrame) -> str:
    """Say what the tests against the baselines support."""
    name = ("On a leaky split, so no estimate: " if data.best.leaks else "") + name_text(data.best.name, 30)
    if data.best.is_baseline:
        return f"No network was run. {name} is the baseline with the highest validation score"
    if tests.empty:
        return f"{name} has the highest validation score; no baseline was run for comparison"
    sure, up = tests["significant"], tests["difference"] > 0
    groups = {"is better than": sure & up, "is worse than": sure & ~up, "does not differ significantly from": ~sure}
    named = [(verb, list(tests.loc[own, "b"])) for verb, own in groups.items() if own.any()]
    # What they are is said once.
    kinds = ["the baselines " if len(named[0][1]) > 1 else "the baseline ", *[""] * (len(named) - 1)]
    said = [f"{verb} {kind}{_listed(names)}" for kind, (verb, names) in zip(kinds, named, strict=True)]
    return f"{name} {', '.join(said[:-1])}{' but ' if len(said) > 1 else ''}{said[-1]}"


def _listed(names: list[str]) -> str:
    texts = [name_text(name, 24) for name in names[:MOST_NAMES]]
    if len(names) > MOST_NAMES:
        return f"{', '.join(texts)} and {len(names) - MOST_NAMES} more"
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def _detail(data: ReportData, tests: pd.DataFrame) -> str:
    """Say how the config was selected, and what the tests against the majority and the strongest baseline found."""
    n = sum(config.is_network for config in data.main.configs)
    among = f"among {n} networks" if n > 1 else "as the only network" if n else "among the baselines"
    texts = [f"Selected {among} by macro-F1 on validation, {percent(data.best.validation_macro_f1)}."]
    is_floor = tests["b"].map(lambda name: data.results[name].is_majority).astype(bool)
    floor, others = tests[is_floor].head(1), tests[~is_floor].sort_values("difference").head(1)
    texts += [f"Macro-F1 against the majority baseline: {_test(row)}." for row in floor.to_dict("records")]
    texts += [f"Against {name_text(row['b'], 24)}, the strongest other baseline: {_test(row)}."
              for row in others.to_dict("records")]  # fmt: skip
    return " ".join(texts)


def _test(row: dict) -> str:
    points = f"{100 * row['difference']:+.1f} points [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"
    if row["limit"]:
        known = row["limit"] != "groups" or row["n_groups"] < MIN_GROUPS
        return f"{points}; nothing is claimed " + (f"from so few {row['limit']}" if known else "without known groups")
    return f"{points}, {p_text(row['p_holm'])} (Holm, {count(row['n_comparisons'], 'test')})"


def _limits(config: ConfigRuns) -> list[str]:
    wrong = percent(1 - config.scores.score("accuracy")["mean"])
    return [
        sentence("feeling"),
        f"Do not judge anyone by it: it is wrong on {wrong} of test {config.unit}s, and nothing was measured on other "
        "people, cameras or scenes. The EU prohibits it at work and in education, with exceptions.",
    ]


def _provenance(data: ReportData) -> str:
    facts = provenance(data)
    seeds = ", ".join(map(str, sorted({run.seed for run in data.results.runs})))
    parts = {"Dataset": f"{facts['dataset']}, {facts['dataset hash']}", "seeds": seeds}
    parts |= {name: facts[name] for name in ("commit", "poseemo", "torch", "device")}
    return "; ".join(f"{name} {text}" for name, text in parts.items()).replace("$", r"\$") + "."
