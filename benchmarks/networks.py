"""Every network: what a training step costs, in float32 and in bf16, and how near it is to the arithmetic."""

from collections.abc import Iterator

import torch
from common import Options, Row, compare, in_turns, named_threads, prepared_clips, seconds_of, thread_counts, threads
from training_speed import Step, Trial, training_settings

from poseemo_lib.models import MODELS
from poseemo_lib.models.cost import count_multiply_adds

SUBJECT = "networks"
BATCH_SIZE = 32


def measure(options: Options) -> Iterator[Row]:
    """Compare the bare training step of each network in two precisions, and with the arithmetic at its peak."""
    data, count = prepared_clips(options.size(64, 32), options.device), thread_counts(options)[0]
    size = options.size(1536, 512) if options.device == "cpu" else 8192
    left, right = torch.rand(2, size, size, device=options.device).unbind()
    for name in ("bilstm", "deep_residual") if options.quick else MODELS:
        trial = Trial(data, name, BATCH_SIZE, f"{name}, {named_threads(count)}", options)
        flops = 3 * 2 * count_multiply_adds(trial.model(), trial.settings.n_frames)  # backward: twice the forward
        steps = {"float32": trial.step(), "bf16": Step(trial.model(), trial.batch, training_settings(32, "bf16"))}
        arms = {
            precision: lambda step=step: 1e6 * seconds_of(step, options.device) / BATCH_SIZE
            for precision, step in steps.items()
        }
        product = 1e6 * flops / (2 * size**3)
        arms["arithmetic at the peak"] = lambda product=product: (
            product * seconds_of(lambda: left @ right, options.device)
        )
        with threads(count):
            step, *others = in_turns(arms, options.turns(5)).items()
        for other in others:
            note = f"training step; {1e-6 * flops:.0f} MFLOP a sample"
            yield compare(SUBJECT, trial.what, "us/sample", step, other, note)
