"""The `poseemo` command: thin. It reads arguments, calls the library, prints, and turns errors into exit codes.

Exit codes: 0 done; 1 the work failed (what failed is named, what was done is kept); 2 the call was wrong.
"""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from poseemo_lib import __version__
from poseemo_lib.errors import PoseemoError, UsageError

app = typer.Typer(
    help="Emotion recognition from body pose: keypoints -> dataset -> audited runs -> report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Out = Annotated[str, typer.Argument(help="New folder of the dataset (or an fsspec URL).")]
DatasetArgument = Annotated[str, typer.Argument(help="Folder of a dataset, or a recipe's name such as `demo`.")]


def say(text: str = "") -> None:
    """Print to the terminal."""
    typer.echo(text)


def main() -> None:
    """Run the command and exit with its code."""
    try:
        app()
    except PoseemoError as error:
        typer.echo(f"poseemo: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("poseemo: stopped; what was done is kept, the same command goes on", err=True)
        sys.exit(130)
    except BrokenPipeError:  # the reader of a pipe has gone
        sys.stderr.close()
        sys.exit(0)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"poseemo {__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def synth(
    out: Out,
    clips: Annotated[int, typer.Option(help="Number of clips.")] = 1000,
    signal: Annotated[float, typer.Option(help="How much the emotion shows; 0: the label tells nothing.")] = 1.0,
    groups: Annotated[int | None, typer.Option(help="Number of shows; default: by the number of clips.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 0,
) -> None:
    """Write a SYNTHETIC dataset: drawn bodies, no real people.

    Example: poseemo synth data/mine --clips 500 --signal 0.5
    """
    from tqdm import tqdm

    from poseemo_lib.synthetic import write_synthetic_dataset

    with tqdm(total=clips, desc="synth", unit="clip", disable=None) as bar:
        info = write_synthetic_dataset(
            out, clips, seed=seed, signal=signal, n_groups=groups, progress=lambda done: bar.update(done - bar.n)
        )
    say(f"{out}: {info.n_clips} synthetic clips, content hash {info.content_hash[:12]}")


@app.command("import")
def import_(
    format: Annotated[str, typer.Argument(help="bvh or openpose.")],
    src: Annotated[str, typer.Argument(help="File or folder with the keypoints.")],
    out: Out,
    label_pattern: Annotated[
        str,
        typer.Option(
            help="Regular expression over a file's path with the group (?P<label>...), and where the path "
            "has them (?P<group>...), (?P<source>...), (?P<split>...)."
        ),
    ],
    label_map: Annotated[
        list[str] | None, typer.Option(help="WORD=CLASS, e.g. normal=neutral; give it once a word.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split of all clips whose path tells none.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the dataset; default: the folder's.")] = None,
    source: Annotated[str, typer.Option(help="Where the recordings come from.")] = "",
    licence: Annotated[str, typer.Option(help="Their licence.")] = "",
    option: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE, an option of the format; `--set help` lists them.")
    ] = None,
    views: Annotated[int | None, typer.Option(help="bvh: virtual cameras round each recording.")] = None,
) -> None:
    """Turn keypoint files into a dataset.

    Example: poseemo import bvh recordings data/mine --views 8 --label-map normal=neutral
    --label-pattern 'dataset-1_(?P<group>[^_]+)_(?P<label>[^_]+)_'
    """
    from poseemo_lib.formats import reader_options
    from poseemo_lib.importing import import_dataset

    if option == ["help"]:
        say("\n".join(f"{key} = {value!r}" for key, value in reader_options(format).items()))
        return
    options = _pairs(option or [], "--set", parse=True)
    if views is not None:
        options["views"] = views
    report = import_dataset(
        format, src, out, name=name or Path(out).name, label_pattern=label_pattern,
        label_map=_pairs(label_map or [], "--label-map"), split=split, options=options, source=source, licence=licence,
    )  # fmt: skip
    _list("did not match --label-pattern", report.unmatched)
    _list("failed", report.faults)
    for label, count in report.clips.items():
        say(f"{label:>9}: {report.recordings[label]} recordings, {count} clips")
    say(f"{out}: {report.info.n_clips} clips")
    if report.faults:
        raise PoseemoError(f"{len(report.faults)} recordings or clips failed; the others are in {out}")


def _list(what: str, items: list[str], most: int = 20) -> None:
    if items:
        say(f"{len(items)} {what}:")
        for item in items[:most]:
            say(f"  {item}")
        if len(items) > most:
            say(f"  ... and {len(items) - most} more")


def _pairs(texts: list[str], option: str, *, parse: bool = False) -> dict:
    """Read KEY=VALUE texts; `parse` reads values as YAML."""
    import yaml

    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise UsageError(f"{option}: wanted KEY=VALUE, got {text!r}")
        try:
            pairs[key] = yaml.safe_load(value) if parse else value
        except yaml.YAMLError:
            raise UsageError(f"{option}: {key}: not a YAML value: {value!r}") from None
    return pairs


@app.command()
def inspect(
    dataset: DatasetArgument,
    split: Annotated[
        str | None,
        typer.Option(
            help="official, grouped, leave_one_group_out or random; default: official where there is one, else grouped."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of a split that is drawn.")] = 0,
    fold: Annotated[str | None, typer.Option(help="The test group, for --split leave_one_group_out.")] = None,
) -> None:
    """Show what is in a dataset and audit its split; exits 1 on a fault or a leak.

    Example: poseemo inspect data/mine --split random
    """
    from poseemo_lib.dataset import Dataset
    from poseemo_lib.inspecting import inspect_dataset
    from poseemo_lib.recipes import ensure_dataset

    opened = Dataset(ensure_dataset(dataset), allow_incomplete=True)
    text, sound = inspect_dataset(opened, split, seed=seed, fold=fold)
    say(text)
    if not sound:
        raise PoseemoError(f"{dataset}: has faults or leaks, see above")


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
    values = (read_yaml(file) if file else {}) | _pairs(option or [], "-p", parse=True) | {"dataset": dataset}
    parameters = check_parameters(values, str(file or "-p"))
    ensure_dataset(dataset)
    cell = file.stem if file else parameters.architecture
    folder = Path(out) if out else Path("runs") / "train" / Path(dataset).name / cell / f"seed-{parameters.seed}"
    execute_run_notebook(parameters, folder.resolve(), cell, show_output=True)
    say(f"{folder}: complete; notebook.ipynb in it shows how")


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
    say(f"{plan.name}: complete; `poseemo report {_short(out)}` makes the report")


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


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


if __name__ == "__main__":
    main()
