"""Where live pictures come from: a camera, a video, or keypoints, which have no pictures and are drawn on black.

A source has a `name` and a `kind`; `fps`; the `width` and `height` in pixels of its coordinates, and `size`, those of
its pictures; `live`: whether pictures come in their own time, so that those that come too late are dropped; `tracked`:
whether its people need not be followed; `label`, where one is known; and `damage`: what is wrong with its file, known
at its end.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from poseemo_lib.data.formats import Recording
from poseemo_lib.errors import FormatError, PoseemoError, UsageError
from poseemo_lib.inference.inputs import VIDEO, Source, input_kind, read_sources
from poseemo_lib.paths import resolve
from poseemo_lib.video.drawing import import_cv2
from poseemo_lib.video.frames import Frame, probe, read_frames
from poseemo_lib.video.people import look, with_cuts

# A camera that does not know its rate.
CAMERA_FPS = 30.0
# A camera that gives no picture so often, with a pause after each time, is gone.
_LOST_AFTER, _PAUSE = 50, 0.02
# Longer side of the black picture on which keypoints are drawn.
_SMALLEST, _LARGEST = 480, 1280
# Recordings that a message names.
_NAMED = 3


class _Filmed:
    """What has pictures."""

    tracked, label = False, None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the pictures."""
        return self.width, self.height

    def look(self, frames: Iterator[tuple[Frame, bool]]) -> Iterator[tuple[Frame, np.ndarray, bool]]:
        """Find everybody: see :func:`poseemo_lib.video.people.look`."""
        return look(frames, self.estimator)


@dataclass(frozen=True)
class CameraSource(_Filmed):
    """A webcam, by its number; it is open from the start."""

    number: int
    fps: float
    width: int
    height: int
    capture: object
    estimator: object
    live: bool = True
    kind: str = "camera"
    damage: tuple = ()

    @classmethod
    def open(cls, number: int, open_estimator: Callable) -> "CameraSource":
        """Open a camera, and then an estimator.

        Raises
        ------
        UsageError
            OpenCV is not installed.
        PoseemoError
            There is no such camera, or it gives no picture.
        """
        cv2 = import_cv2()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # its warnings say no more than the error
        capture = cv2.VideoCapture(number)
        there, picture = capture.read() if capture.isOpened() else (False, None)
        if not there:
            capture.release()
            raise PoseemoError(
                f"camera {number}: wanted a webcam, found none that gives a picture; "
                "connect one, choose another with --camera N, or give a video with --source FILE"
            )
        fps = capture.get(cv2.CAP_PROP_FPS)
        size = picture.shape[1], picture.shape[0]
        try:
            return cls(number, fps if 1 <= fps <= 240 else CAMERA_FPS, *size, capture, open_estimator())
        except BaseException:
            capture.release()
            raise

    @property
    def name(self) -> str:
        """Say which camera."""
        return f"camera {self.number}"

    def frames(self) -> Iterator[tuple[Frame, bool]]:
        """Give pictures as they come, numbered by when they came at the camera's nominal rate; none begins a scene."""
        start, last, lost = time.monotonic(), -1, 0
        try:
            while lost < _LOST_AFTER:
                there, bgr = self.capture.read()
                if not there:
                    lost += 1
                    time.sleep(_PAUSE)
                    continue
                lost, last = 0, max(last + 1, round((time.monotonic() - start) * self.fps))
                yield Frame(last, last / self.fps, np.ascontiguousarray(bgr[..., ::-1])), False
            raise PoseemoError(f"camera {self.number}: gives no pictures any more; was it disconnected?")
        finally:
            self.capture.release()


