import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from poseemo_lib.clips import EMOTIONS
from poseemo_lib.data.dataset import Dataset, DatasetWriter
from poseemo_lib.data.formats import openpose
from poseemo_lib.data.importing import import_dataset, to_main_people
from poseemo_lib.data.labelling import find_path, match_found
from poseemo_lib.errors import FormatError, UsageError

SHARED = Path(__file__).parents[3] / "shared"
BANDAI_PATTERN = "dataset-1_(?P<group>[^_]+)_(?P<label>[^_]+)_"
PATTERN = r"^(?P<split>[^/]+)/(?P<label>[^/]+)/"


def write(folder, n_frames=3, x=100.0):
    """One person in `n_frames` OpenPose files."""
    folder.mkdir(parents=True)
    for t in range(n_frames):
        values = [value for j in range(25) for value in (x + j + t, 50.0 + j, 0.9)]
        content = {"people": [{"pose_keypoints_2d": values}]}
        (folder / f"clip_{t:06d}_keypoints.json").write_text(json.dumps(content))
    return folder


def source(root):
    for name in ("train/Happy/001", "train/Sad/001", "validation/Normal/001", "test/HAPPY/001"):
        write(root / name)
    return root


def run(src, out, **changes):
    settings = {"name": "test", "label_pattern": PATTERN, "label_map": {"normal": "neutral"}}
    return import_dataset("openpose", src, out, **(settings | changes))


def table(out):
    return Dataset(out).table().set_index("clip_id").sort_index()


def test_paths_become_ids_labels_and_splits(tmp_path):
    report = run(source(tmp_path / "src"), tmp_path / "out", source="a camera", licence="CC0")
    rows = table(tmp_path / "out")
    assert rows.index.tolist() == ["test/HAPPY/001", "train/Happy/001", "train/Sad/001", "validation/Normal/001"]
    assert rows.label.tolist() == ["happy", "happy", "sad", "neutral"]
    assert rows.split.tolist() == ["test", "train", "train", "val"]
    # Stems repeat across folders, so the recording is the whole path.
    assert rows.source_id.tolist() == rows.group_id.tolist() == rows.index.tolist()
    info = Dataset(tmp_path / "out").info
    assert info.classes == ("happy", "neutral", "sad")
    assert (info.source, info.licence, info.synthetic) == ("a camera", "CC0", False)
    assert info.recipe["format"] == "openpose" and info.recipe["options"]["fps"] == 25
    assert report.info == info
    assert report.recordings == report.clips == Counter(happy=2, sad=1, neutral=1)
    assert not report.unmatched and not report.faults
    assert list(Dataset(tmp_path / "out").faults()) == []


def test_source_and_group_from_the_path(tmp_path):
    for name in ("happy_show1_rec7_a", "sad_show1_rec7_b", "sad_show2_rec1_a"):
        write(tmp_path / "src" / name)
    pattern = "(?P<label>[a-z]+)_(?P<group>show[0-9]+)_(?P<source>rec[0-9]+)_"
    run(tmp_path / "src", tmp_path / "out", label_pattern=pattern, split="validation")
    rows = table(tmp_path / "out")
    assert rows.source_id.tolist() == ["rec7", "rec7", "rec1"]
    assert rows.group_id.tolist() == ["show1", "show1", "show2"]
    assert rows.split.tolist() == ["val"] * 3


def test_faulty_and_unmatched_recordings_are_listed_and_the_rest_is_written(tmp_path):
    src = source(tmp_path / "src")
    broken = src / "train" / "Sad" / "001" / "clip_000001_keypoints.json"
    broken.write_text("{")
    write(src / "extra")
    report = run(src, tmp_path / "out")
    assert report.unmatched == ["extra"]
    assert len(report.faults) == 1 and str(broken) in report.faults[0]
    assert report.clips == Counter(happy=2, neutral=1)
    assert Dataset(tmp_path / "out").info.n_clips == 3


