import re

import numpy as np
import pandas as pd
import pytest
from audit_recall import LEAKS, near_pairs
from test_dataset import write

from poseemo_lib.clips import EMOTIONS, PoseClip, mark_missing
from poseemo_lib.data.audit import KINDS, audit
from poseemo_lib.data.inspecting import audit_text
from poseemo_lib.data.movements import mirror_limbs, movement_evidence, same_moment_evidence, track_limbs
from poseemo_lib.data.splits import make_split
from poseemo_lib.errors import UsageError
from poseemo_lib.skeleton import FLIP_ORDER, torso_length

# x and y of the COCO joints of a standing body in torso lengths, from mid-shoulder, y down.
BODY = np.array(
    [[0, -0.45], [0.06, -0.5], [-0.06, -0.5], [0.14, -0.47], [-0.14, -0.47], [0.37, 0], [-0.37, 0], [0.5, 0.5]]
    + [[-0.5, 0.5], [0.5, 0.95], [-0.5, 0.95], [0.22, 1], [-0.22, 1], [0.24, 1.8], [-0.24, 1.8], [0.25, 2.6]]
    + [[-0.25, 2.6]]
)
# How much each joint moves, in torso lengths.
SWING = np.array([0.02] * 5 + [0.03] * 2 + [0.08] * 2 + [0.13] * 2 + [0.03] * 2 + [0.08] * 2 + [0.1] * 2)[:, None]


def walker(rng, frames, fps=25.0):
    """One person: a body of its own, three waves a joint, a walk across the picture, detector noise, missed joints."""
    time = np.arange(frames)[:, None, None, None] / fps
    waves = rng.uniform(0.3, 1, (3, 17, 2)) * np.sin(
        2 * np.pi * rng.uniform(0.2, 2, (3, 17, 2)) * time + rng.uniform(0, 2 * np.pi, (3, 17, 2))
    )
    body = BODY * rng.normal(1, 0.06, (17, 1)) * [np.cos(rng.uniform(-1, 1)), 1] + rng.normal(0, 0.05, (17, 2))
    path = body + SWING * waves.sum(1) + np.linspace(0, 1, frames)[:, None, None] * rng.normal(0, 0.3, 2)
    torso = rng.uniform(40, 200)
    pixels = (path + rng.normal(0, 0.01, path.shape)) * torso + rng.uniform(100, 500, 2)
    confidence = rng.uniform(0.3, 1, (frames, 17, 1))
    confidence[rng.random((frames, 17)) < 0.05] = 0
    # From the whole body to head and elbows.
    confidence[:, rng.choice([17, 17, 13, 11, 9]) :] = 0
    return mark_missing(np.concatenate([pixels, confidence], axis=-1)), torso


def make_clip(index, seed=0, **changes):
    rng = np.random.default_rng([seed, index])
    frames = int(rng.integers(40, 80))
    people = [walker(rng, frames)[0] for _ in range(1 + (index % 4 == 0))]
    clip = PoseClip(
        clip_id=f"clip-{index:04d}",
        label=EMOTIONS[index % 7],
        keypoints=np.stack(people, axis=1),
        fps=25.0,
        width=640,
        height=480,
        source_id=f"film-{index}",
        group_id=f"show-{index // 10}",
    )
    return clip.with_(**changes)


def noisy(clip, share):
    rng = np.random.default_rng(99)
    keypoints = clip.keypoints.copy()
    keypoints[..., :2] += rng.normal(0, share * torso_length(clip.keypoints)[0], keypoints[..., :2].shape)
    return clip.with_(keypoints=keypoints.astype(np.float32))


def moved(clip, scale=1.0, shift=(0, 0)):
    change = np.float32([scale, scale, 1]), np.float32([*shift, 0])
    return clip.with_(keypoints=clip.keypoints * change[0] + change[1])


def mirrored(clip):
    change = np.float32([-1, 1, 1]), np.float32([clip.width, 0, 0])
    return clip.with_(keypoints=(clip.keypoints * change[0] + change[1])[:, :, list(FLIP_ORDER)])


