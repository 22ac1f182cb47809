"""Who swaps with whom, and what counts as rare."""

import numpy as np
import pytest
from scipy.stats import chisquare

from screenbook.structure.permutations import (
    Permuted,
    cannot_permute,
    mechanism_codes,
    p_values,
    shuffles,
)


def test_free_shuffles_are_permutations_and_even():
    drawn = shuffles(4, 6000, seed=0)
    assert (np.sort(drawn, axis=1) == np.arange(4)).all()
    for place in range(4):
        assert chisquare(np.bincount(drawn[:, place])).pvalue > 1e-4


def test_restricted_shuffles_stay_within_groups_and_the_unknown_in_place():
    group = np.array([2, 0, -1, 2, 0, 1, 2, -1])
    drawn = shuffles(8, 3000, seed=1, group=group)
    assert (np.sort(drawn, axis=1) == np.arange(8)).all()
    assert (group[drawn] == group).all()
    assert (drawn[:, [2, 5, 7]] == [2, 5, 7]).all()
    # All 3! x 2! arrangements turn up, each as often.
    counts = np.unique(drawn, axis=0, return_counts=True)[1]
    assert len(counts) == 12
    assert chisquare(counts).pvalue > 1e-4


def test_a_seed_makes_the_shuffles():
    np.testing.assert_array_equal(shuffles(9, 5, seed=3), shuffles(9, 5, seed=3))
    assert (shuffles(9, 5, seed=3) != shuffles(9, 5, seed=4)).any()


def test_mechanisms_are_numbered_and_the_unknown_are_not():
    codes = mechanism_codes(np.array(["b", "", "a", "b"]))
    assert list(codes) == [1, -1, 0, 1]
    assert list(mechanism_codes(np.array(["", ""]))) == [-1, -1]


@pytest.mark.parametrize(
    ("sizes", "possible"),
    [([4], True), ([3, 3], True), ([2, 2, 2, 2, 2], True), ([3, 2], False), ([1] * 30, False)],
)
def test_twenty_arrangements_are_needed(sizes, possible):
    group = np.repeat(np.arange(len(sizes)), sizes)
    assert (cannot_permute(np.append(group, -1)) == "") is possible


def test_nobody_known_cannot_be_permuted():
    assert cannot_permute(np.full(5, -1)) == "too few compounds share a mechanism"


def test_p_counts_the_arrangement_that_was_seen():
    found = Permuted(3.0, np.array([1.0, 2.0, 3.0, 4.0]))
    assert found.p == pytest.approx(3 / 5)
    assert found.row()["null_mean"] == 2.5
    assert Permuted(9.0, np.arange(5.0)).p == pytest.approx(1 / 6)
    assert np.isnan(list(Permuted(np.nan, np.arange(5.0)).row().values())).all()


def test_rounding_does_not_make_the_seen_arrangement_rare():
    null = np.full((19, 1), 0.1 - 1e-9)
    assert p_values(np.array([0.1]), null)[0] == 1.0
