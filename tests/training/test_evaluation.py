import numpy as np
import pandas as pd
import pytest
from scipy.special import logit
from scipy.stats import norm
from scipy.stats import t as student
from statsmodels.stats.proportion import proportion_confint

from poseemo_lib.errors import PoseemoError
from poseemo_lib.training import evaluation, metrics

CLASSES = ("a", "b", "c")


def make_table(labels, probabilities, groups, sources=None, split="test"):
    table = pd.DataFrame(
        {
            "clip_id": [f"clip-{i}" for i in range(len(labels))],
            "split": split,
            "label": [CLASSES[i] for i in labels],
            "group_id": groups,
            "source_id": [f"source-{i}" for i in range(len(labels))] if sources is None else sources,
        }
    )
    table[evaluation.probability_columns(CLASSES)] = probabilities
    return table


def random_table(seed, n=60, n_groups=6, bonus=0.4):
    labels = np.random.default_rng(99).integers(0, 3, n)
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(3), n)
    probabilities[np.arange(n), labels] += bonus
    return make_table(
        labels, probabilities / probabilities.sum(1, keepdims=True), [f"g{i % n_groups}" for i in range(n)]
    )


def split_table(table):
    labels = pd.Index(CLASSES).get_indexer(table["label"])
    return labels, table[evaluation.probability_columns(CLASSES)].to_numpy()


def test_means_and_sds_are_those_of_the_single_seeds():
    tables = {k: random_table(k) for k in range(3)}
    config = evaluation.config_scores(tables, CLASSES)
    single = [metrics.score_predictions(*split_table(table), CLASSES) for table in tables.values()]
    for metric in config.scores["metric"]:
        values = [one[metric] for one in single]
        assert config.score(metric)["mean"] == pytest.approx(np.mean(values)), metric
        assert config.score(metric)["sd"] == pytest.approx(np.std(values, ddof=1)), metric
    per_class = config.per_class.set_index(["class", "metric"])
    assert per_class.loc[("b", "recall"), "mean"] == pytest.approx(
        np.mean([one["per_class"]["b"]["recall"] for one in single])
    )
    np.testing.assert_array_equal(config.confusion, np.sum([one["confusion"] for one in single], axis=0))
    assert (config.n_clips, config.n_groups, config.n_seeds, config.resampled_by) == (60, 6, 3, "group")


def test_intervals_end_where_the_scores_do():
    table = make_table([0, 1, 2, 0, 1, 2], np.eye(3)[[0, 1, 2, 1, 2, 0]], ["g", "g", "g", "h", "h", "h"])
    config = evaluation.config_scores({0: table}, CLASSES)
    for metric, low, high in (("ece", 0, 1), ("classes_above_5_percent", 0, 3), ("kappa", -1, 1), ("mcc", -1, 1)):
        assert low <= config.score(metric)["low"] and config.score(metric)["high"] == high, metric


def naive_jackknife(tables):
    """Every metric from scratch, without each group in turn."""
    for group in sorted(set(pd.concat([table["group_id"] for table in tables]))):
        kept = [table[table["group_id"] != group] for table in tables]
        scores = [metrics.score_predictions(*split_table(table), CLASSES) for table in kept]
        flat = [one | {f"recall {name}": one["per_class"][name]["recall"] for name in CLASSES} for one in scores]
        yield {name: np.mean([one[name] for one in flat]) for name in flat[0] if np.isscalar(flat[0][name])}


def test_intervals_are_those_of_a_naive_jackknife():
    tables = {k: random_table(k) for k in range(2)}
    config = evaluation.config_scores(tables, CLASSES)
    spread = pd.DataFrame(naive_jackknife(list(tables.values()))).var(ddof=0) * 5
    t = student.ppf(0.975, 5)
    for metric in ("kappa", "mcc", "nll"):
        row = config.score(metric)
        half = t * np.sqrt(spread[metric])
        assert [row["low"], row["high"]] == pytest.approx([row["mean"] - half, row["mean"] + half]), metric
    for metric in ("balanced_accuracy", "macro_f1"):
        row = config.score(metric)
        half = t * np.sqrt(spread[metric]) / (row["mean"] * (1 - row["mean"]))
        assert logit([row["low"], row["high"]]) == pytest.approx(logit(row["mean"]) + np.array([-half, half])), metric
    for name in CLASSES:
        row = config.per_class.set_index(["class", "metric"]).loc[(name, "recall")]
        n = min(row["support"], row["mean"] * (1 - row["mean"]) / spread[f"recall {name}"])
        wilson = proportion_confint(row["mean"] * n, n, alpha=2 * norm.sf(t), method="wilson")
        assert [row["low"], row["high"]] == pytest.approx(wilson)


