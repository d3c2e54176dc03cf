import numpy as np
import pandas as pd
import pytest
from made_runs import CLASSES, make_config, make_table, predicted_classes
from scipy.stats import binom, binomtest, ttest_1samp
from scipy.stats import t as student
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
from statsmodels.stats.multitest import multipletests

from poseemo_lib.analysis import statistics
from poseemo_lib.analysis.predictions import mean_over_seeds
from poseemo_lib.analysis.statistics import FEW_GROUPS, ONE_SEED, UNKNOWN_GROUPS
from poseemo_lib.errors import PoseemoError
from poseemo_lib.training.evaluation import Training, config_scores, probability_columns


@pytest.fixture
def configs():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 120)
    return {name: make_config(rng, labels, 8, skill=skill) for name, skill in (("x", 0.75), ("y", 0.5), ("z", 0.45))}


def shuffled(config, seed=0):
    return {k: table.sample(frac=1, random_state=seed + k) for k, table in reversed(config.items())}


def sklearn_score(metric, table):
    labels, predicted = table["label"], predicted_classes(table)
    if metric == "macro_f1":
        return f1_score(labels, predicted, average="macro", labels=np.unique(labels))
    return {"balanced_accuracy": balanced_accuracy_score, "accuracy": accuracy_score}[metric](labels, predicted)


def standard_error(single, left):
    """Standard error and degrees of freedom of two trainings on 8 groups: scores (config, training), (group, ...)."""
    # variance between two trainings, without what comes from the clips: 7 of 8 groups times the variance without one
    own = np.var(single, axis=1, ddof=1) - 7 * (left - left.mean(2, keepdims=True)).var(0).sum(1)
    parts = [7 * np.var(left.mean(2)[:, 0] - left.mean(2)[:, 1]), sum(max(one, np.mean(own), 0) / 2 for one in own)]
    df = sum(parts) ** 2 / (parts[0] ** 2 / 7 + parts[1] ** 2 / 2)
    # the interval is at least as long as that of the scores of the seeds alone, which have two degrees of freedom
    alone = np.sqrt(np.var(single, axis=1, ddof=1).mean()) * student.ppf(0.975, 2) / student.ppf(0.975, df)
    return max(np.sqrt(sum(parts)), alone), df


@pytest.mark.parametrize("metric", ["macro_f1", "balanced_accuracy", "accuracy"])
def test_the_standard_error_equals_a_naive_loop_with_scikit_learn(configs, metric):
    how = {"pairs": [("x", "y")], "metric": metric}
    row = statistics.compare_configs(configs, CLASSES, **how).iloc[0]
    left = []
    for group in sorted(configs["x"][0]["group_id"].unique()):
        kept = [[t[t["group_id"] != group] for t in configs[name].values()] for name in "xy"]
        left.append([[sklearn_score(metric, table) for table in tables] for tables in kept])
    left = np.array(left)  # group, config, seed
    single = [[sklearn_score(metric, table) for table in configs[name].values()] for name in "xy"]
    se, df = standard_error(single, left)
    assert (row["se"], row["df"]) == pytest.approx((se, df))
    assert row["difference"] == pytest.approx(np.mean(single[0]) - np.mean(single[1]))
    assert row["p"] == pytest.approx(2 * student.sf(abs(row["difference"]) / row["se"], df))
    half = student.ppf(0.975, df) * row["se"]
    assert [row["low"], row["high"]] == pytest.approx([row["difference"] - half, row["difference"] + half])


def test_with_equal_groups_and_one_seed_it_is_the_paired_t_test_of_group_means():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 240)
    pair = {name: make_config(rng, labels, 12, seeds=1) for name in "xy"}
    row = statistics.compare_configs(pair, CLASSES, metric="accuracy", fixed="xy").iloc[0]
    right = {
        name: (predicted_classes(config[0]) == config[0]["label"]).to_numpy(float) for name, config in pair.items()
    }
    wanted = ttest_1samp((right["x"] - right["y"]).reshape(12, 20).mean(1), 0)
    assert row["difference"] / row["se"] == pytest.approx(wanted.statistic)
    assert row["p"] == pytest.approx(wanted.pvalue)
    assert row["df"] == pytest.approx(wanted.df)


