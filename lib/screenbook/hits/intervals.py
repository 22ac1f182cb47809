"""Intervals over plates: what other plates of these experiments would have given.

Wells of one plate share whatever is peculiar to it, so plates are resampled, each with all its
wells (the first of the two strategies of Davison & Hinkley 1997, section 3.8, for data in
groups). With six plates a percentile interval of the plain bootstrap holds the true mean in
about 88 % of cases instead of 95 %; its percentiles are therefore moved outwards until they
match Student's t for normal data (Hesterberg 2015, 10.1080/00031305.2015.1089789). Fewer plates
than `FEWEST` have too few different resamples for that, and get Student's interval itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from screenbook.blocks import group_sums

LEVEL = 0.95
"""Nominal coverage of every interval here."""

FEWEST = 6
"""Plates below which a mean gets Student's interval; a length gets none below half as many."""


@dataclass(frozen=True)
class PlateMeans:
    """Means of each group on each of its plates.

    Attributes
    ----------
    group : ndarray of int, shape (m,)
        Sorted; one entry for each pair of group and plate that occurs.
    plate : ndarray of int, shape (m,)
    n_wells : ndarray of int, shape (m,)
    values : ndarray of float64, shape (m, k)
    n_groups : int
    """

    group: np.ndarray
    plate: np.ndarray
    n_wells: np.ndarray
    values: np.ndarray
    n_groups: int

    def by_size(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Gather groups on equally many plates: their codes (g,), and rows (g, n_plates)."""
        _, first, size = np.unique(self.group, return_index=True, return_counts=True)
        return [
            (
                self.group[first[size == p]],
                first[size == p][:, None] + np.arange(p),
            )
            for p in np.unique(size)
        ]


def plate_means(
    values: np.ndarray, group: np.ndarray, plate: np.ndarray, n_groups: int
) -> PlateMeans:
    """Average the wells of each group on each plate.

    Parameters
    ----------
    values : ndarray, shape (n, k)
    group : ndarray of int, shape (n,)
        -1 leaves a well out.
    plate : ndarray of int, shape (n,)
    n_groups : int
    """
    used = np.flatnonzero(group >= 0)
    n_plates = int(plate.max(initial=0)) + 1
    key, code, count = np.unique(
        group[used] * n_plates + plate[used], return_inverse=True, return_counts=True
    )
    where = np.full(len(group), -1)
    where[used] = code
    sums = group_sums(values, where, len(key))
    return PlateMeans(
        key // n_plates, key % n_plates, count, sums / count[:, None].astype(float), n_groups
    )


def wide_percentiles(n: int, level: float = LEVEL) -> tuple[float, float]:
    """Percentiles of a bootstrap over `n` groups that give Student's interval for normal data.

    Returns
    -------
    tuple of float
        Lower and upper, from 0 to 1.
    """
    reach = np.sqrt(n / (n - 1)) * t.ppf((1 + level) / 2, n - 1)
    return float(norm.cdf(-reach)), float(norm.cdf(reach))


def resample_plates(n_plates: int, n_draws: int, seed: int) -> np.ndarray:
    """How often each plate is drawn, (n_draws, n_plates)."""
    rng = np.random.default_rng([seed, n_plates])
    return rng.multinomial(n_plates, np.full(n_plates, 1 / n_plates), size=n_draws).astype(float)


def mean_intervals(
    means: PlateMeans, *, n_draws: int, seed: int, level: float = LEVEL
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over plates, each plate counted alike, with its interval.

    Parameters
    ----------
    means : PlateMeans
        With one value, k = 1.
    n_draws : int
        Resamples.
    seed : int
    level : float

    Returns
    -------
    mean, low, high : ndarray of float64, shape (n_groups,)
        NaN without wells; no interval on a single plate.
    """
    out = np.full((3, means.n_groups), np.nan)
    for codes, rows in means.by_size():
        values = means.values[rows, 0]  # (g, P)
        n = rows.shape[1]
        out[0, codes] = values.mean(axis=1)
        if 1 < n < FEWEST:
            reach = t.ppf((1 + level) / 2, n - 1) * values.std(axis=1, ddof=1) / np.sqrt(n)
            out[1:, codes] = out[0, codes] + np.array([[-1.0], [1.0]]) * reach
        elif n > 1:
            drawn = resample_plates(n, n_draws, seed) / n  # (B, P)
            out[1:, codes] = _quantiles(values @ drawn.T, wide_percentiles(n, level))
    return out[0], out[1], out[2]


def length_intervals(
    means: PlateMeans, *, n_draws: int, seed: int, level: float = LEVEL
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Length of the mean vector of each group, free of its own noise, with an interval.

    A mean of few wells is never at the origin, so its length is no estimate of how far the
    treatment moves cells. Products of vectors of *different* plates have the squared length of
    the common displacement as expectation; their mean is taken, and resampled without pairs of
    a plate with itself.

    Parameters
    ----------
    means : PlateMeans
    n_draws, seed, level
        As in :func:`mean_intervals`.

    Returns
    -------
    length, low, high : ndarray of float64, shape (n_groups,)
        0 where products cancel; NaN on a single plate, and no interval on two.
    """
    out = np.full((3, means.n_groups), np.nan)
    for codes, rows in means.by_size():
        n = rows.shape[1]
        if n < 2:
            continue
        vectors = means.values[rows]  # (g, P, k)
        gram = np.einsum("gpk,gqk->gpq", vectors, vectors, optimize=True)
        gram[:, np.arange(n), np.arange(n)] = 0.0
        flat = gram.reshape(len(codes), n * n)
        out[0, codes] = flat.sum(axis=1) / (n * (n - 1))
        if 2 * n < FEWEST:
            continue
        drawn = resample_plates(n, n_draws, seed)
        pairs = np.einsum("bp,bq->bpq", drawn, drawn)
        pairs[:, np.arange(n), np.arange(n)] = 0.0
        total = pairs.sum(axis=(1, 2))
        pairs = pairs[total > 0] / total[total > 0, None, None]  # a draw of one plate has no pair
        limits = wide_percentiles(n, level)
        for part in np.array_split(np.arange(len(codes)), 1 + len(codes) * n_draws // 2**24):
            products = flat[part] @ pairs.reshape(len(pairs), -1).T
            out[1:, codes[part]] = _quantiles(products, limits)
    return tuple(np.sqrt(np.maximum(row, 0.0)) for row in out)


def _quantiles(draws: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Quantiles of each row, (2, g)."""
    return np.asarray(np.quantile(draws, limits, axis=1))
