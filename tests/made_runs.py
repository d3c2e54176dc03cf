"""Made-up predictions of clustered clips, and run folders with them, for tests of what reads them."""

import numpy as np
import pandas as pd

from poseemo_lib.files import write_json, write_table
from poseemo_lib.training.evaluation import probability_columns

CLASSES = ("angry", "happy", "sad")


def predict(labels, share, rng):
    """Right in about that share of clips, otherwise one of the other classes."""
    labels = np.asarray(labels)
    wrong = (labels + rng.integers(1, 3, len(labels))) % 3
    return np.where(rng.random(len(labels)) < share, labels, wrong)


def write_run(
    folder, config, tables, *, architecture="gru", seed=0, fold="", leaks=None, synthetic=False, **parameters
):
    """Write one complete run; `tables` is split -> predictions table."""
    folder.mkdir(parents=True)
    write_table(folder / "predictions.parquet", pd.concat(tables.values(), ignore_index=True))
    values = {"architecture": architecture, "seed": seed, "fold": fold, "score_by": "clip", "dataset": "d"} | parameters
    record = {
        "status": "complete", "config": config, "identity": str(folder), "parameters": values,
        "classes": list(CLASSES), "leaks": leaks or {}, "clips": {"train": 10, "val": 5, "test": 5},
        "dataset": {"content_hash": "h", "synthetic": synthetic, "name": "d"},
    }  # fmt: skip
    write_json(folder / "run.json", record)
    return record


def make_table(labels, predicted, groups, split="test", prefix="", sure=0.8):
    """A predictions table whose most probable classes are those predicted."""
    table = pd.DataFrame({"clip_id": [f"{prefix}{split}-{i:03d}" for i in range(len(labels))]})
    table["split"], table["group_id"], table["source_id"] = split, groups, table["clip_id"]
    table["label"] = np.array(CLASSES)[labels]
    table[probability_columns(CLASSES)] = np.where(np.eye(3)[predicted] > 0, sure, (1 - sure) / 2)
    return table


def write_config(root, name, share, *, val_share=None, n_groups=10, n_each=12, seeds=(0, 1, 2), prefix="", **more):
    """Write a config that is right in a share of clips, the same clips for all configs with one prefix."""
    fixed = np.random.default_rng(1)
    labels = fixed.integers(0, 3, n_groups * n_each)
    groups = np.repeat([f"{prefix}g{i}" for i in range(n_groups)], n_each)
    for seed in seeds:
        rng = np.random.default_rng([seed, *name.encode()])
        tables = {
            split: make_table(labels, predict(labels, part, rng), groups, split, prefix)
            for split, part in (("val", share if val_share is None else val_share), ("test", share))
        }
        write_run(root / name / f"seed-{seed}", name, tables, seed=seed, **more)


def make_config(rng, labels, n_groups, *, skill=0.5, seeds=2, group_sd=0.2, seed_sd=0.03):
    """Seed -> predictions, right with a probability that differs by group and by seed, otherwise drawn at random."""
    n_each = len(labels) // n_groups
    by_group = np.repeat(rng.normal(0, group_sd, n_groups), n_each)
    tables = {}
    for seed in range(seeds):
        right = rng.random(len(labels)) < skill + by_group + rng.normal(0, seed_sd)
        predicted = np.where(right, labels, (labels + rng.integers(1, 3, len(labels))) % 3)
        tables[seed] = make_table(labels, predicted, np.repeat([f"g{i:02d}" for i in range(n_groups)], n_each))
    return tables


def predicted_classes(table):
    return np.array(CLASSES)[table[probability_columns(CLASSES)].to_numpy().argmax(1)]
