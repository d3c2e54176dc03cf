"""The fast masks against those of torch: the same bits, and the same generator afterwards."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from poseemo_lib.models import MODELS, build_model
from poseemo_lib.models import dropout as module
from poseemo_lib.models.dropout import Dropout, draws_like_torch, dropout, random_mask, with_fast_dropout

same_draws = pytest.mark.skipif(not draws_like_torch(), reason="this build of torch draws its masks in another way")


def test_the_pinned_torch_is_drawn_like():
    assert draws_like_torch() or not torch.__version__.startswith("2.13.")


@same_draws
@pytest.mark.parametrize("drawn_before", [0, 1, 2, 5, 622, 623, 624, 625])
@pytest.mark.parametrize("size", [1, 2, 3, 311, 312, 313, 1000, 50_001])
def test_masks_and_the_generator_after_them(size, drawn_before):
    ours, theirs = (torch.Generator().manual_seed(size) for _ in range(2))
    for generator in (ours, theirs):
        torch.rand(drawn_before, generator=generator)
    mask = random_mask((size,), 0.7, 1.0, ours)
    assert torch.equal(mask, torch.empty(size).bernoulli_(0.7, generator=theirs))
    assert torch.equal(ours.get_state(), theirs.get_state())
    assert torch.equal(torch.randn(3, generator=ours), torch.randn(3, generator=theirs))


@pytest.mark.parametrize("p", [0.0, 0.1, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("layout", ["plain", "turned", "stepped"])
def test_values_and_gradients_are_those_of_torch(p, dtype, layout):
    x = torch.randn(9, 33, 70, generator=torch.Generator().manual_seed(1)).to(dtype)
    x = {"plain": x, "turned": x.permute(2, 0, 1), "stepped": x[:, ::2]}[layout]
    found = []
    for function in (dropout, functional.dropout):
        torch.manual_seed(4)
        given = x.detach().requires_grad_()
        out = function(given, p, True)
        (out * x).sum().backward()
        found.append((out.detach(), given.grad, torch.rand(2)))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_nothing_is_drawn_outside_training_and_of_nothing():
    x, before = torch.randn(4, 5), torch.get_rng_state()
    assert dropout(x, 0.5, False) is x and dropout(x[:0], 0.5, True).shape == (0, 5)
    assert torch.equal(before, torch.get_rng_state())


def test_another_generator_than_ours_is_left_to_torch(monkeypatch):
    """As on a build of torch whose masks are others."""
    draws_like_torch.cache_clear()
    monkeypatch.setattr(module, "_BITS", 52)
    monkeypatch.setattr(module, "random_mask", lambda shape, *_: torch.ones(shape))
    assert not draws_like_torch()
    torch.manual_seed(2)
    ours = dropout(torch.ones(100), 0.5, True)
    torch.manual_seed(2)
    assert torch.equal(ours, functional.dropout(torch.ones(100), 0.5))
    draws_like_torch.cache_clear()


@pytest.mark.parametrize("name", MODELS)
def test_a_model_trains_as_with_the_dropout_of_torch(name):
    small = {"hidden": 16} if "hidden" in MODELS[name].__init__.__kwdefaults__ else {}
    model = build_model(name, **small).train()
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Dropout)]
    assert layers and all(type(layer) is Dropout for layer in layers)
    features, mask = torch.randn(4, 16, 238), torch.ones(4, 16, dtype=torch.bool)
    torch.manual_seed(1)
    ours = model(features, mask)
    for layer in layers:
        layer.__class__ = nn.Dropout
    torch.manual_seed(1)
    assert torch.equal(ours, model(features, mask))


def test_the_rate_is_kept_and_nothing_else_changes():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.25), nn.Sequential(nn.Dropout(0.75)))
    names = list(model.state_dict())
    assert with_fast_dropout(model) is model and names == list(model.state_dict())
    assert (model[1].p, model[2][0].p) == (0.25, 0.75)
    assert not with_fast_dropout(nn.Sequential(nn.Dropout()).eval())[0].training


@pytest.mark.parametrize("p", [-0.1, 1.5])
def test_what_is_no_probability_is_refused_as_by_torch(p):
    with pytest.raises(ValueError, match="dropout probability"):
        dropout(torch.ones(4), p, True)
