"""Charts that several figures or a notebook use.

In: tables or arrays. Out: `(fig, axes)`; nothing is saved, and no chart knows a study. Every chart must be given
`synthetic`, and marks synthetic data (see `style.finish`); some draw into axes that they are given. Read `style` and
`marks` first: all figures build on them.
"""

from poseemo_lib.plots.confusion import confusion_matrix
from poseemo_lib.plots.data import data_distribution, missing_share
from poseemo_lib.plots.pose import feature_traces, skeleton_strip
from poseemo_lib.plots.training import learning_curves

__all__ = [
    "confusion_matrix",
    "data_distribution",
    "feature_traces",
    "learning_curves",
    "missing_share",
    "skeleton_strip",
]
