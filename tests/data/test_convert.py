"""From one format to another, and labels that files carry."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from poseemo_lib.cli.__main__ import app
from poseemo_lib.clips import PoseClip, mark_missing
from poseemo_lib.data.converting import convert_files
from poseemo_lib.data.dataset import Dataset, DatasetInfo, DatasetWriter
from poseemo_lib.data.formats import (
    READERS,
    WRITERS,
    Recording,
    find_files,
    load_reader,
    load_writer,
    npz,
    pyskl,
    reader_options,
)  # fmt: skip
from poseemo_lib.data.importing import import_dataset, to_main_people
from poseemo_lib.errors import FormatError, PoseemoError, UsageError
from poseemo_lib.skeleton import LAYOUTS

SIZE = {"fps": 30.0, "width": 640, "height": 480}


def made(seed=0, people=2, frames=12, **changes):
    """People side by side who stay where they are, each seen in every frame."""
    rng = np.random.default_rng(seed)
    body = rng.uniform(50, 150, (17, 2)) + np.arange(people)[:, None, None] * [150, 10]
    xy = body + rng.normal(0, 1, (frames, people, 17, 2))
    confidence = rng.uniform(0.3, 1, (frames, people, 17, 1))
    confidence[:, :, 4] = 0
    return Recording(mark_missing(np.concatenate([xy, confidence], -1)), **(SIZE | changes))


def archive(path, **changes):
    path.parent.mkdir(parents=True, exist_ok=True)
    npz.write([made(**changes)], path)
    return path


def convert(source, src, target, out, **changes):
    return convert_files(source, src, target, out, progress=False, **changes)


@pytest.fixture
def folder(tmp_path):
    """Three archives, two of them in folders, the last with three people."""
    for seed, name in enumerate(("train/happy/001", "test/sad/001", "002")):
        what = {"label": ("happy", "sad", None)[seed], "people": (2, 2, 3)[seed]}
        archive(tmp_path / "src" / f"{name}.npz", seed=seed, split=None, **what)
    return tmp_path / "src"


def options_of(format):
    return {key: value for key, value in SIZE.items() if key in reader_options(format)}


@pytest.mark.parametrize("target", WRITERS)
def test_every_format_gets_the_numbers(tmp_path, folder, target):
    report = convert("npz", folder, target, tmp_path / "out")
    assert report.recordings == 3 and not report.faults
    writer = load_writer(target)
    if getattr(writer, "MANY", False):
        assert report.written == [tmp_path / f"out{writer.SUFFIX}"]
    else:
        names = {path.relative_to(tmp_path / "out").as_posix() for path in report.written}
        assert names == {f"{name}{writer.SUFFIX}" for name in ("002", "train/happy/001", "test/sad/001")}
    wanted = {recording.keypoints.tobytes() for recording in (made(0), made(1), made(2, 3))}
    found = {
        recording.keypoints.tobytes()
        for path in report.written
        for inner in find_files(target, path)
        for recording in load_reader(target).read(inner, **options_of(target))
    }
    assert found == wanted
    assert not [path for path in tmp_path.rglob("*") if ".tmp" in path.name]


def test_a_dataset_is_written_with_labels_and_splits(tmp_path):
    info = DatasetInfo(name="x", classes=("happy", "sad"))
    with DatasetWriter(tmp_path / "data", info) as writer:
        for i, (label, split) in enumerate([("happy", "train"), ("sad", "test"), ("sad", None)]):
            keypoints = made(i).keypoints
            clip_id = f"{split}/{label}/00{i}@view1"
            writer.write(PoseClip(clip_id, label, keypoints, 30.0, 640, 480, "s", "g", split=split))
    report = convert("dataset", tmp_path / "data", "pyskl", tmp_path / "all.pkl")
    assert (report.written, report.recordings, report.lost) == ([tmp_path / "all.pkl"], 3, "")
    found = [(r.name, r.label, r.split) for r in pyskl.read(tmp_path / "all.pkl")]
    names = ["train/happy/000@view1", "test/sad/001@view1", "None/sad/002@view1"]
    assert found == list(zip(names, ("happy", "sad", "sad"), ("train", "test", None), strict=True))
    convert("dataset", tmp_path / "data", "npz", tmp_path / "out")
    assert (tmp_path / "out" / "train" / "happy" / "000@view1.npz").is_file()
    # And back into a dataset, by what the file says.
    again = import_dataset("pyskl", tmp_path / "all.pkl", tmp_path / "again", name="x", progress=False)
    assert again.clips == Counter(happy=1, sad=2) and not again.faults and not again.unmatched
    rows = Dataset(tmp_path / "again").table().set_index("clip_id")
    assert rows.split.fillna("").to_dict() == dict(zip(names, ("train", "test", ""), strict=True))
    first = next(iter(Dataset(tmp_path / "again").clips()))
    np.testing.assert_array_equal(first.keypoints, made(0).keypoints)


def test_broken_files_are_listed_and_the_rest_is_written(tmp_path, folder):
    (folder / "001.npz").write_bytes(b"PK\x03\x04 broken")
    report = convert("npz", folder, "movement", tmp_path / "out")
    assert report.recordings == 3 and len(report.faults) == 1 and "001.npz: not a sound NumPy file" in report.faults[0]


def test_an_empty_recording_of_many_is_named_and_the_rest_is_kept(tmp_path):
    recordings = [made(seed, name=f"clip{seed}", label="sad") for seed in range(3)]
    recordings[1].keypoints[...] = (np.nan, np.nan, 0)
    pyskl.write(recordings, tmp_path / "all.pkl")
    report = import_dataset("pyskl", tmp_path / "all.pkl", tmp_path / "new", name="x", progress=False)
    assert report.clips == Counter(sad=2)
    assert len(report.faults) == 1 and "clip1: wanted a person in at least one frame" in report.faults[0]


def test_nothing_is_overwritten(tmp_path, folder):
    convert("npz", folder, "npz", tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.npz")}
    with pytest.raises(UsageError, match="002.npz: exists, and is not overwritten"):
        convert("npz", folder, "npz", tmp_path / "out")
    (tmp_path / "out" / "002.npz").unlink()
    report = convert("npz", folder, "npz", tmp_path / "out")
    assert report.recordings == 1 and len(report.faults) == 2 and "exists" in report.faults[0]
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.npz")} == before
    with pytest.raises(UsageError, match="exists, and is not overwritten"):
        convert("npz", folder, "pyskl", (tmp_path / "all.pkl", (tmp_path / "all.pkl").touch())[0])
    assert (tmp_path / "all.pkl").read_bytes() == b""


def test_one_file_for_one_recording(tmp_path, folder):
    report = convert("npz", folder / "002.npz", "sleap", tmp_path / "new" / "a.slp")
    assert report.written == [tmp_path / "new" / "a.slp"]
    report = convert("npz", folder, "sleap", tmp_path / "b.slp")
    assert report.recordings == 1 and len(report.faults) == 2
    assert "holds one recording; give a folder" in report.faults[0]


def test_names_inside_a_file_stay_inside_the_folder(tmp_path):
    names = ["/absolute", "../outside", "a/../../outside", "nul\0", "good/one", "x" * 300]
    pyskl.write([made(i, name=name) for i, name in enumerate(names)], tmp_path / "in.pkl")
    report = convert("pyskl", tmp_path / "in.pkl", "npz", tmp_path / "out")
    assert report.written == [tmp_path / "out" / "good" / "one.npz"] and len(report.faults) == 5
    assert all("\n" not in fault and "\0" not in fault for fault in report.faults)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(path.name for path in files) == ["in.pkl", "one.npz"]


def test_wrong_calls(tmp_path, folder):
    for source, src, target, options, message in [
        ("fbx", folder, "npz", {}, "format: wanted one of bvh, joints3d, .*got 'fbx'"),
        ("npz", folder, "bvh", {}, "format: wanted one of openpose, .*got 'bvh'"),
        ("npz", tmp_path / "none", "npz", {}, "none: wanted a file or folder, found none"),
        ("sleap", folder, "npz", {}, "wanted sleap files, found none"),
        ("npz", folder, "sleap", {"options": {"views": 3}}, "format npz: wanted options among fps, width, height"),
        ("npz", folder, "npz", {"to_options": {"a": 1}}, "format npz: wanted no options, got a"),
        ("npz", folder, "sleap", {"to_options": {"video": 3}}, "video: should be a valid string, got 3"),
        ("dataset", folder, "npz", {"options": {"fps": 3}}, "format dataset"),
    ]:
        with pytest.raises(UsageError, match=message):
            convert(source, src, target, tmp_path / "out", **options)
    with pytest.raises(PoseemoError, match="wanted a dataset"):
        convert("dataset", folder, "npz", tmp_path / "out")


def run(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(result.exception, PoseemoError):
        return result.exception.exit_code, result.output + str(result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_the_command(tmp_path, folder):
    code, text = run("convert", "npz", folder, "openpose", tmp_path / "out")
    assert code == 0 and "lost, since openpose cannot hold it: the frame rate" in text and "3 recordings" in text
    code, text = run("convert", "npz", folder, "pyskl", tmp_path / "all", "--to-set", "classes=[sad, happy]")
    assert code == 0 and "cannot hold" not in text and "all.pkl: 3 recordings" in text
    (folder / "bad.npz").write_bytes(b"")
    code, text = run("convert", "npz", folder, "npz", tmp_path / "more", "--set", "fps=50")
    assert code == 1 and "bad.npz: not a sound NumPy file" in text and "1 files or recordings failed" in text
    assert npz.read(tmp_path / "more" / "002.npz")[0].fps == 50
    assert run("convert", "npz", folder, "npz", tmp_path / "more")[0] == 2
    code, text = run("convert", "pyskl", "x", "sleap", "y", "--set", "help")
    assert code == 0 and "protocol = None" in text and "video = 'video.mp4'" in text


def test_the_page_shows_every_format_and_layout():
    text = (Path(__file__).parents[2] / "docs" / "data_format.md").read_text()
    text = text[text.index("## Keypoint files of other tools") :]
    for name in READERS:
        start = text.index(f"**{name}**:")
        lines = text[start : text.index("\n\n", start)]
        assert all(part in lines for part in ("- File:", "- `poseemo", "- Lost:", "- Licence:")), name
        assert all(f"`{option}`" in lines for option in reader_options(name)), name
        (command,) = re.findall(r"- `poseemo (import|convert) (\w+) \S+ (\w*)", lines)
        assert name in command, name
    assert all(f"`{layout}`" in text for layout in LAYOUTS if layout != "coco17")


# --- labels that files carry


def make(src, out, **changes):
    return import_dataset("npz", src, out, name="x", progress=False, **changes)


def test_a_pattern_beside_labels_of_the_files(tmp_path, folder):
    report = make(folder, tmp_path / "out", label_pattern="(?P<split>train|test)/", label_map={"sad": "neutral"})
    rows = Dataset(tmp_path / "out").table().set_index("clip_id")
    assert rows.split.to_dict() == {"train/happy/001": "train", "test/sad/001": "test"}
    assert set(rows.label) == {"happy", "neutral"} and report.unmatched == ["002.npz"]
    assert rows.source_id.tolist() == rows.index.tolist()
    # The path comes first.
    make(folder, tmp_path / "path", label_pattern="(?P<label>train|test)/", label_map={"train": "fear", "test": "sad"})
    assert set(Dataset(tmp_path / "path").table().label) == {"fear", "sad"}


def test_names_inside_files_are_matched(tmp_path):
    names = ["S001P01A3", "S001P02A3", "S002P01A7"]
    pyskl.write([made(i, name=name, label=str(i % 2)) for i, name in enumerate(names)], tmp_path / "all.pkl")

    def table(out, src=tmp_path / "all.pkl", **changes):
        import_dataset("pyskl", src, tmp_path / out, name="x", progress=False, **changes)
        return Dataset(tmp_path / out).table().set_index("clip_id")

    mapped = {"label_map": {"0": "happy", "1": "sad"}}
    rows = table("a", label_pattern=r"(?P<group>P\d\d)", **mapped)
    assert rows.group_id.to_dict() == {"S001P01A3": "P01", "S001P02A3": "P02", "S002P01A7": "P01"}
    assert rows.label.tolist() == ["happy", "sad", "happy"] and rows.source_id.tolist() == names
    rows = table("b", label_pattern=r"(?P<label>A\d)", label_map={"A3": "fear", "A7": "sad"})
    assert rows.label.tolist() == ["fear", "fear", "sad"]
    rows = table("c", src=tmp_path, **mapped)
    assert rows.index.tolist() == [f"all/{name}" for name in names]
    with pytest.raises(UsageError, match="labels: wanted angry.*got 0, 1; map each: --label-map 0=neutral"):
        table("d")


def test_files_without_labels_ask_for_a_pattern(tmp_path):
    src = archive(tmp_path / "src" / "a.npz")
    for pattern in (None, "(?P<group>a)"):
        with pytest.raises(UsageError, match="wanted --label-pattern with .*: the files hold no labels .a.npz"):
            make(src.parent, tmp_path / "out", label_pattern=pattern)
    src.write_bytes(b"")
    with pytest.raises(FormatError, match="none of 1 recordings could be used; the first: .*not a sound NumPy"):
        make(src.parent, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_more_than_two_tracked_people(tmp_path):
    """The two of the largest weight stay, in their order; the numbers do not change."""
    recording = made(people=4)
    keypoints = recording.keypoints.copy()
    keypoints[..., 1, :, :2] *= 3
    keypoints[3:, 0] = mark_missing(np.zeros((17, 3)))
    main = to_main_people(Recording(keypoints, **SIZE))
    assert main.keypoints.shape == (12, 2, 17, 3)
    np.testing.assert_array_equal(main.keypoints[:, 0], keypoints[:, 1])
    assert to_main_people(recording := made(people=2)) is recording
