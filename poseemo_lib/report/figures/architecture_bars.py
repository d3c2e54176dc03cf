"""Comparison plot: how far each network lies from the baselines, and whether tests support it."""

import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.statistics import ALPHA, MIN_GROUPS, compare_configs
from poseemo_lib.plots.comparison import baseline_differences
from poseemo_lib.plots.style import count, name_text
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn, not_run

TITLE = "Networks against baselines"
COMMAND = "`poseemo study parameters/studies/architectures.yaml` runs networks and baselines."
METRIC = "macro_f1"


def draw(material: ReportData) -> Drawn:
    """Draw the difference of every network to the majority baseline and to the strongest other one.

    Parameters
    ----------
    material : ReportData

    Returns
    -------
    Drawn
        Data: differences.
    """
    missing = _missing(material.main.configs)
    if missing:
        return not_run(TITLE, f"No {missing} was tested on the clips of the config that validation chooses. {COMMAND}")
    baselines = held_against(material.main.configs)
    table = difference_table(material)
    panels = {what: config.name if config else None for what, config in baselines.items()}
    title = _title(table)
    facts = material.main.sample
    figure, _ = baseline_differences(
        table, panels, title=title, sample=_sample(table, facts), synthetic=facts["synthetic"], leaky=facts["leaky"]
    )
    return Drawn(figure, _describe(table, title), {"differences": table})


def _missing(configs: list[ConfigRuns]) -> str:
    """Name the kind of config that a comparison lacks."""
    if not any(config.is_network for config in configs):
        return "network"
    return "" if any(config.is_baseline for config in configs) else "baseline"


def held_against(configs: list[ConfigRuns]) -> dict[str, ConfigRuns | None]:
    """Choose the baselines to compare with: majority, and of the others the one with the best test score.

    The best on the test part: the hardest to be ahead of.

    Parameters
    ----------
    configs : list of ConfigRuns

    Returns
    -------
    dict
        What it is -> the config, or None where there is none.
    """
    others = [config for config in configs if config.is_baseline and not config.is_majority]
    return {
        "majority baseline": next((config for config in configs if config.is_majority), None),
        "strongest other baseline": max(others, key=_score, default=None),
    }


def _score(config: ConfigRuns) -> float:
    return float(config.scores.scores.set_index("metric").loc[METRIC, "mean"])


def difference_table(material: ReportData, n_bootstrap: int = 10_000) -> pd.DataFrame:
    """Compare every network with the baselines of :func:`held_against`, all as one family.

    Ensembles are left out: they are no architecture.

    Parameters
    ----------
    material : ReportData
        With a network and a baseline among its main configs.
    n_bootstrap : int

    Returns
    -------
    DataFrame
        As of :func:`poseemo_lib.analysis.statistics.compare_configs`, a the network and b the baseline, with the columns score
        and is_chosen of the network; the network with the best score first.
    """
    configs = material.main.configs
    networks = sorted((config for config in configs if config.is_network), key=_score, reverse=True)
    names = [config.name for config in networks]
    baselines = [config for config in held_against(configs).values() if config]
    table = compare_configs(
        {config.name: config.predictions("test") for config in (*networks, *baselines)},
        material.classes,
        metric=METRIC,
        pairs=[(name, baseline.name) for name in names for baseline in baselines],
        fixed={baseline.name for baseline in baselines},
        pool=names,
        n_bootstrap=n_bootstrap,
    )
    scores = {config.name: _score(config) for config in networks}
    return table.assign(score=table["a"].map(scores), is_chosen=table["a"] == material.best.name)


def _title(table: pd.DataFrame) -> str:
    """Say what the tests support: who is ahead of which baseline, or why nobody can be said to be."""
    if (table["limit"] != "").all():
        return f"Nothing can be told apart: {_limits(table)}"
    if not table["significant"].any():
        names = " or ".join(name_text(name, 24) for name in table["b"].unique())
        return f"No network can be told from {names}"
    each = ", ".join(_told(rows, name) for name, rows in table.groupby("b", sort=False))
    return f"Tests of {count(table['a'].nunique(), 'network')}: {each}"


def _told(rows: pd.DataFrame, name: str) -> str:
    higher = int((rows["significant"] & (rows["difference"] > 0)).sum())
    lower = int((rows["significant"] & (rows["difference"] < 0)).sum())
    behind = f" and {lower} below it" if lower else ""
    return f"{higher or 'none'} above {name_text(name, 24)}{behind}"


def _limits(table: pd.DataFrame) -> str:
    """Say which limits forbid a claim."""
    limits, texts = set(table["limit"]), []
    if "groups" in limits:
        few = f"under {MIN_GROUPS} groups" if table["n_groups"].min() < MIN_GROUPS else "where groups are not known"
        texts.append(f"no difference is claimed {few}")
    if "seeds" in limits:
        texts.append("one seed of a network ranks nothing")
    return ", and ".join(texts)


def _sample(table: pd.DataFrame, facts: dict) -> str:
    """Say what the differences rest on, how they are drawn, and what would go unseen."""
    seeds = sorted({*table["n_seeds_a"]})
    each = count(seeds[-1], "seed") if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds"
    texts = [
        f"{count(facts['n_clips'], facts['unit'])} in {count(facts['n_groups'], 'group')}, {each} a network. "
        f"Lines: 95 % interval of the difference over groups and seeds, not adjusted. Filled: p < {ALPHA} after Holm's "
        f"correction for {count(len(table), 'comparison')}; open: not told apart. Bold: chosen by validation."
    ]
    tested = table[table["limit"] == ""]
    if len(tested) < len(table):
        texts.append(f"No claim in {len(table) - len(tested)} of {len(table)}: {_limits(table)}.")
    if len(tested):
        sizes = [f"{100 * size:.0f}" for size in (tested["detectable"].min(), tested["detectable"].max())]
        texts.append(f"True differences under {' to '.join(dict.fromkeys(sizes))} points would often be missed.")
    return " ".join(texts)


def _describe(table: pd.DataFrame, title: str) -> str:
    each = "; ".join(
        f"{row['a']} from {row['b']} {100 * row['difference']:+.1f} ({100 * row['low']:+.1f} to "
        f"{100 * row['high']:+.1f}), {'told apart' if row['significant'] else 'not told apart'}"
        for row in table.to_dict("records")
    )
    return f"{title}. Differences of macro-F1 in points, with 95 % interval: {each}"
