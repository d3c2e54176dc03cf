"""Do attributions find the emotion? Precision at k on synthetic clips, whose joints, frames and person are known.

Scores are signed: contributions towards the clip's own class. Their size alone would prove little, because an emotion
is an unusual movement, and that changes the output of any network, also of a random one. A random network therefore
puts it first, or last, more often than chance, so each order is compared with its reverse: where the sign means
nothing, the two are alike. A fixed order, by how often each joint, frame or person is the true one in the clips of
other groups, shows what can be known without looking at the clip.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from poseemo_lib.skeleton import JOINT
from poseemo_lib.training.jackknife import find_groups, leave_out, mean_interval, variance
from poseemo_lib.training.trained import ClipWindows

GRADIENTS, ATTENTION, ATTENTION_INSIDE = "integrated gradients", "attention", "attention, share inside"
PERMUTATION = "permutation"
# What a precision is compared with.
_DIFFERENCES = {"difference": "chance", "over_fixed": "fixed", "over_reversed": "reversed"}


@dataclass(frozen=True)
class TrueLocations:
    """Where the emotion is, in the R windows that show one; `usual_*` is the fixed order (:func:`usual_shares`)."""

    rows: np.ndarray  # (R,), positions of these windows
    joints: np.ndarray  # bool (R, M, K): move with the emotion and were seen then
    seen: np.ndarray  # bool (R, M, K): seen in the window
    frames: np.ndarray  # bool (R, T): with the emotion
    real: np.ndarray  # bool (R, T): not padding
    person: np.ndarray  # (R,), slot of the person who shows it
    usual_joints: np.ndarray  # (R, K)
    usual_frames: np.ndarray  # (R, T)
    usual_person: np.ndarray  # (R, M)

    def at_most(self, n: int) -> "TrueLocations":
        """Return up to n of them, evenly spaced, so that they are of all groups."""
        kept = evenly(len(self.rows), n)
        return TrueLocations(**{name: value[kept] for name, value in vars(self).items()})


def evenly(n: int, most: int) -> np.ndarray:
    """Choose at most so many of n positions, evenly spaced."""
    return np.arange(n) if n <= most else np.arange(most) * n // most


def usual_shares(wanted: np.ndarray, candidates: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """How often each of N candidates is wanted in the windows of other groups: (R, N), (R, N), (R,) -> (R, N).

    NaN where there is no other group.
    """
    out = np.full(wanted.shape, np.nan)
    for group in np.unique(groups):
        others = groups != group
        if others.any():
            hits, n = (wanted & candidates)[others].sum(0), candidates[others].sum(0)
            out[~others] = hits / np.maximum(n, 1)
    return out


def true_locations(planted: pd.DataFrame, windows: ClipWindows) -> TrueLocations | None:
    """Find the emotion in windows; windows without it are left out, and None is returned where no others are left.

    `planted` is from :func:`poseemo_lib.data.synthetic.read_planted`, with frames at the clips' own rate.
    """
    table = planted.set_index("clip_id")
    rows = np.flatnonzero(np.isin(windows.clip_ids, table.index))
    spans = table.loc[windows.clip_ids[rows], ["start", "stop"]].to_numpy()
    frames = [_frames_inside(windows, row, *span) for row, span in zip(rows, spans, strict=True)]
    frames = np.array(frames, dtype=bool).reshape(len(rows), windows.mask.shape[1])
    rows, frames = rows[frames.any(-1)], frames[frames.any(-1)]
    if len(rows) == 0:
        return None
    table, kept = table.loc[windows.clip_ids[rows]], windows.take(rows)
    joints = np.zeros(kept.keypoints.shape[:1] + kept.keypoints.shape[2:4], dtype=bool)
    for row, (person, names) in enumerate(zip(table["person"], table["joints"], strict=True)):
        joints[row, person, [JOINT[name] for name in names]] = True
    joints &= ((kept.keypoints[..., 2].numpy() > 0) & frames[..., None, None]).any(1)
    people, seen, real, groups = table["person"].to_numpy(), kept.seen_joints(), kept.mask.numpy(), kept.group_ids
    theirs, present = (np.arange(len(rows)), people), seen.any(2)
    return TrueLocations(
        rows, joints, seen, frames, real, people,
        usual_joints=usual_shares(joints[theirs], seen[theirs], groups),
        usual_frames=usual_shares(frames, real, groups),
        usual_person=usual_shares(_is_person(people, present), present & (present.sum(1, keepdims=True) > 1), groups),
    )  # fmt: skip


def _is_person(person: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Mark each window's person (R,) among those who were seen, (R, M)."""
    return np.eye(present.shape[1], dtype=bool)[person] & present


