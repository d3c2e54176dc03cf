"""Datasets that are made by a recipe: `parameters/datasets/<name>.yaml` -> `data/<name>`."""

import inspect
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import yaml
from filelock import FileLock

from poseemo_lib.data.dataset import INFO_FILE, Dataset
from poseemo_lib.data.downloads import get_files, unpack, write_ratings
from poseemo_lib.data.formats import check_options, reader_options
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.files import read_yaml, write_text
from poseemo_lib.paths import PARAMETERS, PROJECT, resolve
from poseemo_lib.text import count, listed, nearest

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


def fetch_dataset(name: str, say: Callable[[str], None], data_dir: str | Path | None = None) -> Dataset:
    """Download an open dataset, check it and make it a dataset here, unless it is there.

    Parameters
    ----------
    name : str
        A recipe with `fetch`.
    say : callable
        Gets lines of text: first the licence and what to cite, then what is done and left out.
    data_dir : str or Path, optional
        Folder for the dataset, and in it `downloads/NAME` for its files; default: the project's `data/`.

    Raises
    ------
    UsageError
        There is no such recipe, or what is there was made by another one.
    PoseemoError
        A file cannot be had, or is not what the recipe says. What was downloaded is kept.
    """
    known = {known: recipe for known in recipe_names() if "fetch" in (recipe := _read_recipe(known)[0])}
    if name not in known:
        raise UsageError(f"{name}: wanted a dataset that can be fetched; {nearest(name, known)}")
    for key in ("source", "licence", "citation"):
        say(f"{key}: {known[name][key]}")
    if note := known[name]["fetch"].get("note"):
        say(note)
    folder = Path(data_dir or PROJECT / "data").expanduser().resolve() / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{name}.lock")):
        _make_once(folder, True, say)
    return Dataset(folder)


def _read_recipe(name: str, above: tuple[str, ...] = ()) -> tuple[dict, dict]:
    """Read a recipe: by itself, and together with the recipe of the dataset that it enhances."""
    if name in above:
        raise UsageError(f"recipe {name}: wanted another dataset to enhance, got {' -> '.join((*above, name))}")
    recipe = read_yaml(PARAMETERS / "datasets" / f"{name}.yaml")
    source = str(recipe.get("dataset", "")).removeprefix("data/")
    if source not in recipe_names():
        return recipe, recipe
    return recipe, recipe | {"dataset_recipe": _read_recipe(source, (*above, name))[1]}


def _make_once(folder: Path, progress: bool, say: Callable[[str], None] | None = None) -> None:
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
        make_dataset(recipe, unfinished, folder.name, progress=progress, say=say)
        write_text(unfinished / RECIPE_FILE, yaml.safe_dump(whole, sort_keys=False, allow_unicode=True))
        shutil.rmtree(folder, ignore_errors=True)  # made by this recipe, but unfinished
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def make_dataset(
    recipe: dict, folder: Path, name: str, *, progress: bool = True, say: Callable[[str], None] | None = None
) -> None:
    """Make a dataset in a new folder as a recipe says.

    The recipe has a `command` (synth, import or enhance) and the arguments of `write_synthetic_dataset`,
    `import_dataset` or `enhance_dataset`; the dataset to enhance is made first where it has a recipe. An import may
    have `fetch` instead of `src` (:mod:`poseemo_lib.data.downloads`); it needs `say`, which gets what is left out.
    """
    from poseemo_lib.data.enhance import enhance_dataset
    from poseemo_lib.data.importing import import_dataset
    from poseemo_lib.data.synthetic import write_synthetic_dataset

    arguments = dict(recipe)
    command, facts = arguments.pop("command", None), arguments.pop("fetch", None)
    makers = {"synth": write_synthetic_dataset, "import": import_dataset, "enhance": enhance_dataset}
    if (make := makers.get(command)) is None:
        raise UsageError(f"recipe {name}: command: wanted {', '.join(makers)}, got {command!r}")
    known = {key: p for key, p in inspect.signature(make).parameters.items() if key not in ("out", "name", "progress")}
    if facts:
        arguments["src"] = folder.parent / "downloads" / name / "unpacked"
    for key in arguments:
        if key not in known:
            raise UsageError(f"recipe {name}: {key}: unknown argument of {command}; {nearest(key, known)}")
    missing = [key for key, p in known.items() if p.default is p.empty and key not in arguments]
    if missing:
        raise UsageError(f"recipe {name}: {command} wants {', '.join(missing)} too")
    if facts and say is None:
        raise UsageError(f"{name}: is not here; `poseemo fetch {name}` downloads it")
    if command == "enhance":
        arguments["dataset"] = Dataset(ensure_dataset(str(arguments["dataset"]), progress=progress))
    elif facts:
        _fetch_into(folder, name, arguments, facts, progress, say)
        return
    elif command == "import":
        arguments["src"] = resolve(arguments["src"])
    report = make(out=str(folder), name=name, progress=progress, **arguments)
    if command == "import" and report.faults:
        raise PoseemoError(f"recipe {name}: {len(report.faults)} recordings failed, the first: {report.faults[0]}")


def _fetch_into(folder: Path, name: str, arguments: dict, facts: dict, progress: bool, say: Callable) -> None:
    """Download and import; faulty recordings are said and left out, since nobody here can mend them."""
    from poseemo_lib.data.importing import import_dataset

    unpacked, format = arguments["src"], arguments["format"]
    check_options(format, reader_options(format), arguments.get("options", {}))  # before the download
    files = get_files(facts, unpacked.parent, say)
    try:
        arguments["src"] = unpack(files[0], facts, unpacked)
        report = import_dataset(out=str(folder), name=name, progress=progress, **arguments)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    for note, n in report.notes.items():
        say(f"{count(n, 'recording')}: {note}")
    for copy, first in facts.get("leave_out", {}).items():
        say(f"left out: {copy}, an exact copy of {first}")
    for why, items in (("has another label", report.unmatched), ("failed", report.faults)):
        if items:
            say(f"left out, {why}: {listed(items, 3)}")
    if "ratings" in facts:
        table = Dataset(folder).table().drop_duplicates("source_id")
        labels = dict(zip(table["source_id"], table["label"], strict=True))
        say(write_ratings(folder / "ratings.csv", files[1], facts["ratings"], arguments["label_map"], labels))


def find_dataset(record: dict) -> Dataset | None:
    """Find the dataset with the content hash in a run's `run.json`: where it was then, or in the project's `data/`."""
    for place in (record["parameters"]["dataset"], *sorted((PROJECT / "data").glob("*"))):
        with suppress(PoseemoError):
            dataset = Dataset(resolve(place))
            if dataset.info.content_hash == record["dataset"]["content_hash"]:
                return dataset
    return None
