"""Claims on runs: several processes, on one machine or on hosts that share the folder, work on one study.

Who makes a run holds a lock beside its folder for as long as it lives; the file system frees it when that process
dies, however it dies. The next one that claims the run removes what is half-written.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from glob import escape
from pathlib import Path

from poseemo_lib.errors import PoseemoError
from poseemo_lib.training.run_folder import locked

# How long the kernel of a killed process may take to go, seconds.
GOING = 5.0


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Claim a run for this process, and remove what a process that was killed over it has left half-written.

    Yields
    ------
    bool
        Whether it is ours; otherwise another process, here or on another host, is working on it.

    Raises
    ------
    PoseemoError
        The folder cannot be written, or its file system has no locks.
    """
    with ExitStack() as stack:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(open(folder.parent / f".claim-{folder.name}", "w"))
            ours = _take(file, folder)
        except OSError as error:
            raise PoseemoError(f"{folder.parent}: {error.strerror}; wanted a folder to write and lock in") from None
        try:
            yield ours
        finally:
            if ours:  # a full disk has its room back
                _clear(folder)


def _take(file, folder: Path) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    try:
        with locked(folder):  # a notebook that was opened by hand holds this one only
            _clear(folder)
    except PoseemoError:
        return False
    return True


def _clear(folder: Path) -> None:
    for path in leftovers(folder):
        path.unlink(missing_ok=True)


def is_claimed(folder: Path) -> bool:
    """Tell whether a process has claimed a run, here or on another host; changes nothing."""
    return _is_held(folder.parent / f".claim-{folder.name}")


def is_busy(folder: Path) -> bool:
    """Tell whether a process or a notebook is working on a run; changes nothing."""
    return is_claimed(folder) or _is_held(folder.parent / f".lock-{folder.name}")


def _is_held(lock: Path) -> bool:
    with suppress(OSError), open(lock) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def leftovers(folder: Path) -> list[Path]:
    """List the half-written files of a run whose process was killed (or is at work now)."""
    name = f".notebook-{escape(folder.name)}"
    return [
        *folder.glob(".tmp-*"),
        *folder.glob("checkpoint.tmp"),
        *folder.parent.glob(f"{name}.ipynb"),
        *folder.parent.glob(f".tmp-*-{name}.ipynb"),
    ]


def remove_leftovers(folder: Path, patience: float = 0.0) -> None:
    """Remove what a killed process has left half-written of a run; nothing that a living one writes.

    Parameters
    ----------
    folder : Path
    patience : float
        Seconds to wait for the killed process's kernel to be gone.
    """
    until = time.monotonic() + patience
    while leftovers(folder) and not is_claimed(folder):
        with suppress(PoseemoError), claimed(folder):  # claiming removes them
            pass
        if time.monotonic() > until:
            return
        time.sleep(0.01)
