"""A folder of a process in the temporary directory, for the sockets of its kernels; a killed process leaves no litter.

The folder is locked as long as the process lives. What a process that was killed has left is not locked any more, and
the next one removes it.
"""

import atexit
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

PREFIX = "poseemo-kernels-"
LOCK = "lock"


@cache
def scratch_folder() -> Path:
    """Return this process's own folder; it goes with the process, or with the next one after it was killed.

    Returns
    -------
    Path
    """
    clear_scratch()
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        # Another process may take the folder for litter until it is locked; then there is a next one.
        with suppress(FileNotFoundError):
            # Open until the process ends: the lock is the sign of life.
            lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
            if _take(lock) and (folder / LOCK).exists():
                atexit.register(shutil.rmtree, folder, ignore_errors=True)
                return folder
            os.close(lock)


def clear_scratch() -> None:
    """Remove the folders of processes that do not live any more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            lock = os.open(folder / LOCK, os.O_RDWR)
        except OSError:  # another user's, or its maker died before it locked it
            with suppress(OSError):
                folder.rmdir()
            continue
        if _take(lock):
            shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
