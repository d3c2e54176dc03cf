"""Writing, reading, checking, splitting and auditing a dataset, small and large: time and peak memory by clip.

Each step runs in a process of its own, so that its peak memory is its own. The clips are random walkers of 40 to 80
frames and one or two people, about 20 kB each; the folder is temporary.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common import Options, Row, compare, in_child

SUBJECT = "dataset_scale"
N_GROUPS = 100
# x and y of the COCO joints of a standing body in torso lengths, from mid-shoulder, y down.
BODY = np.array(
    [[0, -0.45], [0.06, -0.5], [-0.06, -0.5], [0.14, -0.47], [-0.14, -0.47], [0.37, 0], [-0.37, 0], [0.5, 0.5]]
    + [[-0.5, 0.5], [0.5, 0.95], [-0.5, 0.95], [0.22, 1], [-0.22, 1], [0.24, 1.8], [-0.24, 1.8], [0.25, 2.6]]
    + [[-0.25, 2.6]]
)


def measure(options: Options) -> Iterator[Row]:
    """Compare a dataset with one of a tenth of its clips, in turns: what a clip costs, and peak memory."""
    if options.quick:
        yield from growth(100, 300, 1, tuple(STEPS)[1:3])
        return
    yield from growth(1000, 10_000, options.turns(3))
    yield from growth(10_000, 100_000, 1)


def growth(small: int, large: int, rounds: int, steps: tuple[str, ...] | None = None) -> Iterator[Row]:
    """Compare two sizes; `A / B` of 1 is a cost that grows with the number of clips and no faster."""
    values: dict[tuple[str, int], list[dict]] = {}
    steps = steps or tuple(STEPS)
    for _ in range(rounds):
        for size in (small, large):
            for step, facts in do_steps(steps, size):
                values.setdefault((step, size), []).append(facts)
    for step in steps:
        per_clip, memory = {}, {}
        for size in (large, small):
            found = values[step, size]
            per_clip[f"{size:,} clips"] = [1e6 * facts["seconds"] / size for facts in found]
            memory[f"{size:,} clips"] = [facts["peak_mib"] for facts in found]
        note = f"{sum(facts['seconds'] for facts in values[step, large]) / rounds:.1f} s in all"
        note += f"; {note_of}" if (note_of := values[step, large][0]["result"]) else ""
        yield compare(SUBJECT, f"{step}: time", "us/clip", *per_clip.items(), note)
        yield compare(SUBJECT, f"{step}: peak memory", "MiB", *memory.items())


def do_steps(steps: tuple[str, ...], size: int) -> Iterator[tuple[str, dict]]:
    """Do steps, one after another; yield its name and what it took."""
    folder = tempfile.mkdtemp(prefix="poseemo-benchmark-")
    try:
        for step in steps:
            yield step, in_child("dataset_scale", STEPS[step], folder=str(Path(folder) / "data"), size=size)
    finally:
        shutil.rmtree(folder)


# Name of a step -> the function that does it.
STEPS = {
    "libraries and making clips": "make",
    "making and writing": "write",
    "reading": "read",
    "checking sums": "check",
    "splitting": "split",
    "auditing": "run_audit",
}


def before() -> None:
    """Import what the steps use: its memory counts, its time does not."""
    import pyarrow.parquet
    import scipy.spatial
    import sklearn.model_selection

    import poseemo_lib.data.audit
    import poseemo_lib.data.splits

    assert (
        pyarrow.parquet
        and scipy.spatial
        and sklearn.model_selection
        and poseemo_lib.data.audit
        and poseemo_lib.data.splits
    )


def make_clip(index: int):
    """Make a clip of people of like build, turned, framed and moving each in their own way."""
    from poseemo_lib.clips import EMOTIONS, PoseClip, mark_missing

    rng = np.random.default_rng(index)
    frames, people = int(rng.integers(40, 81)), int(rng.integers(1, 3))
    seconds = np.arange(frames)[:, None, None, None] / 25
    turn = np.stack([np.cos(rng.uniform(-1.2, 1.2, (people, 1))), np.ones((people, 1))], axis=-1)
    body = BODY * turn * rng.normal(1, 0.06, (people, 17, 1)) + rng.normal(0, 0.04, (people, 17, 2))
    phase = 2 * np.pi * rng.uniform(0.2, 2, (people, 17, 2)) * seconds + rng.uniform(0, 7, (people, 17, 2))
    swing = rng.normal(0, 0.12, (people, 17, 2)) * np.sin(phase)
    walk = rng.normal(0, 0.5, (people, 1, 2)) * seconds
    noise = rng.normal(0, 0.01, swing.shape)
    keypoints = np.empty((frames, people, 17, 3), dtype=np.float32)
    keypoints[..., :2] = rng.uniform(40, 200) * (body + swing + walk + noise) + rng.uniform(100, 400, (people, 1, 2))
    keypoints[..., 2] = rng.uniform(-0.05, 1, keypoints.shape[:-1])
    # From the whole body to head and elbows.
    keypoints[:, :, rng.choice([17, 17, 15, 13, 11, 9]) :, 2] = 0
    group = f"show-{index % N_GROUPS:03d}"
    source = f"{group}/film-{index // N_GROUPS:05d}"
    label = EMOTIONS[index % len(EMOTIONS)]
    return PoseClip(
        f"{source}/clip-{index:07d}", label, mark_missing(keypoints), 25.0, 640, 480, source_id=source, group_id=group
    )


def make(folder: str, size: int) -> None:
    """Make clips and drop them: what is to be taken off from writing."""
    for index in range(size):
        make_clip(index)


def write(folder: str, size: int) -> str:
    """Make clips and write them; return how large they are."""
    from poseemo_lib.data.dataset import DatasetInfo, DatasetWriter

    with DatasetWriter(folder, DatasetInfo(name="walkers", synthetic=True)) as writer:
        for index in range(size):
            writer.write(make_clip(index))
    return f"{sum(path.stat().st_size for path in Path(folder).iterdir()) / size / 1000:.1f} kB a clip"


def read(folder: str, size: int) -> None:
    """Read all clips."""
    from poseemo_lib.data.dataset import Dataset

    if sum(1 for _ in Dataset(folder).clips()) != size:
        raise RuntimeError("clips are missing")


def check(folder: str, size: int) -> None:
    """Check the sums of all clips."""
    from poseemo_lib.data.dataset import Dataset

    if list(Dataset(folder).faults()):
        raise RuntimeError("a clip is damaged")


def split(folder: str, size: int) -> None:
    """Split by groups and keep the split."""
    from poseemo_lib.data.dataset import Dataset
    from poseemo_lib.data.splits import make_split

    make_split(Dataset(folder).table(), "grouped").to_frame().to_parquet(f"{folder}-split.parquet")


def run_audit(folder: str, size: int) -> str:
    """Audit the split; return what was found."""
    import pandas as pd

    from poseemo_lib.data.audit import audit
    from poseemo_lib.data.dataset import Dataset

    report = audit(Dataset(folder), pd.read_parquet(f"{folder}-split.parquet")["split"])
    return f"{sum(report.counts.values())} leaks, {report.compared} pairs measured"
