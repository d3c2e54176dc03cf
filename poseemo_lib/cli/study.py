"""The command that runs a study."""

from pathlib import Path
from typing import Annotated

import typer

from poseemo_lib.cli.shared import CONTINUES, Cluster, Resource, read_resources, say, short_path, stoppable
from poseemo_lib.errors import PoseemoError, UsageError

app = typer.Typer()


@app.command()
def study(
    file: Annotated[Path, typer.Argument(help="A study file, e.g. parameters/studies/demo.yaml.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the runs; default: runs/<name of the study>.")] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Number of runs at the same time; default: one per core, or one on a GPU.")
    ] = None,
    gpus: Annotated[str | None, typer.Option(help="GPUs to use, e.g. 0,1; each run uses one of them.")] = None,
    jobs_per_gpu: Annotated[int, typer.Option(min=1, help="Number of runs at the same time on each GPU.")] = 1,
    cluster: Cluster = None,
    resource: Resource = None,
    only: Annotated[str | None, typer.Option(metavar="CONFIG[,CONFIG]", help="Run only these configs.")] = None,
    status: Annotated[bool, typer.Option("--status", help="Show the state of every run and exit.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the missing runs and exit.")] = False,
) -> None:
    """Run a study: train every config with every seed. The same command resumes an interrupted study.

    A complete run is repeated only if its code, parameters or data changed. A failed run keeps its notebook, and the
    others continue. Several processes, also on hosts that share the folder, can work on one study together.

    Example: poseemo study parameters/studies/demo.yaml --jobs 2

    Two runs on each of two GPUs: poseemo study STUDY.yaml --gpus 0,1 --jobs-per-gpu 2

    On a Dask cluster: poseemo study STUDY.yaml --cluster tcp://10.0.0.1:8786 --resource GPU=1
    """
    from poseemo_lib.studies.engine import Engine
    from poseemo_lib.studies.plan import load_study, look_at_runs, plan_runs
    from poseemo_lib.studies.study import PACKAGES, PRELOAD, check_gpus, default_jobs, gpu_names, write_plan

    with stoppable(CONTINUES):
        gpu_list = _check_together(jobs, gpus, jobs_per_gpu, cluster)
        resources = read_resources(resource, cluster, "--gpus")
        plan = load_study(file)
        out = (out or Path("runs") / plan.name).resolve()
        configs = _configs(only, plan)
        if status or dry_run:
            runs, fault = look_at_runs(plan, file, out)
            _preview([run for run in runs if run.config in configs], fault, status)
            return
        if gpu_list:
            check_gpus(gpu_list, [])  # before a dataset is made for them
        runs = plan_runs(plan, file, out)
        chosen = [run for run in runs if run.config in configs]
        todo = sum(not run.complete for run in chosen)
        say(f"{plan.name}: {len(chosen)} runs, {len(chosen) - todo} complete, {todo} to make, in {out}")
        if todo:
            if gpu_list:
                check_gpus(gpu_list, chosen)
            names = gpu_names(gpu_list, jobs_per_gpu)
            options = {"cluster": cluster, "resources": resources, "packages": PACKAGES, "preload": PRELOAD}
            with Engine(len(names) or jobs or default_jobs(), gpus=names, **options) as engine:
                say(engine.describe())
                _make(runs, chosen, todo, out, engine, configs)
        else:
            write_plan(runs, out)
        if left := sum(not run.complete for run in runs):
            say(f"{plan.name}: the chosen configs are complete; {left} of {len(runs)} runs of the study are not")
        else:
            say(f"{plan.name}: complete; `poseemo report {short_path(out)}` makes the report")


def _make(runs: list, chosen: list, todo: int, out: Path, engine, configs: set[str]) -> None:
    from poseemo_lib.studies.status import Display
    from poseemo_lib.studies.study import execute_study

    with Display([1.0] * todo, "runs") as display:
        outcome = execute_study(runs, out, engine, only=configs, ended=lambda run, end: display.ended(run.name, end))
    if outcome.failed:
        say("Failed:")
        for run, result in outcome.failed:
            say(f"  {run.name}: {result.error}\n    notebook: {result.notebook or 'none'}")
        raise PoseemoError(
            f"{len(outcome.failed)} of {len(chosen)} runs failed (see above); the others are in {short_path(out)}, "
            "and the same command tries these again"
        )
    if outcome.elsewhere:
        say(f"{len(outcome.elsewhere)} of {len(chosen)} runs were made by another process")


def _preview(runs: list, fault: str, status: bool) -> None:
    from rich.console import Console

    from poseemo_lib.studies.status import run_state, status_table

    if fault:
        say(f"{fault}; so no run can be complete")
    if status:
        Console().print(status_table(runs))
        return
    for run in runs:
        if not run.complete:
            say(f"{run.name}: {run_state(run)}, would be made in {short_path(run.folder)}")


def _check_together(jobs: int | None, gpus: str | None, jobs_per_gpu: int, cluster: str | None) -> list[int]:
    """Refuse options that exclude each other; return the numbers of --gpus."""
    numbers = gpus.split(",") if gpus is not None else []
    if not all(number.strip().isdecimal() for number in numbers) or len(set(numbers)) != len(numbers):
        raise UsageError(f"--gpus: wanted different numbers such as 0,1, got {gpus!r}")
    if gpus and jobs:
        raise UsageError("--jobs: with --gpus say --jobs-per-gpu instead")
    if jobs_per_gpu > 1 and not gpus:
        raise UsageError("--jobs-per-gpu: wants --gpus too, e.g. --gpus 0,1")
    if cluster and (jobs or gpus):
        raise UsageError("--cluster: its workers say how many runs they take; leave --jobs and --gpus out")
    return [int(number) for number in numbers]


def _configs(only: str | None, plan) -> set[str]:
    from poseemo_lib.text import nearest

    names = [name.strip() for name in only.split(",")] if only else list(plan.configs)
    for name in names:
        if name not in plan.configs:
            raise UsageError(f"--only: {name}: unknown config; {nearest(name, plan.configs)}")
    return set(names)
