"""Comparison plot: differences of every network from the baselines, and whether tests support them."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.statistics import ALPHA, MIN_GROUPS, compare_configs
from poseemo_lib.plots import marks, style
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn, not_run
from poseemo_lib.text import count

TITLE = "Networks against baselines"
COMMAND = "`poseemo study parameters/studies/architectures.yaml` runs networks and baselines."


def draw(data: ReportData) -> Drawn:
    """Draw the difference of every network from the majority baseline and from the strongest other one.

    Data: differences.
    """
    configs = data.main.configs
    for kind in ("network", "baseline"):
        if not any(getattr(config, f"is_{kind}") for config in configs):
            return not_run(TITLE, f"No {kind} was tested on the clips of the selected config. {COMMAND}")
    table = difference_table(data)
    title = _title(table)
    return Drawn(_figure(table, title, data), _describe(table, title), {"differences": table})


def held_against(configs: list[ConfigRuns]) -> dict[str, ConfigRuns]:
    """Choose the baselines to compare with: majority, and of the others the one with the highest test score."""
    others = [config for config in configs if config.is_baseline and not config.is_majority]
    majority = [config for config in configs if config.is_majority]
    strongest = sorted(others, key=lambda config: -config.scores.score("macro_f1")["mean"])
    return {kind: found[0] for kind, found in (("majority", majority), ("strongest other", strongest)) if found}


def difference_table(data: ReportData, n_bootstrap: int = 10_000) -> pd.DataFrame:
    """Compare every network with the baselines of :func:`held_against`, all as one family; ensembles are left out.

    The rows are those of :func:`poseemo_lib.analysis.statistics.compare_configs`, with the score of the network (`a`)
    and whether it was selected; the highest score comes first.
    """
    configs = data.main.configs
    scores = {config.name: float(config.scores.score("macro_f1")["mean"]) for config in configs if config.is_network}
    names = sorted(scores, key=scores.get, reverse=True)
    baselines = [config.name for config in held_against(configs).values()]
    table = compare_configs(
        {name: data.main[name].predictions("test") for name in (*names, *baselines)},
        data.classes,
        metric="macro_f1",
        pairs=[(name, baseline) for name in names for baseline in baselines],
        fixed=set(baselines),
        pool=names,
        n_bootstrap=n_bootstrap,
    )
    return table.assign(score=table["a"].map(scores), is_chosen=table["a"] == data.best.name)


@style.in_style
def _figure(table, title: str, data: ReportData):
    """Forest plot: filled points where tests support a difference, open ones where they do not."""
    rows, panels, sample = table.drop_duplicates("a"), held_against(data.main.configs), data.main.sample
    size = (3.4 + 3.9 * len(panels), 1.9 + 0.29 * max(len(rows), 3))
    fig, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, layout="constrained", squeeze=False)
    for ax, (kind, config) in zip(axes[0], panels.items(), strict=True):
        ax.axvline(0, color="black", linewidth=1, zorder=0.9)
        for i, row in enumerate(table[table["b"] == config.name].to_dict("records")):
            sure = row["significant"]
            colour = (style.BLUE if row["difference"] > 0 else style.ORANGE) if sure else style.GREY
            look = {"markerfacecolor": colour if sure else "white", "markersize": 7}
            marks.draw_point(ax, i, row, value="difference", colour=colour, written="{:+.1f}", **look)
        marks.name_rows(ax, [f"{style.name_text(row.a, 30)}, {100 * row.score:.1f} %" for row in rows.itertuples()],
                        rows["is_chosen"])  # fmt: skip
        ax.set(title=f"Against the {kind} baseline:\n{style.name_text(config.name)}", xlabel="difference, points")
        ax.tick_params(labelleft=ax is axes[0][0])
        ax.grid(axis="x")
    ends = 100 * table[["low", "difference", "high"]].to_numpy(float)
    low, high = min(np.nanmin(ends), 0), max(np.nanmax(ends), 0)
    for ax in axes[0]:
        ax.set_xlim(low - 0.05 * (high - low), high + 0.2 * (high - low) + 0.1)
    axes[0][0].set_ylabel("network, its macro-F1")
    style.finish(fig, title=title, note=_note(table, sample), synthetic=sample["synthetic"], leaky=sample["leaky"])
    return fig


def _title(table: pd.DataFrame) -> str:
    """Say what the tests support: how many networks score above which baseline, or why nothing can be claimed."""
    if (table["limit"] != "").all():
        return f"No difference can be claimed: {_limits(table)}"
    n = table["a"].nunique()
    return "; ".join(_counted(rows, style.name_text(name, 24), n) for name, rows in table.groupby("b", sort=False))


def _counted(rows: pd.DataFrame, name: str, n: int) -> str:
    higher = int((rows["significant"] & (rows["difference"] > 0)).sum())
    lower = int((rows["significant"] & (rows["difference"] < 0)).sum())
    below = f", {lower} below it" if lower else ""
    verb = "score" if higher > 1 else "scores"
    return f"{higher or 'none'} of {count(n, 'network')} {verb} significantly above {name}{below}"


def _limits(table: pd.DataFrame) -> str:
    """Say which limits forbid a claim."""
    limits, texts = set(table["limit"]), []
    if "groups" in limits:
        few = table["n_groups"].min() < MIN_GROUPS
        texts.append(f"there are fewer than {MIN_GROUPS} test groups" if few else "the groups are not known")
    if "seeds" in limits:
        texts.append("a network was trained with one seed only")
    return ", and ".join(texts)


def _note(table: pd.DataFrame, sample: dict) -> str:
    """Say what the differences rest on, how they are drawn, and how large a difference would be missed."""
    sizes = f"{count(sample['n_clips'], sample['unit'])} in {count(sample['n_groups'], 'group')}"
    texts = [
        f"Test set: {sizes}; {style.seeds_text(table['n_seeds_a'])} per network. Macro-F1. Lines: 95 % interval of the "
        f"difference over groups and seeds, not adjusted. Filled: p < {ALPHA} after Holm's correction for "
        f"{count(len(table), 'comparison')}; open: no significant difference. Bold: selected on validation."
    ]
    tested = table[table["limit"] == ""]
    if len(tested) < len(table):
        texts.append(f"No claim in {len(table) - len(tested)} of {len(table)} comparisons: {_limits(table)}.")
    if len(tested):
        sizes = [f"{100 * size:.0f}" for size in (tested["detectable"].min(), tested["detectable"].max())]
        texts.append(f"Differences below {' to '.join(dict.fromkeys(sizes))} points would often be missed.")
    return " ".join(texts)


def _describe(table: pd.DataFrame, title: str) -> str:
    each = "; ".join(
        f"{row['a']} from {row['b']} {100 * row['difference']:+.1f} "
        f"[{100 * row['low']:+.1f}, {100 * row['high']:+.1f}], "
        f"{'significant' if row['significant'] else 'not significant'}"
        for row in table.to_dict("records")
    )
    return f"{title}. Differences in macro-F1 in points, with 95 % interval: {each}"
