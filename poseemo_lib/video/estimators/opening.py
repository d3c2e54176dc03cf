"""Pose estimators behind one small interface: a picture in, every person's COCO-17 keypoints out."""

import importlib
import os
from pathlib import Path
from types import ModuleType
from typing import Protocol

import numpy as np

from poseemo_lib.errors import UsageError
from poseemo_lib.video.estimators import EstimatorInfo

ESTIMATORS = {
    "mediapipe": "poseemo_lib.video.estimators.mediapipe",
    "rtmo": "poseemo_lib.video.estimators.rtm",
    "rtmpose": "poseemo_lib.video.estimators.rtm",
}
MAX_POSES = 20
# The environment's name for a model file, for when none is given.
VARIABLE = "POSEEMO_POSE_MODEL"


class Estimator(Protocol):
    """An opened estimator; a context manager."""

    info: EstimatorInfo

    def estimate(self, rgb: np.ndarray, seconds: float) -> np.ndarray:
        """Return every person of a picture.

        Parameters
        ----------
        rgb : array (H, W, 3), uint8
        seconds : float
            Time of the picture in its recording; rises from call to call until :meth:`reset`.

        Returns
        -------
        array (P, 17, 3), float32
            COCO-17 in pixels, confidence 0..1; not seen: NaN, NaN, 0. P is 0 where nobody was found, and at most
            `people`. The order of people says nothing and may change from picture to picture.
        """

    def reset(self) -> None:
        """Forget the recording so far: another one begins."""

    def close(self) -> None:
        """Free what the estimator holds."""

    def __enter__(self) -> "Estimator": ...

    def __exit__(self, *error) -> None: ...


def open_estimator(
    name: str = "mediapipe",
    *,
    model: str | Path | None = None,
    people: int = 4,
    min_confidence: float = 0.5,
    device: str = "cpu",
) -> Estimator:
    """Open a pose estimator.

    Parameters
    ----------
    name : str
        A key of :data:`ESTIMATORS`.
    model : str or Path, optional
        The model file; for rtmpose "DETECTOR.onnx,POSE.onnx". Without it, the environment's POSEEMO_POSE_MODEL,
        else a file that is fetched once (see docs/estimators.md).
    people : int
        Give at most this many people a picture, 1 to 20.
    min_confidence : float
        Of a person, 0..1. Joints keep whatever confidence they have.
    device : str
        "cpu", "cuda", "cuda:1", "mps" or "rocm"; MediaPipe runs on the CPU. `info.provider` says what really runs.

    Raises
    ------
    UsageError
        There is no such estimator, it is not installed, an option is out of range, or the model file is missing,
        empty or no model of this kind.
    PoseemoError
        The model cannot be fetched.
    """
    if not 1 <= people <= MAX_POSES:
        raise UsageError(f"people: wanted 1 to {MAX_POSES}, got {people!r}")
    if not 0 <= min_confidence <= 1:
        raise UsageError(f"min_confidence: wanted 0 to 1, got {min_confidence!r}")
    module = _module(name)
    paths = module.find_model(name, _named(model))
    return module.open_model(name, paths, people=people, min_confidence=min_confidence, device=device)


def find_model(name: str = "mediapipe", model: str | Path | None = None) -> str:
    """Return the model file that `open_estimator` would take, fetched if need be; to be given to it as `model`.

    Who opens the same estimator in many processes calls this once before, so that the model is fetched once.

    Parameters
    ----------
    name, model
        As for :func:`open_estimator`.

    Returns
    -------
    str
        Absolute path of the file, or two paths with a comma between.

    Raises
    ------
    UsageError, PoseemoError
        As :func:`open_estimator` does for the model.
    """
    return ",".join(str(path.absolute()) for path in _module(name).find_model(name, _named(model)))


def _module(name: str) -> ModuleType:
    if name not in ESTIMATORS:
        raise UsageError(f"estimator: wanted one of {', '.join(ESTIMATORS)}, got {name!r}")
    return importlib.import_module(ESTIMATORS[name])


def _named(model: str | Path | None) -> str | Path | None:
    return model or os.environ.get(VARIABLE)
