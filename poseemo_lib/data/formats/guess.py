"""Which keypoint format a file is of, by its name, and where that is not enough by its content."""

from pathlib import Path

from poseemo_lib.errors import FormatError

# The ending of a name -> its format.
ENDINGS = {
    ".bvh": "bvh",
    ".slp": "sleap",
    ".pose": "pose",
    ".pkl": "pyskl",
    ".pickle": "pyskl",
    ".nc": "movement",
    ".npy": "mediapipe",
}

# OpenPose's files, one a frame; COCO's annotations have been seen to be named so too.
_FRAMES = "_keypoints.json"


def guess_formats(place: Path) -> list[str]:
    """Name the formats that a file, or the files under a folder, could be of.

    Parameters
    ----------
    place : Path
        Exists.

    Returns
    -------
    list of str
        Keys of `formats.READERS`, sorted; empty where no reader claims any file. A folder's files of other kinds are
        not minded.

    Raises
    ------
    FormatError
        A JSON file or an archive of arrays cannot be read.
    """
    files = [place] if place.is_file() else sorted(one for one in place.rglob("*") if one.is_file())
    first = {}  # files of one ending are taken to be of one kind: the first tells
    for path in files:
        first.setdefault(_ending(path), path)
    found = {ENDINGS.get(ending) or _BY_CONTENT.get(ending, _unknown)(path) for ending, path in first.items()}
    return sorted(name for name in found if name)


def _ending(path: Path) -> str:
    name = path.name.lower()
    return _FRAMES if name.endswith(_FRAMES) else path.suffix.lower()


def _of_json(path: Path) -> str | None:
    """COCO and PoseTrack have annotations; results are a list, with an image's name (AlphaPose, COCO) or without."""
    from poseemo_lib.data.formats.frames import load_json

    content = load_json(path)
    if isinstance(content, dict):
        named = "openpose" if _ending(path) == _FRAMES else None
        return "coco" if "annotations" in content else "openpose" if "people" in content else named
    first = content[0] if isinstance(content, list) and content else None
    if isinstance(first, dict) and "image_id" in first:
        return "alphapose"
    return "ultralytics" if isinstance(first, dict | list) or content == [] else None


def _of_archive(path: Path) -> str | None:
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            return "npz" if "keypoints.npy" in archive.namelist() else "mediapipe"
    except (OSError, zipfile.BadZipFile) as error:
        raise FormatError(f"{path}: cannot be read as an archive of arrays: {error}") from None


def _of_text(path: Path) -> str | None:
    """Labels are lines of numbers: a class, a box of four, and the joints."""
    try:
        with path.open(encoding="utf-8") as file:
            line = file.readline(10_000).split()
        numbers = [float(word) for word in line]
    except (OSError, ValueError):  # also text that is no UTF-8
        return None
    return "ultralytics" if len(numbers) > 5 else None


def _unknown(path: Path) -> None:
    """Nothing reads such a file."""


_BY_CONTENT = {".json": _of_json, _FRAMES: _of_json, ".npz": _of_archive, ".txt": _of_text}
