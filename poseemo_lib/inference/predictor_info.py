"""What is known of a predictor; imports no torch."""

from dataclasses import dataclass, field

from poseemo_lib.features.preparation import Preparation


@dataclass(frozen=True)
class PredictorInfo:
    """What is known of a predictor.

    Parameters
    ----------
    name : str
        Architecture and origin.
    classes : tuple of str
        In the order of the probabilities.
    temperature : float
        Divides the logarithms of the network's probabilities (:mod:`poseemo_lib.training.calibration`).
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
        known baseline and baseline_name, the best baseline on the same clips. Empty if unknown.
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
