import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from poseemo_lib.data.dataset import Dataset
from poseemo_lib.data.dataset import statistics as clip_statistics
from poseemo_lib.data.dataset.notes import code_behind, hash_names, noted
from poseemo_lib.data.dataset.statistics import dataset_statistics
from poseemo_lib.data.splits import make_split
from poseemo_lib.data.synthetic import write_synthetic_dataset
from poseemo_lib.files import PACKAGE
from poseemo_lib.training.inputs import audit_split

OF = {"split_hash": "ab" * 32}


@pytest.fixture
def dataset(tmp_path):
    write_synthetic_dataset(tmp_path / "data", 30, n_groups=6)
    return Dataset(tmp_path / "data")


def note_of(dataset):
    (path,) = Path(dataset.root).glob("audit-*.json")
    return path


def ask(dataset, answer, of=OF, code="data/audit.py"):
    return noted(dataset, "audit", "leaks", of, code, lambda: answer)


def test_what_is_noted_is_not_found_out_again(dataset):
    assert ask(dataset, {"near": 1}) == {"near": 1}
    assert ask(dataset, {"near": 2}) == {"near": 1}
    assert note_of(dataset).name == f"audit-{'ab' * 8}.json"
    assert not list(dataset.faults())


def test_other_code_finds_it_out_again(dataset):
    ask(dataset, {"near": 1})
    assert ask(dataset, {"near": 2}, code="data/dataset/statistics.py") == {"near": 2}


@pytest.mark.parametrize(
    ("changed", "root", "another"),
    [
        ("data/dataset/reader.py", "data/audit.py", True),
        ("data/near_duplicates.py", "data/audit.py", True),
        ("data/dataset/reader.py", "data/dataset/statistics.py", True),
        ("clips.py", "data/dataset/statistics.py", True),
        ("models/bilstm.py", "data/dataset/statistics.py", False),
        ("data/near_duplicates.py", "data/dataset/statistics.py", False),
    ],
)
def test_code_that_is_imported_counts_and_other_code_does_not(tmp_path, monkeypatch, changed, root, another):
    before = code_behind.__wrapped__(root)
    copy = tmp_path / "poseemo_lib"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for module in ("dataset_notes", "fingerprint"):
        monkeypatch.setattr(f"poseemo_lib.{module}.PACKAGE", copy)
    assert code_behind.__wrapped__(root) == before
    with (copy / changed).open("a") as file:
        file.write("\nCHANGED = 1\n")
    assert (code_behind.__wrapped__(root) != before) is another


def test_another_dataset_split_or_version_has_a_note_of_its_own(dataset, monkeypatch):
    ask(dataset, {"near": 1})
    assert ask(dataset, {"near": 2}, {"split_hash": "ab" * 8 + "cd" * 24}) == {"near": 2}  # of the same name
    monkeypatch.setattr("poseemo_lib.data.dataset.notes.__version__", "0.0.0")
    assert ask(dataset, {"near": 3}) == {"near": 3}
    dataset.info.content_hash = "another"
    assert ask(dataset, {"near": 4}) == {"near": 4}
    assert ask(dataset, {"near": 5}) == {"near": 4}


@pytest.mark.parametrize("damage", ["", "{", "[]", "\x00\xff", '{"leaks": {"near": 7}}', "cut", "other content"])
def test_a_damaged_note_is_made_again(dataset, damage):
    ask(dataset, {"near": 1})
    path = note_of(dataset)
    whole = path.read_text()
    known = json.dumps(json.loads(whole) | {"leaks": 3})
    damage = {"cut": whole[: len(whole) // 2], "other content": known}.get(damage, damage)
    path.write_bytes(damage.encode("latin-1"))
    assert ask(dataset, {"near": 2}) == {"near": 2}
    assert json.loads(path.read_text())["leaks"] == {"near": 2}


def test_a_dataset_that_cannot_be_written_to_is_asked_every_time(dataset):
    dataset.root += "-elsewhere"
    assert [ask(dataset, {"near": number}) for number in (1, 2)] == [{"near": 1}, {"near": 2}]


def test_a_note_that_cannot_be_written_is_asked_for_again(dataset, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("poseemo_lib.data.dataset.notes.write_json", full)
    assert [ask(dataset, {"near": number}) for number in (1, 2)] == [{"near": 1}, {"near": 2}]


def test_statistics_of_the_same_clips_are_measured_once(dataset, monkeypatch):
    names = dataset.table()["clip_id"].tolist()
    first = dataset_statistics(dataset, names[:20])
    monkeypatch.setattr(clip_statistics, "summarise", lambda measured: pytest.fail("measured again"))
    assert dataset_statistics(dataset, reversed(names[:20])) == first
    monkeypatch.undo()
    assert dataset_statistics(dataset, names[:19])["n_clips"] == 19
    (Path(dataset.root) / f"statistics-{hash_names(names[:20])[:16]}.json").unlink()
    assert dataset_statistics(dataset, names[:20]) == first


def test_a_leak_that_was_put_into_the_files_later_is_found(dataset):
    """The content hash in `dataset.json` stays what it was; the clips do not."""
    split = make_split(dataset.table(), "grouped", seed=0)
    assert audit_split(dataset, split) == {}
    (path,) = Path(dataset.root).glob("clips-*.parquet")
    rows = pq.read_table(path)
    ids = rows["clip_id"].to_pylist()
    source, target = (next(i for i, name in enumerate(ids) if split.get(name) == part) for part in ("train", "test"))
    taken = [source if row == target else row for row in range(len(ids))]
    for name in ("keypoints", "n_frames", "fps", "width", "height", "n_people"):
        if name in rows.column_names:
            rows = rows.set_column(rows.column_names.index(name), rows.schema.field(name), rows[name].take(taken))
    pq.write_table(rows, path, row_group_size=pq.ParquetFile(path).metadata.row_group(0).num_rows)
    assert audit_split(Dataset(dataset.root), split).get("exact") == 1
