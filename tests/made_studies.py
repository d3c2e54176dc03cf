"""Whole studies whose run folders are written by hand: real parameters and layout, made-up predictions."""

import json
from itertools import product
from zlib import crc32

import numpy as np
import pandas as pd

from poseemo_lib.clips import EMOTIONS
from poseemo_lib.data.splits import make_split, repeated_folds
from poseemo_lib.models import build_model
from poseemo_lib.training.calibration import calibration_of, prior_factors
from poseemo_lib.training.evaluation import scored_units
from poseemo_lib.training.parameters import RunParameters, check_parameters, is_baseline
from poseemo_lib.training.run import score_run

SHARES = (0.12, 0.08, 0.06, 0.18, 0.34, 0.11, 0.11)
SPLITS = ("train", "val", "test")


def made_study(root, configs, *, seeds=(0, 1), n_groups=12, per_group=12, skill=0.45, leaks=None):
    """Write the runs of a study.

    `configs` has the parameters that differ from the defaults, and `skill`, the share of predictions that are no guess;
    `leaks` has what the audit found in each split. With `folds` there are runs of every fold of every repeat.
    """
    for name, values in configs.items():
        values = dict(values)
        right = values.pop("skill", skill)
        folds = repeated_folds(values["folds"], values.get("repeats", 1)) if "folds" in values else [None]
        for seed, fold in product(seeds, folds):
            own = values | ({"fold": fold} if fold else {})
            parameters = check_parameters({"seed": seed, **own}).model_dump()
            folder = root / name / (f"fold-{fold}" if fold else "") / f"seed-{seed}"
            folder.mkdir(parents=True)
            found = (leaks or {}).get(parameters["split"], {})
            _write(folder, name, parameters, right, n_groups, per_group, found)
    return root


def _write(folder, config, parameters, skill, n_groups, per_group, leaks):
    split = _split(parameters, n_groups, per_group)
    split.to_parquet(folder / "split.parquet")
    held_out = split[split["part"] != "train"].rename(columns={"part": "split"})
    predictions = _predict(held_out, config, parameters, skill)
    predictions.to_parquet(folder / "predictions.parquet")
    scores = score_run(predictions, EMOTIONS, parameters["score_by"])
    priors = prior_factors(RunParameters(**parameters), split.query("part == 'train'"), EMOTIONS)
    validation = scored_units(predictions, "val", EMOTIONS, parameters["score_by"])
    (folder / "calibration.json").write_text(json.dumps(calibration_of(validation, EMOTIONS, priors)))
    (folder / "metrics.json").write_text(json.dumps(scores))
    record = {
        "status": "complete", "config": config, "identity": f"{config}-{parameters['seed']}", "parameters": parameters,
        "classes": list(EMOTIONS), "leaks": leaks, "device": "cpu", "seconds": 1.0,
        "started": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T00:00:01+00:00", "poseemo_version": "0",
        "commit": "c", "torch_version": "0", "split_hash": parameters["split"],
        "dataset": {"name": "made", "content_hash": "h", "synthetic": True},
        "clips": {part: int((split["part"] == part).sum()) for part in SPLITS},
    }  # fmt: skip
    if not is_baseline(parameters["architecture"]):
        model = build_model(parameters["architecture"], **parameters["model"])
        record |= {"n_parameters": sum(p.numel() for p in model.parameters()), "best_epoch": 3, "epochs": 4}
        columns = ("train_loss", "val_loss", "val_macro_f1", "lr", "seconds")
        history = pd.DataFrame({"epoch": range(1, 5)} | {name: np.linspace(0.9, 0.5, 4) for name in columns})
        history.to_csv(folder / "history.csv", index=False)
    (folder / "run.json").write_text(json.dumps(record))


def _split(parameters, n_groups, per_group):
    if not parameters["folds"]:
        parts = [_clips(part, parameters["split"], n_groups, per_group) for part in SPLITS]
        return pd.concat(parts, ignore_index=True)
    clips = _clips("all", parameters["split"], n_groups, per_group)
    whole = clips.assign(split=None, origin="synthetic", augmented_from=None)
    parts = make_split(whole, "grouped", fold=parameters["fold"], folds=parameters["folds"])
    return clips.assign(part=parts.to_numpy())


def _clips(part, split, n_groups, per_group):
    rng = np.random.default_rng(crc32(f"{part}{split}".encode()))
    n = n_groups * per_group
    names = [f"{split}-{part}-{i}" for i in range(n)]
    groups = [f"{part}-{i // per_group}" for i in range(n)]
    labels = rng.choice(EMOTIONS, n, p=SHARES)
    return pd.DataFrame({"clip_id": names, "part": part, "label": labels, "group_id": groups, "source_id": names})


def _predict(table, config, parameters, skill):
    """Predict the label with the probability `skill`, otherwise a class by the classes' frequencies."""
    fold = parameters["fold"] if parameters["folds"] else ""
    rng = np.random.default_rng(crc32(f"{config}{parameters['seed']}{fold}".encode()))
    table = table.reset_index(drop=True)
    truth = pd.Index(EMOTIONS).get_indexer(table["label"])
    if parameters["architecture"] == "majority":
        predicted = np.full(len(table), np.bincount(truth).argmax())
    else:
        predicted = np.where(rng.random(len(table)) < skill, truth, rng.permutation(truth))
    probabilities = np.full((len(table), len(EMOTIONS)), 0.4 / (len(EMOTIONS) - 1))
    probabilities[np.arange(len(table)), predicted] = 0.6
    return table.join(pd.DataFrame(probabilities, columns=[f"p_{name}" for name in EMOTIONS]))


AUGMENTATION = ("flip", "scale", "rotation", "noise", "time_warp", "joint_dropout", "slot_swap")
ABLATION = {
    "base": {},
    "hidden_128": {"model": {"hidden": 128}},
    "hidden_512": {"model": {"hidden": 512}},
    **{f"blocks_{n}": {"model": {"blocks": n}} for n in (8, 2, 6)},
    "bottleneck": {"model": {"block": "bottleneck"}},
    "pre_activation": {"model": {"block": "pre_activation"}, "skill": 0.9},
    "mean": {"model": {"pooling": "mean"}},
    "max": {"model": {"pooling": "max"}},
    **{f"dropout_0{n}": {"model": {"dropout": n / 10}} for n in (2, 4, 5)},
    "gate": {"model": {"squeeze_excitation": True}},
    "frame": {"normalisation": "frame", "positions": "scene", "noise": 0.0045},
    "no_augmentation": {**dict.fromkeys(AUGMENTATION, 0.0), "skill": 0.2},
    **{f"only_{name}": {other: 0.0 for other in AUGMENTATION if other != name} for name in AUGMENTATION},
    "one_person": {"people": 1, "slot_swap": 0.0},
}
IMBALANCE = {
    "nothing": {"sampler": "uniform"},
    "weights": {"sampler": "uniform", "class_weights": "inverse"},
    "sampler": {"sampler": "balanced"},
    "twice": {"sampler": "balanced", "class_weights": "inverse", "allow_double_balancing": True, "skill": 0.15},
    "focal": {"sampler": "uniform", "loss": "focal"},
    "logits": {"sampler": "uniform", "loss": "logit_adjustment"},
}
LEAKAGE = {
    "majority_random": {"architecture": "majority", "split": "random", "allow_leak": True},
    "majority_grouped": {"architecture": "majority"},
    "net_random": {"split": "random", "allow_leak": True, "skill": 0.9},
    "net_grouped": {},
}
LEAKS = {"random": {"source": 12, "group": 30, "augmented": 8}}
