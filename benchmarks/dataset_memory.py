"""Time and peak memory of writing, reading, hashing and auditing a dataset, small and large.

    python benchmarks/dataset_memory.py --sizes 1000 200000

Each step runs in a process of its own, so that its peak memory is its own. The clips are random walkers of 40 to 80
frames and one or two people, about 20 kB each; the folder is temporary and removed at the end.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from poseemo_lib.clips import EMOTIONS, PoseClip, mark_missing
from poseemo_lib.dataset import Dataset, DatasetInfo, DatasetWriter

N_GROUPS = 100
# x and y of the COCO joints of a standing body in torso lengths, from mid-shoulder, y down.
BODY = np.array(
    [[0, -0.45], [0.06, -0.5], [-0.06, -0.5], [0.14, -0.47], [-0.14, -0.47], [0.37, 0], [-0.37, 0], [0.5, 0.5]]
    + [[-0.5, 0.5], [0.5, 0.95], [-0.5, 0.95], [0.22, 1], [-0.22, 1], [0.24, 1.8], [-0.24, 1.8], [0.25, 2.6]]
    + [[-0.25, 2.6]]
)
STEPS = ("import", "write", "read", "hash and check", "split", "audit")


def make_clip(index: int) -> PoseClip:
    """Make a clip of people of like build, turned, framed and moving each in their own way."""
    rng = np.random.default_rng(index)
    frames, people = int(rng.integers(40, 81)), int(rng.integers(1, 3))
    seconds = np.arange(frames)[:, None, None, None] / 25
    turn = np.stack([np.cos(rng.uniform(-1.2, 1.2, (people, 1))), np.ones((people, 1))], axis=-1)
    body = BODY * turn * rng.normal(1, 0.06, (people, 17, 1)) + rng.normal(0, 0.04, (people, 17, 2))
    swing = rng.normal(0, 0.12, (people, 17, 2)) * np.sin(
        2 * np.pi * rng.uniform(0.2, 2, (people, 17, 2)) * seconds + rng.uniform(0, 7, (people, 17, 2))
    )
    walk = rng.normal(0, 0.5, (people, 1, 2)) * seconds
    noise = rng.normal(0, 0.01, swing.shape)
    keypoints = np.empty((frames, people, 17, 3), dtype=np.float32)
    keypoints[..., :2] = rng.uniform(40, 200) * (body + swing + walk + noise) + rng.uniform(100, 400, (people, 1, 2))
    keypoints[..., 2] = rng.uniform(-0.05, 1, keypoints.shape[:-1])
    # From the whole body to head and elbows.
    keypoints[:, :, rng.choice([17, 17, 15, 13, 11, 9]) :, 2] = 0
    return PoseClip(
        clip_id=f"show-{index % N_GROUPS:03d}/film-{index // N_GROUPS:05d}/clip-{index:07d}",
        label=EMOTIONS[index % len(EMOTIONS)],
        keypoints=mark_missing(keypoints),
        fps=25.0,
        width=640,
        height=480,
        source_id=f"show-{index % N_GROUPS:03d}/film-{index // N_GROUPS:05d}",
        group_id=f"show-{index % N_GROUPS:03d}",
    )


def _import(folder: str, size: int) -> None:
    import scipy.spatial
    import sklearn.model_selection

    import poseemo_lib.audit

    assert scipy.spatial and sklearn.model_selection and poseemo_lib.audit


def _write(folder: str, size: int) -> None:
    with DatasetWriter(folder, DatasetInfo(name="walkers", synthetic=True)) as writer:
        for index in range(size):
            writer.write(make_clip(index))


def _read(folder: str, size: int) -> None:
    n_clips = sum(1 for _ in Dataset(folder).clips())
    assert n_clips == size


def _hash(folder: str, size: int) -> None:
    assert not list(Dataset(folder).faults())


def _split(folder: str, size: int) -> None:
    from poseemo_lib.splits import make_split

    make_split(Dataset(folder).table(), "grouped").to_frame().to_parquet(f"{folder}-split.parquet")


def _audit(folder: str, size: int) -> str:
    import pandas as pd

    from poseemo_lib.audit import audit

    report = audit(Dataset(folder), pd.read_parquet(f"{folder}-split.parquet")["split"])
    return f"{report.summary()}, {report.compared} pairs measured"


def run_step(step: str, folder: str, size: int) -> dict:
    """Run one step in this process; return its time, peak memory and a note."""
    work = dict(zip(STEPS, (_import, _write, _read, _hash, _split, _audit), strict=True))[step]
    start = time.perf_counter()
    note = work(folder, size)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "cpu": time.process_time(), "peak_mib": peak, "note": note or ""}


def measure(size: int, parent: str) -> Iterator[str]:
    """Run every step in a process of its own; yield the lines of the table."""
    with tempfile.TemporaryDirectory(dir=parent, prefix="poseemo-benchmark-") as folder:
        data = str(Path(folder) / "data")
        for step in STEPS:
            command = [sys.executable, __file__, "--step", step, "--sizes", str(size), "--folder", data]
            result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            rate = size / result["seconds"]
            yield (
                f"{size:>8} {step:<16}{result['seconds']:>9.1f} s {result['cpu']:>9.1f} s CPU {rate:>9.0f} clips/s "
                f"{result['peak_mib']:>7.0f} MiB  {result['note']}"
            )
        on_disk = sum(path.stat().st_size for path in Path(data).iterdir()) / 2**20
        yield f"{size:>8} {'on disk':<16}{on_disk:>55.0f} MiB"


def main() -> None:
    """Parse the arguments and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 200_000])
    parser.add_argument("--folder", default=None, help="where the temporary dataset is put")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        sys.stdout.write(json.dumps(run_step(options.step, options.folder, options.sizes[0])))
        return
    for size in options.sizes:
        for line in measure(size, options.folder):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
