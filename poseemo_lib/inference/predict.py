"""An input of any kind -> one table of answers: windows of each recording, or one answer for each clip of a dataset."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from poseemo_lib.errors import FormatError, UsageError
from poseemo_lib.features.windows import MIN_SEEN, Window
from poseemo_lib.inference.inputs import DATASET, OpenEstimator, Source, input_kind, read_sources
from poseemo_lib.inference.predictor import (
    STRIDE,
    Predictor,
    PredictorInfo,
    answers_table,
    windows_of,
    windows_table,
)

# Clips that are predicted together as wholes.
CLIP_BATCH = 256


@dataclass(frozen=True)
class Prediction:
    """What was recognised in an input.

    Parameters
    ----------
    info : PredictorInfo
    input : str
        The path, as it was given.
    kind : str
        See :func:`poseemo_lib.inference.inputs.input_kind`.
    stride : float or None
        Seconds between the ends of windows; None: one answer a clip.
    table : DataFrame
        One row a window, or a clip: recording, label where one is known, then the columns of
        `prediction.table_of_windows`, or of a clip those of `prediction.answers_table`.
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
    estimator: OpenEstimator | None = None,
    progress: bool = False,
    each: Callable[[Source, list[Window], pd.DataFrame], None] | None = None,
) -> Prediction:
    """Recognise a video, a keypoint file, a folder of them, or a dataset.

    Parameters
    ----------
    predictor : Predictor
    path : str or Path
    format, options
        See :func:`poseemo_lib.inference.inputs.input_kind` and `read_sources`.
    stride : float
        Seconds from the end of one window to the end of the next, above 0.
    clips : bool
        Of a dataset: one answer a clip, as in the evaluation of a run.
    estimator : callable, optional
        Opens the pose estimator for videos.
    progress : bool
        Show bars, in a terminal only.
    each : callable, optional
        Called with each recording, its windows and their table.

    Returns
    -------
    Prediction

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
    sources = read_sources(path, kind, faults, options=options, estimator=estimator, progress=progress)
    if clips:
        tables, recordings = _clip_tables(predictor, path, kind, sources)
    else:
        tables, recordings = _window_tables(predictor, sources, faults, stride, each)
    if not recordings:
        raise FormatError(faults[0] if len(faults) == 1 else f"{path}: nothing can be used; {'; '.join(faults[:3])}")
    table = pd.concat(tables, ignore_index=True)
    if table.empty:
        damage = f" ({'; '.join(faults[:3])})" if faults else ""
        raise FormatError(f"{path}: {no_windows(recordings.values())}, so that there is no answer{damage}")
    if table["label"].isna().all():
        table = table.drop(columns="label")
    return Prediction(predictor.info, str(path), kind, None if clips else stride, table, faults, recordings)


def no_windows(seconds: Iterable[float]) -> str:
    """Say why recordings of these lengths have no window."""
    return f"wanted at least {MIN_SEEN} frames with somebody in them, got fewer in {sum(seconds):.1f} s"


def _window_tables(predictor: Predictor, sources: Iterator[Source], faults: list[str], stride: float, each):
    tables, recordings = [], {}
    for source in sources:
        windows = windows_of(predictor.info, source.recording, stride=stride, cuts=source.cuts)
        table = windows_table(predictor, windows, source.recording)
        faults += [f"{source.name}: {source.damage}"] if source.damage else []
        recordings[source.name] = len(source.recording.keypoints) / source.recording.fps
        tables.append(_named(table, [source.name] * len(table), [source.label] * len(table)))
        if each:
            each(source, windows, table)
    return tables, recordings


def _clip_tables(predictor: Predictor, path: str | Path, kind: str, sources: Iterator[Source]):
    if kind != DATASET:
        raise UsageError(f"--clips: wants a dataset, got {path}, which is read as {kind}")
    if not hasattr(predictor, "clip_probabilities"):
        raise UsageError("--clips: wants the folder of a run; an exported network predicts windows")
    tables, recordings = [], {}
    for batch in _batched(sources):
        table = answers_table(predictor.clip_probabilities([source.clip for source in batch]), predictor.info)
        tables.append(_named(table, [source.name for source in batch], [source.label for source in batch]))
        recordings |= {source.name: source.clip.n_frames / source.clip.fps for source in batch}
    return tables, recordings


def _batched(sources: Iterator[Source]) -> Iterator[list[Source]]:
    while batch := list(itertools.islice(sources, CLIP_BATCH)):
        yield batch


def _named(table: pd.DataFrame, names: list[str], labels: list[str | None]) -> pd.DataFrame:
    """Put the recording and its label before the other columns."""
    facts = {"recording": pd.Series(names, dtype=object), "label": pd.Series(labels, dtype=object)}
    return pd.concat([pd.DataFrame(facts), table], axis=1)
