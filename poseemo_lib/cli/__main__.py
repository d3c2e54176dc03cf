"""The `poseemo` command: all commands, and errors turned into exit codes.

Exit codes: 0 done; 1 the work failed (what failed is named, what was done is kept); 2 the call was wrong.
"""

import sys
from typing import Annotated

import typer

from poseemo_lib import __version__
from poseemo_lib.cli import data, export, extract, live, predict, runs, study
from poseemo_lib.cli.shared import say
from poseemo_lib.errors import PoseemoError

app = typer.Typer(
    help="Recognise emotions from body pose: build a dataset, train and compare models, report, predict.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for module in (data, extract, runs, study, predict, live, export):
    app.add_typer(module.app)


def main() -> None:
    """Run the command and exit with its code."""
    try:
        app()
    except PoseemoError as error:
        typer.echo(f"poseemo: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of a pipe has gone
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:  # a folder that cannot be written to, a full disk
        typer.echo(f"poseemo: {error.filename}: cannot be read or written: {error.strerror or error}", err=True)
        sys.exit(1)


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


if __name__ == "__main__":
    main()
