"""What drawing a figure of the report returns."""

from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.plots import style
from poseemo_lib.text import with_interval


class Drawn(NamedTuple):
    """A figure, a text with its most important numbers for those who cannot see it, and the tables that it draws."""

    figure: Figure
    text: str
    data: dict[str, pd.DataFrame]


@style.in_style
def not_run(title: str, why: str) -> Drawn:
    """Return the empty panel of a figure whose runs do not exist; `why` says which, and what would make them."""
    fig, ax = style.axes_or_new(None, 6.4, 2.4)
    style.write_not_run(ax, why)
    style.finish(fig, title=title, synthetic=False)
    return Drawn(fig, f"{title}: not run. {why}", {})


def interval_text(row, value: str = "mean") -> str:
    """Write a share of a row with its interval: `62.7 % [58.1, 66.0]`."""
    return with_interval(row[value], row["low"], row["high"])


def sample_of(config: ConfigRuns, interval: str, n_seeds=None) -> str:
    """Say what the scores of a config rest on: see :func:`poseemo_lib.plots.style.sample_text`."""
    scores = config.scores
    return style.sample_text(
        scores.n_clips, scores.n_groups, [scores.n_seeds] if n_seeds is None else n_seeds, unit=config.unit,
        resampled_by=scores.resampled_by, interval=interval,
    )  # fmt: skip


def finish_study(fig: Figure, sample: dict, n_seeds, *, title: str, note: str, interval: str = "Lines") -> None:
    """Finish a figure of a study's configs: `sample` as of :attr:`poseemo_lib.analysis.results.Results.sample`."""
    sizes = dict(sample)
    marking = {name: sizes.pop(name) for name in ("synthetic", "leaky")}
    text = style.sample_text(n_seeds=n_seeds, interval=interval, **sizes)
    style.finish(fig, title=title, note=f"{text} {note}".strip(), **marking)
