import shutil
from dataclasses import replace

import drawings
import made_studies
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import SMALL

from poseemo_lib.analysis import interpretation
from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.interpretation import choose_clips, interpret, player_clips
from poseemo_lib.analysis.recovery import format_recovery, format_similarity
from poseemo_lib.analysis.results import load_results
from poseemo_lib.data.dataset import Dataset
from poseemo_lib.plots.attention import attention_courses, contribution_maps
from poseemo_lib.report.data import ReportData, load_report_data
from poseemo_lib.report.figures import feature_importance
from poseemo_lib.skeleton import JOINT
from poseemo_lib.training.calibration import calibrated
from poseemo_lib.training.parameters import check_parameters
from poseemo_lib.training.run import train_run


@pytest.fixture(scope="module")
def data(small_study):
    return load_report_data(small_study)


@pytest.fixture(scope="module")
def found(data):
    return data.interpretation


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


class TestInterpretation:
    def test_it_states_what_it_rests_on(self, found, data):
        n = len(data.best.runs[0].predictions("test"))
        wanted = {"n_clips": n, "n_seeds": 2, "n_random": 4, "unit": "clip", "resampled_by": "group"}
        assert wanted.items() <= found.counts.items() and found.counts["n_repeats"] == interpretation.N_REPEATS
        assert 0 < found.counts["completeness"] < 0.2 and found.config == "net"

    def test_every_block_has_a_drop_within_its_interval_and_a_reference(self, found):
        table = found.importance
        assert dict(table["kind"].value_counts()) == {"joint": 17, "time": 8, "feature": 5, "person": 2}
        assert np.isfinite(table[["drop", "loss_increase", "randomised_drop"]]).all(axis=None)
        assert (table["low"] <= table["high"]).all() and (table["low"] <= 1).all() and (table["high"] >= -1).all()
        times = table[table["kind"] == "time"]
        assert list(times["name"])[:2] == ["0.0–0.1", "0.1–0.2"]  # 16 frames at 25 a second
        np.testing.assert_allclose(times[["attention", "even"]].sum(), 1, atol=1e-6)
        assert table.loc[table["kind"] != "time", ["attention", "even"]].isna().all(axis=None)

    def test_recovery_is_of_both_kinds_of_weights_against_one_chance(self, found):
        table = found.recovery.set_index(["method", "target", "model"])
        for (method, target), rows in found.recovery.groupby(["method", "target"]):
            assert set(rows["model"]) == {"trained", "randomised"} and rows["chance"].nunique() == 1, (method, target)
        np.testing.assert_allclose(table["difference"], table["precision"] - table["chance"])
        person = table.loc[("integrated gradients", "person", "trained")]
        assert person["chance"] == 0.5 and 0 < person["n_clips"] < found.counts["n_attributed"]
        similar = found.similarity.set_index(["compared", "target"])["correlation"]
        assert len(similar) == 4 and abs(similar["trained and random weights", "joints"]) < 0.3

    def test_tables_for_reading_say_the_same(self, found):
        table = found.recovery.set_index(["method", "target", "model"])
        for row in format_recovery(found.recovery).to_dict("records"):
            trained, random = (table.loc[(row["method"], row["target"], name)] for name in ("trained", "randomised"))
            assert row["precision"] == f"{100 * trained['precision']:.1f}" and row["clips"] == trained["n_clips"]
            assert row["trained, above chance"].startswith(f"{100 * trained['difference']:+.1f} [")
            assert row["randomised, above chance"].endswith(f"{100 * random['difference_high']:+.1f}]")
        assert len(format_similarity(found.similarity)) == len(found.similarity)

    def test_a_costly_network_looks_at_fewer_clips(self, data, monkeypatch):
        monkeypatch.setattr(interpretation, "MOST_WORK", 1)
        monkeypatch.setattr(interpretation, "LEAST_WINDOWS", 5)
        assert interpret(data.best, data.dataset).counts["n_clips"] == 5

    def test_without_network_dataset_or_true_locations_it_leaves_things_out(self, data, monkeypatch):
        assert interpret(data.results["majority"], data.dataset) is None
        assert interpret(data.best, None) is None
        alone = ConfigRuns("net", data.best.runs[:1])
        monkeypatch.setattr(interpretation, "planted_table", lambda dataset: None)
        found = interpret(alone, data.dataset)
        assert found.recovery is None and found.counts["n_seeds"] == 1 and found.counts["n_random"] == 3
        assert set(found.similarity["compared"]) == {"trained and random weights"}

    def test_folds_and_recordings_are_pooled(self, tiny, tmp_path):
        dataset = Dataset(tiny)
        folds = sorted(dataset.table()["group_id"].unique())[:3]
        shared = {"split": "leave_one_group_out", "architecture": "conv1d", "epochs": 1}
        for fold in folds:
            values = {**SMALL, **shared, "model": {"hidden": 8}, "dataset": str(tiny), "fold": fold}
            train_run(check_parameters(values), tmp_path / "net" / fold / "seed-0", config="net")
        for path in tmp_path.rglob("run.json"):
            path.write_text(path.read_text().replace('"score_by": "clip"', '"score_by": "source"'))
        (config,) = load_results(tmp_path).configs
        found = interpret(config, dataset)
        in_test = dataset.table().query("group_id in @folds")
        assert (found.counts["unit"], found.counts["n_clips"]) == ("recording", in_test["source_id"].nunique())
        assert found.counts["n_groups"] == 3
        assert found.importance["attention"].isna().all() and found.counts["n_random"] == 3


