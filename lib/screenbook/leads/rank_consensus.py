"""One order of compounds out of several methods, and how sure that order is.

A *voter* is a method whose score can be worked out again when plates are drawn anew: the mean
on-axis recovery of wells, the mean probability of being healthy. Every voter ranks all
candidates; the consensus is the mean of their normalised ranks. A method that gives one number
for all plates together cannot vote, because its part of the uncertainty would be missing; it
is called as a witness (see :mod:`screenbook.leads.stability`).

How sure a rank is, is asked by drawing plates anew (Bayesian bootstrap, Rubin 1981,
10.1214/aos/1176345338). Ranks of the drawn scores as they come would be too sure of themselves:
the compound that was lucky once starts from its luck in every draw. So scores are first pulled
towards the mean of all candidates by the share of their scatter that noise explains, as
empirical Bayes does for ranks (Laird & Louis 1989, 10.3102/10769986014001029). Where nothing
but noise is left, everybody's chance of being among the first is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

_LEAST = 1e-6  # reliability that stands for none, so that noise still decides the order
_AT_ONCE = 200  # draws worked on together, for memory


@dataclass(frozen=True)
class Voter:
    """A method's scores of every treatment on every plate.

    Attributes
    ----------
    name : str
    means : ndarray of float64, shape (n_treatments, n_plates)
        Mean of the treatment's wells on the plate, larger is better; NaN where it has none.
    compound : ndarray of int, shape (n_treatments,)
        Candidate that each treatment is a dose of, ascending.
    doses : ndarray of float64, shape (n_treatments,)
        µM.
    n_candidates : int
    """

    name: str
    means: np.ndarray
    compound: np.ndarray
    doses: np.ndarray
    n_candidates: int

    def treatment_scores(self, weights: np.ndarray) -> np.ndarray:
        """Average each treatment over plates.

        Parameters
        ----------
        weights : ndarray, shape (n_plates, n_draws)
            Weight of each plate; 0 leaves it out.

        Returns
        -------
        ndarray of float64, shape (n_treatments, n_draws)
            NaN where no plate with the treatment is left.
        """
        there = np.isfinite(self.means)
        total = there.astype(float) @ weights
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.nan_to_num(self.means) @ weights / total)

    def scores(self, weights: np.ndarray) -> np.ndarray:
        """Score each candidate by its best dose, (n_candidates, n_draws); NaN if it has none."""
        best = np.full((self.n_candidates, weights.shape[1]), np.nan)
        if len(self.compound):
            met, starts = np.unique(self.compound, return_index=True)
            best[met] = np.fmax.reduceat(self.treatment_scores(weights), starts, axis=0)
        return best

    def plates_behind(self) -> np.ndarray:
        """Plates of each candidate's best dose, (n_candidates,) float; NaN if it has none."""
        behind = np.full(self.n_candidates, np.nan)
        if len(self.compound):
            score = self.treatment_scores(np.ones((self.means.shape[1], 1)))[:, 0]
            order = np.lexsort((-score, self.compound))
            met, first = np.unique(self.compound[order], return_index=True)
            behind[met] = np.isfinite(self.means).sum(axis=1)[order[first]]
        return behind


def make_voter(
    name: str, wells: pd.DataFrame, value: str, candidates: Sequence[str], plates: Sequence[str]
) -> Voter:
    """Collect a method's scores of the wells of one cell type.

    Parameters
    ----------
    name : str
    wells : DataFrame
        Treated wells: ``compound_key dose batch`` and the score, larger is better.
    value : str
        Column of the score; wells without one take no part.
    candidates : sequence of str
        Keys of the compounds that are ranked; wells of others take no part.
    plates : sequence of str
        All plates, in the order of the weights.

    Returns
    -------
    Voter
        Of treatments on two plates or more: one plate says nothing about another.
    """
    kept = wells[wells["compound_key"].isin(candidates) & wells[value].notna()]
    kept = kept[kept["batch"].isin(plates)]
    keys = ["compound_key", "dose"]
    table = kept.groupby([*keys, "batch"], observed=True)[value].mean()
    means = table.unstack("batch").reindex(columns=list(plates))  # noqa: PD010
    means = means[means.notna().sum(axis=1) >= 2]
    index = means.index.to_frame(index=False)
    code = pd.Index(candidates).get_indexer(pd.Index(index["compound_key"]))
    order = np.argsort(code, kind="stable")
    return Voter(
        name,
        means.to_numpy(dtype=np.float64)[order],
        code[order],
        index["dose"].to_numpy(dtype=np.float64)[order],
        len(candidates),
    )


