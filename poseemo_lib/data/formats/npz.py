"""Our own simple archive, for people who have arrays: one recording in a NumPy `.npz`.

Arrays: ``keypoints`` (T, P, 17, 3) or (T, 17, 3), COCO-17 in pixels with confidence, missing as NaN, NaN, 0; and where
they are known ``fps``, ``width``, ``height``, ``tracked`` (default: true), ``label`` and ``split``.
"""

import warnings
from pathlib import Path

import numpy as np

from poseemo_lib.data.formats import Recording
from poseemo_lib.data.formats.shared import Fps, Side, make_recording, mark_unseen, with_options
from poseemo_lib.errors import FormatError
from poseemo_lib.text import first_line

SUFFIX = ".npz"
LOST = ""
_NAMES = ("keypoints", "fps", "width", "height", "tracked", "label", "split")


@with_options
def read(path, *, fps: Fps = None, width: Side = None, height: Side = None) -> list[Recording]:
    """Read one archive: a list of one recording."""
    arrays = {name: array for name, array in load_arrays(path).items() if name in _NAMES}
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


def load_arrays(path) -> dict[str, np.ndarray]:
    """Load the arrays of a `.npz`, or the one of a `.npy` under the name ``""``.

    Raises
    ------
    FormatError
        The file cannot be read, is not NumPy's, is truncated, or holds Python objects.
    """
    try:
        with Path(path).open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # headers of Python 2, and what damaged ones are taken for
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"": loaded}
            with loaded:
                return {name: loaded[name] for name in loaded.files if isinstance(loaded[name], np.ndarray)}
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # headers are Python's text, archives have a dozen errors of their own
        raise FormatError(f"{path}: not a sound NumPy file: {first_line(error)}") from None


def write(recordings: list[Recording], path) -> None:
    """Write one recording into a `.npz` file."""
    [recording] = recordings
    values = {name: getattr(recording, name) for name in _NAMES}
    with Path(path).open("wb") as file:  # given a name, NumPy may add a second suffix to it
        np.savez(file, **{name: np.asarray(value) for name, value in values.items() if value is not None})
