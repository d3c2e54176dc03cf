"""Report figure 09: the study on one page, for a poster."""

import numpy as np
import pandas as pd

from poseemo_lib.analysis import factors
from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.reliability import predicted_share
from poseemo_lib.analysis.results import Results
from poseemo_lib.analysis.statistics import MIN_GROUPS
from poseemo_lib.clips import EMOTIONS
from poseemo_lib.plots.infographic import Panel, Tile, Words, summary_infographic
from poseemo_lib.plots.style import LEAKY, emotion_mark, name_text, sample_text
from poseemo_lib.report.comparisons import comparisons
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn
from poseemo_lib.report.findings import groups_known
from poseemo_lib.report.provenance import provenance
from poseemo_lib.report.templates import sentence
from poseemo_lib.text import count, p_text

MOST_CONFIGS, MOST_BASELINES, MOST_NAMES = 8, 3, 4
CLEAN, TRUE = "#0072B2", "#555555"
TILE_METRICS = {"macro_f1": "macro-F1", "balanced_accuracy": "balanced accuracy"}
BAR_COLUMNS = ["name", "value", "low", "high", "colour", "hatch"]
NO_LEAK = "No network was trained on a split with a leak and on one without. See parameters/studies/leakage.yaml."
NO_DOUBLE = "No network corrected for rare classes twice. See parameters/studies/imbalance.yaml."


def draw(material: ReportData) -> Drawn:
    """Draw question, answer, scores, confusions, best and worst class, leak, double correction, limits and sources.

    Parameters
    ----------
    material : ReportData

    Returns
    -------
    Drawn
        Data: scores (of the chosen config and the majority baseline), configs, tests, confusion, classes, leak, regimes.
    """
    best, tests = material.best, material.baseline_tests
    configs, panels = configs_table(material), [class_panel(best), leak_panel(material), double_panel(material)]
    words = _words(material, tests, configs)
    figure, _ = summary_infographic(
        words,
        _tiles(material),
        configs,
        best.scores.confusion,
        best.classes,
        panels,
        synthetic=material.results.synthetic,
        leaky=bool(best.leaks),
    )
    data = {
        "scores": _score_rows(material),
        "configs": configs,
        "tests": tests,
        "confusion": pd.DataFrame(best.scores.confusion, pd.Index(best.classes, name="true"), list(best.classes)),
        **{
            name: panel.bars[BAR_COLUMNS[:4]]
            for name, panel in zip(("classes", "leak", "regimes"), panels, strict=True)
        },
    }
    return Drawn(figure, _describe(words, panels, _score_rows(material)), data)


def configs_table(material: ReportData) -> pd.DataFrame:
    """Choose the configs to draw: the majority and the best other baselines, and those of the others best by validation.

    Parameters
    ----------
    material : ReportData

    Returns
    -------
    DataFrame
        name, mean, low, high (macro-F1 on test), is_baseline, is_chosen; the highest mean first.
    """
    part = material.main
    scores = part.size_table().set_index("config")
    baselines = sorted(
        (config for config in part.configs if config.is_baseline),
        key=lambda config: (
            config.name != material.best.name,
            not config.is_majority,
            -scores.loc[config.name, "mean"],
        ),
    )
    others = sorted(
        (config for config in part.configs if not config.is_baseline),
        key=lambda config: (config.name != material.best.name, -config.validation_macro_f1),
    )
    # Either kind may take the places that the other does not need.
    n_baselines = max(MOST_BASELINES, MOST_CONFIGS - len(others))
    shown = [*baselines[:n_baselines], *others][:MOST_CONFIGS]
    table = scores.loc[[config.name for config in shown], ["is_baseline", "mean", "low", "high"]]
    table = table.assign(is_chosen=table.index == material.best.name).rename_axis("name").reset_index()
    return table.sort_values("mean", ascending=False, kind="stable", ignore_index=True)


