"""Reading pickles of others that hold plain values and NumPy arrays. Nothing that a pickle names is imported or called.

A pickle is a program: it may name any function and call it. Here five names of NumPy's and one of codecs stand for
small classes of this module, which take down what the pickle says and check it; every other name, and every opcode
that plain values do not need, is refused. The unpickler is Python's own in Python, since the one in C allocates what a
few bytes claim (a memo of two billion entries); it is as slow as a few million values a second.
"""

import io
import pickle
from pathlib import Path

import numpy as np

from poseemo_lib.errors import FormatError
from poseemo_lib.text import first_line

_NUMPY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")
# Numbers, truth values and texts; no objects and no records.
_KINDS = "biufUS"
_OPCODES = (
    pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.MARK, pickle.POP, pickle.POP_MARK, pickle.DUP,
    pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE, pickle.INT, pickle.BININT, pickle.BININT1, pickle.BININT2,
    pickle.LONG, pickle.LONG1, pickle.LONG4, pickle.FLOAT, pickle.BINFLOAT,
    pickle.STRING, pickle.BINSTRING, pickle.SHORT_BINSTRING,
    pickle.UNICODE, pickle.BINUNICODE, pickle.SHORT_BINUNICODE, pickle.BINUNICODE8,
    pickle.BINBYTES, pickle.SHORT_BINBYTES, pickle.BINBYTES8, pickle.BYTEARRAY8,
    pickle.EMPTY_LIST, pickle.LIST, pickle.APPEND, pickle.APPENDS,
    pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3,
    pickle.EMPTY_DICT, pickle.DICT, pickle.SETITEM, pickle.SETITEMS,
    pickle.GET, pickle.BINGET, pickle.LONG_BINGET, pickle.PUT, pickle.BINPUT, pickle.LONG_BINPUT, pickle.MEMOIZE,
    pickle.GLOBAL, pickle.STACK_GLOBAL, pickle.REDUCE, pickle.BUILD,
)  # fmt: skip


class _Type:
    """Stands for `numpy.dtype`: its code, and the byte order that follows as its state."""

    def __init__(self, code, align=False, copy=False):
        self.dtype = np.dtype(code.decode("ascii") if isinstance(code, bytes) else _text(code))
        if self.dtype.kind not in _KINDS:
            raise ValueError(f"an array of type {code!r}")

    def __setstate__(self, state):
        _, order, subtype, names, fields = state[:5]
        order = order.decode("ascii") if isinstance(order, bytes) else order
        if order not in ("<", ">", "|", "=") or not subtype is names is fields is None:
            raise ValueError("an array of records")
        self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """Stands for an array: `numpy.ndarray` as `_reconstruct` makes it, empty, and its content as its state."""

    value: np.ndarray

    def __init__(self, subtype=None, shape=None, code=None):
        pass

    def __setstate__(self, state):
        shape, kind, fortran, data = state[-4:]
        self.value = _build(data, kind, shape, "F" if fortran else "C")


def _from_buffer(data, kind, shape, order="C"):
    """Stand for `numpy._core.numeric._frombuffer`, of protocol 5."""
    made = _Array()
    made.value = _build(data, kind, shape, order)
    return made


def _scalar(kind, data):
    """Stand for `numpy._core.multiarray.scalar`."""
    return _build(data, kind, (), "C").item()


def _build(data, kind, shape, order) -> np.ndarray:
    if not isinstance(kind, _Type) or not isinstance(shape, tuple) or order not in ("C", "F"):
        raise ValueError("an array without a type or shape")
    if not isinstance(data, bytes | bytearray):
        raise ValueError("an array of objects")
    # frombuffer neither copies nor allocates, so that a shape can claim nothing that the file does not hold.
    return np.frombuffer(data, kind.dtype).reshape(shape, order=order)


def _text(value) -> str:
    if not isinstance(value, str):
        raise ValueError(f"wanted a text, got {type(value).__name__}")
    return value


