"""What interactive charts and confusion matrices show, in words and numbers, for those who cannot see them."""

import numpy as np
import pandas as pd


def describe_confusion(confusion: np.ndarray, classes: tuple[str, ...]) -> str:
    """Word a confusion matrix: recall of every class, and the most frequent confusion."""
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    recalls = ", ".join(f"{name} {100 * shares[i, i]:.0f} %" for i, name in enumerate(classes))
    off = np.where(np.eye(len(classes), dtype=bool), -1, shares)
    row, column = np.unravel_index(off.argmax(), off.shape)
    worst = f"most often confused: {classes[row]} predicted as {classes[column]} ({100 * shares[row, column]:.0f} %)"
    return f"Confusion matrix. Recall: {recalls}; {worst}"


def describe_confusions(confusions: dict[str, np.ndarray], classes: tuple[str, ...]) -> str:
    """Word the confusion matrices of several configs, of which one at a time is shown."""
    name, first = next(iter(confusions.items()))
    shown = describe_confusion(first, classes)
    return f"Confusion matrices of {len(confusions)} configs, one at a time. {name}: {shown}"


def describe_runs(table: pd.DataFrame) -> str:
    """Word a chart of the networks' runs: how many, and the one with the highest validation score."""
    table = table.dropna(subset="n_parameters")
    if table.empty:
        return "No run of a network"
    best = table.loc[table["val_macro_f1"].idxmax()]
    run = f"{best['config']}, seed {best['seed']}; {100 * best['test_macro_f1']:.1f} % on test"
    return (
        f"{len(table)} runs of {table['config'].nunique()} configs, one line each. Highest validation macro-F1: "
        f"{100 * best['val_macro_f1']:.1f} % ({run})"
    )


def describe_player(clips) -> str:
    """Word the skeleton player: every clip, its class and the highest probability."""
    each = "; ".join(f"{clip.name}, {clip.label}, highest probability {100 * clip.probabilities.max():.0f} %"
                     for clip in clips)  # fmt: skip
    return f"Player of {len(clips)} clips with the attention over time and the probabilities: {each}"
