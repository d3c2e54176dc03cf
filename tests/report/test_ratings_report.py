"""A report of a study whose dataset has people's ratings, and that it is as before without."""

import drawings as draw
import numpy as np
import pytest
from made_ratings import rated_copy, study_on

from poseemo_lib.analysis.observers import MAJORITY, ONE
from poseemo_lib.analysis.results import format_scores
from poseemo_lib.data.dataset.ratings import RATINGS_FILE
from poseemo_lib.report.cards import dataset_card
from poseemo_lib.report.data import load_report_data
from poseemo_lib.report.figures import CATALOGUE
from poseemo_lib.report.figures.drawn import PEOPLE
from poseemo_lib.report.findings import findings
from poseemo_lib.text import percent

FIGURES = CATALOGUE["report_figures"]


@pytest.fixture(scope="module")
def rated(tiny, small_study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    return load_report_data(study_on(small_study, rated_copy(tiny, folder / "data"), folder / "study"))


@pytest.fixture(scope="module")
def plain(small_study):
    return load_report_data(small_study)


def scores(data, metric="accuracy"):
    return {name: float(own.score(metric)["mean"]) for name, own in data.observers.scores.items()}


def test_only_test_clips_count(rated):
    people, clips = rated.observers, rated.best.runs[0].record["clips"]
    assert people.n_tested == clips["test"] and 0 < people.n_rated <= clips["test"] and people.n_observers == 5
    assert 0.4 < scores(rated)[ONE] < scores(rated)[MAJORITY] < 1


@pytest.mark.parametrize("name", ["02_architecture_comparison", "03_best_model_analysis"])
def test_figures_have_labelled_lines_of_people(rated, plain, name):
    with_people, without = FIGURES[name](rated), FIGURES[name](plain)
    assert not draw.overlapping(with_people.figure)
    for person, value in scores(rated, "macro_f1" if name.startswith("02") else "accuracy").items():
        assert person in draw.words(with_people.figure) and person not in draw.words(without.figure)
        assert f"{person} {percent(value)}" in with_people.text and person not in without.text
    note = draw.note(with_people.figure)
    assert "Green: 5 observers, who rated" in note and "Green" not in draw.note(without.figure)


def test_lines_are_at_the_scores(rated):
    figure = FIGURES["02_architecture_comparison"](rated).figure
    for metric, ax in zip(("macro_f1", "balanced_accuracy", "accuracy"), figure.axes, strict=False):
        green = [line.get_xdata()[0] for line in ax.lines if line.get_color() == PEOPLE[ONE][0]]
        np.testing.assert_allclose(green, [100 * value for value in scores(rated, metric).values()])
    drawn = FIGURES["03_best_model_analysis"](rated)
    panel = next(ax for ax in drawn.figure.axes if ax.get_title(loc="left").startswith("Recall"))
    for lines, name in zip(panel.collections[-2:], (ONE, MAJORITY), strict=True):
        at = [segment[0][0] for segment in lines.get_segments() if len(segment)]
        np.testing.assert_allclose(at, 100 * rated.observers.recall[name].loc[list(rated.classes)].dropna())
    assert list(drawn.data["observers"]) == ["class", ONE, MAJORITY]


def test_the_score_table_ends_with_two_rows_of_people(rated, plain):
    table, before = format_scores(rated.score_table), format_scores(plain.score_table)
    assert list(table.index) == [*before.index, ONE, MAJORITY]
    assert table.loc[list(before.index)].equals(before) and before.equals(format_scores(plain.results.score_table()))
    for name, value in scores(rated).items():
        assert table.loc[name, "accuracy"].startswith(f"{100 * value:.1f} [")


def test_findings_and_card_say_it_in_one_sentence(rated, plain):
    people = rated.observers
    added = set(findings(rated).splitlines()) - set(findings(plain).splitlines())
    (said,) = added
    for value in (*scores(rated).values(), people.recall[ONE].min(), rated.best.scores.score("accuracy")["mean"]):
        assert percent(value) in said
    assert f"Krippendorff's alpha, is {people.agreement:.2f}." in said
    assert (
        f"People rated {people.n_rated} of {people.n_tested} test clips (5 observers, {people.n_ratings} ratings)"
        in said
    )
    card = dataset_card(rated)
    assert said.removeprefix("- ") in card and "observer" not in dataset_card(plain)
    assert set(card.splitlines()) - set(dataset_card(plain).splitlines()) == {said.removeprefix("- ")}


def test_without_ratings_there_are_no_people(plain):
    assert plain.observers is None and not (plain.dataset.fs.exists(f"{plain.dataset.root}/{RATINGS_FILE}"))
