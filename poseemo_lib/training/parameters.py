"""All parameters of a run, in one flat table, and their validation.

The parameters cell of `notebooks/03_train.ipynb` holds the same names and defaults (a test compares them); a YAML file
states differences only.
"""

from typing import Annotated, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, field_validator, model_validator

from poseemo_lib.data.splits import repeated_folds
from poseemo_lib.errors import UsageError
from poseemo_lib.text import nearest

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]

BASELINE_NAMES = ("majority", "stratified", "logistic_regression", "extra_trees", "rocket")

# These see no pose; the others give each class the same weight.
BLIND_BASELINES = BASELINE_NAMES[:2]
# What a baseline takes from its own config only, not from a study's base: smoothing hides movement that it would use.
BASELINE_PREPARATION = {"smoothing": 0}
# Frames of MiniRocket's kernels.
SHORTEST_ROCKET = 9


class RunParameters(BaseModel):
    """One training run. Every field is a parameter of `notebooks/03_train.ipynb`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    # data and split
    dataset: str = Field("data/demo", description="folder of the dataset")
    split: Literal["grouped", "official", "leave_one_group_out", "neighbours", "random"] = Field(
        "grouped", description="how to split"
    )
    fold: str = Field("", description="the test group, for leave_one_group_out; repeat and fold, as 1-2, with folds")
    folds: int = Field(0, ge=0, le=1000, description="of a cross-validation, with split: grouped; 0: none")
    repeats: int = Field(1, ge=1, le=1000, description="of the cross-validation, each with new folds")
    split_seed: int = Field(0, ge=0, lt=2**32, description="seed of the split, the same for all seeds of a study")
    allow_leak: bool = Field(False, description="train although the audit found a leak; the run then says so")
    # cleaning
    min_confidence: Share = Field(0.1, description="joints with less confidence count as missing")
    max_gap: float = Field(0.2, ge=0, le=5, description="longest gap that is interpolated, seconds")
    smoothing: int = Field(0, ge=0, le=51, description="moving average, frames, odd; 0: none")
    fps: float = Field(25.0, ge=1, le=1000, description="frame rate that every clip is brought to")
    normalisation: Literal["body", "frame"] = Field("body", description="body: torso lengths; frame: picture size")
    positions: Literal["person", "scene"] = Field(
        "person", description="x, y from the person's shoulders, or in the scene; velocities are always in the scene"
    )
    motion_unit: Literal["second", "frame"] = Field(
        "second", description="of velocities and accelerations; frame: differences between frames"
    )
    people: int = Field(2, ge=1, le=2, description="1 keeps the main person only")
    n_frames: int = Field(64, ge=4, le=4096, description="frames of a window")
    # augmentation of the training windows
    flip: Share = Field(0.5, description="probability of mirroring")
    scale: float = Field(0.1, ge=0, lt=1, description="size factor 1 - scale to 1 + scale")
    rotation: float = Field(10.0, ge=0, le=180, description="degrees to either side")
    noise: float = Field(0.01, ge=0, le=1, description="Gaussian noise, normalised units")
    time_warp: float = Field(0.1, ge=0, le=3, description="speed factor 1 / (1 + w) to 1 + w")
    joint_dropout: Share = Field(0.05, description="probability that a joint is hidden in a window")
    slot_swap: Share = Field(0.5, description="probability of exchanging the two people")
    # model
    architecture: str = Field("deep_residual", description="a model (`poseemo models`) or a baseline")
    model: dict = Field({}, description="hyper-parameters of the model that differ from its defaults")
    n_outputs: int = Field(
        0, ge=0, le=1000, description="0: one a class; more: the rest is reserved, and dropped from predictions"
    )
    standardise: bool = Field(True, description="inputs to mean 0 and deviation 1, by the training split")
    motion: float = Field(1.0, ge=0, le=100, description="size of velocities and accelerations beside the positions' 1")
    # training
    seed: int = Field(0, ge=0, lt=2**32, description="weights, order and augmentation")
    epochs: Count = Field(60, description="at most")
    patience: int = Field(20, ge=0, description="epochs without a better validation macro-F1; 0: no early stop")
    choose_after: float = Field(
        0.5, ge=0, le=1, description="share of the epochs before which none is chosen; 1: the last one is"
    )
    batch_size: Count = Field(32, description="windows a step")
    lr: Positive = Field(5e-4, description="peak learning rate of AdamW")
    weight_decay: float = Field(1e-4, ge=0, description="of AdamW")
    warmup_epochs: float = Field(2.0, ge=0, description="linear warm-up, then cosine to zero")
    loss: Literal["cross_entropy", "focal", "logit_adjustment"] = Field(
        "cross_entropy", description="focal: less weight on easy clips; logit_adjustment: by class frequency"
    )
    labels: Literal["hard", "soft"] = Field(
        "hard", description="soft: train rated clips on the shares of their ratings (ratings.csv)"
    )
    focal_gamma: float = Field(2.0, ge=0, le=10, description="exponent of the focal loss")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="of the cross-entropy")
    clip_norm: Positive = Field(1.0, description="largest norm of the gradient")
    weight_average: float = Field(0.98, ge=0, lt=1, description="decay of the moving average of weights; 0: none")
    sampler: Literal["balanced", "uniform"] = Field("balanced", description="balanced: classes equally likely")
    class_weights: Literal["none", "inverse"] | list[Annotated[float, Field(ge=0)]] = Field(
        "none", description="of the loss; inverse: by 1 / frequency; or a list, one for each output"
    )
    allow_double_balancing: bool = Field(False, description="allow two corrections of the imbalance together")
    precision: Literal["float32", "bf16"] = Field("float32", description="bf16: autocast")
    # evaluation
    eval_crops: Count = Field(3, description="windows averaged over a clip longer than one window")
    score_by: Literal["clip", "source"] = Field("clip", description="source: average the clips of one recording first")
    prior: Literal["auto", "training", "uniform", "given"] = Field(
        "auto", description="class shares that calibration assumes; auto: training or uniform, by validation"
    )
    given_prior: dict = Field({}, description="class -> share, for prior: given")
    # machine
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu, cuda or cuda:N")
    threads: int = Field(0, ge=0, le=1024, description="CPU threads; 0: all cores, in a study its share of them")

    @property
    def corrections(self) -> list[str]:
        """Its corrections of the imbalance, `name: value`; each divides the shares trained for by the classes' own."""
        if is_baseline(self.architecture):
            return [] if self.architecture in BLIND_BASELINES else ["equal classes"]
        every = {
            "sampler": self.sampler == "balanced",
            "class_weights": weighs_classes(self.class_weights),
            "loss": self.loss == "logit_adjustment",
        }
        return [f"{name}: {getattr(self, name)}" for name, corrects in every.items() if corrects]

    @field_validator("model", "given_prior")
    @classmethod
    def _numbers(cls, values):
        """Read `1e-1`, a text to YAML, as a number here too."""
        return {key: _number(value) for key, value in values.items()}

    @model_validator(mode="after")
    def _consistent(self) -> "RunParameters":
        used = self.corrections
        if len(used) > 1 and not self.allow_double_balancing:
            raise ValueError(
                f"{' with '.join(used)} corrects the imbalance {'twice' if len(used) == 2 else 'three times'} (the "
                "published bug); choose one, or say allow_double_balancing: true"
            )
        if self.folds == 1 or (self.folds and self.split != "grouped") or (self.repeats > 1 and not self.folds):
            raise ValueError(
                "folds: wanted 2 or more with split: grouped, or none without repeats, "
                f"got {self.folds} with split: {self.split} and repeats: {self.repeats}"
            )
        if self.folds and self.fold not in repeated_folds(self.folds, self.repeats):
            raise ValueError(
                f"fold: wanted the repeat and the fold, from 1-1 to {self.repeats}-{self.folds}, got {self.fold!r}"
            )
        if not self.folds and (self.split == "leave_one_group_out") != bool(self.fold):
            raise ValueError("fold: wanted the test group's name with split: leave_one_group_out, and none otherwise")
        if self.labels == "soft" and (is_baseline(self.architecture) or self.loss == "focal"):
            raise ValueError(
                "labels: wanted hard with a baseline or the focal loss, which need one label a clip, got soft"
            )
        if (self.prior == "given") != bool(self.given_prior):
            raise ValueError("given_prior: wanted the share of each class with prior: given, and none otherwise")
        if not all(isinstance(share, int | float) and 0 < share < float("inf") for share in self.given_prior.values()):
            raise ValueError(f"given_prior: wanted shares above 0, got {self.given_prior}")
        if self.smoothing and self.smoothing % 2 == 0:
            raise ValueError(f"smoothing: wanted an odd number of frames, got {self.smoothing}")
        return self


