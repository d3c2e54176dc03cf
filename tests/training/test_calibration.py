import json

import numpy as np
import pandas as pd
import pytest
from made_runs import CLASSES, make_table, write_config

from poseemo_lib.analysis.results import load_results
from poseemo_lib.errors import PoseemoError
from poseemo_lib.training import metrics
from poseemo_lib.training.calibration import (
    ABSTAIN_BELOW,
    LEAST_GROUPS,
    TEMPERATURE_RANGE,
    calibrated,
    calibration_of,
    check_calibration,
    fit_temperature,
    prior_factors,
    scale_probabilities,
)
from poseemo_lib.training.evaluation import probability_columns
from poseemo_lib.training.parameters import check_parameters


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
    found = calibration_of(make_table(labels, predicted, np.arange(400) % 20, sure=0.95), CLASSES)
    assert found["fitted_on"] == "val" and found["n"] == 400 and found["abstain_below"] == ABSTAIN_BELOW
    # One confidence for all: calibrated it is the share of right predictions, and then nothing is left of the error.
    share = (labels == predicted).mean()
    assert found["before"]["ece"] == pytest.approx(0.95 - share) and found["after"]["ece"] < 0.01
    assert found["after"]["nll"] < found["before"]["nll"]
    assert found["coverage"] == 1 and found["accuracy"] == pytest.approx(share)


def test_a_guesser_abstains():
    labels = np.random.default_rng(0).integers(0, 3, 300)
    found = calibration_of(make_table(labels, np.zeros(300, int), np.arange(300) % 20, sure=0.9), CLASSES)
    assert found["coverage"] == 0 and found["accuracy"] is None


def test_a_table_keeps_all_but_its_probabilities():
    table = make_table(np.array([0, 1, 2]), np.array([0, 1, 1]), ["a", "b", "c"])
    other = calibrated(table, CLASSES, {"temperature": 2.0})
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
    # A run's own file is read; one of an older version knows no prior.
    (run.folder / "calibration.json").write_text('{"temperature": 3.0, "abstain_below": 0.5}')
    assert config.calibration(run)["temperature"] == 3.0
    old = config.calibrated("test")[run.seed][probability_columns(CLASSES)]
    assert np.allclose(old, scale_probabilities(raw, 3.0))


@pytest.mark.parametrize("text", ["{}", "[]", "3", '{"temperature": 0, "abstain_below": 0.5}', '{"temperature": NaN}'])
def test_a_damaged_file_is_named(text, tmp_path):
    write_config(tmp_path, "net", 0.5, seeds=(0,))
    (tmp_path / "net" / "seed-0" / "calibration.json").write_text(text)
    config = load_results(tmp_path)["net"]
    with pytest.raises(PoseemoError, match=r"calibration.json: wanted temperature from 0.05 to 100.0, got"):
        config.calibrated("test")


@pytest.mark.parametrize("factors", ["[1, 1, 1]", '{"angry": 1, "happy": 0, "sad": 1}', '{"angry": 1, "sad": 1}'])
def test_damaged_factors_are_named(factors):
    with pytest.raises(
        PoseemoError, match=r"c.json: wanted class_factors of (angry|happy) from 1e-09 .* got (0|None);"
    ):
        check_calibration(
            {"temperature": 1.0, "abstain_below": 0.5, "class_factors": json.loads(factors)}, CLASSES, "c.json"
        )


PRIOR = np.array([0.7, 0.2, 0.1])


def classifier_for_equal_shares(n, scale=1.0, shares=PRIOR):
    """Labels of some shares, posteriors for equal shares (their logits times `scale`), and the true posteriors."""
    rng = np.random.default_rng(0)
    labels = rng.choice(3, n, p=shares)
    x = rng.normal(np.array([-1.0, 0.0, 1.0])[labels], 1.0)
    likelihoods = np.exp(-0.5 * (x[:, None] - np.array([-1.0, 0.0, 1.0])) ** 2)
    equal, true = likelihoods**scale, likelihoods * shares
    return labels, equal / equal.sum(1, keepdims=True), true / true.sum(1, keepdims=True)


def table_of(labels, probabilities, n_groups=20):
    return make_table(labels, labels, np.arange(len(labels)) % n_groups).assign(
        **dict(zip(probability_columns(CLASSES), probabilities.T, strict=True))
    )


def trained_on(n, prior=PRIOR):
    return pd.DataFrame({"label": np.repeat(CLASSES, np.rint(np.asarray(prior) * n).astype(int))})


