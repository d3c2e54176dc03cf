"""The engine with light tasks: what workers get, what becomes of errors and deaths, and what is left at the end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_cluster import Cluster
from made_processes import all_gone, children_of, wait_until

from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.studies import engine
from poseemo_lib.studies.engine import DIED, Engine, WorkerError

# The workers' own threads and sockets end with their processes.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def work(order, abandoned):
    """Do what an order says."""
    what, value = order
    if what == "say":
        time.sleep(0.2)  # so that the other worker gets the next
        return f"{os.environ.get('CUDA_VISIBLE_DEVICES')} {os.environ['OMP_NUM_THREADS']} {os.getpid()}"
    if what == "raise":
        raise value
    if what == "die":
        with open(value, "a") as file:
            file.write("died\n")
        os._exit(1)
    Path(value).touch()
    while not abandoned():
        time.sleep(0.05)
    Path(value).write_text("abandoned")
    return "done"


@pytest.fixture(scope="module")
def two():
    with Engine(2, gpus=["4", "GPU-7"]) as workers:
        yield workers


def test_each_worker_has_its_gpu_and_its_share_of_the_cores(two):
    threads = max(1, engine.cores() // 2)
    said = [result.state.split() for _, result in two.run(work, [("say", k) for k in range(6)])]
    assert {(gpu, n) for gpu, n, _ in said} == {("4", str(threads)), ("GPU-7", str(threads))}
    assert len({pid for _, _, pid in said}) == 2
    assert two.describe().startswith(f"2 at a time, {threads} thread")


def test_an_order_that_fails_or_kills_its_worker_stops_no_other(two, tmp_path):
    deaths = tmp_path / "deaths"
    orders = [("raise", PoseemoError("no\nspace")), ("die", str(deaths)), ("raise", KeyError("lost")), ("say", 0)]
    results = [(order[0], result) for order, result in two.run(work, orders)]
    assert sorted((result.state, result.error) for what, result in results if what != "say") == [
        ("failed", "KeyError: 'lost'"),
        ("failed", "no space"),
        ("failed", DIED),
    ]
    assert dict(results)["say"].error == "" and dict(results)["say"].seconds >= 0.2
    assert deaths.read_text() == "died\n" * 2  # it was tried twice


@pytest.mark.parametrize("kind", [WorkerError, UsageError])
def test_what_holds_for_all_orders_ends_the_work(two, kind):
    with pytest.raises(kind, match="^no model file$"):
        list(two.run(work, [("raise", kind("no model file"))]))


def test_ctrl_c_twice_leaves_no_process_and_one_traceback(tmp_path):
    """As a terminal does, Ctrl-C reaches the workers too."""
    code = """import test_engine as t
if __name__ == '__main__':
    with t.Engine(1) as workers: list(workers.run(t.work, [('wait', 'note')]))"""
    (tmp_path / "launcher.py").write_text(code)
    note, here = tmp_path / "note", Path(__file__).parent
    options = {"start_new_session": True, "stderr": subprocess.PIPE, "text": True, "cwd": tmp_path}
    options["env"] = os.environ | {"PYTHONPATH": os.pathsep.join([str(here), str(here.parent)])}
    process = subprocess.Popen([sys.executable, "launcher.py"], **options)
    wait_until(note.exists, process)
    below = children_of(process)
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.2)
    error = process.communicate(timeout=60)[1]
    assert all_gone(below)
    assert error.count("Traceback") == 1 and error.endswith("KeyboardInterrupt\n") and "Warning" not in error
    assert note.read_text() == "abandoned"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers: one that takes two tasks at a time and has one GPU, and one without."""
    one = Cluster(tmp_path_factory.mktemp("cluster"), workers=0)
    one.worker("--resources", "GPU=1", "--name", "with-gpu", threads=2)
    one.worker("--name", "without")
    yield one
    one.stop()


def test_the_workers_of_a_cluster_and_their_resources(cluster):
    with Engine(cluster=cluster.address) as workers:
        workers.client.wait_for_workers(2, timeout=60)
        assert workers.describe() == f"{cluster.address}: 2 worker(s), 3 at a time"
        said = [result.state.split()[-1] for _, result in workers.run(work, [("say", k) for k in range(6)])]
        assert len(set(said)) == 2
        with pytest.raises(WorkerError, match=r"^worker tcp://\S+: not shared$"):
            list(workers.run(work, [("raise", WorkerError("not shared"))]))
    with Engine(cluster=cluster.address, resources={"GPU": 1}) as workers:
        assert workers.describe().endswith("1 at a time")
        said = [result.state.split()[-1] for _, result in workers.run(work, [("say", k) for k in range(3)])]
        assert len(set(said)) == 1
    with pytest.raises(UsageError, match=r"--resource: wanted a worker with \{'TPU': 1\}, the workers have \{'GPU'"):
        Engine(cluster=cluster.address, resources={"TPU": 1})


def test_other_versions_are_refused_by_name(cluster, monkeypatch):
    import distributed

    real = distributed.versions.get_versions
    monkeypatch.setattr(distributed.versions, "get_versions", lambda packages=None: _other_numpy(real(packages)))
    with pytest.raises(PoseemoError, match=r"wanted the same versions everywhere(?s:.*)numpy +\| 0\.1 "):
        Engine(cluster=cluster.address, packages=["numpy"])


def _other_numpy(versions):
    return versions | {"packages": versions["packages"] | {"numpy": "0.1"}}


def test_a_scheduler_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(engine, "PATIENCE", 1)
    for address in ("tcp://127.0.0.1:9", "no address at all"):
        with pytest.raises(PoseemoError, match=f"--cluster: {address}: no Dask scheduler answers there"):
            Engine(cluster=address)
        # A client that is given no address hangs when it is closed.
        monkeypatch.delattr("distributed.Client", raising=False)


def test_a_scheduler_that_dies_ends_the_work(tmp_path):
    one = Cluster(tmp_path, workers=1)
    try:
        with Engine(cluster=one.address) as workers:
            orders = [("wait", str(tmp_path / "note"))]
            with pytest.raises(PoseemoError, match="lost the Dask scheduler; finished work is kept"):
                for _ in _killing_the_scheduler(workers.run(work, orders), one, tmp_path / "note"):
                    pass
        wait_until(lambda: (tmp_path / "note").read_text() == "abandoned", seconds=30)  # the worker has given up too
    finally:
        one.stop()


def _killing_the_scheduler(results, cluster, note):
    import threading

    def kill():
        wait_until(note.exists)
        cluster.processes[0].kill()

    thread = threading.Thread(target=kill)
    thread.start()
    yield from results
    thread.join()
