"""Dealing whole blocks of clips to train, validation and test: near the fractions wanted, every class in every part."""

import numpy as np
import pandas as pd

from poseemo_lib.clips import SPLITS
from poseemo_lib.errors import DatasetError

TRAIN, VAL, TEST, UNUSED = 0, 1, 2, -1
_RESTARTS = 8


def deal_blocks(labels: np.ndarray, blocks: np.ndarray, fractions, rng: np.random.Generator) -> np.ndarray:
    """Give each clip the part of its block.

    Parameters
    ----------
    labels : array (N,), int
        Codes of the classes.
    blocks : array (N,), int
        Clips of one number stay together.
    fractions : tuple of float
        Train, validation, test.
    rng : numpy.random.Generator

    Returns
    -------
    array (N,), int
        0 train, 1 validation, 2 test.

    Raises
    ------
    DatasetError
        There are fewer than three blocks.
    """
    blocks = pd.factorize(blocks)[0]
    n_blocks = blocks.max() + 1
    if n_blocks < 3:
        raise DatasetError(
            f"grouped split: wanted at least 3 groups that share no source, got {n_blocks}; give the clips finer "
            "group_id's, or add recordings"
        )
    counts = class_counts(labels, blocks)
    best, best_score = None, None
    for _ in range(_RESTARTS):
        part_of = _mend(_assign_folds(labels, blocks, counts, fractions, rng), counts, fractions)
        score = _score(part_of, counts, fractions)
        if best_score is None or score < best_score:
            best, best_score = part_of, score
        if not any(best_score[:3]) and best_score[3] < 0.05:
            break
    return all_parts(best[blocks], "groups")


def _assign_folds(labels, blocks: np.ndarray, counts: np.ndarray, fractions, rng) -> np.ndarray:
    """Deal the blocks into even folds with scikit-learn and join folds to parts; return the part of each block."""
    import warnings

    from sklearn.model_selection import StratifiedGroupKFold

    n_folds, n_val, n_test = _fold_numbers(fractions, counts)
    if counts.sum(0).max() < n_folds:
        # Too few clips of every class for scikit-learn to stratify: by size alone.
        labels = np.zeros(len(labels))
    fold_of = np.zeros(len(counts), dtype=int)
    with warnings.catch_warnings():
        # "The least populated class has only n members": a rare class is what _mend looks after.
        warnings.simplefilter("ignore", UserWarning)
        splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=int(rng.integers(2**31)))
        for fold, (_, inside) in enumerate(splitter.split(np.zeros(len(labels)), labels, blocks)):
            fold_of[blocks[inside]] = fold
    part_of_fold = np.full(n_folds, TRAIN)
    part_of_fold[:n_val] = VAL
    part_of_fold[n_val : n_val + n_test] = TEST
    # Its seed only breaks ties between blocks, so the folds that validate and test are drawn here.
    return rng.permutation(part_of_fold)[fold_of]


def _fold_numbers(fractions, counts: np.ndarray) -> tuple[int, int, int]:
    """Return how many folds, and how many of them validate and test, come closest to the fractions."""
    options = []
    for n_folds in range(3, min(20, len(counts)) + 1):
        n_val, n_test = (max(1, round(f * n_folds)) for f in fractions[1:])
        if n_val + n_test < n_folds:
            off = abs(n_val / n_folds - fractions[1]) + abs(n_test / n_folds - fractions[2])
            options.append((round(off, 6), n_folds, n_val, n_test))
    return min(options)[1:]


def _score(part_of: np.ndarray, counts: np.ndarray, fractions) -> tuple[int, int, int, float]:
    """Return what is wrong: empty parts, classes missing in train, in the other parts, and the worst fraction."""
    inside = _part_counts(part_of, counts)
    missing = (inside == 0).sum(1)
    empty = int((inside.sum(1) == 0).sum())
    off = np.abs(inside.sum(1) / counts.sum() - fractions).max()
    return empty, int(missing[0]), int(missing[1] + missing[2]), float(off)


def _part_counts(part_of: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Count clips: (3 parts, number of classes)."""
    return np.stack([counts[part_of == part].sum(0) for part in (TRAIN, VAL, TEST)])


def _mend(part_of: np.ndarray, counts: np.ndarray, fractions) -> np.ndarray:
    """Move or swap single blocks while that brings a missing class into a part."""
    score = _score(part_of, counts, fractions)
    while any(score[:3]):
        # The running number keeps equal scores from being compared any further.
        trials = enumerate(_exchanges(part_of, counts))
        best, _, trial = min(
            ((_score(one, counts, fractions), i, one) for i, one in trials), default=(score, 0, part_of)
        )
        if best[:3] >= score[:3]:
            break
        score, part_of = best, trial
    return part_of


def _exchanges(part_of: np.ndarray, counts: np.ndarray):
    """Yield assignments in which one block more brings a class to a part that lacks it, alone or in exchange."""
    for part, label in np.argwhere(_part_counts(part_of, counts) == 0):
        for block in np.flatnonzero((counts[:, label] > 0) & (part_of != part))[:64]:
            for other in (None, *np.flatnonzero(part_of == part)[:8]):
                trial = part_of.copy()
                if other is not None:
                    trial[other] = trial[block]
                trial[block] = part
                yield trial


def class_counts(labels: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Count clips: (number of blocks, number of classes present)."""
    classes, codes = np.unique(labels, return_inverse=True)
    counts = np.zeros((blocks.max() + 1, classes.size), dtype=np.int64)
    np.add.at(counts, (blocks, codes), 1)
    return counts


def all_parts(parts: np.ndarray, what: str) -> np.ndarray:
    """Return the parts of clips, or raise where one of them is empty."""
    empty = [SPLITS[part] for part in (TRAIN, VAL, TEST) if not (parts == part).any()]
    if empty:
        raise DatasetError(f"split: wanted {what} in every part, got too few for {', '.join(empty)}")
    return parts
