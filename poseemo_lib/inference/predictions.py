"""An input -> one prediction for each window of each recording, or for each clip of a dataset; as files and as text."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pandas as pd

from poseemo_lib import __version__
from poseemo_lib.errors import FormatError, UsageError
from poseemo_lib.features.windows import MIN_SEEN, Window
from poseemo_lib.files import write_json, write_table, write_text
from poseemo_lib.inference.inputs import DATASET, InputRecording, OpenEstimator, input_kind, read_recordings
from poseemo_lib.inference.predictor import NOT_SURE, STRIDE, Predictor, predict_windows, prediction_columns, windows_of
from poseemo_lib.inference.predictor_info import PredictorInfo
from poseemo_lib.text import count, listed
from poseemo_lib.training.evaluation import probability_columns
from poseemo_lib.video.estimators import open_estimator

# How predictions can be written.
SUFFIXES = (".json", ".csv", ".parquet")
POSTURE = (
    "A posture is not a feeling: a prediction is the label that viewers would give to clips like the training clips, "
    "and says nothing about what anybody felt."
)
# Clips that are predicted together.
CLIP_BATCH = 256
# Classes that a row of text names, and recordings that a message names.
_NAMED = 3


@dataclass(frozen=True)
class Prediction:
    """What was predicted for an input.

    Parameters
    ----------
    info : PredictorInfo
    input : str
        The path, as it was given.
    kind : str
        See :func:`poseemo_lib.inference.inputs.input_kind`.
    stride : float or None
        Seconds between the ends of windows; None: one prediction a clip.
    table : DataFrame
        One row a window, or a clip: recording, label if any is known, then for windows the columns of
        :func:`poseemo_lib.inference.predictor.predict_recording`, for clips p_<class>, prediction and confidence.
    faults : list of str
        What could not be used, with the reason.
    recordings : dict
        Name of each recording -> its seconds.
    """

    info: PredictorInfo
    input: str
    kind: str
    stride: float | None
    table: pd.DataFrame
    faults: list[str]
    recordings: dict[str, float]


def predict_input(
    predictor: Predictor,
    path: str | Path,
    *,
    format: str | None = None,
    options: dict | None = None,
    stride: float = STRIDE,
    clips: bool = False,
    estimator: OpenEstimator = open_estimator,
    each: Callable[[InputRecording, list[Window], pd.DataFrame], None] | None = None,
) -> Prediction:
    """Predict a video, a keypoint file, a folder of them, or a dataset.

    Parameters
    ----------
    predictor : Predictor
    path : str or Path
    format, options, estimator
        See :func:`poseemo_lib.inference.inputs.input_kind` and `read_recordings`.
    stride : float
        Seconds from the end of one window to the end of the next, above 0.
    clips : bool
        For a dataset: one prediction a clip, as in the evaluation of a run.
    each : callable, optional
        Called with each recording, its windows and their table.

    Raises
    ------
    UsageError
        Something asked for does not exist or does not go together.
    FormatError
        Nothing of the input can be used, or nobody was seen in it.
    """
    if not stride > 0:
        raise UsageError(f"--stride: wanted seconds above 0, got {stride}")
    kind, faults = input_kind(path, format), []
    read = read_recordings(path, kind, faults, options=options, estimator=estimator)
    if clips:
        tables, recordings = _predict_clips(predictor, path, kind, read)
    else:
        tables, recordings = _predict_windows(predictor, read, faults, stride, each)
    if not recordings:
        raise FormatError(faults[0] if len(faults) == 1 else f"{path}: nothing can be used; {'; '.join(faults[:3])}")
    table = pd.concat(tables, ignore_index=True)
    if table.empty:
        damage = f" ({'; '.join(faults[:3])})" if faults else ""
        wanted = f"wanted at least {MIN_SEEN} frames with somebody in them"
        raise FormatError(f"{path}: no prediction: {wanted}, got fewer in {sum(recordings.values()):.1f} s{damage}")
    if table["label"].isna().all():
        table = table.drop(columns="label")
    return Prediction(predictor.info, str(path), kind, None if clips else stride, table, faults, recordings)


def _predict_windows(predictor: Predictor, read: Iterator[InputRecording], faults: list[str], stride: float, each):
    tables, recordings = [], {}
    for one in read:
        windows = windows_of(predictor.info, one.recording, stride=stride, cuts=one.cuts)
        table = predict_windows(predictor, windows, one.recording)
        faults += [f"{one.name}: {one.damage}"] if one.damage else []
        recordings[one.name] = len(one.recording.keypoints) / one.recording.fps
        tables.append(_with_names(table, [one] * len(table)))
        if each:
            each(one, windows, table)
    return tables, recordings


def _predict_clips(predictor: Predictor, path: str | Path, kind: str, read: Iterator[InputRecording]):
    if kind != DATASET:
        raise UsageError(f"--clips: wants a dataset, got {path}, which is read as {kind}")
    if not hasattr(predictor, "clip_probabilities"):
        raise UsageError("--clips: wants the folder of a run; an exported network predicts windows")
    tables, recordings = [], {}
    while batch := list(islice(read, CLIP_BATCH)):
        table = prediction_columns(predictor.clip_probabilities([one.clip for one in batch]), predictor.info)
        tables.append(_with_names(table, batch))
        recordings |= {one.name: one.clip.n_frames / one.clip.fps for one in batch}
    return tables, recordings


def _with_names(table: pd.DataFrame, rows: list[InputRecording]) -> pd.DataFrame:
    """Put each row's recording and label before the other columns."""
    pairs = [(one.name, one.recording.label) for one in rows]
    names = pd.DataFrame(pairs, columns=["recording", "label"], dtype=object)
    return pd.concat([names, table], axis=1)


