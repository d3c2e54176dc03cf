"""What can be predicted from: videos, keypoint files of any format, datasets; each becomes recordings, one by one."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from poseemo_lib.clips import PoseClip, clip_faults
from poseemo_lib.data.dataset import INFO_FILE
from poseemo_lib.data.formats import READERS, Recording, check_options, find_files, load_reader, reader_options
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
    cuts : tuple of int
        First frames of new scenes.
    label : str or None
        If it is known.
    clip : PoseClip or None
        The clip of a dataset.
    damage : str
        What could not be read of it; empty for a sound one.
    """

    name: str
    recording: Recording
    cuts: tuple[int, ...] = ()
    label: str | None = None
    clip: PoseClip | None = None
    damage: str = ""


def input_kind(path: str | Path, format: str | None = None) -> str:
    """Tell what an input is: `video`, `dataset` or a key of `formats.READERS`.

    Parameters
    ----------
    path : str or Path
    format : str, optional
        The kind, if the user names it; default: by file name, or by content if the name does not decide.

    Raises
    ------
    UsageError
        There is no such file, or its kind is unknown or ambiguous.
    """
    known = (VIDEO, DATASET, *READERS)
    if format is not None and format not in known:
        raise UsageError(f"--format: wanted one of {', '.join(known)}, got {format!r}")
    if format is None:
        return guess(path)
    if not Path(resolve(path)).exists():
        raise UsageError(f"{path}: wanted a video, a keypoint file or folder, or a dataset, found nothing")
    return format


def read_recordings(
    path: str | Path,
    kind: str,
    faults: list[str],
    *,
    options: dict | None = None,
    estimator: OpenEstimator | None = None,
    progress: bool = False,
) -> Iterator[InputRecording]:
    """Read the recordings of an input, one at a time.

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
        Opens the pose estimator for videos; default: `open_estimator()`.
    progress : bool
        Show a bar for the frames of a video, in a terminal only.

    Raises
    ------
    UsageError
        An option is wrong, or a package is missing.
    """
    place = Path(resolve(path))
    if kind in (DATASET, VIDEO):
        if options:
            raise UsageError(f"--set: is for keypoint formats; a {kind} has no options, got {', '.join(options)}")
        if kind == VIDEO:
            yield from _read_videos(place, faults, estimator or open_estimator, progress)
        else:
            for clip in _dataset_clips(place, faults):
                recording = Recording(clip.keypoints, clip.fps, clip.width, clip.height)
                yield InputRecording(clip.clip_id, recording, label=clip.label, clip=clip)
    else:
        check_options(kind, reader_options(kind), options or {})
        yield from _read_keypoints(place, kind, faults, options or {})


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    return sorted(one for one in place.rglob("*") if one.is_file() and not one.name.startswith("."))


def _relative(path: Path, place: Path) -> str:
    return path.name if path == place else path.relative_to(place).as_posix()


def _read_keypoints(place: Path, format: str, faults: list[str], options: dict) -> Iterator[InputRecording]:
    for path in find_files(format, place):
        try:
            recordings = load_reader(format).read(path, **options)
        except FormatError as error:
            faults.append(str(error))
            continue
        for one in recordings:
            inside = f"/{one.name}" if one.name else ""
            yield InputRecording(_relative(path, place) + inside + one.suffix, one, label=one.label)


def _dataset_clips(place: Path, faults: list[str]) -> Iterator[PoseClip]:
    """Read the sound clips of a dataset, or of one shard of it."""
    from poseemo_lib.data.dataset import Dataset
    from poseemo_lib.data.dataset.format import Fault, to_clips

    folder = place.parent if place.suffix == ".parquet" else place
    dataset = Dataset(folder)
    wanted = [place.name] if folder != place else list(dataset.info.shards)
    if lost := [name for name in wanted if name not in dataset.info.shards]:
        raise DatasetError(f"{folder / INFO_FILE}: wanted the shard {lost[0]} in it, names {len(dataset.info.shards)}")
    for name in wanted:
        shard = copy.copy(dataset)
        shard.info = dataset.info.model_copy(update={"shards": {name: dataset.info.shards[name]}})
        try:
            for path, batch in shard.batches():
                for clip in to_clips(batch, path):
                    if isinstance(clip, Fault):
                        faults.append(str(clip))
                    elif wrong := clip_faults(clip, dataset.classes):
                        faults.append(str(Fault(path, clip.clip_id or "", "; ".join(wrong))))
                    else:
                        yield clip
        except DatasetError as error:
            faults.append(str(error))


def _read_videos(place: Path, faults: list[str], estimator: OpenEstimator, progress: bool) -> Iterator[InputRecording]:
    for path in _files(place):
        if path != place and path.suffix.lower() not in VIDEO_SUFFIXES:
            continue
        try:
            probe(path)  # before an estimator is opened or its model fetched
            with estimator() as opened:
                yield _read_video(path, _relative(path, place), opened, progress)
        except FormatError as error:
            faults.append(str(error))


def _read_video(path: Path, name: str, estimator: Estimator, progress: bool) -> InputRecording:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not (progress and console.is_terminal)) as bar:
        task = bar.add_task(path.name, total=None)
        found = people_of_video(path, estimator, progress=lambda n, total: bar.update(task, completed=n, total=total))
    recording = Recording(found.keypoints, found.fps, found.width, found.height, tracked=False)
    return InputRecording(name, recording, found.cuts, damage=found.damage)
