"""Commands about single runs, the models, and the report."""

import json
from pathlib import Path
from typing import Annotated

import typer

from poseemo_lib.cli.shared import CONTINUES, DatasetArgument, print_table, read_pairs, say, stoppable
from poseemo_lib.errors import UsageError

app = typer.Typer()


@app.command()
def train(
    dataset: DatasetArgument,
    file: Annotated[
        Path | None, typer.Option("-f", "--file", help="YAML file with the parameters that differ from the defaults.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option("-p", "--set", help="KEY=VALUE, overrides the file; repeatable.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; default: runs/train/<dataset>/<name>/seed-<k>.")
    ] = None,
    list_parameters: Annotated[bool, typer.Option("--parameters", help="List all parameters and exit.")] = False,
) -> None:
    """Train and test one model on a dataset.

    The dataset is split by group and checked for leaks first. The run folder then holds weights, predictions, metrics
    and the executed notebook. A run that was interrupted continues from its last checkpoint.

    Example: poseemo train demo -f parameters/architectures/bilstm.yaml -p epochs=20 -p seed=1
    """
    import pandas as pd

    from poseemo_lib.data.recipes import ensure_dataset
    from poseemo_lib.files import read_yaml
    from poseemo_lib.studies.study import execute_run
    from poseemo_lib.training.parameters import check_parameters, describe_parameters

    if list_parameters:
        rows = [(name, kind, repr(default), text) for name, kind, default, text in describe_parameters()]
        print_table(pd.DataFrame(rows, columns=["parameter", "values", "default", "meaning"]))
        return
    values = (read_yaml(file) if file else {}) | read_pairs(option, "-p") | {"dataset": dataset}
    parameters = check_parameters(values, f"{file} or -p" if file and option else str(file or "-p"))
    ensure_dataset(dataset)
    config = file.stem if file else parameters.architecture
    folder = out or Path("runs", "train", Path(dataset).name, config, f"seed-{parameters.seed}")
    with stoppable(CONTINUES):
        execute_run(parameters, folder.resolve(), config, show_output=True)
    say(f"complete: {folder}; its notebook.ipynb shows the training")


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of studies; the report is about the first.")],
    out: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("report"),
    base: Annotated[str, typer.Option(help="Compare all configs with this one, e.g. extra_trees.")] = "",
    figures: Annotated[Path | None, typer.Option(help="Folder for the figures; default: OUT/figures.")] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Also write report.pdf (needs Chromium).")] = False,
) -> None:
    """Write the report of a study: figures, a model card, a dataset card, and one HTML page that opens offline.

    Further studies add what the first does not have: an ablation, the handling of class imbalance, a leaky split.

    Example: poseemo report runs/architectures runs/ablations runs/imbalance runs/leakage --out report
    """
    with stoppable("the previous report is untouched"):
        from poseemo_lib.report.report import make_report

        page = make_report(runs, out, base, figures=figures or "", pdf=pdf)
    say(f"wrote {page}: open it in a browser")
    say(f"wrote model_card.md and dataset_card.md beside it, and figures in {figures or page.parent / 'figures'}")


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="One architecture; default: all.")] = None,
    option: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE: a hyper-parameter; repeatable.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the architectures with their size, cost and hyper-parameters, and time them on this machine.

    Example: poseemo models bilstm --set hidden=256 --set layers=2
    """
    import pandas as pd
    import torch

    from poseemo_lib.models import MODELS
    from poseemo_lib.models.cost import cost_of, describe_cpu
    from poseemo_lib.training.parameters import BASELINE_NAMES, check_parameters, is_baseline

    changes = read_pairs(option, "--set")
    if changes and name is None:
        raise UsageError("--set: wanted the NAME of a model with it, as in `poseemo models bilstm --set hidden=256`")
    if name and is_baseline(name):
        raise UsageError(f"{name}: a baseline; wanted one of {', '.join(MODELS)}")
    if name:
        changes = check_parameters({"architecture": name, "model": changes}, "--set" if changes else "NAME").model
    measured = {"torch": torch.__version__, "threads": 1, "processor": describe_cpu()}
    rows = (cost_of(one, **changes) for one in ([name] if name else MODELS))
    if as_json:
        say(json.dumps({"measured_with": measured, "models": list(rows)}, indent=2))
        return
    table = pd.DataFrame(
        {
            "model": row["model"],
            "parameters": f"{row['parameters']:,}",
            "multiply-adds": f"{row['multiply_adds']:,}",
            "ms alone": f"{row['ms_alone']:.2f}",
            "ms in 32": f"{row['ms_in_32']:.2f}",
            "hyper-parameters": ", ".join(f"{key}={value}" for key, value in row["hyper_parameters"].items()),
        }
        for row in rows
    )
    say("For one window of 64 frames and 7 classes. Time: median milliseconds a window, alone and in a batch of 32,")
    say(f"measured now with torch {measured['torch']}, 1 thread, {measured['processor']}.\n")
    print_table(table, numbers=("parameters", "multiply-adds", "ms alone", "ms in 32"))
    if not name:
        say(f"\nbaselines: {', '.join(BASELINE_NAMES)}")
