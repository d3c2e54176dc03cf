"""Where the project's own folders are, and how a relative path is read."""

from pathlib import Path

from poseemo_lib.errors import UsageError

PROJECT = Path(__file__).resolve().parents[1]
NOTEBOOKS = PROJECT / "notebooks"
PARAMETERS = PROJECT / "parameters"


def resolve(path: str | Path) -> str:
    """Make a path absolute; an fsspec URL stays as it is.

    A relative path is taken from the working directory where it exists there, otherwise from the project root, so that
    `data/demo` means the same in a terminal and in a notebook, whose kernel runs in `notebooks/`.
    """
    if "://" in str(path):
        return str(path)
    here = Path(path).expanduser()
    if here.is_absolute() or here.exists():
        return str(here.resolve())
    return str(PROJECT / here)


def open_place(url):
    """Return the fsspec file system of a folder or URL, and the path in it.

    Raises
    ------
    UsageError
        The URL's protocol is unknown, or needs a package that is not installed.
    """
    import fsspec

    try:
        return fsspec.core.url_to_fs(str(url))
    except (ImportError, ValueError) as error:
        raise UsageError(
            f"{url}: wanted a folder or a URL that fsspec can open, got {error}; correct it, or install the package "
            "that adds the protocol to fsspec"
        ) from None
