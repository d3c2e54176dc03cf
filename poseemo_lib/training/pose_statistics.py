"""Hand-made statistics of windows of keypoints, for the baselines.

Positions are measured from the hip midpoint in torso lengths, so neither the place nor the size of a person in the
picture matters. The torso is :func:`poseemo_lib.skeleton.torso_length` of the window. In a window where the hips are
missing in most frames, the origin lies one torso below the shoulder midpoint. What cannot be measured is NaN.

What is measured follows the literature on expressive movement: openness and drooping of the trunk and head (Wallbott
1998, "Bodily expression of emotion"), posture angles (Coulson 2004, "Attributing emotion to static body postures"),
speed, acceleration and jerk of the limbs (Pollick et al. 2001, "Perceiving affect from arm movement"), quantity of
motion and contraction (Camurri et al. 2003, "Recognizing emotion from dance movement").
"""

import numpy as np

from poseemo_lib.skeleton import JOINT, PARTS, torso_length

# The five keypoints of the head count as one point, their mean; the others stand for themselves.
POINTS = ("head", *tuple(JOINT)[5:])
_POINT = {name: index for index, name in enumerate(POINTS)}
_POINT_PARTS = {part: tuple(name for name in POINTS if JOINT.get(name) in PARTS[part]) for part in ("arms", "legs")}
# A path shorter than this, in torso lengths, is noise and has no shape.
_SHORTEST_PATH = 0.1
_RHYTHM_BINS = 256


