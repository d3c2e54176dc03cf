"""What is seen while it runs: drawn pictures, a window on the screen, keys, rate and delay."""

import os
import subprocess
import sys
import time
from array import array
from dataclasses import dataclass, field

import numpy as np

from poseemo_lib.errors import UsageError
from poseemo_lib.inference.live.session import LiveState
from poseemo_lib.inference.predictor_info import PredictorInfo
from poseemo_lib.video.drawing import draw_overlay, draw_strip, import_cv2

# Frames over which rate and delay are measured.
_MEASURED = 60
# The strip: seconds it goes back, columns, height.
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
        """Take a key: m mirrors, h hides the picture. False for q and Esc, which quit."""
        self.mirror ^= key == "m"
        self.hidden ^= key == "h"
        return key not in _QUIT


@dataclass
class Pace:
    """How fast frames are shown, and how many were dropped because they came too late.

    Parameters
    ----------
    shown : array of float
        Time of each frame shown, by `time.monotonic`.
    delays : array of float
        Milliseconds from the capture of each frame shown until it was drawn and written.
    """

    dropped: int = 0
    shown: array = field(default_factory=lambda: array("d"))
    delays: array = field(default_factory=lambda: array("f"))

    @property
    def frames(self) -> int:
        """Number of frames shown."""
        return len(self.shown)

    def count(self, captured: float) -> None:
        """Count a frame that is shown now and was captured at this time of `time.monotonic`."""
        self.shown.append(time.monotonic())
        self.delays.append(1000 * (self.shown[-1] - captured))

    def line(self) -> str:
        """Describe the last second or two, in a line."""
        rate, delay = _rate(self.shown[-_MEASURED:]), np.median(self.delays[-_MEASURED:])
        return f"{rate:.0f} frames/s  {delay:.0f} ms  {self.dropped} dropped"

    def summary(self) -> str:
        """Describe the whole, in a line."""
        if not self.frames:
            return "no frames"
        median, late = np.percentile(self.delays, [50, 95])
        return (
            f"{self.frames:,} frames in {self.shown[-1] - self.shown[0]:.1f} s ({_rate(self.shown):.1f} frames/s), "
            f"{self.dropped:,} dropped; "
            f"from picture to display {median:.0f} ms (median), {late:.0f} ms (95 %)"
        )


def _rate(times: array) -> float:
    return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0


class Painter:
    """Draws predictions over their pictures, with a strip of the last seconds' probabilities.

    `width` is that of the picture that the keypoints belong to.
    """

    def __init__(self, info: PredictorInfo, width: int, view: View):
        self.info, self.width, self.view, self.pace = info, width, view, Pace()
        self._past = np.full((_COLUMNS, len(info.classes)), np.nan)
        self._column = 0

    def draw(self, rgb: np.ndarray, state: LiveState, seconds: float) -> np.ndarray:
        """Draw people, prediction and strip into a new picture. Mirroring never changes what is predicted."""
        people = state.people if len(state.people) else state.everybody
        people = people * [rgb.shape[1] / self.width, rgb.shape[1] / self.width, 1]
        if self.view.mirror:
            rgb = np.ascontiguousarray(rgb[:, ::-1])
            people[..., 0] = rgb.shape[1] - 1 - people[..., 0]
        headline = state.prediction or (f"watching {100 * state.filled:.0f} %" if state.filled < 1 else "nobody seen")
        return draw_overlay(
            rgb,
            people,
            headline,
            state.probabilities,
            self.info.classes,
            hidden=self.view.hidden,
            extra_lines=[line for line in (self.pace.line() if self.pace.frames else "", self.info.note) if line],
            strip=self._strip(state.probabilities, seconds),
        )

    def _strip(self, probabilities: np.ndarray | None, seconds: float) -> np.ndarray | None:
        """Move the past to the left as time goes on; the last probabilities last until now."""
        column = int(seconds * _COLUMNS / STRIP_SECONDS)
        passed = min(column - self._column, _COLUMNS)
        self._column = column
        self._past = np.concatenate([self._past[passed:], np.repeat(self._past[-1:], passed, 0)])
        self._past[-1] = np.nan if probabilities is None else probabilities
        return None if np.isnan(self._past).all() else draw_strip(self._past, self.info.classes, _COLUMNS, _HEIGHT)


class Screen:
    """A window on the screen for pictures of a width and height; a context manager.

    It can be resized, and starts no larger than most screens.
    """

    def __init__(self, title: str, size: tuple[int, int]):
        self.title, self._cv2 = title, import_cv2()
        scale = min(1.0, *(most / side for most, side in zip(_SCREEN, size, strict=True)))
        self.size = tuple(max(1, round(side * scale)) for side in size)

    def __enter__(self) -> "Screen":
        os.environ.setdefault("QT_LOGGING_RULES", "default.warning=false")  # about fonts, which are not used
        cv2 = self._cv2
        cv2.namedWindow(self.title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        cv2.resizeWindow(self.title, *self.size)
        return self

    def __exit__(self, *error) -> None:
        self._cv2.destroyAllWindows()

    def show(self, rgb: np.ndarray) -> str:
        """Show a picture; return the keys pressed since the last one, with Esc if the window was closed."""
        self._cv2.imshow(self.title, rgb[..., ::-1])
        keys = []
        while (code := self._cv2.waitKey(1)) >= 0:
            keys.append(chr(code & 0xFF))
        closed = self._cv2.getWindowProperty(self.title, self._cv2.WND_PROP_VISIBLE) < 1
        return "".join(keys) + "\x1b" * closed


def check_screen() -> None:
    """Raise UsageError if no window can be opened; tried in another process, which OpenCV may end in that case."""
    import_cv2()
    code = "import cv2; cv2.namedWindow('poseemo'); cv2.waitKey(1)"
    if subprocess.run([sys.executable, "-c", code], capture_output=True).returncode:
        raise UsageError(
            "live: wanted a display for a window, found none that OpenCV can use; "
            "use --headless, with --out OVERLAY.mp4 or --save WINDOWS.csv to keep something"
        )
