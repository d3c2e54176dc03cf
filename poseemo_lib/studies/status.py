"""What a study tells while it runs and how far it is: the bar, the time left, the table of states and of failures."""

import time
from collections import defaultdict
from collections.abc import Iterable

from poseemo_lib.studies.claims import is_busy
from poseemo_lib.studies.plan import PlannedRun
from poseemo_lib.studies.run_process import FAILED_NOTEBOOK, KEPT_NOTEBOOK, Result
from poseemo_lib.training.run_folder import read_record

STATES = ("complete", "running", "started", "stale", "failed", "missing")
# A kernel's start and the figures of its notebook, beside the seconds that a complete run has noted.
OVERHEAD = 6.0


class Pace:
    """How long runs take. Configs differ in cost, so a run is expected to take what others of its config took.

    Parameters
    ----------
    runs : iterable of PlannedRun
        Those that are complete have noted their seconds.
    """

    def __init__(self, runs: Iterable[PlannedRun]):
        self.seconds: dict[str, list[float]] = defaultdict(list)
        for run in runs:
            self.add(run, 0.0)

    def add(self, run: PlannedRun, seconds: float) -> None:
        """Note that a run took so long; one that was resumed took longer than its last part."""
        noted = (read_record(run.folder) or {}).get("seconds")
        if noted or seconds:
            self.seconds[run.config].append(max(seconds, noted + OVERHEAD if noted else 0.0))

    def expected(self, run: PlannedRun) -> float | None:
        """Seconds that a run will take: the mean of its config, or of all where none of its config is known."""
        known = self.seconds.get(run.config) or [value for values in self.seconds.values() for value in values]
        return sum(known) / len(known) if known else None

    def left(
        self, waiting: list[PlannedRun], running: list[tuple[PlannedRun, float]], width: int, now: float
    ) -> float | None:
        """Seconds until all are done.

        Parameters
        ----------
        waiting : list of PlannedRun
        running : list of (PlannedRun, float)
            Each with the time at which it began.
        width : int
            Runs at a time.
        now : float

        Returns
        -------
        float or None
            None where nothing is known yet.
        """
        if not self.seconds:
            return None
        begun = [max(0.0, self.expected(run) - (now - since)) for run, since in running]
        work = sum(begun) + sum(self.expected(run) for run in waiting)
        return max([work / max(1, width), *begun])


class Display:
    """A live bar in a terminal, plain lines elsewhere.

    Parameters
    ----------
    runs : list of PlannedRun
        All that are asked for.
    todo : int
        How many of them are not complete.
    file : text stream, optional
        Where to; default: standard output.
    """

    def __init__(self, runs: list[PlannedRun], todo: int, file=None):
        import sys

        from tqdm import tqdm

        self.pace, self.todo, self.failed, self.left = Pace(runs), todo, 0, None
        # disable=None: no bar where the output is no terminal.
        form = "{desc}|{bar}| {n_fmt}/{total_fmt} runs {postfix}"
        self.bar = tqdm(total=todo, disable=None, bar_format=form, dynamic_ncols=True, file=file or sys.stdout)
        self.ended_runs = 0
        self._file = file or sys.stdout

    def ended(self, run: PlannedRun, result: Result) -> None:
        """Tell about a run that ended."""
        self.ended_runs += 1
        if result.state == "failed" or result.state == "died":
            self.failed += 1
            text = f"FAILED: {result.error}"
        else:
            self.pace.add(run, result.seconds if result.state == "done" else 0.0)
            text = f"done in {result.seconds:.0f} s" if result.state == "done" else "made by another process"
        self.bar.update()
        self.bar.write(f"[{self.ended_runs}/{self.todo}{self._left_text(', ')}] {run.name}: {text}", file=self._file)

    def look(self, waiting: list, running: list[tuple[PlannedRun, float]], elsewhere: list, width: int) -> None:
        """Draw how it stands."""
        self.left = self.pace.left(waiting + elsewhere, running, width, time.monotonic())
        if self.bar.disable:
            return
        parts = [f"{min(len(running), width)} running"]
        parts += [f"{len(elsewhere)} in another process"] if elsewhere else []
        parts += [f"{self.failed} failed"] if self.failed else []
        self.bar.set_postfix_str(", ".join(parts) + self._left_text(", "))

    def close(self) -> None:
        """End the bar."""
        self.bar.close()

    def _left_text(self, before: str) -> str:
        if self.left is None or self.ended_runs == self.todo:
            return ""
        return (
            f"{before}about {self.left / 60:.0f} min left"
            if self.left >= 90
            else f"{before}about {self.left:.0f} s left"
        )


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


def status_table(runs: list[PlannedRun]) -> str:
    """Lay out how far a study is: one row a config, one column a state."""
    rows = []
    for config in [*dict.fromkeys(run.config for run in runs)]:
        states = [run_state(run) for run in runs if run.config == config]
        rows.append([config, *(states.count(state) for state in STATES)])
    rows.append(["all", *(sum(column) for column in zip(*(row[1:] for row in rows), strict=True))])
    return format_rows([["config", *STATES], *rows])


def failure_table(failed: list[tuple[PlannedRun, Result]]) -> str:
    """Lay out what failed: config, fold, seed, the error, and the executed notebook."""
    rows = [["config", "fold", "seed", "error", "notebook"]]
    for run, result in failed:
        parameters = run.parameters
        rows.append([run.config, parameters.fold or "-", parameters.seed, result.error, result.notebook or "-"])
    return format_rows(rows)


def format_rows(rows: list[list]) -> str:
    """Lay rows out in columns; numbers to the right."""
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        configs = [
            f"{value:>{width}}" if isinstance(value, int) else f"{value:<{width}}"
            for value, width in zip(row, widths, strict=True)
        ]
        lines.append("  ".join(configs).rstrip())
    return "\n".join(lines)
