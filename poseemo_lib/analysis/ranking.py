"""Configs in the order of their scores, joined where they cannot be told apart, and those that no other beats."""

from itertools import combinations

import numpy as np
import pandas as pd

from poseemo_lib.errors import PoseemoError


def rank_table(scores: pd.Series, comparisons: pd.DataFrame) -> pd.DataFrame:
    """Sort configs by score and join with letters what cannot be told apart.

    Compact letter display (Piepho 2004, "An algorithm for a letter-based representation of all-pairwise
    comparisons"): two configs share a letter if and only if their difference is not supported. The letters are the
    maximal cliques of the graph of such pairs.

    Parameters
    ----------
    scores : Series
        ConfigRuns -> mean score.
    comparisons : DataFrame
        From :func:`compare_configs`, with every pair of these configs.

    Returns
    -------
    DataFrame
        Sorted from the largest score down: config, score, letters, rank_low, rank_high (the best and the worst rank
        that the comparisons leave open).

    Raises
    ------
    PoseemoError
        A pair was not compared.
    """
    from networkx import Graph, find_cliques

    order = list(scores.sort_values(ascending=False, kind="stable").index)
    signs = {}
    for row in comparisons.itertuples():
        sign = int(np.sign(row.difference)) if row.significant else 0
        signs[row.a, row.b], signs[row.b, row.a] = sign, -sign
    missing = [pair for pair in combinations(order, 2) if pair not in signs]
    if missing:
        raise PoseemoError(
            f"wanted comparisons of all pairs to rank configs, missing {missing[0][0]} with {missing[0][1]}"
        )
    graph = Graph()
    graph.add_nodes_from(order)
    graph.add_edges_from(pair for pair in combinations(order, 2) if not signs[pair])
    cliques = sorted(sorted(map(order.index, clique)) for clique in find_cliques(graph))
    letters = {
        name: " ".join(_letter(i) for i, clique in enumerate(cliques) if k in clique) for k, name in enumerate(order)
    }
    rows = []
    for name in order:
        others = [signs[name, other] for other in order if other != name]
        low, high = 1 + others.count(-1), len(order) - others.count(1)
        rows.append(
            {"config": name, "score": scores[name], "letters": letters[name], "rank_low": low, "rank_high": high}
        )
    return pd.DataFrame(rows, columns=["config", "score", "letters", "rank_low", "rank_high"])


def _letter(i: int) -> str:
    return chr(ord("a") + i) if i < 26 else _letter(i // 26 - 1) + _letter(i % 26)
