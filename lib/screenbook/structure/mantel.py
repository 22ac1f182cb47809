"""Are pairs of compounds that are built alike also alike in the picture? Mantel tests.

Pairs are no sample: n compounds make n (n - 1) / 2 pairs, which share compounds. So structures
are permuted among compounds, and intervals leave out one compound at a time.

The plain test cannot tell structure from mechanism, because analogues share their mechanism.
Five others try. The partial test regresses the same-mechanism indicator out of both sides; it
trusts that one number for each pair says all that mechanism does. It does not: where phenotype
follows mechanism, mechanism scaffold, and structure adds nothing, it rejected at 5 % in 0.065 of
200 plantings on 34 compounds, in 0.130 on 100, and in 0.31 of 100 on 300
(tests/benchmarks/bench_structure.py), whether structures or their residuals were permuted, as
Guillot & Rousset warn (2013, doi:10.1111/2041-210x.12018). The restricted test swaps structures
only within mechanisms, and its correlation is that of what is left when every block of pairs
(this mechanism with that one) has its mean taken out. It is exact however mechanisms came by
their structures (0.030, 0.055 and 0.030 of 200 such plantings), so verdicts rest on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata, t

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
from screenbook.structure.similarity import FEWEST, REPRESENTATIONS, CompoundSet, cosine

FEWEST_MECHANISMS = 6
"""Mechanisms below which their means are not compared: 5 have 120 arrangements and 10 pairs."""

_CHUNK = 2**22  # numbers of permuted similarities held at a time


@dataclass(frozen=True)
class Question:
    """A test on pairs.

    Attributes
    ----------
    name : str
    beyond : bool
        Whether it asks for structure beyond mechanism.
    permuted : str
        Who swaps structures: :data:`~screenbook.structure.permutations.ALL` or ``WITHIN``.
    held : tuple of str
        What is regressed out of both sides: ``"mechanism"``, ``"activity"``.
    pairs : str
        ``"all"``, ``"same"`` mechanism, or ``"means"`` of mechanisms.
    """

    name: str
    beyond: bool
    permuted: str = ALL
    held: tuple[str, ...] = ()
    pairs: str = "all"


RESTRICTED = "restricted permutation"
"""The test that verdicts rest on."""

QUESTIONS = (
    Question("Mantel", beyond=False),
    Question("partial Mantel, mechanism held", beyond=True, held=("mechanism",)),
    Question("partial Mantel, activity held too", beyond=True, held=("mechanism", "activity")),
    Question(RESTRICTED, beyond=True, permuted=WITHIN),
    Question("pairs of one mechanism", beyond=True, permuted=WITHIN, pairs="same"),
    Question("means of mechanisms", beyond=True, pairs="means"),
)
"""All tests of a structural similarity against the phenotype."""


@dataclass(frozen=True)
class Answers:
    """Answers to one question for one or many phenotypes of the same compounds.

    Attributes
    ----------
    r : ndarray of float64, shape (m,)
    null : ndarray of float64, shape (n_permutations, m)
    n_compounds, n_pairs : int
        That were compared.
    note : str
        Why there is no answer; ``""`` if there is one.
    sides : tuple of ndarray, shape (n_pairs,) each
        What :func:`jackknife_interval` takes, of the first phenotype; empty with a note.
    """

    r: np.ndarray
    null: np.ndarray
    n_compounds: int
    n_pairs: int
    note: str = ""
    sides: tuple[np.ndarray, ...] = ()

    @property
    def p(self) -> np.ndarray:
        """One-sided p for each phenotype, (m,)."""
        return p_values(self.r, self.null)


def mantel_table(
    compounds: CompoundSet,
    *,
    representations: Sequence[str] = REPRESENTATIONS,
    n_permutations: int = 999,
    seed: int = 0,
) -> pd.DataFrame:
    """Ask all questions of a screen, for every structural similarity.

    Parameters
    ----------
    compounds : CompoundSet
    representations : sequence of str
        Of :data:`~screenbook.structure.similarity.REPRESENTATIONS`.
    n_permutations, seed : int

    Returns
    -------
    DataFrame
        A row for each test and representation: ``test``, ``representation``, ``beyond`` (whether
        the test asks for structure beyond mechanism), ``permuted``, ``r`` (Spearman correlation
        over pairs, of what is left on both sides), ``low`` and ``high`` (95 %, jackknife over
        compounds), ``null_mean``, ``null_low``, ``null_high`` (95 % of permutations), ``p``
        (one-sided), ``n_compounds``, ``n_pairs`` and ``note`` (why there is no answer). The first
        rows are the premise: does sharing a mechanism go with like pictures, and with like
        structures?

    Raises
    ------
    InputError
        If there are too few compounds.

    References
    ----------
    Mantel, Cancer Res. 27, 209 (1967); Smouse, Long & Sokal, Syst. Zool. 35, 627 (1986),
    doi:10.2307/2413122; jackknife of statistics of pairs: Arvesen, Ann. Math. Stat. 40, 2076
    (1969), doi:10.1214/aoms/1177697287.
    """
    if compounds.refusal:
        raise InputError(compounds.refusal)
    mechanism, known = compounds.mechanism, compounds.mechanism != ""
    pictures = Pictures(compounds.phenotype[None], compounds.table[["strength"]].to_numpy().T)
    structure = compounds.structure
    shared = (mechanism[known][:, None] == mechanism[known]).astype(float)
    plain, drawn = QUESTIONS[0], (n_permutations, seed)
    found = ask(plain, shared, pictures.subset(known), mechanism[known], *drawn)
    rows = [_row("mechanism and picture", "same mechanism", plain, found)]
    for name in representations:
        built = Pictures(structure[name][known][None, :, known], pictures.length[:, known])
        found = ask(plain, shared, built, mechanism[known], *drawn)
        rows.append(_row("mechanism and structure", name, plain, found))
    for question in QUESTIONS:
        for name in representations:
            found = ask(question, structure[name], pictures, mechanism, *drawn)
            rows.append(_row(question.name, name, question, found))
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Pictures:
    """Phenotypes of the same compounds: one, or many that were planted.

    Attributes
    ----------
    similarity : ndarray, shape (m, n, n)
        Cosine of all pairs.
    length : ndarray, shape (m, n)
        How strongly each compound acts.
    """

    similarity: np.ndarray
    length: np.ndarray

    @classmethod
    def of(cls, profiles: np.ndarray) -> Pictures:
        """Compare profiles, (m, n, k)."""
        return cls(cosine(profiles), np.linalg.norm(profiles, axis=-1))

    def subset(self, rows: np.ndarray) -> Pictures:
        """Keep some compounds, by a mask."""
        return Pictures(self.similarity[:, rows][:, :, rows], self.length[:, rows])


def ask(
    question: Question,
    structure: np.ndarray,
    pictures: Pictures,
    mechanism: np.ndarray,
    n_permutations: int,
    seed: int,
) -> Answers:
    """Answer one question for every phenotype, with the same permutations.

    Parameters
    ----------
    question : Question
    structure : ndarray, shape (n, n)
        Structural similarity.
    pictures : Pictures
        m phenotypes of n compounds.
    mechanism : ndarray of str, shape (n,)
        Compounds of unknown mechanism (``""``) are left out of questions beyond mechanism.
    n_permutations, seed : int
    """
    if question.beyond:
        known = mechanism != ""
        structure, pictures = structure[np.ix_(known, known)], pictures.subset(known)
        mechanism = mechanism[known]
    group = mechanism_codes(mechanism)
    n_compounds = len(group)
    note = _refuse(question, group)
    if note:
        none = np.full(len(pictures.length), np.nan)
        return Answers(none, none[None][:0], n_compounds, 0, note)
    same = group[:, None] == group
    if question.pairs == "means":
        structure, pictures = _mechanism_means(structure, pictures, group)
    n = len(structure)
    i, j = np.triu_indices(n, 1)
    if question.pairs == "same":
        i, j = i[same[i, j]], j[same[i, j]]
    x = rankdata(structure[i, j])
    y = rankdata(pictures.similarity[:, i, j], axis=1)  # (m, n_pairs)
    if question.permuted == WITHIN:
        block = _blocks(group[i], group[j])
        x, y = _less_block_means(x[None], block)[0], _less_block_means(y, block)
        basis = np.zeros((1, len(i), 0))
        drawn = shuffles(n, n_permutations, seed, group)
    else:
        basis = _held(question, same[i, j] if question.held else None, pictures, i, j)
        drawn = shuffles(n, n_permutations, seed)
    y = y - np.einsum("mpq,mq->mp", basis, np.einsum("mpq,mp->mq", basis, y))
    r, null = _correlations(x, y, basis, drawn, i, j)
    left = x - basis[0] @ (basis[0].T @ x)
    return Answers(r, null, n_compounds, len(i), sides=(left, y[0], i, j))


def jackknife_interval(
    x: np.ndarray, y: np.ndarray, i: np.ndarray, j: np.ndarray
) -> tuple[float, float]:
    """95 % interval of a correlation over pairs, leaving out one compound at a time.

    It says how far r would move with other compounds, so it is wider than the null: of the 5 % of
    pairs that are close, few compounds have more than their share.

    Parameters
    ----------
    x, y : ndarray, shape (n_pairs,)
        Two sides of each pair, of mean 0.
    i, j : ndarray of int, shape (n_pairs,)
        Compounds of each pair.

    Returns
    -------
    low, high : float
        By Student's t on the scale of the inverse hyperbolic tangent.
    """
    n = int(max(i.max(), j.max())) + 1

    def left(terms: np.ndarray) -> np.ndarray:
        own = np.bincount(i, terms, n) + np.bincount(j, terms, n)
        return np.append(terms.sum() - own, terms.sum())

    xy, xx, yy, sx, sy, count = (left(v) for v in (x * y, x * x, y * y, x, y, np.ones(len(i))))
    count = np.maximum(count, 1)
    spread = np.maximum((xx - sx**2 / count) * (yy - sy**2 / count), np.finfo(float).tiny)
    z = np.arctanh(np.clip((xy - sx * sy / count) / np.sqrt(spread), -0.999999, 0.999999))
    error = np.sqrt((n - 1) / n * ((z[:-1] - z[:-1].mean()) ** 2).sum())
    low, high = np.tanh(z[-1] + t.ppf(0.975, n - 1) * error * np.array([-1.0, 1.0]))
    return float(low), float(high)


def _refuse(question: Question, group: np.ndarray) -> str:
    """Why a question cannot be asked of these compounds; empty if it can."""
    if len(group) < FEWEST:
        return f"{len(group)} compounds of known mechanism, {FEWEST} are needed"
    if question.permuted == WITHIN:
        return cannot_permute(group)
    n_mechanisms = len(np.unique(group))
    if question.pairs == "means" and n_mechanisms < FEWEST_MECHANISMS:
        return f"{n_mechanisms} mechanisms, {FEWEST_MECHANISMS} are needed"
    if question.held and not 1 < n_mechanisms < len(group):
        return "no two compounds share a mechanism" if n_mechanisms > 1 else "only one mechanism"
    return ""


def _mechanism_means(
    structure: np.ndarray, pictures: Pictures, group: np.ndarray
) -> tuple[np.ndarray, Pictures]:
    """Mean similarity of the compounds of any two mechanisms."""
    member = np.eye(group.max() + 1)[group]
    member /= member.sum(axis=0)
    between = member.T @ pictures.similarity @ member
    return member.T @ structure @ member, Pictures(between, pictures.length @ member)


def _blocks(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Give each pair of compounds the number of its pair of mechanisms."""
    low, high = np.minimum(first, second), np.maximum(first, second)
    return np.unique(low * (high.max() + 1) + high, return_inverse=True)[1]


