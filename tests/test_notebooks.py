import ast
import re

import made_studies
import nbformat
import pytest

from poseemo_lib.paths import NOTEBOOKS
from poseemo_lib.studies.notebook import execute_notebook
from poseemo_lib.training.parameters import RunParameters

ALL = sorted(NOTEBOOKS.glob("*.ipynb"))
MOST_LINES = 13


def code_cells(path):
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


def parameters_cell(path):
    (cell,) = [cell for cell in code_cells(path) if "parameters" in cell.metadata.get("tags", [])]
    return cell.source


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.stem)
class TestEveryNotebook:
    def test_is_a_story_without_outputs(self, path):
        cells = nbformat.read(path, 4).cells
        assert cells[0].cell_type == "markdown" and cells[0].source.startswith("# ")
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
        # prose between steps: never three cells of code in a row after the imports
        kinds = "".join(cell.cell_type[0] for cell in cells[3:])
        assert "cccc" not in kinds

    def test_has_short_cells_and_no_logic_of_its_own(self, path):
        for cell in code_cells(path):
            if "parameters" not in cell.metadata.get("tags", []):
                assert len(cell.source.splitlines()) <= MOST_LINES, cell.source
                kinds = (ast.FunctionDef, ast.ClassDef)
                assert not any(isinstance(node, kinds) for node in ast.walk(ast.parse(cell.source)))

    def test_parameters_are_literals_with_a_comment(self, path):
        source = parameters_cell(path)
        for node in ast.parse(source).body:
            assert isinstance(node, ast.Assign)
            ast.literal_eval(node.value)
            assert "# " in source.splitlines()[node.lineno - 1]


def test_the_training_notebook_has_every_parameter_with_its_default():
    cell = ast.parse(parameters_cell(NOTEBOOKS / "03_train.ipynb"))
    values = {node.targets[0].id: ast.literal_eval(node.value) for node in cell.body}
    assert values.pop("out") == "" and values.pop("config") == ""
    assert values == {name: field.default for name, field in RunParameters.model_fields.items()}
    assert [type(v) for v in values.values()] == [type(f.default) for f in RunParameters.model_fields.values()]


def run_notebook(name, where, **parameters):
    """Execute a notebook; return its texts and the texts of its pictures."""
    execute_notebook(f"{name}.ipynb", where, parameters)
    outputs = [output for cell in nbformat.read(where, 4).cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    found = [output.get("data", {}) for output in outputs]
    texts = [data.get("text/markdown", "") + data.get("text/plain", "") for data in found]
    texts += [output.text for output in outputs if output.get("name") == "stdout"]
    with_picture = [output for output in outputs if "image/png" in output.get("data", {})]
    return "\n".join(texts), [output.metadata.get("image/png", {}).get("alt", "") for output in with_picture]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["01_data", "02_features"])
def test_it_runs_on_another_dataset(name, tiny, tmp_path):
    text, pictures = run_notebook(name, tmp_path / "o.ipynb", dataset=str(tiny))
    assert len(pictures) >= 2
    if name == "02_features":
        assert "twice is the identity: True" in text and "vx reversed: True" in text and "vy kept:     True" in text


@pytest.mark.slow
def test_05_looks_into_the_network_of_a_study(small_study, tmp_path):
    text, pictures = run_notebook("05_interpret", tmp_path / "o.ipynb", runs=str(small_study))
    assert "Player of" in text and pictures


def study(root, kind, **more):
    configs = getattr(made_studies, kind) | more
    return str(made_studies.made_study(root / kind.lower(), configs, leaks=made_studies.LEAKS))


def test_04_compares_only_what_was_tested_on_the_same_clips(tmp_path):
    runs = study(tmp_path, "LEAKAGE", other_grouped={"architecture": "bilstm", "skill": 0.05})
    text, pictures = run_notebook("04_compare", tmp_path / "o.ipynb", runs=runs, base="majority_grouped")
    assert len(pictures) == 6
    drawn = (pictures[0].split("; majority")[0], pictures[1])  # after that: what was left out, and why
    assert not any("net_random" in text for text in drawn)
    assert "The same model, two splits" in text
    # With a base, every config that was tested on the same clips is compared with it, and the ensemble too
    for name in ("ensemble of 2", "net_grouped", "other_grouped"):
        assert re.search(rf"\*\*{name}\*\*[^;]*majority_grouped|majority_grouped.*\*\*{name}\*\* \(", text)
    not_run = [alt for alt in pictures if ": not run" in alt]
    assert len(not_run) == 2 and "ablation" in not_run[0]


@pytest.mark.slow
def test_the_report_takes_several_studies_and_a_base(tmp_path):
    runs = [study(tmp_path, kind) for kind in ("IMBALANCE", "ABLATION", "LEAKAGE")]
    text, pictures = run_notebook("07_report", tmp_path / "o.ipynb", runs=runs, base="focal")
    assert len(pictures) == 17 and "ensemble of 3" in text
    # These made-up runs have no dataset. Without a baseline, networks are still compared with guessing.
    not_run = [alt.split(":")[0] for alt in pictures if ": not run" in alt]
    assert not_run == ["What the selected model relies on"]
    (differences,) = (alt for alt in pictures if "from stratified" in alt)
    assert "Of 6 networks" in differences and "**twice** has a significantly lower accuracy than **sampler**" in text


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind", "n_pictures"), [("04_compare", "ABLATION", 6), ("07_report", "LEAKAGE", 17)])
def test_a_study_of_one_kind_says_what_it_lacks(name, kind, n_pictures, tmp_path):
    _, pictures = run_notebook(name, tmp_path / "o.ipynb", runs=study(tmp_path, kind))
    assert len(pictures) == n_pictures and any(": not run" in alt for alt in pictures)
