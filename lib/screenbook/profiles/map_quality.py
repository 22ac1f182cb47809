"""How far a map can be trusted: neighbours kept, distances lost, pictures that come back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from screenbook.blocks import group_sums
from screenbook.profiles.nearest import distance_blocks, nearest, nearest_to, shared_share
from screenbook.profiles.reduce import tsne_map


def neighbour_recall(
    reference: np.ndarray, drawn: np.ndarray, ks: Sequence[int], queries: np.ndarray
) -> pd.DataFrame:
    """Measure which share of the true neighbours are neighbours in the drawing.

    Parameters
    ----------
    reference : ndarray, shape (n, d)
        The space whose neighbours are the true ones.
    drawn : ndarray, shape (n, 2)
        The map.
    ks : sequence of int
        Sizes of the neighbourhood.
    queries : ndarray of int, shape (q,)
        Wells that ask.

    Returns
    -------
    DataFrame
        ``k``, ``recall`` (mean over wells), ``sd`` (between wells), ``chance`` (that of a map
        drawn at random), ``n_queries``.
    """
    true, shown = (nearest(space, max(ks), queries) for space in (reference, drawn))
    rows = []
    for k in ks:
        share = shared_share(true[:, :k], shown[:, :k])
        chance = min(k, len(drawn) - 1) / (len(drawn) - 1)
        rows.append((k, share.mean(), share.std(), chance, len(queries)))
    return pd.DataFrame(rows, columns=["k", "recall", "sd", "chance", "n_queries"])


def trustworthiness(reference: np.ndarray, drawn: np.ndarray, k: int, queries: np.ndarray) -> float:
    """Measure how far the map invents neighbours (Venna & Kaski 2001).

    A neighbour on the map that is the r-th nearest in the reference, r > k, costs r - k. The
    sum is scaled to 1 for none and 0 for the worst possible; a random map gets about 0.5.
    With the two spaces exchanged it is *continuity*: how far true neighbours are torn apart.

    Parameters
    ----------
    reference, drawn : ndarray, shapes (n, d) and (n, 2)
        Where neighbours are true, and where they are looked up.
    k : int
        Neighbours, fewer than n / 2.
    queries : ndarray of int, shape (q,)
        Wells that ask.
    """
    n = len(reference)
    if not 0 < k < n / 2:
        raise ValueError(f"k is {k}; give less than half of {n} rows")
    neighbours = nearest(drawn, k, queries)
    cost = 0
    for rows, distance in distance_blocks(reference, queries):
        theirs = np.take_along_axis(distance, neighbours[rows], axis=1)
        for each in theirs.T:  # one of the k neighbours of all wells of the block
            rank = (distance < each[:, None]).sum(axis=1) + 1
            cost += int(np.maximum(rank - k, 0).sum())
    return 1.0 - 2.0 * cost / (len(queries) * k * (2 * n - 3 * k - 1))


def group_distances(
    reference: np.ndarray, drawn: np.ndarray, groups: np.ndarray, n_groups: int
) -> pd.DataFrame:
    """Distances between the centres of groups, in a reference space and in drawings of it.

    Parameters
    ----------
    reference, drawn : ndarray, shapes (n, d) and (n, 2)
        The two spaces.
    groups : ndarray of int, shape (n,)
        Group of each well; negative: in none.
    n_groups : int
        Number of groups; those without wells are left out.

    Returns
    -------
    DataFrame
        A row per pair of groups: ``a``, ``b`` (a < b), ``reference``, ``drawn``.
    """
    size = np.bincount(groups[groups >= 0], minlength=n_groups)
    there = np.flatnonzero(size)
    centres = [
        group_sums(X, groups, n_groups)[there] / size[there, None] for X in (reference, drawn)
    ]
    a, b = np.triu_indices(len(there), 1)
    return pd.DataFrame(
        {"a": there[a], "b": there[b], "reference": pdist(centres[0]), "drawn": pdist(centres[1])}
    )


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rho, NaN where one side does not vary."""
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)


def stability(
    scores: np.ndarray,
    groups: np.ndarray,
    *,
    anchors: np.ndarray,
    others: np.ndarray,
    count: int,
    seeds: Sequence[int],
    k: int,
    perplexity: float = 0.0,
    n_early: int = 125,
    n_iter: int = 200,
) -> pd.DataFrame:
    """Draw the same wells again and compare each pair of drawings.

    Parameters
    ----------
    scores : ndarray, shape (n, d)
        Component scores; give a sample of wells, since every seed draws two maps.
    groups : ndarray of int, shape (n,)
        Group of each well, for the distances between groups; negative: in none.
    anchors, others : ndarray of int
        Wells around which a radius is drawn, and wells it may select.
    count : int
        Wells that the radius selects.
    seeds : sequence of int
        Two or more.
    k : int
        Neighbours compared.
    perplexity, n_early, n_iter
        See :func:`screenbook.profiles.reduce.tsne_map`.

    Returns
    -------
    DataFrame
        A row per start (``pca``: on the components, with a seeded jitter; ``random``) and
        pair of seeds: ``start``, ``seed_a``, ``seed_b``, ``neighbours`` (mean share of a
        well's neighbours that both maps give it), ``selected`` (share of the wells selected
        by the radius on one map that it selects on the other; NaN without `anchors` or
        `others`), ``distances`` (Spearman's rho of the distances between groups).
    """
    n_groups = int(groups.max(initial=-1)) + 1
    draw = partial(tsne_map, scores, perplexity=perplexity, n_early=n_early, n_iter=n_iter)
    rows = []
    for start in ("pca", "random"):
        maps = {seed: draw(start=start, seed=seed).coordinates for seed in seeds}
        near = {seed: nearest(drawn, k) for seed, drawn in maps.items()}
        chosen = {seed: nearest_to(maps[seed], anchors, others, count) for seed in seeds}
        for a, b in combinations(seeds, 2):
            pairs = group_distances(maps[a], maps[b], groups, n_groups)
            rho = rank_correlation(pairs["reference"].to_numpy(), pairs["drawn"].to_numpy())
            both = (
                len(np.intersect1d(chosen[a], chosen[b])) / len(chosen[a])
                if len(chosen[a])
                else np.nan
            )
            rows.append((start, a, b, shared_share(near[a], near[b]).mean(), both, rho))
    columns = ["start", "seed_a", "seed_b", "neighbours", "selected", "distances"]
    return pd.DataFrame(rows, columns=columns)
