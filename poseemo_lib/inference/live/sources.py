"""Where live pictures come from: a camera, a video, or keypoints drawn on black.

`width` and `height` are those of the keypoints, `size` is that of the pictures. If `live`, pictures come at their own
pace and late ones are dropped. If `tracked`, each person has a slot of their own. `damage` says what is wrong with the
file, and is complete at the end.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from poseemo_lib.data.formats import Recording
from poseemo_lib.errors import FormatError, PoseemoError, UsageError
from poseemo_lib.inference.inputs import VIDEO, InputRecording, input_kind, read_recordings
from poseemo_lib.paths import resolve
from poseemo_lib.video.drawing import import_cv2
from poseemo_lib.video.estimators import Estimator
from poseemo_lib.video.frames import Frame, probe, read_frames
from poseemo_lib.video.people import find_people, mark_cuts

# Rate of a camera that does not state one.
CAMERA_FPS = 30.0
# A camera that gives no picture this many times, with a pause after each, is lost.
_LOST_AFTER, _PAUSE = 50, 0.02
# Longer side of the black picture on which keypoints are drawn.
_SMALLEST, _LARGEST = 480, 1280
# Recordings that a message names.
_NAMED = 3


@dataclass(frozen=True)
class CameraSource:
    """A webcam, by its number; it is open from the start."""

    number: int
    fps: float
    width: int
    height: int
    capture: object
    estimator: Estimator
    live: bool = True
    tracked: bool = False
    kind: str = "camera"
    label: None = None
    damage: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, number: int, open_estimator: Callable[[], Estimator]) -> "CameraSource":
        """Open a camera, and then an estimator; PoseemoError if no camera of this number gives a picture."""
        cv2 = import_cv2()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # its warnings repeat the error below
        capture = cv2.VideoCapture(number)
        there, picture = capture.read() if capture.isOpened() else (False, None)
        if not there:
            capture.release()
            raise PoseemoError(
                f"camera {number}: wanted a webcam, found none that gives a picture; "
                "connect one, choose another with --camera N, or give a video with --source FILE"
            )
        fps = capture.get(cv2.CAP_PROP_FPS)
        try:
            estimator = open_estimator()
        except BaseException:
            capture.release()
            raise
        height, width = picture.shape[:2]
        return cls(number, fps if 1 <= fps <= 240 else CAMERA_FPS, width, height, capture, estimator)

    name = property(lambda self: f"camera {self.number}")
    size = property(lambda self: (self.width, self.height))

    def frames(self) -> Iterator[Frame]:
        """Give pictures as they come; a number is the time of arrival at the camera's nominal rate."""
        start, last, lost = time.monotonic(), -1, 0
        try:
            while lost < _LOST_AFTER:
                there, bgr = self.capture.read()
                if not there:
                    lost += 1
                    time.sleep(_PAUSE)
                    continue
                lost, last = 0, max(last + 1, round((time.monotonic() - start) * self.fps))
                yield Frame(last, last / self.fps, np.ascontiguousarray(bgr[..., ::-1]))
            raise PoseemoError(f"camera {self.number}: gives no more pictures; was it disconnected?")
        finally:
            self.capture.release()

    def find_people(self, frames: Iterator[Frame]) -> Iterator[tuple[Frame, np.ndarray]]:
        """Find everybody in each picture."""
        return find_people(frames, self.estimator)


@dataclass(frozen=True)
class VideoSource:
    """A video file; `live` plays it at its own speed, otherwise it is read as fast as possible."""

    path: Path
    fps: float
    width: int
    height: int
    live: bool
    estimator: Estimator
    tracked: bool = False
    kind: str = VIDEO
    label: None = None
    damage: list[str] = field(default_factory=list)

    name = property(lambda self: self.path.name)
    size = CameraSource.size
    find_people = CameraSource.find_people

    def frames(self) -> Iterator[Frame]:
        """Give the pictures; faults of the file go to `damage`."""
        frames = mark_cuts(read_frames(self.path, fps=self.fps, on_damage=self.damage.append), self.fps)
        return _in_time(frames) if self.live else frames


