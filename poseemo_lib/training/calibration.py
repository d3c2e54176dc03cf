"""Calibrated probabilities, fitted on validation, and the confidence below which the model abstains.

Temperature scaling (Guo et al. 2017, "On calibration of modern neural networks"): one number divides the logarithms of
a clip's probabilities, the means over its windows. The predicted classes stay, and the confidence becomes about how
often the model is right.

Class prior (Saerens et al. 2002, "Adjusting the outputs of a classifier to new a priori probabilities", eq. 2.4): a
network that saw all classes equally often estimates probabilities for equal class shares. Each is multiplied by a
factor, the share wanted over the share trained for. This can change the predicted class.

With fewer than :data:`LEAST_GROUPS` groups in validation nothing is fitted, since it would fit these groups only.

Below :data:`ABSTAIN_BELOW` the model abstains (Chow 1970, "On optimum recognition error and reject tradeoff"): at one
half, it predicts where it is more likely right than wrong.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from poseemo_lib.errors import PoseemoError
from poseemo_lib.training import metrics
from poseemo_lib.training.evaluation import probability_columns
from poseemo_lib.training.parameters import RunParameters

ABSTAIN_BELOW = 0.5
# A temperature at an end of this range means that the probabilities carry no signal, as with one-hot predictions.
TEMPERATURE_RANGE = (0.05, 100.0)
# With fewer, the NLL of other groups rose on average (docs/LOG.md).
LEAST_GROUPS = 4
# Smallest probability before its logarithm is divided.
LEAST_PROBABILITY = 1e-12
# Scores of `calibration.json`.
FIT_SCORES = ("nll", "brier", "ece", "accuracy", "balanced_accuracy", "macro_f1")


def scale_probabilities(probabilities: np.ndarray, temperature: float, factors: Sequence[float] = ()) -> np.ndarray:
    """Divide the logarithms of probabilities (N, C) by a temperature above 0, and multiply the classes by factors (C,).

    The rows are normalised again. Without factors the most probable class of a row stays the most probable one.
    """
    logits = np.log(np.clip(np.asarray(probabilities, dtype=np.float64), LEAST_PROBABILITY, 1)) / temperature
    logits = logits + np.log(factors) if len(factors) else logits
    scaled = np.exp(logits - logits.max(-1, keepdims=True))
    return scaled / scaled.sum(-1, keepdims=True)


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray, factors: Sequence[float] = ()) -> float:
    """Find the temperature in :data:`TEMPERATURE_RANGE` with the least negative log likelihood: (N,), (N, C), (C,)."""
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        scaled = scale_probabilities(probabilities, np.exp(log_temperature), factors)
        return float(metrics.log_losses(labels, scaled).mean())

    found = minimize_scalar(loss, bounds=np.log(TEMPERATURE_RANGE), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def prior_factors(parameters: RunParameters, trained: pd.DataFrame, classes: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Compute the factors (C,) of each prior that `parameters.prior` allows, from the run's training clips.

    `trained` has their label and, if known, origin: copies count in what was trained, not in the shares of `training`.
    A class without clips counts as one, and `class_weights` given as a list count as inverse.
    """
    real = trained[trained["origin"] != "augmented"] if "origin" in trained else trained
    shares = {
        "training": real["label"].value_counts().reindex(classes).fillna(0).clip(lower=1),
        "uniform": pd.Series(1.0, classes),
        "given": pd.Series(parameters.given_prior, classes, dtype=float),
    }
    seen = trained["label"].value_counts().reindex(classes).fillna(0).clip(lower=1)
    trained_for = (seen / seen.sum()) ** (1 - len(parameters.corrections))
    names = ("training", "uniform") if parameters.prior == "auto" else (parameters.prior,)
    factors = {name: (shares[name] / shares[name].sum() / (trained_for / trained_for.sum())) for name in names}
    return {name: one.to_numpy() for name, one in factors.items()}