def test_factors_turn_equal_shares_into_the_posterior_by_bayes():
    _, equal, true = classifier_for_equal_shares(500)
    factors = prior_factors(check_parameters({"prior": "training"}), trained_on(1000), CLASSES)["training"]
    assert np.allclose(factors, 3 * PRIOR)
    assert np.allclose(scale_probabilities(equal, 1.0, factors), true, atol=1e-9)


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_the_prior_is_found_on_validation_with_its_temperature_and_predicts_better(scale):
    labels, equal, true = classifier_for_equal_shares(20_000, scale)
    priors = prior_factors(check_parameters({}), trained_on(1000), CLASSES)
    found = calibration_of(table_of(labels, equal), CLASSES, priors)
    assert found["prior"] == "training" and found["temperature"] == pytest.approx(scale, rel=0.05)
    assert found["after"]["nll"] == pytest.approx(metrics.log_losses(labels, true).mean(), abs=1e-3)
    for score in ("nll", "brier", "ece"):
        assert found["after"][score] < found["without_prior"][score] < found["before"][score] + 1e-3
    # Only a prior changes predictions: more are right, and the rare classes are found less often.
    assert found["without_prior"]["accuracy"] == found["before"]["accuracy"] < found["after"]["accuracy"]
    assert found["after"]["balanced_accuracy"] < found["before"]["balanced_accuracy"]


def test_too_few_groups_fit_nothing_and_a_prior_that_was_given_stays():
    labels, equal, _ = classifier_for_equal_shares(2000, scale=2.0)
    few, enough = (table_of(labels, equal, n) for n in (LEAST_GROUPS - 1, LEAST_GROUPS))
    priors = prior_factors(check_parameters({}), trained_on(1000), CLASSES)
    found, fitted = calibration_of(few, CLASSES, priors), calibration_of(enough, CLASSES, priors)
    assert (found["fitted_on"], found["temperature"], found["prior"]) == ("nothing", 1.0, "none")
    assert found["after"] == pytest.approx(found["before"]) and found["before"] == fitted["before"]
    assert fitted["fitted_on"] == "val" and fitted["after"]["nll"] < fitted["before"]["nll"]
    columns = probability_columns(CLASSES)
    assert np.allclose(calibrated(few, CLASSES, found)[columns], few[columns])
    (name,) = own = {"given": priors["training"]}
    found = calibration_of(few, CLASSES, own)
    assert found["prior"] == name and found["temperature"] == 1.0
    assert list(found["class_factors"].values()) == pytest.approx(list(own[name]))


def test_validation_of_equal_shares_rejects_the_training_shares_and_predictions_stay():
    labels, equal, _ = classifier_for_equal_shares(6000, shares=np.ones(3) / 3)
    found = calibration_of(
        table_of(labels, equal), CLASSES, prior_factors(check_parameters({}), trained_on(1000), CLASSES)
    )
    assert found["prior"] == "uniform" and set(found["class_factors"].values()) == {1.0}
    assert found["after"].items() <= found["without_prior"].items()
    assert (scale_probabilities(equal, found["temperature"], [1, 1, 1]).argmax(1) == equal.argmax(1)).all()


@pytest.mark.parametrize(
    ("values", "factors"),
    [
        ({"prior": "uniform"}, [1, 1, 1]),
        ({"prior": "training", "sampler": "uniform"}, [1, 1, 1]),
        ({"prior": "uniform", "sampler": "uniform"}, 1 / PRIOR),
        ({"prior": "training", "sampler": "uniform", "loss": "logit_adjustment"}, PRIOR),
        ({"prior": "training", "class_weights": "inverse", "allow_double_balancing": True}, PRIOR**2),
        ({"prior": "given", "given_prior": {"sad": 4, "angry": 1, "happy": "2e0"}}, [1, 2, 4]),
        ({"prior": "training", "architecture": "stratified"}, [1, 1, 1]),
        ({"prior": "training", "architecture": "extra_trees"}, PRIOR),
    ],
)
def test_factors_are_the_shares_wanted_over_those_trained_for(values, factors):
    (found,) = prior_factors(check_parameters(values), trained_on(1000), CLASSES).values()
    assert np.allclose(found / found[0], np.asarray(factors) / factors[0])


def test_copies_are_trained_on_but_are_no_share_and_a_class_without_clips_counts_as_one():
    real = trained_on(10, [0.8, 0.2, 0]).assign(origin="real")
    copies = pd.DataFrame({"label": ["happy"] * 6, "origin": "augmented"})
    both = pd.concat([real, copies])
    balanced = prior_factors(check_parameters({"prior": "training"}), both, CLASSES)["training"]
    assert np.allclose(balanced, 3 * np.array([8, 2, 1]) / 11)
    uniform = prior_factors(check_parameters({"prior": "training", "sampler": "uniform"}), both, CLASSES)["training"]
    assert np.allclose(uniform / uniform[0], [1, 2 / 8, 1])
