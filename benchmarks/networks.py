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
    """Measure every row of this subject."""
    data = prepared_clips(options.size(64, 32), options.device)
    names = ("bilstm", "deep_residual") if options.quick else tuple(MODELS)
    count = thread_counts(options)[0]
    with threads(count):
        for name in names:
            yield from one_network(Trial(data, name, BATCH_SIZE, f"{name}, {named_threads(count)}", options))


def one_network(trial: Trial) -> Iterator[Row]:
    """Compare the bare training step in two precisions, and with the arithmetic at the peak of a matrix product."""
    options, size = trial.options, trial.options.size(1536, 512) if trial.device == "cpu" else 8192
    left, right = torch.rand(2, size, size, device=trial.device).unbind()
    flops = 3 * 2 * count_multiply_adds(trial.model(), trial.settings.n_frames)  # backward: twice the forward
    short = Step(trial.model(), trial.batch, training_settings(BATCH_SIZE, "bf16"))
    arms = {"float32": _per_sample(trial.step(), trial), "bf16": _per_sample(short, trial)}
    arms["arithmetic at the peak"] = lambda: (
        1e6 * flops * seconds_of(lambda: left @ right, trial.device) / (2 * size**3)
    )
    step, *others = in_turns(arms, options.turns(5)).items()
    note = f"training step; {1e-6 * flops:.0f} MFLOP a sample"
    for other in others:
        yield compare(SUBJECT, trial.what, "us/sample", step, other, note)


def _per_sample(step: Step, trial: Trial):
    return lambda: 1e6 * seconds_of(step, trial.device) / BATCH_SIZE