def class_panel(config: ConfigRuns) -> Panel:
    """Show the recall of the class that is found best and of the one that is found least."""
    recall = config.scores.per_class.query("metric == 'recall'").dropna(subset="mean").set_index("class")
    names = list(dict.fromkeys([recall["mean"].idxmax(), recall["mean"].idxmin()]))
    bars = recall.loc[names, ["mean", "low", "high"]].rename(columns={"mean": "value"}).rename_axis("name")
    marks = [emotion_mark(name, config.classes)[:2] for name in names]
    bars = bars.assign(colour=[mark[0] for mark in marks], hatch=[mark[1] for mark in marks]).reset_index()
    words = [f"Found best: {name_text(names[0], 20)}", f"Least: {name_text(names[-1], 20)}"]
    if not recall["mean"].max():
        words = ["No class is found"]
    missing = len(config.classes) - len(recall)
    left_out = f" {missing} of {len(config.classes)} classes have no test clips." if missing else ""
    note = f"Recall: the share of a class that is found. Lines: 95 % intervals.{left_out}"
    return Panel("\n".join(words[: len(names)]), bars[BAR_COLUMNS], note)


def leak_panel(material: ReportData) -> Panel:
    """Show one network under a split with a leak and under one without: that of the best architecture, or the first."""
    study, table = material.leakage
    leaks = factors.leakage_table(study)[1] if len(table) else {}
    networks = table[[study[name].is_network for name in table["config"]]] if len(table) else table
    pairs = [_leaky_and_clean(rows, leaks) for _, rows in networks.groupby("model", sort=False)]
    pairs = [pair for pair in pairs if len(pair)]
    if not pairs:
        return Panel("What a leak would have reported", pd.DataFrame(columns=BAR_COLUMNS), NO_LEAK)
    own = next(
        (pair for pair in pairs if study[pair["config"].iloc[0]].architecture == material.best.architecture), pairs[0]
    )
    leaky, clean = own.to_dict("records")
    bars = own.assign(
        name=[f"{leaky['split']} split, leaks", f"{clean['split']} split, clean"],
        colour=[LEAKY, CLEAN],
        hatch=["//", ""],
    ).rename(columns={"mean": "value"})
    study_name = f"study {name_text(study.root.name, 20)}"
    n_leaks = sum(leaks[leaky["split"]].values())
    tests = comparisons(study)
    row = tests[(tests["a"] == leaky["config"]) & (tests["b"] == clean["config"]) & (tests["family"] == "splits")].iloc[
        0
    ]
    points = f"{100 * row['difference']:+.0f} [{100 * row['low']:+.0f}, {100 * row['high']:+.0f}] points"
    told = "" if row["significant"] else ", not told apart"
    note = (
        f"Balanced accuracy, {name_text(leaky['model'], 20)}, {study_name}: {points}{told}. The audit counts "
        f"{n_leaks:,} leaks."
    )
    title = f"A leaky split reports {100 * leaky['mean']:.0f} %, a clean one {100 * clean['mean']:.0f} %"
    return Panel(title, bars[BAR_COLUMNS].reset_index(drop=True), note)


def _leaky_and_clean(rows: pd.DataFrame, leaks: dict) -> pd.DataFrame:
    """Take the first split with a leak and the first without; empty where one of them is missing."""
    has = rows["split"].map(lambda split: bool(leaks[split]))
    pair = pd.concat([rows[has].head(1), rows[~has].head(1)])
    return pair if len(pair) == 2 else pair.head(0)


def double_panel(material: ReportData) -> Panel:
    """Show how often the most frequent class is true, and the answer without and with rare classes corrected twice."""
    study, table = material.imbalance
    corrected = {config: _corrections(study[config]) for config in dict.fromkeys(table["config"])}
    twice = [config for config, kinds in corrected.items() if len(kinds) > 1]
    if not twice:
        return Panel("Correcting for rare classes twice", pd.DataFrame(columns=BAR_COLUMNS), NO_DOUBLE)
    largest = table.loc[table["true"].idxmax(), "class"]
    rows = table[table["class"] == largest].set_index("config")
    plain = [config for config, kinds in corrected.items() if not kinds][:1]
    shown = [("true share", {"mean": rows.loc[twice[0], "true"], "low": np.nan, "high": np.nan})]
    for text, configs in (("answered, uncorrected", plain), ("answered, corrected twice", twice[:1])):
        shown += [
            (text, predicted_share(study[config].predictions("test"), study.classes, largest)) for config in configs
        ]
    bars = pd.DataFrame([{"name": text, **share} for text, share in shown]).rename(columns={"mean": "value"})
    colours, hatches = [TRUE, *[CLEAN] * len(plain), LEAKY], ["", *[""] * len(plain), "//"]
    name = name_text(largest, 16)
    title = f"Rare classes corrected twice: {name} is the answer for {100 * bars['value'].iloc[-1]:.0f} %"
    kinds = " and ".join(corrected[twice[0]])
    note = f"How often {name}, the most frequent class, is true or answered, with 95 % intervals. Twice: {kinds}."
    return Panel(title, bars.assign(colour=colours, hatch=hatches)[BAR_COLUMNS], note)


