"""The finished videos of an extraction: one small file each, there whole or not at all, until the dataset holds them.

They lie in the hidden folder `.extract` of the dataset's folder. A result is known by the video's name, size and time
of change and by the settings, so that a video that changed is extracted again and one that did not is not.
"""

import fcntl
import hashlib
import json
import shutil
import zipfile
import zlib
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np

from poseemo_lib.data.extraction.clip import Quality
from poseemo_lib.data.formats import Recording
from poseemo_lib.errors import FormatError, PoseemoError, UsageError
from poseemo_lib.files import PACKAGE, collect_files, hash_code, replacing, write_json

FOLDER = ".extract"
_SETTINGS = "settings.json"
_LOCK = "lock"
# Imported by the code that decides the keypoints, but without a say in them.
_NO_SAY = ("errors.py", "files.py", "data/formats/__init__.py", "video/estimators/model_files.py", "video/writing.py")


def code_hash() -> str:
    """Hash the code that decides the keypoints of a video: 12 hexadecimal digits."""
    files: set[Path] = set()
    for root in (PACKAGE / "data/extraction/clip.py", *(PACKAGE / "video/estimators").glob("*.py")):
        collect_files(root, files)
    return hash_code(files - {PACKAGE / name for name in _NO_SAY})[:12]


class Store:
    """Results of an extraction on disk.

    Parameters
    ----------
    out : Path
        The dataset's folder.
    settings : dict
        All that decides the keypoints: the estimator and its file's hash, the options, the code; and where the videos
        are.
    """

    def __init__(self, out: Path, settings: dict):
        self.folder, self.settings = out / FOLDER, settings
        self._digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()

    @contextmanager
    def locked(self):
        """Hold the folder for this process, and remove what a killed one has left half-written.

        Raises
        ------
        UsageError
            The folder holds results of other settings.
        PoseemoError
            Another process is extracting into it, or it cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = open(self.folder / _LOCK, "w")  # noqa: SIM115
        except OSError as error:
            raise PoseemoError(f"{self.folder.parent}: {error.strerror}; wanted a folder to write in") from None
        with file:
            self._take(file)
            self._check_settings()
            for path in self.folder.glob(".tmp-*"):
                path.unlink(missing_ok=True)
            try:
                yield
            finally:
                self._tidy()

    def _tidy(self) -> None:
        """Leave nothing behind where there is no result."""
        if self.folder.exists() and not self.count():
            self.remove()
            with suppress(OSError):  # there is something else in it
                self.folder.parent.rmdir()

    def _take(self, file) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PoseemoError(f"{self.folder.parent}: another process extracts into it; wait for it") from None
        except OSError as error:
            raise PoseemoError(f"{self.folder}: {error.strerror}; wanted a folder to lock files in") from None

    def _check_settings(self) -> None:
        path = self.folder / _SETTINGS
        if not self.count():
            write_json(path, self.settings)
            return
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise PoseemoError(f"{path}: cannot be read: {error}; remove {self.folder}") from None
        different = [name for name in self.settings if before.get(name) != self.settings[name]]
        if different:
            was, now = (", ".join(f"{name} {one.get(name)}" for name in different) for one in (before, self.settings))
            raise UsageError(
                f"{self.folder.parent}: holds results of an extraction with {was}; wanted the same to go on, got "
                f"{now}; remove {self.folder} or write somewhere else"
            )

    def path(self, name: str, video: Path) -> Path:
        """Name the file of a video's result.

        Parameters
        ----------
        name : str
            The clip's id.
        video : Path

        Raises
        ------
        OSError
            The video is not there.
        """
        about = video.stat()
        key = json.dumps([name, about.st_size, about.st_mtime_ns, self._digest])
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"

    def count(self) -> int:
        """Count the results that are there."""
        return len(list(self.folder.glob("*.npz")))

    def remove(self) -> None:
        """Remove all results."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def remove_others(self, wanted: set[Path]) -> None:
        """Remove results of videos that are not there any more or have changed."""
        for path in set(self.folder.glob("*.npz")) - wanted:
            path.unlink(missing_ok=True)


def save_result(path: Path, recording: Recording, quality: Quality) -> None:
    """Write a result whole or not at all.

    Raises
    ------
    OSError
        The disk is full, or the folder is gone.
    """
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, keypoints=recording.keypoints, quality=json.dumps(asdict(quality)))


def load_result(path: Path) -> tuple[Recording, Quality]:
    """Read a result.

    Raises
    ------
    FormatError
        The file is gone or damaged.
    """
    with _opened(path) as content:
        quality = _quality(content)
        return Recording(content["keypoints"], quality.fps, quality.width, quality.height), quality


def read_quality(path: Path) -> Quality | None:
    """Read the quality of a result without its keypoints; None where there is none, or a damaged one."""
    with suppress(FormatError), _opened(path) as content:
        return _quality(content)
    return None


@contextmanager
def _opened(path: Path):
    try:
        # Opened here: NumPy leaves the file of a damaged archive open.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as content:
            yield content
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise FormatError(f"{path}: wanted a result, cannot be read: {error}") from None


def _quality(content) -> Quality:
    values = json.loads(str(content["quality"]))
    return Quality(**values | {"cuts": tuple(values["cuts"])})
