"""The plan of a study: a file with configs -> the runs that it consists of, each checked before any starts.

A study file names a dataset, the parameters that all configs share, and the configs.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from poseemo_lib.data.dataset import INFO_FILE, Dataset
from poseemo_lib.data.recipes import ensure_dataset, recipe_names
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.files import read_yaml
from poseemo_lib.paths import PARAMETERS, PROJECT
from poseemo_lib.text import nearest
from poseemo_lib.training.parameters import BASELINE_PREPARATION, RunParameters, check_parameters, is_baseline
from poseemo_lib.training.run_folder import is_complete, repeat_of, run_identity

KEPT_NOTEBOOK = "notebook.ipynb"
FOLD_SPLIT = "leave_one_group_out"
# No separators, no leading dot: a name becomes a folder that a report can find.
NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$"


def _distinct(seeds: list[int]) -> list[int]:
    if len(set(seeds)) != len(seeds):
        raise ValueError(f"wanted every seed once, got {seeds}")
    return seeds


Seeds = Annotated[list[int], Field(min_length=1), AfterValidator(_distinct)]


class Config(BaseModel):
    """One config of a study: `from` (a parameter file, or a study, for its base), `seeds`, and parameters of a run."""

    model_config = ConfigDict(extra="allow")

    file: str | None = Field(None, alias="from", description="a file, or one in parameters/ without its suffix")
    seeds: Seeds | None = None

    @model_validator(mode="after")
    def _of_the_study(self) -> "Config":
        for name in {"dataset", "seed"} & set(self.model_extra):
            raise ValueError(f"{name}: belongs to the study, not to a config")
        return self


class Study(BaseModel):
    """What a study file holds."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=NAME)
    dataset: str = Field(min_length=1, description="a folder, or a recipe in parameters/datasets/")
    seeds: Seeds = [0, 1, 2]
    base: dict = Field({}, description="parameters of all configs")
    configs: dict[Annotated[str, Field(pattern=NAME)], Config] = Field(
        min_length=1, description="name -> its parameters"
    )


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study; without its dataset `identity` and `dataset`, the place of it, are empty."""

    config: str
    parameters: RunParameters
    folder: Path
    identity: str
    dataset: str

    @property
    def name(self) -> str:
        """Config, fold and seed, for messages."""
        fold = f" fold {self.parameters.fold}" if self.parameters.fold else ""
        return f"{self.config}{fold} seed {self.parameters.seed}"

    def plan(self, out: Path) -> dict:
        """Describe it for `study.json`."""
        fold, seed = self.parameters.fold, self.parameters.seed
        folder = str(self.folder.relative_to(out))
        return {"config": self.config, "fold": fold, "seed": seed, "folder": folder, "identity": self.identity}

    @property
    def complete(self) -> bool:
        """Whether its folder holds the completed run, with its notebook."""
        return is_complete(self.folder, self.identity) and (self.folder / KEPT_NOTEBOOK).exists()


def load_study(path: str | Path) -> Study:
    """Read a study file; a missing file or a wrong key is a UsageError."""
    path = Path(path)
    values = read_yaml(path)
    if "cells" in values:
        raise UsageError(f"{path}: cells: this key is now called configs; rename it")
    try:
        return Study.model_validate(values)
    except ValidationError as error:
        raise UsageError("\n".join(_study_fault(path, one) for one in error.errors())) from None


def _study_fault(path: Path, error: dict) -> str:
    key = ".".join(str(part) for part in error["loc"] if part != "[key]")
    if error["type"] == "extra_forbidden":
        return f"{path}: {key}: unknown key; {nearest(key, Study.model_fields)}"
    message = error["msg"].removeprefix("Value error, ")
    return f"{path}: {key}: {message[0].lower()}{message[1:]}, got {error['input']!r}"


def plan_runs(study: Study, where: str | Path, out: str | Path, *, progress: bool = True) -> list[PlannedRun]:
    """List the runs of a study, each with its folder and identity; makes the dataset where it has a recipe.

    `where` is the study's file, for messages and for the files that `from` names; `out` is the folder of its runs.
    Seeds are outermost, then repeats, so that a study that is stopped has whole comparisons.

    Raises
    ------
    UsageError
        A parameter is wrong; the file, the config and the key are named.
    """
    configs = _checked_configs(study, where)  # all of them, before a dataset is made for them
    place = ensure_dataset(study.dataset, progress=progress)
    return _plan(study, where, Path(out), configs, Dataset(place), place)


def look_at_runs(study: Study, where: str | Path, out: str | Path) -> tuple[list[PlannedRun], str]:
    """List the runs of a study without making anything, and say why the dataset cannot be used, or nothing.

    Without its dataset a study's folds are not known, and one run stands for them.
    """
    configs = _checked_configs(study, where)
    if not (fault := _dataset_fault(study.dataset)):
        return plan_runs(study, where, out, progress=False), ""
    return _plan(study, where, Path(out), configs), fault


def _plan(
    study: Study, where: str | Path, out: Path, configs: dict, dataset: Dataset | None = None, place: str = ""
) -> list[PlannedRun]:
    runs, splits, table = [], {}, None if dataset is None else dataset.table()
    for name, values in configs.items():
        for seed in study.configs[name].seeds or study.seeds:
            for fold in _folds(table, values):
                here = _with_fold(values, fold) | {"seed": seed, "dataset": study.dataset}
                parameters = check_parameters(here, f"{where}: configs.{name}")
                try:
                    identity = _identity(parameters, dataset, table, splits) if dataset is not None else ""
                except PoseemoError as error:
                    raise type(error)(f"{where}: configs.{name}: {error}") from None
                folder = out / name / (f"fold-{quote(fold, safe='')}" if fold else "") / f"seed-{seed}"
                runs.append(PlannedRun(name, parameters, folder, identity, place))
    return sorted(runs, key=lambda run: (run.parameters.seed, repeat_of(run.parameters.model_dump())))


def _dataset_fault(name: str) -> str:
    """Say why a dataset cannot be used as it is, or nothing."""
    recipe = name.removeprefix("data/")
    places = (Path(name), PROJECT / "data" / recipe)
    if recipe in recipe_names() and not any((place / INFO_FILE).exists() for place in places):
        return f"{name}: the dataset is not made yet"
    try:
        Dataset(ensure_dataset(name, progress=False))
    except PoseemoError as error:
        return str(error)
    return ""


def _checked_configs(study: Study, where: str | Path) -> dict[str, dict]:
    configs = {name: config_values(study, name, where) for name in study.configs}
    for name, values in configs.items():
        check_parameters(_with_fold(values), f"{where}: configs.{name}")
    return configs


def config_values(study: Study, name: str, where: str | Path) -> dict:
    """Return the parameters of a config that differ from the defaults; `where` is the study's file."""
    own, source = study.configs[name].model_extra, study.configs[name].file
    if source is None:
        return _over_base(study.base, own)
    candidates = [Path(where).parent / source, PARAMETERS / source, PARAMETERS / f"{source}.yaml"]
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise UsageError(f"{where}: configs.{name}.from: wanted a parameter file, found none at {source}")
    values = read_yaml(found)
    return _over_base(study.base, values.get("base", values) | own)


