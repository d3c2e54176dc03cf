"""People of every frame -> the one or two main people of a clip, each in a slot of their own.

People of neighbouring frames are linked by object keypoint similarity (OKS, Lin et al. 2014, "Microsoft COCO"),
one to one, by the assignment with the largest sum (Kuhn 1955). Each track predicts its next pose by moving the last
one on at its smoothed velocity, so that people who pass each other keep their identity.
"""

from dataclasses import dataclass, field

import numpy as np

from poseemo_lib.clips import mark_missing
from poseemo_lib.skeleton import MAX_PEOPLE, OKS_SIGMAS

# A velocity is not trusted for longer than this many frames.
_PREDICTED_FRAMES = 6


@dataclass
class _Track:
    frames: list[int] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    pose: np.ndarray | None = None
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2, np.float32))  # pixels a frame

    def predict(self, frame: int) -> np.ndarray:
        pose = self.pose.copy()
        pose[:, :2] += self.velocity * min(frame - self.frames[-1], _PREDICTED_FRAMES)
        return pose

    def extend(self, frame: int, slot: int, pose: np.ndarray) -> None:
        if self.frames:
            moved = pose[:, :2] - self.pose[:, :2]  # NaN where a joint was not seen twice
            self.velocity = (self.velocity + np.nanmedian(moved, 0) / (frame - self.frames[-1])) / 2
        self.frames.append(frame)
        self.slots.append(slot)
        self.pose = pose


def _areas(poses: np.ndarray) -> np.ndarray:
    """Bounding box area of the seen joints (...,), in pixels; poses are (..., 17, 3) with a joint seen in each."""
    sides = np.nanmax(poses[..., :2], -2) - np.nanmin(poses[..., :2], -2)
    return sides.prod(-1)


def oks(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Object keypoint similarity between every pose of `a` and every pose of `b`.

    The mean of exp(-d^2 / (2 s^2 (2 sigma)^2)) over the joints seen in both, where s^2 is the larger of the two
    bounding boxes, which stands for the segment area of the COCO evaluation.

    Parameters
    ----------
    a : array (P, 17, 3)
    b : array (Q, 17, 3)
        Pixels and confidence; missing joints NaN. Every pose has a joint that was seen.

    Returns
    -------
    array (P, Q)
        0 to 1; 0 where no joint is seen in both.
    """
    squares = ((a[:, None, :, :2] - b[None, :, :, :2]) ** 2).sum(-1)  # (P, Q, 17)
    area = np.maximum(np.maximum(_areas(a)[:, None], _areas(b)[None]), 1)
    similar = np.exp(-squares / (2 * area[..., None] * (2 * OKS_SIGMAS) ** 2))
    both = ~np.isnan(similar)
    return np.where(both, similar, 0).sum(-1) / np.maximum(both.sum(-1), 1)


def _link(keypoints: np.ndarray, min_similarity: float, max_gap: int) -> list[_Track]:
    from scipy.optimize import linear_sum_assignment

    tracks: list[_Track] = []
    seen = (keypoints[..., 2] > 0).any(-1)  # (T, P)
    for frame in np.flatnonzero(seen.any(1)):
        slots = np.flatnonzero(seen[frame])
        poses = keypoints[frame, slots]
        alive = [track for track in tracks if frame - track.frames[-1] <= max_gap + 1]
        new = list(range(len(slots)))
        if alive:
            similarity = oks(np.stack([track.predict(frame) for track in alive]), poses)
            for row, column in zip(*linear_sum_assignment(similarity, maximize=True), strict=True):
                if similarity[row, column] >= min_similarity:
                    alive[row].extend(frame, slots[column], poses[column])
                    new.remove(column)
        for column in new:
            tracks.append(_Track())
            tracks[-1].extend(frame, slots[column], poses[column])
    return tracks


def main_people(
    keypoints: np.ndarray, *, min_similarity: float = 0.2, max_gap: int = 12, min_presence: float = 0.1
) -> np.ndarray:
    """Follow people through a clip and keep the main one or two.

    A person's weight is presence (share of the frames) x size (median root of the bounding box area) x mean
    confidence of the joints seen. The slots are in the order of falling weight, whatever the order in which the
    detector lists people.

    Parameters
    ----------
    keypoints : array (T, P, 17, 3)
        P people a frame in any order; missing people and joints have confidence 0.
    min_similarity : float
        Lowest OKS that links a pose to a track, above 0 to 1.
    max_gap : int
        Frames that a person may be missing and still be the same.
    min_presence : float
        A second person seen in a smaller share of the frames is left out, 0 to 1.

    Returns
    -------
    array (T, M, 17, 3), float32
        M = 1 or 2. Not seen: x = y = NaN, confidence 0.
    """
    keypoints = mark_missing(keypoints)
    n_frames = len(keypoints)
    tracks = _link(keypoints, min_similarity, max_gap)
    weighed = sorted(((_weight(keypoints, track), track) for track in tracks), key=lambda pair: pair[0], reverse=True)
    main = [track for i, (_, track) in enumerate(weighed) if i == 0 or len(track.frames) >= min_presence * n_frames]
    out = mark_missing(np.zeros((n_frames, max(1, min(len(main), MAX_PEOPLE)), *keypoints.shape[2:])))
    for slot, track in enumerate(main[:MAX_PEOPLE]):
        out[track.frames, slot] = keypoints[track.frames, track.slots]
    return out


def _weight(keypoints: np.ndarray, track: _Track) -> tuple[float, ...]:
    """Weight of a track, then what makes the order of equal weights definite."""
    poses = keypoints[track.frames, track.slots]
    size = np.median(np.sqrt(_areas(poses)))
    confidence = poses[..., 2][poses[..., 2] > 0].mean()
    weight = len(track.frames) / len(keypoints) * size * confidence
    return float(weight), -track.frames[0], -float(np.nanmean(poses[..., 0]))
