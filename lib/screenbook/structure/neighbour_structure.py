"""Neighbours in structure that are neighbours in the picture, and the other way round.

A correlation over all pairs is ruled by the many that are unlike in both. Medicinal chemists ask
of the few that are alike: of the pairs with a Tanimoto similarity of 0.4 or more, which share is
among the nearest 5 % in phenotype? And are a compound's nearest in phenotype built like it?
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook.errors import InputError
from screenbook.structure.permutations import (
    ALL,
    WITHIN,
    Permuted,
    cannot_permute,
    mechanism_codes,
    p_values,
    shuffles,
)
from screenbook.structure.similarity import FEWEST, REPRESENTATIONS, CompoundSet

CLOSE = 0.4
"""Tanimoto similarity of Morgan fingerprints from which two compounds are called analogues."""
TOP = 0.05
"""Share of the other compounds that counts as nearest."""
N_NEAREST = 5
"""Neighbours whose similarity is averaged."""

RECALL = "analogues among the nearest"
LIKENESS = "similarity of the nearest"

_CHUNK = 2**22  # numbers of permuted similarities held at a time


@dataclass(frozen=True)
class Neighbours:
    """A question about neighbours.

    Attributes
    ----------
    name : str
        :data:`RECALL` or :data:`LIKENESS`.
    permuted : str
        Who swaps structures; within mechanisms the question is of structure beyond them.
    other : bool
        Whether only compounds of other mechanisms count, as analogues and as neighbours.
    """

    name: str
    permuted: str
    other: bool = False

    @property
    def beyond(self) -> bool:
        """Whether it asks for structure beyond mechanism."""
        return self.permuted == WITHIN


QUESTIONS = tuple(
    Neighbours(name, permuted, other)
    for name in (RECALL, LIKENESS)
    for permuted, other in ((ALL, False), (WITHIN, False), (WITHIN, True))
)


@dataclass(frozen=True)
class NeighbourAnswers:
    """Answers to one question for one or many phenotypes of the same compounds.

    Attributes
    ----------
    value : ndarray of float64, shape (m,)
        Share of analogues found, or mean Tanimoto similarity.
    null : ndarray of float64, shape (n_permutations, m)
    odds_ratio : ndarray of float64, shape (m,)
        Of being near, analogues against others; half a pair is added to each count. NaN for
        :data:`LIKENESS`.
    n_compounds, n_pairs : int
        Compounds; analogue pairs, or pairs of neighbours.
    note : str
        Why there is no answer.
    """

    value: np.ndarray
    null: np.ndarray
    odds_ratio: np.ndarray
    n_compounds: int
    n_pairs: int
    note: str = ""

    @property
    def p(self) -> np.ndarray:
        """One-sided p for each phenotype, (m,)."""
        return p_values(self.value, self.null)


def neighbour_table(
    compounds: CompoundSet, *, n_permutations: int = 999, seed: int = 0
) -> pd.DataFrame:
    """Ask how far neighbours in structure are neighbours in the picture.

    Parameters
    ----------
    compounds : CompoundSet
    n_permutations, seed : int

    Returns
    -------
    DataFrame
        A row for each question: ``test``, ``pairs`` (``"all"`` or ``"other mechanisms"``),
        ``beyond``, ``permuted``, ``value`` (share of analogues that are among the nearest 5 %, or
        mean Tanimoto similarity of the 5 nearest), ``null_mean``, ``null_low``, ``null_high``
        (95 % of permutations), ``p`` (one-sided), ``odds_ratio``, ``n_compounds``, ``n_pairs``
        (analogue pairs; pairs of neighbours) and ``note``.

    Raises
    ------
    InputError
        If there are too few compounds.
    """
    if compounds.refusal:
        raise InputError(compounds.refusal)
    rows = []
    for question in QUESTIONS:
        found = ask_neighbours(
            question, compounds.structure[REPRESENTATIONS[0]], compounds.phenotype[None],
            compounds.mechanism, n_permutations, seed,
        )  # fmt: skip
        rows.append(
            {
                "test": question.name,
                "pairs": "other mechanisms" if question.other else "all",
                "beyond": question.beyond,
                "permuted": question.permuted,
                "value": found.value[0],
                **Permuted(float(found.value[0]), found.null[:, 0]).row(),
                "odds_ratio": found.odds_ratio[0],
                "n_compounds": found.n_compounds,
                "n_pairs": found.n_pairs,
                "note": found.note,
            }
        )
    return pd.DataFrame(rows)


def ask_neighbours(
    question: Neighbours,
    structure: np.ndarray,
    phenotype: np.ndarray,
    mechanism: np.ndarray,
    n_permutations: int,
    seed: int,
) -> NeighbourAnswers:
    """Answer one question for every phenotype, with the same permutations.

    Parameters
    ----------
    question : Neighbours
    structure : ndarray, shape (n, n)
        Tanimoto similarity.
    phenotype : ndarray, shape (m, n, n)
        Similarity of m phenotypes of n compounds.
    mechanism : ndarray of str, shape (n,)
        Compounds of unknown mechanism (``""``) are left out of questions beyond mechanism.
    n_permutations, seed : int
    """
    group = mechanism_codes(mechanism)
    if question.beyond:
        known = group >= 0
        structure, phenotype = structure[np.ix_(known, known)], phenotype[:, known][:, :, known]
        group = group[known]
    n = len(group)
    allowed = ~np.eye(n, dtype=bool)
    if question.other:
        allowed &= group[:, None] != group
    recall = question.name == RECALL
    weight = np.where(allowed, (structure >= CLOSE) if recall else structure, 0.0)
    n_close = int(np.sum(allowed & (structure >= CLOSE)) // 2)
    note = _refuse(question, group, allowed, n_close)
    if note:
        none = np.full(len(phenotype), np.nan)
        return NeighbourAnswers(none, none[None][:0], none, n, 0, note)
    k = max(1, int(np.ceil(TOP * (n - 1)))) if recall else N_NEAREST
    near = nearest(phenotype, allowed, k)
    total = weight.sum() if recall else near[0].sum()
    drawn = shuffles(n, n_permutations, seed, group if question.beyond else None)
    found = _permuted_sums(weight, near, np.vstack([np.arange(n), drawn])) / total
    odds = np.full(len(near), np.nan)
    if recall:
        a = found[0] * total
        counts = (a, total - a, near[0].sum() - a, allowed.sum() - total - near[0].sum() + a)
        odds = ((counts[0] + 1) * (counts[3] + 1)) / ((counts[1] + 1) * (counts[2] + 1))
    n_pairs = n_close if recall else round(near[0].sum())
    return NeighbourAnswers(found[0], found[1:], odds, n, n_pairs)


def nearest(phenotype: np.ndarray, allowed: np.ndarray, k: int) -> np.ndarray:
    """Mark the k nearest of each compound; those that tie for the last place share it.

    Parameters
    ----------
    phenotype : ndarray, shape (m, n, n)
        Similarities.
    allowed : ndarray of bool, shape (n, n)
        Who may be a neighbour of whom.
    k : int
        Neighbours; fewer where fewer are allowed.

    Returns
    -------
    ndarray of float64, shape (m, n, n)
        0 to 1; each row sums to its number of neighbours.
    """
    masked = np.where(allowed, phenotype, -np.inf)
    last = -np.sort(-masked, axis=2)[:, :, k - 1 : k]
    tied = (masked == last) & allowed
    above = (masked > last) & allowed
    room = np.minimum(k, allowed.sum(axis=1))[None, :, None] - above.sum(axis=2, keepdims=True)
    return above + tied * room / np.maximum(tied.sum(axis=2, keepdims=True), 1)


def _permuted_sums(weight: np.ndarray, near: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Sum of weights over neighbours, for each arrangement and phenotype."""
    right = near.reshape(len(near), -1).T.astype(np.float32)
    left = weight.astype(np.float32)
    parts = np.array_split(drawn, 1 + len(drawn) * weight.size // _CHUNK)
    sums = [left[p[:, :, None], p[:, None, :]].reshape(len(p), -1) @ right for p in parts]
    return np.vstack(sums).astype(np.float64)


def _refuse(question: Neighbours, group: np.ndarray, allowed: np.ndarray, n_close: int) -> str:
    if len(group) < FEWEST:
        return f"{len(group)} compounds of known mechanism, {FEWEST} are needed"
    if question.beyond and (why := cannot_permute(group)):
        return why
    if question.other and not allowed.any():
        return "only one mechanism"
    if question.name == RECALL and not n_close:
        return f"no pair{' of different mechanisms' * question.other} reaches {CLOSE} Tanimoto"
    return ""
