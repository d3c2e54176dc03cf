"""The `poseemo` command in this process, where a process of its own would only import it all again."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace

import pytest

from poseemo_lib.cli import __main__ as cli


def poseemo(*arguments):
    """Run the command as a shell would; return its exit code and what it said."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["poseemo", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
    return SimpleNamespace(returncode=end.value.code or 0, stdout=out.getvalue(), stderr=err.getvalue())
