"""The nearest wells in any space: exact, Euclidean, a block of rows at a time.

A sample of wells asks all wells, so that nothing is quadratic in their number. A well is never
its own neighbour.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_BLOCK_BYTES = 64 << 20  # of one block of distances


def sample_rows(n: int, most: int, seed: int) -> np.ndarray:
    """Draw rows at random: sorted indices, all of them if there are not more than `most`."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


def nearest(space: np.ndarray, k: int, queries: np.ndarray | None = None) -> np.ndarray:
    """Find the nearest wells, exactly.

    Parameters
    ----------
    space : ndarray, shape (n, d)
        Coordinates of wells: features, components or places on a map.
    k : int
        Neighbours asked for; at most n - 1 are given.
    queries : ndarray of int, shape (q,), optional
        Wells that ask; by default all.

    Returns
    -------
    ndarray of int, shape (q, k)
        By growing distance.
    """
    queries = np.arange(len(space)) if queries is None else queries
    k = min(k, len(space) - 1)
    out = np.empty((len(queries), k), dtype=np.int64)
    for rows, distance in distance_blocks(space, queries):
        out[rows] = nearest_columns(distance, k)
    return out


def nearest_columns(distance: np.ndarray, k: int) -> np.ndarray:
    """Find the k smallest entries of each row: their columns, smallest first, shape (q, k)."""
    some = np.argpartition(distance, k - 1, axis=1)[:, :k]
    within = np.argsort(np.take_along_axis(distance, some, axis=1), axis=1, kind="stable")
    return np.take_along_axis(some, within, axis=1)


def shared_share(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Share of each row's neighbours that two lists of them have in common.

    Parameters
    ----------
    a, b : ndarray of int, shape (q, k)
        Neighbours of the same wells in two spaces.

    Returns
    -------
    ndarray, shape (q,)
        0 to 1.
    """
    both = np.sort(np.concatenate([a, b], axis=1), axis=1)
    return (both[:, 1:] == both[:, :-1]).sum(axis=1) / a.shape[1]


def nearest_to(
    space: np.ndarray, anchors: np.ndarray, others: np.ndarray, count: int
) -> np.ndarray:
    """List the wells that lie closest to any anchor: what a radius around controls selects.

    Parameters
    ----------
    space : ndarray, shape (n, d)
        Coordinates.
    anchors, others : ndarray of int
        Wells around which the radius is drawn, and wells it may select.
    count : int
        How many; the radius is the one that selects so many.

    Returns
    -------
    ndarray of int, shape (count,)
        Wells, by growing distance; fewer if there are not so many, none without anchors.
    """
    if not len(anchors):
        return others[:0]
    distance = np.empty(len(others), dtype=np.float64)
    for rows, block in cross_blocks(space[others], space[anchors]):
        distance[rows] = block.min(axis=1)
    return others[np.argsort(distance, kind="stable")[:count]]


def distance_blocks(space: np.ndarray, queries: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Squared distances of the queries to all rows, infinite to themselves, block by block."""
    for rows, block in cross_blocks(space[queries], space):
        block[np.arange(len(block)), queries[rows]] = np.inf
        yield rows, block


def cross_blocks(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Squared distances between rows of `a` and all of `b`, a block of `a` at a time."""
    # About the mean, lest the expanded square cancel where the origin is far away.
    mean = b.mean(axis=0, dtype=np.float64)
    a, b = (np.asarray(side - mean, dtype=np.float64) for side in (a, b))
    norm = np.einsum("ij,ij->i", b, b)
    size = max(1, _BLOCK_BYTES // (8 * len(b)))
    for first in range(0, len(a), size):
        rows = slice(first, min(first + size, len(a)))
        distance = a[rows] @ b.T
        distance *= -2.0
        distance += norm
        distance += np.einsum("ij,ij->i", a[rows], a[rows])[:, None]
        yield rows, np.maximum(distance, 0.0, out=distance)
