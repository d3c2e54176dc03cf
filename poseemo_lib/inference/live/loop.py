"""The live loop: capture, pose estimation and drawing run side by side; late pictures are dropped.

One thread takes pictures, one finds people in them, and the caller's thread predicts, draws and shows. Between two of
them is room for one picture, and a newer picture replaces one that nobody has taken yet. So the delay stays that of the
estimator instead of growing. Nothing is stored unless a file is asked for.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from poseemo_lib.inference.live.session import LiveSession
from poseemo_lib.inference.live.sources import LiveSource
from poseemo_lib.inference.live.view import Pace, Painter, Screen, View
from poseemo_lib.video.frames import Frame
from poseemo_lib.video.writing import video_writer

# Seconds between two checks whether to stop.
_PATIENCE = 0.1
# Seconds to wait for a camera or an estimator that hangs.
_LONGEST = 10.0
_END = object()


def run_live(
    session: LiveSession,
    source: LiveSource,
    *,
    out: str | Path | None = None,
    screen: Screen | None = None,
    view: View | None = None,
    seconds: float | None = None,
    stop: threading.Event | None = None,
) -> Pace:
    """Predict from a source until it ends, a key quits, or the time is over.

    Parameters
    ----------
    session : LiveSession
        At the source's rate and size.
    source : LiveSource
    out : str or Path, optional
        Write the drawn pictures to this video, up to where the source breaks off. Instead of a dropped picture, the one
        before it is repeated.
    screen : Screen, optional
        Show the drawn pictures here.
    view : View, optional
    seconds : float, optional
        Stop after this time of the source.
    stop : Event, optional
        Stop between two pictures once it is set.

    Raises
    ------
    PoseemoError
        The source or the estimator failed, or the video cannot be written.
    """
    painter = Painter(session.predictor.info, session.width, view or View())
    pace = painter.pace
    with ExitStack() as stack:
        pictures, people = stack.enter_context(_running(source, stop or threading.Event()))
        video = stack.enter_context(video_writer(out, source.fps, *source.size)) if out else None
        drawn = None
        for frame, poses in people:
            if seconds is not None and frame.seconds >= seconds:
                break
            state = session.push(poses, index=frame.index, cut=frame.is_cut)
            pace.dropped = pictures.dropped + people.dropped
            before, drawn = drawn, painter.draw(frame.rgb, state, frame.seconds) if video or screen else None
            if video:
                while before is not None and video.n_frames < frame.index:  # for each dropped picture
                    video.write(before)
                video.write(drawn)
            pace.count(frame.captured)
            if screen and not all([painter.view.press(key) for key in screen.show(drawn)]):
                break
        session.flush()
        error = pictures.error or people.error
        if error and not pace.frames:
            raise error  # within the stack: a video without a picture is not kept
    if error:
        raise error
    return pace


@contextmanager
def _running(source: LiveSource, stop: threading.Event) -> Iterator[tuple["_Stage", "_Stage"]]:
    """Run capture and pose estimation, each in a thread that has ended afterwards."""
    done = threading.Event()
    how = source.live, lambda: done.is_set() or stop.is_set()
    pictures = _Stage("live capture", ((frame, None) for frame in source.frames()), *how)
    people = _Stage("live people", source.find_people(frame for frame, _ in pictures), *how)
    stages = (pictures, people)
    for stage in stages:
        stage.start()
    try:
        yield stages
    finally:
        done.set()
        for stage in stages:
            stage.join(_LONGEST)


class _Stage(threading.Thread):
    """Runs an iterator of (Frame, something) in a thread, and holds one item for whoever iterates over the stage."""

    def __init__(self, name: str, items: Iterator, drop: bool, ended: Callable[[], bool]):
        super().__init__(name=name, daemon=True)
        self._items, self._drop, self._ended = items, drop, ended
        self._box = queue.Queue(maxsize=1)
        self.dropped, self.error = 0, None

    def run(self) -> None:
        try:
            for frame, rest in self._items:
                if self._drop:
                    with suppress(queue.Empty):
                        late, _ = self._box.get_nowait()
                        self.dropped += 1
                        frame = replace(frame, is_cut=frame.is_cut or late.is_cut)  # no scene cut is lost
                if not self._put((frame, rest)):
                    break
            self._items.close()
        except BaseException as error:
            self.error = error
        self._put(_END)

    def _put(self, item) -> bool:
        while not self._ended():
            with suppress(queue.Full):
                self._box.put(item, timeout=_PATIENCE)
                return True
        return False

    def __iter__(self) -> Iterator[tuple[Frame, np.ndarray | None]]:
        while not self._ended():
            try:
                item = self._box.get(timeout=_PATIENCE)
            except queue.Empty:
                continue
            if item is _END:
                return
            yield item
