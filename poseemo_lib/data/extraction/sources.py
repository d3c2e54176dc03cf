"""Which videos an extraction is about, and what their paths or a list say of each: label, split, source, group."""

import csv
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from poseemo_lib.data.labelling import Entry, find_path, match_found
from poseemo_lib.errors import UsageError
from poseemo_lib.video.frames import VIDEO_SUFFIXES

LIST_SUFFIXES = (".csv", ".tsv", ".txt")
LIST_COLUMNS = ("path", "label", "group", "source", "split")
# A folder per class, and above it the split where that folder is called so; CAER's layout is one of these.
_SPLIT = "(?i:train|training|val|valid|validation|test|testing)"
FOLDERS = rf"(?:^|/)(?:(?P<split>{_SPLIT})/)?(?P<label>[^/]+)/[^/]+$"
# Names of feelings that folders have where the classes here are adjectives.
NOUNS = {"anger": "angry", "happiness": "happy", "sadness": "sad"}


def find_videos(src: Path) -> list[Path]:
    """List the videos below a folder in the order of their paths, without hidden ones; or the one file."""
    if not src.exists():
        raise UsageError(f"{src}: wanted videos, found neither a file nor a folder of that name")
    if src.is_file():
        return [src]
    found = (path for path in src.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file())
    paths = [path for path in found if not any(part.startswith(".") for part in path.relative_to(src).parts)]
    if not paths:
        raise UsageError(f"{src}: wanted videos ({', '.join(VIDEO_SUFFIXES)}), found none")
    return sorted(paths, key=lambda path: path.relative_to(src).as_posix())


def find_entries(
    src: Path,
    *,
    label: str | None = None,
    label_pattern: str | None = None,
    label_map: Mapping[str, str] | None = None,
    split: str | None = None,
) -> tuple[list[Entry], list[str]]:
    """Find videos and what is known of each.

    Parameters
    ----------
    src : Path
        A folder, a video, or a list (.csv, .tsv, .txt) with the columns path, label and, where they are known, group,
        source and split; in this order, or named in the first line. Its paths are relative to its own folder.
    label : str, optional
        Of all videos.
    label_pattern : str, optional
        As in :func:`poseemo_lib.data.importing.import_dataset`. Without it the folder of a video is its label, and the
        folder above that its split where it is called train, validation, test or the like.
    label_map : mapping, optional
        Label in a path or list -> class.
    split : str, optional
        Of all videos whose split nothing else says.

    Returns
    -------
    entries : list of Entry
        Each with a name of its own: its path without suffix, or with it where two would be alike.
    unmatched : list of str
        Videos of which no label is known.

    Raises
    ------
    UsageError
        There are no videos, or a label, split, pattern or list is faulty.
    """
    if label is not None and label_pattern is not None:
        raise UsageError("--label: gives the label of all videos; leave --label-pattern out")
    label_map = NOUNS | {word.lower(): emotion for word, emotion in (label_map or {}).items()}
    if src.is_file() and src.suffix.lower() in LIST_SUFFIXES:
        if label is not None or label_pattern is not None:
            raise UsageError(f"{src}: a list gives the labels; leave --label and --label-pattern out")
        return _named(_read_list(src, label_map, split)), []
    found = [find_path(path, src) for path in find_videos(src)]
    if label is not None:
        found = [replace(one, label=label) for one in found]
    elif label_pattern is None:
        if not any("/" in one.text for one in found):
            got = f"the file {src}" if src.is_file() else f"{found[0].path} in none of them"
            raise UsageError(
                f"labels: wanted a folder per class, got {got}; give --label CLASS for all videos, give "
                "--label-pattern, or name a list of paths and labels instead"
            )
        label_pattern = FOLDERS
    entries, unmatched = match_found(found, label_pattern, label_map, split)
    return _named(entries), unmatched


def _named(entries: list[Entry]) -> list[Entry]:
    """Give entries that are alike but for the suffix their full names, and refuse a video that comes twice."""
    for path, n in Counter(entry.path for entry in entries).items():
        if n > 1:
            raise UsageError(f"{path}: wanted each video once, got it {n} times")
    names = Counter(entry.name for entry in entries)
    # The source and the group stay: two encodings of one recording must not straddle a split.
    return [replace(one, name=one.name + one.path.suffix) if names[one.name] > 1 else one for one in entries]


def _read_list(src: Path, label_map: Mapping[str, str], split: str | None) -> list[Entry]:
    rows, found, entries = _rows(src), [], []
    for number, row in rows:
        if not (row.get("path") and row.get("label")):
            got = " ".join(filter(None, row.values()))
            raise UsageError(f"{src}: line {number}: wanted a path and a label, got {got!r}")
        name = Path(row["path"]).with_suffix("").as_posix()
        known = {"label": row["label"], "split": row.get("split") or None}
        found.append(Entry(src.parent / row["path"], row["path"], name, **known))
    for entry, (_, row) in zip(match_found(found, None, label_map, split)[0], rows, strict=True):
        source = row.get("source") or entry.source_id
        entries.append(replace(entry, source_id=source, group_id=row.get("group") or source))
    return entries


def _rows(src: Path) -> list[tuple[int, dict[str, str]]]:
    """Read the rows of a list with the numbers of their lines."""
    try:
        lines = src.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{src}: wanted a list of videos as text, cannot read it: {error}") from None
    lines = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    separator = next((one for one in ("\t", ",") if lines and one in lines[0][1]), " ")
    rows = [(n, [value.strip() for value in next(csv.reader([line], delimiter=separator))]) for n, line in lines]
    columns = LIST_COLUMNS
    if rows and {"path", "label"} <= {name.lower() for name in rows[0][1]}:
        columns = tuple(name.lower() for name in rows.pop(0)[1])
        if unknown := sorted(set(columns) - set(LIST_COLUMNS)):
            raise UsageError(f"{src}: wanted columns among {', '.join(LIST_COLUMNS)}, got {', '.join(unknown)}")
    if not rows:
        raise UsageError(f"{src}: wanted a list of videos, found none in it")
    if long := [n for n, values in rows if len(values) > len(columns)]:
        names = ", ".join(columns)
        raise UsageError(f"{src}: line {long[0]}: wanted at most {len(columns)} columns ({names}), got more")
    return [(n, dict(zip(columns, values, strict=False))) for n, values in rows]
