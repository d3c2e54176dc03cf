"""Open datasets from a server on this machine: downloaded, resumed, checked, brought by hand, and made."""

import hashlib
import io
import re
import zipfile
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import openpyxl
import pandas as pd
import pooch
import pytest
import yaml
from made_server import nobody_there, serving

from poseemo_lib.data import recipes
from poseemo_lib.data.downloads import get_files, unpack, write_ratings
from poseemo_lib.data.labelling import Entry, match_found
from poseemo_lib.data.splits import repeated_folds
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.files import download, read_yaml
from poseemo_lib.paths import PARAMETERS
from poseemo_lib.report.data import load_report_data
from poseemo_lib.report.findings import findings
from poseemo_lib.studies.plan import load_study, plan_runs
from poseemo_lib.training.run import train_run

SHARED = Path(__file__).parents[3] / "shared"
BANDAI = SHARED / "data" / "bandai-namco"
OPEN = ("hanyang", "bandai-namco", "emokine")
CONTENT = bytes(range(256)) * 40
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch):
    with serving(monkeypatch, {"/a.zip": CONTENT}) as server:
        yield server


@pytest.fixture
def nobody(monkeypatch):
    with nobody_there() as address:
        yield address


def zipped(files, comment=""):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.comment = comment.encode()
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


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


FILES = {"a.zip": {"url": "{at}/a.zip", "size": len(CONTENT), "hash": MD5}}


