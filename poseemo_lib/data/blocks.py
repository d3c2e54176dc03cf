"""Blocks: clips that must stay in one split, and how whole blocks are assigned to train, validation and test.

Clips that share a source or a group are one block, directly or through other clips, and so are augmented copies and the
clip that they were made from.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pandas as pd

from poseemo_lib.clips import SPLITS
from poseemo_lib.errors import DatasetError

TRAIN, VAL, TEST, UNUSED = 0, 1, 2, -1
FRACTIONS = (0.8, 0.1, 0.1)  # of train, val and test, met as far as the sizes of the blocks allow
_RESTARTS = 8


def connected_blocks(table: pd.DataFrame) -> np.ndarray:
    """Give the clips of each block a number of their own: (N,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(table)
    groups, sources = (pd.factorize(table[name])[0] for name in ("group_id", "source_id"))
    originals = family_roots(table["clip_id"], table["augmented_from"], table["augmented_from"].notna())
    # The nodes of the graph: clips (and unknown sources of copies), then groups, then sources.
    first_group = max(n, originals.max() + 1)
    first_source = first_group + groups.max() + 1
    start = np.tile(np.arange(n), 3)
    end = np.concatenate([originals, first_group + groups, first_source + sources])
    size = first_source + sources.max() + 1
    graph = coo_array((np.ones(3 * n, dtype=np.int8), (start, end)), shape=(size, size))
    return pd.factorize(connected_components(graph, directed=False)[1][:n])[0]


def family_roots(clip_ids, augmented_from, copied) -> np.ndarray:
    """Follow every augmented copy back to the clip that it was first made from.

    From N unique clip_ids, those of their sources (read for copies only) and which clips are copies. Returns the row of
    the first source (N,); the clip's own row where it is not a copy; a number of N or more, equal for siblings, where
    that source is not among the clips.
    """
    n = len(clip_ids)
    parent = np.arange(n)
    copies = np.flatnonzero(copied)
    if not copies.size:
        return parent
    sources = pd.Index(augmented_from)
    parent[copies] = pd.Index(clip_ids).get_indexer(sources[copies])
    unknown = np.flatnonzero(parent < 0)
    parent[unknown] = n + pd.factorize(sources[unknown])[0]
    roots = np.concatenate([parent, np.arange(n, max(n, parent.max() + 1))])
    # Each pass doubles the steps taken, so this ends even where copies form a ring.
    for _ in range(n.bit_length() + 1):
        roots = roots[roots]
    return roots[:n]


def deal_blocks(labels: np.ndarray, blocks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Deal whole blocks to the splits, close to `FRACTIONS` and, where possible, with every class in each.

    From labels and blocks (N,), int; returns 0 train, 1 validation, 2 test (N,). Fewer than three blocks raise a
    DatasetError.
    """
    blocks = pd.factorize(blocks)[0]
    if blocks.max() < 2:
        raise DatasetError(
            f"grouped split: wanted at least 3 groups that share no source, got {blocks.max() + 1}; give the clips "
            "smaller groups (group_id), or add recordings"
        )
    counts = class_counts(labels, blocks)
    best = _best_deal(lambda: _assign_folds(labels, blocks, counts, rng), counts, FRACTIONS, good_enough=0.05)
    return require_all_splits(best[blocks], "groups")


def deal_parts(labels: np.ndarray, blocks: np.ndarray, fractions: tuple[float, ...], rng: np.random.Generator):
    """Deal whole blocks at random to parts of these fractions; where possible, every class is in each part.

    From labels and blocks (N,), int; returns the part of each clip, 0 to `len(fractions)` - 1 (N,). Fewer blocks than
    parts raise a DatasetError.
    """
    blocks = pd.factorize(blocks)[0]
    if blocks.max() + 1 < len(fractions):
        raise DatasetError(
            f"grouped split: wanted at least {len(fractions)} groups that share no source to deal to {len(fractions)} "
            f"parts, got {blocks.max() + 1}; take fewer folds, or add recordings"
        )
    counts = class_counts(labels, blocks)
    shares = np.column_stack([counts / counts.sum(0), counts.sum(1) / counts.sum()])

    def assign() -> np.ndarray:
        """Give each block, in a random order, to the part that has least of its classes; no part stays empty."""
        inside, part_of = np.zeros((len(fractions), shares.shape[1])), np.empty(len(counts), dtype=int)
        for block in rng.permutation(len(counts)):
            part_of[block] = (inside @ shares[block] / fractions).argmin()
            inside[part_of[block]] += shares[block]
        return part_of

    return _best_deal(assign, counts, fractions)[blocks]


def _best_deal(assign: Callable, counts: np.ndarray, fractions: tuple[float, ...], good_enough=0.0) -> np.ndarray:
    """Return the best of some assignments of blocks, each repaired."""
    best, best_score = None, None
    for _ in range(_RESTARTS):
        splits = _repair(assign(), counts, fractions)
        score = _score(splits, counts, fractions)
        if best_score is None or score < best_score:
            best, best_score = splits, score
        if not any(best_score[:3]) and best_score[3] < good_enough:
            break
    return best


def _assign_folds(labels, blocks, counts: np.ndarray, rng) -> np.ndarray:
    """Deal the blocks into even folds with scikit-learn and give each fold a split; return the split of each block."""
    from sklearn.model_selection import StratifiedGroupKFold

    n_folds, n_val, n_test = _fold_numbers(len(counts))
    if counts.sum(0).max() < n_folds:  # scikit-learn cannot stratify so few clips: balance sizes alone
        labels = np.zeros(len(labels))
    fold_of = np.zeros(len(counts), dtype=int)
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=int(rng.integers(2**31)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with few members: `_repair` takes care of it
        for fold, (_, inside) in enumerate(splitter.split(np.zeros(len(labels)), labels, blocks)):
            fold_of[blocks[inside]] = fold
    split_of_fold = np.repeat([VAL, TEST, TRAIN], [n_val, n_test, n_folds - n_val - n_test])
    # scikit-learn's seed only breaks ties between blocks, so the folds that validate and test are drawn here.
    return rng.permutation(split_of_fold)[fold_of]


def _fold_numbers(n_blocks: int) -> tuple[int, int, int]:
    """Return how many folds, and how many of them for validation and test, come closest to the fractions."""
    options = []
    for n_folds in range(3, min(20, n_blocks) + 1):
        n_val, n_test = (max(1, round(f * n_folds)) for f in FRACTIONS[1:])
        if n_val + n_test < n_folds:
            off = abs(n_val / n_folds - FRACTIONS[1]) + abs(n_test / n_folds - FRACTIONS[2])
            options.append((round(off, 6), n_folds, n_val, n_test))
    return min(options)[1:]


def _score(splits: np.ndarray, counts: np.ndarray, fractions: tuple[float, ...]) -> tuple[int, int, int, float]:
    """Return what is wrong: empty splits, classes missing in the first, in the others, and the worst fraction."""
    inside = _split_counts(splits, counts, len(fractions))
    missing = (inside == 0).sum(1)
    off = np.abs(inside.sum(1) / counts.sum() - fractions).max()
    return int((inside.sum(1) == 0).sum()), int(missing[0]), int(missing[1:].sum()), float(off)


def _split_counts(splits: np.ndarray, counts: np.ndarray, n_splits: int) -> np.ndarray:
    """Count clips: (n_splits, number of classes)."""
    return np.stack([counts[splits == split].sum(0) for split in range(n_splits)])


def _repair(splits: np.ndarray, counts: np.ndarray, fractions: tuple[float, ...]) -> np.ndarray:
    """Move or swap single blocks as long as that brings a missing class into a split."""
    score = _score(splits, counts, fractions)
    while any(score[:3]):
        trials = ((_score(trial, counts, fractions), trial) for trial in _exchanges(splits, counts, len(fractions)))
        best = min(trials, key=lambda one: one[0], default=(score, splits))
        if best[0][:3] >= score[:3]:
            break
        score, splits = best
    return splits


def _exchanges(splits: np.ndarray, counts: np.ndarray, n_splits: int) -> Iterator[np.ndarray]:
    """Yield assignments in which one more block brings a class to a split that lacks it, alone or in exchange."""
    for split, label in np.argwhere(_split_counts(splits, counts, n_splits) == 0):
        for block in np.flatnonzero((counts[:, label] > 0) & (splits != split))[:64]:
            for other in (None, *np.flatnonzero(splits == split)[:8]):
                trial = splits.copy()
                if other is not None:
                    trial[other] = trial[block]
                trial[block] = split
                yield trial


def take_validation(splits: np.ndarray, labels, blocks, fraction: float, orders: Iterable[np.ndarray]) -> None:
    """Move whole blocks with about a fraction of the training clips to validation, in place in `splits` (N,).

    Each of `orders` is an order of all blocks; the first blocks of the best one move. The best leaves every class in
    both splits. Fewer than two blocks to train on raise a DatasetError.
    """
    train = np.flatnonzero(splits == TRAIN)
    counts = class_counts(labels[train], blocks[train])
    candidates = np.flatnonzero(counts.sum(1) > 0)
    if candidates.size < 2:
        raise DatasetError(
            "validation: wanted one of the training split's groups and at least one left to train, "
            f"got {candidates.size} independent groups; mark validation clips in the dataset or use other groups"
        )
    total, wanted = counts.sum(0), fraction * train.size
    best, best_score = None, None
    for order in orders:
        order = order[np.isin(order, candidates)]
        sizes = counts[order].sum(1).cumsum()
        chosen = order[: min(int(np.argmin(np.abs(sizes - wanted))) + 1, candidates.size - 1)]
        inside = counts[chosen].sum(0)
        off = max(0.0, abs(inside.sum() / wanted - 1) - 0.5)
        score = (int((total - inside == 0).sum()), int((inside == 0).sum()), off)
        if best_score is None or score < best_score:
            best, best_score = chosen, score
        if best_score == (0, 0, 0.0):
            break
    splits[train[np.isin(blocks[train], best)]] = VAL


def class_counts(labels: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Count clips: (number of blocks, number of classes present)."""
    classes, codes = np.unique(labels, return_inverse=True)
    counts = np.zeros((blocks.max() + 1, classes.size), dtype=np.int64)
    np.add.at(counts, (blocks, codes), 1)
    return counts


def require_all_splits(splits: np.ndarray, what: str) -> np.ndarray:
    """Return the splits of clips, or raise where one of them is empty."""
    empty = [SPLITS[split] for split in (TRAIN, VAL, TEST) if not (splits == split).any()]
    if empty:
        raise DatasetError(f"split: wanted {what} in train, val and test, got too few for {', '.join(empty)}")
    return splits
