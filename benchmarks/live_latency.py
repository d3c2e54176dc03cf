"""Time from the keypoints of a frame to probabilities in live use, with a window predicted at every frame.

    python benchmarks/live_latency.py runs/demo/bilstm/seed-0 bilstm.onnx

Two people, who are followed; one thread. Wall time is what a viewer waits for; on a machine that others use too, the
processor time beside it tells what the work costs. The keypoints are those of a dataset's clips of two people.
"""

import argparse
import os
import sys
import time
from itertools import islice

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402

from poseemo_lib.data.dataset import Dataset  # noqa: E402
from poseemo_lib.inference.live.session import LiveSession  # noqa: E402
from poseemo_lib.inference.predictor import load_predictor  # noqa: E402

# Frames before the measured ones: the first window, and what is loaded when it is first used.
WARM_UP = 120


def two_people(dataset: str, n_clips: int = 12) -> tuple[np.ndarray, float, int, int]:
    """Join clips of two people: keypoints (T, 2, 17, 3), frame rate, width, height."""
    clips = list(islice((clip for clip in Dataset(dataset).clips() if clip.n_people == 2), n_clips))
    return np.concatenate([clip.keypoints for clip in clips]), clips[0].fps, clips[0].width, clips[0].height


def measure(path: str, dataset: str, n_frames: int, fps: float | None) -> np.ndarray:
    """Push frames; milliseconds of each: (n_frames, 2), wall and processor time."""
    keypoints, stored, width, height = two_people(dataset)
    fps = fps or stored
    session = LiveSession(load_predictor(path), fps, width, height, stride=1 / fps)
    times = np.zeros((WARM_UP + n_frames, 2))
    for frame, row in enumerate(times):
        poses = keypoints[frame % len(keypoints)]
        wall, cpu = time.perf_counter(), time.thread_time()
        moment = session.push(poses)
        row[:] = time.perf_counter() - wall, time.thread_time() - cpu
    assert moment.probabilities is not None
    return 1000 * times[WARM_UP:]


def main() -> None:
    """Parse the arguments and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("predictors", nargs="+", help="folders of runs, or NAME.onnx")
    parser.add_argument("--dataset", default="data/demo")
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--fps", type=float, help="frame rate of the stream; default: the dataset's")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    sys.stdout.write(f"load of the machine {load:.1f} on {os.cpu_count()} processors; {options.frames} frames\n")
    sys.stdout.write(f"{'predictor':42} {'wall ms: median':>16} {'95 %':>7} {'processor ms: median':>22} {'95 %':>7}\n")
    for path in options.predictors:
        times = measure(path, options.dataset, options.frames, options.fps)
        median, late = np.percentile(times, [50, 95], axis=0)
        sys.stdout.write(f"{path[-42:]:42} {median[0]:16.2f} {late[0]:7.2f} {median[1]:22.2f} {late[1]:7.2f}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
