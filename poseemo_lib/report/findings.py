"""What a report says, in Markdown: numbers from the runs, sentences from `templates/`.

A difference is claimed only where a test supports it.
"""

import html
from collections import Counter

import numpy as np
import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.ensembles import nested_selection
from poseemo_lib.analysis.predictions import predictions_table
from poseemo_lib.analysis.ranking import rank_table
from poseemo_lib.analysis.reliability import (
    abstain_threshold,
    calibration_by_class,
    calibration_errors,
    calibration_scores,
    coverage_table,
)
from poseemo_lib.analysis.results import Results
from poseemo_lib.errors import PoseemoError
from poseemo_lib.report.comparisons import compare_with
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.templates import Markup, render, sentence
from poseemo_lib.training.calibration import LEAST_GROUPS, TEMPERATURE_RANGE

NO_RANKS = "No ranks: they need at least two networks and a test of every pair."
MOST_PAIRS = 12
MOST_INPUTS = 3
# Within this share of an end of its range, a temperature counts as being at that end.
AT_END = 0.1
KIND_NAMES = {"joint": "joints", "feature": "kinds of feature", "person": "people", "time": "time spans"}


def opening(data: ReportData) -> str:
    """Write the text under the report's title: what was done, warnings, and the main result beside its baselines."""
    best, main = data.best, data.main
    strongest = _strongest([] if best.is_baseline else data.baseline_tests.to_dict("records"))
    return render(
        "opening",
        best=best,
        nested=data.nested,
        results=data.results,
        groups_known=groups_known(best),
        main=main,
        absent=[name for name, n in zip(data.classes, best.scores.confusion.sum(1), strict=True) if not n],
        skill=data.skill,
        strongest=strongest,
        strongest_score=strongest and _macro_f1(main[strongest["b"]]),
        higher=Markup(higher_on_test(main, data.tests)),
    )


def _macro_f1(config: ConfigRuns) -> float:
    return config.scores.score("macro_f1")["mean"]


def _strongest(rows) -> dict | None:
    """Pick the comparison with the best baseline on the test split, the hardest to beat."""
    return min(rows, key=lambda row: row["difference"], default=None)


def groups_known(config: ConfigRuns) -> bool:
    """Whether its test split has groups that are more than single recordings."""
    return config.scores.resampled_by == "group"


def higher_on_test(main: Results, tests: pd.DataFrame) -> str:
    """Name the config with the highest test score among configs tested on the same clips; empty if it was selected.

    A pair that `tests`, from :func:`poseemo_lib.report.comparisons.comparisons`, lacks is tested here.
    """
    best = main.best().name
    scores = {config.name: _macro_f1(config) for config in main.configs}
    higher = [name for name in scores if scores[name] > scores[best]]
    if not higher:
        return ""
    top = max(higher, key=scores.get)
    row, others = compare_with(top, best, main, tests), len(higher) - 1
    return render("higher", name=top, score=scores[top], row=row, others=others)


def pair_sentence(row, unit: str = "clip") -> str:
    """Say whether two configs differ: a row of :func:`poseemo_lib.report.comparisons.comparisons`."""
    return sentence("pair", dict(row), unit)


def findings(data: ReportData) -> str:
    """List what the tests of the study found; synthetic data and leaks come first."""
    results, tests, splits = data.results, data.tests, data.results.by_split()
    pairs = tests[tests["family"] != "guess"]
    split_pairs = []
    for row in tests[tests["family"] == "splits"].to_dict("records"):
        a, b = results[row["a"]], results[row["b"]]
        inflated = row["significant"] and row["difference"] > 0 and a.leaks and not b.leaks
        split_pairs.append(row | {"unit": a.unit, "leaky": inflated, "copies": a.leaks.get("augmented")})
    return render(
        "findings",
        results=results,
        best=data.best,
        observers=data.observers,
        alone=[one.name for one in results.configs if one.name not in {*pairs["a"], *pairs["b"]} and not one.is_blind],
        by_split=[
            _of_split(results, own) | {"nested": nested_selection(splits[number])}
            for number, own in tests.groupby("clips")
            if number >= 0
        ],
        split_pairs=split_pairs,
        most_pairs=MOST_PAIRS,
    )


def _of_split(results: Results, tests: pd.DataFrame) -> dict:
    """Sort the comparisons among configs that were tested on the same clips, for the template `findings`."""
    rows = {
        family: tests[tests["family"] == family].to_dict("records")
        for family in ("guess", "baselines", "base", "networks")
    }
    baselines, networks = rows["baselines"], rows["networks"]
    tested = [row for row in networks if not row["limit"]]
    found = sorted((row for row in networks if row["significant"]), key=lambda row: -abs(row["difference"]))
    return {
        "unit": results[tests["a"].iloc[0]].unit,
        "leaky": any(results[name].leaks for name in tests["a"].unique()),
        "base": rows["base"],
        "baselines": baselines,
        "skill": rows["guess"],
        "strongest": _strongest(baselines),
        "folds": any(run.fold for row in rows["guess"][:1] for run in results[row["a"]].runs),
        "networks": networks,
        "found": found,
        "tested": tested,
        "widest": max(tested, key=lambda row: abs(row["difference"]), default=None),
        "letters": _letters(results, networks) if found and tested == networks else {},
    }


