"""How much of a show stays on two sides of a split by neighbouring clip numbers, in simulated numberings.

    python benchmarks/neighbour_blocks.py --draws 20

Classes of CAER's sizes: 79 shows of unequal length, scenes of 1 to 5 clips, numbered in the order of the shows. The
clips go to the folders train, validation and test in one of three ways, are numbered anew in each folder, and are split
by `poseemo_lib.data.splits`. Printed in percent: test clips with a clip in train of the same scene, of the same show in
the same class, and of the same show (lowest and highest class); and clips that are not used.
"""

import argparse
from unittest.mock import patch

import numpy as np
import pandas as pd

from poseemo_lib.data import splits
from poseemo_lib.data.blocks import TEST, TRAIN, UNUSED

# Train, validation and test clips of Anger, Disgust, Fear, Happy, Neutral, Sad, Surprise.
SIZES = np.array(
    [[1136, 162, 325], [500, 71, 145], [358, 51, 102], [1905, 272, 544], [3202, 457, 915], [1028, 146, 294]]
    + [[1093, 157, 312]]
)
N_SHOWS = 79
# Blocks and gap; None: the folders themselves, the official split.
CUTS = {"official": None, "10 blocks, 5 % gap": (10, 0.05), "5 blocks, 10 % gap": (5, 0.1)}


def folders(way: str, sizes: np.ndarray, show: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put the clips of a class, in order, into the folders 0, 1, 2."""
    if way == "at random":
        return rng.permutation(np.repeat([0, 1, 2], sizes))
    if way == "every tenth in turn":
        return np.array([0, 0, 0, 2, 0, 0, 1, 0, 0, 2])[np.arange(len(show)) % 10]
    within = pd.Series(show).groupby(show).cumcount() / pd.Series(show).groupby(show).transform("size")
    return np.digitize(within, [0.7, 0.8])


def numbered_clips(way: str, rng: np.random.Generator) -> pd.DataFrame:
    """Draw shows and scenes for all classes and number the clips within their folders."""
    tables = []
    for label, sizes in enumerate(SIZES):
        weight = rng.lognormal(0, 0.7, N_SHOWS)
        show = np.sort(rng.choice(N_SHOWS, sizes.sum(), p=weight / weight.sum()))
        # A scene ends with its show, or after as many clips as were drawn for it.
        ends = np.isin(np.arange(len(show)), rng.integers(1, 6, len(show)).cumsum()) | (np.diff(show, prepend=-1) != 0)
        table = pd.DataFrame({"label": label, "show": show, "scene": ends.cumsum()})
        table["folder"] = folders(way, sizes, show, rng)
        table["clip_id"] = [
            f"{folder}/{label}/{number:04d}"
            for folder, number in zip(table["folder"], table.groupby("folder").cumcount(), strict=True)
        ]
        tables.append(table)
    return pd.concat(tables, ignore_index=True).assign(augmented_from=None)


def crossing(clips: pd.DataFrame, part: np.ndarray) -> np.ndarray:
    """Share of each class's test clips with a clip in train: of their scene, their show in their class, their show."""
    rows = []
    for label in range(len(SIZES)):
        one = clips[clips["label"] == label]
        mine = part[one.index]
        within = [one[what][mine == TEST].isin(one[what][mine == TRAIN]).mean() for what in ("scene", "show")]
        rows.append([*within, one["show"][mine == TEST].isin(clips["show"][part == TRAIN]).mean()])
    return np.array(rows)


def measure(way: str, cut: tuple[int, float] | None, n_draws: int) -> tuple[np.ndarray, float]:
    """Average the crossing and the share of unused clips over draws."""
    shares, unused = [], []
    for draw in range(n_draws):
        rng = np.random.default_rng(draw)
        clips = numbered_clips(way, rng)
        if cut is None:
            part = clips["folder"].to_numpy()
        else:
            with patch.multiple(splits, NEIGHBOUR_BLOCKS=cut[0], GUARD=cut[1]):
                part = splits.split_neighbours(clips, np.arange(len(clips)), rng)
        shares.append(crossing(clips, part))
        unused.append((part == UNUSED).mean())
    return np.mean(shares, 0), float(np.mean(unused))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=20)
    n_draws = parser.parse_args().draws
    for way in ("at random", "every tenth in turn", "70, 10, 20 % of each show in order"):
        for name, cut in CUTS.items():
            share, unused = measure(way, cut, n_draws)
            low, high = 100 * share.min(0), 100 * share.max(0)
            print(  # noqa: T201
                f"{way:36s} {name:20s} scene {low[0]:3.0f}-{high[0]:3.0f}  show in class {low[1]:3.0f}-{high[1]:3.0f}  "
                f"show {low[2]:3.0f}-{high[2]:3.0f}  unused {100 * unused:4.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
