"""Made-up tables for the figures of studies, and what is written on a figure and where."""

import itertools

import matplotlib.text
import numpy as np
import pandas as pd
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from poseemo_lib import plots
from poseemo_lib.plots.ablations import FACTORS
from poseemo_lib.plots.scores import METRIC_NAMES

RNG = np.random.default_rng(0)
COUNTS = {"n_clips": 889, "n_groups": 79}
ARCHITECTURES = (
    "deep_residual", "deep_residual_pre_activation", "deep_residual_mean", "bilstm", "bilstm_large", "gru",
    "transformer", "tcn_bilstm", "conv1d", "multiscale", "conv_lstm", "st_gcn", "joint_transformer",
)  # fmt: skip
BASELINES = ("majority", "stratified", "logistic_regression", "extra_trees")
EVERY_FACTOR = {
    **{name: ["base", "one", "pre_activation"] for name in FACTORS},
    "augmentation": ["all", "none", *(f"only {name}" for name in ("flip", "scale", "rotation", "noise", "time warp"))],
}


def score_table(configs, n_seeds=3, chance=1 / 7):
    rows = []
    for config in configs:
        for metric in METRIC_NAMES:
            mean = RNG.uniform(0.1, 0.9)
            line = chance if metric == "balanced_accuracy" else np.nan
            row = {"config": config, "metric": metric, "mean": mean, "low": mean - 0.05, "high": mean + 0.05}
            sd = 0.01 if n_seeds > 1 else np.nan
            kinds = {"is_baseline": config in BASELINES, "is_majority": config == "majority"}
            rows.append(row | kinds | {"sd": sd, "n_seeds": n_seeds, "chance": line})
    return pd.DataFrame(rows)


def seed_table(scores):
    parts = [scores.assign(seed=seed, value=scores["mean"] + shift) for seed, shift in enumerate((-0.02, 0, 0.03))]
    return pd.concat(parts)[["config", "seed", "metric", "value"]]


def architectures(configs, synthetic, letters=False, **more):
    scores = score_table(configs)
    if letters:
        more["letters"] = {config: "a b c" if i % 2 else "b" for i, config in enumerate(configs)}
    return plots.architecture_comparison(scores, **COUNTS, seed_scores=seed_table(scores), synthetic=synthetic, **more)


def size_table(n, *, close=False):
    names = [*ARCHITECTURES[:n], *BASELINES]
    table = score_table(names)
    table = table[table["metric"] == "macro_f1"].reset_index(drop=True)
    if close:  # hard for labels: all scores alike
        table["mean"] = RNG.uniform(0.5, 0.53, len(table))
        table[["low", "high"]] = np.c_[table["mean"] - 0.1, table["mean"] + 0.1]
    sizes = np.exp(RNG.uniform(np.log(3e5), np.log(3e6 if not close else 5e5), len(names))).round()
    return table.assign(n_parameters=np.where(table["is_baseline"], np.nan, sizes), multiply_adds=30 * sizes)


def sizes(n, synthetic, **more):
    return plots.score_against_size(size_table(n), **COUNTS, synthetic=synthetic, **more)


def ablation_table(values_of):
    rows = []
    for factor, values in values_of.items():
        for i, value in enumerate(values):
            mean = 0.5 if i == 0 else RNG.uniform(0.3, 0.7)
            row = {"factor": factor, "value": value, "is_base": i == 0, "config": f"{factor}_{value}", "mean": mean}
            rows.append(row | {"low": mean - 0.1, "high": mean + 0.1, "sd": 0.01, "n_seeds": 2})
    columns = ["factor", "value", "is_base", "config", "mean", "low", "high", "sd", "n_seeds"]
    return pd.DataFrame(rows, columns=columns).astype({"is_base": bool})


def ablation(values_of, synthetic, **more):
    return plots.ablation_panels(ablation_table(values_of), **COUNTS, synthetic=synthetic, **more)


def imbalance_table(regimes, classes):
    true = RNG.dirichlet(np.full(len(classes), 3))
    rows = []
    for regime in regimes:
        predicted = RNG.dirichlet(np.full(len(classes), 3))
        for k, name in enumerate(classes):
            recall = RNG.uniform(0.1, 0.9)
            row = {"regime": regime, "class": name, "recall": recall, "low": recall - 0.1, "high": recall + 0.1}
            rows.append(row | {"predicted": predicted[k], "true": true[k], "n_seeds": 3})
    return pd.DataFrame(rows)


def imbalance(regimes, classes, synthetic, **more):
    return plots.imbalance_regimes(imbalance_table(regimes, classes), classes, **COUNTS, synthetic=synthetic, **more)


def leakage_table(models, splits):
    tables = [score_table([model]).assign(model=model, split=split, **COUNTS) for model in models for split in splits]
    return pd.concat(tables, ignore_index=True).query("metric == 'balanced_accuracy'").reset_index(drop=True)


def leakage(models, splits, synthetic, **more):
    audits = {"random": "412 source, 95 group, 230 augmented"}
    return plots.leakage_comparison(leakage_table(models, splits), audits, synthetic=synthetic, **more)


def written(fig):
    """Every text but those of ticks, of which axes keep invisible ones beyond their limits."""
    ticks = {tick for ax in fig.axes for axis in (ax.xaxis, ax.yaxis) for tick in (*axis.majorTicks, *axis.minorTicks)}
    in_ticks = {label for tick in ticks for label in (tick.label1, tick.label2)}
    return [t for t in set(fig.findobj(matplotlib.text.Text)) - in_ticks if t.get_text() and t.get_visible()]


def shown_ticks(fig):
    """Labels of the ticks that lie within their axes' limits."""
    for ax in fig.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.majorTicks, *axis.minorTicks):
                label = tick.label1
                if low <= tick.get_loc() <= high and label.get_visible() and label.get_text():
                    yield label


def outline(text):
    """A text's rectangle in pixels, turned as the text is."""
    angle, anchor = text.get_rotation(), text.get_transform().transform(text.get_position())
    text.set_rotation(0)
    box = matplotlib.text.Text.get_window_extent(text)
    text.set_rotation(angle)
    box = box.padded(-0.75)  # touching is not overlapping
    return Path(box.corners()[[0, 1, 3, 2, 0]]).transformed(Affine2D().rotate_deg_around(*anchor, angle))


def overlapping(fig):
    """Pairs of texts of a figure that lie on each other."""
    fig.canvas.draw()
    outlines = [
        (text.get_text(), outline(text)) for text in (*written(fig), *shown_ticks(fig)) if text.get_text().strip()
    ]
    return [
        (a, b)
        for (a, one), (b, other) in itertools.combinations(outlines, 2)
        if one.intersects_path(other, filled=True)
    ]
