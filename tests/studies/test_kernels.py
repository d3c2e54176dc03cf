"""Warm kernels, forked as a local worker of a study forks them."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest
from conftest import SMALL
from made_processes import all_gone, wait_until

from poseemo_lib.studies.engine import Engine
from poseemo_lib.studies.notebook import execute_notebook
from poseemo_lib.studies.plan import PlannedRun
from poseemo_lib.studies.study import PRELOAD, Order, make_run
from poseemo_lib.training.inputs import load_inputs
from poseemo_lib.training.parameters import check_parameters
from poseemo_lib.training.run_folder import STUDY_FILE

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="no warm kernels elsewhere"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

# What a kernel is and where: printed by it, as JSON.
FACTS = """
import json, os, random, signal, sys
import numpy as np, torch
import matplotlib.pyplot as plt
env = {k: v for k, v in os.environ.items() if not k.startswith(("JPY_", "PYTEST_", "DASK_"))}
alike = dict(env=env, cwd=os.path.dirname(os.getcwd()), argv=sys.argv[:2] + sys.argv[3:],
    threads=torch.get_num_threads(), backend=plt.get_backend(), interactive=plt.isinteractive(), main=__name__,
    leads=os.getsid(0) == os.getpid(), stdin=os.read(0, 1).decode(), sigint=str(signal.getsignal(signal.SIGINT)),
    gpu=[torch.cuda.is_initialized(), torch.cuda._is_in_bad_fork()])
parent = open(f"/proc/{os.getppid()}/cmdline", "rb").read()
own = dict(server=b"forkserver" in parent, drawn=[random.random(), np.random.rand()])
print(json.dumps([alike, own]))
"""


def execute(order, abandoned):
    """Execute a notebook of one cell and return what it printed."""
    folder, cell, environment = Path(order[0]), *order[1:]
    folder.mkdir(exist_ok=True)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in ("a = 1", cell)])
    notebook.cells[0].metadata["tags"] = ["parameters"]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "n.ipynb")
    execute_notebook(folder / "n.ipynb", folder / "o.ipynb", {"a": 2}, environment=environment)
    return "".join(o.get("text", "") for one in nbformat.read(folder / "o.ipynb", 4).cells for o in one.outputs)


@pytest.fixture(scope="module")
def worker():
    with Engine(1, preload=PRELOAD) as one:
        yield one


@pytest.mark.slow
def test_a_warm_kernel_is_what_a_cold_one_is(tmp_path, worker):
    cold_too = {"OMP_NUM_THREADS": "7"}  # its libraries read another number of threads at import
    orders = [(str(tmp_path / str(k)), FACTS, extra) for k, extra in enumerate([{}, {}, cold_too])]
    facts = {order[0][-1]: json.loads(result.state) for order, result in worker.run(execute, orders)}
    (first, own), (second, own_too), (cold, own_cold) = facts["0"], facts["1"], facts["2"]
    assert (own["server"], own_too["server"], own_cold["server"]) == (True, True, False)
    assert cold["env"].pop("OMP_NUM_THREADS") == "7" and first["env"].pop("OMP_NUM_THREADS")
    second["env"].pop("OMP_NUM_THREADS")
    cold["threads"] = first["threads"]
    assert first == second == cold
    assert first["gpu"] == [False, False] and first["leads"]
    drawn = np.array([one["drawn"] for one in (own, own_too, own_cold)])
    assert all(len(set(column)) == 3 for column in drawn.T)  # no generator starts where another's did


@pytest.mark.slow
def test_a_failing_cell_and_a_killed_kernel_are_told_and_the_next_kernel_works(tmp_path, worker):
    cells = ["raise KeyError('lost')", "import os\nos.kill(os.getpid(), 9)", "print(a)"]
    orders = [(str(tmp_path / str(k)), cell, {}) for k, cell in enumerate(cells)]
    results = {order[0][-1]: result for order, result in worker.run(execute, orders)}
    assert results["0"].error == "KeyError: 'lost'" and results["2"].state == "2\n"
    assert "n.ipynb: the kernel died" in results["1"].error


def test_the_server_asks_for_no_gpu_and_starts_no_thread_that_a_fork_loses(tmp_path):
    code = """
import os, sys, torch
asked = []
for name in ("is_available", "device_count", "_lazy_init", "init", "current_device", "get_device_properties"):
    setattr(torch.cuda, name, lambda *_, name=name, **__: asked.append(name))
import poseemo_lib.studies.preload
import gc, threading, zmq
assert not asked, asked
assert not torch.cuda.is_initialized()
assert threading.active_count() == 1
names = {open(f"/proc/self/task/{task}/comm").read().strip() for task in os.listdir("/proc/self/task")}
assert len(names) <= 2 and names <= {open("/proc/self/comm").read().strip(), "jemalloc_bg_thd"}, names
assert zmq.Context._instance is None and "matplotlib_inline.backend_inline" not in sys.modules
"""
    one = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | one, cwd=tmp_path)


def test_a_worker_that_is_killed_leaves_neither_kernel_nor_server(tmp_path, worker):
    note = tmp_path / "note"
    cell = f"import os\nif not os.path.exists({str(note)!r}):\n    open({str(note)!r}, 'w').write(str(os.getpid()))"
    order = (str(tmp_path / "n"), f"{cell}\n    while True: pass", {})
    made = []
    thread = threading.Thread(target=lambda: made.extend(worker.run(execute, [order])))
    thread.start()
    kernel = psutil.Process(int(wait_until(lambda: note.exists() and note.read_text())))
    server, host = kernel.parents()[:2]
    host.kill()
    assert all_gone([kernel, server, host], 10)
    thread.join()
    assert made[0][1].state == ""  # the task was repeated by the worker that took its place


@pytest.mark.slow
def test_a_run_is_the_same_bits_in_any_kernel(tiny, tmp_path, worker):
    parameters = check_parameters(SMALL | {"dataset": str(tiny), "architecture": "bilstm", "model": {}})
    identity = load_inputs(parameters).identity
    (tmp_path / STUDY_FILE).touch()

    def order(name):
        run = PlannedRun(name, parameters, tmp_path / name / "seed-0", identity, str(tiny))
        return Order(run, parameters.model_dump(), str(tmp_path), [])

    made = [make_run(order("cold"))] + [one.state for _, one in worker.run(make_run, [order("a"), order("b")])]
    assert made == ["done"] * 3
    found = [results(tmp_path / name / "seed-0") for name in ("cold", "a", "b")]
    assert found[0] == found[1] == found[2]


def results(folder):
    """All of a run that does not tell the time: bytes of files, history, pictures."""
    names = ("weights.safetensors", "predictions.parquet", "metrics.json")
    found = {name: (folder / name).read_bytes() for name in names}
    found["history"] = [line.rsplit(",", 1)[0] for line in (folder / "history.csv").read_text().splitlines()]
    outputs = [o for cell in nbformat.read(folder / "notebook.ipynb", 4).cells for o in cell.get("outputs", [])]
    found["pictures"] = [o.data["image/png"] for o in outputs if "image/png" in o.get("data", {})]
    assert len(found["pictures"]) == 2
    return found
