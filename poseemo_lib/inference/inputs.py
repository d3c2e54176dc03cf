"""What can be recognised: videos, keypoint files of any format, datasets; each becomes recordings, one by one."""

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from poseemo_lib.clips import PoseClip, clip_faults
from poseemo_lib.data.formats import READERS, Recording, check_options, load_reader, reader_options
from poseemo_lib.errors import DatasetError, FormatError, UsageError
from poseemo_lib.paths import resolve
from poseemo_lib.skeleton import N_KEYPOINTS

DATASET_FILE = "dataset.json"
VIDEO, DATASET = "video", "dataset"


@dataclass(frozen=True)
class Source:
    """One recording to be recognised.

    Parameters
    ----------
    name : str
        The file, relative to the folder that was given, with the view where there are several; or the clip_id.
    recording : Recording
    cuts : tuple of int
        First frames of new scenes.
    label : str or None
        What it is said to show, where that is known.
    clip : PoseClip or None
        The clip of a dataset.
    damage : str
        What could not be read of it; empty: nothing.
    """

    name: str
    recording: Recording
    cuts: tuple[int, ...] = ()
    label: str | None = None
    clip: PoseClip | None = None
    damage: str = ""


OpenEstimator = Callable[[], AbstractContextManager]


def input_kind(path: str | Path, format: str | None = None) -> str:
    """Tell what an input is.

    Parameters
    ----------
    path : str or Path
    format : str, optional
        `video`, `dataset` or a key of `formats.READERS`; default: by the suffix, or by the content where that decides.

    Returns
    -------
    str
        `video`, `dataset` or a key of `formats.READERS`.

    Raises
    ------
    UsageError
        There is no such file, the format is unknown, or it cannot be told.
    """
    from poseemo_lib.video.frames import VIDEO_SUFFIXES

    known = (VIDEO, DATASET, *READERS)
    if format is not None and format not in known:
        raise UsageError(f"--format: wanted one of {', '.join(known)}, got {format!r}")
    place = Path(resolve(path))
    if not place.exists():
        raise UsageError(f"{path}: wanted a video, a keypoint file or folder, or a dataset, found nothing")
    if format:
        return format
    if (place / DATASET_FILE).exists() or (place.suffix == ".parquet" and (place.parent / DATASET_FILE).exists()):
        return DATASET
    names = [one.name.lower() for one in _files(place)]
    if not names:
        raise UsageError(f"{path}: wanted a video, a keypoint file or folder, or a dataset, got an empty folder")
    if any(name.endswith(tuple(VIDEO_SUFFIXES)) for name in names):
        return VIDEO
    return _keypoint_format(path, place)


def _keypoint_format(path: str | Path, place: Path) -> str:
    from poseemo_lib.data.formats.guess import guess_formats

    found = guess_formats(place)
    if len(found) == 1:
        return found[0]
    got = f"one that could be {' or '.join(found)}" if found else "one that no reader claims"
    raise UsageError(f"{path}: wanted a video, a keypoint file or a dataset, got {got}; say --format NAME")


def read_sources(
    path: str | Path,
    kind: str,
    faults: list[str],
    *,
    options: dict | None = None,
    estimator: OpenEstimator | None = None,
    progress: bool = False,
) -> Iterator[Source]:
    """Read everything that is to be recognised, one recording at a time.

    Parameters
    ----------
    path : str or Path
    kind : str
        See :func:`input_kind`.
    faults : list of str
        What cannot be used is added to it, and the rest goes on.
    options : dict, optional
        Of the format's ``read``.
    estimator : callable, optional
        Opens the pose estimator for videos; default: `pose_estimation.open_estimator()`.
    progress : bool
        Show a bar for the frames of a video, in a terminal only.

    Yields
    ------
    Source

    Raises
    ------
    UsageError
        An option is wrong, or a package is missing.
    """
    place = Path(resolve(path))
    if kind == DATASET:
        _no_options(kind, options)
        yield from _dataset_sources(place, faults)
    elif kind == VIDEO:
        _no_options(kind, options)
        yield from _video_sources(place, faults, estimator, progress)
    else:
        check_options(kind, reader_options(kind), options or {})
        yield from _keypoint_sources(place, kind, faults, options or {})


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    return sorted(one for one in place.rglob("*") if one.is_file() and not one.name.startswith("."))


def _no_options(kind: str, options: dict | None) -> None:
    if options:
        raise UsageError(f"--set: is for keypoint formats; a {kind} has no options, got {', '.join(options)}")


