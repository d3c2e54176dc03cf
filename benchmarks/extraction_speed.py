"""Frames a second of extraction against the pose estimator's own bare loop over the same frames, in turns.

    python benchmarks/extraction_speed.py VIDEO... --model pose_landmarker_full.task

Both run in one process: the bare loop over decoded frames in memory, extraction from the file (decode, scene cuts,
estimate, track). Printed: the median of the ratio of each pair of turns and its range. The goal is 0.9.
"""

import argparse
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

from poseemo_lib.data.extraction.clip import extract_video
from poseemo_lib.video.estimators import open_estimator
from poseemo_lib.video.frames import probe, read_frames
from poseemo_lib.video.writing import VideoWriter


def bare_rate(estimator, frames: list) -> float:
    """Frames a second of the estimator alone, which opens itself anew for a recording."""
    start = time.perf_counter()
    estimator.reset()
    for frame in frames:
        estimator.estimate(frame.rgb, frame.seconds)
    return len(frames) / (time.perf_counter() - start)


def extraction_rate(estimator, path: Path, n_frames: int) -> float:
    """Frames a second from the file to keypoints."""
    start = time.perf_counter()
    extract_video(path, estimator)
    return n_frames / (time.perf_counter() - start)


def main() -> None:
    """Measure each video."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--model", help="the estimator's model file")
    parser.add_argument("--frames", type=int, default=100, help="of each video, at most")
    parser.add_argument("--turns", type=int, default=8)
    options = parser.parse_args()
    with open_estimator(model=options.model) as estimator, tempfile.TemporaryDirectory() as folder:
        for video in options.videos:
            first = list(islice(read_frames(video), options.frames))
            short = Path(folder) / f"{video.stem}.mp4"
            with VideoWriter(short, probe(video).fps, *first[0].rgb.shape[1::-1]) as writer:
                for frame in first:
                    writer.write(frame.rgb)
            frames = list(read_frames(short))
            pairs = []
            for turn in range(options.turns):
                bare = bare_rate(estimator, frames) if turn % 2 else None
                extracted = extraction_rate(estimator, short, len(frames))
                pairs.append((bare or bare_rate(estimator, frames), extracted))
            ratios = sorted(extracted / bare for bare, extracted in pairs)
            bare, extracted = (statistics.median(rates) for rates in zip(*pairs, strict=True))
            height, width = frames[0].rgb.shape[:2]
            print(  # noqa: T201
                f"{video.name}  {width} x {height}, {len(frames)} frames: "
                f"bare {bare:.1f}/s, extraction {extracted:.1f}/s; "
                f"ratio of pairs: median {statistics.median(ratios):.2f}, {ratios[0]:.2f} to {ratios[-1]:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