def resampled(clip, fps):
    position = np.arange(0, clip.n_frames - 1, clip.fps / fps)
    before = position.astype(int)
    share = (position - before)[:, None, None, None]
    between = clip.keypoints[before] * (1 - share) + clip.keypoints[before + 1] * share
    return clip.with_(keypoints=mark_missing(between), fps=fps)


def trimmed(clip, first, last):
    return clip.with_(keypoints=clip.keypoints[first : clip.n_frames - last])


DISGUISES = {
    "noise of 1 %": lambda clip: noisy(clip, 0.01),
    "noise of 2 %": lambda clip: noisy(clip, 0.02),
    "elsewhere at half the size": lambda clip: moved(clip, 0.5, (150, -40)),
    "mirrored": mirrored,
    "12.5 fps": lambda clip: clip.with_(keypoints=clip.keypoints[::2].copy(), fps=12.5),
    "30 fps": lambda clip: resampled(clip, 30.0),
    "4 frames cut": lambda clip: trimmed(clip, 4, 0),
    # As where another tracker dropped one person and changed the order of the others.
    "one person only": lambda clip: clip.with_(keypoints=clip.keypoints[:, ::-1][:, :1]),
    "all at once": lambda clip: noisy(moved(mirrored(trimmed(clip, 3, 1)), 1.4, (20, 10)), 0.015),
    **{name: lambda clip, leak=leak: leak(clip, None, np.random.default_rng(0)) for name, leak in LEAKS.items()},
}


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return write(tmp_path_factory.mktemp("clean") / "data", [make_clip(i) for i in range(160)])


def by_number(dataset, n_train, n_val=0):
    """Train on the first clips, then validate, then test."""
    ids = dataset.table()["clip_id"]
    n_test = len(ids) - n_train - n_val
    return pd.Series(["train"] * n_train + ["val"] * n_val + ["test"] * n_test, index=ids)


def pairs_in(leak):
    return re.findall(r"(?:^| ~ )(.+?) \((\w+)\)", leak)


def test_a_clean_split_has_no_leak(clean):
    report = audit(clean, make_split(clean.table(), "grouped"))
    assert report.ok and not any(report.examples.values())
    assert sum(report.n_clips.values()) == 160


def test_a_random_split_is_summed_up_by_group(clean):
    table = clean.table()
    split = make_split(table, "random")
    parts = pd.Series(split.to_numpy()).groupby(table["group_id"].to_numpy()).nunique()
    report = audit(clean, split)
    assert report.counts["group"] == (parts > 1).sum() > 10 and report.counts["source"] == 0
    leaking = table["group_id"].isin(parts.index[parts > 1]).to_numpy()
    assert report.held_out["group"] == (leaking & (split != "train").to_numpy()).sum()
    assert len(report.examples["group"]) == 5
    shows = table.set_index("clip_id")["group_id"]
    for leak in report.examples["group"]:
        (a, split_a), (b, split_b) = pairs_in(leak)
        assert (split[a], split[b]) == (split_a, split_b)
        assert shows[a] == shows[b] and f": group {shows[a]!r}: " in leak
    assert not report.ok
    assert audit(clean, split.where(split == "train", None)).ok  # clips that are not used do not leak


def test_one_source_and_equal_keypoints_in_two_splits(tmp_path):
    clips = [make_clip(i, group_id=f"show-{i}") for i in range(20)]
    clips[16] = clips[16].with_(keypoints=clips[2].keypoints.copy(), label="sad")  # counted once, as exact
    clips[17] = clips[17].with_(source_id="film-3")
    dataset = write(tmp_path / "data", clips)
    report = audit(dataset, by_number(dataset, 15, 2))
    assert report.counts == dict.fromkeys(KINDS, 0) | {"source": 1, "exact": 1}
    assert report.examples["source"] == ["clip-0003 (train) ~ clip-0017 (test): source 'film-3': 1 train, 1 test"]
    (exact,) = report.examples["exact"]
    assert exact.startswith("clip-0002 (train) ~ clip-0016 (val): ")


