"""People of every frame -> the one or two main people of a clip, each in a slot of their own.

People of neighbouring frames are linked by object keypoint similarity (OKS, Lin et al. 2014, "Microsoft COCO"),
one to one, by the assignment with the largest sum (Kuhn 1955). Each track predicts its next pose by moving the last
one on at its smoothed velocity, so that people who pass each other keep their identity.

Numbers of frames below hold for 25 frames a second, and are scaled to other rates.
"""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from poseemo_lib.clips import mark_missing
from poseemo_lib.skeleton import MAX_PEOPLE, N_KEYPOINTS, OKS_SIGMAS

BASE_FPS = 25.0
# Lowest OKS that links a pose to a track.
MIN_SIMILARITY = 0.2
# Frames for which a person may be missing; and for which, if nobody else is in question.
MAX_GAP, MAX_ABSENCE = 12, 50
# Least share of the frames for every main person but the first.
MIN_PRESENCE = 0.1
# A velocity is not trusted for longer than this many frames, and half of it is forgotten in one.
_PREDICTED_FRAMES, _FORGOTTEN = 6, 0.5
# Times COCO's falloff: where a person is found again, and where another would make it doubtful.
_RETURN_SPREAD, _RIVAL_SPREAD = 3.0, 8.0
# Root of the area of the smaller bounding box over that of the larger, at least.
_RETURN_SIZE = 0.6


