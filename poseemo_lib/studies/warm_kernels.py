"""Kernels that start warm: forked from a process that has imported what a run needs, which takes most of a start.

That process, the server, belongs to one run process and dies with it, and its kernel with the server. It imports, has
Numba load what it has compiled, and reads the code that a run's identity covers. It computes nothing, asks for no GPU,
and has neither an event loop nor a socket of ZeroMQ, so that a kernel inherits no threads, no CUDA context and no
sockets that a fork breaks (OpenBLAS and jemalloc see to their own threads). Every kernel begins with the environment,
folder and arguments that it would have had anyway, and with a random state of its own. Numbers of threads are read at
import, and so is code: the server is started anew when the environment or a file of this library has changed. Where no
server is to be had, the kernel is started as usual.
"""

import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import warnings
from contextlib import suppress
from pathlib import Path

from poseemo_lib.files import PACKAGE
from poseemo_lib.paths import NOTEBOOKS
from poseemo_lib.studies.notebook import die_with_parent

# What a run imports, also late: the optimizer imports torch._dynamo, splits and scores import parts of scikit-learn.
# Not the inline backend of matplotlib, which looks for its shell when it is imported.
IMPORTED = (
    "ipykernel_launcher",
    "ipykernel.kernelapp",
    "poseemo_lib.plots",
    "poseemo_lib.training.run",
    "poseemo_lib.training.baselines",
    "poseemo_lib.data.audit",
    "torch._dynamo",
    "safetensors.torch",
    "sklearn.metrics",
    "sklearn.model_selection",
    "scipy.optimize",
    "IPython.core.pylabtools",
    "matplotlib.backends.backend_agg",
    "pyarrow.pandas_compat",
)
LAUNCHER = "ipykernel_launcher"
# For the imports of a server, and then its first kernel.
START_SECONDS = 60
INLINE = "module://matplotlib_inline.backend_inline"


class WarmKernels:
    """Forks kernels from a server, which it starts and replaces as needed; one kernel at a time.

    Linux only: elsewhere nothing tells a kernel that the server has died.
    """

    def __init__(self):
        self._server: subprocess.Popen | None = None
        self._state: tuple | None = None
        self._kernel: ForkedKernel | None = None

    def prepare(self, environment: dict[str, str]) -> None:
        """Start a server unless there is one, and do not wait for it."""
        if self._server is None and sys.platform == "linux":
            self._start(environment)

    def fork(self, command: list[str], folder: str, environment: dict[str, str]) -> "ForkedKernel | None":
        """Fork a kernel.

        Parameters
        ----------
        command : list of str
            What would start it otherwise.
        folder : str
            Where it works.
        environment : dict of str to str

        Returns
        -------
        ForkedKernel or None
            None where it has to be started by its command.
        """
        if command[:3] != [sys.executable, "-m", LAUNCHER]:
            return None  # another interpreter, or no kernel of IPython
        given_up = self._kernel is not None and self._kernel.poll() is None
        if given_up or self._state != _state(environment):
            self.stop()
        self.prepare(environment)
        if self._server is None:
            return None
        order = {"arguments": command[3:], "folder": folder, "environment": environment}
        try:
            self._server.stdin.write(json.dumps(order).encode() + b"\n")
            if not select.select([self._server.stdout], [], [], START_SECONDS)[0]:
                raise TimeoutError
            self._kernel = ForkedKernel(int(self._server.stdout.readline()), self._server.stdout)
        except (OSError, ValueError):  # it has died, or hangs
            self.stop()
        return self._kernel

    def _start(self, environment: dict[str, str]) -> None:
        self._state = _state(environment)  # before it reads the files
        command = [sys.executable, "-m", "poseemo_lib.studies.warm_kernels"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "bufsize": 0}
        with suppress(OSError):
            self._server = subprocess.Popen(command, env=environment, cwd=NOTEBOOKS, **pipes)

    def stop(self) -> None:
        """End the server, and its kernel with it."""
        server, kernel = self._server, self._kernel
        self._server = self._state = self._kernel = None
        if kernel and kernel.poll() is None:
            kernel.returncode = -signal.SIGKILL  # it dies with its server; nobody will write how it ended
        if server:
            server.kill()
            server.wait()
            server.stdin.close()
            server.stdout.close()


