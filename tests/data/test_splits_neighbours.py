import numpy as np
import pandas as pd
import pytest
from test_audit import make_clip, moved, noisy
from test_splits import straddling, with_copies

from poseemo_lib.data.audit import audit
from poseemo_lib.data.dataset import Dataset, DatasetInfo, DatasetWriter
from poseemo_lib.data.splits import GUARD, NEIGHBOUR_BLOCKS, default_method, make_split, number_places
from poseemo_lib.errors import DatasetError

FOLDERS = {"train": 7, "validation": 1, "test": 2}


def caer_like(n_shows=40, show_size=20, labels=("happy", "neutral", "sad"), seed=0):
    """A table like CAER's: every class runs through the shows in order; tens of clips go 7, 1, 2 to the folders."""
    rng = np.random.default_rng(seed)
    rows = []
    for label in labels:
        count = dict.fromkeys(FOLDERS, 0)
        for start in range(0, n_shows * show_size, 10):
            folders = rng.permutation(np.repeat(list(FOLDERS), list(FOLDERS.values())))
            for i, folder in enumerate(folders):
                count[folder] += 1
                clip_id = f"{folder}/{label.title()}/{count[folder]:04d}"
                rows.append((clip_id, label, folder.replace("validation", "val"), (start + i) // show_size))
    table = pd.DataFrame(rows, columns=["clip_id", "label", "split", "show"])
    return table.assign(source_id=table["clip_id"], group_id=table["clip_id"], origin="real", augmented_from=None)


def test_neighbours_have_one_place_in_every_folder_whatever_the_order_of_the_rows():
    table = caer_like()
    place = number_places(table)
    assert ((place > 0) & (place < 1)).all()
    np.testing.assert_allclose(place, table.groupby("label").cumcount() / 800, atol=0.05)
    order = np.random.default_rng(0).permutation(len(table))
    np.testing.assert_array_equal(number_places(table.iloc[order]), place[order])
    # By number, not by text; a class and a folder each have their own.
    ids = ["a/2", "a/10", "a/1", "b/7", "a/9"]
    rows = pd.DataFrame({"clip_id": ids, "label": ["x", "x", "x", "x", "y"]})
    np.testing.assert_allclose(number_places(rows), [0.5, 5 / 6, 1 / 6, 0.5, 0.5])


@pytest.mark.parametrize("seed", range(2))
def test_few_shows_are_cut_where_the_official_split_cuts_all(seed):
    table = caer_like(seed=seed)
    official, split = make_split(table, "official"), make_split(table, "neighbours", seed=seed)
    # A show is one show in all classes.
    assert straddling(table, official, "show") == table["show"].nunique()
    assert straddling(table, split, "show") <= 1
    sizes = split.value_counts()
    assert 0.09 < sizes["val"] / len(table) < 0.21 and 0.19 < sizes["test"] / len(table) < 0.21
    assert (pd.crosstab(table["label"].to_numpy(), split.to_numpy()) > 0).all(axis=None)


def test_clips_near_a_border_between_splits_are_left_out_and_test_keeps_its_blocks():
    table = caer_like()
    split, place = make_split(table, "neighbours", seed=1).to_numpy(), number_places(table)
    unused = pd.isna(split)
    assert 0 < unused.mean() < 0.35
    for label in set(table["label"]):
        inside = (table["label"] == label).to_numpy()
        for earlier, later in (("train", ("val", "test")), ("val", ("test",))):
            mine, theirs = place[inside & (split == earlier)], place[inside & np.isin(split, later)]
            assert np.abs(mine[:, None] - theirs).min() > GUARD - 0.01
        tests = np.floor(place[inside & (split == "test")] * NEIGHBOUR_BLOCKS)
        every = np.floor(place[inside] * NEIGHBOUR_BLOCKS)
        # Whole blocks: the test split of a class gives way to nobody.
        assert {b: (tests == b).sum() for b in set(tests)} == {b: (every == b).sum() for b in set(tests)}
    assert set(split[~unused]) == {"train", "val", "test"}


def test_known_groups_and_sources_are_not_cut_and_copies_follow():
    table = caer_like()
    table.loc[[5, 105, 1700], "group_id"] = "known"
    table.loc[[300, 1000], "source_id"] = "one film"
    table = with_copies(table)
    for seed in range(3):
        split = make_split(table, "neighbours", seed=seed)
        assert straddling(table, split, "group_id") == straddling(table, split, "source_id") == 0
        copies = table[table["origin"] == "augmented"]
        for clip_id in copies["clip_id"]:
            source = clip_id.removesuffix("-copy").removesuffix("-copy")
            assert split[clip_id] == ("train" if split[source] == "train" else None)


def test_what_the_numbers_cannot_split_is_named():
    table = caer_like()
    unnumbered = table.assign(clip_id=table["clip_id"].where(table.index != 7, "train/Happy/intro"))
    with pytest.raises(DatasetError, match="numbered within folders.*got 'train/Happy/intro'; use the split grouped"):
        make_split(unnumbered, "neighbours")
    scattered = table.assign(group_id=[f"show-{i % 5}" for i in range(len(table))])
    with pytest.raises(DatasetError, match="at least 3 blocks.*got 1; use the split grouped"):
        make_split(scattered, "neighbours")


def test_the_default_is_the_datasets_own_split_where_it_has_one():
    table = caer_like()
    assert default_method(table) == "official" and default_method(table.assign(split=None)) == "grouped"


def test_planted_near_duplicates_leak_in_the_official_split_and_not_between_neighbours(tmp_path):
    table = caer_like(n_shows=14, show_size=10, labels=("happy", "sad"))
    with DatasetWriter(tmp_path / "d", DatasetInfo(name="caer-like")) as writer:
        for i, row in enumerate(table.itertuples()):
            scene = i - i % 2  # two clips in a row are one movement, filmed twice
            clip = make_clip(scene)
            clip = moved(noisy(clip, 0.01), 1.1, (20, 5)) if i % 2 else clip
            writer.write(
                clip.with_(
                    clip_id=row.clip_id, label=row.label, split=row.split, source_id=row.clip_id, group_id=row.clip_id
                )
            )
    dataset = Dataset(tmp_path / "d")
    official = audit(dataset, make_split(dataset.table(), "official"))
    assert official.counts["near"] > 25 and official.counts["group"] == 0
    assert audit(dataset, make_split(dataset.table(), "neighbours")).ok
