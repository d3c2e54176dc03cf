"""Keypoints frame by frame -> the answer at this moment; no camera, no window, no threads.

The windows and their probabilities are those that `prediction.predict_recording` gives for the same frames: both push
them through one `windows.WindowCutter`. Smoothing is for the eye, and comes after.
"""

from dataclasses import dataclass, field
from math import exp

import numpy as np
import pandas as pd

from poseemo_lib.features.windows import Window, WindowCutter
from poseemo_lib.inference.predictor import STRIDE, Predictor, answers, facts_of, table_of
from poseemo_lib.video.tracking import Tracker

# Time constant of the smoothing of probabilities, seconds.
SMOOTHING = 0.8


@dataclass(frozen=True)
class Moment:
    """What is known after a frame.

    Parameters
    ----------
    people : array (M, 17, 3), float32
        The main people of the last window in this frame; missing: NaN, NaN, 0. Who stays from window to window keeps
        the slot. M is 0 where there is no window yet, so that nobody has been chosen; then `everybody` is all there is.
    everybody : array (P, 17, 3)
    probabilities : array (C,) or None
        Calibrated and smoothed; None before the first window, after a cut, and where nobody was seen for a window.
    answer : str
        A class, "not sure", or empty where there are no probabilities.
    filled : float
        How full the first window is, 0 to 1.
    """

    people: np.ndarray
    everybody: np.ndarray
    probabilities: np.ndarray | None
    answer: str
    filled: float


@dataclass
class LiveSession:
    """Follow people and predict, frame by frame.

    Parameters
    ----------
    predictor : Predictor
    fps : float
        Rate of the frames' numbers.
    width, height : int
        Size of the picture in pixels.
    stride : float
        Seconds from the end of one window to the end of the next.
    smoothing : float
        Time constant in seconds of the shown probabilities; 0: none.
    tracked : bool
        Whether the people of a frame come in slots of their own, so that nobody has to be followed.
    keep : bool
        Keep the table of all windows.
    """

    predictor: Predictor
    fps: float
    width: int
    height: int
    stride: float = STRIDE
    smoothing: float = SMOOTHING
    tracked: bool = False
    keep: bool = False
    rows: list[tuple[dict, np.ndarray]] = field(default_factory=list)

    def __post_init__(self):
        info = self.predictor.info
        size = {"stride": self.stride, "people": info.preparation.people}
        self._cutter = WindowCutter(self.fps, info.n_frames, info.fps, **size)
        self._tracker = Tracker(fps=self.fps)
        self._next = self._stretch = self.n_windows = 0
        self._tracks: tuple[int, ...] = ()
        self._smooth: np.ndarray | None = None
        self._end = 0

    @classmethod
    def for_source(cls, predictor: Predictor, source, **options) -> "LiveSession":
        """Open a session at the rate and size of a source of :mod:`poseemo_lib.inference.live_sources`."""
        return cls(predictor, source.fps, source.width, source.height, tracked=source.tracked, **options)

    def push(self, poses: np.ndarray, *, index: int | None = None, cut: bool = False) -> Moment:
        """Take the next frame.

        Parameters
        ----------
        poses : array (P, 17, 3)
            Everybody in it, pixels and confidence; missing joints have confidence 0.
        index : int, optional
            Number of the frame; those that were left out before it count as frames in which nobody was seen. Default:
            the one after the last.
        cut : bool
            A new scene begins with it.

        Returns
        -------
        Moment
        """
        for _ in range(self._next, self._next if index is None else index):
            self._frame(poses[:0], cut=False)
        ids = self._frame(poses, cut)
        return self._moment(poses, ids)

    def flush(self) -> None:
        """End the recording: its last window may be a short one."""
        self._predict(self._cutter.flush())

    @property
    def seconds(self) -> float:
        """Length so far."""
        return self._next / self.fps

    def table(self) -> pd.DataFrame:
        """All windows so far, as `prediction.predict_recording` gives them; wants `keep`."""
        n_classes = len(self.predictor.info.classes)
        probabilities = np.array([values for _, values in self.rows]).reshape(-1, n_classes)
        return table_of([facts for facts, _ in self.rows], probabilities, self.predictor.info)

    def _frame(self, poses: np.ndarray, cut: bool) -> np.ndarray:
        if cut:
            self._tracker.reset()
        ids = np.arange(len(poses)) if self.tracked else self._tracker.update(poses)
        windows = self._cutter.push(poses, ids=ids, cut=cut)
        self._next += 1
        self._stretch = 1 if cut else self._stretch + 1
        self._predict(windows)
        if cut or self._next - self._end >= self._cutter.step:  # no window, since nobody was seen for its length
            self._smooth, self._tracks = None, ()
        return ids

    def _predict(self, windows: list[Window]) -> None:
        if not windows:
            return
        self.n_windows += len(windows)
        probabilities = self.predictor.probabilities(windows, self.fps, self.width, self.height)
        for window, fresh in zip(windows, probabilities, strict=True):
            if self.keep:
                self.rows.append((facts_of(window, self.fps), fresh))
            self._tracks = _in_place(self._tracks, window.tracks)
            self._smooth = self._mix(fresh, (window.stop - self._end) / self.fps)
            self._end = window.stop

    def _mix(self, fresh: np.ndarray, seconds: float) -> np.ndarray:
        """Exponential smoothing that does not depend on the stride."""
        if self._smooth is None or not self.smoothing:
            return fresh
        weight = 1 - exp(-seconds / self.smoothing)
        return weight * fresh + (1 - weight) * self._smooth

    def _moment(self, poses: np.ndarray, ids: np.ndarray) -> Moment:
        people = np.full((len(self._tracks), 17, 3), np.nan, np.float32)
        people[..., 2] = 0
        for slot, track in enumerate(self._tracks):
            if (found := np.flatnonzero(ids == track)).size:
                people[slot] = poses[found[0]]
        known = self._smooth is not None
        answer = answers(self._smooth[None], self.predictor.info)[0] if known else ""
        filled = min(1.0, self._stretch / self._cutter.length)
        return Moment(people, poses, self._smooth, answer, filled)


def _in_place(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, ...]:
    """Keep who stays in the slot where they were, so that colours stay too."""
    moved = len(after) == 2 and (after[1:] == before[:1] or after[:1] == before[1:])
    return after[::-1] if moved else after
