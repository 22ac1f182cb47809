"""Scores that rank drugs without reading a signature's direction: what retrieval must beat."""

from __future__ import annotations

import numpy as np

from screenbook.errors import InputError
from screenbook.fingerprints import tanimoto

RETRIEVAL_BASELINES = {
    "random": "random order",
    "popularity": "popularity",
    "magnitude": "size of the change",
    "structure": "structure, if told",
}
"""Each baseline, and what figures call it. ``structure`` is told which drug the query is of."""


def random_scores(n_queries: int, n_candidates: int, *, seed: int = 0) -> np.ndarray:
    """Draw scores, float64 (n_queries, n_candidates)."""
    return np.random.default_rng(seed).random((n_queries, n_candidates))


def popularity_scores(n_queries: int, candidates: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Score a candidate by its mean cosine to all training signatures, whatever the query.

    A library whose signatures share one programme (stress, say) has candidates that are near
    everything; a score that does no better than this has found the programme, not the drug.

    Parameters
    ----------
    n_queries : int
    candidates : ndarray, shape (c, n_genes)
        Change of each candidate; NaN where it has none.
    training : ndarray, shape (n, n_genes)

    Returns
    -------
    ndarray, shape (n_queries, c)
        NaN for a candidate without a signature, or without any change.
    """
    centre = np.nanmean(_unit(training), axis=0)
    return np.repeat((_unit(candidates) @ centre)[None, :], n_queries, axis=0)


def magnitude_scores(queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Score a candidate by how near its size of change is to the query's.

    Parameters
    ----------
    queries : ndarray, shape (q, n_genes)
    candidates : ndarray, shape (c, n_genes)
        NaN where there is none.

    Returns
    -------
    ndarray, shape (q, c)
        Minus the absolute log ratio of Euclidean norms; 0 is best. NaN where a signature is
        missing or has no change.
    """
    query, candidate = (np.log(_norm(values)) for values in (queries, candidates))
    return -np.abs(query[:, None] - candidate[None, :])


def structure_scores(query_bits: np.ndarray, candidate_bits: np.ndarray) -> np.ndarray:
    """Score a candidate by the Tanimoto similarity of its structure to that of the query's drug.

    This is told the answer's structure: it is no method for a query of unknown origin, and it
    says how much of a graded relevance structure alone explains.

    Parameters
    ----------
    query_bits : ndarray, shape (q, n_bits)
    candidate_bits : ndarray, shape (c, n_bits)

    Returns
    -------
    ndarray, shape (q, c)
        NaN where either structure cannot be read (no bit set).
    """
    alike = tanimoto(query_bits, candidate_bits).astype(float)
    blind = ~np.any(query_bits, axis=1)[:, None] | ~np.any(candidate_bits, axis=1)[None, :]
    return np.where(blind, np.nan, alike)


def retrieval_baselines(
    queries: np.ndarray,
    candidates: np.ndarray,
    training: np.ndarray,
    query_bits: np.ndarray,
    candidate_bits: np.ndarray,
    *,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Score all candidates for all queries by every baseline.

    Parameters
    ----------
    queries, candidates, training : ndarray, shapes (q, n_genes), (c, n_genes), (n, n_genes)
    query_bits, candidate_bits : ndarray, shapes (q, n_bits), (c, n_bits)
    seed : int
        Of the random order.

    Returns
    -------
    dict of str to ndarray, shape (q, c)
        In the order of :data:`RETRIEVAL_BASELINES`; higher is better.

    Raises
    ------
    InputError
        If the genes of the signatures differ in number, or rows and fingerprints do.
    """
    if not queries.shape[1] == candidates.shape[1] == training.shape[1]:
        raise InputError(
            f"retrieval: signatures of {queries.shape[1]}, {candidates.shape[1]} and "
            f"{training.shape[1]} genes cannot be compared; take the genes they share"
        )
    if (len(queries), len(candidates)) != (len(query_bits), len(candidate_bits)):
        raise InputError("retrieval: give one fingerprint for each query and each candidate")
    found = {
        "random": random_scores(len(queries), len(candidates), seed=seed),
        "popularity": popularity_scores(len(queries), candidates, training),
        "magnitude": magnitude_scores(queries, candidates),
        "structure": structure_scores(query_bits, candidate_bits),
    }
    return {name: found[name] for name in RETRIEVAL_BASELINES}


def _norm(values: np.ndarray) -> np.ndarray:
    size = np.linalg.norm(np.asarray(values, dtype=float), axis=1)
    return np.where(size > 0, size, np.nan)


def _unit(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, dtype=float) / _norm(values)[:, None]
