"""What FFmpeg gives of a video file: its stream, its rate, and its pictures with their times."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from poseemo_lib.errors import FormatError, UsageError, extra

MIN_FPS, MAX_FPS = 1, 1000
# A time stamp that leaps further than this, in seconds, is damage; a shorter gap shows the last picture longer.
LONGEST_GAP = 60
# What FFmpeg also opens, but is no video: single pictures and text.
_NOT_VIDEO = ("image2", "_pipe", "tty", "lrc", "srt", "webvtt", "ass")


class Damage:
    """Faults found while pictures are read."""

    def __init__(self):
        self.undecoded = self.leaps = 0
        self.stopped = self.short = ""
        self.end = 0.0

    def check_length(self, claimed: float | None, slack: float, period: float) -> None:
        """Note that the pictures end earlier than the file claims, by more than `slack` or 3 of `period` seconds."""
        if claimed and self.end < claimed - max(slack, 3 * period, 0.02 * claimed):
            self.short = f"truncated: ends at {self.end:.1f} of {claimed:.1f} s"

    def text(self) -> str:
        """All faults in one line; empty for a sound file."""
        counts = [(self.undecoded, "damaged pictures"), (self.leaps, "leaps of the time stamps")]
        texts = [self.short, self.stopped, *(f"{n} {what}" for n, what in counts if n)]
        return "; ".join(filter(None, texts))


def _turned(rgb: np.ndarray, frame) -> np.ndarray:
    """Apply the display matrix: x' = a x + c y, y' = b x + d y, taken to the nearest quarter turn or mirroring."""
    side = frame.side_data.get("DISPLAYMATRIX")
    if side is None:
        return rgb
    (a, b), (c, d) = np.frombuffer(bytes(side), np.int32)[:9].reshape(3, 3)[:2, :2].astype(int)
    if abs(a) >= abs(b):
        return rgb[:: 1 if d >= 0 else -1, :: 1 if a >= 0 else -1]
    return rgb.transpose(1, 0, 2)[:: 1 if b >= 0 else -1, :: 1 if c >= 0 else -1]


def _size(frame, stream) -> tuple[int, int]:
    """Width and height with square pixels, before turning."""
    aspect = stream.sample_aspect_ratio
    if aspect and 0.1 < aspect < 10:
        return max(1, round(frame.width * aspect)), frame.height
    return frame.width, frame.height


@contextmanager
def opened(path: Path) -> Iterator[tuple]:
    """Open a video and its first stream of moving pictures."""
    with extra("PyAV", "video"):
        import av
    if path.exists() and not path.is_file():  # a pipe would block
        raise FormatError(f"{path}: wanted a video file, got {'a folder' if path.is_dir() else 'a pipe or a device'}")
    try:
        # Absolute, since FFmpeg takes "a:b.mp4" for a protocol; texts in old AVIs are not UTF-8.
        container = av.open(str(path.absolute()), metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise FormatError(f"{path}: cannot be read as a video: {reason}") from None
    with container:
        yield container, _moving(path, container)


def _moving(path: Path, container):
    """Return the stream of moving pictures; a cover picture of a song is none."""
    from av.stream import Disposition

    if any(name in container.format.name.split(",") or container.format.name.endswith(name) for name in _NOT_VIDEO):
        raise FormatError(f"{path}: wanted a video, got a picture or text ({container.format.name})")
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        what = "only sound" if container.streams.audio else "no pictures"
        raise FormatError(f"{path}: wanted a video, got a file with {what}")
    streams[0].thread_type = "AUTO"
    return streams[0]


def nominal_rate(stream) -> float:
    """Return the nominal rate, 0 if the file states none: FFmpeg's guess, unless it is far above the average."""
    guess, average = (float(rate or 0) for rate in (stream.guessed_rate, stream.average_rate))
    sane = [rate for rate in (guess, average) if MIN_FPS <= rate <= MAX_FPS]
    return average if len(sane) == 2 and guess > 2 * average else (sane or [0])[0]


