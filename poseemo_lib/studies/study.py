"""A study: configs x folds x seeds -> runs, in parallel, resumable, shared by the processes that are started on it.

Each run is an execution of `notebooks/03_train.ipynb` in a kernel of its own. A run that is complete with the same
code, parameters, dataset and split is not repeated; an interrupted one continues from its checkpoint; one with other
parameters is set aside, not overwritten.
"""

import json
import os
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path

from poseemo_lib.data.recipes import ensure_dataset
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.files import write_json
from poseemo_lib.studies.engine import GPU_VARIABLE, TICK, Engine, Result, WorkerError, cores
from poseemo_lib.studies.kernels import THREAD_VARIABLES
from poseemo_lib.studies.notebook import NotebookError, execute_notebook
from poseemo_lib.studies.plan import KEPT_NOTEBOOK, PlannedRun
from poseemo_lib.training.parameters import RunParameters
from poseemo_lib.training.run_folder import (
    HELD,
    STUDY_FILE,
    BusyError,
    code_hash,
    is_busy,
    locked,
    numeric_versions,
    read_record,
)

NOTEBOOK = "03_train.ipynb"
FAILED_NOTEBOOK = "notebook-failed.ipynb"
# Distributions whose versions must agree on a cluster. Of torch any build of a version will do: see `code_of`.
PACKAGES = ("numba", "scikit-learn", "papermill")
# What prepares a local worker: see `Engine`.
PRELOAD = ("poseemo_lib.studies.kernels",)


@dataclass(frozen=True)
class Order:
    """A run to make."""

    run: PlannedRun
    parameters: dict  # all of the run, with the place of the dataset, the device and the number of threads
    out: str  # folder of the study's runs
    code: list  # for a cluster: see `code_of`
    seen: str | None = None  # when the run that was in the folder at the start of the study had finished


@dataclass
class Outcome:
    """How a study ended: which runs were complete already, were made here or elsewhere, or failed and why."""

    skipped: list[PlannedRun] = field(default_factory=list)
    done: list[PlannedRun] = field(default_factory=list)
    elsewhere: list[PlannedRun] = field(default_factory=list)
    failed: list[tuple[PlannedRun, Result]] = field(default_factory=list)


def execute_study(
    runs: list[PlannedRun], out: Path, engine: Engine, *, only: set[str] | None = None, ended: Callable | None = None
) -> Outcome:
    """Make the runs of a study that are missing in `out`, of all configs or `only` some; a failed one stops no other.

    `ended` is called with each run and its result. A PoseemoError says that no run can be made.
    """
    outcome = Outcome()
    chosen = [run for run in runs if only is None or run.config in only]
    outcome.skipped = [run for run in chosen if run.complete]
    write_plan(runs, out)
    orders = [_order(run, out, engine) for run in chosen if not run.complete]
    while orders:
        busy = []
        for order, result in engine.run(execute_order, orders, lambda order: order.run.name):
            if result.state == "busy":
                busy.append(order)
                continue
            if result.state == "failed":
                outcome.failed.append((order.run, result))
            else:
                (outcome.done if result.state == "done" else outcome.elsewhere).append(order.run)
            if ended:
                ended(order.run, result)
        while busy and all(is_busy(order.run.folder) for order in busy):
            time.sleep(TICK)
        orders = busy  # another process has made them, or has died
    return outcome


def _order(run: PlannedRun, out: Path, engine: Engine) -> Order:
    parameters = run.parameters.model_dump() | {"dataset": run.dataset}
    if not engine.address:
        parameters["threads"] = parameters["threads"] or engine.threads
    if engine.gpus and parameters["device"] == "auto":
        parameters["device"] = "cuda"  # with "auto", a GPU that cannot be used would silently become the CPU
    seen = (read_record(run.folder) or {}).get("finished")
    return Order(run, parameters, str(out), code_of(run.parameters) if engine.address else [], seen)


def code_of(parameters: RunParameters) -> list:
    """Name what must be the same wherever the runs of a study are made: the code and the versions of libraries."""
    return [code_hash(parameters.architecture), numeric_versions()]


def write_plan(runs: list[PlannedRun], out: Path) -> None:
    """Write which runs a study consists of; a complete study may lie in a folder that cannot be written to."""
    plan = {"runs": [run.plan(out) for run in runs]}
    with suppress(OSError, json.JSONDecodeError):
        if json.loads((out / STUDY_FILE).read_text(encoding="utf-8")) == plan:
            return
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / STUDY_FILE, plan)
    except OSError as error:
        raise PoseemoError(f"{out}: {error.strerror}; wanted a folder to write in; choose one with --out") from None


