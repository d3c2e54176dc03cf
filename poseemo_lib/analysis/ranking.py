"""The ranking of configs, and the letters that join those without a significant difference."""

from itertools import combinations

import numpy as np
import pandas as pd


def rank_table(scores: pd.Series, comparisons: pd.DataFrame) -> pd.DataFrame:
    """Sort configs by score, and give those without a significant difference a common letter.

    Compact letter display (Piepho 2004, "An algorithm for a letter-based representation of all-pairwise comparisons"):
    two configs share a letter if and only if they do not differ significantly. The letters are the maximal cliques of
    the graph of such pairs.

    Parameters
    ----------
    scores : Series
        Config -> mean score.
    comparisons : DataFrame
        From :func:`poseemo_lib.analysis.statistics.compare_configs`, with every pair of these configs.

    Returns
    -------
    DataFrame
        From the largest score down: config, score, letters, rank_low, rank_high (best and worst rank that the
        comparisons leave open).
    """
    from networkx import Graph, find_cliques

    order = list(scores.sort_values(ascending=False, kind="stable").index)
    signs = {}
    for row in comparisons.itertuples():
        sign = int(np.sign(row.difference)) if row.significant else 0
        signs[row.a, row.b], signs[row.b, row.a] = sign, -sign
    graph = Graph()
    graph.add_nodes_from(order)
    graph.add_edges_from(pair for pair in combinations(order, 2) if not signs[pair])
    cliques = sorted(sorted(map(order.index, clique)) for clique in find_cliques(graph))
    rows = []
    for k, name in enumerate(order):
        others = [signs[name, other] for other in order if other != name]
        letters = " ".join(_letter(i) for i, clique in enumerate(cliques) if k in clique)
        rows.append((name, scores[name], letters, 1 + others.count(-1), len(order) - others.count(1)))
    return pd.DataFrame(rows, columns=["config", "score", "letters", "rank_low", "rank_high"])


def _letter(i: int) -> str:
    return chr(ord("a") + i) if i < 26 else _letter(i // 26 - 1) + _letter(i % 26)


def pareto_front(size, score) -> np.ndarray:
    """Find the models, by size, for which no other is at least as small and at least as good, and better in one.

    Returns their indices. A model with a NaN is not on the front and beats none.
    """
    size, score = np.asarray(size, dtype=float), np.asarray(score, dtype=float)
    no_worse = (size[:, None] <= size) & (score[:, None] >= score)  # [i, j]: i is no worse than j; False for NaN
    beaten = (no_worse & ((size[:, None] < size) | (score[:, None] > score))).any(0)
    front = np.flatnonzero(~beaten & np.isfinite(size) & np.isfinite(score))
    return front[np.lexsort((score[front], size[front]))]