def test_mcnemar_is_the_exact_binomial_test_of_the_discordant_clips(configs):
    row = statistics.compare_configs(configs, CLASSES, pairs=[("x", "y")]).iloc[0]
    right = {}
    for name in "xy":
        tables = [table.sort_values("clip_id") for table in configs[name].values()]
        predicted = np.mean([table[probability_columns(CLASSES)] for table in tables], axis=0).argmax(1)
        right[name] = np.array(CLASSES)[predicted] == tables[0]["label"].to_numpy()
    n_x, n_y = (right["x"] & ~right["y"]).sum(), (right["y"] & ~right["x"]).sum()
    assert (row["n_a_only"], row["n_b_only"], row["n_clips"]) == (n_x, n_y, 120)
    assert row["p_mcnemar"] == pytest.approx(binomtest(int(n_x), int(n_x + n_y)).pvalue)


def test_order_of_configs_rows_and_seeds_does_not_matter(configs):
    once = statistics.compare_configs(configs, CLASSES)
    again = statistics.compare_configs({name: shuffled(configs[name]) for name in "xyz"}, CLASSES)
    pd.testing.assert_frame_equal(once, again)
    backwards = statistics.compare_configs({name: configs[name] for name in "zyx"}, CLASSES)
    for row in once.itertuples():
        other = backwards[(backwards["a"] == row.b) & (backwards["b"] == row.a)].iloc[0]
        assert other["difference"] == pytest.approx(-row.difference) and other["low"] == pytest.approx(-row.high)
        assert (other["n_a_only"], other["n_b_only"]) == (row.n_b_only, row.n_a_only)
        same = ["se", "df", "p", "p_holm", "p_mcnemar", "p_mcnemar_holm", "detectable"]
        assert other[same].tolist() == pytest.approx([getattr(row, name) for name in same])
        assert other["significant"] == row.significant


def test_without_any_spread_p_is_the_chance_of_equal_signs(configs):
    pair = {"x": configs["x"], "same": shuffled(configs["x"])}
    row = statistics.compare_configs(pair, CLASSES).iloc[0]
    assert row["difference"] == pytest.approx(0, abs=1e-12)
    assert (row["n_a_only"], row["n_b_only"], row["p_mcnemar"]) == (0, 0, 1)
    assert row["p"] == row["p_holm"] == 1 and not row["significant"]
    one = {"x": {0: configs["x"][0]}, "same": {5: configs["x"][0]}}
    row = statistics.compare_configs(one, CLASSES, fixed=one).iloc[0]
    assert (row["se"], row["p"], row["low"], row["high"]) == (0, 1, 0, 0)
    labels, groups = np.tile([0, 1, 2], 7), np.repeat([f"g{i}" for i in range(7)], 3)
    pair = {"right": labels, "wrong": (labels + 1) % 3}
    pair = {name: {0: make_table(labels, predicted, groups)} for name, predicted in pair.items()}
    row = statistics.compare_configs(pair, CLASSES, fixed=pair).iloc[0]
    assert (row["difference"], row["se"], row["p"]) == (1, 0, 2.0**-6)


def test_few_groups_or_one_seed_support_no_claim():
    rng = np.random.default_rng(0)
    for n_groups, seeds, limit in ((5, 2, FEW_GROUPS), (1, 2, FEW_GROUPS), (8, 1, ONE_SEED), (8, 2, "")):
        labels = rng.integers(0, 3, n_groups * 40)
        pair = {
            "good": make_config(rng, labels, n_groups, skill=0.95, seeds=seeds, group_sd=0.01, seed_sd=0),
            "bad": make_config(rng, labels, n_groups, skill=0.1, seeds=seeds, group_sd=0.01, seed_sd=0),
        }
        row = statistics.compare_configs(pair, CLASSES).iloc[0]
        assert row["limit"] == limit and row["significant"] == (limit == "")
        if limit == ONE_SEED:  # both speak for themselves only
            assert statistics.compare_configs(pair, CLASSES, fixed=pair).iloc[0]["significant"]
            assert not statistics.compare_configs(pair, CLASSES, fixed=["bad"]).iloc[0]["significant"]


