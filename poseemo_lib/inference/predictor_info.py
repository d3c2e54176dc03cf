"""What is known of a predictor, and how windows are prepared for it; imports no torch."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from poseemo_lib.features.preparation import Preparation, prepare
from poseemo_lib.features.windows import Window
from poseemo_lib.skeleton import MAX_PEOPLE, N_KEYPOINTS


class PredictorInfo(BaseModel):
    """What is known of a predictor.

    Parameters
    ----------
    name : str
        Architecture and origin; not written into the sidecar of an exported network.
    classes : tuple of str
        In the order of the probabilities.
    temperature : float
        Divides the logarithms of the network's probabilities (:mod:`poseemo_lib.training.calibration`).
    class_factors : tuple of float
        Multiply the classes' probabilities after that, for the class prior; empty: all 1, as in older files.
    abstain_below : float
        With less confidence the prediction is "not sure".
    n_frames : int
        Frames of a window, at the rate of the preparation.
    preparation : Preparation
    synthetic : bool
        Trained on synthetic data.
    statistics : dict
        Measures of its training clips (:mod:`poseemo_lib.data.dataset.statistics`); empty if unknown.
    scores : dict
        On its test clips: balanced_accuracy, chance (balanced accuracy of a constant prediction), n, leaks, and if
        known baseline and baseline_name, the best baseline on the same clips, all as trained; raw and calibrated
        (accuracy and balanced_accuracy). Empty if unknown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field("", exclude=True)
    classes: tuple[str, ...] = Field(min_length=2)
    temperature: float = Field(gt=0)
    class_factors: tuple[Annotated[float, Field(gt=0)], ...] = ()
    abstain_below: float = Field(ge=0, le=1)
    n_frames: int = Field(ge=1)
    preparation: Preparation
    synthetic: bool
    statistics: dict = {}
    scores: dict = {}

    @model_validator(mode="after")
    def _consistent(self) -> "PredictorInfo":
        if len(self.class_factors) not in (0, len(self.classes)):
            raise ValueError(f"class_factors: wanted {len(self.classes)}, got {len(self.class_factors)}")
        return self

    @property
    def fps(self) -> float:
        """Frame rate that the network sees."""
        return self.preparation.fps

    @property
    def note(self) -> str:
        """What every picture of its predictions must say; may be empty."""
        return "trained on synthetic data" if self.synthetic else ""

    @property
    def seconds(self) -> float:
        """Length of a window."""
        return self.n_frames / self.fps


def prepare_windows(
    info: PredictorInfo, windows: Sequence[Window], fps: float, width: int, height: int
) -> tuple[np.ndarray, np.ndarray]:
    """Prepare each window as a clip of its own, and keep its first frames.

    Returns
    -------
    keypoints : array (W, n_frames, 2, 17, 3), float32
        Missing, and padding: NaN, NaN, 0.
    mask : bool array (W, n_frames)
        True for real frames.
    """
    keypoints = np.full((len(windows), info.n_frames, MAX_PEOPLE, N_KEYPOINTS, 3), np.nan, np.float32)
    keypoints[..., 2] = 0
    mask = np.zeros(keypoints.shape[:2], bool)
    for k, window in enumerate(windows):
        clean = prepare(window.keypoints, fps, width, height, info.preparation)[: info.n_frames]
        keypoints[k, : len(clean)], mask[k, : len(clean)] = clean, True
    return keypoints, mask
