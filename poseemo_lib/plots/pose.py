"""Charts of single clips: bodies, and the features that a network sees."""

import matplotlib.pyplot as plt
import numpy as np

from poseemo_lib.plots import style
from poseemo_lib.skeleton import EDGES, JOINT, N_KEYPOINTS


@style.in_style
def skeleton_strip(keypoints, *, synthetic: bool, n: int = 7, fps: float | None = None, title: str = "", axes=None):
    """Draw a few frames of a clip as stick figures, evenly spaced in time, all at one scale.

    Parameters
    ----------
    keypoints : array (T, M, 17, 3)
        x, y (down) and confidence; missing joints are NaN and not drawn.
    synthetic : bool
    n : int
        Number of frames; fewer where the clip is shorter.
    fps : float, optional
        Head frames by seconds instead of frame numbers.
    title : str
    axes : sequence of Axes, optional
        As many as frames are drawn.

    Returns
    -------
    fig, axes
    """
    keypoints = np.asarray(keypoints)
    frames = np.linspace(0, len(keypoints) - 1, min(n, len(keypoints))).round().astype(int)
    (left, top), (right, bottom) = _corners(keypoints[frames])
    if axes is None:
        ratio = np.clip((right - left) / (bottom - top), 0.4, 2.0)
        size = (max(len(frames) * 2.4 * ratio, 4.8), 3.0)
        axes = plt.subplots(1, len(frames), figsize=size, squeeze=False, layout="constrained")[1][0]
    for ax, frame in zip(axes, frames, strict=True):
        for person, colour in zip(keypoints[frame], (style.BLUE, style.ORANGE), strict=False):
            _draw_body(ax, person[:, :2], colour)
        ax.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[], aspect="equal")
        ax.spines[:].set(visible=True, color="#cccccc")
        ax.set_title(f"{frame / fps:.1f} s" if fps else f"frame {frame}", loc="center", fontsize=9)
    style.finish(axes[0].figure, title=title, synthetic=synthetic)
    return axes[0].figure, axes


def _corners(keypoints: np.ndarray):
    """Upper left and lower right corner of what was seen, with a margin."""
    xy = keypoints[..., :2].reshape(-1, 2)
    xy = xy[np.isfinite(xy).all(1)]
    low, high = (xy.min(0), xy.max(0)) if len(xy) else (np.zeros(2), np.ones(2))
    margin = max(0.06 * (high - low).max(), 1e-3)
    return low - margin, high + margin


def _draw_body(ax, xy: np.ndarray, colour: str) -> None:
    # A neck, for bodies without ears. matplotlib leaves out what is NaN.
    neck = np.stack([xy[JOINT["nose"]], xy[[JOINT["left_shoulder"], JOINT["right_shoulder"]]].mean(0)])
    ax.plot(neck[:, 0], neck[:, 1], color=colour, linewidth=1, alpha=0.6)
    for edge in EDGES:
        ax.plot(*xy[list(edge)].T, color=colour, linewidth=1.8, solid_capstyle="round")
    ax.plot(*xy.T, ".", color=colour, markersize=4)


@style.in_style
def feature_traces(features, mask, joints, *, fps: float, synthetic: bool, person: int = 0):
    """Draw position, velocity and acceleration of some joints over time; what was not seen is a shaded gap.

    Parameters
    ----------
    features : array (T, F)
        In the order person -> joint -> x, y, confidence, vx, vy, ax, ay.
    mask : bool array (T,)
        True for real frames.
    joints : sequence of str
        COCO keypoint names, one column of panels each.
    person : int
        Slot of the person.
    """
    size = (1.2 + 3.4 * len(joints), 5.6)
    fig, axes = plt.subplots(3, len(joints), figsize=size, sharex=True, sharey="row", squeeze=False,
                             layout="constrained")  # fmt: skip
    values = np.asarray(features, dtype=float).reshape(len(features), -1, N_KEYPOINTS, 7)[:, person]
    seconds = np.arange(len(values)) / fps
    for column, joint in zip(axes.T, joints, strict=True):
        series = values[:, JOINT[joint]]
        seen = (series[:, 2] > 0) & np.asarray(mask, dtype=bool)
        for order, (ax, first) in enumerate(zip(column, (0, 3, 5), strict=True)):
            known = _seen_in_a_row(seen, order + 1)
            for k, (letter, colour, line) in enumerate((("x", style.BLUE, "-"), ("y", style.ORANGE, "--"))):
                ax.plot(seconds, np.where(known, series[:, first + k], np.nan), line, color=colour, label=letter)
            ax.fill_between(seconds, 0, 1, where=~seen, step="mid", transform=ax.get_xaxis_transform(),
                            color="#dddddd", linewidth=0, label="not seen")  # fmt: skip
        column[0].set_title(joint.replace("_", " "))
        column[-1].set_xlabel("seconds")
    for ax, name in zip(axes[:, 0], ("position", "velocity", "acceleration"), strict=True):
        ax.set_ylabel(name)
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    style.finish(fig, synthetic=synthetic)
    return fig, axes


def _seen_in_a_row(seen: np.ndarray, n: int) -> np.ndarray:
    """Whether a joint was seen in this frame and the n - 1 before it, as a difference needs; (T,) -> (T,)."""
    padded = np.concatenate([np.zeros(n - 1, bool), seen])
    return np.lib.stride_tricks.sliding_window_view(padded, n).all(-1)
