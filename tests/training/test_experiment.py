import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import SMALL
from safetensors.numpy import load_file

from poseemo_lib.data.dataset import Dataset, DatasetWriter
from poseemo_lib.errors import LeakError, PoseemoError, UsageError
from poseemo_lib.training.calibration import calibrated
from poseemo_lib.training.inputs import choose_device, load_inputs
from poseemo_lib.training.metrics import score_predictions
from poseemo_lib.training.parameters import BASELINE_NAMES, check_parameters
from poseemo_lib.training.run import train_run
from poseemo_lib.training.run_folder import Run, find_runs, locked, read_record

LONGER = {"epochs": 20, "model": {"hidden": 64, "blocks": 2}, "n_frames": 64}


def parameters(dataset, **values):
    return check_parameters({"dataset": str(dataset), **SMALL, **values})


def read(folder):
    return Run(folder, read_record(folder))


def stop(row):
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    return read(train_run(parameters(tiny), tmp_path_factory.mktemp("runs") / "config" / "seed-0", config="mine"))


def test_the_folder_holds_what_the_contract_says(run):
    names = {path.name for path in run.folder.iterdir() if not path.name.startswith(".")}
    assert names == {
        "run.json", "split.parquet", "history.csv", "predictions.parquet", "metrics.json", "calibration.json",
        "training_statistics.json",
        "weights.safetensors",
    }  # fmt: skip
    record = run.record
    assert record["status"] == "complete" and run.config == "mine" and run.seed == 0
    assert record["dataset"]["synthetic"] is True and record["leaks"] == {}
    assert sum(record["clips"].values()) == 120
    assert record["seconds"] > 0 and record["peak_memory_mib"]["process"] > 0
    weights = load_file(run.folder / "weights.safetensors")
    assert record["n_parameters"] == sum(a.size for name, a in weights.items() if name not in ("mean", "std"))
    assert {"mean", "std"} < set(weights)
    modes = {path.stat().st_mode for path in run.folder.iterdir() if path.is_file()}
    assert len(modes) == 1  # whoever may read one file may read all
    assert len(run.history()) == 2


def test_predictions_are_of_every_validation_and_test_clip_and_the_metrics_are_theirs(run, tiny):
    split = run.split().set_index("clip_id")
    for part in ("val", "test"):
        table = run.predictions(part)
        assert set(table["clip_id"]) == set(split.index[split["part"] == part])
        probabilities = table.filter(regex="^p_").to_numpy()
        np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
        labels = pd.Categorical(table["label"], run.record["classes"]).codes.astype(int)
        again = score_predictions(labels, probabilities, tuple(run.record["classes"]))
        assert run.metrics()[part]["confusion"] == again["confusion"]
        assert run.metrics()[part]["macro_f1"] == pytest.approx(again["macro_f1"])
        shown = calibrated(table, tuple(run.record["classes"]), run.calibration()).filter(regex="^p_").to_numpy()
        again = score_predictions(labels, shown, tuple(run.record["classes"]))
        assert run.metrics()["calibrated"][part]["confusion"] == again["confusion"]
        assert run.metrics()["calibrated"][part]["nll"] == pytest.approx(again["nll"])


def test_a_complete_run_is_left_alone(run, tiny):
    before = (run.folder / "weights.safetensors").stat().st_mtime_ns
    train_run(parameters(tiny), run.folder)
    assert (run.folder / "weights.safetensors").stat().st_mtime_ns == before


def test_a_run_of_other_parameters_is_set_aside_not_overwritten(tiny, tmp_path):
    folder = tmp_path / "config" / "seed-0"
    train_run(parameters(tiny, epochs=1), folder)
    weights = (folder / "weights.safetensors").read_bytes()
    train_run(parameters(tiny, epochs=2), folder)
    assert read(folder).record["parameters"]["epochs"] == 2
    (aside,) = (tmp_path / "config" / ".stale").iterdir()
    assert (aside / "weights.safetensors").read_bytes() == weights
    complete, others = find_runs(tmp_path)
    assert len(complete) == 1 and not others


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_outputs": 6}, "n_outputs: wanted at least one for each of the 7 classes of .*, or 0, got 6"),
        ({"class_weights": [1, 1]}, "class_weights: wanted one for each of the 7 outputs, got 2"),
        ({"class_weights": [1] * 7, "n_outputs": 8}, "class_weights: wanted one for each of the 8 outputs, got 7"),
    ],
)
def test_outputs_and_their_weights_fit_the_classes(values, message, tiny):
    with pytest.raises(UsageError, match=message):
        load_inputs(parameters(tiny, **values))


