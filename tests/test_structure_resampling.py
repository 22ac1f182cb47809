import numpy as np
import pytest
from scipy.stats import spearmanr

from screenbook.structure.resampling import (
    cross_validated_p,
    resampled_spearman,
    resampled_units,
)


def test_whole_units_are_drawn_as_often_as_there_are_units():
    unit = np.array(["a", "b", "a", "c", "c", "c"])
    weight = resampled_units(unit, 400, seed=0)
    assert weight.shape == (400, 6)
    assert (weight[:, 0] == weight[:, 2]).all()
    assert (weight[:, 3] == weight[:, 5]).all()
    assert (weight[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert weight[:, 1].mean() == pytest.approx(1, abs=0.15)
    np.testing.assert_array_equal(weight, resampled_units(unit, 400, seed=0))
    assert (weight != resampled_units(unit, 400, seed=1)).any()


@pytest.mark.parametrize("levels", [3, 1000])
def test_correlations_are_those_of_the_rows_written_out(levels):
    rng = np.random.default_rng(levels)
    x = rng.integers(levels, size=30)
    y = x + rng.integers(levels, size=30)
    weight = resampled_units(np.arange(30) // 2, 20, seed=0)
    expected = [spearmanr(np.repeat(x, w), np.repeat(y, w))[0] for w in weight]
    np.testing.assert_allclose(resampled_spearman(x, y, weight), expected)


def test_what_does_not_vary_has_no_correlation():
    weight = np.array([[1, 1, 1], [3, 0, 0]])
    found = resampled_spearman(np.arange(3), np.arange(3), weight)
    assert found[0] == pytest.approx(1)
    assert np.isnan(found[1])
    assert np.isnan(resampled_spearman(np.zeros(3), np.arange(3), weight)).all()


def test_the_null_of_a_cross_validated_statistic_is_widened_by_what_folds_share():
    """Sums over pairs of folds count each pair twice; simulated with models that are products."""
    rng = np.random.default_rng(0)
    plain, widened = [], []
    for _ in range(500):
        x, y = rng.normal(size=(5, 8, 40)), rng.normal(size=(5, 8))
        slope = np.einsum("fmd,fm->fd", x, y)  # what a model of each fold learned
        predicted = np.einsum("fmd,fd->fm", x, slope.sum(axis=0) - slope)
        swapped = rng.permuted(np.repeat(y[None], 99, axis=0), axis=2)
        null = (predicted * swapped).sum(axis=(1, 2))
        found = float((predicted * y).sum())
        plain.append((1 + (null >= found).sum()) / 100)
        widened.append(cross_validated_p(found, null))
    assert np.mean(np.array(plain) <= 0.05) > 0.07
    assert 0.01 < np.mean(np.array(widened) <= 0.05) < 0.07


def test_a_statistic_beyond_all_draws_has_the_least_p():
    assert cross_validated_p(9.0, np.arange(-2.0, 3.0)) == pytest.approx(1 / 6)
    assert cross_validated_p(0.0, np.zeros(99)) == 1
