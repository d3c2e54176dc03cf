"""Keypoints of any length -> windows of the length that a network takes, frame by frame or all at once.

A recording is cut by the same loop that cuts a stream, so that both give the same windows. Imports no torch.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

import numpy as np

from poseemo_lib.clips import mark_missing
from poseemo_lib.skeleton import MAX_PEOPLE
from poseemo_lib.video.tracking import Tracker, choose_main

# Fewest frames with somebody in them that a window has: one shows no movement.
MIN_SEEN = 2


@dataclass(frozen=True)
class Window:
    """The frames `start` to `stop` of a recording, with the main people in them.

    `keypoints` (T, 1 or 2, 17, 3) are in pixels at the recording's own rate, missing: NaN, NaN, 0; the slots are in the
    order of falling weight (:func:`poseemo_lib.video.tracking.choose_main`), and `tracks` tells who is in each.
    """

    keypoints: np.ndarray
    start: int
    stop: int
    tracks: tuple[int, ...]


def raw_length(n_frames: int, model_fps: float, fps: float) -> int:
    """Count the frames of a recording at `fps` that become a window of `n_frames` frames at `model_fps`.

    That is the smallest T with floor((T - 1) * model_fps / fps) + 1 >= n_frames, rounded as in `preparation.resample`.
    """
    step = fps / model_fps
    length = max(1, ceil((n_frames - 1) * step) - 1)
    while floor((length - 1) / step + 1e-6) + 1 < n_frames:
        length += 1
    return length


class WindowCutter:
    """Cut windows out of a stream of people, frame by frame.

    A window ends as soon as there are :attr:`length` frames since the start or the last scene cut, and then every
    :attr:`step` frames; one in which fewer than two frames show anybody is left out. Only the frames of one window are
    kept. `fps` is the frame rate of the stream, `stride` the seconds from the end of one window to the end of the next,
    `people` the most slots of a window (1 or 2); for `n_frames` and `model_fps` see :func:`raw_length`.
    """

    def __init__(self, fps: float, n_frames: int, model_fps: float, *, stride: float = 0.4, people: int = MAX_PEOPLE):
        self.length = raw_length(n_frames, model_fps, fps)
        self.step = max(1, round(stride * fps))
        self.people = people
        self._tracker = Tracker(fps=fps)
        self._frames: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=self.length)
        self._pushed = self._stretch = 0  # frames in all, and since the last cut

    def push(self, poses: np.ndarray, *, ids: np.ndarray | None = None, cut: bool = False) -> list[Window]:
        """Take the next frame and return the windows that end with it or, where it is a cut, before it.

        Parameters
        ----------
        poses : array (P, 17, 3)
            Everybody in it, pixels and confidence; missing people and joints have confidence 0.
        ids : int array (P,), optional
            Known identities, each at most once; below 0 is nobody. Without it people are tracked.
        cut : bool
            The frame is the first of a new scene.
        """
        ended = self.flush() if cut else []
        poses = mark_missing(poses)
        ids = self._tracker.update(poses) if ids is None else np.asarray(ids)
        seen = (poses[..., 2] > 0).any(-1) & (ids >= 0)
        self._frames.append((poses[seen], ids[seen]))
        self._pushed += 1
        self._stretch += 1
        if self._stretch >= self.length and (self._stretch - self.length) % self.step == 0:
            ended += self._window()
        return ended

    def flush(self) -> list[Window]:
        """End the scene, as a cut and the end of the stream do; nobody is tracked beyond it.

        Returns a last window that ends with the last frame, unless one just did. It is shorter where the scene is.
        """
        rest = self._stretch < self.length or (self._stretch - self.length) % self.step
        ended = self._window() if rest else []
        self._frames.clear()
        self._stretch = 0
        self._tracker.reset()
        return ended

    def _window(self) -> list[Window]:
        n_frames, counts = len(self._frames), [len(ids) for _, ids in self._frames]
        if sum(count > 0 for count in counts) < MIN_SEEN:
            return []
        poses, ids = (np.concatenate(parts) for parts in zip(*self._frames, strict=True))
        frames = np.repeat(np.arange(n_frames), counts)
        keypoints, tracks = choose_main(poses, frames, ids, n_frames, people=self.people)
        return [Window(keypoints, self._pushed - n_frames, self._pushed, tracks)]


def cut_windows(
    keypoints: np.ndarray,
    fps: float,
    n_frames: int,
    model_fps: float,
    *,
    tracked: bool,
    stride: float = 0.4,
    people: int = MAX_PEOPLE,
    cuts: Sequence[int] = (),
) -> list[Window]:
    """Push the frames of a recording (T, P, 17, 3) through a :class:`WindowCutter` and return its windows.

    With `tracked` each person has a slot of their own, which is their number; otherwise people are tracked. `cuts` are
    the first frames of new scenes.
    """
    cutter, cuts = WindowCutter(fps, n_frames, model_fps, stride=stride, people=people), set(cuts)
    ids = np.arange(keypoints.shape[1]) if tracked else None
    windows = []
    for frame, poses in enumerate(keypoints):
        windows += cutter.push(poses, ids=ids, cut=frame in cuts)
    return windows + cutter.flush()
