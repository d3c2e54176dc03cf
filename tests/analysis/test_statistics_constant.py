"""Comparisons of configs that were tested on other clips, and with a constant."""

import numpy as np
import pandas as pd
import pytest
from made_answers import CLASSES, make_config, make_labels, make_table
from scipy.stats import t as student

from poseemo_lib.analysis import statistics
from poseemo_lib.training.evaluation import config_scores


def test_configs_with_different_clips_are_compared_apart():
    rng = np.random.default_rng(5)
    parts = []
    for skill, prefix in ((0.9, "u"), (0.4, "v")):
        labels = make_labels(rng, 9, 20)
        config = make_config(rng, labels, 9, skill=skill, group_sd=0.05)
        parts.append(
            {k: t.assign(clip_id=prefix + t["clip_id"], group_id=prefix + t["group_id"]) for k, t in config.items()}
        )
    row = statistics.compare_apart(("u", parts[0]), ("v", parts[1]), CLASSES, n_bootstrap=1000)
    table = statistics.adjusted([row])
    one = table.iloc[0]
    assert one["significant"] and 0.3 < one["difference"] < 0.7 and not one["paired"] and pd.isna(one["n_a_only"])
    assert list(table.columns) == list(
        statistics.compare_configs({"u": parts[0], "w": parts[0]}, CLASSES, n_bootstrap=9)
    )
    # its variance is the sum of the two: each interval of `config_scores` knows one of them
    means = [
        config_scores(part, CLASSES, n_bootstrap=1000).scores.set_index("metric").loc["macro_f1"] for part in parts
    ]
    assert one["difference"] == pytest.approx(means[0]["mean"] - means[1]["mean"])
    assert one["se"] > np.hypot(*[(mean["high"] - mean["low"]) / 4 for mean in means])


def in_own_groups(config):
    return {seed: table.assign(group_id=table["clip_id"]) for seed, table in config.items()}


def test_where_every_clip_is_its_own_group_nothing_is_claimed():
    rng = np.random.default_rng(0)
    labels = make_labels(rng, 10, 20)
    known = {name: make_config(rng, labels, 10, skill=skill) for name, skill in (("good", 0.95), ("bad", 0.1))}
    unknown = {name: in_own_groups(config) for name, config in known.items()}
    for configs, limit in ((known, ""), (unknown, "groups")):
        row = statistics.compare_configs(configs, CLASSES, n_bootstrap=100).iloc[0]
        apart = statistics.compare_apart(("a", configs["good"]), ("b", configs["bad"]), CLASSES, n_bootstrap=100)
        constant = statistics.compare_with_constant("good", configs, 1 / 3, CLASSES, n_bootstrap=100)
        assert row["limit"] == apart["limit"] == constant["limit"] == limit
        assert row["significant"] == constant["significant"] == (limit == "")
    # windows of one recording, and no group above it
    windows = {
        name: {k: t.assign(source_id=t["group_id"]) for k, t in config.items()} for name, config in known.items()
    }
    assert statistics.compare_configs(windows, CLASSES, n_bootstrap=100)["limit"].tolist() == ["groups"]


def test_a_constant_is_compared_as_a_config_without_any_spread_is():
    rng = np.random.default_rng(2)
    labels = np.tile([0, 1, 2], 60)
    config, other = (make_config(rng, labels, 9, skill=skill, seeds=3) for skill in (0.6, 0.5))
    flat = {0: make_table(labels, np.zeros_like(labels), config[0]["group_id"])}
    how = {"metric": "accuracy", "n_bootstrap": 4000}
    row = statistics.compare_with_constant("x", {"x": config, "y": other}, 1 / 3, CLASSES, **how)
    pair = statistics.compare_configs(
        {"x": config, "y": other, "flat": flat}, CLASSES, pairs=[("x", "flat")], fixed=["flat"], pool=["y"], **how
    ).iloc[0]
    # every group has nearly a third of each class, so that `flat` hardly varies
    assert row["difference"] == pytest.approx(pair["difference"])
    assert [row["se"], row["df"]] == pytest.approx([pair["se"], pair["df"]], rel=0.05)
    assert row["p"] == pytest.approx(2 * student.sf(row["difference"] / row["se"], row["df"]))
    assert row["n_seeds"] == 3 and row["n_groups"] == 9 and row["significant"]


@pytest.mark.parametrize(("n_groups", "seeds"), [(5, 3), (12, 1)])
def test_nothing_is_claimed_beside_a_constant_from_few_groups_or_one_seed(n_groups, seeds):
    rng = np.random.default_rng(3)
    config = make_config(rng, make_labels(rng, n_groups, 30), n_groups, skill=0.95, seeds=seeds, group_sd=0.01)
    row = statistics.compare_with_constant("x", {"x": config}, 1 / 3, CLASSES, n_bootstrap=100)
    assert row["limit"] == ("groups" if n_groups < 8 else "seeds") and row["p"] < 0.05 and not row["significant"]
    assert statistics.compare_with_constant("x", {"x": config}, 1 / 3, CLASSES, fixed="x", n_bootstrap=100)[
        "significant"
    ] == (n_groups > 8)


@pytest.mark.parametrize(("n_groups", "times"), [(8, 120), pytest.param(8, 800, marks=pytest.mark.slow),
                                                 pytest.param(10, 800, marks=pytest.mark.slow)])  # fmt: skip
def test_a_guesser_is_rarely_told_from_chance(n_groups, times):
    """Clips are labelled by group, so that groups differ; answers know nothing of them."""
    rng = np.random.default_rng(n_groups)
    claimed = 0
    for _ in range(times):
        shares = rng.dirichlet(np.ones(3), n_groups)
        labels = np.concatenate([rng.choice(3, 12, p=share) for share in shares])
        groups = np.repeat([f"g{i}" for i in range(n_groups)], 12)
        config = {seed: make_table(labels, rng.integers(0, 3, len(labels)), groups) for seed in range(2)}
        claimed += statistics.compare_with_constant("x", {"x": config}, 1 / 3, CLASSES, n_bootstrap=200)["significant"]
    assert claimed <= 0.06 * times + 2.5 * np.sqrt(0.05 * 0.95 * times)
