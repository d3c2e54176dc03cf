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
from poseemo_lib.report.contents import Contents

TEMPLATES = Path(__file__).parent / "templates"
PLOTLY = "application/vnd.plotly.v1+json"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PRINT_SECONDS = 180
# Filled in last: nbconvert parses and rewrites the page, and would do so with megabytes of plotly.js.
_PLOTLY_MARK, _SCRIPT_MARK, _CONTENTS_MARK = ("poseemo-plotly-js", "poseemo-page-js", "poseemo-contents")
_LEADING_NUMBER = re.compile(r"\s*[<>≤≥≈]?\s*([+\-−]?\d[\d,]*(?:\.\d+)?(?:e[+\-]?\d+)?)", re.IGNORECASE)


def to_html(notebook: Path) -> str:
    """Convert an executed notebook to one self-contained HTML page.

    Nothing is fetched when it is read. Code is included and hidden; plotly.js is included once, where a figure needs
    it; markup in Markdown that could run is shown as text.

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
    exporter = _exporter(contents)
    marks = {name: f"<!--{name}-->" for name in (_CONTENTS_MARK, _PLOTLY_MARK, _SCRIPT_MARK)}
    resources = {
        "metadata": {"name": _title(node) or Path(notebook).stem},
        "contents": marks[_CONTENTS_MARK],
        "plotly": marks[_PLOTLY_MARK],
        "script": marks[_SCRIPT_MARK],
    }
    page = exporter.from_notebook_node(node, resources)[0]
    before, after = page.split(marks[_CONTENTS_MARK], 1)
    # The last of each mark is ours, whatever the notebook says.
    after = _replace_last(after, marks[_SCRIPT_MARK], _script(_template_text("page.js")))
    after = _replace_last(after, marks[_PLOTLY_MARK], _script(_plotly_js()) if _has_plotly(node) else "")
    return before + contents.to_html() + after


def _exporter(contents: Contents):
    """Nbconvert's exporter with our template, which notes the headings of Markdown in `contents`."""
    from jinja2 import pass_context
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    types = HTMLExporter().default_config.NbConvertBase.display_data_priority
    config = Config({"NbConvertBase": {"display_data_priority": [PLOTLY, *types]}})
    exporter = HTMLExporter(config=config, extra_template_basedirs=[str(TEMPLATES)], template_name="poseemo")

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
    before, after = text.rsplit(mark, 1)
    return before + new + after


def _script(text: str) -> str:
    return f"<script>{text}</script>"


def _template_text(name: str) -> str:
    return (TEMPLATES / "poseemo" / name).read_text(encoding="utf-8")


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
    numbers = [_column_numbers(table.iloc[:, place]) for place in range(table.shape[1])]
    names = zip(table.columns, numbers, strict=True)
    heads = "".join(f'<th scope="col"{_align(found)}>{html.escape(str(name))}</th>' for name, found in names)
    rows = "".join(_row(table, row, numbers) for row in range(len(table)))
    title = html.escape(caption)
    return HTML(
        f'<div class="table-box" role="region" tabindex="0" aria-label="{title}"><table class="sortable">'
        f"<caption>{title}</caption><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(table: pd.DataFrame, row: int, numbers: list) -> str:
    cells = []
    for place, found in enumerate(numbers):
        number = found[row] if found else None
        key = "" if number is None else f' data-number="{number:.17g}"'
        tag = "td" if place else 'th scope="row"'
        cells.append(f"<{tag}{key}{_align(found)}>{html.escape(_shown(table.iat[row, place]))}</{tag[:2]}>")
    return f"<tr>{''.join(cells)}</tr>"


def _align(numbers: list | None) -> str:
    return f' style="text-align: {"right" if numbers else "left"}"'


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
