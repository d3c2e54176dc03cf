import json
import sys
import time

import nbformat
import pytest
from made_light import write_notebook

from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.studies.notebook import NotebookError, execute_notebook


def outputs(path):
    return "".join(o.get("text", "") for cell in nbformat.read(path, 4).cells for o in cell.get("outputs", []))


def test_parameters_and_variables_reach_the_cells(tmp_path, capsys):
    notebook = write_notebook(tmp_path, "a = 1", "import os\nprint('a is', a, os.environ['MOOD'])")
    execute_notebook(notebook, tmp_path / "out" / "o.ipynb", {"a": 3}, show_output=True, environment={"MOOD": "good"})
    assert "a is 3 good" in outputs(tmp_path / "out" / "o.ipynb")
    assert "a is 3 good" in capsys.readouterr().out
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["o.ipynb"]  # nothing temporary is left


@pytest.mark.parametrize(
    ("tag", "parameters", "said"),
    [
        ("parameters", {"alhpa": 3}, r"n.ipynb: alhpa: unknown parameter; did you mean alpha\?"),
        ("", {"alpha": 3}, "n.ipynb: wanted a cell with the tag `parameters`, found none"),
        ("no json", {}, "n.ipynb: not a notebook"),
        ("no file", {}, "n.ipynb: wanted a notebook, found none"),
    ],
)
def test_what_papermill_would_accept_is_refused_before_a_kernel_starts(tmp_path, tag, parameters, said):
    notebook = write_notebook(tmp_path, "alpha = 1", tag=tag)
    if tag == "no json":
        notebook.write_text("no json")
    if tag == "no file":
        notebook.unlink()
    with pytest.raises(UsageError, match=said):
        execute_notebook(notebook, tmp_path / "o.ipynb", parameters)
    assert not (tmp_path / "o.ipynb").exists()


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("raise KeyError('lost')", r"^KeyError: 'lost' \(executed notebook: .*o.ipynb\)"),
        ("from poseemo_lib.errors import LeakError\nraise LeakError('wanted no leak')", r"^wanted no leak \(executed"),
        ("import os\nos.kill(os.getpid(), 9)", "^n.ipynb: the kernel died"),
    ],
)
def test_a_failing_cell_keeps_the_notebook_and_says_where_it_is(tmp_path, cell, said):
    notebook = write_notebook(tmp_path, "a = 1", "print('a is', a)", cell)
    with pytest.raises(NotebookError, match=said):
        execute_notebook(notebook, tmp_path / "o.ipynb", {"a": 2})
    assert "a is 2" in outputs(tmp_path / "o.ipynb")


def test_a_kernel_whose_result_is_not_wanted_any_more_is_killed(tmp_path):
    notebook = write_notebook(tmp_path, "a = 1", "while True: pass")
    until = time.monotonic() + 2
    with pytest.raises(NotebookError, match="n.ipynb: the kernel died"):
        execute_notebook(notebook, tmp_path / "o.ipynb", {}, abandoned=lambda: time.monotonic() > until)


def fake_kernel(tmp_path, monkeypatch, script):
    """Put a kernel named python3 before the real one: a script that may become the real one."""
    folder = tmp_path / "jupyter" / "kernels" / "python3"
    folder.mkdir(parents=True)
    program = tmp_path / "kernel.sh"
    program.write_text(f"#!/bin/sh\necho >> {tmp_path}/starts\n{script}\n")
    program.chmod(0o755)
    spec = {"argv": [str(program), "{connection_file}"], "display_name": "Python 3", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))


def starts(tmp_path):
    return len((tmp_path / "starts").read_text().splitlines())


def test_a_kernel_that_does_not_come_up_is_started_once_more(tmp_path, monkeypatch):
    real = f'exec {sys.executable} -m ipykernel_launcher -f "$1"'
    fake_kernel(tmp_path, monkeypatch, f"[ $(wc -l < {tmp_path}/starts) = 1 ] && exit 3\n{real}")
    notebook = write_notebook(tmp_path, "a = 1", "print('a is', a)")
    execute_notebook(notebook, tmp_path / "o.ipynb", {"a": 5})
    assert "a is 5" in outputs(tmp_path / "o.ipynb") and starts(tmp_path) == 2


def test_a_kernel_that_never_comes_up_is_an_error(tmp_path, monkeypatch):
    fake_kernel(tmp_path, monkeypatch, "exit 3")
    notebook = write_notebook(tmp_path, "a = 1")
    with pytest.raises(PoseemoError, match="n.ipynb: the kernel did not start: Kernel died before replying"):
        execute_notebook(notebook, tmp_path / "o.ipynb", {"a": 5})
    assert starts(tmp_path) == 2 and not list(tmp_path.glob("*o.ipynb*"))


def test_a_kernel_whose_program_is_missing_is_named(tmp_path, monkeypatch):
    fake_kernel(tmp_path, monkeypatch, "")
    (tmp_path / "kernel.sh").unlink()
    notebook = write_notebook(tmp_path, "a = 1")
    with pytest.raises(PoseemoError, match=r"n.ipynb: No such file or directory: .*kernel.sh"):
        execute_notebook(notebook, tmp_path / "o.ipynb", {"a": 5})
