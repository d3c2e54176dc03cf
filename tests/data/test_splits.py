import itertools
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from poseemo_lib.clips import EMOTIONS
from poseemo_lib.data.blocks import connected_blocks, family_roots
from poseemo_lib.data.splits import METHODS, fold_names, make_split, repeated_folds, split_hash
from poseemo_lib.errors import DatasetError, UsageError


def make_table(n=2000, groups=50, seed=0, labels=EMOTIONS, split=None):
    rng = np.random.default_rng(seed)
    group = rng.integers(groups, size=n)
    weights = np.array([0.11, 0.09, 0.06, 0.18, 0.33, 0.11, 0.12])[: len(labels)]
    return pd.DataFrame(
        {
            "clip_id": [f"clip-{i:05d}" for i in range(n)],
            "label": rng.choice(labels, size=n, p=weights / weights.sum()),
            "split": pd.Series([split] * n, dtype=object),
            "source_id": [f"film-{g}-{s}" for g, s in zip(group, rng.integers(4, size=n), strict=True)],
            "group_id": [f"show-{g}" for g in group],
            "origin": "real",
            "augmented_from": pd.Series([None] * n, dtype=object),
        }
    )


def small_table(rows):
    """Build a table from (group, label) or (group, label, source) rows."""
    rows = [(*row, f"film-{i}") if len(row) == 2 else row for i, row in enumerate(rows)]
    groups, labels, sources = map(list, zip(*rows, strict=True))
    return make_table(len(rows)).assign(group_id=groups, label=labels, source_id=sources)


def with_copies(table, every=5, chain=True):
    copies = table.iloc[::every].copy()
    copies["augmented_from"], copies["clip_id"] = copies["clip_id"], copies["clip_id"] + "-copy"
    more = copies.copy()
    more["augmented_from"], more["clip_id"] = more["clip_id"], more["clip_id"] + "-copy"
    both = pd.concat([copies, more] if chain else [copies])
    return pd.concat([table, both.assign(origin="augmented")], ignore_index=True)


def with_official(table, val=True):
    """Mark the shows 0-9 as test and 10-19 as validation."""
    show = table["group_id"].str.removeprefix("show-").astype(int)
    return table.assign(split=np.where(show < 10, "test", np.where((show < 20) & val, "val", "train")))


def options_of(method):
    return {"fold": "show-3"} if method == "leave_one_group_out" else {}


def straddling(table, split, column):
    used = pd.DataFrame({"key": table[column].to_numpy(), "split": split.to_numpy()}).dropna()
    return int((used.groupby("key")["split"].nunique() > 1).sum())


@pytest.mark.parametrize("method", METHODS)
def test_a_split_is_repeatable_and_independent_of_the_row_order(method):
    table = with_copies(with_official(make_table(), val=False))
    if method == "neighbours":  # is for clips whose groups are not known
        table["source_id"] = table["group_id"] = table["clip_id"].str.removesuffix("-copy").str.removesuffix("-copy")
    split = make_split(table, method, seed=3, **options_of(method))
    shuffled = table.sample(frac=1, random_state=1)
    again = make_split(shuffled, method, seed=3, **options_of(method))
    assert split.index.tolist() == table["clip_id"].tolist()
    assert again.index.tolist() == shuffled["clip_id"].tolist()
    pd.testing.assert_series_equal(again.reindex(split.index), split)
    assert split_hash(again) == split_hash(split)
    other = make_split(table, method, seed=4, **options_of(method))
    assert split_hash(other) != split_hash(split)


@pytest.mark.parametrize("method", ["official", "grouped", "leave_one_group_out"])
def test_no_source_or_group_is_on_two_sides(method):
    table = with_copies(with_official(make_table(), val=False))
    for seed in range(5):
        split = make_split(table, method, seed=seed, **options_of(method))
        assert straddling(table, split, "group_id") == 0
        assert straddling(table, split, "source_id") == 0
        assert set(split.dropna()) == {"train", "val", "test"}


