"""The page: an executed notebook as one HTML file that opens offline, its interactive parts, and a PDF of it."""

import html
import math
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
LEVELS = ("h2", "h3")
# What HTML made from Markdown may hold; anything else is shown as text.
TAGS = [
    *(
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "p",
        "div",
        "span",
        "a",
        "img",
        "b",
        "strong",
        "i",
        "em",
        "del",
        "sub",
        "sup",
    ),
    *("code", "pre", "blockquote", "ul", "ol", "li", "br", "hr", "details", "summary"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td"),
]
ATTRIBUTES = {"*": ["class"], "a": ["href", "title"], "img": ["src", "alt", "title"], "th": ["style"], "td": ["style"]}
# Filled in last: nbconvert parses and rewrites the page, and would do so with megabytes of plotly.js.
_MARKS = {name: f"<!--poseemo-{name}-->" for name in ("contents", "plotly", "script")}
_LEADING_NUMBER = re.compile(r"\s*[<>≤≥≈]?\s*([+\-−]?\d[\d,]*(?:\.\d+)?(?:e[+\-]?\d+)?)", re.IGNORECASE)


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
            if heading.name in LEVELS:
                self.headings.append((heading.name, heading["id"], text))
        for table in soup.find_all("table"):
            table.wrap(soup.new_tag("div", attrs={"class": "table-box", "tabindex": "0"}))
        return str(soup)

    def _anchor(self, text: str) -> str:
        plain = re.sub(r"[^a-z0-9]+", "-", text.lower())[:60].strip("-") or "section"
        anchor, times = plain, 1
        while anchor in self._anchors:
            times += 1
            anchor = f"{plain}-{times}"
        self._anchors.add(anchor)
        return anchor

    def to_html(self) -> str:
        """Write the headings as a list of links; those of the second level are marked by a class."""
        items = (
            f'<li class="{level}"><a href="#{anchor}">{html.escape(text)}</a></li>'
            for level, anchor, text in self.headings
        )
        return f"<ol>{''.join(items)}</ol>"


def to_html(notebook: Path) -> str:
    """Convert an executed notebook to one HTML page that fetches nothing when it is read.

    Code is included and hidden; plotly.js is included once, where a figure needs it; markup in Markdown that could run
    is shown as text.

    Parameters
    ----------
    notebook : Path

    Returns
    -------
    str
    """
    import nbformat

    node = nbformat.read(notebook, as_version=4)
    contents = Contents()
    resources = {"metadata": {"name": _title(node) or Path(notebook).stem}, **_MARKS}
    page = _exporter(contents).from_notebook_node(node, resources)[0]
    before, after = page.split(_MARKS["contents"], 1)
    # The last of each mark is ours, whatever the notebook says.
    after = _replace_last(after, _MARKS["script"], _script((TEMPLATES / "poseemo" / "page.js").read_text("utf-8")))
    after = _replace_last(after, _MARKS["plotly"], _script(_plotly_js()) if _has_plotly(node) else "")
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


def _title(node) -> str | None:
    """Find the first top heading of a notebook."""
    for cell in node.cells:
        if cell.cell_type == "markdown" and (found := re.search(r"^# +(.+)$", cell.source, re.MULTILINE)):
            return found[1].strip()
    return None


def _has_plotly(node) -> bool:
    return any(PLOTLY in output.get("data", {}) for cell in node.cells for output in cell.get("outputs", []))


def _replace_last(text: str, mark: str, new: str) -> str:
    return new.join(text.rsplit(mark, 1))


def _script(text: str) -> str:
    return f"<script>{text}</script>"


def _plotly_js() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


def show_plotly(fig, text: str) -> None:
    """Show an interactive figure: in JupyterLab, and in the page made from the notebook.

    Parameters
    ----------
    fig : plotly Figure
        `layout.meta["min_width"]` (pixels), where given, is kept on narrow screens: the figure scrolls in its box.
    text : str
        What it shows, with its numbers, for those who cannot see it.
    """
    import json

    from IPython.display import display

    figure = json.loads(fig.to_json())
    figure["config"] = {"displaylogo": False, "displayModeBar": False, "responsive": True}
    display({PLOTLY: figure, "text/plain": text}, metadata={PLOTLY: {"alt": text}}, raw=True)


def sortable_table(table: pd.DataFrame, caption: str):
    """Make a table whose columns sort on a click in the page; in JupyterLab it stays as it is.

    Parameters
    ----------
    table : DataFrame
        Shown as text, all of it escaped. A column of texts that begin with a number, as `62.7 ± 4.0`, sorts by it
        and stands at the right. The index is shown where it has a meaning.
    caption : str

    Returns
    -------
    IPython.display.HTML
    """
    from IPython.display import HTML

    if not isinstance(table.index, pd.RangeIndex):
        table = table.reset_index()
    columns = [table.iloc[:, place] for place in range(table.shape[1])]
    numbers = [_column_numbers(column) for column in columns]
    heads = [(name, "right" if found else "left") for name, found in zip(table.columns, numbers, strict=True)]
    cells = [
        [(_shown(value), "" if number is None else f"{number:.17g}")
         for value, number in zip(column, found or [None] * len(column), strict=True)]
        for column, found in zip(columns, numbers, strict=True)
    ]  # fmt: skip
    return HTML(render_html("table", caption=caption, heads=heads, rows=list(zip(*cells, strict=True))))


def _shown(value: object) -> str:
    if pd.isna(value):
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _column_numbers(column: pd.Series) -> list[float | None] | None:
    """Find the number that each value begins with, None where one is missing; None where a value begins with none."""
    numbers = [leading_number(value) for value in column]
    missing = [_shown(value).strip() in ("", "–", "-") for value in column]
    sound = all(number is not None or gone for number, gone in zip(numbers, missing, strict=True))
    return numbers if sound and not all(missing) else None


def leading_number(value: object) -> float | None:
    """Return the number that a value is, or that its text begins with.

    Parameters
    ----------
    value : object
        `62.7`, `"62.7 ± 4.0 [58.1, 66.0]"`, `"1,204"`, `"< 0.001"`.

    Returns
    -------
    float or None
        None where there is none.
    """
    if isinstance(value, bool) or pd.isna(value):
        return None
    if isinstance(value, int | float):
        return float(value) if math.isfinite(value) else None
    found = _LEADING_NUMBER.match(str(value))
    return float(found[1].replace(",", "").replace("−", "-")) if found else None


def find_browser() -> str | None:
    """Path of Chromium or Chrome, or None where there is none."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def wanted_browser() -> str:
    """Path of Chromium or Chrome; raises PoseemoError where there is none."""
    browser = find_browser()
    if browser is None:
        raise PoseemoError("a PDF wants Chromium or Chrome, found none; install it (Debian: apt-get install chromium)")
    return browser


def to_pdf(page: Path, pdf: Path) -> None:
    """Print a page to a PDF, as its rules for print say, with Chromium or Chrome.

    Parameters
    ----------
    page : Path
        HTML file.
    pdf : Path
        Written only when the print is whole.

    Raises
    ------
    PoseemoError
        There is no browser, or it made no PDF.
    """
    browser = wanted_browser()
    page, pdf = Path(page).resolve(), Path(pdf).resolve()
    with tempfile.TemporaryDirectory(dir=pdf.parent, prefix=".pdf-", ignore_cleanup_errors=True) as folder:
        made = Path(folder) / "page.pdf"
        said = _print(browser, page, made, Path(folder) / "profile")
        if not made.exists() or not made.read_bytes().startswith(b"%PDF"):
            raise PoseemoError(f"{page}: {browser} made no PDF: {said.strip()[-300:] or 'it said nothing'}")
        os.replace(made, pdf)


def _print(browser: str, page: Path, pdf: Path, profile: Path) -> str:
    """Run the browser; returns what it said."""
    command = [
        browser, "--headless", "--disable-gpu", "--no-pdf-header-footer", "--generate-pdf-document-outline",
        "--window-size=720,1000", f"--user-data-dir={profile}", f"--print-to-pdf={pdf}",
    ]  # fmt: skip
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--no-sandbox")
    try:
        done = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=PRINT_SECONDS)
    except subprocess.TimeoutExpired:
        return f"it took longer than {PRINT_SECONDS} s"
    return done.stderr
