"""From keypoints of any length to calibrated probabilities, window by window; what predicts is a run or an export.

Imports no torch, so that an exported network predicts without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from poseemo_lib.data.formats import Recording
from poseemo_lib.errors import UsageError
from poseemo_lib.features.preparation import Preparation
from poseemo_lib.features.windows import Window, cut_windows
from poseemo_lib.training.evaluation import probability_columns

NOT_SURE = "not sure"
# Seconds from the end of one window to the end of the next.
STRIDE = 0.4
# Windows that are predicted together: enough to be fast, and bounded in memory.
BATCH = 128


@dataclass(frozen=True)
class PredictorInfo:
    """What is known of a predictor.

    Parameters
    ----------
    name : str
        Architecture and where it comes from, for people.
    classes : tuple of str
        In the order of the probabilities.
    temperature : float
        Divides the logarithms of the network's probabilities (:mod:`poseemo_lib.training.calibration`).
    abstain_below : float
        With less confidence the answer is "not sure".
    n_frames : int
        Frames of a window, at the rate of the preparation.
    preparation : Preparation
    synthetic : bool
        Whether it was trained on synthetic data.
    statistics : dict
        What its training clips looked like (:mod:`poseemo_lib.data.dataset.statistics`); empty where that is not known.
    scores : dict
        Of its test: balanced_accuracy, chance (what a constant answer has), n, and where they are known baseline (the
        best balanced accuracy of a baseline on the same clips), baseline_name and leaks. Empty where nothing is known.
    """

    name: str
    classes: tuple[str, ...]
    temperature: float
    abstain_below: float
    n_frames: int
    preparation: Preparation
    synthetic: bool
    statistics: dict = field(default_factory=dict)
    scores: dict = field(default_factory=dict)

    @property
    def fps(self) -> float:
        """Frame rate that the network sees."""
        return self.preparation.fps

    @property
    def seconds(self) -> float:
        """Length of a window."""
        return self.n_frames / self.fps


class Predictor(Protocol):
    """What turns windows of keypoints into probabilities."""

    info: PredictorInfo

    def probabilities(self, windows: Sequence[Window], fps: float, width: int, height: int) -> np.ndarray:
        """Predict windows of one recording.

        Parameters
        ----------
        windows : sequence of Window
        fps : float
            Frame rate of their keypoints.
        width, height : int
            Size of the picture in pixels.

        Returns
        -------
        array (W, C), float64
            Calibrated; rows add up to 1.
        """
        ...


def load_predictor(path: str | Path) -> Predictor:
    """Open a trained network.

    Parameters
    ----------
    path : str or Path
        The folder of one run, or an exported network (`.onnx`).

    Returns
    -------
    Predictor

    Raises
    ------
    UsageError
        There is no such thing, or it is a folder of several runs: the message names some of them.
    PoseemoError
        The run is a baseline or not complete, or something of it is damaged.
    """
    from poseemo_lib.paths import resolve

    place = Path(resolve(path))
    if place.suffix.lower() == ".onnx":
        from poseemo_lib.inference.onnx_predictor import OnnxPredictor

        return OnnxPredictor(place)
    if not place.is_dir():
        found = "a file of another kind" if place.exists() else "nothing"
        raise UsageError(f"{path}: wanted the folder of a run or a file NAME.onnx, found {found}")
    from poseemo_lib.inference.torch_predictor import TorchPredictor

    return TorchPredictor(place)


def predict_recording(
    predictor: Predictor, recording: Recording, *, stride: float = STRIDE, cuts: Sequence[int] = ()
) -> pd.DataFrame:
    """Predict every window of a recording.

    Parameters
    ----------
    predictor : Predictor
    recording : Recording
    stride : float
        Seconds from the end of one window to the end of the next.
    cuts : sequence of int
        First frames of new scenes; no window straddles one.

    Returns
    -------
    DataFrame
        One row a window, in the order of time: see :func:`table_of_windows`. Empty where nobody was seen.
    """
    windows = windows_of(predictor.info, recording, stride=stride, cuts=cuts)
    return windows_table(predictor, windows, recording)


def windows_of(
    info: PredictorInfo, recording: Recording, *, stride: float = STRIDE, cuts: Sequence[int] = ()
) -> list[Window]:
    """Cut the windows that a predictor wants out of a recording; see :func:`predict_recording`."""
    return cut_windows(
        recording.keypoints,
        recording.fps,
        info.n_frames,
        info.fps,
        tracked=recording.tracked,
        stride=stride,
        people=info.preparation.people,
        cuts=cuts,
    )


def windows_table(predictor: Predictor, windows: Sequence[Window], recording: Recording) -> pd.DataFrame:
    """Predict windows of one recording: see :func:`table_of_windows`."""
    size = (recording.fps, recording.width, recording.height)
    parts = [predictor.probabilities(windows[i : i + BATCH], *size) for i in range(0, len(windows), BATCH)]
    probabilities = np.concatenate(parts) if parts else np.zeros((0, len(predictor.info.classes)))
    return table_of_windows(windows, probabilities, recording.fps, predictor.info)


def table_of_windows(
    windows: Sequence[Window], probabilities: np.ndarray, fps: float, info: PredictorInfo
) -> pd.DataFrame:
    """Put windows and their probabilities (W, C) into a table.

    Returns
    -------
    DataFrame
        One row a window: start_seconds, stop_seconds, people (1 or 2), tracks (their numbers, in the order of their
        weight), p_<class> for each class, answer (a class, or "not sure") and confidence (the largest probability).
    """
    return table_of([facts_of(window, fps) for window in windows], probabilities, info)


def facts_of(window: Window, fps: float) -> dict:
    """Return what a window's row begins with: start_seconds, stop_seconds, people, tracks."""
    return {
        "start_seconds": window.start / fps,
        "stop_seconds": window.stop / fps,
        "people": _count_people(window),
        "tracks": " ".join(map(str, window.tracks)),
    }


def table_of(facts: Sequence[dict], probabilities: np.ndarray, info: PredictorInfo) -> pd.DataFrame:
    """Put what :func:`facts_of` gave and probabilities (W, C) into a table: see :func:`table_of_windows`."""
    kinds = {"start_seconds": float, "stop_seconds": float, "people": int, "tracks": object}
    columns = {name: np.array([row[name] for row in facts], kind) for name, kind in kinds.items()}
    return pd.DataFrame(columns | _answer_columns(probabilities, info))


def answers_table(probabilities: np.ndarray, info: PredictorInfo) -> pd.DataFrame:
    """Turn calibrated probabilities (N, C) into the columns p_<class>, answer and confidence."""
    return pd.DataFrame(_answer_columns(probabilities, info))


def _answer_columns(probabilities: np.ndarray, info: PredictorInfo) -> dict[str, np.ndarray]:
    columns = dict(zip(probability_columns(info.classes), np.asarray(probabilities, np.float64).T, strict=True))
    columns["prediction"] = np.array(answers(probabilities, info), object)
    return columns | {"confidence": probabilities.max(1, initial=0)}


def answers(probabilities: np.ndarray, info: PredictorInfo) -> list[str]:
    """Name the most probable class of each row (N, C), or "not sure" below the predictor's threshold."""
    sure = probabilities.max(1, initial=0) >= info.abstain_below
    return [
        info.classes[best] if enough else NOT_SURE for best, enough in zip(probabilities.argmax(1), sure, strict=True)
    ]


def _count_people(window: Window) -> int:
    return int((window.keypoints[..., 2] > 0).any((0, 2)).sum())