def _keypoint_sources(place: Path, format: str, faults: list[str], options: dict) -> Iterator[Source]:
    reader = load_reader(format)
    paths = reader.find(place)
    if not paths:
        raise UsageError(f"{place}: wanted {format} files, found none")
    for path in paths:
        try:
            recordings = reader.read(path, **options)
        except FormatError as error:
            faults.append(str(error))
            continue
        for recording in recordings:
            name = path.name if path == place else path.relative_to(place).as_posix()
            inside = f"/{recording.name}" if recording.name else ""
            yield Source(name + inside + recording.suffix, recording, label=recording.label)


def _dataset_sources(place: Path, faults: list[str]) -> Iterator[Source]:
    for clip in dataset_clips(place, faults):
        recording = Recording(clip.keypoints, clip.fps, clip.width, clip.height)
        yield Source(clip.clip_id, recording, label=clip.label, clip=clip)


def dataset_clips(place: str | Path, faults: list[str]) -> Iterator[PoseClip]:
    """Read the sound clips of a dataset, or of one shard of it.

    Parameters
    ----------
    place : str or Path
        The folder, or one of its `clips-*.parquet`.
    faults : list of str
        Damaged shards and faulty clips are added to it.

    Yields
    ------
    PoseClip

    Raises
    ------
    DatasetError
        There is no dataset, or the shard is not one of it.
    """
    from poseemo_lib.data.dataset import Dataset
    from poseemo_lib.data.dataset.format import Fault, to_clips

    place = Path(place)
    folder = place.parent if place.suffix == ".parquet" else place
    dataset = Dataset(folder)
    wanted = [place.name] if folder != place else list(dataset.info.shards)
    if lost := [name for name in wanted if name not in dataset.info.shards]:
        raise DatasetError(
            f"{folder / DATASET_FILE}: wanted the shard {lost[0]} in it, names {len(dataset.info.shards)}"
        )
    for name in wanted:
        part = copy.copy(dataset)
        part.info = dataset.info.model_copy(update={"shards": {name: dataset.info.shards[name]}})
        try:
            for path, batch in part.batches():
                for clip in to_clips(batch, path):
                    if isinstance(clip, Fault):
                        faults.append(str(clip))
                    elif wrong := clip_faults(clip, dataset.classes):
                        faults.append(str(Fault(path, clip.clip_id or "", "; ".join(wrong))))
                    else:
                        yield clip
        except DatasetError as error:
            faults.append(str(error))


def _video_sources(place: Path, faults: list[str], estimator: OpenEstimator | None, progress: bool) -> Iterator[Source]:
    from poseemo_lib.video.estimators.opening import open_estimator
    from poseemo_lib.video.frames import VIDEO_SUFFIXES, probe

    paths = [one for one in _files(place) if one == place or one.suffix.lower() in VIDEO_SUFFIXES]
    for path in paths:
        name = path.name if path == place else path.relative_to(place).as_posix()
        try:
            probe(path)  # before an estimator is opened or its model fetched
            with (estimator or open_estimator)() as opened:
                yield estimate_video(path, opened, name=name, progress=progress)
        except FormatError as error:
            faults.append(str(error))


def estimate_video(path: str | Path, estimator, *, name: str = "", progress: bool = False) -> Source:
    """Find the people in every frame of a video, and its scene cuts.

    Parameters
    ----------
    path : str or Path
    estimator : Estimator
        Of :mod:`poseemo_lib.video.estimators.opening`.
    name : str
        Default: the file's.
    progress : bool
        Show a bar, in a terminal only.

    Returns
    -------
    Source
        Its recording has every person of every frame, not tracked.

    Raises
    ------
    FormatError
        No frame can be decoded.
    """
    from tqdm import tqdm

    from poseemo_lib.video.frames import prefetch, probe, read_frames
    from poseemo_lib.video.people import look, with_cuts

    path, damage = Path(path), []
    info = probe(path)
    frames = prefetch(with_cuts(read_frames(path, fps=info.fps, on_damage=damage.append), info.fps))
    poses, cuts = [], []
    bar = {"total": info.n_frames, "desc": path.name, "unit": "frame", "disable": None if progress else True}
    for frame, people, is_cut in tqdm(look(frames, estimator), **bar):
        poses.append(people)
        cuts += [frame.index] if is_cut else []
    recording = Recording(stack_people(poses), info.fps, info.width, info.height, tracked=False)
    return Source(name or path.name, recording, tuple(cuts), damage="; ".join(damage))


def stack_people(poses: list[np.ndarray]) -> np.ndarray:
    """Stack frames of any numbers of people, each (P, 17, 3), to (T, most P, 17, 3); who is not there is missing."""
    most = max([1, *(len(frame) for frame in poses)])
    out = np.full((len(poses), most, N_KEYPOINTS, 3), np.nan, np.float32)
    out[..., 2] = 0
    for stacked, frame in zip(out, poses, strict=True):
        stacked[: len(frame)] = frame
    return out
