"""The models: one architecture a file, one signature.

A model is built with `(n_features, n_classes, **hyper_parameters)` and called with features (B, T, F) and a mask
(B, T); it returns logits (B, n_classes). To add one: write its file, add one line to :data:`MODELS`.
"""

import inspect

from torch import nn

from poseemo_lib.errors import UsageError
from poseemo_lib.features import N_FEATURES
from poseemo_lib.models.bilstm import BiLSTM
from poseemo_lib.models.deep_residual import DeepResidual

MODELS = {
    "deep_residual": DeepResidual,
    "bilstm": BiLSTM,
}


def hyper_parameters(name: str) -> dict[str, object]:
    """Names and defaults of a model's hyper-parameters.

    Parameters
    ----------
    name : str
        A key of :data:`MODELS`.

    Raises
    ------
    UsageError
        There is no model of that name; the message lists them.
    """
    if name not in MODELS:
        raise UsageError(f"architecture: wanted one of {', '.join(MODELS)}, got {name!r}")
    parameters = inspect.signature(MODELS[name]).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def build_model(name: str, n_features: int = N_FEATURES, n_classes: int = 7, **parameters) -> nn.Module:
    """Build a model by its name.

    Parameters
    ----------
    name : str
        A key of :data:`MODELS`.
    n_features, n_classes : int
    **parameters
        Hyper-parameters of that model; what is not given has its published value.

    Raises
    ------
    UsageError
        An unknown name or hyper-parameter.
    """
    known = hyper_parameters(name)
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise UsageError(f"model: {name} has {', '.join(known)}, got {', '.join(unknown)}")
    return MODELS[name](n_features, n_classes, **parameters)
