"""What the tests of figures draw."""

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
