"""The live demo: capture, estimation and drawing side by side; what comes late is dropped instead of lagging.

One thread takes pictures, one finds people in them, and the caller's predicts, draws and shows. Between them lies one
place each (`mailbox.Mailbox`), in which a newer picture replaces one that nobody has taken yet. Nothing is stored
unless a file is asked for.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from poseemo_lib.inference.live_session import LiveSession
from poseemo_lib.inference.live_view import Pace, Painter, View
from poseemo_lib.inference.mailbox import Mailbox
from poseemo_lib.video.frames import Frame, VideoWriter

# Seconds between two looks whether to stop.
_PATIENCE = 0.2


def run_live(
    session: LiveSession,
    source,
    *,
    out: str | Path | None = None,
    screen=None,
    view: View | None = None,
    note: str = "",
    seconds: float | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Pace:
    """Predict from a source until it ends, a key quits, or the time is over.

    Parameters
    ----------
    session : LiveSession
        At the source's rate and size; has the windows afterwards where it keeps them.
    source : CameraSource, VideoSource or KeypointSource
        Of a `live` one late pictures are dropped; of another every picture is used.
    out : str or Path, optional
        Video that the drawn pictures are written to. Where pictures were dropped, the one before is written again. It
        is complete up to where the source broke off, if it does.
    screen : Screen, optional
        Where they are shown.
    view : View, optional
    note : str
        A line that stands in every picture.
    seconds : float, optional
        Stop after this time of the source.
    stop : callable, optional
        Asked between pictures whether to stop.

    Returns
    -------
    Pace

    Raises
    ------
    Exception
        What the source or the estimator broke off with.
    PoseemoError
        The video cannot be written.
    """
    painter = Painter(session.predictor.info.classes, session.width, view or View(), note)
    pace = painter.pace
    with ExitStack() as stack:
        pictures, people = stack.enter_context(_following(source))
        video = stack.enter_context(VideoWriter(out, source.fps, *source.size)) if out else None
        shown = None
        for frame, poses, is_cut in _until(people, stop):
            if seconds is not None and frame.seconds >= seconds:
                break
            moment = session.push(poses, index=frame.index, cut=is_cut)
            pace.dropped = pictures.dropped + people.dropped
            before, shown = shown, painter.draw(frame.rgb, moment, frame.seconds) if video or screen else None
            if video:
                _write(video, before, shown, frame.index)
            pace.count(frame.captured)
            if screen and not all([painter.view.press(key) for key in screen.show(shown)]):
                break
        session.flush()
        if people.error and not pace.frames:
            raise people.error
    if people.error:
        raise people.error
    return pace


@contextmanager
def _following(source) -> Iterator[tuple[Mailbox, Mailbox]]:
    """Run capture and estimation in threads, which have ended afterwards."""
    pictures, people = (Mailbox(drop=source.live, merge=_keep_cut) for _ in range(2))
    threads = [
        threading.Thread(target=_put_all, args=(_timed(source.frames()), pictures), name="live capture", daemon=True),
        threading.Thread(target=_put_all, args=(source.look(iter(pictures)), people), name="live people", daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield pictures, people
    finally:
        for box in (pictures, people):
            box.close()
        for thread in threads:
            thread.join()


def _keep_cut(dropped: tuple, newer: tuple) -> tuple:
    """Of what begins a scene the next thing takes the place; the last of each tuple says so."""
    return *newer[:-1], dropped[-1] or newer[-1]


@dataclass(frozen=True, eq=False)
class _Captured(Frame):
    captured: float = 0.0  # time.monotonic


def _timed(frames: Iterable[tuple[Frame, bool]]) -> Iterator[tuple[Frame, bool]]:
    for frame, is_cut in frames:
        yield _Captured(frame.index, frame.seconds, frame.rgb, frame.repeated, time.monotonic()), is_cut


def _put_all(things: Iterator, box: Mailbox) -> None:
    """Put everything into a box, and the error that ends it."""
    try:
        for thing in things:
            if not box.put(thing):
                break
        things.close()
    except BaseException as error:
        box.close(error)
    box.close()


def _until(box: Mailbox, stop: Callable[[], bool]) -> Iterator:
    while not (stop() or box.done):
        if (thing := box.get(_PATIENCE)) is not None:
            yield thing


def _write(video: VideoWriter, before, shown, index: int) -> None:
    """Write a drawn picture, after the one before it as often as pictures were dropped."""
    while before is not None and video.n_frames < index:
        video.write(before)
    video.write(shown)
