"""Figure of an ablation: one setting changed at a time."""

import matplotlib.pyplot as plt
import numpy as np

from poseemo_lib.plots import style

FACTORS = (
    "hidden", "blocks", "block", "pooling", "dropout", "squeeze_excitation", "normalisation", "augmentation", "people",
)  # fmt: skip
_COLUMNS = 3
_BASE, _CHANGED = "#000000", "#0072B2"


@style.in_style
def ablation_panels(
    table,
    *,
    n_clips: int,
    n_groups: int,
    synthetic: bool,
    leaky: bool = False,
    unit: str = "clip",
    resampled_by: str = "group",
    score_name: str = "macro-F1",
    factors: tuple[str, ...] = FACTORS,
    title: str = "",
    axes=None,
):
    """One panel a factor: the score of each of its values, all else as in the base setting.

    Parameters
    ----------
    table : DataFrame
        One row a factor and value, in the order to draw: factor, value (text), is_base, mean, low, high (shares, 0 to
        1), n_seeds; and, where the tests were made, `significant`: whether it can be told from the base.
    n_clips, n_groups : int
        What was predicted.
    synthetic, leaky : bool
        See :func:`poseemo_lib.plots.style.note_data`.
    unit, resampled_by : str
        What was scored, and what the intervals were drawn over.
    score_name : str
    factors : tuple of str
        A panel each, also where nothing was run; other factors of the table come after them.
    title : str
        Above all panels.
    axes : sequence of Axes, optional
        As many as panels.

    Returns
    -------
    fig, axes
        Axes flat, one a factor.
    """
    factors = list(dict.fromkeys([*factors, *table["factor"]]))
    if axes is None:
        n_rows = -(-len(factors) // _COLUMNS)
        size = (3.4 * _COLUMNS, 1.0 + 2.3 * n_rows)
        _, grid = plt.subplots(n_rows, _COLUMNS, figsize=size, sharey=True, squeeze=False, layout="constrained")
        axes = grid.ravel()[: len(factors)]
        for ax in grid.ravel()[len(factors) :]:
            ax.remove()
    fig = axes[0].figure
    base = table[table["is_base"]].head(1)
    for ax, factor in zip(axes, factors, strict=True):
        _factor_panel(ax, table[table["factor"] == factor], base)
        ax.set_title(style.name_text(factor.replace("_", " ")))
        if not ax.get_subplotspec().is_first_col():
            ax.tick_params(axis="y", length=0)
    _set_limits(axes[0], table)
    for ax in axes[::_COLUMNS]:
        ax.set_ylabel(f"{score_name}, %")
    if title:
        style.title_figure(fig, title)
    tested = (
        " Filled: differs from the base (Holm-corrected); open: cannot be told from it."
        if "significant" in table
        else ""
    )
    sample = style.sample_text(n_clips, n_groups, table["n_seeds"], unit=unit, resampled_by=resampled_by,
                               interval="Vertical lines")  # fmt: skip
    style.note_sample(fig, f"Black diamond and dotted line: the base setting.{tested} {sample}")
    style.note_data(fig, synthetic, leaky)
    return fig, axes


def _factor_panel(ax, rows, base) -> None:
    if rows["is_base"].all():  # nothing beside the base, or nothing at all
        # Not `style.write_not_run`: the panels share the ticks of y.
        ax.text(0.5, 0.5, "not run", transform=ax.transAxes, ha="center", va="center", fontsize=9, color="#555555")
        ax.spines[:].set(visible=True, color="#bbbbbb", linestyle=(0, (4, 4)))
        ax.set_xticks([])
        return
    for mean in base["mean"]:
        ax.axhline(100 * mean, color=_BASE, linestyle=":", linewidth=1, zorder=0.9)
    for i, (_, row) in enumerate(rows.iterrows()):
        colour, marker = (_BASE, "D") if row["is_base"] else (_CHANGED, "o")
        filled = row["is_base"] or bool(row.get("significant", True))
        ax.plot([i, i], [100 * row["low"], 100 * row["high"]], color=colour, linewidth=1.8, solid_capstyle="butt")
        ax.plot(i, 100 * row["mean"], marker, color=colour, markerfacecolor=colour if filled else "white", markersize=6)
        if np.isfinite(row["mean"]):
            top, text = 100 * np.nanmax([row["mean"], row["high"]]), f"{100 * row['mean']:.1f}"
            ax.annotate(text, (i, top), (0, 2), textcoords="offset points", ha="center", fontsize=7, color=colour)
    texts = [style.name_text(value, 20) for value in rows["value"]]
    turned = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if sum(map(len, texts)) > 28 else {}
    ax.set_xticks(range(len(rows)), texts, fontsize=8, **turned)
    ax.set_xlim(-0.6, len(rows) - 0.4)
    ax.grid(axis="y")


def _set_limits(ax, table) -> None:
    values = 100 * table[["mean", "low", "high"]].to_numpy(float).ravel()
    values = values[np.isfinite(values)]
    if len(values):
        margin = max(0.06 * (values.max() - values.min()), 1)
        ax.set_ylim(max(values.min() - margin, 0), values.max() + 3 * margin)  # with room for the numbers
