"""OpenPose's `*_keypoints.json`, one file a frame: BODY_25 and COCO-18, which differ in the number of values.

The files of one folder that share a name up to the frame number are one recording. Numbers that are left out are frames
in which nobody was seen. Neither the frame rate nor the size of the picture is in the files. Hands and faces are not
used. `person_id`, -1 where OpenPose did not track, is used if everybody in the recording has one.

Written: BODY_25. Its neck and middle of the hips are the middles of shoulders and hips; the feet are missing.

Layouts: OpenPose's output documentation (Cao et al. 2019, "OpenPose: Realtime multi-person 2D pose estimation").
"""

import json
from pathlib import Path

import numpy as np

from poseemo_lib.data.formats import Recording, sequences, shared
from poseemo_lib.errors import FormatError
from poseemo_lib.files import write_text
from poseemo_lib.skeleton import from_coco17, to_coco17

SUFFIX = ""
LOST = (
    "the frame rate and the size of the picture (give them when reading), label and split, and slots in which nobody "
    "is ever seen"
)
_ENDING = "_keypoints.json"
_LAYOUTS = {75: "body25", 54: "coco18"}
# Files of before version 1.2 have the shorter key.
_KEYS = ("pose_keypoints_2d", "pose_keypoints")


def find(src) -> list[Path]:
    """List the recordings under a folder; see :func:`poseemo_lib.data.formats.sequences.find_frames`."""
    return sequences.find_frames(src, _ENDING)


@shared.with_options
def read(path, *, fps: shared.Fps = 25.0, width: shared.Side = None, height: shared.Side = None) -> list[Recording]:
    """Read the frames of one recording, a folder of frames, folder / name (see :func:`find`) or a frame: a list of one.

    Give `width` and `height` if positions are to be divided by them: the smallest picture differs between recordings.
    """
    path = Path(path)
    files = sequences.frame_files(path, _ENDING)
    if not files:
        raise FormatError(f"{path}: wanted files named *{_ENDING}, found none")
    people = [(number, *person) for number, file in files.items() for person in _read_people(file)]
    keypoints, tracked = sequences.arrange(people, min(files), max(files))
    return [shared.make_recording(keypoints, path, fps, width, height, tracked=tracked)]


def _read_people(path) -> list[tuple[np.ndarray, int | None]]:
    """Return the pose (17, 3) and the id of each person of one frame."""
    content = shared.load_json(path)
    people = content.get("people") if isinstance(content, dict) else None
    if not isinstance(people, list):
        raise FormatError(f"{path}: wanted OpenPose's list of people, got {shared.in_words(content)}")
    return [(_pose(person, f"{path}: person {i}"), _person_id(person)) for i, person in enumerate(people)]


def _pose(person, where: str) -> np.ndarray:
    values = next((person[key] for key in _KEYS if key in person), None) if isinstance(person, dict) else None
    count = len(values) if isinstance(values, list) else 0
    if count not in _LAYOUTS:
        raise FormatError(f"{where}: wanted 75 (BODY_25) or 54 (COCO-18) values, got {count}")
    return to_coco17(shared.mark_unseen(shared.numbers(values, where).reshape(-1, 3), where), _LAYOUTS[count])


def _person_id(person: dict) -> int | None:
    value = person.get("person_id")
    value = value[0] if isinstance(value, list) and value else value
    return value if type(value) is int and value >= 0 else None


def write(recordings: list[Recording], path) -> None:
    """Write one recording as a folder of frames; UsageError where the folder holds frames already."""
    [recording] = recordings
    folder = sequences.new_folder(path, _ENDING)
    frames, slots, poses = sequences.seen_people(recording)
    values = from_coco17(poses, "body25")
    values[values[..., 2] <= 0] = 0
    rows = sequences.shortest(values.reshape(len(values), -1))
    people = [[] for _ in recording.keypoints]
    for frame, slot, row in zip(frames, slots.tolist(), rows, strict=True):
        people[frame].append({"person_id": [slot if recording.tracked else -1], "pose_keypoints_2d": row})
    for frame, listed in enumerate(people):
        write_text(folder / f"frame_{frame:012d}{_ENDING}", json.dumps({"version": 1.3, "people": listed}))
