"""Figure of training: the chosen network's curves large, those of the other networks small beside each other."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator

from poseemo_lib.plots import style
from poseemo_lib.plots.labels import spread

TRAIN, VAL, _BESIDE = "#0072B2", "#D55E00", "#bbbbbb"
_MOST_COLUMNS, _LEAST_COLUMNS = 6, 4
# More seeds than this cannot be named beside their lines.
_MOST_NAMED = 4


@style.in_style
def training_curves(
    curves, configs, *, title: str = "", sample: str = "", synthetic: bool, leaky: bool = False, score_name="macro-F1"
):
    """Draw loss and validation score of one network, and the validation score of the others as small multiples.

    Parameters
    ----------
    curves : DataFrame
        One row a config, seed and epoch: config, seed, epoch, train_loss, val_loss, val_macro_f1 (share), is_best (whether
        the epoch was chosen).
    configs : sequence of str
        The network drawn large, then the others in order. One without rows is a panel that says so.
    title, sample : str
        Above the figure, and under it.
    synthetic, leaky : bool
        See :func:`poseemo_lib.plots.style.note_data`.
    score_name : str

    Returns
    -------
    fig, axes
        dict: loss, score, and the name of each other config.
    """
    first, *others = configs
    n_columns = int(np.clip(len(others), _LEAST_COLUMNS, _MOST_COLUMNS))
    n_rows = -(-len(others) // n_columns)
    fig = plt.figure(figsize=(11.5, 4.3 + 1.55 * n_rows), layout="constrained")
    halves = fig.add_gridspec(1 + bool(others), 1, height_ratios=(3.0, 1.5 * n_rows)[: 1 + bool(others)])
    large = halves[0].subgridspec(1, 2)
    axes = {name: fig.add_subplot(large[i]) for i, name in enumerate(("loss", "score"))}
    own = _of(curves, first)
    _loss_panel(axes["loss"], own)
    _score_panel(axes["score"], own, score_name)
    if others:
        axes |= _small_multiples(fig, halves[1].subgridspec(n_rows, n_columns), curves, own, others, score_name)
    _share_limits(axes["score"], [axes[name] for name in others], curves[curves["config"].isin(configs)])
    _name_seeds(axes["score"], own)
    if title:
        style.title_figure(fig, title)
    if sample:
        style.note_sample(fig, sample)
    style.note_data(fig, synthetic, leaky)
    return fig, axes


def _of(curves, config: str) -> dict:
    return dict(list(curves[curves["config"] == config].groupby("seed")))


def _line(ax, run, column: str, factor: float = 1, **look) -> None:
    # A single epoch is no line.
    marker = "." if len(run) == 1 else None
    ax.plot(run["epoch"], factor * run[column], **{"linewidth": 1.4, "alpha": 0.85, "marker": marker} | look)


def _star(ax, run, column: str, factor: float = 1, size: float = 11) -> None:
    best = run[run["is_best"].astype(bool)]
    ax.plot(best["epoch"], factor * best[column], "*", color="black", markersize=size, linestyle="", zorder=5,
            label="chosen", markeredgewidth=0)  # fmt: skip


def _loss_panel(ax, runs: dict) -> None:
    ax.set_title("Loss (★ epoch chosen)")
    if not runs:
        style.write_not_run(ax, "the runs have no history")
        return
    for run in runs.values():
        _line(ax, run, "train_loss", color=TRAIN, linestyle="--")
        _line(ax, run, "val_loss", color=VAL)
        _star(ax, run, "val_loss")
    ends = [np.mean([run[column].iloc[-1] for run in runs.values()]) for column in ("train_loss", "val_loss")]
    _finish(ax, runs)
    _name_ends(ax, ends, ["training", "validation"], [TRAIN, VAL])


def _score_panel(ax, runs: dict, score_name: str) -> None:
    ax.set_title(f"Validation {score_name}, % (★ epoch chosen)")
    if not runs:
        style.write_not_run(ax, "the runs have no history")
        return
    for run in runs.values():
        _line(ax, run, "val_macro_f1", 100, color=VAL)
        _star(ax, run, "val_macro_f1", 100)
    _finish(ax, runs)


def _name_seeds(ax, runs: dict) -> None:
    if len(runs) <= _MOST_NAMED:
        ends = [100 * run["val_macro_f1"].iloc[-1] for run in runs.values()]
        _name_ends(ax, ends, [f"seed {seed}" for seed in runs], [VAL] * len(runs))


def _finish(ax, runs: dict) -> None:
    ax.set_xlabel("epoch")
    ax.grid(axis="y")
    _epoch_ticks(ax, [run["epoch"] for run in runs.values()], 8)


def _epoch_ticks(ax, epochs, n: int) -> None:
    """Whole epochs only, with room for one alone."""
    every = np.concatenate([np.asarray(one, dtype=float) for one in epochs])
    ax.set_xlim(every.min() - 0.5, every.max() + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(n, integer=True, min_n_ticks=1))


def _name_ends(ax, ends, names, colours) -> None:
    """Name lines at their right ends, moved apart where they lie close."""
    known = [i for i, end in enumerate(ends) if np.isfinite(end)]
    low, high = ax.get_ylim()
    places = spread([ends[i] for i in known], 0.075 * (high - low), low, high)
    for i, place in zip(known, places, strict=True):
        ax.annotate(names[i], (1, place), (4, 0), xycoords=ax.get_yaxis_transform(), textcoords="offset points",
                    va="center", fontsize=9, color=colours[i], annotation_clip=False)  # fmt: skip


def _small_multiples(fig, grid, curves, beside: dict, configs, score_name: str) -> dict:
    """Draw one panel a config, with the large one's curves in grey behind it."""
    n_rows, n_columns = grid.get_geometry()
    axes = {}
    for k, config in enumerate(configs):
        ax = axes[config] = fig.add_subplot(grid[k // n_columns, k % n_columns])
        ax.set_title(style.name_text(config, 24), fontsize=9)
        runs = _of(curves, config)
        if not runs:
            style.write_not_run(ax, "no history")
            continue
        for run in beside.values():
            _line(ax, run, "val_macro_f1", 100, color=_BESIDE, linewidth=1)
        for run in runs.values():
            _line(ax, run, "val_macro_f1", 100, color=VAL, linewidth=1.2)
            _star(ax, run, "val_macro_f1", 100, size=8)
        ax.grid(axis="y")
        below = k + n_columns < len(configs)
        ax.tick_params(labelbottom=not below, labelleft=k % n_columns == 0)
        ax.set_xlabel("" if below else "epoch")
        if k % n_columns == 0:
            ax.set_ylabel(f"{score_name}, %")
    return axes


def _share_limits(large, small, curves) -> None:
    """Give the scores of all panels one scale, and the small panels the same epochs, so that they can be compared."""
    highest = 100 * curves["val_macro_f1"].astype(float).max()
    for ax in (large, *small):
        if ax.lines and np.isfinite(highest):
            ax.set_ylim(0, 1.08 * max(highest, 1))
    for ax in small:
        if ax.lines:
            _epoch_ticks(ax, [curves["epoch"]], 4)