def write_prediction(prediction: Prediction, path: Path) -> None:
    """Write a prediction, whole or not at all; the suffix says how.

    `.csv` and `.parquet` hold the table alone; `.json` also all that is known of the predictor, and in `windows` (or
    `clips`) one entry per row with its probabilities by class.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        write_table(path, prediction.table)
    elif suffix == ".csv":
        write_text(path, prediction.table.to_csv(index=False))
    else:
        write_json(path, _as_dict(prediction))


def _as_dict(prediction: Prediction) -> dict:
    info, names = prediction.info, probability_columns(prediction.info.classes)
    rows = prediction.table.drop(columns=names).astype(object)
    records = rows.where(rows.notna(), None).to_dict("records")
    for record, values in zip(records, prediction.table[names].to_numpy().tolist(), strict=True):
        record["probabilities"] = dict(zip(info.classes, values, strict=True))
    return {
        "poseemo_version": __version__,
        "predictor": info.name,
        **info.model_dump(include={"classes", "temperature", "class_factors", "abstain_below", "synthetic"}),
        "window_seconds": info.seconds,
        "stride_seconds": prediction.stride,
        "test": info.scores,
        "note": POSTURE,
        "input": prediction.input,
        "kind": prediction.kind,
        "faults": prediction.faults,
        "recordings": prediction.recordings,
        "clips" if prediction.stride is None else "windows": records,
    }


def describe_predictor(info: PredictorInfo) -> str:
    """Say what a predictor is and how far it can be trusted, in a few lines."""
    lines = [info.name, POSTURE]
    if info.synthetic:
        lines.append("It was trained on synthetic data: its predictions are no evidence about people.")
    if scores := info.scores:
        others = [f"always one class: {100 * scores['chance']:.0f} %"]
        if "baseline" in scores:
            others.append(f"the baseline {scores['baseline_name']}: {100 * scores['baseline']:.0f} %")
        leaks = " Its split leaks, which inflates this score." if scores.get("leaks") else ""
        lines.append(
            f"Balanced accuracy on its {scores['n']} test clips: {100 * scores['balanced_accuracy']:.0f} % "
            f"({'; '.join(others)}).{leaks}"
        )
    if "calibrated" in scores:
        texts = [
            f"{name.replace('_', ' ')} {100 * scores['calibrated'][name]:.0f} % ({100 * raw:.0f} % as trained)"
            for name, raw in scores["raw"].items()
        ]
        lines.append(f"Calibrated, as the predictions here, on the same clips: {', '.join(texts)}.")
    lines.append(
        f"A window is {info.seconds:.2f} s long. Below a calibrated probability of {100 * info.abstain_below:.0f} % "
        f'the prediction is "{NOT_SURE}".'
    )
    return "\n".join(lines)


def display_table(prediction: Prediction, most: int) -> pd.DataFrame:
    """Return the first rows of a prediction as texts for the terminal."""
    table, names = prediction.table[:most], probability_columns(prediction.info.classes)
    columns = {}
    if len(prediction.recordings) > 1 or prediction.stride is None:
        columns["recording"] = table["recording"]
    if "start_seconds" in table:
        spans = zip(table["start_seconds"], table["stop_seconds"], strict=True)
        columns |= {"seconds": [f"{start:.1f}-{stop:.1f}" for start, stop in spans], "people": table["people"]}
    columns |= {
        "prediction": table["prediction"],
        "confidence": [f"{100 * value:.0f} %" for value in table["confidence"]],
        "most probable": [_most_probable(row, prediction.info.classes) for row in table[names].to_numpy()],
    }
    if "label" in table:
        columns["label"] = table["label"].fillna("")
    return pd.DataFrame(columns).astype(str)


def _most_probable(probabilities, classes: Sequence[str]) -> str:
    best = (-probabilities).argsort(kind="stable")[:_NAMED]
    return ", ".join(f"{classes[i]} {100 * probabilities[i]:.0f}" for i in best)


def summarise_prediction(prediction: Prediction) -> str:
    """Sum up a prediction: how much was read, how often each class was predicted, how often labels agree."""
    table, stride = prediction.table, prediction.stride
    read = count(len(prediction.recordings), "clip" if stride is None else "recording")
    read = read if stride is None else f"{count(len(table), 'window')} of {read}"
    lines = [f"{read}, {sum(prediction.recordings.values()):.1f} s"]
    counts = table["prediction"].value_counts()
    lines.append("; ".join(f"{name}: {n} ({100 * n / len(table):.0f} %)" for name, n in counts.items()))
    if unseen := sorted(set(prediction.recordings) - set(table["recording"])):
        lines.append(f"nobody was seen in {listed(unseen, _NAMED)}")
    if stride is not None:
        seconds = table["stop_seconds"] - table["start_seconds"]
        if short := int((seconds < prediction.info.seconds / 2).sum()):
            lines.append(
                f"{count(short, 'window')} shorter than half of a full window ({prediction.info.seconds:.2f} s): "
                "predicted from little movement"
            )
    if "label" in table:
        known = table[table["label"].isin(prediction.info.classes) & (table["prediction"] != NOT_SURE)]
        right = int((known["label"] == known["prediction"]).sum())
        if len(known):
            agree = f"{right} of {len(known)} predictions agree with the label"
            lines.append(f"{agree}; training clips may be among them, so this is not a test score")
    return "\n".join(lines)
