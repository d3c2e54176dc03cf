import numpy as np
import pandas as pd
import pytest
from made_runs import CLASSES, make_table, write_config
from scipy.stats import norm
from scipy.stats import t as student
from statsmodels.stats.proportion import proportion_confint

from poseemo_lib.analysis import predictions, reliability
from poseemo_lib.analysis.results import load_results
from poseemo_lib.training import metrics
from poseemo_lib.training.evaluation import probability_columns


def random_tables(n_groups=12, n_each=25, seeds=2):
    rng = np.random.default_rng(0)
    groups = np.repeat([f"g{i}" for i in range(n_groups)], n_each)
    labels = rng.integers(0, 3, len(groups))
    tables = {}
    for seed in range(seeds):
        table = make_table(labels, labels, groups)
        table[probability_columns(CLASSES)] = rng.dirichlet(np.ones(3), len(groups))
        tables[seed] = table
    return tables


def labels_and_probabilities(tables):
    both = pd.concat(tables.values())
    return pd.Index(CLASSES).get_indexer(both["label"]), both[probability_columns(CLASSES)].to_numpy()


def test_the_diagram_is_that_of_the_ece():
    tables = random_tables()
    table = reliability.reliability_table(tables, CLASSES)
    labels, probabilities = labels_and_probabilities(tables)
    assert table["n"].sum() == len(labels)
    rows = table[table["n"] > 0]
    ece = (rows["n"] * (rows["accuracy"] - rows["confidence"]).abs()).sum() / len(labels)
    assert 0 <= ece - metrics.expected_calibration_error(labels, probabilities) < 0.02  # less what chance adds
    one = rows.iloc[3]
    confidence = probabilities.max(1)
    inside = (confidence > one["from"]) & (confidence <= one["to"])
    assert inside.sum() == one["n"] and one["low"] <= one["accuracy"] <= one["high"]
    assert one["accuracy"] == pytest.approx((probabilities.argmax(1) == labels)[inside].mean())


def test_coverage_and_accuracy_by_hand_at_every_threshold():
    tables = random_tables()
    thresholds = [0.0, 0.4, 0.5, 0.73, 1.0]
    table = reliability.coverage_table(tables, CLASSES, thresholds=thresholds)
    labels, probabilities = labels_and_probabilities(tables)
    for row, threshold in zip(table.itertuples(), thresholds, strict=True):
        given = probabilities.max(1) >= threshold
        assert row.n == given.sum() and row.coverage == pytest.approx(given.mean())
        if given.any():
            assert row.accuracy == pytest.approx((probabilities.argmax(1) == labels)[given].mean())
    assert table["coverage"].is_monotonic_decreasing and table["coverage"].iloc[0] == 1
    assert np.isnan(table["accuracy"].iloc[-1])


def test_intervals_need_groups_and_are_those_of_a_loop():
    tables = random_tables(n_groups=8)
    table = reliability.coverage_table(tables, CLASSES, thresholds=[0.5])
    found = predictions.predictions_table(tables, CLASSES).query("confidence >= 0.5")
    by_group = found.groupby("group_id")["right"].agg(["sum", "size"]).to_numpy()
    left = by_group.sum(0) - by_group
    share, spread = found["right"].mean(), 7 * np.var(left[:, 0] / left[:, 1])
    n, t = min(len(found), share * (1 - share) / spread), student.ppf(0.975, 7)
    wanted = proportion_confint(share * n, n, alpha=2 * norm.sf(t), method="wilson")
    assert table[["low", "high"]].to_numpy()[0] == pytest.approx(wanted)
    few = reliability.coverage_table(random_tables(n_groups=3), CLASSES, thresholds=[0.5])
    assert few[["low", "high"]].isna().all().all()


def test_pairs_and_most_confident_errors(tmp_path):
    write_config(tmp_path, "net", 0.6, seeds=(0, 1))
    config = load_results(tmp_path)["net"]
    pairs = predictions.confusion_pairs(config.scores.confusion, CLASSES)
    wrong = config.scores.confusion.sum() - np.trace(config.scores.confusion)
    assert pairs["count"].sum() == wrong and pairs["share_of_errors"].sum() == pytest.approx(1)
    assert (pairs["true"] != pairs["predicted"]).all() and pairs["count"].is_monotonic_decreasing
    found = predictions.mean_predictions(config)
    assert len(found) == config.scores.n_clips and (found["n_seeds"] == 2).all()
    mean = np.mean([t.set_index("clip_id")[probability_columns(CLASSES)] for t in config.calibrated().values()], 0)
    assert np.allclose(found["confidence"], mean.max(1))
    surest = predictions.most_confident_errors(config, 3)
    assert len(surest) == 3 and not surest["right"].any()
    assert surest["confidence"].min() >= found[~found["right"]]["confidence"].nlargest(3).min()
    assert predictions.confusion_pairs(np.eye(3, dtype=int), CLASSES).empty
