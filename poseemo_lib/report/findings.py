"""What a study found, in sentences that claim no difference which the tests do not support.

Every comparison has a family, for whose size Holm's correction is: the chosen network against each baseline, the
networks among each other, every config against one base, and one model under two splits. Names that come from data are
escaped, since the sentences end up in Markdown and HTML.
"""

import html
from collections.abc import Mapping
from itertools import combinations

import pandas as pd

from poseemo_lib.analysis.configs import ENSEMBLE, ConfigRuns, selected
from poseemo_lib.analysis.factors import split_groups, split_name
from poseemo_lib.analysis.ranking import rank_table
from poseemo_lib.analysis.results import Results, format_p
from poseemo_lib.analysis.statistics import MIN_GROUPS, adjusted, compare_apart, compare_configs

METRIC_NAMES = {"macro_f1": "macro-F1", "balanced_accuracy": "balanced accuracy", "accuracy": "accuracy"}
MOST_PAIRS = 12
# Two splits have two test parts. Macro-F1 would move with the shares of the classes in them alone.
SPLITS_METRIC = "balanced_accuracy"


def comparisons(
    results: Results, base: str | None = None, *, metric: str = "macro_f1", n_bootstrap: int = 10_000
) -> pd.DataFrame:
    """Make the comparisons that a study calls for, each family with Holm's correction of its own.

    Parameters
    ----------
    results : Results
    base : str, optional
        Name of a config. With it, every other config that was tested on the same clips is compared with it, and nothing
        else but splits: a few planned comparisons find more than all pairs do.
    metric, n_bootstrap
        See :func:`poseemo_lib.analysis.statistics.compare_configs`. The family "splits" is compared by balanced accuracy.

    Returns
    -------
    DataFrame
        As of :func:`poseemo_lib.analysis.statistics.compare_configs`, with the columns family ("baselines", "networks", "base",
        "splits") and clips: a number for each of `Results.parts()`, -1 for "splits".

    Raises
    ------
    UsageError
        There is no config called `base`.
    """
    configs = {config.name: config for config in results.configs}
    if base is not None:
        base = results[base].name  # raises where there is none
    predictions = {name: config.predictions("test") for name, config in configs.items()}
    fixed = {name for name, config in configs.items() if _stands_for_itself(config)}
    how = {"fixed": fixed, "n_bootstrap": n_bootstrap}
    tables = []
    for number, part in enumerate(results.parts()):
        for family, pairs in _planned(part.configs, base).items():
            networks = [config.name for config in part.configs if config.is_network]
            table = compare_configs(predictions, results.classes, pairs=pairs, pool=networks, metric=metric, **how)
            tables.append(table.assign(family=family, clips=number))
    apart = [
        compare_apart((a, predictions[a]), (b, predictions[b]), results.classes, metric=SPLITS_METRIC, **how)
        for a, b in _split_pairs(results)
    ]
    return pd.concat([*tables, adjusted(apart).assign(family="splits", clips=-1)], ignore_index=True)


def _stands_for_itself(config: ConfigRuns) -> bool:
    """Whether one seed of it says all: a baseline is what it is, and so is the average of all seeds of several configs.

    The single seed of another config could have been another. An ensemble of several seeds has a spread of its own.
    """
    return config.is_baseline or (config.architecture == ENSEMBLE and (config.all_seeds or len(config.seeds) > 1))


def _planned(configs: list[ConfigRuns], base: str | None) -> dict[str, list[tuple[str, str]]]:
    """Pairs of each family among configs that were tested on the same clips."""
    names = [config.name for config in configs]
    if base is not None:
        return {"base": [(name, base) for name in names if name != base]} if base in names else {}
    networks = [config for config in configs if not config.is_baseline]
    if not networks:
        return {}
    best = selected(configs).name
    return {
        "baselines": [(best, config.name) for config in configs if config.is_baseline],
        "networks": list(combinations([config.name for config in networks], 2)),
    }


def _split_pairs(results: Results) -> list[tuple[str, str]]:
    """Configs that differ in nothing but the split and have other test clips; a leaky one comes first."""
    return [
        (b.name, a.name) if b.leaks and not a.leaks else (a.name, b.name)
        for group in split_groups(results)
        for a, b in combinations(group, 2)
        if a.tested_on != b.tested_on and split_name(a) != split_name(b)
    ]


def findings(results: Results, base: str | None = None, *, table: pd.DataFrame | None = None) -> list[str]:
    """Say what a study found.

    Parameters
    ----------
    results : Results
    base : str, optional
        See :func:`comparisons`.
    table : DataFrame, optional
        From :func:`comparisons` with the same base; made here otherwise.

    Returns
    -------
    list of str
        Sentences in Markdown. That data are synthetic or a split leaks comes first.
    """
    table = comparisons(results, base) if table is None else table
    configs = {config.name: config for config in results.configs}
    sentences = _facts(results)
    if alone := [html.escape(name) for name in configs if name not in {*table["a"], *table["b"]}]:
        sentences.append(
            f"Compared with no other config, for want of one with the same test clips: {', '.join(alone)}."
        )
    for number in sorted(set(table["clips"]) - {-1}):
        here = table[table["clips"] == number]
        unit = _unit(configs[here["a"].iloc[0]])
        texts = [
            *([] if base else _against_baselines(here[here["family"] == "baselines"], configs, unit)),
            *describe_pairs(here[here["family"] == "base"], unit),
            *_among_networks(here[here["family"] == "networks"], configs, unit),
        ]
        leaky = any(configs[name].leaks for name in {*here["a"], *here["b"]})
        sentences += ["On a leaky split, so no estimate of anything: " + text if leaky else text for text in texts]
    for row in table[table["family"] == "splits"].to_dict("records"):
        sentences.append(_between_splits(row, configs))
    return sentences


