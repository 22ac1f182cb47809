"""Profile-likelihood intervals of log-logistic curves, and their pointwise bands.

A pair of EC50 and slope is allowed if its least residual sum of squares is within a given room
above the best. For an allowed pair, what is linear in plateau and change has an interval in
closed form; the profile interval is the union of these over all allowed pairs.
"""

from __future__ import annotations

import numpy as np

from screenbook.hits.hill_grid import GridFit


def change_interval(
    fit: GridFit, point: GridFit, row: int, x: np.ndarray, x_point: np.ndarray, room: float
) -> tuple[float, float, float]:
    """Plateau minus the curve at one dose: best value and interval.

    Parameters
    ----------
    fit : GridFit
        Over the grid, d pairs.
    point : GridFit
        At each curve's best pair, one column.
    row : int
        Which curve.
    x : ndarray, shape (d,)
        Share of the largest effect at the dose, for each pair of the grid.
    x_point : ndarray, shape (g,)
        The same for the best pairs.
    room : float
        Rise of the residual sum of squares that is allowed.
    """
    best = -point.change[row, 0] * x_point[row]
    near = np.sqrt(point.variance(row, x_point[row : row + 1], level=False)[0] * room)
    left = room + point.rss[row, 0] - fit.rss[row]
    reach = np.sqrt(fit.variance(row, x, level=False) * np.maximum(left, 0))
    centre = -fit.change[row] * x
    low = np.min((centre - reach)[left > 0], initial=best - near)
    high = np.max((centre + reach)[left > 0], initial=best + near)
    return float(best), float(low), float(high)


def crossings(nodes: np.ndarray, rise: np.ndarray, best: float, room: float) -> tuple[float, float]:
    """Where a profile first and last is as high as allowed; NaN at an end it does not reach.

    Parameters
    ----------
    nodes : ndarray, shape (e,)
        Values of the parameter, ascending.
    rise : ndarray, shape (e,)
        Profile above its least value.
    best : float
        Where it is least.
    room : float
        Rise that is allowed.

    Notes
    -----
    The root of the rise is close to linear in the parameter, so it is what is interpolated.
    """
    nodes, root = np.r_[nodes, best], np.sqrt(np.r_[rise, 0.0])
    order = np.argsort(nodes, kind="stable")
    nodes, root, limit = nodes[order], root[order], np.sqrt(room)
    inside = np.flatnonzero(root <= limit)
    first, last = inside[0], inside[-1]
    low = high = float("nan")
    if first > 0:
        low = float(np.interp(limit, root[[first, first - 1]], nodes[[first, first - 1]]))
    if last < len(nodes) - 1:
        high = float(np.interp(limit, root[[last, last + 1]], nodes[[last, last + 1]]))
    return low, high


def band(
    fit: GridFit, point: GridFit, row: int, x: np.ndarray, x_point: np.ndarray, room: float
) -> np.ndarray:
    """Best curve and the ends of its pointwise band, (3, m).

    Parameters
    ----------
    x : ndarray, shape (m, d)
        Share of the largest effect at m doses for each pair of the grid.
    x_point : ndarray, shape (m,)
        The same for the curve's best pair.
    fit, point, row, room
        As in :func:`change_interval`.
    """
    best = point.plateau[row, 0] + point.change[row, 0] * x_point
    near = np.sqrt(point.variance(row, x_point[:, None])[:, 0] * room)
    left = room + point.rss[row, 0] - fit.rss[row]
    pick = np.flatnonzero(left > 0)
    x = x[:, pick]
    centre = fit.plateau[row, pick] + fit.change[row, pick] * x
    reach = np.sqrt(fit.variance(row, x, pick) * left[pick])
    low = np.min(centre - reach, axis=1, initial=np.inf)
    high = np.max(centre + reach, axis=1, initial=-np.inf)
    return np.stack([best, np.minimum(low, best - near), np.maximum(high, best + near)])
