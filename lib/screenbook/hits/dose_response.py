"""Dose response: four-parameter log-logistic curves, with what can and cannot be said of each.

``score(dose) = plateau + (bottom - plateau) / (1 + (EC50 / dose) ** hill)``, fitted to wells by
least squares (Ritz et al. 2015, 10.1371/journal.pone.0146021). Whatever the score, the plateau
is its value without compound and the bottom its value at infinite dose, above the plateau if the
compound drives the score up.

Robustness is in the data, not in the loss: a well that alone at its dose lies far from the other
wells of that dose is left out (:func:`screenbook.hits.dose_means.gather_doses`), all else is
least squares. So the test against a flat line keeps its level and a curve that misfits a whole
dose cannot throw that dose away.

Untreated wells hold the plateau weakly: they count as one well at dose zero. Compounds without
effect need not score as untreated wells do, so the plateau is not fixed to theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import least_squares
from scipy.special import expit
from scipy.stats import f as f_law
from scipy.stats import t as t_law

from screenbook.hits.dose_means import DoseMeans, Series, gather_doses, series_of
from screenbook.hits.dose_shape import find_bells
from screenbook.hits.hill_grid import (
    SLOPES,
    Anchor,
    FlatTest,
    Grid,
    GridFit,
    fit_grid,
    fraction,
    make_grid,
    profile,
)
from screenbook.hits.hill_intervals import change_interval, crossings

FEWEST_DOSES = 3
"""Doses above zero without which no curve is fitted."""

_PARAMETERS = 4
_OPEN = {(False, False): "", (True, False): "low", (False, True): "high", (True, True): "both"}
_NUMBERS = (
    "plateau",
    "bottom",
    "ec50",
    "ec50_low",
    "ec50_high",
    "hill",
    "emax",
    "emax_low",
    "emax_high",
    "p_flat",
    "p_bell",
    "turn_dose",
    "r2",
    "residual_sd",
    "log_ec50",
    "slope",
)


@dataclass(frozen=True)
class DoseResponse:
    """Fitted curves of many compounds.

    Attributes
    ----------
    table : DataFrame
        One row per group; see :func:`fit_dose_response`.
    means : DoseMeans
        What the curves were fitted to.
    pairs : ndarray, shape (n_groups, 2)
        Natural log of EC50 and slope of the best curve, whatever the shape; NaN without one.
    anchor : Anchor
    confidence : float
        Level of all intervals.
    """

    table: pd.DataFrame
    means: DoseMeans
    pairs: np.ndarray
    anchor: Anchor
    confidence: float


def fit_dose_response(
    score: np.ndarray,
    dose: np.ndarray,
    group: np.ndarray,
    *,
    n_groups: int | None = None,
    weights: np.ndarray | None = None,
    untreated: np.ndarray | None = None,
    level: float = 0.05,
    confidence: float = 0.95,
    seed: int = 0,
) -> DoseResponse:
    """Fit the curves of all compounds, each with its evidence.

    Parameters
    ----------
    score, dose : ndarray, shape (n_wells,)
        Score of each well and its dose (any unit; EC50 comes out in it). Wells without a score
        or without a dose above zero are not used.
    group : ndarray of int, shape (n_wells,)
        Code of the compound (within a cell type); negative for none.
    n_groups : int, optional
        Number of codes, if some may have no well.
    weights : ndarray, shape (n_wells,), optional
        Weight of each well, above zero.
    untreated : ndarray, optional
        Scores of wells without compound; their median counts as one well at dose zero.
    level : float
        Of the tests that tell `flat` and `bell`.
    confidence : float
        Of the intervals.
    seed : int
        Of the simulated law of the test against a flat line.

    Returns
    -------
    DoseResponse
        Its ``table`` has one row per code: ``group n_wells n_left_out n_doses dose_low
        dose_high``; ``shape``; ``plateau``, ``bottom`` (at infinite dose; extrapolated where the
        shape is `partial`), ``ec50 ec50_low ec50_high`` (profile likelihood; an end that the
        wells do not bound is NaN and named in ``ec50_open``: ``""``, ``low``, ``high`` or
        ``both``), ``hill`` (0.5 to 4); ``emax emax_low emax_high``: plateau minus the curve at
        the highest dose fitted, so 1 is a full rescue and a negative number is harm;
        ``p_flat``, ``p_bell``, ``turn_dose`` (of a bell: the last dose fitted); ``r2``,
        ``residual_sd`` (of wells about the curve); ``reason`` (why not testable, or what else
        to know).

        ``shape`` is one of `sigmoid`; `partial` (EC50 outside the tested doses; its value is
        extrapolated, NaN at the bound of the search, a factor of ten); `bell` (the top dose is
        significantly back from the best dose between: only the rising limb is fitted); `flat`
        (``p_flat`` above `level`: no EC50, the plateau is the mean of the wells, and emax the
        lowest dose minus the highest); `not testable`.

    Raises
    ------
    InputError
        If the arrays differ in length.

    Notes
    -----
    The interval of a parameter holds the values at which the least residual sum of squares is
    below ``RSS (1 + F / (n - 4))``, F the quantile with 1 and n - 4 degrees of freedom (Bates &
    Watts 1988, 10.1002/9780470316757). For the law of `p_flat` see
    :class:`screenbook.hits.hill_grid.FlatTest`.
    """
    means = gather_doses(score, dose, group, n_groups=n_groups, weights=weights)
    wells = np.asarray([] if untreated is None else untreated, dtype=float)
    wells = wells[np.isfinite(wells)]
    anchor = Anchor(1.0, float(np.median(wells))) if len(wells) else Anchor(0.0, 0.0)
    counts = means.per_group()
    reason = _not_testable(means, counts)
    testable = np.flatnonzero(reason == "")
    found = {name: np.full(means.n_groups, np.nan) for name in _NUMBERS}
    shape = np.full(means.n_groups, "not testable", dtype=object)
    edge = np.full(means.n_groups, "", dtype=object)
    out = {**found, "shape": shape, "ec50_open": edge, "reason": reason}

    _judge_shape(means, testable, anchor, out, level=level, seed=seed)
    curved = means.dose <= np.nan_to_num(out["turn_dose"], nan=np.inf)[means.group]
    limb = means.take(curved)
    for series in series_of(limb, testable):
        _fit_series(series, anchor, out, confidence)
    pairs = np.column_stack([out.pop("log_ec50"), out.pop("slope")])
    table = pd.DataFrame({"group": np.arange(means.n_groups), **counts, **out})
    table.insert(2, "n_left_out", means.left_out)
    first = ["group", "n_wells", "n_left_out", "n_doses", "dose_low", "dose_high", "shape"]
    table = table[[*first, *(c for c in table.columns if c not in first)]]
    return DoseResponse(table, limb, pairs, anchor, confidence)


def _not_testable(means: DoseMeans, counts: pd.DataFrame) -> np.ndarray:
    """Say why a group has no curve, ``""`` if it has one, (n_groups,)."""
    total = np.bincount(means.group, means.weight, means.n_groups)
    total = np.where(total > 0, total, 1.0)
    centre = np.bincount(means.group, means.weight * means.mean, means.n_groups) / total
    spread = means.within + means.weight * (means.mean - centre[means.group]) ** 2
    spread = np.bincount(means.group, spread, means.n_groups)
    size = np.bincount(means.group, means.weight * means.mean**2, means.n_groups)
    n, k = counts["n_wells"].to_numpy(), counts["n_doses"].to_numpy()
    plural = np.where(k == 1, " dose", " doses")
    few = k.astype(str).astype(object) + plural + f", a curve needs {FEWEST_DOSES}"
    need = np.minimum(k, _PARAMETERS) + 1
    short = n.astype(str).astype(object) + " wells, the test needs " + need.astype(str)
    reason = np.select(
        [n == 0, k < FEWEST_DOSES, n < need, spread <= 1e-20 * (size + 1e-300)],
        ["no well with a score and a dose above zero", few, short, "the scores do not vary"],
        default="",
    )
    return reason.astype(object)


def _judge_shape(
    means: DoseMeans,
    groups: np.ndarray,
    anchor: Anchor,
    out: dict[str, np.ndarray],
    *,
    level: float,
    seed: int,
) -> None:
    """Test every curve against a flat line and against a monotone one; fill `out`."""
    test = FlatTest(seed)
    for series in series_of(means, groups):
        _, p = test(series, make_grid(series.doses))
        at = series.groups
        out["p_flat"][at] = p
        out["shape"][at] = np.where(p <= level, "sigmoid", "flat")
        # What no curve tells from a flat line has to depart more clearly to be a bell.
        p_bell, turn = find_bells(series, anchor, np.where(p <= level, level, level / 5))
        out["p_bell"][at] = p_bell
        bell = p_bell <= level
        out["shape"][at[bell]] = "bell"
        out["turn_dose"][at[bell]] = series.doses[turn[bell]]


def _fit_series(
    series: Series, anchor: Anchor, out: dict[str, np.ndarray], confidence: float
) -> None:
    """Fit the curves of groups that share their doses; fill `out`."""
    grid = make_grid(series.doses)
    fit = fit_grid(series, grid.x, anchor)
    best = fit.rss.argmin(axis=1)
    start = np.array([grid.at(index) for index in best])
    for row, at in enumerate(series.groups):
        if out["shape"][at] != "flat":
            start[row] = _polish(series, row, anchor, grid, start[row])
    point = fit_grid(series, shares(series.doses, start)[:, None, :], anchor)
    over = profile(fit, len(grid.log_ec50))
    n, k = series.n.sum(axis=1), len(series.doses)
    free = curve_freedom(series, anchor)
    variance = point.rss[:, 0] / free
    total = series.weight.sum(axis=1)
    mean = (series.weight * series.mean).sum(axis=1) / total
    about = series.weight * (series.mean - mean[:, None]) ** 2 + series.within
    left = series.weight * (series.mean - _values(point, series.doses, start)) ** 2
    left = (left + series.within).sum(axis=1)

    at = series.groups
    out["plateau"][at] = point.plateau[:, 0]
    out["bottom"][at] = point.plateau[:, 0] + point.change[:, 0]
    out["hill"][at] = start[:, 1]
    out["r2"][at] = 1 - left / np.maximum(about.sum(axis=1), 1e-300)
    out["residual_sd"][at] = np.sqrt(left / np.maximum(n - min(_PARAMETERS, k), 1))
    out["log_ec50"][at], out["slope"][at] = start.T
    room = f_law.ppf(confidence, 1, free) * variance
    top = grid.x[:, -1], shares(series.doses, start)[:, -1]
    flat = out["shape"][at] == "flat"
    out["hill"][at[flat]] = np.nan
    out["plateau"][at[flat]] = out["bottom"][at[flat]] = mean[flat]
    changes = _change_of_means(series, anchor, confidence)
    for row, group in enumerate(at):
        if not flat[row]:
            changes[row] = change_interval(fit, point, row, *top, room[row])
        out["emax"][group], out["emax_low"][group], out["emax_high"][group] = changes[row]
        if flat[row]:
            continue
        _place_ec50(out, group, series.doses, grid, start[row, 0])
        rise = np.maximum(over[row] - point.rss[row, 0], 0)
        low, high = crossings(grid.log_ec50, rise, start[row, 0], room[row])
        out["ec50_low"][group], out["ec50_high"][group] = np.exp(low), np.exp(high)
        out["ec50_open"][group] = _OPEN[bool(np.isnan(low)), bool(np.isnan(high))]
        if k < FEWEST_DOSES:
            for name in ("ec50", "ec50_low", "ec50_high", "hill"):
                out[name][group] = np.nan
            out["ec50_open"][group] = "both"
            out["reason"][group] = f"only {k} doses on the rising limb: no EC50"


def _change_of_means(series: Series, anchor: Anchor, confidence: float) -> np.ndarray:
    """Mean of the lowest dose, with the anchor, minus that of the highest, with t interval.

    Returns
    -------
    ndarray, shape (g, 3)
        Difference and interval, by the variance of wells about the mean of all.
    """
    w, n = series.weight, series.n.sum(axis=1)
    mean = (w * series.mean).sum(axis=1) / w.sum(axis=1)
    squares = (w * (series.mean - mean[:, None]) ** 2 + series.within).sum(axis=1)
    base_w = w[:, 0] + anchor.wells
    base = (w[:, 0] * series.mean[:, 0] + anchor.wells * anchor.score) / base_w
    spread = np.sqrt(squares / (n - 1) * (1 / base_w + 1 / w[:, -1]))
    half = t_law.ppf(0.5 + confidence / 2, n - 1) * spread
    change = base - series.mean[:, -1]
    return np.stack([change, change - half, change + half], axis=1)


def curve_freedom(series: Series, anchor: Anchor) -> np.ndarray:
    """Degrees of freedom of each curve's residuals, at least 1, (g,)."""
    n = series.n.sum(axis=1) + (anchor.wells > 0)
    return np.maximum(n - min(_PARAMETERS, len(series.doses)), 1)


