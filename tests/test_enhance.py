import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch

from poseemo_lib import enhance
from poseemo_lib.audit import audit
from poseemo_lib.clips import PoseClip, clip_faults, mark_missing
from poseemo_lib.copies import (
    KINDS,
    LEAST_KEPT,
    Change,
    body_frame,
    change_clip,
    decimals_of,
    draw_change,
    interpolate,
    keeps_enough,
    time_warp,
)
from poseemo_lib.dataset import Dataset, DatasetWriter
from poseemo_lib.enhance import enhance_dataset
from poseemo_lib.errors import DatasetError, UsageError
from poseemo_lib.skeleton import FLIP_ORDER
from poseemo_lib.splits import make_split

CHANGES = {
    "mirror": Change(mirror=True),
    "time_warp": Change(bend=-0.3),
    "joint_noise": Change(drift=np.random.default_rng(0).normal(0, 0.02, (6, 2, 17, 2))),
    "rotation": Change(angle=10.0),
    "interpolation": Change(weight=0.3),
}


def make_clip(seed=0, frames=50, people=2, missing=0.1, decimals=None, **changes):
    rng = np.random.default_rng(seed)
    xy = rng.uniform(100, 400, (1, people, 17, 2)) + rng.normal(0, 2, (frames, people, 17, 2)).cumsum(0)
    confidence = rng.uniform(0.3, 1, (frames, people, 17, 1)) * (rng.random((frames, people, 17, 1)) > missing)
    confidence[:, 0, 15:] = 0  # ankles that are never seen
    xy = xy if decimals is None else xy.round(decimals)
    keypoints = mark_missing(np.concatenate([xy, confidence], -1))
    clip = PoseClip("a", "fear", keypoints, 25.0, 640, 480, source_id="film", group_id="show")
    return clip.with_(**changes)


def changed(clip, change, partner=None):
    return change_clip(clip, [change], [partner])[0]


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


def test_no_change_changes_no_bit():
    clip = make_clip()
    np.testing.assert_array_equal(changed(clip, Change()), clip.keypoints)
    batch = change_clip(clip, [Change(), *CHANGES.values()], [None] * 5 + [make_clip(1)])
    np.testing.assert_array_equal(batch[0], clip.keypoints)
    for one, change in zip(batch[1:5], list(CHANGES.values())[:4], strict=True):
        np.testing.assert_array_equal(one, changed(clip, change))


def test_mirroring_exchanges_left_and_right_about_the_middle_of_the_picture_and_twice_is_nothing():
    clip = make_clip()
    mirrored = changed(clip, CHANGES["mirror"])
    wanted = clip.keypoints[:, :, list(FLIP_ORDER)] * np.float32([-1, 1, 1]) + np.float32([640, 0, 0])
    np.testing.assert_allclose(mirrored, wanted, atol=1e-4)
    twice = changed(clip.with_(keypoints=mirrored), CHANGES["mirror"])
    np.testing.assert_allclose(twice, clip.keypoints, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_joint_stays_missing_and_confidences_are_the_sources(kind):
    clip, partner = make_clip(), make_clip(7, missing=0, clip_id="b")
    copy = changed(clip, CHANGES[kind], partner)
    assert clip_faults(clip.with_(keypoints=copy)) == []
    if kind == "time_warp":
        position = np.arange(50) + 0.3 * np.arange(50) * (1 - np.arange(50) / 49)
        nearest = clip.keypoints[np.round(position).astype(int)]
        np.testing.assert_array_equal(copy[..., 2], nearest[..., 2])
    else:
        order = list(FLIP_ORDER) if kind == "mirror" else slice(None)
        confidence = clip.keypoints[:, :, order, 2]
        kept = copy[..., 2] > 0
        assert not (kept & (confidence == 0)).any()
        np.testing.assert_array_equal(copy[..., 2][kept], confidence[kept])
        if kind != "interpolation":
            np.testing.assert_array_equal(kept, confidence > 0)
    assert set(np.unique(copy[..., 2])) <= set(np.unique(clip.keypoints[..., 2]))


@pytest.mark.parametrize("bend", [-0.5, 0.2])
def test_the_time_warp_of_a_steady_motion_is_known_in_closed_form(bend):
    frames = 41
    keypoints = torch.ones(1, frames, 1, 17, 3, dtype=torch.float64)
    keypoints[..., 0] = 5 * torch.arange(frames).view(1, -1, 1, 1)
    warped = time_warp(keypoints, torch.tensor([bend], dtype=torch.float64))[0, :, 0, 0, 0]
    frame = torch.arange(frames, dtype=torch.float64)
    known = 5 * (frame - bend * frame * (1 - frame / (frames - 1)))
    # Exact but beside the ends, where it is off by less than a quarter of a frame's motion.
    torch.testing.assert_close(warped[2:-2], known[2:-2])
    assert (warped - known).abs().max() < 5 / 4
    assert warped[0] == 0 and warped[-1] == 5 * (frames - 1)


def test_a_time_warp_keeps_the_jitter():
    keypoints = torch.ones(1, 4000, 1, 17, 3, dtype=torch.float64)
    keypoints[..., :2] = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 4000, 1, 17, 2)))
    warped = time_warp(keypoints, torch.tensor([0.3], dtype=torch.float64))
    sizes = [torch.diff(x[..., :2], n=2, dim=1).abs().median() for x in (keypoints, warped)]
    assert 0.85 < sizes[1] / sizes[0] < 1.15


