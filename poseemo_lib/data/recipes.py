"""Datasets that are made by a recipe: `parameters/datasets/<name>.yaml` -> `data/<name>`."""

import inspect
import shutil
from contextlib import suppress
from pathlib import Path

import yaml
from filelock import FileLock

from poseemo_lib.data.dataset import INFO_FILE, Dataset
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.files import read_yaml, write_text
from poseemo_lib.paths import PARAMETERS, PROJECT, resolve
from poseemo_lib.text import nearest

COMMANDS = ("synth", "import", "enhance")
RECIPE_FILE = "recipe.yaml"


def recipe_names() -> list[str]:
    """Names of the recipes in `parameters/datasets/`."""
    return sorted(path.stem for path in (PARAMETERS / "datasets").glob("*.yaml"))


def ensure_dataset(dataset: str, *, progress: bool = True) -> str:
    """Find a dataset; if it does not exist yet and has a recipe, make it.

    `dataset` is a folder, an fsspec URL, or the name of a recipe, also written `data/<name>`. A dataset at that path in
    the working directory takes precedence over a recipe of that name. Returns where it is.

    Raises
    ------
    UsageError
        There is neither a dataset nor a recipe, or what is there was made by another recipe.
    PoseemoError
        The recipe imports recordings, and some of them are faulty. Nothing was made.
    DatasetError
        What is there is damaged.
    """
    name = dataset.removeprefix("data/")
    folder = PROJECT / "data" / name
    here = Path(dataset).absolute()
    if name not in recipe_names() or ((here / INFO_FILE).exists() and here.resolve() != folder.resolve()):
        if "://" not in dataset and not Path(resolve(dataset)).exists():
            page = f"docs/{name}.md"
            raise UsageError(
                f"{dataset}: wanted a dataset's folder or a recipe ({', '.join(recipe_names())}), found neither"
                + (f"; {page} says how to get it" if (PROJECT / page).is_file() else "")
            )
        return resolve(dataset)
    folder.parent.mkdir(exist_ok=True)
    # Kernels that start together want the same dataset: one makes it, the others wait.
    with FileLock(folder.with_name(f".{name}.lock")):
        _make_once(folder, progress)
    return str(folder)


def _read_recipe(name: str, above: tuple[str, ...] = ()) -> tuple[dict, dict]:
    """Read a recipe: by itself, and together with the recipe of the dataset that it enhances."""
    if name in above:
        raise UsageError(f"recipe {name}: wanted another dataset to enhance, got {' -> '.join((*above, name))}")
    recipe = read_yaml(PARAMETERS / "datasets" / f"{name}.yaml")
    source = str(recipe.get("dataset", "")).removeprefix("data/")
    if source not in recipe_names():
        return recipe, recipe
    return recipe, recipe | {"dataset_recipe": _read_recipe(source, (*above, name))[1]}


def _make_once(folder: Path, progress: bool) -> None:
    recipe, whole = _read_recipe(folder.name)
    used, there = folder / RECIPE_FILE, folder.exists() and any(folder.iterdir())
    if there and (not used.exists() or read_yaml(used) != whole):
        raise UsageError(
            f"{folder}: was made by other settings than parameters/datasets/{folder.name}.yaml has now; "
            "move it away to have it made again"
        )
    if (folder / INFO_FILE).exists() and Dataset(folder, allow_incomplete=True).info.complete:
        return
    # The dataset gets its name when it is complete; a killed process leaves only what the next call removes.
    unfinished = folder.with_name(f".tmp-{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        make_dataset(recipe, unfinished, folder.name, progress=progress)
        write_text(unfinished / RECIPE_FILE, yaml.safe_dump(whole, sort_keys=False, allow_unicode=True))
        shutil.rmtree(folder, ignore_errors=True)  # made by this recipe, but unfinished
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def make_dataset(recipe: dict, folder: Path, name: str, *, progress: bool = True) -> None:
    """Make a dataset in a new folder as a recipe says.

    The recipe has a `command` (synth, import or enhance) and the arguments of `write_synthetic_dataset`,
    `import_dataset` or `enhance_dataset`; the dataset to enhance is made first where it has a recipe.
    """
    from poseemo_lib.data.enhance import enhance_dataset
    from poseemo_lib.data.importing import import_dataset
    from poseemo_lib.data.synthetic import write_synthetic_dataset

    arguments = dict(recipe)
    command = arguments.pop("command", None)
    if command not in COMMANDS:
        raise UsageError(f"recipe {name}: command: wanted {', '.join(COMMANDS)}, got {command!r}")
    make = {"synth": write_synthetic_dataset, "import": import_dataset, "enhance": enhance_dataset}[command]
    known = {key: p for key, p in inspect.signature(make).parameters.items() if key not in ("out", "name", "progress")}
    for key in arguments:
        if key not in known:
            raise UsageError(f"recipe {name}: {key}: unknown argument of {command}; {nearest(key, known)}")
    missing = [key for key, p in known.items() if p.default is p.empty and key not in arguments]
    if missing:
        raise UsageError(f"recipe {name}: {command} wants {', '.join(missing)} too")
    if command == "enhance":
        arguments["dataset"] = Dataset(ensure_dataset(str(arguments["dataset"]), progress=progress))
    elif command == "import":
        arguments["src"] = resolve(arguments["src"])
    report = make(out=str(folder), name=name, progress=progress, **arguments)
    if command == "import" and report.faults:
        raise PoseemoError(f"recipe {name}: {len(report.faults)} recordings failed, the first: {report.faults[0]}")


def find_dataset(record: dict) -> Dataset | None:
    """Find the dataset with the content hash in a run's `run.json`: where it was then, or in the project's `data/`."""
    for place in (record["parameters"]["dataset"], *sorted((PROJECT / "data").glob("*"))):
        with suppress(PoseemoError):
            dataset = Dataset(resolve(place))
            if dataset.info.content_hash == record["dataset"]["content_hash"]:
                return dataset
    return None
