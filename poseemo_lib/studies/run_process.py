"""A process that makes runs of a study, one after another, each in a kernel of its own: orders in, results out.

The same process serves a study on this machine and a task on a cluster's worker. It holds a claim on the run that it
works on, so that several processes can share one study. It dies with the process that gave the orders, and its kernel
with it; what it leaves half-written is removed by the next one that claims the run.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from queue import SimpleQueue

from poseemo_lib.data.recipes import ensure_dataset
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.studies.claims import claimed
from poseemo_lib.studies.notebook import NotebookError, die_with_parent, execute_notebook
from poseemo_lib.studies.scratch import clear_scratch
from poseemo_lib.studies.warm_kernels import WarmKernels
from poseemo_lib.training.parameters import RunParameters
from poseemo_lib.training.run_folder import is_complete, read_record

NOTEBOOK = "03_train.ipynb"
KEPT_NOTEBOOK = "notebook.ipynb"
FAILED_NOTEBOOK = "notebook-failed.ipynb"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
DIED = "the process that made it died (killed, or out of memory?)"


@dataclass(frozen=True)
class Order:
    """A run to make.

    Parameters
    ----------
    parameters : dict
        All parameters of the run, `dataset` being the place where it is.
    folder : str
    config : str
    identity : str
    seen : str or None
        When the run that is in the folder had finished, as the study began.
    environment : dict of str to str
        Variables that its kernel gets.
    """

    parameters: dict
    folder: str
    config: str
    identity: str
    seen: str | None = None
    environment: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What became of an order.

    Parameters
    ----------
    state : {"done", "elsewhere", "busy", "failed", "refused", "died"}
        elsewhere: another process has made it. busy: another process is working on it. refused: no run of this study
        can be made. died: the process died over it.
    error : str
        In one line; empty where nothing failed.
    notebook : str
        The executed notebook of a run that failed, where there is one.
    seconds : float
    exit_code : int
        What the error ends a command with.
    """

    state: str
    error: str = ""
    notebook: str = ""
    seconds: float = 0.0
    exit_code: int = 1


def has_run(folder: Path, identity: str) -> bool:
    """Tell whether a folder holds the completed run of that identity, and its notebook."""
    return is_complete(folder, identity) and (folder / KEPT_NOTEBOOK).exists()


def execute_run_notebook(parameters: RunParameters, folder: Path, config: str, *, show_output: bool = False) -> None:
    """Execute the training notebook for one run; it is kept in the run's folder, also when it fails.

    Parameters
    ----------
    parameters : RunParameters
    folder : Path
    config : str
    show_output : bool
        Print what the notebook prints.

    Raises
    ------
    NotebookError
        A config failed.
    PoseemoError
        Another process is working on this run.
    """
    folder = Path(folder).absolute()
    values = parameters.model_dump() | {"dataset": ensure_dataset(parameters.dataset, progress=False)}
    with claimed(folder) as ours:
        if not ours:
            raise PoseemoError(f"{folder}: another process is working on this run; wait for it or stop it")
        _execute(values, folder, config, show_output=show_output)


def _execute(parameters: dict, folder: Path, config: str, **options) -> None:
    # Beside the folder, which may be set aside meanwhile.
    attempt = folder.parent / f".notebook-{folder.name}.ipynb"
    before = read_record(folder) or {}
    if before.get("status") != "complete":
        # Of an attempt that failed: beside the record that this one completes it would pass for the run's own.
        with suppress(FileNotFoundError):
            os.replace(folder / KEPT_NOTEBOOK, folder / FAILED_NOTEBOOK)
    try:
        parameters = parameters | {"out": str(folder), "config": config}
        execute_notebook(NOTEBOOK, attempt, parameters, kill_kernel=True, **options)
        # A run that was complete already keeps the notebook that made it.
        if read_record(folder)["finished"] != before.get("finished") or not (folder / KEPT_NOTEBOOK).exists():
            os.replace(attempt, folder / KEPT_NOTEBOOK)
        (folder / FAILED_NOTEBOOK).unlink(missing_ok=True)
    except NotebookError as error:
        kept = None
        if error.notebook:
            finished = (read_record(folder) or {}).get("status") == "complete"
            kept = folder / (FAILED_NOTEBOOK if finished else KEPT_NOTEBOOK)
            folder.mkdir(parents=True, exist_ok=True)
            os.replace(attempt, kept)
        raise NotebookError(error.reason, kept, error.exit_code) from None
    finally:
        attempt.unlink(missing_ok=True)


