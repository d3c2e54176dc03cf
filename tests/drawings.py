"""What is written on a figure, and where."""

import itertools

import matplotlib.text
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.path import Path
from matplotlib.transforms import Affine2D


def written(fig):
    """Every text but those of ticks, of which axes keep invisible ones beyond their limits."""
    ticks = {tick for ax in fig.axes for axis in (ax.xaxis, ax.yaxis) for tick in (*axis.majorTicks, *axis.minorTicks)}
    in_ticks = {label for tick in ticks for label in (tick.label1, tick.label2)}
    return [t for t in set(fig.findobj(matplotlib.text.Text)) - in_ticks if t.get_text() and t.get_visible()]


def words(fig):
    """All that is written but ticks, as one line."""
    return " ".join(" ".join(text.get_text() for text in written(fig)).split())


def note(fig):
    return " ".join(fig.get_supxlabel().split())


def title(fig):
    return " ".join(fig.get_suptitle().split())


def shown_ticks(fig):
    """Labels of the ticks that lie within their axes' limits."""
    for ax in (ax for ax in fig.axes if ax.axison):
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            shown = axis.majorTicks[: len(axis.get_majorticklocs())]  # matplotlib keeps those that it no longer draws
            for tick in (*shown, *axis.minorTicks):
                label = tick.label1
                if low <= tick.get_loc() <= high and label.get_visible() and label.get_text():
                    yield label


def outline(text):
    """A text's rectangle in pixels, turned as the text is."""
    angle, anchor = text.get_rotation(), text.get_transform().transform(text.get_position())
    text.set_rotation(0)
    box = matplotlib.text.Text.get_window_extent(text)
    text.set_rotation(angle)
    box = box.padded(-0.75)  # touching is not overlapping
    return Path(box.corners()[[0, 1, 3, 2, 0]]).transformed(Affine2D().rotate_deg_around(*anchor, angle))


def overlapping(fig):
    """Pairs of texts of a figure that lie on each other, and texts that do not lie wholly on its page."""
    FigureCanvasAgg(fig)  # a figure that pyplot has closed has no canvas that draws
    fig.draw_without_rendering()
    shown = [text for text in (*written(fig), *shown_ticks(fig)) if text.get_text().strip()]
    outlines = [(text.get_text(), outline(text)) for text in shown]
    page = fig.bbox.padded(2)
    boxes = [(text.get_text(), text.get_window_extent()) for text in written(fig)]
    outside = [(text, "page") for text, box in boxes if not (page.contains(*box.min) and page.contains(*box.max))]
    return outside + [
        (a, b)
        for (a, one), (b, other) in itertools.combinations(outlines, 2)
        if one.intersects_path(other, filled=True)
    ]
