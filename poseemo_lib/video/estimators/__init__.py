"""Pose estimators behind one small interface: a picture in, every person's COCO-17 keypoints out.

Read `open_estimator` first. Each module wraps one library.
"""

import importlib
import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from poseemo_lib.errors import UsageError

# Name -> module of this folder and its class.
_RTM = ("rtm", "RTMEstimator")
ESTIMATORS = {"mediapipe": ("mediapipe", "MediaPipeEstimator"), "rtmo": _RTM, "rtmpose": _RTM}
MAX_PEOPLE = 20
# Environment variable with a model file, for when none is given.
VARIABLE = "POSEEMO_POSE_MODEL"


@dataclass(frozen=True)
class EstimatorInfo:
    """What estimates the poses.

    `model` and `sha256` are name and hash of the model file, or two joined by ``+``; `provider` is the hardware that
    is really used, such as ``CPUExecutionProvider``; `licence` is that of code and weights.
    """

    name: str
    model: str
    sha256: str
    provider: str
    licence: str

    def text(self) -> str:
        """One line for `dataset.json`."""
        return f"{self.name} {self.model} sha256:{self.sha256}"


class Estimator(AbstractContextManager):
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
            COCO-17 in pixels, confidence 0..1; not seen: NaN, NaN, 0. At most `people` people, in any order.
        """
        raise NotImplementedError

    def reset(self) -> None:
        """Forget the recording so far: another one begins."""

    def close(self) -> None:
        """Free what the estimator holds."""

    def __exit__(self, *error) -> None:
        self.close()


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
        The model file; for rtmpose "DETECTOR.onnx,POSE.onnx". Default: the environment's POSEEMO_POSE_MODEL, else a
        file that is fetched once (see docs/estimators.md).
    people : int
        Most people to return a picture, 1 to 20.
    min_confidence : float
        Least confidence of a person, 0..1. Joints of any confidence are kept.
    device : str
        "cpu", "cuda", "cuda:1", "mps" or "rocm"; MediaPipe runs on the CPU. `info.provider` says what is really used.

    Raises
    ------
    UsageError
        The estimator is unknown or not installed, an option is out of range, or the model file is unusable.
    PoseemoError
        The model cannot be fetched.
    """
    if not 1 <= people <= MAX_PEOPLE:
        raise UsageError(f"people: wanted 1 to {MAX_PEOPLE}, got {people!r}")
    if not 0 <= min_confidence <= 1:
        raise UsageError(f"min_confidence: wanted 0 to 1, got {min_confidence!r}")
    module, paths = _find(name, model)
    opened = getattr(module, ESTIMATORS[name][1])
    return opened(name, paths, people=people, min_confidence=min_confidence, device=device)


def find_model(name: str = "mediapipe", model: str | Path | None = None) -> str:
    """Return the absolute path of the model file that `open_estimator` would use, fetched if need be.

    Call it once before several processes open the same estimator. Two files are joined by a comma. Raises as
    :func:`open_estimator` does.
    """
    return ",".join(str(path.absolute()) for path in _find(name, model)[1])


def _find(name: str, model: str | Path | None) -> tuple[ModuleType, tuple[Path, ...]]:
    """Return an estimator's module and its model files."""
    if name not in ESTIMATORS:
        raise UsageError(f"estimator: wanted one of {', '.join(ESTIMATORS)}, got {name!r}")
    module = importlib.import_module(f"poseemo_lib.video.estimators.{ESTIMATORS[name][0]}")
    return module, module.find_model(name, model or os.environ.get(VARIABLE))
