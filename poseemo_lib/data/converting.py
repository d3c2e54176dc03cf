"""Keypoint files or a dataset -> files of another format."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from types import ModuleType

from poseemo_lib.data.formats import (
    READERS,
    Recording,
    check_options,
    find_files,
    load_reader,
    load_writer,
    options_of,
    reader_options,
)
from poseemo_lib.data.labelling import find_inside, find_path
from poseemo_lib.errors import FormatError, UsageError

DATASET = "dataset"


@dataclass
class ConvertReport:
    """What a conversion did.

    Parameters
    ----------
    written : list of Path
        New files, or folders of one recording each.
    recordings : int
        Number of recordings in them.
    faults : list of str
        Files and recordings that could not be read or written, with the reason.
    lost : str
        What the format cannot hold; empty where it holds everything.
    """

    written: list[Path] = field(default_factory=list)
    recordings: int = 0
    faults: list[str] = field(default_factory=list)
    lost: str = ""


def convert_files(
    source: str,
    src,
    target: str,
    out,
    *,
    options: Mapping | None = None,
    to_options: Mapping | None = None,
    progress: bool = True,
) -> ConvertReport:
    """Write the recordings of keypoint files, or the clips of a dataset, in another format.

    All people are kept, tracked or not. What is faulty is reported and left out; the others are written. No file is
    ever replaced.

    Parameters
    ----------
    source : str
        A key of :data:`poseemo_lib.data.formats.READERS`, or `dataset`.
    src : str or Path
        A file or folder of that format.
    target : str
        One of :data:`poseemo_lib.data.formats.WRITERS`.
    out : str or Path
        Folder for the files, which get the names of their sources; with the target's suffix, the one file that
        everything goes to. Formats whose files hold many recordings always get one file.
    options, to_options : mapping, optional
        Options of the source's ``read`` and of the target's ``write``.
    progress : bool
        Show a progress bar, in a terminal only.

    Raises
    ------
    UsageError
        An argument is wrong, there is nothing to convert, or the first file to write exists already.
    DatasetError
        `src` is not a dataset.
    """
    writer = load_writer(target)
    check_options(target, options_of(writer.write), to_options or {})
    report = ConvertReport(lost=writer.LOST)
    job = _Job(writer, Path(out), dict(to_options or {}), report)
    src, options = Path(src), dict(options or {})
    if source == DATASET:
        check_options(source, {}, options)
        found = _of_dataset(src, report)
    elif source in READERS:
        paths = find_files(source, src)
        check_options(source, reader_options(source), options)
        found = _of_files(load_reader(source), paths, src, options, report, progress)
    else:
        raise UsageError(f"format: wanted {DATASET} or one of {', '.join(READERS)}, got {source!r}")
    if getattr(writer, "MANY", False):
        job.write_together(list(found))
    else:
        job.write_each(found)
    return report


def _of_dataset(src: Path, report: ConvertReport) -> Iterator[tuple[str, Recording]]:
    from poseemo_lib.clips import PoseClip
    from poseemo_lib.data.dataset import Dataset

    for clip in Dataset(src).scan():
        if isinstance(clip, PoseClip):
            picture = (clip.fps, clip.width, clip.height)
            yield clip.clip_id, Recording(clip.keypoints, *picture, label=clip.label, split=clip.split)
        else:
            report.faults.append(str(clip))


def _of_files(
    reader: ModuleType, paths: list[Path], src: Path, options: dict, report: ConvertReport, progress: bool
) -> Iterator[tuple[str, Recording]]:
    from tqdm import tqdm

    # disable=None: no bar where the output is not a terminal.
    for path in tqdm(paths, desc="convert", unit="file", disable=None if progress else True):
        try:
            recordings = reader.read(path, **options)
        except FormatError as error:
            report.faults.append(str(error))
            continue
        here = find_path(path, src)
        for recording in recordings:
            yield find_inside(here, recording, src).name + recording.suffix, recording


@dataclass
class _Job:
    writer: ModuleType
    out: Path
    options: dict
    report: ConvertReport

    def write_each(self, found: Iterator[tuple[str, Recording]]) -> None:
        """Write a file or folder for each recording."""
        whole = self._is_file()
        for name, recording in found:
            if whole and self.report.recordings:
                self._fail(name, f"{self.out} holds one recording; give a folder for several")
                continue
            try:
                self._write([recording], self.out if whole else self._place(name))
            except (FormatError, OSError) as error:
                self._fail(name, error)

    def _fail(self, name: str, reason) -> None:
        shown = name[:100] if name.isprintable() else repr(name[:100])
        self.report.faults.append(f"{shown}: {reason}")

    def write_together(self, found: list[tuple[str, Recording]]) -> None:
        """Write all recordings into one file."""
        path = self.out if self._is_file() else self.out.with_name(self.out.name + self.writer.SUFFIX)
        named = [replace(recording, name=name, suffix="") for name, recording in found]
        if not named:
            return
        try:
            self._write(named, path)
        except OSError as error:
            raise FormatError(f"{path}: cannot be written: {error.strerror}") from None

    def _is_file(self) -> bool:
        suffix = self.writer.SUFFIX
        return bool(suffix) and self.out.name.lower().endswith(suffix) and not self.out.is_dir()

    def _place(self, name: str) -> Path:
        """Return where a recording goes: inside the folder, whatever a file says that its recordings are called."""
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or "\0" in name:
            raise FormatError(f"wanted a name for a file in {self.out}, got {name[:80]!r}")
        return self.out.joinpath(*parts[:-1], parts[-1] + self.writer.SUFFIX)

    def _write(self, recordings: list[Recording], path: Path) -> None:
        if path.exists() or path.is_symlink():
            message = f"{path}: exists, and is not overwritten; give another place or remove it"
            raise FormatError(message) if self.report.written else UsageError(message)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Beside its place under its own name, which some writers use, and put there when it is whole.
        with tempfile.TemporaryDirectory(prefix=".tmp-", dir=path.parent) as folder:
            made = Path(folder) / path.name
            self.writer.write(recordings, made, **self.options)
            os.rename(made, path)
        self.report.written.append(path)
        self.report.recordings += len(recordings)
