"""Arrays of MediaPipe's 33 pose landmarks, in a `.npy` or `.npz` that somebody saved.

The array is (T, 33, C) or (T, P, 33, C), C = 3 to 5: x, y, z, visibility, presence; three columns may be x, y,
visibility. Confidence is visibility times presence, as with `poseemo extract`, or 1 without either. A landmark at
exactly 0, 0 was not seen. x and y are shares of the picture (as MediaPipe gives them) or pixels. A `.npz` holds the
array as ``landmarks``, or as the only one of such a shape, and may hold ``fps``, ``width`` and ``height``.

Written: `.npz` with ``landmarks`` (T, P, 33, 4) in pixels, the 16 landmarks that COCO-17 lacks and z as NaN, and those
three.

Landmarks: MediaPipe's `PoseLandmark` (Apache-2.0), which is not needed for reading.
"""

from pathlib import Path
from typing import Literal

import numpy as np

from poseemo_lib.data.formats import Recording, shared
from poseemo_lib.data.formats.npz import load_arrays, told_value
from poseemo_lib.errors import FormatError, UsageError
from poseemo_lib.skeleton import from_coco17, to_coco17

SUFFIX = ".npz"
LOST = "label and split, and whether people are tracked (several are read as untracked, unless tracked=true)"
_LANDMARKS = 33


@shared.with_options
def read(
    path,
    *,
    units: Literal["auto", "parts", "pixels"] = "auto",
    third: Literal["auto", "z", "visibility"] = "auto",
    tracked: bool = False,
    fps: shared.Fps = None,
    width: shared.Side = None,
    height: shared.Side = None,
) -> list[Recording]:
    """Read one file: a list of one recording.

    `units`: x and y are shares of the picture (``parts``), which needs its size, or pixels; ``auto``: shares if all are
    within ±3. `third`: what the last of three columns is; ``auto``: visibility if all are 0 to 1. `tracked`: of
    several people, each keeps one slot.
    """
    arrays = load_arrays(path)
    keypoints = shared.mark_unseen(to_coco17(_landmarks(_pick(arrays, path), third), "blazepose33"), path)
    told = {name: told_value(arrays, name) for name in ("fps", "width", "height")}
    if units == "parts" or (units == "auto" and not (np.abs(keypoints[..., :2]) > 3).any()):
        size = width or shared.told_number(told, "width", path), height or shared.told_number(told, "height", path)
        if None in size:
            raise UsageError(f"{path}: x and y are shares of the picture: give the options width and height")
        keypoints[..., :2] *= size
    tracked = tracked or keypoints.shape[1] == 1
    return [shared.make_recording(keypoints, path, fps, width, height, told, tracked=tracked)]


def _pick(arrays: dict[str, np.ndarray], path) -> np.ndarray:
    """Return the landmarks (T, P, 33, C)."""
    fitting = {
        name: array
        for name, array in arrays.items()
        if array.ndim in (3, 4) and array.shape[-2] == _LANDMARKS and 3 <= array.shape[-1] <= 5
        if array.dtype.kind in "fiu" and array.size
    }
    found = fitting.get("landmarks", next(iter(fitting.values())) if len(fitting) == 1 else None)
    if found is None:
        got = ", ".join(f"{name or 'an array'} {array.shape} {array.dtype}" for name, array in arrays.items())
        wanted = f"(frames, {_LANDMARKS}, 3 to 5) or (frames, people, {_LANDMARKS}, 3 to 5)"
        raise FormatError(f"{path}: wanted one array {wanted}, got {len(fitting)} such in {got or 'no arrays'}")
    return found[:, None] if found.ndim == 3 else found


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


def write(recordings: list[Recording], path) -> None:
    """Write one recording into a `.npz` file."""
    [recording] = recordings
    placed = from_coco17(recording.keypoints, "blazepose33")
    landmarks = np.insert(placed, 2, np.nan, axis=-1)  # x, y, z, visibility
    with Path(path).open("wb") as file:
        np.savez(file, landmarks=landmarks, fps=recording.fps, width=recording.width, height=recording.height)
