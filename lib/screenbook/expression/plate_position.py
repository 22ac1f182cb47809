"""Tell matches of drugs from matches of wells that lie together.

On a dose plate the doses of a drug fill adjacent wells, and replicate plates often repeat one
layout. Neighbours on a plate share evaporation, temperature and the path of the pipette, so a
profile may find its own compound by its place. Two questions help: do *strangers* in wells next
to the right answer rank better than others, and does the match survive when a smooth surface is
taken off the plate?
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from screenbook.errors import InputError


def rank_neighbour_wells(
    scores: np.ndarray,
    same_compound: np.ndarray,
    query_place: np.ndarray,
    library_place: np.ndarray,
    *,
    reach: float = 1.5,
) -> np.ndarray:
    """Rank strangers that lie next to a query's place among all strangers.

    Parameters
    ----------
    scores : ndarray, shape (q, c)
        Higher is more alike; NaN is last.
    same_compound : ndarray of bool, shape (q, c)
        Candidates to leave out: they may rank high for the right reason.
    query_place, library_place : ndarray, shape (q, 2) and (c, 2)
        Row and column of each well; plates of one layout may be compared.
    reach : float
        Largest distance of a neighbour, in wells; 1.5 takes the eight around.

    Returns
    -------
    ndarray of float64, shape (q,)
        Mean rank of the neighbours, ties averaged: 0 first, 1 last, and 0.5 on average where
        position does not matter. NaN for a query without such neighbours.

    Notes
    -----
    Compounds that a library keeps side by side may be related, which looks the same.
    """
    scores = np.where(np.isnan(scores), -np.inf, scores)
    gap = np.asarray(query_place, dtype=float)[:, None] - np.asarray(library_place, dtype=float)
    near = (np.hypot(gap[..., 0], gap[..., 1]) <= reach) & ~same_compound
    out = np.full(len(scores), np.nan)
    for i in np.flatnonzero(near.any(axis=1)):
        strangers = ~same_compound[i]
        if strangers.sum() > 1:
            rank = (rankdata(-scores[i, strangers]) - 1) / (strangers.sum() - 1)
            out[i] = rank[near[i, strangers]].mean()
    return out


def remove_plate_trend(
    expression: np.ndarray, row: np.ndarray, column: np.ndarray, batch: np.ndarray
) -> np.ndarray:
    """Subtract a smooth surface over each plate, a quadratic in row and column for each gene.

    It is fitted to all wells of a plate, by least squares. A surface fitted to a few controls is
    noise that neighbours share: on the A375 plate it *raises* the match of adjacent doses, and
    of strangers in adjacent wells with it.

    Parameters
    ----------
    expression : ndarray, shape (n, n_genes)
        Expression or signatures.
    row, column : ndarray of int, shape (n,)
        Place of each well.
    batch : ndarray, shape (n,)
        Plate of each.

    Returns
    -------
    ndarray of float64, shape (n, n_genes)
        With the plates' means as they were.

    Raises
    ------
    InputError
        If a plate has fewer than ten wells for each term of the surface.
    """
    out = np.array(expression, dtype=np.float64)
    for plate in np.unique(batch):
        mine = np.asarray(batch) == plate
        r, c = (np.asarray(x, dtype=float)[mine] for x in (row, column))
        r, c = r - r.mean(), c - c.mean()
        terms = np.column_stack([r, c, r * c, r**2, c**2])
        terms -= terms.mean(axis=0)
        if len(r) < 10 * terms.shape[1]:
            raise InputError(
                f"plate {str(plate)!r} has {len(r)} wells, too few to fit a surface of "
                f"{terms.shape[1]} terms: leave the trend in"
            )
        out[mine] -= terms @ np.linalg.lstsq(terms, out[mine], rcond=None)[0]
    return out