def test_equal_configs_are_rarely_called_different_where_pooled_seeds_and_percentiles_often_do():
    """Clustered clips, trainings that differ by seed: four times ten pairs of configs of the same true skill."""
    rng, times = np.random.default_rng(7), 4
    names = [f"n{i}" for i in range(20)]
    pairs = list(zip(names[::2], names[1::2], strict=True))
    claimed, pooled, percentile, family = [], [], [], []
    for _ in range(times):
        labels = rng.integers(0, 3, 120)
        same = {name: make_config(rng, labels, 10, seeds=2) for name in names}
        table = statistics.compare_configs(same, CLASSES, pairs=pairs)
        claimed += (table["p"] < 0.05).tolist()
        family.append(table["significant"].any())
        right = {
            name: np.array([predicted_classes(t) == t["label"] for t in config.values()])
            for name, config in same.items()
        }
        weights = np.random.default_rng(0).multinomial(10, np.full(10, 0.1), 300)
        for a, b in pairs:
            pooled.append(statistics.mcnemar(right[a].ravel(), right[b].ravel())[2] < 0.05)
            by_group = (right[a].astype(float) - right[b]).reshape(2, 10, 12).mean((0, 2))
            low, high = np.percentile(weights @ by_group, [2.5, 97.5])
            percentile.append(low > 0 or high < 0)
    # At 5 %, more come by chance in less than 1 % of such tests.
    assert sum(claimed) <= binom.ppf(0.99, 10 * times, 0.05) and sum(family) <= binom.ppf(0.99, times, 0.05)
    # What the usual shortcuts would claim: McNemar over (clip, seed) pairs, and percentiles of a bootstrap.
    assert np.mean(pooled) > 0.15 and np.mean(percentile) > 0.08


def test_power_at_the_smallest_detectable_difference():
    """Shifted by it, a t-distributed estimate is significant four times in five."""
    se, df = 0.03, 9.0
    size = statistics.smallest_detectable_difference(se, df, alpha=0.05)
    drawn = size + se * np.random.default_rng(0).standard_t(df, 100_000)
    assert (drawn / se > student.ppf(0.975, df)).mean() == pytest.approx(0.8, abs=0.01)
    assert statistics.smallest_detectable_difference(se, df, alpha=0.005) > size
    # z of 1.96 and 0.84 where the degrees of freedom are many
    assert statistics.smallest_detectable_difference(1.0, 1e9) == pytest.approx(2.8016, abs=1e-3)


def test_the_variance_over_seeds_is_pooled_by_degrees_of_freedom():
    def config(*scores, fixed=False):
        return statistics.Resampled(np.array(scores), np.zeros((len(scores), 3)), 10, 5, fixed=fixed)

    steady, unsteady, single = config(0.5, 0.52), config(0.3, 0.6), config(0.4)
    assert statistics.pooled_variance([steady, unsteady, single]) == (pytest.approx((0.0002 + 0.045) / 2), 2)
    fixed = config(0.1, 0.9, fixed=True)
    many = statistics.pooled_variance([*[steady] * 9, unsteady, fixed])
    assert many == (pytest.approx((9 * 0.0002 + 0.045) / 10), 10)
    assert statistics.pooled_variance([single]) == (0, 0)


def test_where_folds_are_repeated_a_training_is_the_mean_of_the_seeds_of_a_repeat():
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 3, 120)
    keys = [Training(seed, repeat) for seed in (0, 1, 2) for repeat in (1, 2)]
    made = {name: make_config(rng, labels, 8, seeds=6, seed_sd=0.1).values() for name in "xy"}
    configs = {name: dict(zip(keys, tables, strict=True)) for name, tables in made.items()}
    row = statistics.compare_configs(configs, CLASSES, metric="accuracy").iloc[0]
    left = []
    for group in [None, *sorted(configs["x"][keys[0]]["group_id"].unique())]:
        tables = [[configs[name][key] for key in keys] for name in "xy"]
        kept = [[table[table["group_id"] != group] for table in own] for own in tables]
        scores = np.array([[sklearn_score("accuracy", table) for table in tables] for tables in kept])
        left.append(scores.reshape(2, 3, 2).mean(1))  # config, repeat
    single, left = left[0], np.array(left[1:])
    assert (row["se"], row["df"]) == pytest.approx(standard_error(single, left))
    assert row["difference"] == pytest.approx(single[0].mean() - single[1].mean())
    assert (row["n_seeds_a"], row["n_seeds_b"], row["n_repeats"], row["limit"]) == (3, 3, 2, "")
    # One seed in two repeats is more than one training.
    once = {name: {key: table for key, table in tables.items() if key.seed == 0} for name, tables in configs.items()}
    row = statistics.compare_configs(once, CLASSES).iloc[0]
    assert (row["n_seeds_a"], row["n_repeats"], row["limit"]) == (1, 2, "")


