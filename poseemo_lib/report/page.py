"""The page: an executed notebook as one HTML file that opens offline, its interactive parts, and a PDF of it."""

import html
import itertools
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pandas as pd

from poseemo_lib.errors import PoseemoError
from poseemo_lib.report.templates import FOLDER as TEMPLATES
from poseemo_lib.report.templates import render_html

PLOTLY = "application/vnd.plotly.v1+json"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PRINT_SECONDS = 180
# What HTML made from Markdown may hold; anything else is shown as text.
TAGS = [
    "h1", "h2", "h3", "h4", "h5", "h6", "p", "div", "span", "a", "img", "b", "strong", "i", "em", "del", "sub", "sup",
    "code", "pre", "blockquote", "ul", "ol", "li", "br", "hr", "details", "summary",
    "table", "caption", "thead", "tbody", "tr", "th", "td",
]  # fmt: skip
ATTRIBUTES = {"*": ["class"], "a": ["href", "title"], "img": ["src", "alt", "title"], "th": ["style"], "td": ["style"]}
# Filled in last: nbconvert parses and rewrites the page, and would do so with megabytes of plotly.js.
_MARKS = {name: f"<!--poseemo-{name}-->" for name in ("contents", "plotly", "script")}
_LEADING_NUMBER = re.compile(r"\s*[<>≤≥≈]?\s*([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)", re.IGNORECASE)


class Contents:
    """The headings of a page, collected fragment by fragment, and the table of contents made of them."""

    def __init__(self):
        from nbconvert.preprocessors.sanitize import SanitizeHTML

        self.headings: list[tuple[str, str, str]] = []  # level, anchor, text
        self._anchors = {"content", "show-code", "theme"}
        self._clean = SanitizeHTML(tags=TAGS, attributes=ATTRIBUTES).sanitize_html_tags

    def mark(self, fragment: str) -> str:
        """Clean HTML made from Markdown, give its headings unique anchors and its tables a box."""
        from bs4 import BeautifulSoup

        soup = BeautifulSoup(self._clean(fragment), "html.parser")
        for heading in soup.find_all(re.compile("^h[1-6]$")):
            text = " ".join(heading.get_text().split())
            heading["id"] = self._anchor(text)
            if heading.name in ("h2", "h3"):
                self.headings.append((heading.name, heading["id"], text))
        for table in soup.find_all("table"):
            table.wrap(soup.new_tag("div", attrs={"class": "table-box", "tabindex": "0"}))
        return str(soup)

    def _anchor(self, text: str) -> str:
        plain = re.sub(r"[^a-z0-9]+", "-", text.lower())[:60].strip("-") or "section"
        names = itertools.chain([plain], (f"{plain}-{number}" for number in itertools.count(2)))
        anchor = next(name for name in names if name not in self._anchors)
        self._anchors.add(anchor)
        return anchor

    def to_html(self) -> str:
        """Write the headings as a list of links; those of the second level are marked by a class."""
        items = (f'<li class="{level}"><a href="#{anchor}">{html.escape(text)}</a></li>'
                 for level, anchor, text in self.headings)  # fmt: skip
        return f"<ol>{''.join(items)}</ol>"


def to_html(notebook: Path) -> str:
    """Convert an executed notebook to one HTML page that fetches nothing when it is read.

    Code is included and hidden; plotly.js is included once, if a figure needs it; markup in Markdown that could run
    is shown as text.
    """
    import nbformat
    from plotly.offline import get_plotlyjs

    node = nbformat.read(notebook, as_version=4)
    contents = Contents()
    title = re.search(r"^# +(.+)$", "\n".join(c.source for c in node.cells if c.cell_type == "markdown"), re.MULTILINE)
    resources = {"metadata": {"name": title[1].strip() if title else Path(notebook).stem}, **_MARKS}
    page = _exporter(contents).from_notebook_node(node, resources)[0]
    before, after = page.split(_MARKS["contents"], 1)
    has_plotly = any(PLOTLY in output.get("data", {}) for cell in node.cells for output in cell.get("outputs", []))
    scripts = {
        "script": (TEMPLATES / "poseemo" / "page.js").read_text("utf-8"),
        "plotly": get_plotlyjs() if has_plotly else "",
    }
    for name, script in scripts.items():  # the last of each mark is ours, whatever the notebook says
        after = (f"<script>{script}</script>" if script else "").join(after.rsplit(_MARKS[name], 1))
    return before + contents.to_html() + after


