"""Calibrated probabilities, fitted on validation, and the confidence below which the model abstains.

Temperature scaling (Guo et al. 2017, "On calibration of modern neural networks"): one number divides the logarithms of
a clip's probabilities, the means over its windows. The predicted classes stay, and the confidence becomes about how
often the model is right.

Below :data:`ABSTAIN_BELOW` the model abstains (Chow 1970, "On optimum recognition error and reject tradeoff"): at one
half, it predicts where it is more likely right than wrong.
"""

import numpy as np
import pandas as pd

from poseemo_lib.errors import PoseemoError
from poseemo_lib.training import metrics
from poseemo_lib.training.evaluation import probability_columns

ABSTAIN_BELOW = 0.5
# A temperature at an end of this range means that the probabilities carry no signal, as with one-hot predictions.
TEMPERATURE_RANGE = (0.05, 100.0)
# Smallest probability before its logarithm is divided.
LEAST_PROBABILITY = 1e-12


def scale_probabilities(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Divide the logarithms of probabilities (N, C) by a temperature above 0, and normalise them again.

    The most probable class of a row stays the most probable one.
    """
    logits = np.log(np.clip(np.asarray(probabilities, dtype=np.float64), LEAST_PROBABILITY, 1)) / temperature
    scaled = np.exp(logits - logits.max(-1, keepdims=True))
    return scaled / scaled.sum(-1, keepdims=True)


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Find the temperature in :data:`TEMPERATURE_RANGE` with the least negative log likelihood: (N,), (N, C)."""
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        return float(metrics.log_losses(labels, scale_probabilities(probabilities, np.exp(log_temperature))).mean())

    found = minimize_scalar(loss, bounds=np.log(TEMPERATURE_RANGE), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def calibration_of(validation: pd.DataFrame, classes: tuple[str, ...]) -> dict:
    """Calibrate one run on the predictions table of its validation split: the content of `calibration.json`.

    That is temperature, abstain_below, fitted_on, n, and on the same clips `before` and `after`: ece and nll; coverage
    (share of clips with a prediction) and accuracy of these predictions (None without any).
    """
    labels = pd.Index(classes).get_indexer(validation["label"])
    raw = validation[probability_columns(classes)].to_numpy()
    temperature = fit_temperature(labels, raw)
    scaled = scale_probabilities(raw, temperature)
    sure = scaled.max(1) >= ABSTAIN_BELOW
    right = scaled.argmax(1) == labels
    fit = {
        when: {
            "ece": metrics.expected_calibration_error(labels, values),
            "nll": float(metrics.log_losses(labels, values).mean()),
        }
        for when, values in (("before", raw), ("after", scaled))
    }
    return {
        "temperature": temperature,
        "abstain_below": ABSTAIN_BELOW,
        "fitted_on": "val",
        "n": len(labels),
        **fit,
        "coverage": float(sure.mean()),
        "accuracy": float(right[sure].mean()) if sure.any() else None,
    }


def check_calibration(content: object, where: str) -> None:
    """Raise PoseemoError if the temperature or the threshold of a `calibration.json` is missing or out of range."""
    ranges = {"temperature": TEMPERATURE_RANGE, "abstain_below": (0, 1)}
    for name, (low, high) in ranges.items():
        value = content.get(name) if isinstance(content, dict) else None
        if not (isinstance(value, int | float) and low <= value <= high):
            raise PoseemoError(
                f"{where}: wanted {name} from {low} to {high}, got {value!r}; remove the file, and it is fitted again"
            )


def calibrated(predictions: pd.DataFrame, classes: tuple[str, ...], temperature: float) -> pd.DataFrame:
    """Return a predictions table with its probabilities scaled."""
    columns = probability_columns(classes)
    scaled = scale_probabilities(predictions[columns], temperature)
    return predictions.assign(**dict(zip(columns, scaled.T, strict=True)))
