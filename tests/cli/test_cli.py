import inspect
import json
import pkgutil
import re
import shutil
from pathlib import Path

import pytest
import typer
import yaml
from made_commands import poseemo
from typer.testing import CliRunner

from poseemo_lib.cli.__main__ import app
from poseemo_lib.data.dataset import Dataset

ROOT = Path(__file__).parents[2]
BANDAI = ROOT.parent / "shared" / "data" / "bandai-namco"
DEMO = str(ROOT / "parameters" / "studies" / "demo.yaml")
COMMANDS = typer.main.get_command(app).commands


def refused(*arguments, code=2):
    """Run a command that must fail in a few lines and without a traceback; return what it said."""
    done = poseemo(*arguments)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stderr


def test_every_command_is_in_the_overview_and_has_an_example():
    text = poseemo("--help").stdout
    for command in COMMANDS:
        assert re.search(rf"^│ {command} ", text, re.M) and "Example: poseemo" in COMMANDS[command].help
    assert re.fullmatch(r"poseemo \d+\.\d+\.\d+\n", poseemo("--version").stdout)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    assert "file: cannot be read or written: " in refused("fetch", "hanyang", "--data-dir", tmp_path / "file", code=1)


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
        (("fetch", "hanjang"), "hanjang: wanted a dataset that can be fetched; did you mean hanyang?"),
        (("study", DEMO, "--gpus", "0", "--jobs", "2"), "--jobs: with --gpus say --jobs-per-gpu instead"),
        (("study", DEMO, "--only", "bilstn"), "--only: bilstn: unknown config; did you mean bilstm?"),
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
    done = poseemo("train", tiny, *small, "--out", tmp_path / "r")
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
    assert "33 recordings: unit guessed from limb lengths: centimetres; right-handed axes" in done.stdout
    assert len(Dataset(tmp_path / "d")) == 66


RTMO = {"name": "rtmo", "model": "m.onnx", "people": 2, "min_confidence": 0.3, "device": "cuda"}


class Called(Exception):
    """Instead of the work: its arguments by name."""


@pytest.mark.parametrize(
    ("function", "call", "wanted"),
    [
        ("data.synthetic:write_synthetic_dataset", "synth o --cues local --groups 5", {"cues": "local", "n_groups": 5}),
        ("data.importing:import_dataset", "import bvh s o --views 4 --up -z --name n --split val --licence L "
         "--set fps=30",
         {"options": {"fps": 30, "views": 4, "up": "-z"}, "name": "n", "split": "val", "licence": "L"}),
        ("data.recipes:fetch_dataset", "fetch hanyang --data-dir d", {"name": "hanyang", "data_dir": "d"}),
        ("studies.extraction:extract_dataset", "extract v o --estimator rtmo --model m.onnx --people 2 --device cuda "
         "--min-confidence 0.3 --fps 12 --no-cuts --label sad --jobs 3",
         {"estimator": RTMO, "fps": 12, "cuts": False, "label": "sad", "jobs": 3}),
        ("report.report:make_report", "report a b --base x --figures f --pdf",
         {"runs": [Path("a"), Path("b")], "base": "x", "figures": Path("f"), "pdf": True}),
        ("inference.export:export_run", "export r o.onnx --inputs features", {"inputs": "features", "check": None}),
    ],
)  # fmt: skip
def test_options_reach_what_does_the_work(function, call, wanted, monkeypatch):
    signature = inspect.signature(pkgutil.resolve_name(f"poseemo_lib.{function}"))

    def called(*args, **options):
        raise Called(signature.bind(*args, **options).arguments)

    monkeypatch.setattr(f"poseemo_lib.{function.replace(':', '.')}", called)
    done = CliRunner().invoke(app, call.split())
    assert isinstance(done.exception, Called), done.exception
    assert {name: done.exception.args[0][name] for name in wanted} == wanted


def test_an_option_goes_before_the_file_and_a_run_has_its_place(tiny, tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr("poseemo_lib.studies.study.execute_run", lambda *args, **_: given.extend(args))
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("lr: 1e-3\nepochs: 7\n")
    poseemo("train", tiny, "-f", "mine.yaml", "-p", "epochs=9")
    assert (given[0].lr, given[0].epochs, given[1]) == (1e-3, 9, tmp_path / "runs/train/tiny/mine/seed-0")


def test_a_preview_of_a_study_makes_nothing(tiny, tmp_path):
    configs = {"net": {}, "floor": {"architecture": "majority", "seeds": [0]}}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump({"name": "s", "dataset": str(tiny), "configs": configs}))
    call = ("study", tmp_path / "s.yaml", "--out", tmp_path / "out")
    rows = [line.split() for line in poseemo(*call, "--status").stdout.splitlines()]
    assert {row[0]: row[-1] for row in rows[1:] if row} == {"net": "3", "floor": "1", "all": "4"}
    listed = poseemo(*call, "--dry-run", "--only", "net").stdout.splitlines()
    assert listed == [f"net seed {k}: missing, would be made in {tmp_path}/out/net/seed-{k}" for k in range(3)]
    assert not (tmp_path / "out").exists()


def test_a_preview_of_an_extraction_makes_nothing(tmp_path):
    (tmp_path / "v" / "test" / "Anger").mkdir(parents=True)
    (tmp_path / "v" / "test" / "Anger" / "1.avi").touch()
    said = poseemo("extract", tmp_path / "v", tmp_path / "out", "--dry-run").stdout
    assert "1 video in 1 group would be" in said and "-> clip test/Anger/1, angry, test, group test/Anger/1" in said
    assert not (tmp_path / "out").exists()


def test_every_command_in_the_documentation_has_the_options_that_it_shows():
    pages = [ROOT / "README.md", *(path for path in ROOT.glob("docs/*.md") if path.name != "LOG.md")]
    texts = [command.help for command in COMMANDS.values()]
    for text in (page.read_text().replace("\\\n", " ") for page in pages):
        texts += re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S) + re.findall(r"`(poseemo [^`]+)`", text)
    shown = [one for text in texts for one in re.findall(r"\bposeemo ([a-z]+)([^`#\n&]*)", text)]
    assert {name for name, _ in shown} == set(COMMANDS)
    for name, rest in shown:
        known = {option for parameter in COMMANDS[name].params for option in parameter.opts}
        assert set(re.findall(r" (--?[a-z][a-z-]*)", rest)) <= known | {"--help"}, (name, rest)
