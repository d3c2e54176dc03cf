"""Notes in a dataset's folder: what every run of a study would find out about it anew."""

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from poseemo_lib import __version__
from poseemo_lib.data.dataset import Dataset
from poseemo_lib.files import PACKAGE, collect_files, hash_code, write_json


def noted(dataset: Dataset, kind: str, field: str, of: dict[str, str], code: str, find_out: Callable[[], dict]) -> dict:
    """Give what is noted about a dataset; where nothing is, find it out and note it.

    Parameters
    ----------
    dataset : Dataset
    kind, field : str
        What is noted: the note is `KIND-DIGITS.json` in the dataset's folder, and its content stands in `field`.
    of : dict
        Of what part of the dataset, as one name and one SHA-256 in hexadecimal digits. A note counts for these, for the
        dataset's content hash and its files as they lie there, and for this version and code of the library; a damaged
        one does not count.
    code : str
        File of this package that finds it out; what it imports counts too.
    find_out : callable
        Gives the content, as of JSON.

    Returns
    -------
    dict
        The content.
    """
    (digits,) = of.values()
    key = {"content_hash": dataset.info.content_hash, **of, "version": __version__}
    key["code"] = code_behind(code)
    key["files"] = _state(Path(dataset.root))
    path = Path(dataset.root) / f"{kind}-{digits[:16]}.json"
    found = _read(path)
    if found.get("key") == key and isinstance(found.get(field), dict):
        return found[field]
    content = find_out()
    if path.parent.is_dir() and os.access(path.parent, os.W_OK):
        with suppress(OSError):  # a full disk, or another process at the same note: it is asked for again
            write_json(path, {"key": key, field: content})
    return content


@cache
def code_behind(name: str) -> str:
    """Hash a file of this package with all that it imports from it: 64 hexadecimal digits."""
    files = {
        PACKAGE / "data/dataset/notes.py"
    }  # what this file imports is about the key, and would bring every network
    collect_files(PACKAGE / name, files)
    return hash_code(files)


def _state(folder: Path) -> dict[str, list[int]]:
    """Size and time of the files of clips: the content hash is what was written, not what lies there now."""
    states = ((path.name, path.stat()) for path in sorted(folder.glob("*.parquet")))
    return {name: [state.st_size, state.st_mtime_ns] for name, state in states}


def _read(path: Path) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def hash_names(names) -> str:
    """SHA-256 of names, whatever their order: 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(sorted(names)).encode()).hexdigest()
