"""What is wrong on disk is named, with its file and clip, and the sound clips are read."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_dataset import make_clip, write

from poseemo_lib.clips import PoseClip
from poseemo_lib.data.dataset import Dataset
from poseemo_lib.data.dataset.format import SCHEMA
from poseemo_lib.errors import ClipError, DatasetError


def spoil(dataset, shard=0, **changes):
    """Rewrite one shard with some columns changed; each change maps the list of a column's values to a new list."""
    path = f"{dataset.root}/clips-{shard:05d}.parquet"
    table = pq.read_table(path)
    for name, change in changes.items():
        values = table.column(name).to_pylist()
        position = table.schema.get_field_index(name)
        table = table.set_column(position, name, pa.array(change(values), SCHEMA.field(name).type))
    pq.write_table(table, path)


def first(value):
    return lambda values: [value, *values[1:]]


@pytest.mark.parametrize(
    ("changes", "clip_id", "wanted"),
    [
        ({"keypoints": lambda v: [v[0][:-3], *v[1:]]}, "clip-0", "17 joints x 3 channels"),
        ({"keypoints": lambda v: [[np.nan, np.nan, 0] * (len(v[0]) // 3), *v[1:]]}, "clip-0", "NaN everywhere"),
        ({"n_frames": first(0), "keypoints": first([])}, "clip-0", "at least one frame"),
        ({"n_people": first(5)}, "clip-0", "5 people"),
        ({"fps": first(float("nan"))}, "clip-0", "fps"),
        ({"label": first("glad")}, "clip-0", "label"),
        ({"clip_id": first("clip-2")}, "clip-2", "taken"),
    ],
)
def test_each_fault_on_disk_is_named_with_file_and_clip(tmp_path, changes, clip_id, wanted):
    dataset = write(tmp_path / "data", [make_clip(i) for i in range(4)])
    spoil(dataset, **changes)
    faults = list(dataset.faults())
    assert len(faults) == 1, [str(fault) for fault in faults]
    assert faults[0].file.endswith("data/clips-00000.parquet")
    assert faults[0].clip_id == clip_id
    assert wanted in str(faults[0])
    if wanted != "taken":
        with pytest.raises((ClipError, DatasetError), match="clips-00000.parquet"):
            list(dataset.clips())


@pytest.mark.parametrize("column", SCHEMA.names)
def test_a_null_of_another_writer_is_a_fault(tmp_path, column):
    dataset = write(tmp_path / "data", [make_clip(i) for i in range(4)])
    spoil(dataset, **{column: first(None)})
    faults, path = list(dataset.faults()), f"{dataset.root}/clips-00000.parquet"
    expected = "" if column == "clip_id" else "clip-0"
    if column in ("split", "augmented_from"):
        assert faults == []
    else:
        assert faults and all((fault.file, fault.clip_id) == (path, expected) for fault in faults)


def test_truncated_and_missing_shards_are_named_and_the_rest_is_read(tmp_path):
    dataset = write(tmp_path / "data", [make_clip(i) for i in range(192)], shard_clips=64)
    first_shard, second = tmp_path / "data/clips-00000.parquet", tmp_path / "data/clips-00001.parquet"
    first_shard.write_bytes(first_shard.read_bytes()[:-100])
    second.unlink()
    faults = [str(fault) for fault in dataset.faults()]
    assert len(faults) == 2
    assert "clips-00000.parquet: truncated or damaged shard" in faults[0]
    assert "clips-00001.parquet: wanted the shard that dataset.json names" in faults[1]
    assert sum(isinstance(item, PoseClip) for item in dataset.scan()) == 64
    with pytest.raises(DatasetError, match="clips-00000"):
        list(dataset.clips())


def test_changed_clips_do_not_add_up_to_the_content_hash(tmp_path):
    dataset = write(tmp_path / "data", [make_clip(i) for i in range(4)])
    spoil(dataset, group_id=first("another show"))
    (fault,) = dataset.faults()
    assert fault.file.endswith("dataset.json") and "content hash" in fault.message
    (fault,) = write(tmp_path / "copy", [make_clip(0), make_clip(4)]).faults()
    assert fault.clip_id == "clip-4" and "augmented_from" in fault.message  # a copy of no clip


def test_a_shard_of_another_writer_is_read_or_its_columns_are_named(tmp_path):
    dataset = write(tmp_path / "data", [make_clip(i) for i in range(4)])
    path = tmp_path / "data/clips-00000.parquet"
    table = pq.read_table(path)
    # Wider types and another order of the columns lose nothing.
    wide = table.set_column(9, "height", table["height"].cast(pa.int64())).select(SCHEMA.names[::-1])
    pq.write_table(wide, path)
    assert list(dataset.faults()) == []
    pq.write_table(table.drop_columns(["fps"]), path)
    with pytest.raises(DatasetError, match="missing fps"):
        list(dataset.clips())
    pq.write_table(table.slice(0, 3), path)
    with pytest.raises(DatasetError, match="wanted 4 clips, got 3"):
        dataset.table()


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda text: text[: len(text) // 2], "damaged: "),
        (lambda text: text.replace('"n_clips": 3', '"n_clips": "many"'), "n_clips: "),
        (lambda text: text.replace('"n_clips": 3', '"n_clips": 4'), "sum over the shards, 3, got 4"),
        (lambda text: text.replace('"licence"', '"license"'), "license: "),
        (lambda text: text.replace('"format_version": 1', '"format_version": 2, "new": 0'), "got 2"),
    ],
)
def test_a_damaged_description_is_named(tmp_path, change, wanted):
    write(tmp_path / "data", [make_clip(i) for i in range(3)])
    path = tmp_path / "data/dataset.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(DatasetError) as error:
        Dataset(tmp_path / "data")
    assert "data/dataset.json" in str(error.value) and wanted in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_no_dataset(tmp_path):
    for place in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DatasetError, match="found none"):
            Dataset(place)
