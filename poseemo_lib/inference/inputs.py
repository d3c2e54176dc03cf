"""What can be predicted from: videos, keypoint files of any format, datasets; each becomes recordings, one by one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from poseemo_lib.clips import PoseClip, clip_faults
from poseemo_lib.data.dataset import INFO_FILE, Dataset
from poseemo_lib.data.dataset.format import Fault
from poseemo_lib.data.formats import READERS, Recording, check_options, find_files, read_files, reader_options
from poseemo_lib.data.formats.guess import DATASET, VIDEO, guess
from poseemo_lib.errors import DatasetError, FormatError, UsageError
from poseemo_lib.paths import resolve
from poseemo_lib.video.estimators import Estimator, open_estimator
from poseemo_lib.video.frames import VIDEO_SUFFIXES, probe
from poseemo_lib.video.people import people_of_video

OpenEstimator = Callable[[], Estimator]


@dataclass(frozen=True)
class InputRecording:
    """One recording of an input.

    Parameters
    ----------
    name : str
        The file, relative to the folder that was given, and the view if there are several; or the clip_id.
    recording : Recording
        With its label, if that is known.
    cuts : tuple of int
        First frames of new scenes.
    clip : PoseClip or None
        The clip of a dataset.
    damage : str
        What could not be read of it; empty for a sound one.
    """

    name: str
    recording: Recording
    cuts: tuple[int, ...] = ()
    clip: PoseClip | None = None
    damage: str = ""


def input_kind(path: str | Path, format: str | None = None) -> str:
    """Tell what an input is: `video`, `dataset` or a key of `formats.READERS`.

    It is the `format` that the user names, or else follows from the file's name and, where needed, its content.

    Raises
    ------
    UsageError
        There is no such file, or its kind is unknown or ambiguous.
    """
    known = (VIDEO, DATASET, *READERS)
    if format is None:
        return guess(path)
    if format not in known:
        raise UsageError(f"--format: wanted one of {', '.join(known)}, got {format!r}")
    if not Path(resolve(path)).exists():
        raise UsageError(f"{path}: wanted a video, a keypoint file or folder, or a dataset, found nothing")
    return format


def read_recordings(
    path: str | Path,
    kind: str,
    faults: list[str],
    *,
    options: dict | None = None,
    estimator: OpenEstimator = open_estimator,
) -> Iterator[InputRecording]:
    """Read the recordings of an input, one at a time; a terminal shows a progress bar for the frames of a video.

    Parameters
    ----------
    path : str or Path
    kind : str
        See :func:`input_kind`.
    faults : list of str
        Unusable files and clips are added to it, and the rest goes on.
    options : dict, optional
        Options of the format's reader.
    estimator : callable, optional
        Opens the pose estimator for videos.

    Raises
    ------
    UsageError
        An option is wrong, or a package is missing.
    """
    place = Path(resolve(path))
    if kind in READERS:
        check_options(kind, reader_options(kind), options or {})
        yield from _read_keypoints(place, kind, faults, options or {})
        return
    if options:
        raise UsageError(f"--set: is for keypoint formats; a {kind} has no options, got {', '.join(options)}")
    yield from _read_videos(place, faults, estimator) if kind == VIDEO else _read_dataset(place, faults)


def _relative(path: Path, place: Path) -> str:
    return path.name if path == place else path.relative_to(place).as_posix()


def _read_keypoints(place: Path, format: str, faults: list[str], options: dict) -> Iterator[InputRecording]:
    for path, recordings in read_files(format, find_files(format, place), options, faults):
        for one in recordings:
            inside = f"/{one.name}" if one.name else ""
            yield InputRecording(_relative(path, place) + inside + one.suffix, one)


def _read_dataset(place: Path, faults: list[str]) -> Iterator[InputRecording]:
    """Read the sound clips of a dataset, or of one shard of it."""
    folder, shard = (place.parent, place.name) if place.suffix == ".parquet" else (place, None)
    dataset = Dataset(folder)
    shards = dataset.info.shards
    if shard and shard not in shards:
        raise DatasetError(f"{folder / INFO_FILE}: wanted the shard {shard} in it, got {', '.join(shards)}")
    for name in [shard] if shard else shards:
        for clip in dataset.scan_shard(name):
            if isinstance(clip, Fault):
                faults.append(str(clip))
            elif wrong := clip_faults(clip, dataset.classes):
                faults.append(str(Fault(f"{folder / name}", clip.clip_id or "", "; ".join(wrong))))
            else:
                recording = Recording(clip.keypoints, clip.fps, clip.width, clip.height, label=clip.label)
                yield InputRecording(clip.clip_id, recording, clip=clip)


def _read_videos(place: Path, faults: list[str], estimator: OpenEstimator) -> Iterator[InputRecording]:
    files = [path for path in sorted(place.rglob("*")) if path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES]
    for path in [place] if place.is_file() else files:
        try:
            probe(path)  # before an estimator is opened or its model fetched
            with estimator() as opened:
                yield _read_video(path, _relative(path, place), opened)
        except FormatError as error:
            faults.append(str(error))


def _read_video(path: Path, name: str, estimator: Estimator) -> InputRecording:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(path.name, total=None)
        found = people_of_video(path, estimator, progress=lambda n, total: bar.update(task, completed=n, total=total))
    recording = Recording(found.keypoints, found.fps, found.width, found.height, tracked=False)
    return InputRecording(name, recording, found.cuts, damage=found.damage)
