import os
import signal
import subprocess
import sys
import time

import nbformat
import pytest

from poseemo_lib.errors import UsageError
from poseemo_lib.execution import NotebookError, execute_notebook


def make_notebook(path, *cells, tag="parameters"):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    if tag:
        notebook.cells[0].metadata["tags"] = [tag]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
    return path


def outputs(path):
    return "".join(o.get("text", "") for cell in nbformat.read(path, 4).cells for o in cell.get("outputs", []))


def test_parameters_reach_the_cells(tmp_path, capsys):
    notebook = make_notebook(tmp_path / "n.ipynb", "a = 1  # a number", "print('a is', a)")
    execute_notebook(notebook, tmp_path / "out" / "o.ipynb", {"a": 3}, show_output=True)
    assert "a is 3" in outputs(tmp_path / "out" / "o.ipynb")
    assert "a is 3" in capsys.readouterr().out
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["o.ipynb"]  # nothing temporary is left


def test_an_unknown_parameter_is_refused_before_a_kernel_starts(tmp_path):
    notebook = make_notebook(tmp_path / "n.ipynb", "alpha = 1")
    with pytest.raises(UsageError, match=r"n.ipynb: alhpa: unknown parameter; did you mean alpha\?"):
        execute_notebook(notebook, tmp_path / "o.ipynb", {"alhpa": 3})
    assert not (tmp_path / "o.ipynb").exists()


def test_a_notebook_without_its_parameters_cell_is_refused(tmp_path):
    notebook = make_notebook(tmp_path / "n.ipynb", "alpha = 1", tag="")
    with pytest.raises(UsageError, match="n.ipynb: wanted a cell with the tag `parameters`, found none"):
        execute_notebook(notebook, tmp_path / "o.ipynb", {"alpha": 3})


def test_what_is_no_notebook_is_refused(tmp_path):
    (tmp_path / "n.ipynb").write_text("no json")
    with pytest.raises(UsageError, match="n.ipynb: not a notebook"):
        execute_notebook(tmp_path / "n.ipynb", tmp_path / "o.ipynb", {})
    with pytest.raises(UsageError, match=r"missing.ipynb: wanted a notebook, found none"):
        execute_notebook(tmp_path / "missing.ipynb", tmp_path / "o.ipynb", {})


def test_a_failing_cell_keeps_the_notebook_and_says_where_it_is(tmp_path):
    notebook = make_notebook(tmp_path / "n.ipynb", "a = 1", "print('before')\nraise KeyError('lost')")
    with pytest.raises(NotebookError, match=r"KeyError: 'lost' \(executed notebook: .*o.ipynb\)"):
        execute_notebook(notebook, tmp_path / "o.ipynb", {"a": 2})
    assert "before" in outputs(tmp_path / "o.ipynb")


def test_an_error_of_ours_is_told_in_its_own_words(tmp_path):
    cell = "from poseemo_lib.errors import LeakError\nraise LeakError('wanted no leak')"
    notebook = make_notebook(tmp_path / "n.ipynb", "a = 1", cell)
    with pytest.raises(NotebookError, match=r"^wanted no leak \(executed"):
        execute_notebook(notebook, tmp_path / "o.ipynb", {})


def test_a_kernel_that_is_killed_is_named(tmp_path):
    notebook = make_notebook(tmp_path / "n.ipynb", "a = 1", "import os\nos.kill(os.getpid(), 9)")
    with pytest.raises(NotebookError, match="n.ipynb: the kernel died"):
        execute_notebook(notebook, tmp_path / "o.ipynb", {})


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_kernel_dies_with_a_launcher_that_is_killed(tmp_path):
    note = tmp_path / "pid"
    cell = f"import os, time\nopen({str(note)!r}, 'w').write(str(os.getpid()))\nwhile True: pass"
    notebook = make_notebook(tmp_path / "n.ipynb", "a = 1", cell)
    code = (
        f"from poseemo_lib.execution import execute_notebook as e; e({str(notebook)!r}, {str(tmp_path / 'o')!r}, {{}})"
    )
    launcher = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while not (note.exists() and note.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    kernel = int(note.read_text())
    assert alive(kernel)
    os.kill(launcher.pid, signal.SIGKILL)
    launcher.wait()
    while alive(kernel) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(kernel)
