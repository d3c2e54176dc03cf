"""The models: one architecture a file, one signature.

A model is built with `(n_classes, **hyper_parameters)` and called with features (B, T, F) and a mask
(B, T); it returns logits (B, n_classes). To add one: write its file, add one line to :data:`MODELS`.
"""

import inspect

from torch import nn

from poseemo_lib.errors import UsageError
from poseemo_lib.models.bilstm import BiLSTM
from poseemo_lib.models.conv1d import Conv1d
from poseemo_lib.models.conv_lstm import ConvLSTM
from poseemo_lib.models.deep_residual import DeepResidual
from poseemo_lib.models.gru import GRU
from poseemo_lib.models.joint_transformer import JointTransformer
from poseemo_lib.models.layers import with_fast_dropout
from poseemo_lib.models.multiscale import MultiScale
from poseemo_lib.models.st_gcn import STGCN
from poseemo_lib.models.tcn_bilstm import TcnBiLSTM
from poseemo_lib.models.transformer import Transformer

MODELS = {
    "deep_residual": DeepResidual,
    "bilstm": BiLSTM,
    "gru": GRU,
    "transformer": Transformer,
    "tcn_bilstm": TcnBiLSTM,
    "conv1d": Conv1d,
    "multiscale": MultiScale,
    "conv_lstm": ConvLSTM,
    "st_gcn": STGCN,
    "joint_transformer": JointTransformer,
}


def hyper_parameters(name: str) -> dict[str, object]:
    """Names and defaults of a model's hyper-parameters.

    Raises
    ------
    UsageError
        There is no model of that name; the message lists them.
    """
    if name not in MODELS:
        raise UsageError(f"architecture: wanted one of {', '.join(MODELS)}, got {name!r}")
    parameters = inspect.signature(MODELS[name]).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def build_model(name: str, n_classes: int = 7, **parameters) -> nn.Module:
    """Build a model by its name; hyper-parameters that are not given have their published values.

    Raises
    ------
    UsageError
        An unknown name or hyper-parameter.
    """
    known = hyper_parameters(name)
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise UsageError(f"model: {name} has {', '.join(known)}, got {', '.join(unknown)}")
    return with_fast_dropout(MODELS[name](n_classes, **parameters))
