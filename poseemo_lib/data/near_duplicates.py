"""Find pairs of clips that may show the same movement, without comparing all of them.

Windows of the six upper limbs (:mod:`poseemo_lib.data.movements`) are sketched by a few numbers each: windows of 0.8 s
in both coordinates, and of 1.6 s in the vertical one, which another camera sees too. Where windows of two tracks are
among the most alike, the tracks are aligned in time, at up to three shifts, and measured with
:func:`~poseemo_lib.data.movements.movement_evidence`. Tracks whose beginnings are vertically alike may be
one movement before two cameras: :func:`~poseemo_lib.data.movements.same_moment_evidence` compares them frame by frame.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from poseemo_lib.clips import PoseClip
from poseemo_lib.data.dataset import ROW_GROUP_CLIPS, Dataset
from poseemo_lib.data.movements import (
    LIMBS,
    MIRROR,
    N_UPPER,
    OTHER_SIDE,
    mirror_limbs,
    movement_evidence,
    same_moment_evidence,
    track_limbs,
)

MAX_CANDIDATES = 20_000  # half of them by windows, half by beginnings
SKETCH_SIZE = 32
_SAMPLE_ROW_GROUPS = 32
_SCALES = ((20, False), (40, True))  # frames of a window, and whether only the vertical coordinate counts
_HOPS = (4, 3, 3)  # frames between windows in train, val and test; 4 and 3 together meet every shift
_CELL, _PROBES = 400, 8  # windows in a cell of the index, and cells that a window is looked for in
_LEAST_SIMILARITY = 0.7
_OPENINGS, _LEAST_ALIKE_OPENINGS = (0, 12, 24), 0.3  # vertical windows, in train, val and test, of a track's beginning
_SHIFTS, _SHIFT = 3, 8  # shifts in time that a pair of tracks is tried with, and how many frames make another shift
_QUERY_ROWS = 8192  # so that their similarities to all cells stay small
_MOST_ASKED = 100_000  # of more windows in val and test, every second, third, ... is looked for


@dataclass(frozen=True)
class Tracks:
    """The people's tracks of the clips in use that show enough, and the sketched windows of them, by scale."""

    row: np.ndarray  # (N,), of the clip in the dataset
    person: np.ndarray
    track: list[np.ndarray]  # (W,) for each scale: which track
    start: list[np.ndarray]  # first frame, at 25 a second
    sketch: list[np.ndarray]  # (W, 32), float16

    @classmethod
    def join(cls, some: list["Tracks"]) -> "Tracks":
        """Put tracks one after another."""
        firsts = np.cumsum([0, *(len(one.row) for one in some)])[:-1]
        track = [
            np.concatenate([first + one.track[i] for first, one in zip(firsts, some, strict=True)])
            for i in range(len(_SCALES))
        ]
        start, sketch = (
            [np.concatenate([getattr(one, name)[i] for one in some]) for i in range(len(_SCALES))]
            for name in ("start", "sketch")
        )
        row, person = (np.concatenate([getattr(one, name) for one in some]) for name in ("row", "person"))
        return cls(row, person, track, start, sketch)


@dataclass(frozen=True)
class Sketch:
    """How windows of one scale are reduced to a few numbers."""

    mean: np.ndarray  # (D,)
    directions: np.ndarray  # (D, 32)
    signs: np.ndarray  # (32,): 1 where mirroring keeps a number, -1 where it reverses it

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        """Sketch windows (W, D), each to length 1; what is missing counts as average."""
        sketch = np.nan_to_num(windows - self.mean) @ self.directions
        return sketch / np.maximum(np.linalg.norm(sketch, axis=1, keepdims=True), 1e-9)


