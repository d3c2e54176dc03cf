"""The texts of the report and the cards: Jinja2 templates beside this file; `poseemo/` is the page's own template.

Whatever a template prints is escaped, so that a name from data is neither HTML nor Markdown nor the end of a table's
cell. A paragraph may stand on several lines of a template.
"""

import html
import re
from functools import cache, partial
from pathlib import Path

import jinja2
from markupsafe import Markup

from poseemo_lib import text
from poseemo_lib.analysis.statistics import MIN_GROUPS, UNKNOWN_GROUPS, is_skilled, not_tested

FOLDER = Path(__file__).parent
# With fewer groups a caution is beside the score (Cameron and Miller 2015: few is less than about 20 to 50).
FEW_GROUPS = 30
METRIC_NAMES = {"macro_f1": "macro-F1", "balanced_accuracy": "balanced accuracy", "accuracy": "accuracy"}
_MARKS = str.maketrans({mark: f"&#{ord(mark)};" for mark in "|`*[]$\\"})


def render(name: str, /, **context) -> str:
    """Fill the template `<name>.md.j2`; returns Markdown."""
    return _tidy(_environment().get_template(f"{name}.md.j2").render(**context))


def render_html(name: str, /, **context) -> str:
    """Fill the template `<name>.html.j2`."""
    return _environment().get_template(f"{name}.html.j2").render(**context)


def sentence(name: str, /, *arguments, **keywords) -> str:
    """Call a macro of `sentences.md.j2`; returns Markdown."""
    return _tidy(getattr(_environment().get_template("sentences.md.j2").module, name)(*arguments, **keywords))


def escape(value: object) -> Markup:
    """Write a text from data so that it is neither HTML nor Markdown nor the end of a table's cell."""
    if isinstance(value, Markup):
        return value
    return Markup(html.escape(re.sub(r"\s+", " ", str(value))).translate(_MARKS))


def _tidy(markdown: str) -> str:
    """Join the lines of a paragraph; tables, lists, quotes and headings keep theirs."""
    lines = re.sub(r"\n\s*\n", "\n\n", str(markdown)).strip()
    return re.sub(r"(?<!\n)[ \t]*\n[ \t]*(?![\n|>#]|- )", " ", lines) if lines else ""


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        finalize=escape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"metric_names": METRIC_NAMES, "unknown_groups": UNKNOWN_GROUPS}
    environment.globals |= {"min_groups": MIN_GROUPS, "few_groups": FEW_GROUPS}
    filters = {
        "count": text.count,
        "percent": text.percent,
        "p": text.p_text,
        "not_tested": not_tested,
        "points": lambda share: f"{100 * share:+.1f}",
        "interval": lambda row, key="mean": text.with_interval(row[key], row["low"], row["high"]),
    }
    environment.filters |= {name: partial(_safe, function) for name, function in filters.items()}
    environment.tests["skilled"] = is_skilled
    environment.filters["names"] = lambda names, most=10_000: Markup(text.listed(map(escape, names), most))
    return environment


def _safe(function, *arguments) -> Markup:
    return Markup(function(*arguments))