def _number(value):
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def weighs_classes(class_weights: str | list[float]) -> bool:
    """Tell whether `class_weights` make classes differ; a weight of 0 is that of a reserved output."""
    if isinstance(class_weights, str):
        return class_weights == "inverse"
    return len({weight for weight in class_weights if weight}) > 1


def settings_from(kind, parameters: RunParameters):
    """Make a dataclass whose fields are parameters of the same names."""
    return kind(**{name: getattr(parameters, name) for name in kind.__dataclass_fields__})


def is_baseline(architecture: str) -> bool:
    """Tell whether an architecture is one of the baselines."""
    return architecture in BASELINE_NAMES


def check_parameters(values: dict, where: str = "parameters") -> RunParameters:
    """Validate the parameters that differ from the defaults; `where` is the file, for messages.

    Raises
    ------
    UsageError
        Every unknown name (with the nearest known one), wrong type and value out of range, in one message.
    """
    parameters = _validate(RunParameters, values, f"{where}: ")
    _check_model(parameters, where)
    return parameters


def _validate(kind: type[BaseModel], values: dict, where: str) -> BaseModel:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise UsageError("\n".join(where + _fault(one, kind.model_fields) for one in error.errors())) from None


def _fault(error: dict, known: dict) -> str:
    key = ".".join(map(str, error["loc"][:1]))  # the rest is the kind of value that was tried
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown parameter; {nearest(key, known)}"
    message = error["msg"].removeprefix("Value error, ")
    return message if not key else f"{key}: {message[0].lower()}{message[1:]}, got {error['input']!r}"


