"""The errors that a user can cause, and the exit code each one ends with."""

from collections.abc import Iterator
from contextlib import contextmanager


class PoseemoError(Exception):
    """The work failed: what was wanted, what was got, where, what to do. Ends a command with exit code 1."""

    exit_code = 1


class UsageError(PoseemoError):
    """The call was wrong: nothing was started. Ends a command with exit code 2."""

    exit_code = 2


class ClipError(PoseemoError):
    """A clip breaks the contract of :mod:`poseemo_lib.clips`."""


class DatasetError(PoseemoError):
    """A dataset on disk is missing, damaged or breaks its contract."""


class FormatError(PoseemoError):
    """A keypoint file cannot be read."""


class LeakError(PoseemoError):
    """A split leaks validation or test clips into training."""


class TrainingError(PoseemoError):
    """Training cannot go on."""


@contextmanager
def extra(package: str, name: str) -> Iterator[None]:
    """Turn a failed import of a package of the extra `name` into what to install."""
    try:
        yield
    except ImportError:
        raise UsageError(f"this needs {package}, which is not installed; run `pip install 'poseemo[{name}]'`") from None