@dataclass(frozen=True)
class VideoSource(_Filmed):
    """A video file; `live` plays it at its own speed, else it is read as fast as it is wanted."""

    path: Path
    fps: float
    width: int
    height: int
    live: bool
    estimator: object
    kind: str = "video"
    damage: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, path: str | Path, open_estimator: Callable, *, live: bool = False) -> "VideoSource":
        """Look at a video, and then open an estimator.

        Raises
        ------
        FormatError
            It is none, or nothing of it can be decoded.
        """
        info = probe(path)
        return cls(Path(path), info.fps, info.width, info.height, live, open_estimator())

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.path.name

    def frames(self) -> Iterator[tuple[Frame, bool]]:
        """Give its pictures, and whether a scene begins with each; what is wrong with the file goes to `damage`."""
        frames = with_cuts(read_frames(self.path, fps=self.fps, on_damage=self.damage.append), self.fps)
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
    damage: tuple = ()

    @property
    def tracked(self) -> bool:
        """Whether its people have slots of their own."""
        return self.recording.tracked

    @property
    def fps(self) -> float:
        """Frames a second."""
        return self.recording.fps

    @property
    def width(self) -> int:
        """Of the recorded picture."""
        return self.recording.width

    @property
    def height(self) -> int:
        """Of the recorded picture."""
        return self.recording.height

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the black pictures: those of the recorded ones, or a size that can be looked at."""
        sides = np.array([self.width, self.height])
        scale = np.clip(sides.max(), _SMALLEST, _LARGEST) / sides.max()
        return tuple(int(side) for side in np.maximum(16, np.round(sides * scale)))

    def frames(self) -> Iterator[tuple[Frame, bool]]:
        """Give black pictures, and whether a scene begins with each."""
        frames = self._black()
        return _in_time(frames) if self.live else frames

    def _black(self) -> Iterator[tuple[Frame, bool]]:
        black = np.zeros((*self.size[::-1], 3), np.uint8)
        for index in range(len(self.recording.keypoints)):
            yield Frame(index, index / self.fps, black, index > 0), index in self.cuts

    def look(self, frames: Iterator[tuple[Frame, bool]]) -> Iterator[tuple[Frame, np.ndarray, bool]]:
        """Give everybody that was recorded."""
        for frame, is_cut in frames:
            yield frame, self.recording.keypoints[frame.index], is_cut


def _in_time(frames: Iterator[tuple[Frame, bool]]) -> Iterator[tuple[Frame, bool]]:
    """Hold every frame back until its time has come."""
    start = time.monotonic()
    for frame, is_cut in frames:
        time.sleep(max(0.0, start + frame.seconds - time.monotonic()))
        yield frame, is_cut


def open_file(
    path: str | Path,
    open_estimator: Callable,
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
        A video, or what has keypoints: see :func:`poseemo_lib.inference.inputs.input_kind`.
    open_estimator : callable
        Called for a video alone.
    clip : str, optional
        Name of the recording, where there are several: in a dataset, a folder, or one file.
    format, options
        See `prediction_inputs.input_kind` and `read_sources`.
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
            raise UsageError(f"--source {path}: of videos, wanted one file, without --clip and --set")
        return VideoSource.open(place, open_estimator, live=live)
    faults: list[str] = []
    found = _one_of(read_sources(path, kind, faults, options=options), clip, path, faults)
    return KeypointSource(found.recording, found.name, kind, found.label, found.cuts, live)


def _one_of(sources: Iterator[Source], clip: str | None, path: str | Path, faults: list[str]) -> Source:
    """Return the recording of a name, or the only one."""
    seen = []
    for source in sources:
        if clip == source.name:
            return source
        seen.append(source)
        if clip is None and len(seen) > _NAMED:
            break
    if clip is None and len(seen) == 1:
        return seen[0]
    if not seen:
        raise FormatError(faults[0] if faults else f"{path}: wanted a recording, found none")
    names = ", ".join(source.name for source in seen[:_NAMED]) + (", ..." if len(seen) > _NAMED else "")
    if clip is None:
        raise UsageError(f"--source {path}: has several recordings; say --clip NAME: {names}")
    raise UsageError(f"--clip {clip}: {path} has no such recording; it has {names}")
