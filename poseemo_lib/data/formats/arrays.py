"""NumPy's `.npy` and `.npz` files of others: no pickle is loaded, and no header is believed that claims too much."""

import warnings
import zipfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from poseemo_lib.errors import FormatError
from poseemo_lib.text import first_line

# Bytes of one array, unpacked: 10 million poses. A small packed file can claim any size.
LARGEST = 2**31


def load_arrays(path, names: tuple[str, ...] | None = None) -> dict[str, np.ndarray]:
    """Load the arrays of a `.npz`, or the one of a `.npy` under the name ``""``.

    Parameters
    ----------
    path : str or Path
    names : tuple of str, optional
        Only these, where the file has them.

    Returns
    -------
    dict
        Name -> array, of numbers, truth values or texts.

    Raises
    ------
    FormatError
        The file cannot be read, is not NumPy's, is truncated, holds Python objects, or claims more than 2 GiB.
    """
    path = Path(path)
    try:
        if zipfile.is_zipfile(path):
            return _load_archive(path, names)
        with path.open("rb") as file:
            return {"": _load_array(file, path.stat().st_size)}
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # headers are Python's text, archives have a dozen errors of their own
        raise FormatError(f"{path}: not a sound NumPy file: {first_line(error)}") from None


def _load_archive(path: Path, names: tuple[str, ...] | None) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        arrays = {}
        for name, info in members.items():
            if info.filename.endswith(".npy") and (names is None or name in names):
                with archive.open(info) as file:
                    arrays[name] = _load_array(file, info.file_size)
        return arrays


def _load_array(file, size: int) -> np.ndarray:
    """Load one array; `size` is what the file or member holds in bytes."""
    version = npy.read_magic(file)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version} of the array format")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # headers of Python 2, and what damaged ones are taken for
        shape, fortran, dtype = readers[version](file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not loaded")
    count = 1
    for length in shape:
        count *= length
    if count * dtype.itemsize > min(size, LARGEST):
        raise ValueError(f"it claims {count * dtype.itemsize} bytes of {size}; at most {LARGEST} are read")
    data = file.read(count * dtype.itemsize)
    if len(data) != count * dtype.itemsize:
        raise ValueError("truncated")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
