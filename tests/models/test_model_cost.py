import json

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from poseemo_lib.cli.__main__ import app
from poseemo_lib.errors import UsageError
from poseemo_lib.models import MODELS, build_model
from poseemo_lib.models.cost import count_multiply_adds, count_parameters, measure_latency
from poseemo_lib.models.layers import TemporalConv, run_recurrent

T, F = 64, 238


class Takes(nn.Module):
    """A network made of one layer, called like a model."""

    def __init__(self, layer, call):
        super().__init__()
        self.layer, self.call = layer, call

    def forward(self, features, mask):
        return self.call(self.layer, features, mask)


def recurrent(kind, layers=1):
    return Takes(kind(F, 10, layers, batch_first=True, bidirectional=True), run_recurrent)


def attention():
    return Takes(nn.MultiheadAttention(F, 7, batch_first=True), lambda layer, x, mask: layer(x, x, x, ~mask))


@pytest.mark.parametrize(
    ("network", "wanted"),
    [
        (Takes(nn.Linear(F, 10), lambda layer, x, mask: layer(x)), T * F * 10),
        (Takes(TemporalConv(F, 10, 3), lambda layer, x, mask: layer(x.transpose(1, 2), mask)), T * 3 * F * 10),
        # gates x hidden x (input + hidden) a step and direction
        (recurrent(nn.LSTM), 2 * T * 4 * 10 * (F + 10)),
        (recurrent(nn.LSTM, layers=2), 2 * T * 4 * 10 * (F + 10 + 20 + 10)),
        (recurrent(nn.GRU), 2 * T * 3 * 10 * (F + 10)),
        # query, key, value, output; scores and weighted sums
        (attention(), T * 4 * F * F + 2 * T * T * F),
    ],
    ids=["linear", "conv", "lstm", "lstm of two layers", "gru", "attention"],
)
def test_multiply_adds_have_their_closed_form(network, wanted):
    assert count_multiply_adds(network) == wanted
    assert torch.backends.mkldnn.enabled and torch.backends.mha.get_fastpath_enabled()


def test_multiply_adds_of_a_whole_model():
    frame = F * 256 + 8 * 256 * 256 + 256 * 128 + 128 + 256  # embedding, blocks, score, weighted sum
    assert count_multiply_adds(build_model("deep_residual")) == T * frame + 256 * 256 + 256 * 7
    # all but the head is done once a frame
    model, head = build_model("conv1d"), 256 * 128 + 128 * 7
    assert count_multiply_adds(model, 128) - head == 2 * (count_multiply_adds(model, 64) - head)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_a_cost(name):
    model = build_model(name)
    # most weights are used once a frame
    assert count_multiply_adds(model) > count_parameters(model)


def test_latency_is_measured_on_one_thread_and_leaves_all_else():
    seen = []

    class Spy(nn.Module):
        def forward(self, features, mask):
            seen.append((features.shape, bool(mask.all()), torch.get_num_threads(), self.training))
            return features.sum()

    before = torch.get_num_threads()
    spy = Spy().train()
    torch.set_num_threads(2)
    assert measure_latency(spy, 3, 8, repeats=4) > 0
    assert seen == 6 * [((3, 8, F), True, 1, False)]
    assert torch.get_num_threads() == 2 and spy.training
    torch.set_num_threads(before)


def poseemo_models(*arguments):
    return CliRunner().invoke(app, ["models", *arguments], catch_exceptions=False).stdout


def test_the_command_prints_a_table_or_json():
    text = poseemo_models("bilstm")
    assert "361,863" in text and "20,882,304" in text and "hidden=128" in text and f"torch {torch.__version__}" in text
    told = json.loads(poseemo_models("bilstm", "--set", "hidden=16", "--set", "layers=2", "--json"))
    assert told["measured_with"]["threads"] == 1
    (cost,), model = told["models"], build_model("bilstm", hidden=16, layers=2)
    assert (cost["parameters"], cost["multiply_adds"]) == (count_parameters(model), count_multiply_adds(model))
    assert cost["ms_alone"] > 0 and cost["ms_in_32"] > 0
    assert cost["hyper_parameters"] == {"hidden": 16, "layers": 2, "pooling": "attention", "dropout": 0.3}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("majority",), "majority: a baseline; wanted one of deep_residual"),
        (("--set", "hidden=3"), "--set: wanted the NAME of a model"),
        (("bilstm", "--set", "hiden=3"), "--set: model.hiden: unknown parameter; did you mean hidden?"),
    ],
)
def test_a_wrong_call_of_the_command_says_why(arguments, message):
    with pytest.raises(UsageError, match=message):
        poseemo_models(*arguments)
