"""Open datasets from a server on this machine: fetched, or brought by hand, and made datasets here."""

import hashlib
import re
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pooch
import pytest
import yaml
from made_motion import EBM, body, table_bytes
from made_server import serving, workbook, zipped

from poseemo_lib.data import recipes
from poseemo_lib.data.splits import repeated_folds
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.files import read_yaml
from poseemo_lib.paths import PARAMETERS
from poseemo_lib.report.data import load_report_data
from poseemo_lib.report.findings import findings
from poseemo_lib.studies.plan import load_study, plan_runs
from poseemo_lib.training.run import train_run

SHARED = Path(__file__).parents[3] / "shared"
BANDAI = SHARED / "data" / "bandai-namco"
OPEN = ("hanyang", "bandai-namco", "emokine")


@pytest.fixture
def server(monkeypatch):
    with serving(monkeypatch, {}) as server:
        yield server


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
    publish(room, server, "bandai-namco", [archive], views=2)
    with pytest.raises(UsageError, match="was made by other settings"):
        recipes.fetch_dataset("bandai-namco", say)
    assert len(server.asked) == 1


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


def motion_csv(seed):
    """A recording in the shape and axes of EBM's files: x to the person's right."""
    return table_bytes(body(20, seed) * (-1, 1, 1))


def test_hanyang_is_fetched_with_its_ratings_and_without_its_copies(room, server):
    recipe = read_yaml(PARAMETERS / "datasets" / "hanyang.yaml")
    motions = {
        f"{person}_1_1_{emotion}": motion_csv(10 * person + emotion) for person in (1, 2) for emotion in range(1, 8)
    }
    for seed, (copy, first) in enumerate(recipe["fetch"]["leave_out"].items()):
        motions[copy] = motions[first] = motion_csv(seed)
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
    for row in table.itertuples():
        person, *_, emotion = row.source_id.split("_")
        assert (row.group_id, row.label) == (person, recipe["label_map"][emotion])
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
    motions = {f"{p}_1_1_{emotion}": motion_csv(10 * p + emotion) for p in range(1, 7) for emotion in range(1, 8)}
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


def test_emokine_is_made_a_dataset_only_as_its_authors_describe_it(room, monkeypatch):
    monkeypatch.setattr(pooch.Pooch, "load_registry_from_doi", no_route)
    upper = {"Arm": "UpperArm", "UpLeg": "UpperLeg", "Leg": "LowerLeg"}
    names = [re.sub("(?<=t)(Arm|UpLeg|Leg)$", lambda found: upper[found[1]], joint) for joint in EBM]
    moods = ("angry", "content", "fearful", "joy", "neutral", "sad", "explanation")
    folders = [f"EmokineDataset/Data/CSV/CSV_seq{i}_{mood}" for i in range(1, 10) for mood in moods]
    # In the axes of the authors' example: x front, y left, z up.
    motions = [table_bytes(body(20, i)[..., [2, 0, 1]], names, "_").replace(b"Frame", b"frame_idx") for i in range(63)]
    files = {f"{folder}/position.csv": motion for folder, motion in zip(folders, motions, strict=True)}
    files |= {f"{folder}/velocity.csv": b"" for folder in folders}
    archive = room / "data" / "downloads" / "emokine" / "brought.zip"
    archive.parent.mkdir(parents=True)
    recipe = read_yaml(PARAMETERS / "datasets" / "emokine.yaml")
    recipe["options"]["views"] = 1
    (room / "parameters" / "datasets" / "emokine.yaml").write_text(yaml.safe_dump(recipe))
    said = []
    archive.write_bytes(zipped(dict(list(files.items())[:20])))
    with pytest.raises(PoseemoError, match=r"wanted 45 files.*nothing was unpacked"):
        recipes.fetch_dataset("emokine", said.append)
    archive.write_bytes(zipped(files))
    table = recipes.fetch_dataset("emokine", said.append).table()
    assert len(table) == 45 and set(table["label"]) == {"angry", "fear", "happy", "neutral", "sad"}
    assert set(table["group_id"]) == set("123456789") and "seq1_joy" in set(table["source_id"])
    assert not [line for line in said if "wrong way" in line or line.startswith("left out")]


def test_an_unknown_dataset_is_named_with_the_known_ones():
    with pytest.raises(UsageError, match="hanjang: wanted a dataset that can be fetched; did you mean hanyang"):
        recipes.fetch_dataset("hanjang", [].append)