def test_the_same_import_goes_on_after_a_stop(tmp_path, monkeypatch):
    src, write_clip, written = source(tmp_path / "src"), DatasetWriter.write, []

    def stop_at_third(self, clip, where=""):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(clip.clip_id)
        write_clip(self, clip, where)

    monkeypatch.setattr(DatasetWriter, "write", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        run(src, tmp_path / "out")
    monkeypatch.setattr(DatasetWriter, "write", lambda *all: (written.append(all[1].clip_id), write_clip(*all)))
    with pytest.raises(UsageError, match="unfinished dataset: wanted the same recipe to continue it"):
        run(src, tmp_path / "out", options={"fps": 30})
    resumed = run(src, tmp_path / "out")
    assert len(written) == len(set(written)) == 4
    whole = run(src, tmp_path / "whole")
    assert resumed.info.complete and resumed.info.content_hash == whole.info.content_hash
    assert resumed.clips == whole.clips and not resumed.faults


def test_a_second_recording_of_one_name_is_a_fault(tmp_path):
    for name in ("happy_1.npz", "happy_1.NPZ"):
        np.savez(tmp_path / "a.npz", keypoints=np.full((4, 17, 3), (100, 50, 1.0)))
        (tmp_path / "a.npz").rename(tmp_path / name)
    report = import_dataset("npz", tmp_path, tmp_path / "out", name="x", label_pattern="(?P<label>happy)")
    assert len(report.faults) == 1 and "taken" in report.faults[0] and report.clips == Counter(happy=1)


def test_if_every_recording_is_faulty_nothing_is_written(tmp_path):
    broken = write(tmp_path / "src" / "train" / "sad") / "clip_000001_keypoints.json"
    broken.write_text("{")
    with pytest.raises(FormatError, match="none of 1 recordings.*damaged JSON"):
        run(tmp_path / "src", tmp_path / "out", label_pattern="(?P<label>sad)")
    assert not (tmp_path / "out").exists()
    # Read without error, but no clip: too large a picture.
    with pytest.raises(FormatError, match="none of 4 recordings.*width: wanted a whole number of pixels, 1 to 100000"):
        run(source(tmp_path / "sound"), tmp_path / "out", options={"width": 200_000})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label_pattern": "(?P<label>[A-Z]{9})"}, "matches none of 4 paths, such as test/HAPPY/001, "),
        ({"label_pattern": "(?P<label>["}, "not a regular expression"),
        ({"label_pattern": "/(.*)/"}, "wanted a group .*got no named group"),
        ({"label_pattern": "(?P<label>.*)/(?P<actor>.*)/"}, "got label, actor"),
        ({"label_map": {}}, "got Normal; map each: --label-map Normal=neutral"),
        ({"label_map": {"normal": "calm"}}, "--label-map: wanted a class among angry.*got calm"),
        ({"label_pattern": "(?P<label>[^/]+)/(?P<split>[^/]+)$"}, "split: wanted one of train.*got 001"),
        ({"split": "later", "label_pattern": "/(?P<label>[^/]+)/"}, "split: wanted one of train.*got later"),
        ({"options": {"views": 3}}, "format openpose: wanted options among fps, width, height, got views"),
        ({"options": {"fps": 0}}, "fps: should be greater than or equal to 1, got 0"),
    ],
)
def test_wrong_calls_start_nothing(tmp_path, changes, message):
    with pytest.raises(UsageError, match=message):
        run(source(tmp_path / "src"), tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


def test_wrong_places_and_formats(tmp_path):
    with pytest.raises(UsageError, match="wanted a file or folder, found none"):
        run(tmp_path / "nothing", tmp_path / "out")
    with pytest.raises(UsageError, match="wanted one of bvh, joints3d, .*npz, got 'fbx'"):
        import_dataset("fbx", tmp_path, tmp_path / "out", name="x", label_pattern=PATTERN)
    run(source(tmp_path / "src"), tmp_path / "out")
    with pytest.raises(UsageError, match="got a dataset"):
        run(tmp_path / "src", tmp_path / "out")


def test_a_single_recording_is_matched_by_its_own_name(tmp_path):
    folder = write(tmp_path / "happy.walk")
    entries, unmatched = match_found([find_path(folder, folder)], "(?P<label>happy)", {})
    assert entries[0].name == "happy.walk" and not unmatched
    file = tmp_path / "sad_1.bvh"
    file.touch()
    entries, _ = match_found([find_path(file, file)], "(?P<label>sad)", {})
    assert (entries[0].name, entries[0].source_id) == ("sad_1", "sad_1")


def test_people_are_tracked(tmp_path):
    folder = write(tmp_path / "a", n_frames=6)
    for t, file in enumerate(sorted(folder.iterdir())):
        person = json.loads(file.read_text())["people"][0]
        far = {"pose_keypoints_2d": [v + 900 if i % 3 == 0 else v for i, v in enumerate(person["pose_keypoints_2d"])]}
        file.write_text(json.dumps({"people": [person, far][:: 1 if t % 2 else -1]}))
    recording = to_main_people(*openpose.read(folder))
    assert recording.tracked and recording.keypoints.shape == (6, 2, 17, 3)
    assert (np.ptp(recording.keypoints[..., 0, 0], axis=0) == 5).all()


def test_bandai_namco_is_imported(tmp_path):
    src = SHARED / "data" / "bandai-namco"
    if not src.is_dir():
        pytest.skip("needs the Bandai-Namco recordings in ../shared/data/bandai-namco")
    settings = {"label_pattern": BANDAI_PATTERN, "label_map": {"normal": "neutral"}, "options": {"views": 2}}
    report = import_dataset("bvh", src, tmp_path / "out", name="bandai", **settings)
    assert report.recordings == Counter(angry=8, happy=8, neutral=9, sad=8)
    assert report.clips == Counter(angry=16, happy=16, neutral=18, sad=16)
    assert report.unmatched == [] and report.faults == []
    dataset = Dataset(tmp_path / "out")
    assert dataset.classes == tuple(name for name in EMOTIONS if name in ("angry", "happy", "neutral", "sad"))
    rows = dataset.table()
    assert rows.source_id.nunique() == 33 and rows.group_id.nunique() == 8
    bow = "dataset-1_bow_sad_001"
    assert sorted(rows[rows.source_id == bow].clip_id) == [f"{bow}@view0", f"{bow}@view1"]
    assert (rows.fps == 30).all() and rows.split.isna().all()
    assert list(dataset.faults()) == []
