"""Rank the target genes of a drug without its signature: by structure, or by frequency alone.

What reads targets from an expression change has to beat these. Drugs with like structures have
like targets (the similar property principle: Keiser et al., Nat. Biotechnol. 25, 197 (2007),
doi:10.1038/nbt1284), and some genes are the target of many drugs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from screenbook.errors import InputError
from screenbook.fingerprints import tanimoto
from screenbook.retrieval_metrics import score_rankings

N_NEIGHBOURS = 5

DEPTHS = (5,)
"""Ranks down to which a list of targets is read."""

_UNKNOWN = {"", "NONE", "NAN", "UNCLEAR", "UNKNOWN"}


def target_table(targets: Iterable[str], genes: Sequence[str] | None = None) -> pd.DataFrame:
    """Spread lists of target genes over one column for each gene.

    Parameters
    ----------
    targets : iterable of str, length n
        Gene symbols joined by ``;``, in any case; ``""`` where they are not known.
    genes : sequence of str, optional
        Columns of the result, in capitals; genes that are not among them are left out. By
        default all that are named, in alphabetical order.

    Returns
    -------
    DataFrame of bool, shape (n, n_targets)
        A row without True is a drug whose targets are not known.
    """
    named = [{gene.strip().upper() for gene in str(text).split(";")} - _UNKNOWN for text in targets]
    columns = sorted(set().union(*named)) if genes is None else list(genes)
    place = {gene: i for i, gene in enumerate(columns)}
    member = np.zeros((len(named), len(columns)), dtype=bool)
    for row, some in enumerate(named):
        member[row, [place[gene] for gene in some if gene in place]] = True
    return pd.DataFrame(member, columns=pd.Index(columns, name="target", dtype=object))


def neighbour_targets(
    query_bits: np.ndarray,
    known_bits: np.ndarray,
    known_targets: pd.DataFrame,
    *,
    excluded: np.ndarray | None = None,
    k: int = N_NEIGHBOURS,
) -> pd.DataFrame:
    """Transfer targets from the drugs of the most similar structures.

    Parameters
    ----------
    query_bits : ndarray, shape (q, n_bits)
    known_bits : ndarray, shape (n, n_bits)
        One row for each drug whose targets are known.
    known_targets : DataFrame of bool, shape (n, n_targets)
        From :func:`target_table`.
    excluded : ndarray of bool, shape (q, n), optional
        Drugs that a query must not learn from: itself, and its other names.
    k : int
        Neighbours, weighted by their Tanimoto similarity; of those equally near the first count.

    Returns
    -------
    DataFrame, shape (q, n_targets)
        Summed similarity of the neighbours that have the target; NaN for a query whose
        structure cannot be read (no bit set).

    Raises
    ------
    InputError
        If shapes do not fit.
    """
    excluded = _check(len(query_bits), len(known_bits), known_targets, excluded)
    alike = np.where(excluded, 0.0, tanimoto(query_bits, known_bits).astype(float))
    nearest = np.argsort(-alike, axis=1, kind="stable")[:, :k]
    weight = np.zeros_like(alike)
    np.put_along_axis(weight, nearest, np.take_along_axis(alike, nearest, axis=1), axis=1)
    scores = weight @ known_targets.to_numpy(dtype=float)
    scores[~np.any(query_bits, axis=1)] = np.nan
    return pd.DataFrame(scores, columns=known_targets.columns)


def frequent_targets(
    n_queries: int, known_targets: pd.DataFrame, *, excluded: np.ndarray | None = None
) -> pd.DataFrame:
    """Score each target by how many drugs have it, whatever the query.

    Parameters
    ----------
    n_queries : int
    known_targets : DataFrame of bool, shape (n, n_targets)
    excluded : ndarray of bool, shape (q, n), optional
        Drugs that are not counted for a query.

    Returns
    -------
    DataFrame, shape (n_queries, n_targets)
    """
    excluded = _check(n_queries, len(known_targets), known_targets, excluded)
    scores = (~excluded).astype(float) @ known_targets.to_numpy(dtype=float)
    return pd.DataFrame(scores, columns=known_targets.columns)


def score_targets(
    scores: pd.DataFrame, targets: Iterable[str], *, ks: Sequence[int] = DEPTHS
) -> pd.DataFrame:
    """Score rankings of target genes against the known ones, expected over ties.

    Parameters
    ----------
    scores : DataFrame, shape (q, n_targets)
        Genes in capitals as columns; higher is better.
    targets : iterable of str, length q
        Joined by ``;``. A gene that nothing can name, because no column is of it, is one
        missed: it counts in the denominator of recall.
    ks : sequence of int

    Returns
    -------
    DataFrame, q rows
        ``n_targets``, and ``recall@K ap@K ndcg@K`` as in
        :func:`~screenbook.retrieval_metrics.score_rankings`; NaN where the targets
        of a query are not known.
    """
    named = target_table(targets)
    table = scores.reindex(columns=scores.columns.union(named.columns, sort=False))
    values = table.to_numpy(dtype=float)
    if len(named) != len(values):
        raise InputError(f"targets: {len(values):,} rankings and {len(named):,} lists of targets")
    truth = named.reindex(columns=table.columns, fill_value=False).to_numpy()
    found = score_rankings(values, truth.astype(int), ks=ks)
    columns = [f"{name}@{k}" for k in ks for name in ("recall", "ap", "ndcg")]
    return found[columns].assign(n_targets=truth.sum(axis=1))[["n_targets", *columns]]


def _check(n_queries: int, n: int, known: pd.DataFrame, excluded: np.ndarray | None) -> np.ndarray:
    if len(known) != n:
        raise InputError(f"targets: {n:,} fingerprints and {len(known):,} lists of targets")
    found = np.zeros((n_queries, n), dtype=bool) if excluded is None else np.asarray(excluded)
    if found.shape != (n_queries, n):
        raise InputError(
            f"targets: excluded has shape {found.shape}, which does not fit {n_queries:,} queries "
            f"and {n:,} drugs"
        )
    return found.astype(bool)