def test_a_random_split_does_what_was_published():
    table = with_copies(make_table())
    split = make_split(table, "random")
    assert straddling(table, split, "group_id") == 50
    assert split.notna().all()
    copies = split[(table["origin"] == "augmented").to_numpy()]
    assert set(copies) == {"train", "val", "test"}
    shares = split.value_counts(normalize=True)
    np.testing.assert_allclose(shares[["train", "val", "test"]], [0.8, 0.1, 0.1], atol=0.005)
    by_class = pd.crosstab(table["label"].to_numpy(), split.to_numpy(), normalize="index")
    np.testing.assert_allclose(by_class["test"], 0.1, atol=0.01)


def test_grouped_meets_the_fractions_with_every_class_everywhere():
    table = make_table()
    split = make_split(table, "grouped")
    shares = split.value_counts(normalize=True)
    np.testing.assert_allclose(shares[["train", "val", "test"]], (0.8, 0.1, 0.1), atol=0.06)
    assert (pd.crosstab(table["label"].to_numpy(), split.to_numpy()) > 0).all(axis=None)


def test_grouped_joins_groups_that_share_a_source():
    table = make_table(300, groups=12)
    table.loc[table["group_id"].isin(["show-0", "show-1", "show-2"]), "source_id"] = "one long film"
    blocks = connected_blocks(table)
    assert len(set(blocks)) == 10
    for seed in range(5):
        split = make_split(table, "grouped", seed=seed)
        assert straddling(table, split, "source_id") == straddling(table, split, "group_id") == 0


def possible(table):
    """Try every assignment of groups to splits: can every class be in every split?"""
    counts = pd.crosstab(table["group_id"], table["label"]).to_numpy() > 0
    trials = (np.array(one) for one in itertools.product(range(3), repeat=len(counts)))
    return any(all(counts[one == split].any(0).all() for split in range(3)) for one in trials)


def test_grouped_finds_every_class_for_every_split_where_the_groups_allow_it():
    rng = np.random.default_rng(0)
    n_possible = 0
    for trial in range(40):
        groups = rng.integers(3, 7)
        rows = [(f"g{g}", label) for g in range(groups) for label in "abc" if rng.random() < 0.6]
        rows += [(f"g{g}", "a") for g in range(groups)]
        table = small_table(rows)
        split = make_split(table, "grouped", seed=trial)
        complete = (pd.crosstab(table["label"].to_numpy(), split.to_numpy()) > 0).all(axis=None)
        assert complete == possible(table), rows
        n_possible += complete
    assert 5 < n_possible < 35


def test_leave_one_group_out_tests_one_group_and_validates_on_about_an_eighth_of_the_rest():
    table = make_table(groups=40)
    assert fold_names(table) == sorted({f"show-{i}" for i in range(40)})
    for fold in ("show-0", "show-17"):
        split = make_split(table, "leave_one_group_out", fold=fold)
        assert set(table["group_id"][(split == "test").to_numpy()]) == {fold}
        rest = split[(table["group_id"] != fold).to_numpy()]
        assert set(rest) == {"train", "val"}
        assert 0.06 < (rest == "val").mean() < 0.19
        assert (pd.crosstab(table["label"].to_numpy(), split.to_numpy())[["train", "val"]] > 0).all(axis=None)


def test_leave_one_group_out_takes_a_validation_group_with_all_classes():
    # Only g2 and g5 hold both classes.
    rows = [(f"g{g}", "a") for g in range(8) for _ in range(4)] + [("g2", "b"), ("g5", "b")] * 2
    table = small_table(rows)
    chosen = set()
    for seed in range(12):
        split = make_split(table, "leave_one_group_out", fold="g0", seed=seed)
        validating = set(table["group_id"][(split == "val").to_numpy()])
        assert len(validating) == 1
        chosen |= validating
    assert chosen == {"g2", "g5"}


def test_a_group_that_shares_a_source_with_the_tested_one_is_not_used():
    rows = [(f"g{g}", "a", f"film-{g}") for g in range(6)] + [("g1", "a", "film-0")]
    split = make_split(small_table(rows), "leave_one_group_out", fold="g0")
    assert split.iloc[0] == "test"
    assert split.iloc[[1, 6]].isna().all()
    assert set(split.iloc[2:6]) == {"train", "val"}


