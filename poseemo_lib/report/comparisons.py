"""Which configs of a study are compared by which tests.

Every comparison belongs to a family, and Holm's correction is within the family: the selected network with each
baseline, all pairs of networks, every config with one base, and one model under two splits.
"""

from itertools import combinations

import pandas as pd

from poseemo_lib.analysis.configs import ENSEMBLE, ConfigRuns, selected
from poseemo_lib.analysis.factors import split_groups, split_name
from poseemo_lib.analysis.results import Results
from poseemo_lib.analysis.statistics import adjusted, compare_apart, compare_configs

# Two splits have different test clips; macro-F1 would change with their class frequencies alone.
SPLITS_METRIC = "balanced_accuracy"


def comparisons(
    results: Results, base: str | None = None, *, metric: str = "macro_f1", n_bootstrap: int = 10_000
) -> pd.DataFrame:
    """Make the comparisons that a study calls for.

    With `base`, the name of a config, every other config tested on the same clips is compared with it, and nothing else
    but splits: a few planned comparisons find more than all pairs do. Splits are compared by balanced accuracy.

    Returns
    -------
    DataFrame
        As of :func:`poseemo_lib.analysis.statistics.compare_configs`, with the columns family ("baselines", "networks",
        "base", "splits") and clips (place in `Results.parts()`; -1 for "splits").

    Raises
    ------
    UsageError
        No config is called `base`.
    """
    configs = {config.name: config for config in results.configs}
    if base is not None:
        base = results[base].name  # raises if there is none
    predictions = {name: config.predictions("test") for name, config in configs.items()}
    how = {"fixed": {name for name, config in configs.items() if has_no_seeds(config)}, "n_bootstrap": n_bootstrap}
    tables = []
    for number, part in enumerate(results.parts()):
        networks = [config.name for config in part.configs if config.is_network]
        for family, pairs in _planned(part.configs, base).items():
            table = compare_configs(predictions, results.classes, pairs=pairs, pool=networks, metric=metric, **how)
            tables.append(table.assign(family=family, clips=number))
    apart = [
        compare_apart((a, predictions[a]), (b, predictions[b]), results.classes, metric=SPLITS_METRIC, **how)
        for a, b in _split_pairs(results)
    ]
    return pd.concat([*tables, adjusted(apart).assign(family="splits", clips=-1)], ignore_index=True)


def with_baselines(part: Results, tests: pd.DataFrame) -> pd.DataFrame:
    """Compare the selected network (`a`) with each baseline among configs that were tested on the same clips.

    Rows of `tests`, from :func:`comparisons`, are reused; with a base it has none of these.
    """
    best = part.best()
    planned = tests[(tests["family"] == "baselines") & (tests["a"] == best.name)]
    baselines = [config for config in part.configs if config.is_baseline]
    if len(planned) or not baselines or best.is_baseline:
        return planned
    networks = [config for config in part.configs if config.is_network]
    return compare_configs(
        {config.name: config.predictions("test") for config in [*networks, *baselines]},
        part.classes,
        pairs=[(best.name, config.name) for config in baselines],
        fixed=[config.name for config in baselines],
        pool=[config.name for config in networks],
    )


def compare_with(a: str, b: str, part: Results, tests: pd.DataFrame) -> dict:
    """Compare two configs by macro-F1, a minus b: a row of `tests`, or one among all configs with b."""
    for row in tests[tests["metric"] == "macro_f1"].to_dict("records"):
        if (row["a"], row["b"]) == (a, b):
            return row
        if (row["a"], row["b"]) == (b, a):
            return row | {"difference": -row["difference"], "low": -row["high"], "high": -row["low"]}
    table = compare_configs(
        {config.name: config.predictions("test") for config in part.configs},
        part.classes,
        pairs=[(config.name, b) for config in part.configs if config.name != b],
        fixed={config.name for config in part.configs if has_no_seeds(config)},
        pool=[config.name for config in part.configs if config.is_network],
    )
    return table[table["a"] == a].iloc[0].to_dict()


def has_no_seeds(config: ConfigRuns) -> bool:
    """Whether one result of a config is all there is: a baseline, or an ensemble of all seeds of several configs."""
    return config.is_baseline or (config.architecture == ENSEMBLE and (config.all_seeds or len(config.seeds) > 1))


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
        "baselines": [(best, config.name) for config in configs if config.is_baseline],
        "networks": list(combinations(networks, 2)),
    }


def _split_pairs(results: Results) -> list[tuple[str, str]]:
    """Configs that differ in nothing but the split and have other test clips; a leaky one comes first."""
    return [
        (b.name, a.name) if b.leaks and not a.leaks else (a.name, b.name)
        for group in split_groups(results)
        for a, b in combinations(group, 2)
        if a.tested_on != b.tested_on and split_name(a) != split_name(b)
    ]
