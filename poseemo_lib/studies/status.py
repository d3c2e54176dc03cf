"""How far the work is: a live bar with the time left while it runs, and the table of a study's states."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from poseemo_lib.studies.engine import Result
from poseemo_lib.studies.plan import KEPT_NOTEBOOK, PlannedRun
from poseemo_lib.studies.study import FAILED_NOTEBOOK
from poseemo_lib.training.run_folder import is_busy, read_record

STATES = ("complete", "running", "started", "stale", "failed", "missing")


class Display:
    """A live bar in a terminal, plain lines elsewhere; a context manager.

    Parameters
    ----------
    sizes : list of float
        The amount of work in each item; the time left is estimated from it.
    unit : str
        What the items are.
    pause : float
        Seconds between two lines; a failure is always printed.
    quiet : bool
        Print nothing.
    """

    def __init__(self, sizes: list[float], unit: str, *, pause: float = 0.0, quiet: bool = False):
        self.n_items, self.size, self.pause = len(sizes), sum(sizes), pause
        self.n_ended = self.n_failed = 0
        self._done, self._began, self._last = 0.0, time.monotonic(), -pause
        self._console = Console(quiet=quiet)
        columns = BarColumn(), MofNCompleteColumn(), TextColumn(unit + "{task.fields[rest]}")
        self._bar = Progress(*columns, console=self._console, disable=quiet or not self._console.is_terminal)
        self._task = self._bar.add_task("", total=self.n_items, rest="")

    def __enter__(self) -> "Display":
        self._bar.start()
        return self

    def __exit__(self, *_) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """Print a line, above the bar."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def ended(self, name: str, result: Result, size: float = 1.0) -> None:
        """Tell about an item that ended."""
        failed = result.state == "failed"
        self.n_ended, self.n_failed, self._done = self.n_ended + 1, self.n_failed + failed, self._done + size
        now, left = time.monotonic(), ""
        if self.n_ended < self.n_items:
            seconds = (now - self._began) * (self.size / self._done - 1)
            left = f", about {seconds / 60:.0f} min left" if seconds >= 90 else f", about {seconds:.0f} s left"
        if failed or now - self._last >= self.pause or not left:
            done = "made by another process" if result.state == "elsewhere" else f"done in {result.seconds:.0f} s"
            text = f"FAILED: {result.error}" if failed else done
            self.say(f"[{self.n_ended}/{self.n_items}{left}] {name}: {text}")
            self._last = now
        rest = f", {self.n_failed} failed" if self.n_failed else ""
        self._bar.update(self._task, completed=self.n_ended, rest=rest + left)


def run_state(run: PlannedRun) -> str:
    """Tell how far a run is: one of `STATES`."""
    if run.complete:
        return "complete"
    if is_busy(run.folder):
        return "running"
    record = read_record(run.folder)
    if record is None:  # it may have failed before it began
        kept = [run.folder / name for name in (KEPT_NOTEBOOK, FAILED_NOTEBOOK)]
        return "failed" if any(notebook.exists() for notebook in kept) else "missing"
    if not run.identity:
        return "missing"
    if record["identity"] != run.identity:
        return "stale"
    return "failed" if record["status"] == "failed" else "started"


def status_table(runs: list[PlannedRun]) -> Table:
    """Lay out how far a study is: one row a config, one column a state."""
    table = Table("config", box=None, pad_edge=False)
    for state in STATES:
        table.add_column(state, justify="right", no_wrap=True)
    states = [(run.config, run_state(run)) for run in runs]
    for config in dict.fromkeys(run.config for run in runs):
        table.add_row(config, *(str(states.count((config, state))) for state in STATES))
    table.add_row("all", *(str(sum(one == state for _, one in states)) for state in STATES))
    return table
