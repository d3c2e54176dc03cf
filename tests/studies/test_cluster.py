import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import psutil
import pytest
import yaml
from conftest import SMALL
from made_cluster import Cluster
from made_processes import kernels_below, wait_until

from poseemo_lib.analysis.results import load_results
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.files import PACKAGE
from poseemo_lib.paths import NOTEBOOKS
from poseemo_lib.studies import cluster
from poseemo_lib.studies.cluster import ClusterSlots, facts, worker_fault
from poseemo_lib.studies.plan import load_study, plan_runs
from poseemo_lib.studies.study import _order, run_study

pytest.importorskip("distributed")
# The workers' own threads and sockets end with their processes.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture
def small_cluster(tmp_path):
    one = Cluster(tmp_path, workers=1)
    yield one
    one.stop()


@pytest.fixture
def empty_cluster(tmp_path):
    one = Cluster(tmp_path, workers=0)
    yield one
    one.stop()


@pytest.fixture
def slots_of(monkeypatch):
    """Make slots that end with the test."""
    made = []

    def make(*arguments):
        made.append(ClusterSlots(*arguments))
        return made[-1]

    yield make
    for slots in made:
        slots.stop()


def write_study(path, tiny, **changes):
    configs = {"net": {"architecture": "deep_residual"}}
    study = {"name": "s", "dataset": str(tiny), "seeds": [0], "base": SMALL, "configs": configs} | changes
    path.write_text(yaml.safe_dump(study))
    return path


def command(path, out, address, *more):
    return [
        sys.executable,
        "-m",
        "poseemo_lib.cli.__main__",
        "study",
        str(path),
        "--out",
        str(out),
        "--cluster",
        address,
        *more,
    ]


def test_runs_on_a_cluster_and_what_it_refuses(tiny, tmp_path, empty_cluster, slots_of):
    """Two workers: one that takes two runs at a time and has one GPU, and one without."""
    configs = {"m": {"architecture": "majority", "model": {}}}
    path, out = write_study(tmp_path / "s.yaml", tiny, configs=configs), tmp_path / "o"
    address = empty_cluster.address
    empty_cluster.worker("--resources", "GPU=1", "--name", "with-gpu", threads=2)
    empty_cluster.worker("--name", "without")
    slots = slots_of(address, out, str(tiny), {})
    slots.client.wait_for_workers(2, timeout=60)
    assert slots.describe() == f"{address}: 2 worker(s), 3 at a time"
    runs = plan_runs(load_study(path), path, out)
    outcome = run_study(runs, out, slots)
    assert [run.name for run in outcome.done] == ["m seed 0"] and not outcome.failed
    assert not list(out.rglob(".probe-*")) and not list(out.rglob(".notebook-*"))

    slots = slots_of(address, out, str(tiny), {"GPU": 1})
    slots.client.get_task_stream()  # from now on
    assert slots.width() == 1
    futures = [slots.submit(_order(runs[0], None)) for _ in range(2)]  # it is complete: nothing is made again
    assert [future.result(60).state for future in futures] == ["elsewhere"] * 2
    tasks = [task for task in slots.client.get_task_stream() if task["key"].startswith("poseemo")]
    names = {worker: about["name"] for worker, about in slots.client.scheduler_info()["workers"].items()}
    assert [names[task["worker"]] for task in tasks] == ["with-gpu"] * 2
    spans = sorted((part["start"], part["stop"]) for task in tasks for part in task["startstops"])
    # One after the other, but for the milliseconds by which the scheduler's clock is off.
    assert len(spans) >= 2 and all(second > (first + stop) / 2 for (first, stop), (second, _) in pairwise(spans))

    slots.probe.expected["dataset"] = "/no/where"  # as a worker that came after the look at all of them
    result = slots.submit(_order(runs[0], None)).result(60)
    assert result.state == "refused"
    assert re.match(r"worker tcp://\S+: does not see the dataset /no/where; wanted a folder that", result.error)

    with pytest.raises(UsageError, match=r"--resource: wanted a worker with \{'TPU': 1\}, the workers have \{'GPU'"):
        ClusterSlots(address, out, str(tiny), {"TPU": 1})
    with pytest.raises(PoseemoError, match="does not see the dataset /no/where; wanted a folder that client and"):
        ClusterSlots(address, out, "/no/where", {})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("code", "the code in .*bad differs from the client's in .*; wanted the same"),
        ("notebooks", "poseemo_lib cannot be used there: FileNotFoundError: .*03_train.ipynb"),
    ],
)
def test_a_bad_worker_that_comes_late_stops_the_study_and_fails_no_run(tiny, tmp_path, empty_cluster, fault, said):
    bad = tmp_path / "bad"
    shutil.copytree(PACKAGE, bad / "poseemo_lib", ignore=shutil.ignore_patterns("__pycache__"))
    if fault != "notebooks":
        shutil.copytree(NOTEBOOKS, bad / "notebooks")
    with open(bad / "poseemo_lib" / "training.py", "a") as file:
        file.write("\nX = 1\n")
    path, out = write_study(tmp_path / "s.yaml", tiny, seeds=[0, 1, 2]), tmp_path / "o"
    slots = ClusterSlots(empty_cluster.address, out, str(tiny), {})
    assert slots.describe().endswith(": no worker yet; the runs wait for one")
    empty_cluster.worker(PYTHONPATH=str(bad))
    runs = plan_runs(load_study(path), path, out)
    with pytest.raises(PoseemoError, match=rf"^worker tcp://\S+: {said}"):
        run_study(runs, out, slots)
    assert not list(out.rglob("run.json")) and not list(out.rglob(".probe-*"))


