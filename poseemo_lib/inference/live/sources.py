"""Where live pictures come from: a camera, a video, or keypoints drawn on black."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from poseemo_lib.data.formats import Recording
from poseemo_lib.errors import FormatError, PoseemoError, UsageError
from poseemo_lib.inference.inputs import VIDEO, InputRecording, OpenEstimator, input_kind, read_recordings
from poseemo_lib.paths import resolve
from poseemo_lib.video.drawing import import_cv2
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


@dataclass
class LiveSource:
    """Pictures one after another, and the people in them.

    Parameters
    ----------
    name, kind : str
    fps : float
    width, height : int
        Size of the picture that the keypoints belong to.
    size : (int, int)
        Width and height of the pictures that are shown.
    frames : callable
        Starts, and gives the pictures.
    find_people : callable
        Turns frames into pairs of a frame and everybody in it, (P, 17, 3).
    live : bool
        Pictures come at their own pace, and late ones are dropped.
    tracked : bool
        Each person has a slot of their own.
    label : str or None
    damage : list of str
        What is wrong with the file; complete at the end.
    recording, cuts
        The recording that is played, and the first frames of its new scenes.
    """

    name: str
    kind: str
    fps: float
    width: int
    height: int
    size: tuple[int, int]
    frames: Callable[[], Iterator[Frame]]
    find_people: Callable[[Iterator[Frame]], Iterator[tuple[Frame, np.ndarray]]]
    live: bool = True
    tracked: bool = False
    label: str | None = None
    damage: list[str] = field(default_factory=list)
    recording: Recording | None = None
    cuts: tuple[int, ...] = ()


def open_camera(number: int, open_estimator: OpenEstimator) -> LiveSource:
    """Open a webcam, by its number, and then an estimator; PoseemoError if no such camera gives a picture."""
    cv2 = import_cv2()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # its warnings repeat the error below
    capture = cv2.VideoCapture(number)
    there, picture = capture.read()
    if not there:
        raise PoseemoError(
            f"camera {number}: wanted a webcam, found none that gives a picture; "
            "connect one, choose another with --camera N, or give a video with --source FILE"
        )
    stated, (height, width) = capture.get(cv2.CAP_PROP_FPS), picture.shape[:2]
    fps = stated if 1 <= stated <= 240 else CAMERA_FPS
    pictures = partial(camera_frames, number, fps, capture)
    people = partial(find_people, estimator=open_estimator())
    return LiveSource(f"camera {number}", "camera", fps, width, height, (width, height), pictures, people)


def camera_frames(number: int, fps: float, capture) -> Iterator[Frame]:
    """Give pictures as they come; a number is the time of arrival at the camera's nominal rate."""
    start, last, lost = time.monotonic(), -1, 0
    try:
        while lost < _LOST_AFTER:
            there, bgr = capture.read()
            if not there:
                lost += 1
                time.sleep(_PAUSE)
                continue
            lost, last = 0, max(last + 1, round((time.monotonic() - start) * fps))
            yield Frame(last, last / fps, np.ascontiguousarray(bgr[..., ::-1]))
        raise PoseemoError(f"camera {number}: gives no more pictures; was it disconnected?")
    finally:
        capture.release()


def open_file(
    path: str | Path,
    open_estimator: OpenEstimator,
    *,
    clip: str | None = None,
    format: str | None = None,
    options: dict | None = None,
    live: bool = False,
) -> LiveSource:
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
        Play it at its own speed, instead of as fast as possible.

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
        return _video_source(place, open_estimator, live)
    faults: list[str] = []
    found = _choose(read_recordings(path, kind, faults, options=options), clip, path, faults)
    return keypoint_source(found, kind, live)


def _video_source(path: Path, open_estimator: OpenEstimator, live: bool) -> LiveSource:
    info, damage = probe(path), []  # before an estimator is opened

    def pictures() -> Iterator[Frame]:
        return _in_time(mark_cuts(read_frames(path, fps=info.fps, on_damage=damage.append), info.fps), live)

    people = partial(find_people, estimator=open_estimator())
    size = info.width, info.height
    return LiveSource(path.name, VIDEO, info.fps, *size, size, pictures, people, live, damage=damage)


def keypoint_source(found: InputRecording, kind: str, live: bool = False) -> LiveSource:
    """Play a recording of keypoints, on black pictures of its size, scaled to be easy to see."""
    one, sides = found.recording, np.array([found.recording.width, found.recording.height])
    scale = np.clip(sides.max(), _SMALLEST, _LARGEST) / sides.max()
    width, height = (int(side) for side in np.maximum(16, np.round(sides * scale)))
    black, n_frames = np.zeros((height, width, 3), np.uint8), len(one.keypoints)

    def pictures() -> Iterator[Frame]:
        return _in_time((Frame(k, k / one.fps, black, k > 0, k in found.cuts) for k in range(n_frames)), live)

    def people(frames: Iterator[Frame]) -> Iterator[tuple[Frame, np.ndarray]]:
        return ((frame, one.keypoints[frame.index]) for frame in frames)

    size = one.width, one.height, (width, height)
    known = {"tracked": one.tracked, "label": one.label, "recording": one, "cuts": found.cuts}
    return LiveSource(found.name, kind, one.fps, *size, pictures, people, live, **known)


def _in_time(frames: Iterator[Frame], live: bool) -> Iterator[Frame]:
    """Hold every frame back until its time has come, if `live`."""
    start = time.monotonic()
    for frame in frames:
        if live:
            time.sleep(max(0.0, start + frame.seconds - time.monotonic()))
            frame = replace(frame, captured=time.monotonic())
        yield frame


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
    fault = f"--clip {clip}: {path} has no such recording" if clip else f"--source {path}: has several recordings"
    raise UsageError(f"{fault}; choose one with --clip NAME: {names}")
