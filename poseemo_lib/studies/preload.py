"""What a warm kernel has imported and compiled before it starts; importing this module starts no thread."""

import os
import warnings
from importlib import import_module

from poseemo_lib.studies.kernels import die_with_parent

die_with_parent()
os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")  # read at import; as in a kernel
# A run imports some of these late: for the optimizer, the split and the scores.
MODULES = """ipykernel.kernelapp ipykernel_launcher IPython.core.pylabtools matplotlib.backends.backend_agg
pyarrow.pandas_compat safetensors.torch scipy.optimize sklearn.metrics sklearn.model_selection torch._dynamo
poseemo_lib.data.audit poseemo_lib.plots poseemo_lib.training.baselines poseemo_lib.training.run skops.io"""
with warnings.catch_warnings(action="ignore"):
    for name in MODULES.split():
        import_module(name)

import torch  # noqa: E402

from poseemo_lib.features.augmentation import Augmentation  # noqa: E402
from poseemo_lib.training.batching import PreparedClips, training_batch  # noqa: E402

# A batch of one clip of two empty frames: Numba loads its compiled loops, which takes longer than most imports.
one, length = torch.tensor([0]), torch.tensor([2])
clips = PreparedClips(torch.full((2, 2, 17, 3), torch.nan), one, length, one, [""], 25.0, "person")
changes = Augmentation(flip=1, scale=0.1, rotation=1, noise=0.1, time_warp=0.1, joint_dropout=0.5, slot_swap=1)
training_batch(clips, one, 2, changes, torch.Generator())
