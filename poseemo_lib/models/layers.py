"""Layers that architectures share: embedding, head and dropout; convolution, recurrence and pooling without padding.

Real frames come first in a window and are true in the mask. Padding a clip does not change the values on its real
frames.
"""

from collections.abc import Collection

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from poseemo_lib.errors import UsageError
from poseemo_lib.features.tensor_features import N_FEATURES

# Positions of ONNX's gates among torch's. LSTM: ONNX has input, output, forget, cell; torch has input, forget, cell,
# output. GRU: ONNX has update, reset, hidden; torch has reset, update, new.
_ONNX_GATES = {nn.LSTM: (0, 3, 1, 2), nn.GRU: (1, 0, 2)}


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Raise a UsageError where a hyper-parameter's value is none of `choices`."""
    if value not in choices:
        raise UsageError(f"{name}: wanted one of {', '.join(choices)}, got {value!r}")


def frame_embedding(hidden: int, dropout: float, *, norm: bool = True) -> nn.Sequential:
    """Project every frame: (B, T, F) -> (B, T, hidden)."""
    norms = [nn.LayerNorm(hidden)] if norm else []
    return nn.Sequential(nn.Linear(N_FEATURES, hidden), *norms, nn.ReLU(), nn.Dropout(dropout))


def classification_head(n_inputs: int, hidden: int, n_classes: int, dropout: float) -> nn.Sequential:
    """Classify a window by two layers: (B, n_inputs) -> logits (B, n_classes)."""
    return nn.Sequential(nn.Linear(n_inputs, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, n_classes))


