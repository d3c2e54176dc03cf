"""Keypoint files or a dataset -> files of another format."""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from types import ModuleType

from poseemo_lib.clips import PoseClip
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
from poseemo_lib.text import track

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
    writer, out = load_writer(target), Path(out)
    check_options(target, options_of(writer.write), to_options or {})
    report = ConvertReport(lost=writer.LOST)
    found = _recordings(source, Path(src), dict(options or {}), report, progress)
    whole = bool(writer.SUFFIX) and out.name.lower().endswith(writer.SUFFIX) and not out.is_dir()
    write = partial(_write, writer, dict(to_options or {}), report)
    if getattr(writer, "MANY", False):
        path = out if whole else out.with_name(out.name + writer.SUFFIX)
        try:
            if named := [replace(recording, name=name, suffix="") for name, recording in found]:
                write(named, path)
        except OSError as error:
            raise FormatError(f"{path}: cannot be written: {error.strerror}") from None
        return report
    for name, recording in found:
        try:
            if whole and report.recordings:
                raise FormatError(f"{out} holds one recording; give a folder for several")
            write([recording], out if whole else _place(out, name, writer.SUFFIX))
        except (FormatError, OSError) as error:
            report.faults.append(f"{name[:100] if name.isprintable() else repr(name[:100])}: {error}")
    return report


def _recordings(
    source: str, src: Path, options: dict, report: ConvertReport, progress: bool
) -> Iterable[tuple[str, Recording]]:
    """Return name and recording of everything that can be read."""
    if source == DATASET:
        check_options(source, {}, options)
        return _of_dataset(src, report)
    if source not in READERS:
        raise UsageError(f"format: wanted {DATASET} or one of {', '.join(READERS)}, got {source!r}")
    paths = find_files(source, src)
    check_options(source, reader_options(source), options)
    return _of_files(source, track(paths, "convert", shown=progress), src, options, report)


def _of_dataset(src: Path, report: ConvertReport) -> Iterator[tuple[str, Recording]]:
    from poseemo_lib.data.dataset import Dataset

    for clip in Dataset(src).scan():
        if isinstance(clip, PoseClip):
            picture = (clip.fps, clip.width, clip.height)
            yield clip.clip_id, Recording(clip.keypoints, *picture, label=clip.label, split=clip.split)
        else:
            report.faults.append(str(clip))


def _of_files(
    source: str, paths: Iterable[Path], src: Path, options: dict, report: ConvertReport
) -> Iterator[tuple[str, Recording]]:
    for path in paths:
        try:
            recordings = load_reader(source).read(path, **options)
        except FormatError as error:
            report.faults.append(str(error))
            continue
        here = find_path(path, src)
        for recording in recordings:
            yield find_inside(here, recording, src).name + recording.suffix, recording


def _place(folder: Path, name: str, suffix: str) -> Path:
    """Return where a recording goes: inside the folder, whatever a file says that its recordings are called."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\0" in name:
        raise FormatError(f"wanted a name for a file in {folder}, got {name[:80]!r}")
    return folder.joinpath(*parts[:-1], parts[-1] + suffix)


def _write(writer: ModuleType, options: dict, report: ConvertReport, recordings: list[Recording], path: Path) -> None:
    if path.exists() or path.is_symlink():
        message = f"{path}: exists, and is not overwritten; give another place or remove it"
        raise FormatError(message) if report.written else UsageError(message)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place under its own name, which some writers use, and put there when it is whole.
    with tempfile.TemporaryDirectory(prefix=".tmp-", dir=path.parent) as folder:
        made = Path(folder) / path.name
        writer.write(recordings, made, **options)
        os.rename(made, path)
    report.written.append(path)
    report.recordings += len(recordings)
