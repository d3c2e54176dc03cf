"""Recordings at random, written and read in any format, and what holds of a body in a picture."""

from pathlib import Path

import numpy as np

from poseemo_lib.clips import mark_missing
from poseemo_lib.data.formats import Recording, load_reader, load_writer
from poseemo_lib.skeleton import JOINT

SHARED = Path(__file__).parents[2] / "shared" / "data" / "formats"


def made(people=2, frames=20, **changes):
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(1, 600, (frames, people, 17, 3)).astype(np.float32)
    keypoints[..., 2] = rng.uniform(0, 1, keypoints.shape[:-1])
    keypoints[rng.uniform(size=keypoints.shape[:-1]) < 0.2] = 0
    keypoints[5:8, -1] = 0
    settings = {"fps": 29.97, "width": 640, "height": 480, "label": "sad", "split": "val"}
    return Recording(mark_missing(keypoints), **(settings | changes))


def write(format, folder, recording=None):
    writer = load_writer(format)
    path = folder / f"clip{writer.SUFFIX}"
    writer.write([recording or made()], path)
    return path


def read(format, path, **options):
    (recording,) = load_reader(format).read(path, **options)
    return recording


def seen_shares(keypoints, test):
    """Share of the frames in which `test` holds, of those in which it can be told."""
    with np.errstate(invalid="ignore"):
        x, y = keypoints[:, 0, :, 0], keypoints[:, 0, :, 1]
        values = test(x, y)
    return values[np.isfinite(values)].mean()


def order(values, a, b):
    """1 where `a` is smaller than `b`, NaN where one is missing."""
    a, b = values[:, JOINT[a]], values[:, JOINT[b]]
    return np.where(np.isfinite(a + b), a < b, np.nan)