class Dropout(nn.Dropout):
    """`nn.Dropout` in a quarter of its time on a CPU, where torch draws every value by itself."""

    def forward(self, x: Tensor) -> Tensor:
        """Set values to zero at random while training, and scale the others up."""
        return dropout(x, self.p, self.training)


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """Do what `functional.dropout` does, by other random numbers: 16 bits a value, of a generator seeded by torch's."""
    if not training or not 0 < p < 1 or x.device.type != "cpu":
        return functional.dropout(x, p, training)
    generator = np.random.SFC64(int(torch.randint(2**62, ())))
    bits = generator.random_raw(-(-x.numel() // 4)).view(np.uint16)[: x.numel()]
    kept = torch.from_numpy(bits >= round(p * 2**16)).view(x.shape)
    return x * kept.to(x.dtype).div_(1 - p)


def with_fast_dropout(model: nn.Module) -> nn.Module:
    """Replace every `nn.Dropout` in a model, also those inside layers of torch; return the model."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p))
    return model


class TemporalConv(nn.Conv1d):
    """Convolution over time that keeps the number of frames; beyond a clip's ends, padded or not, values are zero.

    Raises
    ------
    UsageError
        An even kernel, which would shift the frames.
    """

    def __init__(self, n_in: int, n_out: int, kernel: int, dilation: int = 1):
        if kernel % 2 == 0:
            raise UsageError(f"kernel: wanted an odd number of frames, got {kernel}")
        super().__init__(n_in, n_out, kernel, padding=dilation * (kernel - 1) // 2, dilation=dilation)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map x (B, D, T) under mask (B, T) to (B, n_out, T)."""
        return super().forward(x.masked_fill(~mask[:, None], 0.0))


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation over the real frames of all clips (Ioffe and Szegedy 2015).

    It equals `nn.BatchNorm1d` on the real frames alone, in training too: padding enters neither the batch's statistics
    nor the running ones. A batch of one frame, which `nn.BatchNorm1d` refuses, has variance 0.
    """

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Normalise the channels of x (B, D, T) under mask (B, T)."""
        if not self.training:
            return super().forward(x)
        # Weighted sums, because selecting the real frames and putting them back is slower.
        real = mask[:, None]
        n = mask.sum()
        x = x.float().masked_fill(~real, 0.0)
        mean = x.sum((0, 2)) / n
        centred = (x - mean[:, None]).masked_fill(~real, 0.0)
        variance = centred.square().sum((0, 2)) / n
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * n / (n - 1).clamp(min=1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return centred * scale[:, None] + self.bias[:, None]


class ConvNorm(nn.Module):
    """:class:`TemporalConv`, then :class:`MaskedBatchNorm`."""

    def __init__(self, n_in: int, n_out: int, kernel: int, dilation: int = 1):
        super().__init__()
        self.conv = TemporalConv(n_in, n_out, kernel, dilation)
        self.norm = MaskedBatchNorm(n_out)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map x (B, D, T) under mask (B, T) to (B, n_out, T)."""
        return self.norm(self.conv(x, mask), mask)


def run_recurrent(rnn: nn.LSTM | nn.GRU, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Run a bidirectional recurrent network, batch first, over the real frames of x (B, T, D) under mask (B, T).

    Returns
    -------
    states : tensor (B, T, 2 hidden)
        Of the last layer, forward beside backward; without meaning on padding.
    last : tensor (B, 2 hidden)
        Where the two directions of the last layer end: forward at the last real frame, backward at the first.
    """
    # Packing is cuDNN's own way. On a CPU its gradient costs two to three times as much as reversing.
    return _run_packed(rnn, x, mask) if x.is_cuda else _run_reversed(rnn, x, mask)


def _run_packed(rnn: nn.LSTM | nn.GRU, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    packed = pack_padded_sequence(x, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False)
    states, last = rnn(packed)
    states, _ = pad_packed_sequence(states, batch_first=True, total_length=mask.shape[1])
    last = last[0] if isinstance(rnn, nn.LSTM) else last
    return states, torch.cat([last[-2], last[-1]], -1)


def _run_reversed(rnn: nn.LSTM | nn.GRU, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Run forward over the frames, with the padding last, and forward over each clip's real frames reversed."""
    frame, length = torch.arange(mask.shape[1], device=x.device), mask.sum(1, keepdim=True)
    # (B, T): frame t and this one change places; the same both ways
    mirrored = torch.where(frame < length, length - 1 - frame, frame)
    for layer in range(rnn.num_layers):
        if layer:
            x = dropout(x, rnn.dropout, rnn.training)
        forward_weights, backward_weights = rnn.all_weights[2 * layer : 2 * layer + 2]
        forward = _run_direction(rnn, x, forward_weights)
        backward = _run_direction(rnn, _take_frames(x, mirrored), backward_weights)
        x = torch.cat([forward, _take_frames(backward, mirrored)], -1)
    end = _take_frames(forward, length - 1)
    return x, torch.cat([end[:, 0], x[:, 0, rnn.hidden_size :]], -1)


def _take_frames(x: Tensor, frames: Tensor) -> Tensor:
    """Take frames (B, N) out of x (B, T, D): (B, N, D). `take_along_dim` would fix the batch size of an export."""
    return x.gather(1, frames[..., None].expand(-1, -1, x.shape[2]))


def _run_direction(rnn: nn.LSTM | nn.GRU, x: Tensor, weights: list[Tensor]) -> Tensor:
    """Run one layer in one direction from a state of zeros: x (B, T, D) -> (B, T, hidden)."""
    if torch.compiler.is_exporting():
        return _onnx_direction(rnn, x, weights)
    start = x.new_zeros(1, x.shape[0], rnn.hidden_size)
    options = (True, 1, 0.0, rnn.training, False, True)  # biases, layers, dropout, train, bidirectional, batch_first
    if isinstance(rnn, nn.LSTM):
        return torch.lstm(x, (start, start), weights, *options)[0]
    return torch.gru(x, start, weights, *options)[0]


def _onnx_direction(rnn: nn.LSTM | nn.GRU, x: Tensor, weights: list[Tensor]) -> Tensor:
    """Put ONNX's own operator (LSTM-14, GRU-14) into an exported graph; exporting torch's would fix the batch size."""
    gates = _ONNX_GATES[type(rnn)]

    def reordered(values: Tensor) -> Tensor:  # (gates * hidden, ...)
        return values.unflatten(0, (len(gates), -1))[list(gates)].flatten(0, 1)

    inputs, states, *biases = map(reordered, weights)
    attributes = {"hidden_size": rnn.hidden_size, "direction": "forward"}
    if isinstance(rnn, nn.GRU):
        attributes["linear_before_reset"] = 1  # torch's multiplies by the reset gate after its matrix product
    shape = (x.shape[1], 1, x.shape[0], rnn.hidden_size)  # (T, directions, B, hidden)
    values = (x.transpose(0, 1), inputs[None], states[None], torch.cat(biases)[None])
    name = type(rnn).__name__
    out = torch.onnx.ops.symbolic(name, values, attributes, dtype=x.dtype, shape=shape, version=14)
    return out[:, 0].transpose(0, 1)


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over the real frames: x (B, T, D), mask (B, T) -> (B, D)."""
    weights = mask.to(x.dtype)[..., None]
    return (x * weights).sum(1) / weights.sum(1).clamp(min=1)


def masked_max(x: Tensor, mask: Tensor) -> Tensor:
    """Maximum over the real frames: x (B, T, D), mask (B, T) -> (B, D)."""
    return x.masked_fill(~mask[..., None], -torch.inf).amax(1)


def masked_mean_std(x: Tensor, mask: Tensor) -> Tensor:
    """Mean beside standard deviation over the real frames (statistics pooling, Snyder et al. 2018): -> (B, 2 D)."""
    mean = masked_mean(x, mask)
    variance = masked_mean((x - mean[:, None]).square(), mask)
    # The small number keeps the root's gradient finite where a channel does not move.
    return torch.cat([mean, (variance + 1e-5).sqrt()], -1)


class PlainPooling(nn.Module):
    """One of the functions above as a module."""

    def __init__(self, name: str):
        super().__init__()
        self.pool = {"mean": masked_mean, "max": masked_max, "mean_std": masked_mean_std}[name]
        self.expansion = 2 if name == "mean_std" else 1

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool x (B, T, D) under mask (B, T) to (B, D), or to (B, 2 D)."""
        return self.pool(x, mask)


class AttentionPooling(nn.Module):
    """Mean over time with learned weights (Bahdanau et al. 2015, additive attention without a query)."""

    expansion = 1

    def __init__(self, n_channels: int, n_hidden: int):
        super().__init__()
        # No bias on the score: the softmax cancels it.
        self.score = nn.Sequential(nn.Linear(n_channels, n_hidden), nn.Tanh(), nn.Linear(n_hidden, 1, bias=False))

    def weights(self, x: Tensor, mask: Tensor) -> Tensor:
        """Attention over time: x (B, T, D), mask (B, T) -> (B, T), 0 on padding, sum 1."""
        return self.score(x).squeeze(-1).masked_fill(~mask, -torch.inf).softmax(1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool x (B, T, D) under mask (B, T) to (B, D)."""
        return (self.weights(x, mask)[:, None] @ x).squeeze(1)


POOLINGS = ("attention", "mean", "max", "mean_std")


def build_pooling(name: str, n_channels: int, n_hidden: int) -> nn.Module:
    """Make a pooling of frames of `n_channels`, with `n_hidden` units in attention's scoring layer.

    Its attribute `expansion` says how much wider the result is than a frame. An unknown name raises a UsageError.
    """
    check_choice("pooling", name, POOLINGS)
    return AttentionPooling(n_channels, n_hidden) if name == "attention" else PlainPooling(name)
