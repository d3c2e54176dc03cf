"""Several training processes at once, by threads and precision: what they get done together."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator

import torch
from common import HERE, Options, Row, cores, in_turns, named_threads, prepared_clips, rows_of
from training_speed import MODELS, N_VALIDATED, Trial, training_settings

from poseemo_lib.clips import EMOTIONS
from poseemo_lib.training.fit import fit

SUBJECT = "processes"


def measure(options: Options) -> Iterator[Row]:
    """Measure every row of this subject."""
    for name in MODELS[-1:] if options.quick else MODELS:
        yield from against_other_ways(name, options)


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
        command = [sys.executable, str(HERE / "common.py"), "processes", "serve", json.dumps(sizes)]
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
