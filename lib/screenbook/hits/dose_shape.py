"""Bells among dose responses: away from the plateau, and back at the top dose."""

from __future__ import annotations

import numpy as np
from scipy.stats import t as t_law

from screenbook.hits.dose_means import Series
from screenbook.hits.hill_grid import Anchor


def find_bells(
    series: Series, anchor: Anchor, departs_at: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Test if the top dose is significantly back from the best dose between.

    A bell needs two contrasts of dose means. The best dose between the ends departs from the
    plateau (the lowest dose with the anchor) at `departs_at`; and the top dose is back from it
    by p. Each is a one-sided t test with the pooled variance of wells within doses,
    Bonferroni-corrected for the choice of the best dose.

    Parameters
    ----------
    series : Series
        g curves at k doses.
    anchor : Anchor
    departs_at : ndarray, shape (g,)
        Level of the first contrast.

    Returns
    -------
    p : ndarray, shape (g,)
        Of the second contrast; 1 where the first does not hold, NaN where there are fewer than
        four doses (no rising limb to fit) or no replicate at any dose.
    turn : ndarray of int, shape (g,)
        The last dose of the rising limb: the highest between the ends whose mean is within one
        standard error of the best's.
    """
    g, k = series.n.shape
    free = (series.n - 1).sum(axis=1)
    p, turn = np.full(g, np.nan), np.zeros(g, dtype=int)
    if k < 4:
        return p, turn
    p[free > 0] = 1.0
    sd = np.sqrt(series.within.sum(axis=1) / np.maximum(free, 1))
    weight = series.weight[:, 0] + anchor.wells
    base = (series.weight[:, 0] * series.mean[:, 0] + anchor.wells * anchor.score) / weight
    between, rows = slice(1, k - 1), np.arange(g)
    for sign in (1.0, -1.0):  # down and back up, up and back down
        best = 1 + (sign * series.mean[:, between]).argmin(axis=1)
        mean, w = series.mean[rows, best], series.weight[rows, best]

        departs = _p_of(sign * (base - mean), sd * np.sqrt(1 / w + 1 / weight), free) * (k - 2)
        top = sign * (series.mean[:, -1] - mean)
        back = _p_of(top, sd * np.sqrt(1 / w + 1 / series.weight[:, -1]), free) * (k - 2)
        better = (departs <= departs_at) & (back < p)

        away = sign * (series.mean[:, between] - mean[:, None])
        error = sd[:, None] * np.sqrt(1 / w[:, None] + 1 / series.weight[:, between])
        last = k - 2 - (away <= error)[:, ::-1].argmax(axis=1)
        p, turn = np.where(better, back, p), np.where(better, last, turn)
    return p, turn


def _p_of(difference: np.ndarray, error: np.ndarray, free: np.ndarray) -> np.ndarray:
    """One-sided p of a difference, (g,); wells that agree exactly give 0, or 1 if not above 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(difference == 0, 0.0, difference / error)
    return np.asarray(t_law.sf(t, np.maximum(free, 1)))