def _facts(results: Results) -> list[str]:
    facts = []
    if results.synthetic:
        facts.append("The data are synthetic: drawn, not filmed. What follows says nothing about people.")
    if leaky := [html.escape(config.name) for config in results.configs if config.leaks]:
        facts.append(f"Leaky split: the scores of {', '.join(leaky)} are too high, and no estimate of anything.")
    return facts


def _unit(config: ConfigRuns) -> str:
    return f"{config.unit}s"


def pair_sentence(row: Mapping, unit: str = "clips") -> str:
    """Say of two configs which has the higher score, or that they cannot be told apart.

    Parameters
    ----------
    row : mapping
        A row of :func:`comparisons`. Only `significant` makes it a claim.
    unit : str
        What was counted: clips or recordings.

    Returns
    -------
    str
        With the difference in percentage points, its 95 % interval and p, and the numbers of clips, groups and seeds.
    """
    a, b, name = html.escape(row["a"]), html.escape(row["b"]), METRIC_NAMES[row["metric"]]
    if row["significant"]:
        word = "higher" if row["difference"] > 0 else "lower"
        return f"**{a}** has a {word} {name} than **{b}**: {_difference(row)}, {_p(row)} ({_counts(row, unit)})."
    return (
        f"**{a}** and **{b}** cannot be told apart by {name} ({_difference(row)}, {_counts(row, unit)}; {_why(row)})."
    )


def describe_pairs(table: pd.DataFrame, unit: str = "clips") -> list[str]:
    """Say of comparisons with one and the same config what they found: a sentence a difference, one for all others.

    Parameters
    ----------
    table : DataFrame
        Rows of :func:`comparisons` with one `b`.
    unit : str

    Returns
    -------
    list of str
    """
    rows = table.to_dict("records")
    sentences = [pair_sentence(row, unit) for row in rows if row["significant"]]
    rest = [row for row in rows if not row["significant"]]
    if len(rest) < 2:
        return sentences + [pair_sentence(row, unit) for row in rest]
    listed = "; ".join(f"**{html.escape(row['a'])}** ({_difference(row)}, {_counts(row, unit)})" for row in rest)
    reasons = list(dict.fromkeys(_why(row) for row in rest if row["limit"]))
    reasons += [_missed([row for row in rest if not row["limit"]])] if not all(row["limit"] for row in rest) else []
    name = METRIC_NAMES[rest[0]["metric"]]
    text = f"Cannot be told apart from **{html.escape(rest[0]['b'])}** by {name}: {listed}. "
    return [*sentences, text + _sentence("; ".join(reasons))]


def higher_on_test(part: Results, tests: pd.DataFrame) -> list[str]:
    """Say which config has a higher macro-F1 on the test part than the one that validation chooses, and how sure that is.

    Parameters
    ----------
    part : Results
        Configs that were tested on the same clips.
    tests : DataFrame
        From :func:`comparisons`; a pair that is not in it is tested here, beside all pairs with the chosen config.

    Returns
    -------
    list of str
        A sentence on the highest, in Markdown; none where no score is higher.
    """
    best = part.best().name
    scores = {config.name: config.scores.scores.set_index("metric").loc["macro_f1", "mean"] for config in part.configs}
    higher = [name for name in scores if scores[name] > scores[best]]
    if not higher:
        return []
    top = max(higher, key=scores.get)
    row, n = _row_between(top, best, part, tests), len(higher) - 1
    others = f", as {'do' if n > 1 else 'does'} {n} more" if n else ""
    told = ("" if row["significant"] else "not ") + f"significantly apart: {_why(row) if row['limit'] else _p(row)}"
    text = f"**{html.escape(top)}** scores higher on the test part{others} (macro-F1 {100 * scores[top]:.1f} %, "
    return [f"{text}{_difference(row)}; {told}): choosing it now would be choosing on test."]


def _row_between(a: str, b: str, part: Results, tests: pd.DataFrame) -> dict:
    """Take the comparison of two configs, a minus b, from a table, or make it as one of b with each other config."""
    for row in tests[tests["metric"] == "macro_f1"].to_dict("records"):
        if (row["a"], row["b"]) == (a, b):
            return row
        if (row["a"], row["b"]) == (b, a):
            return row | {"difference": -row["difference"], "low": -row["high"], "high": -row["low"]}
    configs = {config.name: config for config in part.configs}
    table = compare_configs(
        {name: config.predictions("test") for name, config in configs.items()},
        part.classes,
        pairs=[(name, b) for name in configs if name != b],
        fixed={name for name, config in configs.items() if _stands_for_itself(config)},
        pool=[name for name, config in configs.items() if config.is_network],
    )
    return table[table["a"] == a].iloc[0].to_dict()


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _difference(row: Mapping) -> str:
    return f"difference {100 * row['difference']:+.1f} points [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"


