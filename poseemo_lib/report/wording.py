"""Sentences of the report, made from runs: every number in them is computed here from what the runs left behind.

How far answers and importances can be trusted is in `trust`, what cannot be done with them in `limits`, what made the
runs in `provenance`, the published study in `published`.
Names that come from data are escaped, since the sentences end up in Markdown and HTML.
"""

import html
from collections.abc import Mapping

import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.results import Results, format_p
from poseemo_lib.analysis.statistics import MIN_GROUPS, compare_configs, compare_with_constant
from poseemo_lib.report.findings import METRIC_NAMES, higher_on_test
from poseemo_lib.report.material import Material

PERCENT = "{:.1f} %"
# What the audit counts (`audit.KINDS`).
LEAK_WORDS = {
    "source": ("recording", "recordings"),
    "group": ("group", "groups"),
    "exact": ("set of equal clips", "sets of equal clips"),
    "augmented": ("family of copies", "families of copies"),
    "near": ("near-duplicate", "near-duplicates"),
}
# How many names are listed before the rest is counted.
MOST_NAMES = 3
NO_RANKS = "No ranks: they take at least two networks, and a test of every pair of them."


def percent(share: float) -> str:
    """Write a share, 0 to 1, in percent."""
    return PERCENT.format(100 * share)


def with_interval(row: pd.Series, name: str) -> str:
    """Write a share with its interval, or why it has none.

    Parameters
    ----------
    row : Series
        `name`, low and high: shares, 0 to 1; low and high NaN where there are too few groups.
    name : str
        Where the share is.
    """
    if pd.isna(row[name]):
        return "not defined"
    if pd.isna(row["low"]):
        return f"{percent(row[name])} (no interval: too few groups)"
    return f"{percent(row[name])} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"


def _score(config: ConfigRuns, metric: str) -> pd.Series:
    return config.scores.scores.set_index("metric").loc[metric]


def _with_interval(config: ConfigRuns, metric: str) -> str:
    return with_interval(_score(config, metric), "mean")


def _majority(results: Results) -> ConfigRuns | None:
    return next((config for config in results.configs if config.architecture == "majority"), None)


def opening(material: Material) -> str:
    """Answer first: the network that validation chooses, its scores, and what they are to be held against.

    Parameters
    ----------
    material : Material

    Returns
    -------
    str
        Markdown, a paragraph a line: warnings about the data and the runs, then at most six lines.
    """
    best = material.best
    lines = [_answer(material.main), *_against_baselines(material), *higher_on_test(material.main, material.tests)]
    if best.leaks:
        lines = [f"On a leaky split, so no estimate of anything: {line}" for line in lines]
    return "\n\n".join([*_warnings(material.results), *lines, _rests_on(best)])


def _warnings(results: Results) -> list[str]:
    """Say what a reader must know before any number."""
    lines = []
    if results.synthetic:
        lines.append(
            '<div class="warning"><b>Synthetic data.</b> The clips are drawn, not filmed. They show that the system '
            "works; they say nothing about people.</div>"
        )
    if leaky := [config for config in results.configs if config.leaks]:
        who = "These runs were" if len(leaky) == len(results.configs) else f"Some runs ({_names(leaky)}) were"
        lines.append(
            f'<div class="warning"><b>Leaky split.</b> {who} allowed to train on a split with leaks '
            f"({found_by_audit(results.leaks)}). Their scores are too high and no estimate of anything.</div>"
        )
    if results.incomplete:
        names = ", ".join(html.escape(name) for name in results.incomplete[:MOST_NAMES])
        left = len(results.incomplete) - MOST_NAMES
        lines.append(f"**Not run, or not complete**, and left out: {names}{f' and {left} more' if left > 0 else ''}.")
    return lines


def _answer(part: Results) -> str:
    best = part.best()
    return (
        f"**{html.escape(best.name)}**, chosen {_among(part)}, reaches a macro-F1 of "
        f"**{_with_interval(best, 'macro_f1')}** and a balanced accuracy of "
        f"**{_with_interval(best, 'balanced_accuracy')}** (chance {percent(best.chance)}) on the test part. "
        f"Its accuracy is {_with_interval(best, 'accuracy')}."
    )


def _against_baselines(material: Material) -> list[str]:
    """Hold the chosen config against always answering the largest class, and against the strongest other baseline."""
    best, majority = material.best, _majority(material.main)
    lines = [] if majority is None else [_largest_class(majority)]
    if best.is_baseline:
        return lines
    rows = baseline_tests(material).to_dict("records")
    floor = [row for row in rows if material.results[row["b"]].is_majority]
    others = [row for row in rows if row not in floor]
    lines = [f"{lines[0]} {_brief(floor[0])}"] if floor else [*lines, against_chance(material.main)]
    if not others:
        return [*lines, "No other baseline was run."] if floor else lines
    # That with the highest score on the test part: the hardest to be ahead of.
    strongest = min(others, key=lambda row: row["difference"])
    score = percent(_score(material.results[strongest["b"]], strongest["metric"])["mean"])
    name = METRIC_NAMES[strongest["metric"]]
    return [*lines, f"Strongest other baseline: {html.escape(strongest['b'])}, {name} {score}. {_brief(strongest)}"]