def test_mixing_a_clip_with_itself_is_the_clip_and_with_another_is_in_between():
    clip = make_clip()
    np.testing.assert_allclose(changed(clip, CHANGES["interpolation"], clip), clip.keypoints, atol=1e-3)
    # A partner elsewhere in the picture and of another size is brought to the clip's place and size.
    moved = clip.with_(keypoints=clip.keypoints * np.float32([2, 2, 1]) + np.float32([50, -90, 0]))
    np.testing.assert_allclose(changed(clip, CHANGES["interpolation"], moved), clip.keypoints, atol=2e-3)
    a, b = torch.zeros(1, 4, 1, 17, 3), torch.full((1, 4, 1, 17, 3), 8.0)
    a[..., 2] = b[..., 2] = 0.5
    a[0, 0, 0, 3], b[0, 1, 0, 4] = (torch.tensor([torch.nan, torch.nan, 0.0]) for _ in range(2))
    mixed = interpolate(a, b, torch.tensor([0.25]))
    assert mixed[0, 2, 0, 5].tolist() == [2, 2, 0.5]
    assert mixed[0, 0, 0, 3, :2].isnan().all() and mixed[0, 1, 0, 4, :2].isnan().all()
    assert int((mixed[..., 2] == 0).sum()) == 2


def test_partners_may_be_longer_shorter_or_one_frame():
    clip = make_clip(missing=0)
    for frames in (1, 20, 133):
        copy = changed(clip, CHANGES["interpolation"], make_clip(3, frames=frames, missing=0))
        assert copy.shape == clip.keypoints.shape and keeps_enough(copy, clip.keypoints)
    one = make_clip(frames=1, missing=0)
    for change in (Change(bend=0.3), Change(weight=0.2)):
        assert changed(one, change, clip).shape == one.keypoints.shape


def test_the_body_frame_is_that_of_the_normalised_body_even_for_one_point():
    from poseemo_lib.preprocessing import normalise_body

    keypoints = torch.from_numpy(make_clip().keypoints).double()
    origin, unit = body_frame(keypoints)
    normal = normalise_body(keypoints, torch.tensor([50]))
    torch.testing.assert_close(origin + unit * normal[..., :2], keypoints[..., :2], equal_nan=True)
    point = torch.full((3, 1, 17, 3), torch.nan, dtype=torch.float64)
    point[..., 2] = 0
    point[1, 0, 9] = torch.tensor([30.0, 40.0, 0.5])
    assert all(value.isfinite().all() for value in body_frame(point))