def _p(row: Mapping) -> str:
    p, n = format_p(row["p_holm"]), row["n_comparisons"]
    text = f"p {p}" if p.startswith("<") else f"p = {p}"
    return text if n == 1 else f"{text} after Holm's correction for {n} comparisons"


def _counts(row: Mapping, unit: str) -> str:
    seeds = f"{row['n_seeds_a']} and {row['n_seeds_b']} seed{'s' * (max(row['n_seeds_a'], row['n_seeds_b']) > 1)}"
    return f"{'' if row['paired'] else 'at least '}{row['n_clips']} {unit} in {row['n_groups']} groups, {seeds}"


def _why(row: Mapping) -> str:
    """Why no difference is claimed."""
    if row["limit"] == "groups" and row["n_groups"] >= MIN_GROUPS:
        return "no difference is claimed where groups are not known"
    if row["limit"] == "groups":
        return f"no difference is claimed without at least {MIN_GROUPS} groups"
    if row["limit"] == "seeds":
        return "one seed of a network ranks nothing"
    return f"{_p(row)}; {_missed([row])}"


def _missed(rows: list[Mapping]) -> str:
    sizes = [f"{100 * size:.1f}" for size in sorted(row["detectable"] for row in rows)]
    span = sizes[0] if sizes[0] == sizes[-1] else f"{sizes[0]} to {sizes[-1]}"
    return f"true differences under {span} points would often be missed"


def _against_baselines(table: pd.DataFrame, configs: dict[str, ConfigRuns], unit: str) -> list[str]:
    """Hold the chosen network against majority, and against the baseline with the best test score of the others."""
    if table.empty:
        return ["No baseline was run on these clips, so nothing says what guessing gets."]
    rows = table.to_dict("records")
    floor = [row for row in rows if configs[row["b"]].is_majority]
    others = [row for row in rows if row not in floor]
    # The best on the test part: the hardest to be ahead of.
    strongest = [min(others, key=lambda row: row["difference"])] if others else []
    sentences = [pair_sentence(row, unit) for row in floor] or ["The majority baseline was not run."]
    sentences += [f"Against the strongest baseline: {pair_sentence(row, unit)}" for row in strongest]
    if any(run.fold for run in configs[rows[0]["a"]].runs):
        name = html.escape(rows[0]["a"])
        sentences.append(
            f"**{name}** was chosen by validation over all folds, which together see every group; that favours it."
        )
    return sentences


def _among_networks(table: pd.DataFrame, configs: dict[str, ConfigRuns], unit: str) -> list[str]:
    """Say how many pairs of networks can be told apart, which ones, and which networks lie together."""
    if len(table) < 2:
        return [pair_sentence(row, unit) for row in table.to_dict("records")]
    rows = table.to_dict("records")
    names = list(dict.fromkeys([*table["a"], *table["b"]]))
    widest = max(rows, key=lambda row: abs(row["difference"]))
    found = sorted((row for row in rows if row["significant"]), key=lambda row: -abs(row["difference"]))
    name = METRIC_NAMES[widest["metric"]]
    text = f"Of {len(rows)} pairs of {len(names)} networks, {len(found) or 'none'} can be told apart by {name}. "
    if not found:
        text += "The widest difference: " + pair_sentence(widest, unit)
        return [text]
    metric = widest["metric"]
    scores = pd.Series({one: configs[one].scores.scores.set_index("metric").loc[metric, "mean"] for one in names})
    text += _letters(rank_table(scores, table))
    sentences = [text + f" ({_counts(widest, unit)}.)", *(pair_sentence(row, unit) for row in found[:MOST_PAIRS])]
    if len(found) > MOST_PAIRS:
        sentences.append(f"{len(found) - MOST_PAIRS} further pairs are in the table of comparisons.")
    return sentences


def _letters(ranks: pd.DataFrame) -> str:
    """List the groups of networks that cannot be told apart."""
    groups: dict[str, list[str]] = {}
    for row in ranks.itertuples():
        for letter in row.letters.split():
            groups.setdefault(letter, []).append(html.escape(row.config))
    listed = "; ".join(f"({letter}) {', '.join(names)}" for letter, names in groups.items())
    return f"Within a group of these, none can be told apart: {listed}."


def _between_splits(row: Mapping, configs: dict[str, ConfigRuns]) -> str:
    a, b = configs[row["a"]], configs[row["b"]]
    text = f"One model, two splits, different test clips. {pair_sentence(row, _unit(a))}"
    if row["significant"] and row["difference"] > 0 and a.leaks and not b.leaks:
        copies = ", and the leaky one has copies in it" if a.leaks.get("augmented") else ""
        text += (
            f" The split of **{html.escape(a.name)}** leaks. The two test parts differ{copies}: the difference is what "
            "such an evaluation would have reported, not skill."
        )
    return text