def execute_order(order: Order, abandoned: Callable[[], bool] = bool) -> str:
    """Make the run of an order, unless it is no longer wanted: `abandoned()`.

    Returns `done`; `elsewhere` where another process has made it; `busy` where another process is working on it.

    Raises
    ------
    WorkerError, UsageError
        This process can make no run of the study.
    PoseemoError
        The run failed.
    """
    run, folder, dataset = order.run, order.run.folder, order.parameters["dataset"]
    if order.code and order.code != code_of(run.parameters):
        raise WorkerError("has other code or versions of libraries than the client; wanted the same")
    if not Path(order.out, STUDY_FILE).exists():
        raise WorkerError(f"does not see {order.out}; wanted a folder that client and workers share (--out)")
    if "://" not in dataset and not Path(dataset).exists():
        raise WorkerError(f"does not see the dataset {dataset}; wanted a folder that client and workers share")
    # A nanny of Dask sets one thread; a worker that has the machine to itself may set more.
    threads = order.parameters["threads"] or int(os.environ.get("OMP_NUM_THREADS", 1))
    try:
        with _alone(folder):
            if run.complete:
                return "elsewhere"
            record = read_record(folder) or {}
            if record.get("status") == "failed" and record.get("finished") != order.seen:
                notebook = folder / KEPT_NOTEBOOK
                reason = f"{record['error']} (in another process)"
                raise NotebookError(reason, notebook if notebook.exists() else None)
            _execute(order.parameters | {"threads": threads}, folder, run.config, abandoned=abandoned)
    except BusyError:
        return "busy"
    except OSError as error:
        raise PoseemoError(f"{folder}: {error.strerror or error}") from None
    if not run.complete:
        raise PoseemoError("the code or the dataset changed meanwhile; start the study again")
    return "done"


def execute_run(parameters: RunParameters, folder: Path, config: str, *, show_output: bool = False) -> None:
    """Execute the training notebook for one run; it is kept in the run's folder, also when it fails.

    Raises
    ------
    NotebookError
        A cell failed.
    BusyError
        Another process is working on this run.
    """
    folder = Path(folder).absolute()
    values = parameters.model_dump() | {"dataset": ensure_dataset(parameters.dataset, progress=False)}
    with _alone(folder):
        _execute(values, folder, config, show_output=show_output)


@contextmanager
def _alone(folder: Path):
    """Lock a run's folder, and remove half-written files: a killed process's now, and this one's at the end."""
    with locked(folder):
        _remove_leftovers(folder)
        try:
            yield
        finally:
            _remove_leftovers(folder)


def _remove_leftovers(folder: Path) -> None:
    beside, name = folder.parent, f".notebook-{folder.name}.ipynb"
    temporary = (*folder.glob(".tmp-*"), *beside.glob(f".tmp-*-{escape(name)}"))
    for path in (*temporary, folder / "checkpoint.tmp", beside / name):
        path.unlink(missing_ok=True)


def _execute(parameters: dict, folder: Path, config: str, *, abandoned: Callable[[], bool] = bool, **options) -> None:
    # Beside the folder, which may be set aside meanwhile.
    attempt = folder.parent / f".notebook-{folder.name}.ipynb"
    before = read_record(folder) or {}
    if before.get("status") != "complete":
        # A failed attempt's notebook: beside the record that this attempt completes it would pass for the run's own.
        with suppress(FileNotFoundError):
            os.replace(folder / KEPT_NOTEBOOK, folder / FAILED_NOTEBOOK)
    environment = {HELD: str(folder)}  # this process holds the lock of the folder for the kernel
    if parameters["threads"]:
        environment |= dict.fromkeys(THREAD_VARIABLES, str(parameters["threads"]))
    options |= {"environment": environment, "abandoned": abandoned}
    try:
        execute_notebook(NOTEBOOK, attempt, parameters | {"out": str(folder), "config": config}, **options)
        # A run that was complete already keeps the notebook that made it.
        if read_record(folder)["finished"] != before.get("finished") or not (folder / KEPT_NOTEBOOK).exists():
            os.replace(attempt, folder / KEPT_NOTEBOOK)
        (folder / FAILED_NOTEBOOK).unlink(missing_ok=True)
    except NotebookError as error:
        kept = None
        if error.notebook and not abandoned():
            finished = (read_record(folder) or {}).get("status") == "complete"
            kept = folder / (FAILED_NOTEBOOK if finished else KEPT_NOTEBOOK)
            folder.mkdir(parents=True, exist_ok=True)
            os.replace(attempt, kept)
        raise NotebookError(error.reason, kept, error.exit_code) from None


def gpu_names(gpus: list[int], jobs_per_gpu: int) -> list[str]:
    """Name the GPU of each run at a time, for `CUDA_VISIBLE_DEVICES`: in turn, so that a few runs spread over all.

    GPUs are counted as this process sees them.
    """
    visible = [name for name in os.environ.get(GPU_VARIABLE, "").split(",") if name]
    return [visible[gpu] if visible else str(gpu) for gpu in gpus] * jobs_per_gpu


def check_gpus(gpus: list[int], runs: list[PlannedRun]) -> None:
    """Refuse GPUs that are not there, and runs that choose their GPU themselves."""
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