@pytest.mark.parametrize("decimals", [0, 1, 3, None])
def test_copies_are_rounded_as_their_source_is(decimals):
    clip = make_clip(decimals=decimals)
    assert decimals_of(clip.keypoints) == decimals
    for kind, change in CHANGES.items():
        assert decimals_of(changed(clip, change, make_clip(1))) == decimals, kind


def test_nothing_leaves_the_picture_where_the_source_has_nothing_outside():
    clip = make_clip(frames=30, missing=0)
    inside = clip.with_(keypoints=mark_missing(clip.keypoints * np.float32([1, 1, 1])), width=450, height=450)
    xy = inside.keypoints[..., :2]
    assert np.nanmax(xy) < 450 and np.nanmin(xy) > 0
    turned = changed(inside, Change(angle=40.0))
    assert np.nanmax(turned[..., :2]) <= 450 and np.nanmin(turned[..., :2]) >= 0
    assert 0 < (turned[..., 2] > 0).sum() < (inside.keypoints[..., 2] > 0).sum()
    outside = clip.with_(width=200, height=200)
    np.testing.assert_array_equal(changed(outside, Change(angle=40.0))[..., 2], clip.keypoints[..., 2])


def test_draws_use_the_chosen_kinds_and_never_a_mirror_alone_beside_others():
    clip = make_clip()
    for seed in range(60):
        change = draw_change(clip, KINDS, np.random.default_rng(seed))
        others = [change.bend, change.drift is not None, change.angle, change.weight]
        assert 1 <= sum(map(bool, [change.mirror, *others])) <= 3 and any(others)
        only = draw_change(clip, ("mirror", "rotation"), np.random.default_rng(seed))
        assert only.angle and not only.bend and only.drift is None and not only.weight
    assert draw_change(clip, ("mirror",), np.random.default_rng(0)) == Change(mirror=True)


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


def test_every_copy_passes_the_one_test_and_no_two_clips_are_equal(made):
    source, dataset, _ = made
    parents = {clip.clip_id: clip for clip in source.clips()}
    seen = set()
    for clip in dataset.clips():
        seen.add(clip.keypoints.tobytes())
        if clip.origin == "augmented":
            parent = parents[clip.augmented_from].keypoints
            assert (clip.keypoints[..., 2] > 0).sum() >= LEAST_KEPT * (parent[..., 2] > 0).sum()
    assert len(seen) == len(dataset)


def test_the_audit_passes_its_own_split_and_catches_a_split_by_clip(made):
    _, dataset, _ = made
    table = dataset.table()
    assert audit(dataset, make_split(table, "official")).ok
    assert audit(dataset, make_split(table, "grouped", seed=3)).ok
    assert audit(dataset, make_split(table, "random")).counts["augmented"] > 10


def test_partners_share_the_class_the_group_and_the_training_part(tiny):
    table = Dataset(tiny).table()
    split = make_split(table, "grouped", seed=1)
    settings = {"split": "grouped", "seed": 1, "target": 1.0, "most": 10, "kinds": list(KINDS)}
    plan = enhance._plan(Dataset(tiny), table, split, settings)
    indexed, n_pairs = table.set_index("clip_id"), 0
    for clip_id, rows in plan.partners.items():
        for row in rows:
            if row >= 0:
                other, own = table.iloc[row], indexed.loc[clip_id]
                assert other["clip_id"] != clip_id and split[other["clip_id"]] == "train"
                assert all(other[name] == own[name] for name in ("label", "group_id", "n_people"))
                n_pairs += 1
    assert n_pairs > 20


def test_one_seed_gives_one_dataset_in_any_order_and_another_seed_another(tiny, tmp_path):
    source = Dataset(tiny)
    order = np.random.default_rng(5).permutation(len(source))
    shuffled = rewrite(source, tmp_path / "shuffled", order)
    hashes = [
        enhance_dataset(one, tmp_path / str(i), name="x", seed=seed, target=0.5).info.content_hash
        for i, (one, seed) in enumerate([(source, 0), (source, 0), (shuffled, 0), (source, 1)])
    ]
    assert hashes[0] == hashes[1] == hashes[2] != hashes[3]


