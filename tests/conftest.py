import os

# One thread: results are compared bit for bit, and tests run beside each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib  # noqa: E402
import pytest  # noqa: E402

matplotlib.use("Agg")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A small synthetic dataset: 120 clips of 12 groups."""
    from poseemo_lib.synthetic import write_synthetic_dataset

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


@pytest.fixture(scope="module", autouse=True)
def few_draws(request):
    """Draw fewer groups where figures and cards are tested, not statistics, which take most of the time."""
    name = request.module.__name__
    if not name.startswith(("test_figures_", "test_cards")):
        yield
        return
    from functools import partial

    from poseemo_lib import findings, material

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(material, "comparisons", partial(findings.comparisons, n_bootstrap=500))
        yield
