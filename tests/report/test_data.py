import json
import shutil
from concurrent.futures.process import BrokenProcessPool

import made_studies
import pytest

from poseemo_lib.analysis.results import load_results
from poseemo_lib.data.recipes import find_dataset
from poseemo_lib.errors import UsageError
from poseemo_lib.report import data as report_data
from poseemo_lib.report.data import ReportData, load_report_data

TWO = {"majority": {"architecture": "majority"}, "net": {"architecture": "bilstm"}}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("studies")
    for name, configs in (("two", TWO), ("imbalance", made_studies.IMBALANCE), ("leakage", made_studies.LEAKAGE)):
        made_studies.made_study(root / name, configs, leaks=made_studies.LEAKS)
    return root


def test_other_studies_add_what_the_first_does_not_have(runs):
    alone = load_report_data(runs / "two")
    assert alone.imbalance[1].empty and alone.leakage[1].empty and alone.ablation[1].empty
    data = load_report_data([runs / "two", runs / "imbalance", runs / "leakage"])
    assert data.results.root == runs / "two" and data.best.name == "net"
    study, regimes = data.imbalance
    assert study.root == runs / "imbalance" and set(regimes["config"]) == set(made_studies.IMBALANCE)
    assert data.leakage[0].root == runs / "leakage" and data.ablation[1].empty


def test_a_base_is_compared_with_every_config_and_an_unknown_one_is_named(runs):
    data = load_report_data(runs / "imbalance", "focal")
    assert data.compared_with == "focal" and set(data.tests.query("family == 'base'")["b"]) == {"focal"}
    assert "ensemble of 3" in [config.name for config in data.results.configs]
    with pytest.raises(UsageError, match="wanted one of its configs, .*; got 'nobody'"):
        load_report_data(runs / "two", "nobody")
    with pytest.raises(UsageError, match="at least one folder"):
        load_report_data([])


def test_a_config_without_runs_is_named(runs, tmp_path):
    root = shutil.copytree(runs / "two", tmp_path / "two")
    records = {path: json.loads(path.read_text()) for path in sorted(root.rglob("run.json"))}
    planned = [{name: one[name] for name in ("config", "identity")} | {"folder": str(path.parent)}
               for path, one in records.items()]  # fmt: skip
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
    assert load_report_data(runs).dataset is not None
    record["parameters"]["dataset"] = str(tmp_path / "moved away")
    path.write_text(json.dumps(record))
    assert find_dataset(load_results(runs)["net"].runs[0].record) is None


def test_interpretation_runs_here_if_its_process_dies(monkeypatch):
    class Broken:
        def result(self):
            raise BrokenProcessPool

    found = ReportData(())
    vars(found).update(best="net", dataset="clips", _begun=Broken())
    monkeypatch.setattr(report_data, "_interpret", lambda *given: given)
    assert found.interpretation == ("net", "clips")


def test_runs_without_weights_are_still_reported(small_study, tmp_path):
    from poseemo_lib.report import findings
    from poseemo_lib.report.figures import feature_importance

    assert load_report_data(small_study).clips_to_play
    root = shutil.copytree(small_study, tmp_path / "runs")
    (root / "net" / "seed-0" / "weights.safetensors").unlink()
    data = load_report_data(root)
    assert data.clips_to_play == []
    for text in (findings.importance(data), feature_importance.draw(data).text):
        assert "ot run" in text and "weights.safetensors" in text
