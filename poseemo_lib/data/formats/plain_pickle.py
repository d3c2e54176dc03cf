"""Reading pickles of others that hold plain values and NumPy arrays. Nothing that a pickle names is imported or called.

A pickle is a program: it may name any function and call it. Here the names by which NumPy pickles its arrays stand for
small classes and methods of this module, which take down what the pickle says and check it; every other name is
refused.
"""

import io
import pickle
import pickletools

import numpy as np

from poseemo_lib.data.formats.shared import read_bytes
from poseemo_lib.errors import FormatError
from poseemo_lib.text import first_line

# Values in values: annotations are five deep.
_DEEPEST = 100
_FILLS = ("APPEND", "APPENDS", "SETITEM", "SETITEMS")


class _Type:
    """Stands for `numpy.dtype`: its code, and the byte order that follows as its state."""

    def __init__(self, code, align=False, copy=False):
        self.dtype = np.dtype(code if isinstance(code, str) else code.decode("ascii"))
        if self.dtype.kind not in "biufSU":  # numbers, truth values and texts; no objects and no records
            raise ValueError(f"an array of type {code!r}")

    def __setstate__(self, state):
        _, order, subtype, names, fields = state[:5]
        if order not in ("<", ">", "|", "=", b"<", b">", b"|", b"=") or not subtype is names is fields is None:
            raise ValueError("an array of records")
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
        # frombuffer neither copies nor allocates, so that a shape can claim nothing that the file does not hold.
        self.value = np.frombuffer(data, kind.dtype).reshape(shape, order="F" if fortran else "C")


class _Unpickler(pickle.Unpickler):
    """Python's unpickler with a short list of names."""

    def __init__(self, data: bytes, where):
        super().__init__(io.BytesIO(data), encoding="latin1")
        self.where = where
        self.left = len(data)  # what `_encode` may still copy, in characters

    def find_class(self, module, name):
        """Return what stands for a name, or refuse it."""
        known = {
            ("numpy", "ndarray"): _Array,
            ("numpy", "dtype"): _Type,
            ("multiarray", "_reconstruct"): _Array,
            ("multiarray", "scalar"): self._scalar,
            ("numeric", "_frombuffer"): self._from_buffer,
            ("_codecs", "encode"): self._encode,
        }
        short = module.removeprefix("numpy.core.").removeprefix("numpy._core.")
        if (short, name) not in known:
            raise FormatError(
                f"{self.where}: refused: this pickle wants to call {f'{module}.{name}'[:80]!r}, and keypoints need "
                "only NumPy arrays; nothing was run. If you trust its source, save it again with plain arrays and lists"
            )
        return known[short, name]

    def _from_buffer(self, data, kind, shape, order="C"):
        """Stand for `_frombuffer`, of protocol 5."""
        made = _Array()
        made.__setstate__((shape, kind, order == "F", data))
        return made

    def _scalar(self, kind, data):
        return self._from_buffer(data, kind, ()).value.item()

    def _encode(self, text, codec="latin1"):
        """Stand for `_codecs.encode`, by which protocols 0 to 2 write bytes."""
        self.left -= len(text)
        if self.left < 0 or codec not in ("latin1", "latin-1"):
            raise ValueError("bytes that are longer than the file")
        return text.encode("latin1")


def _check_opcodes(data: bytes) -> None:
    """Refuse what would exhaust memory or the stack: places and sizes that are only claimed, and deep nesting."""
    stack, memo = [], {}  # how deeply each value is nested; None is a mark
    for opcode, value, _ in pickletools.genops(data):  # which refuses sizes beyond the file
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            place = len(memo) if value is None else value
            if place > len(data):
                raise ValueError("a place in memory beyond the file")
            memo[place] = stack[-1]
        elif opcode.name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[value])
        elif opcode.name == "MARK":
            stack.append(None)
        else:
            before, taken = opcode.stack_before, []
            if pickletools.markobject in before:
                before = before[: before.index(pickletools.markobject)]
                while (top := stack.pop()) is not None:
                    taken.append(top)
            taken += [stack.pop() for _ in before]
            # What is put into a list or dict does not nest the list itself any deeper.
            filled = [taken.pop()] if opcode.name in _FILLS else []
            depth = max([max(taken, default=0) + 1, *filled])
            if depth > _DEEPEST:
                raise ValueError("values that are nested too deeply")
            stack += [depth] * len(opcode.stack_after)


def load_plain(path):
    """Load a pickle of plain values and arrays.

    Returns
    -------
    object
        Dicts, lists, tuples, numbers, texts; where an array is meant, an object that :func:`as_array` turns into it.

    Raises
    ------
    FormatError
        The file cannot be read, is not a pickle, is truncated, or names what is not allowed; that was not called.
    """
    data = read_bytes(path)
    try:
        _check_opcodes(data)
        return _Unpickler(data, path).load()
    except FormatError:
        raise
    except Exception as error:  # damaged bytes can be any program, and fail in any way
        raise FormatError(f"{path}: not a sound pickle of plain values and arrays: {first_line(error)}") from None


def as_array(value, kinds: str = "biuf") -> np.ndarray | None:
    """Return the array that a value of :func:`load_plain` stands for; None where it is not one of these kinds.

    `kinds` are letters of NumPy. The array is read-only: it lies in what was read.
    """
    found = getattr(value, "value", None) if isinstance(value, _Array) else None
    return found if found is not None and found.dtype.kind in kinds else None