def _brief(row: Mapping) -> str:
    """Say what a row of :func:`baseline_tests` supports; :func:`poseemo_lib.report.findings.pair_sentence` says more."""
    a, b, name = html.escape(row["a"]), html.escape(row["b"]), METRIC_NAMES[row["metric"]]
    points = f"{100 * row['difference']:+.1f} points [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"
    if row["significant"]:
        word = "higher" if row["difference"] > 0 else "lower"
        return f"**{a}** has a {word} {name} than **{b}** ({points}, {_holm(row)})."
    return f"**{a}** and **{b}** cannot be told apart by {name} ({points}; {_why_not(row) or _holm(row)})."


def _why_not(row: Mapping) -> str:
    """Why a comparison claims nothing, whatever its p; empty where it could."""
    if row["limit"] == "groups" and row["n_groups"] >= MIN_GROUPS:
        return "nothing is claimed where groups are not known"
    if row["limit"] == "groups":
        return f"nothing is claimed without at least {MIN_GROUPS} groups"
    return "nothing is claimed from one seed" if row["limit"] == "seeds" else ""


def _holm(row: Mapping) -> str:
    n = row["n_comparisons"]
    return _p(row["p_holm"]) + (f" after Holm's correction for {n} comparisons" if n > 1 else "")


def _p(value: float) -> str:
    text = format_p(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def baseline_tests(material: Material) -> pd.DataFrame:
    """Compare the chosen network with each baseline that was tested on the same clips.

    Parameters
    ----------
    material : Material

    Returns
    -------
    DataFrame
        Rows of :func:`poseemo_lib.analysis.statistics.compare_configs`, `a` the chosen network: those of `material.tests` where
        they are there, which they are not where all configs are held against one base. Empty without a baseline.
    """
    best, tests = material.best, material.tests
    planned = tests[(tests["family"] == "baselines") & (tests["a"] == best.name)]
    baselines = [config for config in material.main.configs if config.is_baseline]
    if len(planned) or not baselines or best.is_baseline:
        return planned
    networks = [config for config in material.main.configs if config.is_network]
    return compare_configs(
        {config.name: config.predictions("test") for config in [*networks, *baselines]},
        material.classes,
        pairs=[(best.name, config.name) for config in baselines],
        fixed=[config.name for config in baselines],
        pool=[config.name for config in networks],
    )


def _largest_class(majority: ConfigRuns) -> str:
    return (
        f"Always answering the largest class gets an accuracy of {percent(_score(majority, 'accuracy')['mean'])} "
        f"and a macro-F1 of {percent(_score(majority, 'macro_f1')['mean'])}."
    )


def _rests_on(config: ConfigRuns) -> str:
    """Say what the scores are means of and how their intervals came about."""
    over = f"means over {len(config.seeds)} seeds" if len(config.seeds) > 1 else "from one seed"
    resampled = f"resampled by {config.scores.resampled_by} ({_counted(config)})"
    return f"These scores are {over}, with 95 % intervals {resampled}."


def comparable(results: Results) -> Results:
    """Return the part of a study's configs that the best config is compared with: those tested on the same clips."""
    best = results.best()
    return next(part for part in results.parts() if any(config.name == best.name for config in part.configs))


def counted(n: int, unit: str) -> str:
    """Write a number with its unit: `1 seed`, `3 seeds`."""
    return f"{n} {unit}{'s' * (n != 1)}"


def found_by_audit(leaks: dict[str, int]) -> str:
    """Say what the audit found: `1 recording, 30 groups in two parts`; empty: nothing."""
    found = [f"{number} {LEAK_WORDS[kind][number != 1]}" for kind, number in leaks.items() if number]
    return f"{', '.join(found)} in two parts" if found else ""


def _names(configs: list[ConfigRuns]) -> str:
    return ", ".join(html.escape(config.name) for config in configs)


def _among(results: Results) -> str:
    networks = sum(config.is_network for config in results.configs)
    if not networks:
        return f"by validation among {len(results.configs)} baselines (there is no network in this study)"
    return f"by validation among {networks} networks" if networks > 1 else "as the only network"


def _counted(config: ConfigRuns) -> str:
    n_clips, groups = counted(config.scores.n_clips, config.unit), counted(config.scores.n_groups, "group")
    return (
        f"{n_clips} in {groups}"
        if groups_known(config) or config.scores.n_groups == 1
        else f"{n_clips}, groups unknown"
    )


def groups_known(config: ConfigRuns) -> bool:
    """Whether its test part has groups that are more than single recordings."""
    return config.scores.resampled_by == "group"


def against_chance(results: Results) -> str:
    """Hold the best network against chance, by a test, and against the majority baseline's numbers."""
    best, majority = results.best(), _majority(results)
    networks = {config.name: config for config in results.configs if config.is_network} | {best.name: best}
    fixed = {best.name} if best.is_baseline else ()
    predictions = {name: config.predictions("test") for name, config in networks.items()}
    row = compare_with_constant(best.name, predictions, best.chance, results.classes, fixed=fixed)
    text = f"Its balanced accuracy {_beside_chance(row)}"
    if majority is None:
        text += " The majority baseline was not run."
    else:
        text += f" {_largest_class(majority)}"
    return text


def _beside_chance(row: dict) -> str:
    """Say what a row of :func:`poseemo_lib.analysis.statistics.compare_with_constant` supports."""
    if why := _why_not(row):
        return f"cannot be told from chance: {why}."
    where = ("above" if row["difference"] > 0 else "below") if row["significant"] else ""
    interval = f"{100 * row['difference']:+.1f} points [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"
    tested = f"({interval}, {_p(row['p'])}, with groups and seeds as what varies)"
    return f"is {where} chance {tested}." if where else f"cannot be told from chance {tested}."


def choice(results: Results) -> str:
    """Say how the best config was chosen, and its epochs."""
    best = comparable(results).best()
    text = f"**{html.escape(best.name)}** was chosen by its validation macro-F1, {percent(best.validation_macro_f1)}."
    epochs = [run.record["best_epoch"] for run in best.runs if run.record.get("best_epoch")]
    if not epochs:
        return text
    share, most = best.parameters["choose_after"], best.parameters["epochs"]
    when = {0: "", 0.5: ", in the second half of the schedule"}.get(
        share, f", in the last {100 * (1 - share):.0f} % of the schedule"
    )
    spread = f"{min(epochs)}" if min(epochs) == max(epochs) else f"{min(epochs)} to {max(epochs)}"
    why = ", since early ones jump" if share else ""
    return f"{text} The epoch of each run was chosen by validation too{when}{why}: epoch {spread} of at most {most}."


def not_run(kinds: dict[str, bool]) -> str:
    """Say which kinds of comparison a study does not have; kind -> whether it has."""
    missing = [kind for kind, there in kinds.items() if not there]
    return f"**Not run** in this study: {', '.join(missing)}." if missing else ""


def regimes(table: pd.DataFrame) -> str:
    """Say for each regime against imbalance how it treats the most frequent class; what was measured, no test.

    Parameters
    ----------
    table : DataFrame
        From :func:`poseemo_lib.analysis.factors.imbalance_table`.
    """
    largest = table.loc[table["true"].idxmax(), "class"]
    share = table["true"].max()
    lines = [f"The most frequent class, {html.escape(str(largest))}, is {percent(share)} of the test clips."]
    for row in table[table["class"] == largest].to_dict("records"):
        interval = f"[{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
        answered = f"the answer for {percent(row['predicted'])} of the clips" if row["predicted"] else "never answered"
        lines.append(f"- {html.escape(row['regime'])}: {answered}, recall {percent(row['recall'])} {interval}")
    return "\n".join([lines[0], "", *lines[1:]])


def caution(results: Results) -> str:
    """Say what makes the intervals of this study weak, where something does."""
    scores = results.best().scores
    lines = [
        "The intervals cover the choice of test groups, not that of seeds (their spread is the ±), nor other data."
    ]
    if any(run.fold for run in results.runs):
        lines.append(
            "Every group is tested in one fold and trains or validates in the others, so a choice between networks by "
            "validation has seen all groups; only within a fold has the test part no say. Networks of different folds "
            "were trained on mostly the same clips, so the groups' scores are not independent, and neither intervals "
            "nor tests know how much other training clips would change them (Bengio and Grandvalet 2004; Nadeau and "
            "Bengio 2003)."
        )
    if len(parts := results.parts()) > 1:
        each = "; ".join(
            f"{counted(part.configs[0].scores.n_clips, part.configs[0].unit)}: {_names(part.configs)}" for part in parts
        )
        lines.append(f"Not all configs were tested on the same clips ({each}); compare only those that were.")
    if scores.n_groups < 10 and scores.resampled_by == "group":
        lines.append(f"With {scores.n_groups} groups they are rough and probably too short.")
    if scores.resampled_by != "group":
        why = "There is one group only" if scores.n_groups == 1 else "Groups are not known"
        lines.append(
            f"{why}, so they are resampled by {scores.resampled_by} and too short where clips of one show or actor are "
            "alike."
        )
    if scores.n_seeds < 3:
        tell = "tells nothing" if scores.n_seeds == 1 else "tell little"
        lines.append(f"{counted(scores.n_seeds, 'seed').capitalize()} {tell} about the spread over seeds.")
    return " ".join(lines)


def shared_by_parts(config: ConfigRuns) -> str:
    """Say whether train, validation and test of a config's splits can share a show, an actor or content."""
    if config.leaks:
        return f"Parts share clips or groups: {found_by_audit(config.leaks)}."
    if groups_known(config):
        return "Parts share no group (`group_id`); what the dataset does not record, such as an actor, they may share."
    return "Groups are not known, so nothing says whether a show or an actor is in two parts."
