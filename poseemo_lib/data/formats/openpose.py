"""OpenPose's `*_keypoints.json`, one file a frame: BODY_25 and COCO-18, told apart by the number of values.

The files of one folder that share a name up to the frame number are one recording. Neither the frame rate nor the
size of the picture is in them: both are options. Hands and faces are not used. `person_id`, -1 where OpenPose did not
track, counts where everybody of the recording has one.

Written: BODY_25. Its neck and middle of the hips are the middles of shoulders and hips; the feet are missing.

Layouts: OpenPose's output documentation (Cao et al. 2019, "OpenPose: Realtime multi-person 2D pose estimation").
"""

import json
from pathlib import Path

import numpy as np

from poseemo_lib.data.formats import Recording, check_picture, only_one, picture_size, typed_options
from poseemo_lib.data.formats.frames import (
    arrange,
    find_frames,
    frame_files,
    in_words,
    load_json,
    mark_poses,
    new_folder,
    numbers,
    seen_people,
    shortest,
)
from poseemo_lib.errors import FormatError
from poseemo_lib.files import write_text
from poseemo_lib.skeleton import from_coco17, to_coco17

ENDING = "_keypoints.json"
SUFFIX = ""
LOST = (
    "the frame rate and the size of the picture (give them when reading), label and split, and slots in which nobody "
    "is ever seen"
)
_LAYOUTS = {75: "body25", 54: "coco18"}
# Files of before version 1.2 have the shorter key.
_KEYS = ("pose_keypoints_2d", "pose_keypoints")


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
    return find_frames(src, ENDING)


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
    return _read_people(path)[0]


def _read_people(path) -> tuple[np.ndarray, list[int]]:
    content = load_json(path)
    people = content.get("people") if isinstance(content, dict) else None
    if not isinstance(people, list):
        got = in_words(content if people is None else people)
        raise FormatError(f"{path}: wanted OpenPose's list of people, got {got}")
    poses = [_pose(person, f"{path}: person {i}") for i, person in enumerate(people)]
    kept = [i for i, pose in enumerate(poses) if (pose[:, 2] > 0).any()]
    found = np.stack([poses[i] for i in kept]) if kept else np.empty((0, 17, 3), np.float32)
    return found, [_person_id(people[i]) for i in kept]


def _pose(person, where: str) -> np.ndarray:
    values = next((person[key] for key in _KEYS if key in person), None) if isinstance(person, dict) else None
    count = len(values) if isinstance(values, list) else 0
    if count not in _LAYOUTS:
        raise FormatError(f"{where}: wanted 75 (BODY_25) or 54 (COCO-18) values, got {count}")
    return to_coco17(mark_poses(numbers(values, where).reshape(-1, 3)), _LAYOUTS[count])


def _person_id(person: dict) -> int:
    value = person.get("person_id")
    value = value[0] if isinstance(value, list) and value else value
    return value if type(value) is int and 0 <= value < 2**62 else -1


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
        One, of P people in the order of their ids, or else of the detector.

    Raises
    ------
    FormatError
        A file is faulty, nobody is seen in any frame, two files have one number, or coordinates are not in pixels.
    UsageError
        An option is of the wrong type or out of its range.
    """
    check_picture(fps, width, height)
    path = Path(path)
    files = frame_files(path, ENDING)
    first, last = min(files), max(files)
    found = {number: _read_people(file) for number, file in files.items()}
    ids = [person for _, people in found.values() for person in people]
    keypoints, tracked = arrange(
        np.concatenate([poses for poses, _ in found.values()]),
        np.repeat(np.array(list(found)) - first, [len(poses) for poses, _ in found.values()]),
        ids if min(ids, default=-1) >= 0 else None,
        last - first + 1,
        path,
    )
    if np.nanmax(keypoints[..., :2]) <= 1:
        raise FormatError(f"{path}: wanted pixels, got coordinates of at most 1; run OpenPose with --keypoint_scale 0")
    return [Recording(keypoints, fps, *picture_size(keypoints, width, height), tracked=tracked)]


@typed_options
def write(recordings: list[Recording], path) -> None:
    """Write one recording as a folder of frames; reading gives back the very numbers (see :data:`LOST`).

    Parameters
    ----------
    recordings : list of Recording
        One.
    path : str or Path
        A folder, made where it is missing.

    Raises
    ------
    UsageError
        There are several recordings, or the folder holds frames already.
    """
    recording = only_one(recordings, path)
    folder = new_folder(path, ENDING)
    frames, slots, poses = seen_people(recording)
    values = from_coco17(poses, "body25")
    values[values[..., 2] <= 0] = 0
    rows = shortest(values.reshape(len(values), -1))
    people = [[] for _ in recording.keypoints]
    for frame, slot, row in zip(frames, slots.tolist(), rows, strict=True):
        people[frame].append({"person_id": [slot if recording.tracked else -1], "pose_keypoints_2d": row})
    for frame, listed in enumerate(people):
        write_text(folder / f"frame_{frame:012d}{ENDING}", json.dumps({"version": 1.3, "people": listed}))
