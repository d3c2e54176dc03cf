"""Where the project's own folders are, and how a relative path is read."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
NOTEBOOKS = PROJECT / "notebooks"
PARAMETERS = PROJECT / "parameters"


def resolve(path: str | Path) -> str:
    """Make a path absolute; an fsspec URL stays as it is.

    A relative path is taken from the working directory where it exists there, otherwise from the project root, so that
    `data/demo` means the same in a terminal and in a notebook, whose kernel works in `notebooks/`.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    str
    """
    if "://" in str(path):
        return str(path)
    here = Path(path).expanduser()
    if here.is_absolute() or here.exists():
        return str(here.resolve())
    return str(PROJECT / here)
