import numpy as np
import pandas as pd
import pytest

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
    config = evaluation.config_scores(tables, CLASSES, n_bootstrap=50)
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


def naive_bootstrap(tables, n_bootstrap, seed):
    """The same draws, with the clips really repeated and every metric taken from scratch."""
    groups = sorted(set(pd.concat([table["group_id"] for table in tables])))
    draws = np.random.default_rng(seed).multinomial(len(groups), np.full(len(groups), 1 / len(groups)), n_bootstrap)
    for draw in draws:
        times = dict(zip(groups, draw, strict=True))
        repeated = [table.loc[table.index.repeat(table["group_id"].map(times))] for table in tables]
        scores = [metrics.score_predictions(*split_table(table), CLASSES) for table in repeated]
        flat = [one | {f"recall {name}": one["per_class"][name]["recall"] for name in CLASSES} for one in scores]
        yield {name: np.mean([one[name] for one in flat]) for name in flat[0] if np.isscalar(flat[0][name])}


def test_intervals_equal_a_naive_bootstrap():
    tables = {k: random_table(k) for k in range(2)}
    config = evaluation.config_scores(tables, CLASSES, n_bootstrap=60, seed=5)
    naive = pd.DataFrame(naive_bootstrap(list(tables.values()), 60, seed=5))
    for metric in config.scores["metric"]:
        low, high = np.percentile(naive[metric], [2.5, 97.5])
        assert config.score(metric)[["low", "high"]].tolist() == pytest.approx([low, high]), metric
    for name in CLASSES:
        got = config.per_class.set_index(["class", "metric"]).loc[(name, "recall"), ["low", "high"]].tolist()
        assert got == pytest.approx(np.percentile(naive[f"recall {name}"], [2.5, 97.5]).tolist())


def test_a_single_group_is_resampled_by_clip_and_says_so():
    table = random_table(0, n_groups=1)
    config = evaluation.config_scores({0: table}, CLASSES, n_bootstrap=300)
    accuracy = config.score("accuracy")
    assert config.resampled_by == "clip" and config.n_groups == 1
    assert accuracy["low"] < accuracy["mean"] < accuracy["high"]
    assert np.isnan(accuracy["sd"])


def test_seeds_with_different_clips():
    table = random_table(0)
    halves = {0: table[table["group_id"] < "g3"], 1: table[table["group_id"] >= "g3"]}
    config = evaluation.config_scores(halves, CLASSES, n_bootstrap=300)
    assert (config.n_clips, config.n_groups) == (60, 6)
    assert np.isfinite(config.scores[["mean", "low", "high"]].to_numpy()).all()


def test_a_class_without_clips_has_no_score():
    table = random_table(0)
    config = evaluation.config_scores({0: table[table["label"] != "c"]}, CLASSES, n_bootstrap=100)
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
    """Draws that lack a class in any seed are left out: the second seed has c in three groups only."""
    always_a = np.tile([1.0, 0, 0], (120, 1))
    clips = [with_rare_class(n) for n in (9, 3)]
    tables = {seed: make_table(labels, always_a, groups) for seed, (labels, groups) in enumerate(clips)}
    config = evaluation.config_scores(tables, CLASSES, n_bootstrap=300)
    assert config.score("balanced_accuracy")[["mean", "low", "high"]].tolist() == pytest.approx([1 / 3] * 3)
    assert config.score("accuracy")["low"] < config.score("accuracy")["high"]


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1", "accuracy"])
@pytest.mark.parametrize("n_groups_with_c", [3, 1])
def test_draws_that_lack_a_class_are_left_out_unless_they_are_many(metric, n_groups_with_c):
    labels, groups = with_rare_class(n_groups_with_c)
    rng = np.random.default_rng(1)
    predicted = np.where(rng.random(len(labels)) < 0.6, labels, (labels + rng.integers(1, 3, len(labels))) % 3)
    table = make_table(labels, np.eye(3)[predicted], groups)
    scores, whole = [], []
    for draw in np.random.default_rng(0).multinomial(10, np.full(10, 0.1), 120):
        one = table.loc[table.index.repeat(np.repeat(draw, 12))]
        scores.append(metrics.score_predictions(*split_table(one), CLASSES)[metric])
        whole.append(one["label"].nunique() == 3)
    lost = 1 - np.mean(whole)
    assert lost > 0 and (lost < evaluation.MOST_LOST) == (n_groups_with_c == 3)
    kept = np.array(scores)[whole] if n_groups_with_c == 3 and metric != "accuracy" else scores
    found = evaluation.config_scores({0: table}, CLASSES, n_bootstrap=120).score(metric)
    assert found[["low", "high"]].tolist() == pytest.approx(np.percentile(kept, [2.5, 97.5]).tolist())
