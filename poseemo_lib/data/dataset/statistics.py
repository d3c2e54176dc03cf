"""What clips look like, in a few numbers each: rate, people, missing joints, size, confidence, speed.

They are stored with a run for its training clips, and compared with what the run is later asked to predict.
"""

import hashlib
import json
from collections.abc import Iterable

import numpy as np

from poseemo_lib.data.dataset.notes import noted
from poseemo_lib.data.dataset.reader import Dataset
from poseemo_lib.skeleton import PARTS, torso_length

# In a run's folder: the summary of its training clips.
STATISTICS_FILE = "training_statistics.json"
# Enough for quantiles.
MOST_CLIPS = 500
QUANTILES = {"low": 0.05, "median": 0.5, "high": 0.95}


def measure_clip(keypoints: np.ndarray, fps: float, height: int) -> dict[str, float]:
    """Measure one clip or window (T, M, 17, 3), in pixels as stored, before any cleaning.

    Returns
    -------
    dict
        fps and seconds; nobody and second_person, shares of the frames; missing_head, missing_shoulders, missing_arms,
        missing_hips and missing_legs, shares of these joints in frames in which their person is seen; torso of the
        larger person in pixels, and torso_share of the picture's height; confidence, the median of the joints seen;
        speed, the median over frames of the joints' mean speed in torso lengths a second. NaN: cannot be measured.
    """
    seen = keypoints[..., 2] > 0
    there = seen.any(-1)  # (T, M)
    n_people = there.sum(1)
    xy = np.where(seen[..., None], keypoints[..., :2], np.nan)
    torso, missing = torso_length(xy), ~seen[there]
    shares = {part: missing[:, list(joints)].mean() if len(missing) else np.nan for part, joints in PARTS.items()}
    return {
        "fps": float(fps),
        "seconds": len(keypoints) / fps,
        "nobody": float((n_people == 0).mean()),
        "second_person": float((n_people > 1).mean()),
        **{f"missing_{part}": float(share) for part, share in shares.items()},
        "torso": float(np.fmax.reduce(torso)),
        "torso_share": float(np.fmax.reduce(torso)) / height,
        "confidence": _median(keypoints[..., 2][seen]),
        "speed": _median(_speeds(xy, torso) * fps),
    }


def summarise(measured: Iterable[dict[str, float]]) -> dict:
    """Sum up the results of :func:`measure_clip`.

    Returns n_clips; and `measures`: for each measure that any clip has, low, median and high (5, 50 and 95 %) over the
    clips and n, how many have it.
    """
    rows = list(measured)
    measures = {}
    for name in rows[0] if rows else ():
        values = np.array([row[name] for row in rows])
        values = values[np.isfinite(values)]
        if len(values):
            quantiles = np.quantile(values, list(QUANTILES.values()))
            measures[name] = dict(zip(QUANTILES, map(float, quantiles), strict=True)) | {"n": len(values)}
    return {"n_clips": len(rows), "measures": measures}


def dataset_statistics(dataset: Dataset, clip_ids: Iterable[str]) -> dict:
    """Sum up at most :data:`MOST_CLIPS` of some clips of a dataset, evenly spaced: see :func:`summarise`."""
    wanted = set(clip_ids)
    clips_hash = hashlib.sha256(json.dumps(sorted(wanted)).encode()).hexdigest()
    return noted(dataset, "statistics", clips_hash, lambda: _measure_dataset(dataset, wanted))


def _measure_dataset(dataset: Dataset, wanted: set[str]) -> dict:
    rows = [row for row, name in enumerate(dataset.table()["clip_id"]) if name in wanted]
    rows = rows[:: -(-len(rows) // MOST_CLIPS) or 1]
    return summarise(measure_clip(clip.keypoints, clip.fps, clip.height) for _, clip in dataset.take(rows))


def _speeds(xy: np.ndarray, torso: np.ndarray) -> np.ndarray:
    """Mean speed of the joints seen in a frame and the one before, torso lengths a frame: (T, M, 17, 2) -> (n,)."""
    moved = np.linalg.norm(np.diff(xy, axis=0), axis=-1)  # (T - 1, M, K)
    known = np.isfinite(moved)
    count = known.sum(-1)
    mean = np.where(known, moved, 0).sum(-1) / np.maximum(count, 1)
    return (mean / np.where(torso > 0, torso, np.nan))[count > 0]


def _median(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(np.quantile(values, 0.5)) if values.size else float("nan")
