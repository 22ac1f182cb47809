"""How alike two expression signatures are: correlations and the Connectivity Map's family.

Every score takes query signatures (q, n_genes) and library signatures (c, n_genes) over the
same genes and gives (q, c): higher is more alike. A drug that should *reverse* a signature is
found with the negative. Cosine, Pearson and Spearman use all genes of both. The others reduce
the query to its `k` most raised and `k` most lowered genes, as the Connectivity Map does (Lamb
et al. 2006, 10.1126/science.1132939), and ask where these stand in the library signature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy.stats import rankdata

from screenbook.errors import InputError, did_you_mean, listing

_EQUAL = 1e-9
"""Difference below which two deviations of a running sum are the same."""

Score = Callable[..., np.ndarray]


SET_SIZE = 50
"""Genes in each set of a query."""


def cosine(query: np.ndarray, library: np.ndarray) -> np.ndarray:
    """Cosine of the angle between signatures, (q, c); NaN for a signature of zeros."""
    query, library = _checked(query, library)
    return _unit(query) @ _unit(library).T


def pearson(query: np.ndarray, library: np.ndarray) -> np.ndarray:
    """Pearson's correlation over genes, (q, c); NaN for a constant signature."""
    query, library = _checked(query, library)
    return _unit(_centred(query)) @ _unit(_centred(library)).T


def spearman(query: np.ndarray, library: np.ndarray) -> np.ndarray:
    """Spearman's correlation over genes, (q, c); NaN for a constant signature."""
    query, library = _checked(query, library)
    return pearson(rankdata(query, axis=1), rankdata(library, axis=1))


def wtcs(query: np.ndarray, library: np.ndarray, *, k: int = SET_SIZE) -> np.ndarray:
    """Weigh enrichment both ways: Subramanian et al. 2017 (10.1016/j.cell.2017.10.049).

    The enrichment score of a gene set is the largest deviation from zero of a running sum down
    the genes of the library signature, most raised first: it rises at genes of the set by their
    share of the set's sum of absolute values, and falls evenly at all others. With the scores of
    the query's raised and lowered genes, the result is (up - down) / 2 if their signs differ,
    else 0.

    Parameters
    ----------
    query : ndarray, shape (q, n_genes)
    library : ndarray, shape (c, n_genes)
        Values as z-scores, which weigh the genes.
    k : int
        Genes in each set.

    Returns
    -------
    ndarray, shape (q, c)
        -1 to 1. NaN for a constant query, or where a set has no weight.

    Raises
    ------
    InputError
        If genes do not fit, values are not finite, or there are fewer than 2 k genes.
    """
    query, library = _checked(query, library, k)
    order = np.argsort(query, axis=1, kind="stable")
    down, up = order[:, :k], order[:, -k:]
    out = np.empty((len(query), len(library)))
    for c, values in enumerate(library):
        place = np.empty(len(values), dtype=np.intp)
        place[np.argsort(-values, kind="stable")] = np.arange(len(values))
        weight = np.sort(values)[::-1]
        high, low = (_enrichment(place[genes], np.abs(weight)) for genes in (up, down))
        out[:, c] = np.where(np.sign(high) == np.sign(low), 0.0, (high - low) / 2)
        out[np.isnan(high) | np.isnan(low), c] = np.nan
    out[np.ptp(query, axis=1) == 0] = np.nan
    return out


def xsum(
    query: np.ndarray, library: np.ndarray, *, k: int = SET_SIZE, extremes: int = 100
) -> np.ndarray:
    """Extreme sum of Cheng et al. 2014 (10.1186/s13073-014-0095-1).

    Parameters
    ----------
    query : ndarray, shape (q, n_genes)
    library : ndarray, shape (c, n_genes)
    k : int
        Genes in each of the query's sets.
    extremes : int
        Most raised and most lowered genes of a library signature that are looked at, each.

    Returns
    -------
    ndarray, shape (q, c)
        Sum of the library's values over raised genes of the query less that over lowered ones.
        It grows with the size of the library signature. NaN for a constant query.

    Raises
    ------
    InputError
        If genes do not fit, values are not finite, or there are fewer than 2 k genes.
    """
    query, library = _checked(query, library, k)
    scores = _set_signs(query, k) @ _outermost(library, extremes).T
    scores[np.ptp(query, axis=1) == 0] = np.nan
    return scores


