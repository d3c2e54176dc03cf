import pytest
import torch
from test_models import batch
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from poseemo_lib.errors import UsageError
from poseemo_lib.features.tensor_features import N_FEATURES
from poseemo_lib.models import MODELS, build_model
from poseemo_lib.models.layers import Dropout, MaskedBatchNorm, TemporalConv, dropout, run_recurrent


def channels_first():
    features, mask = batch()
    return features[..., :6].transpose(1, 2), mask  # (B, D, T)


@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (3, 4), (11, 1)])
def test_a_convolution_is_torchs_on_each_clip_alone(kernel, dilation):
    x, mask = channels_first()
    conv = TemporalConv(6, 5, kernel, dilation)
    out = conv(torch.where(mask[:, None], x, 1e3), mask)
    for mapped, clip, n in zip(out, x, mask.sum(1), strict=True):
        wanted = functional.conv1d(clip[None, :, :n], conv.weight, conv.bias, padding="same", dilation=dilation)
        torch.testing.assert_close(mapped[:, :n], wanted[0])


def test_a_kernel_that_would_shift_the_frames_is_refused():
    with pytest.raises(UsageError, match="kernel: wanted an odd number of frames, got 4"):
        TemporalConv(6, 5, 4)


def test_batch_norm_is_torchs_on_the_real_frames():
    x, mask = channels_first()
    ours, torchs = MaskedBatchNorm(6), nn.BatchNorm1d(6)
    for layer in (ours, torchs):
        nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(0))
    inputs = [(3 + 2 * x).requires_grad_() for _ in range(2)]
    tables = [ours(inputs[0], mask).transpose(1, 2)[mask], torchs(inputs[1].transpose(1, 2)[mask])]
    for table in tables:
        table.pow(3).sum().backward()
    torch.testing.assert_close(*tables)
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours.weight.grad, torchs.weight.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(dict(ours.named_buffers()), dict(torchs.named_buffers()))
    torch.testing.assert_close(ours.eval()(x, mask), torchs.eval()(x))


@pytest.mark.parametrize("rnn", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("layers", [1, 2])
def test_recurrence_is_torchs_on_packed_clips(rnn, layers):
    features, mask = batch()
    torch.manual_seed(0)
    network = rnn(N_FEATURES, 5, layers, batch_first=True, bidirectional=True)
    packed = pack_padded_sequence(features, mask.sum(1), batch_first=True, enforce_sorted=False)
    wanted, last = network(packed)
    wanted, _ = pad_packed_sequence(wanted, batch_first=True, total_length=mask.shape[1])
    last = last[0] if rnn is nn.LSTM else last
    states, ends = run_recurrent(network, features, mask)
    torch.testing.assert_close(states[mask], wanted[mask])
    torch.testing.assert_close(ends, torch.cat([last[-2], last[-1]], -1))
    wanted_gradients = torch.autograd.grad(wanted[mask].square().sum(), network.parameters())
    gradients = torch.autograd.grad(states[mask].square().sum(), network.parameters())
    torch.testing.assert_close(gradients, wanted_gradients, atol=1e-4, rtol=1e-4)


def test_dropout_between_layers_is_on_in_training_only():
    features, mask = batch()
    network = nn.GRU(N_FEATURES, 5, 2, batch_first=True, bidirectional=True, dropout=0.5)
    assert not torch.equal(*(run_recurrent(network, features, mask)[0] for _ in range(2)))
    network.eval()
    assert torch.equal(*(run_recurrent(network, features, mask)[0] for _ in range(2)))


@pytest.mark.parametrize(("p", "dtype"), [(0.1, torch.float32), (0.3, torch.bfloat16), (0.75, torch.float64)])
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
def test_every_dropout_of_a_model_is_replaced(name):
    kinds = {type(layer) for layer in build_model(name).modules()}
    assert Dropout in kinds and nn.Dropout not in kinds