class TestPlayer:
    def test_right_ones_of_each_class_then_wrong_ones(self):
        rows = {"label": [0, 0, 1, 1, 2, 2], "prediction": [0, 0, 1, 0, 1, 0]}
        predictions = pd.DataFrame(rows | {"confidence": [0.5, 0.9, 0.4, 0.8, 0.6, 0.7]})
        assert list(choose_clips(predictions, 6).index) == [1, 2, 3, 5, 4]
        assert list(choose_clips(predictions, 3).index) == [1, 2, 3]
        assert list(choose_clips(predictions[:3], 6).index) == [1, 2]

    def test_clips_are_as_the_network_saw_them(self, data):
        from poseemo_lib.plots.player import skeleton_player

        config = data.best
        clips = player_clips(config, data.dataset, n=6)
        run = config.runs[0]
        predictions = calibrated(run.predictions("test"), config.classes, run.calibration()).set_index("clip_id")
        assert len(clips) == 6 == len({clip.name for clip in clips})
        for clip in clips:
            assert clip.label == predictions.loc[clip.name, "label"] and clip.fps == 25
            assert clip.keypoints.shape == (16, 2, 17, 3) and clip.mask.shape == (16,)
            assert clip.probabilities.sum() == pytest.approx(1) and clip.attention.sum() == pytest.approx(1)
            # one window a clip in these runs: the prediction is the run's, calibrated
            own = predictions.loc[clip.name, [f"p_{name}" for name in config.classes]].to_numpy(float)
            assert clip.probabilities == pytest.approx(own, abs=1e-5)
            assert clip.planted is None or 0 <= clip.planted[0] < clip.planted[1] <= clip.mask.sum()
        assert any(clip.planted for clip in clips)
        assert skeleton_player(clips, config.classes, synthetic=True).frames
        assert player_clips(data.results["majority"], data.dataset) == player_clips(config, None) == []


class TestClipFigures:
    view = {"mask": np.arange(6) < [[6], [4]], "spans": [(1, 3), None], "titles": ["a $ b", "sad"], "fps": 2.0}

    def test_attention_is_drawn_as_times_the_even_share_over_real_frames(self):
        attention = {"trained": np.array([[0, 0.5, 0.5, 0, 0, 0], [0.25, 0.25, 0.25, 0.25, 0, 0]])}
        attention["random weights"] = attention["trained"][::-1].copy()
        fig, axes = attention_courses(attention, synthetic=True, **self.view)
        np.testing.assert_allclose(
            axes[0].lines[0].get_xydata(), [[0, 0], [0.5, 3], [1, 3], [1.5, 0], [2, 0], [2.5, 0]]
        )
        np.testing.assert_allclose(axes[1].lines[0].get_ydata(), 1)
        assert len(axes[0].patches) == 1 and not axes[1].patches

    def test_contributions_are_drawn_with_their_sign_and_without_padding(self):
        values = {name: np.random.default_rng(0).normal(size=(2, 6, 17)) for name in ("trained", "random weights")}
        fig, axes = contribution_maps(values, synthetic=True, **self.view)
        assert axes.shape == (2, 2) and not drawings.overlapping(fig)
        shown = axes[0, 1].collections[0]
        np.testing.assert_allclose(shown.get_array(), values["trained"][1, :4].T)
        assert shown.norm.vmin == -shown.norm.vmax and shown.norm.vmax == np.abs(values["trained"][1, :4]).max()
        assert [len(ax.lines) for ax in axes[0]] == [2, 0]


