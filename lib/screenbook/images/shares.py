"""Shares of right answers, with intervals that know which fields belong together.

Fields of one plate share its stain and its optics, and the four pairs of patches of a field
share its cells: they are right or wrong together. What is to be expected of another plate is
told by the differences between plates, not by the number of fields.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

LEVEL = 0.95
"""Nominal coverage of the intervals."""


@dataclass(frozen=True)
class Share:
    """A share of n answers, with an interval over the groups they come in.

    Attributes
    ----------
    value, low, high : float
        0 to 1; the bounds are NaN where there is a single group.
    n : int
        Answers.
    n_groups : int
    """

    value: float
    low: float
    high: float
    n: int
    n_groups: int


def clustered_share(right: np.ndarray, groups: np.ndarray, level: float = LEVEL) -> Share:
    """Estimate a share from answers that come in groups.

    The variance is that of a ratio of group totals (Cochran 1977, *Sampling Techniques*,
    section 9A.5), the quantile Student's with one degree of freedom less than groups. The
    interval is never narrower than Wilson's for independent answers
    (doi:10.1080/01621459.1927.10502953), so that groups which happen to agree, or a share of 0
    or 1, do not pass for certainty.

    Parameters
    ----------
    right : ndarray of bool or float, shape (n,)
        Credit of each answer, 0 to 1.
    groups : ndarray, shape (n,)
        Plate, experiment or field of each.
    level : float
        Coverage, between 0 and 1.
    """
    credit = np.asarray(right, dtype=np.float64)
    _, code = np.unique(np.asarray(groups), return_inverse=True)
    n, n_groups = len(credit), int(code.max(initial=-1)) + 1
    if n == 0:
        return Share(np.nan, np.nan, np.nan, 0, 0)
    value = float(credit.mean())
    if n_groups < 2:
        return Share(value, np.nan, np.nan, n, n_groups)
    excess = np.bincount(code, weights=credit - value)
    variance = n_groups / (n_groups - 1) * float((excess**2).sum()) / n**2
    reach = t.ppf((1 + level) / 2, n_groups - 1) * np.sqrt(variance)
    low, high = _wilson(value, n, level)
    return Share(
        value, max(0.0, min(low, value - reach)), min(1.0, max(high, value + reach)), n, n_groups
    )


def _wilson(value: float, n: int, level: float) -> tuple[float, float]:
    z2 = norm.ppf((1 + level) / 2) ** 2
    middle = (value + z2 / (2 * n)) / (1 + z2 / n)
    reach = np.sqrt(z2 * (value * (1 - value) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return float(middle - reach), float(middle + reach)
