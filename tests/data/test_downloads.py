"""Files of open datasets: downloaded, resumed, checked, brought by hand, unpacked; and ratings from a sheet."""

import hashlib

import pandas as pd
import pooch
import pytest
from made_server import nobody_there, serving, workbook, zipped

from poseemo_lib.data.downloads import get_files, unpack, write_ratings
from poseemo_lib.errors import PoseemoError
from poseemo_lib.files import download, read_yaml
from poseemo_lib.paths import PARAMETERS

CONTENT = bytes(range(256)) * 40
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()
RATINGS = read_yaml(PARAMETERS / "datasets" / "hanyang.yaml")["fetch"]["ratings"]
LABEL_MAP = {"1": "happy", "2": "sad", "7": "neutral"}


@pytest.fixture
def server(monkeypatch):
    with serving(monkeypatch, {"/a.zip": CONTENT}) as server:
        yield server


@pytest.fixture
def nobody(monkeypatch):
    with nobody_there() as address:
        yield address


def test_a_download_that_broke_off_goes_on_where_it_stopped(server, tmp_path):
    path, half = tmp_path / "a.zip", len(CONTENT) // 2
    server.cut.add("/a.zip")
    with pytest.raises(PoseemoError, match="no answer from the server"):
        download(f"{server.at}/a.zip", path, MD5, resume=True)
    assert not path.exists() and (tmp_path / "a.zip.part").read_bytes() == CONTENT[:half]
    server.cut.clear()
    download(f"{server.at}/a.zip", path, MD5, resume=True)
    assert path.read_bytes() == CONTENT and server.starts == [half] and list(tmp_path.iterdir()) == [path]
    download(f"{server.at}/a.zip", path, MD5, resume=True)
    assert len(server.asked) == 2  # it is there


@pytest.mark.parametrize("server_can_resume", [True, False])
@pytest.mark.parametrize("kept", [CONTENT[:100], CONTENT, b"x" * 100], ids=["start", "all", "other"])
def test_what_was_kept_never_spoils_the_file(server, tmp_path, kept, server_can_resume):
    server.ranges, path = server_can_resume, tmp_path / "a.zip"
    (tmp_path / "a.zip.part").write_bytes(kept)
    for _ in range(2):  # the first call may find that what was kept is of no use
        try:
            download(f"{server.at}/a.zip", path, MD5, resume=True)
        except PoseemoError as error:
            assert "the server answered 416" in str(error) or "does not match the known hash" in str(error)
    assert path.read_bytes() == CONTENT and list(tmp_path.iterdir()) == [path]


def facts_at(address, **changes):
    return {"files": {"a.zip": {"url": f"{address}/a.zip", "size": len(CONTENT), "hash": MD5} | changes}}


def test_a_file_that_cannot_be_had_is_described_for_bringing_it_by_hand(server, nobody, tmp_path):
    other = hashlib.md5(b"").hexdigest()
    for facts, reason in (
        (facts_at(server.at, url=f"{server.at}/b.zip"), "the server answered 404"),
        (facts_at(nobody), "no answer from the server (ConnectionError)"),
        (facts_at(server.at, hash=f"md5:{other}"), f"expected md5:{other}"),
    ):
        file = facts["files"]["a.zip"]
        with pytest.raises(PoseemoError) as caught:
            get_files(facts, tmp_path, [].append)
        text = str(caught.value)
        assert reason in text and "\n" not in text and caught.value.exit_code == 1
        assert f"{file['url']} (10,240 bytes, {file['hash']}), saved as {tmp_path / 'a.zip'}" in text
        assert list(tmp_path.iterdir()) == []


