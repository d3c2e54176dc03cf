"""What a model costs: parameters, multiply-adds, time."""

import copy
import os
import platform
import re
import statistics
import timeit
from pathlib import Path

import torch
from torch import nn
from torch.backends import mkldnn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from poseemo_lib.features.tensor_features import N_FEATURES
from poseemo_lib.models import build_model, hyper_parameters


def cost_of(name: str, **parameters) -> dict:
    """Count and measure the model `name` with some hyper-parameters, for 7 classes and windows of 64 frames.

    `ms_alone` and `ms_in_32` are milliseconds a window in batches of 1 and of 32, on one thread.

    Raises
    ------
    UsageError
        An unknown name or hyper-parameter.
    """
    model = build_model(name, **parameters)
    return {
        "model": name,
        "parameters": count_parameters(model),
        "multiply_adds": count_multiply_adds(model),
        "ms_alone": 1e3 * measure_latency(model),
        "ms_in_32": 1e3 * measure_latency(model, 32, repeats=7),
        "hyper_parameters": hyper_parameters(name) | parameters,
    }


def count_parameters(model: nn.Module) -> int:
    """Count the numbers that training changes."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def count_multiply_adds(model: nn.Module, n_frames: int = 64) -> int:
    """Count the multiply-adds of one window without padding, in which every joint of both people is seen.

    Torch's counter includes matrix products, convolutions, recurrences and attention, not norms, activations and sums.
    """
    counted = copy.deepcopy(model).cpu().eval()
    # The counter does not see into the CPU's fused kernels. Attention takes its own only without gradients.
    fused = mkldnn.flags(enabled=False, allow_tf32=None)
    with fused, sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        counted(*_window(1, n_frames))
    return counter.get_total_flops() // 2


def _window(batch_size: int, n_frames: int) -> tuple[torch.Tensor, torch.Tensor]:
    # Above 0, and so is the confidence.
    features = 0.1 + torch.rand(batch_size, n_frames, N_FEATURES, generator=torch.Generator().manual_seed(0))
    return features, torch.ones(batch_size, n_frames, dtype=torch.bool)


def measure_latency(model: nn.Module, batch_size: int = 1, n_frames: int = 64, *, repeats: int = 15) -> float:
    """Measure how long a prediction takes on one thread of the CPU: the median over `repeats` runs, seconds a window.

    All frames of the windows are real and both people are seen. Two runs before do not count.
    """
    features, mask = _window(batch_size, n_frames)
    threads, was_training = torch.get_num_threads(), model.training
    torch.set_num_threads(1)
    model.eval()
    try:
        with torch.inference_mode():
            times = timeit.repeat(lambda: model(features, mask), number=1, repeat=2 + repeats)
    finally:
        torch.set_num_threads(threads)
        model.train(was_training)
    return statistics.median(times[2:]) / batch_size


def describe_cpu() -> str:
    """Name the processor, as far as the system tells it."""
    listing = Path("/proc/cpuinfo")
    name = re.search(r"^model name\s*: *(.*)", listing.read_text(), re.M) if listing.exists() else None
    return f"{name[1] if name else platform.processor() or platform.machine()}, {os.cpu_count()} cores"
