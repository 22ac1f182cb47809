"""Middle and spread that a minority of extreme values moves little: median and scaled MAD."""

from typing import TypeVar

import numpy as np
import pandas as pd

MAD_TO_SD = 1.4826
"""Median absolute deviation to standard deviation, for values from a normal distribution."""

_Values = TypeVar("_Values", pd.Series, pd.DataFrame)


def middle_and_spread(values: _Values, groups: np.ndarray | pd.Series) -> tuple[_Values, _Values]:
    """Median and scaled median absolute deviation of each group, given to each of its rows.

    Parameters
    ----------
    values : Series or DataFrame, n rows
        NaN takes no part; columns are treated apart.
    groups : array of shape (n,)
        What rows belong together.

    Returns
    -------
    middle, spread : as `values`
        In the unit of `values`; the spread is 0 where more than half of a group are equal.
    """
    middle = values.groupby(groups).transform("median")
    spread = MAD_TO_SD * (values - middle).abs().groupby(groups).transform("median")
    return middle, spread
