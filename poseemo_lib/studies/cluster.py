"""Work on a Dask cluster: one task an order, carried out by a process on the worker that it falls to.

The orders are runs of a study here; `extraction_slots` has videos. A worker that dies takes its process with it; the
scheduler gives the order to another worker, where a run goes on from its checkpoint. Client and workers share the
project, what the work reads, and the folder that it writes in.
"""

import fcntl
import hashlib
import os
import platform
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.files import PACKAGE, collect_files, hash_code
from poseemo_lib.paths import NOTEBOOKS, PROJECT
from poseemo_lib.studies.claims import GOING, remove_leftovers
from poseemo_lib.studies.run_process import DIED, NOTEBOOK, Order, Result, RunProcess
from poseemo_lib.training.run_folder import numeric_versions

# Seconds until a scheduler that does not answer is given up.
CONNECT = 10
# How often a task looks whether its study still wants it, seconds.
LOOK = 0.5
LOST = "lost the Dask scheduler; what was done is kept, the same command goes on"
# What work may read that client and workers share.
SHARED = ("dataset", "videos", "model")
# On a worker: the code that it was found to have, so that not every task looks again.
_agreed: set[str] = set()


class ClusterPlaces:
    """The workers of a Dask cluster, as places where orders are carried out.

    Parameters
    ----------
    address : str
        Of the scheduler, such as tcp://10.0.0.1:8786.
    out : Path
        Folder that the work writes in, on a file system that all workers share.
    shared : dict of str to str
        What all of them read, out of `SHARED` -> where it is.
    resources : dict of str to float
        What an order takes of its worker's resources.
    work : callable
        Carries out an order on a worker: (the order as a dict, see :func:`worker_fault`) -> a `Result` as a dict.
    find_facts : callable
        Names what must be alike: () -> see :func:`facts`.

    Raises
    ------
    UsageError
        Dask is not installed, or no worker has these resources.
    PoseemoError
        The scheduler does not answer, or a worker has other code or does not see the folder.
    """

    what = "orders"
    capacity = 2**31  # all are handed over at once, so that a cluster that adapts sees what there is to do

    def __init__(
        self,
        address: str,
        out: Path,
        shared: dict[str, str],
        resources: dict[str, float],
        work: Callable[[dict, dict], dict],
        find_facts: Callable[[], dict],
    ):
        self.client = _connect(address)
        self.address, self.resources, self.work, self.find_facts = address, resources, work, find_facts
        self.probe = _Probe(out, find_facts() | shared)
        try:
            self._check_workers()
        except BaseException:
            self.stop()
            raise

    def describe(self) -> str:
        """Say where the work is done."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"]
        if not workers:
            return f"{self.address}: no worker yet; the {self.what} wait for one"
        return f"{self.address}: {len(workers)} worker(s), {self.width()} at a time"

    def hand_over(self, order, name: str) -> Future:
        """Hand an order, a dataclass, over to the cluster, under a name for its dashboard."""
        options = {"key": f"poseemo-{name}-{uuid.uuid4().hex[:8]}", "pure": False, "resources": self.resources or None}
        task = self.client.submit(self.work, asdict(order), self.probe.expected, **options)
        future: Future = Future()
        task.add_done_callback(lambda task: _pass_on(task, future))
        future.task = task  # a task that nobody holds is dropped
        return future

    def width(self) -> int:
        """Count the orders that are carried out at a time."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        return max(1, sum(_places(worker, self.resources) for worker in workers))

    def stop(self) -> None:
        """Give up what is not done; the workers kill what they are at."""
        with suppress(Exception):  # the scheduler may have gone
            self.client.close(timeout=CONNECT)
        self.probe.close()

    def _check_workers(self) -> None:
        """Refuse workers that are there and cannot do the work; one that comes later is checked by its tasks."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"]
        if self.resources and workers and not any(_places(one, self.resources) for one in workers.values()):
            there = {name: amount for one in workers.values() for name, amount in one["resources"].items()}
            raise UsageError(f"--resource: wanted a worker with {self.resources}, the workers have {there or 'none'}")
        faults = self.client.run(worker_fault, self.probe.expected, self.find_facts, on_error="return")
        for worker, fault in faults.items():
            if isinstance(fault, Exception):
                fault = f"poseemo_lib cannot be used there: {type(fault).__name__}: {fault}"
            if fault:
                raise PoseemoError(f"worker {worker}: {fault}")


class ClusterSlots(ClusterPlaces):
    """The workers of a Dask cluster, as places where the runs of a study are made.

    Parameters
    ----------
    address, out, resources
        See :class:`ClusterPlaces`; `out` is the folder of the study's runs.
    dataset : str
        Where the dataset is, for all workers.
    """

    what = "runs"

    def __init__(self, address: str, out: Path, dataset: str, resources: dict[str, float]):
        super().__init__(address, out, {"dataset": dataset}, resources, make_run_here, facts)

    def submit(self, order: Order) -> Future:
        """Hand a run over to the cluster."""
        return self.hand_over(order, "-".join([*Path(order.folder).parts[-3:], order.identity[:12]]))


class _Probe:
    """A file in the folder of the work that workers must find, locked as long as this process lives."""

    def __init__(self, out: Path, expected: dict):
        try:
            out.mkdir(parents=True, exist_ok=True)
            for old in out.glob(".probe-*"):
                _remove_unlocked(old)
            self.path = out / f".probe-{uuid.uuid4().hex[:12]}"
            self.file = open(self.path, "w")  # noqa: SIM115
            fcntl.flock(self.file, fcntl.LOCK_EX)
        except OSError as error:
            raise PoseemoError(f"{out}: {error.strerror}; wanted a folder to write in; choose one with --out") from None
        self.expected = expected | {"probe": str(self.path)}

    def close(self) -> None:
        self.path.unlink(missing_ok=True)
        self.file.close()


def _remove_unlocked(path: Path) -> None:
    with suppress(OSError), open(path) as file:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        path.unlink()


def _connect(address: str):
    try:
        import distributed
    except ImportError:
        raise UsageError("--cluster: wants Dask; run `pip install 'poseemo[cluster]'`") from None
    import logging
    import warnings

    for name in [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters is raised
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # versions are compared below, in our words
        try:
            return distributed.Client(address, timeout=CONNECT, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            text = " ".join(str(error).split())
            raise PoseemoError(f"--cluster: {address}: no Dask scheduler answers there: {text}") from None


def _places(worker: dict, resources: dict[str, float]) -> int:
    """Count the runs that a worker takes at a time."""
    return min([worker["nthreads"], *(int(worker["resources"].get(name, 0) // n) for name, n in resources.items())])


def _pass_on(task, future: Future) -> None:
    """Turn the end of a task into a result or an exception, whatever happens: it is waited for."""
    try:
        future.set_result(_result_of(task))
    except PoseemoError as error:
        future.set_exception(error)
    except BaseException as error:  # the scheduler went after the task had ended; what Dask raises then varies
        future.set_exception(PoseemoError(f"{LOST} ({type(error).__name__})"))


def _result_of(task) -> Result:
    if task.status == "cancelled":
        raise PoseemoError(LOST)
    if task.status != "error":
        return Result(**task.result())
    error = task.exception()
    if type(error).__name__ == "KilledWorker":
        return Result("died", DIED)
    # A run's own errors are results; this is the worker's, and would meet all runs that wait.
    return Result("refused", " ".join(f"a worker cannot do the work: {type(error).__name__}: {error}".split()))


def facts() -> dict:
    """Name what must be alike where the runs of one study are made: the code that decides numbers, and the versions."""
    files = {PACKAGE / "training/run.py"}
    for path in (*(PACKAGE / "models").glob("*.py"), PACKAGE / "training/baselines.py", PACKAGE / "training/fit.py"):
        collect_files(path, files)
    digest = hashlib.sha256(hash_code(files).encode() + (NOTEBOOKS / NOTEBOOK).read_bytes())
    versions = {"python": ".".join(platform.python_version_tuple()[:2])} | numeric_versions()
    return {"code": digest.hexdigest()[:12], "project": str(PROJECT), "versions": versions}


def worker_fault(expected: dict, find_facts: Callable[[], dict] = facts) -> str:
    """Say why this worker cannot do the client's work; empty where it can. No error leaves this.

    Parameters
    ----------
    expected : dict
        The client's facts, its probe file, and where that is that all read.
    find_facts : callable
        Names the facts here.
    """
    try:
        return _fault(expected, find_facts)
    except Exception as error:  # such as a notebook that is missing
        return f"poseemo_lib cannot be used there: {type(error).__name__}: {error}"


def _fault(expected: dict, find_facts: Callable[[], dict]) -> str:
    probe = Path(expected["probe"])
    mine = expected if expected["code"] in _agreed else find_facts()
    ours, theirs = mine["versions"], expected["versions"]
    if different := [f"{name} {ours[name]} instead of {theirs[name]}" for name in theirs if ours[name] != theirs[name]]:
        return f"has {', '.join(different)}; wanted the versions of the client"
    if mine["code"] != expected["code"]:
        return f"the code in {mine['project']} differs from the client's in {expected['project']}; wanted the same"
    _agreed.add(expected["code"])
    if not probe.exists():
        return f"does not see {probe.parent}; wanted a folder that client and workers share (--out)"
    if not os.access(probe.parent, os.W_OK):
        return f"cannot write in {probe.parent}"
    for what in SHARED:
        place = expected.get(what, "")
        if place and "://" not in place and not Path(place).exists():
            return f"does not see the {what} {place}; wanted a folder that client and workers share"
    return ""


def make_run_here(values: dict, expected: dict) -> dict:
    """Make the run of an order on this worker, in a process of its own that dies with it.

    Parameters
    ----------
    values : dict
        An `Order`.
    expected : dict
        See :func:`worker_fault`.

    Returns
    -------
    dict
        A `Result`; refused where this worker has a fault.
    """
    process = RunProcess()
    return on_worker(expected, facts, process, lambda: _make_run(process, Order(**values)))


def _make_run(process: RunProcess, order: Order) -> Result:
    # A nanny sets one; what has the machine to itself may set more.
    threads = order.parameters["threads"] or int(os.environ.get("OMP_NUM_THREADS", 1))
    try:
        return process.make(replace(order, parameters=order.parameters | {"threads": threads}))
    finally:
        process.stop()
        remove_leftovers(Path(order.folder), GOING)


def on_worker(expected: dict, find_facts: Callable[[], dict], process: RunProcess, make: Callable[[], Result]) -> dict:
    """Carry out an order in this task's process, which is stopped where nobody waits for it any more.

    Parameters
    ----------
    expected, find_facts
        See :func:`worker_fault`.
    process : RunProcess
    make : callable
        Has the process make it.

    Returns
    -------
    dict
        A `Result`; refused where this worker has a fault.
    """
    from distributed import get_worker

    worker = get_worker()
    if fault := worker_fault(expected, find_facts):
        # Not "failed": this worker would be free at once, and fail all that wait.
        return asdict(Result("refused", f"worker {worker.address}: {fault}"))
    ended = threading.Event()
    look = (worker, worker.get_current_task(), process, ended)
    threading.Thread(target=_stop_unwanted, args=look, daemon=True).start()
    try:
        return asdict(make())
    finally:
        ended.set()


def _stop_unwanted(worker, key: str, process: RunProcess, ended: threading.Event) -> None:
    """Kill the process of a task that nobody waits for, or whose worker is closing."""
    while not ended.wait(LOOK):
        task = worker.state.tasks.get(key)
        if task is None or task.state in ("cancelled", "released") or worker.status.name.startswith("clos"):
            process.stop()
            return
