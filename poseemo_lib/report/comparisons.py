"""Which configs of a study are compared by which tests.

Every comparison belongs to a family, and Holm's correction is within the family: the selected network with each
baseline, all pairs of networks, every config with one base, and one model under two splits.
"""

from itertools import combinations

import pandas as pd

from poseemo_lib.analysis.configs import ENSEMBLE, ConfigRuns, selected
from poseemo_lib.analysis.factors import BUG, FIX, imbalance_configs, imbalance_regime, split_groups, split_name
from poseemo_lib.analysis.results import Results
from poseemo_lib.analysis.statistics import (
    GUESSERS,
    RECALL,
    adjusted,
    compare_apart,
    compare_configs,
    compare_with_guess,
)


def comparisons(results: Results, base: str | None = None) -> pd.DataFrame:
    """Make the comparisons by macro-F1 that a study calls for; splits are compared by balanced accuracy.

    With `base`, the name of a config, every other config tested on the same clips is compared with it, and nothing else
    but splits: a few planned comparisons find more than all pairs do.

    Returns
    -------
    DataFrame
        As of :func:`poseemo_lib.analysis.statistics.compare_configs`, with the columns family ("guess", "baselines",
        "networks", "base", "splits") and clips (place in `Results.by_split()`; -1 for "splits").

    Raises
    ------
    UsageError
        No config is called `base`.
    """
    if base is not None:
        base = results[base].name  # raises if there is none
    tables = [
        skill(split).assign(family="guess", clips=number)
        for number, split in enumerate(results.by_split())
        if any(config.is_network for config in split.configs)
    ]
    tables += [
        _compare(split.configs, pairs).assign(family=family, clips=number)
        for number, split in enumerate(results.by_split())
        for family, pairs in _planned(split.configs, base).items()
    ]
    apart = [
        compare_apart(
            *((config.name, config.predictions("test")) for config in pair),
            results.classes,
            metric="balanced_accuracy",  # macro-F1 would change with the class frequencies of the splits alone
            fixed=[config.name for config in pair if has_no_seeds(config)],
        )
        for pair in _split_pairs(results)
    ]
    return pd.concat([*tables, adjusted(apart).assign(family="splits", clips=-1)], ignore_index=True)


def skill(split: Results) -> pd.DataFrame:
    """Compare the selected config with guessers: by balanced accuracy, macro-F1 and accuracy, as one family."""
    best = split.best()
    predictions = {config.name: config.predictions("test") for config in split.configs if config.is_network}
    return adjusted(compare_with_guess(best.name, predictions, split.classes, metric=metric) for metric in GUESSERS)


def bug_tests(study: Results) -> pd.DataFrame:
    """Compare double correction for rare classes, the published bug, with the balanced sampler alone, its fix.

    By what the bug does, as one family: the recall of the class with most test clips, and accuracy. Columns as in
    :func:`comparisons`; empty if the study lacks either config.
    """
    configs = {imbalance_regime(config): config for config in reversed(imbalance_configs(study))}
    if not {BUG, FIX} <= configs.keys():
        return adjusted([])
    pair, largest = [configs[BUG].name, configs[FIX].name], configs[FIX].predicted_shares["true"].idxmax()
    same = [config for config in study.configs if config.tested_on == configs[BUG].tested_on]
    tables = [_compare(same, [tuple(pair)], metric) for metric in (f"{RECALL}{largest}", "accuracy")]
    return adjusted(row for table in tables for row in table.to_dict("records"))


def _compare(configs: list[ConfigRuns], pairs: list[tuple[str, str]], metric: str = "macro_f1") -> pd.DataFrame:
    """Compare pairs of configs that were tested on the same clips; all networks tell how much seeds differ."""
    return compare_configs(
        {config.name: config.predictions("test") for config in configs},
        configs[0].classes,
        metric=metric,
        pairs=pairs,
        fixed={config.name for config in configs if has_no_seeds(config)},
        pool=[config.name for config in configs if config.is_network],
    )


def with_baselines(main: Results, tests: pd.DataFrame) -> pd.DataFrame:
    """Compare the selected network (`a`) with each baseline among configs that were tested on the same clips.

    Rows of `tests`, from :func:`comparisons`, are reused; with a base it has none of these.
    """
    best = main.best()
    planned = tests[(tests["family"] == "baselines") & (tests["a"] == best.name)]
    pairs = [(best.name, config.name) for config in main.configs if config.is_baseline and not config.is_blind]
    return planned if len(planned) or not pairs or best.is_baseline else _compare(main.configs, pairs)


def compare_with(a: str, b: str, main: Results, tests: pd.DataFrame) -> dict:
    """Compare two configs by macro-F1, a minus b: a row of `tests`, or one among all configs with b."""
    for row in tests[tests["metric"] == "macro_f1"].to_dict("records"):
        if (row["a"], row["b"]) == (a, b):
            return row
        if (row["a"], row["b"]) == (b, a):
            return row | {"difference": -row["difference"], "low": -row["high"], "high": -row["low"]}
    table = _compare(main.configs, [(config.name, b) for config in main.configs if config.name != b])
    return table[table["a"] == a].iloc[0].to_dict()


def has_no_seeds(config: ConfigRuns) -> bool:
    """Whether its seeds say nothing about those of networks: a baseline, or an ensemble with several seeds."""
    return config.is_baseline or (config.architecture == ENSEMBLE and len(config.seeds) > 1)


def _planned(configs: list[ConfigRuns], base: str | None) -> dict[str, list[tuple[str, str]]]:
    """Pairs of each family among configs that were tested on the same clips."""
    names = [config.name for config in configs]
    if base is not None:
        return {"base": [(name, base) for name in names if name != base]} if base in names else {}
    networks = [config.name for config in configs if not config.is_baseline]
    if not networks:
        return {}
    best = selected(configs).name
    return {
        "baselines": [(best, config.name) for config in configs if config.is_baseline and not config.is_blind],
        "networks": list(combinations(networks, 2)),
    }


def _split_pairs(results: Results) -> list[tuple[ConfigRuns, ConfigRuns]]:
    """Configs that differ in nothing but the split and have other test clips; a leaky one comes first."""
    return [
        (b, a) if b.leaks and not a.leaks else (a, b)
        for group in split_groups(results)
        for a, b in combinations(group, 2)
        if a.tested_on != b.tested_on and split_name(a) != split_name(b)
    ]
