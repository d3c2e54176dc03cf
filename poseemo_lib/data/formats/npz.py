"""Our own simple archive, for people who have arrays: one recording in a NumPy `.npz`.

Arrays: ``keypoints`` (T, P, 17, 3) or (T, 17, 3), COCO-17 in pixels with confidence, missing as NaN, NaN, 0; ``fps``,
``width``, ``height``; and where they are known ``tracked`` (default: true), ``label`` and ``split``.
Read without pickle.
"""

from pathlib import Path

import numpy as np

from poseemo_lib.clips import SPLITS, mark_missing
from poseemo_lib.data.formats import (
    Recording,
    check_picture,
    check_seen,
    files_under,
    only_one,
    picture_size,
    typed_options,
)
from poseemo_lib.data.formats.arrays import load_arrays
from poseemo_lib.errors import FormatError

SUFFIX = ".npz"
# Some estimators give a little more than 1; percent are another scale.
MOST_CONFIDENCE = 2.0
LOST = ""
_NAMES = ("keypoints", "fps", "width", "height", "tracked", "label", "split")
_KINDS = {"fps": "fiu", "width": "iu", "height": "iu", "tracked": "b", "label": "U", "split": "U"}


def find(src) -> list[Path]:
    """List the `.npz` files under a folder.

    Parameters
    ----------
    src : str or Path
    """
    return files_under(src, SUFFIX)


@typed_options
def read(path, *, fps: float | None = None, width: int | None = None, height: int | None = None) -> list[Recording]:
    """Read one archive.

    Parameters
    ----------
    path : str or Path
    fps : float, optional
        Frames per second, 1 to 1000, instead of the file's; 25 where neither tells.
    width, height : int, optional
        Size of the picture in pixels, instead of the file's; where neither tells, the smallest picture that holds
        every joint seen.

    Returns
    -------
    list of Recording
        One.

    Raises
    ------
    FormatError
        Not such an archive, truncated, other arrays than these, or nobody is seen.
    UsageError
        An option is of the wrong type or out of its range.
    """
    check_picture(fps, width, height)
    arrays = load_arrays(path, _NAMES)
    keypoints = _keypoints(arrays.get("keypoints"), arrays, path)
    values = {name: _value(name, arrays[name], path) for name in _KINDS if name in arrays}
    size = picture_size(keypoints, width or values.get("width"), height or values.get("height"))
    return [
        Recording(
            keypoints,
            float(fps or values.get("fps", 25.0)),
            *size,
            tracked=values.get("tracked", True),
            label=values.get("label"),
            split=values.get("split"),
        )
    ]


def _keypoints(found: np.ndarray | None, arrays: dict, path) -> np.ndarray:
    if found is None:
        raise FormatError(
            f"{path}: wanted an array named keypoints, got {', '.join(map(repr, arrays)) or 'none of ours'}"
        )
    if found.ndim == 3:
        found = found[:, None]
    if found.dtype.kind not in "fiu" or found.ndim != 4 or found.shape[2:] != (17, 3) or 0 in found.shape:
        raise FormatError(
            f"{path}: keypoints: wanted numbers of the shape (frames, people, 17, 3), "
            f"got {found.dtype} of {arrays['keypoints'].shape}"
        )
    if (largest := np.nanmax(found[..., 2], initial=0)) > MOST_CONFIDENCE:
        raise FormatError(f"{path}: confidence: wanted 0 to 1, got up to {largest:g}")
    keypoints = mark_missing(found)
    check_seen(keypoints, path)
    return keypoints


def _value(name: str, array: np.ndarray, path):
    if array.size != 1 or array.dtype.kind not in _KINDS[name]:
        raise FormatError(f"{path}: {name}: wanted one value, got {array.dtype} of {array.shape}")
    value = array.reshape(()).item()
    if name in ("fps", "width", "height") and not 1 <= value <= (1000 if name == "fps" else 100_000):
        raise FormatError(f"{path}: {name}: wanted 1 to {1000 if name == 'fps' else 100000}, got {value}")
    if name == "split" and value not in SPLITS:
        raise FormatError(f"{path}: split: wanted one of {', '.join(SPLITS)}, got {value!r}")
    return value


@typed_options
def write(recordings: list[Recording], path) -> None:
    """Write one recording; reading gives back the very numbers.

    Parameters
    ----------
    recordings : list of Recording
        One.
    path : str or Path
        The `.npz` file.

    Raises
    ------
    UsageError
        There are several recordings.
    """
    recording = only_one(recordings, path)
    values = {name: getattr(recording, name) for name in _NAMES}
    with Path(path).open("wb") as file:  # a name would get a second suffix where it has another
        np.savez(file, **{name: np.asarray(value) for name, value in values.items() if value is not None})
