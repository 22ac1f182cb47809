"""Intervals over plates hold what they promise."""

import numpy as np
import pytest

from screenbook.hits.intervals import (
    length_intervals,
    mean_intervals,
    plate_means,
    wide_percentiles,
)


def treatments(rng, n, n_plates, per_plate, *, truth, k=1, plate_sd=0.1, well_sd=0.36):
    """Wells of n treatments with a common truth, on as many plates each."""
    between = plate_sd * rng.normal(size=(n, n_plates, 1, k))
    values = truth + between + well_sd * rng.normal(size=(n, n_plates, per_plate, k))
    group = np.repeat(np.arange(n), n_plates * per_plate)
    plate = np.tile(np.repeat(np.arange(n_plates), per_plate), n)
    return plate_means(values.reshape(-1, k), group, plate, n)


@pytest.mark.parametrize(("n_plates", "per_plate"), [(2, 1), (4, 1), (6, 1), (6, 2), (12, 1)])
def test_intervals_of_means_cover(n_plates, per_plate):
    means = treatments(np.random.default_rng(n_plates), 2000, n_plates, per_plate, truth=1.0)
    _, low, high = mean_intervals(means, n_draws=1000, seed=0)
    assert ((low <= 1) & (high >= 1)).mean() == pytest.approx(0.95, abs=0.03)


def test_plates_count_alike_however_many_wells_they_have():
    values = np.array([0.0, 1.0, 1.0, 1.0])[:, None]
    means = plate_means(values, np.zeros(4, int), np.array([0, 1, 1, 1]), 1)
    assert mean_intervals(means, n_draws=100, seed=0)[0][0] == 0.5


def test_one_plate_has_a_mean_and_no_interval():
    means = plate_means(np.ones((3, 1)), np.array([0, 0, -1]), np.zeros(3, int), 2)
    mean, low, high = mean_intervals(means, n_draws=100, seed=0)
    assert mean[0] == 1.0
    assert np.isnan([low[0], high[0], mean[1]]).all()
    assert np.isnan(length_intervals(means, n_draws=100, seed=0)[0]).all()


def test_wide_percentiles_are_wider_with_fewer_plates():
    narrow, wide = wide_percentiles(50), wide_percentiles(6)
    assert wide[0] < narrow[0] < 0.025 < 0.975 < narrow[1] < wide[1]
    np.testing.assert_allclose(wide_percentiles(10**6), (0.025, 0.975), atol=1e-5)


def test_lengths_are_free_of_noise():
    rng = np.random.default_rng(0)
    k = 40
    truth = np.zeros(k)
    truth[0] = 2.0
    moved = treatments(rng, 300, 6, 1, truth=truth, k=k, plate_sd=0, well_sd=1)
    still = treatments(rng, 300, 6, 1, truth=np.zeros(k), k=k, plate_sd=0, well_sd=1)
    length, low, high = length_intervals(moved, n_draws=400, seed=0)
    # The plain length of a mean of six wells in 40 directions would be 3.3.
    assert np.sqrt((length**2).mean()) == pytest.approx(2.0, abs=0.1)
    assert ((low <= 2) & (high >= 2)).mean() > 0.92
    assert np.median(length_intervals(still, n_draws=10, seed=0)[0]) < 1.0


def test_lengths_do_not_see_what_one_plate_has_alone():
    values = np.zeros((6, 5))
    values[0] = 50.0  # one wild well
    means = plate_means(values, np.zeros(6, int), np.arange(6), 1)
    assert length_intervals(means, n_draws=50, seed=0)[0][0] == 0.0


def test_seed_and_order_of_rows():
    rng = np.random.default_rng(5)
    values, group, plate = rng.normal(size=(60, 3)), rng.integers(0, 4, 60), rng.integers(0, 5, 60)
    order = rng.permutation(60)
    one = length_intervals(plate_means(values, group, plate, 4), n_draws=200, seed=1)
    other = length_intervals(
        plate_means(values[order], group[order], plate[order], 4), n_draws=200, seed=1
    )
    np.testing.assert_allclose(one, other, atol=1e-12)
