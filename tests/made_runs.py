"""Run folders with made-up answers, for tests of what reads them."""

import numpy as np
import pandas as pd

from poseemo_lib.files import write_json, write_table
from poseemo_lib.training.evaluation import probability_columns

CLASSES = ("angry", "happy", "sad")


def answers(labels, share, rng):
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


def make_table(labels, answered, groups, split="test", prefix="", sure=0.8):
    """A predictions table whose most probable class is the one answered."""
    table = pd.DataFrame({"clip_id": [f"{prefix}{split}-{i:03d}" for i in range(len(labels))]})
    table["split"], table["group_id"], table["source_id"] = split, groups, table["clip_id"]
    table["label"] = np.array(CLASSES)[labels]
    table[probability_columns(CLASSES)] = np.where(np.eye(3)[answered] > 0, sure, (1 - sure) / 2)
    return table


def write_config(root, name, share, *, val_share=None, n_groups=10, n_each=12, seeds=(0, 1, 2), prefix="", **more):
    """Write a config that is right in a share of clips, the same clips for all configs with one prefix."""
    fixed = np.random.default_rng(1)
    labels = fixed.integers(0, 3, n_groups * n_each)
    groups = np.repeat([f"{prefix}g{i}" for i in range(n_groups)], n_each)
    for seed in seeds:
        rng = np.random.default_rng([seed, *name.encode()])
        tables = {
            split: make_table(labels, answers(labels, part, rng), groups, split, prefix)
            for split, part in (("val", share if val_share is None else val_share), ("test", share))
        }
        write_run(root / name / f"seed-{seed}", name, tables, seed=seed, **more)
