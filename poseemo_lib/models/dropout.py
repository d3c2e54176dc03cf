"""Dropout with the masks of torch, made several times faster on a processor.

A mask takes a random number for each value, from the Mersenne Twister (Matsumoto and Nishimura 1998), which torch draws
one by one: up to a fifth of a training step. Here the same numbers are drawn a block at a time, from torch's generator
and back into it, so that masks, and what is drawn after them, are torch's bit by bit. Where they are not (another build
of torch may draw otherwise), torch's own dropout is used.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from poseemo_lib.features.compiled_features import compiled

_N, _M = 624, 397  # words of the state, and the distance of those that are mixed
_BITS = 53  # of a random number in double precision
_LEFT, _NEXT, _WORDS = slice(8, 12), slice(16, 24), slice(24, 24 + 8 * _N)  # in the bytes of the generator's state
_STATE_BYTES = 5056


class Dropout(nn.Dropout):
    """`nn.Dropout`; see the module."""

    def forward(self, x: Tensor) -> Tensor:
        """Set values to zero at random while training, and scale the others up."""
        return dropout(x, self.p, self.training)


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """Set values to zero with probability `p` and divide the others by 1 - `p`: `functional.dropout`, bit by bit.

    Parameters
    ----------
    x : tensor
    p : float
        0 to 1.
    training : bool
        False: `x` is returned.

    Returns
    -------
    tensor
        Of the same shape.
    """
    if not training or p == 0 or not x.numel():
        return x
    if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.bfloat16) or not 0 < p < 1:
        return functional.dropout(x, p)
    order = sorted(range(x.ndim), key=x.stride, reverse=True)  # in which its values lie in memory, and are drawn
    if not x.permute(order).is_contiguous() or not draws_like_torch():
        return functional.dropout(x, p)
    kept = float(torch.ones(()).div_(1 - p))
    mask = random_mask([x.shape[axis] for axis in order], 1 - p, kept, torch.default_generator)
    return x * mask.to(x.dtype).permute([order.index(axis) for axis in range(x.ndim)])


def random_mask(shape: Sequence[int], p: float, value: float, generator: torch.Generator) -> Tensor:
    """Draw a mask as `torch.empty(shape).bernoulli_(p)` does, and leave the generator as that does.

    Parameters
    ----------
    shape : sequence of int
    p : float
        Probability of `value`; else 0.
    value : float
    generator : torch.Generator
        On a processor.

    Returns
    -------
    float32 tensor
    """
    # Not `torch.empty`, which fills what it gives where deterministic algorithms are asked for.
    mask, state = torch.from_numpy(np.empty(shape, np.float32)), generator.get_state()
    raw = state.numpy()
    left, place, words = raw[_LEFT].view(np.int32), raw[_NEXT].view(np.uint64), raw[_WORDS].view(np.uint64)
    limit = np.uint64(np.ceil(p * 2.0**_BITS))
    left[0], place[0] = _fill(mask.view(-1).numpy(), words, left[0], place[0], limit, np.float32(value))
    generator.set_state(state)
    return mask


def with_fast_dropout(model: nn.Module) -> nn.Module:
    """Replace every `nn.Dropout` in a model, also those inside layers of torch; return the model."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p).train(child.training))
    return model


@cache
def draws_like_torch() -> bool:
    """Tell whether the masks, and the generator after them, are those of this build of torch."""
    ours, theirs = (torch.Generator().manual_seed(5) for _ in range(2))
    if len(ours.get_state()) != _STATE_BYTES:
        return False
    for size in (1, 2 * _N + 1, 4096):
        same = torch.equal(random_mask((size,), 0.3, 1.0, ours), torch.empty(size).bernoulli_(0.3, generator=theirs))
        if not same or not torch.equal(ours.get_state(), theirs.get_state()):
            return False
    return True


@compiled
def _fill(mask, words, left, place, limit, value):
    """Draw two words for each value of the mask; return how many are left before the next block, and where it is."""
    state, block = words.astype(np.uint32), np.empty(_N, np.uint32)
    _temper(state, block)
    left, place, i = np.int64(left), np.int64(place), 0
    while i < len(mask):
        if left == 1:
            _next_block(state, block)
            left, place = _N + 1, 0
        pairs = min((left - 1) // 2, len(mask) - i)
        for j in range(pairs):
            number = _number(block[place + 2 * j], block[place + 2 * j + 1])
            mask[i + j] = value if number < limit else 0
        i, place, left = i + pairs, place + 2 * pairs, left - 2 * pairs
        if left == 2 and i < len(mask):  # a pair of two blocks
            first = block[place]
            _next_block(state, block)
            mask[i] = value if _number(first, block[0]) < limit else 0
            i, place, left = i + 1, 1, _N
    words[:] = state
    return left, place


@compiled
def _number(high, low):
    return ((np.uint64(high) << np.uint64(32)) | np.uint64(low)) & np.uint64(2**_BITS - 1)


@compiled
def _next_block(state, block):
    for i in range(_N - _M):
        state[i] = state[i + _M] ^ _twisted(state[i], state[i + 1])
    for i in range(_N - _M, _N - 1):
        state[i] = state[i + _M - _N] ^ _twisted(state[i], state[i + 1])
    state[_N - 1] = state[_M - 1] ^ _twisted(state[_N - 1], state[0])
    _temper(state, block)


@compiled
def _twisted(one, other):
    mixed = (one & np.uint32(0x80000000)) | (other & np.uint32(0x7FFFFFFF))
    return (mixed >> np.uint32(1)) ^ (np.uint32(0x9908B0DF) if mixed & np.uint32(1) else np.uint32(0))


@compiled
def _temper(state, block):
    for i in range(_N):
        y = state[i]
        y ^= y >> np.uint32(11)
        y ^= (y << np.uint32(7)) & np.uint32(0x9D2C5680)
        y ^= (y << np.uint32(15)) & np.uint32(0xEFC60000)
        block[i] = y ^ (y >> np.uint32(18))
