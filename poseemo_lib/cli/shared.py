"""What the commands share: types of arguments, printing, KEY=VALUE texts."""

import logging
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from poseemo_lib.errors import UsageError

CONTINUES = "finished work is kept, and the same command continues"

Out = Annotated[str, typer.Argument(help="New folder of the dataset (or an fsspec URL).")]
DatasetArgument = Annotated[str, typer.Argument(help="Folder of a dataset, or a recipe's name such as `demo`.")]
RunArgument = Annotated[str, typer.Argument(help="Folder of one run, such as runs/demo/bilstm/seed-0, or NAME.onnx.")]
InputArgument = Annotated[
    str, typer.Argument(help="A video, a keypoint file, a folder of them, a dataset or one of its clips-*.parquet.")
]

# Of new datasets.
Name = Annotated[str | None, typer.Option(help="Name of the dataset; default: the folder's name.")]
LabelPattern = Annotated[
    str | None,
    typer.Option(
        help="Regular expression that finds the label in each file's path: (?P<label>...). It may also find "
        "(?P<group>...), clips that must stay in one split, such as an actor; (?P<source>...), the recording; and "
        "(?P<split>...)."
    ),
]
LabelMap = Annotated[
    list[str] | None,
    typer.Option(help="WORD=CLASS: use CLASS where the label is WORD, such as normal=neutral; repeatable."),
]
Split = Annotated[str | None, typer.Option(help="train, val or test, for files whose path does not give a split.")]
Source = Annotated[str, typer.Option(help="Where the recordings come from, to be noted in the dataset.")]
Licence = Annotated[str, typer.Option(help="Licence of the recordings, to be noted in the dataset.")]

# Of inputs.
Format = Annotated[
    str | None,
    typer.Option(help="Kind of input: video, dataset or a keypoint format; default: by its name and content."),
]
FormatOptions = Annotated[
    list[str] | None,
    typer.Option("--set", help="KEY=VALUE: set an option of the input format; repeatable. `--set help` lists them."),
]
EstimatorName = Annotated[
    str, typer.Option("--estimator", help="Pose estimator for videos: mediapipe, rtmo or rtmpose.")
]
Model = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="The estimator's model file (rtmpose: DETECTOR,POSE); default: downloaded once."),
]
People = Annotated[int, typer.Option(min=1, max=20, help="Largest number of people to look for in a picture.")]
MinConfidence = Annotated[
    float, typer.Option(min=0, max=1, help="Lowest confidence at which the estimator reports a person.")
]
Stride = Annotated[float, typer.Option(min=0.01, help="Seconds from one prediction to the next.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]

# Of work in several processes.
Cluster = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Address of a Dask scheduler (docs/cluster.md).")]
Resource = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=N", help="Worker resources that each run or video needs, e.g. GPU=1."),
]


def say(text: str = "") -> None:
    """Print to the terminal."""
    typer.echo(text)


def print_table(table, numbers: Sequence[str] = ()) -> None:
    """Print a DataFrame of texts, fitted to a terminal, as wide as needed elsewhere; `numbers` are right-aligned."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in table.columns:
        shown.add_column(str(name), overflow="fold", justify="right" if name in numbers else "left")
    for row in table.itertuples(index=False):
        shown.add_row(*map(str, row))
    Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 1000).print(shown)


def list_items(what: str, items: Sequence[str], most: int = 20) -> None:
    """Print how many there are, and the first of them."""
    if items:
        more = [f"... and {len(items) - most} more"] if len(items) > most else []
        say("\n  ".join([f"{len(items)} {what}:", *items[:most], *more]))


def list_options(options: dict, title: str = "") -> None:
    """Print the options of a format with their defaults."""
    lines = [f"{key} = {value!r}" for key, value in options.items()] or ["(no options)"]
    say("\n".join([title, *lines] if title else lines))


def find_kind(input: str, format: str | None, option: list[str] | None) -> str:
    """Tell what the input is; with `--set help`, list the options of its format and exit."""
    from poseemo_lib.data.formats import READERS, reader_options
    from poseemo_lib.inference.inputs import input_kind

    kind = input_kind(input, format)
    if option == ["help"]:
        list_options(reader_options(kind) if kind in READERS else {})
        raise typer.Exit()
    return kind


def check_out(path: Path | None, suffixes: Sequence[str], overwrite: bool, input: str | None) -> None:
    """Check that a file can be written, before any work is done for it; `input` is a file that is read.

    Raises
    ------
    UsageError
        Its suffix is none of `suffixes`, its folder is missing or not writable, it exists, or it is the input.
    """
    if path is None:
        return
    folder = path.absolute().parent
    if path.suffix.lower() not in suffixes:
        raise UsageError(f"{path}: wanted a name that ends in one of {', '.join(suffixes)}")
    if not folder.is_dir():
        raise UsageError(f"{path}: wanted a folder that exists, found none at {path.parent}")
    if path.is_dir() or (path.exists() and not overwrite):
        raise UsageError(f"{path}: exists; choose another name, or say --overwrite")
    if input and path.exists() and Path(input).exists() and path.samefile(input):
        raise UsageError(f"{path}: is the input; choose another name")
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UsageError(f"{path}: cannot be written there: {error.strerror}") from None


def read_pairs(texts: list[str] | None, option: str, *, parse: bool = True) -> dict:
    """Read KEY=VALUE texts; `parse` reads values as YAML."""
    import yaml

    pairs = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise UsageError(f"{option}: wanted KEY=VALUE, got {text!r}")
        try:
            pairs[key] = yaml.safe_load(value) if parse else value
        except yaml.YAMLError:
            raise UsageError(f"{option}: {key}: not a YAML value: {value!r}") from None
    return pairs


def read_resources(texts: list[str] | None, cluster: str | None, instead: str) -> dict[str, float]:
    """Read the NAME=NUMBER texts of --resource, which is for --cluster only; `instead` is what else to say."""
    if texts and not cluster:
        raise UsageError(f"--resource: is for --cluster; here say {instead}")
    amounts = read_pairs(texts, "--resource")
    for name, amount in amounts.items():
        if not isinstance(amount, int | float) or isinstance(amount, bool) or amount <= 0:
            raise UsageError(f"--resource: {name}: wanted a number above 0, got {amount!r}")
    return amounts


def short_path(path: Path) -> str:
    """Write a path relative to the working directory where it is below it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def open_and_tell(name: str, **options):
    """Open a pose estimator, and say on which hardware it runs."""
    from poseemo_lib.video.estimators import open_estimator

    opened = open_estimator(name, **options)
    typer.echo(f"{name}: {opened.info.model} on {opened.info.provider}", err=True)
    return opened


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


@contextmanager
def on_signals(action: Callable, *numbers: int) -> Iterator[None]:
    """Do something else than usual when these signals come."""
    before = {number: signal.signal(number, action) for number in numbers}
    try:
        yield
    finally:
        for number, usual in before.items():
            signal.signal(number, usual)


@contextmanager
def stoppable(left: str) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into one line, "stopped; " and `left`, and exit code 130 or 143."""

    def stop(*_):
        raise Terminated

    try:
        with on_signals(stop, signal.SIGTERM):
            yield
    except KeyboardInterrupt as error:
        # The tasks of a notebook that was stopped would otherwise print a traceback each.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        typer.echo(f"poseemo: stopped; {left}", err=True)
        raise typer.Exit(143 if isinstance(error, Terminated) else 130) from None
