"""Predictions for people and for programs: text for the terminal; JSON, CSV and Parquet files."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from poseemo_lib import __version__
from poseemo_lib.errors import UsageError
from poseemo_lib.files import write_table, write_text
from poseemo_lib.inference.predict import Prediction
from poseemo_lib.inference.predictor import NOT_SURE, PredictorInfo
from poseemo_lib.text import count
from poseemo_lib.training.evaluation import probability_columns

SUFFIXES = (".json", ".csv", ".parquet")
POSTURE = (
    "A posture is not a feeling: an answer is what viewers would say of clips like those of the training, and says "
    "nothing of what anybody felt."
)
# Rows that are printed, and classes of each.
MOST_ROWS = 40
_NAMED = 3


def check_out(
    path: str | Path, suffixes: Sequence[str] = SUFFIXES, *, overwrite: bool = False, input: str | None = None
) -> Path:
    """Check that a file can be written, before any work is done for it.

    Parameters
    ----------
    path : str or Path
    suffixes : sequence of str
        What its name may end in.
    overwrite : bool
        Whether it may be there already.
    input : str, optional
        What is read, which is never written over.

    Raises
    ------
    UsageError
        Its suffix is another, its folder is missing or cannot be written in, it is there, or it is the input.
    """
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise UsageError(f"{path}: wanted a name that ends in one of {', '.join(suffixes)}")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{path}: wanted a folder that exists, found none at {path.parent}")
    if path.is_dir() or (path.exists() and not overwrite):
        raise UsageError(f"{path}: exists; choose another name, or say --overwrite")
    if input and path.exists() and Path(input).exists() and path.samefile(input):
        raise UsageError(f"{path}: is what is read; choose another name")
    try:
        with tempfile.TemporaryFile(dir=path.absolute().parent):
            pass
    except OSError as error:
        raise UsageError(f"{path}: cannot be written there: {error.strerror}") from None
    return path


def write_prediction(prediction: Prediction, path: str | Path) -> None:
    """Write a prediction, whole or not at all; the suffix says how.

    Parameters
    ----------
    prediction : Prediction
    path : str or Path
        `.json`: with all that is known of the predictor, in `windows` (or `clips`) one entry a row with its
        probabilities by class. `.csv`, `.parquet`: the table alone.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        write_table(path, prediction.table)
    elif suffix == ".csv":
        write_text(path, prediction.table.to_csv(index=False))
    else:
        write_text(path, json.dumps(as_dict(prediction), indent=2, allow_nan=False) + "\n")


def as_dict(prediction: Prediction) -> dict:
    """Return a prediction as what JSON can hold."""
    info = prediction.info
    rows = prediction.table.drop(columns=probability_columns(info.classes)).astype(object)
    records = rows.where(rows.notna(), None).to_dict("records")
    probabilities = prediction.table[probability_columns(info.classes)].to_numpy().tolist()
    for record, values in zip(records, probabilities, strict=True):
        record["probabilities"] = dict(zip(info.classes, values, strict=True))
    return {
        "poseemo_version": __version__,
        "predictor": info.name,
        "classes": list(info.classes),
        "temperature": info.temperature,
        "abstain_below": info.abstain_below,
        "window_seconds": info.seconds,
        "stride_seconds": prediction.stride,
        "synthetic": info.synthetic,
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
        lines.append("It was trained on synthetic data: its answers are no evidence about people.")
    if info.scores:
        lines.append(_score_line(info.scores))
    lines.append(
        f"A window is {info.seconds:.2f} s long. Below a calibrated probability of {100 * info.abstain_below:.0f} % "
        f'the answer is "{NOT_SURE}".'
    )
    return "\n".join(lines)


def _score_line(scores: dict) -> str:
    others = [f"always one class: {100 * scores['chance']:.0f} %"]
    if "baseline" in scores:
        others.append(f"the baseline {scores['baseline_name']}: {100 * scores['baseline']:.0f} %")
    leaks = " Its split leaks, so that this is too high." if scores.get("leaks") else ""
    return (
        f"On its {scores['n']} test clips: balanced accuracy {100 * scores['balanced_accuracy']:.0f} % "
        f"({'; '.join(others)}).{leaks}"
    )


def prediction_text(prediction: Prediction, most: int = MOST_ROWS) -> str:
    """Write a prediction as a table for the terminal.

    Parameters
    ----------
    prediction : Prediction
    most : int
        Rows, at most; of more the first are shown.

    Returns
    -------
    str
    """
    table, classes = prediction.table[:most], prediction.info.classes
    columns = {}
    if len(prediction.recordings) > 1 or prediction.stride is None:
        columns["recording"] = table["recording"]
    if "start_seconds" in table:
        columns["seconds"] = [
            f"{a:.1f}-{b:.1f}" for a, b in zip(table["start_seconds"], table["stop_seconds"], strict=True)
        ]
        columns["people"] = table["people"]
    columns |= {"prediction": table["prediction"], "sure": [f"{100 * value:.0f} %" for value in table["confidence"]]}
    columns["most probable"] = [_top(row, classes) for row in table[probability_columns(classes)].to_numpy()]
    if "label" in table:
        columns["label"] = table["label"].fillna("")
    text = left_aligned(pd.DataFrame(columns))
    rest = len(prediction.table) - len(table)
    return text + (f"\n... and {rest} more; --out FILE.csv writes all" if rest else "")


def left_aligned(table: pd.DataFrame) -> str:
    """Write a table of texts, each column as wide as it has to be and aligned at the left."""
    columns = [[str(name), *map(str, table[name])] for name in table]
    widths = [max(map(len, column)) for column in columns]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*columns, strict=True)
    )


def _top(probabilities, classes: Sequence[str]) -> str:
    best = (-probabilities).argsort(kind="stable")[:_NAMED]
    return ", ".join(f"{classes[i]} {100 * probabilities[i]:.0f}" for i in best)


def summary_text(prediction: Prediction) -> str:
    """Sum up a prediction in a few lines: how much was read, how often each answer came, what the labels say."""
    table, clips = prediction.table, prediction.stride is None
    counted = count(len(prediction.recordings), "clip" if clips else "recording")
    counted = counted if clips else f"{count(len(table), 'window')} of {counted}"
    lines = [f"{counted}, {sum(prediction.recordings.values()):.1f} s"]
    counts = table["prediction"].value_counts()
    lines.append("; ".join(f"{name}: {n} ({100 * n / len(table):.0f} %)" for name, n in counts.items()))
    if unseen := sorted(set(prediction.recordings) - set(table["recording"])):
        more = f" and {len(unseen) - 3} more" if len(unseen) > 3 else ""
        lines.append(f"nobody was seen in {', '.join(unseen[:3])}{more}")
    return "\n".join([*lines, *_short_line(prediction), *_label_line(prediction)])


def _short_line(prediction: Prediction) -> list[str]:
    """Warn of windows that are mostly padding."""
    if prediction.stride is None:
        return []
    seconds = prediction.table["stop_seconds"] - prediction.table["start_seconds"]
    short = int((seconds < prediction.info.seconds / 2).sum())
    full = f"the {prediction.info.seconds:.2f} s that the network looks at"
    return [f"{count(short, 'window')} shorter than half of {full}: an answer to little movement"] if short else []


def _label_line(prediction: Prediction) -> list[str]:
    table = prediction.table
    if "label" not in table:
        return []
    known = table[table["label"].isin(prediction.info.classes) & (table["prediction"] != NOT_SURE)]
    right = int((known["label"] == known["prediction"]).sum())
    return [
        f"as labelled: {right} of {len(known)} answers; training clips among them count too, so that this is no score"
    ]
