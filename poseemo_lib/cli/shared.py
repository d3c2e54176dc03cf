"""What the commands share: printing, argument types, KEY=VALUE texts."""

import logging
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from poseemo_lib.errors import UsageError

Out = Annotated[str, typer.Argument(help="New folder of the dataset (or an fsspec URL).")]
DatasetArgument = Annotated[str, typer.Argument(help="Folder of a dataset, or a recipe's name such as `demo`.")]


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


def check_out(path: str | Path, suffixes: Sequence[str], *, overwrite: bool = False, input: str | None = None) -> Path:
    """Check that a file can be written, before any work is done for it.

    Parameters
    ----------
    path : str or Path
    suffixes : sequence of str
        What its name may end in.
    overwrite : bool
        Whether it may exist already.
    input : str, optional
        What is read, which is never written over.

    Raises
    ------
    UsageError
        Its suffix is another, its folder is missing or not writable, it exists, or it is the input.
    """
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise UsageError(f"{path}: wanted a name that ends in one of {', '.join(suffixes)}")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{path}: wanted a folder that exists, found none at {path.parent}")
    if path.is_dir() or (path.exists() and not overwrite):
        raise UsageError(f"{path}: exists; choose another name, or say --overwrite")
    if input and path.exists() and Path(input).exists() and path.samefile(input):
        raise UsageError(f"{path}: is the input; choose another name")
    try:
        with tempfile.TemporaryFile(dir=path.absolute().parent):
            pass
    except OSError as error:
        raise UsageError(f"{path}: cannot be written there: {error.strerror}") from None
    return path


def list_items(what: str, items: list[str], most: int = 20) -> None:
    """Print how many there are, and the first of them."""
    if items:
        say(f"{len(items)} {what}:")
        for item in items[:most]:
            say(f"  {item}")
        if len(items) > most:
            say(f"  ... and {len(items) - most} more")


def read_pairs(texts: list[str], option: str, *, parse: bool = False) -> dict:
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


def read_amounts(texts: list[str]) -> dict[str, float]:
    """Read NAME=NUMBER texts of --resource."""
    amounts = read_pairs(texts, "--resource", parse=True)
    for name, amount in amounts.items():
        if not isinstance(amount, int | float) or isinstance(amount, bool) or amount <= 0:
            raise UsageError(f"--resource: {name}: wanted a number above 0, got {amount!r}")
    return amounts


def short_path(path: Path) -> str:
    """Write a path relative to the working directory where it is below it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


class stoppable:
    """Turn Ctrl-C and SIGTERM into one line and exit code 130 or 143, after what runs in it was stopped.

    Parameters
    ----------
    left : str
        What becomes of the work, after "stopped; ".
    """

    def __init__(self, left: str):
        self.left = left

    def __enter__(self) -> None:
        def stop(*_):
            raise Terminated

        with suppress(ValueError):  # not in the main thread
            self.before = signal.signal(signal.SIGTERM, stop)

    def __exit__(self, kind, *_) -> None:
        with suppress(AttributeError):
            signal.signal(signal.SIGTERM, self.before)
        if kind and issubclass(kind, KeyboardInterrupt):
            # What the tasks of a notebook that was stopped ended in would follow as a traceback.
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)
            typer.echo(f"poseemo: stopped; {self.left}", err=True)
            raise typer.Exit(143 if kind is Terminated else 130)
