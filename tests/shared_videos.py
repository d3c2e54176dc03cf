"""Stretches of the shared videos, as short videos; and one of noise."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

SHARED = Path(__file__).parents[2] / "shared"
VIDEOS, MODEL = SHARED / "data" / "videos", SHARED / "models" / "pose_landmarker_full.task"
SHA256 = "b02e0bdd3a16e32fbdc6b7a6b9a849a50760b27c7d282247aff47f476f4ac8a5"


def needs_shared():
    """Skip a test where the videos, the model, or what reads them is missing."""
    pytest.importorskip("av")
    pytest.importorskip("mediapipe")
    if not (MODEL.exists() and VIDEOS.exists()):
        pytest.skip("needs the videos and the pose model in ../shared/data/videos and ../shared/models")


def write(path, pictures, fps=30):
    """Write pictures (H, W, 3) to a video."""
    from poseemo_lib.video.writing import video_writer

    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = list(pictures)
    with video_writer(path, fps, pictures[0].shape[1], pictures[0].shape[0]) as writer:
        for picture in pictures:
            writer.write(picture)
    return path


def stretch(name, start, n):
    """Pictures start to start + n of a shared video; a large one is taken at a quarter of its size."""
    from poseemo_lib.video.frames import read_frames

    for frame in islice(read_frames(VIDEOS / name), start, start + n):
        step = 4 if frame.rgb.shape[0] > 1000 else 1
        yield np.ascontiguousarray(frame.rgb[::step, ::step])


def dance(path, start=0, n=20):
    """Write a stretch of the dance."""
    return write(path, stretch("one_person_dance.mp4", start, n))


def noise(path, n=5):
    """Write pictures of nothing."""
    random = np.random.default_rng(0)
    return write(path, random.integers(0, 255, (n, 120, 160, 3), dtype=np.uint8))
