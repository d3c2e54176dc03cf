"""Model files: one that the user names, or one that is downloaded once and kept."""

import os
import zipfile
from pathlib import Path

import pooch

from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.files import download, replacing


def check_model(path: str | Path, wanted: str) -> Path:
    """Return the path of a model file that can be read; UsageError for any other."""
    path = Path(path).expanduser()
    try:
        path.open("rb").close()
    except OSError as error:
        raise UsageError(f"{path}: wanted {wanted}, but it cannot be read: {error.strerror}") from None
    return path


def cache_folder() -> Path:
    """Return the folder of downloaded models: below POSEEMO_CACHE, else below the system's folder for caches."""
    return Path(os.environ.get("POSEEMO_CACHE") or pooch.os_cache("poseemo")) / "models"


def fetch(address: str, sha256: str | None = None, folder: Path | None = None, *, mirror: str | None = None) -> Path:
    """Download a file unless it is in the cache already, and check it.

    Parameters
    ----------
    address : str
    sha256 : str, optional
        Expected hash; a file in the cache with another one is downloaded again. Default: any file is accepted.
    folder : Path, optional
        The cache; default :func:`cache_folder`.
    mirror : str, optional
        Second address of the same file, for when the first fails.

    Raises
    ------
    PoseemoError
        No address gives the file, it is another file, or the cache cannot be written.
    """
    failures, known = [], f"sha256:{sha256}" if sha256 else None
    for one in filter(None, (address, mirror)):
        path = (folder or cache_folder()).resolve() / one.rsplit("/", 1)[-1]
        try:
            download(one, path, known)
            return path
        except PoseemoError as error:
            failures.append(str(error))
    raise PoseemoError(
        f"the model cannot be fetched: {'; '.join(failures)}. "
        f"Download {address} yourself and name it with `--model FILE`"
    )


def unpack_member(archive: Path, name: str) -> Path:
    """Extract the file of that name from a zip archive, to beside the archive and under the archive's name.

    Raises
    ------
    PoseemoError
        The archive is damaged or has no such file; it is removed, so that it is downloaded again.
    """
    target = archive.with_suffix(Path(name).suffix)
    if target.exists():
        return target
    try:
        with zipfile.ZipFile(archive) as file, replacing(target) as temporary:
            member = next(member for member in file.namelist() if member.rsplit("/", 1)[-1] == name)
            temporary.write_bytes(file.read(member))
    except (zipfile.BadZipFile, StopIteration, EOFError):
        archive.unlink()
        raise PoseemoError(f"{archive}: wanted a zip archive with {name}, got another file; try again") from None
    return target
