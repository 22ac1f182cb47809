"""Distances of replicates to the mean of the others."""

import numpy as np
import pytest

from screenbook.structure.own_mean import own_mean_distances


def test_the_replicate_itself_is_not_in_the_mean():
    points = np.array([[1.0, 0], [0, 1.0], [1, 1], [5, 5]])
    found, groups = own_mean_distances(points, np.array([0, 0, 1, 1]), n_draws=10)
    assert found.loc[found["group"] == 0, "distance"].tolist() == pytest.approx([1.0, 1.0])
    assert found.loc[found["group"] == 1, "distance"].tolist() == pytest.approx(
        [0.0, 0.0], abs=1e-9
    )
    assert groups["n"].tolist() == [2, 2]


def test_noise_lies_at_chance_whatever_the_size():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(40), rng.integers(2, 7, 40))
    _, groups = own_mean_distances(rng.standard_normal((len(group), 10)), group)
    assert 0.3 < groups["p"].mean() < 0.7
    assert (groups["p"] <= 0.05).mean() < 0.16


def test_replicates_that_agree_are_told_from_chance():
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(12), 5)
    points = rng.standard_normal((12, 20))[group] + 0.3 * rng.standard_normal((60, 20))
    _, groups = own_mean_distances(points, group)
    assert (groups["p"] < 0.01).all()
    assert (groups["median"] < groups["chance"] / 3).all()


def test_a_compound_on_one_plate_has_no_distance():
    found, groups = own_mean_distances(np.eye(3), np.array([0, 1, 1]), n_draws=10)
    assert groups["group"].tolist() == [1]
    assert found["row"].tolist() == [1, 2]
    empty, none = own_mean_distances(np.eye(2), np.array([0, 1]))
    assert empty.empty
    assert none.empty
