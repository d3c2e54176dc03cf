import re
import shutil

import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import pytest
from made_page import browser, needs_chromium, reading
from PIL import Image

from poseemo_lib.analysis.results import load_results
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.paths import NOTEBOOKS
from poseemo_lib.report.data import load_report_data
from poseemo_lib.report.figures import CATALOGUE
from poseemo_lib.report.report import Figures, make_report, save_figure

EVERY = {name for figures in CATALOGUE.values() for name in figures}
SHOWN = re.compile(r'^show\("(.+)"\)$', re.MULTILINE)
# Drawing takes most of a report's time, and each figure has tests of its own.
SOME = {"05_radar_comparison", "07_feature_importance", "architecture_comparison", "leakage_comparison"}


@pytest.fixture(scope="module", params=[SOME, pytest.param(EVERY, marks=pytest.mark.slow)], ids=["some", "every"])
def shown(request):
    return request.param


@pytest.fixture(scope="module")
def page(shown, small_study, tmp_path_factory):
    folder, notebook = tmp_path_factory.mktemp("report"), nbformat.read(NOTEBOOKS / "07_report.ipynb", 4)
    for cell in notebook.cells:
        cell.source = SHOWN.sub(lambda found: found[0] if found[1] in shown else "", cell.source)
    nbformat.write(notebook, folder / "07_report.ipynb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("poseemo_lib.report.report.NOTEBOOK", str(folder / "07_report.ipynb"))
        return make_report(small_study, folder)


def test_the_notebook_shows_every_figure_once():
    sources = "\n".join(cell.source for cell in nbformat.read(NOTEBOOKS / "07_report.ipynb", 4).cells)
    assert sorted(SHOWN.findall(sources)) == sorted(EVERY)
    assert [len(figures) for figures in CATALOGUE.values()] == [10, 6, 1]


def test_runs_that_cannot_be_reported_are_named(tmp_path, small_study):
    with pytest.raises(UsageError, match="nowhere: wanted a folder of runs, found none"):
        make_report(tmp_path / "nowhere", tmp_path / "r")
    with pytest.raises(UsageError, match="wanted one of its configs, majority, net; got 'nobody'"):
        make_report(small_study, tmp_path / "r", base="nobody")
    with pytest.raises(UsageError, match="wanted run folders"):
        make_report(tmp_path, tmp_path / "r")
    shutil.copytree(small_study / "net", tmp_path / "net")
    for path in tmp_path.rglob("run.json"):
        path.write_text(path.read_text().replace('"status": "complete"', '"status": "running"'))
    with pytest.raises(PoseemoError, match="wanted completed runs, found 2 that are not"):
        make_report(tmp_path, tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_every_figure_is_kept_in_three_forms_and_the_cards_lie_beside_the_page(page, shown, small_study):
    for kind, figures in CATALOGUE.items():
        folder = page.parent / "figures" / kind
        for suffix in (".png", ".svg"):
            assert {path.stem for path in folder.glob(f"*{suffix}")} == set(figures) & shown
    folder = page.parent / "figures" / "report_figures"
    with Image.open(folder / "05_radar_comparison.png") as picture:
        assert round(picture.info["dpi"][0]) == 300 and "net" in picture.info["Description"]
    (counts,) = pd.read_csv(folder / "07_feature_importance-counts.csv").to_dict("records")
    assert counts["n_clips"] == load_results(small_study)["net"].scores.n_clips
    for name in ("model_card.md", "dataset_card.md"):
        assert "Synthetic" in (page.parent / name).read_text(encoding="utf-8")


def test_the_page_is_one_file_that_asks_for_nothing(page, shown):
    text = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 15e6
    assert "<script src=" not in text and 'rel="stylesheet" href="http' not in text
    pictures = re.findall(r"<img[^>]*data:image/png;base64,", text)
    assert len(pictures) == len(shown)
    assert "Synthetic data" in text and "over 1 seeds" not in text and "No ranks" in text
    assert "How much a leaky split inflates scores: not run" in text


@needs_chromium
def test_the_page_opens_offline_in_chromium_with_every_figure_drawn(page):
    with browser() as opened, reading(opened, page, viewport={"width": 390, "height": 800}) as tab:
        tab.wait_for_function("[...document.querySelectorAll('.js-plotly-plot')].every(p => p.clientHeight > 100)")
        drawn = tab.eval_on_selector_all(".js-plotly-plot svg.main-svg", "all => all.length")
        sizes = tab.eval_on_selector_all("img", "images => images.map(i => [i.naturalWidth, i.alt])")
        wide, text = tab.evaluate("document.documentElement.scrollWidth"), tab.inner_text("body")
    assert drawn >= 3 and wide <= 390 and all(width > 100 and len(alt) > 30 for width, alt in sizes)
    assert "balanced accuracy" in text and "import" not in text.split("Where the numbers come from")[-1]


def test_an_unknown_figure_is_named(small_study):
    with pytest.raises(UsageError, match="figure: wanted one of 01_data_distribution, .*, got '17'"):
        Figures(load_report_data(small_study))("17")


def test_a_figure_that_comes_again_leaves_no_old_table(tmp_path):
    figure = plt.figure()
    save_figure(figure, tmp_path / "k" / "01", "text", {"old": pd.DataFrame({"a": [1]})})
    save_figure(figure, tmp_path / "k" / "01", "text", {"new": pd.DataFrame({"a": [1]})})
    assert {path.name for path in (tmp_path / "k").iterdir()} == {"01.png", "01.svg", "01-new.csv"}
    once = (tmp_path / "k" / "01.svg").read_bytes()
    save_figure(figure, tmp_path / "k" / "01", "text", {})
    assert (tmp_path / "k" / "01.svg").read_bytes() == once
    plt.close(figure)


def test_a_report_that_fails_leaves_the_one_before_and_a_wrong_place_is_named(small_study, tmp_path, monkeypatch):
    notebook = nbformat.read(NOTEBOOKS / "07_report.ipynb", 4)
    notebook.cells = [*notebook.cells[:2], nbformat.v4.new_code_cell("raise OSError('half way')")]
    nbformat.write(notebook, tmp_path / "fails.ipynb")
    monkeypatch.setattr("poseemo_lib.report.report.NOTEBOOK", str(tmp_path / "fails.ipynb"))
    out = tmp_path / "out"
    (out / "figures" / "report_figures").mkdir(parents=True)
    for file in (out / "report.html", out / "figures" / "report_figures" / "kept.png"):
        file.write_text("before")
    with pytest.raises(PoseemoError, match="half way"):
        make_report(small_study, out)
    assert (out / "report.html").read_text() == "before" and (out / "report-failed.ipynb").exists()
    assert (out / "figures" / "report_figures" / "kept.png").exists()
    assert not list(out.glob(".making-*"))
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match="wanted a folder to write the report to"):
            make_report(small_study, place)
        with pytest.raises(UsageError, match="wanted a folder to write the report to"):
            make_report(small_study, tmp_path / "o", figures=place)
    with pytest.raises(UsageError, match="wanted each folder once"):
        make_report([small_study, small_study], tmp_path / "o")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('"leaks": {}', '"leaks": 3'), ('"content_hash"', '"other_hash"'),
        ('"seed": ', '"seeds": '),
    ],
)  # fmt: skip
def test_a_damaged_record_is_named(change, message, small_study, tmp_path):
    root = shutil.copytree(small_study, tmp_path / "runs")
    path = root / "net" / "seed-0" / "run.json"
    assert change in path.read_text()
    path.write_text(path.read_text().replace(change, message))
    with pytest.raises(PoseemoError, match="seed-0/run.json: wanted the record of a completed run"):
        load_results(root)
