"""Our own simple archive, for people who have arrays: one recording in a NumPy `.npz`.

Arrays: ``keypoints`` (T, P, 17, 3) or (T, 17, 3), COCO-17 in pixels with confidence, missing as NaN, NaN, 0; and where
they are known ``fps``, ``width``, ``height``, ``tracked`` (default: true), ``label`` and ``split``.
"""

import warnings
import zipfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from poseemo_lib.data.formats import Recording
from poseemo_lib.data.formats.shared import LARGEST, Fps, Side, make_recording, mark_unseen, with_options
from poseemo_lib.errors import FormatError
from poseemo_lib.text import first_line

SUFFIX = ".npz"
LOST = ""
_NAMES = ("keypoints", "fps", "width", "height", "tracked", "label", "split")


@with_options
def read(path, *, fps: Fps = None, width: Side = None, height: Side = None) -> list[Recording]:
    """Read one archive: a list of one recording."""
    arrays = load_arrays(path, _NAMES)
    keypoints = _keypoints(arrays.pop("keypoints", None), arrays, path)
    told = {name: told_value(arrays, name) for name in arrays}
    tracked = told.pop("tracked", True)
    if not isinstance(tracked, bool):
        raise FormatError(f"{path}: tracked: wanted one truth value, got {tracked!r}")
    return [make_recording(keypoints, path, fps, width, height, told, tracked=tracked)]


def _keypoints(found: np.ndarray | None, others: dict, path) -> np.ndarray:
    if found is None:
        raise FormatError(f"{path}: wanted an array named keypoints, got {', '.join(others) or 'none of our arrays'}")
    people = found[:, None] if found.ndim == 3 else found
    if people.dtype.kind not in "fiu" or people.ndim != 4 or people.shape[2:] != (17, 3) or not people.size:
        got = f"{found.dtype} of {found.shape}"
        raise FormatError(f"{path}: keypoints: wanted numbers of the shape (frames, people, 17, 3), got {got}")
    return mark_unseen(people, path)


def told_value(arrays: dict[str, np.ndarray], name: str):
    """Return what an archive says in an array of one value; None where it has no such array."""
    array = arrays.get(name)
    return None if array is None else array.item() if array.size == 1 else array.tolist()


def load_arrays(path, names: tuple[str, ...] | None = None) -> dict[str, np.ndarray]:
    """Load the arrays of a `.npz`, only those of these names if given, or the one of a `.npy` under the name ``""``.

    Raises
    ------
    FormatError
        The file cannot be read, is not NumPy's, is truncated, claims more than 2 GiB, or holds Python objects.
    """
    try:
        if not zipfile.is_zipfile(path):
            with Path(path).open("rb") as file:
                return {"": _load_array(file, Path(path).stat().st_size)}
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            return {
                name: _load_array(archive.open(info), info.file_size)
                for name, info in members.items()
                if info.filename.endswith(".npy") and (names is None or name in names)
            }
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # headers are Python's text, archives have a dozen errors of their own
        raise FormatError(f"{path}: not a sound NumPy file: {first_line(error)}") from None


def _load_array(file, size: int) -> np.ndarray:
    """Load one array; `size` is what the file or member holds in bytes. No header is believed that claims more."""
    version = npy.read_magic(file)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version} of the array format")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # headers of Python 2, and what damaged ones are taken for
        shape, fortran, dtype = readers[version](file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not loaded")
    claimed = dtype.itemsize
    for length in shape:  # whole numbers of Python, which do not overflow
        claimed *= length
    if claimed > min(size, LARGEST):
        raise ValueError(f"it claims {claimed} bytes of {size}; at most {LARGEST} are read")
    data = file.read(claimed)
    if len(data) != claimed:
        raise ValueError("truncated")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def write(recordings: list[Recording], path) -> None:
    """Write one recording into a `.npz` file."""
    [recording] = recordings
    values = {name: getattr(recording, name) for name in _NAMES}
    with Path(path).open("wb") as file:  # given a name, NumPy may add a second suffix to it
        np.savez(file, **{name: np.asarray(value) for name, value in values.items() if value is not None})