def test_repeats_add_what_splits_change_and_do_not_shrink_the_part_of_the_groups():
    keys = [evaluation.Training(seed, repeat) for repeat in (1, 2, 3) for seed in (0, 1)]
    tables = {key: random_table(10 * key.repeat + key.seed) for key in keys}
    config = evaluation.config_scores(tables, CLASSES)
    assert (config.n_seeds, config.n_repeats, config.n_clips, config.n_groups) == (2, 3, 60, 6)
    left = [pd.DataFrame(naive_jackknife([tables[key] for key in keys if key.repeat == r])) for r in (1, 2, 3)]
    for metric in ("kappa", "mcc", "nll"):
        of_repeats = [
            np.mean([metrics.score_predictions(*split_table(tables[key]), CLASSES)[metric] for key in keys[i : i + 2]])
            for i in (0, 2, 4)
        ]
        without = np.array([one[metric] for one in left])  # repeat, group
        own = np.var(of_repeats, ddof=1) - 5 * (without - without.mean(0)).var(axis=1).sum() / 2
        parts = [5 * without.mean(0).var(), max(own, 0) / 3]
        df = sum(parts) ** 2 / (parts[0] ** 2 / 5 + parts[1] ** 2 / 2)
        half = student.ppf(0.975, df) * np.sqrt(sum(parts))
        row = config.score(metric)
        assert row["mean"] == pytest.approx(np.mean(of_repeats))
        assert [row["low"], row["high"]] == pytest.approx([row["mean"] - half, row["mean"] + half]), metric
    # Ten repeats that agree are worth one: the same mean and the same interval.
    one = evaluation.config_scores({0: random_table(1)}, CLASSES).scores
    alike = {evaluation.Training(0, repeat): random_table(1) for repeat in range(1, 11)}
    pd.testing.assert_frame_equal(
        evaluation.config_scores(alike, CLASSES).scores.drop(columns="sd"), one.drop(columns="sd")
    )


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_of_none_or_all_clips_has_the_interval_of_wilson(share):
    right = np.full(60, bool(share))
    table = make_table(np.zeros(60, int), np.eye(3)[np.where(right, 0, 1)], [f"g{i % 6}" for i in range(60)])
    row = evaluation.config_scores({0: table}, CLASSES).score("accuracy")
    alpha = 2 * norm.sf(student.ppf(0.975, 5))
    assert [row["low"], row["high"]] == pytest.approx(proportion_confint(60 * share, 60, alpha=alpha, method="wilson"))


def test_ece_of_a_calibrated_model_is_near_zero_and_of_a_wrong_one_near_its_error():
    rng = np.random.default_rng(0)
    found = {"calibrated": [], "overconfident": []}
    for _ in range(200):
        p = rng.uniform(0.5, 1, 100)
        right = rng.random(100) < p
        for name, shown in (("calibrated", p), ("overconfident", np.full(100, 0.95))):
            labels = np.where(right, 0, 1)
            found[name].append(metrics.expected_calibration_error(labels, np.stack([shown, 1 - shown], 1)))
    assert np.mean(found["calibrated"]) < 0.04  # without the correction: 0.10
    assert np.mean(found["overconfident"]) == pytest.approx(0.2, abs=0.01)  # three in four are right


def test_a_single_group_is_resampled_by_clip_and_says_so():
    table = random_table(0, n_groups=1)
    config = evaluation.config_scores({0: table}, CLASSES)
    accuracy = config.score("accuracy")
    assert config.resampled_by == "clip" and config.n_groups == 1
    assert accuracy["low"] < accuracy["mean"] < accuracy["high"]
    assert np.isnan(accuracy["sd"])


