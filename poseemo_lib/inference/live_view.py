"""What is seen of the live demo: drawn pictures, a window on the screen, keys, rate and latency."""

import os
import subprocess
import sys
import time
from array import array
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from poseemo_lib.errors import UsageError
from poseemo_lib.inference.live_session import Moment
from poseemo_lib.video.drawing import draw_overlay, draw_strip, import_cv2

# Frames that rate and latency are measured over.
_MEASURED = 60
# Seconds that the strip goes back, and its columns.
STRIP_SECONDS, _COLUMNS, _HEIGHT = 20.0, 200, 48
_QUIT = ("q", "\x1b")
# Width and height that fit on most screens.
_SCREEN = (1280, 800)


@dataclass
class View:
    """How it is drawn; keys change it."""

    mirror: bool = False
    hidden: bool = False

    def press(self, key: str) -> bool:
        """Take a key: m mirrors, h hides the picture; false for q and Esc, which quit."""
        self.mirror ^= key == "m"
        self.hidden ^= key == "h"
        return key not in _QUIT


@dataclass
class Pace:
    """How fast it goes: frames shown a second, and milliseconds from a picture to its showing.

    Parameters
    ----------
    frames : int
        Frames shown.
    dropped : int
        Frames that came too late.
    seconds : float
        From the first frame shown to the last.
    delays : array of float
        Of each frame shown, in milliseconds, from the capture of its picture to when it was drawn and written.
    """

    frames: int = 0
    dropped: int = 0
    seconds: float = 0.0
    delays: array = field(default_factory=lambda: array("f"))
    _shown: deque = field(default_factory=lambda: deque(maxlen=_MEASURED))

    def count(self, captured: float) -> None:
        """Count a frame that is shown now, and was captured then, by `time.monotonic`."""
        now = time.monotonic()
        if self._shown:
            self.seconds += now - self._shown[-1]
        self.frames += 1
        self._shown.append(now)
        self.delays.append(1000 * (now - captured))

    @property
    def fps(self) -> float:
        """Frames a second, over the last ones."""
        span = self._shown[-1] - self._shown[0] if len(self._shown) > 1 else 0.0
        return (len(self._shown) - 1) / span if span else 0.0

    @property
    def latency(self) -> float:
        """Median milliseconds, over the last ones."""
        return float(np.median(self.delays[-_MEASURED:])) if self.delays else 0.0

    def line(self) -> str:
        """Say it as it is now, in a line."""
        return f"{self.fps:.0f} frames/s  {self.latency:.0f} ms  {self.dropped} dropped"

    def summary(self) -> str:
        """Say how it went, in a line."""
        if not self.frames:
            return "no frames"
        median, late = np.percentile(self.delays, [50, 95])
        rate = f" ({(self.frames - 1) / self.seconds:.1f} frames/s)" if self.seconds else ""
        return (
            f"{self.frames:,} frames in {self.seconds:.1f} s{rate}, {self.dropped:,} dropped; "
            f"from picture to answer {median:.0f} ms (median), {late:.0f} ms (95 %)"
        )


class Painter:
    """Draws moments over their pictures, with a strip of the last seconds' probabilities.

    Parameters
    ----------
    classes : tuple of str
    width : int
        Of the picture that keypoints are in.
    view : View
    note : str
        A line that stands in every picture.
    """

    def __init__(self, classes: tuple[str, ...], width: int, view: View, note: str = ""):
        self.classes, self.width, self.view, self.note = tuple(classes), width, view, note
        self.pace = Pace()
        self._past = np.full((_COLUMNS, len(classes)), np.nan)
        self._column = 0

    def draw(self, rgb: np.ndarray, moment: Moment, seconds: float) -> np.ndarray:
        """Draw people, answer and strip at a time, mirrored where wanted (not what is predicted); a new picture."""
        people = moment.people if len(moment.people) else moment.everybody
        people = people * [rgb.shape[1] / self.width, rgb.shape[1] / self.width, 1]
        if self.view.mirror:
            rgb = np.ascontiguousarray(rgb[:, ::-1])
            people[..., 0] = rgb.shape[1] - 1 - people[..., 0]
        lines = [line for line in (self.pace.line() if self.pace.frames else "", self.note) if line]
        look = {"hidden": self.view.hidden, "extra_lines": lines, "strip": self._strip(moment.probabilities, seconds)}
        return draw_overlay(rgb, people, _headline(moment), moment.probabilities, self.classes, **look)

    def _strip(self, probabilities: np.ndarray | None, seconds: float) -> np.ndarray | None:
        """Move the past to the left as time goes on; what was shown last lasts until now."""
        column = int(seconds * _COLUMNS / STRIP_SECONDS)
        passed = min(column - self._column, _COLUMNS)
        self._column = column
        self._past = np.concatenate([self._past[passed:], np.repeat(self._past[-1:], passed, 0)])
        self._past[-1] = np.nan if probabilities is None else probabilities
        return None if np.isnan(self._past).all() else draw_strip(self._past, self.classes, _COLUMNS, _HEIGHT)


def _headline(moment: Moment) -> str:
    if moment.answer:
        return moment.answer
    return f"watching {100 * moment.filled:.0f} %" if moment.filled < 1 else "nobody seen"


class Screen:
    """A window on the screen.

    Parameters
    ----------
    title : str
    size : (int, int)
        Width and height of the pictures; the window is not larger than most screens, and can be resized.

    Raises
    ------
    UsageError
        OpenCV is not installed.
    """

    def __init__(self, title: str, size: tuple[int, int]):
        self.title, self._cv2 = title, import_cv2()
        scale = min(1.0, *(most / side for most, side in zip(_SCREEN, size, strict=True)))
        self.size = tuple(max(1, round(side * scale)) for side in size)

    def __enter__(self) -> "Screen":
        """Open the window."""
        os.environ.setdefault("QT_LOGGING_RULES", "default.warning=false")  # on fonts, which are not used
        cv2 = self._cv2
        cv2.namedWindow(self.title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        cv2.resizeWindow(self.title, *self.size)
        return self

    def __exit__(self, *error) -> None:
        """Close it."""
        self._cv2.destroyAllWindows()

    def show(self, rgb: np.ndarray) -> str:
        """Show a picture; return the keys pressed since the last: Esc also where the window was closed."""
        self._cv2.imshow(self.title, rgb[..., ::-1])
        keys = []
        while (code := self._cv2.waitKey(1)) >= 0:
            keys.append(chr(code & 0xFF))
        closed = self._cv2.getWindowProperty(self.title, self._cv2.WND_PROP_VISIBLE) < 1
        return "".join(keys) + "\x1b" * closed


def check_screen(environment: dict[str, str]) -> None:
    """Check that a window can be opened, in a process of its own: where there is no display, OpenCV ends the process.

    Parameters
    ----------
    environment : dict
        Such as `os.environ`.

    Raises
    ------
    UsageError
        It cannot.
    """
    do = "give --headless, with --out OVERLAY.mp4 or --save WINDOWS.csv to keep something"
    import_cv2()
    if sys.platform.startswith("linux") and not (environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")):
        raise UsageError(f"live: wanted a display for a window, found none (DISPLAY is not set); {do}")
    code = "import cv2; cv2.namedWindow('poseemo'); cv2.waitKey(1)"
    tried = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    if tried.returncode:
        raise UsageError(f"live: wanted a window, OpenCV cannot open one here; {do}")
