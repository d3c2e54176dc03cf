"""Functions compiled by Numba, and kept on disk where there is a place for them."""

from collections.abc import Callable

import numba


def compiled(function: Callable) -> Callable:
    """Compile a function at its first call.

    No `fastmath`: sums stay in the order in which they are written, and a product and a sum are two roundings, so that
    the numbers are those of the same operations on arrays.

    Parameters
    ----------
    function : callable
        In what Numba understands of Python.

    Returns
    -------
    callable
    """
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither beside the file nor in the user's cache can anything be written
        return numba.njit(**options)(function)