class _Unpickler(pickle._Unpickler):
    """Python's unpickler with a short list of opcodes and names."""

    def __init__(self, data: bytes, where):
        super().__init__(io.BytesIO(data), encoding="latin1")
        self.where = where
        self.left = len(data)  # what `encode` may still copy, in characters
        self.names = {(module, "_reconstruct"): _Array for module in _NUMPY_MODULES}
        self.names |= {(module, "scalar"): _scalar for module in _NUMPY_MODULES}
        self.names |= {(module, "_frombuffer"): _from_buffer for module in _NUMPY_MODULES}
        self.names |= {("numpy", "ndarray"): _Array, ("numpy", "dtype"): _Type, ("_codecs", "encode"): self.encode}

    def encode(self, text, codec="latin1"):
        """Stand for `_codecs.encode`, by which protocols 0 to 2 write bytes."""
        self.left -= len(_text(text))
        if self.left < 0 or codec not in ("latin1", "latin-1"):
            raise ValueError("bytes that are longer than the file")
        return text.encode("latin1")

    def find_class(self, module, name):
        """Give what stands for a name, or refuse it."""
        if (module, name) not in self.names:
            raise FormatError(
                f"{self.where}: refused: this pickle wants to call {f'{module}.{name}'[:80]!r}, and keypoints need "
                "only NumPy arrays; nothing was run. If you trust its source, save it again with plain arrays and lists"
            )
        return self.names[module, name]

    # A code that is not in here ends in a KeyError.
    dispatch = {opcode[0]: pickle._Unpickler.dispatch[opcode[0]] for opcode in _OPCODES}

    def load_build(self):
        """Set the state of an array or type, and of nothing else."""
        if not isinstance(self.stack[-2], _Array | _Type):
            raise ValueError("a state for what has none")
        pickle._Unpickler.load_build(self)

    dispatch[pickle.BUILD[0]] = load_build

    def load_bytearray8(self):
        """Take bytes that are there: not as many as are claimed."""
        self.append(bytearray(self.read(int.from_bytes(self.read(8), "little"))))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8

    def check_key(self, key):
        """Refuse keys that cost anything to hash."""
        if not isinstance(key, str | int):
            raise ValueError(f"a key that is a {type(key).__name__}")

    def load_setitem(self):
        """Set one entry of a dict."""
        self.check_key(self.stack[-2])
        pickle._Unpickler.load_setitem(self)

    dispatch[pickle.SETITEM[0]] = load_setitem

    def load_setitems(self):
        """Set entries of a dict."""
        for key in self.stack[::2]:
            self.check_key(key)
        pickle._Unpickler.load_setitems(self)

    dispatch[pickle.SETITEMS[0]] = load_setitems

    def load_dict(self):
        """Make a dict of entries."""
        for key in self.stack[::2]:
            self.check_key(key)
        pickle._Unpickler.load_dict(self)

    dispatch[pickle.DICT[0]] = load_dict


def load_plain(path):
    """Load a pickle of plain values and arrays.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    object
        Dicts, lists, tuples, numbers, texts; where an array is meant, an object that :func:`as_array` turns into it.

    Raises
    ------
    FormatError
        The file cannot be read, is no pickle, is truncated, or names what is not allowed; that was not called.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        return _Unpickler(data, path).load()
    except FormatError:
        raise
    except KeyError as error:
        raise FormatError(f"{path}: not a pickle of plain values and arrays: code {error}") from None
    except Exception as error:  # damaged bytes can be any program, and fail in any way
        raise FormatError(f"{path}: not a sound pickle of plain values and arrays: {first_line(error)}") from None


def as_array(value, kinds: str = "biuf") -> np.ndarray | None:
    """Return the array that a value of :func:`load_plain` stands for.

    Parameters
    ----------
    value : object
    kinds : str
        The kinds of its type (NumPy's letters) that are wanted.

    Returns
    -------
    array or None
        None where it is no array, or none of such a kind. Read-only: it lies in what was read.
    """
    found = getattr(value, "value", None) if isinstance(value, _Array) else None
    return found if found is not None and found.dtype.kind in kinds else None
