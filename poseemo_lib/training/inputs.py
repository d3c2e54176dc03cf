"""What a run works on: the dataset, its split, the audit of it, and the clips on the device."""

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from poseemo_lib.data.dataset import Dataset
from poseemo_lib.data.dataset.notes import noted
from poseemo_lib.data.dataset.ratings import RATINGS_FILE, rating_counts, read_ratings
from poseemo_lib.data.recipes import ensure_dataset
from poseemo_lib.data.splits import make_split, split_hash
from poseemo_lib.errors import LeakError, UsageError
from poseemo_lib.features.preparation import Preparation
from poseemo_lib.training.batching import PreparedClips, prepare_clips
from poseemo_lib.training.parameters import RunParameters, settings_from
from poseemo_lib.training.run_folder import run_identity


@dataclass(frozen=True)
class Inputs:
    """What a run works on.

    `table` has the metadata of the clips in use, in the order of `data`, and their splits in the column `part`.
    `leaks` counts the leaks of each kind; it is empty for a clean split. For `identity` see `run_folder.run_identity`.
    `targets` are the :func:`soft_targets`, or None with hard labels.
    """

    dataset: Dataset
    table: pd.DataFrame
    leaks: dict[str, int]
    data: PreparedClips
    identity: str
    split_hash: str
    targets: torch.Tensor | None = None

    def index(self, *splits: str) -> torch.Tensor:
        """Positions of the clips of `train`, `val` or `test`, or of several of them, in `data`."""
        rows = np.flatnonzero(self.table["part"].isin(splits))
        return torch.from_numpy(rows).to(self.data.keypoints.device)

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, in order."""
        return self.dataset.classes


def choose_device(name: str) -> torch.device:
    """Return the device `auto` (a GPU if there is one), `cpu`, `cuda` or `cuda:N`; a UsageError if it is missing."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError):
        raise UsageError(f"device: wanted auto, cpu, cuda or cuda:N with that GPU there, got {name!r}") from None
    return device


def split_table(table: pd.DataFrame, parameters: RunParameters) -> pd.Series:
    """Split the clips of a dataset's table as the parameters say: clip_id -> train, val, test or missing."""
    fold, folds = parameters.fold or None, parameters.folds
    return make_split(table, parameters.split, seed=parameters.split_seed, fold=fold, folds=folds)


def audit_split(dataset: Dataset, split: pd.Series) -> dict[str, int]:
    """Count the leaks of each kind, empty for a clean split; the result is kept in the dataset's folder."""

    def count() -> dict[str, int]:
        from poseemo_lib.data.audit import audit

        return {kind: n for kind, n in audit(dataset, split).counts.items() if n}

    return noted(dataset, "audit", split_hash(split), count)


def data_hash(dataset: Dataset, parameters: RunParameters) -> str:
    """Hash what a run reads of a dataset: the clips and, with soft labels, the ratings; a UsageError without them."""
    if parameters.labels == "hard":
        return dataset.info.content_hash
    if (ratings := read_ratings(dataset)) is None or ratings.empty:
        raise UsageError(
            f"{dataset.root}: labels: soft wants people's ratings in {RATINGS_FILE}, found none; use labels: hard"
        )
    return dataset.info.content_hash + hashlib.sha256(ratings.to_csv(index=False).encode()).hexdigest()


def soft_targets(ratings: pd.DataFrame, table: pd.DataFrame, classes: tuple[str, ...]) -> np.ndarray:
    """Share of each class among a clip's ratings, or 1 for the label of a clip without: (N, n_classes), float32.

    A copy has the ratings of its source, as it has its label.
    """
    counts = rating_counts(ratings, classes)
    rated = table["augmented_from"].fillna(table["clip_id"]) if counts.index.name == "clip_id" else table["source_id"]
    shares = counts.div(counts.sum(axis=1), axis=0).reindex(rated).to_numpy()
    own = np.eye(len(classes))[pd.Index(classes).get_indexer(table["label"])]
    return np.where(np.isnan(shares), own, shares).astype(np.float32)


def load_inputs(parameters: RunParameters) -> Inputs:
    """Open the dataset, split and audit it, and bring the clips to the device.

    Raises
    ------
    LeakError
        The audit found a leak and the parameters do not allow one.
    UsageError
        `score_by: source` and a recording with clips of several labels, training clips of fewer than two classes,
        `n_outputs`, `class_weights` or `given_prior` that do not fit the classes, or `labels: soft` without ratings.
    """
    if parameters.threads:
        torch.set_num_threads(parameters.threads)
    dataset = Dataset(ensure_dataset(parameters.dataset))
    _check_outputs(parameters, len(dataset.classes))
    hashed_data = data_hash(dataset, parameters)
    everything = dataset.table()
    if parameters.score_by == "source":
        labels = everything.groupby("source_id")["label"].nunique()
        if (labels > 1).any():
            raise UsageError(
                f"{dataset.root}: score_by: source wants recordings of one label each, got {int((labels > 1).sum())} "
                f"with several, such as {labels.idxmax()!r}; use score_by: clip"
            )
    given = parameters.given_prior
    if given and set(given) != set(dataset.classes):
        raise UsageError(
            f"given_prior: wanted a share for each of {', '.join(dataset.classes)}, got {', '.join(map(str, given))}"
        )
    split = split_table(everything, parameters)
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
        settings_from(Preparation, parameters),
        choose_device(parameters.device),
    )
    table = everything.set_index("clip_id").loc[data.clip_ids].reset_index()
    table["part"] = used.loc[data.clip_ids].to_numpy()
    labels = table.loc[table["part"] == "train", "label"].unique()
    if len(labels) < 2:
        raise UsageError(
            f"{parameters.dataset}: wanted training clips of two classes or more, got {len(table)} clips in all, with "
            f"{', '.join(map(str, labels)) or 'none'} in the training split ({parameters.split})"
        )
    hashed = split_hash(split)
    identity = run_identity(parameters.model_dump(), hashed_data, hashed)
    targets = None
    if parameters.labels == "soft":
        shares = soft_targets(read_ratings(dataset), table, dataset.classes)
        spare = max(parameters.n_outputs - len(dataset.classes), 0)
        targets = torch.from_numpy(np.pad(shares, [(0, 0), (0, spare)])).to(data.keypoints.device)
    return Inputs(dataset, table, leaks, data, identity, hashed, targets)


def _check_outputs(parameters: RunParameters, n_classes: int) -> None:
    n_outputs, weights = parameters.n_outputs or n_classes, parameters.class_weights
    if n_outputs < n_classes:
        raise UsageError(
            f"n_outputs: wanted at least one for each of the {n_classes} classes of {parameters.dataset}, or 0, got "
            f"{n_outputs}"
        )
    if not isinstance(weights, str) and len(weights) != n_outputs:
        raise UsageError(f"class_weights: wanted one for each of the {n_outputs} outputs, got {len(weights)}")
