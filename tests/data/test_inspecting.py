import numpy as np
import pytest

from poseemo_lib.clips import EMOTIONS, PoseClip, mark_missing
from poseemo_lib.data.dataset import Dataset, DatasetInfo, DatasetWriter
from poseemo_lib.data.inspecting import inspect_dataset
from poseemo_lib.errors import UsageError


def make_clip(index, **changes):
    rng = np.random.default_rng(index)
    keypoints = rng.uniform(0, 500, (20, 1, 17, 3))
    keypoints[..., 2] = 0.5
    # The right ankle is never seen, the left one in half of the frames.
    keypoints[:, :, 16, 2] = 0
    keypoints[::2, :, 15, 2] = 0
    clip = PoseClip(
        clip_id=f"clip-{index}",
        label=EMOTIONS[index % 7],
        keypoints=mark_missing(keypoints),
        fps=(25, 29.97)[index % 2],
        width=640,
        height=480,
        source_id=f"film-{index}",
        group_id=f"show-{index // 5}",
    )
    return clip.with_(**changes)


def write(folder, clips, **info):
    with DatasetWriter(folder, DatasetInfo(name="small", **info)) as writer:
        for clip in clips:
            writer.write(clip)
    return Dataset(folder)


def official(index):
    return ("train", "train", "val", "test")[(index // 5) % 4]


def line(text, start):
    return next(one.strip() for one in text.splitlines() if one.strip().startswith(start))


def test_a_sound_dataset_is_described(tmp_path):
    dataset = write(tmp_path / "data", [make_clip(i, split=official(i)) for i in range(60)], licence="CC0")
    text, ok = inspect_dataset(dataset)
    assert ok
    assert line(text, "licence").endswith("CC0") and line(text, "data ").endswith("real")
    assert line(text, "angry").split() == ["angry", "6", "1", "2", "9", "15.0", "%"]
    assert line(text, "all ").split() == ["all", "30", "15", "15", "60", "100.0", "%"]
    assert line(text, "groups").split()[1] == "12" and line(text, "sources").split()[1] == "60"
    assert "25: 30, 29.97: 30" in text
    assert line(text, "frames").startswith("frames   20 to 20, median 20")
    assert line(text, "right_ankle").endswith("100.0 %") and line(text, "left_ankle").endswith(" 50.0 %")
    assert line(text, "nose").endswith(" 0.0 %")
    assert "split official: none" in text
    assert "30 train, 15 val, 15 test" in text


def test_without_a_split_of_its_own_the_grouped_one_is_audited(tmp_path):
    text, ok = inspect_dataset(write(tmp_path / "data", [make_clip(i) for i in range(60)]))
    assert ok and "split grouped, seed 0: none" in text and "no split of its own" in text
    assert "the audit cannot find: about half of the movements seen by one other camera" in text


def test_a_leak_in_the_official_split_is_printed(tmp_path):
    clips = [make_clip(i, split=official(i)) for i in range(60)]
    clips[18] = clips[18].with_(source_id="film-3")
    text, ok = inspect_dataset(write(tmp_path / "data", clips))
    assert not ok
    assert "split official: FOUND" in text
    assert "1 recordings in two splits, touching 1 val and test clips" in text
    assert line(text, "clip-3 (train)") == "clip-3 (train) ~ clip-18 (test): source 'film-3': 1 train, 1 test"


def test_a_chosen_split_is_audited(tmp_path):
    dataset = write(tmp_path / "data", [make_clip(i) for i in range(60)])
    text, ok = inspect_dataset(dataset, "random", seed=3)
    assert not ok and "split random, seed 3: FOUND" in text
    text, ok = inspect_dataset(dataset, "leave_one_group_out", fold="show-2")
    assert ok and "fold show-2" in text
    with pytest.raises(UsageError, match="wanted one of official"):
        inspect_dataset(dataset, "by hand")
    text, ok = inspect_dataset(dataset, "official")
    assert not ok and "not checked: official split" in text


def test_faults_are_listed_up_to_a_limit_and_counted(tmp_path):
    dataset = write(tmp_path / "data", [make_clip(i) for i in range(60)])
    dataset.info.classes = ("angry", "disgust", "fear")
    text, ok = inspect_dataset(dataset)
    assert not ok
    n_faults = sum(EMOTIONS[i % 7] not in dataset.classes for i in range(60))
    assert f"faults: {n_faults}" in text and f"... and {n_faults - 20} more" in text
    assert "clips-00000.parquet: clip 'clip-3': label: wanted one of angry, disgust, fear, got 'happy'" in text
    assert "not checked: repair or rewrite" in text


def test_a_dataset_that_cannot_be_split_is_no_fault(tmp_path):
    text, ok = inspect_dataset(write(tmp_path / "data", [make_clip(i) for i in range(5)]))
    assert ok and "not checked: grouped split: wanted at least 3 groups" in text


def test_synthetic_is_called_synthetic_and_nothing_is_nothing(tmp_path):
    text, _ = inspect_dataset(write(tmp_path / "data", [], synthetic=True))
    assert "SYNTHETIC" in text and "none without a fault" in text


def test_ratings_are_counted_and_checked(tmp_path):
    dataset = write(tmp_path / "d", [make_clip(i) for i in range(20)])
    for clip, wanted, sound in (
        ("clip-3", "\nratings\n  1 rating of 1 clip by 1 observer\n", True),
        ("clip-99", "line 2: wanted a clip_id of the dataset, got 'clip-99'", False),
    ):
        (tmp_path / "d" / "ratings.csv").write_text(f"clip_id,rater,label\n{clip},Ann,sad\n")
        text, ok = inspect_dataset(dataset)
        assert wanted in text and ok == sound