def test_official_is_the_datasets_own():
    table = with_official(make_table())
    table.loc[5, "split"] = None
    split = make_split(table, "official")
    expected = table.set_index("clip_id")["split"]
    assert split.isna().tolist() == expected.isna().tolist()
    assert (split.dropna() == expected.dropna()).all()


@pytest.mark.parametrize("method", ["official", "grouped", "leave_one_group_out"])
def test_copies_train_where_their_source_trains_and_are_not_used_otherwise(method):
    table = with_copies(with_official(make_table()))
    # Before their sources in the table, and one whose source is not there.
    table = table.iloc[::-1].reset_index(drop=True)
    orphan = table.iloc[[0]].assign(clip_id="orphan", augmented_from="gone", origin="augmented")
    table = pd.concat([table, orphan], ignore_index=True)
    split = make_split(table, method, **options_of(method))
    copies = table[table["origin"] == "augmented"]
    for clip_id, own in zip(copies["clip_id"], copies["split"], strict=True):
        source = clip_id.removesuffix("-copy").removesuffix("-copy")
        wanted = "train" if split.get(source) == "train" else None
        if method == "official" and own in ("val", "test"):
            wanted = own  # where the dataset puts it, so that the audit finds it
        assert split[clip_id] == wanted
    assert split["orphan"] == (orphan["split"].iloc[0] if method == "official" else None)
    if method != "official":
        assert 0 < split[copies["clip_id"]].isna().sum() < len(copies)


def test_family_roots_follow_chains_end_in_rings_and_join_siblings_of_an_absent_source():
    ids = ["a", "b", "c", "d", "e", "f", "g"]
    sources = [None, "a", "b", "gone", "gone", "g", "f"]
    roots = family_roots(ids, sources, [source is not None for source in sources])
    assert roots[:3].tolist() == [0, 0, 0]
    assert roots[3] == roots[4] >= 7
    assert set(roots[5:]) <= {5, 6}


def test_split_hash_ignores_order_only():
    split = pd.Series(["train", "val", None], index=["a", "b", "c"])
    assert split_hash(split) == split_hash(split.iloc[::-1]) == split_hash(split.astype("category"))
    assert len(split_hash(split)) == 64
    for other in (["train", "val", "test"], ["val", "train", None]):
        assert split_hash(pd.Series(other, index=["a", "b", "c"])) != split_hash(split)


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        ({"method": "grupped"}, "wanted one of official, grouped"),
        ({"method": "grouped", "fold": "show-1"}, "fold"),
        ({"method": "leave_one_group_out"}, "fold"),
        ({"method": "leave_one_group_out", "fold": "show-99"}, "wanted one of show-0, show-1"),
        ({"method": "grouped", "folds": 3}, "the repeat and the fold (1 to 3), as 1-2, got None"),
        ({"method": "grouped", "folds": 3, "fold": "1-4"}, "the repeat and the fold (1 to 3), as 1-2, got '1-4'"),
        ({"method": "grouped", "folds": 3, "fold": "show-1"}, "got 'show-1'"),
    ],
)
def test_wrong_calls_are_named(call, wanted):
    with pytest.raises(UsageError) as error:
        make_split(make_table(60, groups=4), **call)
    assert wanted in str(error.value)


@pytest.mark.parametrize(
    ("table", "call", "wanted"),
    [
        (make_table(60, groups=2), {"method": "grouped"}, "at least 3 groups"),
        (make_table(60, groups=2), {"method": "leave_one_group_out", "fold": "show-1"}, "validation"),
        (make_table(60, groups=4), {"method": "grouped", "folds": 5, "fold": "1-1"}, "at least 5 groups"),
        (make_table(60, groups=2), {"method": "grouped", "folds": 2, "fold": "1-1"}, "at least 2 groups"),
        (make_table(60), {"method": "official"}, "official split: wanted clips marked train"),
        (make_table(2), {"method": "random"}, "too few for val, test"),
        (make_table(60).iloc[:0], {"method": "grouped"}, "empty dataset"),
        (make_table(60).assign(clip_id="same"), {"method": "random"}, "'same' twice"),
    ],
)
def test_what_cannot_be_split_is_named(table, call, wanted):
    with pytest.raises(DatasetError) as error:
        make_split(table, **call)
    assert wanted in str(error.value)


