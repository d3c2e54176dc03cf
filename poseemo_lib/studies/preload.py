"""What a warm kernel has imported and compiled before it starts; importing this module starts no thread."""

# ruff: noqa: E402, F401, I001
from poseemo_lib.studies.kernels import die_with_parent

die_with_parent()

import os
import warnings

# As a kernel does; matplotlib reads it at import.
os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    # Imports of the libraries that happen late in a run are named here too: the optimizer's, splits' and scores'.
    import ipykernel.kernelapp
    import ipykernel_launcher
    import IPython.core.pylabtools
    import matplotlib.backends.backend_agg
    import pyarrow.pandas_compat
    import safetensors.torch
    import scipy.optimize
    import sklearn.metrics
    import sklearn.model_selection
    import torch._dynamo

    import poseemo_lib.data.audit
    import poseemo_lib.plots
    import poseemo_lib.training.baselines
    import poseemo_lib.training.run

# One batch of two empty frames has Numba load the compiled loops, which takes longer than most imports.
import torch

from poseemo_lib.features.augmentation import Augmentation
from poseemo_lib.training import batching

_clips = batching.PreparedClips(
    torch.full((2, 2, 17, 3), torch.nan), torch.tensor([0]), torch.tensor([2]), torch.tensor([0]), [""], 25.0, "person"
)
_how = Augmentation(flip=1, scale=0.1, rotation=1, noise=0.1, time_warp=0.1, joint_dropout=0.5, slot_swap=1)
batching.training_batch(_clips, torch.tensor([0]), 2, _how, torch.Generator())
