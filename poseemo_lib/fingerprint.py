"""A hash of the source that decides a run's numbers, so that a run counts as done only for the code it was made by.

It covers the path on the device, training, scoring and the architecture's own file with all that they import from this
library. Comments, docstrings and layout do not count; nor does the code of datasets, studies, figures and reports.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
ALONE = ("experiment.py", "inputs.py")  # what puts a run together; what they import for reading does not count
ROOTS = ("batching.py", "training.py")


@cache
def code_hash(architecture: str) -> str:
    """Hash the code that a run of this architecture executes.

    Parameters
    ----------
    architecture : str
        A model or a baseline.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    from poseemo_lib.models import MODELS

    if architecture in MODELS:
        around = (PACKAGE / "models" / name for name in ("standardised.py", "dropout.py"))
        own = (_file(MODELS[architecture].__module__), *around)
    else:
        own = (PACKAGE / "baselines.py",)
    files = {PACKAGE / name for name in ALONE}
    for root in (*own, *(PACKAGE / name for name in ROOTS)):
        collect_files(root, files)
    return hash_code(files)


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
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and ast.get_docstring(
            node, clean=False
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def collect_files(path: Path, files: set[Path]) -> None:
    """Add a file and, over and over, what it imports from this package."""
    if path in files:
        return
    files.add(path)
    for name in _imports(path.read_text(encoding="utf-8")):
        if (found := _file(name)) is not None:
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


def _file(module: str) -> Path | None:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None