def xcos(
    query: np.ndarray, library: np.ndarray, *, k: int = SET_SIZE, extremes: int = 100
) -> np.ndarray:
    """Extreme cosine (Cheng & Yang 2013): cosine over genes extreme in query and library alike.

    Parameters and errors as for :func:`xsum`.

    Returns
    -------
    ndarray, shape (q, c)
        -1 to 1. 0 where no gene is extreme in both, which are then strangers; NaN for a query of
        zeros.
    """
    query, library = _checked(query, library, k)
    q = np.where(_set_signs(query, k) != 0, query, 0.0)
    c = _outermost(library, extremes)
    length = np.sqrt((q**2 @ (c != 0).T) * ((q != 0) @ (c**2).T))
    scores = np.where(length > 0, (q @ c.T) / np.where(length > 0, length, 1.0), 0.0)
    scores[(q == 0).all(axis=1)] = np.nan
    return scores


def zhang(query: np.ndarray, library: np.ndarray, *, k: int = SET_SIZE) -> np.ndarray:
    """Connect by signed ranks: Zhang & Gant 2008 (10.1186/1471-2105-9-258), unordered query.

    A gene's signed rank in a library signature is its rank by absolute value (largest: number
    of genes) with the sign of its change.

    Parameters and errors as for :func:`wtcs`.

    Returns
    -------
    ndarray, shape (q, c)
        Sum of signed ranks over the query's raised genes less that over its lowered ones, over
        the largest such sum; -1 to 1. NaN for a constant query.
    """
    query, library = _checked(query, library, k)
    n = query.shape[1]
    signed = np.sign(library) * rankdata(np.abs(library), axis=1)
    scores = _set_signs(query, k) @ signed.T / (n - np.arange(2 * k)).sum()
    scores[np.ptp(query, axis=1) == 0] = np.nan
    return scores


SCORES: Mapping[str, Score] = {
    "cosine": cosine,
    "pearson": pearson,
    "spearman": spearman,
    "wtcs": wtcs,
    "xsum": xsum,
    "xcos": xcos,
    "zhang": zhang,
}
"""Scores by name, with their default set sizes."""

_OF_SETS = ("wtcs", "xsum", "xcos", "zhang")


