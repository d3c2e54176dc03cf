"""One engine for runs and for videos: Dask, with worker processes on this machine or on a cluster.

A task is one order: a run to train or a video to extract. A worker that dies takes its task with it; another one
repeats the task once. A task whose client has gone stops within about a second.
"""

import logging
import os
import signal
import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace

from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.studies.kernels import THREAD_VARIABLES
from poseemo_lib.text import count

GPU_VARIABLE = "CUDA_VISIBLE_DEVICES"
DIED = "the worker process died twice (killed, or out of memory?)"
LOST = "lost the Dask scheduler; finished work is kept, and the same command continues"
# Seconds to wait for a scheduler that does not answer, and for the workers to stop.
PATIENCE = 10
# Seconds between two looks at the workers, and until those of this machine must have started again.
TICK, START = 1.0, 120
# Of a LocalCluster: a dead worker's task is repeated once, a worker may fork kernels, and these inherit no settings of
# Dask's own.
CONFIG = {
    "distributed.scheduler.allowed-failures": 1,
    "distributed.worker.daemon": False,
    "distributed.nanny.pre-spawn-environ": {},
}


class WorkerError(PoseemoError):
    """A worker can carry out no order at all, for a reason that lies in it and not in the order."""


@dataclass(frozen=True)
class Result:
    """The record that a task returns."""

    state: str  # `done`, `failed`, or another word of the task's own
    error: str = ""  # one line; empty unless it failed
    notebook: str = ""  # the executed notebook of a run that failed, where there is one
    seconds: float = 0.0


