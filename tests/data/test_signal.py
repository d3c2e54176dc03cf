"""The whole path on synthetic data: no signal gives chance, a leak gives a false success, a signal is found.

Long: `make test-all` runs it.
"""

import numpy as np
import pytest

from poseemo_lib.clips import mark_missing
from poseemo_lib.data.dataset import Dataset, DatasetInfo, DatasetWriter
from poseemo_lib.data.synthetic import write_synthetic_dataset
from poseemo_lib.skeleton import FLIP_ORDER
from poseemo_lib.training.evaluation import config_scores
from poseemo_lib.training.parameters import check_parameters
from poseemo_lib.training.run import train_run
from poseemo_lib.training.run_folder import Run, read_record

pytestmark = pytest.mark.slow
CHANCE = 1 / 7
NETWORK = {"architecture": "deep_residual", "epochs": 20, "patience": 0, "lr": 2e-3, "model": {"hidden": 128}}


def balanced_accuracy(dataset, folder, seeds=(0, 1), **values):
    """Mean over seeds and 95 % interval by group."""
    runs = {}
    for seed in seeds:
        parameters = check_parameters({"dataset": str(dataset), "seed": seed, **values})
        path = train_run(parameters, folder / f"seed-{seed}")
        runs[seed] = Run(path, read_record(path)).predictions("test")
    table = config_scores(runs, Dataset(dataset).classes).scores.set_index("metric")
    return table.loc[["balanced_accuracy", "accuracy", "macro_f1"], ["mean", "low", "high"]]


@pytest.fixture(scope="module")
def no_signal(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "none"
    write_synthetic_dataset(folder, 1200, seed=7, signal=0.0, n_groups=120)
    return folder


@pytest.fixture(scope="module")
def no_signal_with_copies(no_signal, tmp_path_factory):
    """The same clips and a mirrored, slightly noisy copy of each, as the published study made for some classes."""
    folder = tmp_path_factory.mktemp("data") / "copies"
    rng = np.random.default_rng(0)
    with DatasetWriter(folder, DatasetInfo(name="copies", synthetic=True)) as writer:
        for clip in Dataset(no_signal).clips():
            writer.write(clip)
            keypoints = clip.keypoints[:, :, FLIP_ORDER].copy()
            keypoints[..., 0] = clip.width - keypoints[..., 0]
            keypoints[..., :2] += rng.normal(0, 1, keypoints[..., :2].shape)
            source = {"origin": "augmented", "augmented_from": clip.clip_id}
            writer.write(clip.with_(clip_id=f"{clip.clip_id}@copy", keypoints=mark_missing(keypoints), **source))
    return folder


def test_without_a_signal_the_interval_contains_chance(no_signal, tmp_path):
    for name, values in {"network": NETWORK, "extra_trees": {"architecture": "extra_trees"}}.items():
        score = balanced_accuracy(no_signal, tmp_path / name, **values).loc["balanced_accuracy"]
        assert score["low"] < CHANCE < score["high"], (name, score)


def test_the_same_data_with_copies_under_a_random_split_look_like_a_success(no_signal_with_copies, tmp_path):
    leak = {"split": "random", "allow_leak": True}
    # It takes memorising, so nothing but the mirroring that the copies have is augmented.
    still = {"noise": 0.0, "joint_dropout": 0.0, "rotation": 0.0, "scale": 0.0, "time_warp": 0.0, "slot_swap": 0.0}
    longer = NETWORK | {"epochs": 40} | still
    for name, values in {"network": longer, "extra_trees": {"architecture": "extra_trees"}}.items():
        score = balanced_accuracy(no_signal_with_copies, tmp_path / name, seeds=(0,), **leak, **values)
        assert score.loc["balanced_accuracy", "low"] > 1.5 * CHANCE, (name, score)


def test_a_signal_is_found(tmp_path):
    write_synthetic_dataset(tmp_path / "data", 1200, seed=7, signal=1.0, n_groups=120)
    score = balanced_accuracy(tmp_path / "data", tmp_path / "network", **NETWORK)
    majority = balanced_accuracy(tmp_path / "data", tmp_path / "majority", seeds=(0,), architecture="majority")
    assert score.loc["balanced_accuracy", "low"] > 1.5 * CHANCE
    assert score.loc["macro_f1", "low"] > majority.loc["macro_f1", "high"]
    assert score.loc["accuracy", "mean"] > majority.loc["accuracy", "mean"]
