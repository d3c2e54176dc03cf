"""Model files: one that the user names, or one that is fetched once and kept."""

import hashlib
import os
import zipfile
from pathlib import Path

from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.files import replacing

# Seconds until a server that does not answer is given up.
TIMEOUT = 30


def check_model(path: str | Path, wanted: str) -> Path:
    """Return the path of a model file that is there, can be read and is not empty.

    Parameters
    ----------
    path : str or Path
    wanted : str
        What it should be, for the message.

    Raises
    ------
    UsageError
        It is missing, a folder, empty, or cannot be read.
    """
    path = Path(path).expanduser()
    try:
        if path.is_dir():
            raise UsageError(f"{path}: wanted {wanted}, got a folder")
        with path.open("rb") as file:
            if not file.read(1):
                raise UsageError(f"{path}: wanted {wanted}, got an empty file (0 bytes)")
    except OSError as error:
        raise UsageError(f"{path}: wanted {wanted}, but it cannot be read: {error.strerror}") from None
    return path


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder() -> Path:
    """Return the folder that fetched models are kept in: POSEEMO_CACHE, else the system's folder for caches."""
    return Path(os.environ.get("POSEEMO_CACHE") or import_pooch().os_cache("poseemo")) / "models"


def import_pooch():
    """Return pooch, or raise :class:`UsageError` with what to install."""
    try:
        import pooch
    except ImportError:
        raise UsageError("fetching a model wants pooch; run `pip install 'poseemo[video]'`, or name a file") from None
    return pooch


def fetch(address: str, sha256: str | None = None, folder: Path | None = None, *, mirror: str | None = None) -> Path:
    """Fetch a file unless it is here already, and check it.

    Parameters
    ----------
    address : str
        http(s) address of the file.
    sha256 : str, optional
        What its SHA-256 must be, in hexadecimal. A file in the cache with another one is fetched again. Without it
        whatever the address gives is taken.
    folder : Path, optional
        Where it is kept; default :func:`cache_folder`.
    mirror : str, optional
        A second address of the same file, for when the first fails.

    Returns
    -------
    Path
        The file in the cache.

    Raises
    ------
    PoseemoError
        No address gives the file, it is another file, or the cache cannot be written.
    """
    pooch = import_pooch()
    folder = folder or cache_folder()
    failures = []
    for one in filter(None, (address, mirror)):
        try:
            return _retrieve(pooch, one, sha256, folder)
        except (OSError, ValueError) as error:  # requests' errors are OSErrors; another checksum is a ValueError
            failures.append(_reason(error, sha256))
    raise PoseemoError(
        f"the model cannot be fetched: {'; '.join(dict.fromkeys(failures))}. "
        f"Download {address} yourself and name it with `--model FILE`"
    )


def _retrieve(pooch, address: str, sha256: str | None, folder: Path) -> Path:
    known = f"sha256:{sha256}" if sha256 else None
    load = pooch.HTTPDownloader(timeout=TIMEOUT)
    return Path(pooch.retrieve(address, known, address.rsplit("/", 1)[-1], folder, downloader=load))


def _reason(error: Exception, sha256: str | None) -> str:
    if isinstance(error, ValueError) and "does not match" in str(error):
        return f"what the server gave has another sha256 than {sha256}"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status:
        return f"the server answered {status}"
    if type(error).__module__.startswith("requests"):
        return f"no answer from the server ({type(error).__name__})"
    return f"{getattr(error, 'filename', None) or 'cache'}: {getattr(error, 'strerror', None) or error}"


def unpack_member(archive: Path, name: str) -> Path:
    """Take the one file of that name out of a zip archive, and keep it beside the archive under the archive's name.

    Parameters
    ----------
    archive : Path
    name : str
        Name of the file, in whatever folder of the archive.

    Returns
    -------
    Path
        Whole or not there.

    Raises
    ------
    PoseemoError
        The archive is damaged or has no such file; it is removed, so that it is fetched again.
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
    except OSError as error:
        raise PoseemoError(f"{target}: cannot be written: {error.strerror}") from None
    return target
