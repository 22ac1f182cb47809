"""How well rankings of candidate drugs answer queries: expected over ties, one row per query.

Candidates with equal scores have no order, and an order taken from the table would reward or
punish by accident: a prediction without any content then scores above zero. Every figure here
is the mean over all orders of tied candidates, in closed form (precision, recall and NDCG as in
McSherry & Najork 2008, 10.1007/978-3-540-78646-7_38; the first relevant candidate of a tie
follows the negative hypergeometric law). Ties are exact equality of scores.

Relevance is graded: :data:`SAME_PARENT`, :data:`SAME_MECHANISM_AND_TARGET`,
:data:`SAME_MECHANISM_OR_TARGET`, :data:`NOT_RELEVANT`; :data:`NOT_IN_POOL` takes a candidate out
of a query's ranking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import gammaln

from screenbook.errors import InputError, did_you_mean, listing
from screenbook.metadata import unclear

SAME_PARENT = 3
SAME_MECHANISM_AND_TARGET = 2
SAME_MECHANISM_OR_TARGET = 1
NOT_RELEVANT = 0
NOT_IN_POOL = -1


def grade_relevance(
    queries: pd.DataFrame, candidates: pd.DataFrame, *, pool: np.ndarray | None = None
) -> np.ndarray:
    """Grade every candidate for every query by parent structure, mechanism and targets.

    Structural similarity plays no part: models that see structures would be graded by their
    own input.

    Parameters
    ----------
    queries, candidates : DataFrame, q and c rows
        ``compound_key`` (one for each parent structure; ``""`` for a control), ``moa`` and
        ``targets`` (gene symbols joined by ``;``). A blank or unclear mechanism and a blank
        target match nothing, so a query with neither has grade 3 candidates only.
    pool : ndarray of bool, shape (q, c), optional
        Which candidates a query is ranked against; all by default. Controls never are.

    Returns
    -------
    ndarray of int8, shape (q, c)
        3 same parent, 2 same mechanism and a shared target, 1 either of both, 0 none, -1 not in
        this query's pool.

    Raises
    ------
    InputError
        If a column is missing.
    """
    for name, table in (("queries", queries), ("candidates", candidates)):
        for column in ("compound_key", "moa", "targets"):
            if column not in table:
                raise InputError(
                    f"{name}: there is no column {column!r}{did_you_mean(column, table.columns)}; "
                    f"found {listing(table.columns)}: take profiles as make_profiles() leaves them"
                )
    query_key, key = _codes(*(t["compound_key"].astype(str) for t in (queries, candidates)))
    moa = _codes(*(_clear(t["moa"]) for t in (queries, candidates)))
    grade = _same(*moa).astype(np.int8)
    grade += _shared_targets(queries["targets"], candidates["targets"])
    grade[_same(query_key, key)] = SAME_PARENT
    grade[:, key < 0] = NOT_IN_POOL
    if pool is not None:
        grade[~pool] = NOT_IN_POOL
    return grade


@dataclass(frozen=True)
class _Blocks:
    """Candidates of each query from best to worst, and the tie that each stands in.

    Attributes
    ----------
    grade : ndarray of int, shape (q, c)
        In ranked order; candidates out of the pool are last, with -1.
    position : ndarray of int, shape (c,)
        1 for the best.
    before, size : ndarray of int, shape (q, c)
        Candidates ahead of the tie, and in it.
    start : ndarray of bool, shape (q, c)
        The first of each tie.
    label : ndarray of int, shape (q, c)
        Number of the tie, over all queries.
    """

    grade: np.ndarray
    position: np.ndarray
    before: np.ndarray
    size: np.ndarray
    start: np.ndarray
    label: np.ndarray

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum of values (q, c) over the tie that each candidate stands in."""
        return np.bincount(self.label.ravel(), values.ravel())[self.label]


def score_rankings(
    scores: np.ndarray,
    relevance: np.ndarray,
    *,
    ks: Sequence[int] = (1, 5, 10),
    relevant_from: int = SAME_MECHANISM_OR_TARGET,
) -> pd.DataFrame:
    """Score the ranking of candidates for each query, expected over random orders of ties.

    Parameters
    ----------
    scores : ndarray, shape (q, c)
        Higher is better. NaN: cannot be scored, and ranks after all that can, tied.
    relevance : ndarray of int, shape (q, c)
        From :func:`grade_relevance`; -1 takes a candidate out of the query's ranking.
    ks : sequence of int
        Depths K.
    relevant_from : int
        Lowest grade that counts as relevant where relevance is yes or no.

    Returns
    -------
    DataFrame
        One row per query.

        ``n_candidates n_relevant n_own``
            size of the pool, relevant candidates in it, and those of the query's own parent.
        ``precision@K``
            relevant candidates among the first K, over K (also where the pool is smaller).
        ``recall@K``
            the same over all relevant ones.
        ``ndcg@K``
            linear gain (the grade itself) discounted by log2(1 + rank), over that of the best
            order; grades below `relevant_from` count too.
        ``ap@K``
            sum over relevant ranks up to K of the precision there, over min(n_relevant, K).
        ``ap``
            average precision of the whole ranking.
        ``reciprocal_rank``
            of the first relevant candidate.
        ``hit@K own_reciprocal_rank own_rank``
            of the first candidate of the own parent: is it within K; 1 / rank; rank (1 = best).

        NaN where a query has nothing relevant (no own candidate) to find.

    Raises
    ------
    InputError
        If shapes differ, there is nothing to rank, or a K is below 1.
    """
    scores, relevance = np.asarray(scores, dtype=float), np.asarray(relevance)
    _check(scores, relevance, ks)
    return pd.DataFrame(_expected_metrics(_blocks(scores, relevance), ks, max(relevant_from, 1)))


