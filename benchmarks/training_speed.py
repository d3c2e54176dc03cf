"""Training: against one fixed batch and other loops, by part, and by the length of a window."""

import warnings
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec

import torch
from common import (
    Options,
    Row,
    in_turns,
    named_threads,
    prepared_clips,
    rows_of,
    seconds_of,
    shares_of,
    thread_counts,
    threads,
)
from other_loops import OTHER_LOOPS
from torch import nn

from poseemo_lib.clips import EMOTIONS
from poseemo_lib.features.augmentation import Augmentation
from poseemo_lib.models import build_model
from poseemo_lib.models.standardised import Standardised
from poseemo_lib.training.batching import PreparedClips, training_batch
from poseemo_lib.training.fit import fit, make_optimizer, update_average
from poseemo_lib.training.losses import classification_losses
from poseemo_lib.training.parameters import RunParameters, settings_from

torch.use_deterministic_algorithms(True, warn_only=True)  # as a run does
SUBJECT = "training_speed"
MODELS = ("deep_residual", "bilstm")
# Clips that are validated: the fewest that `fit` takes, so that the training is what is measured.
N_VALIDATED = 8


def measure(options: Options) -> Iterator[Row]:
    """Measure every row of this subject."""
    data = prepared_clips(options.size(512, 32), options.device)
    for name in MODELS[-1:] if options.quick else MODELS:
        for count in thread_counts(options):
            for batch_size in (32,) if options.quick else (32, 256):
                with threads(count):
                    trial = Trial(
                        data, name, batch_size, f"{name}, batch {batch_size}, {named_threads(count)}", options
                    )
                    yield from trial.against_fixed_batch()
                    yield from trial.by_part()
                    yield from trial.against_other_loops()
        yield from by_frames(data, name, options)