def draw_plate_weights(n_plates: int, n_draws: int, seed: int = 0) -> np.ndarray:
    """Draw weights of plates for a Bayesian bootstrap, (n_plates, n_draws).

    No plate's weight is ever 0, so that every treatment has a score in every draw.
    """
    return np.random.default_rng(seed).standard_exponential((n_plates, n_draws))


def normalised_ranks(scores: np.ndarray) -> np.ndarray:
    """Rank candidates in every column: 0 is the best, 1 the worst, ties share.

    Parameters
    ----------
    scores : ndarray, shape (n_candidates, n_draws)
        Larger is better; NaN for those not ranked, which stay NaN.
    """
    missing = np.isnan(scores)
    ranks = rankdata(np.where(missing, np.inf, -scores), axis=0)
    n = np.maximum((~missing).sum(axis=0) - 1, 1)
    return np.where(missing, np.nan, (ranks - 1) / n)


def aggregate_ranks(ranks: Sequence[np.ndarray]) -> np.ndarray:
    """Rank candidates by the mean of their normalised ranks.

    Parameters
    ----------
    ranks : sequence of ndarray, shape (n_candidates, n_draws)
        From :func:`normalised_ranks`, one for each method. A method that does not rank a
        candidate has no say on it.

    Returns
    -------
    ndarray of float64, shape (n_candidates, n_draws)
        1 is the best; NaN for candidates that no method ranks. Where means are equal, the
        first method decides.
    """
    stack = np.stack(list(ranks))
    said = np.isfinite(stack)
    with np.errstate(invalid="ignore"):
        mean = np.where(said, stack, 0.0).sum(axis=0) / said.sum(axis=0)
    mean = mean + 1e-9 * np.nan_to_num(stack[0], nan=1.0)
    order = rankdata(np.where(np.isnan(mean), np.inf, mean), axis=0)
    return np.where(np.isnan(mean), np.nan, order)


