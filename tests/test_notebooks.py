import ast
import re

import made_studies
import nbformat
import pytest
from conftest import SMALL

from poseemo_lib.paths import NOTEBOOKS
from poseemo_lib.studies.notebook import execute_notebook
from poseemo_lib.training.parameters import RunParameters, check_parameters
from poseemo_lib.training.run import execute_run

ALL = sorted(NOTEBOOKS.glob("*.ipynb"))
MOST_LINES = 12


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
    values = {
        n.targets[0].id: ast.literal_eval(n.value)
        for n in ast.parse(parameters_cell(NOTEBOOKS / "03_train.ipynb")).body
    }
    assert values.pop("out") == "" and values.pop("config") == ""
    assert values == {name: field.default for name, field in RunParameters.model_fields.items()}
    assert [type(v) for v in values.values()] == [type(f.default) for f in RunParameters.model_fields.values()]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["01_data", "02_features"])
def test_it_runs_on_another_dataset(name, tiny, tmp_path):
    execute_notebook(f"{name}.ipynb", tmp_path / "o.ipynb", {"dataset": str(tiny)})
    executed = nbformat.read(tmp_path / "o.ipynb", 4)
    pictures = [o for cell in executed.cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
    assert len(pictures) >= 2
    assert not [o for cell in executed.cells for o in cell.get("outputs", []) if o.get("name") == "stderr"]
    text = str(executed)
    if name == "02_features":
        assert "twice is the identity: True" in text and "vx reversed: True" in text and "vy kept:     True" in text


def run_notebook(name, where, **parameters):
    """Execute a notebook; return its texts and the texts of its pictures."""
    execute_notebook(f"{name}.ipynb", where, parameters)
    outputs = [output for cell in nbformat.read(where, 4).cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    texts = [
        data.get("text/markdown", "") + data.get("text/plain", "") for data in (o.get("data", {}) for o in outputs)
    ]
    pictures = [output.metadata["image/png"]["alt"] for output in outputs if "image/png" in output.get("data", {})]
    return "\n".join(texts), pictures


def test_04_compares_only_what_was_tested_on_the_same_clips(tmp_path):
    cells = made_studies.LEAKAGE | {"other_grouped": {"architecture": "bilstm", "skill": 0.05}}
    runs = made_studies.made_study(tmp_path / "runs", cells, leaks=made_studies.LEAKS)
    text, pictures = run_notebook("04_compare", tmp_path / "o.ipynb", runs=str(runs), base="majority_grouped")
    assert len(pictures) == 6
    drawn = (pictures[0].split("; majority")[0], pictures[1])  # behind them: what was left out, and why
    assert not any("net_random" in text for text in drawn)
    assert "One model, two splits" in text
    # With a base, every cell that was tested on the same clips is held against it, and the ensemble too
    for name in ("ensemble of 2", "net_grouped", "other_grouped"):
        assert re.search(
            rf"\*\*{name}\*\* (has a higher|and|\().*majority_grouped|majority_grouped.*\*\*{name}\*\* \(", text
        )
    not_run = [alt for alt in pictures if ": not run" in alt]
    assert len(not_run) == 2 and "ablation" in not_run[0]


@pytest.mark.slow
def test_05_looks_into_the_network_of_a_study(tiny, tmp_path):
    for cell, seed in (("majority", 0), ("net", 0), ("net", 1)):
        more = {"architecture": "majority", "model": {}} if cell == "majority" else {}
        parameters = check_parameters({"dataset": str(tiny), **SMALL, "seed": seed, **more})
        execute_run(parameters, tmp_path / "runs" / cell / f"seed-{seed}", config=cell)
    execute_notebook("05_interpret.ipynb", tmp_path / "o.ipynb", {"runs": str(tmp_path / "runs")})
    outputs = [o for cell in nbformat.read(tmp_path / "o.ipynb", 4).cells for o in cell.get("outputs", [])]
    assert any("application/vnd.plotly.v1+json" in output.get("data", {}) for output in outputs)
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("base", ["", "focal"])
def test_the_report_takes_several_studies(base, tmp_path):
    kinds = {"imbalance": made_studies.IMBALANCE, "ablation": made_studies.ABLATION, "leakage": made_studies.LEAKAGE}
    runs = [
        str(made_studies.made_study(tmp_path / name, cells, leaks=made_studies.LEAKS)) for name, cells in kinds.items()
    ]
    text, pictures = run_notebook("07_report", tmp_path / "o.ipynb", runs=runs, base=base)
    assert len(pictures) == 17 and ("ensemble of 3" in text) == bool(base)
    # In these made-up runs there is no dataset, and in this study no baseline.
    not_run = [alt.split(":")[0] for alt in pictures if ": not run" in alt]
    assert not_run == ["Networks against baselines", "What the best model looks at"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["04_compare", "07_report"])
@pytest.mark.parametrize("kind", ["ABLATION", "IMBALANCE", "LEAKAGE"])
def test_every_kind_of_study_is_compared_and_reported(name, kind, tmp_path):
    runs = made_studies.made_study(tmp_path / "runs", getattr(made_studies, kind), leaks=made_studies.LEAKS)
    text, pictures = run_notebook(name, tmp_path / "o.ipynb", runs=str(runs))
    assert len(pictures) == {"04_compare": 6, "07_report": 17}[name]
    there = {"ABLATION": "Ablation, one", "IMBALANCE": "Regimes", "LEAKAGE": "The same models under several splits"}
    for other, words in there.items():
        assert any(alt.startswith(words) for alt in pictures) == (other == kind)
