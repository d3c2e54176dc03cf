"""Files: written whole or not at all, YAML without duplicate keys, and a hash of the code in files."""

import ast
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import yaml

from poseemo_lib.errors import UsageError

PACKAGE = Path(__file__).parent


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