def _corrections(config: ConfigRuns) -> list[str]:
    """Name what a config does about rare classes."""
    values = factors.settings(config)
    kinds = {
        "sampler": values["sampler"] == "balanced",
        "weights": values["class_weights"] == "inverse",
        "logits": values["loss"] == "logit_adjustment",
    }
    return [name for name, used in kinds.items() if used]


def _score_rows(material: ReportData) -> pd.DataFrame:
    """Scores of the chosen config and of the majority baseline: config, metric, mean, low, high."""
    configs = {config.name: config for config in (material.best, _majority(material.main)) if config}
    tables = [config.scores.scores.assign(config=name) for name, config in configs.items()]
    table = pd.concat(tables, ignore_index=True)
    wanted = table["metric"].isin(["macro_f1", "balanced_accuracy", "accuracy"])
    return table.loc[wanted, ["config", "metric", "mean", "low", "high"]].reset_index(drop=True)


def _majority(part: Results) -> ConfigRuns | None:
    return next((config for config in part.configs if config.is_majority), None)


def _tiles(material: ReportData) -> list[Tile]:
    """Two scores of the chosen config, and the same two of the majority baseline where that is another config."""
    best, majority = material.best, _majority(material.main)
    tiles = [_tile(best, metric, name_text(best.name, 20), True) for metric in TILE_METRICS]
    if majority is None:
        chance = f"{100 * best.chance:.1f} %"
        return [*tiles, Tile("Chance", TILE_METRICS["balanced_accuracy"], chance, "majority baseline: not run", False)]
    if majority.name == best.name:
        return tiles
    return [*tiles, *(_tile(majority, metric, "majority baseline", False) for metric in TILE_METRICS)]


def _tile(config: ConfigRuns, metric: str, owner: str, is_chosen: bool) -> Tile:
    row = config.scores.scores.set_index("metric").loc[metric]
    interval = f"95 % interval {100 * row['low']:.1f} to {100 * row['high']:.1f}"
    note = interval if np.isfinite(row["low"]) else "no interval: too few groups"
    return Tile(owner, TILE_METRICS[metric], f"{100 * row['mean']:.1f} %", note, is_chosen)


def _words(material: ReportData, tests: pd.DataFrame, configs: pd.DataFrame) -> Words:
    best, part = material.best, material.main
    kind = "emotions" if set(best.classes) <= set(EMOTIONS) else "classes"
    every = count(len(part.configs), "model")
    shown = f"{len(configs)} of {every}" if len(configs) < len(part.configs) else every
    return Words(
        question=f"Can a network tell {len(best.classes)} {kind} from body pose alone?",
        data=_data(best, material.results.synthetic),
        answer=_answer(material, tests),
        detail=_detail(material, tests),
        bars=f"Macro-F1 of {shown}",
        confusion="Of each true class, % answered as",
        limits=_limits(best),
        sample=_sample(best, part, configs),
        provenance=_provenance(material),
    )


def _data(config: ConfigRuns, synthetic: bool) -> str:
    """Say in a line what was trained and tested on."""
    record, scores = config.runs[0].record, config.scores
    clips, folds = record["clips"], {run.fold for run in config.runs if run.fold}
    tested = f"{count(scores.n_clips, config.unit)} in {count(scores.n_groups, 'group')}"
    if folds:
        parts = f"{sum(clips.values()):,} clips; {tested} tested, each group by models trained on the others"
    else:
        parts = f"{clips['train']:,} clips to train, {clips['val']:,} to validate; tested on {tested}"
        parts += " that training has not seen" if groups_known(config) and not config.leaks else ""
    drawn = " Synthetic: the clips are drawn, not filmed, and say nothing about people." if synthetic else ""
    return f"Data: {name_text(record['dataset']['name'])}. {parts}.{drawn}"


