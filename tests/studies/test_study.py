import fcntl
import io
import json
import re
from types import SimpleNamespace

import pytest
from conftest import SMALL
from made_light import litter, printed_states, write_training_notebook

from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.studies.engine import Result, WorkerError
from poseemo_lib.studies.notebook import NotebookError
from poseemo_lib.studies.plan import PlannedRun
from poseemo_lib.studies.status import Display
from poseemo_lib.studies.study import Order, check_gpus, code_of, execute_order, execute_study, gpu_names
from poseemo_lib.training.parameters import check_parameters
from poseemo_lib.training.run_folder import STUDY_FILE, BusyError, is_busy, locked, read_record


@pytest.fixture
def order(tiny, tmp_path):
    parameters = check_parameters(SMALL | {"dataset": str(tiny), "architecture": "majority", "model": {}})
    run = PlannedRun("c", parameters, tmp_path / "c" / "seed-0", "the identity", str(tiny))
    (tmp_path / STUDY_FILE).touch()
    return Order(run, parameters.model_dump(), str(tmp_path), code_of(parameters))


def write_record(folder, notebook=False, **record):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps({"config": "c", "parameters": {}} | record))
    if notebook:
        (folder / "notebook.ipynb").touch()


def test_a_run_folder_is_locked_once_and_free_after(tmp_path):
    folder = tmp_path / "c" / "seed-0"
    assert not is_busy(folder) and not folder.parent.exists()  # looking makes nothing
    with locked(folder):
        with pytest.raises(BusyError, match="another process is working on this run"), locked(folder):
            pass
        with locked(tmp_path / "c" / "seed-00"):
            assert is_busy(folder)
    assert not is_busy(folder)
    with open(folder.parent / ".lock-seed-0") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert is_busy(folder)
    (tmp_path / "file").touch()
    with pytest.raises(PoseemoError, match="file: .*; wanted a folder to write"), locked(tmp_path / "file" / "s"):
        pass


def test_a_run_that_another_process_makes_made_or_failed_is_left_to_it(order):
    folder = order.run.folder
    with locked(folder):
        assert execute_order(order) == "busy"
    write_record(folder, status="failed", identity="the identity", error="no space", finished="later")
    with pytest.raises(NotebookError, match=r"no space \(in another process\)"):
        execute_order(order)
    write_record(folder, notebook=True, status="complete", identity="the identity")
    assert execute_order(order) == "elsewhere"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"code": ["another", {}]}, "has other code or versions"),
        ({"out": "/no/where"}, r"does not see /no/where; wanted a folder that client and workers share \(--out\)"),
        ({"parameters": {"dataset": "/no/where"}}, "does not see the dataset /no/where"),
    ],
)
def test_a_worker_that_cannot_make_the_runs_says_why(order, changes, said):
    values = {"run": order.run, "parameters": order.parameters, "out": order.out, "code": order.code} | changes
    with pytest.raises(WorkerError, match=said):
        execute_order(Order(**values))
    assert not order.run.folder.parent.exists()


def test_a_run_without_threads_of_its_own_gets_those_of_its_worker(order, monkeypatch):
    given = []
    monkeypatch.setattr("poseemo_lib.studies.study._execute", lambda run, *_, **__: given.append(run["threads"]))
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with pytest.raises(PoseemoError, match="changed meanwhile"):  # nothing was made
        execute_order(Order(order.run, order.parameters | {"threads": 0}, order.out, order.code))
    assert given == [3]


