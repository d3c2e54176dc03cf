"""Writing pictures to a video file, whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np

from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.files import replacing

MIN_FPS, MAX_FPS = 1, 1000
# The containers that are written: those that hold H.264 and MPEG-4.
WRITTEN_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".avi")
MAX_SIZE = 8192


def import_av():
    """Return PyAV, or raise :class:`UsageError` with what to install."""
    try:
        import av
    except ImportError:
        raise UsageError("videos want PyAV, which is not installed; run `pip install 'poseemo[video]'`") from None
    return av


class VideoWriter:
    """Write pictures to a video file: H.264 where FFmpeg has it, MPEG-4 otherwise.

    A context manager. The file has a temporary name until the end, and nothing is kept if the body raises.

    Parameters
    ----------
    path : str or Path
        Its suffix says the container: .mp4, .m4v, .mov, .mkv or .avi.
    fps : float
        1 to 1000.
    width, height : int
        Pixels, 1 to 8192. An odd size is padded by a copy of its last row or column.

    Raises
    ------
    UsageError
        PyAV or the folder is missing, or the suffix, the rate or the size is not possible.
    PoseemoError
        The file cannot be written, or there was no picture to write.
    """

    def __init__(self, path: str | Path, fps: float, width: int, height: int):
        self.path, self.fps, self.width, self.height = Path(path), float(fps), int(width), int(height)
        self.n_frames = 0
        if self.path.suffix.lower() not in WRITTEN_SUFFIXES:
            raise UsageError(f"{self.path}: wanted a name that ends in one of {', '.join(WRITTEN_SUFFIXES)}")
        if not self.path.parent.is_dir():
            raise UsageError(f"{self.path}: wanted a folder that exists, got {self.path.parent}")
        if not MIN_FPS <= self.fps <= MAX_FPS:
            raise UsageError(f"fps: wanted {MIN_FPS} to {MAX_FPS}, got {self.fps:g}")
        if not (1 <= self.width <= MAX_SIZE and 1 <= self.height <= MAX_SIZE):
            raise UsageError(f"size: wanted 1 to {MAX_SIZE} pixels a side, got {self.width} x {self.height}")

    def __enter__(self) -> "VideoWriter":
        """Open the file under its temporary name."""
        self._writing = self._write_all()
        return self._writing.__enter__()

    def __exit__(self, *error) -> bool | None:
        """End the file and give it its name; or remove it where the body raised."""
        return self._writing.__exit__(*error)

    @contextmanager
    def _write_all(self) -> Iterator["VideoWriter"]:
        av = import_av()
        try:
            with replacing(self.path) as temporary, av.open(str(temporary.absolute()), "w") as container:
                self._container, self._stream = container, self._add_stream(av, container)
                yield self
                if not self.n_frames:
                    raise PoseemoError(f"{self.path}: not written: there was no picture to write")
                container.mux(self._stream.encode())
        except av.error.FFmpegError as error:
            raise PoseemoError(f"{self.path}: cannot be written: {error.strerror}") from None

    def _add_stream(self, av, container):
        names = [name for name in ("libx264", "libopenh264") if name in av.codecs_available]
        # MPEG-4 holds rates whose numerator has 16 bits.
        self._rate = Fraction(self.fps).limit_denominator(min(1001, int(65535 / self.fps)))
        stream = container.add_stream(names[0] if names else "mpeg4", rate=self._rate)
        stream.width, stream.height = self.width + self.width % 2, self.height + self.height % 2
        stream.pix_fmt = "yuv420p"
        if names[:1] == ["libx264"]:
            stream.options = {"crf": "18", "preset": "veryfast"}
        else:
            stream.bit_rate = 4 * stream.width * stream.height  # about 0.15 bits a pixel at 25 pictures a second
        return stream

    def write(self, rgb: np.ndarray) -> None:
        """Append one picture, uint8 (height, width, 3)."""
        wanted = (self.height, self.width, 3)
        if rgb.shape != wanted or rgb.dtype != np.uint8:
            raise UsageError(f"{self.path}: wanted a picture {wanted} of uint8, got {rgb.shape} of {rgb.dtype}")
        if self.width % 2 or self.height % 2:
            rgb = np.pad(rgb, ((0, self.height % 2), (0, self.width % 2), (0, 0)), mode="edge")
        frame = import_av().VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        frame.pts, frame.time_base = self.n_frames, 1 / self._rate
        self._container.mux(self._stream.encode(frame))
        self.n_frames += 1
