"""Warm kernels: forked from a process that has imported what a run needs, which takes most of a kernel's start.

That process is the standard library's forkserver, which imports :mod:`poseemo_lib.studies.preload`. It belongs to one
worker and ends with it, and its kernel ends with it. Where it cannot be used, a kernel starts by its own command.
"""

import asyncio
import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from multiprocessing import forkserver

from jupyter_client.manager import KernelManager
from jupyter_client.provisioning import KernelProvisionerBase

# Numbers of threads that numerical libraries read when they are imported.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
COMMAND = [sys.executable, "-m", "ipykernel_launcher"]
_CONTEXT = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
# The numbers of threads that the server has read at import; None without a server.
_threads: list[str | None] | None = None


# Loaded here: nothing may be loaded between fork and exec, where it is used.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have Linux kill this process when its parent dies, however that dies.

    On other systems a kernel notices within a second that its parent has gone, and ends.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def dask_setup(worker) -> None:
    """Start this worker process's server, without waiting for it; Dask calls this."""
    global _threads
    if sys.platform == "linux":  # nothing tells a kernel elsewhere that its server has gone
        _CONTEXT.set_forkserver_preload(["poseemo_lib.studies.preload"])
        _threads = [os.environ.get(name) for name in THREAD_VARIABLES]
        forkserver.ensure_running()


def can_fork(manager: KernelManager, environment: Mapping[str, str]) -> bool:
    """Tell whether the server can fork this kernel."""
    threads = [environment.get(name) for name in THREAD_VARIABLES]
    return _threads == threads and manager.format_kernel_cmd()[: len(COMMAND)] == COMMAND


class ForkProvisioner(KernelProvisionerBase):
    """Forks a kernel from the server of this process."""

    process: multiprocessing.Process | None = None

    @property
    def has_process(self) -> bool:  # noqa: D102
        return self.process is not None

    async def pre_launch(self, **options):  # noqa: D102
        manager = self.parent
        manager.write_connection_file()
        self.connection_info = manager.get_connection_info()
        command = manager.format_kernel_cmd(extra_arguments=options.pop("extra_arguments", []))
        return await super().pre_launch(cmd=command, **options)

    async def launch_kernel(self, cmd: list[str], *, env: dict[str, str], cwd: str | None = None, **_):  # noqa: D102
        self.process = _CONTEXT.Process(target=_become_kernel, args=(cmd[len(COMMAND) :], cwd or os.getcwd(), env))
        self.process.start()
        return self.connection_info

    async def poll(self) -> int | None:  # noqa: D102
        return self.process.exitcode if self.process else 0

    async def wait(self) -> int | None:  # noqa: D102
        while (code := await self.poll()) is None:
            await asyncio.sleep(0.05)
        self.process = None
        return code

    async def send_signal(self, signum: int) -> None:  # noqa: D102
        if self.process and self.process.is_alive():
            os.kill(self.process.pid, signum)

    async def kill(self, restart: bool = False) -> None:  # noqa: D102
        await self.send_signal(signal.SIGKILL)

    async def terminate(self, restart: bool = False) -> None:  # noqa: D102
        await self.send_signal(signal.SIGTERM)

    async def cleanup(self, restart: bool = False) -> None:  # noqa: D102
        pass


def _become_kernel(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Make this forked process the kernel that its command would have started."""
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
