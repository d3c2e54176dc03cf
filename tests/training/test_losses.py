import numpy as np
import pytest
import torch
from torch.nn import functional

from poseemo_lib.training.losses import classification_losses, log_class_prior

LOGITS = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(16) % 4


def test_cross_entropy_is_torchs():
    weights = torch.tensor([1.0, 2.0, 0.5, 3.0])
    wanted = functional.cross_entropy(LOGITS, LABELS, weight=weights, label_smoothing=0.1, reduction="none")
    torch.testing.assert_close(
        classification_losses(LOGITS, LABELS, label_smoothing=0.1, class_weights=weights), wanted
    )


def test_shares_of_ratings_are_smoothed_and_weighted_like_labels():
    shares = functional.one_hot(LABELS, 4).float()
    shares[0], shares[1] = torch.tensor([0.25, 0.5, 0.0, 0.25]), torch.tensor([0.0, 1 / 3, 2 / 3, 0.0])
    got = classification_losses(LOGITS, shares, label_smoothing=0.1)
    p = (LOGITS.double().exp() / LOGITS.double().exp().sum(1, keepdim=True)).log().numpy()
    by_hand = [-sum((0.9 * shares[i, c].item() + 0.1 / 4) * p[i, c] for c in range(4)) for i in range(2)]
    np.testing.assert_allclose(got[:2], by_hand, rtol=1e-5)
    weights = torch.tensor([1.0, 2.0, 0.5, 3.0])
    for more in ({"class_weights": weights}, {"loss": "logit_adjustment", "log_prior": weights.log()}):
        hard = classification_losses(LOGITS, LABELS, label_smoothing=0.1, **more)
        torch.testing.assert_close(classification_losses(LOGITS, shares, label_smoothing=0.1, **more)[2:], hard[2:])


def test_focal_is_the_papers_formula():
    p = LOGITS.softmax(1)[torch.arange(16), LABELS]
    torch.testing.assert_close(
        classification_losses(LOGITS, LABELS, loss="focal", focal_gamma=2.0), -((1 - p) ** 2) * p.log()
    )


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_has_a_finite_gradient_where_the_model_is_certain(gamma):
    logits = torch.tensor([[60.0, -60.0], [60.0, -60.0]], requires_grad=True)
    classification_losses(logits, torch.tensor([0, 1]), loss="focal", focal_gamma=gamma).sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_the_prior_is_the_share_and_an_absent_class_is_finite():
    prior = log_class_prior(torch.tensor([0, 0, 0, 1]), 3)
    torch.testing.assert_close(prior.exp(), torch.tensor([3.0, 1.0, 1.0]) / 5)


def test_adjusted_logits_fitted_to_an_imbalanced_sample_predict_for_a_balanced_one():
    """Two Gaussians, 9 to 1: the plain logits of the adjusted loss cut in the middle, those of cross-entropy do not."""
    generator = torch.Generator().manual_seed(0)
    x = torch.cat([torch.randn(1800, generator=generator) - 1, torch.randn(200, generator=generator) + 1])
    labels = torch.cat([torch.zeros(1800), torch.ones(200)]).long()
    cuts = {}
    for loss in ("cross_entropy", "logit_adjustment"):
        line = torch.zeros(2, requires_grad=True)
        optimizer = torch.optim.LBFGS([line], max_iter=100)

        def closure(loss=loss, line=line, optimizer=optimizer):
            optimizer.zero_grad()
            logits = torch.stack([torch.zeros_like(x), line[0] * x + line[1]], 1)
            value = classification_losses(logits, labels, loss=loss, log_prior=log_class_prior(labels, 2)).mean()
            value.backward()
            return value

        optimizer.step(closure)
        cuts[loss] = float(-line[1].detach() / line[0].detach())
    assert abs(cuts["logit_adjustment"]) < 0.2
    assert cuts["cross_entropy"] > 0.8  # log(9) / 2 = 1.1
