import os
import re
import signal
import subprocess
import sys
import textwrap
import time
import tracemalloc
from pathlib import Path

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from poseemo_lib.clips import EMOTIONS, PoseClip, mark_missing
from poseemo_lib.data.dataset import Dataset, DatasetInfo, DatasetWriter
from poseemo_lib.data.dataset.format import METADATA_COLUMNS, SCHEMA, add_clip
from poseemo_lib.errors import ClipError, DatasetError, UsageError

INFO = DatasetInfo(name="test", licence="none", recipe={"seed": 0})


def make_clip(index, frames=None, **changes):
    rng = np.random.default_rng(index)
    frames = frames or int(rng.integers(3, 12))
    keypoints = rng.uniform(0, 500, (frames, 1 + index % 2, 17, 3))
    keypoints[..., 2] = np.where(rng.random(keypoints.shape[:-1]) < 0.3, 0, rng.uniform(0.1, 1, keypoints.shape[:-1]))
    clip = PoseClip(
        clip_id=f"clip-{index}",
        label=EMOTIONS[index % 7],
        keypoints=mark_missing(keypoints),
        fps=(25, 23.976, 29.97)[index % 3],
        width=640,
        height=480,
        source_id=f"film-{index // 3}",
        group_id=f"show-{index // 9}",
        split=(None, "train", "test")[index % 3],
        origin="augmented" if index % 5 == 4 else "real",
        augmented_from=f"clip-{index - 1}" if index % 5 == 4 else None,
    )
    return clip.with_(**changes)


def write(folder, clips, **options):
    with DatasetWriter(folder, INFO, **options) as writer:
        for clip in clips:
            writer.write(clip)
    return Dataset(folder)


def rows_of(clips):
    return {clip.clip_id: (add_clip(0, clip), *(getattr(clip, n) for n in METADATA_COLUMNS)) for clip in clips}


def test_round_trip_bit_for_bit(tmp_path):
    clips = [make_clip(i) for i in range(150)]
    dataset = write(tmp_path / "data", clips, shard_clips=64)
    back = list(dataset.clips())
    for clip, again in zip(clips, back, strict=True):
        assert again.keypoints.dtype == np.float32
        assert again.keypoints.tobytes() == clip.keypoints.tobytes()
        assert all(getattr(again, name) == getattr(clip, name) for name in METADATA_COLUMNS)
    table = dataset.table()
    assert tuple(table.columns) == METADATA_COLUMNS and len(dataset) == 150
    assert table["clip_id"].tolist() == [clip.clip_id for clip in clips]
    assert table["split"].isna().sum() == sum(clip.split is None for clip in clips)
    assert list(dataset.info.shards.values()) == [64, 64, 22]
    assert list(dataset.faults()) == []
    # Each clip owns its keypoints: one that is kept does not keep the others.
    assert back[0].keypoints.base is None or back[0].keypoints.base.nbytes == back[0].keypoints.nbytes


def test_content_hash_ignores_order_and_sharding_but_no_change(tmp_path):
    clips = [make_clip(i) for i in range(100)]
    one = write(tmp_path / "a", clips).info.content_hash
    assert write(tmp_path / "b", clips[::-1], shard_clips=64).info.content_hash == one
    moved = clips[7].keypoints.copy()
    seen = np.argwhere(moved[..., 2] > 0)[0]
    moved[tuple(seen)][0] += 1e-3
    assert add_clip(0, clips[0].with_(fps=25, width=np.int64(640))) == add_clip(0, clips[0].with_(fps=25.0))
    for change in ({"keypoints": moved}, {"label": "fear"}, {"fps": 24.0}, {"split": "val"}):
        changed = clips[:7] + [clips[7].with_(**change)] + clips[8:]
        assert write(tmp_path / f"c-{next(iter(change))}", changed).info.content_hash != one


def test_where_and_take_choose_clips(tmp_path):
    clips = [make_clip(i) for i in range(200)]
    dataset = write(tmp_path / "data", clips, shard_clips=64)
    chosen = dataset.clips(where=lambda clip_id: clip_id.endswith("9"))
    assert [clip.clip_id for clip in chosen] == [f"clip-{i}" for i in range(9, 200, 10)]
    rows = [199, 0, 63, 64, 130, 64]
    taken = dict(dataset.take(rows))
    assert list(taken) == [0, 63, 64, 130, 199]
    assert all(clip.clip_id == f"clip-{row}" for row, clip in taken.items())


