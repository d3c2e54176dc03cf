"""What every figure of the report keeps, whatever the study."""
# ruff: noqa: F811  (fixtures)

import shutil
from dataclasses import replace

import drawings as draw
import made_studies
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from made_figures import FIGURES, close_figures, no_measured_speed, of_whole, runs, whole  # noqa: F401

from poseemo_lib.report.data import ReportData, load_report_data

pytestmark = pytest.mark.usefixtures("close_figures", "no_measured_speed")
NEED_MORE_STUDIES = (
    "04_ablation_study",
    "deep_residual_variations_detailed",
    "neutral_fix_comparison",
    "leakage_comparison",
)
LEAKY = {name: made_studies.LEAKAGE[name] for name in ("majority_random", "net_random")}


@pytest.mark.parametrize("name", FIGURES)
def test_a_whole_study_has_every_figure_with_nothing_overlapping(name, of_whole):
    drawn = of_whole(name)
    assert not draw.overlapping(drawn.figure)
    assert drawn.data and all(isinstance(table, pd.DataFrame) for table in drawn.data.values())
    assert len(drawn.text) > 60 and "synthetic data" in draw.words(drawn.figure)
    if not name.startswith("09"):
        note = draw.note(drawn.figure)
        assert draw.title(drawn.figure) and ("95 % " in note or "interval" in note)


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Studies that lack something or have names that break a picture."""
    root = tmp_path_factory.mktemp("odd")
    baseline = {"majority": {"architecture": "majority"}}
    names = {"<b>$x_1$ & " + "y" * 60: {}, "q|" + "z" * 60: {"architecture": "gru"}}
    names["line\nbreak"] = baseline["majority"]
    made_studies.made_study(root / "odd names$ <script>", names)
    for path in root.rglob("predictions.parquet"):  # a class without test clips
        table = pd.read_parquet(path)
        table[(table["split"] != "test") | (table["label"] != "fear")].to_parquet(path)
    for fold in ("g0", "g1", "g2"):
        values = {"split": "leave_one_group_out", "fold": fold, "score_by": "source"}
        made_studies.made_study(root / "folds" / fold, {"net": values}, seeds=(0,))
    made_studies.made_study(root / "bare", {"net": {"skill": 1.0}}, seeds=(0,), n_groups=2, per_group=20)
    for path in (root / "bare").rglob("*"):  # another class, no history, no error
        if path.name == "history.csv":
            path.unlink()
        elif path.name in ("run.json", "calibration.json"):
            path.write_text(path.read_text().replace('"angry"', '"wave"'))
        elif path.stem in ("predictions", "split"):
            table = pd.read_parquet(path).replace({"label": {"angry": "wave"}})
            table.rename(columns={"p_angry": "p_wave"}).to_parquet(path)
    made_studies.made_study(root / "baseline", baseline, seeds=(0,), n_groups=1, per_group=40)
    made_studies.made_study(root / "leak", LEAKY, leaks=made_studies.LEAKS)
    return {folder.name: load_report_data(folder) for folder in root.iterdir()}


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("folds", "leak", "baseline", "bare")]


@pytest.mark.parametrize("study", ["odd names$ <script>", *SLOW])
def test_odd_studies_have_every_figure(study, odd):
    for name, function in FIGURES.items():
        drawn = function(odd[study])
        if study.startswith("odd"):
            assert not draw.overlapping(drawn.figure), name
        else:
            drawn.figure.draw_without_rendering()
        assert drawn.text, name
        if not drawn.data:
            assert "not run" in drawn.text and "Not run: " in draw.words(drawn.figure), name
            if study == "baseline" and name in (*NEED_MORE_STUDIES, "deep_residual_variations"):
                assert "poseemo study parameters/studies/" in drawn.text
        elif study == "leak":
            assert "leaky split" in draw.words(drawn.figure), name
        plt.close(drawn.figure)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FIGURES if name not in (*NEED_MORE_STUDIES, "01_data_distribution")])
def test_a_changed_prediction_changes_what_is_drawn(name, runs, tmp_path):
    if name == "06_training_curves":
        pytest.skip("draws the histories")
    other = shutil.copytree(runs / "main", tmp_path / "main")
    before = FIGURES[name](load_report_data(other))
    for path in other.glob("net/seed-0/predictions.parquet"):
        table = pd.read_parquet(path)
        table[[column for column in table if column.startswith("p_")]] = 0.0
        table.assign(p_sad=1.0).to_parquet(path)
    after = FIGURES[name](load_report_data(other))
    assert after.text != before.text
    assert any(not table.equals(after.data[key]) for key, table in before.data.items())


def test_an_ensemble_is_drawn_where_it_has_numbers(runs):
    data = load_report_data(runs / "main", base="net")
    tables = {"02_architecture_comparison": "scores", "architecture_detailed_comparison": "details"}
    for name, table in (tables | {"09_summary_infographic": "configs"}).items():
        drawn = FIGURES[name](data)
        assert "ensemble" in drawn.data[table].to_string()
        if name.startswith("02"):
            assert "size or score unknown: ensemble" in draw.note(drawn.figure)


def test_other_configs_of_a_study_are_not_taken_for_its_own(whole):
    """Configs that were tested on other clips are in the table of details only, last and marked."""
    data = ReportData((whole.studies[3],))
    drawn = FIGURES["architecture_detailed_comparison"](data)
    labels = [label.get_text() for label in drawn.figure.axes[0].get_yticklabels()]
    assert labels == ["net_grouped", "majority_grouped", "net_random†", "majority_random†"]
    assert "Leaky split: majority_random, net_random." in draw.note(drawn.figure)
    drawn = FIGURES["02_architecture_comparison"](data)
    left = "Not comparable, tested on other clips: majority_random, net_random."
    assert left in draw.note(drawn.figure) and left in drawn.text
    assert set(drawn.data["scores"]["config"]) == {"majority_grouped", "net_grouped"}
    table = FIGURES["10_improvement_timeline"](data).data["runs"]
    assert set(table["config"]) == {"majority_grouped", "net_grouped"}
    assert set(table[table["is_new_best"]]["config"]) == {"net_grouped"}


def test_configs_that_were_not_run_are_rows_that_say_so(whole):
    data = ReportData((replace(whole.results, not_run=["later"]),))
    for name in ("02_architecture_comparison", "architecture_detailed_comparison"):
        drawn = FIGURES[name](data)
        assert "Not run: later" in drawn.text
        ticks = " ".join(label.get_text() for label in drawn.figure.axes[0].get_yticklabels())
        assert "later" in ticks and "not run" in draw.words(drawn.figure) + ticks


def test_the_same_numbers_stand_in_all_figures(whole, of_whole):
    drawn = {name: of_whole(name).data for name in FIGURES if name not in NEED_MORE_STUDIES}
    wanted = whole.best.scores.scores.set_index("metric").loc["macro_f1", "mean"]
    name, confusion = whole.best.name, whole.best.scores.confusion
    scores = drawn["02_architecture_comparison"]["scores"].set_index(["config", "metric"])
    assert scores.loc[(name, "macro_f1"), "mean"] == wanted
    assert drawn["03_best_model_analysis"]["facts"].set_index("fact").loc["macro-F1", "value"] == wanted
    for figure, table, key, column in (
        ("05_radar_comparison", "values", "config", "macro_f1"),
        ("09_summary_infographic", "configs", "name", "mean"),
        ("architecture_detailed_comparison", "details", "config", "macro_f1"),
        ("architecture_comparison", "differences", "a", "score"),
    ):
        rows = drawn[figure][table]
        assert (rows.loc[rows[key] == name, column] == wanted).all() and name in set(rows[key])
    runs = drawn["10_improvement_timeline"]["runs"]
    np.testing.assert_allclose(runs[runs["config"] == name]["test"].mean(), wanted)
    for one in ("03_best_model_analysis", "08_error_analysis"):
        assert drawn[one]["pairs"]["count"].sum() == confusion.sum() - np.trace(confusion)
