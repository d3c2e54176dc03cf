"""OpenPose's `*_keypoints.json`, one file a frame: BODY_25 and COCO-18, told apart by the number of values.

The files of one folder that share a name up to the frame number are one recording. Neither the frame rate nor the
size of the picture is in them: both are options. Hands, faces and `person_id` are not used.

Layouts: OpenPose's output documentation (Cao et al. 2019, "OpenPose: Realtime multi-person 2D pose estimation").
"""

import json
import re
from itertools import groupby
from pathlib import Path

import numpy as np

from poseemo_lib.clips import mark_missing
from poseemo_lib.errors import FormatError, UsageError
from poseemo_lib.formats import Recording, files_under, read_text, typed_options
from poseemo_lib.skeleton import to_coco17

ENDING = "_keypoints.json"
_NAME = re.compile(rf"(?P<clip>.*?)[_\-. ]?(?P<frame>\d*){re.escape(ENDING)}", re.IGNORECASE | re.DOTALL)
_LAYOUTS = {75: "body25", 54: "coco18"}
# More missing frames than this for each file are a sign that the numbers are not frame numbers.
_MOST_SPREAD = 100


def _clip_name(path: Path) -> str:
    return _NAME.fullmatch(path.name)["clip"]


def _frame_number(path: Path) -> int:
    return int(_NAME.fullmatch(path.name)["frame"] or 0)


def find(src) -> list[Path]:
    """List the recordings under a folder.

    Parameters
    ----------
    src : str or Path

    Returns
    -------
    list of Path
        A folder that holds the frames of one recording, or folder / name where it holds those of several.
    """
    recordings = []
    files = sorted(files_under(src, ENDING), key=lambda path: path.parent)
    for folder, group in groupby(files, key=lambda path: path.parent):
        names = sorted({_clip_name(path) for path in group})
        recordings += [folder] if len(names) == 1 else [folder / name for name in names]
    return recordings


def _frame_files(path: Path) -> list[Path]:
    if path.is_dir():
        files = [file for file in path.iterdir() if file.name.lower().endswith(ENDING)]
        names = {_clip_name(file) for file in files}
        if len(names) > 1:
            raise FormatError(
                f"{path}: wanted the frames of one recording, got those of {', '.join(sorted(names)[:3])}"
            )
    elif path.is_file():
        files = [path] if path.name.lower().endswith(ENDING) else []
    else:
        files = [file for file in path.parent.glob("*") if file.name.lower().endswith(ENDING)]
        files = [file for file in files if _clip_name(file) == path.name]
    if not files:
        raise FormatError(f"{path}: wanted files named *{ENDING}, found none")
    return files


def read_frame(path) -> np.ndarray:
    """Read the people of one frame.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    array (P, 17, 3), float32
        Pixels and confidence; people of whom nothing was seen are left out.

    Raises
    ------
    FormatError
        Not JSON, not OpenPose's, or a number of values that is neither layout's.
    """
    try:
        content = json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise FormatError(f"{path}: truncated or damaged JSON: {error}") from None
    people = content.get("people") if isinstance(content, dict) else None
    if not isinstance(people, list):
        raise FormatError(f"{path}: wanted OpenPose's list of people, found none")
    poses = [_pose(person, i, path) for i, person in enumerate(people)]
    poses = [pose for pose in poses if (pose[:, 2] > 0).any()]
    return np.stack(poses) if poses else np.empty((0, 17, 3), np.float32)


def _pose(person, index: int, path) -> np.ndarray:
    # Files of before version 1.2 have the shorter key.
    keys = ("pose_keypoints_2d", "pose_keypoints")
    values = next((person[key] for key in keys if key in person), None) if isinstance(person, dict) else None
    count = len(values) if isinstance(values, list) else 0
    if count not in _LAYOUTS:
        raise FormatError(f"{path}: person {index}: wanted 75 (BODY_25) or 54 (COCO-18) values, got {count}")
    try:
        pose = np.array(values, dtype=np.float32).reshape(-1, 3)
    except (TypeError, ValueError):
        raise FormatError(f"{path}: person {index}: wanted numbers, got something else") from None
    return mark_missing(to_coco17(pose, _LAYOUTS[count]))


@typed_options
def read(path, *, fps: float = 25.0, width: int | None = None, height: int | None = None) -> list[Recording]:
    """Read the frames of one recording.

    Frames are sorted by the number in their names; numbers that are left out are frames in which nobody was seen.

    Parameters
    ----------
    path : str or Path
        A folder of frames, folder / name (see :func:`find`), or a single frame.
    fps : float
        Frames per second of the video, 1 to 1000.
    width, height : int, optional
        Size of the picture in pixels. Without them the smallest picture that holds every joint seen in the recording
        is taken, which differs between recordings: give them wherever positions are divided by the size.

    Returns
    -------
    list of Recording
        One, of P people in the order of the detector.

    Raises
    ------
    FormatError
        A file is faulty, nobody is seen in any frame, two files have one number, or coordinates are not in pixels.
    UsageError
        An option is of the wrong type or out of its range.
    """
    if not 1 <= fps <= 1000:
        raise UsageError(f"fps: wanted 1 to 1000, got {fps}")
    if any(size is not None and size < 1 for size in (width, height)):
        raise UsageError(f"width, height: wanted 1 pixel or more, got {width}, {height}")
    path = Path(path)
    frames = _by_number(_frame_files(path), path)
    people = {number: read_frame(file) for number, file in frames.items()}
    first, last, most = min(people), max(people), max(map(len, people.values()))
    if most == 0:
        raise FormatError(f"{path}: wanted a person in at least one frame, got none in {len(frames)} frames")
    keypoints = mark_missing(np.zeros((last - first + 1, most, 17, 3)))
    for number, poses in people.items():
        keypoints[number - first, : len(poses)] = poses
    right, bottom = np.nanmax(keypoints[..., :2], axis=(0, 1, 2))
    if max(right, bottom) <= 1:
        raise FormatError(f"{path}: wanted pixels, got coordinates of at most 1; run OpenPose with --keypoint_scale 0")
    size = (width or int(np.ceil(max(right, 1))), height or int(np.ceil(max(bottom, 1))))
    return [Recording(keypoints, fps, *size, tracked=False)]


def _by_number(files: list[Path], path: Path) -> dict[int, Path]:
    frames = {_frame_number(file): file for file in files}
    if len(frames) < len(files):
        raise FormatError(
            f"{path}: wanted one file for each frame number, got {len(files)} files, {len(frames)} numbers"
        )
    spread = max(frames) - min(frames) + 1
    if spread > _MOST_SPREAD * len(frames):
        raise FormatError(f"{path}: wanted frame numbers in the names, got {len(frames)} files over {spread} numbers")
    return frames
