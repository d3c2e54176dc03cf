"""What formats of one file a frame and lists of people share: frames by number, people into slots, exact numbers."""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from numbers import Real
from pathlib import Path

import numpy as np

from poseemo_lib.data.formats import Recording, files_under
from poseemo_lib.errors import FormatError, UsageError

# `walk_000012` is frame 12 of `walk`. More than 18 digits are not a frame number.
_NUMBERED = re.compile(r"(?P<clip>.*?)[_\-. ]?(?P<frame>[0-9]{0,18})", re.DOTALL)
# A track needs a slot in every frame: with more slots than these, tracks are not used, and people are linked anew.
_MOST_SLOTS = 4_000_000


def flags_to_confidence(visible: np.ndarray) -> np.ndarray:
    """Turn COCO's visibility into confidence: if there is a 2, the values 0, 1, 2 become 0, 0.5, 1."""
    known = visible[np.isfinite(visible)]
    return visible / 2 if np.isin(known, (0, 1, 2)).all() and (known == 2).any() else visible


def split_number(name: str) -> tuple[str, int | None]:
    """Split a name without its ending into the clip's name and the frame's number, if any."""
    match = _NUMBERED.fullmatch(name)
    return match["clip"], int(match["frame"]) if match["frame"] else None


def without_ending(name: str) -> str:
    """Return the name of a picture without its ending, which begins with a letter: `clip.000012` has none."""
    return re.sub(r"\.[A-Za-z]\w*$", "", name)


def _clip(path: Path, ending: str) -> str:
    return split_number(path.name[: -len(ending)])[0]


def find_frames(src, ending: str, wanted: Callable[[Path], bool] = Path.is_file) -> list[Path]:
    """List the recordings under a folder of which every frame is a file; a single frame is a recording of its own.

    Names end with the frame's number and `ending`, in lower case; `wanted` says which files count. A recording is the
    folder of its frames, or folder / name if the folder holds the frames of several.
    """
    files = [path for path in files_under(src, ending) if wanted(path)]
    if Path(src).is_file():
        return files
    recordings = []
    for folder, group in groupby(sorted(files, key=lambda path: path.parent), key=lambda path: path.parent):
        names = sorted({_clip(path, ending) for path in group})
        recordings += [folder] if len(names) == 1 else [folder / name for name in names]
    return recordings


def frame_files(path: Path, ending: str, wanted: Callable[[Path], bool] = Path.is_file) -> dict[int, Path]:
    """Return the files of a recording that :func:`find_frames` found, by frame number, or none.

    FormatError if they are of several recordings, two have one number, or the numbers are not frame numbers.
    """
    folder = path if path.is_dir() else path.parent
    files = [path] if path.is_file() else folder.glob("*")
    files = [file for file in files if file.name.lower().endswith(ending) and file.name[0] != "." and wanted(file)]
    if not path.exists():
        files = [file for file in files if _clip(file, ending) == path.name]
    if len(names := {_clip(file, ending) for file in files}) > 1:
        some = ", ".join(sorted(names)[:3])
        raise FormatError(f"{path}: wanted the frames of one recording, got those of {some}")
    frames = {split_number(file.name[: -len(ending)])[1] or 0: file for file in files}
    if len(frames) < len(files):
        got = f"{len(files)} files, {len(frames)} numbers"
        raise FormatError(f"{path}: wanted one file for each frame number, got {got}")
    if frames:
        check_spread(frames, path)
    return frames


def check_spread(frames: Iterable[int], where, most: int = 100) -> None:
    """Raise :class:`FormatError` if numbers are more than `most` apart on average: they are not those of frames."""
    frames = set(frames)
    spread = max(frames) - min(frames) + 1
    if spread > most * len(frames) or min(frames) < 0:
        raise FormatError(f"{where}: wanted frame numbers, got {len(frames)} frames over {spread} numbers")


def arrange(people: Sequence[tuple[int, np.ndarray, object]], first: int, last: int) -> tuple[np.ndarray, bool]:
    """Put people into slots and into the frames `first` to `last`.

    Each of `people` is (frame, pose (17, 3), id); those of whom nothing was seen are left out. Returns keypoints
    (T, P, 17, 3), float32, and whether a slot is one person. It is if all ids are numbers, and no frame has one of them
    twice: then slots are in the order of the ids, else in the order of `people`.
    """
    people = [one for one in people if (one[1][:, 2] > 0).any()]
    frames = np.array([frame for frame, _, _ in people], np.int64) - first
    ids = np.array([own if isinstance(own, Real) and abs(own) < 2**53 else np.nan for _, _, own in people], float)
    n_frames = last - first + 1
    names, slots = np.unique(ids, return_inverse=True)
    once = len(set(zip(frames, slots, strict=True))) == len(slots)
    tracked = bool(np.isfinite(ids).all()) and once and n_frames * len(names) <= _MOST_SLOTS
    if not tracked:  # the place of each among the people of its frame
        order = np.argsort(frames, kind="stable")
        slots[order] = np.arange(len(frames)) - np.searchsorted(frames[order], frames[order])
    keypoints = np.full((n_frames, max(slots, default=0) + 1, 17, 3), [np.nan, np.nan, 0], np.float32)
    keypoints[frames, slots] = np.array([pose for _, pose, _ in people]).reshape(-1, 17, 3)
    return keypoints, tracked


def seen_people(recording: Recording) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return frames (N,), slots (N,) and poses (N, 17, 3) of the people seen; a missing joint is all 0."""
    frames, slots = np.nonzero((recording.keypoints[..., 2] > 0).any(-1))
    poses = recording.keypoints[frames, slots].astype(np.float32)
    poses[poses[..., 2] <= 0] = 0
    return frames, slots, poses


def mean_scores(poses: np.ndarray) -> np.ndarray:
    """Return the mean confidence (N,) of the joints seen of poses (N, 17, 3), of which the others are 0."""
    return poses[..., 2].sum(-1) / np.maximum((poses[..., 2] > 0).sum(-1), 1)


def boxes(poses: np.ndarray) -> np.ndarray:
    """Return left, top, width and height (N, 4) around the joints seen of poses (N, 17, 3)."""
    seen = poses[..., 2:] > 0
    low = np.where(seen, poses[..., :2], np.inf).min(1)
    return np.concatenate([low, np.where(seen, poses[..., :2], -np.inf).max(1) - low], 1)


def shortest(values: np.ndarray) -> list:
    """Return an array of float32 as nested lists of the shortest decimals that read back as the same float32."""
    return np.asarray(values, np.float32).astype("U32").astype(np.float64).tolist()


def new_folder(path, ending: str) -> Path:
    """Make a folder for frames; UsageError if it holds frames already, which would mix with the new ones."""
    path = Path(path)
    if path.is_file() or next((f for f in path.glob("*") if f.name.lower().endswith(ending)), None):
        raise UsageError(f"{path}: wanted a new folder, or one without files named *{ending}, got one with some")
    path.mkdir(parents=True, exist_ok=True)
    return path


def unique_names(recordings: Sequence[Recording]) -> list[str]:
    """Return each recording's name, or their numbers if one has none or two are the same."""
    names = [recording.name or recording.suffix.lstrip("@") for recording in recordings]
    return names if all(names) and len(set(names)) == len(names) else [f"{i:06d}" for i in range(len(names))]
