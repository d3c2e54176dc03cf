"""A dataset and a study with people's ratings, made from those without."""

import json
import shutil

import numpy as np
import pandas as pd

from poseemo_lib.data.dataset import Dataset


def rated_copy(dataset, folder, ratings=None, *, n_raters=5, seed=0):
    """Copy a dataset and write its `ratings.csv`; by default raters are right in half of the clips, and skip some."""
    shutil.copytree(dataset, folder)
    if ratings is None:
        rng, table = np.random.default_rng(seed), Dataset(dataset).table()
        classes = Dataset(dataset).classes
        rows = [(clip.clip_id, f"P{rater}", clip.label if rng.random() < 0.5 else rng.choice(classes))
                for clip in table.itertuples() for rater in range(n_raters) if rng.random() < 0.9]  # fmt: skip
        ratings = pd.DataFrame(rows, columns=["clip_id", "rater", "label"])
    ratings.to_csv(folder / "ratings.csv", index=False)
    return folder


def study_on(study, dataset, folder):
    """Copy a study's runs as if they had been made on another copy of their dataset."""
    shutil.copytree(study, folder)
    for path in folder.rglob("run.json"):
        record = json.loads(path.read_text())
        record["parameters"]["dataset"] = str(dataset)
        path.write_text(json.dumps(record))
    return folder
