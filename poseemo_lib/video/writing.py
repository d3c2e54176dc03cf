"""Writing pictures to a video file, whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np

from poseemo_lib.errors import PoseemoError, extra
from poseemo_lib.files import replacing

# The containers that are written: those that hold H.264 and MPEG-4.
WRITTEN_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".avi")


class VideoWriter:
    """An opened video file, to which `n_frames` pictures were written."""

    def __init__(self, av, container, fps: float, width: int, height: int):
        self._av, self._container, self._size, self.n_frames = av, container, (width, height), 0
        names = [name for name in ("libx264", "libopenh264") if name in av.codecs_available]
        # MPEG-4 holds rates whose numerator has 16 bits.
        self._rate = Fraction(fps).limit_denominator(min(1001, int(65535 / fps)))
        self._stream = stream = container.add_stream(names[0] if names else "mpeg4", rate=self._rate)
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        if names[:1] == ["libx264"]:
            stream.options = {"crf": "18", "preset": "veryfast"}
        else:
            stream.bit_rate = 4 * stream.width * stream.height  # about 0.15 bits a pixel at 25 pictures a second

    def write(self, rgb: np.ndarray) -> None:
        """Append one picture, uint8 (height, width, 3)."""
        width, height = self._size
        if width % 2 or height % 2:
            rgb = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        frame.pts, frame.time_base = self.n_frames, 1 / self._rate
        self._container.mux(self._stream.encode(frame))
        self.n_frames += 1


@contextmanager
def video_writer(path: str | Path, fps: float, width: int, height: int) -> Iterator[VideoWriter]:
    """Open a video file to write: H.264 where FFmpeg has it, MPEG-4 otherwise.

    The file has a temporary name until the end, and nothing is kept if the body raises. The suffix of `path` says the
    container: .mp4, .m4v, .mov, .mkv or .avi. An odd width or height is padded by a copy of the last column or row.

    Raises
    ------
    UsageError
        PyAV is missing.
    PoseemoError
        The file cannot be written, or there was no picture to write.
    """
    path = Path(path)
    with extra("PyAV", "video"):
        import av
    try:
        with replacing(path) as temporary, av.open(str(temporary.absolute()), "w") as container:
            writer = VideoWriter(av, container, fps, width, height)
            yield writer
            if not writer.n_frames:
                raise PoseemoError(f"{path}: not written: there was no picture to write")
            container.mux(writer._stream.encode())
    except av.error.FFmpegError as error:
        raise PoseemoError(f"{path}: cannot be written: {error.strerror}") from None
