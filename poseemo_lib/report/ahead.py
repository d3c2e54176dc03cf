"""One piece of work in a process of its own, while this one goes on."""

import os
from collections.abc import Callable
from functools import cached_property
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from poseemo_lib.studies.notebook import die_with_parent


class Ahead:
    """Begin a piece of work in a new process, which ends with this one.

    Parameters
    ----------
    function : callable
        Of a module. It, what it is given and what it returns are pickled.
    *arguments
    """

    def __init__(self, function: Callable, *arguments):
        context = get_context("spawn")  # a fork of a process that has used threads can wait for ever
        self._work = function, arguments
        self._reader, writer = context.Pipe(duplex=False)
        self._process = context.Process(target=_do, args=(writer, *self._work), daemon=True)
        self._process.start()
        writer.close()

    @cached_property
    def _outcome(self) -> tuple[Any, Exception | None]:
        try:
            return self._reader.recv()
        except Exception:  # it was killed, the memory was not enough for both, or what it sent cannot be read here
            return _outcome(*self._work)
        finally:
            self._reader.close()
            self._process.join()

    def result(self) -> Any:
        """Wait for the result; a process that died without one is made up for in this one.

        Raises
        ------
        Exception
            What the function raised.
        """
        value, error = self._outcome
        if error is not None:
            raise error
        return value


def _do(writer: Connection, function: Callable, arguments: tuple) -> None:
    die_with_parent()
    writer.send(_outcome(function, arguments))


def _outcome(function: Callable, arguments: tuple) -> tuple[Any, Exception | None]:
    try:
        return function(*arguments), None
    except Exception as error:
        return None, error


def spare_cores() -> int:
    """Count the cores beside one that this process may use."""
    return (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1) - 1
