import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import pytest

from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.studies.notebook import NotebookError, execute_notebook
from poseemo_lib.studies.scratch import PREFIX, clear_scratch


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
    notebook = make_notebook(tmp_path / "n.ipynb", "a = 1", "print('a is', a)\nraise KeyError('lost')")
    with pytest.raises(NotebookError, match=r"KeyError: 'lost' \(executed notebook: .*o.ipynb\)"):
        execute_notebook(notebook, tmp_path / "o.ipynb", {"a": 2})
    assert "a is 2" in outputs(tmp_path / "o.ipynb")


def test_an_error_of_ours_is_told_in_its_own_words(tmp_path):
    cell = "from poseemo_lib.errors import LeakError\nraise LeakError('wanted no leak')"
    notebook = make_notebook(tmp_path / "n.ipynb", "a = 1", cell)
    with pytest.raises(NotebookError, match=r"^wanted no leak \(executed"):
        execute_notebook(notebook, tmp_path / "o.ipynb", {})


def test_a_kernel_that_is_killed_is_named(tmp_path):
    notebook = make_notebook(tmp_path / "n.ipynb", "a = 1", "import os\nos.kill(os.getpid(), 9)")
    with pytest.raises(NotebookError, match="n.ipynb: the kernel died"):
        execute_notebook(notebook, tmp_path / "o.ipynb", {})


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


@pytest.mark.slow
def test_a_kernel_that_does_not_come_up_is_started_once_more(tmp_path, monkeypatch):
    real = f'exec {sys.executable} -m ipykernel_launcher -f "$1"'
    fake_kernel(tmp_path, monkeypatch, f"[ $(wc -l < {tmp_path}/starts) = 1 ] && exit 3\n{real}")
    notebook = make_notebook(tmp_path / "n.ipynb", "a = 1", "print('a is', a)")
    execute_notebook(notebook, tmp_path / "o.ipynb", {"a": 5})
    assert "a is 5" in outputs(tmp_path / "o.ipynb") and starts(tmp_path) == 2


@pytest.mark.slow
def test_a_kernel_that_never_comes_up_is_an_error(tmp_path, monkeypatch):
    fake_kernel(tmp_path, monkeypatch, "exit 3")
    notebook = make_notebook(tmp_path / "n.ipynb", "a = 1")
    with pytest.raises(PoseemoError, match="n.ipynb: the kernel did not start: Kernel died before replying"):
        execute_notebook(notebook, tmp_path / "o.ipynb", {"a": 5})
    assert starts(tmp_path) == 2 and not list(tmp_path.glob("*o.ipynb*"))


def test_a_kernel_whose_program_is_missing_is_named(tmp_path, monkeypatch):
    fake_kernel(tmp_path, monkeypatch, "")
    (tmp_path / "kernel.sh").unlink()
    notebook = make_notebook(tmp_path / "n.ipynb", "a = 1")
    with pytest.raises(PoseemoError, match=r"n.ipynb: No such file or directory: .*kernel.sh"):
        execute_notebook(notebook, tmp_path / "o.ipynb", {"a": 5})


def test_sockets_lie_in_a_folder_that_goes_with_its_process(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = "from poseemo_lib.studies.scratch import scratch_folder as s; print(s(), flush=True); input()"
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    killed, living, ended = [subprocess.Popen([sys.executable, "-c", code], **pipes) for _ in range(3)]
    folders = {process: Path(process.stdout.readline().strip()) for process in (killed, living, ended)}
    foreign = tmp_path / f"{PREFIX}results"
    foreign.mkdir()
    (foreign / "a file").touch()
    killed.kill()
    killed.communicate()
    ended.communicate("\n")
    assert folders[killed].exists() and not folders[ended].exists()
    clear_scratch()
    assert not folders[killed].exists()
    assert folders[living].exists() and foreign.exists()  # one that lives, and one that is not ours
    living.communicate("\n")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_kernel_dies_with_a_launcher_that_is_killed(tmp_path):
    note = tmp_path / "pid"
    cell = f"import os, time\nopen({str(note)!r}, 'w').write(str(os.getpid()))\nwhile True: pass"
    notebook = make_notebook(tmp_path / "n.ipynb", "a = 1", cell)
    code = f"from poseemo_lib.studies.notebook import execute_notebook as e; e({str(notebook)!r}, {str(tmp_path / 'o')!r}, {{}})"
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