@dataclass(frozen=True)
class KeypointSource:
    """A recording of keypoints, on black pictures."""

    recording: Recording
    name: str = ""
    kind: str = "keypoints"
    label: str | None = None
    cuts: tuple[int, ...] = ()
    live: bool = False
    damage: list[str] = field(default_factory=list)

    tracked = property(lambda self: self.recording.tracked)
    fps = property(lambda self: self.recording.fps)
    width = property(lambda self: self.recording.width)
    height = property(lambda self: self.recording.height)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the black pictures: those of the recording, scaled to be easy to see."""
        sides = np.array([self.width, self.height])
        scale = np.clip(sides.max(), _SMALLEST, _LARGEST) / sides.max()
        return tuple(int(side) for side in np.maximum(16, np.round(sides * scale)))

    def frames(self) -> Iterator[Frame]:
        """Give a black picture a frame."""
        black = np.zeros((*self.size[::-1], 3), np.uint8)
        n_frames = len(self.recording.keypoints)
        frames = (Frame(k, k / self.fps, black, k > 0, is_cut=k in self.cuts) for k in range(n_frames))
        return _in_time(frames) if self.live else frames

    def find_people(self, frames: Iterator[Frame]) -> Iterator[tuple[Frame, np.ndarray]]:
        """Give everybody that was recorded."""
        return ((frame, self.recording.keypoints[frame.index]) for frame in frames)


LiveSource = CameraSource | VideoSource | KeypointSource


def _in_time(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Hold every frame back until its time has come."""
    start = time.monotonic()
    for frame in frames:
        time.sleep(max(0.0, start + frame.seconds - time.monotonic()))
        yield replace(frame, captured=time.monotonic())


def open_file(
    path: str | Path,
    open_estimator: Callable[[], Estimator],
    *,
    clip: str | None = None,
    format: str | None = None,
    options: dict | None = None,
    live: bool = False,
) -> VideoSource | KeypointSource:
    """Open a file as a source.

    Parameters
    ----------
    path : str or Path
        A video, or keypoints: see :func:`poseemo_lib.inference.inputs.input_kind`.
    open_estimator : callable
        Called for a video only.
    clip : str, optional
        Name of the recording, if a dataset, folder or file holds several.
    format, options
        See :func:`poseemo_lib.inference.inputs.read_recordings`.
    live : bool
        Play it at its own speed.

    Raises
    ------
    UsageError
        There is no such file or recording, or there are several and none is named.
    FormatError
        It cannot be read.
    """
    kind = input_kind(path, format)
    if kind == VIDEO:
        place = Path(resolve(path))
        if clip or options or not place.is_file():
            raise UsageError(f"--source {path}: for videos, wanted one file, without --clip and --set")
        info = probe(place)  # before an estimator is opened
        return VideoSource(place, info.fps, info.width, info.height, live, open_estimator())
    faults: list[str] = []
    found = _choose(read_recordings(path, kind, faults, options=options), clip, path, faults)
    return KeypointSource(found.recording, found.name, kind, found.label, found.cuts, live)


def _choose(
    recordings: Iterator[InputRecording], clip: str | None, path: str | Path, faults: list[str]
) -> InputRecording:
    """Return the recording of a name, or the only one."""
    seen = []
    for one in recordings:
        if clip == one.name:
            return one
        seen.append(one)
        if clip is None and len(seen) > _NAMED:
            break
    if clip is None and len(seen) == 1:
        return seen[0]
    if not seen:
        raise FormatError(faults[0] if faults else f"{path}: wanted a recording, found none")
    names = ", ".join([one.name for one in seen[:_NAMED]] + ["..."] * (len(seen) > _NAMED))
    if clip is None:
        raise UsageError(f"--source {path}: has several recordings; choose one with --clip NAME: {names}")
    raise UsageError(f"--clip {clip}: {path} has no such recording; it has {names}")
