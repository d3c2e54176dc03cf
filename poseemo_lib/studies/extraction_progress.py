"""What an extraction tells while it runs: a live bar with the time left in a terminal, plain lines elsewhere.

Videos differ in length, so that what is done is counted in bytes, with the share that is done of those at work.
"""

import sys
import time
from pathlib import Path

from poseemo_lib.studies.extraction_process import VideoOrder
from poseemo_lib.studies.run_process import Result
from poseemo_lib.text import count

# Seconds between two plain lines, but for those of failures.
PAUSE = 5.0


class Display:
    """See the module.

    Parameters
    ----------
    file : text stream, optional
        Where to; default: standard output.
    """

    def __init__(self, file=None):
        self._file = file or sys.stdout
        self._shares: dict[str, float] = {}
        self._bytes: dict[str, int] = {}
        self.n_ended = self.n_failed = self._done = 0
        self._bar = None

    def begin(self, orders: list[VideoOrder], n_videos: int, where: str) -> None:
        """Start with the videos that are to be extracted, out of all."""
        from tqdm import tqdm

        self._bytes = {order.name: max(1, Path(order.path).stat().st_size) for order in orders}
        done = n_videos - len(orders)
        self._say(f"{count(n_videos, 'video')}, {done} done before, {len(orders)} to extract; {where}")
        self._began = self._last = time.monotonic()
        # disable=None: no bar where the output is no terminal.
        form = "extract |{bar}| {percentage:.0f} %{postfix}"
        self._bar = tqdm(total=1.0, disable=None, bar_format=form, dynamic_ncols=True, file=self._file)

    def tell(self, name: str, share: float) -> None:
        """Note how far a video is; from any thread."""
        self._shares[name] = share

    def ended(self, order: VideoOrder, result: Result) -> None:
        """Tell about a video that ended."""
        self._shares.pop(order.name, None)
        self._done += self._bytes[order.name]
        self.n_ended += 1
        failed = result.state != "done"
        self.n_failed += failed
        late = time.monotonic() - self._last >= PAUSE or self.n_ended == len(self._bytes)
        if failed or (late and self._bar.disable):
            text = f"FAILED: {result.error}" if failed else f"done in {result.seconds:.0f} s"
            self._bar.write(f"[{self.n_ended}/{len(self._bytes)}{self._left()}] {order.name}: {text}", file=self._file)
            self._last = time.monotonic()

    def look(self, running: int) -> None:
        """Draw how it stands."""
        if self._bar.disable:
            return
        self._bar.n = self._share()
        failed = f", {self.n_failed} failed" if self.n_failed else ""
        self._bar.set_postfix_str(f"{self.n_ended}/{len(self._bytes)} videos, {running} at work{failed}{self._left()}")

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.n = self._share()
            self._bar.close()

    def _share(self) -> float:
        at_work = sum(share * self._bytes.get(name, 0) for name, share in list(self._shares.items()))
        return min(1.0, (self._done + at_work) / sum(self._bytes.values()))

    def _left(self) -> str:
        share = self._share()
        if not 0 < share < 1:
            return ""
        left = (time.monotonic() - self._began) * (1 - share) / share
        return f", about {left / 60:.0f} min left" if left >= 90 else f", about {left:.0f} s left"

    def _say(self, text: str) -> None:
        print(text, file=self._file, flush=True)  # noqa: T201
