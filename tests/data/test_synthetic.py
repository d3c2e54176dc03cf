import hashlib
import json
from collections import Counter
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from poseemo_lib.clips import EMOTIONS, check_clip
from poseemo_lib.data.dataset import Dataset, DatasetWriter
from poseemo_lib.data.synthetic import (
    PLANTED_FILE,
    generate_clips,
    read_planted,
    synthetic_clip,
    write_synthetic_dataset,
)
from poseemo_lib.data.synthetic.emotion import CUE_SETS
from poseemo_lib.data.synthetic.plan import CLASS_COUNTS, SyntheticSettings, label_of, place_of
from poseemo_lib.errors import DatasetError, UsageError
from poseemo_lib.skeleton import COCO_KEYPOINTS, JOINT


@pytest.fixture(scope="module")
def clips():
    return list(generate_clips(300, seed=1))


def test_every_clip_is_sound(clips):
    for clip, _ in clips:
        check_clip(clip, EMOTIONS)
        assert clip.origin == "synthetic" and clip.split is None
        xy = clip.keypoints[..., :2]
        assert np.nanmin(xy) >= 0
        assert np.nanmax(xy[..., 0]) < clip.width and np.nanmax(xy[..., 1]) < clip.height
    assert len({clip.clip_id for clip, _ in clips}) == len(clips)


def test_lengths_rates_and_people_are_like_tv(clips):
    frames = np.array([clip.n_frames for clip, _ in clips])
    seconds = np.array([clip.n_frames / clip.fps for clip, _ in clips])
    assert 60 <= np.median(frames) <= 90
    assert seconds.min() > 0.95 and seconds.max() < 6.05
    assert {round(clip.fps, 3) for clip, _ in clips} == {23.976, 25, 29.97, 30}
    assert 0.35 < np.mean([clip.n_people == 2 for clip, _ in clips]) < 0.65


def test_joints_are_missing_as_framing_demands(clips):
    seen = np.mean([(clip.keypoints[..., 2] > 0).mean((0, 1)) for clip, _ in clips], axis=0)
    share = dict(zip(COCO_KEYPOINTS, seen, strict=True))
    assert share["nose"] > 0.8 and share["left_shoulder"] > 0.85
    assert 0.5 < share["left_wrist"] < 0.85
    assert share["left_ankle"] < share["left_knee"] < share["left_hip"] < share["left_shoulder"]
    assert 0.1 < share["left_ankle"] < 0.4
    # Every now and then a whole person is missed for some frames.
    gone = np.mean([(clip.keypoints[..., 2] == 0).all(2).any() for clip, _ in clips])
    assert 0.1 < gone < 0.6


def test_the_same_call_gives_the_same_clips_in_any_order(clips):
    settings = SyntheticSettings(300, seed=1)
    for index in (299, 3, 120):
        clip, planted = synthetic_clip(settings, index)
        assert clip.clip_id == clips[index][0].clip_id and planted == clips[index][1]
        np.testing.assert_array_equal(clip.keypoints, clips[index][0].keypoints)
    other = synthetic_clip(SyntheticSettings(300, seed=2), 3)[0]
    assert not np.array_equal(other.keypoints, clips[3][0].keypoints, equal_nan=True)
    assert other.group_id != clips[3][0].group_id


def test_without_signal_the_label_does_not_touch_the_keypoints():
    settings = SyntheticSettings(40, seed=5, signal=0)
    for index in range(0, 40, 5):
        made = [synthetic_clip(settings, index, label) for label in EMOTIONS]
        assert [clip.label for clip, _ in made] == list(EMOTIONS)
        for clip, planted in made:
            assert planted is None
            np.testing.assert_array_equal(clip.keypoints, made[0][0].keypoints)
            assert clip.source_id == made[0][0].source_id and clip.fps == made[0][0].fps


@pytest.mark.parametrize("cues", CUE_SETS)
def test_what_is_planted_is_where_it_says(cues):
    """The same clip with and without signal differs in the planted person, joints and frames, and nowhere else."""
    for index, (clip, planted) in enumerate(islice(generate_clips(300, seed=1, cues=cues), 120)):
        plain = synthetic_clip(SyntheticSettings(300, seed=1, signal=0, cues=cues), index)[0]
        assert plain.label == clip.label
        same = (plain.keypoints == clip.keypoints) | (np.isnan(plain.keypoints) & np.isnan(clip.keypoints))
        frames, people, joints = np.nonzero(~same.all(-1))
        if planted is None:
            assert clip.label == "neutral" and same.all()
            continue
        assert 0 <= planted.start < planted.stop <= clip.n_frames
        assert 0 <= planted.person < clip.n_people
        assert set(people) <= {planted.person}
        assert {COCO_KEYPOINTS[joint] for joint in joints} <= set(planted.joints)
        assert not len(frames) or (planted.start <= frames.min() and frames.max() < planted.stop)


