import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

import nbformat
import pytest
from conftest import SMALL

from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.studies.claims import claimed, is_busy, leftovers, remove_leftovers
from poseemo_lib.studies.run_process import Order, RunProcess, has_run, make_run
from poseemo_lib.studies.study import LocalSlots, check_gpus, gpu_environments
from poseemo_lib.training.parameters import check_parameters
from poseemo_lib.training.run_folder import read_record


@pytest.fixture
def order(tiny, tmp_path):
    parameters = check_parameters(SMALL | {"dataset": str(tiny), "architecture": "majority", "model": {}})
    return Order(parameters.model_dump(), str(tmp_path / "c" / "seed-0"), "c", "the identity")


def write_record(folder, **record):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps({"config": "c", "parameters": {}} | record))


def folder_of(order):
    return Path(order.folder)


def test_a_run_is_claimed_once_and_free_after(tmp_path):
    folder = tmp_path / "c" / "seed-0"
    assert not is_busy(folder) and not folder.parent.exists()  # looking makes nothing
    with claimed(folder) as first:
        with claimed(folder) as second, claimed(tmp_path / "c" / "seed-00") as another:
            assert (first, second, another) == (True, False, True)
        assert is_busy(folder)
    assert not is_busy(folder)
    with claimed(folder) as again:
        assert again


def test_a_notebook_opened_by_hand_keeps_others_away(tmp_path):
    folder = tmp_path / "seed-0"
    with open(tmp_path / ".lock-seed-0", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert is_busy(folder)
        with claimed(folder) as ours:
            assert not ours
    assert not is_busy(folder)


def test_what_a_killed_process_left_goes_with_the_next_claim_and_no_other_files(tmp_path):
    folder = tmp_path / "seed-1"
    folder.mkdir()
    litter = [
        folder / ".tmp-7-run.json",
        tmp_path / ".notebook-seed-1.ipynb",
        tmp_path / ".tmp-7-.notebook-seed-1.ipynb",
    ]
    others = [folder / "run.json", tmp_path / ".notebook-seed-10.ipynb", tmp_path / ".tmp-7-.notebook-seed-11.ipynb"]
    for path in litter + others:
        path.touch()
    assert set(leftovers(folder)) == set(litter)
    with claimed(folder):
        for path in litter:
            path.touch()
        remove_leftovers(folder, patience=5)  # a living process's: neither touched nor waited for
        assert set(leftovers(folder)) == set(litter)
    assert not leftovers(folder)  # nor left by one that failed
    for path in litter:
        path.touch()
    remove_leftovers(folder)
    assert not leftovers(folder) and all(path.exists() for path in others)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "c").write_text("a file in the way")
    with pytest.raises(PoseemoError, match="c: File exists; wanted a folder to write"), claimed(tmp_path / "c" / "s"):
        pass


def test_a_run_that_another_process_works_on_is_left_to_it(order):
    with claimed(folder_of(order)):
        assert make_run(order).state == "busy"


def test_a_run_that_another_process_made_is_not_made_again(order):
    write_record(folder_of(order), status="complete", identity=order.identity)
    (folder_of(order) / "notebook.ipynb").touch()
    assert make_run(order).state == "elsewhere"


def test_a_run_that_failed_elsewhere_meanwhile_is_not_tried_again(order):
    write_record(folder_of(order), status="failed", identity=order.identity, error="no\nspace", finished="later")
    result = make_run(order)
    assert (result.state, result.error, result.notebook) == ("failed", "no space (in another process)", "")


def test_a_notebook_without_its_parameters_cell_stops_the_study(order, tmp_path, monkeypatch):
    monkeypatch.setattr("poseemo_lib.studies.notebook.NOTEBOOKS", tmp_path)
    (tmp_path / "03_train.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    result = make_run(order)
    assert (result.state, result.exit_code) == ("refused", 2)
    assert "wanted a cell with the tag `parameters`, found none" in result.error


def write_notebook(folder, order, *configs):
    """Put a light notebook in the place of the one that trains."""
    names = [*order.parameters, "out", "config"]
    configs = ["\n".join(f"{name} = None" for name in names), *configs]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(config) for config in configs])
    notebook.cells[0].metadata["tags"] = ["parameters"]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "03_train.ipynb")


