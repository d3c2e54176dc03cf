"""Do attributions find what was planted? Precision at k against chance, on synthetic clips that say where to look.

The scores that are ranked are signed: contributions towards the clip's own class. Their size alone would prove little,
because a planted movement is unusual, and what is unusual moves any network, also a random one. For the same reason a
random network puts it first, or last, more often than chance. So its order is held against the same order upside down:
the two are alike where the sign of a contribution means nothing.

Chance is that of a random order. A fixed order, by how often each joint, frame or slot is planted in the other groups'
clips, knows what is common and nothing of the clip: an attribution that is no better than it explains no clip.
"""

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from poseemo_lib.analysis.planted import PlantedWindows, of_person, usual_shares
from poseemo_lib.skeleton import JOINT
from poseemo_lib.training.evaluation import draw_units, resampling_units
from poseemo_lib.training.trained import ClipWindows

GRADIENTS, ATTENTION, ATTENTION_INSIDE = "integrated gradients", "attention", "attention, share inside"
PERMUTATION = "permutation"
N_BOOTSTRAP = 2000
# What a precision is held against.
_DIFFERENCES = {"difference": "chance", "over_fixed": "fixed", "over_reversed": "reversed"}


def planted_windows(planted: pd.DataFrame, windows: ClipWindows) -> PlantedWindows | None:
    """Find what was planted in windows.

    Parameters
    ----------
    planted : DataFrame
        From :func:`poseemo_lib.data.synthetic.read_planted`: joints, person and frames of the clips at their own rate.
    windows : ClipWindows

    Returns
    -------
    PlantedWindows or None
        Without the windows that a clip's planted span lies outside of; None where no others are left.
    """
    table = planted.set_index("clip_id")
    rows = np.flatnonzero(np.isin(windows.clip_ids, table.index))
    if len(rows) == 0:
        return None
    spans = table.loc[windows.clip_ids[rows], ["start", "stop"]].to_numpy()
    frames = np.array([planted_frames(windows, row, *span) for row, span in zip(rows, spans, strict=True)])
    rows, frames = rows[frames.any(-1)], frames[frames.any(-1)]
    if len(rows) == 0:
        return None
    table, chosen = table.loc[windows.clip_ids[rows]], windows.take(rows)
    seen_then = ((chosen.keypoints[..., 2].numpy() > 0) & frames[..., None, None]).any(1)
    joints = np.zeros_like(seen_then)
    for row, (person, names) in enumerate(zip(table["person"], table["joints"], strict=True)):
        joints[row, person, [JOINT[name] for name in names]] = True
    joints &= seen_then
    people, seen, real = table["person"].to_numpy(), chosen.seen_joints(), chosen.mask.numpy()
    theirs, present, groups = (np.arange(len(rows)), people), seen.any(2), chosen.group_ids
    return PlantedWindows(
        rows, joints, seen, frames, real, people,
        usual_joints=usual_shares(joints[theirs], seen[theirs], groups),
        usual_frames=usual_shares(frames, real, groups),
        usual_person=usual_shares(of_person(people, present), present & (present.sum(1, keepdims=True) > 1), groups),
    )  # fmt: skip


def planted_frames(windows: ClipWindows, row: int, start: int, stop: int) -> np.ndarray:
    """Tell which frames of a window lie in a span of its clip.

    Parameters
    ----------
    windows : ClipWindows
    row : int
        The window.
    start, stop : int
        Frames of the clip at its own rate, `stop` not included.

    Returns
    -------
    bool array (T,)
        Whether the nearest frame of the clip is inside; padding is not.
    """
    seconds = (windows.start[row] + np.arange(windows.mask.shape[1])) / windows.fps
    position = seconds * windows.original_fps[row]
    return (position >= start - 0.5) & (position < stop - 0.5) & windows.mask[row].numpy()


def planted_span(planted: pd.DataFrame | None, windows: ClipWindows, row: int) -> tuple[int, int] | None:
    """First frame of what is planted in a window, and the frame behind its last; None where nothing is."""
    found = None if planted is None else planted[planted["clip_id"] == windows.clip_ids[row]]
    if found is None or found.empty:
        return None
    frames = np.flatnonzero(planted_frames(windows, row, found["start"].iloc[0], found["stop"].iloc[0]))
    return (int(frames[0]), int(frames[-1]) + 1) if len(frames) else None


