import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from made_commands import poseemo

from poseemo_lib.data.dataset import Dataset

ROOT = Path(__file__).parents[2]
BANDAI = ROOT.parent / "shared" / "data" / "bandai-namco"
COMMANDS = (
    *("synth", "import", "convert", "extract", "inspect", "enhance", "train", "study", "report", "models"),
    *("predict", "doctor", "live", "export"),
)


def outside(*arguments):
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "poseemo_lib.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def refused(*arguments, code=2):
    """Run a command that must fail in a few lines and without a traceback; return what it said."""
    done = poseemo(*arguments)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stderr


def test_every_command_is_in_the_overview_and_has_an_example():
    text = poseemo("--help").stdout
    for command in COMMANDS:
        assert re.search(rf"^│ {command} ", text, re.M) and "Example: poseemo" in poseemo(command, "--help").stdout
    assert re.fullmatch(r"poseemo \d+\.\d+\.\d+\n", poseemo("--version").stdout)


def test_synth_then_inspect(tmp_path):
    done = poseemo("synth", tmp_path / "d", "--clips", 60, "--groups", 10, "--signal", 0.5, "--seed", 3)
    assert done.returncode == 0 and "60 synthetic clips" in done.stdout
    info = Dataset(tmp_path / "d").info
    assert info.synthetic and info.recipe["signal"] == 0.5
    sound = poseemo("inspect", tmp_path / "d")
    assert sound.returncode == 0 and "SYNTHETIC" in sound.stdout
    leaky = poseemo("inspect", tmp_path / "d", "--split", "random")
    assert leaky.returncode == 1 and "group" in leaky.stdout and "has faults or leaks" in leaky.stderr


def test_a_dataset_is_never_overwritten(tiny):
    assert "wanted an empty folder, got a dataset" in refused("synth", tiny, "--clips", 60)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("synth", "{tmp}/d", "--clips", "-3"), "-3"),
        (("inspect", "{tmp}/nothing"), "nothing: wanted a dataset's folder or a recipe"),
        (("train", "{tiny}", "-p", "epoch=3"), "-p: epoch: unknown parameter; did you mean epochs?"),
        (("train", "{tiny}", "-p", "epochs"), "-p: wanted KEY=VALUE, got 'epochs'"),
        (("train", "{tiny}", "-f", "{tmp}/no.yaml"), "no.yaml: cannot be read"),
        (("study", "{tmp}/no.yaml"), "no.yaml: cannot be read"),
        (("report", "{tmp}/no"), "no: wanted a folder of runs, found none"),
        (("import", "bhv", "{tmp}", "{tmp}/d", "--label-pattern", "(?P<label>x)"), "bvh"),
        (("import", "bvh", "{tmp}/no", "{tmp}/d", "--label-pattern", "(?P<label>x)"), "no: wanted a file or folder"),
        (("import", "bvh", "{tmp}", "{tmp}/d", "--label-pattern", "(", "--label-map", "a=b"), "found none"),
    ],
)
def test_a_wrong_call_ends_with_2_and_says_why(arguments, message, tiny, tmp_path):
    text = refused(*(argument.format(tmp=tmp_path, tiny=tiny) for argument in arguments))
    assert message in text
    assert not (tmp_path / "d").exists()


def test_a_leak_refuses_training_with_1(tiny, tmp_path):
    text = refused("train", tiny, "-p", "split=random", "-p", "epochs=1", "--out", tmp_path / "r", code=1)
    assert "wanted a split without leaks" in text and "allow_leak: true" in text


def test_train_prints_epochs_and_leaves_a_run(tiny, tmp_path):
    small = ("-p", "epochs=2", "-p", "n_frames=16", "-p", "model={hidden: 16, blocks: 1}")
    done = outside("train", tiny, *small, "--out", tmp_path / "r")
    assert done.returncode == 0, done.stderr
    assert "epoch   2  train loss" in done.stdout and "complete" in done.stdout
    assert json.loads((tmp_path / "r" / "run.json").read_text())["status"] == "complete"
    assert (tmp_path / "r" / "notebook.ipynb").exists()


def test_parameters_and_models_are_listed():
    text = poseemo("train", "demo", "--parameters").stdout
    assert "label_smoothing" in text and "body | frame" in text
    text = poseemo("models", "deep_residual").stdout
    assert "692,743" in text and "hidden=256" in text


def test_synthetic_data_cannot_be_called_real(tiny, tmp_path):
    shutil.copytree(tiny, tmp_path / "d")
    path = tmp_path / "d" / "dataset.json"
    path.write_text(path.read_text().replace('"synthetic": true', '"synthetic": false'))
    done = poseemo("inspect", tmp_path / "d")
    assert done.returncode == 1 and "wanted no synthetic clip in a dataset with synthetic false" in done.stdout


@pytest.mark.skipif(not BANDAI.exists(), reason=f"needs the motion capture in {BANDAI}")
def test_import_of_real_motion_capture(tmp_path):
    pattern = "dataset-1_(?P<group>[^_]+)_(?P<label>[^_]+)_"
    call = ("import", "bvh", BANDAI, tmp_path / "d", "--label-pattern", pattern, "--views", 2)
    assert "--label-map" in refused(*call)  # `normal` is no class
    done = poseemo(*call, "--label-map", "normal=neutral")
    assert done.returncode == 0, done.stderr
    assert "neutral: 9 recordings, 18 clips" in done.stdout
    assert len(Dataset(tmp_path / "d")) == 66
