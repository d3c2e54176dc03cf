"""A study: configs x folds x seeds -> runs, in parallel, resumable, shared by the processes that are started on it.

`study_plan` lists the runs; every one is an execution of `notebooks/03_train.ipynb` in a kernel of its own, made by a
`run_process`. A run that is complete with the same code, parameters, dataset and split is not made again; one that was
interrupted goes on from its checkpoint; one of other parameters is set aside, not overwritten.
"""

import json
import os
import time
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue

from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.files import write_json
from poseemo_lib.studies.claims import GOING, is_busy, remove_leftovers
from poseemo_lib.studies.plan import PlannedRun
from poseemo_lib.studies.run_process import Order, Result, RunProcess
from poseemo_lib.text import count
from poseemo_lib.training.run_folder import STUDY_FILE, read_record

__all__ = ["LocalSlots", "Outcome", "default_jobs", "run_study", "write_plan"]

GPU_VARIABLE = "CUDA_VISIBLE_DEVICES"
# A run that its process died over this often is given up.
ATTEMPTS = 2
# How often to look after the runs of other processes, and to draw the progress, seconds.
TICK = 1.0


@dataclass
class Outcome:
    """How a study ended: what was there, what was made, what failed and why."""

    skipped: list[PlannedRun] = field(default_factory=list)
    done: list[PlannedRun] = field(default_factory=list)
    elsewhere: list[PlannedRun] = field(default_factory=list)
    failed: list[tuple[PlannedRun, Result]] = field(default_factory=list)