def test_seeds_with_different_clips():
    table = random_table(0)
    halves = {0: table[table["group_id"] < "g3"], 1: table[table["group_id"] >= "g3"]}
    config = evaluation.config_scores(halves, CLASSES)
    assert (config.n_clips, config.n_groups) == (60, 6)
    assert np.isfinite(config.scores[["mean", "low", "high"]].to_numpy()).all()


def test_a_class_without_clips_has_no_score():
    table = random_table(0)
    config = evaluation.config_scores({0: table[table["label"] != "c"]}, CLASSES)
    per_class = config.per_class.set_index("class").loc["c"]
    assert per_class[["mean", "low", "high"]].isna().all().all() and (per_class["support"] == 0).all()
    assert np.isfinite(config.scores[["mean", "low", "high"]].to_numpy()).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns=["p_b", "group_id"]), "missing group_id, p_b"),
        (lambda t: t.iloc[:0], "at least one clip"),
        (lambda t: t.assign(split=["val"] + ["test"] * (len(t) - 1)), "one split, got test, val"),
        (lambda t: pd.concat([t, t.iloc[[4]]]), "clip 'clip-4': wanted each clip once"),
        (lambda t: t.assign(label=["joy", *t["label"][1:]]), "clip 'clip-0': wanted a label of a, b, c, .*'joy'"),
        (lambda t: t.assign(p_a=[*t["p_a"][:-1], np.nan]), "clip 'clip-59': wanted probabilities that add up to 1"),
        (lambda t: t.assign(p_a=-0.5), "clip 'clip-0': wanted probabilities"),
    ],
)
def test_unsound_tables_are_refused(change, message):
    with pytest.raises(PoseemoError, match=message) as caught:
        evaluation.config_scores({7: change(random_table(0))}, CLASSES)
    assert "seed 7" in str(caught.value)


def test_average_by_source():
    probabilities = np.array([[0.8, 0.2, 0.0], [0.4, 0.2, 0.4], [0.1, 0.1, 0.8]])
    table = make_table([0, 0, 2], probabilities, ["g0", "g0", "g1"], sources=["walk", "walk", "bow"])
    out = evaluation.average_by_source(table, CLASSES).set_index("clip_id")
    assert out.loc["walk", ["p_a", "p_b", "p_c"]].tolist() == pytest.approx([0.6, 0.2, 0.2])
    assert out.loc["bow", ["p_a", "p_b", "p_c"]].tolist() == pytest.approx([0.1, 0.1, 0.8])
    assert out["n_clips"].to_dict() == {"bow": 1, "walk": 2}
    assert out.loc["walk", ["label", "group_id", "split", "source_id"]].tolist() == ["a", "g0", "test", "walk"]
    evaluation.check_predictions(out.reset_index(), CLASSES)


def test_average_by_source_refuses_a_recording_with_two_labels():
    table = make_table([0, 1], np.eye(3)[[0, 1]], ["g0", "g0"], sources=["film", "film"])
    with pytest.raises(PoseemoError, match="recording 'film': wanted one label"):
        evaluation.average_by_source(table, CLASSES)


def with_rare_class(n_groups_with_c, rng_seed=4, n_each=12):
    """Classes a and b in all of ten groups, c in the first so many groups only."""
    rng = np.random.default_rng(rng_seed)
    rare = (np.arange(10 * n_each) // n_each < n_groups_with_c) & (rng.random(10 * n_each) < 0.4)
    return np.where(rare, 2, rng.integers(0, 2, 10 * n_each)), np.repeat([f"g{i}" for i in range(10)], n_each)


def test_a_constant_prediction_has_the_balanced_accuracy_of_chance_without_any_spread():
    """Also where a class is in one group only, and is lacking without it."""
    labels, groups = with_rare_class(1)
    constant = make_table(labels, np.tile([1.0, 0, 0], (120, 1)), groups)
    config = evaluation.config_scores({0: constant, 1: constant}, CLASSES)
    assert config.score("balanced_accuracy")["mean"] == pytest.approx(1 / 3)
    assert config.score("accuracy")["low"] < config.score("accuracy")["high"]
