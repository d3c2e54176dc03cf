import made_studies
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from drawings import overlapping, written

from poseemo_lib.clips import EMOTIONS
from poseemo_lib.plots.calibration import label_classes, recall_against_size
from poseemo_lib.report.data import load_report_data
from poseemo_lib.report.figures import best_model_analysis, error_analysis

CONFIGS = {
    "majority": {"architecture": "majority"},
    "net": {"architecture": "bilstm", "skill": 0.6},
    "worse": {"architecture": "gru", "skill": 0.1},
}


@pytest.fixture
def runs(tmp_path):
    return made_studies.made_study(tmp_path / "runs", CONFIGS)


def drawn(module, runs):
    figure, text, data = module.draw(load_report_data(runs))
    words = [text.get_text() for text in written(figure)]
    plt.close(figure)
    return words, text, data


def test_totals_and_the_printed_accuracy_are_those_of_the_counts(runs):
    words, text, data = drawn(best_model_analysis, runs)
    config = load_report_data(runs).best
    confusion = data["confusion"].to_numpy()
    assert confusion.sum() == config.scores.n_clips * len(config.seeds)
    answers = [(t.filter(regex="^p_").idxmax(axis=1).str[2:], t["label"]) for t in config.predictions().values()]
    by_hand = sum((answered == label).sum() for answered, label in answers)
    assert np.trace(confusion) == by_hand
    accuracy = f"{100 * np.trace(confusion) / confusion.sum():.1f} %"
    assert any(accuracy in one for one in words) and accuracy in text
    assert any(f"{by_hand:,} of {confusion.sum():,} are right" in one for one in words)
    assert data["pairs"]["count"].sum() == confusion.sum() - np.trace(confusion)
    assert data["answers"]["true"].sum() == pytest.approx(1) and data["answers"]["predicted"].sum() == pytest.approx(1)


@pytest.mark.parametrize("module", [best_model_analysis, error_analysis])
def test_a_changed_prediction_changes_what_is_drawn(module, runs):
    words, text, data = drawn(module, runs)
    path = runs / "net" / "seed-0" / "predictions.parquet"
    table = pd.read_parquet(path)
    row = table.index[(table["split"] == "test") & (table["label"] == "happy")][0]
    others = [name for name in table.columns if name.startswith("p_")]
    answered = table.loc[row, others].astype(float).idxmax()
    table.loc[row, others] = 0.05
    table.loc[row, "p_sad" if answered != "p_sad" else "p_fear"] = 0.7
    table.to_parquet(path)
    words_2, text_2, data_2 = drawn(module, runs)
    assert text_2 != text and words_2 != words
    moved = data["pairs"].merge(data_2["pairs"], on=["true", "predicted"], how="outer").fillna(0)
    assert (moved["count_x"] != moved["count_y"]).any()


def test_errors_of_every_seed_are_counted_and_a_dataset_that_is_gone_is_said(runs):
    words, text, data = drawn(error_analysis, runs)
    config = load_report_data(runs).best
    wrong = int((~data["answers"]["right"]).sum())
    assert len(data["answers"]) == config.scores.n_clips * 2
    assert wrong == data["pairs"]["count"].sum() and f"{wrong:,} of {len(data['answers']):,} answers are wrong" in text
    assert any("The dataset of these runs was not found" in one for one in words)
    assert data["recall_by_size"]["support"].sum() == config.scores.n_clips
    assert any("synthetic data" in one for one in words)


@pytest.mark.parametrize("module", [best_model_analysis, error_analysis])
@pytest.mark.parametrize(
    "configs", [{"majority": {"architecture": "majority"}}, {"net": {"skill": 1.0}}], ids=["baseline", "never wrong"]
)
def test_one_config_and_one_seed_are_drawn(module, configs, tmp_path):
    runs = made_studies.made_study(tmp_path / "runs", configs, seeds=(0,), n_groups=2, per_group=5)
    words, text, _ = drawn(module, runs)
    assert next(iter(configs)) in text and len(words) > 10


def test_a_walking_body_is_drawn_in_place_and_nothing_else_changes():
    rng = np.random.default_rng(0)
    body = rng.normal(size=(1, 2, 17, 3))
    clip = np.repeat(body, 4, axis=0)
    clip[..., :2] += 100 * np.arange(4)[:, None, None, None]
    clip[3] = np.nan
    before = clip.copy()
    moved = error_analysis.centred(clip)
    np.testing.assert_array_equal(clip, before)
    np.testing.assert_allclose(moved[1:3, ..., :2], moved[[0, 0], ..., :2])
    np.testing.assert_array_equal(moved[:3, ..., 2], clip[:3, ..., 2])
    shape = clip[0, ..., :2] - moved[0, ..., :2]
    np.testing.assert_allclose(shape, np.broadcast_to(shape[0, 0], shape.shape))
    assert np.isnan(moved[3]).all()


@pytest.mark.parametrize("module", [best_model_analysis, error_analysis])
@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_no_text_lies_on_another(module, seeds, tmp_path):
    figure, _, _ = module.draw(load_report_data(made_studies.made_study(tmp_path / "runs", CONFIGS, seeds=seeds)))
    assert not overlapping(figure)
    plt.close(figure)


def test_a_leader_joins_a_name_to_its_own_mark():
    sizes = [93, 86, 51, 142, 265, 81, 92]  # not in the order of the classes, and crowded
    recall = np.array([0.75, 0.61, 0.5, 0.82, 0.63, 0.91, 0.39])
    table = pd.DataFrame({"class": EMOTIONS, "n_train": sizes, "recall": recall, "low": 0.0, "high": 1.0})
    fig, ax = recall_against_size(table, EMOTIONS)
    fig.set_layout_engine("constrained")
    label_classes(ax, table)
    places = {note.xy: np.array(note.get_position()) for note in ax.texts if note.get_text()}
    leaders = [note for note in ax.texts if not note.get_text()]
    assert leaders and len(places) == len(EMOTIONS)
    for leader in leaders:
        # A leader ends at the label: it points the same way, and less far.
        label, end = places[leader.xy], np.array(leader.get_position())
        assert label @ end > 0 and np.hypot(*end) < np.hypot(*label)
    plt.close(fig)
