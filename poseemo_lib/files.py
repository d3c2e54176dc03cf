"""Files: written whole or not at all, downloads, YAML without duplicate keys, and a hash of the code in files."""

import ast
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import yaml

from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.text import first_line

PACKAGE = Path(__file__).parent
# Seconds after which a server that does not answer is given up.
TIMEOUT = 30


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name to write a file under; the file is renamed when it is complete, or removed on an error."""
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file that a reader sees whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: dict) -> None:
    """Write a JSON file atomically; NaN is refused."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_table(path: Path, table) -> None:
    """Write a Parquet file atomically."""
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False)


def download(address: str, path: Path, known: str | None = None, *, resume: bool = False, bar: bool = False) -> None:
    """Download a file, unless it is there with the known hash.

    Parameters
    ----------
    address : str
    path : Path
    known : str, optional
        Expected hash, such as ``md5:...``; a file with another one is replaced. Default: any file is accepted.
    resume : bool
        Keep what came before a download broke off, in `path` + ``.part``, and go on there next time; for one process at
        a time, and only where the hash is known.
    bar : bool
        Show a progress bar.

    Raises
    ------
    PoseemoError
        The file cannot be had, it is another file, or the folder cannot be written.
    """
    import pooch

    part = path.with_name(f"{path.name}.part")

    def load(address, target, _):
        start = part.stat().st_size if part.exists() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})

        def begin_again(response, *_, **__):
            if response.status_code in (200, 416):  # the server sends all of it, or has nothing from there on
                file.truncate(0)

        options = {"timeout": TIMEOUT, "headers": headers, "hooks": {"response": begin_again}}
        try:
            with part.open("ab") as file:
                pooch.HTTPDownloader(progressbar=bar, **options)(address, file, None)
            os.replace(part, target)
        finally:
            if part.exists() and not part.stat().st_size:
                part.unlink()

    plain = pooch.HTTPDownloader(progressbar=bar, timeout=TIMEOUT)
    try:
        pooch.retrieve(address, known, path.name, path.parent, downloader=load if resume and known else plain)
    except (OSError, ValueError) as error:  # requests' errors are OSErrors; another hash is a ValueError
        raise PoseemoError(reason_of(error)) from None


def reason_of(error: Exception) -> str:
    """Say why something could not be had from a server."""
    if (response := getattr(error, "response", None)) is not None:
        return f"the server answered {response.status_code}"
    if type(error).__module__.startswith("requests"):
        return f"no answer from the server ({type(error).__name__})"
    return first_line(error)


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_code(files: set[Path]) -> str:
    """Hash the code of files of this package, in the order of their names: 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in sorted(files):
        code = plain_code(path.read_text(encoding="utf-8"))
        digest.update(f"{path.relative_to(PACKAGE).as_posix()}\n{code}\n".encode())
    return digest.hexdigest()


@cache  # by content: the networks share most of their files
def plain_code(source: str) -> str:
    """Rewrite Python source without comments, docstrings and layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if documented and ast.get_docstring(node, clean=False):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def collect_files(path: Path, files: set[Path]) -> None:
    """Add a file and all that it imports from this package, directly or through other files."""
    if path in files:
        return
    files.add(path)
    for name in _imports(path.read_text(encoding="utf-8")):
        if (found := module_file(name)) is not None:
            collect_files(found, files)


@cache
def _imports(source: str) -> frozenset[str]:
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name for name in names if name.startswith("poseemo_lib."))


def module_file(module: str) -> Path | None:
    """Find the file of a module of this package, named with dots; None where it is no module."""
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return next((found for found in (path.with_suffix(".py"), path / "__init__.py") if found.is_file()), None)


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that occurs twice in one mapping, of which YAML would silently take the last."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.YAMLError(f"{key}: occurs twice, the second time near line {node.start_mark.line + 1}")
        return super().construct_mapping(node, deep)


def read_yaml(path: str | Path) -> dict:
    """Read a YAML file that holds names and values.

    Raises
    ------
    UsageError
        The file is missing, is no YAML, or holds something else.
    """
    path = Path(path)
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a YAML file: {' '.join(str(error).split())}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UsageError(f"{path}: wanted `name: value` lines, got {type(values).__name__}")
    return values