class TestFigure:
    def test_it_draws_the_tables_and_says_what_they_say(self, data, found):
        drawn = feature_importance.draw(data)
        assert set(drawn.data) == {"importance", "similarity", "counts", "recovery"}
        assert drawn.data["importance"] is found.importance
        joint, body, feature, person, time, recovered = drawn.figure.axes[:6]
        widths = sorted((bar.get_width() for bar in joint.patches), reverse=True)
        drops = found.importance.query("kind == 'joint'")["drop"]
        np.testing.assert_allclose(widths, sorted(100 * drops, reverse=True))
        assert [len(ax.patches) for ax in (feature, person, time)] == [5, 2, 8]
        np.testing.assert_allclose(body.collections[0].get_array()[JOINT["nose"]],
                                   max(100 * found.importance.query("name == 'nose'")["drop"].iloc[0], 0))  # fmt: skip
        assert len(recovered.get_yticks()) == len(found.recovery) // 2
        top = found.importance.query("kind == 'person'").sort_values("drop").iloc[-1]
        assert f"{top['name']} {100 * top['drop']:+.1f}" in drawn.text and "random weights" in drawn.text
        written = " ".join(text.get_text() for text in drawings.written(drawn.figure))
        assert "synthetic data" in written and f"{found.counts['n_clips']} clips" in written.replace("\n", " ")
        assert not drawings.overlapping(drawn.figure)

    def test_a_long_name_no_attention_nothing_planted_and_a_leak(self, found):
        importance = found.importance.assign(attention=np.nan)
        look = {"title": r"a \$ and <b>", "note": "s", "synthetic": False, "leaky": True}
        fig = feature_importance.importance_figure(importance, None, **look)
        written = " ".join(text.get_text() for text in drawings.written(fig))
        assert "this network has no attention" in written and "Not run" in written and "leaky split" in written
        assert not drawings.overlapping(fig) and len(fig.axes) == 6

    def test_the_headline_names_only_what_is_sure(self):
        table = pd.DataFrame(
            {"kind": ["joint", "joint", "person"], "name": ["left_wrist", "nose", "person 1"], "drop": [0.1, 0.2, 0.3],
             "low": [0.05, -0.01, 0.2]}
        )  # fmt: skip
        text = feature_importance.headline(table)
        assert text == "balanced accuracy falls most by permuting person 1 (30 points), left wrist (10 points)"
        assert "permuting no single input" in feature_importance.headline(table.assign(low=-1.0))

    def test_what_is_missing_is_an_empty_panel(self, data, small_study, tmp_path):
        majority = ReportData((replace(data.results, configs=[data.results["majority"]]),))
        assert "majority, is not a network" in feature_importance.draw(majority).text
        shutil.copytree(small_study, tmp_path / "runs")
        (tmp_path / "runs" / "net" / "seed-1" / "weights.safetensors").unlink()
        drawn = feature_importance.draw(load_report_data(tmp_path / "runs"))
        assert "not run" in drawn.text and "weights.safetensors" in drawn.text and drawn.data == {}
        made = made_studies.made_study(tmp_path / "made", {"net": {"architecture": "bilstm"}})
        assert "dataset" in feature_importance.draw(load_report_data(made)).text


# By how much the trained networks' lower end lies over chance, and over the random networks' upper end, at least.
LEAST_RECOVERY = {
    ("integrated gradients", "joints"): (0.2, 0.1),
    ("permutation", "joints"): (0.1, 0.05),
    ("integrated gradients", "frames"): (0.05, 0.02),
    ("attention", "frames"): (0.05, 0.05),
    ("integrated gradients", "person"): (0.05, 0.0),
}


@pytest.mark.slow
def test_a_trained_network_finds_what_was_planted_and_a_random_one_does_not(tmp_path, monkeypatch):
    from poseemo_lib.data.synthetic import write_synthetic_dataset

    # One random network prefers one sign of a class by chance, and its interval is over clips only.
    monkeypatch.setattr(interpretation, "N_RANDOM", 12)
    write_synthetic_dataset(tmp_path / "data", 1600, seed=5, signal=4.0, n_groups=160, cues="local")
    values = {"dataset": str(tmp_path / "data"), "architecture": "multiscale", "epochs": 20, "lr": 1e-3}
    for seed in (0, 1):
        train_run(check_parameters(values | {"seed": seed}), tmp_path / "runs" / "net" / f"seed-{seed}", config="net")
    found = interpret(load_results(tmp_path / "runs")["net"], Dataset(tmp_path / "data")).recovery
    rows = found.set_index(["method", "target", "model"]).sort_index()
    for pair, (over_chance, over_random) in LEAST_RECOVERY.items():
        trained, randomised = (rows.loc[(*pair, model)] for model in ("trained", "randomised"))
        assert trained["difference_low"] > over_chance, pair
        assert trained["difference_low"] - randomised["difference_high"] > over_random, pair
        assert trained["over_fixed_low"] > 0 and trained["over_reversed_low"] > 0.05, pair
    joints = rows.xs(("integrated gradients", "joints"))
    assert joints.loc["trained", "chance"] < 0.2 and joints.loc["trained", "over_fixed_low"] > 0.1
    # What little a random network finds over chance, it finds upside down too.
    assert joints.loc["randomised", "difference_high"] < 0.12
    assert joints.loc["randomised", "over_reversed_low"] < 0.03
