import json
import shutil

import drawings as draw
import made_studies
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from poseemo_lib.analysis.speed import measure_speed
from poseemo_lib.plots import infographic
from poseemo_lib.plots.radar import Axis, best_values, scaled
from poseemo_lib.report.data import load_report_data
from poseemo_lib.report.figures import radar_comparison, summary_infographic
from poseemo_lib.training.metrics import expected_calibration_error

SMALL = {"hidden": 128}
LONG = "a very long name of a network that goes on & on <b> $x^2$"
MAIN = {
    "majority": {"architecture": "majority"},
    "extra_trees": {"architecture": "extra_trees", "skill": 0.4},
    "net": {"skill": 0.55},
    "gru": {"architecture": "gru", "skill": 0.3},
}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def measured(configs):
    return pd.DataFrame({"config": [config.name for config in configs], "ms_alone": np.arange(1.0, len(configs) + 1)})


@pytest.fixture(autouse=True, scope="module")
def fast():
    """No time is measured but where measuring is what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("poseemo_lib.analysis.speed.measure_speed", measured)
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("studies")
    made_studies.made_study(root / "main", MAIN)
    some = {name: made_studies.IMBALANCE[name] for name in ("nothing", "sampler", "twice")}
    made_studies.made_study(root / "imbalance", some)
    made_studies.made_study(root / "leakage", made_studies.LEAKAGE, leaks=made_studies.LEAKS)
    return root


@pytest.fixture(scope="module")
def material(runs):
    return load_report_data([runs / name for name in ("main", "imbalance", "leakage")])


def laid_out(drawn):
    """Draw it once: a closed figure has a canvas that draws nothing."""
    drawn.figure.canvas.draw()
    return drawn


@pytest.fixture(scope="module")
def page(material):
    return laid_out(summary_infographic.draw(material))


@pytest.fixture(scope="module")
def radar(material):
    return laid_out(radar_comparison.draw(material))


def answer(folder, column):
    """Let a run answer one class for all clips."""
    table = pd.read_parquet(folder / "predictions.parquet")
    table[[name for name in table.columns if name.startswith("p_")]] = 0.0
    table[column] = 1.0
    table.to_parquet(folder / "predictions.parquet")


def drop_class(root, name):
    """Take a class out of the test part of all runs."""
    for path in root.rglob("predictions.parquet"):
        table = pd.read_parquet(path)
        table[(table["split"] != "test") | (table["label"] != name)].to_parquet(path)


def all_text(fig):
    return " ".join(text.get_text() for text in fig.texts)


def inside(fig):
    """Whether all that is written lies on the page."""
    fig.canvas.draw()
    page = fig.bbox
    boxes = [text.get_window_extent() for text in draw.written(fig)]
    return all(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1 for box in boxes)


class TestRadar:
    def test_values_are_those_of_the_configs(self, material, radar):
        data = radar.data
        values = data["values"].set_index("config")
        assert list(values.index) == [config.name for config in radar_comparison.ranked_networks(material)]
        assert values.index[0] == material.best.name
        for config in (material.results["net"], material.results["gru"]):
            tables = pd.concat(config.predictions("test").values())
            columns = [f"p_{name}" for name in config.classes]
            answers = np.asarray(config.classes)[tables[columns].to_numpy().argmax(1)]
            assert values.loc[config.name, "accuracy"] == pytest.approx((answers == tables["label"]).mean())
            away = sum(abs((answers == name).mean() - (tables["label"] == name).mean()) for name in config.classes) / 2
            assert values.loc[config.name, "class_balance"] == pytest.approx(1 - away)
            errors = [
                expected_calibration_error(
                    pd.Index(config.classes).get_indexer(table["label"]), table[columns].to_numpy()
                )
                for table in config.calibrated("test").values()
            ]
            assert values.loc[config.name, "calibration"] == pytest.approx(1 - np.mean(errors))
            assert values.loc[config.name, "n_parameters"] == config.n_parameters

    def test_polygons_are_at_the_places(self, radar):
        places = radar.data["places"].set_index("config")
        lines = [line for line in radar.figure.axes[0].lines if line.get_marker() not in ("None", "", None)]
        for line, name in zip(reversed(lines), places.index, strict=True):
            np.testing.assert_allclose(line.get_ydata()[:-1], places.loc[name])
        assert not draw.overlapping(radar.figure)

    def test_ends_of_every_axis_are_written(self, radar):
        written = [text.get_text() for text in radar.figure.axes[0].texts]
        assert len(written) == 6 and all("rim " in text and "centre " in text for text in written)
        assert sum("log scale" in text for text in written) == 2
        assert any("rim 1 ms" in text and "centre 10 ms" in text for text in written)
        assert radar.data["axes"].set_index("name").loc["accuracy", ["centre", "rim"]].tolist() == [0, 1]

    def test_scaling(self):
        share, cost = Axis("a", "a", 0, 1, False, "{}"), Axis("b", "b", 100, 1, True, "{}")
        np.testing.assert_allclose(scaled([0, 0.25, 1], share), [0, 0.25, 1])
        np.testing.assert_allclose(scaled([100, 10, 1, 0.1, np.nan], cost), [0, 0.5, 1, 1, np.nan])
        values = pd.DataFrame({"a": [0.1, 0.3, 0.3], "b": [5.0, 50.0, np.nan]})
        assert best_values(values, [share, cost]).tolist() == [[False, True], [True, False], [True, False]]
        assert not best_values(values.iloc[:1], [share, cost]).any()

    @pytest.mark.parametrize(
        "values, ends", [([300, 5000], (100, 10_000)), ([0.6], (0.1, 1)), ([10], (10, 100)), ([np.nan], (1, 10))]
    )
    def test_costs_end_at_powers_of_ten(self, values, ends):
        assert radar_comparison.decades(pd.Series(values, dtype=float)) == pytest.approx(ends)

    def test_at_most_five_and_the_rest_is_named(self, tmp_path):
        configs = {f"net {i}": {"model": SMALL, "skill": 0.2 + 0.1 * i} for i in range(7)}
        material = load_report_data(made_studies.made_study(tmp_path, MAIN | configs, seeds=(0,)))
        drawn = radar_comparison.draw(material)
        ranked = [config.name for config in radar_comparison.ranked_networks(material)]
        assert list(drawn.data["values"]["config"]) == ranked[:5] and len(ranked) == 9
        note = drawn.figure.get_supxlabel().replace("\n", " ")
        assert f"not drawn: {', '.join(ranked[5:])}." in note and "1 seed a config" in note
        assert "5 best by validation" in drawn.figure.get_suptitle()
        assert not draw.overlapping(drawn.figure)

    def test_a_changed_answer_changes_the_data(self, runs, tmp_path):
        other = shutil.copytree(runs / "main", tmp_path / "main")
        before = radar_comparison.draw(load_report_data(other)).data["values"].set_index("config")
        answer(other / "gru" / "seed-0", "p_sad")
        after = radar_comparison.draw(load_report_data(other)).data["values"].set_index("config")
        assert (
            after.loc["gru", ["accuracy", "class_balance"]] < before.loc["gru", ["accuracy", "class_balance"]]
        ).all()
        pd.testing.assert_series_equal(after.loc["net"], before.loc["net"])

    def test_without_a_network(self, tmp_path):
        made_studies.made_study(tmp_path, {"majority": {"architecture": "majority"}})
        drawn = radar_comparison.draw(load_report_data(tmp_path))
        assert "not run" in drawn.text and not drawn.data

    def test_what_was_not_measured_is_a_gap(self, runs, monkeypatch):
        def none(configs):
            return pd.DataFrame({"config": [config.name for config in configs], "ms_alone": np.nan})

        monkeypatch.setattr("poseemo_lib.analysis.speed.measure_speed", none)
        drawn = radar_comparison.draw(load_report_data(runs / "main"))
        drawn.figure.canvas.draw()
        assert "not measured" in {text.get_text() for text in drawn.figure.axes[1].texts}
        assert "speed not measured" in drawn.text


class TestSpeed:
    def test_networks_have_a_time_and_baselines_none(self, material):
        configs = [material.results[name] for name in ("majority", "net")]
        speed = measure_speed([*configs, configs[1]]).set_index("config")
        assert np.isnan(speed.loc["majority", "ms_alone"])
        assert (speed.loc["net", "ms_alone"] > 0).all() and speed.loc["net", "ms_alone"].nunique() == 1


class TestInfographic:
    def test_numbers_are_those_of_the_configs(self, material, page):
        scores = page.data["scores"].set_index(["config", "metric"])["mean"]
        confusion = page.data["confusion"].to_numpy()
        assert np.trace(confusion) / confusion.sum() == pytest.approx(scores[material.best.name, "accuracy"])
        assert confusion.sum() == material.best.scores.n_clips * len(material.best.seeds)
        text = all_text(page.figure)
        for key in ((material.best.name, "macro_f1"), ("majority", "balanced_accuracy")):
            assert f"{100 * scores[key]:.1f} %" in text and f"{100 * scores[key]:.1f} %" in page.text
        assert material.best.chance == pytest.approx(scores["majority", "balanced_accuracy"])

    def test_bars_are_the_configs(self, material, page):
        table = page.data["configs"]
        np.testing.assert_allclose([bar.get_width() for bar in page.figure.axes[0].patches], 100 * table["mean"])
        assert table["mean"].is_monotonic_decreasing and list(table[table["is_chosen"]]["name"]) == [material.best.name]

    def test_the_answer_follows_the_tests(self, material, page):
        tests = material.baseline_tests.set_index("b")
        words = all_text(page.figure)
        assert tests.loc["majority", "significant"] and "net is better than the baseline" in words
        for name, row in tests.iterrows():
            verb = "is better than" if row["significant"] else "cannot be told apart from"
            assert name in words.partition(verb)[2][:60]
        row = tests.loc["extra_trees"]
        assert f"extra_trees, the strongest other baseline: {100 * row['difference']:+.1f} points" in words

    def test_best_and_worst_class(self, material, page):
        shown = page.data["classes"]
        confusion = material.best.scores.confusion
        recall = pd.Series(np.diag(confusion) / confusion.sum(1), material.classes)
        per_class = material.best.scores.per_class.query("metric == 'recall'").set_index("class")["mean"]
        assert list(shown["name"]) == [per_class.idxmax(), per_class.idxmin()]
        np.testing.assert_allclose(shown["value"], recall[shown["name"]], atol=0.02)  # of all seeds, not their mean

    def test_leak_and_double_correction(self, material, page):
        data = page.data
        study = material.leakage[0]
        wanted = [study[name].scores.scores.set_index("metric").loc["balanced_accuracy", "mean"]
                  for name in ("net_random", "net_grouped")]  # fmt: skip
        np.testing.assert_allclose(data["leak"]["value"], wanted)
        study, table = material.imbalance
        largest = table.loc[table["true"].idxmax(), "class"]
        answers = [study[name].predicted_shares.loc[largest] for name in ("nothing", "twice")]
        wanted = [answers[0]["true"], answers[0]["predicted"], answers[1]["predicted"]]
        np.testing.assert_allclose(data["regimes"]["value"], wanted)

    def test_deleted_runs_are_not_run(self, runs):
        drawn = summary_infographic.draw(load_report_data(runs / "main"))
        assert drawn.data["leak"].empty and drawn.data["regimes"].empty
        panels = [[text.get_text() for text in ax.texts] for ax in drawn.figure.axes[3:]]
        assert all(texts[0].startswith("not run") for texts in panels) and len(panels) == 2
        assert drawn.text.count("not run") == 2

    def test_a_changed_answer_changes_the_data(self, runs, tmp_path):
        other = shutil.copytree(runs / "main", tmp_path / "main")
        before = summary_infographic.draw(load_report_data(other)).data
        answer(other / "net" / "seed-0", "p_sad")
        after = summary_infographic.draw(load_report_data(other)).data
        mean = [data["configs"].set_index("name").loc["net", "mean"] for data in (before, after)]
        assert mean[1] < mean[0] and not before["confusion"].equals(after["confusion"])

    def test_at_most_eight_configs(self, tmp_path):
        configs = {f"net {i}": {"model": SMALL, "skill": 0.2 + 0.08 * i} for i in range(8)}
        kinds = ("majority", "stratified", "extra_trees", "logistic_regression")
        configs |= {name: {"architecture": name, "skill": 0.3} for name in kinds}
        material = load_report_data(made_studies.made_study(tmp_path, configs, seeds=(0,)))
        table = summary_infographic.configs_table(material)
        assert len(table) == 8 and table["is_baseline"].sum() == 3
        assert {"majority", material.best.name} <= set(table["name"])
        ranked = sorted(
            (config for config in material.main.configs if config.is_network), key=lambda c: -c.validation_macro_f1
        )
        assert set(table[~table["is_baseline"]]["name"]) == {config.name for config in ranked[:5]}
        assert "Drawn: the majority" in all_text(summary_infographic.draw(material).figure)


CASES = {
    "two configs": ({"majority": {"architecture": "majority"}, "net": {}}, (0, 1), "better than the baseline majority"),
    "one config": ({"net": {}}, (0,), "no baseline was run"),
    "baselines only": (
        {"majority": {"architecture": "majority"}, "extra_trees": {"architecture": "extra_trees"}},
        (0,),
        "No network was run",
    ),
    "majority alone": ({"majority": {"architecture": "majority"}}, (0,), "No network was run"),
    "long names": (
        {LONG: {}, "x" * 60: {"architecture": "gru"}, f"{LONG} again": {"architecture": "majority"}},
        (0, 1),
        "is better than the baseline",
    ),
    "a leak": (
        {name: made_studies.LEAKAGE[name] for name in ("majority_random", "net_random")},
        (0, 1),
        "On a leaky split, no estimate:",
    ),
}


@pytest.mark.parametrize("configs, seeds, said", CASES.values(), ids=CASES.keys())
def test_any_study_has_both_figures(tmp_path, configs, seeds, said):
    material = load_report_data(made_studies.made_study(tmp_path, configs, seeds=seeds, leaks=made_studies.LEAKS))
    drawn = summary_infographic.draw(material)
    assert said in drawn.text and said in all_text(drawn.figure)
    for figure in (drawn.figure, radar_comparison.draw(material).figure):
        assert not draw.overlapping(figure) and inside(figure)


def test_a_class_without_test_clips_and_no_groups(tmp_path):
    made_studies.made_study(tmp_path, {"net": {}, "majority": {"architecture": "majority"}}, n_groups=1, per_group=60)
    drop_class(tmp_path, "fear")
    drawn = summary_infographic.draw(load_report_data(tmp_path))
    assert "fear" not in set(drawn.data["classes"]["name"])
    assert "1 of 7 classes have no test clips" in all_text(drawn.figure).replace("\n", " ")
    assert "nothing is claimed" in drawn.text and "share nothing" not in drawn.text


def test_folds_and_recordings(tmp_path):
    for fold in ("g0", "g1", "g2"):
        values = {"split": "leave_one_group_out", "fold": fold, "score_by": "source"}
        made_studies.made_study(tmp_path / fold, {"net": values}, seeds=(0,))
    drawn = summary_infographic.draw(load_report_data(tmp_path))
    assert "recordings in" in drawn.text and "trained on the others" in drawn.text
    radar_comparison.draw(load_report_data(tmp_path)).figure.canvas.draw()


def test_other_classes_are_no_emotions(tmp_path):
    made_studies.made_study(tmp_path, {"net": {}}, seeds=(0,))
    for path in tmp_path.rglob("run.json"):
        record = json.loads(path.read_text())
        record["classes"] = ["wave" if name == "angry" else name for name in record["classes"]]
        path.write_text(json.dumps(record))
    for name in ("predictions", "split"):
        for path in tmp_path.rglob(f"{name}.parquet"):
            table = pd.read_parquet(path).replace({"label": {"angry": "wave"}})
            table.rename(columns={"p_angry": "p_wave"}).to_parquet(path)
    drawn = summary_infographic.draw(load_report_data(tmp_path))
    assert "tell 7 classes" in drawn.text
    drawn.figure.canvas.draw()


def test_texts_fit_their_boxes():
    lines, size = infographic.fit_text("word " * 60, 20, 3, 0.5)
    assert size == 8 and lines[-1].endswith("…") and len(lines) == int(0.5 * 72 / (8 * 1.3))
    lines, size = infographic.fit_text("short", 20, 3, 0.5)
    assert (lines, size) == (["short"], 20)
    assert infographic.wrap_text("a b\nc", 10, 3) == ["a b", "c"]
    assert "".join(infographic.wrap_text("x" * 90, 12, 2)) == "x" * 90
