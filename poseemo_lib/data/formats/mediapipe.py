"""Arrays of MediaPipe's 33 pose landmarks, in a `.npy` or `.npz` that somebody saved.

The array is (T, 33, C) or (T, P, 33, C), C = 3 to 5: x, y, z, visibility, presence; three columns may be x, y,
visibility. Confidence is visibility times presence, as with `poseemo extract`; without either it is 1. A landmark at
exactly 0, 0 was not seen. x and y are parts of the picture (as MediaPipe gives them) or pixels.

In a `.npz` the array is the one named ``landmarks``, or the only one of such a shape; ``fps``, ``width`` and ``height``
beside it are used.

Written: `.npz` with ``landmarks`` (T, P, 33, 4) in pixels, the 16 landmarks that COCO-17 lacks and z as NaN, and those
three.

Landmarks: MediaPipe's `PoseLandmark` (Apache-2.0), which is not needed for reading.
"""

from pathlib import Path

import numpy as np

from poseemo_lib.clips import mark_missing
from poseemo_lib.data.formats import (
    Recording,
    check_choice,
    check_picture,
    check_seen,
    files_under,
    only_one,
    picture_size,
    typed_options,
)
from poseemo_lib.data.formats.arrays import load_arrays
from poseemo_lib.errors import FormatError, UsageError
from poseemo_lib.skeleton import from_coco17, to_coco17

SUFFIX = ".npz"
LOST = "label and split, and whether people are tracked (several are read as untracked, unless tracked=true)"
UNITS = ("auto", "parts", "pixels")
COLUMNS = ("auto", "z", "visibility")
_LANDMARKS = 33
# BlazePose places hidden joints outside the picture too, though not far.
_FARTHEST_PART = 3.0


def find(src) -> list[Path]:
    """List the `.npy` and `.npz` files under a folder.

    Parameters
    ----------
    src : str or Path
    """
    return sorted(files_under(src, ".npy") + files_under(src, SUFFIX))


@typed_options
def read(
    path,
    *,
    units: str = "auto",
    third: str = "auto",
    tracked: bool = False,
    fps: float | None = None,
    width: int | None = None,
    height: int | None = None,
) -> list[Recording]:
    """Read one file.

    Parameters
    ----------
    path : str or Path
    units : str
        `parts` of the picture, which needs its size, or `pixels`; `auto`: parts where nothing is beyond ±3.
    third : str
        What the last of three columns is, `z` or `visibility`; `auto`: visibility where all are 0 to 1.
    tracked : bool
        Whether a slot is the same person in every frame, where there are several.
    fps : float, optional
        Frames per second, 1 to 1000, instead of the file's; 25 where neither tells.
    width, height : int, optional
        Size of the picture in pixels, instead of the file's. For pixels, where neither tells, the smallest picture
        that holds every joint seen.

    Returns
    -------
    list of Recording
        One.

    Raises
    ------
    FormatError
        No such array, or nobody is seen in any frame.
    UsageError
        An option is missing, of the wrong type or out of its range.
    """
    check_choice("units", units, UNITS)
    check_choice("third", third, COLUMNS)
    check_picture(fps, width, height)
    arrays = load_arrays(path)
    landmarks = to_coco17(_landmarks(_pick(arrays, path), third), "blazepose33")
    keypoints = mark_missing(landmarks)
    check_seen(keypoints, path)
    width, height = width or _value(arrays, "width", path, 100_000), height or _value(arrays, "height", path, 100_000)
    if units == "parts" or (units == "auto" and np.nanmax(np.abs(keypoints[..., :2])) <= _FARTHEST_PART):
        if not (width and height):
            raise UsageError(f"{path}: wanted the options width and height: it holds parts of the picture, not pixels")
        keypoints[..., :2] *= (width, height)
    size = picture_size(keypoints, width and int(width), height and int(height))
    rate = fps or _value(arrays, "fps", path, 1000) or 25.0
    return [Recording(keypoints, float(rate), *size, tracked=tracked or keypoints.shape[1] == 1)]


def _pick(arrays: dict[str, np.ndarray], path) -> np.ndarray:
    """Return the landmarks (T, P, 33, C)."""
    fitting = {name: array for name, array in arrays.items() if _fits(array)}
    found = fitting.get("landmarks", next(iter(fitting.values())) if len(fitting) == 1 else None)
    if found is None:
        got = ", ".join(f"{name or 'an array'} {array.shape} {array.dtype}" for name, array in arrays.items())
        raise FormatError(
            f"{path}: wanted one array (frames, {_LANDMARKS}, 3 to 5) or (frames, people, {_LANDMARKS}, 3 to 5), "
            f"got {len(fitting)} such in {got or 'no arrays'}"
        )
    return found[:, None] if found.ndim == 3 else found


def _fits(array: np.ndarray) -> bool:
    shaped = array.ndim in (3, 4) and array.shape[-2] == _LANDMARKS and 3 <= array.shape[-1] <= 5
    return shaped and array.dtype.kind in "fiu" and 0 not in array.shape


def _landmarks(found: np.ndarray, third: str) -> np.ndarray:
    """Return x, y, confidence (T, P, 33, 3)."""
    last = found[..., 2]
    if found.shape[-1] > 3:
        score = np.prod(found[..., 3:], -1)
    elif third == "visibility" or (third == "auto" and ((last >= 0) & (last <= 1) | np.isnan(last)).all()):
        score = last
    else:
        score = np.ones(last.shape)
    nowhere = (found[..., :2] == 0).all(-1)
    return np.concatenate([found[..., :2], np.where(nowhere, 0, score)[..., None]], -1).astype(np.float64)


def _value(arrays: dict[str, np.ndarray], name: str, path, most: int) -> float | None:
    if name not in arrays:
        return None
    array = arrays[name]
    if array.size != 1 or array.dtype.kind not in "fiu" or not 1 <= array.item() <= most:
        raise FormatError(f"{path}: {name}: wanted one number, 1 to {most}, got {array.dtype} of {array.shape}")
    return array.item()


@typed_options
def write(recordings: list[Recording], path) -> None:
    """Write one recording; reading gives back the very numbers (see :data:`LOST`).

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
    placed = from_coco17(recording.keypoints, "blazepose33")
    landmarks = np.insert(placed, 2, np.nan, axis=-1)  # x, y, z, visibility
    size = {"fps": recording.fps, "width": recording.width, "height": recording.height}
    with Path(path).open("wb") as file:
        np.savez(file, landmarks=landmarks, **size)