def test_the_largest_chunk_changes_nothing(tiny, tmp_path, monkeypatch):
    whole = enhance_dataset(Dataset(tiny), tmp_path / "a", name="x", target=0.4).info
    monkeypatch.setattr(enhance, "_CHUNK_CLIPS", 7)
    assert enhance_dataset(Dataset(tiny), tmp_path / "b", name="x", target=0.4).info.content_hash == whole.content_hash


SLOWLY = """
import sys
from poseemo_lib import enhance
from poseemo_lib.dataset import Dataset
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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "random"}, "split: wanted one of official, grouped, neighbours, got 'random'"),
        ({"target": 0}, "target: wanted more than 0 and at most 1, got 0"),
        ({"target": 1.5}, "target: wanted more than 0"),
        ({"most": 0}, "most: wanted a whole number, 1 or more, got 0"),
        ({"seed": -1}, "seed: wanted a whole number"),
        ({"kinds": ()}, "kinds: wanted a list of mirror, time_warp"),
        ({"kinds": "mirror"}, "kinds: wanted a list of mirror, time_warp"),
        ({"kinds": ("miror",)}, "got 'miror'; did you mean mirror?"),
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
    held = {"train": "train", "val": "val", "test": "test"}
    split = make_split(source.table(), "grouped", seed=3)
    without = rewrite(
        source,
        tmp_path / "without",
        change=lambda clip: clip.with_(split="test" if clip.label == "fear" else held[split[clip.clip_id]]),
    )
    with pytest.raises(DatasetError, match="the official split has none of 'fear'; choose another split or seed"):
        enhance_dataset(without, tmp_path / "out", name="x")
    assert not (tmp_path / "out").exists()


def test_the_command_prints_the_counts(tiny, tmp_path):
    command = [sys.executable, "-m", "poseemo_lib.cli", "enhance", str(tiny), str(tmp_path / "d")]
    done = subprocess.run([*command, "--target", "0.5", "--kinds", "mirror, rotation"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "training clips by class, split grouped, seed 0" in done.stdout and "before  copies  after" in done.stdout
    recipe = json.loads((tmp_path / "d" / "dataset.json").read_text())["recipe"]
    assert recipe["kinds"] == ["mirror", "rotation"] and recipe["target"] == 0.5


def test_storage_tells_no_copy_from_an_original(tmp_path):
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold, cross_val_predict

    from poseemo_lib.synthetic import write_synthetic_dataset

    write_synthetic_dataset(tmp_path / "d", 300, n_groups=30)
    enhance_dataset(Dataset(tmp_path / "d"), tmp_path / "more", name="more")
    rows = []
    for clip in Dataset(tmp_path / "more").clips():
        if clip.split == "train" and clip.label != "neutral":
            seen = clip.keypoints[..., 2] > 0
            facts = [clip.keypoints[..., 2][seen].mean(), 1 - seen.mean(), clip.fps, clip.width, clip.n_frames]
            rows.append((*facts, np.diff(seen, axis=0).mean(), clip.label, clip.group_id, clip.origin == "augmented"))
    table = pd.DataFrame(rows).rename(columns={6: "label", 7: "group", 8: "copy"})
    trees = ExtraTreesClassifier(100, min_samples_leaf=5, random_state=0)
    facts, folds = table[list(range(6))].to_numpy(), GroupKFold(5)
    guess = cross_val_predict(trees, facts, table["copy"], groups=table["group"], cv=folds, method="predict_proba")
    table = table.assign(guess=guess[:, 1])
    areas = [roc_auc_score(some["copy"], some["guess"]) for _, some in table.groupby("label")]
    # Within a class; 0.5 is guessing.
    assert abs(np.mean(areas) - 0.5) < 0.08
