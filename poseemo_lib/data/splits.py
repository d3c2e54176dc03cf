"""Splits: which clips train, validate and test.

- `official`: the dataset's own. Where it has no validation clips, whole blocks of its training clips validate.
- `grouped`: whole blocks, assigned by scikit-learn's StratifiedGroupKFold; or, with `folds`, a cross-validation. Every
  repeat deals all blocks to the folds anew. One fold tests, and whole blocks of the others validate.
- `leave_one_group_out`: one group tests; whole blocks of the others validate.
- `neighbours`: for datasets that do not name their shows, such as CAER. Clips with neighbouring numbers stay together.
- `random`: by clip, copies included, as in the published study. It leaks.

A block is made of clips that share a `source_id` or `group_id`, directly or through other clips
(:mod:`poseemo_lib.data.blocks`). Except in `random`, augmented copies train where their source clip trains and are not
used otherwise. A copy that `official` marks as val or test stays there, and the audit reports it as a leak.

`neighbours` assumes that the clips of a folder (`train/Anger/0012`) are numbered along the shows. A clip's place is the
rank of its number in its folder and class, scaled to 0..1; equal places count as one show, in all folders and classes.
The places are cut into five blocks, and clips near the border to another split are not used. Where the numbers do not
follow the shows, this split leaks as much as one by clip. docs/caer.md shows simulations.
"""

import hashlib
import json
import re
from functools import partial

import numpy as np
import pandas as pd

from poseemo_lib.clips import SPLITS
from poseemo_lib.data.blocks import (
    FRACTIONS,
    TEST,
    TRAIN,
    UNUSED,
    VAL,
    connected_blocks,
    deal_blocks,
    deal_parts,
    family_roots,
    require_all_splits,
    take_validation,
)
from poseemo_lib.errors import DatasetError, UsageError

METHODS = ("official", "grouped", "leave_one_group_out", "neighbours", "random")
NEIGHBOUR_BLOCKS = 5
GUARD = 0.1  # of all places: clips this close to a block of another split are not used
_COLUMNS = ["clip_id", "label", "split", "source_id", "group_id", "origin", "augmented_from"]
_LEAVE_OUT_VALIDATION = 1 / 8  # of the clips that do not test
_DRAWS = 256


def make_split(
    table: pd.DataFrame,
    method: str,
    *,
    seed: int = 0,
    fold: str | None = None,
    folds: int = 0,
) -> pd.Series:
    """Assign every clip to train, val or test, about 8 to 1 to 1. The order of the rows does not matter.

    Parameters
    ----------
    table : DataFrame
        What :meth:`poseemo_lib.data.dataset.Dataset.table` returns.
    method : str
        One of :data:`METHODS`.
    fold : str, optional
        For `leave_one_group_out`: the group_id to test; for `grouped` with `folds`: see :func:`repeated_folds`.
    folds : int
        For `grouped`: how many folds a cross-validation has; 0: none.

    Returns
    -------
    Series
        "train", "val", "test" or None (not used), indexed by clip_id in the order of `table`.

    Raises
    ------
    UsageError
        Unknown method or fold.
    DatasetError
        This dataset cannot be split this way.
    """
    if method not in METHODS:
        raise UsageError(f"split method: wanted one of {', '.join(METHODS)}, got {method!r}")
    if method == "grouped" and folds:
        wanted = re.fullmatch(r"([1-9]\d*)-([1-9]\d*)", fold or "")
        if wanted is None or int(wanted[2]) > folds:
            raise UsageError(f"fold: wanted the repeat and the fold (1 to {folds}), as 1-2, got {fold!r}")
        repeat, number = map(int, wanted.groups())
        rng, deal = np.random.default_rng([seed, repeat]), partial(_one_fold, number - 1, folds)
    elif (fold is not None) != (method == "leave_one_group_out"):
        raise UsageError(f"fold: wanted a group_id with leave_one_group_out and none otherwise, got {fold!r}")
    else:
        rng, deal = np.random.default_rng(seed), deal_blocks
    if table.empty:
        raise DatasetError("wanted clips to split, got an empty dataset")
    order = table["clip_id"].reset_index(drop=True).sort_values().index.to_numpy()
    rows = table[_COLUMNS].iloc[order].reset_index(drop=True)
    twice = rows["clip_id"][rows["clip_id"].duplicated()]
    if len(twice):
        raise DatasetError(f"wanted each clip_id once, got {twice.iloc[0]!r} twice")
    rows["label"] = pd.factorize(rows["label"], sort=True)[0]
    splits = _random(rows, rng) if method == "random" else _by_block(rows, method, fold, rng, deal)
    in_table_order = np.empty_like(splits)
    in_table_order[order] = splits
    names = np.array([*SPLITS, None], dtype=object)
    return pd.Series(names[in_table_order], index=pd.Index(table["clip_id"]), name="split", dtype=object)


