"""What a run of a study takes beside its training: processes, imports, kernel, data, saving."""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from common import Options, Row, in_child, in_turns, rows_of, shares_of

SUBJECT = "run_overhead"
# Configs of the training notebook by what stands in them, and what they are called here.
CONFIGS = {
    "check_parameters(": "check of the parameters",
    "load_inputs(": "dataset",
    "execute_run(": "training cell",
    "learning_curves(": "plot of the curves",
    "confusion_matrix(": "plot of the confusion matrix",
    "import ": "imports of the notebook",
}
IMPORTS = (
    "torch",
    "pandas",
    "sklearn.metrics",
    "matplotlib.pyplot",
    "papermill",
    "poseemo_lib.cli.__main__",
    "poseemo_lib.studies.run_process",
    "poseemo_lib.training.inputs",
    "poseemo_lib.training.run",
    "poseemo_lib.plots",
)
GOAL = "goal: under 3 s on 1,000 clips"


def measure(options: Options) -> Iterator[Row]:
    """Measure every row of this subject."""
    yield from imports(options)
    with tempfile.TemporaryDirectory(prefix="poseemo-benchmark-") as folder:
        place = Place(Path(folder), options)
        yield from ways(place, options)
        yield from parts(place, options)


def imports(options: Options) -> Iterator[Row]:
    """Time imports in fresh processes, held against that of torch."""
    names = IMPORTS[:2] if options.quick else IMPORTS
    arms = {name: lambda name=name: in_child("run_overhead", "import_module", name=name)["result"] for name in names}
    values = in_turns(arms, options.turns(3))
    yield from shares_of(SUBJECT, "import in a fresh process", "s", values)


def import_module(name: str) -> float:
    """Import a module; return the seconds that it took."""
    start = time.perf_counter()
    __import__(name)
    return time.perf_counter() - start


class Place:
    """A dataset and orders for short runs of it.

    Parameters
    ----------
    folder : Path
    options : Options
    """

    def __init__(self, folder: Path, options: Options):
        from poseemo_lib.data.synthetic import write_synthetic_dataset
        from poseemo_lib.training.inputs import load_inputs
        from poseemo_lib.training.parameters import check_parameters

        self.folder, self.number = folder, 0
        write_synthetic_dataset(folder / "data", options.size(1000, 120), n_groups=options.size(100, 12))
        values = {
            "dataset": str(folder / "data"),
            "epochs": 1,
            "choose_after": 0,
            "threads": 1,
            "architecture": "bilstm",
        }
        self.parameters = check_parameters(values | {"device": options.device})
        self.identity = load_inputs(self.parameters).identity  # and the audit, which the first run of a study makes

    def order(self):
        """Give the order for another run."""
        from poseemo_lib.studies.run_process import Order

        self.number += 1
        return Order(self.parameters.model_dump(), str(self.last()), "config", self.identity)

    def last(self) -> Path:
        """Name the folder of the run that was ordered last."""
        return self.folder / "runs" / "config" / f"seed-{self.number}"


def ways(place: Place, options: Options) -> Iterator[Row]:
    """Compare ways to make the same run, wall time of one run."""
    from poseemo_lib.studies.run_process import RunProcess

    process = RunProcess()
    arms = {
        "warm kernel (a study's run)": lambda: _made(place, process.make),
        "cold kernel": lambda: _made(place, _make_cold),
        "fresh process, no kernel": lambda: _fresh(place),
        "training alone": lambda: _training_seconds(place),
    }
    if options.quick:
        del arms["fresh process, no kernel"]
    try:
        values = in_turns(arms, 1 if options.quick else options.turns(5), warm=not options.quick)
        yield from rows_of(SUBJECT, "one run of 1 epoch", "s", values)
    finally:
        process.stop()


def _made(place: Place, make: Callable) -> float:
    order = place.order()
    start = time.perf_counter()
    result = make(order)
    if result.state != "done":
        raise RuntimeError(f"{result.state}: {result.error}")
    return time.perf_counter() - start


def _make_cold(order):
    from poseemo_lib.studies.run_process import make_run

    before = dict(os.environ)
    try:
        return make_run(order)
    finally:
        os.environ.clear()
        os.environ.update(before)


def make_plainly(order: dict) -> None:
    """Make a run in this process, without a notebook."""
    import torch

    from poseemo_lib.training.inputs import load_inputs
    from poseemo_lib.training.parameters import check_parameters
    from poseemo_lib.training.run import execute_run

    torch.set_num_threads(1)
    parameters = check_parameters(order["parameters"])
    execute_run(parameters, order["folder"], config=order["config"], inputs=load_inputs(parameters))


def _fresh(place: Place) -> float:
    order = vars(place.order())
    start = time.perf_counter()
    in_child("run_overhead", "make_plainly", order=order)
    return time.perf_counter() - start


def _training_seconds(place: Place) -> float:
    """Seconds of the epochs of the run that was made last, as its history has them."""
    return _epochs(place.last())


def _epochs(folder: Path) -> float:
    import pandas as pd

    return float(pd.read_csv(folder / "history.csv")["seconds"].sum())


def parts(place: Place, options: Options) -> Iterator[Row]:
    """Split a study's run into parts, by the times that its executed notebook keeps; `A / B` is the part's share."""
    from poseemo_lib.studies.run_process import RunProcess

    values: dict[str, list[float]] = {}
    for _ in range(1 if options.quick else options.turns(5)):
        process = RunProcess()
        try:
            first = 0.0 if options.quick else _made(place, process.make)
            whole = _made(place, process.make)
        finally:
            process.stop()
        found = {"whole run": whole, "start of the run process, and of what forks its kernels": max(first - whole, 0.0)}
        found |= notebook_parts(place.last(), whole)
        for name, seconds in found.items():
            values.setdefault(name, []).append(seconds)
    yield from shares_of(SUBJECT, "parts of a study's run", "s", values, "the process starts once in a study")
    training = values["training"]
    beside = [all_of - one for all_of, one in zip(values["whole run"], training, strict=True)]
    yield from rows_of(SUBJECT, "a study's run", "s", {"all but training": beside, "training": training}, GOAL)


def notebook_parts(folder: Path, whole: float) -> dict[str, float]:
    """Read where the time of a run went from its executed notebook, its record and its history.

    Parameters
    ----------
    folder : Path
        Of a run that a study made.
    whole : float
        Seconds of the whole run.

    Returns
    -------
    dict of str to float
        Seconds by part.
    """
    notebook = json.loads((folder / "notebook.ipynb").read_text(encoding="utf-8"))
    about = notebook["metadata"]["papermill"]
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    timed = [(_name(cell), cell["metadata"]["papermill"]) for cell in cells]
    training, record = _epochs(folder), json.loads((folder / "run.json").read_text(encoding="utf-8"))
    found = {"training": training}
    for name, when in timed:
        found[name] = found.get(name, 0.0) + when["duration"]
    config = found.pop("training cell")
    found["run beside its epochs (build, predict, save)"] = record["seconds"] - training
    found["git, lock, record"] = config - record["seconds"]
    found["kernel start"] = _between(about["start_time"], timed[0][1]["start_time"])
    found["kernel end"] = _between(timed[-1][1]["end_time"], about["end_time"])
    found["between cells"] = about["duration"] - sum(found.values())
    found["papermill's import, checks, moving"] = whole - about["duration"]
    return found


def _name(cell: dict) -> str:
    source = "".join(cell["source"])
    if "injected-parameters" in cell["metadata"].get("tags", []):
        return "other cells"
    return next((name for mark, name in CONFIGS.items() if mark in source), "other cells")


def _between(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
