"""Ultralytics' pose results, of models with COCO's 17 joints: `labels/*.txt`, `Results.to_json()`, `predictions.json`.

- Labels (``save_txt=True``, and the datasets to train on): one file a frame, `walk_12.txt`; one line a person: class,
  box, (x, y, v) of each joint, and then, if they were saved, the confidence of the box and the track's id. All are
  shares of the picture, so width and height have to be given. A last column of whole numbers of 1 or more in all files
  is the track's id. v is the joint's confidence, or 1 if it is missing; in files for training, which have a v of 2
  somewhere, it is 0, 1 or 2: not labelled, hidden, seen, and becomes 0, 0.5 and 1.
- `Results.to_json()`: one file a frame with a list of people, or one file with a list of these lists. In pixels; with
  ``normalize=True``, which gives nothing above 1, width and height have to be given.
- `predictions.json` (``save_json=True``): COCO's keypoint results, see :mod:`poseemo_lib.data.formats.alphapose`.

A joint at exactly 0, 0 was not seen: so Ultralytics writes joints of low confidence. Frames without a file are frames
in which nobody was seen; time begins at the first file. Classes are not used.

Source: `Results.save_txt` and `Results.summary` of Ultralytics, and its page on pose datasets. Nothing of Ultralytics,
whose licence is AGPL-3.0, is used here.
"""

import io
import json
import re
from pathlib import Path

import numpy as np

from poseemo_lib.data.formats import Recording, files_under, sequences, shared
from poseemo_lib.data.formats.alphapose import read_results
from poseemo_lib.errors import FormatError, UsageError
from poseemo_lib.files import write_text

SUFFIX = ""
LOST = (
    "the frame rate and the size of the picture (give them when reading), label and split, joints at exactly 0, 0, and "
    "slots in which nobody is ever seen"
)
_LABELS, _JSON = ".txt", ".json"
_BOX = 5  # class, centre and size of the box
_NO_LABELS = ("classes.txt", "train.txt", "val.txt", "test.txt")  # lists that stand beside labels


def find(src) -> list[Path]:
    """List the recordings under a folder: JSON files that hold one or more, and folders of frames or folder / name."""
    whole = [path for path in files_under(src, _JSON) if not _is_frame(path)]
    frames = sequences.find_frames(src, _LABELS, _is_label) + sequences.find_frames(src, _JSON, _is_frame)
    return sorted({*whole, *frames})


def _is_label(path: Path) -> bool:
    return path.is_file() and path.name.lower() not in _NO_LABELS


def _is_frame(path: Path) -> bool:
    """Tell whether a JSON file is one frame by how it begins: a list of people, not of frames or of results."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(4096)
    return re.match(rb"\s*\[\s*(\{|\]\s*$)", start) is not None and b'"image_id"' not in start


@shared.with_options
def read(path, *, fps: shared.Fps = 25.0, width: shared.Side = None, height: shared.Side = None) -> list[Recording]:
    """Read what :func:`find` gives, or a single frame.

    Returns
    -------
    list of Recording
        One; of `predictions.json` one for each name that images share up to a number.

    Raises
    ------
    UsageError
        Places are shares of the picture, and its size is not given.
    """
    path, shares = Path(path), False
    if path.is_file() and path.name.lower().endswith(_JSON):
        content = shared.load_json(path)
        if isinstance(content, list) and content and isinstance(content[0], dict) and "image_id" in content[0]:
            return read_results(content, path, fps, width, height)
        frames = {i: (people, f"{path}: frame {i}") for i, people in enumerate(_frames_of(content, path))}
        people = _from_json(frames)
    elif frames := sequences.frame_files(path, _LABELS, _is_label):
        people, shares = _from_labels(frames, path), True
    elif files := sequences.frame_files(path, _JSON, _is_frame):
        frames = {i: (_frames_of(shared.load_json(file), file)[0], str(file)) for i, file in files.items()}
        people = _from_json(frames)
    else:
        raise FormatError(f"{path}: wanted labels (*{_LABELS}) or results (*{_JSON}), found none")
    poses = np.array([pose for _, pose, _ in people]).reshape(-1, 17, 3)
    places = poses[..., :2]
    if shares or ((places > 0).any() and not (places > 1).any()):
        if not (width and height):
            raise UsageError(f"{path}: x and y are shares of the picture: give the options width and height")
        places *= (width, height)
    poses[(places == 0).all(-1)] = 0
    people = [(frame, pose, own) for (frame, _, own), pose in zip(people, shared.mark_unseen(poses, path), strict=True)]
    keypoints, tracked = sequences.arrange(people, min(frames), max(frames))
    return [shared.make_recording(keypoints, path, fps, width, height, tracked=tracked)]


def _frames_of(content, path) -> list[list]:
    """Return the frames of a file, each a list of people."""
    if isinstance(content, list) and all(isinstance(each, dict) for each in content):
        return [content]
    if isinstance(content, list) and all(isinstance(each, list) for each in content):
        return content
    raise FormatError(f"{path}: wanted a list of people or a list of such lists, got {shared.in_words(content)}")


def _person(person, where: str) -> tuple[np.ndarray, int | None]:
    """Return the values (17, 3) of a person, and the track's id or None."""
    found = person.get("keypoints") if isinstance(person, dict) else None
    if not isinstance(found, dict) or not {"x", "y"} <= set(found):
        got = ", ".join(person) if isinstance(person, dict) else shared.in_words(person)
        raise FormatError(f"{where}: wanted keypoints with x, y and visible, got {got}; is it a pose model?")
    columns = [shared.numbers(found[key], f"{where}: {key}") for key in ("x", "y", "visible") if key in found]
    if {len(column) for column in columns} != {17}:
        got = ", ".join(str(len(column)) for column in columns)
        raise FormatError(f"{where}: wanted 17 joints in x, y and visible, got {got}")
    values = np.ones((17, 3))
    values[:, : len(columns)] = np.stack(columns, 1)
    return values, person.get("track_id")


