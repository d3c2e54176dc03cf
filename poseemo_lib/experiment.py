"""One run from its parameters: dataset -> split and audit -> device -> fit -> predictions -> run folder."""

import json
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from poseemo_lib import __version__
from poseemo_lib.augmentation import Augmentation
from poseemo_lib.batching import Preparation, PreparedClips, evaluation_windows, prepare_clips, window_keypoints
from poseemo_lib.dataset import Dataset
from poseemo_lib.errors import LeakError, UsageError
from poseemo_lib.evaluation import average_by_source
from poseemo_lib.metrics import score_predictions
from poseemo_lib.models import build_model
from poseemo_lib.parameters import RunParameters, is_baseline
from poseemo_lib.paths import resolve
from poseemo_lib.recipes import ensure_dataset
from poseemo_lib.runs import (
    RUN_FILE,
    is_complete,
    library_commit,
    locked,
    now,
    read_record,
    run_identity,
    set_aside,
    write_json,
    write_text,
)
from poseemo_lib.splits import make_split, split_hash
from poseemo_lib.training import Progress, Settings, fit, mean_over_windows, predict

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Inputs:
    """What a run works on.

    Parameters
    ----------
    dataset : Dataset
    table : DataFrame
        Metadata of the clips in use, in the order of `data`, with the column `part`.
    leaks : dict
        Number of leaks of each kind, empty for a clean split.
    data : PreparedClips
    identity : str
        See `runs.run_identity`.
    split_hash : str
    """

    dataset: Dataset
    table: pd.DataFrame
    leaks: dict[str, int]
    data: PreparedClips
    identity: str
    split_hash: str

    def index(self, part: str) -> torch.Tensor:
        """Positions of the clips of `train`, `val` or `test` in `data`."""
        rows = np.flatnonzero(self.table["part"] == part)
        return torch.from_numpy(rows).to(self.data.keypoints.device)

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, in order."""
        return self.dataset.classes


def choose_device(name: str) -> torch.device:
    """Turn `auto`, `cpu`, `cuda` or `cuda:N` into a device that is there.

    Raises
    ------
    UsageError
        The name is none of these, or that GPU is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError):
        raise UsageError(f"device: wanted auto, cpu, cuda or cuda:N with that GPU there, got {name!r}") from None
    return device


def split_dataset(dataset: Dataset, parameters: RunParameters) -> pd.Series:
    """Split as the parameters say: clip_id -> train, val, test or missing."""
    return make_split(dataset.table(), parameters.split, seed=parameters.split_seed, fold=parameters.fold or None)


def audit_split(dataset: Dataset, split: pd.Series) -> dict[str, int]:
    """Count the leaks of each kind, from the dataset's folder where this split was audited before.

    Parameters
    ----------
    dataset : Dataset
    split : Series
        clip_id -> part.

    Returns
    -------
    dict
        Kind -> number; empty for a clean split.
    """
    from poseemo_lib.audit import audit

    key = {"content_hash": dataset.info.content_hash, "split_hash": split_hash(split), "version": __version__}
    note = Path(dataset.root) / f"audit-{key['split_hash'][:16]}.json"
    if note.exists():
        known = json.loads(note.read_text(encoding="utf-8"))
        if known["key"] == key:
            return known["leaks"]
    leaks = audit(dataset, split).counts()
    if Path(dataset.root).is_dir() and os.access(dataset.root, os.W_OK):
        write_json(note, {"key": key, "leaks": leaks})
    return leaks


def load_inputs(parameters: RunParameters) -> Inputs:
    """Open the dataset, split and audit it, and bring the clips to the device.

    Parameters
    ----------
    parameters : RunParameters

    Returns
    -------
    Inputs

    Raises
    ------
    LeakError
        The audit found a leak and the parameters do not allow one.
    """
    torch.set_num_threads(parameters.threads)
    dataset = Dataset(ensure_dataset(parameters.dataset))
    split = split_dataset(dataset, parameters)
    leaks = audit_split(dataset, split)
    if leaks and not parameters.allow_leak:
        found = ", ".join(f"{count} {kind}" for kind, count in leaks.items())
        raise LeakError(
            f"{parameters.dataset}: wanted a split without leaks, the {parameters.split} split has {found}; "
            "`poseemo inspect` names them; choose another split, or say allow_leak: true"
        )
    used = split.dropna()
    data = prepare_clips(
        dataset.clips(lambda clip_id: clip_id in used.index),
        dataset.classes,
        _fields(Preparation, parameters),
        choose_device(parameters.device),
    )
    table = dataset.table().set_index("clip_id").loc[data.clip_ids].reset_index()
    table["part"] = used.loc[data.clip_ids].to_numpy()
    hashes = (dataset.info.content_hash, split_hash(split))
    identity = run_identity(parameters.model_dump(), *hashes)
    return Inputs(dataset, table, leaks, data, identity, hashes[1])


