"""Warm kernels: forked from a process that has imported what a run needs, which takes most of a kernel's start.

That process is the standard library's forkserver. It belongs to one worker and ends with it, as its kernel does. Where
there is none, a kernel starts by its own command.
"""
# ruff: noqa: D102

import asyncio
import ctypes
import multiprocessing
import os
import signal
import sys
from multiprocessing import forkserver

from jupyter_client.provisioning import LocalProvisioner

# Numbers of threads that numerical libraries read when they are imported.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
# What the server imports.
WARM = ["poseemo_lib.studies.preload"]
COMMAND = [sys.executable, "-m", "ipykernel_launcher"]
# Loaded here: nothing may be loaded between fork and exec, where it is used.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_CONTEXT = multiprocessing.get_context("forkserver")
# The numbers of threads that the server has read at import; None without a server.
_threads: list[str | None] | None = None


def die_with_parent() -> None:
    """Have Linux kill this process when its parent dies; elsewhere a kernel notices within a second, and ends."""
    if _LIBC:
        _LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def dask_setup(worker) -> None:
    """Start this worker process's server, without waiting for it; Dask calls this."""
    global _threads
    if _LIBC:  # nothing tells a kernel elsewhere that its server has gone
        _CONTEXT.set_forkserver_preload(WARM)
        _threads = [os.environ.get(name) for name in THREAD_VARIABLES]
        forkserver.ensure_running()


def can_fork(manager, environment: dict[str, str]) -> bool:
    """Tell whether the server can fork the kernel of this manager."""
    same = _threads == [environment.get(name) for name in THREAD_VARIABLES]
    return same and manager.format_kernel_cmd()[: len(COMMAND)] == COMMAND


class ForkProvisioner(LocalProvisioner):
    """Forks a kernel from the server of this process, as a `multiprocessing.Process`."""

    async def launch_kernel(self, cmd: list[str], *, env: dict[str, str], cwd: str | None = None, **_):
        self.process = _CONTEXT.Process(target=_become_kernel, args=(cmd[len(COMMAND) :], cwd or os.getcwd(), env))
        self.process.start()
        return self.connection_info

    async def poll(self) -> int | None:
        return self.process.exitcode if self.process else 0

    async def wait(self) -> int | None:
        while (code := await self.poll()) is None:
            await asyncio.sleep(0.05)
        self.process = None
        return code

    async def send_signal(self, signum: int) -> None:
        if self.process and self.process.is_alive():
            os.kill(self.process.pid, signum)


def _become_kernel(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    import ipykernel_launcher
    import numpy as np
    from ipykernel import kernelapp

    os.setsid()  # Ctrl-C in the terminal is not for the kernel
    die_with_parent()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = [ipykernel_launcher.__file__, *arguments]
    np.random.seed()  # noqa: NPY002  # otherwise all kernels begin alike; Python and torch see to their own
    kernelapp.launch_new_instance()