def _from_json(frames: dict[int, tuple[list, str]]) -> list[tuple]:
    """Return frame, values (17, 3) and id of all people."""
    return [(i, *_person(person, where)) for i, (listed, where) in frames.items() for person in listed]


def _from_labels(files: dict[int, Path], path) -> list[tuple]:
    """Return frame, values (17, 3), in shares of the picture, and id of all people."""
    tables = {number: _label_table(file) for number, file in files.items()}
    counts = {table.shape[1]: files[number].name for number, table in tables.items() if len(table)}
    count = max(counts, default=0)
    if count - min(counts, default=0) > 1:
        got = ", ".join(f"{n} in {name}" for n, name in sorted(counts.items()))
        raise FormatError(f"{path}: wanted one number of values in all lines, got {got}")
    channels = 3 if count >= _BOX + 51 else 2
    # Frames in which the tracker lost everybody have no column of ids.
    wide = [np.pad(table, [(0, 0), (0, count - table.shape[1])], constant_values=np.nan) for table in tables.values()]
    lines = np.concatenate(wide)
    people = np.ones((len(lines), 17, 3))
    people[..., :channels] = lines[:, _BOX : _BOX + 17 * channels].reshape(len(lines), 17, channels)
    people[..., 2] = sequences.flags_to_confidence(people[..., 2])
    ids = lines[:, -1] if count > _BOX + 17 * channels else np.zeros(len(lines))
    ids = ids if ((ids >= 1) & (ids == np.round(ids))).all() else [None] * len(lines)
    at = np.repeat(list(tables), [len(table) for table in wide])
    return list(zip(at.tolist(), people, ids, strict=True))


def _label_table(file: Path) -> np.ndarray:
    """Return the lines of a label file as (people, values), float64."""
    text = shared.read_text(file)
    if not text.strip():
        return np.empty((0, 0))
    try:
        table = np.loadtxt(io.StringIO(text), ndmin=2, comments=None)
    except ValueError as error:
        raise FormatError(f"{file}: wanted lines of equally many numbers, got something else: {error}") from None
    if table.shape[1] not in {_BOX + 17 * channels + more for channels in (2, 3) for more in (0, 1, 2)}:
        wanted = "class, box, 17 joints of x, y, v; 39 without v; up to two more: confidence, track id"
        raise FormatError(f"{file}: wanted 56 values a line ({wanted}), got {table.shape[1]}")
    return table


def write(recordings: list[Recording], path) -> None:
    """Write one recording into a `.json` file, as `to_json()` of all frames, or else into a folder of label files.

    Labels are numbered from 1; a frame in which nobody is seen has an empty file. UsageError if the folder holds
    text files already.
    """
    [recording], path = recordings, Path(path)
    frames, slots, poses = sequences.seen_people(recording)
    people = [[] for _ in recording.keypoints]
    whole = path.name.lower().endswith(_JSON)
    entries = (_json_people if whole else _label_lines)(poses, slots + 1 if recording.tracked else None, recording)
    for frame, entry in zip(frames, entries, strict=True):
        people[frame].append(entry)
    if whole:
        write_text(path, json.dumps(people))
        return
    folder = sequences.new_folder(path, _LABELS)
    for frame, lines in enumerate(people, start=1):
        write_text(folder / f"frame_{frame}{_LABELS}", "".join(f"{line}\n" for line in lines))


def _json_people(poses: np.ndarray, ids: np.ndarray | None, recording: Recording) -> list[dict]:
    box = sequences.boxes(poses)
    box[:, 2:] += box[:, :2]
    columns = map(sequences.shortest, (poses.swapaxes(1, 2), box, sequences.mean_scores(poses)))
    people = [
        {"name": "person", "class": 0, "confidence": score, "box": dict(zip(("x1", "y1", "x2", "y2"), b, strict=True))}
        | {"keypoints": dict(zip(("x", "y", "visible"), joints, strict=True))}
        for joints, b, score in zip(*columns, strict=True)
    ]
    tracks = [{}] * len(people) if ids is None else [{"track_id": track} for track in ids.tolist()]
    return [person | track for person, track in zip(people, tracks, strict=True)]


def _label_lines(poses: np.ndarray, ids: np.ndarray | None, recording: Recording) -> list[str]:
    """Write people as lines; 9 digits of a share of the picture give back a float32 number of pixels exactly."""
    size = np.array([recording.width, recording.height], np.float64)
    box = sequences.boxes(poses).astype(np.float64)
    centre = (box[:, :2] + box[:, 2:] / 2) / size
    joints = poses.astype(np.float64) / [*size, 1]
    rows = np.concatenate([centre, box[:, 2:] / size, joints.reshape(len(poses), -1)], 1)
    form = "0 " + " ".join(["%.9g"] * rows.shape[1])
    lines = [form % tuple(row) for row in rows.tolist()]
    return lines if ids is None else [f"{line} {track}" for line, track in zip(lines, ids.tolist(), strict=True)]