def facts_at(address, **changes):
    return {"files": {"a.zip": FILES["a.zip"] | {"url": f"{address}/a.zip"} | changes}}


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


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A project folder of our own, without recipes."""
    (tmp_path / "parameters" / "datasets").mkdir(parents=True)
    monkeypatch.setattr(recipes, "PROJECT", tmp_path)
    monkeypatch.setattr(recipes, "PARAMETERS", tmp_path / "parameters")
    return tmp_path


def publish(room, server, name, files, views=1, **changes):
    """Put files on the server, and the recipe of that name with what they are in the room."""
    recipe = read_yaml(PARAMETERS / "datasets" / f"{name}.yaml")
    recipe["fetch"] |= changes
    recipe["options"]["views"] = views
    for (file, facts), content in zip(recipe["fetch"]["files"].items(), files, strict=True):
        facts["url"] = f"{server.at}/{len(server.files)}/{file}".replace(" ", "%20")
        server.files[facts["url"].removeprefix(server.at)] = content
        if "hash" in facts:
            facts |= {"size": len(content), "hash": "md5:" + hashlib.md5(content).hexdigest()}
    (room / "parameters" / "datasets" / f"{name}.yaml").write_text(yaml.safe_dump(recipe))
    return recipe


@pytest.mark.skipif(not BANDAI.exists(), reason=f"needs the motion capture in {BANDAI}")
def test_bandai_namco_is_fetched_and_made_a_dataset(room, server):
    folder = "Bandai-74ead3b/dataset/Bandai-Namco-Research-Motiondataset-1/data/"
    motions = {path.name: path.read_text() for path in sorted(BANDAI.glob("*_bow_*.bvh"))}
    motions["dataset-1_bow_proud_001.bvh"] = motions["dataset-1_bow_sad_001.bvh"]
    commit = read_yaml(PARAMETERS / "datasets" / "bandai-namco.yaml")["fetch"]["commit"]
    archive = zipped({folder + name: text for name, text in motions.items()} | {"Bandai-74ead3b/README.md": ""}, commit)
    recipe = publish(room, server, "bandai-namco", [archive], n_members=5)
    with pytest.raises(UsageError, match="bandai-namco: is not here; `poseemo fetch bandai-namco` downloads it"):
        recipes.ensure_dataset("bandai-namco")
    said = []

    def say(line):
        said.append(line)
        assert len(said) > 4 or not server.asked  # licence and citation come before the download

    dataset = recipes.fetch_dataset("bandai-namco", say, room / "disk")
    text = "\n".join(said)
    assert "licence: CC BY-NC 4.0" in text and "no commercial use" in text and "citation: Kobayashi" in text
    assert "bandai-namco.zip: size not known, checksum not known" in text
    assert "left out, has another label: dataset-1_bow_proud_001.bvh" in said
    info, table = dataset.info, dataset.table()
    assert (info.licence, info.citation) == (recipe["licence"], recipe["citation"])
    assert set(table["label"]) == {"angry", "happy", "neutral", "sad"} and set(table["group_id"]) == {"bow"}
    downloads = room / "disk" / "downloads" / "bandai-namco"
    assert [path.name for path in downloads.iterdir()] == ["bandai-namco.zip"]
    assert len(recipes.fetch_dataset("bandai-namco", say, room / "disk")) == 4 and len(server.asked) == 1
    # The archive brought by hand, without a connection: the same dataset in the project's data/.
    (room / "data" / "downloads").mkdir(parents=True)
    downloads.rename(room / "data" / "downloads" / "bandai-namco")
    server.files.clear()
    again = recipes.fetch_dataset("bandai-namco", say)
    assert again.info.content_hash == info.content_hash and len(server.asked) == 1
    assert recipes.ensure_dataset("bandai-namco") == str(room / "data" / "bandai-namco")


@pytest.mark.parametrize("name", OPEN)
def test_a_recipe_states_what_its_licence_asks_for(name):
    recipe = read_yaml(PARAMETERS / "datasets" / f"{name}.yaml")
    assert "creativecommons.org" in recipe["licence"] and "credit the authors" in recipe["licence"]
    assert recipe["source"] and ("doi:" in recipe["citation"] or "arXiv:" in recipe["citation"])
    facts = recipe["fetch"]
    assert all(isinstance(text, str) for pair in facts.get("leave_out", {}).items() for text in pair)
    if (SHARED / "datasets.md").exists():
        known = (SHARED / "datasets.md").read_text()
        for file, one in facts.get("files", {}).items():
            if "hash" in one:
                assert f"`{file}`, {one['size']:,} bytes, md5 {one['hash'].removeprefix('md5:')}" in known
                assert unquote(one["url"]).endswith(f"/{file}?download=1")
        assert str(facts["n_members"]) in known.replace(",", "") or name == "emokine"
        for copy, first in facts.get("leave_out", {}).items():
            assert f"{first} = {copy}" in known


def test_the_names_of_hanyang_give_person_and_emotion():
    recipe = read_yaml(PARAMETERS / "datasets" / "hanyang.yaml")
    found = [Entry(Path(), f"{name}.csv", name) for name in ("29_4_5_1", "3_1_2_6")]
    entries, unmatched = match_found(found, recipe["label_pattern"], recipe["label_map"])
    assert not unmatched and [(e.group_id, e.label, e.source_id) for e in entries] == [
        ("29", "happy", "29_4_5_1"), ("3", "fear", "3_1_2_6")
    ]  # fmt: skip


RATINGS = read_yaml(PARAMETERS / "datasets" / "hanyang.yaml")["fetch"]["ratings"]
LABEL_MAP = {"1": "happy", "2": "sad", "7": "neutral"}


def workbook(path, rows, sheet=RATINGS["sheet"], columns=("animation_index", "True answer", "P1_answer", "P2_answer")):
    book = openpyxl.Workbook()
    book.active.title = "Summary"
    page = book.create_sheet(sheet)
    for row in [(*columns, "Accuracy"), *rows]:
        page.append(row)
    book.save(path)
    book.close()
    return path


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sheet": "Sheet1"}, "wanted the sheet 'Accuracy per motion'"),
        ({"columns": ("name", "True answer", "P1_answer", "P2_answer")}, "wanted the columns 'animation_index'"),
        (
            {"columns": ("animation_index", "True answer", "A", "B")},
            "found animation_index, True answer, A, B",
        ),
    ],
)
def test_a_sheet_of_another_form_is_refused(tmp_path, change, message):
    book = workbook(tmp_path / "r.xlsx", [("1_1_1_1", 1, 1, 1, 1)], **change)
    with pytest.raises(PoseemoError) as caught:
        write_ratings(tmp_path / "ratings.csv", book, RATINGS, LABEL_MAP, {})
    assert message in str(caught.value) and not (tmp_path / "ratings.csv").exists()
    book.write_bytes(b"no workbook")
    with pytest.raises(PoseemoError, match="wanted the sheet"):
        write_ratings(tmp_path / "ratings.csv", book, RATINGS, LABEL_MAP, {})


# A standing body in EBM's axes and order, metres: x right, y up, z front.
STANDING = {
    "Hips": (0, 0.95, 0), "Spine": (0, 1.05, 0), "Spine1": (0, 1.2, 0), "Neck": (0, 1.45, 0), "Head": (0, 1.6, 0.05),
    "LeftShoulder": (-0.05, 1.4, 0), "LeftArm": (-0.2, 1.4, 0), "LeftForeArm": (-0.25, 1.12, -0.03),
    "LeftHand": (-0.27, 0.87, 0.05), "RightShoulder": (0.05, 1.4, 0), "RightArm": (0.2, 1.4, 0),
    "RightForeArm": (0.25, 1.12, -0.03), "RightHand": (0.27, 0.87, 0.05), "RightUpLeg": (0.1, 0.9, 0),
    "RightLeg": (0.1, 0.5, 0.03), "RightFoot": (0.1, 0.08, 0), "LeftUpLeg": (-0.1, 0.9, 0),
    "LeftLeg": (-0.1, 0.5, 0.03), "LeftFoot": (-0.1, 0.08, 0),
}  # fmt: skip


def motion_csv(rng, names=tuple(STANDING), axes=(0, 1, 2), signs=(1, 1, 1), between="."):
    """A recording of 20 frames: by default in the shape of EBM's files."""
    moved = np.array(list(STANDING.values())) + np.cumsum(rng.normal(0, 0.01, (20, 19, 3)), 0)
    columns = [f"{joint}{between}{axis}" for joint in names for axis in "xyz"]
    table = pd.DataFrame((moved[..., axes] * signs).reshape(20, -1), columns=columns)
    table.insert(0, "Frame", range(1, 21))
    return b"\xef\xbb\xbf" + table.to_csv(index=False).encode()


