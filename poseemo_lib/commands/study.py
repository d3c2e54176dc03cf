"""The command that makes a study's runs."""

import time
from pathlib import Path
from typing import Annotated

import typer

from poseemo_lib.commands.shared import say, short_path
from poseemo_lib.errors import PoseemoError

app = typer.Typer()


@app.command()
def study(
    file: Annotated[Path, typer.Argument(help="A study, e.g. parameters/studies/demo.yaml.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the runs; default: runs/<name of the study>.")] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Runs at a time; default: one a core, one with a GPU.")
    ] = None,
    status: Annotated[bool, typer.Option("--status", help="Print how far it is and stop.")] = False,
) -> None:
    """Make the runs of a study that are not there yet; goes on where it was stopped.

    A run that fails keeps its notebook, the others go on, and the command exits 1.

    Example: poseemo study parameters/studies/demo.yaml --jobs 2
    """
    from tqdm import tqdm

    from poseemo_lib.study import default_jobs, run_study, status_lines
    from poseemo_lib.study_plan import load_study, plan_runs

    plan = load_study(file)
    out = (out or Path("runs") / plan.name).resolve()
    runs = plan_runs(plan, file, out)
    if status:
        say("\n".join(status_lines(runs)))
        return
    todo = sum(not run.complete for run in runs)
    jobs = jobs or default_jobs()
    say(f"{plan.name}: {len(runs)} runs, {len(runs) - todo} complete, {todo} to make, {jobs} at a time, in {out}")
    started = time.monotonic()
    # disable=None: a bar in a terminal, plain lines elsewhere.
    with tqdm(total=todo, unit="run", disable=None) as bar:
        ended = 0

        def report(run, error):
            nonlocal ended
            ended += 1
            left = (time.monotonic() - started) / ended * (todo - ended) / 60
            bar.update()
            state = "done" if error is None else f"FAILED: {error}"
            bar.write(f"[{ended}/{todo}, about {left:.0f} min left] {run.name}: {state}")

        outcome = run_study(runs, out, jobs=jobs, report=report)
    if outcome.failed:
        names = ", ".join(run.name for run, _ in outcome.failed)
        raise PoseemoError(f"{len(outcome.failed)} of {len(runs)} runs failed: {names}; the others are in {out}")
    say(f"{plan.name}: complete; `poseemo report {short_path(out)}` makes the report")
