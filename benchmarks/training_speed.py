"""Training: against one fixed batch, other loops, the machine's arithmetic, and other threads and precisions."""

import json
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import torch
from common import (
    HERE,
    Options,
    Row,
    cores,
    in_turns,
    named_threads,
    prepared_clips,
    rows_of,
    seconds_of,
    shares_of,
    thread_counts,
    threads,
)
from plain_loader import PlainClips, plain_loader
from torch import nn

from poseemo_lib.augmentation import Augmentation
from poseemo_lib.batching import PreparedClips, training_batch
from poseemo_lib.clips import EMOTIONS
from poseemo_lib.losses import classification_losses
from poseemo_lib.models import build_model
from poseemo_lib.models.cost import count_multiply_adds
from poseemo_lib.models.standardised import Standardised
from poseemo_lib.parameters import RunParameters, settings_from
from poseemo_lib.training import Settings, fit, update_average

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
                    yield from trial.against_peak()
        yield from against_other_ways(name, options)


class Trial:
    """One model, batch size and number of threads.

    Parameters
    ----------
    data : PreparedClips
    architecture : str
    batch_size : int
    what : str
        Its name in the table.
    options : Options
    """

    def __init__(self, data: PreparedClips, architecture: str, batch_size: int, what: str, options: Options):
        self.data, self.architecture, self.what, self.options = data, architecture, what, options
        self.settings = training_settings(batch_size)
        self.device, self.batch_size = options.device, min(batch_size, len(data))
        self.generator = torch.Generator(self.device)
        self.every = torch.arange(len(data), device=self.device)
        self.clip = self.every[: self.batch_size]
        self.batch = (*self.make_batch(), data.labels[self.clip])
        self.steps = -(-len(data) // self.batch_size)

    def make_batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Do what the input path does for one step."""
        how = self.settings.augmentation
        return training_batch(self.data, self.clip, self.settings.n_frames, how, self.generator)

    def model(self) -> nn.Module:
        """Build the network as a run does."""
        torch.manual_seed(0)
        small = {"hidden": 16} if self.options.quick else {}
        network = build_model(self.architecture, n_classes=len(EMOTIONS), **small)
        return Standardised(network, self.batch[0]).to(self.device)

    def rate(self, work, samples: int | None = None):
        """Turn work on all clips into a function that returns samples a second."""
        return lambda: (samples or len(self.data)) / seconds_of(work, self.device)

    def ours(self):
        """Train an epoch with `training.fit`."""
        model, data, settings = self.model(), self.data, self.settings
        return self.rate(lambda: fit(model, data, self.every, self.every[:N_VALIDATED], len(EMOTIONS), settings))

    def fixed(self):
        """Take as many steps on one batch that is there already."""
        step = Step(self.model(), self.batch, self.settings)
        return self.rate(lambda: [step() for _ in range(self.steps)], self.steps * self.batch_size)

    def against_fixed_batch(self) -> Iterator[Row]:
        """Compare the loop with the bare step."""
        values = in_turns({"poseemo": self.ours(), "one fixed batch": self.fixed()}, self.options.turns(5))
        yield from rows_of(SUBJECT, self.what, "samples/s", values)

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
        for package, make in (("lightning", _lightning), ("skorch", _skorch)):
            if find_spec(package):
                arms |= make(self)
            else:
                absent.append(Row(SUBJECT, self.what, second=package, note="not installed"))
        with _quiet():
            if len(arms) > 1:
                yield from rows_of(SUBJECT, self.what, "samples/s", in_turns(arms, self.options.turns(3)))
        yield from absent

    def against_peak(self) -> Iterator[Row]:
        """Compare the arithmetic done with that of a large matrix product."""
        model = self.model()
        flops = 3 * 2 * count_multiply_adds(model, self.settings.n_frames)  # backward: twice the forward
        size = self.options.size(1536, 512) if self.device == "cpu" else 8192
        left, right = torch.rand(2, size, size, device=self.device).unbind()
        product = 1e-9 * 2 * size**3
        arms = {"poseemo": self.ours(), "fixed batch": self.fixed()}
        arms = {name: _scaled(work, 1e-9 * flops) for name, work in arms.items()}
        arms[f"matrix product of {size}"] = lambda: product / seconds_of(lambda: left @ right, self.device)
        values = in_turns(arms, self.options.turns(5))
        note = f"{1e-6 * flops:.0f} MFLOP a sample"
        yield from shares_of(SUBJECT, f"arithmetic, {self.what}", "GFLOP/s", dict(reversed(values.items())), note)


def _scaled(work, factor: float):
    return lambda: factor * work()


def training_settings(batch_size: int, precision: str = "float32", epochs: int = 1) -> Settings:
    """Fill the settings of a short training with a run's defaults."""
    values = {"batch_size": batch_size, "epochs": epochs, "choose_after": 0, "warmup_epochs": 0, "precision": precision}
    parameters = RunParameters(**values)
    return settings_from(Settings, parameters, augmentation=settings_from(Augmentation, parameters))


class Step:
    """The bare training step on one batch.

    Parameters
    ----------
    model : nn.Module
    batch : tuple
        Features, mask and labels.
    settings : Settings
    """

    def __init__(self, model: nn.Module, batch: tuple, settings: Settings):
        self.model, self.batch, self.settings = model.train(), batch, settings
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)

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