def _fields(kind, parameters: RunParameters, **more):
    """Fill a settings dataclass with the parameters of the same names."""
    names = [name for name in kind.__dataclass_fields__ if name not in more]
    return kind(**{name: getattr(parameters, name) for name in names}, **more)


def training_settings(parameters: RunParameters) -> Settings:
    """Pick the settings of `training.fit` out of the parameters."""
    return _fields(Settings, parameters, augmentation=_fields(Augmentation, parameters))


def execute_run(
    parameters: RunParameters,
    folder: str | Path,
    *,
    cell: str = "",
    inputs: Inputs | None = None,
    report: Callable[[dict], None] | None = None,
) -> Path:
    """Make one run and write its folder; a run that is complete already is left as it is.

    A killed run goes on from its checkpoint. A folder with a run of other parameters is moved to `.stale/` beside it.

    Parameters
    ----------
    parameters : RunParameters
    folder : str or Path
    cell : str
        Name of the study's cell; default: the architecture.
    inputs : Inputs, optional
        From :func:`load_inputs`.
    report : callable, optional
        Called with the history's row after each epoch.

    Returns
    -------
    Path
        The folder.
    """
    folder = Path(resolve(folder))
    inputs = inputs or load_inputs(parameters)
    if is_complete(folder, inputs.identity):
        return folder
    old = read_record(folder)
    if old is not None and old["identity"] != inputs.identity:
        set_aside(folder)
    with locked(folder):
        record = _new_record(parameters, inputs, cell)
        write_json(folder / RUN_FILE, record)
        started = time.perf_counter()
        try:
            record |= _fit_and_save(parameters, folder, inputs, report)
        except Exception as error:
            write_json(folder / RUN_FILE, record | {"status": "failed", "error": str(error), "finished": now()})
            raise
        record |= {"status": "complete", "finished": now(), "seconds": round(time.perf_counter() - started, 3)}
        record["peak_memory_mib"] = _peak_memory(inputs.data.keypoints.device)
        write_json(folder / RUN_FILE, record)
        (folder / "checkpoint.pt").unlink(missing_ok=True)
    return folder


def epoch_line(row: dict) -> str:
    """Describe one epoch in a line."""
    return (
        f"epoch {row['epoch']:3d}  train loss {row['train_loss']:.3f}  val loss {row['val_loss']:.3f}  "
        f"val macro-F1 {row['val_macro_f1']:.3f}  {row['seconds']:.1f} s"
    )


def _new_record(parameters: RunParameters, inputs: Inputs, cell: str) -> dict:
    device = inputs.data.keypoints.device
    info = inputs.dataset.info
    return {
        "status": "running",
        "cell": cell or parameters.architecture,
        "identity": inputs.identity,
        "parameters": parameters.model_dump(),
        "poseemo_version": __version__,
        "commit": library_commit(),
        "torch_version": torch.__version__,
        "dataset": {"name": info.name, "content_hash": info.content_hash, "synthetic": info.synthetic},
        "classes": list(inputs.classes),
        "split_hash": inputs.split_hash,
        "clips": {part: int((inputs.table["part"] == part).sum()) for part in PARTS},
        "leaks": inputs.leaks,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "started": now(),
    }


def _fit_and_save(parameters: RunParameters, folder: Path, inputs: Inputs, report) -> dict:
    if is_baseline(parameters.architecture):
        probabilities, more = _baseline(parameters, inputs), {}
    else:
        probabilities, more = _model(parameters, folder, inputs, report)
    predictions = _prediction_table(inputs, probabilities)
    temporary = folder / ".tmp-predictions.parquet"
    predictions.to_parquet(temporary, index=False)
    os.replace(temporary, folder / "predictions.parquet")
    write_json(folder / "metrics.json", score_run(predictions, inputs.classes, parameters.score_by))
    return more


