import shutil

import pytest

from poseemo_lib import files
from poseemo_lib.files import PACKAGE, plain_code
from poseemo_lib.training import run_folder
from poseemo_lib.training.run_folder import code_hash


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """The library's files in a place where they can be changed."""
    shutil.copytree(PACKAGE, tmp_path / "poseemo_lib", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(files, "PACKAGE", tmp_path / "poseemo_lib")
    monkeypatch.setattr(run_folder, "PACKAGE", tmp_path / "poseemo_lib")
    code_hash.cache_clear()
    yield tmp_path / "poseemo_lib"
    code_hash.cache_clear()


def changed(copy, name, old="", new="\nCHANGED = 1\n"):
    """Which of two networks and a baseline count as changed when a file is."""
    before = {one: code_hash(one) for one in ALL}
    text = (copy / name).read_text()
    assert old in text
    (copy / name).write_text(text.replace(old, new, 1) if old else text + new)
    code_hash.cache_clear()
    return {one for one in ALL if code_hash(one) != before[one]}


ALL = {"deep_residual", "bilstm", "extra_trees"}
AFFECTED = {
    "training/fit.py": ALL,
    "features/tensor_features.py": ALL,
    "features/compiled_features.py": ALL,
    "features/preparation.py": ALL,
    "features/augmentation.py": ALL,
    "training/losses.py": ALL,
    "training/metrics.py": ALL,
    "training/run.py": ALL,
    "training/inputs.py": ALL,
    "models/layers.py": {"deep_residual", "bilstm"},
    "models/standardised.py": {"deep_residual", "bilstm"},
    "models/bilstm.py": {"bilstm"},
    "training/pose_statistics.py": {"extra_trees"},
    "training/parameters.py": set(),
    "files.py": set(),
    "report/report.py": set(),
    "studies/study.py": set(),
    "data/dataset/reader.py": set(),
    "plots/confusion.py": set(),
}


def test_a_change_reaches_the_runs_that_it_decides(copy):
    assert {name: changed(copy, name) for name in AFFECTED} == AFFECTED


def test_comments_docstrings_and_layout_do_not_count(copy):
    assert changed(copy, "models/layers.py", '"""Layers that', '# a comment\n"""Other words') == set()
    assert plain_code('def f(x):\n    """Say."""\n    return (x)  # why\n') == plain_code("def f(x): return x")
    assert plain_code('def f():\n    """Only words."""\n') == plain_code("def f(): pass")
    assert plain_code("x = 1") != plain_code("x = 2")


def test_parameters_data_split_and_versions_make_another_run_and_the_device_does_not(monkeypatch):
    given, identity = {"architecture": "bilstm", "lr": 1.0, "device": "cpu"}, run_folder.run_identity
    found = {identity(given | {"device": device}, "data", "split") for device in ("cpu", "cuda")}
    found |= {identity(given | {"lr": 2.0}, "data", "split"), identity(given, "other", "split")}
    found.add(identity(given, "data", "other"))
    monkeypatch.setattr(run_folder, "numeric_versions", lambda: {"torch": "0"})
    assert len(found | {identity(given, "data", "split")}) == 5
