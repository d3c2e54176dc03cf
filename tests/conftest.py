import os
import signal
import sys

# A grammar for URIs, which jsonschema does without, takes more than a second to import, and papermill a half.
sys.modules.setdefault("rfc3987_syntax", None)
# One thread: results are compared bit for bit, and tests run beside each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Where a test wants two threads, they do not keep the other tests' core busy while they wait.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# A shell starts what runs in the background with Ctrl-C ignored, and so would be all processes of the tests.
signal.signal(signal.SIGINT, signal.default_int_handler)

import matplotlib  # noqa: E402
import pytest  # noqa: E402

matplotlib.use("Agg")

# They start processes, kernels and a browser: begun last, one of them would leave the other cores idle.
LONG = (
    "stops",
    "figures",
    "figures_numbers",
    "report",
    "notebooks",
    "cli",
    "experiment",
    "cluster",
    "parameter_files",
    "page",
    "kernels",
    "engine",
    "enhance",
    "plan",
    "texts",
    "export",
    "claims",
)


def pytest_xdist_auto_num_workers():
    """Take one worker more than there are cores, because some tests wait for processes and for a browser."""
    return os.cpu_count() + 1


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Put the long files first, as `--no-loadscope-reorder` of pytest-xdist keeps them, and mark MiniRocket as slow."""
    order = {f"test_{name}": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))
    for item in items:
        # In a new environment numba compiles it for half a minute.
        if "rocket" in item.nodeid and item.path.stem != "test_parameters":
            item.add_marker("slow")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A small synthetic dataset: 120 clips of 12 groups."""
    from poseemo_lib.data.synthetic import write_synthetic_dataset

    folder = tmp_path_factory.mktemp("data") / "tiny"
    write_synthetic_dataset(folder, 120, seed=1, n_groups=12)
    return folder


# What makes a run small enough for a test.
SMALL = {
    "epochs": 2,
    "n_frames": 16,
    "eval_crops": 1,
    "model": {"hidden": 16, "blocks": 1},
    "warmup_epochs": 0,
    "threads": 1,
}


@pytest.fixture(scope="session")
def small_run(tiny, tmp_path_factory):
    """The folder of a run of a small network on the small dataset; no test changes it."""
    values = {**SMALL, "architecture": "deep_residual", "epochs": 1, "eval_crops": 3, "dataset": str(tiny)}
    return train_calibrated(values, tmp_path_factory.mktemp("runs") / "net" / "seed-0")


def train_calibrated(values, folder):
    """Make a run, calibrated although the small dataset's validation has too few groups."""
    from poseemo_lib.training.parameters import check_parameters
    from poseemo_lib.training.run import train_run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("poseemo_lib.training.calibration.LEAST_GROUPS", 1)
        return train_run(check_parameters(values), folder)


@pytest.fixture(scope="session")
def small_study(tiny, tmp_path_factory):
    """The runs of a small study: a network with two seeds, `net`, and `majority`; no test changes them."""
    from poseemo_lib.training.parameters import check_parameters
    from poseemo_lib.training.run import train_run

    root = tmp_path_factory.mktemp("study")
    for config, seed in (("majority", 0), ("net", 0), ("net", 1)):
        more = {"architecture": "majority", "model": {}} if config == "majority" else {"epochs": 1}
        parameters = check_parameters({**SMALL, "dataset": str(tiny), "seed": seed, **more})
        train_run(parameters, root / config / f"seed-{seed}", config=config)
    return root


@pytest.fixture(scope="session")
def predictor(small_run):
    """The network of `small_run`."""
    from poseemo_lib.inference.predictor import load_predictor

    return load_predictor(small_run)


@pytest.fixture(scope="session")
def clips(tiny):
    """The clips of `tiny`."""
    from poseemo_lib.data.dataset import Dataset

    return list(Dataset(tiny).clips())


@pytest.fixture
def keypoint_file(clips, tmp_path):
    """A keypoint file of two people, not tracked."""
    from poseemo_lib.data.formats import Recording
    from poseemo_lib.data.formats.npz import write

    clip = next(clip for clip in clips if clip.n_people == 2)
    write([Recording(clip.keypoints, clip.fps, clip.width, clip.height, tracked=False)], tmp_path / "one.npz")
    return tmp_path / "one.npz"
