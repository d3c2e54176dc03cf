"""Which clips train, validate and test: the dataset's own split, by group or clip number, or at random.

Clips that share a `source_id` or a `group_id`, directly or over other clips, are one block. `grouped`,
`leave_one_group_out` and the validation part that `official` may need move blocks as a whole, so that no source and no
group is on two sides; an official split is taken as it is, and the audit tells whether it leaks. `neighbours` stands in
for groups where none are known and clips are numbered in order (:mod:`poseemo_lib.data.neighbours`). Augmented copies train
where their source clip trains and are not used otherwise. `random` is the published mistake: by clip, copies included.
"""

import hashlib
import json

import numpy as np
import pandas as pd

from poseemo_lib.clips import SPLITS
from poseemo_lib.data.blocks import connected_blocks, family_roots
from poseemo_lib.data.dealing import TEST, TRAIN, UNUSED, VAL, all_parts, class_counts, deal_blocks
from poseemo_lib.data.neighbours import split_neighbours
from poseemo_lib.errors import DatasetError, UsageError

METHODS = ("official", "grouped", "leave_one_group_out", "neighbours", "random")
_COLUMNS = ["clip_id", "label", "split", "source_id", "group_id", "origin", "augmented_from"]
_LEAVE_OUT_VALIDATION = 1 / 8
_DRAWS = 256


def make_split(
    table: pd.DataFrame,
    method: str,
    *,
    seed: int = 0,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    fold: str | None = None,
    val_groups: int | None = None,
) -> pd.Series:
    """Give every clip its part.

    The result does not depend on the order of the rows.

    Parameters
    ----------
    table : DataFrame
        What :meth:`poseemo_lib.data.dataset.Dataset.table` returns.
    method : {"official", "grouped", "leave_one_group_out", "neighbours", "random"}
        `official`: the dataset's own; where it has no validation part, one is taken out of train by group.
        `grouped`: scikit-learn's StratifiedGroupKFold. `leave_one_group_out`: the group `fold` is the test part,
        and validation is taken out of the other groups. `neighbours`: by blocks of neighbouring clip numbers, those
        near a border not used. `random`: by clip, stratified by label. A copy that `official` holds out stays held
        out, which the audit calls a leak.
    seed : int
    fractions : tuple of float
        Train, validation, test. They are met as far as the sizes of the groups allow.
    fold : str, optional
        For `leave_one_group_out`: a group_id, see :func:`fold_names`.
    val_groups : int, optional
        How many groups are taken for validation out of the training part (`official`, `leave_one_group_out`);
        by default as many as make up its fraction, or one eighth of what is not tested for `leave_one_group_out`.

    Returns
    -------
    Series
        "train", "val", "test" or None (not used), indexed by clip_id in the order of `table`.

    Raises
    ------
    UsageError
        An unknown method or fold, or fractions that are none.
    DatasetError
        The dataset cannot be split so.
    """
    _check_call(method, fractions, fold, val_groups)
    if table.empty:
        raise DatasetError("wanted clips to split, got an empty dataset")
    order = table["clip_id"].reset_index(drop=True).sort_values().index.to_numpy()
    rows = table[_COLUMNS].iloc[order].reset_index(drop=True)
    twice = rows["clip_id"][rows["clip_id"].eq(rows["clip_id"].shift())]
    if len(twice):
        raise DatasetError(f"wanted each clip_id once, got {twice.iloc[0]!r} twice")
    # Codes in sorted order: smaller than texts, and the same whatever the order of the rows.
    rows["label"] = pd.factorize(rows["label"], sort=True)[0]
    rng = np.random.default_rng(seed)
    if method == "random":
        parts = _random(rows, fractions, rng)
    else:
        original = (rows["origin"] != "augmented").to_numpy()
        blocks = connected_blocks(rows)
        parts = np.full(len(rows), UNUSED)
        if not original.any():
            raise DatasetError("wanted clips that are not augmented copies, got none")
        one = rows[original], blocks[original]
        if method == "official":
            parts[original] = _official(*one, fractions, val_groups, rng)
        elif method == "grouped":
            parts[original] = deal_blocks(one[0]["label"].to_numpy(), one[1], fractions, rng)
        elif method == "neighbours":
            parts[original] = split_neighbours(*one, fractions, rng)
        else:
            parts[original] = _leave_out(*one, fold, val_groups, rng)
        # A copy trains where the clip it was made from trains.
        source = family_roots(rows["clip_id"], rows["augmented_from"], ~original)
        copies = np.flatnonzero(~original & (source < len(rows)))
        parts[copies] = np.where(parts[source[copies]] == TRAIN, TRAIN, UNUSED)
        if method == "official":
            # A copy that the dataset itself holds out stays where it is said to be, for the audit to find.
            for part in (VAL, TEST):
                parts[~original & (rows["split"] == SPLITS[part]).to_numpy()] = part
    in_table_order = np.empty_like(parts)
    in_table_order[order] = parts
    names = np.array([*SPLITS, None], dtype=object)
    return pd.Series(names[in_table_order], index=pd.Index(table["clip_id"]), name="split", dtype=object)


def default_method(table: pd.DataFrame) -> str:
    """Choose `official` for a table whose clips are marked train or test, otherwise `grouped`."""
    return "official" if table["split"].isin(["train", "test"]).any() else "grouped"


