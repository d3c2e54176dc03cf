"""A whole study, made up, whose figures are drawn once; its fixtures are imported where they are used."""

from functools import cache

import made_studies
import matplotlib.pyplot as plt
import pandas as pd
import pytest

from poseemo_lib.report.data import load_report_data
from poseemo_lib.report.figures import CATALOGUE

# Figure 07 takes networks apart: it has tests of its own.
FIGURES = {name: one for group in CATALOGUE.values() for name, one in group.items() if name != "07_feature_importance"}
MAIN = {
    "majority": {"architecture": "majority"},
    "extra_trees": {"architecture": "extra_trees", "skill": 0.5},
    "net": {"skill": 0.9},
    "gru": {"architecture": "gru", "skill": 0.45},
    "bad": {"architecture": "conv1d", "skill": 0.1, "lr": 0.01},
}
ABLATION = (
    "base",
    "hidden_128",
    "blocks_2",
    "bottleneck",
    "mean",
    "gate",
    "no_augmentation",
    "only_flip",
    "one_person",
)


@pytest.fixture
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def no_measured_speed():
    def measured(configs):
        return pd.DataFrame({"config": [config.name for config in configs], "ms_alone": 2.5})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("poseemo_lib.analysis.speed.measure_speed", measured)
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("studies")
    made_studies.made_study(root / "main", MAIN)
    made_studies.made_study(root / "ablations", {name: made_studies.ABLATION[name] for name in ABLATION}, seeds=(0,))
    made_studies.made_study(root / "imbalance", made_studies.IMBALANCE)
    made_studies.made_study(root / "leakage", made_studies.LEAKAGE, leaks=made_studies.LEAKS)
    return root


@pytest.fixture(scope="module")
def whole(runs):
    return load_report_data([runs / name for name in ("main", "ablations", "imbalance", "leakage")])


@pytest.fixture(scope="module")
def of_whole(whole):
    """Draw a figure of the whole study, once."""
    return cache(lambda name: FIGURES[name](whole))