def shares(doses: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Share of the largest effect at each dose for (log EC50, slope) of each curve, (g, k)."""
    return fraction(doses[None, :], pairs[:, :1], pairs[:, 1:])


def _values(point: GridFit, doses: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    return np.asarray(point.plateau + point.change * shares(doses, pairs))


def _polish(series: Series, row: int, anchor: Anchor, grid: Grid, start: np.ndarray) -> np.ndarray:
    """Move one curve's (log EC50, slope) from the grid to the minimum near it."""
    log_dose, y = np.log(series.doses), series.mean[row] - anchor.score
    w, scale = series.weight[row], float(np.ptp(series.mean[row])) or 1.0
    root, total = np.sqrt(w), w.sum() + anchor.wells
    sum_y = w @ y

    def residual(pair: np.ndarray) -> np.ndarray:
        x = expit(np.exp(pair[1]) * (log_dose - pair[0]))
        wx = w * x
        sum_x = wx.sum()
        determinant = max(total * (wx @ x) - sum_x**2, 1e-10 * total * (wx @ x) + 1e-300)
        change = (total * (wx @ y) - sum_x * sum_y) / determinant
        plateau = (sum_y - change * sum_x) / total
        pull = -np.sqrt(anchor.wells) * plateau
        return np.append(root * (y - plateau - change * x), pull) / scale

    low = np.array([grid.log_ec50[0], np.log(SLOPES[0])])
    high = np.array([grid.log_ec50[-1], np.log(SLOPES[-1])])
    inner = 1e-6 * (high - low)
    begin = np.clip([start[0], np.log(start[1])], low + inner, high - inner)
    found = least_squares(residual, begin, bounds=(low, high), max_nfev=50)
    before = 0.5 * float((residual(np.array([start[0], np.log(start[1])])) ** 2).sum())
    return np.array([found.x[0], np.exp(found.x[1])]) if found.cost < before else start


def _place_ec50(
    out: dict[str, np.ndarray], group: int, doses: np.ndarray, grid: Grid, log_ec50: float
) -> None:
    """Write the EC50, and call a curve partial whose EC50 was not passed."""
    width = grid.log_ec50[-1] - grid.log_ec50[0]
    edge = min(log_ec50 - grid.log_ec50[0], grid.log_ec50[-1] - log_ec50) < 1e-4 * width
    out["ec50"][group] = np.nan if edge else np.exp(log_ec50)
    if not np.log(doses[0]) <= log_ec50 <= np.log(doses[-1]):
        side = "above the highest" if log_ec50 > np.log(doses[-1]) else "below the lowest"
        if out["shape"][group] == "sigmoid":
            out["shape"][group] = "partial"
        out["reason"][group] = f"EC50 {side} dose fitted"
