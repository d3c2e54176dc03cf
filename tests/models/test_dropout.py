import pytest
import torch
from torch import nn

from poseemo_lib.models import MODELS, build_model
from poseemo_lib.models.dropout import Dropout, dropout, with_fast_dropout


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("p", [0.1, 0.3, 0.75])
def test_the_share_that_is_dropped_the_scale_and_the_gradient(p, dtype):
    torch.manual_seed(4)
    x = torch.full((9, 333, 70), 2.0, dtype=dtype).requires_grad_()
    out = dropout(x, p, True)
    out.sum().backward()
    kept = out != 0
    assert abs(float((~kept).double().mean()) - p) < 0.005
    torch.testing.assert_close(out[kept], torch.full_like(out[kept], 2 / (1 - p)))
    torch.testing.assert_close(x.grad, out.detach() / 2)


def test_masks_follow_from_torchs_seed_and_are_new_each_time():
    x = torch.ones(50, 7).T  # of any layout
    torch.manual_seed(1)
    first, second = dropout(x, 0.5, True), dropout(x, 0.5, True)
    torch.manual_seed(1)
    assert torch.equal(first, dropout(x, 0.5, True)) and not torch.equal(first, second)


def test_nothing_is_drawn_outside_training_and_of_nothing():
    x, before = torch.randn(4, 5), torch.get_rng_state()
    assert torch.equal(dropout(x, 0.5, False), x) and torch.equal(dropout(x, 0.0, True), x)
    assert torch.equal(before, torch.get_rng_state())
    assert dropout(x[:0], 0.5, True).shape == (0, 5) and not dropout(x, 1.0, True).any()


@pytest.mark.parametrize("name", MODELS)
def test_every_dropout_of_a_model_is_replaced_and_nothing_else_changes(name):
    model = build_model(name)
    assert not [layer for layer in model.modules() if type(layer) is nn.Dropout]
    assert with_fast_dropout(nn.Sequential(nn.Dropout(0.25)).eval())[0].training is False
    assert isinstance(with_fast_dropout(nn.Sequential(nn.Dropout(0.25)))[0], Dropout)
