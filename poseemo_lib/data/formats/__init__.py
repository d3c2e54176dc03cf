"""Keypoint files of others, one module a format.

A reader is a module with two functions:

- ``find(src) -> list of Path``: the files, or folders of one recording each, under a folder (or the one file), sorted;
- ``read(path, *, option=default, ...) -> list of Recording``: one recording, seen once or from several views, or the
  recordings that the file holds, each with a ``name``; with type hints and :func:`typed_options`. Faults of the file
  are :class:`~poseemo_lib.errors.FormatError`, those of an option :class:`~poseemo_lib.errors.UsageError`.

A writer has, beside these:

- ``write(recordings, path, *, option=default, ...)``: one file or folder; what was not seen is written as the format's
  own missing;
- ``SUFFIX``: what the file's name ends with, or nothing for a folder;
- ``LOST``: what the format cannot hold, in words; empty where reading gives back the very numbers;
- ``MANY``, where one file holds all recordings; without it `recordings` is a list of one.

A new format is one file and one line in :data:`READERS`.
"""

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, NoneType, UnionType
from typing import get_args, get_origin

import numpy as np

from poseemo_lib.errors import FormatError, UsageError

READERS = {
    name: f"poseemo_lib.data.formats.{name}"
    for name in (
        "bvh",
        "openpose",
        "alphapose",
        "coco",
        "ultralytics",
        "pyskl",
        "sleap",
        "pose",
        "mediapipe",
        "movement",
        "npz",
    )
}
# Motion capture needs a camera to be keypoints, and keypoints need a third dimension to be motion capture.
WRITERS = {name: module for name, module in READERS.items() if name != "bvh"}


@dataclass(frozen=True)
class Recording:
    """One recording from one viewpoint, as a reader gives it.

    Parameters
    ----------
    keypoints : array (T, P, 17, 3), float32
        COCO-17 keypoints in pixels with confidence, of P people. Not seen: x = y = NaN, confidence 0.
    fps : float
        Frames per second.
    width, height : int
        Size of the picture in pixels.
    suffix : str
        What tells the views of one file apart, such as ``@view3``; empty for a single view.
    tracked : bool
        Whether slot p is the same person in every frame. Detectors list people in any order: false.
    label : str, optional
        What the file says the recording shows, in the file's own words.
    split : {"train", "val", "test"}, optional
        The official split, where the file tells it.
    name : str, optional
        What tells the recordings of one file apart, where it holds several.
    """

    keypoints: np.ndarray
    fps: float
    width: int
    height: int
    suffix: str = ""
    tracked: bool = True
    label: str | None = None
    split: str | None = None
    name: str | None = None


def load_reader(name: str) -> ModuleType:
    """Return the module that reads a format.

    Parameters
    ----------
    name : str
        A key of :data:`READERS`.

    Raises
    ------
    UsageError
        There is no such format; the message lists the names.
    """
    return _load(name, READERS)


def load_writer(name: str) -> ModuleType:
    """Return the module that writes a format.

    Parameters
    ----------
    name : str
        A key of :data:`WRITERS`.

    Raises
    ------
    UsageError
        No such format is written; the message lists the names.
    """
    return _load(name, WRITERS)


def _load(name: str, modules: Mapping[str, str]) -> ModuleType:
    if name not in modules:
        raise UsageError(f"format: wanted one of {', '.join(modules)}, got {name!r}")
    return importlib.import_module(modules[name])


def reader_options(name: str) -> dict:
    """Return the options of a format's ``read`` with their defaults: option name -> default.

    Parameters
    ----------
    name : str
        A key of :data:`READERS`.
    """
    return _options(load_reader(name).read)


def writer_options(name: str) -> dict:
    """Return the options of a format's ``write`` with their defaults: option name -> default.

    Parameters
    ----------
    name : str
        A key of :data:`WRITERS`.
    """
    return _options(load_writer(name).write)


