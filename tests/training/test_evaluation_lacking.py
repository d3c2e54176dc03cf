"""Bootstrap draws that lack a class of the test part."""

import numpy as np
import pandas as pd
import pytest
from made_runs import CLASSES, answers, make_table
from sklearn.metrics import balanced_accuracy_score, f1_score

from poseemo_lib.training.evaluation import MOST_LOST, config_scores, probability_columns

N_GROUPS, N_EACH = 10, 12
GROUPS = np.repeat([f"g{i}" for i in range(N_GROUPS)], N_EACH)


def some_labels(n_with_sad):
    """Angry and happy everywhere, sad in the first so many groups only."""
    rng = np.random.default_rng(4)
    sad = (np.arange(N_GROUPS * N_EACH) // N_EACH < n_with_sad) & (rng.random(N_GROUPS * N_EACH) < 0.4)
    return np.where(sad, 2, rng.integers(0, 2, N_GROUPS * N_EACH))


def interval(table, metric, **how):
    return config_scores({0: table}, CLASSES, **how).scores.set_index("metric").loc[metric, ["mean", "low", "high"]]


def drawn_tables(table, n_bootstrap):
    """The same draws, with the clips really repeated."""
    draws = np.random.default_rng(0).multinomial(N_GROUPS, np.full(N_GROUPS, 1 / N_GROUPS), n_bootstrap)
    for draw in draws:
        yield table.loc[table.index.repeat(np.repeat(draw, N_EACH))]


def score(metric, table):
    answered = np.array(CLASSES)[table[probability_columns(CLASSES)].to_numpy().argmax(1)]
    if metric == "accuracy":
        return np.mean(answered == table["label"])
    if metric == "macro_f1":
        return f1_score(table["label"], answered, average="macro", labels=np.unique(table["label"]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)  # that an answer is no true class of the draw
        return balanced_accuracy_score(table["label"], answered)


def test_a_constant_answer_has_the_balanced_accuracy_of_chance_without_any_spread():
    table = make_table(some_labels(3), np.zeros(N_GROUPS * N_EACH, int), GROUPS)
    assert any(table["label"].nunique() < 3 for table in drawn_tables(table, 500))
    assert interval(table, "balanced_accuracy", n_bootstrap=500).tolist() == pytest.approx([1 / 3] * 3)
    assert interval(table, "classes_above_5_percent", n_bootstrap=500).tolist() == [1, 1, 1]
    # what is answered does not move, what is true does
    accuracy = interval(table, "accuracy", n_bootstrap=500)
    assert accuracy["low"] < accuracy["mean"] < accuracy["high"]


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1", "accuracy"])
@pytest.mark.parametrize("n_with_sad", [3, 1])
def test_intervals_equal_a_naive_bootstrap_of_the_draws_that_have_all_classes(metric, n_with_sad):
    labels = some_labels(n_with_sad)
    table = make_table(labels, answers(labels, 0.6, np.random.default_rng(1)), GROUPS)
    drawn = [(score(metric, one), one["label"].nunique() == 3) for one in drawn_tables(table, 300)]
    scores, whole = pd.DataFrame(drawn).T.to_numpy()
    whole = whole.astype(bool)
    assert (~whole).mean() > 0 and ((~whole).mean() < MOST_LOST) == (n_with_sad == 3)
    # Where a class hangs on one group all draws stay; accuracy is no average over classes.
    kept = scores[whole] if n_with_sad == 3 and metric != "accuracy" else scores
    wanted = np.percentile(kept.astype(float), [2.5, 97.5])
    assert interval(table, metric, n_bootstrap=300)[["low", "high"]].tolist() == pytest.approx(wanted.tolist())


def test_a_draw_is_left_out_where_any_seed_lacks_a_class():
    """Seeds with other clips: the second has sad in three groups only."""
    many, few = (make_table(some_labels(n), np.ones(N_GROUPS * N_EACH, int), GROUPS) for n in (9, 3))
    scores = config_scores({0: many, 1: few}, CLASSES, n_bootstrap=500).scores.set_index("metric")
    assert scores.loc["balanced_accuracy", ["mean", "low", "high"]].tolist() == pytest.approx([1 / 3] * 3)
