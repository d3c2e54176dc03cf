"""Studies and extractions on a Dask cluster: a scheduler and workers that are processes as a user starts them."""

import os
import re
import shutil
import signal
import subprocess

import pytest
import yaml
from conftest import SMALL
from made_cluster import Cluster
from made_processes import all_gone, children_of, kernels_below, poseemo_command, wait_until
from shared_videos import MODEL, SHA256, dance, needs_shared

from poseemo_lib.analysis.results import load_results
from poseemo_lib.data.dataset import Dataset
from poseemo_lib.files import PACKAGE
from poseemo_lib.paths import NOTEBOOKS
from poseemo_lib.studies.plan import load_study, plan_runs

# The workers' own threads and sockets end with their processes.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]
LONG = SMALL | {"epochs": 500, "patience": 0}


@pytest.fixture
def cluster(tmp_path):
    one = Cluster(tmp_path, workers=2)
    yield one
    one.stop()


def study(folder, tiny, address, **changes):
    """Start a study on a cluster; return its file, its folder and its process."""
    configs = {"net": {"architecture": "deep_residual"}}
    values = {"name": "s", "dataset": str(tiny), "seeds": [0], "base": SMALL, "configs": configs} | changes
    path, out = folder / "s.yaml", folder / "o"
    path.write_text(yaml.safe_dump(values))
    command = poseemo_command("study", path, "--out", out, "--cluster", address)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return path, out, subprocess.Popen(command, text=True, **pipes)


def test_a_worker_is_killed_in_the_middle(tiny, tmp_path, cluster):
    from poseemo_lib.training.run import train_run

    base = SMALL | {"epochs": 20}
    path, out, process = study(tmp_path, tiny, cluster.address, seeds=[0, 1, 2], base=base)
    wait_until(lambda: list(out.rglob("checkpoint.pt")), process)
    host = wait_until(lambda: next((worker for worker in cluster.workers if kernels_below(worker)), None))
    below = children_of(host)
    host.kill()
    assert all_gone(below, 5)  # no kernel is left
    said, error = process.communicate(timeout=300)
    assert process.returncode == 0, said + error
    runs = plan_runs(load_study(path), path, out)
    for run in runs:
        assert len(re.findall(rf"\] {run.name}: done in", said)) == 1
    results = load_results(out)
    assert sorted(one.seed for one in results.runs) == [0, 1, 2] and results.incomplete == []
    for run in runs:  # also the one whose worker died
        alone = train_run(run.parameters, tmp_path / "alone" / str(run.parameters.seed))
        assert (alone / "predictions.parquet").read_bytes() == (run.folder / "predictions.parquet").read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_study_leaves_nothing_on_the_workers(tiny, tmp_path, cluster, number):
    _, out, process = study(tmp_path, tiny, cluster.address, base=LONG)
    wait_until(lambda: list(out.rglob("checkpoint.pt")), process)
    below = [kernel for worker in cluster.workers for kernel in kernels_below(worker)]
    os.kill(process.pid, number)
    said = process.communicate(timeout=30)[1]
    assert below and all_gone(below, 10)
    if number == signal.SIGINT:
        assert process.returncode == 130 and said.startswith("poseemo: stopped; finished work is kept")
    wait_until(lambda: not [*out.rglob(".notebook-*"), *out.rglob(".tmp-*")], seconds=10)


def test_a_bad_worker_that_comes_late_stops_the_study_and_fails_no_run(tiny, tmp_path):
    bad = tmp_path / "bad"
    shutil.copytree(PACKAGE, bad / "poseemo_lib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(NOTEBOOKS, bad / "notebooks")
    with open(bad / "poseemo_lib" / "training" / "fit.py", "a") as file:
        file.write("\nX = 1\n")
    empty = Cluster(tmp_path, workers=0)
    try:
        _, out, process = study(tmp_path, tiny, empty.address, seeds=[0, 1, 2])
        process.stdout.readline()
        assert process.stdout.readline().endswith(": no worker yet; waiting for one\n")
        empty.worker(PYTHONPATH=str(bad))
        error = process.communicate(timeout=100)[1]
    finally:
        empty.stop()
    assert process.returncode == 1
    assert re.match(r"poseemo: worker tcp://\S+: has other code or versions of libraries than the client", error)
    assert not list(out.rglob("run.json"))


@pytest.fixture
def videos(tmp_path):
    needs_shared()
    for k in range(4):
        dance(tmp_path / "v" / ("happy" if k % 2 else "sad") / f"{k}.avi", 40 * k, 60)
    (tmp_path / "v" / "sad" / "text.mp4").write_text("no video\n" * 100)
    return tmp_path / "v"


def extraction(videos, out, address):
    options = ("--name", "d", "--model", MODEL, "--people", 2, "--cluster", address)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(poseemo_command("extract", videos, out, *options), text=True, **pipes)


def test_an_extraction_outlives_a_worker(cluster, videos, tmp_path):
    from poseemo_lib.studies.extraction import extract_dataset

    process = extraction(videos, tmp_path / "out", cluster.address)
    wait_until(lambda: list((tmp_path / "out" / ".extract").glob("*.npz")))
    cluster.workers[0].kill()
    said, error = process.communicate(timeout=300)
    assert process.returncode == 1, said + error  # for the text file
    assert "2 worker(s), 2 at a time" in said and "Traceback" not in said + error
    assert re.search(r"1 failed:\n  .*text.mp4: cannot be read as a video", said)
    assert "poseemo: 1 of 5 videos failed" in error
    there = [clip.clip_id for clip in Dataset(tmp_path / "out").clips()]
    assert there == ["happy/1", "happy/3", "sad/0", "sad/2"]
    (videos / "sad" / "text.mp4").unlink()
    alone = extract_dataset(videos, tmp_path / "alone", name="d", estimator={"model": str(MODEL), "people": 2}, jobs=2)
    assert alone.info.content_hash == Dataset(tmp_path / "out").info.content_hash
    assert not list((tmp_path / "out").rglob(".tmp-*"))


def test_a_worker_that_cannot_extract_says_why(videos, tmp_path):
    from dataclasses import replace

    from poseemo_lib.data.extraction.results import code_hash
    from poseemo_lib.studies.engine import WorkerError
    from poseemo_lib.studies.extraction import VideoOrder, extract_one

    arguments = {"name": "mediapipe", "model": str(MODEL), "people": 2}
    video, result = videos / "sad" / "0.avi", tmp_path / "a.npz"
    order = VideoOrder("a", str(video), str(result), str(videos), arguments, SHA256, code_hash())
    for changes, said in [
        ({"code": "other"}, "the code for extraction differs from the client's"),
        ({"videos": "/no/where"}, "does not see the videos /no/where; wanted a folder that client and workers share"),
        ({"sha256": SHA256.replace("b", "c")}, "the model file differs: wanted sha256 c02e0"),
    ]:
        with pytest.raises(WorkerError, match=said):
            extract_one(replace(order, **changes))
    assert not result.exists()
