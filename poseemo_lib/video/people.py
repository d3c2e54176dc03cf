"""Frames -> the people in each: the one loop behind `extract`, `predict` and `live`."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from poseemo_lib.skeleton import N_KEYPOINTS
from poseemo_lib.video.estimators import Estimator
from poseemo_lib.video.frames import Frame, prefetch, probe, read_frames


@dataclass(frozen=True, eq=False)
class VideoPeople:
    """Everybody in a video.

    Parameters
    ----------
    keypoints : array (T, P, 17, 3), float32
        Pixels and confidence. Not tracked: a person may change slots between frames. Absent: NaN, NaN, 0.
    fps, width, height
    cuts : tuple of int
        First frames of new scenes.
    repeated : int
        Frames that show the picture before them again.
    damage : str
        What is wrong with the file; empty for a sound one.
    """

    keypoints: np.ndarray
    fps: float
    width: int
    height: int
    cuts: tuple[int, ...]
    repeated: int
    damage: str


def mark_cuts(frames: Iterable[Frame], fps: float) -> Iterator[Frame]:
    """Mark the first frame of each new scene with `is_cut`."""
    from poseemo_lib.video.scene_cuts import CutDetector

    detector = CutDetector(fps)
    for frame in frames:
        yield replace(frame, is_cut=True) if not frame.repeated and detector.is_cut(frame.rgb) else frame


def find_people(frames: Iterable[Frame], estimator: Estimator) -> Iterator[tuple[Frame, np.ndarray]]:
    """Find everybody in each frame; frames may be left out.

    The estimator may follow people from picture to picture, so it is reset at the start and at each scene cut. A
    repeated picture is estimated once.

    Yields
    ------
    (Frame, array (P, 17, 3))
        Pixels and confidence of the P people found, in any order.
    """
    estimator.reset()
    shown = people = None
    for frame in frames:
        if frame.is_cut:
            estimator.reset()
        if frame.rgb is not shown:  # not `repeated`: the picture that is repeated may have been left out
            people, shown = estimator.estimate(frame.rgb, frame.seconds), frame.rgb
        yield frame, people


def people_of_video(
    path: str | Path,
    estimator: Estimator,
    *,
    fps: float | None = None,
    cuts: bool = True,
    progress: Callable[[int, int | None], None] | None = None,
) -> VideoPeople:
    """Find everybody in each frame of a video. A thread decodes a few frames ahead, so memory use stays small.

    Parameters
    ----------
    path : str or Path
    estimator : Estimator
    fps : float, optional
        Lower rate, for videos that have a higher one.
    cuts : bool
        Look for scene cuts.
    progress : callable, optional
        Called after each frame with the frames done and the expected total (None if unknown).

    Raises
    ------
    FormatError
        No picture can be decoded.
    UsageError
        `fps` is out of range.
    """
    info, damage = probe(path, fps=fps), []
    frames = read_frames(path, fps=info.fps, on_damage=damage.append)
    poses, cut_frames, repeated = [], [], 0
    for frame, people in find_people(prefetch(mark_cuts(frames, info.fps) if cuts else frames), estimator):
        poses.append(people)
        cut_frames += [frame.index] if frame.is_cut else []
        repeated += frame.repeated
        if progress:
            progress(len(poses), info.n_frames)
    keypoints = np.full((len(poses), max(1, *map(len, poses)), N_KEYPOINTS, 3), [np.nan, np.nan, 0], np.float32)
    for stacked, people in zip(keypoints, poses, strict=True):
        stacked[: len(people)] = people
    size = info.fps, info.width, info.height
    return VideoPeople(keypoints, *size, tuple(cut_frames), repeated, "; ".join(damage))
