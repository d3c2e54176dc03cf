"""One guarded execution of a notebook by Papermill, in a kernel that dies with its parent."""

import ctypes
import logging
import os
import signal
import sys
import uuid
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from poseemo_lib import errors
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.paths import NOTEBOOKS
from poseemo_lib.studies.scratch import scratch_folder
from poseemo_lib.text import first_line, nearest

if TYPE_CHECKING:
    from poseemo_lib.studies.warm_kernels import WarmKernels

KERNEL_START_ATTEMPTS = 2
# What nbclient calls the two ways to end a kernel: ask it, and wait; kill it.
_ENDS = {False: "graceful", True: "immediate"}
_PR_SET_PDEATHSIG = 1
# Loaded here: between fork and exec, where it is used, nothing may be loaded.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent() -> None:
    """Have the kernel of Linux kill this process when its parent dies, however that dies.

    On other systems ipykernel's own watch of the parent does it within a second.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class NotebookError(PoseemoError):
    """A cell of a notebook failed; ends a command as the error in the cell would have.

    Parameters
    ----------
    reason : str
        What the cell said.
    notebook : Path, optional
        The notebook as executed.
    exit_code : int
    """

    def __init__(self, reason: str, notebook: Path | None = None, exit_code: int = PoseemoError.exit_code):
        super().__init__(f"{reason} (executed notebook: {notebook})" if notebook else reason)
        self.reason, self.notebook, self.exit_code = reason, notebook, exit_code


def check_notebook(notebook: Path, parameters: dict) -> None:
    """Refuse what Papermill would accept with a warning: unknown parameters, or a notebook without their cell.

    Parameters
    ----------
    notebook : Path
    parameters : dict

    Raises
    ------
    UsageError
        The notebook is missing, has no parameters cell, or lacks a parameter of that name.
    """
    import nbformat
    from papermill import inspect_notebook

    if not notebook.exists():
        raise UsageError(f"{notebook}: wanted a notebook, found none")
    with warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")
        try:
            known = inspect_notebook(str(notebook))
        except (nbformat.reader.NotJSONError, nbformat.ValidationError) as error:
            raise UsageError(f"{notebook}: not a notebook: {first_line(error)}") from None
    if not known:
        raise UsageError(
            f"{notebook}: wanted a cell with the tag `parameters`, found none; restore the tag or the file"
        )
    for name in parameters:
        if name not in known:
            raise UsageError(f"{notebook}: {name}: unknown parameter; {nearest(name, known)}")


def execute_notebook(
    notebook: str | Path,
    output: str | Path,
    parameters: dict,
    *,
    show_output: bool = False,
    kill_kernel: bool = False,
    save_each: bool = True,
    kernels: "WarmKernels | None" = None,
) -> None:
    """Execute a notebook with parameters and keep it as executed, also when a cell fails.

    Parameters
    ----------
    notebook : str or Path
        A path, or the name of one in `notebooks/`.
    output : str or Path
        Where the executed notebook goes; it appears there when the execution has ended.
    parameters : dict
        Literals.
    show_output : bool
        Print what the cells print.
    kill_kernel : bool
        Kill the kernel after the last cell, which is faster than asking it to end: for notebooks that leave nothing to
        be cleaned up.
    save_each : bool
        Write the notebook after each cell, not only at its end: what a kernel that died had done is then kept.
    kernels : WarmKernels, optional
        Forks the kernel; where that fails, or without it, the kernel is started by its command.

    Raises
    ------
    UsageError
        See :func:`check_notebook`; no kernel was started.
    NotebookError
        A cell failed. The message is the error's, and names the executed notebook.
    PoseemoError
        The kernel did not start, or the notebook cannot be written.
    """
    from papermill.exceptions import PapermillExecutionError

    notebook, output = NOTEBOOKS / notebook, Path(output)
    check_notebook(notebook, parameters)
    temporary = output.with_name(f".tmp-{os.getpid()}-{output.name}")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        options = {"stdout_file": sys.stdout, "stderr_file": sys.stderr} if show_output else {}
        options |= {"shutdown_kernel": _ENDS[kill_kernel], "request_save_on_cell_execute": save_each}
        _execute(notebook, temporary, parameters, options, kernels)
        os.replace(temporary, output)
    except PapermillExecutionError as error:
        # Our own errors say all; others need their kind.
        own = getattr(errors, error.ename, None)
        reason = error.evalue if own else f"{error.ename}: {error.evalue}"
        kept = _keep_failed(temporary, output)
        raise NotebookError(reason, kept, getattr(own, "exit_code", 1)) from None
    except NotebookError as error:
        raise NotebookError(error.reason, _keep_failed(temporary, output)) from None
    except OSError as error:
        where = f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
        raise PoseemoError(f"{notebook.name}: {where} (working in {output.parent})") from None
    finally:
        with suppress(OSError):  # as where the output's folder is none
            temporary.unlink(missing_ok=True)


def _keep_failed(temporary: Path, output: Path) -> Path | None:
    """Give the executed notebook its name; None where the disk was too full for it."""
    if not temporary.exists() or not temporary.stat().st_size:
        return None
    os.replace(temporary, output)
    return output


def _execute(notebook: Path, output: Path, parameters: dict, options: dict, kernels: "WarmKernels | None") -> None:
    import papermill
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient.exceptions import DeadKernelError

    options |= {"kernel_name": "python3", "progress_bar": False, "cwd": str(notebook.parent)}
    # A kernel that is interrupted while it shuts down would say so on our standard error.
    options["extra_arguments"] = ["--log-level=50"]
    for attempts_left in reversed(range(KERNEL_START_ATTEMPTS)):
        options |= {"config": _kernel_config(), "kernel_manager_class": _kernel_manager(kernels)}
        try:
            with warnings.catch_warnings(), _quiet():
                warnings.simplefilter("ignore")
                papermill.execute_notebook(str(notebook), str(output), parameters, **options)
            return
        except NoSuchKernel:
            raise PoseemoError(
                "wanted the Jupyter kernel python3, found none; run `python -m ipykernel install --sys-prefix`"
            ) from None
        except DeadKernelError:
            raise NotebookError(f"{notebook.name}: the kernel died (killed, or out of memory?)") from None
        except (TimeoutError, RuntimeError) as error:  # what a kernel that does not come up ends in
            if not attempts_left:
                raise PoseemoError(f"{notebook.name}: the kernel did not start: {error}") from None
            kernels = None


def _kernel_config():
    from traitlets.config import Config

    # TCP ports race between kernels that start together, and IPC's default addresses collide in one folder; here they
    # lie beside the connection file, whose name is unique.
    connection = scratch_folder() / f"{uuid.uuid4().hex[:12]}.json"
    return Config({"KernelManager": {"transport": "ipc", "connection_file": str(connection)}})


def _kernel_manager(kernels: "WarmKernels | None"):
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_client.provisioning import LocalProvisioner

    class ForkingProvisioner(LocalProvisioner):
        """Has a kernel forked, or started where that cannot be."""

        async def launch_kernel(self, cmd: list[str], **options):
            self.process = kernels.fork(cmd, options.get("cwd") or os.getcwd(), options["env"])
            if self.process is None:
                return await super().launch_kernel(cmd, **options)
            self.pid = self.pgid = self.process.pid
            return self.connection_info

    class BoundKernelManager(AsyncKernelManager):
        """Starts kernels that die with this process."""

        async def _async_start_kernel(self, **options) -> None:
            if kernels:
                self.provisioner = ForkingProvisioner(kernel_spec=self.kernel_spec, parent=self)
            await super()._async_start_kernel(preexec_fn=die_with_parent, **options)

        start_kernel = _async_start_kernel

    return BoundKernelManager


class _quiet:
    """Silence Papermill's and nbclient's log."""

    def __enter__(self) -> None:
        self.logger = logging.getLogger("papermill")
        self.level = self.logger.level
        self.logger.setLevel(logging.CRITICAL)

    def __exit__(self, *_) -> None:
        self.logger.setLevel(self.level)
