from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from poseemo_lib.analysis.ranking import pareto_front, rank_table


def random_comparisons(rng, names):
    rows = [
        {"a": a, "b": b, "difference": rng.normal(), "significant": bool(rng.random() < 0.5)}
        for a, b in combinations(names, 2)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("seed", range(5))
def test_configs_share_a_letter_exactly_where_they_do_not_differ_significantly(seed):
    rng = np.random.default_rng(seed)
    names = [f"n{i}" for i in range(7)]
    table = random_comparisons(rng, names)
    ranks = rank_table(pd.Series(rng.random(7), index=names), table).set_index("config")
    letters = {name: set(ranks.loc[name, "letters"].split()) for name in names}
    for row in table.itertuples():
        assert bool(letters[row.a] & letters[row.b]) != row.significant
    assert ranks["score"].is_monotonic_decreasing and all(letters.values())
    # no letter says only what another one says
    members = [{name for name in names if letter in letters[name]} for letter in set().union(*letters.values())]
    assert not any(one < other for one in members for other in members)


def test_ranks_that_the_comparisons_leave_open():
    table = pd.DataFrame(
        [("x", "y", 0.1, False), ("x", "z", 0.4, True), ("z", "y", -0.3, False)],
        columns=["a", "b", "difference", "significant"],
    )
    ranks = rank_table(pd.Series({"z": 0.1, "x": 0.5, "y": 0.4}), table)
    assert ranks["config"].tolist() == ["x", "y", "z"] and ranks["letters"].tolist() == ["a", "a b", "b"]
    assert ranks[["rank_low", "rank_high"]].to_numpy().tolist() == [[1, 2], [1, 3], [2, 3]]
    many = [f"n{i:02d}" for i in range(30)]
    apart = pd.DataFrame([(a, b, 0.1, True) for a, b in combinations(many, 2)], columns=table.columns)
    letters = rank_table(pd.Series(np.arange(30.0)[::-1], index=many), apart)["letters"]
    assert letters.tolist()[:2] + letters.tolist()[25:28] == ["a", "b", "z", "aa", "ab"] and letters.is_unique


def test_pareto_front():
    size, score = [1, 2, 3, 4, 4, 2], [0.2, 0.5, 0.4, 0.6, 0.6, np.nan]
    assert list(pareto_front(size, score)) == [0, 1, 3, 4]
    assert list(pareto_front([5, 1, 3], [0.1, 0.9, 0.5])) == [1]
    assert list(pareto_front([np.nan], [1])) == [] and list(pareto_front([], [])) == []
