"""How far confidences and importances can be trusted: sentences of the report, made from the chosen config's runs."""

import html

import numpy as np
import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.reliability import abstain_threshold, calibration_errors, coverage_table
from poseemo_lib.errors import PoseemoError
from poseemo_lib.report.material import Material
from poseemo_lib.report.wording import MOST_NAMES, counted, percent, with_interval
from poseemo_lib.training.calibration import TEMPERATURE_RANGE

# A temperature this near to an end of its range, as a share of it, counts as being there.
AT_END = 0.1
KIND_WORDS = {"joint": "joints", "feature": "kinds of feature", "person": "people", "time": "spans of time, seconds"}


def calibration(material: Material) -> str:
    """Say how far the chosen config's confidence can be trusted, and what not answering gains, on the test part.

    Parameters
    ----------
    material : Material

    Returns
    -------
    str
    """
    best = material.best
    errors = calibration_errors(best)
    before, after = (with_interval(errors.loc[when], "mean") for when in ("before", "after"))
    return (
        f"The gap between the confidence of **{html.escape(best.name)}** and its accuracy on the test part (expected "
        f"calibration error, ECE) is {before} as trained and {after} after {_temperatures(best)}.{_biased(errors)} "
        f"{_abstaining(best)}"
    )


def _temperatures(config: ConfigRuns) -> str:
    runs = [run for run in config.runs if run.seed in config.seeds]
    values = [config.calibration(run)["temperature"] for run in runs]
    texts = sorted({f"{value:.2f}" for value in values}, key=float)
    span = texts[0] if len(texts) == 1 else f"{texts[0]} to {texts[-1]}"
    text = f"dividing by the temperature that validation fits ({span} in {counted(len(runs), 'run')})"
    at_limit = sum(bool(np.isclose(value, TEMPERATURE_RANGE, rtol=AT_END).any()) for value in values)
    return text + (f"; in {at_limit} it is at the end of its range, which calibrates nothing" if at_limit else "")


def _biased(errors: pd.DataFrame) -> str:
    """Say why an interval does not hold its own value, where one does not."""
    outside = (errors["mean"] < errors["low"]) | (errors["mean"] > errors["high"])
    return " Draws of a small ECE come out too large, so its interval can lie over it." if outside.any() else ""


def _abstaining(config: ConfigRuns) -> str:
    """Say how many clips get an answer at the threshold, and how many of these answers are right."""
    threshold = abstain_threshold(config)
    some, every = (
        coverage_table(config.calibrated("test"), config.classes, thresholds=[one]).iloc[0] for one in (threshold, 0)
    )
    text = f"Below a calibrated probability of {100 * threshold:.0f} % no answer is given: "
    if not some["n"]:
        return text + f"here no {config.unit} gets one."
    return (
        f"{text}{percent(some['coverage'])} of the test {config.unit}s get one, and {with_interval(some, 'accuracy')} of "
        f"these answers are right; of all answers, {with_interval(every, 'accuracy')}."
    )


def importance(material: Material) -> str:
    """Say what the chosen network's answers depend on, and how far the ways of asking can be trusted.

    Parameters
    ----------
    material : Material
        Of its `interpretation`: `importance`, with the columns kind, name, drop (of balanced accuracy, 0 to 1), low,
        high, randomised_drop; and `recovery` (None where nothing is planted), with method, target, model, precision,
        low, high, chance.

    Returns
    -------
    str
        Markdown; "not run" where there is no network or no dataset.
    """
    try:
        found = material.interpretation
    except PoseemoError as error:
        return f"**Not run**: {html.escape(str(error))}"
    if found is None:
        return "**Not run**: what the answers depend on takes a trained network with its weights, and its dataset."
    name = html.escape(material.best.name)
    lines = [
        f"What the answers of **{name}** depend on: the loss of balanced accuracy, in points, when something is "
        "exchanged between the test clips (behind it, that of the same network with random weights). Named is only "
        "what has a 95 % interval over zero, not corrected for how much was tried.",
        "",
        *(_most_important(kind, rows) for kind, rows in found.importance.groupby("kind", sort=False)),
    ]
    if found.recovery is not None and len(found.recovery):
        lines += ["", "Attributions held against what was planted in the synthetic clips:", "", *_recovered(found)]
    lines += ["", "How alike the contributions are (rank correlation, 1: the same):", "", *_alike(found)]
    return "\n".join(lines)


def _most_important(kind: str, rows: pd.DataFrame) -> str:
    """Name the few that cost most, of those whose interval is over zero."""
    word = KIND_WORDS.get(kind, html.escape(str(kind)))
    costly = rows[rows["low"] > 0].sort_values("drop", ascending=False).head(MOST_NAMES)
    if costly.empty:
        return f"- {word}: none of {len(rows)} costs an amount that can be told from nothing"
    texts = [
        f"{html.escape(str(row['name']).replace('_', ' '))} {100 * row['drop']:.1f} "
        f"[{100 * row['low']:.1f}, {100 * row['high']:.1f}] ({100 * row['randomised_drop']:.1f})"
        for row in costly.to_dict("records")
    ]
    return f"- {word}: {'; '.join(texts)}"


def _alike(found) -> list[str]:
    """Give a line for each pair of networks whose contributions were compared."""
    return [
        f"- {html.escape(row['compared'])}, {html.escape(row['target'])}: {row['correlation']:.2f} "
        f"[{row['low']:.2f}, {row['high']:.2f}]"
        for row in found.similarity.to_dict("records")
    ]


def _recovered(found) -> list[str]:
    """Give a line for each way of attribution and target: precision of every model beside chance."""
    lines = []
    for (method, target), rows in found.recovery.groupby(["method", "target"], sort=False):
        texts = [f"{html.escape(str(row['model']))} {with_interval(row, 'precision')}" for _, row in rows.iterrows()]
        chance = percent(rows["chance"].mean())
        lines.append(
            f"- {html.escape(str(method))}, planted {html.escape(str(target))}: precision {', '.join(texts)}; chance "
            f"{chance}"
        )
    return lines