@pytest.mark.parametrize(
    ("bad", "wanted"),
    [(make_clip(3).with_(width=-5, label="glad"), "width"), (make_clip(3).with_(clip_id="clip-1"), "taken")],
)
def test_a_faulty_clip_is_refused_by_name_and_the_others_are_kept(tmp_path, bad, wanted):
    with DatasetWriter(tmp_path / "data", INFO) as writer:
        for i in (0, 1, 2):
            writer.write(make_clip(i))
        with pytest.raises(ClipError) as error:
            writer.write(bad, where="films/a.json")
        assert "films/a.json" in str(error.value) and bad.clip_id in str(error.value) and wanted in str(error.value)
        writer.write(make_clip(4, origin="real", augmented_from=None))
    dataset = Dataset(tmp_path / "data")
    assert [clip.clip_id for clip in dataset.clips()] == ["clip-0", "clip-1", "clip-2", "clip-4"]
    assert list(dataset.faults()) == []


def test_synthetic_clips_want_a_dataset_that_says_so(tmp_path):
    clip = make_clip(0, origin="synthetic")
    with DatasetWriter(tmp_path / "a", INFO) as writer:
        with pytest.raises(ClipError, match=r"clip 'clip-0': origin: wanted no synthetic clip"):
            writer.write(clip)
        writer.write(clip.with_(origin="real"))
    with DatasetWriter(tmp_path / "b", INFO.model_copy(update={"synthetic": True})) as writer:
        writer.write(clip)
    assert len(Dataset(tmp_path / "a")) == len(Dataset(tmp_path / "b")) == 1


@pytest.mark.parametrize("use", [Dataset, lambda url: DatasetWriter(url, INFO)])
def test_urls_that_cannot_be_opened_are_named(use, monkeypatch):
    with pytest.raises(UsageError, match="^foo://x: .*Protocol not known: foo.*install"):
        use("foo://x")
    monkeypatch.setitem(sys.modules, "s3fs", None)  # as if it were not installed
    with pytest.raises(UsageError, match="^s3://bucket/data: .*Install s3fs"):
        use("s3://bucket/data")


def test_a_finished_dataset_is_not_written_over(tmp_path):
    write(tmp_path / "data", [make_clip(0)])
    for resume in (False, True):
        with pytest.raises(UsageError, match="wanted an empty folder, got a dataset"):
            DatasetWriter(tmp_path / "data", INFO, resume=resume)
    with pytest.raises(DatasetError, match="cannot write"):
        DatasetWriter(tmp_path / "data/dataset.json", INFO)


def test_an_unfinished_dataset_keeps_its_clips_and_is_continued_on_demand_with_the_same_recipe(tmp_path):
    with pytest.raises(ZeroDivisionError), DatasetWriter(tmp_path / "data", INFO) as writer:
        writer.write(make_clip(1))
        1 / 0  # noqa: B018
    with pytest.raises(DatasetError, match="interrupted after 1 clips"):
        Dataset(tmp_path / "data")
    assert [clip.clip_id for clip in Dataset(tmp_path / "data", allow_incomplete=True).clips()] == ["clip-1"]
    with pytest.raises(UsageError, match="resume or remove"):
        DatasetWriter(tmp_path / "data", INFO)
    for change in ({"recipe": {"seed": 1}}, {"classes": ("sad", "happy")}):
        with pytest.raises(UsageError, match=f"the same {next(iter(change))}"):
            DatasetWriter(tmp_path / "data", INFO.model_copy(update=change), resume=True)
    with DatasetWriter(tmp_path / "data", INFO, resume=True) as writer:
        writer.write(make_clip(0))
    assert len(Dataset(tmp_path / "data")) == 2


def test_a_full_disk_is_named_and_finished_shards_stay(tmp_path, monkeypatch):
    with (
        pytest.raises(DatasetError, match="cannot write: .*No space left"),
        DatasetWriter(tmp_path / "data", INFO, shard_clips=64) as writer,
    ):
        for i in range(200):
            if i == 70:
                monkeypatch.setattr(pq.ParquetWriter, "write_batch", no_space)
            writer.write(make_clip(i))
    monkeypatch.undo()
    kept = Dataset(tmp_path / "data", allow_incomplete=True)
    assert (len(kept), list(kept.faults())) == (64, [])
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["clips-00000.parquet", "dataset.json"]
    with DatasetWriter(tmp_path / "data", INFO, shard_clips=64, resume=True) as writer:
        for clip in (make_clip(i) for i in range(200)):
            if not writer.written(clip.clip_id):
                writer.write(clip)
    assert writer.info.content_hash == write(tmp_path / "whole", map(make_clip, range(200))).info.content_hash


