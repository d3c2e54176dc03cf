"""Notebooks in a real JupyterLab, driven in Chromium as a reader would: from the menu."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from poseemo_lib.paths import NOTEBOOKS
from poseemo_lib.report.page import find_browser

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_browser() is None, reason="needs Chromium (Debian: apt-get install chromium)"),
]
STORIES, PLAYER = ("01_data.ipynb", "02_features.ipynb"), "05_interpret.ipynb"
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # all cells are in the page, seen or not
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
# Every code cell: its number once it has run, and the names of its errors.
CELLS = """() => {
  const model = window.jupyterapp.shell.currentWidget?.content?.model;
  if (!model?.cells?.length) return [];
  return [...model.cells].filter((cell) => cell.type === "code" && cell.sharedModel.getSource().trim()).map((cell) => {
    const errors = cell.outputs.toJSON().filter((output) => output.output_type === "error");
    return { number: cell.executionCount, errors: errors.map((error) => `${error.ename}: ${error.evalue}`) };
  });
}"""
# The indicator of the notebook says idle before there is a kernel; cells that are run then never run.
READY = """() => {
  const kernel = window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel;
  return kernel?.status === "idle" && kernel.connectionStatus === "connected";
}"""
PLAYERS = (
    """() => [...document.querySelectorAll(".js-plotly-plot")].filter((box) => box._transitionData?._frames?.length)"""
)
BODY = f"({PLAYERS})()[0].querySelector('.scatterlayer path.js-line').getAttribute('d')"


def write_settings(folder):
    for name, values in SETTINGS.items():
        path = folder / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))


def server_address(runtime, process, log, seconds=90):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        if found := list(runtime.glob("jpserver-*.json")):
            return json.loads(found[0].read_text())["url"]
        time.sleep(0.2)
    raise AssertionError(f"JupyterLab did not start in {seconds} s: {log.read_text()}")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A JupyterLab on a copy of the notebooks: its address."""
    root = tmp_path_factory.mktemp("lab")
    shutil.copytree(NOTEBOOKS, root / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    write_settings(root / "settings")
    runtime, log = root / "runtime", root / "lab.log"
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--port=0", "--allow-root", "--IdentityProvider.token=made",
        f"--ServerApp.root_dir={root / 'notebooks'}", "--LabApp.expose_app_in_browser=True",
    ]  # fmt: skip
    folders = {"JUPYTERLAB_SETTINGS_DIR": root / "settings", "JUPYTER_RUNTIME_DIR": runtime}
    folders |= {"JUPYTER_CONFIG_DIR": root / "config", "JUPYTERLAB_WORKSPACES_DIR": root / "workspaces"}
    folders |= {"JUPYTER_DATA_DIR": root / "data", "IPYTHONDIR": root / "ipython"}  # nothing in the reader's home
    environment = os.environ | {name: str(folder) for name, folder in folders.items()}
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    try:
        yield server_address(runtime, process, log)
    finally:
        process.terminate()  # the server ends its kernels
        process.wait(timeout=60)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        yield browser
        browser.close()


def run_all(tab, address, name):
    """Open a notebook and run it from the menu; returns its code cells."""
    tab.goto(f"{address}lab/tree/{name}?token=made&reset")
    tab.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=120_000)
    tab.wait_for_function(READY, timeout=120_000)
    tab.locator("#jp-MainMenu .lm-MenuBar-itemLabel", has_text="Run").click()
    tab.locator(".lm-Menu-itemLabel").get_by_text("Run All Cells", exact=True).click()
    end = time.monotonic() + 600
    while time.monotonic() < end:
        cells = tab.evaluate(CELLS)
        failed = [error for cell in cells for error in cell["errors"]]
        if failed or (cells and all(cell["number"] for cell in cells)):
            return cells
        tab.wait_for_timeout(500)
    raise AssertionError(f"{name} did not end: {cells}")


@pytest.fixture
def tab(browser):
    tab = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
    yield tab
    if folder := os.environ.get("POSEEMO_SCREENSHOTS"):
        tab.screenshot(path=f"{folder}/lab.png")
    tab.context.close()


@pytest.mark.parametrize("name", STORIES)
def test_a_story_runs_from_the_menu(lab, tab, name):
    cells = run_all(tab, lab, name)
    assert len(cells) > 3 and not [error for cell in cells for error in cell["errors"]]
    assert tab.locator(".jp-RenderedImage img").count() >= 1


def test_the_interpretation_runs_from_the_menu_and_its_player_plays(lab, tab):
    cells = run_all(tab, lab, PLAYER)
    assert not [error for cell in cells for error in cell["errors"]]
    play_in_lab(tab)


PLAYER_NOTEBOOK = """
import numpy as np
from poseemo_lib.report.page import show_plotly
from poseemo_lib.plots.player import PlayerClip, skeleton_player
rng = np.random.default_rng(0)
clips = [
    PlayerClip(name, "a", rng.random((64, 2, 17, 3)), np.ones(64, bool), 25.0, rng.random(64), [0.7, 0.3], (10, 30))
    for name in ("one", "two")
]
show_plotly(skeleton_player(clips, ("a", "b"), synthetic=True), "A player")
"""


def test_a_player_draws_and_plays(lab, tab, tmp_path_factory):
    import nbformat

    folder = next(tmp_path_factory.getbasetemp().glob("lab*")) / "notebooks"
    cells = [nbformat.v4.new_code_cell(PLAYER_NOTEBOOK)]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), folder / "player.ipynb")
    assert not run_all(tab, lab, "player.ipynb")[0]["errors"]
    play_in_lab(tab)


def play_in_lab(tab):
    tab.wait_for_function(f"({PLAYERS})().length > 0", timeout=60_000)
    size = tab.evaluate(
        f"(() => {{ const s = ({PLAYERS})()[0].getBoundingClientRect(); return [s.width, s.height]; }})()"
    )
    assert min(size) > 300
    before = tab.evaluate(BODY)
    button = tab.locator(".js-plotly-plot g.updatemenu-button:visible", has_text="Play").first
    button.scroll_into_view_if_needed()
    button.click()
    tab.wait_for_function(f"{BODY} !== {json.dumps(before)}", timeout=30_000)
