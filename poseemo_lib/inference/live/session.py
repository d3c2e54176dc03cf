"""Keypoints frame by frame -> the prediction at this moment; no camera, no window, no threads.

The windows and their probabilities are those of :func:`poseemo_lib.inference.predictor.predict_recording` on the same
frames, since both use one :class:`poseemo_lib.features.windows.WindowCutter`. Smoothing is for display only.
"""

from dataclasses import dataclass
from math import exp

import numpy as np
import pandas as pd

from poseemo_lib.features.windows import Window, WindowCutter
from poseemo_lib.inference.predictor import STRIDE, Predictor, name_predictions, window_table
from poseemo_lib.skeleton import N_KEYPOINTS
from poseemo_lib.video.tracking import Tracker

# Time constant of the smoothing of probabilities, seconds.
SMOOTHING = 0.8


@dataclass(frozen=True)
class LiveState:
    """What is known after a frame.

    Parameters
    ----------
    people : array (M, 17, 3), float32
        The main people of the last window, in this frame; missing: NaN, NaN, 0. Whoever stays from window to window
        keeps the slot. M is 0 before the first window.
    everybody : array (P, 17, 3)
    probabilities : array (C,) or None
        Calibrated and smoothed. None before the first window, after a cut, and if nobody was seen for a window.
    prediction : str
        A class, "not sure", or empty if there are no probabilities.
    filled : float
        How full the first window is, 0 to 1.
    """

    people: np.ndarray
    everybody: np.ndarray
    probabilities: np.ndarray | None
    prediction: str
    filled: float


@dataclass
class LiveSession:
    """Follow people and predict, frame by frame.

    Parameters
    ----------
    predictor : Predictor
    fps : float
    width, height : int
        Size of the picture in pixels.
    stride : float
        Seconds from the end of one window to the end of the next.
    smoothing : float
        Time constant in seconds of the displayed probabilities; 0: none.
    tracked : bool
        Each person already has a slot of their own.
    keep : bool
        Keep all windows for :meth:`table`.
    """

    predictor: Predictor
    fps: float
    width: int
    height: int
    stride: float = STRIDE
    smoothing: float = SMOOTHING
    tracked: bool = False
    keep: bool = False

    def __post_init__(self):
        info = self.predictor.info
        people = info.preparation.people
        self._cutter = WindowCutter(self.fps, info.n_frames, info.fps, stride=self.stride, people=people)
        self._tables: list[pd.DataFrame] = []
        self._tracker = Tracker(fps=self.fps)
        self._next = self._stretch = self.n_windows = 0
        self._tracks: tuple[int, ...] = ()
        self._smooth: np.ndarray | None = None
        self._end = 0

    @classmethod
    def for_source(cls, predictor: Predictor, source, **options) -> "LiveSession":
        """Open a session at the rate and size of a :class:`poseemo_lib.inference.live.sources.LiveSource`."""
        return cls(predictor, source.fps, source.width, source.height, tracked=source.tracked, **options)

    def push(self, poses: np.ndarray, *, index: int | None = None, cut: bool = False) -> LiveState:
        """Take the next frame, in which a new scene begins if `cut`.

        Parameters
        ----------
        poses : array (P, 17, 3)
            Everybody in it, pixels and confidence; missing keypoints have confidence 0.
        index : int, optional
            Number of the frame; default: the next. Frames left out count as frames in which nobody was seen.
        """
        for _ in range(self._next, self._next if index is None else index):
            self._take(poses[:0], cut=False)
        ids = self._take(poses, cut)
        return self._state(poses, ids)

    def flush(self) -> None:
        """End the recording: its last window may be a short one."""
        self._predict(self._cutter.flush())

    @property
    def seconds(self) -> float:
        """Length so far."""
        return self._next / self.fps

    def table(self) -> pd.DataFrame:
        """All windows so far, as `predict_recording` gives them; needs `keep`."""
        info = self.predictor.info
        nothing = window_table([], np.zeros((0, len(info.classes))), self.fps, info)
        return pd.concat(self._tables or [nothing], ignore_index=True)

    def _take(self, poses: np.ndarray, cut: bool) -> np.ndarray:
        if cut:
            self._tracker.reset()
        ids = np.arange(len(poses)) if self.tracked else self._tracker.update(poses)
        windows = self._cutter.push(poses, ids=ids, cut=cut)
        self._next += 1
        self._stretch = 1 if cut else self._stretch + 1
        self._predict(windows)
        if cut or self._next - self._end >= self._cutter.step:  # no window: nobody was seen for its length
            self._smooth, self._tracks = None, ()
        return ids

    def _predict(self, windows: list[Window]) -> None:
        if not windows:
            return
        self.n_windows += len(windows)
        probabilities = self.predictor.probabilities(windows, self.fps, self.width, self.height)
        if self.keep:
            self._tables.append(window_table(windows, probabilities, self.fps, self.predictor.info))
        for window, fresh in zip(windows, probabilities, strict=True):
            self._tracks = _keep_slots(self._tracks, window.tracks)
            if self._smooth is not None and self.smoothing:  # exponentially, independent of the stride
                weight = 1 - exp(-(window.stop - self._end) / self.fps / self.smoothing)
                fresh = weight * fresh + (1 - weight) * self._smooth
            self._smooth, self._end = fresh, window.stop

    def _state(self, poses: np.ndarray, ids: np.ndarray) -> LiveState:
        people = np.full((len(self._tracks), N_KEYPOINTS, 3), np.nan, np.float32)
        people[..., 2] = 0
        for slot, track in enumerate(self._tracks):
            if (found := np.flatnonzero(ids == track)).size:
                people[slot] = poses[found[0]]
        known = self._smooth is not None
        prediction = name_predictions(self._smooth[None], self.predictor.info)[0] if known else ""
        return LiveState(people, poses, self._smooth, prediction, min(1.0, self._stretch / self._cutter.length))


def _keep_slots(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, ...]:
    """Keep whoever stays in the same slot, and so in the same colour."""
    moved = len(after) == 2 and (after[1:] == before[:1] or after[:1] == before[1:])
    return after[::-1] if moved else after
