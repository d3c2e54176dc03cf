"""Made-up answers of configs to clustered clips, for tests of statistics."""

import numpy as np
import pandas as pd

from poseemo_lib.training.evaluation import probability_columns

CLASSES = ("a", "b", "c")


def make_table(labels, answers, groups, classes=CLASSES):
    n = len(classes)
    table = pd.DataFrame(
        {
            "clip_id": [f"clip-{i:04d}" for i in range(len(labels))],
            "split": "test",
            "label": [classes[i] for i in labels],
            "group_id": groups,
            "source_id": [f"source-{i}" for i in range(len(labels))],
        }
    )
    table[probability_columns(classes)] = np.eye(n)[answers] * 0.9 + 0.1 / n
    return table


def make_labels(rng, n_groups, n_each):
    return rng.integers(0, 3, n_groups * n_each)


def make_config(rng, labels, n_groups, *, skill=0.5, seeds=2, group_sd=0.2, seed_sd=0.03):
    """Right with a probability that differs by group and by seed; wrong answers are drawn at random."""
    n_each = len(labels) // n_groups
    by_group = np.repeat(rng.normal(0, group_sd, n_groups), n_each)
    tables = {}
    for seed in range(seeds):
        right = rng.random(len(labels)) < skill + by_group + rng.normal(0, seed_sd)
        answers = np.where(right, labels, (labels + rng.integers(1, 3, len(labels))) % 3)
        tables[seed] = make_table(labels, answers, np.repeat([f"g{i:02d}" for i in range(n_groups)], n_each))
    return tables


def answers_of(table):
    return np.array(CLASSES)[table[probability_columns(CLASSES)].to_numpy().argmax(1)]