def test_a_leaky_split_is_refused_unless_told_and_then_said(tiny, tmp_path):
    with pytest.raises(LeakError, match="wanted a split without leaks, the random split has .*source.*allow_leak"):
        load_inputs(parameters(tiny, split="random"))
    folder = train_run(parameters(tiny, split="random", allow_leak=True, epochs=1), tmp_path / "r")
    assert read(folder).record["leaks"]["source"] > 0


@pytest.mark.parametrize("name", BASELINE_NAMES)
def test_baselines_leave_the_same_folder(name, tiny, tmp_path):
    values = {"architecture": name, "model": {}}
    run = read(train_run(parameters(tiny, **values), tmp_path / name))
    assert (run.folder / "baseline.skops").exists()
    assert run.record["status"] == "complete"
    assert len(run.predictions("test")) == run.record["clips"]["test"]
    if name == "majority":
        classes_there = run.predictions("test")["label"].nunique()
        assert run.metrics()["test"]["balanced_accuracy"] == pytest.approx(1 / classes_there)


def test_a_baseline_learns_from_validation_and_is_validated_without(tiny, tmp_path):
    folders = [tmp_path / "whole", tmp_path / "other"]
    whole = load_inputs(parameters(tiny, architecture="logistic_regression", model={}))
    # The labels of validation are others.
    labels = whole.data.labels.clone()
    labels[whole.index("val")] = (labels[whole.index("val")] + 1) % 7
    other = replace(whole, data=replace(whole.data, labels=labels))
    runs = [
        read(train_run(parameters(tiny, architecture="logistic_regression", model={}), folder, inputs=inputs))
        for folder, inputs in zip(folders, (whole, other), strict=True)
    ]
    val, test = ([run.predictions(split).filter(regex="^p_") for run in runs] for split in ("val", "test"))
    pd.testing.assert_frame_equal(*val)
    assert not np.allclose(*test)


def test_scores_by_recording_average_its_clips(tiny, tmp_path):
    one_label = tmp_path / "data"
    with DatasetWriter(one_label, Dataset(tiny).info) as writer:
        for clip in Dataset(tiny).clips():
            writer.write(clip.with_(source_id=f"{clip.source_id}/{clip.label}"))
    run = read(train_run(parameters(one_label, score_by="source", epochs=1), tmp_path / "r"))
    n_recordings = run.predictions("test")["source_id"].nunique()
    assert run.metrics()["test"]["n"] == n_recordings < len(run.predictions("test"))


def test_scores_by_recording_are_refused_early_where_it_has_several_labels(tiny):
    with pytest.raises(UsageError, match="score_by: source wants recordings of one label each.*use score_by: clip"):
        load_inputs(parameters(tiny, score_by="source"))


def test_a_prior_of_other_classes_is_refused_early(tiny):
    with pytest.raises(UsageError, match="given_prior: wanted a share for each of angry, .*surprise, got sad"):
        load_inputs(parameters(tiny, prior="given", given_prior={"sad": 1}))


def test_a_failed_run_says_so_and_can_be_made_again(tiny, tmp_path):
    def fail(row):
        raise PoseemoError("the power went")

    with pytest.raises(PoseemoError):
        train_run(parameters(tiny), tmp_path / "r", report=fail)
    record = read_record(tmp_path / "r")
    assert record["status"] == "failed" and record["error"] == "the power went"
    assert find_runs(tmp_path) == ([], [tmp_path / "r"])
    assert read(train_run(parameters(tiny), tmp_path / "r")).record["status"] == "complete"


