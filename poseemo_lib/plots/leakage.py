"""Figure of what a leak is worth: the same model under two splits."""

import numpy as np

from poseemo_lib.plots import style
from poseemo_lib.plots.scores import limit_scores, write_value

_CLEAN = "#0072B2"


@style.in_style
def leakage_comparison(
    table,
    audits: dict[str, str],
    *,
    synthetic: bool,
    unit: str = "clip",
    resampled_by: str = "group",
    ax=None,
):
    """Balanced accuracy of each model under each split, and what the audit found in the splits.

    The splits have other test parts with other shares of the classes, which move accuracy and macro-F1 by themselves.

    Parameters
    ----------
    table : DataFrame
        One row a model and split: model, split, mean, low, high, chance (shares, 0 to 1), n_seeds, n_clips, n_groups.
    audits : dict
        Split -> what the audit found, in words; empty: nothing.
    synthetic : bool
        See :func:`poseemo_lib.plots.style.note_data`. The leaky split is named in the figure.
    unit, resampled_by : str
        What was scored, and what the intervals were drawn over.
    ax : Axes, optional

    Returns
    -------
    fig, ax
    """
    splits = sorted(table["split"].unique(), key=lambda split: bool(audits.get(split)), reverse=True)
    rows = [(model, split) for model in table["model"].unique() for split in splits
            if ((table["model"] == model) & (table["split"] == split)).any()]  # fmt: skip
    fig, ax = style.axes_or_new(ax, width=7.2, height=2.1 + 0.2 * len(splits) + 0.42 * len(rows))
    _split_panel(ax, table.set_index(["model", "split"]), rows, audits)
    ax.set_title("balanced accuracy, %")
    names = [f"{style.name_text(model, 24)}, {style.name_text(split, 16)}" for model, split in rows]
    ax.set_yticks(range(len(rows)), names)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    if any(audits.get(split) for split in splits):
        style.title_figure(fig, "Orange, hatched: the audit found a leak in the split")
    style.note_sample(fig, _facts(table, splits, audits, unit, resampled_by))
    style.note_data(fig, synthetic)
    return fig, ax


def _split_panel(ax, scores, rows, audits) -> None:
    for i, key in enumerate(rows):
        if key not in scores.index:
            continue
        row = scores.loc[key]
        mean, low, high = 100 * row["mean"], 100 * row["low"], 100 * row["high"]
        leaky = bool(audits.get(key[1]))
        colour = style.LEAKY if leaky else _CLEAN
        ax.barh(i, mean, height=0.7, facecolor=colour, alpha=0.45, hatch="//" if leaky else "", edgecolor=colour)
        ax.plot([low, high], [i, i], color=colour, linewidth=2, solid_capstyle="butt")
        # Each split has its own classes in test, so its own chance.
        ax.plot([100 * row["chance"]] * 2, [i - 0.42, i + 0.42], color=style.CHANCE, linestyle=":", linewidth=1.4)
        if np.isfinite(mean):
            write_value(ax, i, mean, high)
    limit_scores(ax, scores[["mean", "high"]])
    for i in range(1, len(rows)):
        if rows[i][0] != rows[i - 1][0]:
            ax.axhline(i - 0.5, color="#bbbbbb", linewidth=0.8)
    ax.tick_params(axis="y", length=0)


def _facts(table, splits, audits, unit: str, resampled_by: str) -> str:
    texts = []
    for split in splits:
        row = table[table["split"] == split].iloc[0]
        found = audits.get(split) or "no leak"
        size = f"{style.count(int(row['n_clips']), unit)} in {style.count(int(row['n_groups']), 'group')}"
        texts.append(f"{style.name_text(split)} ({size}): the audit found {found}.")
    fewest, most = int(table["n_seeds"].min()), int(table["n_seeds"].max())
    seeds = style.count(most, "seed") if fewest == most else f"{fewest} to {most} seeds"
    dotted = " Dotted: chance." if table["chance"].notna().any() else ""
    return (
        f"{' '.join(texts)} {seeds} a model. Lines: 95 % bootstrap interval of the mean over seeds, resampled by "
        f"{resampled_by}. The splits test other clips, so a difference is what such an evaluation would have reported, "
        f"not skill.{dotted}"
    )
