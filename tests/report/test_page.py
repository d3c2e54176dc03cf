import re
import shutil
import subprocess

import made_page
import nbclient
import nbformat
import numpy as np
import pandas as pd
import pytest
from made_page import needs_chromium, reading
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from poseemo_lib.errors import PoseemoError
from poseemo_lib.report import page as pages
from poseemo_lib.report.page import Contents, sortable_table, to_html, to_pdf

NASTY = "<script>alert(1)</script>"
CODE = f"""
import html
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from poseemo_lib.report.page import show_plotly, sortable_table
from poseemo_lib.plots.interactive import confusion_explorer, parallel_runs
from poseemo_lib.plots.player import PlayerClip, skeleton_player

NASTY = "{NASTY}"
rng = np.random.default_rng(0)
display(Markdown("## " + html.escape(NASTY)))
display(Markdown("### Raw " + NASTY + '\\n\\n<img src="data:," alt="" onerror="alert(2)">'))
table = pd.DataFrame({{
    "config": ["b", NASTY, "a", "wide " * 30],
    "macro-F1": ["8.1 ± 1.0 [7, 9]", "62.7 ± 4.0 [58, 66]", "–", "17.0 ± 2.0 [15, 19]"],
    "clips": ["1,200", "300", "40", "5"],
}})
display(sortable_table(table, "Scores of " + NASTY))
fig, ax = plt.subplots()
ax.plot([1, 2])
display(fig, metadata={{"image/png": {{"alt": "A line of " + NASTY}}}})
plt.close(fig)
clips = [
    PlayerClip(name, "calm", rng.random((64, 2, 17, 3)), np.ones(64, bool), 25.0, rng.random(64), [0.7, 0.3], (10, 30))
    for name in (NASTY, "second")
]
show_plotly(skeleton_player(clips, ("calm", NASTY), synthetic=True), "Player of " + NASTY)
confusions = {{NASTY: np.eye(2, dtype=int), "net": np.ones((2, 2), int)}}
show_plotly(confusion_explorer(confusions, ("calm", NASTY), synthetic=True), "Confusions")
runs = pd.DataFrame({{"config": [NASTY, "net"], "score": [0.1, 0.2]}})
show_plotly(parallel_runs(runs, synthetic=True), "Runs")
display(pd.DataFrame(rng.random((3, 40))))
print("long " * 200)
"""


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "study.ipynb"
    text = ["# A study", "## Results\n\nFirst.\n\n| a | b |\n|---|---|\n| 1 | 2 |", "## Results\n\nAgain.\n\n### Part"]
    filler = "\n\n".join(["Some text."] * 60)
    cells = [*map(new_markdown_cell, text), new_code_cell(CODE), new_markdown_cell(f"## The end\n\n{filler}")]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbclient.execute(new_notebook(cells=cells, metadata=metadata)), path)
    return path


@pytest.fixture(scope="module")
def page(notebook):
    out = notebook.with_suffix(".html")
    out.write_text(to_html(notebook), encoding="utf-8")
    return out


@pytest.fixture(scope="module")
def browser():
    with made_page.browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def tab(browser, page):
    """A tab for tests that leave the page as the next may find it: loading takes most of a test."""
    with reading(browser, page, viewport={"width": 1200, "height": 800}) as tab:
        yield tab


@pytest.fixture(scope="module")
def phone(browser, page):
    """The same on a phone in dark mode."""
    with reading(browser, page, viewport={"width": 390, "height": 844}, color_scheme="dark") as tab:
        yield tab


def column(tab, number):
    return tab.eval_on_selector_all(
        f"table.sortable tbody tr > :nth-child({number})", "cells => cells.map(c => c.innerText)"
    )


@needs_chromium
def test_figures_are_drawn_and_pictures_have_their_text(tab):
    sizes = tab.eval_on_selector_all(
        ".plotly-figure",
        "all => all.map(f => { const s = f.querySelector('.main-svg').getBoundingClientRect();"
        " return [s.width, s.height, f.getAttribute('aria-label')]; })",
    )
    assert len(sizes) == 3 and all(width > 300 and height > 300 for width, height, _ in sizes)
    assert [text for *_, text in sizes] == [f"Player of {NASTY}", "Confusions", "Runs"]
    shown = tab.eval_on_selector_all(".jp-RenderedImage img", "all => all.map(i => [i.naturalWidth > 100, i.alt])")
    assert shown == [[True, f"A line of {NASTY}"]]
    assert tab.locator("img:not([alt])").count() == 0
    assert tab.evaluate("typeof Plotly") == "object"


@needs_chromium
def test_names_with_markup_stay_text_everywhere(tab):
    assert tab.locator(".contents a", has_text=NASTY).count() == 2
    assert tab.locator("h2", has_text=NASTY).count() == 1
    assert NASTY in column(tab, 1) and NASTY in tab.locator("caption").inner_text()
    assert NASTY in tab.locator("main").inner_text().split("Raw ")[1]
    player, explorer, runs = tab.locator(".plotly-figure").all()
    assert NASTY in player.locator(".updatemenu-header").first.text_content()
    assert NASTY in explorer.text_content() and "<script>alert(" in runs.text_content()
    assert tab.locator("[onerror]").count() == 0


