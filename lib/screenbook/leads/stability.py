"""What becomes of the list when something is left out, and whether it would come back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from screenbook.leads.rank_consensus import (
    Consensus,
    Voter,
    aggregate_ranks,
    normalised_ranks,
)

_FEWEST = 4  # candidates in common, below which no correlation is given


@dataclass(frozen=True)
class LeaveOut:
    """The consensus with one thing left out (or one witness heard) at a time.

    Attributes
    ----------
    summary : DataFrame
        One row per thing: ``kind`` (plate, experiment, method, witness), ``what``,
        ``spearman`` (with the full order), ``kept`` (share of the top that stays at the top),
        ``n`` (candidates in both), ``lost`` (candidates that have no rank any more).
    ranks : ndarray of float64, shape (n_candidates, n_things)
        Rank of every candidate, candidates as in the consensus; NaN where it has none.
    full : ndarray of float64, shape (n_candidates,)
        Rank with nothing left out.
    """

    summary: pd.DataFrame
    ranks: np.ndarray
    full: np.ndarray


def leave_out(
    consensus: Consensus,
    strata: Sequence[str],
    witnesses: Mapping[str, np.ndarray] | None = None,
) -> LeaveOut:
    """Leave out every plate, every experiment and every voter, and hear every witness.

    Parameters
    ----------
    consensus : Consensus
    strata : sequence of str, length n_plates
        Experiment of each plate.
    witnesses : mapping of str to ndarray, shape (n_candidates,), optional
        Scores of further methods, larger is better, NaN where they have none; each is given
        one vote beside the voters, by itself.
    """
    plates = list(consensus.plates)
    owner = np.asarray(strata)
    names = [("plate", plate) for plate in plates]
    weights = [np.array([p != plate for p in plates], dtype=float) for plate in plates]
    groups = pd.unique(owner)
    if len(groups) > 1:
        names += [("experiment", str(group)) for group in groups]
        weights += [(owner != group).astype(float) for group in groups]
    whole = np.ones((len(plates), 1))
    full = consensus.ranks(whole)[:, 0]
    columns = [consensus.ranks(np.column_stack(weights))]
    if len(consensus.voters) > 1:
        for name in consensus.names:
            names.append(("method", name.replace("_", "-")))
            columns.append(consensus.ranks(whole, without=name))
    votes = [normalised_ranks(voter.scores(whole)) for voter in consensus.voters]
    for name, score in (witnesses or {}).items():
        if np.isfinite(score).sum() >= 2:
            names.append(("witness", name))
            heard = np.where(np.isnan(full), np.nan, score)[:, None]
            columns.append(aggregate_ranks([*votes, normalised_ranks(heard)]))
    ranks = np.concatenate(columns, axis=1)
    rows = [
        {"kind": kind, "what": what, **_compare(full, ranks[:, i], consensus.n_top)}
        for i, (kind, what) in enumerate(names)
    ]
    return LeaveOut(pd.DataFrame(rows), ranks, full)


def _compare(full: np.ndarray, other: np.ndarray, n_top: int) -> dict[str, float]:
    """Agreement of an order with the full one."""
    both = np.isfinite(full) & np.isfinite(other)
    top = full <= n_top
    return {
        "spearman": rank_correlation(full, other),
        "kept": float((other[top] <= n_top).mean()) if top.any() else np.nan,
        "n": int(both.sum()),
        "lost": int((np.isfinite(full) & ~np.isfinite(other)).sum()),
    }


def worst_ranks(consensus: Consensus, left: LeaveOut) -> pd.DataFrame:
    """Find for every candidate what costs it most places when it is left out.

    Witnesses are not counted: they add something instead of leaving it out.

    Returns
    -------
    DataFrame
        ``compound_key worst_rank worst_without``; a candidate that loses its rank altogether
        has the last one. Blank and NaN for candidates without a rank.
    """
    taken = (left.summary["kind"] != "witness").to_numpy()
    there = np.isfinite(left.full)
    ranks = left.ranks[:, taken]
    ranks = np.where(np.isnan(ranks) & there[:, None], there.sum(), ranks)
    names = (left.summary["kind"] + " " + left.summary["what"])[taken].to_numpy()
    worst = np.where(there, np.nan_to_num(ranks, nan=-1.0).argmax(axis=1), 0)
    lowest = ranks[np.arange(len(ranks)), worst]
    # Where nothing costs a place, nothing is blamed.
    blamed = there & (lowest > left.full)
    return pd.DataFrame(
        {
            "compound_key": list(consensus.candidates),
            "worst_rank": np.where(there, np.fmax(lowest, left.full), np.nan),
            "worst_without": np.where(blamed, names[worst], ""),
        }
    )


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rho of the values that both have; NaN below four, or if one is constant."""
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < _FEWEST or np.ptp(a[both]) == 0 or np.ptp(b[both]) == 0:
        return float("nan")
    return float(spearmanr(a[both], b[both]).statistic)