def precision_at_k(scores: np.ndarray, wanted: np.ndarray, candidates: np.ndarray) -> tuple[float, float]:
    """Share of wanted things among the k with the highest scores, k being the number of wanted ones.

    Parameters
    ----------
    scores : array (...)
    wanted, candidates : bool array (...)
        What should come first, among what can come at all.

    Returns
    -------
    precision, chance : float
        Ties count as drawn at random. Chance is the precision of a random order, k / number of candidates. NaN, NaN
        where nothing or everything is wanted: then no order is better than another.
    """
    scores, wanted = scores[candidates], wanted[candidates]
    k, n = int(wanted.sum()), len(wanted)
    if not 0 < k < n:
        return np.nan, np.nan
    last = np.sort(scores)[n - k]
    above, tied = scores > last, scores == last
    hits = wanted[above].sum() + wanted[tied].mean() * (k - above.sum())
    return float(hits / k), k / n


def gradient_recovery(contributions: np.ndarray, where: PlantedWindows) -> pd.DataFrame:
    """Rank joints, frames and people by their contributions, window by window.

    Joints are those of the planted person: ranked among those of both people, finding the person would do.

    Parameters
    ----------
    contributions : array (R, T, M, K, C)
        Signed, towards each window's own class, of the windows of `where`.
    where : PlantedWindows

    Returns
    -------
    DataFrame
        One row a window and target (joints, frames, person): row, method, target, precision, chance; fixed: the
        precision of the fixed order; reversed: that of the order upside down (NaN where there is none, or no order is
        judged).
    """
    theirs = (np.arange(len(where.rows)), where.person)
    present = where.seen.any(2)
    people = of_person(where.person, present)
    parts = {
        "joints": (contributions.sum((1, 4))[theirs], where.joints[theirs], where.seen[theirs], where.usual_joints),
        "frames": (contributions.sum((2, 3, 4)), where.frames, where.real, where.usual_frames),
        "person": (contributions.sum((1, 3, 4)), people, present, where.usual_person),
    }
    return pd.concat([_rows(where, GRADIENTS, target, *part) for target, part in parts.items()], ignore_index=True)


def attention_recovery(attention: np.ndarray, where: PlantedWindows) -> pd.DataFrame:
    """Rank frames by attention, and add it up inside the planted span: as :func:`gradient_recovery`.

    Parameters
    ----------
    attention : array (R, T)
        Sum 1 over the real frames.
    where : PlantedWindows
    """
    ranked = _rows(where, ATTENTION, "frames", attention, where.frames, where.real, where.usual_frames)
    inside = np.where(ranked["chance"].notna(), (attention * where.frames).sum(1), np.nan)
    shares = ranked.assign(method=ATTENTION_INSIDE, precision=inside, fixed=np.nan, reversed=np.nan)
    return pd.concat([ranked, shares], ignore_index=True)


def permutation_recovery(increase: np.ndarray, where: PlantedWindows) -> pd.DataFrame:
    """Rank joints by how much their permutation raises the loss of a window: as :func:`gradient_recovery`.

    A permutation exchanges a joint of both people, so that the planted joints are looked for among the 17 names.

    Parameters
    ----------
    increase : array (R, K)
    where : PlantedWindows
    """
    return _rows(where, PERMUTATION, "joints", increase, where.joints.any(1), where.seen.any(1), where.usual_joints)


def _rows(where: PlantedWindows, method: str, target: str, scores, wanted, candidates, usual) -> pd.DataFrame:
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
    """Spearman's rank correlation of two attributions, window by window.

    Parameters
    ----------
    one, other : array (R, ...)
    candidates : bool array (R, ...)
        What is ranked.

    Returns
    -------
    array (R,)
        NaN where fewer than three things are ranked, or all alike.
    """
    return np.array([_spearman(a[kept], b[kept]) for a, b, kept in zip(one, other, candidates, strict=True)])


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.nan
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


