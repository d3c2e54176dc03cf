"""Recordings at random, written and read in any format."""

import numpy as np

from poseemo_lib.clips import mark_missing
from poseemo_lib.data.formats import Recording, load_reader, load_writer


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
