"""No result is typed into what draws or tells results: a scanner over plots, figures, report code and notebooks."""

import ast
import json
import re
import sys
from pathlib import Path

import pytest

from poseemo_lib.report.published import class_counts, published, published_numbers

PROJECT = Path(__file__).parents[2]
LIBRARY = PROJECT / "poseemo_lib"
NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
# Whole rooms: what makes, words, draws or lays out results.
ROOMS = ("analysis", "plots", "report")
MODULES = sorted(path for room in ROOMS for path in (LIBRARY / room).rglob("*.py"))
TEMPLATES = sorted((LIBRARY / "report" / "templates").glob("*.j2"))

SCORE_WORD = re.compile(
    r"accuracy|(^|_)f1|recall|precision|(^|_)ece|kappa|mcc|auc|(^|_)score(s)?$|importance|drop$|coverage|share", re.I
)
# A number with decimals, or a percentage; not a version, a section or a format such as `.1f`.
RESULT = re.compile(r"(?<![\w.])\d+\.\d+(?![\w.]*\d)\s*%?|(?<![\w.,])\d\d?,\d\d?(?![\w.,])\s*%?|(?<![\w.])\d+\s*%")
RANDOM = {"default_rng", "RandomState", "normal", "uniform", "random", "randn", "rand", "poisson", "beta"}
CURVES = {"linspace", "geomspace", "logspace"}
N_FLOATS, N_COUNTS, SMALL_COUNT = 3, 3, 12
# What may stand in a text: levels of intervals and tests, which are chosen, not measured.
TEXTS_ALLOWED = {"95 %", "5 %", "0 %", "100 %", "0.05", "0.001"}
# Numbers that go here are colours, or places and sizes on the paper.
LAYOUT = re.compile(
    r"colou?r|^[cm]?ec$|^fc$|face$|figsize|_ratios$|^rect$|bbox|^xy|_?anchor$|style$|dash|^margins?$|^pad|domain$"
    r"|^extent$|^position$|^(add|inset)_axes$|^set_position$|^subplots_adjust$|^transform$"
)

# (file, text or the name that a number goes to) of what is no result, with the reason.
ALLOWED: dict[tuple[str, str], str] = {
    ("poseemo_lib/report/cards.py", "QUANTILES"): "which quantiles of the clips' lengths and rates are named",
    ("notebooks/04_compare.ipynb", "80 %"): "the power for which the detectable difference is given",
    ("notebooks/07_report.ipynb", "80 %"): "the same",
    ("poseemo_lib/analysis/attribution.py", "randomised()"): "the weights of a random network",
}


