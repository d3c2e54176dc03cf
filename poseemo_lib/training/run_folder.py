"""The run folder: everything that one training writes, readable without this code.

`runs/<study>/<config>/seed-<k>/`, or `runs/<study>/<config>/fold-<fold>/seed-<k>/` where a config has folds, holds
`run.json`, `split.parquet`, `history.csv`, `predictions.parquet`, `metrics.json`, `calibration.json`,
`training_statistics.json`, `weights.safetensors` (models) or `baseline.skops` (baselines), and `notebook.ipynb`;
`checkpoint.pt` is there while it runs.
Every file is written under a temporary name and renamed, and the status `complete` is written last.
"""

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from poseemo_lib import __version__
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.files import PACKAGE, collect_files, hash_code, module_file
from poseemo_lib.paths import PROJECT
from poseemo_lib.text import first_line

RUN_FILE = "run.json"
# In a study's folder: which runs it consists of.
STUDY_FILE = "study.json"
# Environment variable of a kernel: the run folder that the process that started it has locked for it.
HELD = "POSEEMO_LOCKED_FOLDER"
# Parameters that say where a run works and how many others there are, not what it computes.
PLACE_PARAMETERS = ("dataset", "device", "threads", "repeats")


def now() -> str:
    """Time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@cache
def library_commit() -> str:
    """Commit of the project's checkout, `-dirty` where the library differs from it, or an empty text."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(PROJECT), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "poseemo_lib", "notebooks")
        return git("rev-parse", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


@cache
def numeric_versions() -> dict[str, str]:
    """Versions of the libraries whose arithmetic decides a run's numbers; the kind of build (`+cpu`) is left out."""
    return {name: version(name).partition("+")[0] for name in ("torch", "numpy", "numba", "scikit-learn", "sktime")}


def run_identity(parameters: dict, dataset_hash: str, split_hash: str) -> str:
    """Hash everything that decides a run's numbers: two runs with the same identity are the same run.

    That is the version and the code of the library, the versions of the libraries that it computes with, the data, and
    all parameters except :data:`PLACE_PARAMETERS`. Returns 64 hexadecimal digits.
    """
    kept = {name: value for name, value in parameters.items() if name not in PLACE_PARAMETERS}
    code = code_hash(parameters["architecture"])
    text = json.dumps([__version__, numeric_versions(), code, kept, dataset_hash, split_hash], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def code_hash(architecture: str) -> str:
    """Hash the code that a run of a model or a baseline executes: 64 hexadecimal digits.

    That is preparation, features, training, scoring and the architecture's own file, with everything that they import
    from this library, without comments, docstrings and layout.
    """
    from poseemo_lib.models import MODELS

    roots = ["training/batching.py", "training/fit.py"]
    if architecture in MODELS:
        own = module_file(MODELS[architecture].__module__).relative_to(PACKAGE)
        roots += [own, "models/standardised.py"]
    else:
        roots += ["training/baselines.py"]
    # What else run and inputs import reads data and does not count; of the parameters only the values do.
    uncounted = {PACKAGE / "training/parameters.py", PACKAGE / "files.py"}
    files = {PACKAGE / "training/run.py", PACKAGE / "training/inputs.py", *uncounted}
    for root in roots:
        collect_files(PACKAGE / root, files)
    return hash_code(files - uncounted)


def read_record(folder: Path) -> dict | None:
    """Read a folder's `run.json`; None where it is missing, damaged or lacks a run's keys."""
    try:
        record = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # no file, no text, or no JSON
        return None
    if isinstance(record, dict) and "cell" in record:  # what older runs call it
        record["config"] = record.pop("cell")
    sound = isinstance(record, dict) and record.keys() >= {"status", "identity", "parameters", "config"}
    return record if sound and isinstance(record["parameters"], dict) else None


def is_complete(folder: Path, identity: str) -> bool:
    """Tell whether a folder holds the completed run of that identity."""
    record = read_record(folder)
    return record is not None and record["status"] == "complete" and record["identity"] == identity


def set_aside(folder: Path) -> None:
    """Move a run to `.stale/` beside it, so that nothing is overwritten."""
    if (folder / RUN_FILE).exists():
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        target = folder.parent / ".stale" / f"{folder.name}-{stamp}"
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(folder, target)


class BusyError(PoseemoError):
    """Another process is working on a run."""


def _lock(folder: Path) -> FileLock:
    """Make the lock of a run folder, beside the folder, which may be set aside while it is locked."""
    return FileLock(folder.parent / f".lock-{folder.name}", blocking=False)


@contextmanager
def locked(folder: Path):
    """Lock a run folder for this process; the lock ends with the process, also when that is killed.

    Raises
    ------
    BusyError
        Another process has locked the folder.
    PoseemoError
        The folder cannot be written, or its file system has no locks.
    """
    folder = folder.absolute()
    if os.environ.get(HELD) == str(folder):
        yield
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = _lock(folder)
        lock.acquire()
    except Timeout:
        raise BusyError(f"{folder}: another process is working on this run; wait for it or stop it") from None
    except OSError as error:
        raise PoseemoError(f"{folder.parent}: {error.strerror}; wanted a folder to write and lock in") from None
    try:
        yield
    finally:
        lock.release()


def is_busy(folder: Path) -> bool:
    """Tell whether a process is working on a run; leaves no file behind."""
    lock = _lock(folder)
    if not Path(lock.lock_file).exists():
        return False
    try:
        with lock:
            return False
    except (Timeout, OSError):
        return True


def read_or_explain(reader: Callable, path: Path):
    """Read a file of a run; a PoseemoError that says what to do where it cannot be read."""
    try:
        return reader(path)
    except Exception as error:  # a damaged file fails in any part of Arrow, skops, zlib and safetensors
        fault = (getattr(error, "strerror", None) or first_line(error)).rstrip(".")
        raise PoseemoError(
            f"{path}: cannot be read ({fault}); remove the run's folder and start the study again"
        ) from None


@dataclass(frozen=True)
class Run:
    """A completed run: its folder, and its record (`run.json`)."""

    folder: Path
    record: dict

    @property
    def config(self) -> str:
        """The study's config."""
        return self.record["config"]

    @property
    def seed(self) -> int:
        """The seed."""
        return self.record["parameters"]["seed"]

    @property
    def fold(self) -> str:
        """The test group of a run with folds, or its repeat and fold, as `1-2`; otherwise empty."""
        return self.record["parameters"]["fold"]

    @property
    def repeat(self) -> int:
        """The number of its repeat of a cross-validation; 0 where there is none."""
        return repeat_of(self.record["parameters"])

    def predictions(self, split: str = "test") -> pd.DataFrame:
        """Read the predictions of `val` or `test`: one row a clip, one probability a class (`p_<class>`)."""
        table = self._read(pd.read_parquet, "predictions.parquet")
        return table[table["split"] == split].reset_index(drop=True)

    def split(self) -> pd.DataFrame:
        """Read which clip was in which split: clip_id, part (train, val or test), label, group_id, source_id."""
        return self._read(pd.read_parquet, "split.parquet")

    def _read(self, reader: Callable, name: str):
        return read_or_explain(reader, self.folder / name)

    def history(self) -> pd.DataFrame:
        """Read the history, one row an epoch; empty for a baseline."""
        path = self.folder / "history.csv"
        if not path.exists():
            return pd.DataFrame()
        return self._read(pd.read_csv, path.name)

    def metrics(self) -> dict:
        """Read `metrics.json`."""
        return self.read_json("metrics.json")

    def calibration(self) -> dict | None:
        """Read `calibration.json`; None where the run was made without it."""
        return self.read_json("calibration.json") if (self.folder / "calibration.json").exists() else None

    def read_json(self, name: str) -> dict:
        """Read a JSON file of the run."""
        return self._read(lambda path: json.loads(path.read_text(encoding="utf-8")), name)


def _check_complete(path: Path, record: dict) -> None:
    """Raise where the record of a completed run lacks what every run has."""
    kinds = {"classes": list, "leaks": dict}
    missing = [name for name, kind in kinds.items() if not isinstance(record.get(name), kind)]
    wanted = {"parameters": ("seed", "fold", "architecture"), "dataset": ("name", "content_hash", "synthetic")}
    missing += [f"{key}.{name}" for key, names in wanted.items() for name in names if name not in record.get(key, {})]
    if missing:
        raise PoseemoError(
            f"{path}: wanted the record of a completed run, missing or damaged: {', '.join(missing)}; remove the run's "
            "folder and start the study again"
        )


def repeat_of(parameters: dict) -> int:
    """Return the number of a run's repeat of a cross-validation; 0 where there is none."""
    return int(parameters["fold"].partition("-")[0]) if parameters.get("folds") else 0


def find_runs(root: str | Path) -> tuple[list[Run], list[Path]]:
    """Find the runs below a folder: the complete ones, by name, and the folders of the others.

    Raises
    ------
    UsageError
        The folder does not exist or holds no run.
    PoseemoError
        The record of a completed run lacks something.
    """
    root = Path(root)
    if not root.is_dir():
        raise UsageError(f"{root}: wanted a folder of runs, found none; make one with `poseemo study`")
    complete, others = [], []
    for path in sorted(root.rglob(RUN_FILE)):
        if any(part.startswith(".") for part in path.relative_to(root).parts):
            continue
        record = read_record(path.parent)
        if record and record.get("status") == "complete":
            _check_complete(path, record)
            complete.append(Run(path.parent, record))
        else:
            others.append(path.parent)
    if not complete and not others:
        raise UsageError(f"{root}: wanted run folders (with {RUN_FILE}), found none; make them with `poseemo study`")
    return complete, others
