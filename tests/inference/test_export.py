import shutil
import subprocess
import sys

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from made_commands import poseemo
from made_prediction import recording_of, train

from poseemo_lib.data.dataset import Dataset
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.files import hash_file
from poseemo_lib.inference import export
from poseemo_lib.inference.export import export_run
from poseemo_lib.inference.onnx_predictor import OnnxPredictor, read_sidecar, sidecar_path, write_sidecar
from poseemo_lib.inference.predictor import predict_recording, windows_of
from poseemo_lib.inference.predictor_info import prepare_windows
from poseemo_lib.inference.torch_predictor import TorchPredictor
from poseemo_lib.models import MODELS


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    return train(tiny, tmp_path_factory.mktemp("runs") / "net" / "seed-0", architecture="bilstm", model={"hidden": 8})


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    export_run(run, path)
    return path


def test_it_predicts_what_the_network_does(run, exported, clips):
    network, graph = TorchPredictor(run), OnnxPredictor(exported)
    assert graph.info.classes == network.info.classes and graph.info.preparation == network.info.preparation
    assert (graph.info.temperature, graph.info.abstain_below) == (network.info.temperature, network.info.abstain_below)
    for clip in clips[:8]:
        a, b = (predict_recording(one, recording_of(clip)) for one in (network, graph))
        pd.testing.assert_frame_equal(a, b, rtol=0, atol=1e-5)


def test_the_graph_gives_calibrated_probabilities_and_takes_any_missing_value(exported, clips):
    graph = OnnxPredictor(exported)
    windows, size = windows_of(graph.info, recording_of(clips[0])), (clips[0].fps, 640, 480)
    keypoints, mask = prepare_windows(graph.info, windows[:1], *size)
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    wanted = graph.probabilities(windows[:1], *size)
    for hole in (np.nan, 0, 7):
        filled = np.where(keypoints[..., 2:] > 0, keypoints, np.float32([hole, hole, 0]))
        (found,) = session.run(["probabilities"], {"keypoints": filled, "mask": mask})
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_the_sidecar_says_what_it_is(exported, run):
    side = read_sidecar(exported)
    assert side.architecture == "bilstm" and side.synthetic and side.inputs == "keypoints"
    assert side.parity["windows"] > 0 and side.parity["largest_difference"] < 1e-5 and side.parity["split"] == "test"
    assert len(side.joints) == 17 and side.preparation.fps == 25
    assert not [path for path in exported.parent.iterdir() if path.name.startswith(".")]


def test_another_architecture_that_takes_features(tiny, tmp_path):
    folder = train(tiny, tmp_path / "run" / "seed-0", architecture="gru", model={"hidden": 8})
    side = export_run(folder, tmp_path / "net.onnx", inputs="features")
    assert side.inputs == "features" and side.parity["largest_difference"] < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("architecture", MODELS)
def test_every_architecture(architecture, tiny, tmp_path):
    folder = train(
        tiny, tmp_path / "run" / "seed-0", architecture=architecture, model={}, normalisation="frame", positions="scene"
    )
    for inputs in export.INPUTS:
        side = export_run(folder, tmp_path / f"{inputs}.onnx", inputs=inputs)
        assert side.parity["largest_difference"] < 1e-5


def test_an_export_that_differs_is_refused_and_leaves_nothing(run, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(PoseemoError, match="differs from the network.*nothing was written"):
        export_run(run, tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_wrong_calls_are_named(run, exported, tmp_path):
    with pytest.raises(UsageError, match="ends in .onnx"):
        export_run(run, tmp_path / "net.pt")
    with pytest.raises(UsageError, match="exists; remove it"):
        export_run(run, exported)
    with pytest.raises(UsageError, match="--inputs: wanted one of keypoints, features"):
        export_run(run, tmp_path / "net.onnx", inputs="pixels")


def test_a_run_whose_dataset_is_gone_wants_other_clips(run, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "find_dataset", lambda config: None)
    with pytest.raises(UsageError, match="--check DATASET"):
        export_run(run, tmp_path / "net.onnx")


@pytest.mark.slow
def test_it_is_compared_on_other_clips(run, tiny, tmp_path):
    assert export_run(run, tmp_path / "net.onnx", check=Dataset(tiny)).parity["split"] == "all"


def test_damaged_exports_are_named(exported, tmp_path):
    path = shutil.copytree(exported.parent, tmp_path / "copy") / exported.name
    side = sidecar_path(path)
    text = side.read_text()
    for content, match in (("{", "damaged"), (text.replace('"temperature"', '"t"'), "temperature")):
        side.write_text(content)
        with pytest.raises(PoseemoError, match=match):
            OnnxPredictor(path)
    side.unlink()
    with pytest.raises(PoseemoError, match="net.json: No such file"):
        OnnxPredictor(path)
    side.write_text(text)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(PoseemoError, match="is not the network that net.json was written for"):
        OnnxPredictor(path)
    write_sidecar(path, read_sidecar(exported).model_copy(update={"onnx_sha256": hash_file(path)}))
    with pytest.raises(PoseemoError, match="ONNX Runtime cannot open it"):
        OnnxPredictor(path)


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from poseemo_lib.cli.__main__ import main
sys.argv = ["poseemo", *sys.argv[1:]]
main()
"""


def test_it_predicts_without_torch(exported, run, tiny, tmp_path):
    """From the command, on a machine where torch cannot be imported."""
    outs = [tmp_path / "graph.csv", tmp_path / "network.csv"]
    command = [sys.executable, "-c", WITHOUT_TORCH, "predict", str(exported), str(tiny), "--out", str(outs[0])]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = poseemo("predict", run, tiny, "--out", outs[1])
    assert done.returncode == 0, done.stderr
    a, b = (pd.read_csv(path) for path in outs)
    assert len(a) > 100
    pd.testing.assert_frame_equal(a, b, rtol=0, atol=1e-5)
