"""What all benchmarks share: things measured in turns, rows of the table, children, synthetic clips, the machine.

    python benchmarks/common.py MODULE FUNCTION '{"argument": 1}'

calls a function of a benchmark in this process and prints what it returned, with its time and peak memory, as JSON.
"""

import importlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Options:
    """How much is measured: see `bench.py --help`. Rounds 0: the subject decides; no threads: one, and all cores."""

    quick: bool = False
    device: str = "cpu"
    rounds: int = 0
    large: bool = False
    packages: str = ""
    threads: tuple[int, ...] = ()

    def turns(self, usual: int) -> int:
        """Choose the number of rounds."""
        return self.rounds or (2 if self.quick else usual)

    def size(self, usual: int, quick: int) -> int:
        """Choose a size."""
        return quick if self.quick else usual


@dataclass(frozen=True)
class Row:
    """Two things measured in turns: medians over the rounds, and the ratio A / B of a round: median and range.

    A row without names only says why nothing was measured.
    """

    subject: str
    what: str
    unit: str = ""
    first: str = ""
    first_value: float | None = None
    second: str = ""
    second_value: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    rounds: int = 0
    note: str = ""

    def cells(self) -> list[str]:
        """Write the row's values in the order of :data:`COLUMNS`."""
        spread = "" if self.ratio is None else f"{number(self.low)} - {number(self.high)}"
        return [
            *(self.subject, self.what, self.first, number(self.first_value), self.second, number(self.second_value)),
            *(self.unit, number(self.ratio), spread, str(self.rounds or ""), self.note),
        ]


COLUMNS = ("subject", "what", "A", "A is", "B", "B is", "unit", "A / B", "range", "rounds", "note")


def number(value: float | None) -> str:
    """Write a number with three digits that count; nothing for none."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def in_turns(arms: dict[str, Callable[[], float]], rounds: int, *, warm: bool = True) -> dict[str, list[float]]:
    """Measure things one after another, round by round, so that other load on the machine affects all alike.

    Each of the `arms`, by name, does its work and returns a number. With `warm` each runs once before, not counted.
    """
    if warm:
        for work in arms.values():
            work()
    values: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, work in arms.items():
            values[name].append(float(work()))
    return values


def rows_of(subject: str, what: str, unit: str, values: dict[str, list[float]], note: str = "") -> list[Row]:
    """Hold the first of the things that :func:`in_turns` measured against each of the others, a row each."""
    (first, mine), *others = values.items()
    return [compare(subject, what, unit, (first, mine), other, note) for other in others]


def shares_of(subject: str, what: str, unit: str, values: dict[str, list[float]], note: str = "") -> list[Row]:
    """Hold each of the parts against the whole, which is the first: `A / B` is the part's share."""
    whole, *parts = values.items()
    return [compare(subject, what, unit, part, whole, note) for part in parts]


def compare(subject: str, what: str, unit: str, first: tuple, second: tuple, note: str = "") -> Row:
    """Make the row of two things, each a name and its numbers, round by round."""
    ratios = [a / b if b else float("nan") for a, b in zip(first[1], second[1], strict=True)]
    (a, mine), (b, other) = ((name, statistics.median(values)) for name, values in (first, second))
    spread = (statistics.median(ratios), min(ratios), max(ratios), len(ratios))
    return Row(subject, what, unit, a, mine, b, other, *spread, note)


def seconds_of(work: Callable[[], object], device: str = "cpu") -> float:
    """Time a function, to the end of what it asked a GPU for."""
    _wait(device)
    start = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: str) -> None:
    if str(device).startswith("cuda"):
        import torch

        torch.cuda.synchronize()


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Give torch so many threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def thread_counts(options: Options) -> tuple[int, ...]:
    """Choose numbers of threads: one and all cores; on a GPU they hardly matter."""
    if options.threads:
        return options.threads
    return (1,) if options.quick or options.device != "cpu" else tuple(sorted({1, cores()}))


def named_threads(count: int) -> str:
    """Write `1 thread`, `2 threads`."""
    return f"{count} thread" + "s" * (count > 1)


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_child(module: str, function: str, environment: dict | None = None, **arguments) -> dict:
    """Call a function of a benchmark in a process of its own: `result`, `seconds`, `cpu` seconds and `peak_mib`."""
    command = [sys.executable, str(HERE / "common.py"), module, function, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | (environment or {}))
    if done.returncode:
        raise RuntimeError(f"{module}.{function}: {done.stderr.strip() or done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def peak_memory() -> float:
    """Largest memory of this process so far, MiB.

    Not `ru_maxrss` where Linux tells better: a child begins with that of its parent.
    """
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@lru_cache(maxsize=2)
def synthetic_clips(n_clips: int, seed: int = 0) -> tuple:
    """Make synthetic clips of one or two people, 1 to 6 seconds long."""
    from poseemo_lib.data.synthetic import generate_clips

    return tuple(clip for clip, _ in generate_clips(n_clips, seed=seed))


def prepared_clips(n_clips: int, device: str = "cpu", **parameters):
    """Bring synthetic clips to the device, prepared as a run prepares them by default."""
    from poseemo_lib.clips import EMOTIONS
    from poseemo_lib.features.preparation import Preparation
    from poseemo_lib.training.batching import prepare_clips
    from poseemo_lib.training.parameters import RunParameters, settings_from

    how = settings_from(Preparation, RunParameters(**parameters))
    return prepare_clips(synthetic_clips(n_clips), EMOTIONS, how, device)


def describe_machine(device: str = "cpu") -> dict:
    """Say what is measured on: processor, memory, versions; no names of hosts, no paths."""
    import numpy
    import torch

    from poseemo_lib import __version__
    from poseemo_lib.models.cost import describe_cpu

    page = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    facts = {"cpu": describe_cpu(), "cores_used": cores(), "memory_gib": round(page, 1)}
    if device != "cpu":
        facts["gpu"] = torch.cuda.get_device_name()
    facts |= {"system": f"{platform.system()} {platform.machine()}", "python": platform.python_version()}
    return facts | {"torch": torch.__version__, "numpy": numpy.__version__, "poseemo": __version__}


def markdown(rows: list[Row]) -> str:
    """Write rows as a Markdown table, aligned."""
    table = [list(COLUMNS), *([text.replace("|", "/") for text in row.cells()] for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(COLUMNS))]
    padded = [[text.ljust(width) for text, width in zip(line, widths, strict=True)] for line in table]
    lines = [f"| {' | '.join(line)} |" for line in padded]
    lines.insert(1, f"|{'|'.join('-' * (width + 2) for width in widths)}|")
    return "\n".join(lines)


def main() -> None:
    """Do what the first lines of this file say."""
    module, function, arguments = sys.argv[1:]
    code = importlib.import_module(module)
    work = getattr(code, function)
    getattr(code, "before", bool)()  # imports, not counted
    start = time.perf_counter()
    result = work(**json.loads(arguments))
    facts = {"seconds": time.perf_counter() - start, "cpu": time.process_time(), "peak_mib": peak_memory()}
    sys.stdout.write("\n" + json.dumps({"result": result} | facts) + "\n")


if __name__ == "__main__":
    main()
