"""Skeletons, a prediction and its probabilities, drawn into a picture with OpenCV, in a size that suits the picture.

Imports neither matplotlib nor, before something is drawn, OpenCV. Pictures are uint8 (H, W, 3), RGB.
"""

from collections.abc import Sequence

import numpy as np

from poseemo_lib.errors import extra
from poseemo_lib.skeleton import EDGES
from poseemo_lib.video import palette
from poseemo_lib.video.palette import PEOPLE_COLOURS

# Joints below it are not drawn; the network ignores them too, by default.
MIN_CONFIDENCE = 0.1
_NAMED = 3
_WHITE, _DARK, _GREY = (255, 255, 255), (24, 24, 24), (150, 150, 150)
_SHADE = 0.62
_FONT = 2  # cv2.FONT_HERSHEY_DUPLEX


def import_cv2():
    """Return OpenCV, or raise :class:`UsageError` with what to install."""
    with extra("OpenCV", "video"):
        import cv2
    return cv2


def draw_overlay(
    rgb: np.ndarray,
    keypoints: np.ndarray,
    prediction: str,
    probabilities: np.ndarray | None,
    classes: Sequence[str],
    *,
    hidden: bool = False,
    extra_lines: Sequence[str] = (),
    strip: np.ndarray | None = None,
    now: float | None = None,
) -> np.ndarray:
    """Draw people, the prediction, the three most probable classes, and a strip of probabilities into a copy.

    Parameters
    ----------
    rgb : array (H, W, 3), uint8
    keypoints : array (M, 17, 3)
        Pixels and confidence; joints below :data:`MIN_CONFIDENCE` are left out.
    prediction : str
        A headline: a class, "not sure", or empty.
    probabilities : array (C,) or None
    classes : sequence of str
    hidden : bool
        Draw on black instead of the picture.
    extra_lines : sequence of str
        Small lines under the headline.
    strip : array (h, w, 3), uint8, optional
        From :func:`draw_strip`; it is stretched over the picture's width.
    now : float, optional
        Where a line in the strip marks the present, 0 to 1.
    """
    out = np.zeros_like(rgb) if hidden else np.array(rgb, order="C")
    scale = max(0.5, min(out.shape[1] / 640, out.shape[0] / 360))  # size of text and lines
    draw_people(out, keypoints, scale)
    _draw_head(out, prediction, extra_lines, classes, scale)
    if strip is not None:
        _draw_foot(out, probabilities, classes, strip, now, scale)
    return out


def class_colour(name: str, classes: Sequence[str]) -> tuple[int, int, int]:
    """Red, green and blue of a class, 0 to 255; of "not sure" grey."""
    return _rgb(palette.class_colour(name, classes)) if name in classes else _GREY


