"""A study: cells x folds x seeds -> runs, in parallel, resumable.

A study file names a dataset, the parameters that all cells share, and the cells. Every run is one execution of
`notebooks/03_train.ipynb`. A run that is complete with the same parameters, dataset, split and library version is not
made again; one that was interrupted goes on from its checkpoint; one of other parameters is set aside, not overwritten.
"""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from poseemo_lib.dataset import Dataset
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.execution import die_with_parent, execute_notebook
from poseemo_lib.parameters import RunParameters, check_parameters, nearest, read_yaml
from poseemo_lib.paths import PARAMETERS, resolve
from poseemo_lib.recipes import ensure_dataset
from poseemo_lib.runs import is_complete, read_record, run_identity, set_aside

NOTEBOOK = "03_train.ipynb"
FOLD_SPLIT = "leave_one_group_out"
# A worker that dies takes the pool with it; a run that killed its worker this often is given up.
WORKER_ATTEMPTS = 2


class Study(BaseModel):
    """What a study file holds."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, pattern=r"^[\w.-]+$")
    dataset: str = Field(min_length=1, description="a folder, or a recipe in parameters/datasets/")
    seeds: list[int] = Field([0, 1, 2], min_length=1)
    base: dict = Field({}, description="parameters of all cells")
    cells: dict[str, dict] = Field(min_length=1, description="name -> its parameters; `from`: a file; `seeds`: its own")


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study.

    Parameters
    ----------
    cell : str
    parameters : RunParameters
    folder : Path
    identity : str
    """

    cell: str
    parameters: RunParameters
    folder: Path
    identity: str

    @property
    def name(self) -> str:
        """Cell, fold and seed, for messages."""
        fold = f" fold {self.parameters.fold}" if self.parameters.fold else ""
        return f"{self.cell}{fold} seed {self.parameters.seed}"

    @property
    def complete(self) -> bool:
        """Whether its folder holds it already."""
        return is_complete(self.folder, self.identity)


@dataclass
class Outcome:
    """How a study ended: what was there, what was made, what failed and why."""

    skipped: list[PlannedRun] = field(default_factory=list)
    done: list[PlannedRun] = field(default_factory=list)
    failed: list[tuple[PlannedRun, str]] = field(default_factory=list)


def load_study(path: str | Path) -> Study:
    """Read and check a study file.

    Raises
    ------
    UsageError
        The file is missing or has an unknown or wrong key, named.
    """
    path = Path(path)
    try:
        return Study.model_validate(read_yaml(path))
    except ValidationError as error:
        raise UsageError("\n".join(_study_fault(path, one) for one in error.errors())) from None


def _study_fault(path: Path, error: dict) -> str:
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"{path}: {key}: unknown key; {nearest(key, Study.model_fields)}"
    return f"{path}: {key}: {error['msg'][0].lower()}{error['msg'][1:]}"


def plan_runs(study: Study, where: str | Path, out: str | Path, *, progress: bool = True) -> list[PlannedRun]:
    """List the runs of a study, each with its folder and identity; makes the dataset where it has a recipe.

    Parameters
    ----------
    study : Study
    where : str or Path
        The study's file, for messages and for the files that `from` names.
    out : str or Path
        Folder of the study's runs.
    progress : bool
        Show a progress bar while the dataset is made.

    Returns
    -------
    list of PlannedRun
        Seeds outermost, so that a study that is stopped has whole comparisons.

    Raises
    ------
    UsageError
        A parameter is wrong; the file, the cell and the key are named.
    """
    cells = {name: _cell_values(study, name, Path(where)) for name in study.cells}
    # A first look at all cells, before a dataset is made for them.
    for name, values in cells.items():
        check_parameters(_with_fold(values, "?"), f"{where}: cells.{name}")
    dataset = Dataset(ensure_dataset(study.dataset, progress=progress))
    table, splits = dataset.table(), {}
    runs = []
    for name, values in cells.items():
        for seed in study.cells[name].get("seeds", study.seeds):
            for fold in _folds(table, values):
                values_here = _with_fold(values, fold) | {"seed": seed, "dataset": study.dataset}
                parameters = check_parameters(values_here, f"{where}: cells.{name}")
                identity = _identity(parameters, dataset, table, splits)
                runs.append(PlannedRun(name, parameters, _folder(Path(out), name, fold, seed), identity))
    return sorted(runs, key=lambda run: run.parameters.seed)


def _cell_values(study: Study, name: str, where: Path) -> dict:
    own = dict(study.cells[name] or {})
    own.pop("seeds", None)
    source = own.pop("from", None)
    shared = dict(study.base)
    if source is not None:
        candidates = [where.parent / f"{source}", PARAMETERS / f"{source}", PARAMETERS / f"{source}.yaml"]
        found = next((path for path in candidates if path.is_file()), None)
        if found is None:
            raise UsageError(f"{where}: cells.{name}.from: wanted a parameter file, found none at {source}")
        shared |= read_yaml(found)
    return shared | own


def _folds(table, values: dict) -> list[str]:
    from poseemo_lib.splits import fold_names

    if values.get("split") != FOLD_SPLIT or values.get("fold"):
        return [values.get("fold", "")]
    return list(fold_names(table))


def _with_fold(values: dict, fold: str) -> dict:
    return values | {"fold": fold} if values.get("split") == FOLD_SPLIT else values


def _identity(parameters: RunParameters, dataset: Dataset, table, splits: dict) -> str:
    from poseemo_lib.inputs import split_dataset
    from poseemo_lib.splits import split_hash

    key = (parameters.split, parameters.split_seed, parameters.fold)
    if key not in splits:
        splits[key] = split_hash(split_dataset(dataset, parameters))
    return run_identity(parameters.model_dump(), dataset.info.content_hash, splits[key])


def _folder(out: Path, cell: str, fold: str, seed: int) -> Path:
    return out / cell / f"fold-{quote(fold, safe='')}" / f"seed-{seed}" if fold else out / cell / f"seed-{seed}"


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
    for run in missing:
        record = read_record(run.folder)
        if record is not None and record["identity"] != run.identity:
            set_aside(run.folder, out)
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
    """End a pool at once: its workers die, and their kernels with them."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.kill()


def _start_worker() -> None:
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides


def _execute_run(run: PlannedRun) -> str | None:
    os.environ["OMP_NUM_THREADS"] = str(run.parameters.threads)
    try:
        execute_run_notebook(run.parameters, run.folder, run.cell)
    except PoseemoError as error:
        return str(error)
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
    values = parameters.model_dump() | {"out": str(resolve(folder)), "cell": cell}
    if "://" not in parameters.dataset:
        values["dataset"] = ensure_dataset(parameters.dataset, progress=False)
    execute_notebook(NOTEBOOK, Path(folder) / "notebook.ipynb", values, show_output=show_output)


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