@pytest.mark.slow
def test_a_scheduler_that_dies_ends_the_study(tiny, tmp_path, small_cluster):
    path, out = write_study(tmp_path / "s.yaml", tiny, base=SMALL | {"epochs": 500, "patience": 0}), tmp_path / "o"
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    study = subprocess.Popen(command(path, out, small_cluster.address), text=True, **pipes)
    wait_until(lambda: list(out.rglob("checkpoint.pt")))
    below = psutil.Process(small_cluster.workers[0].pid).children(recursive=True)
    small_cluster.processes[0].kill()
    said = study.communicate(timeout=60)[1]
    assert study.returncode == 1 and "Traceback" not in said
    assert "poseemo: lost the Dask scheduler; what was done is kept, the same command goes on" in said
    assert not psutil.wait_procs(below, timeout=90)[1]  # the worker has given up too


@pytest.mark.slow
def test_a_scheduler_that_dies_before_a_result_was_fetched_ends_the_study(
    tiny, tmp_path, small_cluster, slots_of, monkeypatch
):
    path, out = write_study(tmp_path / "s.yaml", tiny), tmp_path / "o"
    run = replace(plan_runs(load_study(path), path, out)[0], identity="another")  # fails, which is a result too
    slots, pass_on, seen = slots_of(small_cluster.address, out, str(tiny), {}), cluster._pass_on, []

    def late(task, future):
        seen.append(task.status)
        small_cluster.stop()
        pass_on(SimpleNamespace(status=seen[0], result=task.result), future)  # as seen just before

    monkeypatch.setattr(cluster, "_pass_on", late)
    with pytest.raises(PoseemoError, match="lost the Dask scheduler; what was done is kept"):
        slots.submit(_order(run, None)).result(120)
    assert seen == ["finished"]


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


@pytest.mark.slow
def test_a_worker_is_killed_in_the_middle(tiny, tmp_path):
    three = Cluster(tmp_path, workers=3)
    try:
        base = SMALL | {"epochs": 20}
        path, out = write_study(tmp_path / "s.yaml", tiny, seeds=[0, 1, 2, 3], base=base), tmp_path / "o"
        study = subprocess.Popen(command(path, out, three.address), stdout=subprocess.PIPE, text=True)
        wait_until(lambda: list(out.rglob("checkpoint.pt")))
        host = wait_until(lambda: next((worker for worker in three.workers if kernels_below(worker)), None))
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
    from poseemo_lib.training.run import execute_run

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
