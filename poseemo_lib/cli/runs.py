"""Commands about single runs, the models, and the report."""

import json
from pathlib import Path
from typing import Annotated

import typer

from poseemo_lib.cli.shared import DatasetArgument, read_pairs, say, stoppable
from poseemo_lib.errors import UsageError

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
    from poseemo_lib.data.recipes import ensure_dataset
    from poseemo_lib.files import read_yaml
    from poseemo_lib.studies.run_process import execute_run_notebook
    from poseemo_lib.training.parameters import check_parameters, describe_parameters

    if list_parameters:
        for name, kind, default, text in describe_parameters():
            say(f"{name:24} {kind:20} {default!r:12} {text}")
        return
    values = (read_yaml(file) if file else {}) | read_pairs(option or [], "-p", parse=True) | {"dataset": dataset}
    parameters = check_parameters(values, str(file or "-p"))
    ensure_dataset(dataset)
    config = file.stem if file else parameters.architecture
    folder = Path(out) if out else Path("runs") / "train" / Path(dataset).name / config / f"seed-{parameters.seed}"
    execute_run_notebook(parameters, folder.resolve(), config, show_output=True)
    say(f"{folder}: complete; notebook.ipynb in it shows how")


@app.command()
def report(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of studies' runs, e.g. runs/demo; the report is about the first.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("report"),
    base: Annotated[str, typer.Option(help="CONFIG that all others are compared with, e.g. extra_trees.")] = "",
    figures: Annotated[Path | None, typer.Option(help="Folder of the figures; default: OUT/figures.")] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Also print the page to report.pdf (needs Chromium).")] = False,
) -> None:
    """Make the report of a study: sixteen figures, two cards, and one HTML file that opens offline.

    Further studies fill the panels that the first leaves empty: an ablation, regimes against uneven classes, a leak.

    Example: poseemo report runs/architectures runs/ablations runs/imbalance runs/leakage --out report
    """
    with stoppable("the report before is untouched"):
        from poseemo_lib.report.report import make_report

        page = make_report(runs, out, base, figures=figures or "", pdf=pdf)
    say(f"{page}: open it in a browser")
    say(f"figures in {figures or page.parent / 'figures'}; model_card.md and dataset_card.md beside the page")


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="One of them; default: all.")] = None,
    option: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE, a hyper-parameter of NAME that differs.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the architectures: size, cost, measured time, hyper-parameters.

    Example: poseemo models bilstm --set hidden=256 --set layers=2
    """
    import torch

    from poseemo_lib.models import MODELS
    from poseemo_lib.models.cost import cost_of, describe_cpu
    from poseemo_lib.training.parameters import BASELINE_NAMES, check_parameters, is_baseline

    changes = read_pairs(option or [], "--set", parse=True)
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
    say("One window of 64 frames, 7 classes. Time: milliseconds a window, alone and in batches of 32, median;")
    say(f"measured now with torch {measured['torch']}, 1 thread, {measured['processor']}.")
    say(f"\n{'model':18} {'parameters':>12} {'multiply-adds':>15} {'ms alone':>9} {'ms in 32':>9}")
    for row in rows:
        say(
            f"{row['model']:18} {row['parameters']:12,} {row['multiply_adds']:15,} "
            f"{row['ms_alone']:9.2f} {row['ms_in_32']:9.2f}"
        )
        say(f"    {', '.join(f'{key}={value}' for key, value in row['hyper_parameters'].items())}")
    if not name:
        say(f"baselines: {', '.join(BASELINE_NAMES)}")