class Trial:
    """One model, batch size and number of threads; `what` is its name in the table."""

    def __init__(
        self, data: PreparedClips, architecture: str, batch_size: int, what: str, options: Options, n_frames: int = 0
    ):
        self.data, self.architecture, self.what, self.options = data, architecture, what, options
        self.settings = training_settings(batch_size)
        if n_frames:
            self.settings = self.settings.model_copy(update={"n_frames": n_frames})
        self.augmentation = settings_from(Augmentation, self.settings)
        self.device, self.batch_size = options.device, min(batch_size, len(data))
        self.generator = torch.Generator(self.device)
        self.every = torch.arange(len(data), device=self.device)
        self.clip = self.every[: self.batch_size]
        self.batch = (*self.make_batch(), data.labels[self.clip])
        self.steps = -(-len(data) // self.batch_size)

    def make_batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Do what the input path does for one step."""
        return training_batch(self.data, self.clip, self.settings.n_frames, self.augmentation, self.generator)

    def model(self) -> nn.Module:
        """Build the network as a run does."""
        torch.manual_seed(0)
        small = {"hidden": 16} if self.options.quick else {}
        network = build_model(self.architecture, n_classes=len(EMOTIONS), **small)
        return Standardised(network, self.batch[0]).to(self.device)

    def rate(self, work, samples: int | None = None):
        """Turn work on all clips into a function that returns samples a second."""
        return lambda: (samples or len(self.data)) / seconds_of(work, self.device)

    def ours(self, epochs: int = 1):
        """Train with `training.fit`, set-up and end included."""
        model, data, settings = self.model(), self.data, self.settings.model_copy(update={"epochs": epochs})
        work = partial(fit, model, data, self.every, self.every[:N_VALIDATED], len(EMOTIONS), settings)
        return self.rate(work, epochs * len(data))

    def step(self) -> "Step":
        """Make the bare step on one batch that is there already."""
        return Step(self.model(), self.batch, self.settings)

    def fixed(self, epochs: int = 1):
        """Take as many bare steps."""
        step, count = self.step(), epochs * self.steps
        return self.rate(lambda: [step() for _ in range(count)], count * self.batch_size)

    def against_fixed_batch(self) -> Iterator[Row]:
        """Compare the loop with the bare step: no input path, weight average, check of the loss or validation."""
        epochs = self.options.size(3, 1)
        arms = {"poseemo": self.ours(epochs), "one fixed batch": self.fixed(epochs)}
        # Few per cent apart: more turns than elsewhere, for else the median is noise.
        values = in_turns(arms, self.options.turns(3) * self.options.size(5, 1))
        yield from rows_of(SUBJECT, self.what, "samples/s", values, f"{epochs} epochs, set-up and end included")

    def by_part(self) -> Iterator[Row]:
        """Split a step into its parts; `A / B` is the part's share of the whole step."""
        model = self.model()
        step, average = Step(model, self.batch, self.settings), self.model()
        parts = {
            "input path": self.make_batch,
            "forward": step.forward,
            "backward": None,
            "clip gradients": lambda: nn.utils.clip_grad_norm_(model.parameters(), self.settings.clip_norm),
            "optimizer": step.optimizer.step,
            "weight average": lambda: update_average(average, model, self.settings.weight_average, 1000),
        }
        step()
        values: dict[str, list[float]] = {name: [] for name in ("whole step", *parts)}
        for _ in range(self.options.turns(15)):
            for name, part in parts.items():
                if name == "backward":
                    loss = step.forward()
                    step.optimizer.zero_grad(set_to_none=True)
                    part = loss.backward
                values[name].append(1e6 * seconds_of(part, self.device) / self.batch_size)
            values["whole step"].append(sum(values[name][-1] for name in parts))
        yield from shares_of(SUBJECT, f"parts, {self.what}", "us/sample", values)

    def against_other_loops(self) -> Iterator[Row]:
        """Compare with Lightning and skorch, each with the DataLoader and without any input path."""
        arms, absent = {"poseemo": self.ours()}, []
        for package, make in OTHER_LOOPS.items():
            if find_spec(package):
                arms |= make(self)
            else:
                absent.append(Row(SUBJECT, self.what, second=package, note="not installed"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if len(arms) > 1:
                yield from rows_of(SUBJECT, self.what, "samples/s", in_turns(arms, self.options.turns(3)))
        yield from absent


def training_settings(batch_size: int, precision: str = "float32", epochs: int = 1) -> RunParameters:
    """Fill the settings of a short training with a run's defaults."""
    values = {"batch_size": batch_size, "epochs": epochs, "choose_after": 0, "warmup_epochs": 0, "eval_crops": 1}
    values |= {"precision": precision}
    return RunParameters(**values)


class Step:
    """The bare training step on one batch of features, mask and labels."""

    def __init__(self, model: nn.Module, batch: tuple, settings: RunParameters):
        self.model, self.batch, self.settings = model.train(), batch, settings
        self.optimizer = make_optimizer(model, settings)

    def forward(self) -> torch.Tensor:
        """Compute the loss."""
        features, mask, labels = self.batch
        with torch.autocast(features.device.type, torch.bfloat16, enabled=self.settings.precision == "bf16"):
            logits = self.model(features, mask)
        return classification_losses(logits.float(), labels, label_smoothing=self.settings.label_smoothing).mean()

    def __call__(self) -> None:
        """Take one step."""
        loss = self.forward()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        self.optimizer.step()


def by_frames(data: PreparedClips, architecture: str, options: Options) -> Iterator[Row]:
    """Take steps on windows of other lengths than the usual one; `A / B` of 2 at twice the frames is growth in line."""
    usual = RunParameters().n_frames
    with threads(thread_counts(options)[0]):
        arms = {}
        for n_frames in (usual, usual // 2, 2 * usual, 4 * usual)[: 2 if options.quick else 4]:
            step = Trial(data, architecture, 32, "", options, n_frames).step()
            arms[f"{n_frames} frames"] = lambda step=step: 1e6 * seconds_of(step, options.device) / 32
        values = in_turns(arms, options.turns(5))
    what = f"window, {architecture}, batch 32, {named_threads(thread_counts(options)[0])}"
    yield from shares_of(SUBJECT, what, "us/sample", values)
