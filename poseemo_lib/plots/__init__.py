"""One function a figure: tables or arrays in, `(fig, axes)` out, nothing saved.

Every function takes `synthetic`, which must be said, and marks the figure of synthetic data.
"""

from poseemo_lib.plots.ablations import ablation_panels
from poseemo_lib.plots.data import data_distribution, missing_share
from poseemo_lib.plots.imbalance import imbalance_regimes
from poseemo_lib.plots.leakage import leakage_comparison
from poseemo_lib.plots.pose import feature_traces, skeleton_strip
from poseemo_lib.plots.scores import architecture_comparison, confusion_matrix
from poseemo_lib.plots.size import score_against_size
from poseemo_lib.plots.training import learning_curves

__all__ = [
    "ablation_panels",
    "architecture_comparison",
    "confusion_matrix",
    "data_distribution",
    "feature_traces",
    "imbalance_regimes",
    "leakage_comparison",
    "learning_curves",
    "missing_share",
    "score_against_size",
    "skeleton_strip",
]
