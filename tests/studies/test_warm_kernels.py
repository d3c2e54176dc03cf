import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest
from conftest import SMALL

from poseemo_lib.studies import warm_kernels
from poseemo_lib.studies.notebook import NotebookError, execute_notebook
from poseemo_lib.studies.run_process import Order, RunProcess, make_run
from poseemo_lib.studies.warm_kernels import WarmKernels
from poseemo_lib.training.inputs import load_inputs
from poseemo_lib.training.parameters import check_parameters

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no warm kernels elsewhere")

# What a kernel is and where: printed by it, as JSON.
FACTS = """
import json, os, random, signal, sys
import numpy as np, torch
import matplotlib.pyplot as plt
env = {k: v for k, v in os.environ.items() if not k.startswith(("JPY_", "PYTEST_"))}
alike = dict(env=env, cwd=os.getcwd(), path=sys.path, argv=sys.argv[:2] + sys.argv[3:], threads=torch.get_num_threads(),
    backend=plt.get_backend(), interactive=plt.isinteractive(), main=__name__,
    leads=os.getsid(0) == os.getpid(), stdin=os.read(0, 1).decode(), sigint=str(signal.getsignal(signal.SIGINT)),
    gpu=[torch.cuda.is_initialized(), torch.cuda._is_in_bad_fork()])
own = dict(pid=os.getpid(), ppid=os.getppid(), drawn=[random.random(), np.random.rand(), torch.rand(1).item()])
print(json.dumps([alike, own]))
"""


@pytest.fixture(scope="module")
def kernels():
    kernels = WarmKernels()
    yield kernels
    kernels.stop()


@pytest.fixture(autouse=True)
def one_state(monkeypatch):
    """Let pytest's mark of the current test, and what others do to the library's files, restart no server."""
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    monkeypatch.setattr(warm_kernels, "PACKAGE", Path(__file__).parents[1] / "no folder")


def execute(folder, kernels, *cells):
    """Execute a notebook of these cells and return what it printed; the kernel is gone afterwards."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in ("a = 1", *cells)])
    notebook.cells[0].metadata["tags"] = ["parameters"]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "n.ipynb")
    before = set(psutil.Process().children(recursive=True))
    try:
        execute_notebook(folder / "n.ipynb", folder / "o.ipynb", {"a": 2}, kill_kernel=True, kernels=kernels)
    finally:
        added = set(psutil.Process().children(recursive=True)) - before
        assert not [one for one in added if kernels is None or one.pid != server_of(kernels)]  # and no zombie
    executed = nbformat.read(folder / "o.ipynb", 4)
    assert "language_info" in executed.metadata  # written whole
    return "".join(o.get("text", "") for cell in executed.cells for o in cell.get("outputs", []))


def server_of(kernels):
    return kernels._server.pid if kernels._server else None


def ends(process, seconds=20):
    """Tell whether a process, by its id, ends by itself."""
    deadline = time.monotonic() + seconds
    while psutil.pid_exists(process) and psutil.Process(process).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_warm_kernel_is_what_a_cold_one_is(tmp_path, kernels):
    (cold, own), *warm = [json.loads(execute(tmp_path, which, FACTS)) for which in (None, kernels, kernels)]
    assert own["ppid"] == os.getpid()
    assert [one["ppid"] for _, one in warm] == [server_of(kernels)] * 2
    assert warm[0][0] == warm[1][0] == cold
    assert cold["gpu"] == [False, False] and cold["leads"]
    drawn = np.array([one["drawn"] for one in (own, warm[0][1], warm[1][1])])
    assert all(len(set(column)) == 3 for column in drawn.T)  # no generator starts where another's did


@pytest.mark.slow
def test_a_changed_environment_or_library_starts_a_new_server(tmp_path, kernels, monkeypatch):
    """The second kernel finds the first one's server; then the threads change; then a file of the library."""
    monkeypatch.setattr(warm_kernels, "PACKAGE", tmp_path)
    cell = "import os, torch\nprint(torch.get_num_threads(), os.environ['OMP_NUM_THREADS'], os.getppid())"
    found = []
    for threads, second in (("1", 1), ("1", 1), ("2", 1), ("2", 2)):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        (tmp_path / "one.py").touch()
        os.utime(tmp_path / "one.py", (second, second))
        found.append(execute(tmp_path, kernels, cell).split())
        assert int(found[-1].pop()) == server_of(kernels)
        found[-1].append(server_of(kernels))
    cold = [execute(tmp_path, None, cell).split()[:2]]
    assert [one[:2] for one in found] == [["1", "1"], ["1", "1"], *cold, *cold]
    assert found[0][2] == found[1][2] and len({one[2] for one in found}) == 3