def test_hanyang_is_fetched_with_its_ratings_and_without_its_copies(room, server):
    rng, recipe = np.random.default_rng(0), read_yaml(PARAMETERS / "datasets" / "hanyang.yaml")
    motions = {f"{person}_1_1_{emotion}": motion_csv(rng) for person in (1, 2) for emotion in range(1, 8)}
    for copy, first in recipe["fetch"]["leave_out"].items():
        motions[copy] = motions[first] = motion_csv(rng)
    files = {f"Emotional Body Motion Data/{name}.csv": content for name, content in motions.items()}
    archive = zipped(files | {"__MACOSX/Emotional Body Motion Data/._1_1_1_1.csv": b"x"})
    rows = [(name, int(name[-1]), 1, 2, 0.5) for name in motions]
    book = workbook(room / "r.xlsx", rows)
    publish(room, server, "hanyang", [archive, book.read_bytes()], views=2, n_members=len(motions))
    said = []
    dataset = recipes.fetch_dataset("hanyang", said.append)
    table = dataset.table()
    kept = set(motions) - set(recipe["fetch"]["leave_out"])
    assert set(table["source_id"]) == kept and set(table["clip_id"]) == {f"{n}@view{v}" for n in kept for v in (0, 1)}
    assert set(table["group_id"]) == {"1", "2", "9", "15", "29"} and len(dataset.classes) == 7
    assert set(table["fps"]) == {30.0} and "left out: 15_2_4_1, an exact copy of 15_2_3_1" in said
    ratings = pd.read_csv(room / "data" / "hanyang" / "ratings.csv", dtype=str)
    assert set(ratings["source_id"]) == kept and len(ratings) == 2 * len(kept)
    assert set(ratings[ratings["rater"] == "P2"]["label"]) == {"sad"}
    assert "18 recordings: unit guessed" in "\n".join(said) and "wrong way" not in "\n".join(said)
    assert said[-1].endswith("8 of recordings that the dataset does not have")
    # What a faulty sheet leaves: the files, and no dataset.
    server.files.clear()
    publish(room, server, "hanyang", [archive, b"no workbook"], n_members=len(motions))
    with pytest.raises(PoseemoError, match="wanted the sheet"):
        recipes.fetch_dataset("hanyang", said.append, room / "disk")
    downloads = room / "disk" / "downloads" / "hanyang"
    assert {path.name for path in downloads.iterdir()} == set(recipe["fetch"]["files"])
    assert not (room / "disk" / "hanyang").exists()