def test_a_notebook_without_its_parameters_cell_stops_the_study(order, tmp_path, monkeypatch):
    monkeypatch.setattr("poseemo_lib.studies.notebook.NOTEBOOKS", tmp_path)
    (tmp_path / "03_train.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    with pytest.raises(UsageError, match="wanted a cell with the tag `parameters`, found none"):
        execute_order(order)


def test_what_a_killed_process_left_goes_with_the_next_attempt_and_no_other_files(order, tmp_path, monkeypatch):
    monkeypatch.setattr("poseemo_lib.studies.study._execute", lambda *_, **__: None)
    folder = order.run.folder
    folder.mkdir(parents=True)
    beside = folder.parent
    litter = [folder / ".tmp-7-run.json", beside / ".notebook-seed-0.ipynb", beside / ".tmp-7-.notebook-seed-0.ipynb"]
    others = [folder / "run.json", beside / ".notebook-seed-00.ipynb", beside / ".tmp-7-.notebook-seed-01.ipynb"]
    for path in litter + others:
        path.touch()
    with pytest.raises(PoseemoError, match="the code or the dataset changed meanwhile"):
        execute_order(order)
    assert not any(path.exists() for path in litter) and all(path.exists() for path in others)


def test_the_notebook_of_an_attempt_that_failed_never_passes_for_the_run(order, tmp_path, monkeypatch):
    """It failed; the next attempts complete the record and then are abandoned, or fail in a later cell."""
    monkeypatch.setattr("poseemo_lib.studies.notebook.NOTEBOOKS", tmp_path)
    folder = order.run.folder
    kept, failed = folder / "notebook.ipynb", folder / "notebook-failed.ipynb"
    write_record(folder, status="failed", identity="the identity", error="no space", finished="1")
    kept.write_text("the old one")
    order = Order(order.run, order.parameters, order.out, [], seen="1")

    record = {"status": "complete", "identity": "the identity", "finished": "2", "config": "c", "parameters": {}}
    complete = f"open(out + '/run.json', 'w').write({json.dumps(record)!r})"
    write_training_notebook(tmp_path, complete, "while True: pass")
    with pytest.raises(NotebookError):
        execute_order(order, abandoned=lambda: read_record(folder) == record)
    assert not order.run.complete and not kept.exists() and failed.read_text() == "the old one"
    assert not litter(tmp_path)

    write_training_notebook(tmp_path, "raise ValueError('no figure')")
    with pytest.raises(NotebookError, match="ValueError: no figure") as error:
        execute_order(order)
    assert error.value.notebook == failed and "no figure" in failed.read_text() and not order.run.complete

    write_training_notebook(tmp_path, "1")
    assert execute_order(order) == "done" and order.run.complete and not failed.exists()


def test_gpus_in_turn_and_by_the_names_that_this_process_sees(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpu_names([0, 3], 2) == ["0", "3", "0", "3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-ab")
    assert gpu_names([1, 0], 1) == ["GPU-ab", "4"]
    with pytest.raises(UsageError, match="--gpus: 63: not there; this machine has"):
        check_gpus([63], [])


def test_what_says_auto_gets_the_gpu_or_fails(order, tmp_path):
    """Without a GPU to see, a run that was given one must not fall back to the CPU in silence."""
    given = []
    engine = SimpleNamespace(address=None, threads=3, gpus=["63"], run=lambda _, orders, __: given.extend(orders) or [])
    execute_study([order.run], tmp_path, engine)
    parameters = given[0].parameters
    assert (parameters["device"], parameters["threads"]) == ("cuda", 1)  # of the study


def test_states(tmp_path):
    def planned(config, seed):
        parameters = check_parameters({"architecture": "majority", "seed": seed})
        return PlannedRun(config, parameters, tmp_path / config / f"seed-{seed}", "i", "data")

    runs = [planned(config, seed) for config in "ab" for seed in range(4)]
    write_record(runs[0].folder, notebook=True, status="complete", identity="i")
    write_record(runs[1].folder, notebook=True, status="complete", identity="old")
    write_record(runs[2].folder, status="running", identity="i")
    write_record(runs[4].folder, notebook=True, status="failed", identity="i")
    write_record(runs[5].folder, status="running", identity="i")
    with locked(runs[5].folder):
        assert printed_states(runs) == {
            "config": ["complete", "running", "started", "stale", "failed", "missing"],
            "a": ["1", "0", "1", "1", "0", "1"],
            "b": ["0", "1", "0", "0", "1", "2"],
            "all": ["1", "1", "1", "1", "1", "3"],
        }


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("terminal", [False, True])
def test_lines_where_there_is_no_terminal_and_a_bar_where_there_is_one(monkeypatch, terminal):
    times = iter([0.0, 20.0, 40.0, 60.0])
    monkeypatch.setattr("poseemo_lib.studies.status.time", SimpleNamespace(monotonic=lambda: next(times)))
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    with Display([1.0, 1.0, 2.0], "runs") as display:
        display.ended("a seed 0", Result("done", seconds=20.0))
        display.ended("a seed 1", Result("failed", "no [space]"))
        display.ended("b seed 0", Result("elsewhere"), 2.0)
    lines = [
        "[1/3, about 60 s left] a seed 0: done in 20 s",
        "[2/3, about 40 s left] a seed 1: FAILED: no [space]",
        "[3/3] b seed 0: made by another process",
    ]
    if terminal:
        assert "3/3 runs, 1 failed" in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    else:
        assert out.getvalue().splitlines() == lines