class Tracker:
    """Number the people of a stream of frames.

    A person who is missing for at most :data:`MAX_GAP` frames is looked for where the movement led. After that, and
    for at most `max_absence` frames, a person is recognised only near the place of the last sight (about half a body
    length), in a similar pose and size, and only if nobody else is in question: no second missing person and no second
    newcomer within about one body length. Two people who cross out of sight get new numbers, rather than perhaps each
    other's.

    Parameters
    ----------
    max_absence : int
        Frames after which nobody keeps the number; 0 turns the second rule off.
    fps : float
        Frames a second.
    """

    def __init__(self, *, max_absence: int = MAX_ABSENCE, fps: float = BASE_FPS):
        scale = fps / BASE_FPS
        self.max_gap, self.max_absence = round(MAX_GAP * scale), round(max_absence * scale)
        self._predicted = _PREDICTED_FRAMES * scale
        self._kept = _FORGOTTEN ** (1 / scale)
        self._frame = self._next_id = 0
        self.reset()

    def reset(self) -> None:
        """End all tracks, as at a scene cut. Numbers go on."""
        self._ids, self._last = np.zeros(0, int), np.zeros(0, int)
        self._poses = np.zeros((0, N_KEYPOINTS, 3), np.float32)
        self._velocity = np.zeros((0, 2))  # pixels a frame

    def update(self, poses: np.ndarray) -> np.ndarray:
        """Take the next frame, and number its people.

        Parameters
        ----------
        poses : array (P, 17, 3)
            Pixels and confidence, in any order; missing joints have confidence 0.

        Returns
        -------
        int array (P,)
            Numbers of the tracks. New people count up, from left to right; -1 if no joint was seen.
        """
        poses = mark_missing(poses)
        ids = np.full(len(poses), -1)
        seen = np.flatnonzero((poses[..., 2] > 0).any(-1))
        if len(seen):
            kept = self._frame - self._last <= max(self.max_gap, self.max_absence) + 1
            self._ids, self._last, self._poses, self._velocity = (
                values[kept] for values in (self._ids, self._last, self._poses, self._velocity)
            )
            ids[seen] = self._number(poses[seen])
        self._frame += 1
        return ids

    def _number(self, poses: np.ndarray) -> np.ndarray:
        linked = np.full(len(poses), -1)  # row of each person's track
        if len(self._ids):
            self._link(poses, linked)
            if (linked < 0).any() and self.max_absence > self.max_gap:
                self._link_returned(poses, linked)
        new = np.flatnonzero(linked < 0)
        if len(new):
            linked[new] = self._start(poses[new])
        self._poses[linked], self._last[linked] = poses, self._frame
        return self._ids[linked]

    def _link(self, poses: np.ndarray, linked: np.ndarray) -> None:
        alive = np.flatnonzero(self._frame - self._last <= self.max_gap + 1)
        frames = np.minimum(self._frame - self._last[alive], self._predicted)
        expected = self._poses[alive]
        expected[..., :2] += (self._velocity[alive] * frames[:, None])[:, None]
        similarity = oks(expected, poses)
        rows, columns = linear_sum_assignment(similarity, maximize=True)
        enough = similarity[rows, columns] >= MIN_SIMILARITY
        track, person = alive[rows[enough]], columns[enough]
        linked[person] = track
        moved = np.nanmedian(poses[person, :, :2] - self._poses[track, :, :2], 1)
        velocity = moved / (self._frame - self._last[track])[:, None]
        self._velocity[track] = self._kept * self._velocity[track] + (1 - self._kept) * velocity

    def _link_returned(self, poses: np.ndarray, linked: np.ndarray) -> None:
        new = np.flatnonzero(linked < 0)
        lost = np.setdiff1d(np.arange(len(self._ids)), linked)
        if not len(lost):
            return
        near = oks(self._poses[lost], poses[new], _RETURN_SPREAD) >= MIN_SIMILARITY
        rival = oks(self._poses[lost], poses[new], _RIVAL_SPREAD) >= MIN_SIMILARITY
        size, other = np.sqrt(_areas(self._poses[lost]))[:, None], np.sqrt(_areas(poses[new]))
        alike = np.minimum(size, other) >= _RETURN_SIZE * np.maximum(size, other)
        alone = (rival.sum(0) == 1) & (rival.sum(1) == 1)[:, None]
        rows, columns = np.nonzero(near & alike & alone)
        linked[new[columns]] = lost[rows]
        self._velocity[lost[rows]] = 0

    def _start(self, poses: np.ndarray) -> np.ndarray:
        """Add tracks, numbered from left to right; their rows."""
        first, n = len(self._ids), len(poses)
        from_left = np.argsort(np.argsort(np.nanmean(poses[..., 0], 1), kind="stable"))
        self._ids = np.append(self._ids, self._next_id + from_left)
        self._last = np.append(self._last, np.full(n, self._frame))
        self._poses = np.concatenate([self._poses, poses])
        self._velocity = np.concatenate([self._velocity, np.zeros((n, 2))])
        self._next_id += n
        return np.arange(first, first + n)


def _areas(poses: np.ndarray) -> np.ndarray:
    """Bounding box area of the seen joints (...,), in pixels; poses are (..., 17, 3) with a joint seen in each."""
    xy = np.ascontiguousarray(np.moveaxis(poses[..., :2], -2, 0))  # joints first: seven times as fast
    sides = np.fmax.reduce(xy, 0) - np.fmin.reduce(xy, 0)
    return sides[..., 0] * sides[..., 1]


def oks(a: np.ndarray, b: np.ndarray, spread: float = 1.0) -> np.ndarray:
    """Object keypoint similarity (P, Q), 0 to 1, between poses `a` (P, 17, 3) and `b` (Q, 17, 3).

    The mean of exp(-d^2 / (2 s^2 (2 spread sigma)^2)) over the joints seen in both, 0 if there is none. s^2 is the
    larger bounding box, instead of COCO's segment area. Missing joints are NaN; each pose has one that was seen.
    """
    squares = ((a[:, None, :, :2] - b[None, :, :, :2]) ** 2).sum(-1)  # (P, Q, 17)
    area = np.maximum(np.maximum(_areas(a)[:, None], _areas(b)[None]), 1)
    similar = np.exp(-squares / (2 * area[..., None] * (2 * spread * OKS_SIGMAS) ** 2))
    both = ~np.isnan(similar)
    return np.where(both, similar, 0).sum(-1) / np.maximum(both.sum(-1), 1)


