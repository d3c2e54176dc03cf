"""Notes in a dataset's folder: audit and statistics, which every run of a study would otherwise compute again."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from poseemo_lib import __version__
from poseemo_lib.data.dataset.reader import Dataset
from poseemo_lib.files import write_json

# Raise it when the audit or the statistics change what they find: older notes then no longer count.
RULES = 3


def noted(dataset: Dataset, kind: str, of: str, compute: Callable[[], dict]) -> dict:
    """Read what is noted about a dataset; where nothing is, compute and note it.

    `kind` is "audit" or "statistics", `of` the SHA-256 of the split or the clips that the note is about. A note counts
    for one content hash, for the files as they are (size and time) and for one version of the library; a damaged note
    does not count.
    """
    folder = Path(dataset.root)
    states = ((path.name, path.stat()) for path in sorted(folder.glob("*.parquet")))
    files = {name: [state.st_size, state.st_mtime_ns] for name, state in states}
    key = [dataset.info.content_hash, of, __version__, RULES, files]
    path = folder / f"{kind}-{of[:16]}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        note = json.loads(path.read_text(encoding="utf-8"))
        if note["key"] == key:
            return note["content"]
    content = compute()
    with suppress(OSError):  # a full disk, a folder that cannot be written to, a remote dataset
        write_json(path, {"key": key, "content": content})
    return content
