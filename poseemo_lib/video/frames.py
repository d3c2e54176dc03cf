"""Video files: pictures at a constant rate, turned the way they are meant to be seen.

A picture is uint8 (H, W, 3), RGB. FFmpeg, through PyAV, decodes. A picture is in memory only while it is used.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TypeVar

import numpy as np

from poseemo_lib.video.decoding import Damage, claimed_length, opened, output_rate, pictures, tolerance

# Suffixes by which the videos of a folder are found.
VIDEO_SUFFIXES = (
    *(".avi", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".mpe", ".m2ts", ".mts", ".ts"),
    *(".wmv", ".asf", ".flv", ".ogv", ".3gp", ".3g2", ".dv", ".vob"),
)
_END = object()
T = TypeVar("T")


@dataclass(frozen=True)
class VideoInfo:
    """Rate and size of the pictures that :func:`read_frames` yields, and about how many; None if the file is silent."""

    fps: float
    width: int
    height: int
    n_frames: int | None


@dataclass(frozen=True, eq=False)
class Frame:
    """The picture at one point of the constant rate, k / fps seconds after the first picture.

    Parameters
    ----------
    index : int
        k = 0, 1, ...
    seconds : float
    rgb : array (H, W, 3), uint8
        A repeated frame holds the same array: do not write into it.
    repeated : bool
        The picture is that of the frame before.
    is_cut : bool
        A new scene begins here.
    captured : float
        When the picture came, by `time.monotonic`.
    """

    index: int
    seconds: float
    rgb: np.ndarray
    repeated: bool = False
    is_cut: bool = False
    captured: float = field(default_factory=monotonic)


def probe(path: str | Path, *, fps: float | None = None) -> VideoInfo:
    """Return what is known about a video; arguments and errors as for :func:`read_frames`. Decodes one picture."""
    path = Path(path)
    with opened(path) as (container, stream):
        rate = output_rate(path, stream, fps)
        height, width = next(pictures(path, container, stream, Damage()))[1].shape[:2]
        seconds = claimed_length(container, stream)[0]
        return VideoInfo(rate, width, height, None if seconds is None else max(1, round(seconds * rate)))


def read_frames(
    path: str | Path, *, fps: float | None = None, on_damage: Callable[[str], None] | None = None
) -> Iterator[Frame]:
    """Yield a video's pictures at a constant rate, one for each index k = 0, 1, ...

    Frame k is the latest picture whose time, counted from the first, is at most k / fps, which makes a variable rate
    constant. Pictures are turned and mirrored as the file states, with square pixels.

    Parameters
    ----------
    path : str or Path
    fps : float, optional
        1 to 1000. The rate, if it is lower than the nominal one, which is the default.
    on_damage : callable, optional
        Called at most once, after the last frame, with a line that says what is wrong with a file that could only
        partly be read: "truncated: ends at 3.2 of 10.0 s".

    Raises
    ------
    FormatError
        The file is missing, is no video, cannot be decoded at all, or states no sensible rate and `fps` is not given.
    UsageError
        PyAV is not installed, or `fps` is out of range.
    """
    path = Path(path)
    damage = Damage()
    with opened(path) as (container, stream):
        rate = output_rate(path, stream, fps)
        yield from _at_rate(pictures(path, container, stream, damage), rate, tolerance(stream), damage)
        damage.check_length(*claimed_length(container, stream), 1 / rate)
    if on_damage and damage.text():
        on_damage(damage.text())


def _at_rate(timed: Iterator[tuple], rate: float, late: float, damage: Damage) -> Iterator[Frame]:
    k, shown, new = 0, None, True
    for seconds, picture in timed:
        while shown is not None and k / rate < seconds - late:
            yield Frame(k, k / rate, shown, not new)
            k, new = k + 1, False
        shown, new = picture, True
    while k == 0 or k / rate < damage.end - late:
        yield Frame(k, k / rate, shown, not new)
        k, new = k + 1, False


def prefetch(frames: Iterable[T], n: int = 4) -> Iterator[T]:
    """Yield the same items, made in a thread that is up to `n` ahead.

    An exception of the maker is raised here, after the items before it. When the consumer stops early, the maker is
    closed and the thread ends.
    """
    items = iter(frames)
    with ThreadPoolExecutor(1, "prefetch") as thread:
        ahead = deque(thread.submit(next, items, _END) for _ in range(n))
        try:
            while (item := ahead.popleft().result()) is not _END:
                ahead.append(thread.submit(next, items, _END))
                yield item
        finally:
            for future in ahead:
                future.cancel()
            if hasattr(items, "close"):
                thread.submit(items.close)