def summarise(rows: pd.DataFrame, values: list[str], *, n_bootstrap: int = N_BOOTSTRAP, seed: int = 0) -> pd.DataFrame:
    """Mean over clips, and a 95 % interval that draws whole groups with replacement.

    Parameters
    ----------
    rows : DataFrame
        clip_id, group_id and `values`; a clip may come several times, with several seeds. NaN: left out.
    values : list of str
        Columns.
    n_bootstrap, seed : int
        Of the draws.

    Returns
    -------
    DataFrame
        Index: `values`; mean, low, high, n_clips.
    """
    rows = rows.dropna(subset=values)
    if rows.empty:
        return pd.DataFrame({"mean": np.nan, "low": np.nan, "high": np.nan, "n_clips": 0}, index=values)
    clips = rows.groupby(["clip_id", "group_id"], as_index=False)[values].mean()
    column, units = resampling_units(clips)
    by_unit = clips.assign(n=1).groupby(column)[[*values, "n"]].sum().loc[units].to_numpy(float)
    drawn = draw_units(len(units), n_bootstrap, seed) @ by_unit
    low, high = np.percentile(drawn[:, :-1] / drawn[:, -1:], [2.5, 97.5], axis=0)
    table = {"mean": clips[values].mean().to_numpy(), "low": low, "high": high, "n_clips": len(clips)}
    return pd.DataFrame(table, index=values)


def recovery_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Average precision and chance over clips, with 95 % intervals of precision and of the difference.

    The intervals are over groups of clips. They hold for the networks at hand and do not cover a draw of others.

    Parameters
    ----------
    rows : DataFrame
        method, target, model, clip_id, group_id, precision, chance, fixed, reversed.

    Returns
    -------
    DataFrame
        One row a method, target and model: precision, low, high; chance; difference, difference_low, difference_high;
        n_clips; fixed; over_fixed, over_fixed_low, over_fixed_high: the same against the fixed order; and so for
        reversed.
    """
    apart = {name: rows["precision"] - rows[of] for name, of in _DIFFERENCES.items()}
    rows = rows.assign(**apart)
    groups = rows.groupby(["method", "target", "model"], sort=False)
    return pd.DataFrame([dict(zip(groups.keys, key, strict=True)) | _recovery_row(one) for key, one in groups])


def _recovery_row(rows: pd.DataFrame) -> dict:
    table = summarise(rows, ["precision"])
    out = {"precision": table["mean"].iloc[0]} | table.loc["precision", ["low", "high"]].to_dict()
    for name, of in _DIFFERENCES.items():
        apart = summarise(rows, [of, name])
        out |= apart["mean"].to_dict() | apart.loc[name, ["low", "high"]].add_prefix(f"{name}_").to_dict()
    return out | {"n_clips": int(table["n_clips"].iloc[0])}


def format_recovery(table: pd.DataFrame) -> pd.DataFrame:
    """Lay a recovery table out for reading, in percent and points.

    Parameters
    ----------
    table : DataFrame
        From :func:`recovery_table`.

    Returns
    -------
    DataFrame
        One row a method and target: precision of the trained network, chance, how far trained and random networks are
        above chance with 95 % intervals, how far a random one's order is above the same upside down, the precision of
        the fixed order, how far the trained network is above it, clips. Empty where there is no such order.
    """
    wide = table.set_index(["method", "target", "model"]).unstack("model", sort=False)
    shown = pd.DataFrame(index=wide.index)
    shown["precision"] = (100 * wide["precision", "trained"]).map("{:.1f}".format)
    shown["chance"] = (100 * wide["chance", "trained"]).map("{:.1f}".format)
    for model in ("trained", "randomised"):
        shown[f"{model}, above chance"] = _intervals(
            wide.xs(model, axis=1, level="model"), "difference", "difference_", 100, 1
        )
    trained, random = (wide.xs(model, axis=1, level="model") for model in ("trained", "randomised"))
    upside_down = _intervals(random, "over_reversed", "over_reversed_", 100, 1)
    shown["randomised, above upside down"] = upside_down.where(random["reversed"].notna(), "")
    ordered = trained["fixed"].notna()
    shown["fixed order"] = (100 * trained["fixed"]).map("{:.1f}".format).where(ordered, "")
    shown["trained, above fixed order"] = _intervals(trained, "over_fixed", "over_fixed_", 100, 1).where(ordered, "")
    return shown.assign(clips=wide["n_clips", "trained"]).reset_index()


def format_similarity(table: pd.DataFrame) -> pd.DataFrame:
    """Lay the correlations of `Interpretation.similarity` out for reading."""
    texts = _intervals(table, "correlation", "", 1, 2)
    return table[["compared", "target"]].assign(correlation=texts, clips=table["n_clips"])


def _intervals(table: pd.DataFrame, name: str, ends: str, factor: float, digits: int) -> pd.Series:
    rows = (factor * table[[name, f"{ends}low", f"{ends}high"]]).itertuples(index=False)
    texts = [f"{mean:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]" for mean, low, high in rows]
    return pd.Series(texts, index=table.index)
