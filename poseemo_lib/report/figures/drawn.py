"""What drawing a figure of the report returns, and the words and tables that several figures share."""

import html
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.observers import MAJORITY, ONE, Observers
from poseemo_lib.analysis.results import Results
from poseemo_lib.plots import style
from poseemo_lib.report.templates import render
from poseemo_lib.text import count, with_interval

# How the lines of people look.
PEOPLE = {ONE: (style.GREEN, "-"), MAJORITY: (style.GREEN, "--")}


class Drawn(NamedTuple):
    """A figure, a text with its most important numbers for those who cannot see it, and the tables that it draws."""

    figure: Figure
    text: str
    data: dict[str, pd.DataFrame]


@style.in_style
def not_run(title: str, why: str) -> Drawn:
    """Return a figure without axes whose runs do not exist; the sentence `why` names the study that makes them."""
    fig, ax = style.axes_or_new(None, 6.4, 1.2)
    style.write_missing(ax, f"Not run: {why}", 70)
    style.finish(fig, title=title, synthetic=False)
    return Drawn(fig, f"{title}: not run. {why}", {})


def interval_text(row, value: str = "mean") -> str:
    """Write a share of a row with its interval: `62.7 % [58.1, 66.0]`."""
    return with_interval(row[value], row["low"], row["high"])


def points_text(row, value: str = "difference", ends: str = "") -> str:
    """Write a difference of shares with its interval, in points: `+4.2 [-1.0, +9.5]`."""
    return "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(100 * row[name] for name in (value, f"{ends}low", f"{ends}high")))


def names_with_seeds(names: Sequence[str], n_seeds: pd.Series) -> list[str]:
    """Shorten the names of configs, and add the number of seeds where it is not that of most; 0: not run."""
    usual = n_seeds[n_seeds > 0].mode().max()
    few = ["" if n in (0, usual) else f", {count(int(n), 'seed')}" for n in n_seeds]
    return [style.name_text(name, 44) + text for name, text in zip(names, few, strict=True)]


def observers_text(observers: Observers | None, metric: str) -> str:
    """Write the scores of people behind those of the configs; empty without ratings."""
    found = observers.scores if observers else {}
    return "".join(f"; {name} {interval_text(scores.score(metric))}" for name, scores in found.items())


def note_text(figure: str, /, **numbers) -> str:
    """Fill the note of a figure in `figure_notes.md.j2`; names are as :func:`poseemo_lib.plots.style.name_text`."""
    return html.unescape(render("figure_notes", figure=figure, **numbers))


def confusion_table(config: ConfigRuns) -> pd.DataFrame:
    """Return the counts of a config's confusion matrix; the first column names the true class."""
    true = pd.Index(config.classes, name="true")
    return pd.DataFrame(config.scores.confusion, true, list(config.classes)).reset_index()


def sample_of(config: ConfigRuns, interval: str, n_seeds=None) -> str:
    """Say what a figure's scores rest on.

    `interval` is how the figure draws an interval, such as `Lines`; `n_seeds` has a number for each config.
    """
    scores = config.scores
    seeds = style.seeds_text([scores.n_seeds] if n_seeds is None else n_seeds)
    return note_text("sample", n_clips=scores.n_clips, unit=config.unit, n_groups=scores.n_groups, seeds=seeds,
                     n_repeats=scores.n_repeats, interval=interval, resampled_by=scores.resampled_by)  # fmt: skip


def finish_study(
    fig: Figure, study: Results, n_seeds, *, title: str, note: Sequence[str], interval: str = "Lines"
) -> None:
    """Finish a figure of a study's configs: see :func:`poseemo_lib.plots.style.finish`."""
    note = [sample_of(study.best(), interval, n_seeds), *note]
    style.finish(fig, title=title, note=note, synthetic=study.synthetic, leaky=bool(study.leaks))