def _exporter(contents: Contents):
    """Nbconvert's exporter with our template, which notes the headings of Markdown in `contents`."""
    from jinja2 import pass_context
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    types = HTMLExporter().default_config.NbConvertBase.display_data_priority
    config = Config({"NbConvertBase": {"display_data_priority": [PLOTLY, *types]}})
    exporter = HTMLExporter(
        config=config, extra_template_basedirs=[str(TEMPLATES)], template_name="poseemo", exclude_anchor_links=True
    )

    @pass_context
    def markdown(context, source):
        return contents.mark(exporter.markdown2html(context, source))

    exporter.register_filter("markdown2html", markdown)
    return exporter


def show_plotly(fig, text: str) -> None:
    """Show a plotly figure in JupyterLab and in the page; `text` describes it for those who cannot see it.

    On a screen narrower than `layout.meta["min_width"]` (pixels) the figure scrolls in its box.
    """
    import json

    from IPython.display import display

    figure = json.loads(fig.to_json())
    figure["config"] = {"displaylogo": False, "displayModeBar": False, "responsive": True}
    display({PLOTLY: figure, "text/plain": text}, metadata={PLOTLY: {"alt": text}}, raw=True)


def sortable_table(table: pd.DataFrame, caption: str):
    """Make a table, as IPython's HTML, whose columns sort on a click in the page; JupyterLab does not sort it.

    All text is escaped. A column of texts that begin with a number, as `62.7 ± 4.0`, is sorted by it and aligned right.
    The index is shown unless it only counts the rows.
    """
    from IPython.display import HTML

    if not isinstance(table.index, pd.RangeIndex):
        table = table.reset_index()
    columns = [table.iloc[:, place] for place in range(table.shape[1])]
    numbers = [_column_numbers(column) for column in columns]
    heads = [(name, "right" if found else "left") for name, found in zip(table.columns, numbers, strict=True)]
    cells = [
        zip(map(_shown, column), found or [""] * len(column), strict=True)
        for column, found in zip(columns, numbers, strict=True)
    ]
    return HTML(render_html("table", caption=caption, heads=heads, rows=list(zip(*cells, strict=True))))


def _shown(value: object) -> str:
    if pd.isna(value):
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _column_numbers(column: pd.Series) -> list[str] | None:
    """Find the number that each value begins with, "" where it is missing; None where a value begins with none."""
    found = [_LEADING_NUMBER.match(str(value).replace(",", "").replace("−", "-")) for value in column]
    missing = [_shown(value).strip() in ("", "–", "-") for value in column]
    if all(missing) or not all(number or gone for number, gone in zip(found, missing, strict=True)):
        return None
    return [f"{float(number[1]):.17g}" if number else "" for number in found]


def find_browser() -> str | None:
    """Path of Chromium or Chrome, or None."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def wanted_browser() -> str:
    """Path of Chromium or Chrome; raises PoseemoError if there is none."""
    browser = find_browser()
    if browser is None:
        raise PoseemoError("a PDF needs Chromium or Chrome, found neither (Debian: apt-get install chromium)")
    return browser


def to_pdf(page: Path, pdf: Path) -> None:
    """Print an HTML page to a PDF with Chromium or Chrome; raises PoseemoError if there is none or it fails."""
    browser = wanted_browser()
    page, pdf = Path(page).resolve(), Path(pdf).resolve()
    with tempfile.TemporaryDirectory(dir=pdf.parent, prefix=".pdf-", ignore_cleanup_errors=True) as folder:
        made = Path(folder) / "page.pdf"
        command = [
            browser, "--headless", "--disable-gpu", "--no-pdf-header-footer", "--generate-pdf-document-outline",
            "--window-size=720,1000", f"--user-data-dir={folder}/profile", f"--print-to-pdf={made}",
        ]  # fmt: skip
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.append("--no-sandbox")
        try:
            done = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=PRINT_SECONDS)
            said = done.stderr.strip()[-300:]
        except subprocess.TimeoutExpired:
            said = f"it took longer than {PRINT_SECONDS} s"
        if not made.exists() or not made.read_bytes().startswith(b"%PDF"):
            raise PoseemoError(f"{page}: {browser} made no PDF: {said or 'no message'}")
        os.replace(made, pdf)
