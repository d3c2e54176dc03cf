import pandas as pd
import pytest
from made_ratings import rated_copy

from poseemo_lib.data.dataset import Dataset
from poseemo_lib.data.dataset.ratings import rating_counts, read_ratings
from poseemo_lib.errors import DatasetError


@pytest.fixture(scope="module")
def table(tiny):
    return Dataset(tiny).table()


def rate(rows, key="clip_id"):
    return pd.DataFrame(rows, columns=[key, "rater", "label"])


def test_ratings_are_read_as_they_are_written_and_counted(tiny, table, tmp_path):
    first, second = table["clip_id"][:2]
    written = rate([(first, "Ann", "sad"), (first, "None", "sad"), (second, "Ann", "fear"), (first, "Bea", "happy")])
    found = read_ratings(Dataset(rated_copy(tiny, tmp_path / "d", written)))
    pd.testing.assert_frame_equal(found, written)
    counts = rating_counts(found, Dataset(tiny).classes)
    assert counts.index.name == "clip_id" and list(counts.columns) == list(Dataset(tiny).classes)
    assert counts.loc[first, ["happy", "sad"]].tolist() == [1, 2] and counts.to_numpy().sum() == 4


def test_a_spreadsheets_file_is_read_too(tiny, table, tmp_path):
    folder = rated_copy(tiny, tmp_path / "d", rate([]))
    text = f"rater,label,comment,clip_id\r\nÄnne,sad,, {table['clip_id'][0]}\r\n"
    (folder / "ratings.csv").write_bytes(text.encode("utf-8-sig"))
    assert read_ratings(Dataset(folder)).to_numpy().tolist() == [[table["clip_id"][0], "Änne", "sad"]]


def test_a_dataset_without_the_file_has_no_ratings(tiny):
    assert read_ratings(Dataset(tiny)) is None


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        (("nobody", "Bea", "sad"), "line 3: wanted a clip_id of the dataset, got 'nobody' .1 such"),
        (("", "Bea", "glad"), "line 3: wanted a label of angry, .*, surprise, got 'glad'"),
        (("", "Bea", ""), "line 3: wanted a label of angry, .*, surprise, got ''"),
        (("", "Ann", "happy"), "line 3: wanted one rating of a rater for clip_id"),
    ],
)
def test_a_wrong_rating_is_named_with_its_line(tiny, table, tmp_path, row, wanted):
    clip = table["clip_id"][0]
    rows = rate([(clip, "Ann", "sad"), (row[0] or clip, *row[1:])])
    with pytest.raises(DatasetError, match=f"ratings.csv: {wanted}"):
        read_ratings(Dataset(rated_copy(tiny, tmp_path / "d", rows)))


def test_a_rated_recording_has_clips_of_one_label(tiny, table, tmp_path):
    labels = table.groupby("source_id")["label"].nunique()
    rows = rate([(labels.idxmax(), "Ann", "sad")], "source_id")
    assert labels.max() > 1
    with pytest.raises(DatasetError, match="wanted a recording whose clips have one label, got"):
        read_ratings(Dataset(rated_copy(tiny, tmp_path / "d", rows)))


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"clip,who\na,b\n", "wanted the columns clip_id or source_id, rater and label, got clip, who"),
        (b"", "cannot be read: No columns"),
        (b"clip_id,rater,label\n\xff\xfe,a,b\n", "cannot be read: 'utf-8' codec"),
    ],
)
def test_a_file_of_another_kind_is_refused(tiny, tmp_path, content, wanted):
    folder = rated_copy(tiny, tmp_path / "d", rate([]))
    (folder / "ratings.csv").write_bytes(content)
    with pytest.raises(DatasetError, match=wanted):
        read_ratings(Dataset(folder))
