"""Compounds swap their structures: among all, or only with compounds of their own mechanism.

The second leaves whatever mechanism explains as it is, its scaffolds, its effect on cells and the
tie between the two, so that a test by it asks for structure *beyond* mechanism. It is exact if
profiles of one mechanism are exchangeable, however mechanisms came by their structures.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lgamma, log

import numpy as np

ALL, WITHIN = "all compounds", "within mechanisms"
"""Who swaps with whom."""

LEAST_ARRANGEMENTS = 20
"""Different arrangements below which no p can be 0.05."""


def shuffles(n: int, count: int, seed: int, group: np.ndarray | None = None) -> np.ndarray:
    """Draw permutations of compounds.

    Parameters
    ----------
    n, count : int
        Compounds; permutations.
    seed : int
    group : ndarray of int, shape (n,), optional
        Who may swap with whom; -1 stays in its place.

    Returns
    -------
    ndarray of int, shape (count, n)
        Which compound's structure each compound gets.
    """
    rng = np.random.default_rng(seed)
    order = rng.random((count, n))
    if group is None:
        return np.argsort(order, axis=1)
    own = np.where(group < 0, group.max(initial=0) + 1 + np.arange(n), group)
    drawn = np.empty((count, n), dtype=int)
    drawn[:, np.argsort(own, kind="stable")] = np.argsort(own + order, axis=1)
    return drawn


def mechanism_codes(mechanism: np.ndarray) -> np.ndarray:
    """Give each compound the number of its mechanism, int (n,); -1 where unknown."""
    known = np.unique(mechanism[mechanism != ""])
    return np.where(mechanism == "", -1, np.searchsorted(known, mechanism))


def cannot_permute(group: np.ndarray) -> str:
    """Why no p could be small when compounds swap within groups; ``""`` if it could."""
    sizes = np.bincount(group[group >= 0]) if (group >= 0).any() else np.zeros(0, dtype=int)
    if sum(lgamma(size + 1) for size in sizes) >= log(LEAST_ARRANGEMENTS):
        return ""
    return "too few compounds share a mechanism"


@dataclass(frozen=True)
class Permuted:
    """A statistic, and what it is when structures are permuted; large speaks for structure.

    Attributes
    ----------
    value : float
        NaN where it cannot be had.
    null : ndarray of float64, shape (n_permutations,)
    """

    value: float
    null: np.ndarray

    @property
    def p(self) -> float:
        """One-sided p, the observed arrangement counted as one of them; NaN without a value."""
        return float(p_values(np.array([self.value]), self.null[:, None])[0])

    def row(self) -> dict[str, float]:
        """``null_mean``, ``null_low`` and ``null_high`` (95 % of permutations) and ``p``."""
        if np.isnan(self.value) or not self.null.size:
            return dict.fromkeys(("null_mean", "null_low", "null_high", "p"), np.nan)
        low, high = np.quantile(self.null, (0.025, 0.975))
        return {"null_mean": self.null.mean(), "null_low": low, "null_high": high, "p": self.p}


def p_values(value: np.ndarray, null: np.ndarray) -> np.ndarray:
    """One-sided p of many statistics at once, Phipson & Smyth 2010 (10.2202/1544-6115.1585).

    Parameters
    ----------
    value : ndarray, shape (m,)
    null : ndarray, shape (n_permutations, m)

    Returns
    -------
    ndarray of float64, shape (m,)
        NaN where the value is.
    """
    # Permutations that leave everything as it was differ from it by rounding only.
    reached = (null >= value - 1e-6 * np.maximum(np.abs(value), 1e-3)).sum(axis=0)
    return np.where(np.isnan(value), np.nan, (1 + reached) / (1 + len(null)))
