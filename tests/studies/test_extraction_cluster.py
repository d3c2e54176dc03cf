"""Videos extracted on a Dask cluster, a scheduler and workers that are processes as a user starts them."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from made_cluster import Cluster
from made_processes import wait_until
from shared_videos import MODEL, SHA256, dance, needs_shared

pytest.importorskip("distributed")
# The workers' own threads and sockets end with their processes.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]


@pytest.fixture
def cluster(tmp_path):
    needs_shared()
    one = Cluster(tmp_path, workers=2)
    yield one
    one.stop()


@pytest.fixture
def videos(tmp_path):
    needs_shared()
    for k in range(4):
        dance(tmp_path / "v" / ("happy" if k % 2 else "sad") / f"{k}.avi", 40 * k, 60)
    (tmp_path / "v" / "sad" / "text.mp4").write_text("no video\n" * 100)
    return tmp_path / "v"


def command(videos, out, *more):
    line = [
        sys.executable,
        "-m",
        "poseemo_lib.cli.__main__",
        "extract",
        videos,
        out,
        "--name",
        "d",
        "--model",
        MODEL,
        *more,
    ]
    return [*map(str, line), "--people", "2"]


def extraction_of(worker):
    """List the processes below a worker that extract."""
    import psutil

    below = psutil.Process(worker.pid).children(recursive=True)
    return [one for one in below if "poseemo_lib.studies.extraction_process" in one.cmdline()]


def test_a_worker_is_killed_in_the_middle(cluster, videos, tmp_path):
    import psutil

    from poseemo_lib.data.dataset import Dataset
    from poseemo_lib.studies.extraction_jobs import extract_dataset

    line = command(videos, tmp_path / "out", "--cluster", cluster.address)
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    results = tmp_path / "out" / ".extract"
    wait_until(lambda: list(results.glob("*.npz")))
    host = wait_until(lambda: next((worker for worker in cluster.workers if extraction_of(worker)), None))
    below = extraction_of(host)
    host.kill()
    assert not psutil.wait_procs(below, timeout=5)[1]
    said, error = process.communicate(timeout=300)
    assert process.returncode == 1, said + error  # for the text file
    assert "2 worker(s), 2 at a time" in said and "Traceback" not in said + error
    assert re.search(r"1 failed:\n  .*text.mp4: cannot be read as a video", said)
    assert "poseemo: 1 of 5 videos are no clips" in error
    there = [clip.clip_id for clip in Dataset(tmp_path / "out").clips()]
    assert there == ["happy/1", "happy/3", "sad/0", "sad/2"]
    estimator = {"model": str(MODEL), "people": 2}
    (videos / "sad" / "text.mp4").unlink()
    alone = extract_dataset(videos, tmp_path / "alone", name="d", estimator=estimator, jobs=2)
    assert alone.info.content_hash == Dataset(tmp_path / "out").info.content_hash
    assert not list((tmp_path / "out").rglob(".probe-*")) and not list((tmp_path / "out").rglob(".tmp-*"))


def test_a_stopped_client_leaves_nothing_at_work(cluster, videos, tmp_path):
    line = command(videos, tmp_path / "out", "--cluster", cluster.address)
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: any(extraction_of(worker) for worker in cluster.workers))
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=30)[1]
    assert process.returncode == 130 and error.startswith("poseemo: stopped; what was done is kept")
    wait_until(lambda: not any(extraction_of(worker) for worker in cluster.workers), seconds=20)


def test_a_worker_that_cannot_do_it_is_named(cluster, videos, tmp_path):
    from functools import partial

    from poseemo_lib.errors import PoseemoError
    from poseemo_lib.studies.cluster import worker_fault
    from poseemo_lib.studies.extraction_process import VideoOrder
    from poseemo_lib.studies.extraction_slots import ClusterExtraction, facts, make_all

    with pytest.raises(PoseemoError, match="does not see the videos /no/where; wanted a folder that client and"):
        ClusterExtraction(cluster.address, tmp_path, Path("/no/where"), str(MODEL), "mediapipe")
    slots = ClusterExtraction(cluster.address, tmp_path, videos, str(MODEL), "mediapipe")
    try:
        expected = slots.probe.expected
        other = expected | {"versions": expected["versions"] | {"mediapipe": "0.1"}}
        assert "instead of 0.1; wanted the versions" in worker_fault(other, partial(facts, "mediapipe"))
        assert "differs from the client's" in worker_fault(expected | {"code": "x"}, partial(facts, "mediapipe"))
        arguments = {"name": "mediapipe", "model": str(MODEL), "people": 2}
        path = videos / "sad" / "0.avi"
        order = VideoOrder("a", str(path), str(tmp_path / "a.npz"), arguments, SHA256.replace("b", "c"))
        with pytest.raises(PoseemoError, match="the model file is another one here: wanted sha256 c02e0"):
            list(make_all([order], slots))
    finally:
        slots.stop()
    assert not list(tmp_path.rglob(".probe-*"))
