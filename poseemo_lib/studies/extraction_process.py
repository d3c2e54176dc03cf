"""A process that extracts videos, one after another: orders in, results out, one a line; the keypoints go to a file.

It keeps its estimator from video to video, and dies with the process that gives the orders.
"""

import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue

from poseemo_lib.data.extraction.clip import extract_video
from poseemo_lib.data.extraction.store import save_result
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.studies.notebook import die_with_parent
from poseemo_lib.studies.run_process import Result

# Seconds between two words about how far a video is.
TELL = 0.5


@dataclass(frozen=True)
class VideoOrder:
    """A video to extract.

    Parameters
    ----------
    name : str
        The clip's id.
    path : str
    result : str
        File for the result.
    estimator : dict
        Arguments of `open_estimator`.
    sha256 : str
        Of the model's file, as the one who gives the order has it.
    fps : float or None
    cuts : bool
    """

    name: str
    path: str
    result: str
    estimator: dict
    sha256: str
    fps: float | None = None
    cuts: bool = True


class Extractor:
    """Makes videos with an estimator that is opened for the first one."""

    def __init__(self, tell=None):
        self._tell = tell
        self._estimator, self._opened = None, None

    def make(self, order: VideoOrder) -> Result:
        """Extract a video into its file; no error leaves this."""
        started = time.monotonic()

        def result(state: str, error: str = "", exit_code: int = 1) -> Result:
            return Result(state, " ".join(error.split()), "", round(time.monotonic() - started, 2), exit_code)

        try:
            if fault := self._open(order):
                return result("refused", fault)
        except PoseemoError as error:  # it holds for all videos
            return result("refused", str(error), error.exit_code)
        try:
            told = _Teller(order, self._tell) if self._tell else None
            found = extract_video(order.path, self._estimator, fps=order.fps, cuts=order.cuts, progress=told)
        except UsageError as error:
            return result("refused", str(error), error.exit_code)
        except PoseemoError as error:
            return result("failed", str(error))
        except Exception as error:  # this video has failed, the others go on
            return result("failed", f"{order.path}: {type(error).__name__}: {error}")
        try:
            save_result(Path(order.result), *found)
        except OSError as error:  # a full disk is so for all videos
            return result("refused", f"{Path(order.result).parent}: cannot write: {error.strerror or error}")
        return result("done")

    def _open(self, order: VideoOrder) -> str:
        """Open the order's estimator unless it is open; say what is wrong with it."""
        from poseemo_lib.video.estimators import open_estimator

        if self._opened != order.estimator:
            self.close()
            self._estimator, self._opened = open_estimator(**order.estimator), order.estimator
        there = self._estimator.info.sha256
        if there == order.sha256:
            return ""
        return f"the model file is another one here: wanted sha256 {order.sha256[:12]}, got {there[:12]}"

    def close(self) -> None:
        """Close the estimator."""
        if self._estimator is not None:
            self._estimator.close()
        self._estimator = self._opened = None


class _Teller:
    """Tells now and then how far a video is."""

    def __init__(self, order: VideoOrder, tell):
        self._name, self._tell, self._next = order.name, tell, time.monotonic() + TELL

    def __call__(self, done: int, frames: int | None) -> None:
        if frames and time.monotonic() > self._next:
            self._tell(self._name, min(1.0, done / frames))
            self._next = time.monotonic() + TELL


def main() -> None:
    """Read orders from standard input, one a line, and write results, one a line, and in between how far it is."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who gives the orders decides
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints does not mix with the results
    orders, idle = SimpleQueue(), threading.Event()
    idle.set()
    threading.Thread(target=_read_orders, args=(orders, idle), daemon=True).start()
    extractor = Extractor(lambda name, share: _write(lines, {"name": name, "share": share}))
    while (order := orders.get()) is not None:
        result = extractor.make(order)
        idle.set()
        _write(lines, asdict(result))
    extractor.close()


def _write(lines, content: dict) -> None:
    with suppress(BrokenPipeError):
        lines.write(json.dumps(content) + "\n")


def _read_orders(orders: SimpleQueue, idle: threading.Event) -> None:
    for line in sys.stdin:
        idle.clear()
        orders.put(VideoOrder(**json.loads(line)))
    if not idle.is_set():
        os._exit(1)  # nobody waits for this video any more
    orders.put(None)


if __name__ == "__main__":
    main()
