"""Position on the plate is seen where it is planted, and only there."""

import numpy as np
import pytest

from screenbook.errors import InputError
from screenbook.expression.connectivity import cosine
from screenbook.expression.plate_position import rank_neighbour_wells, remove_plate_trend


def plate(strength, genes=60, seed=0):
    """A plate of 16 x 24 wells with a bowl and a slope in every gene."""
    rng = np.random.default_rng(seed)
    row, column = (x.ravel() for x in np.mgrid[:16, :24])
    shape = np.column_stack([row - 7.5, (column - 11.5) ** 2 / 12])
    trend = strength * shape @ rng.normal(size=(2, genes))
    return 5 + trend + rng.normal(size=(384, genes)), row, column


@pytest.mark.parametrize(("strength", "low", "high"), [(0.0, 0.47, 0.53), (0.3, 0.0, 0.35)])
def test_neighbours_rank_high_only_where_position_matters(strength, low, high):
    values, row, column = plate(strength)
    place = np.column_stack([row, column])
    scores = cosine(values - values.mean(axis=0), values - values.mean(axis=0))
    ranks = rank_neighbour_wells(scores, np.eye(384, dtype=bool), place, place)
    assert low <= ranks.mean() <= high


def test_ranks_by_hand():
    place = np.array([[0, 0], [0, 1], [1, 1], [5, 5], [9, 9]])
    scores = np.array([[9.0, 3.0, 1.0, 2.0, np.nan]])
    same = np.array([[True, False, False, False, False]])
    found = rank_neighbour_wells(scores, same, place[:1], place)
    assert found[0] == pytest.approx((0 + 2 / 3) / 2)
    assert np.isnan(rank_neighbour_wells(scores, same, place[3:4] + 2, place)[0])
    level = rank_neighbour_wells(np.zeros((1, 5)), same, place[:1], place)
    assert level[0] == 0.5


def test_a_trend_is_removed_and_the_mean_stays():
    values, row, column = plate(0.3)
    both = np.vstack([values, values + 3])
    batch = np.repeat(["a", "b"], 384)
    found = remove_plate_trend(both, np.tile(row, 2), np.tile(column, 2), batch)
    np.testing.assert_allclose(found[:384].mean(axis=0), values.mean(axis=0))
    np.testing.assert_allclose(found[384:].mean(axis=0), values.mean(axis=0) + 3)
    assert found[:384].std(axis=0).max() < 1.15
    place = np.column_stack([row, column])
    left = found[:384] - found[:384].mean(axis=0)
    ranks = rank_neighbour_wells(cosine(left, left), np.eye(384, dtype=bool), place, place)
    assert 0.47 < ranks.mean() < 0.53


def test_too_few_wells_are_refused():
    values, row, column = plate(0.0)
    with pytest.raises(InputError, match="plate 'x' has 26 wells, too few"):
        remove_plate_trend(values[:26], row[:26], column[:26], np.repeat("x", 26))