# The generator that made data/demo; datasets made by its settings must stay what they are.
FIRST_CLIPS = "12a813be1d68e57e8ac7ec3e59b9e16a24f3478a3f445f7da63a531b18b399b8"


def test_clips_of_default_settings_are_what_they_always_were():
    found = hashlib.sha256()
    for clip, planted in islice(generate_clips(1000, seed=0, n_groups=100), 5):
        found.update(np.round(clip.keypoints, 3).astype("<f8").tobytes() + repr(planted).encode())
    assert found.hexdigest() == FIRST_CLIPS


@pytest.mark.parametrize("cues, signal, least", [("whole_body", 1.0, 200), ("local", 4.0, 50)])
def test_planted_joints_that_are_seen_really_move(cues, signal, least):
    moved, seen = 0, 0
    for index in range(60):
        clip, planted = synthetic_clip(SyntheticSettings(60, seed=4, signal=signal, cues=cues), index)
        plain = synthetic_clip(SyntheticSettings(60, seed=4, signal=0, cues=cues), index)[0]
        if planted:
            where = (slice(planted.start, planted.stop), planted.person, [JOINT[name] for name in planted.joints])
            apart = np.linalg.norm(clip.keypoints[where][..., :2] - plain.keypoints[where][..., :2], axis=-1)
            for joint in apart.T:
                seen += np.isfinite(joint).any()
                moved += np.isfinite(joint).any() and np.nanmax(joint) > 0.005 * clip.height
    assert seen > least
    assert moved / seen > 0.85


HEAD = COCO_KEYPOINTS[:5]
LIMBS = (("elbow", "wrist"), ("wrist",), ("knee", "ankle"), ("ankle",))
ARMS_AND_LEGS = {tuple(f"{side}_{joint}" for joint in joints) for side in ("left", "right") for joints in LIMBS}


@pytest.fixture(scope="module")
def local_clips():
    return list(generate_clips(400, seed=2, signal=3, cues="local"))


def test_a_local_cue_moves_the_head_or_one_limb_whatever_the_class(local_clips):
    places = Counter(planted.joints for _, planted in local_clips if planted)
    assert set(places) == {HEAD} | ARMS_AND_LEGS
    n = places.total()
    assert 0.13 < places[HEAD] / n < 0.27 and max(places[place] for place in ARMS_AND_LEGS) / n < 0.17
    assert all(len(planted.cues) == 1 for _, planted in local_clips if planted)
    for label in set(EMOTIONS) - {"neutral"}:
        moved = [planted.joints for _, planted in local_clips if planted and planted.label == label]
        assert {joints[-1].split("_")[1] for joints in moved} == {"ear", "wrist", "ankle"}


def test_local_cues_take_less_time_and_are_in_either_slot(local_clips):
    shares = [(planted.stop - planted.start) / clip.n_frames for clip, planted in local_clips if planted]
    assert 0.08 < min(shares) < 0.3 and max(shares) <= 0.5
    assert any(planted.start == 0 for _, planted in local_clips if planted)
    slots = [planted.person for clip, planted in local_clips if planted and clip.n_people == 2]
    assert 0.38 < np.mean(slots) < 0.62
    seen = np.mean([(clip.keypoints[..., 2] > 0).mean((0, 1)) for clip, _ in local_clips], axis=0)
    assert seen.min() > 0.6  # from head to foot


def test_local_cues_are_in_the_record_and_the_default_is_not(tmp_path):
    default = write_synthetic_dataset(tmp_path / "a", 12).recipe
    settings = {"n_clips": 12, "seed": 0, "signal": 1.0, "n_groups": 10, "two_people": 0.5}
    assert default == {"generator": "poseemo_lib.data.synthetic", **settings}
    local = write_synthetic_dataset(tmp_path / "b", 12, cues="local").recipe
    assert local == default | {"cues": "local"}


def labels_of(settings: SyntheticSettings) -> tuple[list[str], list[int]]:
    places = [place_of(settings, index) for index in range(settings.n_clips)]
    labels = [label_of(settings, place, index) for index, place in enumerate(places)]
    return labels, [place.group for place in places]