@pytest.mark.slow
def test_equal_configs_differ_more_rarely_by_repeats_than_by_seeds_that_share_a_split():
    """Two repeats of three seeds, 12 groups, and a deviation of 8 points between splits."""
    claimed = []
    for number in range(60):
        rng = np.random.default_rng(number)
        labels = rng.integers(0, 3, 240)
        by_repeat, by_seed = {}, {}
        for name in "abcd":
            shift, tables = rng.normal(0, 0.08, 2), {}
            for seed, table in make_config(rng, labels, 12, group_sd=0, seeds=6, seed_sd=0).items():
                repeat = seed % 2
                right = rng.random(240) < 0.5 + shift[repeat]
                predicted = np.where(right, labels, (labels + rng.integers(1, 3, 240)) % 3)
                tables[Training(seed // 2, repeat + 1)] = make_table(labels, predicted, table["group_id"])
            by_repeat[name], by_seed[name] = tables, dict(enumerate(tables.values()))
        how = {"metric": "accuracy", "pairs": [("a", "b")], "pool": "cd"}
        claimed.append([statistics.compare_configs(one, CLASSES, **how)["p"][0] < 0.05 for one in (by_repeat, by_seed)])
    by_repeat, by_seed = np.mean(claimed, axis=0)
    assert by_repeat <= 0.12 and by_seed > 2 * by_repeat


def test_holm_by_hand():
    # sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1, then never falling
    np.testing.assert_allclose(statistics.holm([0.04, 0.01, 0.03, 0.02]), [0.06, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(statistics.holm([0.5, np.nan, 0.01]), [0.5, np.nan, 0.02])
    assert statistics.holm([]).shape == (0,)
    many = np.random.default_rng(0).random(30) ** 4
    np.testing.assert_allclose(statistics.holm(many), multipletests(many, method="holm")[1])


def test_adjustment_counts_the_planned_pairs_only(configs):
    every = statistics.compare_configs(configs, CLASSES)
    # The spread over seeds is that of all configs either way.
    planned = statistics.compare_configs(configs, CLASSES, pairs=[("x", "y")], pool=configs)
    assert every["n_comparisons"].tolist() == [3, 3, 3] and planned["n_comparisons"].tolist() == [1]
    assert planned["p"].iloc[0] == pytest.approx(every["p"].iloc[0])
    assert planned["p_holm"].iloc[0] == planned["p"].iloc[0] <= every["p_holm"].iloc[0]
    np.testing.assert_allclose(every["p_holm"], statistics.holm(every["p"]))
    pd.testing.assert_frame_equal(statistics.adjusted(every.to_dict("records")), every)
    assert statistics.compare_configs({}, CLASSES).empty


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.iloc[1:], "x and y: wanted predictions of the same clips .*1 clips of x only and 0 of y only"),
        (lambda t: t.assign(label="angry"), "x and y: wanted one label a clip"),
        (lambda t: t.assign(group_id="g"), "x and y: wanted one group_id a clip"),
    ],
)
def test_configs_that_were_tested_on_other_clips_are_refused(configs, change, message):
    other = {seed: change(table) for seed, table in configs["y"].items()}
    with pytest.raises(PoseemoError, match=message):
        statistics.compare_configs({"x": configs["x"], "y": other}, CLASSES)
    with pytest.raises(PoseemoError, match="x, seed 0 and x, seed 1: wanted"):
        mean_over_seeds({0: configs["x"][0], 1: change(configs["x"][1])}, CLASSES, "x")


def test_configs_with_different_clips_are_compared_apart():
    rng = np.random.default_rng(5)
    parts = []
    for skill, name in ((0.9, "u"), (0.4, "v")):
        config = make_config(rng, rng.integers(0, 3, 180), 9, skill=skill, group_sd=0.05)
        parts.append(
            {k: t.assign(clip_id=name + t["clip_id"], group_id=name + t["group_id"]) for k, t in config.items()}
        )
    row = statistics.compare_apart(("u", parts[0]), ("v", parts[1]), CLASSES)
    table = statistics.adjusted([row])
    one = table.iloc[0]
    assert one["significant"] and 0.3 < one["difference"] < 0.7 and not one["paired"] and pd.isna(one["n_a_only"])
    assert list(table.columns) == list(statistics.compare_configs({"u": parts[0], "w": parts[0]}, CLASSES))
    # its variance is the sum of the two: each interval of `config_scores` knows one of them
    means = [config_scores(part, CLASSES).score("macro_f1") for part in parts]
    assert one["difference"] == pytest.approx(means[0]["mean"] - means[1]["mean"])
    se = [(mean["high"] - mean["low"]) / 2 / student.ppf(0.975, 8) for mean in means]
    assert one["se"] > 0.95 * np.hypot(*se)  # on the logit scale, where the interval is made, it is nearly the same


def test_where_every_clip_is_its_own_group_nothing_is_claimed():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    known = {name: make_config(rng, labels, 10, skill=skill) for name, skill in (("good", 0.95), ("bad", 0.1))}
    unknown, windows = (
        {name: {k: t.assign(**{to: t[of]}) for k, t in config.items()} for name, config in known.items()}
        for to, of in (("group_id", "clip_id"), ("source_id", "group_id"))
    )
    for configs, limit in ((known, ""), (unknown, UNKNOWN_GROUPS)):
        row = statistics.compare_configs(configs, CLASSES).iloc[0]
        apart = statistics.compare_apart(("a", configs["good"]), ("b", configs["bad"]), CLASSES)
        guess = statistics.compare_with_guess("good", configs, CLASSES, metric="macro_f1")
        assert row["limit"] == apart["limit"] == guess["limit"] == limit
        assert row["significant"] == statistics.adjusted([guess])["significant"].item() == (limit == "")
    # windows of one recording, and no group above it
    assert statistics.compare_configs(windows, CLASSES)["limit"].tolist() == [UNKNOWN_GROUPS]


def test_guessers_are_the_majority_and_the_expected_predictions_of_a_stratified_one():
    rng = np.random.default_rng(2)
    labels = rng.choice(3, 180, p=[0.5, 0.3, 0.2])
    config, other = (make_config(rng, labels, 9, skill=skill, seeds=3) for skill in (0.6, 0.5))
    most = {0: make_table(labels, np.full(180, np.bincount(labels).argmax()), config[0]["group_id"])}
    row = statistics.compare_with_guess("x", {"x": config, "y": other}, CLASSES, metric="accuracy")
    pair = statistics.compare_configs(
        {"x": config, "y": other, "most": most}, CLASSES, metric="accuracy", pairs=[("x", "most")], fixed=["most"],
        pool=["y"],
    ).iloc[0]  # fmt: skip
    for name in ("difference", "se", "df", "p", "low", "high"):
        assert row[name] == pytest.approx(pair[name])
    truth = np.mean([f1_score(t["label"], predicted_classes(t), average="macro") for t in config.values()])
    guesses = [f1_score(labels, rng.permutation(labels), average="macro") for _ in range(500)]
    row = statistics.compare_with_guess("x", {"x": config}, CLASSES, metric="macro_f1")
    assert truth - row["difference"] == pytest.approx(np.mean(guesses), abs=0.01)
    row = statistics.compare_with_guess("x", {"x": config}, CLASSES, metric="balanced_accuracy")
    assert config_scores(config, CLASSES).score("balanced_accuracy")["mean"] - row["difference"] == pytest.approx(1 / 3)


def test_without_signal_no_skill_is_claimed():
    """Labels and predictions that differ from group to group, but do not depend on each other: 20 studies, 2 seeds."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(17), 12)
    claimed = []
    for _ in range(20):
        labels, *seeds = (rng.dirichlet([2, 1, 1], 17).cumsum(1)[group] for _ in range(3))
        labels, *seeds = ((rng.random((204, 1)) > shares).sum(1).clip(max=2) for shares in (labels, *seeds))
        config = {seed: make_table(labels, predicted, [f"g{i}" for i in group]) for seed, predicted in enumerate(seeds)}
        rows = [statistics.compare_with_guess("x", {"x": config}, CLASSES, metric=name) for name in statistics.GUESSERS]
        claimed.append(statistics.is_skilled(statistics.adjusted(rows).to_dict("records")))
    assert sum(claimed) <= 1