@needs_chromium
def test_the_contents_lead_to_their_sections(tab):
    links = tab.eval_on_selector_all(".contents a", "all => all.map(a => [a.hash.slice(1), a.innerText])")
    assert [text for _, text in links] == ["Results", "Results", "Part", NASTY, f"Raw {NASTY}", "The end"]
    assert len({anchor for anchor, _ in links}) == len(links)
    for anchor, text in links:
        assert tab.evaluate("id => document.getElementById(id).innerText", anchor) == text
    tab.click(".contents a:has-text('The end')")
    top = tab.evaluate("document.getElementById('the-end').getBoundingClientRect().top")
    assert -1 <= top < 100 and tab.evaluate("scrollY") > 500
    ids = tab.eval_on_selector_all("[id]", "all => all.map(e => e.id)")
    assert len(set(ids)) == len(ids)


@needs_chromium
def test_a_table_sorts_by_the_number_that_a_text_begins_with(tab):
    head = tab.locator("table.sortable th", has_text="macro-F1")
    head.locator("button").click()
    assert [text.split(" ")[0] for text in column(tab, 2)] == ["62.7", "17.0", "8.1", "–"]
    assert head.get_attribute("aria-sort") == "descending"
    head.locator("button").press("Enter")
    assert [text.split(" ")[0] for text in column(tab, 2)] == ["8.1", "17.0", "62.7", "–"]
    assert head.get_attribute("aria-sort") == "ascending"
    tab.locator("table.sortable th button", has_text="clips").click()
    assert column(tab, 3) == ["1,200", "300", "40", "5"] and head.get_attribute("aria-sort") is None
    tab.locator("table.sortable th button", has_text="config").click()
    assert [text.strip()[:4] for text in column(tab, 1)] == ["<scr", "a", "b", "wide"]


@needs_chromium
def test_code_and_dark_mode_are_one_button_each(tab, phone):
    code = tab.locator(".highlight").first
    assert not code.is_visible()
    tab.click("#show-code")
    assert code.is_visible() and tab.locator("#show-code").get_attribute("aria-pressed") == "true"
    tab.click("#show-code")
    assert not code.is_visible()
    paper = "getComputedStyle(document.body).backgroundColor"
    assert tab.evaluate(paper) == "rgb(255, 255, 255)"
    tab.click("#theme")
    assert tab.evaluate(paper) == "rgb(21, 24, 28)" and tab.inner_text("#theme") == "Light"
    card = "getComputedStyle(document.querySelector('.jp-RenderedImage img')).backgroundColor"
    assert tab.evaluate(card) == "rgb(255, 255, 255)"
    tab.click("#theme")
    assert phone.evaluate(paper) == "rgb(21, 24, 28)"  # as its system
    phone.click("#theme")
    assert phone.evaluate(paper) == "rgb(255, 255, 255)"


@needs_chromium
def test_a_phone_shows_it_without_scrolling_sideways(phone):
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
    assert not phone.locator(".contents a").first.is_visible()
    phone.click(".contents summary")
    assert phone.locator(".contents a").first.is_visible()
    phone.evaluate("document.documentElement.classList.add('with-code')")
    assert phone.evaluate("document.documentElement.scrollWidth") == 390


BODY = "document.querySelector('.plotly-figure .scatterlayer path.js-line').getAttribute('d')"
DATA = "JSON.stringify(document.querySelector('.plotly-figure').data[{}].x)"


@needs_chromium
def test_the_player_plays_pauses_and_changes_its_clip(tab):
    player = tab.locator(".plotly-figure").first
    frame = "document.querySelector('.plotly-figure')._fullLayout._currentFrame"
    first, data = tab.evaluate(BODY), tab.evaluate(DATA.format(0))
    player.locator("g.updatemenu-button", has_text="Play").click()
    tab.wait_for_function(f"{frame} && +{frame}.split('/')[1] > 3")
    assert tab.evaluate(BODY) != first and tab.evaluate(DATA.format(0)) != data
    assert tab.evaluate(DATA.format(2)) != "[0,0]"
    # Another clip is chosen while this one plays: it stands still at its own first frame until it is played.
    player.locator("g.updatemenu-header").first.click()
    player.locator("g.updatemenu-dropdown-button", has_text="second").click()
    tab.wait_for_timeout(150)
    still = tab.evaluate(BODY)
    tab.wait_for_timeout(250)
    assert tab.evaluate(BODY) == still and tab.evaluate(DATA.format(2)) == "[0,0]"
    player.locator("g.updatemenu-button:visible", has_text="Play").click()
    tab.wait_for_function(f"{frame}.startsWith('1/') && +{frame}.split('/')[1] > 2")
    player.locator("g.updatemenu-button:visible", has_text="Pause").click()
    tab.wait_for_timeout(100)
    stopped = tab.evaluate(BODY)
    tab.wait_for_timeout(250)
    assert stopped == tab.evaluate(BODY) != still
    assert player.locator(".shapelayer path").count() == 3  # two bars and even attention are still there


