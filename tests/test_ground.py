"""The files around the library agree with each other."""

import ast
import json
import pkgutil
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from conftest import LONG
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line and line[0] != "#"
)
PINS = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in PINS.items()}
REQUIREMENTS = [
    Requirement(text)
    for texts in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for text in texts
    if not text.startswith(f"{PROJECT['name']}[")  # an extra that stands for others
]


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda r: r.name)
def test_every_dependency_is_pinned_within_its_range(requirement):
    name = re.sub(r"[-_.]+", "-", requirement.name).lower()
    assert name in PINS
    assert requirement.specifier.contains(PINS[name])


def test_environment_yml_adds_python_and_points_at_the_rest():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, pinned = environment["dependencies"]
    assert pip == "pip" and pinned == {"pip": ["-c constraints.txt", "-e ."]}
    version = python.removeprefix("python=")
    # The newest release of that series satisfies what pyproject asks for.
    assert Version(f"{version}.99") in Requirement(f"x{PROJECT['requires-python']}").specifier


def test_versions_agree():
    import poseemo_lib

    assert poseemo_lib.__version__ == PROJECT["version"]
    assert f"[{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text()


def test_make_refuses_an_old_python_and_says_what_to_do(tmp_path):
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    old.chmod(0o755)
    made = subprocess.run(["make", "-C", ROOT, f"PYTHON={old}", "check-python"], capture_output=True, text=True)
    assert made.returncode != 0
    assert "needs Python 3.11.5 or newer" in made.stdout and "3.9.2" in made.stdout and "make PYTHON=" in made.stdout


def test_importing_the_library_is_light():
    heavy = "torch sklearn pandas matplotlib plotly papermill scipy"
    code = (
        f"import sys, poseemo_lib, poseemo_lib.cli.__main__; print([m for m in '{heavy}'.split() if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_no_library_file_is_past_350_lines():
    long = {p.name: n for p in (ROOT / "poseemo_lib").rglob("*.py") if (n := len(p.read_text().splitlines())) > 350}
    assert not long


def test_the_files_that_come_first_are_there():
    assert not [name for name in LONG if not list((ROOT / "tests").rglob(f"test_{name}.py"))]


NOT_IMPORTED = {  # run as commands, or loaded by name
    "jupyterlab": "make lab",
    "import-linter": "make lint",
    "ruff": "make lint",
    "nbstripout": "make lint",
    "pre-commit": "local hooks",
    "pytest-xdist": "pytest -n",
}


NOT_DECLARED = {
    "cv2": "comes with mediapipe and rtmlib, each in a variant of its own",
    "lightning": "benchmarks skip it where it is missing",
    "skorch": "benchmarks skip it where it is missing",
}


def test_every_declared_dependency_is_imported_and_every_import_is_declared():
    imported = set()
    for path in [*ROOT.glob("poseemo_lib/**/*.py"), *ROOT.glob("tests/**/*.py"), *ROOT.glob("benchmarks/*.py")]:
        imported |= set(imports_of(ast.parse(path.read_text())))
    for path in ROOT.glob("notebooks/*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        for cell in cells:
            if cell["cell_type"] == "code":
                imported |= set(imports_of(ast.parse("".join(cell["source"]))))
    ours = {"poseemo_lib", *(path.stem for path in [*ROOT.glob("tests/**/*.py"), *ROOT.glob("benchmarks/*.py")])}
    imported -= ours | sys.stdlib_module_names | set(NOT_DECLARED)
    names = packages_distributions()
    distributions = {normal(name) for module in imported for name in names.get(module, [module])}
    declared = {normal(requirement.name) for requirement in REQUIREMENTS}
    assert declared - distributions == set(NOT_IMPORTED) & declared
    assert not [module for module in imported if not declared & {normal(name) for name in names.get(module, [module])}]


def imports_of(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_gallery_shows_every_picture_it_keeps_and_each_is_small():
    gallery = ROOT / "figures" / "gallery"
    shown = set(re.findall(r"\(gallery/(.+?)\)", (ROOT / "figures" / "README.md").read_text()))
    assert shown == {path.name for path in gallery.glob("*.png")} and len(shown) == 17
    assert all(path.stat().st_size <= 150_000 for path in gallery.iterdir())


def test_files_and_names_in_the_documentation_are_there():
    pages = [ROOT / "README.md", *(path for path in ROOT.glob("docs/*.md") if path.name != "LOG.md")]
    text = "\n".join(page.read_text() for page in pages)
    files = set(re.findall(r"`((?:\w+/)+\w+\.(?:py|yaml|ipynb))`|[( ](docs/\w+\.md)", text))
    for name in {inline or link for inline, link in files if "NAME" not in inline}:
        assert (ROOT / name).exists() or (ROOT / "poseemo_lib" / name).exists(), name
    rooms = "analysis|data|features|models|skeleton|training|video"
    for name in re.findall(rf"`(?:poseemo_lib\.)?((?:{rooms})\.\w[\w.]*)`", text):
        pkgutil.resolve_name(f"poseemo_lib.{name}")
