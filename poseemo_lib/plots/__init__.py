"""One function a figure: tables or arrays in, `(fig, axes)` out, nothing saved.

Every function takes `synthetic`, which must be said, and marks the figure of synthetic data.
"""

from poseemo_lib.plots.data import data_distribution, missing_share
from poseemo_lib.plots.pose import feature_traces, skeleton_strip
from poseemo_lib.plots.scores import confusion_matrix, score_comparison
from poseemo_lib.plots.training import learning_curves

__all__ = [
    "confusion_matrix",
    "data_distribution",
    "feature_traces",
    "learning_curves",
    "missing_share",
    "score_comparison",
    "skeleton_strip",
]