def output_rate(path: Path, stream, fps: float | None) -> float:
    """Return the rate of the pictures given: the nominal one, or `fps` if that is lower or the only one."""
    if fps is not None and not MIN_FPS <= fps <= MAX_FPS:
        raise UsageError(f"fps: wanted {MIN_FPS} to {MAX_FPS}, got {fps:g}")
    nominal = nominal_rate(stream)
    if nominal:
        return min(nominal, fps or nominal)
    if fps:
        return float(fps)
    stated = float(stream.average_rate or stream.guessed_rate or 0)
    raise FormatError(f"{path}: frame rate: wanted {MIN_FPS} to {MAX_FPS}, got {stated:g}; state one with `fps`")


def tolerance(stream) -> float:
    """Return the seconds by which a time stamp may be late through rounding."""
    return min(float(stream.time_base or 0), 0.1 / (nominal_rate(stream) or MAX_FPS)) + 1e-6


def claimed_length(container, stream) -> tuple[float | None, float]:
    """Return the length in seconds by the file's account, and the seconds by which that may be wrong."""
    stated = float((stream.duration or 0) * (stream.time_base or 0))
    counted = stream.frames / nominal_rate(stream) if nominal_rate(stream) else 0  # in AVI what was meant to be there
    if stated > 0 or counted > 0:
        return max(stated, counted), 0.0
    if container.duration and container.duration > 0:
        return container.duration / 1e6, 0.0 if len(container.streams) == 1 else 1.0  # of the longest stream
    return None, 0.0


def _decoded(container, stream, damage: Damage) -> Iterator:
    """Decode packet by packet, so that a damaged one costs no more than its own picture."""
    from av.error import FFmpegError

    for packet in _packets(container, stream, damage):
        try:
            frames = stream.decode(packet)
        except FFmpegError:
            damage.undecoded += 1
            continue
        for frame in frames:
            damage.undecoded += bool(frame.is_corrupt)
            yield frame


def _packets(container, stream, damage: Damage) -> Iterator:
    from av.error import FFmpegError

    try:
        yield from (packet for packet in container.demux(stream) if packet.size)
    except FFmpegError as error:
        damage.stopped = f"cannot be read to its end: {error.strerror}"
    yield None  # the decoder gives what it still holds


def pictures(path: Path, container, stream, damage: Damage) -> Iterator[tuple[float, np.ndarray]]:
    """Yield (seconds from the first, picture), rising; pictures are uint8 (H, W, 3), turned, with square pixels."""
    size = None
    for seconds, frame in _timed(path, _decoded(container, stream, damage), stream, damage):
        width, height = size = size or _size(frame, stream)
        rgb = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
        yield seconds, np.ascontiguousarray(_turned(rgb, frame))


def _timed(path: Path, frames: Iterator, stream, damage: Damage) -> Iterator[tuple]:
    """Yield (seconds from the first, frame), rising; leaps of the time stamps are closed."""
    period = 1 / (nominal_rate(stream) or MAX_FPS)
    shift, last = 0.0, None
    for frame in frames:
        stamp, base = frame.dts if frame.pts is None else frame.pts, frame.time_base or stream.time_base
        time = None if stamp is None or not base else float(stamp * base)
        if last is None:
            shift, now = -(time or 0.0), 0.0
        elif time is None:
            now = last + period
        else:
            now = time + shift
            if not -1 < now - last < LONGEST_GAP:
                damage.leaps += 1
                shift, now = last + period - time, last + period
            elif now <= last:
                continue
        last = now
        yield now, frame
        shown = float((frame.duration or 0) * (frame.time_base or stream.time_base or 0))
        damage.end = now + (shown if 0 < shown < 1 else period)
    if last is None:
        why = damage.text()
        raise FormatError(f"{path}: no picture of it can be decoded{f' ({why})' if why else ''}")
