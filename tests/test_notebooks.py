import ast

import nbformat
import pytest

from poseemo_lib.execution import execute_notebook
from poseemo_lib.parameters import RunParameters
from poseemo_lib.paths import NOTEBOOKS

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
    assert values.pop("out") == "" and values.pop("cell") == ""
    assert values == {name: field.default for name, field in RunParameters.model_fields.items()}
    assert [type(v) for v in values.values()] == [type(f.default) for f in RunParameters.model_fields.values()]


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