@lru_cache
def _cosines(length: int) -> np.ndarray:
    """Start of a cosine series over a window, up to about 2.5 Hz: (length, n)."""
    order = np.arange(length // 8 + 3 if length > 20 else 5)
    basis = np.cos(np.pi * order * (np.arange(length)[:, None] + 0.5) / length)
    return (basis / np.linalg.norm(basis, axis=0)).astype(np.float32)


def _windows(limbs: np.ndarray, scale: int, hop: int) -> tuple[np.ndarray, np.ndarray]:
    """Describe windows every `hop` frames by cosine series of the upper limbs: starts (W,) and windows (W, D)."""
    length, vertical = _SCALES[scale]
    if len(limbs) < length:
        return np.empty(0, int), np.empty((0, len(_mirrored_entries(scale)[0])), np.float32)
    starts = np.arange(0, len(limbs) - length + 1, hop)
    cut = limbs[starts[:, None] + np.arange(length), :N_UPPER]
    series = np.swapaxes(cut, 1, 2) @ _cosines(length)  # (W, limbs, cosines)
    if vertical:
        return starts, series.imag.reshape(len(starts), -1)
    # The picture is turned so that the head is above the neck.
    up = np.where(np.abs(series[:, :1, :1]) > 1e-6, series[:, :1, :1], -1j)
    series = series * (-1j * up.conj() / np.abs(up))
    return starts, np.concatenate([series.real, series.imag], 1).reshape(len(starts), -1)


def _mirrored_entries(scale: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each number of a mirrored window comes from, and its sign: (D,), (D,)."""
    length, vertical = _SCALES[scale]
    n = _cosines(length).shape[1]
    swap, turned = OTHER_SIDE[:N_UPPER], MIRROR[:N_UPPER]
    if vertical:
        limb, sign = swap, -turned
    else:
        limb, sign = np.concatenate([swap, N_UPPER + swap]), np.concatenate([turned, -turned])
    return (limb[:, None] * n + np.arange(n)).ravel(), np.repeat(sign, n)


def _described(clip: PoseClip) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (person, limbs) for the tracks of a clip that show enough."""
    for person in range(clip.n_people):
        limbs = track_limbs(clip.keypoints[:, person], clip.fps)
        if limbs is not None:
            yield person, limbs


def sketch_tracks(clips: list[tuple[int, PoseClip, int]], sketches: list[Sketch]) -> Tracks:
    """Sketch the tracks of some clips, given with their row numbers and splits (0 train, 1 val, 2 test)."""
    found = [(row, person, limbs, split) for row, clip, split in clips for person, limbs in _described(clip)]
    row, person = (np.array([one[i] for one in found], kind) for i, kind in enumerate((np.int32, np.int8)))
    track, start, sketch = [], [], []
    for scale, reduce in enumerate(sketches):
        parts = [_windows(limbs, scale, _HOPS[split]) for _, _, limbs, split in found]
        track.append(np.repeat(np.arange(len(found), dtype=np.int32), [len(starts) for starts, _ in parts]))
        start.append(np.concatenate([np.empty(0, int), *(starts for starts, _ in parts)]).astype(np.int16))
        windows = np.concatenate([np.empty((0, len(reduce.mean))), *(windows for _, windows in parts)])
        sketch.append(reduce(windows).astype(np.float16))
    return Tracks(row, person, track, start, sketch)


def sample_sketches(dataset: Dataset) -> list[Sketch]:
    """Fit the sketch of each scale to row groups spread over the dataset."""
    starts = np.unique(np.linspace(0, max(len(dataset) - ROW_GROUP_CLIPS, 0), _SAMPLE_ROW_GROUPS).astype(int))
    rows = (starts[:, None] + np.arange(ROW_GROUP_CLIPS)).ravel()
    sample = [limbs for _, clip in dataset.take(rows[rows < len(dataset)]) for _, limbs in _described(clip)]
    return [
        fit_sketch(np.concatenate([_windows(limbs, scale, 5)[1] for limbs in sample or [_NOTHING]]), scale)
        for scale in range(len(_SCALES))
    ]


_NOTHING = np.zeros((0, len(LIMBS)), np.complex64)


def fit_sketch(windows: np.ndarray, scale: int) -> Sketch:
    """Find the directions in which windows (W, D) differ most, separately for what mirroring keeps and reverses."""
    entry, sign = _mirrored_entries(scale)
    known = np.isfinite(windows)
    mean = np.where(known, windows, 0).sum(0) / np.maximum(known.sum(0), 1)
    mean = (mean + sign * mean[entry]) / 2
    centred = np.nan_to_num(windows - mean)
    mirrored = centred[:, entry] * sign
    parts = [np.linalg.eigh(part.T @ part / 4) for part in (centred + mirrored, centred - mirrored)]
    values, directions = (np.concatenate(columns, axis=-1) for columns in zip(*parts, strict=True))
    order = np.argsort(values)[::-1][:SKETCH_SIZE]
    signs = np.repeat([1, -1], len(mean))[order]
    # Large movements hide small ones: each direction counts with the square root of its spread.
    weight = np.maximum(values[order], 1e-6 * max(values.max(), 1e-9)) ** -0.25
    return Sketch(mean.astype(np.float32), (directions[:, order] * weight).astype(np.float32), signs)


def least_evidence(tracks: Tracks, splits: np.ndarray) -> float:
    """Evidence that no unrelated pair of as many windows should reach: a tenth counts, because windows overlap."""
    counts = sum(np.bincount(splits[track], minlength=3).astype(float) for track in tracks.track)
    compared = 2 * (counts[0] * (counts[1] + counts[2]) + counts[1] * counts[2])
    return float(np.log(max(compared / 10, 2)))


def candidate_pairs(tracks: Tracks, sketches: list[Sketch], splits: np.ndarray) -> tuple[pd.DataFrame, int]:
    """Find the pairs of tracks in different splits that have the most similar windows, mirrored or not.

    `splits` is that of each track: 0 train, 1 validation, 2 test.

    Returns
    -------
    pairs : DataFrame
        a, b (tracks, the earlier split first), mirrored, likeness, and start_a, start_b and length of the most similar
        windows; the 10,000 likeliest rows, and the 10,000 likeliest pairs of beginnings, whose length is 0.
    n_found : int
        How many pairs there were.
    """
    found, n_left = [], 0
    for track, start, sketch, signs, length, least in _window_sets(tracks, sketches):
        pairs = []
        for earlier in (0, 1):
            inside, asked = np.flatnonzero(splits[track] == earlier), np.flatnonzero(splits[track] > earlier)
            if not (inside.size and asked.size):
                continue
            asked = asked[:: -(-asked.size // _MOST_ASKED)]
            index = Index(sketch[inside].astype(np.float32))
            for begin in range(0, asked.size, _QUERY_ROWS):
                some = asked[begin : begin + _QUERY_ROWS]
                for flip in (False, True):
                    query, position, similarity = index.search(
                        sketch[some].astype(np.float32) * (signs if flip else 1), least
                    )
                    likeness = -np.log(1 - 0.9999 * np.minimum(similarity, 1) ** 2)
                    a, b = inside[position], some[query]
                    hits = pd.DataFrame(
                        {"a": track[a], "b": track[b], "mirrored": flip, "start_a": start[a], "start_b": start[b]}
                        | {"length": length, "window": query, "likeness": likeness}
                    )
                    pairs.append(_sum_up(hits))
                # What is cut here is not among the likeliest.
                kept = pd.concat(pairs).nlargest(MAX_CANDIDATES, "likeness")
                n_left += sum(map(len, pairs)) - len(kept)
                pairs = [kept]
        found += pairs
    if not found:
        return pd.DataFrame(columns=["a", "b", "mirrored", "start_a", "start_b", "length", "likeness"]), 0
    found = pd.concat(found).sort_values("likeness", ascending=False, kind="stable", ignore_index=True)
    opening = found["length"] == 0
    found = found[~found.duplicated(["a", "b", "mirrored", "shift"]) | opening].drop(columns="shift")
    # Every pair once, before a pair has a second shift.
    found = found.assign(again=found.groupby(["a", "b", "mirrored", opening[found.index]]).cumcount())
    found = found.sort_values(["again", "likeness"], ascending=[True, False], kind="stable").drop(columns="again")
    chosen = found.groupby(found["length"] == 0).head(MAX_CANDIDATES // 2)
    return chosen.reset_index(drop=True), n_left + len(found)


def _window_sets(tracks: Tracks, sketches: list[Sketch]) -> Iterator[tuple]:
    """Yield what is searched: track, first frame and sketch of windows, mirror signs, length, least similarity.

    First the windows of each scale, then each track's beginning, with a length of 0.
    """
    for scale, sketch in enumerate(sketches):
        windows = tracks.track[scale], tracks.start[scale], tracks.sketch[scale]
        yield *windows, sketch.signs, _SCALES[scale][0], _LEAST_SIMILARITY
    openings = np.zeros((len(tracks.row), len(_OPENINGS), len(sketches[1].signs)), np.float16)
    for i, begin in enumerate(_OPENINGS):
        first = tracks.start[1] == begin
        openings[tracks.track[1][first], i] = tracks.sketch[1][first]
    openings /= np.sqrt(np.maximum(openings.any(2).sum(1), 1))[:, None, None]
    every = np.arange(len(openings))
    signs = np.tile(sketches[1].signs, len(_OPENINGS))
    yield every, np.zeros_like(every), openings.reshape(len(every), len(signs)), signs, 0, _LEAST_ALIKE_OPENINGS


def _sum_up(hits: pd.DataFrame) -> pd.DataFrame:
    """Add up the likeness of a pair of tracks over the windows of the later one; keep the best shifts in time."""
    hits = hits.sort_values("likeness", ascending=False, kind="stable")
    total = hits.drop_duplicates(["a", "b", "window"]).groupby(["a", "b"])["likeness"].sum().rename("total")
    hits = hits.assign(shift=(hits["start_b"] - hits["start_a"]) // _SHIFT).drop_duplicates(["a", "b", "shift"])
    hits = hits[hits.groupby(["a", "b"]).cumcount() < _SHIFTS].join(total, on=["a", "b"])
    return hits.assign(likeness=hits["total"]).drop(columns=["window", "total"])


class Index:
    """Windows sorted into cells by the nearest of some of them, so that a search need not look at all."""

    def __init__(self, sketches: np.ndarray):
        n_cells = max(min(_PROBES, len(sketches)), len(sketches) // _CELL)
        chosen = np.random.default_rng(0).choice(len(sketches), n_cells, replace=False)
        self.centres = sketches[chosen].T.copy()
        home = np.concatenate(
            [(sketches[i : i + _QUERY_ROWS] @ self.centres).argmax(1) for i in range(0, len(sketches), _QUERY_ROWS)]
        )
        self.order = np.argsort(home, kind="stable")
        self.sketches, self.bounds = sketches[self.order], np.searchsorted(home[self.order], np.arange(n_cells + 1))

    def search(self, wanted: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For windows (W, D) find the most similar one in each of the nearest cells: query, position, similarity."""
        import torch

        n_probes = min(_PROBES, self.centres.shape[1])
        cells = torch.from_numpy(wanted @ self.centres).topk(n_probes, sorted=False).indices.numpy()
        query = np.repeat(np.arange(len(wanted)), n_probes)
        order = np.argsort(cells.ravel(), kind="stable")
        bounds = np.searchsorted(cells.ravel()[order], np.arange(self.centres.shape[1] + 1))
        position, similarity = np.empty(query.size, int), np.full(query.size, -1, np.float32)
        for cell, (first, last) in enumerate(zip(bounds, bounds[1:], strict=False)):
            begin, end = self.bounds[cell : cell + 2]
            if first < last and begin < end:
                scores = wanted[query[order[first:last]]] @ self.sketches[begin:end].T
                best = scores.argmax(1)
                position[order[first:last]] = self.order[begin + best]
                similarity[order[first:last]] = scores[np.arange(len(best)), best]
        alike = np.flatnonzero(similarity > least)
        return query[alike], position[alike], similarity[alike]


def measure_pairs(dataset: Dataset, tracks: Tracks, pairs: pd.DataFrame) -> pd.DataFrame:
    """Read the tracks of candidate pairs again and measure each: evidence, one and both, as `movement_evidence`.

    Every pair is compared as if it began at the same moment, together with the other people of the two clips.
    """
    # In one pass: candidates lie all over the dataset, so a second pass would read about as much again.
    rows = np.unique(tracks.row[np.unique(pairs[["a", "b"]].to_numpy(int))])
    people = {row: {} for row in rows.tolist()}
    for i in np.flatnonzero(np.isin(tracks.row, rows)).tolist():
        people[int(tracks.row[i])][i] = int(tracks.person[i])
    limbs, sharp = {}, {}
    for row, clip in dataset.take(rows):
        for i, person in people[row].items():
            limbs[i] = track_limbs(clip.keypoints[:, person], clip.fps)
            sharp[i] = track_limbs(clip.keypoints[:, person], clip.fps, smooth=3)

    def seen(of: dict, i: int, mirrored: bool) -> np.ndarray:
        return mirror_limbs(of[i]) if mirrored else of[i]

    @lru_cache(None)
    def together(a: int, b: int, mirrored: bool) -> tuple[float, float, float]:
        return same_moment_evidence(sharp[a], seen(sharp, b, mirrored))

    results = []
    for a, b, mirrored, start_a, start_b, length in pairs[
        ["a", "b", "mirrored", "start_a", "start_b", "length"]
    ].itertuples(index=False):
        others = [
            together(i, j, mirrored)[0]
            for i in people[int(tracks.row[a])].keys() - {a}
            for j in people[int(tracks.row[b])].keys() - {b}
        ]
        evidence, *correlations = together(a, b, mirrored)
        found = [(evidence + max([0, *others]), *correlations)]
        if length:
            found.append(movement_evidence(limbs[a], seen(limbs, b, mirrored), (start_a, start_b), length))
        results.append(max(found))
    return pd.DataFrame(results, columns=["evidence", "one", "both"], index=pairs.index)
