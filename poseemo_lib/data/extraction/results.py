"""What became of the videos of an extraction, and the finished ones on disk until the dataset holds them.

A finished video is a small file in the hidden folder `.extract` of the dataset's folder, written whole or not at all.
Its name is made of the clip's id, the video's size and time of change, and the settings, so that only what changed is
extracted again.
"""

import hashlib
import json
import shutil
import zipfile
import zlib
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from poseemo_lib.data.dataset import DatasetInfo
from poseemo_lib.data.extraction.clip import Quality
from poseemo_lib.data.formats import Recording
from poseemo_lib.data.labelling import Entry
from poseemo_lib.errors import FormatError, PoseemoError
from poseemo_lib.files import PACKAGE, collect_files, hash_code, replacing, write_text

FOLDER = ".extract"
QUALITY_FILE = "quality.csv"
_LOCK = "lock"


@dataclass
class VideoReport:
    """What became of a video: how well its people were seen, or why it could not be used."""

    entry: Entry
    quality: Quality | None = None
    fault: str = ""


@dataclass
class ExtractionReport:
    """What an extraction did."""

    out: Path
    info: DatasetInfo | None = None  # of the dataset that was written
    videos: list[VideoReport] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)  # videos without a known label
    done_before: int = 0  # videos that an earlier call had finished

    @property
    def used(self) -> list[VideoReport]:
        """Those that are clips of the dataset."""
        return [one for one in self.videos if not one.fault]

    @property
    def faults(self) -> list[str]:
        """Why the others are not, one line each."""
        return [one.fault for one in self.videos if one.fault]


def write_quality(report: ExtractionReport) -> None:
    """Write `quality.csv` beside the dataset: one row a video."""
    rows = []
    for one in report.videos:
        entry = one.entry
        row = {"clip_id": entry.name, "path": str(entry.path), "label": entry.label, "split": entry.split or ""}
        row |= {"used": int(not one.fault), "fault": one.fault}
        if one.quality:
            values = asdict(one.quality)
            missing = values.pop("missing")
            values |= {"cuts": len(values["cuts"])} | {f"missing_{part}": share for part, share in missing.items()}
            row |= {key: round(value, 4) if isinstance(value, float) else value for key, value in values.items()}
        rows.append(row)
    # As objects, so that whole numbers stay whole where another video has none.
    write_text(report.out / QUALITY_FILE, pd.DataFrame(rows, dtype=object).to_csv(index=False, lineterminator="\n"))


def code_hash() -> str:
    """Hash the code that decides the keypoints of a video: 12 hexadecimal digits."""
    files: set[Path] = set()
    for root in (PACKAGE / "data/extraction/clip.py", *(PACKAGE / "video/estimators").glob("*.py")):
        collect_files(root, files)
    return hash_code(files)[:12]


@contextmanager
def results_folder(out: Path):
    """Lock and yield the folder of results, without what a killed process has left half-written.

    It is removed at the end if it holds no result. A PoseemoError says that another process extracts into `out`, or
    that it cannot be written to.
    """
    folder = out / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / _LOCK, blocking=False):
            for path in folder.glob(".tmp-*"):
                path.unlink(missing_ok=True)
            try:
                yield folder
            finally:
                if not any(folder.glob("*.npz")):
                    shutil.rmtree(folder, ignore_errors=True)
    except Timeout:
        raise PoseemoError(f"{out}: another process extracts into it; wait for it") from None
    except OSError as error:
        raise PoseemoError(f"{out}: {error.strerror or error}; wanted a folder to write and lock in") from None
    finally:
        with suppress(OSError):  # it is gone, or there is something in it
            out.rmdir()


def result_path(folder: Path, name: str, video: Path, settings: dict) -> Path:
    """Name the file of a video's result by the clip's id, the video and the settings that decide the keypoints."""
    about = video.stat()
    key = json.dumps([name, about.st_size, about.st_mtime_ns, settings], sort_keys=True)
    return folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"


def save_result(path: Path, recording: Recording, quality: Quality) -> None:
    """Write a result whole or not at all."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, keypoints=recording.keypoints, quality=json.dumps(asdict(quality)))


def load_result(path: Path) -> tuple[Recording, Quality]:
    """Read a result; a FormatError says that the file is gone or damaged."""
    try:
        # Opened here: NumPy leaves the file of a damaged archive open.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as content:
            values = json.loads(str(content["quality"]))
            quality = Quality(**values | {"cuts": tuple(values["cuts"])})
            return Recording(content["keypoints"], quality.fps, quality.width, quality.height), quality
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise FormatError(f"{path}: wanted a result, cannot be read: {error}") from None


def read_quality(path: Path) -> Quality | None:
    """Read the quality in a result; None where there is no result, or a damaged one."""
    with suppress(FormatError):
        return load_result(path)[1]
    return None
