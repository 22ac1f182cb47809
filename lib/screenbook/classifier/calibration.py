"""Are probabilities what they say? Maps from scores to probabilities, and how far those are off.

A map is fitted on scores of wells that neither the model nor the map is later asked about; see
:func:`screenbook.classifier.classify.calibrate` for who sees which plate.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from screenbook.errors import InputError

CALIBRATIONS = ("platt", "isotonic")
"""Names of the maps."""

_EDGE = 1e-3
"""Isotonic steps of a few wells reach 0 and 1; no well is that certain."""


def fit_calibration(
    scores: np.ndarray, label: np.ndarray, how: str = "platt"
) -> Callable[[np.ndarray], np.ndarray]:
    """Learn which probability of class 1 a score stands for.

    Parameters
    ----------
    scores : ndarray, shape (n,)
        Log odds or any other score that rises with the probability of class 1.
    label : ndarray of int, shape (n,)
        0 or 1; both must be there.
    how : {"platt", "isotonic"}
        A logistic curve of two parameters, or a monotone step function, held within 0.001
        and 0.999.

    Returns
    -------
    callable
        Takes scores of any shape, gives probabilities of that shape, 0 to 1. They refer to
        the share of class 1 in `label`.

    Raises
    ------
    InputError
        For another `how`, or if a class is missing.

    References
    ----------
    Platt (1999), with targets held off 0 and 1 as he gives them; Niculescu-Mizil & Caruana
    (2005), doi:10.1145/1102351.1102430.
    """
    if how not in CALIBRATIONS:
        raise InputError(f"calibration {how!r} is not known; choose {' or '.join(CALIBRATIONS)}")
    n_1 = int(label.sum())
    n_0 = len(label) - n_1
    if min(n_0, n_1) == 0:
        raise InputError("a calibration needs wells of both classes; there is only one")
    if how == "isotonic":
        steps = IsotonicRegression(y_min=_EDGE, y_max=1 - _EDGE, out_of_bounds="clip")
        steps.fit(scores, label)
        return lambda new: steps.predict(np.ravel(new)).reshape(np.shape(new))
    target = np.where(label == 1, (n_1 + 1) / (n_1 + 2), 1 / (n_0 + 2))
    centre, spread = float(np.mean(scores)), float(np.std(scores)) or 1.0
    x = (scores - centre) / spread

    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        z = line[0] * x + line[1]
        gap = (expit(z) - target) / len(x)
        return float((np.logaddexp(0, z) - target * z).mean()), np.array([gap @ x, gap.sum()])

    slope, offset = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B").x
    slope = max(slope, 0.0)  # a score that points the wrong way says nothing
    return lambda new: expit(slope * (np.asarray(new) - centre) / spread + offset)


def adaptive_bins(p: np.ndarray, n_bins: int) -> np.ndarray:
    """Cut probabilities into bins of equally many wells; equal ones stay together.

    Returns
    -------
    ndarray of int, shape (n,)
        From 0, at most `n_bins` of them.
    """
    edges = np.quantile(p, np.linspace(0, 1, n_bins + 1)[1:-1])
    return np.unique(np.searchsorted(edges, p, side="left"), return_inverse=True)[1]


def reliability_table(p: np.ndarray, label: np.ndarray, n_bins: int = 10) -> pd.DataFrame:
    """Hold predicted probabilities against what came true, bin by bin.

    Parameters
    ----------
    p : ndarray, shape (n,)
        Predicted probability of class 1.
    label : ndarray of int, shape (n,)
        0 or 1.
    n_bins : int
        Bins of equally many wells.

    Returns
    -------
    DataFrame
        One row a bin: ``predicted`` (mean), ``observed`` (share of class 1), ``low`` and
        ``high`` (95 % interval of the share, Wilson), ``n``.
    """
    bins = adaptive_bins(p, n_bins)
    n = np.bincount(bins)
    seen = np.bincount(bins, label) / n
    z = 1.959964
    middle = (seen + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(seen * (1 - seen) / n + z**2 / (4 * n**2))
    predicted = np.bincount(bins, p) / n
    columns = {"predicted": predicted, "observed": seen, "low": middle - half}
    return pd.DataFrame(columns | {"high": middle + half, "n": n})


def calibration_error(p: np.ndarray, label: np.ndarray, n_bins: int = 10) -> float:
    """Measure the expected calibration error: mean gap of the bins of all wells, 0 to 1.

    Bins hold equally many wells (Nixon et al. 2019, arXiv:1904.01685).

    Parameters
    ----------
    p, label, n_bins
        See :func:`reliability_table`.
    """
    bins = adaptive_bins(p, n_bins)
    return float(np.abs(np.bincount(bins, p) - np.bincount(bins, label)).sum() / len(p))


def expected_by_chance(
    p: np.ndarray, n_bins: int = 10, *, n_draws: int = 500, seed: int = 0
) -> tuple[float, float]:
    """Calibration error of probabilities that are exactly right, for as many wells.

    It is not zero: a handful of wells a bin scatters about its probability (Bröcker & Smith
    2007, doi:10.1175/WAF993.1).

    Returns
    -------
    mean, high : float
        Mean and 95th percentile over `n_draws` sets of labels drawn from `p`.
    """
    bins = adaptive_bins(p, n_bins)
    member = np.zeros((len(p), bins.max() + 1))
    member[np.arange(len(p)), bins] = 1.0
    rng = np.random.default_rng(seed)
    drawn = (rng.random((n_draws, len(p))) < p) - p  # (draws, n)
    errors = np.abs(drawn @ member).sum(axis=1) / len(p)
    return float(errors.mean()), float(np.quantile(errors, 0.95))


def conformal_p(known: np.ndarray, label: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Would a well be unusual among healthy wells, and among diseased ones? Split-conformal p.

    Each class is calibrated by itself, so that the error is kept in either.

    Parameters
    ----------
    known : ndarray, shape (n,)
        Scores of wells of known class, by models that did not learn from them.
    label : ndarray of int, shape (n,)
        Their class: 1 scores high, 0 low.
    scores : ndarray, shape (m,)
        Scores of the wells asked.

    Returns
    -------
    ndarray of float64, shape (m, 2)
        p-value for class 0 and for class 1; below α the class is excluded at an error of α.

    References
    ----------
    Vovk (2012), label-conditional conformal predictors, arXiv:1209.2673.
    """
    low, high = np.sort(known[label == 0]), np.sort(known[label == 1])
    at_least = len(low) - np.searchsorted(low, scores, side="left")
    at_most = np.searchsorted(high, scores, side="right")
    return np.column_stack([(1 + at_least) / (1 + len(low)), (1 + at_most) / (1 + len(high))])