def no_space(*_):
    raise OSError(28, "No space left on device")


def test_other_file_systems(tmp_path):
    url = f"memory://{tmp_path.name}/data"
    dataset = write(url, [make_clip(i) for i in range(100)], shard_clips=64)
    assert dataset.info.content_hash == write(tmp_path / "data", map(make_clip, range(100))).info.content_hash
    assert rows_of(dataset.clips()) == rows_of(map(make_clip, range(100)))
    names = {path.rsplit("/", 1)[-1] for path in fsspec.filesystem("memory").find(f"/{tmp_path.name}/data")}
    assert names == {"dataset.json", "clips-00000.parquet", "clips-00001.parquet"}


KILLED = """
    import sys
    from test_dataset import INFO, make_clip
    from poseemo_lib.data.dataset import DatasetWriter

    with DatasetWriter(sys.argv[1], INFO, shard_clips=64) as writer:
        for i in range(10_000_000):
            writer.write(make_clip(i))
"""


def test_a_killed_writer_loses_no_finished_shard_and_its_work_is_resumed(tmp_path):
    folder = tmp_path / "data"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(KILLED), str(folder)], env=environment)
    try:
        deadline = time.monotonic() + 60
        readable = 0
        while readable < 200:
            assert child.poll() is None and time.monotonic() < deadline
            # While it is written: every shard that has its name is whole, and dataset.json is never half there.
            for shard in folder.glob("clips-*.parquet"):
                assert pq.read_metadata(shard).num_rows == 64
            if (folder / "dataset.json").exists():
                readable = Dataset(folder, allow_incomplete=True).info.n_clips
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    kept = Dataset(folder, allow_incomplete=True)
    assert kept.info.n_clips >= 200 and kept.info.n_clips % 64 == 0
    assert list(kept.faults()) == []
    n_clips = kept.info.n_clips + 100
    with DatasetWriter(folder, INFO, shard_clips=64, resume=True) as writer:
        skipped = sum(writer.written(f"clip-{i}") for i in range(n_clips))
        for clip in (make_clip(i) for i in range(n_clips)):
            if not writer.written(clip.clip_id):
                writer.write(clip)
    assert skipped == kept.info.n_clips
    whole = write(tmp_path / "whole", (make_clip(i) for i in range(n_clips)))
    resumed = Dataset(folder)
    assert resumed.info.content_hash == whole.info.content_hash
    assert list(resumed.faults()) == []
    assert not [path for path in folder.iterdir() if path.name.startswith(".tmp-")]


def test_long_clips_make_small_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr("poseemo_lib.data.dataset.format.ROW_GROUP_VALUES", 20_000)
    dataset = write(tmp_path / "data", [make_clip(2 * i, frames=100) for i in range(20)])
    # 100 frames x 1 person x 51 = 5,100 numbers: four clips fill a row group.
    assert pq.ParquetFile(f"{dataset.root}/clips-00000.parquet").num_row_groups == 5
    assert [clip.clip_id for _, clip in dataset.take([3, 4, 19])] == ["clip-6", "clip-8", "clip-38"]


def test_memory_does_not_grow_with_the_number_of_clips(tmp_path):
    def peak(n_clips):
        tracemalloc.start()
        dataset = write(tmp_path / str(n_clips), (make_clip(i, frames=10) for i in range(n_clips)), shard_clips=256)
        for _ in dataset.clips():
            pass
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(70)
    small, large = peak(300), peak(900)
    keypoints = 600 * 10 * 1.5 * 51 * 4
    # Only the ids grow: about 150 bytes a clip against 3 kB of keypoints.
    assert large - small < 0.2 * keypoints


def test_the_example_of_the_documentation_runs(tmp_path, monkeypatch, capsys):
    text = (Path(__file__).parents[2] / "docs" / "data_format.md").read_text()
    example = re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)
    monkeypatch.chdir(tmp_path)
    exec(example, {"keypoints": make_clip(0).keypoints})
    assert capsys.readouterr().out.startswith("clip-1 sad (")
    for name in (*SCHEMA.names, *DatasetInfo.model_fields):
        assert f"`{name}`" in text, f"{name} is not described"
