import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from made_ratings import rated_copy
from typer.testing import CliRunner

from poseemo_lib.cli.data import app
from poseemo_lib.data import enhance
from poseemo_lib.data.audit import audit
from poseemo_lib.data.copies import KINDS, LEAST_KEPT
from poseemo_lib.data.dataset import Dataset, DatasetWriter
from poseemo_lib.data.dataset.ratings import read_ratings
from poseemo_lib.data.enhance import enhance_dataset
from poseemo_lib.data.splits import make_split
from poseemo_lib.errors import DatasetError, UsageError
from poseemo_lib.training.inputs import soft_targets


def rewrite(dataset, folder, order=None, info=None, change=lambda clip: clip):
    """Write a dataset again, in another order or with other clips."""
    clips = list(dataset.clips())
    with DatasetWriter(folder, info or dataset.info) as writer:
        for i in order if order is not None else range(len(clips)):
            writer.write(change(clips[i]))
    return Dataset(folder)


@pytest.fixture(scope="module")
def made(tiny, tmp_path_factory):
    """The tiny dataset and its enhancement."""
    folder = tmp_path_factory.mktemp("enhanced") / "more"
    report = enhance_dataset(Dataset(tiny), folder, name="more", seed=3, most=40, progress=False)
    return Dataset(tiny), Dataset(folder), report


def test_every_class_reaches_the_target_by_copies_of_training_clips_only(made):
    source, dataset, report = made
    before, after = source.table(), dataset.table()
    split = make_split(before, "grouped", seed=3)
    copies = after[after["origin"] == "augmented"]
    assert set(copies["augmented_from"]) <= set(split.index[split == "train"])
    assert (copies["split"] == "train").all()
    trained = after[after["split"] == "train"]["label"].value_counts()
    assert set(trained) == {report.counts["before"].max()} and len(trained) == len(source.classes)
    assert (report.counts["before"] + report.counts["copies"] == report.counts["after"]).all()
    parents = before.set_index("clip_id").loc[copies["augmented_from"]]
    for column in ("label", "group_id", "source_id", "fps", "width", "height", "n_frames", "n_people"):
        np.testing.assert_array_equal(parents[column], copies[column])
    seen = {clip.clip_id: int((clip.keypoints[..., 2] > 0).sum()) for clip in dataset.clips()}
    assert all(seen[copy.clip_id] >= LEAST_KEPT * seen[copy.augmented_from] for copy in copies.itertuples())
    assert len({clip.keypoints.tobytes() for clip in dataset.clips()}) == len(dataset)
    # Spread evenly over the clips of a class.
    per_clip = copies.groupby(["label", "augmented_from"]).size()
    assert all(counts.max() - counts.min() <= 1 for _, counts in per_clip.groupby("label"))


def test_originals_are_unchanged_but_for_the_split_and_the_source_is_said(made):
    source, dataset, _ = made
    split = make_split(source.table(), "grouped", seed=3)
    originals = {clip.clip_id: clip for clip in dataset.clips() if clip.origin != "augmented"}
    assert len(originals) == len(source)
    for clip in source.clips():
        np.testing.assert_array_equal(originals[clip.clip_id].keypoints, clip.keypoints)
        assert originals[clip.clip_id].split == split[clip.clip_id]
    info = dataset.info
    assert info.synthetic and info.licence == source.info.licence and info.source == source.info.source
    assert info.recipe["made_from"]["content_hash"] == source.info.content_hash
    assert info.recipe["command"] == "enhance" and info.recipe["seed"] == 3
    assert list(dataset.faults()) == []


def test_the_audit_passes_its_own_split_and_catches_a_split_by_clip(made):
    source, dataset, _ = made
    table, before = dataset.table(), make_split(source.table(), "grouped", seed=3)
    split = make_split(table, "grouped", seed=3)
    assert (split[before.index] == before).all()  # copies do not move other clips
    assert split.equals(make_split(table, "official")) and audit(dataset, split).ok
    assert audit(dataset, make_split(table, "random")).counts["augmented"] > 10