def _over_base(base: dict, own: dict) -> dict:
    baseline = is_baseline(own.get("architecture", base.get("architecture", "")))
    return base | (BASELINE_PREPARATION if baseline else {}) | own


def _folds(table, values: dict) -> list[str]:
    """List the folds that a config has runs for; without a cross-validation it is one without a name."""
    from poseemo_lib.data.splits import fold_names, repeated_folds

    if values.get("fold"):
        return [values["fold"]]
    if values.get("folds"):
        return repeated_folds(values["folds"], values.get("repeats", 1))
    return fold_names(table) if table is not None and values.get("split") == FOLD_SPLIT else [""]


def _with_fold(values: dict, fold: str = "") -> dict:
    """Add a fold where a config needs one; without a name any that can be checked."""
    if values.get("split") == FOLD_SPLIT:
        return values | {"fold": fold or "?"}
    return values | {"fold": fold or "1-1"} if values.get("folds") else values


def _identity(parameters: RunParameters, dataset: Dataset, table, splits: dict) -> str:
    from poseemo_lib.data.splits import split_hash
    from poseemo_lib.training.inputs import data_hash, split_table

    key = (parameters.split, parameters.split_seed, parameters.folds, parameters.fold)
    if key not in splits:
        splits[key] = split_hash(split_table(table, parameters))
    if (labels := parameters.labels) not in splits:
        splits[labels] = data_hash(dataset, parameters)
    return run_identity(parameters.model_dump(), splits[labels], splits[key])