@pytest.mark.parametrize(
    ("splits", "count"),
    [
        # source, copy, copy of the copy, sibling
        ("train train train train", 0),
        ("test train . .", 1),
        ("train test . .", 1),
        (". . test .", 1),
        (". train . val", 1),
        ("test . train .", 1),
        ("test . . .", 0),
        (". . . .", 0),
    ],
)
def test_copies_belong_where_their_source_is_and_only_in_train(tmp_path, splits, count):
    parents = {"source": None, "copy": "source", "copy of the copy": "copy", "sibling": "source"}
    # Other keypoints than the source's, so that only the origin tells.
    copies = [
        make_clip(i, seed=1, clip_id=name, source_id=name, group_id=name, augmented_from=parent)
        for i, (name, parent) in enumerate(parents.items())
    ]
    copies = [copy.with_(origin="augmented" if copy.augmented_from else "real") for copy in copies]
    others = [make_clip(i, source_id=f"film-{i}", group_id=f"show-{i}") for i in range(100, 110)]
    dataset = write(tmp_path / "data", [*copies[::-1], *others])
    split = pd.Series("train", index=dataset.table()["clip_id"], dtype=object)
    split[list(parents)] = [None if one == "." else one for one in splits.split()]
    report = audit(dataset, split)
    assert report.counts == dict.fromkeys(KINDS, 0) | {"augmented": count}
    held_out = split[list(parents)].isin(["val", "test"]).sum()
    assert report.held_out["augmented"] == (held_out if count else 0)


@pytest.fixture(scope="module")
def disguised(tmp_path_factory):
    """Train on 20 clips and test on a copy of each in every disguise; with it, the pairs that an audit finds near."""
    clips = [make_clip(i, seed=3) for i in range(20)]
    pairs = {}
    for i, clip in enumerate(clips):
        for name, disguise in DISGUISES.items():
            copy = disguise(clip)
            if copy is not None and not np.array_equal(copy.keypoints, clip.keypoints, equal_nan=True):
                pairs[i, name] = copy.with_(clip_id=f"{i} {name}")
    dataset = write(tmp_path_factory.mktemp("disguised") / "data", clips + list(pairs.values()))
    split = by_number(dataset, 20)
    return dataset, split, {(a, b): remark for a, b, remark in near_pairs(dataset, split)}


@pytest.mark.parametrize("name", DISGUISES)
def test_disguised_copies_are_found(disguised, name):
    dataset, split, found = disguised
    copies = [clip_id for clip_id in split.index if clip_id.endswith(f" {name}")]
    own = {copy: f"clip-{int(copy.split()[0]):04d}" for copy in copies}
    remarks = [found[a, copy] for copy, a in own.items() if (a, copy) in found]
    assert len(copies) >= 5 and len(remarks) >= (0.9 if name in LEAKS else 0.97) * len(copies)
    # Each is near its own original only.
    assert not [pair for pair in found if own.get(pair[1], pair[0]) != pair[0]]
    if name not in LEAKS:
        assert all(remark.endswith("mirrored") == (name in ("mirrored", "all at once")) for remark in remarks)