def test_a_failing_cell_and_a_killed_kernel_are_told_and_the_next_kernel_works(tmp_path, kernels):
    with pytest.raises(NotebookError, match="KeyError: 'lost'"):
        execute(tmp_path, kernels, "raise KeyError('lost')")
    server = server_of(kernels)
    with pytest.raises(NotebookError, match="n.ipynb: the kernel died"):
        execute(tmp_path, kernels, "import os\nos.kill(os.getpid(), 9)")
    assert execute(tmp_path, kernels, "import os\nprint(a, os.getppid())") == f"2 {server}\n"


@pytest.mark.slow
def test_a_kernel_dies_with_its_server_and_the_next_has_a_new_one(tmp_path, kernels):
    cell = "import os\nopen('{}', 'w').write(str(os.getpid()))\nos.kill(os.getppid(), 9)\nwhile True: pass"
    with pytest.raises(NotebookError, match="n.ipynb: the kernel died"):
        execute(tmp_path, kernels, cell.format(tmp_path / "pid"))
    assert ends(int((tmp_path / "pid").read_text()))
    assert int(execute(tmp_path, kernels, "import os\nprint(os.getppid())")) in (server_of(kernels), os.getpid())
    assert int(execute(tmp_path, kernels, "import os\nprint(os.getppid())")) == server_of(kernels)


def test_a_kernel_that_was_stopped_with_its_server_says_so(tmp_path, kernels):
    environment = dict(os.environ) | {"JUPYTER_RUNTIME_DIR": str(tmp_path)}
    kernel = kernels.fork([sys.executable, "-m", "ipykernel_launcher"], str(tmp_path), environment)
    assert kernel.poll() is None
    kernels.stop()
    assert kernel.poll() == kernel.wait() == -signal.SIGKILL and ends(kernel.pid)
    kernel.kill()


def test_without_a_server_the_kernel_starts_as_usual(tmp_path, kernels, monkeypatch, capfd):
    """It cannot be started; it cannot import; the kernel's interpreter is another."""
    cell = "import os\nprint(os.getppid())"
    with monkeypatch.context() as patch:
        patch.setattr(warm_kernels, "NOTEBOOKS", tmp_path / "missing")
        assert int(execute(tmp_path, WarmKernels(), cell)) == os.getpid()
    with monkeypatch.context() as patch:
        (tmp_path / "safetensors").mkdir()
        (tmp_path / "safetensors" / "__init__.py").write_text("raise RuntimeError('broken')")
        patch.setenv("PYTHONPATH", str(tmp_path))
        assert int(execute(tmp_path, WarmKernels(), cell)) == os.getpid()
    assert kernels.fork(["/bin/python", "-m", "ipykernel_launcher"], "/", {}) is None
    assert capfd.readouterr() == ("", "")


def test_the_server_asks_for_no_gpu_and_starts_no_thread_that_a_fork_loses(tmp_path):
    code = """
import os, sys, torch
asked = []
for name in ("is_available", "device_count", "_lazy_init", "init", "current_device", "get_device_properties"):
    setattr(torch.cuda, name, lambda *_, name=name, **__: asked.append(name))
from poseemo_lib.studies import warm_kernels
warm_kernels.import_all()
import gc, threading, zmq
assert not asked, asked
assert not torch.cuda.is_initialized()
assert threading.active_count() == 1
names = {open(f"/proc/self/task/{task}/comm").read().strip() for task in os.listdir("/proc/self/task")}
assert len(names) <= 2 and names <= {open("/proc/self/comm").read().strip(), "jemalloc_bg_thd"}, names
assert zmq.Context._instance is None and "matplotlib_inline.backend_inline" not in sys.modules
assert gc.get_freeze_count() > 10_000
"""
    one = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | one, cwd=tmp_path)


