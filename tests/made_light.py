"""A study whose notebook trains nothing: what happens around a run is tested in seconds.

A run of the config `slow` waits until the file `go` lies beside the notebook, a run of `bad` fails. `main` is the
`poseemo` command for such a study; its process and its workers find the notebook through a variable.
"""

import io
import os
import sys
from pathlib import Path

from rich.console import Console

from poseemo_lib.studies import study
from poseemo_lib.studies.status import status_table
from poseemo_lib.training.parameters import RunParameters

FOLDER = "POSEEMO_LIGHT_NOTEBOOK"  # environment variable
PRELOAD = (__name__,)
RUN = """
import json, os, pathlib, time
folder = pathlib.Path(out)
folder.mkdir(parents=True, exist_ok=True)
runs = json.loads((folder.parents[1] / "study.json").read_text())["runs"]
(identity,) = [run["identity"] for run in runs if run["config"] == config]
record = {"status": "running", "identity": identity, "config": config, "parameters": {}}
(folder / "run.json").write_text(json.dumps(record))
(folder / "kernel").write_text(str(os.getpid()))
while config == "slow" and not pathlib.Path("go").exists():
    time.sleep(0.05)
failed = {"status": "failed", "error": "the loss is not finite", "finished": str(time.time())}
complete = {"status": "complete", "finished": str(time.time())}
(folder / "run.json").write_text(json.dumps(record | (failed if config == "bad" else complete)))
assert config != "bad", "the loss is not finite"
"""


def write_notebook(folder, *cells, tag="parameters", name="n.ipynb"):
    """Write a notebook of cells of code, whose first holds the parameters."""
    import nbformat  # takes a second, which a command does not need

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    if tag:
        notebook.cells[0].metadata["tags"] = [tag]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / name)
    return folder / name


def write_training_notebook(folder, *cells):
    """Write one with the parameters of `03_train.ipynb`."""
    names = [*RunParameters.model_fields, "out", "config"]
    return write_notebook(folder, "\n".join(f"{name} = None" for name in names), *cells, name="03_train.ipynb")


def use_light_notebook():
    sys.modules.setdefault("rfc3987_syntax", None)  # see conftest.py
    study.NOTEBOOK = str(Path(os.environ[FOLDER], "03_train.ipynb"))
    study.PRELOAD = PRELOAD


def dask_setup(worker):
    use_light_notebook()


def main():
    from poseemo_lib.cli.__main__ import main

    use_light_notebook()
    sys.argv[0] = "poseemo"
    main()


def printed_states(runs):
    """Print the table of states and read it again: config -> numbers as text."""
    text = io.StringIO()
    Console(file=text, width=100).print(status_table(runs))
    return {row.split()[0]: row.split()[1:] for row in text.getvalue().splitlines()}


def litter(out):
    return [path for pattern in (".notebook-*", ".tmp-*") for path in out.rglob(pattern)]