@pytest.mark.parametrize("seed", range(2))
def test_class_proportions_are_those_of_the_reference(seed):
    labels, _ = labels_of(SyntheticSettings(1000, seed=seed))
    counts = Counter(labels)
    shares = np.array([counts[label] / 1000 for label in EMOTIONS])
    np.testing.assert_allclose(shares, np.array(CLASS_COUNTS) / sum(CLASS_COUNTS), atol=0.04)


@pytest.mark.parametrize("n_clips, n_groups", [(1, None), (3, 3), (25, 7), (60, None), (400, 3)])
def test_any_number_of_groups_is_filled(n_clips, n_groups):
    settings = SyntheticSettings(n_clips, n_groups=n_groups)
    assert set(labels_of(settings)[1]) == set(range(settings.n_groups))


def test_scenes_hold_one_to_four_clips_of_one_cast(clips):
    scenes: dict[str, list] = {}
    for clip, _ in clips:
        scenes.setdefault(clip.source_id, []).append(clip)
    assert max(map(len, scenes.values())) <= 4 < len(scenes)
    for members in scenes.values():
        assert len({(clip.group_id, clip.n_people, clip.fps, clip.width) for clip in members}) == 1
    assert any(len({clip.label for clip in members}) > 1 for members in scenes.values())


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"n_clips": 0, "seed": -1}, "n_clips: should be greater than .* 1, got 0; seed: .* 0, got -1"),
        ({"signal": float("nan"), "two_people": 1.1}, "signal: .*, got nan; two_people: .* 1, got 1.1"),
        ({"n_groups": 11}, "n_groups: wanted at most one a clip, 10, got 11"),
        ({"cues": "Local"}, "cues: should be 'whole_body' or 'local', got 'Local'"),
    ],
)
def test_wrong_settings_are_named_at_once(wrong, message):
    with pytest.raises(UsageError, match=message):
        generate_clips(**{"n_clips": 10} | wrong)


def test_a_dataset_is_written_and_read_back(tmp_path):
    info = write_synthetic_dataset(tmp_path / "d", 30, seed=np.int64(3), signal=2, n_groups=5)
    assert info.synthetic and info.complete and info.n_clips == 30
    assert "synthetic" in info.source
    assert info.recipe["seed"] == 3 and info.recipe["signal"] == 2 and info.recipe["n_groups"] == 5
    dataset = Dataset(tmp_path / "d")
    made = list(generate_clips(30, seed=3, signal=2, n_groups=5))
    for stored, (clip, _) in zip(dataset.clips(), made, strict=True):
        np.testing.assert_array_equal(stored.keypoints, clip.keypoints)
        assert replace(stored, keypoints=None) == replace(clip, keypoints=None)
    assert not list(dataset.faults())
    planted = read_planted(tmp_path / "d")
    expected = [row for _, row in made if row]
    assert list(planted.clip_id) == [row.clip_id for row in expected]
    assert [tuple(joints) for joints in planted.joints] == [row.joints for row in expected]
    assert list(planted.start) == [row.start for row in expected]
    assert set(planted.label) <= set(EMOTIONS) - {"neutral"}
    assert not [path.name for path in (tmp_path / "d").iterdir() if path.name.startswith(".tmp")]


def test_the_same_call_goes_on_after_a_stop(tmp_path, monkeypatch):
    written, write = [], DatasetWriter.write

    def spy(self, clip):
        if len(written) == 20:
            written.clear()
            raise KeyboardInterrupt
        written.append(clip)
        write(self, clip)

    monkeypatch.setattr(DatasetWriter, "write", spy)
    with pytest.raises(KeyboardInterrupt):
        write_synthetic_dataset(tmp_path / "a", 30)
    assert json.loads((tmp_path / "a/dataset.json").read_text())["complete"] is False
    assert not list((tmp_path / "a").glob("*planted*"))
    with pytest.raises(UsageError, match="unfinished dataset: wanted the same recipe to continue it"):
        write_synthetic_dataset(tmp_path / "a", 30, seed=1)
    resumed = write_synthetic_dataset(tmp_path / "a", 30)
    assert len(written) == 10
    monkeypatch.undo()
    whole = write_synthetic_dataset(tmp_path / "b", 30)
    assert resumed.complete and resumed.content_hash == whole.content_hash
    assert not list(Dataset(tmp_path / "a").faults())
    assert read_planted(tmp_path / "a").astype(str).equals(read_planted(tmp_path / "b").astype(str))


def test_planted_errors_are_named(tmp_path):
    for _ in ("missing", "damaged"):
        with pytest.raises(DatasetError, match="planted.parquet: wanted the record of a synthetic dataset, cannot"):
            read_planted(tmp_path)
        (tmp_path / PLANTED_FILE).write_bytes(b"no parquet")