def _frames_inside(windows: ClipWindows, row: int, start: int, stop: int) -> np.ndarray:
    """Mark the real frames of a window whose nearest frame of the clip is in [start, stop): bool (T,)."""
    seconds = (windows.start[row] + np.arange(windows.mask.shape[1])) / windows.fps
    position = seconds * windows.original_fps[row]
    return (position >= start - 0.5) & (position < stop - 0.5) & windows.mask[row].numpy()


def true_span(planted: pd.DataFrame | None, windows: ClipWindows, row: int) -> tuple[int, int] | None:
    """First frame of the emotion in a window, and the one after its last; None where there is none."""
    found = None if planted is None else planted[planted["clip_id"] == windows.clip_ids[row]]
    if found is None or found.empty:
        return None
    frames = np.flatnonzero(_frames_inside(windows, row, found["start"].iloc[0], found["stop"].iloc[0]))
    return (int(frames[0]), int(frames[-1]) + 1) if len(frames) else None


def precision_at_k(scores: np.ndarray, wanted: np.ndarray, candidates: np.ndarray) -> tuple[float, float]:
    """Share of wanted things among the k candidates with the highest scores, k being the number of wanted ones.

    Ties count as drawn at random. Also returns chance, k / number of candidates. Both are NaN where nothing or
    everything is wanted.
    """
    scores, wanted = scores[candidates], wanted[candidates]
    k, n = int(wanted.sum()), len(wanted)
    if not 0 < k < n:
        return np.nan, np.nan
    last = np.sort(scores)[n - k]
    above, tied = scores > last, scores == last
    hits = wanted[above].sum() + wanted[tied].mean() * (k - above.sum())
    return float(hits / k), k / n


def gradient_recovery(contributions: np.ndarray, where: TrueLocations) -> pd.DataFrame:
    """Rank joints (of the person who shows the emotion), frames and people by contributions (R, T, M, K, C).

    One row a window and target (joints, frames, person): row, method, target, precision, chance, and the precision of
    the fixed order (`fixed`) and of the reversed one (`reversed`), NaN where there is none.
    """
    theirs, present = (np.arange(len(where.rows)), where.person), where.seen.any(2)
    targets = {
        "joints": (contributions.sum((1, 4))[theirs], where.joints[theirs], where.seen[theirs], where.usual_joints),
        "frames": (contributions.sum((2, 3, 4)), where.frames, where.real, where.usual_frames),
        "person": (contributions.sum((1, 3, 4)), _is_person(where.person, present), present, where.usual_person),
    }
    return pd.concat([_rows(where, GRADIENTS, target, *one) for target, one in targets.items()], ignore_index=True)


def attention_recovery(attention: np.ndarray, where: TrueLocations) -> pd.DataFrame:
    """Rank frames by attention (R, T), and add it up over the frames of the emotion: as :func:`gradient_recovery`."""
    ranked = _rows(where, ATTENTION, "frames", attention, where.frames, where.real, where.usual_frames)
    inside = np.where(ranked["chance"].notna(), (attention * where.frames).sum(1), np.nan)
    shares = ranked.assign(method=ATTENTION_INSIDE, precision=inside, fixed=np.nan, reversed=np.nan)
    return pd.concat([ranked, shares], ignore_index=True)


def permutation_recovery(increase: np.ndarray, where: TrueLocations) -> pd.DataFrame:
    """Rank joints by how much their permutation raises the loss (R, K): as :func:`gradient_recovery`.

    A permutation exchanges a joint of both people, so the true joints are looked for among the 17 names.
    """
    return _rows(where, PERMUTATION, "joints", increase, where.joints.any(1), where.seen.any(1), where.usual_joints)


def _rows(where: TrueLocations, method: str, target: str, scores, wanted, candidates, usual) -> pd.DataFrame:
    orders = {
        "precision": (scores, candidates),
        "reversed": (-scores, candidates),
        "fixed": (usual, candidates & np.isfinite(usual)),
    }
    found = {
        name: np.array([precision_at_k(*one) for one in zip(ranked, wanted, possible, strict=True)])
        for name, (ranked, possible) in orders.items()
    }
    table = pd.DataFrame({name: values[:, 0] for name, values in found.items()})
    return table.assign(chance=found["precision"][:, 1], row=where.rows, method=method, target=target)


