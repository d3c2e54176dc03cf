import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from poseemo_lib.data.dataset import Dataset, notes
from poseemo_lib.data.dataset import statistics as clip_statistics
from poseemo_lib.data.dataset.notes import noted
from poseemo_lib.data.dataset.statistics import dataset_statistics
from poseemo_lib.data.splits import make_split
from poseemo_lib.data.synthetic import write_synthetic_dataset
from poseemo_lib.training.inputs import audit_split

OF = "ab" * 32


@pytest.fixture
def dataset(tmp_path):
    write_synthetic_dataset(tmp_path / "data", 30, n_groups=6)
    return Dataset(tmp_path / "data")


def ask(dataset, number, of=OF):
    return noted(dataset, "audit", of, lambda: {"near": number})["near"]


def test_what_is_noted_is_not_computed_again(dataset):
    assert ask(dataset, 1) == ask(dataset, 2) == 1
    assert Path(dataset.root, f"audit-{'ab' * 8}.json").exists() and not list(dataset.faults())


def test_another_split_version_or_dataset_has_a_note_of_its_own(dataset, monkeypatch):
    ask(dataset, 1)
    assert ask(dataset, 2, "ab" * 8 + "cd" * 24) == 2  # of the same file name
    for number, name in enumerate(("__version__", "RULES"), start=3):
        monkeypatch.setattr(notes, name, "other")
        assert ask(dataset, number) == number
    dataset.info.content_hash = "another"
    assert ask(dataset, 5) == ask(dataset, 6) == 5


@pytest.mark.parametrize("damage", ["{", "[]", "\x00\xff", '{"content": {"near": 7}}'])
def test_a_damaged_note_is_made_again(dataset, damage):
    ask(dataset, 1)
    path = Path(dataset.root, f"audit-{'ab' * 8}.json")
    path.write_bytes(damage.encode("latin-1"))
    assert ask(dataset, 2) == 2 and json.loads(path.read_text())["content"] == {"near": 2}


def test_without_a_place_for_notes_everything_is_computed(dataset, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(notes, "write_json", full)
    assert [ask(dataset, number) for number in (1, 2)] == [1, 2]
    monkeypatch.undo()
    dataset.root += "-elsewhere"
    assert [ask(dataset, number) for number in (1, 2)] == [1, 2]


def test_statistics_of_the_same_clips_are_measured_once(dataset, monkeypatch):
    names = dataset.table()["clip_id"].tolist()
    first = dataset_statistics(dataset, names[:20])
    monkeypatch.setattr(clip_statistics, "summarise", lambda measured: pytest.fail("measured again"))
    assert dataset_statistics(dataset, reversed(names[:20])) == first
    monkeypatch.undo()
    assert dataset_statistics(dataset, names[:19])["n_clips"] == 19


def test_a_leak_that_was_put_into_the_files_later_is_found(dataset):
    """The content hash in `dataset.json` stays what it was; the clips do not."""
    split = make_split(dataset.table(), "grouped", seed=0)
    assert audit_split(dataset, split) == {}
    (path,) = Path(dataset.root).glob("clips-*.parquet")
    rows = pq.read_table(path)
    ids = rows["clip_id"].to_pylist()
    source, target = (
        next(i for i, name in enumerate(ids) if split.get(name) == wanted) for wanted in ("train", "test")
    )
    taken = [source if row == target else row for row in range(len(ids))]
    for name in ("keypoints", "n_frames", "fps", "width", "height", "n_people"):
        rows = rows.set_column(rows.column_names.index(name), rows.schema.field(name), rows[name].take(taken))
    pq.write_table(rows, path)
    assert audit_split(Dataset(dataset.root), split).get("exact") == 1
