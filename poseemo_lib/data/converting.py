"""Keypoint files or a dataset -> files of another format."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from types import ModuleType

from poseemo_lib.clips import PoseClip
from poseemo_lib.data import formats
from poseemo_lib.data.labelling import find_inside, find_path
from poseemo_lib.errors import FormatError, UsageError
from poseemo_lib.text import track

DATASET = "dataset"


@dataclass
class ConvertReport:
    """What a conversion did."""

    written: list[Path] = field(default_factory=list)  # new files, or folders of one recording each
    recordings: int = 0  # in them
    faults: list[str] = field(default_factory=list)  # what could not be read or written, and why
    lost: str = ""  # what the format cannot hold


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

    All people are kept, tracked or not. Faulty files and recordings are reported and left out; the others are written.
    No file is ever replaced.

    Parameters
    ----------
    source : str
        A key of :data:`poseemo_lib.data.formats.READERS`, or `dataset`.
    src : str or Path
        A file or folder of that format.
    target : str
        One of :data:`poseemo_lib.data.formats.WRITERS`.
    out : str or Path
        Folder for the files, which get the names of their sources; with the target's suffix, one file for everything.
        Formats whose files hold many recordings always get one file.
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
    writer, out, to_options = formats.load_writer(target), Path(out), dict(to_options or {})
    formats.check_options(target, formats.options_of(writer.write), to_options)
    report = ConvertReport(lost=writer.LOST)
    found = _recordings(source, Path(src), dict(options or {}), report, progress)
    whole = bool(writer.SUFFIX) and out.name.lower().endswith(writer.SUFFIX) and not out.is_dir()
    if getattr(writer, "MANY", False):
        if named := [replace(recording, name=name, suffix="") for name, recording in found]:
            _write(writer, to_options, report, named, out if whole else out.with_name(out.name + writer.SUFFIX))
        return report
    for name, recording in found:
        try:
            if whole and report.recordings:
                raise FormatError(f"{out} holds one recording; give a folder for several")
            place = out if whole else _place(out, name, writer.SUFFIX)
            _write(writer, to_options, report, [recording], place)
        except FormatError as error:
            report.faults.append(f"{name[:100] if name.isprintable() else repr(name[:100])}: {error}")
    return report


def _recordings(
    source: str, src: Path, options: dict, report: ConvertReport, progress: bool
) -> Iterator[tuple[str, formats.Recording]]:
    """Yield name and recording of everything that can be read."""
    if source == DATASET:
        from poseemo_lib.data.dataset import Dataset

        formats.check_options(source, {}, options)
        for clip in Dataset(src).scan():
            if isinstance(clip, PoseClip):
                picture = (clip.fps, clip.width, clip.height)
                yield clip.clip_id, formats.Recording(clip.keypoints, *picture, label=clip.label, split=clip.split)
            else:
                report.faults.append(str(clip))
        return
    paths = formats.find_files(source, src)
    formats.check_options(source, formats.reader_options(source), options)
    for path, recordings in formats.read_files(source, track(paths, "convert", shown=progress), options, report.faults):
        for recording in recordings:
            yield find_inside(find_path(path, src), recording, src).name + recording.suffix, recording


def _place(folder: Path, name: str, suffix: str) -> Path:
    """Return where a recording goes: inside the folder, whatever a file says that its recordings are called."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\0" in name:
        raise FormatError(f"wanted a name for a file in {folder}, got {name[:80]!r}")
    return folder.joinpath(*parts[:-1], parts[-1] + suffix)


def _write(writer: ModuleType, options: dict, report: ConvertReport, recordings: list, path: Path) -> None:
    try:
        if path.exists() or path.is_symlink():
            message = f"{path}: exists, and is not overwritten; give another place or remove it"
            raise FormatError(message) if report.written else UsageError(message)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Beside its place under its own name, which some writers use, and put there when it is whole.
        with tempfile.TemporaryDirectory(prefix=".tmp-", dir=path.parent) as folder:
            made = Path(folder) / path.name
            writer.write(recordings, made, **options)
            os.rename(made, path)
    except OSError as error:
        raise FormatError(f"{str(path)[:200]}: cannot be written: {error.strerror}") from None
    report.written.append(path)
    report.recordings += len(recordings)
