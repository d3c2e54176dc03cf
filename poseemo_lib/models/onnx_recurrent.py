"""LSTM and GRU as ONNX's own operators: `torch.export` would fix the batch size of torch's.

ONNX operators LSTM-14 and GRU-14: https://onnx.ai/onnx/operators. Their gates come in another order than torch's.
"""

import torch
from torch import Tensor, nn

# Places of ONNX's gates among torch's: input, output, forget, cell out of input, forget, cell, output;
# update, reset, hidden out of reset, update, new.
_GATES = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}


def onnx_direction(rnn: nn.LSTM | nn.GRU, x: Tensor, weights: list[Tensor]) -> Tensor:
    """Put one layer in one direction into the graph that is exported: x (B, T, D) -> (B, T, hidden).

    Parameters
    ----------
    rnn : nn.LSTM or nn.GRU
        Says which, and its width.
    x : tensor (B, T, D)
    weights : list of 4 tensors
        Of the input, of the state, and the biases of both, as torch has them.
    """
    name = "LSTM" if isinstance(rnn, nn.LSTM) else "GRU"
    inputs, states, *biases = (_reordered(value, _GATES[name]) for value in weights)
    attributes = {"hidden_size": rnn.hidden_size, "direction": "forward"}
    # torch's GRU multiplies by the reset gate after its matrix product.
    attributes |= {"linear_before_reset": 1} if name == "GRU" else {}
    shape = (x.shape[1], 1, x.shape[0], rnn.hidden_size)  # (T, directions, B, hidden)
    values = (x.transpose(0, 1), inputs[None], states[None], torch.cat(biases)[None])
    return torch.onnx.ops.symbolic(name, values, attributes, dtype=x.dtype, shape=shape, version=14)[:, 0].transpose(
        0, 1
    )


def _reordered(values: Tensor, gates: tuple[int, ...]) -> Tensor:
    """Bring the rows of all gates into another order: (gates * hidden, ...)."""
    blocks = values.unflatten(0, (len(gates), -1))
    return torch.stack([blocks[gate] for gate in gates]).flatten(0, 1)
