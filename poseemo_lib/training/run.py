"""One run from its parameters: dataset -> split and audit -> device -> fit -> predictions -> run folder."""

import os
import resource
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd
import torch

from poseemo_lib import __version__
from poseemo_lib.clips import SPLITS
from poseemo_lib.data.dataset.statistics import STATISTICS_FILE, dataset_statistics
from poseemo_lib.features.layout import N_FEATURES
from poseemo_lib.files import replacing, write_json, write_table, write_text
from poseemo_lib.models import build_model
from poseemo_lib.models.standardised import Standardised
from poseemo_lib.training.batching import evaluation_batch, evaluation_windows
from poseemo_lib.training.calibration import calibrated, calibration_of, prior_factors
from poseemo_lib.training.evaluation import probability_columns, scored_units
from poseemo_lib.training.fit import fit, predict
from poseemo_lib.training.inputs import Inputs, load_inputs
from poseemo_lib.training.metrics import score_predictions
from poseemo_lib.training.parameters import RunParameters, is_baseline
from poseemo_lib.training.run_folder import (
    RUN_FILE,
    is_complete,
    library_commit,
    locked,
    now,
    read_record,
    set_aside,
)

# Clips whose windows the input standardisation is computed from: enough for a mean, and bounded in memory.
MOST_STANDARDISED = 2048


def train_run(
    parameters: RunParameters,
    folder: str | Path,
    *,
    config: str = "",
    inputs: Inputs | None = None,
    report: Callable[[dict], None] | None = None,
) -> Path:
    """Make one run, write its folder and return it; a complete run is left as it is.

    A killed run continues from its checkpoint. A folder with a run of other parameters is moved to `.stale/` beside it.
    `config` is the name of the study's config (default: the architecture), `inputs` comes from :func:`load_inputs`, and
    `report` is called with the history's row after each epoch.
    """
    folder = Path(folder).absolute()
    inputs = inputs or load_inputs(parameters)
    with locked(folder):
        if is_complete(folder, inputs.identity):
            return folder
        record = _new_record(parameters, inputs, config)
        old = read_record(folder)
        # Sums of floats depend on the device and on the number of threads: on another kind of device a run begins
        # anew; otherwise it continues with the number of threads that it began with.
        if old is None or old["identity"] != inputs.identity:
            set_aside(folder)  # also one whose record cannot be read
        elif old["device_type"] != record["device_type"]:
            (folder / "checkpoint.pt").unlink(missing_ok=True)
        else:
            torch.set_num_threads(old["threads"])
            record |= {"started": old["started"], "threads": old["threads"]}
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / RUN_FILE, record)
        started = time.perf_counter()
        try:
            record |= _fit_and_save(parameters, folder, inputs, report)
        except Exception as error:
            write_json(folder / RUN_FILE, record | {"status": "failed", "error": str(error), "finished": now()})
            raise
        seconds = time.perf_counter() - started + record.pop("seconds_before", 0.0)
        record |= {"status": "complete", "finished": now(), "seconds": round(seconds, 3)}
        record["peak_memory_mib"] = _peak_memory(inputs.data.keypoints.device)
        (folder / "checkpoint.pt").unlink(missing_ok=True)
        write_json(folder / RUN_FILE, record)
    return folder


def epoch_line(row: dict) -> str:
    """Describe one epoch in a line."""
    return (
        f"epoch {row['epoch']:3d}  train loss {row['train_loss']:.3f}  val loss {row['val_loss']:.3f}  "
        f"val macro-F1 {row['val_macro_f1']:.3f}  {row['seconds']:.1f} s"
    )


def _new_record(parameters: RunParameters, inputs: Inputs, config: str) -> dict:
    device = inputs.data.keypoints.device
    info = inputs.dataset.info
    return {
        "status": "running",
        "config": config or parameters.architecture,
        "identity": inputs.identity,
        "parameters": parameters.model_dump(),
        "poseemo_version": __version__,
        "commit": library_commit(),
        "torch_version": torch.__version__,
        "dataset": {"name": info.name, "content_hash": info.content_hash, "synthetic": info.synthetic},
        "classes": list(inputs.classes),
        "split_hash": inputs.split_hash,
        "clips": {part: int((inputs.table["part"] == part).sum()) for part in SPLITS},
        "leaks": inputs.leaks,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "device_type": device.type,
        "visible_gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "threads": torch.get_num_threads(),
        "host": socket.gethostname(),
        "started": now(),
    }


def _fit_and_save(parameters: RunParameters, folder: Path, inputs: Inputs, report) -> dict:
    if is_baseline(parameters.architecture):
        probabilities, more = _baseline(parameters, folder, inputs), {}
    else:
        probabilities, more = _model(parameters, folder, inputs, report)
    predictions = _prediction_table(inputs, probabilities)
    write_table(folder / "split.parquet", inputs.table[["clip_id", "part", "label", "group_id", "source_id"]])
    write_table(folder / "predictions.parquet", predictions)
    trained = inputs.table[inputs.table["part"] == "train"]
    validation = scored_units(predictions, "val", inputs.classes, parameters.score_by)
    calibration = calibration_of(validation, inputs.classes, prior_factors(parameters, trained, inputs.classes))
    write_json(folder / "calibration.json", calibration)
    scores = score_run(predictions, inputs.classes, parameters.score_by)
    scores["calibrated"] = score_run(predictions, inputs.classes, parameters.score_by, calibration)
    write_json(folder / "metrics.json", scores)
    write_json(folder / STATISTICS_FILE, dataset_statistics(inputs.dataset, trained["clip_id"]))
    return more