def _answer(material: ReportData, tests: pd.DataFrame) -> str:
    """Say what the tests against the baselines support."""
    name = ("On a leaky split, no estimate: " if material.best.leaks else "") + name_text(material.best.name, 30)
    if material.best.is_baseline:
        return f"No network was run. {name} is the best baseline by validation"
    if tests.empty:
        return f"{name} is the best by validation; no baseline was run to hold it against"
    higher = tests["significant"] & (tests["difference"] > 0)
    lower = tests["significant"] & (tests["difference"] < 0)
    groups = {"is better than": higher, "is worse than": lower, "cannot be told apart from": ~tests["significant"]}
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


def _detail(material: ReportData, tests: pd.DataFrame) -> str:
    """Say how the config was chosen, and what the tests against the majority and the strongest other baseline found."""
    n = sum(config.is_network for config in material.main.configs)
    among = f"among {n} networks" if n > 1 else "as the only network" if n else "among the baselines"
    texts = [f"Chosen {among} by its macro-F1 on validation, {100 * material.best.validation_macro_f1:.1f} %."]
    is_floor = tests["b"].map(lambda name: material.results[name].is_majority).astype(bool)
    floor, others = tests[is_floor], tests[~is_floor].sort_values("difference")
    texts += [f"Macro-F1 against the majority baseline: {_test(row)}." for row in floor.head(1).to_dict("records")]
    texts += [f"Against {name_text(row['b'], 24)}, the strongest other baseline: {_test(row)}."
              for row in others.head(1).to_dict("records")]  # fmt: skip
    return " ".join(texts)


def _test(row: dict) -> str:
    points = f"{100 * row['difference']:+.1f} points [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"
    if row["limit"]:
        known = row["limit"] != "groups" or row["n_groups"] < MIN_GROUPS
        return f"{points}; nothing is claimed " + (f"from so few {row['limit']}" if known else "without known groups")
    return f"{points}, {p_text(row['p_holm'])} (Holm, {count(row['n_comparisons'], 'test')})"


def _limits(config: ConfigRuns) -> list[str]:
    accuracy = config.scores.scores.set_index("metric").loc["accuracy", "mean"]
    return [
        sentence("feeling"),
        f"Judge nobody by it: {100 * (1 - accuracy):.1f} % of its answers on the test part are wrong, and nothing was "
        "measured on other people, cameras or scenes. The EU prohibits it at work and in education, with exceptions.",
    ]


def _sample(config: ConfigRuns, part: Results, configs: pd.DataFrame) -> str:
    """Say what the numbers rest on, and which configs are drawn where not all are."""
    scores = config.scores
    text = sample_text(scores.n_clips, scores.n_groups, [scores.n_seeds], unit=config.unit,
                       resampled_by=scores.resampled_by, interval="Intervals of scores")  # fmt: skip
    if len(configs) == len(part.configs):
        return text
    return f"{text} Drawn: the majority and the strongest other baselines, and of the rest the best by validation."


def _provenance(material: ReportData) -> str:
    facts = provenance(material)
    seeds = ", ".join(map(str, sorted({run.seed for run in material.results.runs})))
    parts = {
        "Dataset": f"{facts['dataset']}, {facts['dataset hash']}",
        "seeds": seeds,
        "commit": facts["commit"],
        "poseemo": facts["poseemo"],
        "torch": facts["torch"],
        "device": facts["device"],
    }
    return "; ".join(f"{name} {text}" for name, text in parts.items()).replace("$", r"\$") + "."


def _describe(words: Words, panels: list[Panel], scores: pd.DataFrame) -> str:
    """Text for the page: question, answer, scores and what the three small pictures say."""
    said = [words.question, words.data, f"{words.answer}.", words.detail]
    each = ", ".join(f"{row['config']} {row['metric'].replace('_', ' ')} {100 * row['mean']:.1f} %"
                     for row in scores.to_dict("records"))  # fmt: skip
    shown = [f"{'; '.join(panel.title.splitlines())}{'.' if len(panel.bars) else ': not run.'}" for panel in panels]
    return " ".join([*said, f"Scores: {each}.", *shown]).replace(r"\$", "$")