def fold_names(table: pd.DataFrame) -> list[str]:
    """Name the folds of `leave_one_group_out`: the groups of the clips that are not augmented copies, sorted."""
    return sorted(table.loc[table["origin"] != "augmented", "group_id"].unique())


def split_hash(split: pd.Series) -> str:
    """SHA-256 of which clip is in which part, whatever their order.

    Parameters
    ----------
    split : Series
        As :func:`make_split` returns it.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    parts = split.where(split.notna(), None).to_dict()
    digest = hashlib.sha256()
    for clip_id in sorted(parts):
        digest.update(json.dumps([clip_id, parts[clip_id]]).encode())
    return digest.hexdigest()


def _check_call(method: str, fractions, fold, val_groups) -> None:
    if method not in METHODS:
        raise UsageError(f"split method: wanted one of {', '.join(METHODS)}, got {method!r}")
    if len(fractions) != 3 or not all(f > 0 for f in fractions) or abs(sum(fractions) - 1) > 1e-6:
        raise UsageError(f"fractions: wanted three positive numbers that add up to 1, got {fractions}")
    if (fold is not None) != (method == "leave_one_group_out"):
        raise UsageError(f"fold: wanted a group_id with leave_one_group_out and none otherwise, got {fold!r}")
    if val_groups is not None and val_groups < 1:
        raise UsageError(f"val_groups: wanted 1 or more, got {val_groups}")


def _random(rows: pd.DataFrame, fractions, rng: np.random.Generator) -> np.ndarray:
    parts = np.full(len(rows), TRAIN)
    for label in np.unique(rows["label"]):
        members = rng.permutation(np.flatnonzero(rows["label"] == label))
        # At least one in each part, for a class of three clips or more.
        n_val, n_test = (max(round(f * members.size), min(1, members.size // 3)) for f in fractions[1:])
        parts[members[:n_test]] = TEST
        parts[members[n_test : n_test + n_val]] = VAL
    return all_parts(parts, "clips")


def _official(rows: pd.DataFrame, blocks: np.ndarray, fractions, val_groups, rng) -> np.ndarray:
    # An unknown or missing name is -1, not used.
    parts = pd.Index(SPLITS).get_indexer(rows["split"])
    for part in (TRAIN, TEST):
        if not (parts == part).any():
            raise DatasetError(
                f"official split: wanted clips marked {SPLITS[part]} in the dataset, got none; use the split grouped"
            )
    if not (parts == VAL).any():
        fraction = fractions[1] / (fractions[0] + fractions[1])
        draws = (rng.permutation(blocks.max() + 1) for _ in range(_DRAWS))
        _take_validation(parts, rows["label"], blocks, fraction, val_groups, draws)
    return parts


def _leave_out(rows: pd.DataFrame, blocks: np.ndarray, fold: str, val_groups, rng) -> np.ndarray:
    folds = fold_names(rows)
    if fold not in folds:
        raise UsageError(f"fold: wanted one of {', '.join(folds)}, got {fold!r}")
    tested = (rows["group_id"] == fold).to_numpy()
    # Other groups that share a source with the tested one would leak; they are not used.
    linked = np.isin(blocks, blocks[tested])
    parts = np.where(tested, TEST, np.where(linked, UNUSED, TRAIN))
    # One seeded circle of groups for all folds: each validates on what follows it, so that over the folds every group
    # validates about equally often.
    circle = rng.permutation(blocks.max() + 1)
    after = 1 + int(np.flatnonzero(circle == blocks[tested][0])[0])
    turns = (np.roll(circle, -after - turn) for turn in range(len(circle)))
    _take_validation(parts, rows["label"], blocks, _LEAVE_OUT_VALIDATION, val_groups, turns)
    return parts


def _take_validation(parts: np.ndarray, labels, blocks: np.ndarray, fraction: float, n_blocks, orders) -> None:
    """Move whole blocks from train to validation, in place: the first of some orders of blocks that serve best."""
    train = np.flatnonzero(parts == TRAIN)
    counts = class_counts(labels.to_numpy()[train], blocks[train])
    present = counts.sum(1) > 0
    candidates = np.flatnonzero(present)
    if candidates.size < 2 or (n_blocks or 1) >= candidates.size:
        raise DatasetError(
            f"validation: wanted {n_blocks or 1} of the training part's groups and at least one left to train, "
            f"got {candidates.size} independent groups; mark validation clips in the dataset or use other groups"
        )
    total, wanted = counts.sum(0), fraction * train.size
    best, best_score = None, None
    for every in orders:
        order = every[np.isin(every, candidates)]
        sizes = counts[order].sum(1).cumsum()
        n = n_blocks or min(max(1, int(np.argmin(np.abs(sizes - wanted))) + 1), candidates.size - 1)
        inside = counts[order[:n]].sum(0)
        off = 0.0 if n_blocks else max(0.0, abs(inside.sum() / wanted - 1) - 0.5)
        score = (int((total - inside == 0).sum()), int((inside == 0).sum()), off)
        if best_score is None or score < best_score:
            best, best_score = order[:n], score
        if best_score == (0, 0, 0.0):
            break
    parts[train[np.isin(blocks[train], best)]] = VAL
