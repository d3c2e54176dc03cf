"""Videos that tests make themselves."""

from fractions import Fraction

import av
import numpy as np


def shade(i: int) -> int:
    """The grey of picture i, one of twenty that any codec keeps apart."""
    return 10 + 12 * (7 * i % 20)


def grey(i: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), shade(i), np.uint8)


GREYS = [grey(i) for i in range(20)]


def which(rgb: np.ndarray, n: int) -> int:
    """The picture that a frame shows, by its grey."""
    return int(np.argmin([abs(float(rgb.mean()) - shade(i)) for i in range(n)]))


def quarters(width: int = 64, height: int = 48) -> np.ndarray:
    """Red, green, blue and white, from the top left by rows."""
    picture = np.zeros((height, width, 3), np.uint8)
    y, x = height // 2, width // 2
    picture[:y, :x], picture[:y, x:], picture[y:, :x], picture[y:, x:] = (
        (255, 0, 0),
        (0, 255, 0),
        (0, 0, 255),
        (255, 255, 255),
    )
    return picture


def corners(rgb: np.ndarray) -> str:
    """The colours of the four quarters by name, from the top left by rows."""
    y, x = rgb.shape[0] // 4, rgb.shape[1] // 4
    spots = [rgb[y, x], rgb[y, -x], rgb[-y, x], rgb[-y, -x]]
    names = {(1, 0, 0): "r", (0, 1, 0): "g", (0, 0, 1): "b", (1, 1, 1): "w"}
    return "".join(names[tuple(int(value > 128) for value in spot)] for spot in spots)


def make_video(path, pictures, *, fps=25, codec="libx264", times=None, sound=False, aspect=None, turn=None, **options):
    """Write pictures; `times` are whole milliseconds, for a variable rate; `turn` is (degrees, hflip, vflip)."""
    base = Fraction(1, 1000) if times else 1 / Fraction(fps).limit_denominator(1001)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=options)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = {"ffv1": "bgr0", "rawvideo": "bgr24", "mjpeg": "yuvj444p"}.get(codec, "yuv420p")
        stream.codec_context.time_base = base
        if aspect:
            stream.codec_context.sample_aspect_ratio = Fraction(aspect)
        if turn:
            stream.set_display_rotation(*turn)
        voice = container.add_stream("aac", rate=16000) if sound else None
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = times[i] if times else i, base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if voice:
            _add_sound(container, voice, len(pictures) / float(fps))
    return path


def make_sound(path, codec: str):
    with av.open(str(path), "w") as container:
        _add_sound(container, container.add_stream(codec, rate=16000), 0.5)
    return path


def _add_sound(container, stream, seconds: float) -> None:
    layout = {"pcm_s16le": "s16"}.get(stream.name, "fltp")
    for i in range(int(seconds * 16000 / 1024)):
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.int16 if layout == "s16" else np.float32), format=layout, layout="mono"
        )
        frame.sample_rate, frame.pts = 16000, i * 1024
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
