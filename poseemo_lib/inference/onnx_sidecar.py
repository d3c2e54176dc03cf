"""`NAME.json` beside an exported `NAME.onnx`: all that is needed to predict with it, in any language."""

import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from poseemo_lib.errors import PoseemoError
from poseemo_lib.features.preparation import Preparation
from poseemo_lib.files import write_text

VERSION = 1


class Sidecar(BaseModel):
    """What an exported network is.

    Parameters
    ----------
    inputs : {"keypoints", "features"}
        What the graph takes beside `mask` (B, T): prepared `keypoints` (B, T, 2, 17, 3), or `features` (B, T, 238).
    joints, channels : list of str
        Order of the 17 keypoints, and of the features of one.
    temperature : float
        What the graph's output `probabilities` is calibrated with: softmax(logits / temperature).
    abstain_below : float
        With less probability the answer is "not sure".
    parity : dict
        How the export was held against the network: windows, clips, dataset, largest_difference of a probability.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    format_version: Literal[1] = VERSION
    onnx_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    architecture: str
    run: str
    classes: list[str] = Field(min_length=2)
    inputs: Literal["keypoints", "features"]
    n_frames: int = Field(ge=1)
    preparation: Preparation
    joints: list[str]
    channels: list[str]
    temperature: float = Field(gt=0)
    abstain_below: float = Field(ge=0, le=1)
    synthetic: bool
    dataset: dict
    scores: dict
    statistics: dict
    parity: dict
    versions: dict[str, str]


def sidecar_path(onnx: Path) -> Path:
    """Where the sidecar of an exported network lies."""
    return onnx.with_suffix(".json")


def file_sha256(path: Path) -> str:
    """Hash a file: 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sidecar(onnx: Path, sidecar: Sidecar) -> None:
    """Write the sidecar of an exported network."""
    write_text(sidecar_path(onnx), json.dumps(sidecar.model_dump(), indent=2, allow_nan=False) + "\n")


def read_sidecar(onnx: Path) -> Sidecar:
    """Read the sidecar of an exported network, and see that it is this network's.

    Parameters
    ----------
    onnx : Path

    Raises
    ------
    PoseemoError
        One of the two files is missing or damaged, or they do not belong together.
    """
    path, again = sidecar_path(onnx), "export the run again with `poseemo export`"
    try:
        if onnx.stat().st_size == 0:
            raise PoseemoError(f"{onnx}: wanted an exported network, got an empty file; {again}")
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PoseemoError(f"{error.filename}: {error.strerror}; wanted NAME.onnx and NAME.json; {again}") from None
    except UnicodeDecodeError:
        raise PoseemoError(f"{path}: wanted JSON, got no text; {again}") from None
    try:
        sidecar = Sidecar.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "content"
        raise PoseemoError(f"{path}: damaged: {where}: {first['msg'][0].lower()}{first['msg'][1:]}; {again}") from None
    if sidecar.onnx_sha256 != file_sha256(onnx):
        raise PoseemoError(f"{onnx}: is not the network that {path.name} was written for; {again}")
    return sidecar
