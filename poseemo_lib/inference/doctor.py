"""Does an input look like what a network was trained on? Measures side by side, and what to do about differences."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from poseemo_lib.data.dataset.statistics import dataset_statistics, measure_clip, summarise
from poseemo_lib.errors import FormatError, PoseemoError
from poseemo_lib.features.windows import MIN_SEEN
from poseemo_lib.inference.inputs import Source
from poseemo_lib.inference.output import left_aligned
from poseemo_lib.inference.predictor import STRIDE, Predictor, PredictorInfo, windows_of


@dataclass(frozen=True)
class Measure:
    """One measure of clips, and what a difference means.

    Parameters
    ----------
    name : str
        In the statistics of :mod:`poseemo_lib.data.dataset.statistics`.
    words : str
    unit : {"", "%", "px", "/s", "s", "torsos/s"}
        A share is shown in per cent.
    slack : float
        How far beyond the training clips' 5 to 95 % an input may be: of a share this much, of others this factor.
    lower, higher : str
        What to do where the input has less, or more; empty: that does no harm.
    """

    name: str
    words: str
    unit: str
    slack: float
    lower: str = ""
    higher: str = ""


_UPPER = "the {part} are seen here, and were mostly not in training: frame people alike, or train on both"
_HIDDEN = "the {part} are often missing: get them into the picture, or use a better estimator"
_PARTS = {"head": "head's joints", "shoulders": "shoulders", "arms": "arms", "hips": "hips", "legs": "legs"}
MEASURES = (
    Measure(
        "fps", "frame rate", "/s", 1.15,
        "fast movements are lost between frames: record, or extract, at a higher rate",
    ),
    Measure(
        "seconds", "length of a window", "s", 1.25,
        "windows are short and padded: give longer recordings; scene cuts shorten them too",
    ),
    Measure(
        "nobody", "frames with nobody", "%", 0.1, "",
        "people are often not found: more light, nearer, or a lower --min-confidence of the estimator",
    ),
    Measure(
        "second_person", "frames with a second person", "%", 0.15,
        "training clips mostly show two people, and the network may use the second",
        "bystanders count as second person: crop them out, or train with people: 1",
    ),
    *(
        Measure(
            f"missing_{part}", f"missing: {part}", "%", 0.15, _UPPER.format(part=words), _HIDDEN.format(part=words)
        )
        for part, words in _PARTS.items()
    ),
    Measure(
        "torso", "torso", "px", 1.5,
        "people are small, and their keypoints coarse: film from nearer, or at a higher resolution",
    ),
    Measure("torso_share", "torso, of the picture's height", "%", 0.1),
    Measure(
        "confidence", "confidence of joints", "%", 0.1,
        "the keypoints are less sure: more light, less blur, or training on keypoints of this estimator",
        "another estimator, or a format without confidences: train on keypoints of this one",
    ),
    Measure(
        "speed", "speed", "torsos/s", 1.5,
        "people hardly move: is the frame rate right (--set fps=RATE)?",
        "is the frame rate right (--set fps=RATE), and do the keypoints jump?",
    ),
)  # fmt: skip
# Where positions are those in the picture, size counts too.
_FRAMED = Measure(
    "torso_share", "torso, of the picture's height", "%", 0.1,
    "people are smaller in the picture than in training, and this network sees that: crop the picture",
    "people are larger in the picture than in training, and this network sees that: film from further away",
)  # fmt: skip


@dataclass(frozen=True)
class Diagnosis:
    """What a comparison found.

    Parameters
    ----------
    table : DataFrame
        One row a measure: measure, training_low, training, training_high (5, 50, 95 %), input_low, input, input_high,
        verdict ("ok", "lower", "higher", "unknown"), advice (empty where there is none), unit.
    n_windows, n_clips : int
        Windows of the input, and clips of the training, that were looked at; 0 clips: what they looked like is unknown.
    notes : list of str
        What else is wrong.
    """

    table: pd.DataFrame
    n_windows: int
    n_clips: int
    notes: list[str]

    @property
    def warnings(self) -> list[str]:
        """What differs and what to do, one line each."""
        bad = self.table[self.table["advice"] != ""]
        return [f"{row.measure} is {row.verdict}: {row.advice}" for row in bad.itertuples()] + self.notes


def diagnose(predictor: Predictor, sources: Iterable[Source], faults: list[str]) -> Diagnosis:
    """Compare recordings with what a network was trained on.

    Parameters
    ----------
    predictor : Predictor
    sources : iterable of Source
    faults : list of str
        What could not be used; read after the sources.

    Returns
    -------
    Diagnosis

    Raises
    ------
    FormatError
        Nothing of the input can be used.
    """
    rows, damage, n_sources = [], [], 0
    for source in sources:
        n_sources += 1
        rows += _measure_windows(predictor.info, source)
        damage += [f"{source.name}: {source.damage}"] if source.damage else []
    if not rows:
        why = f"wanted at least {MIN_SEEN} frames with somebody in them, got fewer in each of {n_sources} recordings"
        raise FormatError("; ".join([*faults, *damage][:3]) or why)
    training = predictor.info.statistics or find_statistics(predictor)
    seen = summarise(rows)
    table = compare(training.get("measures", {}), seen["measures"], predictor.info)
    return Diagnosis(table, len(rows), training.get("n_clips", 0), [*faults, *damage])


def _measure_windows(info: PredictorInfo, source: Source) -> list[dict[str, float]]:
    recording = source.recording
    windows = windows_of(info, recording, stride=max(STRIDE, info.seconds / 2), cuts=source.cuts)
    nobody = float((~(recording.keypoints[..., 2] > 0).any((1, 2))).mean())  # also of stretches without windows
    rows = [measure_clip(window.keypoints, recording.fps, recording.height) for window in windows]
    return [row | {"nobody": max(row["nobody"], nobody)} for row in rows]


def find_statistics(predictor: Predictor) -> dict:
    """Look at the training clips of a run that was made without statistics, where its dataset is found; else empty."""
    from poseemo_lib.data.recipes import find_dataset

    run = getattr(predictor, "run", None)
    dataset = find_dataset(run.record) if run is not None else None
    if dataset is None:
        return {}
    try:
        split = run.split()
        return dataset_statistics(dataset, split.loc[split["part"] == "train", "clip_id"])
    except PoseemoError:
        return {}


def compare(training: dict, seen: dict, info: PredictorInfo) -> pd.DataFrame:
    """Hold the measures of an input against those of training clips; see :class:`Diagnosis`.

    Parameters
    ----------
    training, seen : dict
        `measures` of :func:`poseemo_lib.data.dataset.statistics.summarise`.
    info : PredictorInfo
    """
    measures = [
        _FRAMED if measure.name == "torso_share" and info.preparation.normalisation == "frame" else measure
        for measure in MEASURES
    ]
    return pd.DataFrame([_row(one, training.get(one.name), seen.get(one.name), info) for one in measures])


def _row(measure: Measure, training: dict | None, seen: dict | None, info: PredictorInfo) -> dict:
    if measure.name == "seconds":  # a longer clip is cut, in training as here
        training, seen = (part and {k: min(v, info.seconds) for k, v in part.items()} for part in (training, seen))
    verdict = _verdict(measure, training, seen)
    keys = ("low", "median", "high")
    before = [(training or {}).get(key, np.nan) for key in keys]
    now = [(seen or {}).get(key, np.nan) for key in keys]
    names = ("training_low", "training", "training_high", "input_low", "input", "input_high")
    return {
        "measure": measure.words,
        **dict(zip(names, (*before, *now), strict=True)),
        "verdict": verdict,
        "advice": {"lower": measure.lower, "higher": measure.higher}.get(verdict, ""),
        "unit": measure.unit,
    }


def _verdict(measure: Measure, training: dict | None, seen: dict | None) -> str:
    if training is None or seen is None:
        return "unknown"
    share = measure.unit == "%"
    low = training["low"] - measure.slack if share else training["low"] / measure.slack
    high = training["high"] + measure.slack if share else training["high"] * measure.slack
    return "lower" if seen["median"] < low else "higher" if seen["median"] > high else "ok"


def diagnosis_text(diagnosis: Diagnosis) -> str:
    """Write a diagnosis as a table and warnings for the terminal."""
    table = diagnosis.table
    shown = {
        "measure": table["measure"],
        "training": [_span(row, "training") for row in table.to_dict("records")],
        "input": [_span(row, "input") for row in table.to_dict("records")],
        "": table["verdict"].replace("unknown", "?"),
    }
    known = f"{diagnosis.n_clips} training clips" if diagnosis.n_clips else "training clips that are not known"
    lines = [f"Windows of the input: {diagnosis.n_windows}, beside {known}. Median, and 5 to 95 %."]
    lines += ["", left_aligned(pd.DataFrame(shown)), ""]
    if not diagnosis.n_clips:
        lines.append("The run was made without statistics of its training clips, and its dataset is not found.")
    warnings = diagnosis.warnings
    lines += [f"- {warning}" for warning in warnings]
    if diagnosis.n_clips and not warnings:
        lines.append("The input looks like the training clips. That says nothing of whether an answer is right.")
    return "\n".join(lines)


def _span(row: dict, side: str) -> str:
    values = [row[f"{side}{end}"] for end in ("", "_low", "_high")]
    if np.isnan(values).any():
        return "-"
    factor = 100 if row["unit"] == "%" else 1
    if values[1] == values[2]:
        values = values[:1]
    middle, *ends = (f"{round(factor * value, 0 if factor * value >= 100 else 2):g}" for value in values)
    return f"{middle} ({'-'.join(ends)}) {row['unit']}" if ends else f"{middle} {row['unit']}"