def summarise(
    values: pd.DataFrame,
    groups: np.ndarray | pd.Series,
    *,
    n_draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Average per-query values, with percentile intervals over resampled groups of queries.

    Queries of one drug are no independent evidence, so whole groups are drawn with replacement,
    each with all its queries. For two methods asked the same queries, hand in the difference of
    their tables: that is the paired comparison.

    Parameters
    ----------
    values : DataFrame, q rows
        One column per metric. NaN is left out of a mean and counted.
    groups : array, shape (q,)
        What queries are resampled by, as the parent of the drug.
    n_draws : int
        Resamples.
    level : float
        Nominal coverage.
    seed : int

    Returns
    -------
    DataFrame
        One row per column of `values`: ``metric n n_missing n_groups mean low high``. No interval
        on a single group.
    """
    names, code = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(names), np.full(len(names), 1 / max(len(names), 1)), n_draws)
    rows = []
    for metric in values:
        x = values[metric].to_numpy(dtype=float)
        there = ~np.isnan(x)
        total = np.bincount(code[there], x[there], minlength=len(names))
        count = np.bincount(code[there], minlength=len(names))
        n_groups, limits = int((count > 0).sum()), np.full(2, np.nan)
        if n_groups > 1:
            weight = draws @ count
            means = (draws @ total)[weight > 0] / weight[weight > 0]
            limits = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
        rows.append(
            {
                "metric": metric,
                "n": int(there.sum()),
                "n_missing": int((~there).sum()),
                "n_groups": n_groups,
                "mean": float(x[there].mean()) if there.any() else np.nan,
                "low": float(limits[0]),
                "high": float(limits[1]),
            }
        )
    return pd.DataFrame(
        rows, columns=["metric", "n", "n_missing", "n_groups", "mean", "low", "high"]
    )


def _check(scores: np.ndarray, relevance: np.ndarray, ks: Sequence[int]) -> None:
    if scores.shape != relevance.shape or scores.ndim != 2:
        raise InputError(
            f"scores of shape {scores.shape} do not fit relevance of shape {relevance.shape}: "
            "give both one row per query and one column per candidate"
        )
    if not scores.size:
        raise InputError(f"scores of shape {scores.shape}: there is nothing to rank")
    if min(ks, default=1) < 1:
        raise InputError(f"K is {min(ks)}; give depths of 1 and more")


def _blocks(scores: np.ndarray, relevance: np.ndarray) -> _Blocks:
    q, c = scores.shape
    # Scored candidates first, then those without a score, then those out of the pool.
    kind = np.where(relevance < 0, 2, np.where(np.isnan(scores), 1, 0))
    value = np.where(kind == 0, -scores, 0.0)
    order = np.lexsort((value, kind), axis=1)
    kind, value, grade = (np.take_along_axis(a, order, axis=1) for a in (kind, value, relevance))
    start = np.ones((q, c), dtype=bool)
    start[:, 1:] = (kind[:, 1:] != kind[:, :-1]) | (value[:, 1:] != value[:, :-1])
    label = np.cumsum(start.ravel()).reshape(q, c) - 1
    place = np.arange(c)
    before = np.maximum.accumulate(np.where(start, place, 0), axis=1)
    size = np.bincount(label.ravel())[label]
    return _Blocks(np.maximum(grade, -1).astype(int), place + 1, before, size, start, label)


def _expected_metrics(
    blocks: _Blocks, ks: Sequence[int], relevant_from: int
) -> dict[str, np.ndarray]:
    relevant, own = blocks.grade >= relevant_from, blocks.grade == SAME_PARENT
    n_relevant, n_own = relevant.sum(axis=1), own.sum(axis=1)
    table = {
        "n_candidates": (blocks.grade >= 0).sum(axis=1),
        "n_relevant": n_relevant,
        "n_own": n_own,
    }
    per_rank = _expected_precisions(blocks, relevant)
    first, first_own = _First(blocks, relevant), _First(blocks, own)
    for k in ks:
        found = (blocks.sums(relevant) / blocks.size)[:, :k].sum(axis=1)
        table[f"precision@{k}"] = _known(found / k, n_relevant)
        table[f"recall@{k}"] = _known(found / np.maximum(n_relevant, 1), n_relevant)
        table[f"ndcg@{k}"] = _ndcg(blocks, k)
        most = np.maximum(np.minimum(n_relevant, k), 1)
        table[f"ap@{k}"] = _known(per_rank[:, :k].sum(axis=1) / most, n_relevant)
        table[f"hit@{k}"] = _known(first_own.within(k), n_own)
    table["ap"] = _known(per_rank.sum(axis=1) / np.maximum(n_relevant, 1), n_relevant)
    table["reciprocal_rank"] = _known(first.reciprocal(), n_relevant)
    table["own_reciprocal_rank"] = _known(first_own.reciprocal(), n_own)
    table["own_rank"] = _known(first_own.rank(), n_own)
    return table


def _expected_precisions(blocks: _Blocks, relevant: np.ndarray) -> np.ndarray:
    """Expect (relevant here) x (precision up to here) at each rank, (q, c).

    In a tie of n with r relevant behind R relevant ones, the j-th is relevant with probability
    r / n, and then (j - 1)(r - 1)/(n - 1) of those before it in the tie are expected to be.
    """
    n, r = blocks.size, blocks.sums(relevant)
    ahead = np.cumsum(relevant, axis=1) - relevant
    # Relevant ones ahead of the tie are those ahead of its first member.
    ahead = blocks.sums(np.where(blocks.start, ahead, 0))
    within = (blocks.position - blocks.before - 1) * (r - 1) / np.maximum(n - 1, 1)
    return r / n * (ahead + 1 + np.where(r > 0, within, 0.0)) / blocks.position


def _ndcg(blocks: _Blocks, k: int) -> np.ndarray:
    gain = np.maximum(blocks.grade, 0)
    discount = 1 / np.log2(blocks.position[:k] + 1)
    expected = (blocks.sums(gain) / blocks.size)[:, :k] @ discount
    best = -np.sort(-gain, axis=1)[:, :k] @ discount
    return _known(expected / np.where(best > 0, best, 1.0), best > 0)


class _First:
    """Where the first wanted candidate of each query stands: a tie, and r wanted of n in it."""

    def __init__(self, blocks: _Blocks, wanted: np.ndarray) -> None:
        r = blocks.sums(wanted)
        at = np.argmax(r > 0, axis=1)[:, None]
        self.before, self.n, self.r = (
            np.take_along_axis(a, at, axis=1).astype(float)
            for a in (blocks.before, blocks.size, np.maximum(r, 1))
        )
        self.position = blocks.position

    def within(self, k: int) -> np.ndarray:
        """Probability that it is among the first k."""
        drawn = np.clip(k - self.before, 0, self.n)
        missed = np.where(drawn > self.n - self.r, 0.0, self._ways(self.n - drawn, self.r))
        return (1 - missed)[:, 0]

    def reciprocal(self) -> np.ndarray:
        """Expect 1 / rank."""
        j = self.position - self.before
        inside = (j >= 1) & (j <= self.n - self.r + 1)
        chance = np.where(inside, self._ways(self.n - j, self.r - 1), 0.0)
        return (chance / self.position).sum(axis=1)

    def rank(self) -> np.ndarray:
        """Expect the rank."""
        return (self.before + (self.n + 1) / (self.r + 1))[:, 0]

    def _ways(self, n: np.ndarray, r: np.ndarray) -> np.ndarray:
        """Choose r of n, over the ways to place all wanted ones in the tie."""
        n = np.maximum(n, r)
        log = gammaln(n + 1) - gammaln(r + 1) - gammaln(n - r + 1)
        whole = gammaln(self.n + 1) - gammaln(self.r + 1) - gammaln(self.n - self.r + 1)
        return np.exp(log - whole)


def _known(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    return np.where(there > 0, values, np.nan)


def _clear(names: pd.Series) -> pd.Series:
    """Fold case and blanks; blank what says that nothing is known."""
    folded = names.astype(str).str.strip().str.casefold()
    return folded.mask(unclear(folded), "")


def _codes(q: pd.Series, c: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Numbers for equal texts in both, -1 for blank."""
    text = np.concatenate([q.to_numpy(dtype=object), c.to_numpy(dtype=object)])
    code = np.where(text == "", -1, pd.factorize(text)[0])
    return code[: len(q)], code[len(q) :]


def _same(q: np.ndarray, c: np.ndarray) -> np.ndarray:
    return (q[:, None] == c) & (q >= 0)[:, None]


def _shared_targets(q: pd.Series, c: pd.Series) -> np.ndarray:
    genes = pd.concat([q, c]).astype(str).str.upper().str.replace(r"\s*;\s*", ";", regex=True)
    member = genes.str.strip().str.get_dummies(";")
    named = member.columns[~unclear(member.columns.to_series()).to_numpy()]
    known = member[named].to_numpy(dtype=np.float32)
    return known[: len(q)] @ known[len(q) :].T > 0