class Scanner(ast.NodeVisitor):
    """Collect what looks like a typed result: (line, kind, what it is, name that it goes to)."""

    def __init__(self):
        self.found: list[tuple[int, str, str, str]] = []
        self.names: list[str] = [""]

    def scan(self, code: str) -> list[tuple[int, str, str, str]]:
        tree = ast.parse(code)
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False):
                node.body[0].value.value = ""
        self.visit(tree)
        return self.found

    def note(self, node, kind, text):
        self.found.append((node.lineno, kind, text, self.names[-1]))

    def is_layout(self):
        """Whether the name that a value goes to, and not a function that it stands in, is one of layout."""
        return not self.names[-1].endswith("()") and bool(LAYOUT.search(self.names[-1].strip("_").lower()))

    def within(self, name, node):
        self.names.append(name)
        self.visit(node)
        self.names.pop()

    def scored(self, node, name):
        if SCORE_WORD.search(name) and _is_measured(node):
            self.found.append((node.lineno, "score", f"{name} = {ast.unparse(node)}", name))

    def visit_Assign(self, node):
        # a, b = 1, 2 name by name; otherwise all of it goes to the target.
        target, value = node.targets[0], node.value
        apart = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts)
        pairs = zip(target.elts, value.elts, strict=True) if apart else [(target, value)]
        for one, own in pairs:
            self.scored(own, ast.unparse(one).strip("'\"[]"))
            self.within(ast.unparse(one), own)

    def visit_AnnAssign(self, node):
        if node.value:
            self.scored(node.value, ast.unparse(node.target))
            self.within(ast.unparse(node.target), node.value)

    def visit_keyword(self, node):
        self.scored(node.value, node.arg or "")
        self.within(node.arg or self.names[-1], node.value)

    def visit_FunctionDef(self, node):
        arguments = node.args.posonlyargs + node.args.args
        defaults = [*zip(arguments[::-1], node.args.defaults[::-1], strict=False)]
        defaults += zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        for argument, default in defaults:
            if default is not None:
                self.scored(default, argument.arg)
                self.within(argument.arg, default)
        self.names.append(f"{node.name}()")
        for statement in node.body:
            self.visit(statement)
        self.names.pop()

    def visit_Dict(self, node):
        self.collection(node, [value for value in node.values if value])
        for key, value in zip(node.keys, node.values, strict=True):
            name = str(key.value) if isinstance(key, ast.Constant) else ""
            self.scored(value, name)
            self.within(name or self.names[-1], value)

    def visit_List(self, node):
        self.collection(node, node.elts)
        self.generic_visit(node)

    visit_Tuple = visit_Set = visit_List

    def collection(self, node, values):
        numbers = [value for value in map(_number, values) if value is not None]
        floats = [value for value in numbers if isinstance(value, float)]
        counts = [value for value in numbers if isinstance(value, int) and abs(value) > SMALL_COUNT]
        if (len(floats) >= N_FLOATS or len(counts) >= N_COUNTS) and not self.is_layout():
            self.note(node, "numbers", ast.unparse(node))

    def visit_Call(self, node):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        values = [value for value in map(_number, node.args) if value is not None]
        if name in RANDOM or (name in CURVES and any(value % 1 for value in values)):
            self.note(node, "made up", ast.unparse(node))
        self.names.append(name if LAYOUT.search(name) else self.names[-1])
        self.generic_visit(node)
        self.names.pop()

    def visit_BinOp(self, node):
        # 0.9 * exp(-x / 5): a curve that no run made.
        calls = {
            one.func.attr for one in ast.walk(node) if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute)
        }
        if calls & {"exp", "tanh", "log1p", "sin", "cos"} and any(_is_measured(one) for one in ast.walk(node)):
            self.note(node, "made up", ast.unparse(node))
        self.generic_visit(node)

    def visit_FormattedValue(self, node):
        self.visit(node.value)  # not its format

    def visit_Constant(self, node):
        if isinstance(node.value, str) and not self.is_layout():
            for text in results_in(node.value):
                self.note(node, "text", text)


def results_in(text: str) -> list[str]:
    """Numbers in a text that look like results."""
    found = [" ".join(match.group().replace("%", " %").split()) for match in RESULT.finditer(text)]
    return [one for one in found if one not in TEXTS_ALLOWED]


def _number(node):
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        node = node.operand
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _is_measured(node) -> bool:
    """Whether it is a number that a measurement could give: with decimals, or over what counts and levels are."""
    value = _number(node)
    return value is not None and (value % 1 != 0 or value > SMALL_COUNT)


def scan_code(code: str) -> list[tuple[int, str, str, str]]:
    return Scanner().scan(code)


