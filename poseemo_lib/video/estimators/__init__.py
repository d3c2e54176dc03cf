"""Pose estimators, one module a library; each has a class that is opened by `pose_estimation.open_estimator`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EstimatorInfo:
    """What estimates the poses.

    Parameters
    ----------
    name : str
        As given to `open_estimator`.
    model : str
        File name of the model; two names joined by ``+`` for a detector and a pose model.
    sha256 : str
        Of the model file, in hexadecimal; two joined by ``+``.
    provider : str
        What really runs it, such as ``CPUExecutionProvider``.
    licence : str
        Of code and weights.
    """

    name: str
    model: str
    sha256: str
    provider: str
    licence: str

    def running(self) -> str:
        """One line for people: what runs, and on what it really does."""
        return f"{self.name}: {self.model} on {self.provider}"

    def text(self) -> str:
        """One line for `dataset.json`: name, model file and its SHA-256."""
        return f"{self.name} {self.model} sha256:{self.sha256}"
