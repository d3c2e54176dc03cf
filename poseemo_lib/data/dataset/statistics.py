"""What clips look like to a network, in a few numbers each: rate, people, missing joints, size, confidence, speed.

Taken of the training clips of a run and of what it is asked to recognise, so that the two can be compared.
"""

from collections.abc import Iterable

import numpy as np

from poseemo_lib.data.dataset import Dataset
from poseemo_lib.data.dataset.notes import hash_names, noted
from poseemo_lib.skeleton import JOINT, PARTS, TORSO_PER_SHOULDER_WIDTH

# In a run's folder: the summary of its training clips.
STATISTICS_FILE = "training_statistics.json"
# Training clips that are looked at: enough for quantiles.
MOST_CLIPS = 500
QUANTILES = {"low": 0.05, "median": 0.5, "high": 0.95}


def measure_clip(keypoints: np.ndarray, fps: float, height: int) -> dict[str, float]:
    """Measure one clip, or one window.

    Parameters
    ----------
    keypoints : array (T, M, 17, 3)
        Pixels and confidence, as stored: before any cleaning.
    fps : float
        Frames per second.
    height : int
        Of the picture, pixels.

    Returns
    -------
    dict
        fps, seconds; shares of the frames: nobody, second_person; shares of a part's joints that are missing in frames
        in which its person is there: missing_head, missing_shoulders, missing_arms, missing_hips, missing_legs; torso,
        pixels, and torso_share of the picture's height, of the larger person; confidence, the median of the joints
        seen; speed, the median over frames of the joints' mean speed, torsos a second. NaN: not to be measured.
    """
    seen = keypoints[..., 2] > 0
    there = seen.any(-1)  # (T, M)
    n_people = there.sum(1)
    torso = _torsos(keypoints)
    return {
        "fps": float(fps),
        "seconds": len(keypoints) / fps,
        "nobody": float((n_people == 0).mean()),
        "second_person": float((n_people > 1).mean()),
        **{f"missing_{part}": _mean(~seen[there][:, list(joints)]) for part, joints in PARTS.items()},
        "torso": float(np.fmax.reduce(torso)),
        "torso_share": float(np.fmax.reduce(torso)) / height,
        "confidence": _quantile(keypoints[..., 2][seen], 0.5),
        "speed": _quantile(_speeds(keypoints, torso) * fps, 0.5),
    }


def summarise(measured: Iterable[dict[str, float]]) -> dict:
    """Sum up the measures of clips.

    Parameters
    ----------
    measured : iterable of dict
        Of :func:`measure_clip`.

    Returns
    -------
    dict
        n_clips, and in `measures` for each measure that any clip has: low, median, high (5, 50 and 95 %) over the
        clips, and n, how many have it.
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
    """Sum up clips of a dataset, of at most :data:`MOST_CLIPS` of them, evenly spaced.

    They are noted in the dataset's folder: every run on the same split asks for the same.

    Parameters
    ----------
    dataset : Dataset
    clip_ids : iterable of str
        Which clips, in any order; those that the dataset does not have are left out.

    Returns
    -------
    dict
        See :func:`summarise`.
    """
    wanted = set(clip_ids)
    of, code = {"clips_hash": hash_names(wanted)}, "data/dataset/statistics.py"
    return noted(dataset, "statistics", "statistics", of, code, lambda: _measure_dataset(dataset, wanted))


def _measure_dataset(dataset: Dataset, wanted: set[str]) -> dict:
    rows = [row for row, name in enumerate(dataset.table()["clip_id"]) if name in wanted]
    rows = rows[:: -(-len(rows) // MOST_CLIPS) or 1]
    return summarise(measure_clip(clip.keypoints, clip.fps, clip.height) for _, clip in dataset.take(rows))


def _torsos(keypoints: np.ndarray) -> np.ndarray:
    """Median torso of each person, pixels; without hips by the shoulders' width: (T, M, K, 3) -> (M,)."""
    xy = np.where(keypoints[..., 2:] > 0, keypoints[..., :2], np.nan)
    left, right = xy[..., JOINT["left_shoulder"], :], xy[..., JOINT["right_shoulder"], :]
    hips = (xy[..., JOINT["left_hip"], :] + xy[..., JOINT["right_hip"], :]) / 2
    torso = np.linalg.norm((left + right) / 2 - hips, axis=-1)
    width = np.linalg.norm(left - right, axis=-1)
    people = range(keypoints.shape[1])
    by_hips = np.array([_quantile(torso[:, person], 0.5) for person in people])
    by_width = np.array([TORSO_PER_SHOULDER_WIDTH * _quantile(width[:, person], 0.9) for person in people])
    return np.where(np.isnan(by_hips), by_width, by_hips)


def _speeds(keypoints: np.ndarray, torso: np.ndarray) -> np.ndarray:
    """Mean speed of the joints seen in a frame and the one before, torsos a frame: (T, M, K, 3) -> (n,)."""
    xy = np.where(keypoints[..., 2:] > 0, keypoints[..., :2], np.nan)
    moved = np.linalg.norm(np.diff(xy, axis=0), axis=-1)  # (T - 1, M, K)
    known = np.isfinite(moved)
    count = known.sum(-1)
    mean = np.where(known, moved, 0).sum(-1) / np.maximum(count, 1)
    return (mean / np.where(torso > 0, torso, np.nan))[count > 0]


def _quantile(values: np.ndarray, quantile: float) -> float:
    values = values[np.isfinite(values)]
    return float(np.quantile(values, quantile)) if values.size else float("nan")


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")