def correlations(one: np.ndarray, other: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Spearman's correlation of two attributions, window by window: arrays (R, ...) -> (R,).

    NaN where there are fewer than three candidates, or all have one value.
    """
    found = np.full(len(one), np.nan)
    for i, kept in enumerate(candidates):
        a, b = one[i][kept], other[i][kept]
        if len(a) > 2 and np.ptp(a) > 0 and np.ptp(b) > 0:
            found[i] = np.corrcoef(rankdata(a), rankdata(b))[0, 1]
    return found


def summarise(rows: pd.DataFrame, values: list[str]) -> pd.DataFrame:
    """Average columns over clips, with a 95 % interval over groups: index `values`; mean, low, high, n_clips.

    Rows have clip_id and group_id too; a clip may come several times. Rows with NaN are left out.
    """
    rows = rows.dropna(subset=values)
    if rows.empty:
        return pd.DataFrame({"mean": np.nan, "low": np.nan, "high": np.nan, "n_clips": 0}, index=values)
    clips = rows.groupby(["clip_id", "group_id"], as_index=False)[values].mean()
    groups = find_groups(clips)
    sums = groups.sums(clips, clips[values].assign(n=1.0))[:, 0]
    (mean,), left = leave_out(lambda total: total[:, :-1] / total[:, -1:], sums)
    low, high = mean_interval(mean, variance(left), len(left) - 1)
    table = {"mean": mean, "low": low, "high": high, "n_clips": len(clips)}
    return pd.DataFrame(table, index=values)


def recovery_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Average precision over clips, and its difference to chance, to the fixed order and to the reversed order.

    `rows` has method, target, model, clip_id, group_id, precision, chance, fixed, reversed. One row a method, target
    and model: precision, low, high; chance; difference, difference_low, difference_high; n_clips; fixed; over_fixed,
    over_fixed_low, over_fixed_high: the same against the fixed order; and so for reversed.
    """
    rows = rows.assign(**{name: rows["precision"] - rows[of] for name, of in _DIFFERENCES.items()})
    groups = rows.groupby(["method", "target", "model"], sort=False)
    out = []
    for key, one in groups:
        precision = summarise(one, ["precision"]).loc["precision"]
        row = dict(zip(groups.keys, key, strict=True)) | {"precision": precision["mean"]}
        row |= precision[["low", "high"]].to_dict()
        for name, of in _DIFFERENCES.items():
            table = summarise(one, [of, name])
            row |= table["mean"].to_dict() | table.loc[name, ["low", "high"]].add_prefix(f"{name}_").to_dict()
        out.append(row | {"n_clips": int(precision["n_clips"])})
    return pd.DataFrame(out)


def format_recovery(table: pd.DataFrame) -> pd.DataFrame:
    """Lay a :func:`recovery_table` out for reading, one row a method and target, in percent and percentage points."""
    wide = table.set_index(["method", "target", "model"]).unstack("model", sort=False)
    trained, random = (wide.xs(model, axis=1, level="model") for model in ("trained", "randomised"))
    ordered = trained["fixed"].notna()
    reverse = _intervals(random, "over_reversed", "over_reversed_")
    shown = {
        "precision": (100 * trained["precision"]).map("{:.1f}".format),
        "chance": (100 * trained["chance"]).map("{:.1f}".format),
        "trained, above chance": _intervals(trained, "difference", "difference_"),
        "randomised, above chance": _intervals(random, "difference", "difference_"),
        "randomised, above reversed order": reverse.where(random["reversed"].notna(), ""),
        "fixed order": (100 * trained["fixed"]).map("{:.1f}".format).where(ordered, ""),
        "trained, above fixed order": _intervals(trained, "over_fixed", "over_fixed_").where(ordered, ""),
        "clips": trained["n_clips"],
    }
    return pd.DataFrame(shown).reset_index()


def format_similarity(table: pd.DataFrame) -> pd.DataFrame:
    """Lay the correlations of `Interpretation.similarity` out for reading."""
    texts = _intervals(table, "correlation", "", 1, 2)
    return table[["compared", "target"]].assign(correlation=texts, clips=table["n_clips"])


def _intervals(table: pd.DataFrame, name: str, ends: str, factor: float = 100, digits: int = 1) -> pd.Series:
    rows = (factor * table[[name, f"{ends}low", f"{ends}high"]]).itertuples(index=False)
    texts = [f"{mean:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]" for mean, low, high in rows]
    return pd.Series(texts, index=table.index)
