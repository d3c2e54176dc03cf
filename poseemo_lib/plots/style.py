"""One style for all figures: colours, classes' marks, titles, the line on what the numbers rest on, and the data mark.

Colours are those of :mod:`poseemo_lib.video.palette`; each class also has a hatch and a marker, for grey print.
"""

import textwrap
from collections.abc import Sequence
from functools import wraps

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from poseemo_lib.text import count
from poseemo_lib.video.palette import EMOTION_COLOURS, OTHER_COLOURS, PEOPLE_COLOURS, class_colour

STYLE = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "hatch.linewidth": 0.6,
    "figure.dpi": 110,
}
BLUE, ORANGE = PEOPLE_COLOURS
BLACK, GREY, DARK, GREEN = "#000000", "#777777", "#444444", "#006B4E"
# Hatch and marker of each emotion, and of any other class by its place among such classes.
_EMOTION_LOOKS = dict(
    zip(EMOTION_COLOURS, zip(("//", "..", "xx", "\\\\", "", "--", "||"), "^svoDP*", strict=True), strict=True)
)
_OTHER_LOOKS = tuple(zip(("++", "oo", "**", "OO", "//..", "xx--", "||++", "\\\\oo"), "X<p>hd8H", strict=True))
SYNTHETIC_TEXT, LEAKY_TEXT = "synthetic data", "leaky split: scores too high"


def in_style(function):
    """Run a function with the project's settings, and leave matplotlib's as they were.

    `plt.rc_context` would also put back `interactive`, which a notebook's first figure switches on.
    """

    @wraps(function)
    def styled(*arguments, **options):
        before = {name: plt.rcParams[name] for name in STYLE}
        plt.rcParams.update(STYLE)
        try:
            return function(*arguments, **options)
        finally:
            plt.rcParams.update(before)

    return styled


def emotion_mark(name: str, classes: tuple[str, ...]) -> tuple[str, str, str]:
    """Return colour, hatch and marker of a class: fixed for an emotion, by place among the others for any other."""
    if name in EMOTION_COLOURS:
        return EMOTION_COLOURS[name], *_EMOTION_LOOKS[name]
    others = [one for one in classes if one not in EMOTION_COLOURS]
    return class_colour(name, classes), *_OTHER_LOOKS[others.index(name) % len(OTHER_COLOURS)]


def short_text(name: object, most: int) -> str:
    """Write a name on one line of at most so many characters."""
    text = " ".join(str(name).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def name_text(name: object, most: int = 34) -> str:
    """Write a name from data on one short line; a dollar sign starts no formula."""
    return short_text(name, most).replace("$", r"\$")


def seeds_text(n_seeds) -> str:
    """Write numbers of seeds: `3 seeds`, `1 to 3 seeds`."""
    known = sorted({int(n) for n in n_seeds}) or [0]
    return count(known[-1], "seed") if len(known) == 1 else f"{known[0]} to {known[-1]} seeds"


def axes_or_new(ax: Axes | None, width: float = 6.4, height: float = 4.0) -> tuple[Figure, Axes]:
    """Return the axes that were given and their figure, or new ones of this size in inches."""
    if ax is not None:
        return ax.figure, ax
    return plt.subplots(figsize=(width, height), layout="constrained")


def finish(fig: Figure, *, title: str = "", note: Sequence[str] = (), synthetic: bool, leaky: bool = False) -> None:
    """Write the title (a statement) above a figure, a note under it, and mark synthetic data and leaky splits.

    The mark is drawn once, however often this last step is called. The note's sentences, of which some may be empty,
    say what the numbers rest on and how to read the figure.
    """
    if not isinstance(fig, Figure):  # a part of a figure, which is finished as a whole
        return
    width, height = fig.get_size_inches()
    marks = ", ".join(text for text, wanted in ((SYNTHETIC_TEXT, synthetic), (LEAKY_TEXT, leaky)) if wanted)
    if title:
        lines = textwrap.wrap(title, max(int(9.6 * width - 1.1 * len(marks)), 24))
        fig.suptitle("\n".join(lines), x=0.1 / width, ha="left", fontsize=12, weight="bold")
    if note:
        lines = textwrap.wrap(" ".join(filter(None, note)), int(16 * width))
        fig.supxlabel("\n".join(lines), x=0.1 / width, ha="left", fontsize=8, color=DARK)
    if not marks or any(text.get_text() == marks for text in fig.texts):
        return
    band = min(0.32 / height, 0.2)
    if fig.get_layout_engine() is not None and not fig.get_suptitle():
        fig.get_layout_engine().set(rect=(0, 0, 1, 1 - band))
    box = {"boxstyle": "round,pad=0.25", "facecolor": "#FFF2CC", "edgecolor": "#B45F06", "linewidth": 0.8}
    font = {"fontsize": 9, "color": "#7F3F00", "weight": "bold"}
    fig.text(1 - 0.1 / width, 1 - 0.16 / height, marks, ha="right", va="center", bbox=box, **font)


def write_missing(ax: Axes, sentence: str, width: int = 40) -> None:
    """Write on empty axes, in lines of so many letters, why nothing is drawn in them."""
    ax.axis("off")
    text = textwrap.fill(sentence, width, break_on_hyphens=False)
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=DARK, fontsize=9)
