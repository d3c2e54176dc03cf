import hashlib
import json
import re

import made_studies
import numpy as np
import pytest
from made_runs import write_config

from poseemo_lib.data.dataset import Dataset
from poseemo_lib.report.cards import dataset_card, missing_joints, model_card, split_counts
from poseemo_lib.report.data import load_report_data
from poseemo_lib.report.provenance import provenance, provenance_table

CONFIGS = {
    "majority": {"architecture": "majority"},
    "extra_trees": {"architecture": "extra_trees", "skill": 0.2},
    "net": {"skill": 0.7},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return made_studies.made_study(tmp_path_factory.mktemp("studies") / "main", CONFIGS)


@pytest.fixture(scope="module")
def data(runs):
    return load_report_data(runs)


def rows_of(card, head):
    """Rows of the table under a heading, by their first column."""
    text = card.split(f"{head}\n")[1].split("\n#")[0]
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return {line[0]: line[1:] for line in lines}


def changed_records(root, change):
    for path in root.rglob("run.json"):
        record = json.loads(path.read_text())
        change(record)
        path.write_text(json.dumps(record))
    return root


@pytest.fixture(scope="module")
def real(tiny, tmp_path_factory):
    """A study whose runs know the tiny dataset."""
    root = tmp_path_factory.mktemp("real") / "study"
    made_studies.made_study(root, {"net": {"dataset": str(tiny)}}, seeds=(0,))
    content = Dataset(tiny).info.content_hash
    changed_records(root, lambda record: record["dataset"].update(content_hash=content))
    return load_report_data(root)


class TestModelCard:
    def test_synthetic_comes_first_and_scores_are_those_of_the_runs(self, data):
        card = model_card(data)
        assert card.startswith("# Model card: net") and "Synthetic data" in card.split("## ")[0]
        assert "Article 5(1)(f)" in card and "A posture is not a feeling" in card
        rows = rows_of(card, "## Scores")
        scores = data.best.scores.scores.set_index("metric")
        metrics = ("macro_f1", "balanced_accuracy", "accuracy")
        for config, text in zip(metrics, rows["**net**"], strict=False):
            low, high = 100 * scores.loc[config, ["low", "high"]]
            assert text == f"{100 * scores.loc[config, 'mean']:.1f} % [{low:.1f}, {high:.1f}]"
        assert {"majority (baseline)", "extra_trees (baseline)", "chance"} <= set(rows)
        assert "**net** is better than guessing" in card

    def test_classes_have_intervals_and_add_up(self, data):
        rows = rows_of(model_card(data), "### By class")
        assert sum(float(rows[name][3]) for name in data.classes) == data.best.scores.n_clips
        for column in (4, 5):
            total = sum(float(rows[name][column].rstrip(" %")) for name in data.classes)
            assert total == pytest.approx(100, abs=0.4)
        recall = data.best.scores.per_class.query("metric == 'recall'").set_index("class")
        assert rows["sad"][1].startswith(f"{100 * recall.loc['sad', 'mean']:.1f} % [")

    def test_hyper_parameters_and_hashes(self, runs, tmp_path):
        made_studies.made_study(tmp_path / "study", {"small": {"model": {"hidden": 128}, "lr": 0.01}})
        (tmp_path / "study" / "small" / "seed-0" / "weights.safetensors").write_bytes(b"weights")
        card = model_card(load_report_data(tmp_path / "study"))
        details, settings = rows_of(card, "## Model details"), rows_of(card, "### All settings")
        assert details["differs from the defaults in"] == ["hidden 128, lr 0.01"]
        assert settings["model.hidden"] == ["128"]
        n = load_report_data(tmp_path / "study").best.n_parameters
        assert details["trainable parameters"] == [f"{n:,}"]
        assert f"seed 0: {hashlib.sha256(b'weights').hexdigest()}" in card and "seed 1:" not in card

    def test_leaks_are_said_first(self, tmp_path):
        configs = {"net": {"split": "random", "allow_leak": True}}
        data = load_report_data(made_studies.made_study(tmp_path / "leaky", configs, leaks=made_studies.LEAKS))
        card = model_card(data)
        found = "**Leaky split** (12 recordings, 30 groups, 8 families of copies shared between splits)"
        assert found in card.split("## ")[0]
        assert "The audit found 12 recordings" in card

    def test_baselines_only_and_one_seed(self, tmp_path):
        configs = {"majority": {"architecture": "majority"}, "stratified": {"architecture": "stratified"}}
        data = load_report_data(made_studies.made_study(tmp_path / "baselines", configs, seeds=(0,)))
        card = model_card(data)
        assert "not counted" in card and "no file of weights" in card
        assert set(rows_of(card, "## Scores")) >= {"**stratified**", "majority (baseline)"}


class TestDatasetCard:
    def test_counts_are_those_of_the_dataset(self, real):
        card, table = dataset_card(real), real.dataset.table()
        rows = rows_of(card, "## Composition")
        assert f"{len(table)} clips in {table['group_id'].nunique()} groups" in card
        assert sum(int(rows[name][0]) for name in real.classes) == len(table)
        assert rows["sad"][0] == str((table["label"] == "sad").sum())
        assert rows["sad"][2] == str(table[table["label"] == "sad"]["group_id"].nunique())
        middle = f"median {table['n_frames'].median():.0f}"
        assert middle in rows["frames per clip"][0]

    def test_missing_joints_are_counted(self, real):
        seen = np.concatenate([(clip.keypoints[..., 2] > 0).reshape(-1, 17) for clip in real.dataset.clips()])
        shares = missing_joints(real.dataset)
        np.testing.assert_allclose(shares, 1 - seen.mean(0))
        assert rows_of(dataset_card(real), "## Composition")["left ankle"] == [f"{100 * shares['left_ankle']:.1f} %"]

    def test_source_licence_recipe_and_hash(self, real):
        card, info = dataset_card(real), real.dataset.info
        assert info.licence in card and info.content_hash in card and "seed: 1" in card
        assert "No people were filmed" in card and "Article 5(1)(f)" in card
        assert "Synthetic data" in card.split("## ")[0]

    def test_what_a_licence_asks_for_is_on_card_and_report(self, real, monkeypatch):
        assert "To cite" not in dataset_card(real) and "to cite" not in provenance_table(real)
        monkeypatch.setattr(real.dataset.info, "citation", "Doe (2020)")
        monkeypatch.setattr(real.dataset.info, "licence", "CC BY-NC 4.0: no commercial use")
        assert "CC BY-NC 4.0: no commercial use.\n\nTo cite: Doe (2020)\n\n## Provenance" in dataset_card(real)
        rows = provenance(real)
        assert rows["to cite"] == "Doe (2020)" and rows["licence of the dataset"] == "CC BY-NC 4.0: no commercial use"

    def test_without_the_dataset_the_runs_say_what_they_know(self, data):
        card = dataset_card(data)
        split = data.best.runs[0].split()
        assert "The dataset was not found" in card and f"The runs used {len(split):,} clips in" in card
        assert "Licence: not recorded" in card

    def test_parts_add_up_and_folds_give_a_span(self, data, tmp_path):
        table = split_counts(data.best)
        clips = data.best.runs[0].record["clips"]
        for part in ("train", "val", "test"):
            assert table.loc["all clips", part] == str(clips[part])
            assert sum(int(table.loc[name, part]) for name in data.classes) == clips[part]
        for i in range(2):
            values = {"split": "leave_one_group_out", "fold": f"g{i}"}
            made_studies.made_study(tmp_path / f"g{i}", {"net": values}, seeds=(0,), per_group=12 - i)
        folds = load_report_data(tmp_path)
        assert split_counts(folds.best).loc["all clips", "test"] == "132 to 144"
        assert "2 folds" in model_card(folds)

    def test_numbers_of_a_card_are_no_placeholders(self, data):
        assert not re.search(r"\bnan\b|\bNone\b %|inf\b", dataset_card(data) + model_card(data))


def test_provenance_adds_up_the_runs_of_all_studies(runs, tmp_path):
    other = made_studies.made_study(tmp_path / "other", {"one": {}}, seeds=[0])
    data = load_report_data([runs, other])
    facts = provenance(data)
    assert facts["runs"] == "main: 6 complete; other: 1 complete" and facts["dataset"] == "made (synthetic)"
    assert facts["hours of all runs"] == f"{7 / 3600:.2f}" and facts["device"] == "cpu" and facts["split"] == "grouped"
    assert facts["first start, last end"] == "2026-01-01T00:00:00+00:00 to 2026-01-01T00:00:01+00:00"
    assert f"<code>poseemo report {runs.resolve()} {other.resolve()}</code>" in provenance_table(data)
    assert facts["to repeat the runs"].count("no study file") == 2
    write_config(tmp_path / "bare", "net", 0.9)
    facts = provenance(load_report_data(tmp_path / "bare"))
    assert facts["commit"] == facts["torch"] == facts["hours of all runs"] == "not recorded" and facts["dataset"] == "d"


def test_the_command_of_a_study_is_that_of_the_file_with_its_configs(runs, tmp_path, monkeypatch):
    folder = tmp_path / "parameters" / "studies"
    folder.mkdir(parents=True)
    monkeypatch.setattr("poseemo_lib.report.provenance.PARAMETERS", tmp_path / "parameters")
    configs = {name: {key: value for key, value in own.items() if key != "skill"} for name, own in CONFIGS.items()}
    plan = {"name": "mine", "dataset": "made", "seeds": [0, 1, 2], "configs": configs}

    def command(**changes):
        (folder / "mine.yaml").write_text(json.dumps(plan | changes))
        return provenance(load_report_data(runs))["to repeat the runs"]

    assert command() == f"poseemo study {folder / 'mine.yaml'} --out {runs.resolve()}"
    for changes in ({"seeds": [0]}, {"dataset": "another"}, {"base": {"lr": "1e-2"}}, {"configs": {"net": {}}}):
        assert re.match("no study file", command(**changes))