@pytest.mark.slow
def test_the_notebook_of_an_attempt_that_failed_never_passes_for_the_run(order, tmp_path, monkeypatch):
    """It failed; the next attempts complete the record and then are killed, or fail in a later config."""
    monkeypatch.setattr("poseemo_lib.studies.notebook.NOTEBOOKS", tmp_path)
    folder = folder_of(order)
    kept, failed = folder / "notebook.ipynb", folder / "notebook-failed.ipynb"
    write_record(folder, status="failed", identity=order.identity, error="no space", finished="1")
    kept.write_text("the old one")
    order = Order(order.parameters, order.folder, order.config, order.identity, seen="1")

    record = {"status": "complete", "identity": order.identity, "finished": "2", "config": "c", "parameters": {}}
    complete = f"import os\nopen(out + '/run.json', 'w').write({json.dumps(record)!r})"
    write_notebook(tmp_path, order, complete, f"os.kill(os.getppid(), {signal.SIGKILL:d})\nwhile True: pass")
    code = (
        "import json, sys\nfrom pathlib import Path\nfrom poseemo_lib import execution, run_process\n"
        f"execution.NOTEBOOKS = Path({str(tmp_path)!r})\n"
        "run_process.make_run(run_process.Order(**json.loads(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, json.dumps(asdict(order))]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert read_record(folder) == record and not has_run(folder, order.identity)
    assert not kept.exists() and failed.read_text() == "the old one"

    write_notebook(tmp_path, order, "raise ValueError('no figure')")
    result = make_run(order)
    assert (result.state, result.error, result.notebook) == ("failed", "ValueError: no figure", str(failed))
    assert not has_run(folder, order.identity) and "no figure" in failed.read_text()

    write_notebook(tmp_path, order, "1")
    assert make_run(order).state == "done"
    assert has_run(folder, order.identity) and not failed.exists()


def test_a_process_that_dies_is_told_and_replaced(order):
    process, results = RunProcess(), []
    thread = threading.Thread(target=lambda: results.append(process.make(order)))
    thread.start()
    while process.process is None:
        time.sleep(0.01)
    process.process.kill()
    thread.join()
    assert results[0].state == "died" and "out of memory" in results[0].error
    with claimed(folder_of(order)):
        assert process.make(order).state == "busy"  # by a new process
    process.stop()
    assert process.make(order).state == "died"  # a stopped one takes no orders


@pytest.mark.slow
def test_each_run_sees_its_gpu_and_its_share_of_the_cores(order):
    slots = LocalSlots(gpu_environments([7], 1))
    values = order.parameters | {"threads": 0, "device": "cpu"}
    try:
        result = slots.submit(Order(values, order.folder, "c", order.identity)).result()
    finally:
        slots.stop()
    record = read_record(folder_of(order))
    assert record["visible_gpus"] == "7"
    assert record["threads"] == len(os.sched_getaffinity(0))
    # The identity is another than the plan had: as after a change of the code.
    assert result.state == "failed" and "the code or the dataset changed" in result.error


def test_gpus_in_turn_and_by_the_names_that_this_process_sees(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [e["CUDA_VISIBLE_DEVICES"] for e in gpu_environments([0, 3], 2)] == ["0", "3", "0", "3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-ab")
    assert [e["CUDA_VISIBLE_DEVICES"] for e in gpu_environments([1, 0], 1)] == ["GPU-ab", "4"]


def test_gpus_that_are_not_there_are_refused():
    with pytest.raises(UsageError, match="--gpus: 63: not there; this machine has"):
        check_gpus([63], [])


@pytest.mark.slow
def test_what_says_auto_gets_the_gpu_or_fails(order):
    """Without a GPU to see, a run that was given one must not fall back to the CPU in silence."""
    slots = LocalSlots([{"CUDA_VISIBLE_DEVICES": "63"}])
    try:
        result = slots.submit(order).result()
    finally:
        slots.stop()
    assert result.state == "failed" and "device: wanted auto, cpu, cuda" in result.error and "'cuda'" in result.error
