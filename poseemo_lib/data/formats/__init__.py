"""Keypoint files of other tools: files -> recordings, and recordings -> files.

Read first `npz` (the shortest format) and `shared` (what all formats use). A format is a module with

- ``read(path, *, option=default, ...) -> list of Recording``: the recordings in a file, or in a folder of frames: one,
  or its views, or several, each with a ``name``. A faulty file is a :class:`~poseemo_lib.errors.FormatError`, a wrong
  option a :class:`~poseemo_lib.errors.UsageError`. If a file holds many, a faulty one may be an error in the list.
- ``find(src) -> list of Path``, only if a recording is not simply a file with one of the endings below;
- ``MANY``, only if there are such: the endings of files that hold several named recordings;

and, unless it is only read,

- ``write(recordings, path, *, option=default, ...)``: `recordings` is a list of one, unless the module has ``MANY``.
- ``SUFFIX``: how the file's name ends; empty for a folder of frames.
- ``LOST``: what the format cannot hold, in words; empty if reading gives back exactly what was written.

The options ``fps``, ``width`` and ``height`` replace what the file says. If neither gives them, the rate is 25 frames
per second, and the picture is the smallest that holds every joint seen.

To add a format: write the module, and add its line to :data:`READERS`.
"""

import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from poseemo_lib.errors import FormatError, UsageError

# Format, which is its module's name -> the endings of its files. Several formats may share one: see `guess`.
READERS = {
    "bvh": (".bvh",),
    "joints3d": (".csv", ".npy", ".npz", ".h5"),
    "openpose": ("_keypoints.json",),
    "alphapose": (".json",),
    "coco": (".json",),
    "ultralytics": (".json", ".txt"),
    "pyskl": (".pkl", ".pickle"),
    "sleap": (".slp",),
    "pose": (".pose",),
    "mediapipe": (".npy", ".npz"),
    "movement": (".nc",),
    "npz": (".npz",),
}
# Motion capture is not written: keypoints have no depth.
WRITERS = tuple(name for name in READERS if name not in ("bvh", "joints3d"))


@dataclass(frozen=True)
class Recording:
    """One recording from one viewpoint."""

    # (T, P, 17, 3), float32: COCO-17 of P people, in pixels with confidence; missing: NaN, NaN, 0
    keypoints: np.ndarray
    fps: float
    width: int  # of the picture, pixels
    height: int
    suffix: str = ""  # of the view, if a file has several, such as `@view3`
    tracked: bool = True  # slot p is the same person in every frame; most pose estimators list people in any order
    label: str | None = None  # the file's own
    split: str | None = None  # the file's own: train, val or test
    name: str | None = None  # of the recording, if a file holds several
    note: str = ""  # what was guessed, in words


def load_reader(name: str, known: Iterable[str] = tuple(READERS)) -> ModuleType:
    """Return the module that reads a format; UsageError, with the known names, if there is none."""
    if name not in known:
        raise UsageError(f"format: wanted one of {', '.join(known)}, got {name!r}")
    return importlib.import_module(f"{__name__}.{name}")


def load_writer(name: str) -> ModuleType:
    """Return the module that writes a format; UsageError, with the known names, if there is none."""
    return load_reader(name, WRITERS)


def options_of(function: Callable) -> dict:
    """Return the options of a ``read`` or ``write`` with their defaults: option name -> default."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def reader_options(name: str) -> dict:
    """Return the options for reading a format with their defaults."""
    return options_of(load_reader(name).read)


def check_options(format: str, known: Mapping, given: Mapping) -> None:
    """Raise :class:`UsageError` if an option is given that a format does not have."""
    if unknown := sorted(set(given) - set(known)):
        wanted = f"options among {', '.join(known)}" if known else "no options"
        raise UsageError(f"format {format}: wanted {wanted}, got {', '.join(unknown)}")


def find_files(format: str, src: str | Path) -> list[Path]:
    """List the files of a format under a folder, or the one file, sorted; UsageError if there are none."""
    src, module = Path(src), load_reader(format)
    if not src.exists():
        raise UsageError(f"{src}: wanted a file or folder, found none")
    found = module.find(src) if hasattr(module, "find") else files_under(src, *READERS[format])
    if not found:
        raise UsageError(f"{src}: wanted {format} files, found none")
    return found


def read_files(
    format: str, paths: Iterable[Path], options: Mapping, faults: list[str]
) -> Iterator[tuple[Path, list[Recording]]]:
    """Yield each file with its recordings; `faults` gets a line for every file or recording that cannot be read."""
    for path in paths:
        try:
            found = load_reader(format).read(path, **options)
        except FormatError as error:
            found = [error]
        faults += [str(one) for one in found if isinstance(one, FormatError) and str(one) not in faults]
        if sound := [one for one in found if isinstance(one, Recording)]:
            yield path, sound


def files_under(src: str | Path, *endings: str) -> list[Path]:
    """List the files under a folder whose names end so, in upper or lower case, sorted; or the one file."""
    src = Path(src)
    files = src.rglob("*") if src.is_dir() else [src]
    # macOS puts hidden files of the same ending beside others.
    return sorted(p for p in files if p.name.lower().endswith(endings) and p.name[0] != "." and p.is_file())
