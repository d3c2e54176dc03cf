"""Warm kernels, forked as a local worker of a study forks them."""

import json
import os
import sys
import threading
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest
import yaml
from conftest import SMALL
from made_light import write_notebook
from made_processes import all_gone, wait_until

from poseemo_lib.analysis.results import format_scores, load_results
from poseemo_lib.studies import kernels
from poseemo_lib.studies.engine import Engine
from poseemo_lib.studies.notebook import execute_notebook
from poseemo_lib.studies.plan import load_study, plan_runs
from poseemo_lib.studies.study import execute_study
from poseemo_lib.training.run import train_run

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="no warm kernels elsewhere"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

# What a kernel is and where, and what its server is: printed as JSON.
FACTS = """
import json, os, random, signal, sys
import numpy as np, torch
import matplotlib.pyplot as plt
asked = getattr(sys.modules.get("watched_gpu"), "asked", None)
env = {k: v for k, v in os.environ.items() if not k.startswith(("JPY_", "PYTEST_", "DASK_"))}
alike = dict(env=env, cwd=os.path.dirname(os.getcwd()), argv=sys.argv[:2] + sys.argv[3:],
    threads=torch.get_num_threads(), backend=plt.get_backend(), interactive=plt.isinteractive(), main=__name__,
    leads=os.getsid(0) == os.getpid(), stdin=os.read(0, 1).decode(), sigint=str(signal.getsignal(signal.SIGINT)),
    gpu=[torch.cuda.is_initialized(), torch.cuda._is_in_bad_fork()])
parent = f"/proc/{os.getppid()}/"
tasks = [open(f"{parent}task/{task}/comm").read().strip() for task in os.listdir(parent + "task")]
own = dict(server=b"forkserver" in open(parent + "cmdline", "rb").read(), drawn=[random.random(), np.random.rand()],
    asked=asked, threads=[name for name in tasks if name != "jemalloc_bg_thd"])
print(json.dumps([alike, own]))
"""


def execute(order, abandoned):
    """Execute a notebook of one cell and return what it printed."""
    folder, cell, environment = Path(order[0]), *order[1:]
    if folder.exists():
        return "repeated"
    folder.mkdir()
    execute_notebook(write_notebook(folder, "a = 1", cell), folder / "o.ipynb", {"a": 2}, environment=environment)
    return "".join(o.get("text", "") for one in nbformat.read(folder / "o.ipynb", 4).cells for o in one.outputs)


def dask_setup(worker):
    """Start the first worker's server, and have it import first what watches it."""
    note = Path(os.environ["SERVED"])
    if not note.exists():
        note.touch()
        kernels.WARM.insert(0, "watched_gpu")
        kernels.dask_setup(worker)


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERVED", str(tmp_path_factory.mktemp("server") / "note"))
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
        with Engine(1, preload=[__name__]) as one:
            yield one


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
    # The server asks for no GPU, and has no thread that a fork loses.
    assert own["asked"] == [] and len(own["threads"]) == len(own_too["threads"]) == 1


def test_a_failing_cell_and_a_killed_kernel_are_told_and_the_next_kernel_works(tmp_path, worker):
    cells = ["raise KeyError('lost')", "import os\nos.kill(os.getpid(), 9)", "print(a)"]
    orders = [(str(tmp_path / str(k)), cell, {}) for k, cell in enumerate(cells)]
    results = {order[0][-1]: result for order, result in worker.run(execute, orders)}
    assert results["0"].error == "KeyError: 'lost'" and results["2"].state == "2\n"
    assert "n.ipynb: the kernel died" in results["1"].error


def test_a_run_of_a_study_has_the_bits_of_one_that_was_trained_alone(tiny, tmp_path, worker):
    path, out = tmp_path / "s.yaml", tmp_path / "out"
    configs = {"net": {"architecture": "deep_residual"}}
    path.write_text(
        yaml.safe_dump({"name": "s", "dataset": str(tiny), "seeds": [0], "base": SMALL, "configs": configs})
    )
    (run,) = plan_runs(load_study(path), path, out)
    assert execute_study([run], out, worker).done == [run]
    alone = train_run(run.parameters, tmp_path / "alone")
    for name in ("weights.safetensors", "predictions.parquet", "metrics.json"):
        assert (alone / name).read_bytes() == (run.folder / name).read_bytes()
    histories = [(folder / "history.csv").read_text().splitlines() for folder in (alone, run.folder)]
    assert len({tuple(line.rsplit(",", 1)[0] for line in lines) for lines in histories}) == 1  # but for the seconds
    outputs = [o for cell in nbformat.read(run.folder / "notebook.ipynb", 4).cells for o in cell.get("outputs", [])]
    assert sum("image/png" in o.get("data", {}) for o in outputs) == 2
    results = load_results(out)
    assert results.best().name == "net" and results["net"].seeds == [0] and results.synthetic
    assert list(format_scores(results.score_table()).index) == ["net"] and results.incomplete == []


def test_a_worker_that_is_killed_leaves_neither_kernel_nor_server(tmp_path, worker):
    note = tmp_path / "note"
    cell = f"import os\nopen({str(note)!r}, 'w').write(str(os.getpid()))\nwhile True: pass"
    made = []
    thread = threading.Thread(target=lambda: made.extend(worker.run(execute, [(str(tmp_path / "n"), cell, {})])))
    thread.start()
    kernel = psutil.Process(int(wait_until(lambda: note.exists() and note.read_text())))
    server, host = kernel.parents()[:2]
    host.kill()
    assert all_gone([kernel, server, host], 10)
    thread.join()
    assert made[0][1].state == "repeated"  # by the worker that took its place