def posture_statistics(keypoints: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    """Describe how the first person holds the body, and where the second one is: name -> (B,).

    `keypoints` (B, T, M, K, C) have x and y (down) in one unit, M is 1 or 2, missing: NaN; `mask` (B, T) marks real
    frames. Names: `<point>_<x|y>_<mean|sd|range>` of every point over time, in torsos; `<signal>_<mean|sd>` of every
    angle (rad) and distance (torsos) of :func:`shape_signals`, `second_<signal>_mean` of the second person; the share
    of frames with each person and with hips; distance, height and size of the second person relative to the first.
    """
    points, origin, torso, present = _measure(keypoints, mask)
    table = {}
    for name, index in _POINT.items():
        for axis, letter in enumerate("xy"):
            series = points[:, :, 0, index, axis]
            table |= {f"{name}_{letter}_mean": _mean(series), f"{name}_{letter}_sd": _sd(series)}
            table[f"{name}_{letter}_range"] = _quantile(series, 1) - _quantile(series, 0)
    for name, series in shape_signals(points).items():
        table |= {f"{name}_mean": _mean(series[:, :, 0]), f"{name}_sd": _sd(series[:, :, 0])}
        table[f"second_{name}_mean"] = _mean(series[:, :, 1])
    hips = np.isfinite(points[:, :, 0, [_POINT["left_hip"], _POINT["right_hip"]], 0]).all(-1)
    n_frames = np.maximum(mask.sum(1), 1)
    between = (origin[:, :, 1] - origin[:, :, 0]) / torso[:, None, :1]
    table |= {
        "present_share": present[:, :, 0].sum(1) / n_frames,
        "hips_share": hips.sum(1) / n_frames,
        "second_present_share": present[:, :, 1].sum(1) / n_frames,
        "second_distance_mean": _mean(np.hypot(between[..., 0], between[..., 1])),
        "second_distance_sd": _sd(np.hypot(between[..., 0], between[..., 1])),
        "second_height_mean": -_mean(between[..., 1]),
        "second_size": torso[:, 1] / torso[:, 0],
    }
    return table


def movement_statistics(keypoints: np.ndarray, mask: np.ndarray, fps: float) -> dict[str, np.ndarray]:
    """Describe how the first person moves, and how much the second one does: name -> (B,).

    Derivatives are differences of neighbouring frames. Points move relative to the hip midpoint; `root` is the hip
    midpoint's own movement through the picture. Speeds in torsos a second are given for the body as a whole, since they
    depend on what is done (run, bow) more than on how. Single points are described by ratios, NaN without movement.

    Names: `motion_*`, `<acceleration|jerk>_<mean|max>`: mean of all points, in torsos per second to the power 1, 2, 3;
    `<point or part>_motion_share`, its mean speed over that of all points; `<point>_unevenness`, sd over mean of its
    speed; `<point>_hardness` and `<point>_jerkiness`, mean acceleration over mean speed and mean jerk over mean
    acceleration (1/s); `<signal>_frequency` (Hz) and `<signal>_rhythm` (share of the power near that frequency);
    `<point>_straightness` (0..1) and `<point>_curvature` (rad a torso); `wrists_together`, the correlation of the
    wrists' speeds; `second_motion_*`.
    """
    points, origin, torso, _ = _measure(keypoints, mask)
    root = origin / torso[:, None, :, None]
    moving = np.concatenate([points, root[..., None, :]], axis=3)[:, :, 0]  # (B, T, 14, 2)
    velocity = _derivative(moving, fps)
    acceleration = _derivative(velocity, fps)
    speed = _norm(velocity)
    rates = (speed, _norm(acceleration), _norm(_derivative(acceleration, fps)))
    motion = _mean(speed[..., :-1], axis=-1)
    table = {f"motion_{name}": _quantile(motion, q) for name, q in (("q10", 0.1), ("q50", 0.5), ("q90", 0.9))}
    table |= {"motion_max": _quantile(motion, 1), "motion_mean": _mean(motion), "motion_sd": _sd(motion)}
    for name, rate in zip(("acceleration", "jerk"), rates[1:], strict=True):
        whole = _mean(rate[..., :-1], axis=-1)
        table |= {f"{name}_mean": _mean(whole), f"{name}_max": _quantile(whole, 1)}
    table |= _point_statistics(*rates, table["motion_mean"])
    table |= _rhythm_statistics(moving, motion, fps) | _path_statistics(moving, velocity, speed, fps)
    table["wrists_together"] = _correlation(speed[..., _POINT["left_wrist"]], speed[..., _POINT["right_wrist"]])
    second = _mean(_norm(_derivative(points[:, :, 1], fps)), axis=-1)
    return table | {"second_motion_mean": _mean(second), "second_motion_sd": _sd(second)}


def point_series(keypoints: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Place of each person's 13 points and origin in every frame, in torsos: (B, M * 28, T) float32, without gaps.

    Points are relative to the person's own origin, as in the statistics. A missing value is interpolated between the
    frames before and after it; at the ends of a window, and in padding, the nearest one is held. What was never seen
    is 0.
    """
    points, origin, torso, _ = _measure(keypoints, mask)
    series = np.concatenate([points, (origin / torso[:, None, :, None])[..., None, :]], axis=3)
    series = np.moveaxis(series[:, :, : keypoints.shape[2]], 1, -1).astype(np.float32)
    frames, rows = np.arange(series.shape[-1]), series.reshape(-1, series.shape[-1])
    for row in rows:
        seen = np.isfinite(row)
        if not seen.all():
            row[:] = np.interp(frames, frames[seen], row[seen]) if seen.any() else 0
    return rows.reshape(len(series), -1, len(frames))


def shape_signals(points: np.ndarray) -> dict[str, np.ndarray]:
    """Angles and distances (...) of a body in every frame, from :data:`POINTS` (..., 13, 2) in torsos.

    Angles are in rad, 0 to pi (elbows, shoulders, hips, knees: 0 is folded; trunk lean and head tilt: 0 is upright),
    all else in torsos.
    """
    at = {name: points[..., index, :] for name, index in _POINT.items()}
    shoulders, hips = (at["left_shoulder"] + at["right_shoulder"]) / 2, (at["left_hip"] + at["right_hip"]) / 2
    up = np.array([0.0, -1.0])
    signals = {}
    for side in ("left", "right"):
        hip, knee, ankle = (at[f"{side}_{name}"] for name in ("hip", "knee", "ankle"))
        shoulder, elbow, wrist = (at[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist"))
        signals |= {
            f"{side}_elbow_angle": _angle(shoulder - elbow, wrist - elbow),
            f"{side}_shoulder_angle": _angle(hip - shoulder, elbow - shoulder),
            f"{side}_hip_angle": _angle(shoulder - hip, knee - hip),
            f"{side}_knee_angle": _angle(hip - knee, ankle - knee),
            f"{side}_hand_to_head": _norm(wrist - at["head"]),
        }
    extent = np.fmax.reduce(points, axis=-2) - np.fmin.reduce(points, axis=-2)  # of the points that were seen
    signals |= {
        "trunk_lean": _angle(shoulders - hips, up),
        "head_tilt": _angle(at["head"] - shoulders, up),
        "head_height": (shoulders - at["head"])[..., 1],
        "hands_height": np.fmax(*((shoulders - at[f"{side}_wrist"])[..., 1] for side in ("left", "right"))),
        "width": extent[..., 0],
        "height": extent[..., 1],
        "openness": _mean(_norm(points - _mean(points, axis=-2)[..., None, :]), axis=-1),
    }
    for name in ("shoulder", "elbow", "wrist", "ankle"):
        signals[f"{name}s_apart"] = _norm(at[f"left_{name}"] - at[f"right_{name}"])
    return signals


def _measure(keypoints: np.ndarray, mask: np.ndarray):
    """Points (B, T, 2, 13, 2) in torsos from the origin, origins (B, T, 2, 2), torsos (B, 2), presence (B, T, 2)."""
    xy = np.where(mask[:, :, None, None, None], keypoints[..., :2], np.nan).astype(np.float64)
    if xy.shape[2] == 1:
        xy = np.concatenate([xy, np.full_like(xy, np.nan)], axis=2)
    head = xy[..., list(PARTS["head"]), :]
    points = np.concatenate([_mean(head, axis=-2)[..., None, :], xy[..., 5:, :]], axis=3)
    shoulders = (points[..., _POINT["left_shoulder"], :] + points[..., _POINT["right_shoulder"], :]) / 2
    hips = (points[..., _POINT["left_hip"], :] + points[..., _POINT["right_hip"], :]) / 2
    present = np.isfinite(points).any((-2, -1))
    with_hips = 2 * np.isfinite(hips[..., 0]).sum(1) >= np.maximum(present.sum(1), 1)
    torso = torso_length(np.moveaxis(xy, 1, 0))
    torso = np.where(torso > 0, torso, np.nan)
    below = shoulders + torso[:, None, :, None] * np.array([0.0, 1.0])
    origin = np.where(with_hips[:, None, :, None], hips, below)
    return (points - origin[..., None, :]) / torso[:, None, :, None, None], origin, torso, present


def _point_statistics(speed, acceleration, jerk, motion_mean: np.ndarray) -> dict[str, np.ndarray]:
    """Ratios that describe the movement of each point; `speed`, `acceleration`, `jerk` are (B, T, 14)."""
    mean_speed, mean_acceleration = _mean(speed), _mean(acceleration)
    ratios = {
        "motion_share": _divide(mean_speed, motion_mean[:, None]),
        "unevenness": _divide(_sd(speed), mean_speed),
        "hardness": _divide(mean_acceleration, mean_speed),
        "jerkiness": _divide(_mean(jerk), mean_acceleration),
    }
    names = (*POINTS, "root")
    table = {f"{name}_{ratio}": values[:, i] for ratio, values in ratios.items() for i, name in enumerate(names)}
    for part, members in _POINT_PARTS.items():
        table[f"{part}_motion_share"] = _mean(ratios["motion_share"][:, [_POINT[name] for name in members]], axis=-1)
    return table


def _rhythm_statistics(moving: np.ndarray, motion: np.ndarray, fps: float) -> dict[str, np.ndarray]:
    """Dominant frequency of some signals, by the periodogram of what was seen (unseen frames weigh nothing)."""
    signals = {"motion": motion, "root_y": moving[:, :, -1, 1]}
    for name in ("head", "left_wrist", "right_wrist", "left_ankle", "right_ankle"):
        signals[f"{name}_y"] = moving[:, :, _POINT[name], 1]
    series = np.stack(list(signals.values()), axis=1)  # (B, S, T)
    centred = np.nan_to_num(series - _mean(series, axis=2)[..., None])
    n_bins = max(_RHYTHM_BINS, series.shape[2])
    power = np.abs(np.fft.rfft(centred, n_bins, axis=2)[..., 1:]) ** 2
    frequency = np.fft.rfftfreq(n_bins, 1 / fps)[1:]
    peak = power.argmax(-1)
    # The main lobe of T frames, zero-padded, is about n_bins / T wide on each side of the peak.
    near = np.abs(np.arange(power.shape[-1]) - peak[..., None]) <= n_bins / series.shape[2]
    enough = (2 * np.isfinite(series).sum(-1) >= series.shape[2]) & (power.sum(-1) > 1e-12)
    hertz = np.where(enough, frequency[peak], np.nan)
    share = np.where(enough, _divide((power * near).sum(-1), power.sum(-1)), np.nan)
    table = {f"{name}_frequency": hertz[:, i] for i, name in enumerate(signals)}
    return table | {f"{name}_rhythm": share[:, i] for i, name in enumerate(signals)}


def _path_statistics(moving: np.ndarray, velocity: np.ndarray, speed: np.ndarray, fps: float) -> dict[str, np.ndarray]:
    """Net way over path length, and angle turned over path length."""
    table = {}
    after = np.concatenate([velocity[:, 1:], np.full_like(velocity[:, :1], np.nan)], axis=1)
    turned = _angle(velocity, after)
    for name in ("head", "left_wrist", "right_wrist", "root"):
        index = _POINT.get(name, -1)
        length = np.nansum(speed[..., index], axis=1) / fps
        net = np.nansum(velocity[:, :, index], axis=1) / fps
        shaped = length > _SHORTEST_PATH
        table[f"{name}_straightness"] = np.where(shaped, _divide(_norm(net), length), np.nan)
        table[f"{name}_curvature"] = np.where(shaped, _divide(np.nansum(turned[..., index], axis=1), length), np.nan)
    return table


def _derivative(values: np.ndarray, fps: float) -> np.ndarray:
    """Difference to the frame before, a second; NaN at the first frame: (B, T, ...) -> (B, T, ...)."""
    return np.diff(values, axis=1, prepend=np.full_like(values[:, :1], np.nan)) * fps


def _norm(vectors: np.ndarray) -> np.ndarray:
    return np.hypot(vectors[..., 0], vectors[..., 1])


def _angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle between two vectors, 0 to pi."""
    return np.arctan2(np.abs(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]), (a * b).sum(-1))


def _mean(values: np.ndarray, axis: int = 1) -> np.ndarray:
    """Mean of the finite values, NaN where there is none."""
    finite = np.isfinite(values)
    return _divide(np.where(finite, values, 0).sum(axis), finite.sum(axis))


def _sd(values: np.ndarray) -> np.ndarray:
    """Take the standard deviation over time of the finite values, NaN where there are fewer than two."""
    spread = np.sqrt(_mean((values - _mean(values)[:, None]) ** 2))
    return np.where(np.isfinite(values).sum(1) > 1, spread, np.nan)


def _quantile(values: np.ndarray, q: float) -> np.ndarray:
    """Quantile over time (axis 1) of the finite values by linear interpolation, NaN where there is none."""
    ordered = np.sort(values, axis=1)  # NaN comes last
    position = q * np.maximum(np.isfinite(values).sum(1, keepdims=True) - 1, 0)
    low, high = np.floor(position).astype(np.intp), np.ceil(position).astype(np.intp)
    below, above = np.take_along_axis(ordered, low, axis=1), np.take_along_axis(ordered, high, axis=1)
    return (below + (above - below) * (position - low)).squeeze(1)


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson correlation over the frames in which both are seen; NaN where one does not vary."""
    both = np.isfinite(a) & np.isfinite(b)
    a, b = (np.where(both, values, np.nan) for values in (a, b))
    a, b = a - _mean(a)[:, None], b - _mean(b)[:, None]
    return _divide(_mean(a * b), np.sqrt(_mean(a**2) * _mean(b**2)))


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    sound = denominator > 0
    return np.where(sound, numerator / np.where(sound, denominator, 1), np.nan)
