"""A study: cells x folds x seeds -> runs, in parallel, resumable.

`study_plan` lists the runs; every one is an execution of `notebooks/03_train.ipynb` in a kernel of its own. A run that
is complete with the same parameters, dataset, split and library version is not made again; one that was interrupted
goes on from its checkpoint; one of other parameters is set aside, not overwritten.
"""

import os
import signal
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from poseemo_lib.errors import PoseemoError
from poseemo_lib.execution import NotebookError, die_with_parent, execute_notebook
from poseemo_lib.files import write_json
from poseemo_lib.parameters import RunParameters
from poseemo_lib.recipes import ensure_dataset
from poseemo_lib.runs import STUDY_FILE, read_record
from poseemo_lib.study_plan import PlannedRun

NOTEBOOK = "03_train.ipynb"
# A worker that dies takes the pool with it; a run that killed its worker this often is given up.
WORKER_ATTEMPTS = 2


@dataclass
class Outcome:
    """How a study ended: what was there, what was made, what failed and why."""

    skipped: list[PlannedRun] = field(default_factory=list)
    done: list[PlannedRun] = field(default_factory=list)
    failed: list[tuple[PlannedRun, str]] = field(default_factory=list)


def run_study(
    runs: list[PlannedRun], out: Path, *, jobs: int, report: Callable[[PlannedRun, str | None], None] | None = None
) -> Outcome:
    """Make the runs that are missing.

    Parameters
    ----------
    runs : list of PlannedRun
    out : Path
        Folder of the study's runs.
    jobs : int
        Runs at a time, each in a kernel of its own.
    report : callable, optional
        Called with each run that ended and its error, or None.

    Returns
    -------
    Outcome
        A failed run does not stop the others.
    """
    outcome = Outcome(skipped=[run for run in runs if run.complete])
    missing = [run for run in runs if not run.complete]
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / STUDY_FILE, {"runs": [run.plan(out) for run in runs]})
    for run, error in _execute_all(missing, jobs):
        if error is None:
            outcome.done.append(run)
        else:
            outcome.failed.append((run, error))
        if report:
            report(run, error)
    return outcome


def _execute_all(runs: list[PlannedRun], jobs: int) -> Iterator[tuple[PlannedRun, str | None]]:
    """Execute runs in worker processes; yield each with its error or None as it ends."""
    waiting, deaths = list(runs), {run.name: 0 for run in runs}
    while waiting:
        pool = ProcessPoolExecutor(min(jobs, len(waiting)), get_context("spawn"), initializer=_start_worker)
        futures: dict[Future, PlannedRun] = {}
        try:
            # No more in the pool than it works on: if a worker dies, these few are the suspects.
            while waiting or futures:
                while waiting and len(futures) < jobs:
                    run = waiting.pop(0)
                    futures[pool.submit(_execute_run, run)] = run
                for future in wait(futures, return_when=FIRST_COMPLETED).done:
                    run = futures[future]
                    result = future.result()
                    del futures[future]
                    yield run, result
        except BrokenProcessPool:
            for run in futures.values():
                deaths[run.name] += 1
                if deaths[run.name] < WORKER_ATTEMPTS:
                    waiting.insert(0, run)
                else:
                    yield run, "its worker process died twice (killed, or out of memory?)"
        finally:
            _stop(pool)


def _stop(pool: ProcessPoolExecutor) -> None:
    """End a pool at once: its workers die, and their kernels with them; then wait until it has noticed."""
    for process in list((pool._processes or {}).values()):
        process.kill()
    pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides


def _execute_run(run: PlannedRun) -> str | None:
    os.environ["OMP_NUM_THREADS"] = str(run.parameters.threads)
    try:
        execute_run_notebook(run.parameters, run.folder, run.cell)
    except PoseemoError as error:
        return str(error)
    except Exception as error:  # a full disk, a file in the way: this run has failed, the others go on
        return f"{type(error).__name__}: {error}"
    return None


def execute_run_notebook(parameters: RunParameters, folder: Path, cell: str, *, show_output: bool = False) -> None:
    """Execute the training notebook for one run; it is kept in the run's folder, also when it fails.

    Parameters
    ----------
    parameters : RunParameters
    folder : Path
    cell : str
    show_output : bool
        Print what the notebook prints.

    Raises
    ------
    NotebookError
        A cell failed.
    """
    folder = Path(folder).absolute()
    values = parameters.model_dump() | {"out": str(folder), "cell": cell}
    values["dataset"] = ensure_dataset(parameters.dataset, progress=False)
    attempt = folder.parent / f".notebook-{folder.name}-{uuid.uuid4().hex[:8]}.ipynb"
    before = (read_record(folder) or {}).get("finished")
    try:
        execute_notebook(NOTEBOOK, attempt, values, show_output=show_output)
    except NotebookError as error:
        kept = folder / ("notebook-failed.ipynb" if _is_finished(folder) else "notebook.ipynb")
        message = str(error).replace(str(attempt), str(kept))
        _keep(attempt, kept)
        raise NotebookError(message, error.exit_code) from None
    # A run that was complete already keeps the notebook that made it.
    if read_record(folder)["finished"] != before or not (folder / "notebook.ipynb").exists():
        _keep(attempt, folder / "notebook.ipynb")
    attempt.unlink(missing_ok=True)


def _is_finished(folder: Path) -> bool:
    return (read_record(folder) or {}).get("status") == "complete"


def _keep(notebook: Path, target: Path) -> None:
    if notebook.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(notebook, target)


def default_jobs() -> int:
    """Choose how many runs to make at a time: one a core, or one in all where there is a GPU."""
    import torch

    if torch.cuda.is_available():
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def status_lines(runs: list[PlannedRun]) -> list[str]:
    """Describe how far each cell of a study is, one line a cell."""
    lines = []
    for cell in dict.fromkeys(run.cell for run in runs):
        mine = [run for run in runs if run.cell == cell]
        states = [_state(run) for run in mine]
        counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
        lines.append(f"{cell}: {counts} of {len(mine)}")
    return lines


def _state(run: PlannedRun) -> str:
    record = read_record(run.folder)
    if record is None:
        return "missing"
    if record["identity"] != run.identity:
        return "stale"
    return "started" if record["status"] == "running" else record["status"]
