"""Robust middle and spread by groups, against SciPy's median absolute deviation."""

import numpy as np
import pandas as pd
from scipy.stats import median_abs_deviation

from screenbook.profiles.robust import middle_and_spread


def test_each_group_gets_what_scipy_says_of_it():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 3, 60)
    values = pd.DataFrame(rng.normal(groups[:, None], 1 + groups[:, None], (60, 2)))
    middle, spread = middle_and_spread(values, groups)
    for group in range(3):
        own = groups == group
        np.testing.assert_allclose(middle[own], np.tile(values[own].median(), (own.sum(), 1)))
        mad = median_abs_deviation(values[own], scale="normal")
        np.testing.assert_allclose(spread[own], np.tile(mad, (own.sum(), 1)), rtol=1e-4)


def test_one_extreme_value_moves_little_and_missing_ones_nothing():
    values = pd.Series(np.r_[np.linspace(-1, 1, 99), 1e6, np.nan])
    one = np.zeros(101)
    middle, spread = middle_and_spread(values, one)
    plain = middle_and_spread(values[:99], one[:99])
    np.testing.assert_allclose(middle[0], plain[0][0], atol=0.02)
    np.testing.assert_allclose(spread[0], plain[1][0], rtol=0.03)


def test_where_most_values_are_equal_the_spread_is_zero():
    assert (middle_and_spread(pd.Series([1.0, 1.0, 1.0, 9.0]), np.zeros(4))[1] == 0).all()