def calibration_of(
    validation: pd.DataFrame, classes: tuple[str, ...], priors: dict[str, np.ndarray] | None = None
) -> dict:
    """Calibrate one run on the predictions table of its validation split: the content of `calibration.json`.

    Of `priors`, from :func:`prior_factors`, that with the least negative log likelihood is used; None: no factors. With
    too few groups the temperature is 1, and a prior is used only where it is the only one.

    Returns temperature, prior (its name), class_factors, abstain_below, fitted_on (val, or nothing with too few
    groups), n, and on the same clips `before`, `without_prior` (with its own temperature) and `after`:
    :data:`FIT_SCORES`; coverage (share of clips with a prediction) and accuracy of these predictions (None without
    any).
    """
    labels = pd.Index(classes).get_indexer(validation["label"])
    raw = validation[probability_columns(classes)].to_numpy()

    def scores(probabilities: np.ndarray) -> dict:
        found = metrics.score_predictions(labels, probabilities, classes)
        return {name: found[name] for name in FIT_SCORES}

    few = validation["group_id"].nunique() < LEAST_GROUPS
    priors = priors if priors and not (few and len(priors) > 1) else {}
    fits = {}
    for name, factors in {"none": np.ones(len(classes)), **priors}.items():
        temperature = 1.0 if few else fit_temperature(labels, raw, factors)
        scaled = scale_probabilities(raw, temperature, factors)
        fits[name] = {"temperature": temperature, "factors": factors, "scaled": scaled, "scores": scores(scaled)}
    alone = fits["none"]
    prior = min(priors or ["none"], key=lambda name: fits[name]["scores"]["nll"])
    best = fits[prior]
    sure = best["scaled"].max(1) >= ABSTAIN_BELOW
    right = best["scaled"].argmax(1) == labels
    return {
        "temperature": best["temperature"],
        "prior": prior,
        "class_factors": dict(zip(classes, map(float, best["factors"]), strict=True)),
        "abstain_below": ABSTAIN_BELOW,
        "fitted_on": "nothing" if few else "val",
        "n": len(labels),
        "before": scores(raw),
        "without_prior": {"temperature": alone["temperature"], **alone["scores"]},
        "after": best["scores"],
        "coverage": float(sure.mean()),
        "accuracy": float(right[sure].mean()) if sure.any() else None,
    }


def check_calibration(content: object, classes: tuple[str, ...], where: str) -> None:
    """Raise PoseemoError if a number of a `calibration.json` is missing or out of range; older ones have no factors."""
    content = content if isinstance(content, dict) else {}
    factors = content.get("class_factors", dict.fromkeys(classes, 1.0))
    factors = factors if isinstance(factors, dict) else {}
    ranges = {"temperature": TEMPERATURE_RANGE, "abstain_below": (0, 1)}
    wanted = [(name, content.get(name), *ends) for name, ends in ranges.items()]
    wanted += [(f"class_factors of {name}", factors.get(name), 1e-9, 1e9) for name in classes]
    for name, value, low, high in wanted:
        if not (isinstance(value, int | float) and low <= value <= high):
            raise PoseemoError(
                f"{where}: wanted {name} from {low} to {high}, got {value!r}; remove the file, and it is fitted again"
            )


def factors_of(calibration: dict, classes: tuple[str, ...]) -> list[float]:
    """List the factors of a `calibration.json` in the order of the classes; 1 where it was made without them."""
    return [float(calibration.get("class_factors", {}).get(name, 1.0)) for name in classes]


def calibrated(
    predictions: pd.DataFrame, classes: tuple[str, ...], calibration: dict, *, prior: bool = True
) -> pd.DataFrame:
    """Return a predictions table, calibrated as a `calibration.json` says; without `prior` by a temperature alone."""
    columns = probability_columns(classes)
    fit = calibration if prior else calibration.get("without_prior", calibration)
    scaled = scale_probabilities(predictions[columns], fit["temperature"], factors_of(fit, classes))
    return predictions.assign(**dict(zip(columns, scaled.T, strict=True)))
