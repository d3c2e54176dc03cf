import os
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import SMALL

from poseemo_lib import alt_texts, wording
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.experiment import execute_run
from poseemo_lib.material import Material, load_material
from poseemo_lib.parameters import check_parameters
from poseemo_lib.report import make_report
from poseemo_lib.results import load_results

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def make_runs(root, dataset, **values):
    for cell, seed in (("majority", 0), ("net", 0), ("net", 1)):
        more = {"architecture": "majority", "model": {}} if cell == "majority" else {}
        parameters = check_parameters({"dataset": str(dataset), **SMALL, "seed": seed, **values, **more})
        execute_run(parameters, root / cell / f"seed-{seed}", cell=cell)
    return root


@pytest.fixture(scope="module")
def runs(tiny, tmp_path_factory):
    return make_runs(tmp_path_factory.mktemp("runs"), tiny)


@pytest.fixture(scope="module")
def page(runs, tmp_path_factory):
    return make_report(runs, tmp_path_factory.mktemp("report"))


def test_the_opening_states_the_score_the_baseline_and_what_the_data_are(runs):
    results = load_results(runs)
    text = wording.opening(Material((results,)))
    scores = results["net"].scores.scores.set_index("metric").loc["balanced_accuracy"]
    wanted = f"{100 * scores['mean']:.1f} % [{100 * scores['low']:.1f}, {100 * scores['high']:.1f}]"
    assert wanted in text and f"chance {100 * results.chance:.1f} %" in text
    assert "Synthetic data" in text and "largest class" in text and "Leaky" not in text
    # two epochs of a tiny network on a dozen clips, in few groups: nothing may be claimed
    assert "nothing is claimed without at least 8 groups" in text


def test_a_leak_is_said_first(tiny, tmp_path):
    results = load_results(make_runs(tmp_path, tiny, split="random", allow_leak=True, epochs=1))
    assert "Leaky split" in wording.opening(Material((results,))).split("**net**")[0]


def test_names_from_data_are_escaped(runs, tmp_path):
    root = tmp_path / "runs"
    shutil.copytree(runs, root)
    for path in root.rglob("run.json"):
        path.write_text(path.read_text().replace('"cell": "net"', '"cell": "<script>alert(1)</script>"'))
    text = wording.opening(load_material(root))
    assert "<script>" not in text and "&lt;script&gt;" in text


def test_texts_of_figures_carry_their_numbers():
    confusion = np.array([[8, 2], [5, 5]])
    assert alt_texts.describe_confusion(confusion, ("a", "b")) == (
        "Confusion matrix. Recall: a 80 %, b 50 %; most often confused: b taken for a (50 %)"
    )
    history = pd.DataFrame({"epoch": [1, 2], "val_macro_f1": [0.1, 0.25]})
    assert alt_texts.describe_curves({3: history}, {3: 2}) == (
        "Learning curves. seed 3: epoch 2 of 2, validation macro-F1 0.250"
    )


def test_runs_that_cannot_be_reported_are_named(tmp_path, runs):
    with pytest.raises(UsageError, match="nowhere: wanted a folder of runs, found none"):
        make_report(tmp_path / "nowhere", tmp_path / "r")
    with pytest.raises(UsageError, match="wanted one of its cells, majority, net; got 'nobody'"):
        make_report(runs, tmp_path / "r", base="nobody")
    with pytest.raises(UsageError, match="wanted run folders"):
        make_report(tmp_path, tmp_path / "r")
    shutil.copytree(runs / "net", tmp_path / "net")
    for path in tmp_path.rglob("run.json"):
        path.write_text(path.read_text().replace('"status": "complete"', '"status": "running"'))
    with pytest.raises(PoseemoError, match="wanted completed runs, found 2 that are not"):
        make_report(tmp_path, tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_the_page_is_one_file_that_asks_for_nothing(page):
    text = page.read_text(encoding="utf-8")
    assert "<script src=" not in text and 'rel="stylesheet" href="http' not in text
    assert "Synthetic data" in text and "mean ± " not in text.split("<body")[0]
    assert len(re.findall(r"<img[^>]*data:image/png;base64,", text)) == 5
    assert {p.stem for p in (page.parent / "figures").iterdir()} == {
        "architecture_comparison", "score_against_size", "confusion_matrix", "learning_curves", "data_distribution",
    }  # fmt: skip
    assert "Not run" in text and "over 1 seeds" not in text and "No ranks" in text


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt-get install chromium)")
def test_the_page_opens_offline_in_chromium_with_every_figure_drawn(page):
    from playwright.sync_api import sync_playwright

    requests, errors = [], []
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        tab = browser.new_context(offline=True).new_page()
        tab.on("request", lambda request: requests.append(request.url))
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(page.as_uri())
        sizes = tab.eval_on_selector_all("img", "images => images.map(i => [i.naturalWidth, i.alt])")
        text = tab.inner_text("body")
        browser.close()
    outside = [url for url in requests if not url.startswith(("file:", "data:"))]
    assert not outside and not errors
    assert len(sizes) == 5 and all(width > 100 and len(alt) > 30 for width, alt in sizes)
    assert "Synthetic data" in text and "balanced accuracy" in text and "In [" not in text