def _lightning(trial: Trial) -> dict:
    import logging

    import lightning

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    settings = trial.settings

    class Module(lightning.LightningModule):
        """The same model, loss and optimizer."""

        def __init__(self):
            super().__init__()
            self.model = trial.model()

        def training_step(self, batch, _):
            """Compute the loss."""
            features, mask, labels = batch
            return nn.functional.cross_entropy(
                self.model(features, mask), labels, label_smoothing=settings.label_smoothing
            )

        def configure_optimizers(self):
            """Make the optimizer."""
            return torch.optim.AdamW(self.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)

    def arm(batches):
        module = Module()

        def work() -> None:
            lightning.Trainer(
                max_epochs=1,
                accelerator="gpu" if trial.device == "cuda" else "cpu",
                devices=1,
                gradient_clip_val=settings.clip_norm,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            ).fit(module, batches)

        return trial.rate(work)

    plain = plain_loader(PlainClips(trial.data, settings.n_frames, settings.augmentation), trial.batch_size)
    return {"Lightning, DataLoader": arm(plain), "Lightning, one fixed batch": arm(Ready([trial.batch] * trial.steps))}


def _skorch(trial: Trial) -> dict:
    from skorch import NeuralNet
    from skorch.callbacks import GradientNormClipping

    settings = trial.settings

    def arm(samples):
        net = NeuralNet(
            trial.model(),
            nn.CrossEntropyLoss,
            criterion__label_smoothing=settings.label_smoothing,
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=settings.weight_decay,
            lr=settings.lr,
            max_epochs=1,
            batch_size=trial.batch_size,
            train_split=None,
            iterator_train__shuffle=True,
            callbacks=[GradientNormClipping(settings.clip_norm)],
            device=trial.device,
            verbose=0,
        ).initialize()
        return trial.rate(lambda: net.partial_fit(samples))

    plain = Named(PlainClips(trial.data, settings.n_frames, settings.augmentation))
    ready = [plain[index] for index in range(len(plain))]
    return {"skorch, DataLoader": arm(plain), "skorch, features made before": arm(Ready(ready))}


class Named(torch.utils.data.Dataset):
    """Samples with the names of the model's arguments, as skorch wants them."""

    def __init__(self, samples):
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[dict, int]:
        features, mask, label = self.samples[index]
        return {"features": features, "mask": mask}, label


class Ready(torch.utils.data.Dataset):
    """Samples, or batches, that are there already."""

    def __init__(self, samples: list):
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int):
        if index >= len(self.samples):
            raise IndexError
        return self.samples[index]


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def against_other_ways(architecture: str, options: Options) -> Iterator[Row]:
    """Compare processes, threads and precisions by what all processes together train: what a study gets done."""
    sizes = {"n_clips": options.size(512, 32), "device": options.device, "architecture": architecture}
    many = cores() if options.device == "cpu" else 4
    workers = [Worker(sizes) for _ in range(many)]
    try:
        ways = [(1, many), (many, 1)] if many > 1 and options.device == "cpu" else [(1, 1), (many, 1)]
        arms = {}
        for precision in ("float32", "bf16"):
            for processes, count in ways:
                name = f"{processes} x {named_threads(count)}, {precision}"
                arms[name] = _together(workers[:processes], count, precision, options.size(2, 1))
        values = in_turns(arms, options.turns(3))
        plain, *others = values.items()
        for way in others:
            yield from rows_of(SUBJECT, f"{architecture}, batch 32", "samples/s", dict([way, plain]))
    finally:
        for worker in workers:
            worker.stop()


def _together(workers: list["Worker"], count: int, precision: str, epochs: int):
    def work() -> float:
        start = time.perf_counter()
        for worker in workers:
            worker.ask({"threads": count, "precision": precision, "epochs": epochs})
        samples = sum(worker.answer() for worker in workers)
        return samples / (time.perf_counter() - start)

    return work


class Worker:
    """A process that trains when it is asked to.

    Parameters
    ----------
    sizes : dict
        Arguments of :func:`serve`.
    """

    def __init__(self, sizes: dict):
        command = [sys.executable, str(HERE / "common.py"), "training_speed", "serve", json.dumps(sizes)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.answer()

    def ask(self, order: dict) -> None:
        """Have it train; does not wait."""
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def answer(self) -> int:
        """Wait until it is ready; return the number of samples that it has trained on."""
        return int(self.process.stdout.readline())

    def stop(self) -> None:
        """End it."""
        self.process.communicate()


def serve(n_clips: int, device: str, architecture: str, batch_size: int = 32) -> None:
    """Train epochs as the lines of standard input say, and write the number of samples after each."""
    data = prepared_clips(n_clips, device)
    trial = Trial(data, architecture, batch_size, "", Options(device=device))
    model = trial.model()
    sys.stdout.write("0\n")
    sys.stdout.flush()
    for line in sys.stdin:
        order = json.loads(line)
        torch.set_num_threads(order["threads"])
        settings = training_settings(batch_size, order["precision"], order["epochs"])
        fit(model, data, trial.every, trial.every[:N_VALIDATED], len(EMOTIONS), settings)
        if device == "cuda":
            torch.cuda.synchronize()
        sys.stdout.write(f"{order['epochs'] * len(data)}\n")
        sys.stdout.flush()