class Engine:
    """Workers that carry out orders; a context manager, which stops them at its end.

    Parameters
    ----------
    jobs : int
        Worker processes on this machine; each has its share of the cores, `threads`.
    cluster : str, optional
        Address of a Dask scheduler whose workers are used instead.
    resources : dict of str to float, optional
        What a task takes of a cluster worker's resources.
    gpus : sequence of str
        Names for `CUDA_VISIBLE_DEVICES`; the local workers take them in turn.
    packages : sequence of str
        Packages whose versions must be the same on the client and the cluster's workers.
    preload : sequence of str
        Modules whose `dask_setup` prepares a local worker process.

    Raises
    ------
    UsageError
        No worker of the cluster has these resources.
    PoseemoError
        The scheduler does not answer, or a version differs.
    """

    def __init__(
        self,
        jobs: int = 1,
        *,
        cluster: str | None = None,
        resources: dict[str, float] | None = None,
        gpus: Sequence[str] = (),
        packages: Sequence[str] = (),
        preload: Sequence[str] = (),
    ):
        self.threads, self.preload = max(1, cores() // jobs), preload
        self.jobs, self.address, self.resources, self.gpus = jobs, cluster, resources or {}, tuple(gpus)
        self._stack = ExitStack()
        with self._stack:
            self.client = self._connect(packages) if cluster else self._start()
            self._stack = self._stack.pop_all()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_) -> None:
        # Ctrl-C is ignored while the workers stop, which takes a few seconds at most.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        with suppress(Exception):  # the scheduler may have gone
            self._stack.close()
        signal.signal(signal.SIGINT, before)

    def _start(self):
        import dask
        import distributed

        quiet()
        self._stack.enter_context(dask.config.set(CONFIG))
        options = {"processes": True, "threads_per_worker": 1, "memory_limit": None}
        options |= {"dashboard_address": "127.0.0.1:0", "scheduler_kwargs": {"dashboard": False}}
        options |= {"silence_logs": logging.CRITICAL, "preload": [__name__, *self.preload]}
        options["env"] = dict.fromkeys(THREAD_VARIABLES, str(self.threads))
        cluster = self._stack.enter_context(distributed.LocalCluster(n_workers=self.jobs, **options))
        return self._stack.enter_context(distributed.Client(cluster, set_as_default=False))

    def _connect(self, packages: Sequence[str]):
        import distributed

        quiet()
        with warnings.catch_warnings(action="ignore"):  # of versions: compared next
            try:
                # A client that is given no address at all fails too, but hangs when it is closed.
                distributed.comm.resolve_address(distributed.comm.normalize_address(self.address))
                client = distributed.Client(self.address, timeout=PATIENCE, set_as_default=False)
            except (OSError, ValueError, TypeError) as error:
                text = " ".join(str(error).split())
                raise PoseemoError(f"--cluster: {self.address}: no Dask scheduler answers there: {text}") from None
        self._stack.callback(client.close, timeout=PATIENCE)
        with warnings.catch_warnings(action="error", category=UserWarning):
            try:
                client.get_versions(check=True, packages=list(packages))
            except (UserWarning, ValueError) as error:
                raise PoseemoError(f"--cluster: {self.address}: wanted the same versions everywhere. {error}") from None
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        if workers and not any(_fits(worker, self.resources) for worker in workers):
            there = {name: amount for worker in workers for name, amount in worker["resources"].items()}
            raise UsageError(f"--resource: wanted a worker with {self.resources}, the workers have {there or 'none'}")
        return client

    def describe(self) -> str:
        """Say how many tasks run at a time."""
        if not self.address:
            return f"{self.jobs} at a time, {count(self.threads, 'thread')} each"
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        if not workers:
            return f"{self.address}: no worker yet; waiting for one"
        at_a_time = sum(_fits(one, self.resources) for one in workers)
        return f"{self.address}: {len(workers)} worker(s), {at_a_time} at a time"

    def run(self, function: Callable, orders: Iterable, name: Callable[[object], str] = str) -> Iterator:
        """Carry out orders, which are pickled, and yield (order, :class:`Result`) as each ends.

        `function(order, abandoned)`, of a module, returns the state for the result. It calls `abandoned()` now and
        then, and stops where that is true. An error that it raises is a failed order; a `WorkerError` or `UsageError`
        ends all. `name` gives an order's name on Dask's dashboard.

        Raises
        ------
        PoseemoError
            The workers cannot carry out any order, or the scheduler has gone.
        """
        import distributed

        waiting, order_of = deque(orders), {}
        # A cluster gets all of them, so that one that adapts to its load sees it; a free local worker gets the next.
        width = len(waiting) if self.address else self.jobs
        seen = time.monotonic()
        while waiting or order_of:
            while waiting and len(order_of) < width:
                order = waiting.popleft()
                task = _carry_out, function, order, self.gpus, bool(self.address)
                key = f"{name(order)}-{uuid.uuid4().hex[:8]}"
                order_of[self.client.submit(*task, key=key, pure=False, resources=self.resources or None)] = order
            try:
                with self.client.as_current():
                    ended = distributed.wait(list(order_of), timeout=TICK, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                if self.address or self.client.scheduler_info()["workers"]:
                    seen = time.monotonic()
                elif time.monotonic() - seen > START:
                    raise PoseemoError("the worker processes have died and could not be started again") from None
                continue
            except distributed.CancelledError:
                raise PoseemoError(LOST) from None
            for future in ended:
                if (result := _result(future)) is not None:
                    yield order_of.pop(future), result


def quiet() -> None:
    """Keep Dask's log off the terminal; what matters is raised."""
    import distributed  # noqa: F401  # makes its loggers

    for name in ("distributed", *(name for name in logging.root.manager.loggerDict if name.startswith("distributed."))):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def dask_setup(worker) -> None:
    """Prepare a local worker process, which Dask calls this in: Ctrl-C is the launcher's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    quiet()


def _fits(worker: dict, resources: dict[str, float]) -> int:
    """Count the tasks that a worker takes at a time."""
    return min([worker["nthreads"], *(int(worker["resources"].get(name, 0) // n) for name, n in resources.items())])


def _result(future) -> Result | None:
    """Fetch a result; None where it was lost with a worker that died since, and is being made again."""
    from distributed import KilledWorker

    try:
        if future.status in ("lost", "pending"):
            return None
        return future.result(PATIENCE)
    except KilledWorker:
        return Result("failed", DIED)
    except PoseemoError:
        raise
    except Exception as error:
        if future.status in ("finished", "lost", "pending"):
            return None
        if future.status != "error":
            raise PoseemoError(LOST) from None
        raise PoseemoError(" ".join(f"a worker cannot do the work: {type(error).__name__}: {error}".split())) from None


def _carry_out(function: Callable, order, gpus: tuple[str, ...], on_cluster: bool) -> Result:
    """Carry out an order on this worker."""
    from distributed import get_worker

    worker = get_worker()
    key, started = worker.get_current_task(), time.monotonic()
    where = f"worker {worker.address}: " if on_cluster else ""
    if gpus:
        os.environ[GPU_VARIABLE] = gpus[int(worker.name) % len(gpus)]

    def abandoned() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state in ("cancelled", "released") or worker.status.name.startswith("clos")

    try:
        result = Result(function(order, abandoned))
    except (UsageError, WorkerError) as error:
        raise type(error)(f"{where}{error}") from None
    except Exception as error:  # this order has failed, the others go on
        text = str(error) if isinstance(error, PoseemoError) else f"{type(error).__name__}: {error}"
        notebook = getattr(error, "notebook", None)
        result = Result("failed", " ".join(getattr(error, "reason", text).split()), str(notebook or ""))
    return replace(result, seconds=round(time.monotonic() - started, 2))


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
