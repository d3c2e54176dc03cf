"""Keypoint files of others, one module a format.

A reader is a module with two functions:

- ``find(src) -> list of Path``: the recordings under a folder (or the one file), sorted;
- ``read(path, *, option=default, ...) -> list of Recording``: one recording, seen once or from several views; with
  type hints and :func:`typed_options`.

A new format is one file and one line in :data:`READERS`.
"""

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, NoneType, UnionType
from typing import get_args, get_origin

import numpy as np
from pydantic import TypeAdapter, ValidationError

from poseemo_lib.errors import FormatError, UsageError

READERS = {
    "bvh": "poseemo_lib.formats.bvh",
    "openpose": "poseemo_lib.formats.openpose",
}


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
    """

    keypoints: np.ndarray
    fps: float
    width: int
    height: int
    suffix: str = ""
    tracked: bool = True


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
    if name not in READERS:
        raise UsageError(f"format: wanted one of {', '.join(READERS)}, got {name!r}")
    return importlib.import_module(READERS[name])


def reader_options(name: str) -> dict:
    """Return the options of a format's ``read`` with their defaults.

    Parameters
    ----------
    name : str
        A key of :data:`READERS`.

    Returns
    -------
    dict
        Option name -> default.
    """
    parameters = inspect.signature(load_reader(name).read).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


_IN_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    NoneType: "none",
    Sequence[float]: "a list of numbers",
    Mapping: "a mapping of texts",
}


def typed_options(read: Callable) -> Callable:
    """Let a reader's ``read`` raise :class:`UsageError` for an option that is not of its type hint."""
    hints = {p.name: p.annotation for p in inspect.signature(read).parameters.values() if p.kind is p.KEYWORD_ONLY}
    adapters = {option: TypeAdapter(hint) for option, hint in hints.items()}

    def typed(option: str, value):
        try:
            return adapters[option].validate_python(value)
        except ValidationError:
            kinds = get_args(hints[option]) if isinstance(hints[option], UnionType) else [hints[option]]
            words = [_IN_WORDS.get(kind) or _IN_WORDS.get(get_origin(kind), str(kind)) for kind in kinds]
            raise UsageError(f"{option}: wanted {' or '.join(words)}, got {value!r}") from None

    @functools.wraps(read)
    def checked(path, **options):
        return read(path, **{key: typed(key, value) if key in hints else value for key, value in options.items()})

    return checked


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