def test_the_page_is_whole_without_anything_else(page):
    text = page.read_text(encoding="utf-8")
    own = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert text.count("plotly.js v") == 1
    assert not re.search(r"(src|href)=[\"'](?!#|data:)|@import|url\((?!data:|#)", own)
    assert '<html lang="en"' in text and "<title>A study</title>" in text
    assert "<main" in text and "<nav" in text and 'class="skip"' in text
    assert "mathjax" not in own.lower() and "require.min" not in own
    assert 'tabindex="0"' not in re.sub(r'<div[^>]*class="table-box"[^>]*>', "", own)


def test_without_interactive_figures_there_is_no_plotly(tmp_path):
    path = tmp_path / "plain.ipynb"
    marks = "<!--poseemo-plotly--> <!--poseemo-script--> <!--poseemo-contents-->"
    outputs = [
        new_output("display_data", {"image/png": "AAAA", "text/plain": "x"}),
        new_output("display_data", {"application/javascript": "alert(3)"}),
    ]
    nbformat.write(new_notebook(cells=[new_markdown_cell(f"Text {marks}"), new_code_cell("1", outputs=outputs)]), path)
    text = to_html(path)
    assert len(text) < 40_000 and "alert(3)" not in text and "<title>plain</title>" in text
    assert 'alt="Figure without a description"' in text
    assert text.count("addEventListener") > 1 and text.rindex("<script>") > text.index("</main>")


@pytest.mark.parametrize(
    "given", ["<script>x</script>", "<a href='javascript:x'>a</a>", "<p onclick='x'>a</p>", "<iframe src='x'></iframe>"]
)
def test_markdown_runs_nothing(given):
    made = Contents().mark(given)
    assert not re.search(r"<script|<iframe|javascript:|onclick", made)


def test_markdown_keeps_what_it_may_have():
    given = '<div class="warning"><a href="https://example.org">x</a> <img alt="y" src="z.png"/><code>a</code></div>'
    assert Contents().mark(given) == given


@pytest.mark.parametrize(
    ("value", "number"),
    [("62.7 ± 4.0 [58, 66]", 62.7), ("1,204", 1204), ("−3.5 points", -3.5), ("< 0.001", 0.001), ("1e-4", 1e-4), (7, 7),
     ("n/a", None), ("v2", None), (True, None), (np.float64(2.5), 2.5)],
)  # fmt: skip
def test_a_cell_sorts_by_its_leading_number(value, number):
    found = re.findall(r'data-number="(.+?)"', sortable_table(pd.DataFrame({"a": ["x"], "b": [value]}), "").data)
    assert [float(one) for one in found] == ([] if number is None else [number])


def test_a_table_is_escaped_and_its_numbers_stand_right():
    table = pd.DataFrame({"<a>": ["<b>", None], "n": ["2 of 3", "10"], "n2": [1.23456, np.nan]}, index=["r&", "s"])
    made = sortable_table(table, "<c>").data
    assert "<b>" not in made and "&lt;b&gt;" in made and "<caption>&lt;c&gt;</caption>" in made and "r&amp;" in made
    cells = re.findall(r"<td([^>]*)>([^<]*)<", made)
    assert cells[1] == (' data-number="2" style="text-align: right"', "2 of 3")
    assert cells[2][1] == "1.235" and cells[5] == (' style="text-align: right"', "–")
    twice = sortable_table(pd.DataFrame([[1, "x"]], columns=["same", "same"]), "").data
    assert 'data-number="1"' in twice and 'data-number="x' not in twice
    assert re.search(r"<tbody>\s*</tbody>", sortable_table(pd.DataFrame({"a": []}), "").data)


@needs_chromium
def test_the_pdf_has_the_text_on_several_pages(page, tmp_path):
    pdf = tmp_path / "page.pdf"
    to_pdf(page, pdf)
    assert pdf.read_bytes().startswith(b"%PDF") and [path.name for path in tmp_path.iterdir()] == ["page.pdf"]
    if shutil.which("pdftotext"):
        text = subprocess.run(["pdftotext", "-layout", str(pdf), "-"], capture_output=True, text=True).stdout
        assert text.count("\f") >= 3
        for wanted in ("A study", "The end", "62.7 ± 4.0", "synthetic data", NASTY):
            assert wanted in text
        assert "Show code" not in text and "import numpy" not in text and "Pause" not in text


def test_without_a_browser_it_says_what_to_install(page, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PoseemoError, match="needs Chromium or Chrome, found neither"):
        to_pdf(page, tmp_path / "page.pdf")


def test_a_browser_that_fails_is_named_and_leaves_nothing(page, tmp_path, monkeypatch):
    broken = tmp_path / "bin" / "chromium"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho no display >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(pages, "find_browser", lambda: str(broken))
    with pytest.raises(PoseemoError, match="made no PDF: no display"):
        to_pdf(page, tmp_path / "page.pdf")
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]