def test_unrelated_movements_are_far_from_the_threshold():
    """Every pair of 30 unrelated tracks, aligned where their middles are, without a search before."""
    tracks = [track_limbs(make_clip(i, seed=7).keypoints[:, 0], 25.0) for i in range(30)]
    middles = [len(track) // 2 - 10 for track in tracks]
    evidence = [
        movement_evidence(tracks[i], tracks[j], (middles[i], middles[j]), 20)[0] for i in range(30) for j in range(i)
    ]
    assert max(evidence) < 15 and np.median(evidence) < 5


def test_the_evidence_ignores_place_size_turn_and_half_of_another_view():
    rng = np.random.default_rng(0)
    space = np.stack([walk(rng, 120) for _ in range(3)])  # x, y and depth
    track = space[0] + 1j * space[1]
    for change in (1, 3, 0.2j, np.exp(1j)):
        evidence, *correlations = movement_evidence(track, change * track + 5, (40, 40), 20)
        assert correlations == pytest.approx([1, 1], abs=1e-3) and evidence > 100
    # Another camera stands round the corner by t: what is vertical is the same, and the other correlation is cos t.
    turned = space[0] * np.cos(1) + space[2] * np.sin(1) + 1j * space[1]
    evidence, *correlations = movement_evidence(track, turned, (40, 40), 20)
    assert correlations == pytest.approx([1, np.cos(1)], abs=0.2) and evidence > 50
    # The shift of the windows need not be exact, and the speed may differ.
    late = movement_evidence(track, track[10:], (40, 32), 20)
    assert late[1:] == pytest.approx([1, 1], abs=1e-3)
    upper, lower = (np.where((np.arange(12) < 6) == one, track, np.nan) for one in (True, False))
    assert movement_evidence(upper, lower, (40, 40), 20) == (0, 0, 0)
    assert mirror_limbs(mirror_limbs(track)) == pytest.approx(track)


def test_another_camera_sees_the_same_moments_and_another_walker_does_not():
    rng = np.random.default_rng(0)
    people = [np.stack([walk(rng, 80) for _ in range(3)]) for _ in range(8)]  # x, y and depth

    def seen(space, angle, tilt=0.0):
        noise = rng.normal(0, 0.1, space[0].shape)
        return (space[0] * np.cos(angle) + space[2] * np.sin(angle) + 1j * space[1] + noise) * np.exp(1j * tilt)

    same = [same_moment_evidence(seen(one, 0), seen(one, 1.2, 0.2))[0] for one in people]
    others = [same_moment_evidence(seen(a, 0), seen(b, 1.2))[0] for a in people for b in people if a is not b]
    assert min(same) > 40 and max(others) < 10
    # A second late, and in one step of a gait as in the next.
    assert max(same_moment_evidence(seen(one, 0), seen(one, 1.2)[25:])[0] for one in people) < 10
    gait = np.linspace(0.2, 1, 12) * np.sin(2 * np.pi * np.arange(75)[:, None] / 25 + np.pi * (np.arange(12) % 2))
    assert same_moment_evidence(gait * 1j, gait * np.exp(1.3j))[0] < 10
    assert same_moment_evidence(gait[:30] * 1j, gait[:30] * 1j) == (0, 0, 0)


def walk(rng, frames):
    """Twelve limbs that swing each in three ways."""
    time = np.arange(frames)[:, None, None] / 25
    return np.sin(2 * np.pi * rng.uniform(0.2, 2, (12, 3)) * time + rng.uniform(0, 7, (12, 3))).sum(-1)


def test_a_steady_gait_alone_is_no_evidence():
    """All limbs swing at one frequency, as in every walk: two numbers describe all of it."""
    time = np.arange(75)[:, None] / 25
    size, phase = np.linspace(0.2, 1, 12), np.pi * (np.arange(12) % 2)
    gait = size * np.sin(2 * np.pi * time + phase) * np.exp(0.3j * np.arange(12))
    evidence, first, _ = movement_evidence(gait, gait, (30, 30), 20)
    assert first > 0.99 and evidence < 15


def test_too_many_candidates_are_cut_to_the_likeliest_and_said(disguised, monkeypatch):
    dataset, split, _ = disguised
    split = split.where((split == "train") | split.index.str.endswith("noise of 1 %"), None)
    monkeypatch.setattr("poseemo_lib.data.near_duplicates.MAX_CANDIDATES", 10)
    report = audit(dataset, split)
    assert report.compared == 10 < report.candidates
    assert 5 <= report.counts["near"] <= 10
    assert "near is not complete" in audit_text(report, "by hand", split)


def test_a_split_of_another_dataset_is_refused(clean):
    split = make_split(clean.table(), "grouped")
    with pytest.raises(UsageError, match="got 1 others, such as 'elsewhere' in test"):
        audit(clean, pd.concat([split, pd.Series(["test"], index=["elsewhere"])]))
    with pytest.raises(UsageError, match="others, such as .* in dev"):
        audit(clean, split.replace("val", "dev"))


def test_clips_that_show_too_little_are_audited_all_the_same(tmp_path):
    clips = [make_clip(i, group_id="one show") for i in range(6)]
    dataset = write(tmp_path / "data", [trimmed(clip, 0, clip.n_frames - 3) for clip in clips])
    assert audit(dataset, by_number(dataset, 4, 1)).counts == dict.fromkeys(KINDS, 0) | {"group": 1}
