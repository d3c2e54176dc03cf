"""Figure 02: all configs beside the baselines and chance, and what size buys."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from poseemo_lib import plots
from poseemo_lib.analysis.results import SHOWN_METRICS
from poseemo_lib.plots import style
from poseemo_lib.report import alt_texts
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn

ROW = 0.33  # inches


def draw(material: ReportData) -> Drawn:
    """Draw accuracy, balanced accuracy and macro-F1 of all configs with intervals, and macro-F1 against size.

    Parameters
    ----------
    material : ReportData

    Returns
    -------
    Drawn
        Data: `scores`, `seeds`, `sizes`.
    """
    main = material.main
    scores, seeds, sizes = (
        with_not_run(main.score_table(), material.results.not_run),
        main.seed_scores(),
        main.size_table(),
    )
    ranks = main.ranks(material.tests)
    letters = dict(zip(ranks["config"], ranks["letters"], strict=True))
    look = {"letters": letters, "chosen": material.best.name, **main.sample}
    fig = _figure(scores, seeds, sizes, look, _headline(material), _left_out(material))
    not_run = f". Not run: {', '.join(material.results.not_run)}" if material.results.not_run else ""
    text = f"{alt_texts.describe_scores(main.score_table())}. {alt_texts.describe_sizes(sizes)}{not_run}"
    text += f". {_left_out(material)}" if _left_out(material) else ""
    return Drawn(fig, text, {"scores": scores, "seeds": seeds, "sizes": sizes})


def with_not_run(scores: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Add a row without a score for each config and metric that was not run; its number of seeds is 0."""
    empty = {"mean": np.nan, "sd": np.nan, "low": np.nan, "high": np.nan, "n_seeds": 0, "chance": np.nan}
    rows = [
        {"config": name, "metric": metric, "is_baseline": False, "is_majority": False} | empty
        for name in names
        for metric in SHOWN_METRICS
    ]
    return pd.concat([scores, pd.DataFrame(rows)], ignore_index=True) if rows else scores


@style.in_style
def _figure(scores: pd.DataFrame, seeds: pd.DataFrame, sizes: pd.DataFrame, look: dict, title: str, note: str):
    bars = 1.5 + ROW * scores["config"].nunique()
    networks = not sizes["is_baseline"].all()
    fig = plt.figure(figsize=(12.5, bars + (5.4 if networks else 0.6)), layout="constrained")
    grid = fig.add_gridspec(2 if networks else 1, 3, height_ratios=(bars, 4.9) if networks else (1,))
    first = fig.add_subplot(grid[0, 0])
    axes = [first, *(fig.add_subplot(grid[0, i], sharey=first) for i in (1, 2))]
    for ax in axes[1:]:
        ax.tick_params(labelleft=False)
    below = fig.add_subplot(grid[1, :]) if networks else None
    style.title_figure(fig, title)
    metrics = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro-F1"}
    metrics = dict(reversed(metrics.items()))
    plots.architecture_comparison(scores, seed_scores=seeds, metrics=metrics, axes=axes, **look)
    style.note_sample(fig, " ".join([*fig.get_supxlabel().split(), *note.split()]))
    if below is not None:
        facts = {key: value for key, value in look.items() if key not in ("letters", "chosen")}
        plots.score_against_size(sizes, ax=below, noted=True, **facts)
    return fig


def _left_out(material: ReportData) -> str:
    """Name the configs that no row can be beside the others for."""
    kept = {config.name for config in material.main.configs}
    names = [style.name_text(config.name) for config in material.results.configs if config.name not in kept]
    return f"Not comparable, tested on other clips: {', '.join(names)}." if names else ""


def _headline(material: ReportData) -> str:
    """Say what validation chose, and how many pairs of networks the tests tell apart."""
    name, networks = style.name_text(material.best.name), material.tests[material.tests["family"] == "networks"]
    text = (
        f"{name} is chosen by validation" if material.best.is_network else f"{name} is the best baseline by validation"
    )
    if networks.empty:
        return text
    found = int(networks["significant"].sum())
    return f"{text}; {found or 'none'} of {style.count(len(networks), 'pair')} of networks can be told apart"
