"""What each figure shows, in words and numbers, for those who cannot see it."""

import numpy as np
import pandas as pd

from poseemo_lib.plots.size import pareto_front


def describe_scores(table: pd.DataFrame, metric: str = "macro_f1") -> str:
    """Text for the comparison of architectures: the configs' scores, best first."""
    rows = table[table["metric"] == metric].sort_values("mean", ascending=False)
    return f"Bars of {len(rows)} configs. {metric.replace('_', ' ')} with 95 % interval: {_scores(rows, 'config')}"


def _scores(rows: pd.DataFrame, name: str) -> str:
    return "; ".join(f"{row[name]} {_interval(row)}" for _, row in rows.iterrows())


def _interval(row) -> str:
    return f"{100 * row['mean']:.1f} % ({100 * row['low']:.1f} to {100 * row['high']:.1f})"


def describe_sizes(table: pd.DataFrame, size: str = "n_parameters") -> str:
    """Text for score against size: the networks on the Pareto front of the means, and the rest."""
    networks = table[~table["is_baseline"].astype(bool)].dropna(subset=[size, "mean"]).reset_index(drop=True)
    front = networks.loc[pareto_front(networks[size], networks["mean"])]
    named = "; ".join(f"{row['config']}, {row[size]:,.0f}, {_interval(row)}" for _, row in front.iterrows())
    others = [name for name in networks["config"] if name not in set(front["config"])]
    rest = f". A lower mean than one that is no larger: {', '.join(others)}" if others else ""
    what = size.replace("n_", "").replace("_", "-")
    return f"Score against {what}. No network that is no larger has a mean as high: {named}{rest}"


def describe_ablation(table: pd.DataFrame) -> str:
    """Text for ablation panels: the base and every change."""
    base = table[table["is_base"]].iloc[0]
    changes = table[~table["is_base"]]
    each = "; ".join(f"{row['factor']} {row['value']} {_interval(row)}" for _, row in changes.iterrows())
    return f"Ablation, one factor at a time. Base {_interval(base)}; {each}"


def describe_imbalance(table: pd.DataFrame) -> str:
    """Text for the regimes against imbalance: recall of the rarest class, and the share of misplaced answers."""
    rarest = table.loc[table["true"].where(table["true"] > 0).idxmin(), "class"]
    parts = []
    for regime, rows in table.groupby("regime", sort=False):
        recall = rows.set_index("class").loc[rarest, "recall"]
        wrong = (rows["predicted"] - rows["true"]).abs().sum() / 2
        parts.append(f"{regime}: recall of {rarest} {100 * recall:.0f} %, {100 * wrong:.0f} % of the answers misplaced")
    return "Regimes against uneven classes. " + "; ".join(parts)


def describe_leakage(table: pd.DataFrame, leaks: dict[str, dict[str, int]]) -> str:
    """Text for the same models under several splits."""
    each = "; ".join(f"{row['model']}, {row['split']} split, {_interval(row)}" for _, row in table.iterrows())
    found = "; ".join(f"{split}: {sum(kinds.values())} leaks" for split, kinds in leaks.items())
    return f"The same models under several splits ({found}). Balanced accuracy: {each}"


def describe_confusion(confusion: np.ndarray, classes: tuple[str, ...]) -> str:
    """Text for a confusion matrix: recall of every class, and the most frequent confusion."""
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    recalls = ", ".join(f"{name} {100 * shares[i, i]:.0f} %" for i, name in enumerate(classes))
    off = np.where(np.eye(len(classes), dtype=bool), -1, shares)
    row, column = np.unravel_index(off.argmax(), off.shape)
    worst = f"most often confused: {classes[row]} taken for {classes[column]} ({100 * shares[row, column]:.0f} %)"
    return f"Confusion matrix. Recall: {recalls}; {worst}"


def describe_confusions(confusions: dict[str, np.ndarray], classes: tuple[str, ...]) -> str:
    """Text for the confusion matrices of several configs to choose from; the first is the one that is shown."""
    name, first = next(iter(confusions.items()))
    return (
        f"Confusion matrices of {len(confusions)} configs, one at a time. {name}: {describe_confusion(first, classes)}"
    )


def describe_curves(histories: dict[int, pd.DataFrame], chosen: dict[int, int]) -> str:
    """Text for learning curves: the chosen epoch and its validation macro-F1 for every seed."""
    parts = []
    for seed, history in histories.items():
        value = history.set_index("epoch").loc[chosen[seed], "val_macro_f1"]
        parts.append(f"seed {seed}: epoch {chosen[seed]} of {len(history)}, validation macro-F1 {value:.3f}")
    return "Learning curves. " + "; ".join(parts)


def describe_clips(record: dict) -> str:
    """Text for the picture of the split."""
    return "Clips of every class: " + ", ".join(f"{part} {count}" for part, count in record["clips"].items())


def describe_runs(table: pd.DataFrame) -> str:
    """Text for the networks' runs as lines: how many, and the best by validation."""
    table = table.dropna(subset="n_parameters")
    if table.empty:
        return "No run of a network"
    best = table.loc[table["val_macro_f1"].idxmax()]
    scores = f"{100 * best['val_macro_f1']:.1f} % there and {100 * best['test_macro_f1']:.1f} % on the test part"
    return (
        f"{len(table)} runs of {table['config'].nunique()} configs, one line each. Best on validation: {best['config']}, "
        f"seed {best['seed']}, macro-F1 {scores}"
    )


def describe_player(clips) -> str:
    """Text for the skeleton player: every clip, what it shows, and what was answered with which probability."""
    each = "; ".join(f"{clip.name}, {clip.label}, highest probability {100 * clip.probabilities.max():.0f} %"
                     for clip in clips)  # fmt: skip
    return f"Player of {len(clips)} clips with the attention over time and the probabilities: {each}"