def score_run(
    predictions: pd.DataFrame, classes: tuple[str, ...], score_by: str, calibration: dict | None = None
) -> dict:
    """Score a table of predictions, as they are or calibrated: `val` and `test` of `metrics.json`."""
    scores = {}
    for split in ("val", "test"):
        table = scored_units(predictions, split, classes, score_by)
        table = table if calibration is None else calibrated(table, classes, calibration)
        labels = table["label"].map({name: i for i, name in enumerate(classes)}).to_numpy()
        scores[split] = score_predictions(labels, table[probability_columns(classes)].to_numpy(), classes)
    return scores


def _prediction_table(inputs: Inputs, probabilities: dict[str, np.ndarray]) -> pd.DataFrame:
    tables = []
    for split, values in probabilities.items():
        rows = inputs.table.loc[inputs.table["part"] == split, ["clip_id", "part", "label", "group_id", "source_id"]]
        columns = dict(zip(probability_columns(inputs.classes), values.astype(np.float32).T, strict=True))
        tables.append(rows.rename(columns={"part": "split"}).assign(**columns))
    return pd.concat(tables, ignore_index=True)


def _model(parameters: RunParameters, folder: Path, inputs: Inputs, report) -> tuple[dict, dict]:
    from safetensors.torch import save_file

    torch.use_deterministic_algorithms(True, warn_only=True)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    n_classes = len(inputs.classes)
    torch.manual_seed(parameters.seed)
    network = build_model(parameters.architecture, parameters.n_outputs or n_classes, **parameters.model)
    features = _training_features(inputs, parameters) if parameters.standardise else torch.zeros(1, 1, N_FEATURES)
    model = Standardised(network, features, parameters.motion, n_classes)
    model.to(inputs.data.keypoints.device)
    progress = fit(
        model,
        inputs.data,
        inputs.index("train"),
        inputs.index("val"),
        n_classes,
        parameters,
        targets=inputs.targets,
        checkpoint=folder / "checkpoint.pt",
        identity=inputs.identity,
        report=report,
    )
    write_text(folder / "history.csv", pd.DataFrame(progress.history).to_csv(index=False))
    with replacing(folder / "weights.safetensors") as temporary:
        save_file(progress.best_weights, temporary)
        shutil.copymode(folder / RUN_FILE, temporary)  # safetensors lets nobody else read
    # The test split is predicted once, here, with the weights that validation chose.
    probabilities = {
        split: predict(model, inputs.data, inputs.index(split), parameters).cpu().numpy() for split in ("val", "test")
    }
    return probabilities, {
        "n_parameters": sum(p.numel() for p in model.parameters()),
        "best_epoch": progress.best_epoch,
        "epochs": progress.epoch,
        "seconds_before": sum(row["seconds"] for row in progress.history[: progress.resumed_at]),
    }


def _training_features(inputs: Inputs, parameters: RunParameters) -> torch.Tensor:
    """Cut a window from the middle of training clips, without augmentation: (N, T, F), N at most 2,048."""
    index = inputs.index("train")
    index = index[:: -(-len(index) // MOST_STANDARDISED)]
    clip, start = evaluation_windows(inputs.data.lengths[index], parameters.n_frames, crops=1)
    return evaluation_batch(inputs.data, index[clip], start, parameters.n_frames)[0]


def _baseline(parameters: RunParameters, folder: Path, inputs: Inputs) -> dict[str, np.ndarray]:
    """Fit on train and validation, since a baseline chooses nothing on validation, and keep that for the test clips.

    Validation clips are predicted by the same baseline fitted on train alone: calibration and scores by validation are
    those of a baseline that has not seen these clips.
    """
    from poseemo_lib.training.baselines import fit_clips, predict_clips, save_baseline

    units = inputs.table["source_id" if parameters.score_by == "source" else "clip_id"].to_numpy()
    # A seed for each fold: one for all would repeat the same few guesses in every fold.
    seed = int(np.random.SeedSequence([parameters.seed, crc32(parameters.fold.encode())]).generate_state(1)[0])
    probabilities = {}
    for split, fitted_on in (("val", ("train",)), ("test", ("train", "val"))):
        seen, index = inputs.index(*fitted_on), inputs.index(split)
        baseline = fit_clips(inputs.data, seen, units[seen.cpu()], len(inputs.classes), seed, parameters)
        probabilities[split] = predict_clips(baseline, inputs.data, index, units[index.cpu()], parameters)
    save_baseline(baseline, folder)
    return probabilities


def _peak_memory(device: torch.device) -> dict[str, int]:
    """Peak memory of the process, and of the GPU where one was used, MiB."""
    peak = {"process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}
    if device.type == "cuda":
        peak["gpu"] = torch.cuda.max_memory_allocated(device) // 2**20
    return peak