def test_over_the_folds_every_group_validates_about_equally_often():
    rows = [(f"g{g}", label) for g in range(8) for label in ("happy", "sad") * 3 if g != 5 or label == "sad"]
    table = small_table(rows)  # one group lacks a class
    counts = Counter()
    for fold in fold_names(table):
        split = make_split(table, "leave_one_group_out", fold=fold, seed=3)
        counts.update(set(table["group_id"][(split == "val").to_numpy()]))
    assert set(counts) >= {f"g{g}" for g in range(8)} - {"g5"}
    assert max(counts.values()) <= 2


def cross_validation(table, folds, repeats, seed=0):
    names = repeated_folds(folds, repeats)
    return {name: make_split(table, "grouped", fold=name, folds=folds, seed=seed) for name in names}


def test_a_repeat_tests_every_group_once_and_no_group_or_source_is_in_two_splits():
    table = with_copies(make_table(600, groups=17))
    table.loc[table["group_id"].isin(["show-0", "show-1"]), "source_id"] = "one long film"
    original = (table["origin"] == "real").to_numpy()
    splits = cross_validation(table, 4, 3)
    tested = {}
    for name, split in splits.items():
        assert straddling(table, split, "group_id") == straddling(table, split, "source_id") == 0
        assert split[original].notna().all() and set(split[~original].dropna()) == {"train"}
        tested.setdefault(name[0], []).append(frozenset(table["group_id"][(split == "test").to_numpy()]))
        assert 0.6 < (split[original] == "train").mean() < 0.75
        rest = split[original & (split != "test").to_numpy()]
        assert 0.06 < (rest == "val").mean() < 0.19
    for parts in tested.values():
        assert Counter(group for part in parts for group in part) == Counter(set(table["group_id"]))
    assert len({frozenset(parts) for parts in tested.values()}) == 3  # no two repeats are dealt alike
    other = cross_validation(table, 4, 1, seed=5)
    assert all(split_hash(other[name]) != split_hash(splits[name]) for name in other)


def test_a_fold_is_the_same_however_many_repeats_there_are_and_whatever_the_order_of_the_rows():
    table = make_table(300, groups=12)
    few, many = cross_validation(table, 3, 1), cross_validation(table.sample(frac=1, random_state=1), 3, 4)
    assert all(split_hash(few[name]) == split_hash(many[name]) for name in few)


def test_every_class_is_in_every_split_of_a_fold_where_the_groups_allow_it():
    rng, n_folds, n_inside = np.random.default_rng(0), 0, 0

    def complete(parts, labels):
        return (pd.crosstab(labels, parts) > 0).all(axis=None)

    def allowed(table, n_parts):
        """Whether some assignment of groups to parts has every class in each."""
        counts = pd.crosstab(table["group_id"], table["label"]).to_numpy() > 0
        trials = map(np.array, itertools.product(range(n_parts), repeat=len(counts)))
        return any(all(counts[one == part].any(0).all() for part in range(n_parts)) for one in trials)

    for trial in range(30):
        groups = rng.integers(4, 8)
        rows = [(f"g{g}", label) for g in range(groups) for label in "abc" if rng.random() < 0.6]
        table = small_table(rows + [(f"g{g}", "a") for g in range(groups)])
        labels = table["label"].to_numpy()
        splits = cross_validation(table, 3, 1, seed=trial).values()
        whole = all(set(labels[(split == "test").to_numpy()]) == set(labels) for split in splits)
        assert whole == allowed(table, 3), rows
        n_folds += whole
        for split in splits:
            rest = (split != "test").to_numpy()
            inside = complete(split[rest].to_numpy(), labels[rest])
            assert inside == allowed(table[rest], 2), rows
            n_inside += inside
    assert 3 < n_folds < 27 and 20 < n_inside < 85
