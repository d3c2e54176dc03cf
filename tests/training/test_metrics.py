import json

import numpy as np
import pytest
from sklearn import metrics as sk

from poseemo_lib.clips import EMOTIONS
from poseemo_lib.training import metrics


@pytest.fixture
def random_predictions():
    rng = np.random.default_rng(3)
    labels = rng.choice(7, size=400, p=[0.3, 0.25, 0.2, 0.1, 0.05, 0.05, 0.05])
    probabilities = rng.dirichlet(np.ones(7), size=400)
    probabilities[np.arange(400), labels] += 0.3
    return labels, probabilities / probabilities.sum(1, keepdims=True)


def test_agrees_with_scikit_learn(random_predictions):
    labels, probabilities = random_predictions
    predicted = probabilities.argmax(1)
    confusion = metrics.confusion_counts(labels, predicted, 7)
    np.testing.assert_array_equal(confusion, sk.confusion_matrix(labels, predicted))
    scores = metrics.scores_from_confusion(confusion)
    precision, recall, f1, support = sk.precision_recall_fscore_support(labels, predicted, zero_division=0)
    wanted = {
        "accuracy": sk.accuracy_score(labels, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
        "macro_precision": precision.mean(),
        "macro_f1": f1.mean(),
        "kappa": sk.cohen_kappa_score(labels, predicted),
        "mcc": sk.matthews_corrcoef(labels, predicted),
    }
    for name, value in wanted.items():
        assert scores[name] == pytest.approx(value), name
    one = metrics.per_class_scores(confusion)
    for name, value in {"precision": precision, "recall": recall, "f1": f1, "support": support}.items():
        np.testing.assert_allclose(one[name], value, err_msg=name)
    assert metrics.top_k_hits(labels, probabilities, 2).mean() == pytest.approx(
        sk.top_k_accuracy_score(labels, probabilities, k=2)
    )
    assert metrics.log_losses(labels, probabilities).mean() == pytest.approx(sk.log_loss(labels, probabilities))


def test_macro_means_leave_out_classes_without_support():
    # Class 2 never occurs, but is predicted once.
    confusion = np.array([[4, 0, 0], [1, 2, 1], [0, 0, 0]])
    scores = metrics.scores_from_confusion(confusion)
    assert scores["balanced_accuracy"] == pytest.approx((1 + 0.5) / 2)
    assert scores["macro_precision"] == pytest.approx((4 / 5 + 1) / 2)
    assert scores["classes_above_5_percent"] == 2
    assert np.isnan(metrics.per_class_scores(confusion)["recall"][2])
    assert metrics.scores_from_confusion([[5, 95], [0, 100]])["classes_above_5_percent"] == 1
    assert metrics.scores_from_confusion([[6, 94], [0, 100]])["classes_above_5_percent"] == 2


def test_a_constant_prediction_one_class_only_and_nothing_at_all():
    scores = metrics.scores_from_confusion([[7, 0, 0], [2, 0, 0], [1, 0, 0]])
    assert scores["accuracy"] == pytest.approx(0.7)
    assert scores["balanced_accuracy"] == pytest.approx(1 / 3)
    assert scores["kappa"] == scores["mcc"] == 0
    assert metrics.scores_from_confusion([[5, 0], [0, 0]])["kappa"] == 0
    assert all(np.isnan(value) for value in metrics.scores_from_confusion(np.zeros((3, 3))).values())


def test_ties_count_as_drawn_at_random():
    always_first = np.tile([1.0, 0, 0, 0], (4, 1))
    # The first class is a hit, each of the three tied others is the second one in a third of the draws.
    assert metrics.top_k_hits(np.arange(4), always_first, 2).mean() == pytest.approx((1 + 3 * 1 / 3) / 4)
    assert metrics.top_k_hits(np.arange(4), np.full((4, 4), 0.25), 1).mean() == pytest.approx(0.25)
    assert metrics.top_k_hits(np.arange(4), always_first, 4).mean() == 1


def naive_ece(labels, probabilities, n_bins):
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    edges, total = np.linspace(0, 1, n_bins + 1), 0.0
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total


def test_brier_score_of_two_classes_is_twice_scikit_learn_s(random_predictions):
    labels, probabilities = np.array([0, 1, 1, 0]), np.array([0.9, 0.2, 0.6, 0.5])
    both = np.stack([probabilities, 1 - probabilities], 1)
    expected = 2 * sk.brier_score_loss(labels == 0, probabilities)
    assert metrics.brier_scores(labels, both).mean() == pytest.approx(expected)


def test_calibration_error(random_predictions):
    labels, probabilities = random_predictions
    assert metrics.expected_calibration_error(labels, probabilities) == pytest.approx(
        naive_ece(labels, probabilities, 15)
    )
    # Closed forms: always sure and always wrong; sure of 0.75 and right in three of four.
    assert metrics.expected_calibration_error(np.zeros(5, int), np.tile([0.0, 1.0], (5, 1))) == 1
    assert metrics.expected_calibration_error(np.array([0, 0, 0, 1]), np.tile([0.75, 0.25], (4, 1))) == 0


def test_score_predictions_is_json(random_predictions):
    labels, probabilities = random_predictions
    labels[labels == 6] = 0  # the last class has no clip
    scores = json.loads(json.dumps(metrics.score_predictions(labels, probabilities, EMOTIONS), allow_nan=False))
    assert scores["n"] == 400 and np.sum(scores["confusion"]) == 400
    assert scores["per_class"]["surprise"] == {"precision": None, "recall": None, "f1": None, "support": 0}
    assert scores["per_class"]["angry"]["support"] == (labels == 0).sum()
    assert scores["accuracy"] == pytest.approx((probabilities.argmax(1) == labels).mean())
    assert {"top_2_accuracy", "ece", "nll", "kappa", "mcc", "macro_f1", "classes_above_5_percent"} <= set(scores)