def test_a_clip_is_mixed_with_another_training_clip_of_its_class_and_group(tiny):
    table = Dataset(tiny).table()
    table["part"] = make_split(table, "grouped", seed=1).to_numpy()
    how = {"split": "grouped", "seed": 1, "target": 1.0, "most": 10, "kinds": KINDS}
    partners, *_ = enhance._plan(Dataset(tiny), table, table.set_index("clip_id")["part"], how)
    mixed = pd.Series(partners).explode().astype(int).loc[lambda rows: rows >= 0]
    own, other = table.set_index("clip_id").loc[mixed.index], table.iloc[mixed]
    assert len(mixed) > 20 and (own.index != other["clip_id"]).all() and (other["part"] == "train").all()
    assert all((own[name].to_numpy() == other[name].to_numpy()).all() for name in ("label", "group_id"))


def test_one_seed_gives_one_dataset_in_any_order_and_chunks_and_another_seed_another(tiny, tmp_path, monkeypatch):
    source = Dataset(tiny)
    order = np.random.default_rng(5).permutation(len(source))
    shuffled = rewrite(source, tmp_path / "shuffled", order)
    hashes = []
    for i, (one, seed, chunk) in enumerate([(source, 0, 256), (source, 0, 7), (shuffled, 0, 256), (source, 1, 256)]):
        monkeypatch.setattr(enhance, "_CHUNK_CLIPS", chunk)
        hashes.append(enhance_dataset(one, tmp_path / str(i), name="x", seed=seed, target=0.3).info.content_hash)
    assert hashes[0] == hashes[1] == hashes[2] != hashes[3]


SLOWLY = """
import sys
from poseemo_lib.data import enhance
from poseemo_lib.data.dataset import Dataset
enhance._SHARD_CLIPS = 64
enhance.enhance_dataset(Dataset(sys.argv[1]), sys.argv[2], name="x", seed=3, most=40)
"""


def test_killed_in_the_middle_and_called_again_it_is_the_same(made, tmp_path, monkeypatch):
    source, dataset, _ = made
    folder = tmp_path / "out"
    child = subprocess.Popen([sys.executable, "-c", SLOWLY, source.root, str(folder)])
    try:
        deadline = time.monotonic() + 60
        while not (folder / "clips-00001.parquet").exists():
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.002)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    with pytest.raises(DatasetError, match="interrupted"):
        Dataset(folder)
    kept = len(Dataset(folder, allow_incomplete=True))
    assert 0 < kept < len(dataset)
    with pytest.raises(UsageError, match="wanted the same recipe to continue it"):
        enhance_dataset(source, folder, name="x", seed=4)
    written, write = [], DatasetWriter.write
    monkeypatch.setattr(DatasetWriter, "write", lambda self, clip: (written.append(clip.clip_id), write(self, clip)))
    report = enhance_dataset(source, folder, name="x", seed=3, most=40)
    assert len(written) == len(dataset) - kept
    assert report.info.content_hash == dataset.info.content_hash
    assert report.counts["after"].nunique() == 1
    assert not [name for name in os.listdir(folder) if name.startswith(".tmp-")]


def test_a_cap_on_copies_keeps_a_class_below_the_target_and_says_so(tiny, tmp_path):
    report = enhance_dataset(Dataset(tiny), tmp_path / "a", name="x", most=1)
    counts = report.counts
    assert (counts["after"] <= 2 * counts["before"]).all() and (counts["after"] < counts["wanted"]).any()
    mirrors = enhance_dataset(Dataset(tiny), tmp_path / "b", name="x", kinds=("mirror",)).counts
    assert (mirrors["copies"] <= mirrors["before"]).all()


def test_copies_keep_the_datasets_own_split(made, tmp_path):
    _, dataset, _ = made
    plain = [clip for clip in dataset.clips() if clip.origin != "augmented"]
    with DatasetWriter(tmp_path / "split", dataset.info) as writer:
        for clip in plain:
            writer.write(clip)
    report = enhance_dataset(Dataset(tmp_path / "split"), tmp_path / "out", name="x", target=0.5, seed=9)
    assert report.split == "official"
    own = Dataset(tmp_path / "out").table().set_index("clip_id")["split"]
    assert all(own[clip.clip_id] == clip.split for clip in plain)


