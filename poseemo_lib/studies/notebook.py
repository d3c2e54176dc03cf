"""One guarded execution of a notebook by Papermill, in a kernel that dies with its parent."""

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from poseemo_lib import errors
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.paths import NOTEBOOKS
from poseemo_lib.studies.kernels import ForkProvisioner, can_fork, die_with_parent
from poseemo_lib.text import first_line, nearest


class NotebookError(PoseemoError):
    """A cell of a notebook failed for a `reason`; ends a command as the error in the cell would have."""

    def __init__(self, reason: str, notebook: Path | None = None, exit_code: int = PoseemoError.exit_code):
        super().__init__(f"{reason} (executed notebook: {notebook})" if notebook else reason)
        self.reason, self.notebook, self.exit_code = reason, notebook, exit_code


def check_notebook(notebook: Path, parameters: dict) -> None:
    """Refuse what Papermill accepts with only a warning: unknown parameters, or no parameters cell."""
    import nbformat
    from papermill import inspect_notebook

    if not notebook.exists():
        raise UsageError(f"{notebook}: wanted a notebook, found none")
    with _quiet():
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
    save_each: bool = True,
    environment: dict[str, str] | None = None,
    abandoned: Callable[[], bool] = bool,
) -> None:
    """Execute a notebook with parameters, and keep the executed notebook even when a cell fails.

    Parameters
    ----------
    notebook : str or Path
        A path, or the name of one in `notebooks/`.
    output : str or Path
        The executed notebook; it appears there once the execution has ended.
    show_output : bool
        Print what the cells print.
    save_each : bool
        Save after each cell, so that the work of a kernel that dies is kept, not only at the end.
    environment : dict of str to str, optional
        Variables that the kernel gets in addition to this process's own.
    abandoned : callable
        Asked every second whether the result is no longer wanted; the kernel is then killed.

    Raises
    ------
    UsageError
        See :func:`check_notebook`; no kernel was started.
    NotebookError
        A cell failed. The message is the cell's error, and names the executed notebook.
    PoseemoError
        The kernel did not start, or the notebook cannot be written.
    """
    from papermill.exceptions import PapermillExecutionError

    notebook, output = NOTEBOOKS / notebook, Path(output)
    check_notebook(notebook, parameters)
    temporary = output.with_name(f".tmp-{os.getpid()}-{output.name}")
    options = {"stdout_file": sys.stdout, "stderr_file": sys.stderr} if show_output else {}
    options |= {"request_save_on_cell_execute": save_each}
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        _execute(notebook, temporary, parameters, options, {**os.environ, **(environment or {})}, abandoned)
        os.replace(temporary, output)
    except PapermillExecutionError as error:
        # The message of an error of this library is complete; others need their kind.
        own = getattr(errors, error.ename, None)
        reason = error.evalue if own else f"{error.ename}: {error.evalue}"
        raise NotebookError(reason, _keep_failed(temporary, output), getattr(own, "exit_code", 1)) from None
    except NotebookError as error:
        raise NotebookError(error.reason, _keep_failed(temporary, output)) from None
    except OSError as error:
        where = f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
        raise PoseemoError(f"{notebook.name}: {where} (working in {output.parent})") from None
    finally:
        with suppress(OSError):  # a part of the path may be a file
            temporary.unlink(missing_ok=True)


def _keep_failed(temporary: Path, output: Path) -> Path | None:
    """Give the executed notebook its name; None where the disk was too full to write it."""
    if not temporary.exists() or not temporary.stat().st_size:
        return None
    os.replace(temporary, output)
    return output


def _execute(
    notebook: Path, output: Path, parameters: dict, options: dict, environment: dict, abandoned: Callable[[], bool]
) -> None:
    import papermill
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient.exceptions import DeadKernelError
    from traitlets.config import Config

    # A kernel is killed at the end, which is faster than to ask it: our notebooks leave nothing to clean up.
    options |= {"kernel_name": "python3", "shutdown_kernel": "immediate"}
    options |= {"cwd": str(notebook.parent), "progress_bar": False}
    # A kernel that is interrupted while it shuts down would say so on our standard error.
    options["extra_arguments"] = ["--log-level=50"]
    for fork in (True, False):  # a kernel that does not start is started once more, by its own command
        options["kernel_manager_class"] = _kernel_manager(environment, abandoned, fork=fork)
        # TCP ports race between kernels that start together, and IPC's default addresses collide in one folder; here
        # the addresses lie beside the connection file, in a folder of their own.
        with tempfile.TemporaryDirectory(prefix="poseemo-kernel-", ignore_cleanup_errors=True) as sockets, _quiet():
            connection = str(Path(sockets, "kernel.json"))
            options["config"] = Config({"KernelManager": {"transport": "ipc", "connection_file": connection}})
            try:
                papermill.execute_notebook(str(notebook), str(output), parameters, **options)
                return
            except NoSuchKernel:
                raise PoseemoError(
                    "wanted the Jupyter kernel python3, found none; run `python -m ipykernel install --sys-prefix`"
                ) from None
            except DeadKernelError:
                raise NotebookError(f"{notebook.name}: the kernel died (killed, or out of memory?)") from None
            except (TimeoutError, RuntimeError) as error:  # what a kernel that does not start ends in
                if not fork:
                    raise PoseemoError(f"{notebook.name}: the kernel did not start: {error}") from None


def _kernel_manager(environment: dict[str, str], abandoned: Callable[[], bool], *, fork: bool) -> type:
    """Make the class that starts and watches this execution's kernel."""
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_client.provisioning import LocalProvisioner

    class KernelManager(AsyncKernelManager):
        async def start_kernel(self, **options) -> None:
            class Provisioner(ForkProvisioner if fork and can_fork(self, environment) else LocalProvisioner):
                async def poll(self) -> int | None:
                    if self.has_process and abandoned():
                        await self.kill()
                    return await super().poll()

            self.provisioner = Provisioner(kernel_spec=self.kernel_spec, parent=self)
            await super().start_kernel(preexec_fn=die_with_parent, env=environment, **options)

    return KernelManager


def _quiet() -> warnings.catch_warnings:
    """Silence Papermill's log, and its warnings in a `with` block."""
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    return warnings.catch_warnings(action="ignore")