def draw_strip(probabilities: np.ndarray, classes: Sequence[str], width: int, height: int) -> np.ndarray:
    """Draw probabilities (n, C) over time as stacked colours, the first class at the top; a row of NaN is dark.

    Returns a picture `height` pixels high and at least `width` and n wide, so that no row is lost.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    colours = np.array([*(class_colour(name, classes) for name in classes), _DARK], np.uint8)
    level = (np.arange(height) + 0.5) / height  # (h,)
    upper = np.cumsum(values, 1)[:, None]  # (n, 1, C)
    index = (level[:, None] >= upper[..., :-1]).sum(-1)  # (n, h)
    index[np.isnan(values).any(1)] = len(classes)
    columns = max(width, len(values))
    return colours[index[np.arange(columns) * len(values) // columns].T]


def draw_people(out: np.ndarray, keypoints: np.ndarray, scale: float) -> None:
    """Draw skeletons into a picture; joints that were not seen are left out."""
    cv2, wide = import_cv2(), max(1, round(2.5 * scale))
    for number, person in enumerate(np.asarray(keypoints)):
        colour = _rgb(PEOPLE_COLOURS[number % len(PEOPLE_COLOURS)])
        seen = np.isfinite(person).all(-1) & (person[:, 2] >= MIN_CONFIDENCE)
        # OpenCV's numbers have 32 bits, and joints may be estimated far outside the picture.
        points = np.clip(np.nan_to_num(person[:, :2]), -1e4, 1e4).round().astype(int)
        for a, b in EDGES:
            if seen[a] and seen[b]:
                ends = tuple(map(int, points[a])), tuple(map(int, points[b]))
                for line, width in ((_WHITE, wide + 2 * max(1, round(0.75 * scale))), (colour, wide)):
                    cv2.line(out, *ends, line, width, cv2.LINE_AA)
        for x, y in points[seen]:
            cv2.circle(out, (int(x), int(y)), max(2, round(3.5 * scale)), _WHITE, -1, cv2.LINE_AA)
            cv2.circle(out, (int(x), int(y)), max(1, round(2.5 * scale)), colour, -1, cv2.LINE_AA)


def _draw_head(out: np.ndarray, headline: str, lines: Sequence[str], classes: Sequence[str], scale: float) -> None:
    """Write the headline and small lines at the top left, on a darkened box."""
    rows = [(headline, 0.95 * scale)] if headline else []
    rows += [(line, 0.5 * scale) for line in lines]
    if not rows:
        return
    pad = round(7 * scale)
    rows = [(text, _fitting(text, size, out.shape[1] - 3 * pad)) for text, size in rows]
    sizes = [_text_size(text, size) for text, size in rows]
    width, height = max(w for w, _ in sizes) + 2 * pad, sum(h for _, h in sizes) + pad * (len(rows) + 1)
    chip = round(6 * scale) if headline else 0
    _shade(out[:height, : width + chip])
    if headline:
        out[:height, :chip] = class_colour(headline, classes)
    y = 0
    for (text, size), (_, tall) in zip(rows, sizes, strict=True):
        y += pad + tall
        _write(out, text, chip + pad, y, size)


def _draw_foot(out: np.ndarray, probabilities, classes, strip: np.ndarray, now: float | None, scale: float) -> None:
    """Put the strip at the bottom, and above it the most probable classes with their colours."""
    height, width = out.shape[:2]
    tall = min(height, max(8, round(0.1 * min(height, width))))
    top = height - tall
    out[top:] = import_cv2().resize(strip, (width, tall), interpolation=0)
    if now is not None:
        x, half = int(np.clip(now, 0, 1) * (width - 1)), max(1, round(scale))
        out[top:, max(0, x - 2 * half) : x + 2 * half + 1] = _DARK
        out[top:, max(0, x - half) : x + half + 1] = _WHITE
    if probabilities is not None:
        _draw_names(out, np.asarray(probabilities), classes, top, scale)


def _draw_names(out: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], bottom: int, scale: float) -> None:
    best = np.argsort(-probabilities, kind="stable")[:_NAMED]
    texts = [f"{classes[i]} {100 * probabilities[i]:.0f}%" for i in best]
    pad = round(6 * scale)
    size = _fitting("".join(texts), 0.5 * scale, out.shape[1] - pad * 4 * len(texts))
    tall = max(_text_size(text, size)[1] for text in texts)
    top = max(0, bottom - tall - 2 * pad)
    _shade(out[top:bottom])
    x = pad
    for i, text in zip(best, texts, strict=True):
        out[top + pad : top + pad + tall, x : x + tall] = class_colour(classes[i], classes)
        _write(out, text, x + tall + pad // 2, top + pad + tall, size)
        x += tall + _text_size(text, size)[0] + 2 * pad


def _rgb(text: str) -> tuple[int, int, int]:
    return tuple(bytes.fromhex(text[1:]))


def _shade(box: np.ndarray) -> None:
    box[:] = (box * (1 - _SHADE)).astype(np.uint8)


def _plain(text: str) -> str:
    """OpenCV's letters are ASCII."""
    return text.encode("ascii", "replace").decode()


def _thickness(size: float) -> int:
    return max(1, round(1.3 * size))


def _text_size(text: str, size: float) -> tuple[int, int]:
    return import_cv2().getTextSize(_plain(text), _FONT, size, _thickness(size))[0]


def _fitting(text: str, size: float, width: int) -> float:
    """Return the size of text, or a smaller one with which it fits."""
    taken = max(1, _text_size(text, size)[0])
    return size if taken <= width else max(0.2, size * width / taken)


def _write(out: np.ndarray, text: str, x: int, y: int, size: float) -> None:
    cv2 = import_cv2()
    cv2.putText(out, _plain(text), (x, y), _FONT, size, _WHITE, _thickness(size), cv2.LINE_AA)
