"""Commands about single runs, the models, and the report."""

from pathlib import Path
from typing import Annotated

import typer

from poseemo_lib.commands.shared import DatasetArgument, read_pairs, say

app = typer.Typer()


@app.command()
def train(
    dataset: DatasetArgument,
    file: Annotated[Path | None, typer.Option("-f", "--file", help="YAML with the parameters that differ.")] = None,
    option: Annotated[list[str] | None, typer.Option("-p", "--set", help="KEY=VALUE, goes before the file.")] = None,
    out: Annotated[str | None, typer.Option(help="Run folder; default: runs/train/<dataset>/<name>/seed-<k>.")] = None,
    list_parameters: Annotated[bool, typer.Option("--parameters", help="List all parameters and stop.")] = False,
) -> None:
    """Make one run: split, audit, train, evaluate, save.

    Example: poseemo train demo -f parameters/architectures/bilstm.yaml -p epochs=20 -p seed=1
    """
    from poseemo_lib.parameters import check_parameters, describe_parameters, read_yaml
    from poseemo_lib.recipes import ensure_dataset
    from poseemo_lib.study import execute_run_notebook

    if list_parameters:
        for name, kind, default, text in describe_parameters():
            say(f"{name:24} {kind:20} {default!r:12} {text}")
        return
    values = (read_yaml(file) if file else {}) | read_pairs(option or [], "-p", parse=True) | {"dataset": dataset}
    parameters = check_parameters(values, str(file or "-p"))
    ensure_dataset(dataset)
    cell = file.stem if file else parameters.architecture
    folder = Path(out) if out else Path("runs") / "train" / Path(dataset).name / cell / f"seed-{parameters.seed}"
    execute_run_notebook(parameters, folder.resolve(), cell, show_output=True)
    say(f"{folder}: complete; notebook.ipynb in it shows how")


@app.command()
def report(
    runs: Annotated[Path, typer.Argument(help="Folder of a study's runs, e.g. runs/demo.")],
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("report"),
) -> None:
    """Make the report of a study: figures and one HTML file that opens offline.

    Example: poseemo report runs/demo --out report
    """
    from poseemo_lib.report import make_report

    page = make_report(runs, out)
    say(f"{page}: open it in a browser")


@app.command()
def models() -> None:
    """List the architectures, with their numbers of parameters and their hyper-parameters."""
    from poseemo_lib.models import MODELS, build_model, hyper_parameters
    from poseemo_lib.parameters import BASELINE_NAMES

    for name in MODELS:
        count = sum(p.numel() for p in build_model(name).parameters())
        settings = ", ".join(f"{key}={value!r}" for key, value in hyper_parameters(name).items())
        say(f"{name:20} {count:>10,} parameters   {settings}")
    say(f"baselines: {', '.join(BASELINE_NAMES)}")
