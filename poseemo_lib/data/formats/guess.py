"""What an input is: a dataset, a video or keypoint files of a format; by its name, and where needed by its content."""

import re
import zipfile
from pathlib import Path

from poseemo_lib.data.dataset import INFO_FILE
from poseemo_lib.data.formats import READERS
from poseemo_lib.data.formats.shared import load_json
from poseemo_lib.errors import FormatError, UsageError
from poseemo_lib.paths import resolve
from poseemo_lib.video.frames import VIDEO_SUFFIXES

VIDEO, DATASET = "video", "dataset"
_FRAMES = "_keypoints.json"


def guess(path: str | Path) -> str:
    """Tell what a file or folder is: `video`, `dataset` or a key of :data:`poseemo_lib.data.formats.READERS`.

    A folder is of the one kind that its files are; files of unknown kinds are ignored. If an ending does not decide
    the format, the first file with that ending is opened.

    Raises
    ------
    UsageError
        There is no such file, or it could be of no format or several.
    FormatError
        A file that has to be opened cannot be read.
    """
    place = Path(resolve(path))
    if not place.exists():
        raise UsageError(f"{path}: wanted a video, a keypoint file or folder, or a dataset, found nothing")
    if (place / INFO_FILE).exists() or (place.suffix == ".parquet" and (place.parent / INFO_FILE).exists()):
        return DATASET
    files = [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file() and p.name[0] != ".")
    if any(file.name.lower().endswith(tuple(VIDEO_SUFFIXES)) for file in files):
        return VIDEO
    firsts = {_ending(file): file for file in reversed(files)}
    found = sorted({name for file in firsts.values() if (name := _format_of(file))})
    if len(found) != 1:
        unknown = "one of an unknown format" if files else "an empty folder"
        got = f"one that could be {' or '.join(found)}" if found else unknown
        raise UsageError(f"{path}: wanted a video, a keypoint file or a dataset, got {got}; say --format NAME")
    return found[0]


def _ending(file: Path) -> str:
    return _FRAMES if file.name.lower().endswith(_FRAMES) else file.suffix.lower()


def _format_of(file: Path) -> str | None:
    ending = _ending(file)
    if ending in _BY_CONTENT:
        return _BY_CONTENT[ending](file)
    return next((name for name, endings in READERS.items() if ending in endings), None)


def _of_json(file: Path) -> str | None:
    """COCO and PoseTrack have annotations; results are a list, with an image's name (AlphaPose, COCO) or without."""
    content = load_json(file)
    if isinstance(content, dict):
        named = "openpose" if _ending(file) == _FRAMES else None  # COCO's annotations have been seen to be named so too
        return "coco" if "annotations" in content else "openpose" if "people" in content else named
    first = content[0] if isinstance(content, list) and content else None
    if isinstance(first, dict) and "image_id" in first:
        return "alphapose"
    return "ultralytics" if isinstance(first, dict | list) or content == [] else None


def _of_archive(file: Path) -> str:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise FormatError(f"{file}: cannot be read as an archive of arrays: {error}") from None
    return "npz" if "keypoints.npy" in names else "joints3d" if "names.npy" in names else "mediapipe"


def _of_table(file: Path) -> str | None:
    """Only tables of 3D joints are read; their columns are `Head.x`, `Head.y`, `Head.z`."""
    with file.open("rb") as opened:
        return "joints3d" if re.search(rb"(?i)[._ ]x\s*,.+[._ ]z\s*(,|$)", opened.readline(10_000)) else None


def _of_text(file: Path) -> str | None:
    """Labels are lines of numbers: a class, a box of four, and the joints."""
    with file.open("rb") as opened:
        line = opened.readline(10_000)
    return "ultralytics" if re.fullmatch(rb"\s*([-+.\deE]+\s+){5,}[-+.\deE]+\s*", line) else None


_BY_CONTENT = {".json": _of_json, _FRAMES: _of_json, ".npz": _of_archive, ".txt": _of_text, ".csv": _of_table}
_BY_CONTENT[".h5"] = lambda file: None  # many programs' files end so