def split_half(
    voter: Voter, strata: Sequence[str], *, n_splits: int = 100, seed: int = 0
) -> dict[str, float]:
    """Correlate the scores of candidates between disjoint halves of the plates.

    Parameters
    ----------
    voter : Voter
    strata : sequence of str, length n_plates
        Plates of one stratum (experiment) are spread evenly over the halves.
    n_splits : int
        Random halvings.
    seed : int

    Returns
    -------
    dict
        ``rho`` (mean Spearman's over splits), ``rho_low``, ``rho_high`` (5th and 95th
        percentile over splits: they say how much depends on the halving, and are no confidence
        interval), ``full`` (Spearman-Brown: expected of two sets of as many plates as there
        are), ``n_plates``. NaN with fewer than two plates.

    References
    ----------
    Spearman, Br. J. Psychol. 3, 271 (1910), 10.1111/j.2044-8295.1910.tb00206.x; Brown, same
    volume, 296 (1910), 10.1111/j.2044-8295.1910.tb00207.x.
    """
    rng = np.random.default_rng(seed)
    stratum = pd.factorize(np.asarray(strata))[0]
    n = len(stratum)
    if n < 2:
        nothing = dict.fromkeys(("rho", "rho_low", "rho_high", "full"), float("nan"))
        return {**nothing, "n_plates": float(n)}
    first = np.empty((n, n_splits))
    for split in range(n_splits):
        order = np.lexsort((rng.random(n), stratum))
        # Alternate along the plates in stratum order, starting at either side.
        first[order, split] = (np.arange(n) + rng.integers(2)) % 2
    a, b = voter.scores(first), voter.scores(1 - first)
    rhos = np.array([rank_correlation(a[:, i], b[:, i]) for i in range(n_splits)])
    rho = float(np.nanmean(rhos)) if np.isfinite(rhos).any() else float("nan")
    low, high = np.nanquantile(rhos, [0.05, 0.95]) if np.isfinite(rho) else (np.nan, np.nan)
    return {
        "rho": rho,
        "rho_low": float(low),
        "rho_high": float(high),
        "full": 2 * rho / (1 + rho) if rho > -1 else float("nan"),
        "n_plates": float(n),
    }


def between_experiments(voter: Voter, strata: Sequence[str]) -> pd.DataFrame:
    """Correlate the scores of candidates between every two experiments.

    Returns
    -------
    DataFrame
        ``first second rho n``; empty with one experiment.
    """
    owner = np.asarray(strata)
    groups = list(pd.unique(owner))
    weights = np.column_stack([(owner == g).astype(float) for g in groups])
    scores = voter.scores(weights)
    rows = []
    for i, first in enumerate(groups):
        for j in range(i + 1, len(groups)):
            both = np.isfinite(scores[:, i]) & np.isfinite(scores[:, j])
            rho = rank_correlation(scores[:, i], scores[:, j])
            rows.append({"first": first, "second": groups[j], "rho": rho, "n": int(both.sum())})
    return pd.DataFrame(rows, columns=["first", "second", "rho", "n"])


def next_experiment(
    consensus: Consensus, strata: Sequence[str], *, n_top: int | None = None, seed: int = 0
) -> pd.DataFrame:
    """Foretell each experiment from the others.

    The top of the list is drawn up without the experiment and held against the top of the
    experiment alone. The best dose of each of these compounds is chosen without it as well, so
    that the recovery there is free of the choice.

    Parameters
    ----------
    consensus : Consensus
    strata : sequence of str, length n_plates
        Experiment of each plate. With one experiment, random halves of its plates stand in.
    n_top : int, optional
        Length of the top; that of the consensus if not given.
    seed : int
        Of those halves.

    Returns
    -------
    DataFrame
        One row per experiment foretold: ``held_out``, ``overlap`` (share of the top foretold
        that is at the top there), ``chance``, ``chosen`` and ``held`` (mean score of the first
        voter at the chosen doses, in the experiments used and in the one held out),
        ``n_top``, ``n`` (candidates with a rank in both), ``is_experiment``.
    """
    owner = np.asarray(strata)
    real = len(pd.unique(owner)) > 1
    if not real:
        rng = np.random.default_rng(seed)
        owner = np.array(["half A", "half B"])[rng.permutation(np.arange(len(owner)) % 2)]
    voter = consensus.voters[0]
    rows = []
    for group in pd.unique(owner):
        used, held = (
            (owner != group).astype(float)[:, None],
            (owner == group).astype(float)[:, None],
        )
        before, after = consensus.ranks(used)[:, 0], consensus.ranks(held)[:, 0]
        both = np.isfinite(before) & np.isfinite(after)
        depth = min(n_top or consensus.n_top, int(both.sum()))
        if depth == 0:
            continue
        first = _top(np.where(both, before, np.nan), depth)
        there = _top(np.where(both, after, np.nan), depth)
        chosen, seen = _at_chosen_dose(voter, used, held)
        rows.append(
            {
                "held_out": str(group),
                "overlap": float(there[first].mean()),
                "chance": depth / both.sum(),
                "chosen": float(np.nanmean(chosen[first])),
                "held": float(np.nanmean(seen[first])),
                "n_top": depth,
                "n": int(both.sum()),
                "is_experiment": real,
            }
        )
    columns = ["held_out", "overlap", "chance", "chosen", "held", "n_top", "n", "is_experiment"]
    return pd.DataFrame(rows, columns=columns)


def _top(ranks: np.ndarray, n: int) -> np.ndarray:
    """Mark the best n that have a rank."""
    marked = np.zeros(len(ranks), dtype=bool)
    marked[np.argsort(np.where(np.isnan(ranks), np.inf, ranks), kind="stable")[:n]] = True
    return marked


def _at_chosen_dose(
    voter: Voter, used: np.ndarray, held: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Score each candidate at the dose that is best on some plates, there and on others."""
    there, elsewhere = voter.treatment_scores(used)[:, 0], voter.treatment_scores(held)[:, 0]
    order = np.lexsort((np.where(np.isnan(there), np.inf, -there), voter.compound))
    met, first = np.unique(voter.compound[order], return_index=True)
    best = order[first]
    chosen, seen = np.full((2, voter.n_candidates), np.nan)
    chosen[met], seen[met] = there[best], elsewhere[best]
    return chosen, seen
