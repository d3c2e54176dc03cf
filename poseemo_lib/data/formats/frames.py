"""What formats of one file a frame and lists of people share: frames by number, people into slots, exact numbers."""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from poseemo_lib.clips import mark_missing
from poseemo_lib.data.formats import Recording, files_under
from poseemo_lib.data.formats.shared import check_seen
from poseemo_lib.errors import FormatError, UsageError

# `walk_000012` is frame 12 of `walk`. More than 18 digits are not a frame number.
_NUMBERED = re.compile(r"(?P<clip>.*?)[_\-. ]?(?P<frame>[0-9]{0,18})", re.DOTALL)
# An ending begins with a letter: `clip.000012` has none.
_ENDING = re.compile(r"\.[A-Za-z]\w*$")
# More missing frames than this for each one given are a sign that the numbers are not frame numbers.
_MOST_SPREAD = 100
# Tracks of many people of a long video would need a slot each in every frame; more slots than these are not laid out.
_MOST_SLOTS = 4_000_000


def mark_poses(values: np.ndarray) -> np.ndarray:
    """Give what was not seen its one form, as :func:`poseemo_lib.clips.mark_missing`; too large is not seen."""
    with np.errstate(over="ignore"):
        return mark_missing(values)


def flags_to_confidence(visible: np.ndarray) -> np.ndarray:
    """Turn COCO's visibility into confidence: where there is a 2, the values 0, 1, 2 become 0, 0.5, 1."""
    known = visible[np.isfinite(visible)]
    return visible / 2 if np.isin(known, (0, 1, 2)).all() and (known == 2).any() else visible


def split_number(name: str) -> tuple[str, int | None]:
    """Split a name without its ending into the clip's name and the frame's number, none where it has no number."""
    match = _NUMBERED.fullmatch(name)
    return match["clip"], int(match["frame"]) if match["frame"] else None


def without_ending(name: str) -> str:
    """Return the name of a picture without its ending, such as `.jpg`."""
    return _ENDING.sub("", name)


def _clip(path: Path, ending: str) -> str:
    return split_number(path.name[: -len(ending)])[0]


def find_frames(src, ending: str, wanted: Callable[[Path], bool] = Path.is_file) -> list[Path]:
    """List the recordings of which every frame is a file.

    Parameters
    ----------
    src : str or Path
        A folder, or one frame, which is a recording of its own.
    ending : str
        What the names end with after the frame's number, in lower case.
    wanted : callable
        Which of the files count.

    Returns
    -------
    list of Path
        A folder that holds the frames of one recording, or folder / name where it holds those of several.
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
    """Return the files of a recording that :func:`find_frames` found, by frame number; none where there are none.

    Raises
    ------
    FormatError
        They are of several recordings, two have one number, or the numbers are not frame numbers.
    """
    folder = path if path.is_dir() else path.parent
    files = [path] if path.is_file() else folder.glob("*")
    files = [file for file in files if file.name.lower().endswith(ending) and wanted(file)]
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


def check_spread(frames: Iterable[int], where) -> None:
    """Raise :class:`FormatError` where numbers are too far apart to be those of frames."""
    frames = set(frames)
    spread = max(frames) - min(frames) + 1
    if spread > _MOST_SPREAD * len(frames):
        raise FormatError(f"{where}: wanted frame numbers in the names, got {len(frames)} frames over {spread} numbers")


def arrange(
    poses: np.ndarray, frames: np.ndarray, ids: Sequence | None, n_frames: int, where
) -> tuple[np.ndarray, bool]:
    """Put people into frames and slots.

    Parameters
    ----------
    poses : array (N, 17, 3), float32
        Of all frames, in the file's order; people of whom nothing was seen are left out.
    frames : array (N,), int
        0 to n_frames - 1.
    ids : sequence of N, optional
        Who each is, comparable with each other. They count where no frame has one of them twice.
    n_frames : int
    where : str or Path
        The file, for messages.

    Returns
    -------
    keypoints : array (T, P, 17, 3), float32
        At least one joint is seen, else FormatError.
    tracked : bool
        Whether a slot is one person, in the order of the ids; else people fill the slots in the file's order.
    """
    seen = (poses[..., 2] > 0).any(-1)
    poses, frames = poses[seen], np.asarray(frames)[seen]
    slots = None if ids is None else _track_slots(np.asarray(ids)[seen], frames, n_frames)
    tracked = slots is not None
    if slots is None:
        slots = _order_in_frame(frames)
    keypoints = np.full((n_frames, max(slots, default=0) + 1, 17, 3), np.nan, np.float32)
    keypoints[..., 2] = 0
    keypoints[frames, slots] = poses
    check_seen(keypoints, where)
    return keypoints, tracked


def _track_slots(ids: np.ndarray, frames: np.ndarray, n_frames: int) -> np.ndarray | None:
    names, slots = np.unique(ids, return_inverse=True)
    once = len(np.unique(frames * len(names) + slots)) == len(slots)
    return slots if once and n_frames * len(names) <= _MOST_SLOTS else None


def _order_in_frame(frames: np.ndarray) -> np.ndarray:
    order = np.argsort(frames, kind="stable")
    slots = np.empty(len(frames), np.int64)
    slots[order] = np.arange(len(frames)) - np.searchsorted(frames[order], frames[order])
    return slots


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
    """Make a folder for frames; UsageError where it holds frames already, which would mix with the new ones."""
    path = Path(path)
    if path.is_file() or next((f for f in path.glob("*") if f.name.lower().endswith(ending)), None):
        raise UsageError(f"{path}: wanted a new folder, or one without files named *{ending}, got one with some")
    path.mkdir(parents=True, exist_ok=True)
    return path


def unique_names(recordings: Sequence[Recording]) -> list[str]:
    """Return each recording's name, or their numbers where one has none or two are the same."""
    names = [recording.name or recording.suffix.lstrip("@") for recording in recordings]
    return names if all(names) and len(set(names)) == len(names) else [f"{i:06d}" for i in range(len(names))]