def _less_block_means(values: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Take from each pair the mean of its block: (m, n_pairs) to the same."""
    member = np.zeros((values.shape[1], block.max() + 1))
    member[np.arange(values.shape[1]), block] = 1.0
    return values - (values @ member / member.sum(axis=0)) @ member.T


def _held(
    question: Question,
    same: np.ndarray | None,
    pictures: Pictures,
    i: np.ndarray,
    j: np.ndarray,
) -> np.ndarray:
    """Orthonormal basis of what is regressed out, (m or 1, n_pairs, q), the mean among it."""
    columns = [np.ones((1, len(i)))]
    if same is not None:
        columns.append(same[None].astype(float))
    if "activity" in question.held:
        # A pair can be no more alike than the weaker of the two acts.
        weaker = np.minimum(pictures.length[:, i], pictures.length[:, j])
        columns.append(rankdata(weaker, axis=1))
    m = max(len(c) for c in columns)
    design = np.stack([np.broadcast_to(c, (m, len(i))) for c in columns], axis=-1)
    return np.linalg.qr(design)[0]


def _correlations(
    x: np.ndarray,
    y: np.ndarray,
    basis: np.ndarray,
    drawn: np.ndarray,
    i: np.ndarray,
    j: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Correlate x, as it is and permuted, with y, both less what the basis explains.

    y is free of the basis already, so x need only have its length corrected for it: one matrix
    product does all permutations of all phenotypes.
    """
    n = drawn.shape[1]
    square = np.zeros((n, n), dtype=np.float32)
    square[i, j] = square[j, i] = x - x.mean()
    length = np.linalg.norm(y, axis=1)
    right = (y / np.maximum(length, np.finfo(float).tiny)[:, None]).T.astype(np.float32)
    held = basis.transpose(1, 0, 2).reshape(len(i), -1).astype(np.float32)
    found = []
    every = np.vstack([np.arange(n), drawn])
    for part in np.array_split(every, 1 + len(every) * len(i) // _CHUNK):
        left = square[part[:, i], part[:, j]]
        known = ((left @ held) ** 2).reshape(len(part), *basis[:, 0].shape).sum(axis=2)
        spread = (left.astype(np.float64) ** 2).sum(axis=1)[:, None] - known
        found.append((left @ right) / np.sqrt(np.maximum(spread, 1e-9)))
    r = np.vstack(found).astype(np.float64)
    r[:, length < 1e-9] = np.nan
    if np.ptp(x) == 0:
        r[:] = np.nan
    return r[0], r[1:]


def _row(test: str, representation: str, question: Question, found: Answers) -> dict[str, object]:
    there = not np.isnan(found.r[0])
    low, high = jackknife_interval(*found.sides) if there else (np.nan, np.nan)
    return {
        "test": test,
        "representation": representation,
        "beyond": question.beyond,
        "permuted": question.permuted,
        "r": found.r[0],
        "low": low,
        "high": high,
        **Permuted(float(found.r[0]), found.null[:, 0]).row(),
        "n_compounds": found.n_compounds,
        "n_pairs": found.n_pairs,
        "note": found.note,
    }
