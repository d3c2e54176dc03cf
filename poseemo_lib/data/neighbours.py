"""Blocks of neighbouring clip numbers, for datasets that do not name their shows, such as CAER.

CAER's clips are numbered within folders (`train/Anger/0012`), and neighbouring numbers are likely scenes of one show.
So each class is laid out along its numbers: a clip's place is its rank among the numbers of its folder over their
count, 0 to 1, and the same place counts as the same show, in the folders of train, validation and test and in all
classes. The places are cut into five blocks, and clips near a border between two parts are left out.

This is an assumption about how the clips were numbered, weaker than knowing the shows: where the numbers say nothing,
the split is as leaky as one by clip. docs/caer.md says how much of a show still crosses in simulated numberings.
"""

import numpy as np
import pandas as pd

from poseemo_lib.data.blocks import connected_blocks
from poseemo_lib.data.dealing import UNUSED, all_parts, deal_blocks
from poseemo_lib.errors import DatasetError

N_BLOCKS = 5
GUARD = 0.1  # of all places: how near to another part's block a clip is left out


def split_neighbours(rows: pd.DataFrame, blocks: np.ndarray, fractions, rng: np.random.Generator) -> np.ndarray:
    """Deal blocks of neighbouring numbers to train, validation and test.

    Parameters
    ----------
    rows : DataFrame
        N clips with clip_id, label (codes) and augmented_from.
    blocks : array (N,), int
        Clips of a known source or group, which are not cut: they join the blocks of neighbours that they touch.
    fractions : tuple of float
        Train, validation, test, before clips near a border are left out.
    rng : numpy.random.Generator

    Returns
    -------
    array (N,), int
        0 train, 1 validation, 2 test, -1 not used: a clip within `GUARD` of a block of a later part.

    Raises
    ------
    DatasetError
        A clip_id has no number at its end, or the blocks cannot be dealt.
    """
    place = number_places(rows)
    labels = rows["label"].to_numpy()
    bins = _bin(place)
    joined = connected_blocks(rows.assign(group_id=bins, source_id=blocks))
    if joined.max() < 2:
        raise DatasetError(
            "neighbours split: wanted at least 3 blocks of neighbouring clip numbers that share no known group or "
            f"source, got {joined.max() + 1}; use the split grouped"
        )
    parts = deal_blocks(labels, joined, fractions, rng)
    # A bin is in one part as a whole; an empty one, which none of its neighbours can leak into, has none.
    part_of_bin = np.full(N_BLOCKS, UNUSED)
    part_of_bin[bins] = parts
    nearby = [part_of_bin[_bin(place + shift)] for shift in (-GUARD, GUARD)]
    # Only the earlier part gives way, so that test keeps every clip.
    return all_parts(np.where(np.max(nearby, axis=0) > parts, UNUSED, parts), "blocks of neighbouring clip numbers")


def _bin(place: np.ndarray) -> np.ndarray:
    # The small number keeps a place on a border, such as 0.5 + 0.1, from falling to either side by rounding.
    return np.clip(np.floor(place * N_BLOCKS + 1e-9), 0, N_BLOCKS - 1).astype(np.int64)


def number_places(rows: pd.DataFrame) -> np.ndarray:
    """Place each clip between the first and the last number of its folder and label.

    Parameters
    ----------
    rows : DataFrame
        N clips with clip_id and label. The number is the digits at the end of clip_id, the folder what is before them.

    Returns
    -------
    array (N,)
        (rank + 0.5) / count, more than 0 and less than 1, whatever the order of the rows.

    Raises
    ------
    DatasetError
        A clip_id does not end in a number.
    """
    named = rows["clip_id"].str.extract(r"(?s)^(?P<folder>.*?)(?P<number>\d+)$")
    lost = named["number"].isna().to_numpy()
    if lost.any():
        raise DatasetError(
            "neighbours split: wanted clips that are numbered within folders, such as train/Anger/0012, "
            f"got {rows['clip_id'].iloc[np.flatnonzero(lost)[0]]!r}; use the split grouped"
        )
    table = pd.DataFrame(
        {
            "folder": named["folder"].to_numpy(),
            "label": rows["label"].to_numpy(),
            "number": named["number"].map(int).to_numpy(),
            "clip_id": rows["clip_id"].to_numpy(),
        }
    )
    ordered = table.sort_values(["folder", "label", "number", "clip_id"])
    folders = ordered.groupby(["folder", "label"], sort=False)["number"]
    place = (folders.cumcount() + 0.5) / folders.transform("size")
    return place.sort_index().to_numpy()
