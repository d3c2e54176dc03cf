"""Calibration, importance, limits and provenance in words: numbers from the runs, names from data as text."""

import json
import re
import shutil
from types import SimpleNamespace

import made_studies
import numpy as np
import pandas as pd
import pytest
from made_runs import write_config

from poseemo_lib.report import findings, provenance
from poseemo_lib.report.data import load_report_data
from poseemo_lib.training.calibration import scale_probabilities
from poseemo_lib.training.metrics import expected_calibration_error

CONFIGS = {"floor": {"architecture": "majority"}, "good": {"skill": 0.8}}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return made_studies.made_study(tmp_path_factory.mktemp("runs") / "study", CONFIGS)


@pytest.fixture(scope="module")
def data(root):
    return load_report_data(root)


def test_calibration_is_that_of_the_test_split(data):
    best, text = data.best, findings.calibration(data)
    before, after, given, right = [], [], [], []
    for run in best.runs:
        table = run.predictions("test")
        labels = pd.Index(data.classes).get_indexer(table["label"])
        raw = table[[f"p_{name}" for name in data.classes]].to_numpy()
        scaled = scale_probabilities(raw, best.calibration(run)["temperature"])
        before.append(expected_calibration_error(labels, raw))
        after.append(expected_calibration_error(labels, scaled))
        given.append(scaled.max(1) >= 0.5)
        right.append(scaled.argmax(1) == labels)
    given, right = np.concatenate(given), np.concatenate(right)
    for words in (f"is {100 * np.mean(before):.1f} % [", f"and {100 * np.mean(after):.1f} % [",
                  f"{100 * given.mean():.1f} % of the test clips get a prediction, "
        f"and {100 * right[given].mean():.1f} %",
                  f"against {100 * right.mean():.1f} % ["):  # fmt: skip
        assert words in text


@pytest.mark.parametrize(
    ("share", "n_groups", "words"),
    [(0.2, 10, "here no clip gets one."), (1.0, 3, "(no interval: too few groups)"), (1.0, 3, "calibrates nothing")],
)
def test_calibration_that_cannot_be_given_says_why(tmp_path, share, n_groups, words):
    write_config(tmp_path, "net", share, n_groups=n_groups)
    text = findings.calibration(load_report_data(tmp_path))
    assert words in text and "nan" not in text


def test_importance_names_inputs_whose_interval_is_above_zero(data):
    rows = [("joint", "left <wrist>", 0.12, 0.05, 0.2, 0.01), ("joint", "hip", 0.3, -0.1, 0.6, 0.0),
            ("time", "first", 0.01, -0.01, 0.03, 0.0)]  # fmt: skip
    importance = pd.DataFrame(rows, columns=["kind", "name", "drop", "low", "high", "randomised_drop"])
    recovery = [("integrated gradients", "joints", "trained", 0.7, 0.6, 0.8, 0.3)]
    recovery = pd.DataFrame(recovery, columns=["method", "target", "model", "precision", "low", "high", "chance"])
    alike = pd.DataFrame([{"compared": "two seeds", "target": "joints", "correlation": 0.7, "low": 0.6, "high": 0.8}])
    found = SimpleNamespace(importance=importance, recovery=recovery, similarity=alike)
    text = findings.importance(SimpleNamespace(best=data.best, interpretation=found))
    assert "- joints: left &lt;wrist&gt; 12.0 [5.0, 20.0] (1.0)\n" in text and "hip" not in text
    assert "- time spans (seconds): no loss has an interval above zero (1 tested)" in text
    assert "- integrated gradients, joints: trained network 70.0 % [60.0, 80.0], chance 30.0 %" in text
    assert "- two seeds, joints: 0.70 [0.60, 0.80]" in text
    found.recovery = None
    assert "chance" not in findings.importance(SimpleNamespace(best=data.best, interpretation=found))
    assert findings.importance(SimpleNamespace(interpretation=None)).startswith("**Not run**")


def test_the_limits_say_what_must_be_said(data, tmp_path):
    text = findings.limits(data)
    assert text.startswith("- The data are synthetic")
    for words in ("not a feeling", "annotators", "consent", "Article 5(1)(f)", "medical or safety", "Article 50(3)",
                  "cameras", "cultures", "gives no prediction", "2024/1689"):  # fmt: skip
        assert words in text
    accuracy = data.best.scores.scores.set_index("metric").loc["accuracy", "mean"]
    assert f"wrong on {100 * (1 - accuracy):.1f} % of the test clips" in text
    write_config(tmp_path, "net", 0.9)
    assert "synthetic" not in findings.limits(load_report_data(tmp_path))


def test_names_from_data_stay_text(root, tmp_path):
    copy = shutil.copytree(root, tmp_path / "study")
    for path in copy.rglob("run.json"):
        path.write_text(
            path.read_text().replace('"config": "good"', '"config": "<script>"').replace('"made"', '"<b>|"')
        )
    odd = load_report_data(copy)
    texts = [findings.opening(odd), findings.findings(odd), findings.calibration(odd), findings.limits(odd)]
    for text in [*texts, provenance.provenance_table(odd)]:
        assert "<script" not in text and "<b>|" not in text and ("&lt;script&gt;" in text or "&lt;b&gt;&#124;" in text)


def test_provenance_adds_up_the_runs_of_all_studies(root, tmp_path):
    other = made_studies.made_study(tmp_path / "other", {"one": {}}, seeds=[0])
    data = load_report_data([root, other])
    facts = provenance.provenance(data)
    assert facts["runs"] == "study: 4 complete; other: 1 complete" and facts["dataset"] == "made (synthetic)"
    assert facts["hours of all runs"] == f"{5 / 3600:.2f}" and facts["device"] == "cpu" and facts["split"] == "grouped"
    assert facts["first start, last end"] == "2026-01-01T00:00:00+00:00 to 2026-01-01T00:00:01+00:00"
    assert f"<code>poseemo report {root.resolve()} {other.resolve()}</code>" in provenance.provenance_table(data)
    assert facts["to repeat the runs"].count("no study file") == 2
    write_config(tmp_path / "bare", "net", 0.9)
    facts = provenance.provenance(load_report_data(tmp_path / "bare"))
    assert facts["commit"] == facts["torch"] == facts["hours of all runs"] == "not recorded" and facts["dataset"] == "d"


def test_the_command_of_a_study_is_that_of_the_file_with_its_configs(root, tmp_path, monkeypatch):
    folder = tmp_path / "parameters" / "studies"
    folder.mkdir(parents=True)
    monkeypatch.setattr(provenance, "PARAMETERS", tmp_path / "parameters")
    configs = {name: {key: value for key, value in own.items() if key != "skill"} for name, own in CONFIGS.items()}
    plan = {"name": "mine", "dataset": "made", "seeds": [0, 1, 2], "configs": configs}

    def command(**changes):
        (folder / "mine.yaml").write_text(json.dumps(plan | changes))
        return provenance.provenance(load_report_data(root))["to repeat the runs"]

    assert command() == f"poseemo study {folder / 'mine.yaml'} --out {root.resolve()}"
    for changes in ({"seeds": [0]}, {"dataset": "another"}, {"base": {"lr": "1e-2"}}, {"configs": {"good": {}}}):
        assert re.match("no study file", command(**changes))
