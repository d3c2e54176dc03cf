"""Where videos are extracted: processes of this machine, or the workers of a Dask cluster."""

import json
import os
import platform
import subprocess
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from importlib import metadata
from pathlib import Path
from queue import Empty, SimpleQueue

from poseemo_lib.data.extraction.store import code_hash
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.paths import PROJECT
from poseemo_lib.studies.cluster import ClusterPlaces, on_worker
from poseemo_lib.studies.extraction_process import VideoOrder
from poseemo_lib.studies.run_process import DIED, Result, RunProcess
from poseemo_lib.text import count

# A video that its process died over this often is given up.
ATTEMPTS = 2
# How often to draw the progress, seconds.
TICK = 0.5
# Seconds that a process on a worker of a cluster waits for its next video.
IDLE = 60.0
_PACKAGES = {
    "mediapipe": ("mediapipe", "numpy", "av", "scenedetect"),
    "rtmo": ("rtmlib", "onnxruntime", "numpy", "av", "scenedetect"),
    "rtmpose": ("rtmlib", "onnxruntime", "numpy", "av", "scenedetect"),
}


class ExtractionProcess(RunProcess):
    """An `extraction_process`, seen from the one that gives it orders; it starts with the first order.

    Parameters
    ----------
    tell : callable, optional
        Called now and then with the name of the video at work and the share of it that is done.
    """

    def __init__(self, tell: Callable[[str, float], None] | None = None):
        super().__init__()
        self._tell = tell

    def make(self, order: VideoOrder) -> Result:
        """Have a video extracted; waits for it."""
        try:
            process = self._running()
            process.stdin.write(json.dumps(asdict(order)) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                content = json.loads(line)
                if "state" in content:
                    return Result(**content)
                if self._tell:
                    self._tell(content["name"], content["share"])
        except (OSError, ValueError):  # it died, or was stopped
            pass
        self._kill()
        return Result("died", DIED)

    def _running(self) -> subprocess.Popen:
        with self._lock:
            if self.stopped:
                raise BrokenPipeError
            if self.process is None:
                command = [sys.executable, "-m", "poseemo_lib.studies.extraction_process"]
                self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            return self.process


class LocalExtraction:
    """Processes of this machine.

    Parameters
    ----------
    jobs : int
        Videos at a time, each in a process with an estimator of its own.
    tell : callable, optional
        See :class:`ExtractionProcess`.
    """

    def __init__(self, jobs: int, tell: Callable[[str, float], None] | None = None):
        self.capacity = jobs
        self.processes = [ExtractionProcess(tell) for _ in range(jobs)]
        self._free: SimpleQueue = SimpleQueue()
        for process in self.processes:
            self._free.put(process)
        self._pool = ThreadPoolExecutor(jobs)

    def describe(self) -> str:
        """Say where videos are extracted."""
        return f"{count(self.capacity, 'video')} at a time"

    def width(self) -> int:
        """Count the videos that are extracted at a time."""
        return self.capacity

    def submit(self, order: VideoOrder) -> Future:
        """Have a video extracted by the next free process."""
        return self._pool.submit(self._make, order)

    def stop(self) -> None:
        """Kill the processes, idle or at work."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in self.processes:
            process.stop()
        self._pool.shutdown()

    def _make(self, order: VideoOrder) -> Result:
        process = self._free.get()
        try:
            return process.make(order)
        finally:
            self._free.put(process)


class ClusterExtraction(ClusterPlaces):
    """The workers of a Dask cluster.

    Parameters
    ----------
    address, resources
        See :class:`poseemo_lib.studies.cluster.ClusterPlaces`.
    out : Path
        The dataset's folder.
    videos : Path
        The folder of the videos, for all workers.
    model : str
        The model's file, for all workers; of two, with a comma between, the first is looked for.
    estimator : str
        Its name.
    """

    what = "videos"

    def __init__(self, address: str, out: Path, videos: Path, model: str, estimator: str, resources=None):
        shared = {"videos": str(videos), "model": model.split(",")[0]}
        super().__init__(address, out, shared, resources or {}, extract_here, partial(facts, estimator))

    def submit(self, order: VideoOrder) -> Future:
        """Hand a video over to the cluster."""
        return self.hand_over(order, f"extract-{Path(order.path).stem}-{Path(order.result).stem[:12]}")


def facts(estimator: str) -> dict:
    """Name what must be alike where the videos of one dataset are extracted: the code and the versions."""
    versions = {"python": ".".join(platform.python_version_tuple()[:2])}
    versions |= {name: _version(name) for name in _PACKAGES[estimator]}
    return {"code": code_hash(), "project": str(PROJECT), "versions": versions, "estimator": estimator}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"


# On a worker: the processes that wait for a video, since opening an estimator takes as long as a short one.
_idle: list[ExtractionProcess] = []
_idle_lock = threading.Lock()


def extract_here(values: dict, expected: dict) -> dict:
    """Extract the video of an order on this worker, in a process that dies with it.

    Parameters
    ----------
    values : dict
        A `VideoOrder`.
    expected : dict
        See :func:`poseemo_lib.studies.cluster.worker_fault`.

    Returns
    -------
    dict
        A `Result`; refused where this worker has a fault.
    """
    with _idle_lock:
        process = _idle.pop() if _idle else ExtractionProcess()
    find_facts = partial(facts, expected["estimator"])
    try:
        return on_worker(expected, find_facts, process, lambda: process.make(VideoOrder(**values)))
    finally:
        _rest(process)


def _rest(process: ExtractionProcess) -> None:
    """Keep a process for the next video, and stop it where none comes."""
    if process.stopped or process.process is None:
        return
    with _idle_lock:
        _idle.append(process)
    timer = threading.Timer(IDLE, _end, [process])
    timer.daemon = True
    timer.start()


def _end(process: ExtractionProcess) -> None:
    with _idle_lock:
        if process not in _idle:
            return
        _idle.remove(process)
    process.stop()


def make_all(orders: list[VideoOrder], slots, look: Callable | None = None) -> Iterator[tuple[VideoOrder, Result]]:
    """Extract videos; yield each as it ends.

    Parameters
    ----------
    orders : list of VideoOrder
    slots : LocalExtraction or ClusterExtraction
    look : callable, optional
        Called now and then with the number of videos at work.

    Yields
    ------
    (VideoOrder, Result)
        A video whose process dies is tried a second time.

    Raises
    ------
    PoseemoError
        No video can be extracted there.
    """
    waiting, running, ended = deque(orders), {}, SimpleQueue()
    deaths: Counter = Counter()
    while waiting or running:
        while waiting and len(running) < slots.capacity:
            future = slots.submit(order := waiting.popleft())
            running[future] = order
            future.add_done_callback(ended.put)
        if look:
            look(min(len(running), slots.width()))
        try:
            future = ended.get(timeout=TICK)
        except Empty:
            continue
        order, result = running.pop(future), future.result()
        if result.state == "refused":
            raise (UsageError if result.exit_code == UsageError.exit_code else PoseemoError)(result.error)
        deaths[order.name] += result.state == "died"
        if result.state == "died" and deaths[order.name] < ATTEMPTS:
            waiting.append(order)
        else:
            yield order, result


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
