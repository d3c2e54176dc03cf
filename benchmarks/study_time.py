"""A whole study by its command: processes, threads and precision against one process; on a GPU, runs at a time.

With `--large` it is the study that the project is sized for: eleven networks, five seeds, 60 epochs, on a synthetic
dataset of CAER's size. That wants a GPU, or days.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from common import Options, Row, cores, in_turns, rows_of, seconds_of

SUBJECT = "study_time"
NETWORKS = ("bilstm", "deep_residual", "multiscale", "transformer")
CAER_CLIPS, CAER_GROUPS = 7108, 79
ALL_NETWORKS = (*NETWORKS, "bilstm_large", "gru", "tcn_bilstm", "conv1d", "conv_lstm", "st_gcn", "joint_transformer")


def measure(options: Options) -> Iterator[Row]:
    """Make a study in each way, from nothing, and compare the ways with one process in float32."""
    with tempfile.TemporaryDirectory(prefix="poseemo-benchmark-") as name:
        folder = Path(name)
        sizes = _sizes(options)
        _make_dataset(folder / "data", sizes["clips"], sizes["groups"])
        plan = {precision: _write_study(folder, precision, sizes) for precision in ("float32", "bf16")}
        arms = {name: _arm(plan[precision], more) for name, precision, more in _ways(options)}
        plain, *others = in_turns(arms, options.turns(sizes["rounds"]), warm=False).items()
        what = f"{len(sizes['networks'])} networks x {sizes['seeds']} seeds x {sizes['epochs']} epochs"
        note = f"{sizes['clips']:,} clips; A / B: so many times as fast is B"
        for way in others:
            yield from rows_of(SUBJECT, what, "s", dict([plain, way]), note)


def _sizes(options: Options) -> dict:
    if options.large:
        sizes = {"clips": CAER_CLIPS, "groups": CAER_GROUPS, "networks": ALL_NETWORKS, "seeds": 5, "epochs": 60}
        return sizes | {"rounds": 1}
    sizes = {"clips": options.size(1000, 120), "groups": options.size(79, 12)}
    networks = NETWORKS[:1] if options.quick else NETWORKS
    return sizes | {"networks": networks, "seeds": 2, "epochs": options.size(6, 1), "rounds": 1}


def _ways(options: Options) -> list[tuple[str, str, tuple]]:
    """Name, precision and what the command is told; the plain way first."""
    if options.device == "cpu":
        many = cores()
        one = ("1 at a time, float32", "float32", ("--jobs", 1))
        return [one, *((f"{many} at a time, {how}", how, ("--jobs", many)) for how in ("float32", "bf16"))]
    ways = [(1, "float32"), (4, "float32"), (8, "float32"), (8, "bf16")]
    return [
        (f"{jobs} at a time, {precision}", precision, ("--gpus", 0, "--jobs-per-gpu", jobs)) for jobs, precision in ways
    ]


def _make_dataset(folder: Path, n_clips: int, n_groups: int) -> None:
    from poseemo_lib.data.synthetic import write_synthetic_dataset

    write_synthetic_dataset(folder, n_clips, n_groups=n_groups)


def _write_study(folder: Path, precision: str, sizes: dict) -> Path:
    """Write the study; each precision is one, since its runs are others."""
    import yaml

    path = folder / f"study-{precision}.yaml"
    base = {"split": "grouped", "epochs": sizes["epochs"], "patience": 0, "lr": 1e-3, "precision": precision}
    content = {"name": f"speed-{precision}", "dataset": str(folder / "data"), "seeds": list(range(sizes["seeds"]))}
    configs = {name: {"from": f"architectures/{name}"} for name in sizes["networks"]}
    path.write_text(yaml.safe_dump(content | {"base": base, "configs": configs}), encoding="utf-8")
    return path


def _arm(study: Path, more: tuple):
    def work() -> float:
        with tempfile.TemporaryDirectory(dir=study.parent) as out:
            command = [sys.executable, "-m", "poseemo_lib.cli", "study", study, "--out", out, *more]
            return seconds_of(lambda: _run([str(part) for part in command]))

    return work


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or done.stdout.strip())[-300:])