@dataclass(frozen=True)
class Consensus:
    """The candidates of one cell type, put in one order.

    Attributes
    ----------
    cell_type : str
    candidates : tuple of str
        Compound keys.
    plates : tuple of str
        Plates, in the order of the weights.
    voters : tuple of Voter
    reliability : tuple of ndarray, shape (n_candidates,)
        For each voter: the share of a candidate's deviation from the mean that is no noise.
    table : DataFrame
        One row per candidate, best first: ``compound_key rank median_rank rank_low rank_high
        top_share`` and, for each voter, ``rank_<name>`` and ``score_<name>``.
    n_top : int
        What counts as the top of the list.
    n_draws : int
    """

    cell_type: str
    candidates: tuple[str, ...]
    plates: tuple[str, ...]
    voters: tuple[Voter, ...]
    reliability: tuple[np.ndarray, ...]
    table: pd.DataFrame
    n_top: int
    n_draws: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the voters."""
        return tuple(voter.name for voter in self.voters)

    @property
    def n_ranked(self) -> int:
        """Candidates that have a rank."""
        return int(self.table["rank"].notna().sum())

    @property
    def chance(self) -> float:
        """Share of draws that anybody would be at the top if all were alike."""
        return self.n_top / max(self.n_ranked, 1)

    def ranks(self, weights: np.ndarray, without: str = "") -> np.ndarray:
        """Rank the candidates on plates weighted anew, (n_candidates, n_columns of weights).

        `without` names a voter that is not asked.
        """
        votes = [
            normalised_ranks(_shrink(voter.scores(weights), b))
            for voter, b in zip(self.voters, self.reliability, strict=True)
            if voter.name != without
        ]
        return aggregate_ranks(votes)


def _shrink(scores: np.ndarray, reliability: np.ndarray) -> np.ndarray:
    """Pull scores towards the mean of their column by what is noise in them."""
    if not np.isfinite(scores).any():
        return scores
    middle = np.nanmean(scores, axis=0)
    return np.asarray(middle + reliability[:, None] * (scores - middle))


def build_consensus(
    cell_type: str,
    voters: Sequence[Voter],
    candidates: Sequence[str],
    plates: Sequence[str],
    *,
    n_top: int = 20,
    n_draws: int = 1000,
    seed: int = 0,
) -> Consensus | None:
    """Rank the candidates of one cell type by all voters, with the uncertainty of their ranks.

    Parameters
    ----------
    cell_type : str
    voters : sequence of Voter
        From :func:`make_voter`; voters without any treatment are dismissed.
    candidates, plates : sequence of str
        As given to :func:`make_voter`.
    n_top : int
        The top of the list; at most a quarter of it, since everybody is among the first
        twenty of thirty.
    n_draws : int
        Times that plates are drawn anew.
    seed : int

    Returns
    -------
    Consensus or None
        None if no voter can rank two candidates.
    """
    voters = [v for v in voters if len(np.unique(v.compound)) >= 2]
    if not voters:
        return None
    weights = draw_plate_weights(len(plates), n_draws, seed)
    drawn = [_calibrated(voter, weights) for voter in voters]
    observed = [voter.scores(np.ones((len(plates), 1)))[:, 0] for voter in voters]
    n_ranked = int(np.any([np.isfinite(s) for s in observed], axis=0).sum())
    n_top = max(min(n_top, n_ranked // 4), 1)
    ranks = np.concatenate(
        [
            aggregate_ranks([normalised_ranks(d[:, i : i + _AT_ONCE]) for d, _ in drawn])
            for i in range(0, n_draws, _AT_ONCE)
        ],
        axis=1,
    )
    quantiles = np.quantile(ranks, [0.5, 0.05, 0.95], axis=1, method="nearest")
    middle = ranks.mean(axis=1)
    table = pd.DataFrame(
        {
            "compound_key": list(candidates),
            "rank": pd.Series(middle).rank(method="first"),
            "median_rank": quantiles[0],
            "rank_low": quantiles[1],
            "rank_high": quantiles[2],
            "top_share": np.where(np.isnan(middle), np.nan, (ranks <= n_top).mean(axis=1)),
        }
    )
    for voter, score in zip(voters, observed, strict=True):
        table[f"rank_{voter.name}"] = pd.Series(-score).rank(method="min")
        table[f"score_{voter.name}"] = score
    return Consensus(
        cell_type,
        tuple(candidates),
        tuple(plates),
        tuple(voters),
        tuple(b for _, b in drawn),
        table.sort_values("rank", kind="stable").reset_index(drop=True),
        n_top,
        n_draws,
    )


def _calibrated(voter: Voter, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores of all draws, pulled in by what is noise, and each candidate's reliability.

    A weighted mean of n plates with exponential weights varies as 1 / (n + 1) of the variance
    between plates taken with 1 / n, where a mean of n independent plates varies as
    1 / (n - 1) of it: hence the factor.
    """
    observed = voter.scores(np.ones((weights.shape[0], 1)))[:, 0]
    drawn = np.concatenate(
        [voter.scores(weights[:, i : i + _AT_ONCE]) for i in range(0, weights.shape[1], _AT_ONCE)],
        axis=1,
    )
    n = voter.plates_behind()
    wide = np.sqrt((n + 1) / np.maximum(n - 1, 1))[:, None]
    noise = (drawn - drawn.mean(axis=1, keepdims=True)) * wide
    variance = noise.var(axis=1)
    true = max(float(np.nanvar(observed, ddof=1) - np.nanmean(variance)), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        b = np.where(true + variance > 0, true / (true + variance), 1.0)
    b = np.where(np.isnan(observed), np.nan, np.maximum(b, _LEAST))
    middle = np.nanmean(observed)
    calm = middle + b * (observed - middle)
    return calm[:, None] + np.sqrt(b)[:, None] * noise, b
