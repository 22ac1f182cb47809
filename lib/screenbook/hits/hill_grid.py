"""Log-logistic curves on a grid of EC50 and slope: the linear rest in closed form.

For a given EC50 and Hill slope, ``plateau + change * x(dose)`` is linear in its two other
parameters (variable projection, Golub & Pereyra 1973, 10.1137/0710036). So all curves of a
screen are fitted at once on one grid, without starting values and without local minima, and the
residual sum of squares over the grid is the profile likelihood that intervals need.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from scipy.stats import beta

from screenbook.hits.dose_means import Series

SLOPES = np.geomspace(0.5, 4.0, 13)
"""Hill slopes of the grid; its ends bound the fit."""

BEYOND = np.log(10.0)
"""How far beyond the tested doses an EC50 may lie, natural log units."""

_STEP = 0.05 * np.log(10.0)
_N_DIRECTIONS = 2000
_N_QUANTILES = 200


def fraction(dose: np.ndarray, log_ec50: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Share of the largest effect at a dose, 0 to 1 (Hill equation; broadcasts)."""
    return expit(slope * (np.log(dose) - log_ec50))


@dataclass(frozen=True)
class Grid:
    """Pairs of EC50 and slope, slopes innermost.

    Attributes
    ----------
    log_ec50 : ndarray, shape (e,)
        Natural log of µM.
    x : ndarray, shape (e * h, k)
        Share of the largest effect at each dose.
    """

    log_ec50: np.ndarray
    x: np.ndarray

    def at(self, index: int) -> tuple[float, float]:
        """Log EC50 and slope of a pair."""
        e, h = divmod(int(index), len(SLOPES))
        return float(self.log_ec50[e]), float(SLOPES[h])

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Log EC50 and slope of all pairs, (e * h,) each."""
        return np.repeat(self.log_ec50, len(SLOPES)), np.tile(SLOPES, len(self.log_ec50))


def make_grid(doses: np.ndarray) -> Grid:
    """Lay the grid from a decade below the lowest dose to a decade above the highest.

    Relative to the doses, so that fits do not depend on the unit.
    """
    low, high = np.log(doses[0]) - BEYOND, np.log(doses[-1]) + BEYOND
    n = int(np.clip(np.ceil((high - low) / _STEP - 1e-9), 40, 200)) + 1
    empty = Grid(np.linspace(low, high, n), np.empty((0, len(doses))))
    log_ec50, slope = (column[:, None] for column in empty.pairs())
    return Grid(empty.log_ec50, fraction(doses[None, :], log_ec50, slope))


@dataclass(frozen=True)
class Anchor:
    """What untreated wells say of the plateau: so many wells at dose zero with this score."""

    wells: float
    score: float


@dataclass(frozen=True)
class GridFit:
    """Least squares of every curve for every pair on the grid.

    Attributes
    ----------
    plateau, change, rss : ndarray, shape (g, e * h)
        Score without compound, its change at infinite dose, and the residual sum of squares
        with the anchor's.
    sum_w, sum_x, sum_xx : ndarray, shape (g, 1), (g, e * h), (g, e * h)
        Normal equations, for the variance of what is linear in plateau and change.
    """

    plateau: np.ndarray
    change: np.ndarray
    rss: np.ndarray
    sum_w: np.ndarray
    sum_x: np.ndarray
    sum_xx: np.ndarray

    def variance(
        self, row: int, x: np.ndarray, pick: slice | np.ndarray = slice(None), *, level: bool = True
    ) -> np.ndarray:
        """Variance of plateau + change * x, or of change * x alone, for unit noise.

        Parameters
        ----------
        row : int
            Which curve.
        x : ndarray, shape (..., d)
        pick : slice or ndarray of int
            Which d pairs of the grid; all by default.
        level : bool
            Whether the plateau counts.
        """
        w, sum_x = self.sum_w[row], self.sum_x[row, pick]
        sum_xx = self.sum_xx[row, pick]
        determinant = w * sum_xx - sum_x**2
        form = w * x**2 + (sum_xx - 2 * x * sum_x if level else 0.0)
        return np.asarray(np.maximum(form, 0) / determinant)


def fit_grid(series: Series, x: np.ndarray, anchor: Anchor) -> GridFit:
    """Fit plateau and change by weighted least squares, for all curves and all pairs.

    Parameters
    ----------
    series : Series
        g curves at k doses.
    x : ndarray, shape (d, k), or (g, 1, k) with one pair for each curve
    anchor : Anchor

    Returns
    -------
    GridFit
    """
    w, y = series.weight, series.mean - anchor.score
    rows = x if x.ndim == 3 else x[None]  # (1 or g, d, k)
    sum_w = w.sum(axis=1, keepdims=True) + anchor.wells
    sum_x = np.einsum("gk,gdk->gd", w, np.broadcast_to(rows, (len(w), *rows.shape[1:])))
    if x.ndim == 2:
        sum_xx, sum_xy = w @ (x**2).T, (w * y) @ x.T
    else:
        sum_xx, sum_xy = np.einsum("gk,gdk->gd", w, x**2), np.einsum("gk,gdk->gd", w * y, x)
    # Scores are taken from the anchor's, so the anchor adds nothing to these sums.
    sum_y = (w * y).sum(axis=1, keepdims=True)
    sum_yy = (w * y**2).sum(axis=1, keepdims=True) + series.within.sum(axis=1, keepdims=True)
    # A hair of ridge for pairs that put all doses at one share.
    determinant = np.maximum(sum_w * sum_xx - sum_x**2, 1e-10 * sum_w * sum_xx + 1e-300)
    change = (sum_w * sum_xy - sum_x * sum_y) / determinant
    plateau = (sum_y - change * sum_x) / sum_w
    # Written as a quadratic form, which holds for any coefficients, the ridge's too.
    rss = sum_yy - 2 * (plateau * sum_y + change * sum_xy)
    rss += sum_w * plateau**2 + 2 * plateau * change * sum_x + change**2 * sum_xx
    rss = np.maximum(rss, series.within.sum(axis=1, keepdims=True))
    sum_xx = (determinant + sum_x**2) / sum_w  # variances see the ridge too
    return GridFit(plateau + anchor.score, change, rss, sum_w, sum_x, sum_xx)


def profile(fit: GridFit, n_ec50: int) -> np.ndarray:
    """Least residual sum of squares at each EC50 of the grid, (g, e).

    Between the slopes of the grid the minimum is read off a parabola.
    """
    rss = fit.rss.reshape(len(fit.rss), n_ec50, -1)
    best = np.clip(rss.argmin(axis=2), 1, rss.shape[2] - 2)[..., None]
    left, middle, right = (np.take_along_axis(rss, best + s, axis=2)[..., 0] for s in (-1, 0, 1))
    bend = left - 2 * middle + right
    with np.errstate(divide="ignore", invalid="ignore"):
        vertex = middle - (left - right) ** 2 / (8 * bend)
    lowest = rss.min(axis=2)
    inside = (bend > 0) & (middle <= left) & (middle <= right)
    return np.where(inside, np.minimum(vertex, lowest), lowest)


class FlatTest:
    """Test of a dose response against a flat line, exact for normal noise.

    The statistic is the largest share of the wells' variance that a curve of the grid explains,
    plateau and change free. Because EC50 and slope mean nothing under a flat line, it has no F
    law with 3 and n - 4 degrees of freedom. It is a product of two independent parts: the share
    of variance between doses, a beta law, and the share of that which the best curve takes,
    which depends on the design alone and is simulated once for it.

    References
    ----------
    Davies 1987, 10.1093/biomet/74.1.33 (a nuisance parameter present only under the
    alternative).
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._shares: dict[bytes, np.ndarray] = {}

    def __call__(self, series: Series, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
        """Share of variance explained and p of every curve, (g,) each."""
        # Every second EC50 and every third slope lose nothing that a test could see.
        pick = np.arange(len(grid.x)).reshape(len(grid.log_ec50), -1)[::2, ::3].ravel()
        x = grid.x[pick]
        total = series.weight.sum(axis=1, keepdims=True)
        mean = (series.weight * series.mean).sum(axis=1, keepdims=True) / total
        z = np.sqrt(series.weight) * (series.mean - mean)
        squares = (z**2).sum(axis=1) + series.within.sum(axis=1)
        n, k = series.n.sum(axis=1), len(series.doses)
        # Designs that differ by a well in ten share one law.
        balance = np.round(series.weight / total * k, 1)
        keys, which = np.unique(balance, axis=0, return_inverse=True)
        share, p = np.zeros(len(n)), np.ones(len(n))
        for code, key in enumerate(keys):
            rows = np.flatnonzero(which.ravel() == code)
            weight = series.weight[rows].mean(axis=0)
            curves = _unit_curves(x, weight)
            explained = ((z[rows] @ curves.T) ** 2).max(axis=1)
            share[rows] = explained / np.maximum(squares[rows], 1e-300)
            null = self._null(np.r_[np.log(series.doses / series.doses[0]), key], curves, weight)
            p[rows] = _upper_tail(share[rows], null, n[rows], k)
        return np.clip(share, 0, 1), p

    def _null(self, key: np.ndarray, curves: np.ndarray, weight: np.ndarray) -> np.ndarray:
        name = np.round(key, 6).tobytes()
        if name not in self._shares:
            rng = np.random.default_rng(self.seed)
            z = rng.standard_normal((len(weight), _N_DIRECTIONS))
            root = np.sqrt(weight / weight.sum())[:, None]
            z -= root * (root * z).sum(axis=0)
            best = ((curves @ z) ** 2).max(axis=0)
            self._shares[name] = np.sort(best / (z**2).sum(axis=0))
        return self._shares[name]


def _unit_curves(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Curves as unit vectors in the space of dose means, free of their level, (d, k)."""
    x = x - (x @ weight / weight.sum())[:, None]
    x = x * np.sqrt(weight)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.where(length > 1e-9, x / np.maximum(length, 1e-9), 0.0)


def _upper_tail(share: np.ndarray, null: np.ndarray, n: np.ndarray, k: int) -> np.ndarray:
    """P of a share of variance at least as large under a flat line."""
    coarse = (1 + (null[None, :] >= share[:, None]).sum(axis=1)) / (1 + len(null))
    at = np.quantile(null, (np.arange(_N_QUANTILES) + 0.5) / _N_QUANTILES)
    need = np.minimum(share[:, None] / at[None, :], 1.0)
    free = np.maximum(n - k, 1)[:, None] / 2
    smooth = beta.sf(need, (k - 1) / 2, free).mean(axis=1)
    return np.where(n > k, smooth, coarse)
