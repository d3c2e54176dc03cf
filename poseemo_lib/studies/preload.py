"""What a warm kernel has imported before it starts; importing this module computes nothing and starts no thread."""

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
