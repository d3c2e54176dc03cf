import json
import shutil

import made_studies
import pytest

from poseemo_lib.analysis.results import load_results
from poseemo_lib.data.recipes import find_dataset
from poseemo_lib.errors import UsageError
from poseemo_lib.report.material import load_material

TWO = {"majority": {"architecture": "majority"}, "net": {"architecture": "bilstm"}}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("studies")
    for name, configs in (("two", TWO), ("imbalance", made_studies.IMBALANCE), ("leakage", made_studies.LEAKAGE)):
        made_studies.made_study(root / name, configs, leaks=made_studies.LEAKS)
    return root


def test_other_studies_add_what_the_first_does_not_have(runs):
    alone = load_material(runs / "two")
    assert alone.imbalance[1].empty and alone.leakage[1].empty and alone.ablation[1].empty
    material = load_material([runs / "two", runs / "imbalance", runs / "leakage"])
    assert material.results.root == runs / "two" and material.best.name == "net"
    study, regimes = material.imbalance
    assert study.root == runs / "imbalance" and set(regimes["config"]) == set(made_studies.IMBALANCE)
    assert material.leakage[0].root == runs / "leakage" and material.ablation[1].empty


def test_a_base_is_held_against_every_config_and_an_unknown_one_is_named(runs):
    material = load_material(runs / "imbalance", "focal")
    assert material.held_against == "focal" and set(material.tests["b"]) == {"focal"}
    assert "ensemble of 3" in [config.name for config in material.results.configs]
    with pytest.raises(UsageError, match="wanted one of its configs, .*; got 'nobody'"):
        load_material(runs / "two", "nobody")
    with pytest.raises(UsageError, match="at least one folder"):
        load_material([])


def test_only_what_was_tested_on_the_same_clips_is_compared(runs):
    material = load_material(runs / "leakage")
    assert {config.name for config in material.main.configs} == {"majority_grouped", "net_grouped"}
    assert not material.best.leaks


def test_a_config_without_runs_is_named(runs, tmp_path):
    root = shutil.copytree(runs / "two", tmp_path / "two")
    planned = [
        {
            "config": path.parents[1].name,
            "identity": json.loads(path.read_text())["identity"],
            "folder": str(path.parent),
        }
        for path in sorted(root.rglob("run.json"))
    ]
    (root / "study.json").write_text(json.dumps({"runs": planned}))
    assert load_results(root).not_run == []
    shutil.rmtree(root / "net" / "seed-0")
    assert load_results(root).not_run == [] and len(load_results(root).incomplete) == 1
    shutil.rmtree(root / "net")
    results = load_results(root)
    assert results.not_run == ["net"] and len(results.incomplete) == 2
    assert [config.name for config in results.configs] == ["majority"]


def test_the_dataset_is_the_one_of_the_runs_or_none(tiny, tmp_path):
    from poseemo_lib.data.dataset import Dataset

    runs = made_studies.made_study(tmp_path / "runs", {"net": {"dataset": str(tiny)}}, seeds=(0,))
    assert find_dataset(load_results(runs)["net"].runs[0].record) is None  # that place has another dataset
    path = runs / "net" / "seed-0" / "run.json"
    record = json.loads(path.read_text())
    record["dataset"]["content_hash"] = Dataset(tiny).info.content_hash
    path.write_text(json.dumps(record))
    assert find_dataset(load_results(runs)["net"].runs[0].record).info.content_hash == record["dataset"]["content_hash"]
    assert load_material(runs).dataset is not None
    record["parameters"]["dataset"] = str(tmp_path / "moved away")
    path.write_text(json.dumps(record))
    assert find_dataset(load_results(runs)["net"].runs[0].record) is None


def test_runs_without_weights_are_still_reported(tiny, tmp_path):
    from conftest import SMALL

    from poseemo_lib.report import trust
    from poseemo_lib.report.figures import feature_importance
    from poseemo_lib.training.parameters import check_parameters
    from poseemo_lib.training.run import execute_run

    parameters = check_parameters({"dataset": str(tiny), **SMALL})
    folder = execute_run(parameters, tmp_path / "net" / "seed-0", config="net")
    assert load_material(tmp_path).clips_to_play
    (folder / "weights.safetensors").unlink()
    material = load_material(tmp_path)
    assert material.clips_to_play == []
    for text in (trust.importance(material), feature_importance.draw(material).text):
        assert "ot run" in text and "weights.safetensors" in text