def test_a_file_brought_by_hand_is_checked(server, nobody, tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(CONTENT)
    said = []
    assert get_files(facts_at(nobody), tmp_path, said.append) == [path]
    assert said[1] == f"  a.zip: 10,240 bytes, {MD5}, {nobody}/a.zip"
    path.write_bytes(b"another file")
    with pytest.raises(PoseemoError, match=r"no answer.*a.zip is there, but it is another file"):
        get_files(facts_at(nobody), tmp_path, said.append)
    assert path.read_bytes() == b"another file"
    get_files(facts_at(server.at), tmp_path, said.append)
    assert path.read_bytes() == CONTENT


def test_an_archive_that_is_not_the_one_described_is_refused(tmp_path):
    archive, out = tmp_path / "a.zip", tmp_path / "out"
    facts = {"members": r"/\d\.csv$", "n_members": 2, "commit": "74ead3ba", "leave_out": {"2": "1"}}
    files = {"data/x/1.csv": "a", "data/x/2.csv": "a", "data/readme.csv": ""}

    def refused(content, **changes):
        archive.write_bytes(content)
        with pytest.raises(PoseemoError) as caught:
            unpack(archive, facts | changes, out)
        return str(caught.value)

    sound = zipped(files, "74ead3ba")
    assert "wanted commit 74ead3ba, got none; remove" in refused(zipped(files))
    text = refused(sound, n_members=3)
    assert "wanted 3 files" in text and "found 2; 3 with that suffix are data/x/1.csv" in text and not out.exists()
    assert "damaged" in refused(sound[:-30]) and "damaged" in refused(sound.replace(b"a", b"b", 1))
    assert "1.csv: wanted sha256 00, got another file" in refused(sound, known={"1.csv": "00"})
    known = {"1.csv": hashlib.sha256(b"a").hexdigest()}
    assert unpack(archive, facts | {"known": known}, out) == out / "data" / "x"
    assert [path.name for path in (out / "data" / "x").iterdir()] == ["1.csv"]


def no_route(self):
    raise OSError("no route")


def test_the_record_of_emokine_is_asked_for_its_archive(server, tmp_path, monkeypatch):
    facts = read_yaml(PARAMETERS / "datasets" / "emokine.yaml")["fetch"] | {"url": server.at + "/{}"}
    asked = []

    def record(self, files=(("a.zip", MD5), ("readme.txt", MD5))):
        asked.append(self.base_url)
        self.registry |= dict(files)

    monkeypatch.setattr(pooch.Pooch, "load_registry_from_doi", record)
    assert get_files(facts, tmp_path / "d", [].append) == [tmp_path / "d" / "a.zip"]
    assert asked == ["doi:10.5281/zenodo.7821844/"] and server.asked == ["/a.zip"]
    monkeypatch.setattr(pooch.Pooch, "load_registry_from_doi", no_route)
    assert get_files(facts, tmp_path / "d", [].append) == [tmp_path / "d" / "a.zip"]  # it is there
    with pytest.raises(PoseemoError, match=r"no route.*bring its zip archive by hand: https://doi.org/10"):
        get_files(facts, tmp_path / "e", [].append)
    monkeypatch.setattr(pooch.Pooch, "load_registry_from_doi", lambda self: record(self, [("a.tar", MD5)]))
    with pytest.raises(PoseemoError, match="wanted one zip archive, found none"):
        get_files(facts, tmp_path / "e", [].append)


def test_ratings_are_read_from_the_sheet(tmp_path):
    rows = [("1_1_1_1", 1, 1, 7.0, 0.5), ("1_1_1_2", 2, None, "2", 1), ("9_9_9_1", 1, 1, 1, 1), ("1_1_1_7", 7, 9, 7, 1),
            ("1_1_2_7", 1, 7, 7, 0)]  # fmt: skip
    book = workbook(tmp_path / "r.xlsx", rows)
    labels = {"1_1_1_1": "happy", "1_1_1_2": "sad", "1_1_1_7": "neutral", "1_1_2_7": "neutral"}
    text = write_ratings(tmp_path / "ratings.csv", book, RATINGS, LABEL_MAP, labels)
    table = pd.read_csv(tmp_path / "ratings.csv")
    assert list(table.columns) == ["source_id", "rater", "label"]
    assert sorted(map(tuple, table.to_numpy())) == [
        ("1_1_1_1", "P1", "happy"), ("1_1_1_1", "P2", "neutral"), ("1_1_1_2", "P2", "sad"),
        ("1_1_1_7", "P2", "neutral"),
    ]  # fmt: skip
    assert text == (
        "ratings.csv: 4 ratings of 3 recordings by 2 observers; left out: 2 of recordings that the dataset does not "
        "have, 2 of recordings with another intended label there, 1 other than 1, 2, 7"
    )


def test_a_sheet_of_another_form_is_refused(tmp_path):
    book, answers = tmp_path / "r.xlsx", ("True answer", "P1_answer", "P2_answer")
    for change, message in (
        ({"sheet": "Sheet1"}, "wanted the sheet 'Accuracy per motion'"),
        ({"columns": ("name", *answers)}, "wanted the columns 'animation_index'"),
        ({"columns": ("animation_index", "True answer", "A", "B")}, "found animation_index, True answer, A, B"),
        (None, "wanted the sheet"),
    ):
        book.write_bytes(b"no workbook") if change is None else workbook(book, [("1_1_1_1", 1, 1, 1, 1)], **change)
        with pytest.raises(PoseemoError, match=message):
            write_ratings(tmp_path / "ratings.csv", book, RATINGS, LABEL_MAP, {})
        assert not (tmp_path / "ratings.csv").exists()
