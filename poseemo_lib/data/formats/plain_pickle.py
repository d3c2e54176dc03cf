"""Reads pickles that hold plain values and NumPy arrays, without importing or calling anything that a pickle names.

A pickle is a program: it may name any function and call it. Here the names by which NumPy pickles its arrays stand for
small classes and functions of this module, which only keep what the pickle says; every other name is refused.
"""

import io
import pickle

import numpy as np

from poseemo_lib.data.formats.shared import read_bytes
from poseemo_lib.errors import FormatError
from poseemo_lib.text import first_line


class _Type:
    """Stands for `numpy.dtype`: its code, and the byte order that follows as its state."""

    def __init__(self, code, align=False, copy=False):
        self.dtype = np.dtype(code if isinstance(code, str) else code.decode("ascii"))
        if self.dtype.kind not in "biufSU":  # numbers, truth values and texts; no objects and no records
            raise ValueError(f"an array of type {code!r}")

    def __setstate__(self, state):
        order = state[1]
        self.dtype = self.dtype.newbyteorder(order if isinstance(order, str) else order.decode())


class _Array:
    """Stands for `numpy.ndarray`: empty, as `_reconstruct` makes it, and then its content as its state."""

    value: np.ndarray

    def __init__(self, subtype=None, shape=None, code=None):
        pass

    def __setstate__(self, state):
        shape, kind, fortran, data = state[-4:]
        if not isinstance(data, bytes | bytearray):
            raise ValueError("an array of objects")
        # frombuffer neither copies nor allocates, so a shape cannot claim more than the file holds.
        self.value = np.frombuffer(data, kind.dtype).reshape(shape, order="F" if fortran else "C")


def _from_buffer(data, kind, shape, order="C"):
    """Stand for `_frombuffer`, by which protocol 5 writes arrays."""
    made = _Array()
    made.__setstate__((shape, kind, order == "F", data))
    return made


def _scalar(kind, data):
    return np.frombuffer(data, kind.dtype)[0].item()


def _encode(text, codec):
    """Stand for `_codecs.encode`, by which protocols 0 to 2 write bytes."""
    if codec != "latin1":
        raise ValueError(f"bytes in the encoding {codec!r}")
    return text.encode("latin1")


_KNOWN = {
    "numpy.ndarray": _Array,
    "numpy.dtype": _Type,
    "multiarray._reconstruct": _Array,
    "multiarray.scalar": _scalar,
    "numeric._frombuffer": _from_buffer,
    "_codecs.encode": _encode,
}


class _Unpickler(pickle.Unpickler):
    """Python's unpickler with a short list of names."""

    def find_class(self, module, name):
        """Return what stands for a name, or refuse it."""
        full = f"{module}.{name}"
        short = full.removeprefix("numpy.core.").removeprefix("numpy._core.")
        if short not in _KNOWN:
            raise FormatError(
                f"refused: this pickle wants to call {full[:80]!r}, and keypoints need only NumPy arrays; nothing was "
                "run. If you trust its source, save it again with plain arrays and lists"
            )
        return _KNOWN[short]


def load_plain(path):
    """Load a pickle of dicts, lists, tuples, numbers, texts and arrays; :func:`as_array` gives the arrays.

    Raises
    ------
    FormatError
        The file cannot be read, is not a pickle, is truncated, or names what is not allowed; that was not called.
    """
    data = read_bytes(path)
    try:
        return _Unpickler(io.BytesIO(data), encoding="latin1").load()
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None
    except Exception as error:  # damaged bytes can be any program, and fail in any way
        raise FormatError(f"{path}: not a sound pickle of plain values and arrays: {first_line(error)}") from None


def as_array(value, kinds: str = "biuf") -> np.ndarray | None:
    """Return the read-only array that a value of :func:`load_plain` stands for; None if it is not of these kinds."""
    found = getattr(value, "value", None) if isinstance(value, _Array) else None
    return found if found is not None and found.dtype.kind in kinds else None
