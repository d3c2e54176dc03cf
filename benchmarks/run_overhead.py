"""What a run takes besides its training: processes, imports, kernel, data, saving."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from common import Options, Row, in_child, in_turns, rows_of, seconds_of, shares_of

SUBJECT = "run_overhead"
# What stands in a cell of the training notebook, and what the cell is called here.
CELLS = {
    "check_parameters(": "check of the parameters",
    "load_inputs(": "dataset",
    "train_run(": "training cell",
    "learning_curves(": "plot of the curves",
    "confusion_matrix(": "plot of the confusion matrix",
    "import ": "imports of the notebook",
}


def measure(options: Options) -> Iterator[Row]:
    """Compare a run by its command with the same run without a kernel, and split it into parts."""
    from poseemo_lib.data.synthetic import write_synthetic_dataset
    from poseemo_lib.training.inputs import load_inputs
    from poseemo_lib.training.parameters import check_parameters

    with tempfile.TemporaryDirectory(prefix="poseemo-benchmark-") as name:
        data, numbers = Path(name) / "data", iter(range(10**6))
        write_synthetic_dataset(data, options.size(1000, 120), n_groups=options.size(100, 12))
        values = {"epochs": 1, "choose_after": 0, "threads": 1, "architecture": "bilstm", "device": options.device}
        load_inputs(check_parameters(values | {"dataset": str(data)}))  # and the audit, which the first run makes
        found: dict[str, list[float]] = {}

        def by_command() -> float:
            folder = Path(name) / "runs" / f"seed-{next(numbers)}"
            given = [part for key, value in values.items() for part in ("-p", f"{key}={value}")]
            command = [sys.executable, "-m", "poseemo_lib.cli", "train", str(data), "--out", str(folder), *given]
            whole = seconds_of(lambda: subprocess.run(command, check=True, capture_output=True))
            for part, seconds in ({"whole run": whole} | notebook_parts(folder, whole)).items():
                found.setdefault(part, []).append(seconds)
            return whole

        def in_a_process() -> float:
            order = {"parameters": values | {"dataset": str(data)}, "folder": f"{name}/runs/seed-{next(numbers)}"}
            return seconds_of(lambda: in_child("run_overhead", "make_plainly", **order))

        arms = {"poseemo train": by_command, "fresh process, no kernel": in_a_process}
        timed = in_turns(arms, 1 if options.quick else options.turns(5), warm=False)
    yield from rows_of(SUBJECT, "one run of 1 epoch", "s", timed)
    yield from shares_of(SUBJECT, "parts of a run", "s", found)
    besides = [whole - one for whole, one in zip(found["whole run"], found["training"], strict=True)]
    yield from rows_of(SUBJECT, "a run", "s", {"all but training": besides, "training": found["training"]})


def make_plainly(parameters: dict, folder: str) -> None:
    """Make a run in this process, without a notebook."""
    from poseemo_lib.training.parameters import check_parameters
    from poseemo_lib.training.run import train_run

    train_run(check_parameters(parameters), folder)


def notebook_parts(folder: Path, whole: float) -> dict[str, float]:
    """Read from the executed notebook, the record and the history of a run where its seconds went."""
    notebook = json.loads((folder / "notebook.ipynb").read_text(encoding="utf-8"))
    about, record = notebook["metadata"]["papermill"], json.loads((folder / "run.json").read_text(encoding="utf-8"))
    header, row = (folder / "history.csv").read_text(encoding="utf-8").splitlines()[:2]
    training = float(dict(zip(header.split(","), row.split(","), strict=True))["seconds"])
    found, cells = {"training": training}, []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            source, when = "".join(cell["source"]), cell["metadata"]["papermill"]
            name = next((name for mark, name in CELLS.items() if mark in source), "other cells")
            found[name] = found.get(name, 0.0) + when["duration"]
            cells.append(when)
    in_cell = found.pop("training cell")
    found["run besides its epochs (build, predict, save)"] = record["seconds"] - training
    found["git, lock, record"] = in_cell - record["seconds"]
    found["kernel start"] = _between(about["start_time"], cells[0]["start_time"])
    found["kernel end"] = _between(cells[-1]["end_time"], about["end_time"])
    found["between cells"] = about["duration"] - sum(found.values())
    found["command: imports, checks, moving"] = whole - about["duration"]
    return found


def _between(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