def make_run(order: Order, kernels: WarmKernels | None = None) -> Result:
    """Make the run of an order, unless another process has made it or is working on it; no error leaves this.

    Parameters
    ----------
    order : Order
    kernels : WarmKernels, optional
        See :func:`poseemo_lib.studies.notebook.execute_notebook`.
    """
    started, folder = time.monotonic(), Path(order.folder)

    def result(state: str, error: str = "", notebook: Path | None = None, exit_code: int = 1) -> Result:
        seconds = round(time.monotonic() - started, 1)
        return Result(state, " ".join(error.split()), str(notebook or ""), seconds, exit_code)

    threads = {name: str(order.parameters["threads"]) for name in THREAD_VARIABLES}
    os.environ.update(threads | order.environment)
    try:
        with claimed(folder) as ours:
            if not ours:
                return result("busy")
            if has_run(folder, order.identity):
                return result("elsewhere")
            record = read_record(folder) or {}
            if record.get("status") == "failed" and record.get("finished") != order.seen:
                notebook = folder / KEPT_NOTEBOOK
                return result(
                    "failed", f"{record['error']} (in another process)", notebook if notebook.exists() else None
                )
            if kernels:
                kernels.prepare(os.environ)  # at work while Papermill is imported here
            _execute(order.parameters, folder, order.config, kernels=kernels)
            if not has_run(folder, order.identity):
                return result("failed", "the code or the dataset changed meanwhile; start the study again")
    except NotebookError as error:
        return result("failed", error.reason, error.notebook)
    except UsageError as error:  # before any kernel: it holds for all runs
        return result("refused", str(error), exit_code=error.exit_code)
    except PoseemoError as error:
        return result("failed", str(error))
    except OSError as error:
        return result("failed", f"{folder}: {error.strerror or error}")
    except Exception as error:  # this run has failed, the others go on
        return result("failed", f"{type(error).__name__}: {error}")
    return result("done")


class RunProcess:
    """Such a process, seen from the one that gives it orders; it starts with the first order."""

    def __init__(self):
        self.process: subprocess.Popen | None = None
        self.stopped = False
        self._lock = threading.Lock()

    def make(self, order: Order) -> Result:
        """Have a run made; waits for it."""
        try:
            process = self._running()
            process.stdin.write(json.dumps(asdict(order)) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except (OSError, ValueError):  # it died, or was stopped, between two orders
            line = ""
        if line:
            return Result(**json.loads(line))
        self._kill()
        return Result("died", DIED)

    def stop(self) -> None:
        """Kill it at once, and its kernel with it; it takes no more orders."""
        self.stopped = True
        self._kill()
        clear_scratch()

    def _running(self) -> subprocess.Popen:
        with self._lock:
            if self.stopped:
                raise BrokenPipeError
            if self.process is None:
                command = [sys.executable, "-m", "poseemo_lib.studies.run_process"]
                self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            return self.process

    def _kill(self) -> None:
        with self._lock:
            process, self.process = self.process, None
        if process:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(BrokenPipeError):
                    pipe.close()


def main() -> None:
    """Read orders from standard input, one a line, and write a result a line."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who gives the orders decides
    results = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints does not mix with the results
    orders, idle = SimpleQueue(), threading.Event()
    idle.set()
    kernels = WarmKernels()
    threading.Thread(target=_read_orders, args=(orders, idle), daemon=True).start()
    while (order := orders.get()) is not None:
        result = make_run(order, kernels)
        idle.set()
        with suppress(BrokenPipeError):
            results.write(json.dumps(asdict(result)) + "\n")


def _read_orders(orders: SimpleQueue, idle: threading.Event) -> None:
    for line in sys.stdin:
        idle.clear()
        orders.put(Order(**json.loads(line)))
    if not idle.is_set():
        os._exit(1)  # nobody waits for this run any more
    orders.put(None)


if __name__ == "__main__":
    main()
