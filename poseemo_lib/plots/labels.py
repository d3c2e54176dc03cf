"""Labels beside what they name, moved apart where they would lie on each other."""

import numpy as np
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.transforms import Bbox

_ANGLES = np.deg2rad(np.arange(0, 360, 30))
_OUTLINE = [withStroke(linewidth=2.5, foreground="white")]  # keeps lines off the letters


def label_points(ax, x, y, texts, *, colour: str = "black", strokes=()) -> None:
    """Write each text as near to its point as there is room, and join the two; call it last, on the final layout.

    The texts stay off `strokes`, such as intervals: (x0, y0, x1, y1); one with a NaN is left out. All coordinates are
    of the data.
    """
    fig = ax.get_figure(root=True)
    fig.draw_without_rendering()
    pixels = fig.dpi / 72
    dots = ax.transData.transform(np.column_stack([x, y]))
    taken = [Bbox.from_extents(*(dot - 4 * pixels), *(dot + 4 * pixels)) for dot in dots]
    corners = [ax.transData.transform(np.reshape(stroke, (2, 2))) for stroke in strokes if np.isfinite(stroke).all()]
    taken += [Bbox.from_extents(*(np.min(one, 0) - pixels), *(np.max(one, 0) + pixels)) for one in corners]
    for dot, point, text in zip(dots, zip(x, y, strict=True), texts, strict=True):
        line = {"arrowstyle": "-", "color": "#888888", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4}
        note = ax.annotate(text, point, (0, 0), textcoords="offset points", ha="center", va="center", fontsize=8,
                           color=colour, path_effects=_OUTLINE, arrowprops=line, zorder=4)  # fmt: skip
        note.set_in_layout(False)
        half = Text.get_window_extent(note).size / 2 + pixels
        shift, box = _free_place(dot, half, taken, ax.bbox, pixels)
        taken.append(box)
        note.set_position(shift / pixels)


def _free_place(dot, half, taken, frame, pixels):
    """Return the nearest shift of a text's middle, in pixels, at which it lies on nothing and inside the frame."""
    best = None
    for distance in range(5, 125, 8):
        for angle in _ANGLES:
            way = np.round([np.cos(angle), np.sin(angle)], 3)
            shift = way * (distance * pixels + half)
            box = Bbox.from_extents(*(dot + shift - half), *(dot + shift + half))
            inside = frame.contains(*box.min) and frame.contains(*box.max)
            cost = box.count_overlaps(taken) + (not inside)
            if best is None or cost < best[0]:
                best = (cost, shift, box)
            if not cost:
                return shift, box
    return best[1:]