def _check_model(parameters: RunParameters, where: str) -> None:
    """Check the architecture's name, its hyper-parameters, and whether a model can be built of them."""
    import torch

    from poseemo_lib.models import MODELS, build_model, hyper_parameters

    name = parameters.architecture
    if is_baseline(name):
        if parameters.model:
            raise UsageError(f"{where}: model: a baseline has no hyper-parameters, got {', '.join(parameters.model)}")
        if parameters.normalisation != "body":
            raise UsageError(f"{where}: normalisation: wanted body, got frame; a baseline measures lengths and angles")
        if name == "rocket" and parameters.n_frames < SHORTEST_ROCKET:
            raise UsageError(f"{where}: n_frames: rocket wants {SHORTEST_ROCKET} or more, got {parameters.n_frames}")
        return
    if name not in MODELS:
        every = (*MODELS, *BASELINE_NAMES)
        raise UsageError(f"{where}: architecture: wanted one of {', '.join(every)}, got {name!r}")
    fields = {
        key: (Count if type(default) is int else type(default), default)
        for key, default in hyper_parameters(name).items()
    }
    strict = ConfigDict(extra="forbid", strict=True)
    _validate(create_model(name, __config__=strict, **fields), parameters.model, f"{where}: model.")
    try:
        with torch.device("meta"):  # without memory for its weights
            build_model(name, **parameters.model)
    except UsageError as error:
        raise UsageError(f"{where}: model.{error}") from None
    except (ValueError, RuntimeError) as error:
        raise UsageError(f"{where}: model: {' '.join(str(error).split())}, got {parameters.model}") from None


def describe_parameters() -> list[tuple[str, str, object, str]]:
    """List every parameter with its type, default and description."""
    return [
        (name, _kind(field.annotation), field.default, field.description)
        for name, field in RunParameters.model_fields.items()
    ]


def _kind(annotation) -> str:
    parts = () if get_origin(annotation) is list else get_args(annotation)
    return " | ".join(part if isinstance(part, str) else _kind(part) for part in parts) or annotation.__name__