def test_copies_are_trained_on_the_ratings_of_their_sources(tiny, tmp_path):
    rated = Dataset(tiny).table()["clip_id"][::2]
    rows = [(name, *one) for name in rated for one in (("A", "sad"), ("B", "sad"), ("C", "fear"))]
    source = Dataset(rated_copy(tiny, tmp_path / "rated", pd.DataFrame(rows, columns=["clip_id", "rater", "label"])))
    enhance_dataset(source, tmp_path / "more", name="more", target=0.6, progress=False)
    dataset = Dataset(tmp_path / "more")
    pd.testing.assert_frame_equal(read_ratings(dataset), read_ratings(source))
    table = dataset.table()
    targets = soft_targets(read_ratings(dataset), table, dataset.classes)
    by_clip = dict(zip(table["clip_id"], targets, strict=True))
    copies = table[table["origin"] == "augmented"]
    assert all((by_clip[copy.clip_id] == by_clip[copy.augmented_from]).all() for copy in copies.itertuples())
    soft = copies["augmented_from"].isin(rated)
    assert soft.any() and not soft.all() and [by_clip[name].max() < 1 for name in copies["clip_id"]] == soft.tolist()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "random"}, "split: should be 'official', 'grouped' or 'neighbours', got 'random'"),
        ({"target": 0}, "target: should be greater than 0, got 0"),
        ({"seed": -1}, "seed: should be greater than or equal to 0"),
        ({"kinds": ("miror",)}, "or 'interpolation', got ('miror',)"),
    ],
)
def test_a_wrong_call_is_named_and_writes_nothing(tiny, tmp_path, changes, message):
    with pytest.raises(UsageError) as error:
        enhance_dataset(Dataset(tiny), tmp_path / "out", name="x", **changes)
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_enhanced_is_named(made, tmp_path):
    source, dataset, _ = made
    with pytest.raises(UsageError, match="without augmented copies, got .*enhance the dataset that it was made from"):
        enhance_dataset(dataset, tmp_path / "out", name="x")
    with pytest.raises(UsageError, match="wanted an empty folder, got a dataset"):
        enhance_dataset(source, dataset.root, name="x")
    split = make_split(source.table(), "grouped", seed=3)
    without = rewrite(
        source,
        tmp_path / "without",
        change=lambda clip: clip.with_(split="test" if clip.label == "fear" else split[clip.clip_id]),
    )
    with pytest.raises(DatasetError, match="the official split has none of 'fear'; choose another split or seed"):
        enhance_dataset(without, tmp_path / "out", name="x")
    assert not (tmp_path / "out").exists()


def test_the_command_prints_the_counts(tiny, tmp_path):
    command = ["enhance", str(tiny), str(tmp_path / "d"), "--target", "0.5", "--kinds", "mirror, rotation"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "training clips by class, split grouped, seed 0" in done.output and "before  copies  after" in done.output
    recipe = json.loads((tmp_path / "d" / "dataset.json").read_text())["recipe"]
    assert recipe["kinds"] == ["mirror", "rotation"] and recipe["target"] == 0.5


def test_storage_tells_no_copy_from_an_original(tmp_path):
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold, cross_val_predict

    from poseemo_lib.data.synthetic import write_synthetic_dataset

    write_synthetic_dataset(tmp_path / "d", 200, n_groups=20)
    enhance_dataset(Dataset(tmp_path / "d"), tmp_path / "more", name="more")
    rows = []
    for clip in Dataset(tmp_path / "more").clips():
        if clip.split == "train" and clip.label != "neutral":
            seen = clip.keypoints[..., 2] > 0
            shown = [clip.keypoints[..., 2][seen].mean(), 1 - seen.mean(), clip.fps, clip.width, clip.n_frames]
            rows.append((*shown, np.diff(seen, axis=0).mean(), clip.label, clip.group_id, clip.origin == "augmented"))
    table = pd.DataFrame(rows).rename(columns={6: "label", 7: "group", 8: "copy"})
    trees = ExtraTreesClassifier(50, min_samples_leaf=5, random_state=0)
    shown, folds = table[list(range(6))].to_numpy(), GroupKFold(5)
    guess = cross_val_predict(trees, shown, table["copy"], groups=table["group"], cv=folds, method="predict_proba")
    table = table.assign(guess=guess[:, 1])
    areas = [roc_auc_score(some["copy"], some["guess"]) for _, some in table.groupby("label")]
    # Within a class; 0.5 is guessing.
    assert abs(np.mean(areas) - 0.5) < 0.08