def _options(function: Callable) -> dict:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def check_options(format: str, known: Mapping, given: Mapping) -> None:
    """Raise :class:`UsageError` where an option is given that a format does not have."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise UsageError(
            f"format {format}: wanted options among {', '.join(known) or '(there are none)'}, got {', '.join(unknown)}"
        )


_IN_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    NoneType: "none",
    Sequence[float]: "a list of numbers",
    Sequence[str]: "a list of texts",
    Mapping: "a mapping of texts",
}


def typed_options(function: Callable) -> Callable:
    """Let a ``read`` or ``write`` raise :class:`UsageError` for an option that is not of its type hint."""
    parameters = inspect.signature(function).parameters.values()
    hints = {p.name: p.annotation for p in parameters if p.kind is p.KEYWORD_ONLY}

    @functools.wraps(function)
    def checked(*args, **options):
        typed = {key: _typed(key, hints[key], value) if key in hints else value for key, value in options.items()}
        return function(*args, **typed)

    return checked


@functools.cache
def _adapter(hint):
    from pydantic import TypeAdapter  # here, since commands list the formats before they need it

    return TypeAdapter(hint)


def _typed(option: str, hint, value):
    from pydantic import ValidationError

    try:
        return _adapter(hint).validate_python(value)
    except ValidationError:
        kinds = get_args(hint) if isinstance(hint, UnionType) else [hint]
        words = [_IN_WORDS.get(kind) or _IN_WORDS.get(get_origin(kind), str(kind)) for kind in kinds]
        raise UsageError(f"{option}: wanted {' or '.join(words)}, got {value!r}") from None


def read_text(path: Path) -> str:
    """Return a text file's content, without a byte order mark.

    Raises
    ------
    FormatError
        The file cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror}") from None


def files_under(src, suffix: str) -> list[Path]:
    """List the files under a folder whose name ends in `suffix`, in any case, sorted; or the one file."""
    src = Path(src)
    files = src.rglob("*") if src.is_dir() else [src]
    return sorted(path for path in files if path.name.lower().endswith(suffix) and path.is_file())


def check_choice(option: str, value, allowed: tuple[str, ...]) -> None:
    """Raise :class:`UsageError` unless an option has one of its values."""
    if value not in allowed:
        raise UsageError(f"{option}: wanted one of {', '.join(allowed)}, got {value!r}")


def check_picture(fps: float | None, width: int | None, height: int | None) -> None:
    """Raise :class:`UsageError` where a frame rate is not 1 to 1000, or a size not 1 pixel or more."""
    if fps is not None and not 1 <= fps <= 1000:
        raise UsageError(f"fps: wanted 1 to 1000, got {fps}")
    if any(size is not None and size < 1 for size in (width, height)):
        raise UsageError(f"width, height: wanted 1 pixel or more, got {width}, {height}")


def picture_size(keypoints: np.ndarray, width: int | None, height: int | None) -> tuple[int, int]:
    """Return the size of a picture; what is not known is that of the smallest one that holds every joint seen.

    Parameters
    ----------
    keypoints : array (T, P, 17, 3)
        At least one joint is seen.
    width, height : int, optional
    """
    right, bottom = np.nanmax(keypoints[..., :2], axis=(0, 1, 2))
    return int(width or np.ceil(max(right, 1))), int(height or np.ceil(max(bottom, 1)))


def check_seen(keypoints: np.ndarray, where) -> None:
    """Raise :class:`FormatError` where no joint is seen in any frame."""
    if not (keypoints[..., 2] > 0).any():
        raise FormatError(f"{where}: wanted a person in at least one frame, got none in {len(keypoints)} frames")


def only_one(recordings: Sequence[Recording], path) -> Recording:
    """Return the only recording of a list, for formats whose files hold one."""
    if len(recordings) != 1:
        raise UsageError(f"{path}: wanted one recording for a file of this format, got {len(recordings)}")
    return recordings[0]


@contextmanager
def extra(package: str, name: str = "formats"):
    """Turn a failed import into what to install.

    Parameters
    ----------
    package : str
        What is imported inside the ``with``.
    name : str
        The extra of this project that brings it.

    Raises
    ------
    UsageError
        The package is not installed.
    """
    try:
        yield
    except ImportError:
        raise UsageError(f"this format wants {package}; run `pip install 'poseemo[{name}]'`") from None
