"""Which clips belong together: those that share a source or a group, and augmented copies with their source."""

import numpy as np
import pandas as pd


def connected_blocks(table: pd.DataFrame) -> np.ndarray:
    """Give one number to clips that share a source or a group, directly or over other clips, or are copies.

    Parameters
    ----------
    table : DataFrame
        N rows with clip_id, source_id, group_id and augmented_from.

    Returns
    -------
    array (N,), int
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(table)
    groups, sources = (pd.factorize(table[name])[0] for name in ("group_id", "source_id"))
    roots = family_roots(table["clip_id"], table["augmented_from"], table["augmented_from"].notna())
    n_groups, n_sources = groups.max() + 1, sources.max() + 1
    # Nodes: the clips (and unknown sources of copies), then groups, then sources.
    shift = max(n, roots.max() + 1)
    clips = np.arange(n)
    start = np.concatenate([clips, clips, clips])
    end = np.concatenate([roots, shift + groups, shift + n_groups + sources])
    size = shift + n_groups + n_sources
    graph = coo_array((np.ones(start.size, dtype=np.int8), (start, end)), shape=(size, size))
    return pd.factorize(connected_components(graph, directed=False)[1][:n])[0]


def family_roots(clip_ids, augmented_from, copied) -> np.ndarray:
    """Follow every augmented copy back to the clip that it was first made from.

    Parameters
    ----------
    clip_ids : sequence of N values
        Unique.
    augmented_from : sequence of N values
        The clip_id of the source; read for copies only.
    copied : array (N,), bool
        Which clips are copies.

    Returns
    -------
    array (N,), int
        The row of the first source; the clip's own row where it is no copy; a number of N or more, equal for siblings,
        where that source is not among the clips.
    """
    n = len(clip_ids)
    parent = np.arange(n)
    copies = np.flatnonzero(copied)
    if not copies.size:
        return parent
    sources = pd.Index(augmented_from)[copies]
    parent[copies] = pd.Index(clip_ids).get_indexer(sources)
    unknown = np.flatnonzero(parent < 0)
    parent[unknown] = n + pd.factorize(pd.Index(augmented_from)[unknown])[0]
    roots = np.concatenate([parent, np.arange(n, max(n, parent.max(initial=0) + 1))])
    # Each pass doubles the steps taken, so that this ends even for copies that are in a ring.
    for _ in range(n.bit_length() + 1):
        roots = roots[roots]
    return roots[:n]
