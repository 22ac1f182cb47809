"""Reductions that touch every row, written once over row blocks.

Each is a partial result per block and an associative way to join two of them, so the same
lines run on a NumPy array in memory, on a Dask array with Dask's threads, and on the cluster
that ``DASK_SCHEDULER_ADDRESS`` names (:func:`client`). The answer is always a NumPy array;
sums are kept in float64.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, TypeAlias, TypeVar

import dask
import dask.array as da
import numpy as np
from scipy import sparse

BLOCK_ROWS = 4096
"""Rows in a block of an array that brings no chunks of its own."""

Array: TypeAlias = Any
"""A NumPy or a Dask array (Dask's come without types that a checker could use)."""

Partial = TypeVar("Partial")


@contextmanager
def client() -> Iterator[Any]:
    """Send Dask's work to the cluster named by ``DASK_SCHEDULER_ADDRESS``, if it is set.

    Yields
    ------
    distributed.Client or None
        None where the variable is not set: Dask then uses the threads of this process.
    """
    address = os.environ.get("DASK_SCHEDULER_ADDRESS")
    if not address:
        yield None
        return
    from distributed import Client  # half a second that only a cluster's user should pay

    with Client(address, set_as_default=True) as connected:
        yield connected


def row_blocks(X: Array, size: int | None = None) -> Iterator[tuple[slice, Any]]:
    """Walk over an array in blocks of rows, one in memory at a time.

    Parameters
    ----------
    X : ndarray or dask.array.Array, shape (n, n_features)
        The array.
    size : int, optional
        Rows in a block; by default the chunks of a Dask array, else `BLOCK_ROWS`.

    Yields
    ------
    slice
        Which rows of `X`.
    ndarray
        Those rows.
    """
    for rows in _row_slices(X, size):
        block = X[rows]
        yield rows, block.compute() if isinstance(block, da.Array) else np.asarray(block)


def group_sums(X: Array, codes: np.ndarray, n_groups: int) -> np.ndarray:
    """Sum the rows of each group.

    Parameters
    ----------
    X : ndarray or dask.array.Array, shape (n, n_features)
        Rows to be summed.
    codes : ndarray of int, shape (n,)
        Group of each row, from 0; a negative code leaves the row out.
    n_groups : int
        Number of groups.

    Returns
    -------
    ndarray of float64, shape (n_groups, n_features)
        Zeros for a group without rows.

    Raises
    ------
    ValueError
        If there is not one code per row, or a code has no group.
    """
    codes = np.asarray(codes)
    if codes.shape != (X.shape[0],):
        raise ValueError(f"{len(codes)} codes for {X.shape[0]} rows")
    if codes.size and codes.max() >= n_groups:
        raise ValueError(f"code {codes.max()} has no group among {n_groups}")

    if not len(codes):
        return np.zeros((n_groups, X.shape[1]))
    groups, sums = _reduce(X, _block_sums, _join_sums, codes)
    if len(groups) == n_groups:
        return sums
    out = np.zeros((n_groups, X.shape[1]))
    out[groups] = sums
    return out


def column_moments(X: Array) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the columns.

    Each block gives its count, mean and scatter about its own mean; two are joined by the
    formula of Chan, Golub & LeVeque (1979), which does not cancel as sums of squares do.

    Parameters
    ----------
    X : ndarray or dask.array.Array, shape (n, n_features)
        Observations; at least two.

    Returns
    -------
    mean : ndarray of float64, shape (n_features,)
    covariance : ndarray of float64, shape (n_features, n_features)
        With n - 1 in the denominator.
    """
    if X.shape[0] < 2:
        raise ValueError("a covariance needs at least two rows")

    n, mean, scatter = _reduce(X, _block_moments, _join_moments)
    return mean, scatter / (n - 1)


def project(X: Array, components: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Coordinates of every row on given axes.

    Parameters
    ----------
    X : ndarray or dask.array.Array, shape (n, n_features)
        Rows.
    components : ndarray, shape (k, n_features)
        The axes, as rows.
    mean : ndarray, shape (n_features,)
        What is taken off every row first.

    Returns
    -------
    ndarray of float32, shape (n, k)
    """
    axes = np.asarray(components, dtype=np.float64).T
    offset = np.asarray(mean, dtype=np.float64) @ axes

    def coordinates(block: np.ndarray) -> np.ndarray:
        return (block.astype(np.float64) @ axes - offset).astype(np.float32)

    if isinstance(X, da.Array):
        X = X.rechunk({1: -1})
        lazy = X.map_blocks(coordinates, chunks=(X.chunks[0], (axes.shape[1],)), dtype=np.float32)
        with client():
            return lazy.compute()
    out = np.empty((X.shape[0], axes.shape[1]), dtype=np.float32)
    for rows, block in row_blocks(X):
        out[rows] = coordinates(block)
    return out


Sums: TypeAlias = tuple[np.ndarray, np.ndarray]
Moments: TypeAlias = tuple[int, np.ndarray, np.ndarray]


def _block_sums(block: np.ndarray, codes: np.ndarray) -> Sums:
    """Sum the groups met in a block, in order; groups that are elsewhere have no row."""
    kept = np.flatnonzero(codes >= 0)
    groups, places = np.unique(codes[kept], return_inverse=True)
    indicator = sparse.csr_matrix(
        (np.ones(len(kept)), (places, kept)), shape=(len(groups), len(block))
    )
    return groups, indicator @ block.astype(np.float64)


def _join_sums(a: Sums, b: Sums) -> Sums:
    groups = np.union1d(a[0], b[0])
    sums = np.zeros((len(groups), a[1].shape[1]))
    for part_groups, part_sums in (a, b):
        sums[np.searchsorted(groups, part_groups)] += part_sums
    return groups, sums


def _block_moments(block: np.ndarray) -> Moments:
    block = block.astype(np.float64)
    mean = block.mean(axis=0)
    block -= mean
    return len(block), mean, block.T @ block


def _join_moments(a: Moments, b: Moments) -> Moments:
    (n_a, mean_a, scatter_a), (n_b, mean_b, scatter_b) = a, b
    n, gap = n_a + n_b, mean_b - mean_a
    scatter = scatter_a + scatter_b + np.outer(gap, gap) * (n_a * n_b / n)
    return n, mean_a + gap * (n_b / n), scatter


def _row_slices(X: Array, size: int | None) -> list[slice]:
    n = X.shape[0]
    if size is None and isinstance(X, da.Array):
        stops = np.cumsum((0, *X.chunks[0])).tolist()
    else:
        stops = [*range(0, n, size or BLOCK_ROWS), n]
    return [slice(a, b) for a, b in pairwise(stops) if b > a]


def _reduce(
    X: Array,
    partial: Callable[..., Partial],
    join: Callable[[Partial, Partial], Partial],
    *along: np.ndarray,
) -> Partial:
    """Join the partial results of all blocks of an array that has rows.

    `along` holds arrays that are cut as the rows are and go to `partial` with each block.
    """
    if not isinstance(X, da.Array):
        return _join_all(
            (partial(block, *(a[rows] for a in along)) for rows, block in row_blocks(X)), join
        )
    X = X.rechunk({0: tuple(size for size in X.chunks[0] if size), 1: -1})
    lazy_partial, lazy_join = dask.delayed(partial, pure=False), dask.delayed(join, pure=False)
    blocks = zip(_row_slices(X, None), X.to_delayed().ravel(), strict=True)
    parts = (lazy_partial(block, *(a[rows] for a in along)) for rows, block in blocks)
    with client():
        return _join_all(parts, lazy_join).compute()


def _join_all(parts: Iterable[Any], join: Callable[[Any, Any], Any]) -> Any:
    """Join results pairwise, as a tree: few are held at once, and a cluster joins what is near."""
    stack: list[tuple[int, Any]] = []
    for part in parts:
        height = 0
        while stack and stack[-1][0] == height:
            part = join(stack.pop()[1], part)
            height += 1
        stack.append((height, part))
    result = stack.pop()[1]
    while stack:
        result = join(stack.pop()[1], result)
    return result
