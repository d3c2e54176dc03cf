import numpy as np
import pandas as pd
import pytest
from made_runs import CLASSES, make_table, write_config

from poseemo_lib.analysis.results import load_results
from poseemo_lib.errors import PoseemoError
from poseemo_lib.training.calibration import (
    ABSTAIN_BELOW,
    TEMPERATURE_RANGE,
    calibrated,
    calibration_of,
    fit_temperature,
    scale_probabilities,
)
from poseemo_lib.training.evaluation import probability_columns


def drawn_logits(n, scale, seed=0):
    """Labels drawn from the probabilities of logits, and those logits times `scale`: the right temperature is it."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, 4))
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (probabilities.cumsum(1) > rng.random((n, 1))).argmax(1)
    return labels, np.exp(scale * logits) / np.exp(scale * logits).sum(1, keepdims=True)


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.5])
def test_the_temperature_that_was_put_in_is_found(scale):
    labels, probabilities = drawn_logits(20_000, scale)
    assert fit_temperature(labels, probabilities) == pytest.approx(scale, rel=0.05)


def test_scaling_keeps_predictions_and_sums_and_one_changes_nothing():
    _, probabilities = drawn_logits(500, 1.0)
    for temperature in (0.05, 1.0, 100.0):
        scaled = scale_probabilities(probabilities, temperature)
        assert np.allclose(scaled.sum(1), 1) and (scaled.argmax(1) == probabilities.argmax(1)).all()
    assert np.allclose(scale_probabilities(probabilities, 1.0), probabilities, atol=1e-6)
    assert scale_probabilities(probabilities, 2.0).max() < probabilities.max()


def test_certain_predictions_that_are_often_wrong_get_soft_and_stay_finite():
    labels = np.array([0, 0, 1, 2] * 25)
    certain = np.eye(3)[np.zeros(100, int)]
    temperature = fit_temperature(labels, certain)
    assert TEMPERATURE_RANGE[0] < temperature < TEMPERATURE_RANGE[1]
    assert scale_probabilities(certain, temperature)[:, 0] == pytest.approx(0.5, abs=1e-3)


def test_a_file_says_what_was_fitted_on_what():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 400)
    predicted = np.where(rng.random(400) < 0.6, labels, (labels + 1) % 3)
    found = calibration_of(make_table(labels, predicted, "g", sure=0.95), CLASSES)
    assert found["fitted_on"] == "val" and found["n"] == 400 and found["abstain_below"] == ABSTAIN_BELOW
    # One confidence for all: calibrated it is the share of right predictions, and then nothing is left of the error.
    share = (labels == predicted).mean()
    assert found["before"]["ece"] == pytest.approx(0.95 - share) and found["after"]["ece"] < 0.01
    assert found["after"]["nll"] < found["before"]["nll"]
    assert found["coverage"] == 1 and found["accuracy"] == pytest.approx(share)


def test_a_guesser_abstains():
    labels = np.random.default_rng(0).integers(0, 3, 300)
    found = calibration_of(make_table(labels, np.zeros(300, int), "g", sure=0.9), CLASSES)
    assert found["coverage"] == 0 and found["accuracy"] is None


def test_a_table_keeps_all_but_its_probabilities():
    table = make_table(np.array([0, 1, 2]), np.array([0, 1, 1]), ["a", "b", "c"])
    other = calibrated(table, CLASSES, 2.0)
    columns = probability_columns(CLASSES)
    pd.testing.assert_frame_equal(other.drop(columns=columns), table.drop(columns=columns))
    assert (
        np.allclose(other[columns].sum(axis=1), 1) and (other[columns].max(axis=1) < table[columns].max(axis=1)).all()
    )


def test_a_config_is_calibrated_run_by_run_on_validation_alone(tmp_path):
    write_config(tmp_path, "net", 0.5, val_share=0.9, seeds=(0, 1))
    config = load_results(tmp_path)["net"]
    for run in config.runs:
        expected = calibration_of(run.predictions("val"), CLASSES)["temperature"]
        assert config.calibration(run)["temperature"] == expected
        mine = config.calibrated("test")[run.seed][probability_columns(CLASSES)].to_numpy()
        raw = run.predictions("test")[probability_columns(CLASSES)].to_numpy()
        assert np.allclose(mine, scale_probabilities(raw, expected))
    assert (config.calibrated_scores.confusion == config.scores.confusion).all()
    # Validation promised 90 %, the test split has 50 %: the number fitted there says so here.
    assert config.calibrated_scores.score("ece")["mean"] == pytest.approx(0.4, abs=0.1)
    # A run's own file is read.
    (run.folder / "calibration.json").write_text('{"temperature": 3.0, "abstain_below": 0.5}')
    assert config.calibration(run)["temperature"] == 3.0


@pytest.mark.parametrize("text", ["{}", "[]", "3", '{"temperature": 0, "abstain_below": 0.5}', '{"temperature": NaN}'])
def test_a_damaged_file_is_named(text, tmp_path):
    write_config(tmp_path, "net", 0.5, seeds=(0,))
    (tmp_path / "net" / "seed-0" / "calibration.json").write_text(text)
    config = load_results(tmp_path)["net"]
    with pytest.raises(PoseemoError, match=r"calibration.json: wanted temperature from 0.05 to 100.0, got"):
        config.calibrated("test")