class LocalSlots:
    """Places on this machine where runs are made, each a `run_process`.

    Parameters
    ----------
    environments : list of dict
        One place each: the variables that its kernels get.
    """

    def __init__(self, environments: list[dict[str, str]]):
        self.capacity = len(environments)
        self.processes = [RunProcess() for _ in environments]
        self._free: SimpleQueue = SimpleQueue()
        for place in zip(self.processes, environments, strict=True):
            self._free.put(place)
        self._pool = ThreadPoolExecutor(self.capacity)

    def describe(self) -> str:
        """Say where the runs are made."""
        threads = max(1, cores() // self.capacity)
        return f"{self.capacity} at a time, {count(threads, 'thread')} each"

    def submit(self, order: Order) -> Future:
        """Have a run made in the next free place."""
        return self._pool.submit(self._make, order)

    def width(self) -> int:
        """Count the runs that are made at a time."""
        return self.capacity

    def stop(self) -> None:
        """Kill the processes, idle or at work."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in self.processes:
            process.stop()
        self._pool.shutdown()

    def _make(self, order: Order) -> Result:
        process, environment = self._free.get()
        parameters = dict(order.parameters)
        parameters["threads"] = parameters["threads"] or max(1, cores() // self.capacity)
        if GPU_VARIABLE in environment and parameters["device"] == "auto":
            parameters["device"] = "cuda"  # without it, a GPU that cannot be used would become the CPU in silence
        try:
            return process.make(replace(order, parameters=parameters, environment=environment))
        finally:
            self._free.put((process, environment))


def run_study(runs: list[PlannedRun], out: Path, slots, *, only: set[str] | None = None, display=None) -> Outcome:
    """Make the runs that are missing.

    Parameters
    ----------
    runs : list of PlannedRun
        All runs of the study.
    out : Path
        Folder of the study's runs.
    slots : LocalSlots or ClusterSlots
        Where they are made.
    only : set of str, optional
        The configs to make.
    display : Display, optional
        Gets each run that ended and its result, and a look at the rest now and then.

    Returns
    -------
    Outcome
        A failed run does not stop the others.

    Raises
    ------
    PoseemoError
        No run can be made.
    """
    outcome, missing = Outcome(), []
    chosen = [run for run in runs if only is None or run.config in only]
    for run in chosen:
        (outcome.skipped if run.complete else missing).append(run)
    write_plan(runs, out)
    for run in chosen:
        remove_leftovers(run.folder)
    try:
        for run, result in _make_all(missing, slots, display):
            if result.state == "refused":
                raise (UsageError if result.exit_code == UsageError.exit_code else PoseemoError)(result.error)
            if result.state == "done":
                outcome.done.append(run)
            elif result.state == "elsewhere":
                outcome.elsewhere.append(run)
            else:
                outcome.failed.append((run, result))
            if display:
                display.ended(run, result)
    finally:
        slots.stop()
        for run in missing:
            remove_leftovers(run.folder, GOING)
    return outcome


def write_plan(runs: list[PlannedRun], out: Path) -> None:
    """Note which runs a study consists of; a complete one may lie where nothing can be written.

    Raises
    ------
    PoseemoError
        The folder cannot be written.
    """
    plan = {"runs": [run.plan(out) for run in runs]}
    with suppress(OSError, json.JSONDecodeError):
        if json.loads((out / STUDY_FILE).read_text(encoding="utf-8")) == plan:
            return
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / STUDY_FILE, plan)
    except OSError as error:
        raise PoseemoError(f"{out}: {error.strerror}; wanted a folder to write in; choose one with --out") from None


def _make_all(runs: list[PlannedRun], slots, display) -> Iterator[tuple[PlannedRun, Result]]:
    """Make runs, leaving those to other processes that these are working on; yield each as it ends."""
    waiting, left, running = deque(runs), [], {}
    deaths: Counter = Counter()
    # A run that fails in another process from now on is not tried here again.
    seen = {run.name: (read_record(run.folder) or {}).get("finished") for run in runs}
    while waiting or left or running:
        while waiting and len(running) < slots.capacity:
            run = waiting.popleft()
            running[slots.submit(_order(run, seen[run.name]))] = (run, time.monotonic())
        if not running:
            time.sleep(TICK)
        for future in wait(running, TICK, FIRST_COMPLETED).done:
            run, _ = running.pop(future)
            result = future.result()
            deaths[run.name] += result.state == "died"
            if result.state == "busy":
                left.append(run)
            elif result.state == "died" and deaths[run.name] < ATTEMPTS:
                waiting.appendleft(run)
            else:
                yield run, result
        # Those that another process has made, or died over, are ours to look at again.
        free = [run for run in left if not is_busy(run.folder)]
        left = [run for run in left if run not in free]
        waiting.extend(free)
        if display:
            display.look([*waiting], [*running.values()], left, slots.width())


def _order(run: PlannedRun, seen: str | None) -> Order:
    parameters = run.parameters.model_dump() | {"dataset": run.dataset}
    return Order(parameters, str(run.folder), run.config, run.identity, seen)


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpu_environments(gpus: list[int], jobs_per_gpu: int) -> list[dict[str, str]]:
    """Lay runs out over GPUs: one environment a run at a time, in which its kernel sees one GPU only.

    Parameters
    ----------
    gpus : list of int
        Which ones, counted as this process sees them.
    jobs_per_gpu : int
        Runs at a time on each.

    Returns
    -------
    list of dict
        GPUs in turn, so that a few runs spread over all of them.
    """
    visible = [name for name in os.environ.get(GPU_VARIABLE, "").split(",") if name]
    names = [visible[gpu] if visible else str(gpu) for gpu in gpus]
    return [{GPU_VARIABLE: name} for _ in range(jobs_per_gpu) for name in names]


def check_gpus(gpus: list[int], runs: list[PlannedRun]) -> None:
    """Refuse GPUs that are not there, and runs that choose their GPU themselves.

    Raises
    ------
    UsageError
        What is there is named.
    """
    import torch

    there = torch.cuda.device_count()  # to ask for their names would take memory of each as long as the study lasts
    if missing := [str(gpu) for gpu in gpus if gpu >= there]:
        numbers = ", ".join(map(str, range(there)))
        raise UsageError(f"--gpus: {', '.join(missing)}: not there; this machine has {numbers or 'no GPU'}")
    if own := [run for run in runs if run.parameters.device.startswith("cuda:")]:
        raise UsageError(f"--gpus: {own[0].name}: device: wanted auto, got {own[0].parameters.device}")


def default_jobs() -> int:
    """Choose how many runs to make at a time: one a core, or one in all where there is a GPU."""
    import torch

    return 1 if torch.cuda.device_count() else cores()
