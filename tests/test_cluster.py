import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest
import yaml
from conftest import SMALL

from poseemo_lib import cluster
from poseemo_lib.cluster import ClusterSlots, facts, worker_fault
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.results import load_results
from poseemo_lib.study import run_study
from poseemo_lib.study_plan import load_study, plan_runs

pytest.importorskip("distributed")
# The workers' own threads and sockets end with their processes.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def wait_until(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not (there := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return there


class Cluster:
    """A scheduler and workers, each a process as a user starts it."""

    def __init__(self, folder, workers):
        self.folder, self.processes = folder, []
        note = folder / "scheduler.json"
        self.dask("scheduler", "--port", "0", "--scheduler-file", note, "--no-dashboard")
        wait_until(lambda: note.exists() and note.read_text().endswith("}"))
        self.address = yaml.safe_load(note.read_text())["address"]
        self.workers = [self.worker() for _ in range(workers)]

    def dask(self, *arguments):
        command = [sys.executable, "-m", "dask", *map(str, arguments)]
        log = open(self.folder / "log", "a")  # noqa: SIM115
        self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder))
        log.close()
        return self.processes[-1]

    def worker(self):
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", self.folder)
        return self.dask("worker", self.address, *options)

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def small_cluster(tmp_path):
    one = Cluster(tmp_path, workers=1)
    yield one
    one.stop()


def write_study(path, tiny, **changes):
    cells = {"net": {"architecture": "deep_residual"}}
    study = {"name": "s", "dataset": str(tiny), "seeds": [0], "base": SMALL, "cells": cells} | changes
    path.write_text(yaml.safe_dump(study))
    return path


def command(path, out, address, *more):
    return [sys.executable, "-m", "poseemo_lib.cli", "study", str(path), "--out", str(out), "--cluster", address, *more]


def test_runs_on_a_cluster_and_what_it_refuses(tiny, tmp_path, small_cluster):
    path, out = (
        write_study(tmp_path / "s.yaml", tiny, cells={"m": {"architecture": "majority", "model": {}}}),
        tmp_path / "o",
    )
    slots = ClusterSlots(small_cluster.address, out, str(tiny), {})
    slots.client.wait_for_workers(1, timeout=60)
    assert slots.describe() == f"{small_cluster.address}: 1 worker(s), 1 at a time"
    outcome = run_study(plan_runs(load_study(path), path, out), out, slots)
    assert [run.name for run in outcome.done] == ["m seed 0"] and not outcome.failed
    assert not list(out.rglob(".probe-*")) and not list(out.rglob(".notebook-*"))
    with pytest.raises(UsageError, match=r"--resource: wanted a worker with \{'GPU': 1\}, the workers have none"):
        ClusterSlots(small_cluster.address, out, str(tiny), {"GPU": 1})
    with pytest.raises(
        PoseemoError, match="does not see the dataset /no/where; wanted a folder that client and workers"
    ):
        ClusterSlots(small_cluster.address, out, "/no/where", {})


def test_a_scheduler_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT", 1)
    for address in ("tcp://127.0.0.1:9", "no address at all"):
        with pytest.raises(PoseemoError, match=f"--cluster: {address}: no Dask scheduler answers there"):
            ClusterSlots(address, tmp_path, "d", {})


def test_a_worker_that_cannot_make_the_runs_says_why(tmp_path):
    (tmp_path / ".probe-1").touch()
    expected = facts() | {"probe": str(tmp_path / ".probe-1"), "dataset": str(tmp_path)}
    assert "differs from the client's in" in worker_fault(expected | {"code": "another"})
    versions = expected["versions"] | {"torch": "1.0"}
    assert re.match(r"has torch \S+ instead of 1.0; wanted", worker_fault(expected | {"versions": versions}))
    assert worker_fault(expected) == ""
    elsewhere = worker_fault(expected | {"probe": str(tmp_path / "not shared" / ".probe-1")})
    assert elsewhere.startswith(
        f"does not see {tmp_path / 'not shared'}; wanted a folder that client and workers share"
    )


def at_work(worker):
    """List the processes below a worker, once one of them is a kernel."""
    below = psutil.Process(worker.pid).children(recursive=True)
    return below if any("ipykernel" in " ".join(one.cmdline()) for one in below) else []


@pytest.mark.slow
def test_a_worker_is_killed_in_the_middle(tiny, tmp_path):
    three = Cluster(tmp_path, workers=3)
    try:
        base = SMALL | {"epochs": 20}
        path, out = write_study(tmp_path / "s.yaml", tiny, seeds=[0, 1, 2, 3], base=base), tmp_path / "o"
        study = subprocess.Popen(command(path, out, three.address), stdout=subprocess.PIPE, text=True)
        wait_until(lambda: list(out.rglob("checkpoint.pt")))
        host = next(worker for worker in three.workers if at_work(worker))
        below = psutil.Process(host.pid).children(recursive=True)
        host.kill()
        assert not psutil.wait_procs(below, timeout=5)[1]  # no kernel is left
        said = study.communicate(timeout=300)[0]
    finally:
        three.stop()
    assert study.returncode == 0, said
    runs = plan_runs(load_study(path), path, out)
    for run in runs:
        assert len(re.findall(rf"\] {run.name}: done in", said)) == 1
    results = load_results(out)
    assert sorted(one.seed for one in results.runs) == [0, 1, 2, 3] and results.incomplete == []
    from poseemo_lib.experiment import execute_run

    for run in runs:  # also the one whose worker died
        alone = execute_run(run.parameters, tmp_path / "alone" / str(run.parameters.seed))
        assert (alone / "predictions.parquet").read_bytes() == (run.folder / "predictions.parquet").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_study_leaves_nothing_on_the_workers(tiny, tmp_path, small_cluster, number):
    path, out = write_study(tmp_path / "s.yaml", tiny, base=SMALL | {"epochs": 500, "patience": 0}), tmp_path / "o"
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    study = subprocess.Popen(command(path, out, small_cluster.address), text=True, **pipes)
    wait_until(lambda: list(out.rglob("checkpoint.pt")))
    below = psutil.Process(small_cluster.workers[0].pid).children(recursive=True)
    os.kill(study.pid, number)
    said = study.communicate(timeout=20)[1]
    assert not psutil.wait_procs(below, timeout=10)[1]
    if number == signal.SIGINT:
        assert study.returncode == 130 and said.startswith("poseemo: stopped; what was done is kept")
    wait_until(lambda: not [*out.rglob(".notebook-*"), *out.rglob(".tmp-*")], seconds=10)
