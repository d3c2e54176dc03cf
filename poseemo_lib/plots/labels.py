"""Labels beside what they name, moved apart so that none lies on another."""

import numpy as np
from matplotlib.path import Path
from matplotlib.transforms import Bbox

_ANGLES = np.deg2rad([90, 270, 0, 180, 45, 135, 315, 225, 20, 160, 340, 200])
_DISTANCES = (5, 9, 15, 23, 33, 45, 60, 78, 98)  # points from the dot to the nearest edge of its label
_LEADER_FROM = 12
LABEL_LEVEL = 10.4  # points from one level of labels above an axes to the next


def label_points(ax, x, y, texts, *, colours, lines=(), fontsize: float = 8) -> None:
    """Name points without legends: each text as near to its point as there is room, with a leader where it is not.

    Call it last: it needs the final layout.

    Parameters
    ----------
    ax : Axes
    x, y : sequence of N float
        Data coordinates.
    texts : sequence of N str
    colours : sequence of N str
    lines : sequence of (x0, y0, x1, y1)
        Segments in data coordinates that labels better not cover.
    fontsize : float
    """
    x, y = np.asarray(x), np.asarray(y)
    fig = ax.get_figure(root=True)
    fig.draw_without_rendering()
    scale = fig.dpi / 72
    dots = ax.transData.transform(np.column_stack([x, y]))
    taken = [Bbox.from_extents(*(dot - 4 * scale), *(dot + 4 * scale)) for dot in dots]
    strokes = [Path(ax.transData.transform(np.reshape(line, (2, 2)))) for line in lines]
    notes = [
        ax.annotate(text, point, xytext=(0, 0), textcoords="offset points", ha="center", va="center",
                    fontsize=fontsize, color=colour)
        for text, point, colour in zip(texts, zip(x, y, strict=True), colours, strict=True)
    ]  # fmt: skip
    for i in _crowded_first(dots):
        notes[i].set_in_layout(False)
        size = notes[i].get_window_extent().size / 2 + scale  # half, with a margin
        shift, box = _free_place(dots[i], size, taken, strokes, ax.bbox, scale)
        taken.append(box)
        notes[i].set_position(shift / scale)
        gap = np.maximum(np.abs(shift) - size, 0)
        if np.hypot(*gap) > _LEADER_FROM * scale:
            edge = shift - np.clip(shift, -size, size)  # the point of the label nearest to the dot
            arrow = {"arrowstyle": "-", "color": colours[i], "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4}
            leader = ax.annotate("", (x[i], y[i]), xytext=edge / scale, textcoords="offset points", arrowprops=arrow)
            leader.set_in_layout(False)


def _crowded_first(dots: np.ndarray) -> np.ndarray:
    distances = np.hypot(*(dots[:, None] - dots[None]).T)
    return np.argsort(np.sort(distances, 1)[:, :4].sum(1), kind="stable")


def _free_place(dot, size, taken, strokes, frame, scale):
    """Return the cheapest offset in pixels of a label's centre, and its box.

    Lying on another label or outside the axes costs most, on a line little, and distance least.
    """
    best = None
    for distance in _DISTANCES:
        for angle in _ANGLES:
            direction = np.array([np.cos(angle), np.sin(angle)])
            shift = direction * distance * scale + np.round(direction, 3) * size
            box = Bbox.from_extents(*(dot + shift - size), *(dot + shift + size))
            overlaps = box.count_overlaps(taken) + (not _inside(box, frame))
            crossed = sum(stroke.intersects_bbox(box, filled=False) for stroke in strokes)
            leader = Path([dot, dot + shift])
            crossed += sum(leader.intersects_bbox(other, filled=False) for other in taken) - 1  # its own dot
            cost = 1000 * overlaps + 15 * crossed + distance
            if best is None or cost < best[0]:
                best = (cost, shift, box)
        if best[0] <= distance:
            break
    return best[1:]


def _inside(box: Bbox, frame: Bbox) -> bool:
    return frame.x0 <= box.x0 and frame.y0 <= box.y0 and box.x1 <= frame.x1 and box.y1 <= frame.y1


def spread(values, gap: float, low: float, high: float) -> np.ndarray:
    """Move numbers as little as possible so that they lie `gap` apart and within limits.

    Least squares with the order kept, an isotonic regression (Barlow et al. 1972).

    Parameters
    ----------
    values : sequence of N float
    gap : float
    low, high : float
        With more values than fit, they end above `high`.

    Returns
    -------
    array (N,)
    """
    from scipy.optimize import isotonic_regression

    values = np.asarray(values, dtype=float)
    if not len(values):
        return values
    order = np.argsort(values, kind="stable")
    room = gap * np.arange(len(values))
    placed = isotonic_regression(values[order] - room).x + room
    placed = np.maximum(np.minimum(placed, high - room[-1] + room), low + room)
    out = np.empty_like(placed)
    out[order] = placed
    return out


def label_verticals(ax, lines: list[tuple[float, str, str]]) -> int:
    """Name vertical lines above the axes, on as many levels as keeps the texts apart.

    Parameters
    ----------
    ax : Axes
    lines : list of (x, text, colour)
        x in data coordinates.

    Returns
    -------
    int
        Number of levels that were used.
    """
    fig = ax.figure
    fig.draw_without_rendering()
    scale = fig.dpi / 72
    levels: list[list[tuple[float, float]]] = []
    for x, text, colour in sorted(lines):
        look = {"ha": "center", "va": "bottom", "fontsize": 8, "color": colour}
        note = ax.annotate(text, (x, 1), (0, 0), xycoords=("data", "axes fraction"), textcoords="offset points", **look)
        half = note.get_window_extent().width / 2 + 2 * scale
        at = ax.transData.transform((x, 0))[0]
        centre = np.clip(at, ax.bbox.x0 + half, max(ax.bbox.x1 - half, ax.bbox.x0 + half))
        fits = (i for i, level in enumerate(levels) if all(abs(centre - c) > half + h for c, h in level))
        level = next(fits, len(levels))
        if level == len(levels):
            levels.append([])
        levels[level].append((centre, half))
        note.set_position(((centre - at) / scale, 2 + LABEL_LEVEL * level))
        note.set_in_layout(False)
    return len(levels)