def default_method(table: pd.DataFrame) -> str:
    """Choose `official` for a table with clips marked train or test, otherwise `grouped`."""
    return "official" if table["split"].isin(["train", "test"]).any() else "grouped"


def fold_names(table: pd.DataFrame) -> list[str]:
    """List the folds of `leave_one_group_out`: the groups of all clips but augmented copies, sorted."""
    return sorted(table.loc[table["origin"] != "augmented", "group_id"].unique())


def repeated_folds(folds: int, repeats: int) -> list[str]:
    """List the folds of a repeated cross-validation: `1-2` is the second fold of the first repeat."""
    return [f"{repeat}-{fold}" for repeat in range(1, repeats + 1) for fold in range(1, folds + 1)]


def split_hash(split: pd.Series) -> str:
    """SHA-256 of which clip is in which split, whatever their order: 64 hexadecimal digits."""
    splits = split.where(split.notna(), None).to_dict()
    digest = hashlib.sha256()
    for clip_id in sorted(splits):
        digest.update(json.dumps([clip_id, splits[clip_id]]).encode())
    return digest.hexdigest()


def _random(rows: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    splits = np.full(len(rows), TRAIN)
    for label in np.unique(rows["label"]):
        members = rng.permutation(np.flatnonzero(rows["label"] == label))
        # At least one in each split, for a class of three clips or more.
        n_val, n_test = (max(round(f * members.size), min(1, members.size // 3)) for f in FRACTIONS[1:])
        splits[members[:n_test]] = TEST
        splits[members[n_test : n_test + n_val]] = VAL
    return require_all_splits(splits, "clips")


def _by_block(rows: pd.DataFrame, method: str, fold: str | None, rng, deal) -> np.ndarray:
    """Split the original clips, then let the copies follow."""
    original = (rows["origin"] != "augmented").to_numpy()
    if not original.any():
        raise DatasetError("wanted clips that are not augmented copies, got none")
    some, blocks = rows[original], connected_blocks(rows)[original]
    splits = np.full(len(rows), UNUSED)
    if method == "official":
        splits[original] = _official(some, blocks, rng)
    elif method == "grouped":
        splits[original] = deal(some["label"].to_numpy(), blocks, rng)
    elif method == "neighbours":
        splits[original] = split_neighbours(some, blocks, rng)
    else:
        splits[original] = _leave_out(some, blocks, fold, rng)
    source = family_roots(rows["clip_id"], rows["augmented_from"], ~original)
    copies = np.flatnonzero(~original & (source < len(rows)))
    splits[copies] = np.where(splits[source[copies]] == TRAIN, TRAIN, UNUSED)
    if method == "official":
        for split in (VAL, TEST):
            splits[~original & (rows["split"] == SPLITS[split]).to_numpy()] = split
    return splits


def _official(rows: pd.DataFrame, blocks: np.ndarray, rng) -> np.ndarray:
    splits = pd.Index(SPLITS).get_indexer(rows["split"])  # unknown or missing: -1, not used
    for split in (TRAIN, TEST):
        if not (splits == split).any():
            raise DatasetError(
                f"official split: wanted clips marked {SPLITS[split]} in the dataset, got none; use the split grouped"
            )
    if not (splits == VAL).any():
        fraction = FRACTIONS[1] / (FRACTIONS[0] + FRACTIONS[1])
        draws = (rng.permutation(blocks.max() + 1) for _ in range(_DRAWS))
        take_validation(splits, rows["label"].to_numpy(), blocks, fraction, draws)
    return splits


def _one_fold(number: int, folds: int, labels: np.ndarray, blocks: np.ndarray, rng) -> np.ndarray:
    """Deal all blocks to folds and test one of them; whole blocks of the others validate."""
    tested = deal_parts(labels, blocks, (1 / folds,) * folds, rng) == number
    splits = np.full(len(labels), TEST)
    inner = (1 - _LEAVE_OUT_VALIDATION, _LEAVE_OUT_VALIDATION)  # TRAIN, VAL
    splits[~tested] = deal_parts(labels[~tested], blocks[~tested], inner, rng)
    return splits


def _leave_out(rows: pd.DataFrame, blocks: np.ndarray, fold: str, rng) -> np.ndarray:
    folds = fold_names(rows)
    if fold not in folds:
        raise UsageError(f"fold: wanted one of {', '.join(folds)}, got {fold!r}")
    tested = (rows["group_id"] == fold).to_numpy()
    # Other groups that share a source with the tested one would leak, so they are not used.
    linked = np.isin(blocks, blocks[tested])
    splits = np.where(tested, TEST, np.where(linked, UNUSED, TRAIN))
    # One shuffled circle of blocks for all folds: each fold validates on the blocks after its own, so that over the
    # folds every block validates about equally often.
    circle = rng.permutation(blocks.max() + 1)
    after = 1 + int(np.flatnonzero(circle == blocks[tested][0])[0])
    turns = (np.roll(circle, -after - turn) for turn in range(len(circle)))
    take_validation(splits, rows["label"].to_numpy(), blocks, _LEAVE_OUT_VALIDATION, turns)
    return splits


def split_neighbours(rows: pd.DataFrame, blocks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Deal blocks of neighbouring clip numbers to train 0, validation 1 and test 2; -1 within `GUARD` of a later split.

    `rows` has clip_id, label (codes) and augmented_from. Known `blocks` (N,) are not cut but join the blocks of
    neighbours that they touch. The shares of the splits hold before clips near a border are left out.
    """
    place = number_places(rows)
    bins = _bin(place)
    joined = connected_blocks(rows.assign(group_id=bins, source_id=blocks))
    if joined.max() < 2:
        raise DatasetError(
            "neighbours split: wanted at least 3 blocks of neighbouring clip numbers that share no known group or "
            f"source, got {joined.max() + 1}; use the split grouped"
        )
    splits = deal_blocks(rows["label"].to_numpy(), joined, rng)
    split_of_bin = np.full(NEIGHBOUR_BLOCKS, UNUSED)
    split_of_bin[bins] = splits
    nearby = [split_of_bin[_bin(place + shift)] for shift in (-GUARD, GUARD)]
    # Only the earlier split gives way, so that test keeps every clip.
    splits = np.where(np.max(nearby, axis=0) > splits, UNUSED, splits)
    return require_all_splits(splits, "blocks of neighbouring clip numbers")


def _bin(place: np.ndarray) -> np.ndarray:
    # The small number keeps rounding from moving a place on a border, such as 0.5 + 0.1, to either side.
    return np.clip(np.floor(place * NEIGHBOUR_BLOCKS + 1e-9), 0, NEIGHBOUR_BLOCKS - 1).astype(np.int64)


def number_places(rows: pd.DataFrame) -> np.ndarray:
    """Place each clip (N rows with clip_id and label) between the first and the last number of its folder and label.

    The number is the digits at the end of clip_id, the folder what precedes them. Returns (rank + 0.5) / count,
    (N,), whatever the order of the rows.
    """
    named = rows["clip_id"].str.extract(r"(?s)^(?P<folder>.*?)(?P<number>\d+)$")
    unnumbered = rows["clip_id"][named["number"].isna()]
    if len(unnumbered):
        raise DatasetError(
            "neighbours split: wanted clips that are numbered within folders, such as train/Anger/0012, "
            f"got {unnumbered.iloc[0]!r}; use the split grouped"
        )
    table = named.assign(number=named["number"].map(int), label=rows["label"], clip_id=rows["clip_id"])
    ordered = table.reset_index(drop=True).sort_values(["folder", "label", "number", "clip_id"])
    folders = ordered.groupby(["folder", "label"], sort=False)["number"]
    place = (folders.cumcount() + 0.5) / folders.transform("size")
    return place.sort_index().to_numpy()