@pytest.mark.parametrize("text", ["[]", "{}", '{"status": "complete"}', "{", b"\xff\xfe\x00"])
def test_a_run_whose_record_is_damaged_is_set_aside_and_made_again(run, tiny, tmp_path, text):
    folder = tmp_path / "config" / "seed-0"
    shutil.copytree(run.folder, folder)
    (folder / "run.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert read_record(folder) is None and find_runs(tmp_path) == ([], [folder])
    assert read(train_run(parameters(tiny, architecture="majority", model={}), folder)).record["status"] == "complete"
    (aside,) = (tmp_path / "config" / ".stale").iterdir()
    assert (aside / "weights.safetensors").exists()


@pytest.mark.parametrize("name", ["predictions.parquet", "split.parquet", "metrics.json", "history.csv"])
def test_a_damaged_file_of_a_run_is_named_with_what_to_do(run, tmp_path, name):
    shutil.copytree(run.folder, tmp_path / "r")
    (tmp_path / "r" / name).write_text("")
    with pytest.raises(PoseemoError, match=f"{name}: .*remove the run's folder and start the study again"):
        getattr(read(tmp_path / "r"), name.split(".")[0])()


def test_one_class_is_refused(tiny, tmp_path):
    with DatasetWriter(tmp_path / "one", Dataset(tiny).info) as writer:
        for clip in Dataset(tiny).clips():
            writer.write(clip.with_(label="sad"))
    with pytest.raises(UsageError, match="training clips of two classes or more, got 120 clips in all, with sad"):
        load_inputs(parameters(tmp_path / "one"))


def test_two_processes_do_not_work_on_one_run(tiny, tmp_path):
    with locked(tmp_path / "r"), pytest.raises(PoseemoError, match="another process is working on this run"):
        train_run(parameters(tiny), tmp_path / "r")


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(UsageError, match="device: wanted auto, cpu, cuda or cuda:N with that GPU there, got 'cuda:77'"):
        choose_device("cuda:77")
    with pytest.raises(UsageError, match="got 'abacus'"):
        choose_device("abacus")


IN_A_PROCESS = """
import json, sys
from poseemo_lib.training.run import train_run
from poseemo_lib.training.parameters import check_parameters
train_run(check_parameters(json.loads(sys.argv[1])), sys.argv[2])
"""


def test_kill_9_and_the_same_command_give_the_same_bits(tiny, tmp_path):
    wanted = parameters(tiny, **LONGER, weight_average=0.9)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", IN_A_PROCESS, wanted.model_dump_json(), str(killed)])
    deadline = time.monotonic() + 120
    while not (killed / "checkpoint.pt").exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert read_record(killed)["status"] == "running"
    for folder in (whole, killed):
        train_run(wanted, folder)
    a, b = load_file(whole / "weights.safetensors"), load_file(killed / "weights.safetensors")
    assert a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
    pd.testing.assert_frame_equal(read(whole).predictions(), read(killed).predictions(), check_exact=True)
    assert not (killed / "checkpoint.pt").exists()


def test_a_run_goes_on_with_the_threads_that_it_began_with(tiny, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train_run(parameters(tiny, threads=2), tmp_path / "r", report=stop)
    record = read(train_run(parameters(tiny, threads=1), tmp_path / "r")).record
    assert record["threads"] == 2 and torch.get_num_threads() == 2
    torch.set_num_threads(1)
    assert read_record(train_run(parameters(tiny, threads=1), tmp_path / "other"))["threads"] == 1


def test_a_run_begun_on_another_kind_of_device_begins_anew(tiny, tmp_path):
    folder, epochs = tmp_path / "r", []

    with pytest.raises(KeyboardInterrupt):
        train_run(parameters(tiny), folder, report=stop)
    record = read_record(folder)
    assert record["device_type"] == "cpu" and (folder / "checkpoint.pt").exists()
    (folder / "run.json").write_text(json.dumps(record | {"device_type": "cuda"}))
    train_run(parameters(tiny), folder, report=lambda row: epochs.append(row["epoch"]))
    assert epochs == [1, 2] and read_record(folder)["device_type"] == "cpu"


def test_a_guess_is_made_anew_in_every_fold(tiny, tmp_path):
    values = {"split": "leave_one_group_out", "architecture": "stratified", "model": {}, "n_frames": 16}
    guesses = []
    for fold in sorted(Dataset(tiny).table()["group_id"].unique())[:4]:
        run = read(train_run(parameters(tiny, fold=fold, **values), tmp_path / fold.replace("/", "-")))
        table = run.predictions("test").filter(regex="^p_")
        guesses.append(tuple(table.to_numpy().argmax(1)[:8]))
    assert len(set(guesses)) == 4