def score_connectivity(query: np.ndarray, library: np.ndarray, score: str) -> np.ndarray:
    """Compare signatures by a score of :data:`SCORES`, named.

    Sets have 50 genes, or a quarter of the genes where that is less.

    Returns
    -------
    ndarray, shape (q, c)

    Raises
    ------
    InputError
        If there is no such score, or it refuses the signatures.
    """
    if score not in SCORES:
        raise InputError(
            f"there is no score {score!r}{did_you_mean(score, SCORES)}; take one of "
            f"{listing(SCORES)}"
        )
    n_genes = np.shape(query)[-1]
    if score in _OF_SETS and n_genes < 4 * SET_SIZE:
        return SCORES[score](query, library, k=max(1, n_genes // 4))
    return SCORES[score](query, library)


def normalise_connectivity(scores: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Put connectivity scores of different lines on one scale (NCS).

    Each score is divided by the mean size of the query's scores of the same sign within the
    candidate's group (Subramanian et al. 2017, 10.1016/j.cell.2017.10.049).

    Parameters
    ----------
    scores : ndarray, shape (q, c)
        From :func:`wtcs`. NaN stays NaN and takes no part.
    groups : ndarray, shape (c,)
        Cell line (and kind of treatment) of each candidate.

    Returns
    -------
    ndarray, shape (q, c)
    """
    out = np.array(scores, dtype=float)
    for group in np.unique(groups):
        mine = groups == group
        part = out[:, mine]
        for sign in (1, -1):
            same = np.sign(part) == sign
            n = same.sum(axis=1)
            total = np.where(same, np.abs(part), 0.0).sum(axis=1)
            mean = np.where(n > 0, total / np.maximum(n, 1), 1.0)
            part = np.where(same, part / mean[:, None], part)
        out[:, mine] = part
    return out


def tau(scores: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Percentage of reference queries that connect more weakly to a candidate, signed.

    A candidate that resembles everything connects strongly to every query; tau asks what is
    strong for it (Subramanian et al. 2017, 10.1016/j.cell.2017.10.049).

    Parameters
    ----------
    scores : ndarray, shape (q, c)
        Normalised scores of the queries.
    background : ndarray, shape (b, c)
        Those of reference queries to the same candidates; some hundreds, or tau is coarse. NaN
        is left out.

    Returns
    -------
    ndarray, shape (q, c)
        -100 to 100: sign of the score times the percentage of the background with a smaller
        absolute score. NaN without a score or a background.

    Raises
    ------
    InputError
        If the candidates differ.
    """
    if scores.shape[1:] != background.shape[1:]:
        raise InputError(
            f"background of shape {background.shape} does not fit scores of shape "
            f"{scores.shape}: score the reference queries against the same candidates"
        )
    out = np.full(scores.shape, np.nan)
    for c in range(scores.shape[1]):
        reference = np.sort(np.abs(background[~np.isnan(background[:, c]), c]))
        if len(reference):
            below = np.searchsorted(reference, np.abs(scores[:, c]), side="left")
            out[:, c] = np.sign(scores[:, c]) * 100 * below / len(reference)
    return out


def _checked(query: np.ndarray, library: np.ndarray, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
    query, library = (np.asarray(x, dtype=np.float64) for x in (query, library))
    if query.ndim != 2 or library.ndim != 2 or query.shape[1] != library.shape[1]:
        raise InputError(
            f"queries of shape {query.shape} do not fit a library of shape {library.shape}: "
            "give one row per signature, over the same genes in the same order"
        )
    for name, values in (("query", query), ("library", library)):
        bad = ~np.isfinite(values)
        if bad.any():
            row, gene = np.argwhere(bad)[0]
            raise InputError(
                f"{name} signatures: row {row + 1}, gene {gene + 1} is {values[row, gene]}; "
                "leave the signature or the gene out"
            )
    if not 1 <= k <= query.shape[1] // 2:
        raise InputError(
            f"sets of {k} raised and {k} lowered genes do not fit signatures of "
            f"{query.shape[1]} genes: take k up to {query.shape[1] // 2}"
        )
    return query, library


def _centred(values: np.ndarray) -> np.ndarray:
    flat = np.ptp(values, axis=1, keepdims=True) == 0
    return np.where(flat, 0.0, values - values.mean(axis=1, keepdims=True))


def _unit(values: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.where(length > 0, values / np.where(length > 0, length, 1.0), np.nan)


def _enrichment(place: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Enrichment scores (q,) of sets at places (q, k) among genes with weights (n_genes,).

    The running sum turns at members of the set only: it is lowest right before one, and highest
    right after one. A set in the middle of the list may reach as far up as down; rounding would
    choose, so it scores 0.
    """
    k, n = place.shape[1], len(weight)
    place = np.sort(place, axis=1)
    risen = np.cumsum(weight[place], axis=1)  # (q, k)
    total = risen[:, -1:]
    share = risen / np.where(total > 0, total, np.nan)
    fallen = (place - np.arange(k)) / (n - k)
    high = (share - fallen).max(axis=1)
    low = (share - weight[place] / np.where(total > 0, total, np.nan) - fallen).min(axis=1)
    es = np.where(high > -low, high, low)
    return np.where(np.abs(high + low) < _EQUAL, 0.0, es)


def _set_signs(query: np.ndarray, k: int) -> np.ndarray:
    """Mark the query's k most raised genes with 1 and its k most lowered with -1, (q, n_genes)."""
    order = np.argsort(query, axis=1, kind="stable")
    signs = np.zeros_like(query)
    np.put_along_axis(signs, order[:, :k], -1.0, axis=1)
    np.put_along_axis(signs, order[:, -k:], 1.0, axis=1)
    return signs


def _outermost(library: np.ndarray, extremes: int) -> np.ndarray:
    """Keep the most raised and most lowered genes of each signature, and 0 elsewhere."""
    order = np.argsort(library, axis=1, kind="stable")
    extremes = min(extremes, library.shape[1] // 2)
    kept = np.zeros_like(library)
    for genes in (order[:, :extremes], order[:, -extremes:]):
        np.put_along_axis(kept, genes, np.take_along_axis(library, genes, axis=1), axis=1)
    return kept