def score_run(predictions: pd.DataFrame, classes: tuple[str, ...], score_by: str) -> dict:
    """Scores of a run on validation and test, the content of `metrics.json`.

    Parameters
    ----------
    predictions : DataFrame
        See `evaluation`.
    classes : tuple of str
    score_by : {"clip", "source"}

    Returns
    -------
    dict
        `val` and `test`: see `metrics.score_predictions`.
    """
    scores = {}
    for part in ("val", "test"):
        table = predictions[predictions["split"] == part]
        table = average_by_source(table, classes) if score_by == "source" else table
        labels = table["label"].map({name: i for i, name in enumerate(classes)}).to_numpy()
        probabilities = table[[f"p_{name}" for name in classes]].to_numpy()
        scores[part] = score_predictions(labels, probabilities, classes)
    return scores


def _prediction_table(inputs: Inputs, probabilities: dict[str, np.ndarray]) -> pd.DataFrame:
    parts = []
    for part, values in probabilities.items():
        rows = inputs.table[inputs.table["part"] == part]
        table = rows[["clip_id", "label", "group_id", "source_id"]].reset_index(drop=True)
        table.insert(1, "split", part)
        columns = pd.DataFrame(values.astype(np.float32), columns=[f"p_{name}" for name in inputs.classes])
        parts.append(pd.concat([table, columns], axis=1))
    return pd.concat(parts, ignore_index=True)


def _model(parameters: RunParameters, folder: Path, inputs: Inputs, report) -> tuple[dict, dict]:
    from safetensors.torch import save_file

    torch.use_deterministic_algorithms(True, warn_only=True)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    n_classes = len(inputs.classes)
    torch.manual_seed(parameters.seed)
    model = build_model(parameters.architecture, n_classes=n_classes, **parameters.model)
    model.to(inputs.data.keypoints.device)
    progress = fit(
        model,
        inputs.data,
        inputs.index("train"),
        inputs.index("val"),
        n_classes,
        training_settings(parameters),
        checkpoint=folder / "checkpoint.pt",
        identity=inputs.identity,
        report=report,
    )
    _save_history(folder, progress)
    save_file(progress.best_weights, folder / ".tmp-weights.safetensors")
    os.replace(folder / ".tmp-weights.safetensors", folder / "weights.safetensors")
    # The test split is predicted once, here, with the weights that validation chose.
    how = (parameters.n_frames, parameters.eval_crops, parameters.precision)
    probabilities = {
        part: predict(model, inputs.data, inputs.index(part), *how).cpu().numpy() for part in ("val", "test")
    }
    n_parameters = sum(p.numel() for p in model.parameters())
    epochs = {"best_epoch": progress.best_epoch, "epochs": progress.epoch}
    return probabilities, {"n_parameters": n_parameters, **epochs}


def _save_history(folder: Path, progress: Progress) -> None:
    write_text(folder / "history.csv", pd.DataFrame(progress.history).to_csv(index=False))


def _baseline(parameters: RunParameters, inputs: Inputs) -> dict[str, np.ndarray]:
    from poseemo_lib.baselines import fit_baseline, predict_probabilities

    windows, labels, _ = _windows(inputs, "train", parameters)
    baseline = fit_baseline(parameters.architecture, windows, labels, len(inputs.classes), parameters.seed)
    probabilities = {}
    for part in ("val", "test"):
        windows, _, clip = _windows(inputs, part, parameters)
        values = torch.from_numpy(predict_probabilities(baseline, windows))
        probabilities[part] = mean_over_windows(values, clip, int(clip.max()) + 1).numpy()
    return probabilities


def _windows(inputs: Inputs, part: str, parameters: RunParameters):
    """Windows of one part for a baseline, the label of each, and the index of its clip within the part."""
    from poseemo_lib.baselines import Windows

    index = inputs.index(part)
    clip, start = evaluation_windows(inputs.data.lengths[index], parameters.n_frames, parameters.eval_crops)
    keypoints, mask = window_keypoints(inputs.data, index[clip], start, parameters.n_frames)
    clip = clip.cpu()
    # The unit that counts once, in training and in a random guess: the clip, or the recording.
    unit = clip.numpy()
    if parameters.score_by == "source":
        rows = inputs.table[inputs.table["part"] == part]
        unit = rows["source_id"].astype("category").cat.codes.to_numpy()[unit]
    windows = Windows(keypoints.cpu().numpy(), mask.cpu().numpy(), inputs.data.fps, unit)
    return windows, inputs.data.labels[index].cpu().numpy()[clip.numpy()], clip


def _peak_memory(device: torch.device) -> dict[str, int]:
    """Peak memory of the process, and of the GPU where one was used, MiB."""
    peak = {"process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}
    if device.type == "cuda":
        peak["gpu"] = torch.cuda.max_memory_allocated(device) // 2**20
    return peak
