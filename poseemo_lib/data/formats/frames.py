"""What the readers and writers of JSON and text share: parsing, frames by number, people into slots, exact numbers."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from poseemo_lib.clips import mark_missing
from poseemo_lib.data.formats import Recording, check_seen, files_under
from poseemo_lib.errors import FormatError, UsageError

# `walk_000012` is frame 12 of `walk`. More than 18 digits are no frame number.
_NUMBERED = re.compile(r"(?P<clip>.*?)[_\-. ]?(?P<frame>[0-9]{0,18})", re.DOTALL)
# An ending begins with a letter: `clip.000012` has none.
_ENDING = re.compile(r"\.[A-Za-z]\w*$")
# More missing frames than this for each one given are a sign that the numbers are not frame numbers.
_MOST_SPREAD = 100
# Tracks of many people of a long video would need a slot each in every frame; more slots than these are not laid out.
_MOST_SLOTS = 4_000_000


def load_json(path):
    """Parse a JSON file in UTF-8, UTF-16 or UTF-32.

    Raises
    ------
    FormatError
        The file cannot be read, is no text, or is truncated or damaged.
    """
    try:
        return json.loads(Path(path).read_bytes())
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: wanted JSON in UTF-8, got other bytes at {error.start}") from None
    except RecursionError:
        raise FormatError(f"{path}: truncated or damaged JSON: nested too deeply") from None
    except ValueError as error:
        raise FormatError(f"{path}: truncated or damaged JSON: {error}") from None


def in_words(value) -> str:
    """Say in a few words what a JSON value is, for messages."""
    if isinstance(value, list | dict):
        kind = "a list" if isinstance(value, list) else "an object"
        return f"{kind} of {len(value)}" if value else f"an empty {kind.split()[1]}"
    return repr(value)[:60]


def numbers(values, where: str) -> np.ndarray:
    """Turn a JSON list of numbers into an array (n,), float64; NaN and infinity stay.

    Raises
    ------
    FormatError
        It is not a list, or something in it is not a number.
    """
    try:
        array = np.asarray(values)
    except (ValueError, OverflowError):
        array = np.empty(0, object)
    if not isinstance(values, list) or array.ndim != 1 or array.dtype.kind not in "iuf":
        got = (
            next((in_words(v) for v in values if type(v) not in (int, float)), "a number too large")
            if isinstance(values, list)
            else in_words(values)
        )
        raise FormatError(f"{where}: wanted numbers, got {got}")
    return array.astype(np.float64)


def mark_poses(values: np.ndarray) -> np.ndarray:
    """Give what was not seen its one form, as :func:`poseemo_lib.clips.mark_missing`; too large is not seen."""
    with np.errstate(over="ignore"):
        return mark_missing(values)


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
    """Return the files of a recording that :func:`find_frames` found, by frame number.

    Raises
    ------
    FormatError
        There is none, they are of several recordings, two have one number, or the numbers are no frame numbers.
    """
    if path.is_file():
        files = [path] if path.name.lower().endswith(ending) else []
    else:
        folder = path if path.is_dir() else path.parent
        files = [file for file in folder.glob("*") if file.name.lower().endswith(ending) and wanted(file)]
        names = {_clip(file, ending) for file in files}
        if path.is_dir() and len(names) > 1:
            some = ", ".join(sorted(names)[:3])
            raise FormatError(f"{path}: wanted the frames of one recording, got those of {some}")
        files = [file for file in files if path.is_dir() or _clip(file, ending) == path.name]
    if not files:
        raise FormatError(f"{path}: wanted files named *{ending}, found none")
    frames = {split_number(file.name[: -len(ending)])[1] or 0: file for file in files}
    if len(frames) < len(files):
        raise FormatError(
            f"{path}: wanted one file for each frame number, got {len(files)} files, {len(frames)} numbers"
        )
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
        Of all frames, in the detector's order; people of whom nothing was seen are left out.
    frames : array (N,), int
        0 to n_frames - 1.
    ids : sequence of N, optional
        Who each is, comparable with each other. They count where no frame has one of them twice.
    n_frames : int
    where : str or Path
        The file, for the message.

    Returns
    -------
    keypoints : array (T, P, 17, 3), float32
    tracked : bool
        Whether a slot is one person, in the order of the ids; else people fill the slots in the detector's order.

    Raises
    ------
    FormatError
        Nobody is seen in any frame.
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


def boxes(poses: np.ndarray) -> np.ndarray:
    """Return left, top, width and height (N, 4) around the joints seen of poses (N, 17, 3)."""
    seen = poses[..., 2:] > 0
    low = np.where(seen, poses[..., :2], np.inf).min(1)
    return np.concatenate([low, np.where(seen, poses[..., :2], -np.inf).max(1) - low], 1)


def shortest(values: np.ndarray) -> list:
    """Return an array of float32 as nested lists of the shortest decimals that read back as the same float32."""
    return np.asarray(values, np.float32).astype("U32").astype(np.float64).tolist()


def new_folder(path, ending: str) -> Path:
    """Make a folder for frames.

    Raises
    ------
    UsageError
        It holds frames already, which would mix with the new ones, or a file has its name.
    """
    path = Path(path)
    if path.is_file() or next((f for f in path.glob("*") if f.name.lower().endswith(ending)), None):
        raise UsageError(f"{path}: wanted a new folder, or one without files named *{ending}; it has some or is a file")
    path.mkdir(parents=True, exist_ok=True)
    return path


def unique_names(recordings: Sequence[Recording]) -> list[str]:
    """Return each recording's name, or their numbers where one has none or two are the same."""
    names = [recording.name or recording.suffix.lstrip("@") for recording in recordings]
    return names if all(names) and len(set(names)) == len(names) else [f"{i:06d}" for i in range(len(names))]
