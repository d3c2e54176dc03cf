"""One look for all figures: colours, marks, sizes, and the mark on figures of synthetic data.

Colours are those of :mod:`poseemo_lib.video.palette`, which people with any colour vision can tell apart; each class also has
a hatch and a marker of its own, for grey print. Classes that are none of the seven emotions have looks of their own.
"""

import textwrap
from functools import wraps

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from poseemo_lib.text import count
from poseemo_lib.video.palette import EMOTION_COLOURS, OTHER_COLOURS, PEOPLE_COLOURS

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

# colour, hatch, marker
_LOOKS = {
    "angry": ("//", "^"),
    "disgust": ("..", "s"),
    "fear": ("xx", "v"),
    "happy": ("\\\\", "o"),
    "neutral": ("", "D"),
    "sad": ("--", "P"),
    "surprise": ("||", "*"),
}
EMOTION_MARKS = {name: (colour, *_LOOKS[name]) for name, colour in EMOTION_COLOURS.items()}
# Any other class takes one of these, by its place among such classes. None is a look of the seven.
_OTHER_MARKS = tuple(
    zip(
        OTHER_COLOURS,
        ("++", "oo", "**", "OO", "//..", "xx--", "||++", "\\\\oo"),
        ("X", "<", "p", ">", "h", "d", "8", "H"),
        strict=True,
    )
)
MODEL_KINDS = {"network": ("#0072B2", "o"), "baseline": ("#666666", "s")}
PEOPLE = PEOPLE_COLOURS
CHANCE, MAJORITY, STRONGEST = "#000000", "#D55E00", "#666666"
LEAKY = "#D55E00"
SYNTHETIC_TEXT, LEAKY_TEXT = "synthetic data", "leaky split: scores too high"


def in_style(function):
    """Run a plot function with the house's settings and leave matplotlib's as they were.

    Only our own settings are put back. `plt.rc_context` puts back all, among them `interactive`, which the first
    figure of a notebook switches on, and then no further figure is shown.
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
    """Colour, hatch and marker of a class: fixed for the seven emotions, by place among the others for any other."""
    others = [one for one in classes if one not in EMOTION_MARKS]
    return EMOTION_MARKS.get(name) or _OTHER_MARKS[others.index(name) % len(_OTHER_MARKS)]


def title_figure(fig: Figure, text: str) -> None:
    """Head a figure of several panels, at the left."""
    fig.suptitle(text, x=0.1 / fig.get_size_inches()[0], ha="left", fontsize=10)


def name_text(name: object, most: int = 34) -> str:
    """Write a name from data in one short line; a dollar sign stays one and starts no formula."""
    text = " ".join(str(name).split())
    text = text if len(text) <= most else f"{text[: most - 1]}…"
    return text.replace("$", r"\$")


def sample_text(n_clips: int, n_groups: int, n_seeds, *, unit: str, resampled_by: str, interval: str) -> str:
    """Say what a figure's numbers rest on.

    Parameters
    ----------
    n_clips, n_groups : int
        What was predicted.
    n_seeds : sequence of int
        Of each config.
    unit : str
        What was scored: clip or recording.
    resampled_by : str
        What the intervals were drawn over.
    interval : str
        How the figure draws an interval, e.g. `bars`.
    """
    fewest, most = (int(np.min(n_seeds)), int(np.max(n_seeds))) if len(n_seeds) else (0, 0)
    seeds = count(most, "seed") if fewest == most else f"{fewest} to {most} seeds"
    resampled = f"95 % bootstrap interval of the mean over seeds, resampled by {resampled_by}"
    return f"{count(n_clips, unit)} in {count(n_groups, 'group')}, {seeds} a config. {interval}: {resampled}."


def note_sample(fig: Figure, text: str) -> None:
    """Write what a figure rests on under it, in lines as wide as the figure."""
    width = fig.get_size_inches()[0]
    lines = textwrap.wrap(text, width=int(17 * width))
    fig.supxlabel("\n".join(lines), x=0.1 / width, ha="left", fontsize=8, color="#444444")


def axes_or_new(ax: Axes | None, width: float = 6.4, height: float = 4.0) -> tuple[Figure, Axes]:
    """Return the axes that were given and their figure, or new ones of this size in inches."""
    if ax is not None:
        return ax.figure, ax
    return plt.subplots(figsize=(width, height), layout="constrained")


def note_data(fig: Figure, synthetic: bool, leaky: bool = False) -> None:
    """Mark a figure of synthetic data, or of runs on a leaky split, visibly and above everything else.

    The mark shares the line of the figure's title where there is one, so call this last.

    Parameters
    ----------
    fig : Figure
        Marked once, however often this is called.
    synthetic, leaky : bool
        Neither: no mark.
    """
    text = ", ".join(note for note, wanted in ((SYNTHETIC_TEXT, synthetic), (LEAKY_TEXT, leaky)) if wanted)
    if not text or any(other.get_text() == text for other in fig.texts):
        return
    width, height = fig.get_size_inches()
    band = min(0.32 / height, 0.2)
    if fig.get_layout_engine() is not None:
        # A title takes most of the band already.
        fig.get_layout_engine().set(rect=(0, 0, 1, 1 - (0.35 * band if fig.get_suptitle() else band)))
    box = {"boxstyle": "round,pad=0.25", "facecolor": "#FFF2CC", "edgecolor": "#B45F06", "linewidth": 0.8}
    font = {"fontsize": 9, "color": "#7F3F00", "weight": "bold"}
    fig.text(1 - 0.1 / width, 1 - band / 2, text, ha="right", va="center", bbox=box, **font)


def write_not_run(ax: Axes, why: str = "") -> None:
    """Turn axes into an empty panel that says that nothing was run for it.

    Parameters
    ----------
    ax : Axes
    why : str
        What was not run, or what would make it.
    """
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color="#bbbbbb", linestyle=(0, (4, 4)))
    text = "\n".join(["not run", *textwrap.wrap(why, 44)])
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color="#555555", fontsize=9)


@in_style
def empty_figure(title: str, why: str) -> Figure:
    """Draw one empty panel that says that nothing was run for it."""
    fig, ax = axes_or_new(None, 6.4, 2.4)
    write_not_run(ax, why)
    title_figure(fig, title)
    return fig
