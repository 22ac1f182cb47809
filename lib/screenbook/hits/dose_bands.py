"""Fitted dose-response curves as figures draw them: fine curves with bands, and dose means."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import f as f_law
from scipy.stats import t as t_law

from screenbook.hits.dose_means import Series, series_of
from screenbook.hits.dose_response import DoseResponse, curve_freedom, shares
from screenbook.hits.hill_grid import fit_grid, fraction, make_grid
from screenbook.hits.hill_intervals import band


def dose_curves(
    fitted: DoseResponse, groups: np.ndarray | None = None, *, n_points: int = 60
) -> pd.DataFrame:
    """Draw fitted curves on a fine grid of doses, each with a pointwise band.

    Parameters
    ----------
    fitted : DoseResponse
    groups : ndarray of int, optional
        Codes of the curves wanted; all by default. Groups that are not testable have no curve.
    n_points : int
        Doses per curve, evenly spaced on a log scale from the lowest to the highest dose
        fitted: of a bell, to its turn.

    Returns
    -------
    DataFrame
        ``group dose score low high``. The band holds, dose by dose, the values of all curves
        that the wells allow (profile likelihood, as the intervals of the table). A flat
        response is the mean of its wells with its t interval.
    """
    shape = fitted.table["shape"].to_numpy()
    wanted = fitted.table["group"].to_numpy() if groups is None else np.unique(groups)
    wanted = wanted[shape[wanted] != "not testable"]
    parts = []
    for series in series_of(fitted.means, wanted):
        flat = shape[series.groups] == "flat"
        fine = np.geomspace(series.doses[0], series.doses[-1], n_points)
        drawn = np.empty((len(flat), 3, n_points))
        drawn[flat] = _flat_bands(series.take(flat), fitted.confidence)[:, :, None]
        drawn[~flat] = _curve_bands(series.take(~flat), fitted, fine)
        parts.append(
            pd.DataFrame(
                {
                    "group": np.repeat(series.groups, n_points),
                    "dose": np.tile(fine, len(flat)),
                    "score": drawn[:, 0].ravel(),
                    "low": drawn[:, 1].ravel(),
                    "high": drawn[:, 2].ravel(),
                }
            )
        )
    if not parts:
        return pd.DataFrame(columns=["group", "dose", "score", "low", "high"])
    return pd.concat(parts).sort_values(["group", "dose"], kind="stable", ignore_index=True)


def _flat_bands(series: Series, confidence: float) -> np.ndarray:
    """Mean of each curve's wells and its t interval, (g, 3)."""
    total, n = series.weight.sum(axis=1), series.n.sum(axis=1)
    mean = (series.weight * series.mean).sum(axis=1) / total
    squares = (series.weight * (series.mean - mean[:, None]) ** 2 + series.within).sum(axis=1)
    half = t_law.ppf(0.5 + confidence / 2, n - 1) * np.sqrt(squares / (n - 1) / total)
    return np.stack([mean, mean - half, mean + half], axis=1)


def _curve_bands(series: Series, fitted: DoseResponse, fine: np.ndarray) -> np.ndarray:
    """Each curve and its band on a fine grid of doses, (g, 3, m)."""
    grid = make_grid(series.doses)
    pairs = fitted.pairs[series.groups]
    fit = fit_grid(series, grid.x, fitted.anchor)
    point = fit_grid(series, shares(series.doses, pairs)[:, None, :], fitted.anchor)
    free = curve_freedom(series, fitted.anchor)
    room = f_law.ppf(fitted.confidence, 1, free) * point.rss[:, 0] / free
    x = fraction(fine[:, None], *grid.pairs())
    out = [
        band(fit, point, row, x, shares(fine, pairs[row : row + 1])[0], room[row])
        for row in range(len(pairs))
    ]
    return np.array(out).reshape(len(out), 3, len(fine))


def dose_means_table(fitted: DoseResponse) -> pd.DataFrame:
    """Mean score of each group at each dose that its curve was fitted to.

    Returns
    -------
    DataFrame
        ``group dose n score se``; ``se`` from the wells of that dose alone, NaN for one well.
    """
    means = fitted.means
    n = means.n.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.sqrt(means.within / means.weight / (n - 1))
    se[n < 2] = np.nan
    columns = {"group": means.group, "dose": means.dose, "n": means.n, "score": means.mean}
    return pd.DataFrame({**columns, "se": se})