def scan_notebook(notebook: str) -> list[tuple[int, str, str, str]]:
    """What looks like a typed result in code and prose; the place is the number of the cell."""
    found = []
    for number, cell in enumerate(json.loads(notebook)["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            found += [(number, *what) for _, *what in scan_code(source)]
        else:
            found += [(number, "text", text, "prose") for text in results_in(source)]
    return found


def not_allowed(path: Path) -> list[tuple[int, str, str, str]]:
    scan, place = scan_notebook if path.suffix == ".ipynb" else scan_code, str(path.relative_to(PROJECT))
    found = scan(path.read_text(encoding="utf-8"))
    return [one for one in found if (place, one[2] if one[1] == "text" else one[3]) not in ALLOWED]


@pytest.mark.parametrize("path", [*MODULES, *NOTEBOOKS], ids=lambda path: str(path.relative_to(PROJECT)))
def test_no_result_is_typed_into_what_draws_or_words_results(path):
    found = not_allowed(path)
    assert not found, "\n".join(f"{path.name}:{place}: {kind}: {text} ({name})" for place, kind, text, name in found)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_result_is_typed_into_a_template(path):
    assert not results_in(re.sub(r"{[{%#].*?[}%#]}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL))


def published_texts() -> set[str]:
    """Published accuracies as they could be typed: 33.97, 0.3397, 302/889."""
    printed = [entry["percent"] for group in published()["accuracies"].values() for entry in group]
    exact = {text for text in printed if len(text.partition(".")[2]) == 2 and not text.endswith("00")}
    shares = {f"{float(text) / 100:.4f}" for text in exact}
    n = int(class_counts()["test"].sum())
    return exact | shares | {f"{count}/{n}" for count in published_numbers()["correct"]}


def test_published_numbers_are_in_their_file_only():
    wanted = published_texts()
    assert len(wanted) > 60
    pattern = re.compile("|".join(rf"(?<![\d.]){re.escape(text)}(?!\d)" for text in sorted(wanted)))
    places = [*LIBRARY.rglob("*.py"), *(LIBRARY / "report" / "templates").rglob("*.*"), *NOTEBOOKS]
    texts = [path for path in places if path.is_file() and path.suffix != ".pyc"]
    found = {str(path): pattern.findall(path.read_text(encoding="utf-8")) for path in texts}
    assert not {path: texts for path, texts in found.items() if texts}


PLANTED = {
    "a score in a plot": ("def bars(ax):\n    ax.text(0, 0, 'accuracy 62.7 %')", "text"),
    "a score as a number": ("def bars(ax):\n    balanced_accuracy = 0.627\n    ax.bar(0, balanced_accuracy)", "score"),
    "a table of scores": ("ROW = {'accuracy': 0.61, 'recall': 0.4}", "score"),
    "one of two names": ("n, accuracy = 889, 0.31", "score"),
    "bars from a list": ("ax.bar(range(3), [31.2, 29.0, 25.5])", "numbers"),
    "values of a dict": ("shares = {'angry': 0.2, 'sad': 0.3, 'fear': 0.5}", "numbers"),
    "a made-up curve": ("loss = 0.9 * np.exp(-epochs / 5)", "made up"),
    "made-up noise": ("importance = np.random.default_rng(0).normal(size=17)", "made up"),
    "under a name of layout": ("def face_colour(ax):\n    ax.set_title('recall 62.7 %')", "text"),
    "an f-string": ("text = f'{name} reaches 33.97'", "text"),
}


@pytest.mark.parametrize("code, kind", PLANTED.values(), ids=PLANTED.keys())
def test_the_scanner_finds_what_is_planted(code, kind):
    assert kind in {one[1] for one in scan_code(code)}


def test_the_scanner_reads_the_prose_and_code_of_notebooks():
    sources = [("markdown", "The network reaches 62.7 % on the test split."), ("code", "recall = [0.3, 0.4, 0.7]")]
    text = json.dumps({"cells": [{"cell_type": kind, "source": [source]} for kind, source in sources]})
    assert {(number, kind) for number, kind, *_ in scan_notebook(text)} == {(0, "text"), (1, "numbers")}


@pytest.mark.parametrize(
    "code",
    [
        '"""A docstring may say 33.97 %."""',
        "ax.bar(x, height, 0.8, color='0.6')",
        "text = f'{100 * accuracy:.1f} % [{low:.1f}, {high:.1f}]: 95 % interval'",
        "ax.set_ylim(0, 1)\naccuracy = scores['accuracy']\nscore = 0\nshare = 1.0",
        "ax = fig.add_axes([0.1, 0.1, 0.85, 0.8], facecolor=(0.2, 0.3, 0.4))",
        "_HEIGHT, _MARGIN = 640, {'l': 46, 'r': 16, 't': 106}",
        "text = 'section 3.2.1, version 0.9.1'",
    ],
)
def test_the_scanner_leaves_layout_and_words_alone(code):
    assert scan_code(code) == []


@pytest.mark.parametrize("place, what", ALLOWED)
def test_every_exception_is_still_needed(place, what, monkeypatch):
    """An exception that nothing needs any more would let the next typed number through."""
    monkeypatch.setattr(sys.modules[__name__], "ALLOWED", {})
    assert what in {one[2] if one[1] == "text" else one[3] for one in not_allowed(PROJECT / place)}