class ForkedKernel:
    """A kernel that a server has forked, with the part of `subprocess.Popen` that jupyter_client uses.

    Parameters
    ----------
    pid : int
    ends : file
        Where the server writes the exit status of the kernel.
    """

    stdin = stdout = stderr = None

    def __init__(self, pid: int, ends):
        self.pid, self.returncode, self._ends = pid, None, ends

    def poll(self) -> int | None:
        """Return the exit status; None while the kernel lives."""
        return self._look(0)

    def wait(self) -> int:
        """Wait for the end; return the exit status."""
        return self._look(None)

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the kernel has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has ended since
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL, unless the kernel has ended."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Send SIGTERM, unless the kernel has ended."""
        self.send_signal(signal.SIGTERM)

    def _look(self, seconds: float | None) -> int | None:
        if self.returncode is None and select.select([self._ends], [], [], seconds)[0]:
            # Without a status the server has died, and taken the kernel with it.
            self.returncode = int(self._ends.readline() or -signal.SIGKILL)
        return self.returncode


def _state(environment: dict[str, str]) -> tuple:
    """Name all that a server takes over when it starts: the environment, and the files of this library."""
    own = {name: value for name, value in environment.items() if not name.startswith("JPY_")}
    return own, {path: path.stat().st_mtime_ns for path in PACKAGE.rglob("*.py")}


def main() -> None:
    """Import; then fork a kernel for each line of standard input; write its process id, at its end its exit status."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in the run process
    orders, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w", buffering=1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # a kernel reads no orders
    os.dup2(2, 1)
    try:
        import_all()
    except Exception:
        sys.exit(1)  # the kernel itself will say what is wrong
    server = os.getpid()
    for line in orders:
        if not (pid := _fork()):
            orders.close()
            answers.close()
            become_kernel(server, **json.loads(line))
        answers.write(f"{pid}\n")
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")


def import_all() -> None:
    """Import what a run imports, in silence, and keep it away from the collection of garbage."""
    if Path(sys.path[0]) in (Path(), Path.cwd()):
        del sys.path[0]  # as the launcher of a kernel does
    os.environ.setdefault("MPLBACKEND", INLINE)  # as a kernel does; matplotlib reads it when it is imported
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in IMPORTED:
            importlib.import_module(name)
        _load_compiled()
        _hash_code()
    gc.collect()
    gc.freeze()  # the pages stay shared


def _load_compiled() -> None:
    """Have Numba load what it has compiled, with no window and few draws; only the types decide what that is."""
    import numpy as np

    from poseemo_lib.features.compiled_features import derive_features, gather_windows
    from poseemo_lib.skeleton import MAX_PEOPLE, N_KEYPOINTS

    clips, none = np.empty((0, MAX_PEOPLE, N_KEYPOINTS, 3), np.float32), np.empty(0, np.int64)
    windows, _ = gather_windows(clips, none, none, np.empty((0, 1)))
    derive_features(windows, 25.0, "person")


def _hash_code() -> None:
    """Read the code that decides a run's numbers; a server does not outlive it."""
    from poseemo_lib.models import MODELS
    from poseemo_lib.training.run_folder import code_hash

    for name in MODELS:
        code_hash(name)


def _fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads: those named above
        return os.fork()


def become_kernel(server: int, arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Make this forked process a kernel, as its command would have; it ends with the process.

    Parameters
    ----------
    server : int
        Process that this one was forked from.
    arguments : list of str
        Of the launcher.
    folder : str
    environment : dict of str to str
    """
    import ipykernel_launcher
    import numpy as np
    import torch
    from ipykernel import kernelapp

    os.setsid()  # a signal for the kernel reaches its children too, and none for the study reaches the kernel
    die_with_parent()
    if os.getppid() != server or torch.cuda._is_in_bad_fork():
        os._exit(1)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = [ipykernel_launcher.__file__, *arguments]
    np.random.seed()  # noqa: NPY002  # Python sees to its own generator
    torch.default_generator.seed()
    kernelapp.launch_new_instance()
    sys.exit()


if __name__ == "__main__":
    main()
