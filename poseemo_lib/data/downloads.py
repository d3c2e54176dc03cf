"""The files of open datasets: downloaded and checked, unpacked; and the ratings of observers among them.

What there is stands in a recipe, under `fetch`: `files` (name -> url, size in bytes, hash), or the `doi` of a record
that is asked for its one zip archive and the hash; the archive's `commit`; which of its `members` are recordings, how
many, the sha256 of some that are `known`, and which to `leave_out` as copies of others; and `ratings`.
"""

import os
import re
import shutil
import sys
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from poseemo_lib.errors import PoseemoError
from poseemo_lib.files import download, hash_file, reason_of, replacing
from poseemo_lib.text import count, first_line, listed


def get_files(facts: Mapping, folder: Path, say: Callable[[str], None]) -> list[Path]:
    """Download the files of a dataset to a folder, unless they are there, and check them; the archive is the first.

    Raises
    ------
    PoseemoError
        A file cannot be had or is another one: which, from where, and where to put it by hand.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = facts.get("files") or _ask_record(facts, folder)
    say(f"files, kept in {folder}:")
    for name, file in files.items():
        say(f"  {name}: {_described(file)}, {file['url']}")
    for name, file in files.items():
        path = folder / name
        try:
            download(file["url"], path, file.get("hash"), resume=True, bar=sys.stderr.isatty())
        except PoseemoError as error:
            other = f" {path} is there, but it is another file." if path.exists() else ""
            resumes = ", which goes on where it stopped," if "hash" in file else ""
            raise PoseemoError(
                f"{name} cannot be downloaded: {error}.{other} Run the command again{resumes} or bring the file by "
                f"hand: {file['url']} ({_described(file)}), saved as {path}"
            ) from None
    return [folder / name for name in files]


def _described(file: Mapping) -> str:
    size = f"{file['size']:,} bytes" if "size" in file else "size not known"
    return f"{size}, {file.get('hash', 'checksum not known')}"


def _ask_record(facts: Mapping, folder: Path) -> dict[str, dict]:
    """Ask the record of a DOI for its zip archive; without a connection, an archive brought by hand counts."""
    import pooch

    record = pooch.create(path=folder, base_url=f"doi:{facts['doi']}")
    try:
        record.load_registry_from_doi()
        found = {name: {"hash": known} for name, known in record.registry.items() if name.endswith(".zip")}
    except (OSError, ValueError, KeyError) as error:
        found = {path.name: {} for path in folder.glob("*.zip")}
        if not found:
            raise PoseemoError(
                f"doi:{facts['doi']}: the record cannot be asked for its files: {reason_of(error)}. Run the command "
                f"again with a connection, or bring its zip archive by hand: https://doi.org/{facts['doi']}, saved in "
                f"{folder}"
            ) from None
    if len(found) != 1:
        raise PoseemoError(f"doi:{facts['doi']}: wanted one zip archive, found {', '.join(found) or 'none'}")
    return {name: file | {"url": facts["url"].format(quote(name))} for name, file in found.items()}


def unpack(archive: Path, facts: Mapping, folder: Path) -> Path:
    """Unpack the recordings of an archive to a new folder; return the folder that holds them all.

    Raises
    ------
    PoseemoError
        The archive is damaged, or does not hold what the recipe says.
    """
    shutil.rmtree(folder, ignore_errors=True)
    again = f"remove {archive} to have it downloaded again"
    try:
        with zipfile.ZipFile(archive) as file:
            if (commit := file.comment.decode(errors="replace")) != facts.get("commit", commit):
                raise PoseemoError(f"{archive}: wanted commit {facts['commit']}, got {commit or 'none'}; {again}")
            names = sorted(name for name in file.namelist() if re.search(facts["members"], name))
            if len(names) != facts["n_members"]:
                alike = [name for name in file.namelist() if name.endswith(facts["members"].rpartition(".")[2][:-1])]
                wanted = f"{facts['n_members']} files with names like {facts['members']}, found {len(names)}"
                others = f"{len(alike)} with that suffix are {listed(alike, 5) or 'not there'}"
                raise PoseemoError(f"{archive}: wanted {wanted}; {others}; nothing was unpacked")
            left_out = facts.get("leave_out", {})
            file.extractall(folder, [name for name in names if PurePosixPath(name).stem not in left_out])
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise PoseemoError(f"{archive}: damaged: {first_line(error)}; {again}") from None
    src = folder / os.path.commonpath([PurePosixPath(name).parent for name in names])
    for name, sha256 in facts.get("known", {}).items():
        if not (src / name).is_file() or hash_file(src / name) != sha256:
            raise PoseemoError(f"{archive}: {name}: wanted sha256 {sha256}, got another file or none; {again}")
    return src


def write_ratings(path: Path, book: Path, facts: Mapping, label_map: Mapping[str, str], labels: Mapping) -> str:
    """Write `ratings.csv` (source_id, rater, label) from a sheet with a row a recording and a column an observer.

    `facts` names the `sheet`, its columns `recording` and `label`, and by a regular expression those of the `rater`s;
    `labels` are the recordings of the dataset, source_id -> label. Returns in words what was written and left out.

    Raises
    ------
    PoseemoError
        The file or its columns are others.
    """
    import pandas as pd

    try:
        sheet = pd.read_excel(book, facts["sheet"], engine="openpyxl", dtype=object)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise PoseemoError(f"{book}: wanted the sheet {facts['sheet']!r}: {first_line(error)}") from None
    columns = [str(name) for name in sheet.columns]
    raters = {name: match[1] for name in columns if (match := re.fullmatch(facts["rater"], name))}
    if not raters or not {facts["recording"], facts["label"]} <= set(columns):
        wanted = f"{facts['recording']!r}, {facts['label']!r} and some like {facts['rater']}"
        raise PoseemoError(f"{book}: {facts['sheet']}: wanted the columns {wanted}, found {', '.join(columns)}")
    melted = sheet.melt([facts["recording"], facts["label"]], list(raters), "rater", "rating").dropna(subset="rating")
    table = pd.DataFrame(
        {
            "source_id": melted[facts["recording"]].map(_code),
            "rater": melted["rater"].map(raters),
            "label": melted["rating"].map(_code).map(label_map),
            "intended": melted[facts["label"]].map(_code).map(label_map),
        }
    )
    known = table["source_id"].map(labels)
    lost = {
        "of recordings that the dataset does not have": known.isna(),
        "of recordings with another intended label there": known.notna() & (known != table["intended"]),
        f"other than {', '.join(label_map)}": table["label"].isna(),
    }
    kept = table[~pd.concat(lost.values(), axis=1).any(axis=1)]
    with replacing(path) as temporary:
        kept[["source_id", "rater", "label"]].to_csv(temporary, index=False)
    left = [f"{n:,} {what}" for what, rows in lost.items() if (n := int(rows.sum()))]
    return (
        f"{path.name}: {count(len(kept), 'rating')} of {count(kept['source_id'].nunique(), 'recording')} by "
        f"{count(len(raters), 'observer')}" + (f"; left out: {', '.join(left)}" if left else "")
    )


def _code(value) -> str:
    """Write a cell's number or text as in a file's name: 3, 3.0 and "3 " are `3`."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
