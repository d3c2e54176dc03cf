"""The study `as_published`: its settings are the published ones, it runs, and the report sees no difference."""

import made_studies
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from poseemo_lib.data.dataset import Dataset, DatasetWriter
from poseemo_lib.inference.export import export_run
from poseemo_lib.inference.predictor import load_predictor
from poseemo_lib.models import build_model
from poseemo_lib.report import published
from poseemo_lib.report.data import load_report_data
from poseemo_lib.studies.plan import config_values, load_study
from poseemo_lib.training.calibration import scale_probabilities
from poseemo_lib.training.evaluation import probability_columns
from poseemo_lib.training.parameters import check_parameters
from poseemo_lib.training.run import train_run
from poseemo_lib.training.run_folder import Run, read_record

# What was published, and what its study file says is not stated.
STATED = {
    "normalisation": "frame", "positions": "scene", "motion_unit": "frame", "standardise": False,
    "people": 2, "n_frames": 64, "lr": 5e-4, "weight_decay": 1e-4, "batch_size": 32, "epochs": 60,
    "warmup_epochs": 0, "label_smoothing": 0.1, "loss": "cross_entropy", "clip_norm": 1.0, "sampler": "balanced",
    "n_outputs": 8, "class_weights": [1, 1, 1, 1, 1, 1, 1, 0],
    "flip": 0.5, "scale": 0.1, "noise": 0.0045, "rotation": 0, "time_warp": 0, "joint_dropout": 0, "slot_swap": 0,
    "weight_average": 0, "patience": 0, "choose_after": 1, "eval_crops": 1,
}  # fmt: skip
# Parameters with 8 outputs, as published.
SIZES = {
    "deep_residual": 693_000, "deep_residual_pre_activation": 693_000, "deep_residual_mean": 659_976,
    "transformer": 436_552, "gru": 592_392, "bilstm_large": 2_956_296, "bilstm": 361_992, "conv1d": 410_504,
    "multiscale": 311_304, "conv_lstm": 428_040, "tcn_bilstm": 539_784, "hidden_128": 190_856, "hidden_512": 2_631_176,
    "blocks_2": 427_784, "blocks_6": 958_216, "blocks_8": 1_223_432, "block_bottleneck": 314_632,
    "pooling_max": 659_976,
}  # fmt: skip
STUDY = load_study(published.RECIPE)


def parameters_of(name, **changes):
    return check_parameters(config_values(STUDY, name, published.RECIPE) | changes)


def test_every_setting_is_the_published_one():
    base = parameters_of("deep_residual").model_dump()
    assert base.items() >= STATED.items() and base["model"] == {}
    assert set(STATED) <= set(STUDY.base)  # spelled out, whatever the defaults are


def test_the_networks_have_the_published_sizes():
    for name, size in SIZES.items():
        how = config_values(STUDY, name, published.RECIPE)
        with torch.device("meta"):
            model = build_model(how.get("architecture", "deep_residual"), how["n_outputs"], **how.get("model", {}))
        assert sum(p.numel() for p in model.parameters()) == size
    dropouts = {name: parameters_of(name).model["dropout"] for name in ("dropout_02", "dropout_04", "dropout_05")}
    assert dropouts == {"dropout_02": 0.2, "dropout_04": 0.4, "dropout_05": 0.5}
    assert parameters_of("squeeze_excitation").model == {"squeeze_excitation": True}


def test_each_variant_changes_one_thing():
    def changes(name):
        base, own = parameters_of("deep_residual").model_dump(), parameters_of(name).model_dump()
        return {key: own[key] for key in own if own[key] != base[key]}

    assert changes("body") == {"normalisation": "body", "positions": "person"}
    assert changes("epochs_100") == {"epochs": 100}
    assert changes("focal") == {"loss": "focal"}
    assert changes("class_weights") == {"class_weights": "inverse", "allow_double_balancing": True}


def test_a_study_that_follows_it_differs_in_nothing(tmp_path):
    entries = [entry["config"] for group in published.published()["accuracies"].values() for entry in group]
    configs = {name: config_values(STUDY, name, published.RECIPE) for name in (*entries, "body", "epochs_100")}
    made_studies.made_study(tmp_path / "own", configs, seeds=[0])
    made_studies.made_study(tmp_path / "other", {"ours": {}, "short": configs["gru"] | {"epochs": 12}}, seeds=[0])
    own, other = (published.side_by_side(load_report_data([tmp_path / n]).studies) for n in ("own", "other"))
    assert list(own["config"]) == entries
    assert set(published.format_side_by_side(own)["our config differs in"]) == {"nothing"}
    found = other[other["config"] != ""].set_index("name")["differs_in"]
    assert found["gru"] == "epochs"
    assert set(found["deep_residual, standard"].split(", ")) == {
        "augmentation", "choose_after", "eval_crops", "motion_unit", "n_outputs", "normalisation", "patience",
        "standardise", "warmup_epochs", "weight_average",
    }  # fmt: skip


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    """One epoch of the recipe on a dataset with an official split, as CAER has one."""
    root = tmp_path_factory.mktemp("as_published")
    source = Dataset(tiny)
    parts = ("train", "train", "train", "val", "test")
    groups = sorted(source.table()["group_id"].unique())
    with DatasetWriter(root / "caer", source.info) as writer:
        for clip in source.clips():
            writer.write(clip.with_(split=parts[groups.index(clip.group_id) % len(parts)]))
    how = parameters_of("deep_residual_pre_activation", dataset=str(root / "caer"), epochs=1, threads=1)
    folder = train_run(how, root / "runs" / "deep_residual_pre_activation" / "seed-0")
    return Run(folder, read_record(folder))


def test_it_runs(run):
    assert run.record["status"] == "complete" and run.record["best_epoch"] == run.record["epochs"] == 1
    assert run.record["n_parameters"] == 693_000
    weights = load_file(run.folder / "weights.safetensors")
    assert (weights["mean"] == 0).all() and (weights["std"] == 1).all()
    assert len(weights["network.head.3.bias"]) == 8


def test_its_predictions_leave_the_reserved_output_out_everywhere(run, tmp_path):
    table, classes = run.predictions("test"), tuple(run.record["classes"])
    stored = table[probability_columns(classes)].to_numpy()
    assert len(classes) == 7 and stored.shape[1] == 7
    np.testing.assert_allclose(stored.sum(1), 1, rtol=1e-5)
    predictor = load_predictor(run.folder)
    clips = {clip.clip_id: clip for clip in Dataset(run.record["parameters"]["dataset"]).clips()}
    again = predictor.clip_probabilities(clips[name] for name in table["clip_id"])
    np.testing.assert_allclose(again, scale_probabilities(stored, predictor.info.temperature), atol=1e-6)
    side = export_run(run.folder, tmp_path / "net.onnx")
    assert side.parity["largest_difference"] < 1e-5 and side.preparation.motion_unit == "frame"
