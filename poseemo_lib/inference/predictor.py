"""From keypoints of any length to calibrated probabilities, window by window, by a run or an exported network.

Imports no torch, so that an exported network predicts without it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from poseemo_lib.data.formats import Recording
from poseemo_lib.errors import UsageError
from poseemo_lib.features.windows import Window, cut_windows
from poseemo_lib.inference.predictor_info import PredictorInfo
from poseemo_lib.paths import resolve
from poseemo_lib.training.evaluation import probability_columns
from poseemo_lib.training.parameters import is_baseline

NOT_SURE = "not sure"
# Seconds from the end of one window to the end of the next.
STRIDE = 0.4
# Windows that are predicted together: enough to be fast, and bounded in memory.
BATCH = 128


class Predictor(Protocol):
    """What turns windows of keypoints into probabilities."""

    info: PredictorInfo

    def probabilities(self, windows: Sequence[Window], fps: float, width: int, height: int) -> np.ndarray:
        """Predict windows of one recording with `fps` frames per second and pictures of `width` x `height` pixels.

        Returns calibrated probabilities, array (W, C), float64; rows add up to 1.
        """
        ...


def load_predictor(path: str | Path) -> Predictor:
    """Open a trained network or baseline: the folder of one run, or an exported network (`.onnx`).

    Raises
    ------
    UsageError
        There is nothing, or a folder of several runs: the message names some of them.
    PoseemoError
        The run is incomplete or damaged.
    """
    place = Path(resolve(path))
    if place.suffix.lower() == ".onnx":
        from poseemo_lib.inference.onnx_predictor import OnnxPredictor

        return OnnxPredictor(place)
    if not place.is_dir():
        found = "a file of another kind" if place.exists() else "nothing"
        raise UsageError(f"{path}: wanted the folder of a run or a file NAME.onnx, found {found}")
    from poseemo_lib.inference.torch_predictor import BaselinePredictor, TorchPredictor, open_run

    run = open_run(place)
    return (BaselinePredictor if is_baseline(run.record["parameters"]["architecture"]) else TorchPredictor)(run)


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
        One row a window, in the order of time: start_seconds, stop_seconds, people (1 or 2), tracks (their numbers, by
        falling weight), p_<class> for each class, prediction (a class, or "not sure") and confidence (the largest
        probability). Empty if nobody was seen.
    """
    return predict_windows(predictor, windows_of(predictor.info, recording, stride=stride, cuts=cuts), recording)


def windows_of(
    info: PredictorInfo, recording: Recording, *, stride: float = STRIDE, cuts: Sequence[int] = ()
) -> list[Window]:
    """Cut a recording into the windows that a predictor wants; see :func:`predict_recording`."""
    how = {"tracked": recording.tracked, "stride": stride, "people": info.preparation.people, "cuts": cuts}
    return cut_windows(recording.keypoints, recording.fps, info.n_frames, info.fps, **how)


def predict_windows(predictor: Predictor, windows: Sequence[Window], recording: Recording) -> pd.DataFrame:
    """Predict windows of one recording; see :func:`predict_recording`."""
    size = (recording.fps, recording.width, recording.height)
    batches = [predictor.probabilities(windows[i : i + BATCH], *size) for i in range(0, len(windows), BATCH)]
    probabilities = np.concatenate(batches) if batches else np.zeros((0, len(predictor.info.classes)))
    return window_table(windows, probabilities, recording.fps, predictor.info)


def window_table(windows: Sequence[Window], probabilities: np.ndarray, fps: float, info: PredictorInfo) -> pd.DataFrame:
    """Make the table of windows and their probabilities (W, C); see :func:`predict_recording`."""
    columns = {
        "start_seconds": np.array([window.start for window in windows], float) / fps,
        "stop_seconds": np.array([window.stop for window in windows], float) / fps,
        "people": np.array([(window.keypoints[..., 2] > 0).any((0, 2)).sum() for window in windows], int),
        "tracks": np.array([" ".join(map(str, window.tracks)) for window in windows], object),
    }
    return pd.concat([pd.DataFrame(columns), prediction_columns(probabilities, info)], axis=1)


def prediction_columns(probabilities: np.ndarray, info: PredictorInfo) -> pd.DataFrame:
    """Turn calibrated probabilities (N, C) into the columns p_<class>, prediction and confidence."""
    table = pd.DataFrame(probabilities, columns=probability_columns(info.classes))
    table["prediction"] = np.array(name_predictions(probabilities, info), object)
    table["confidence"] = probabilities.max(1, initial=0)
    return table


def name_predictions(probabilities: np.ndarray, info: PredictorInfo) -> list[str]:
    """Name the most probable class of each row (N, C), or "not sure" below the predictor's threshold."""
    sure = probabilities.max(1, initial=0) >= info.abstain_below
    return [info.classes[k] if enough else NOT_SURE for k, enough in zip(probabilities.argmax(1), sure, strict=True)]