def main_people(
    keypoints: np.ndarray, *, cuts: Sequence[int] = (), max_absence: int = 0, fps: float = BASE_FPS
) -> np.ndarray:
    """Follow people through a clip and keep the main one or two.

    A person's weight is presence (share of the frames) x size (median root of the bounding box area) x mean
    confidence of the joints seen. Slots are in the order of falling weight. Nobody is followed across a scene cut, and
    a slot is never shared: of several scenes the two heaviest people are kept, and are missing in the other scenes.

    Parameters
    ----------
    keypoints : array (T, P, 17, 3)
        P people a frame in any order; missing people and joints have confidence 0.
    cuts : sequence of int
        First frames of new scenes.
    max_absence, fps
        See :class:`Tracker`.

    Returns
    -------
    array (T, M, 17, 3), float32
        M = 1 or 2. Not seen: x = y = NaN, confidence 0.
    """
    keypoints = mark_missing(keypoints)
    ids = follow(keypoints, cuts, max_absence=max_absence, fps=fps)
    frames, slots = np.nonzero(ids >= 0)
    return choose_main(keypoints[frames, slots], frames, ids[frames, slots], len(keypoints))[0]


def follow(keypoints: np.ndarray, cuts: Sequence[int] = (), **options) -> np.ndarray:
    """Track a clip (T, P, 17, 3) and return the numbers of its people, int (T, P); options as for :class:`Tracker`."""
    tracker, cuts = Tracker(**options), set(cuts)
    ids = np.full(keypoints.shape[:2], -1)
    for frame, poses in enumerate(keypoints):
        if frame in cuts:
            tracker.reset()
        ids[frame] = tracker.update(poses)
    return ids


def choose_main(
    poses: np.ndarray, frames: np.ndarray, ids: np.ndarray, n_frames: int, *, people: int = MAX_PEOPLE
) -> tuple[np.ndarray, tuple[int, ...]]:
    """Put the people of the largest weight into at most `people` slots, the heaviest first: see :func:`main_people`.

    Parameters
    ----------
    poses : array (n, 17, 3), float32
        Every sight of somebody, in the order of time; missing joints NaN, NaN, 0, and at least one joint seen in each.
    frames, ids : int array (n,)
        Frame and number of the person, who is in a frame at most once.
    n_frames : int

    Returns
    -------
    keypoints : array (n_frames, M, 17, 3), float32
        M is at least 1 and at most `people`. Not seen: x = y = NaN, confidence 0.
    tracks : tuple of int
        Who is in each slot; empty if nobody was seen.
    """
    sizes = np.sqrt(_areas(poses))
    tracks = [(number, np.flatnonzero(ids == number)) for number in np.unique(ids)]
    weights = [_weight(poses[rows], sizes[rows], frames[rows[0]], n_frames) for _, rows in tracks]
    order = sorted(range(len(tracks)), key=weights.__getitem__, reverse=True)
    main = [tracks[k] for i, k in enumerate(order) if i == 0 or len(tracks[k][1]) >= MIN_PRESENCE * n_frames][:people]
    out = np.zeros((n_frames, max(1, len(main)), N_KEYPOINTS, 3), np.float32)
    out[..., :2] = np.nan
    for slot, (_, rows) in enumerate(main):
        out[frames[rows], slot] = poses[rows]
    return out, tuple(int(number) for number, _ in main)


def _weight(poses: np.ndarray, sizes: np.ndarray, first: int, n_frames: int) -> tuple[float, ...]:
    """Weight of a track, then what makes the order of equal weights definite."""
    joints = poses[poses[..., 2] > 0]
    weight = len(poses) / n_frames * np.median(sizes) * joints[:, 2].mean()
    return float(weight), -int(first), -float(joints[:, 0].mean())