def test_the_study_people_runs_on_it_to_a_report_with_people(room, server):
    rng = np.random.default_rng(0)
    motions = {f"{person}_1_1_{emotion}": motion_csv(rng) for person in range(1, 7) for emotion in range(1, 8)}
    archive = zipped({f"Emotional Body Motion Data/{name}.csv": content for name, content in motions.items()})
    rows = [(name, int(name[-1]), int(name[-1]), rng.integers(1, 8), 0.5) for name in motions]
    sheet = workbook(room / "r.xlsx", rows).read_bytes()
    publish(room, server, "hanyang", [archive, sheet], n_members=len(motions), leave_out={})
    recipes.fetch_dataset("hanyang", str)
    path = PARAMETERS / "studies" / "people.yaml"
    study = load_study(path)
    study.base |= {"epochs": 1, "n_frames": 8, "eval_crops": 1, "threads": 1}
    study.seeds, study.configs = [0], {name: study.configs[name] for name in ("majority", "deep_residual_soft")}
    runs = plan_runs(study, path, room / "runs")
    assert {run.parameters.fold for run in runs} == set(repeated_folds(5, 2)) and len(runs) == 20
    for run in runs:
        train_run(run.parameters.model_copy(update={"dataset": run.dataset}), run.folder, config=run.config)
    data = load_report_data(room / "runs")
    right = np.mean([truth == rating for _, truth, _, rating, _ in rows])
    one = data.observers.scores["one observer"].score("accuracy")["mean"]
    assert one == pytest.approx((1 + right) / 2) and data.observers.n_tested == data.observers.n_rated == len(motions)
    assert "People rated 42 of 42 test recordings (2 observers, 84 ratings)" in findings(data)
    assert list(data.score_table["config"].unique()) == [
        "majority", "deep_residual_soft", "one observer", "majority of observers"
    ]  # fmt: skip


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


def emokine_files(content):
    moods = ("angry", "content", "fearful", "joy", "neutral", "sad", "explanation")
    folders = [f"EmokineDataset/Data/CSV/CSV_seq{i}_{mood}" for i in range(1, 10) for mood in moods]
    return {f"{folder}/{kind}.csv": content() for folder in folders for kind in ("position", "velocity")}


def test_emokine_is_unpacked_only_as_its_authors_describe_it(tmp_path):
    facts, archive = read_yaml(PARAMETERS / "datasets" / "emokine.yaml")["fetch"], tmp_path / "a.zip"
    archive.write_bytes(zipped(dict(list(emokine_files(str).items())[:20])))
    with pytest.raises(PoseemoError, match=r"wanted 45 files.*nothing was unpacked"):
        unpack(archive, facts, tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_emokine_of_the_described_form_is_made_a_dataset(room, monkeypatch):
    monkeypatch.setattr(pooch.Pooch, "load_registry_from_doi", no_route)
    upper = {"Arm": "UpperArm", "UpLeg": "UpperLeg", "Leg": "LowerLeg"}
    names = [re.sub("(?<=t)(Arm|UpLeg|Leg)$", lambda found: upper[found[1]], joint) for joint in STANDING]
    rng, downloads = np.random.default_rng(0), room / "data" / "downloads" / "emokine"
    downloads.mkdir(parents=True)
    # In the axes of the authors' example: x front, y left, z up.
    files = emokine_files(lambda: motion_csv(rng, names, (2, 0, 1), (1, -1, 1), "_").replace(b"Frame", b"frame_idx"))
    (downloads / "brought.zip").write_bytes(zipped(files))
    recipe = read_yaml(PARAMETERS / "datasets" / "emokine.yaml")
    recipe["options"]["views"] = 1
    (room / "parameters" / "datasets" / "emokine.yaml").write_text(yaml.safe_dump(recipe))
    said = []
    table = recipes.fetch_dataset("emokine", said.append).table()
    assert len(table) == 45 and set(table["label"]) == {"angry", "fear", "happy", "neutral", "sad"}
    assert set(table["group_id"]) == set("123456789") and "seq1_joy" in set(table["source_id"])
    assert not [line for line in said if "wrong way" in line or line.startswith("left out")]


def test_an_unknown_dataset_is_named_with_the_known_ones():
    with pytest.raises(UsageError, match="hanjang: wanted a dataset that can be fetched; did you mean hanyang"):
        recipes.fetch_dataset("hanjang", [].append)


def test_a_recipe_that_changed_downloads_nothing(room, server):
    publish(room, server, "bandai-namco", [b""])
    (room / "data" / "bandai-namco").mkdir(parents=True)
    (room / "data" / "bandai-namco" / "dataset.json").write_text("{}")
    with pytest.raises(UsageError, match="was made by other settings"):
        recipes.fetch_dataset("bandai-namco", [].append)
    assert not server.asked