@pytest.mark.slow
def test_a_launcher_that_is_killed_leaves_neither_kernel_nor_server(tmp_path):
    note = tmp_path / "pids"
    cell = f"import os\nopen({str(note)!r}, 'w').write(f'{{os.getpid()}} {{os.getppid()}} ')\nwhile True: pass"
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import test_warm_kernels as t;"
        "t.execute(Path(sys.argv[2]), t.WarmKernels(), sys.argv[3])"
    )
    launcher = subprocess.Popen([sys.executable, "-c", code, str(Path(__file__).parents[1]), str(tmp_path), cell])
    deadline = time.monotonic() + 60
    while not (note.exists() and note.read_text().endswith(" ")) and time.monotonic() < deadline:
        time.sleep(0.1)
    kernel, server = map(int, note.read_text().split())
    assert psutil.Process(server).ppid() == launcher.pid
    os.kill(launcher.pid, signal.SIGKILL)
    launcher.wait()
    assert ends(server) and ends(kernel)


@pytest.fixture(scope="module")
def orders(tiny, tmp_path_factory):
    """Orders for the same run, each for another folder."""
    parameters = check_parameters(SMALL | {"dataset": str(tiny), "architecture": "bilstm", "model": {}})
    order = Order(parameters.model_dump(), "", "c", load_inputs(parameters).identity)
    folder = tmp_path_factory.mktemp("runs") / "c"
    return (replace(order, folder=str(folder / f"seed-{i}")) for i in range(10))


def results(order):
    """All of a run that does not tell the time: bytes of files, history, pictures."""
    folder = Path(order.folder)
    found = {name: (folder / name).read_bytes() for name in ("weights.safetensors", "predictions.parquet")}
    found["metrics"] = (folder / "metrics.json").read_bytes()
    found["history"] = [line.rsplit(",", 1)[0] for line in (folder / "history.csv").read_text().splitlines()]
    outputs = [o for cell in nbformat.read(folder / "notebook.ipynb", 4).cells for o in cell.get("outputs", [])]
    found["pictures"] = [o.data["image/png"] for o in outputs if "image/png" in o.get("data", {})]
    assert len(found["pictures"]) == 2
    return found


@pytest.mark.slow
def test_a_run_is_the_same_bits_in_any_kernel(orders, monkeypatch):
    """A cold one; two of one server, one after another; one of another server, that of a run process."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        monkeypatch.setenv(name, "1")  # and put back
    made, kernels, process = [], WarmKernels(), RunProcess()
    try:
        for way in (make_run, *[lambda order: make_run(order, kernels)] * 2, process.make):
            order = next(orders)
            result = way(order)
            assert result.state == "done", result
            made.append(results(order))
    finally:
        kernels.stop()
        process.stop()
    assert all(one == made[0] for one in made[1:])


@pytest.mark.slow
def test_a_kernel_that_is_killed_in_training_is_a_failed_run_and_the_next_order_is_made(orders):
    order, process = next(orders), RunProcess()
    long = replace(order, parameters=order.parameters | {"epochs": 5000, "patience": 0})
    servers = []

    def kill_in_training():
        while not (Path(order.folder) / "checkpoint.pt").exists():
            time.sleep(0.05)
        servers.extend(psutil.Process(process.process.pid).children())
        servers[0].children()[0].kill()

    killer = threading.Thread(target=kill_in_training, daemon=True)
    killer.start()
    try:
        result = process.make(long)
        killer.join(20)
        assert (result.state, result.error) == ("failed", "03_train.ipynb: the kernel died (killed, or out of memory?)")
        assert process.make(next(orders)).state == "done"
        assert psutil.Process(process.process.pid).children() == servers
    finally:
        process.stop()
    assert ends(servers[0].pid)