def _letters(results: Results, networks: list[dict]) -> dict[str, list[str]]:
    """Group the networks that do not differ significantly."""
    names = dict.fromkeys(row[end] for end in ("a", "b") for row in networks)
    scores = pd.Series({name: _macro_f1(results[name]) for name in names})
    groups: dict[str, list[str]] = {}
    for row in rank_table(scores, pd.DataFrame(networks)).itertuples():
        for letter in row.letters.split():
            groups.setdefault(letter, []).append(row.config)
    return groups


def selection(data: ReportData) -> str:
    """Say how the best config and its epochs were selected."""
    best = data.best
    epochs = [run.record["best_epoch"] for run in best.runs if run.record.get("best_epoch")]
    return sentence("selection", best, epochs)


def caution(data: ReportData) -> str:
    """Say what the intervals of the study do not cover."""
    return sentence("caution", data.best.scores, data.results)


def shared_by_splits(config: ConfigRuns) -> str:
    """Say whether the splits of a config can share a show, an actor or content."""
    return sentence("shared", config.leaks, groups_known(config))


def regimes(data: ReportData) -> str:
    """Say how each regime against class imbalance treats the most frequent class, and what the published bug does."""
    study, table = data.imbalance
    if table.empty:
        return ""
    largest, share = table.loc[table["true"].idxmax(), "class"], table["true"].max()
    rows, unit = table[table["class"] == largest].to_dict("records"), study.best().unit
    return sentence("regimes", largest, share, rows, data.bug_tests.to_dict("records"), unit)


def bug_text(data: ReportData) -> str:
    """Say what the published bug does, for a figure; empty where its configs were not run."""
    said = sentence("bug", data.bug_tests.to_dict("records"), data.imbalance[0].best().unit)
    return html.unescape(said).replace("**", "")


def calibration(data: ReportData) -> str:
    """Say how far the best config's confidence can be trusted, and what abstaining gains."""
    best, errors = data.best, calibration_errors(data.best)
    fits = [best.calibration(run) for run in best.counted_runs]
    temperatures = [fit["temperature"] for fit in fits]
    raw, now = (
        predictions_table(one, best.classes)["prediction"]
        for one in (best.predictions("test"), best.calibrated("test"))
    )
    threshold = abstain_threshold(best)
    some, every = (
        coverage_table(best.calibrated("test"), best.classes, thresholds=[one]).iloc[0] for one in (threshold, 0)
    )
    return render(
        "calibration",
        best=best,
        errors=errors,
        temperatures=temperatures,
        priors=Counter(fit.get("prior", "none") for fit in fits).most_common(),
        not_fitted=sum(fit.get("fitted_on") == "nothing" for fit in fits),
        least_groups=LEAST_GROUPS,
        changed=(raw != now).mean(),
        scores=calibration_scores(best),
        by_class=calibration_by_class(best),
        at_limit=sum(bool(np.isclose(value, TEMPERATURE_RANGE, rtol=AT_END).any()) for value in temperatures),
        threshold=threshold,
        some=some,
        every=every,
    )


def importance(data: ReportData) -> str:
    """Say what the best network's predictions depend on, and how far the explanations can be trusted."""
    try:
        found = data.interpretation
    except PoseemoError as error:
        return render("importance", fault=str(error))
    if found is None:
        return render("importance", fault="", kinds=[])
    recovery = [] if found.recovery is None else found.recovery.groupby(["method", "target"], sort=False)
    kinds = []
    for kind, rows in found.importance.groupby("kind", sort=False):
        above = rows[rows["low"] > 0].sort_values("drop", ascending=False).head(MOST_INPUTS)
        kinds.append((KIND_NAMES.get(kind, kind), len(rows), above.to_dict("records")))
    return render(
        "importance",
        fault="",
        name=data.best.name,
        kinds=kinds,
        recovery=[(*names, rows.to_dict("records"), rows["chance"].mean()) for names, rows in recovery],
        similarity=found.similarity.to_dict("records"),
    )


def limits(data: ReportData, *, law: bool = True) -> str:
    """List what the model cannot do and, with `law`, where its use is unlawful."""
    return render(
        "limits",
        law=law,
        best=data.best,
        results=data.results,
        threshold=abstain_threshold(data.best),
    )
