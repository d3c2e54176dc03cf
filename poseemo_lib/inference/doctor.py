"""Does an input look like what a network was trained on? Measures side by side, and what to do about differences."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from poseemo_lib.data.dataset.statistics import dataset_statistics, measure_clip, summarise
from poseemo_lib.data.recipes import find_dataset
from poseemo_lib.errors import FormatError
from poseemo_lib.features.windows import MIN_SEEN
from poseemo_lib.inference.inputs import InputRecording
from poseemo_lib.inference.predictor import STRIDE, Predictor, windows_of
from poseemo_lib.inference.predictor_info import PredictorInfo


@dataclass(frozen=True)
class Measure:
    """One measure of clips, and what to do if an input has less or more of it (empty: nothing).

    `name` is its key in :mod:`poseemo_lib.data.dataset.statistics`. `slack` says how far an input may lie outside the
    training clips' 5 to 95 %: an amount for shares, whose unit is "%", a factor for other measures.
    """

    name: str
    words: str
    unit: str
    slack: float
    lower: str = ""
    higher: str = ""


_PARTS = {"head": "head's joints", "shoulders": "shoulders", "arms": "arms", "hips": "hips", "legs": "legs"}
MEASURES = (
    Measure(
        "fps", "frame rate", "/s", 1.15,
        "fast movements are lost between frames: record, or extract, at a higher rate",
    ),
    Measure(
        "seconds", "length of a window", "s", 1.25,
        "windows are short and padded: give longer recordings; scene cuts shorten windows too",
    ),
    Measure(
        "nobody", "frames with nobody", "%", 0.1, "",
        "people are often not found: more light, a closer camera, or a lower --min-confidence of the estimator",
    ),
    Measure(
        "second_person", "frames with a second person", "%", 0.15,
        "training clips mostly show two people, and the network may use the second",
        "bystanders count as second person: crop them out, or train with people: 1",
    ),
    *(
        Measure(
            f"missing_{part}", f"missing: {part}", "%", 0.15,
            f"the {words} are visible here but were mostly hidden in training: frame people alike, or train on both",
            f"the {words} are often missing: get them into the picture, or use a better estimator",
        )
        for part, words in _PARTS.items()
    ),
    Measure(
        "torso", "torso", "px", 1.5,
        "people are small and their keypoints coarse: film from closer, or at a higher resolution",
    ),
    Measure(
        "torso_share", "torso, share of the picture's height", "%", 0.1,
        "people are smaller in the picture than in training, and this network sees that: crop the picture",
        "people are larger in the picture than in training, and this network sees that: film from further away",
    ),
    Measure(
        "confidence", "confidence of joints", "%", 0.1,
        "the keypoints are less certain: more light, less blur, or training on keypoints of this estimator",
        "another estimator, or a format without confidences: train on keypoints of this one",
    ),
    Measure(
        "speed", "speed", "torsos/s", 1.5,
        "people hardly move: is the frame rate right (--set fps=RATE)?",
        "is the frame rate right (--set fps=RATE), and do the keypoints jump?",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Diagnosis:
    """What a comparison found.

    Parameters
    ----------
    table : DataFrame
        One row a measure, in texts: measure, training and input (the median, and 5 to 95 %), verdict ("ok", "lower",
        "higher", or "?" if one side is unknown), advice (may be empty).
    n_windows, n_clips : int
        Windows of the input and training clips compared; 0 clips: no statistics of the training clips are known.
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


def diagnose(predictor: Predictor, recordings: Iterable[InputRecording], faults: list[str]) -> Diagnosis:
    """Compare recordings with what a network was trained on; `faults` is what could not be used of the input.

    Raises
    ------
    FormatError
        Nothing of the input can be used.
    """
    rows, damage, n_recordings = [], [], 0
    for one in recordings:
        n_recordings += 1
        rows += _measure_windows(predictor.info, one)
        damage += [f"{one.name}: {one.damage}"] if one.damage else []
    if not rows:
        why = f"wanted at least {MIN_SEEN} frames with somebody in them, got fewer in each of {n_recordings} recordings"
        raise FormatError("; ".join([*faults, *damage][:3]) or why)
    training = training_statistics(predictor)
    table = compare_measures(training.get("measures", {}), summarise(rows)["measures"], predictor.info)
    return Diagnosis(table, len(rows), training.get("n_clips", 0), [*faults, *damage])


def _measure_windows(info: PredictorInfo, one: InputRecording) -> list[dict[str, float]]:
    recording = one.recording
    windows = windows_of(info, recording, stride=max(STRIDE, info.seconds / 2), cuts=one.cuts)
    nobody = float((~(recording.keypoints[..., 2] > 0).any((1, 2))).mean())  # also of stretches without windows
    rows = [measure_clip(window.keypoints, recording.fps, recording.height) for window in windows]
    return [row | {"nobody": max(row["nobody"], nobody)} for row in rows]


def training_statistics(predictor: Predictor) -> dict:
    """Return the statistics of a predictor's training clips; measure them if a run has none, {} without a dataset."""
    run = getattr(predictor, "run", None)
    if predictor.info.statistics or run is None or (dataset := find_dataset(run.record)) is None:
        return predictor.info.statistics
    return dataset_statistics(dataset, run.split().query("part == 'train'")["clip_id"])


def compare_measures(training: dict, seen: dict, info: PredictorInfo) -> pd.DataFrame:
    """Compare the measures of training clips and of an input, each as `summarise` returns them; see Diagnosis."""
    return pd.DataFrame([_compare(one, training.get(one.name), seen.get(one.name), info) for one in MEASURES])


def _compare(measure: Measure, training: dict | None, seen: dict | None, info: PredictorInfo) -> dict:
    if measure.name == "seconds":  # a longer clip is cropped, in training as here
        training, seen = (side and {k: min(v, info.seconds) for k, v in side.items()} for side in (training, seen))
    verdict = "?"
    if training and seen:
        share, slack = measure.unit == "%", measure.slack
        low = training["low"] - slack if share else training["low"] / slack
        high = training["high"] + slack if share else training["high"] * slack
        verdict = "lower" if seen["median"] < low else "higher" if seen["median"] > high else "ok"
    advice = {"lower": measure.lower, "higher": measure.higher}.get(verdict, "")
    if measure.name == "torso_share" and info.preparation.normalisation != "frame":
        advice = ""  # the network sees no size
    sides = {"training": _span(training, measure.unit), "input": _span(seen, measure.unit)}
    return {"measure": measure.words, **sides, "verdict": verdict, "advice": advice}


def _span(side: dict | None, unit: str) -> str:
    if not side:
        return "-"
    factor = 100 if unit == "%" else 1
    values = [factor * side[key] for key in ("median", "low", "high")]
    middle, low, high = (f"{round(value, 0 if value >= 100 else 2):g}" for value in values)
    return f"{middle} {unit}" if side["low"] == side["high"] else f"{middle} ({low}-{high}) {unit}"
