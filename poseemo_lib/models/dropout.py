"""Dropout that takes a quarter of torch's time on a CPU, where torch draws every value by itself."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


class Dropout(nn.Dropout):
    """`nn.Dropout` by :func:`dropout`."""

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
                setattr(module, name, Dropout(child.p).train(child.training))
    return model
