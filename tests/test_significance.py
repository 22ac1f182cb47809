"""Exact tests within plates, the bulk null, Simes' rule and q."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, mannwhitneyu

from screenbook.hits.significance import (
    bulk_test,
    false_discovery_q,
    pair_chances,
    rank_test,
    simes,
    upper_tail,
)


def plates_of(rng, sizes, n_untreated, shift=0.0):
    """Wells of one treatment and untreated ones, plate by plate."""
    scores, treatment, plate = [], [], []
    for p, m in enumerate(sizes):
        offset = rng.normal()  # plates differ
        scores += [*(offset + shift + rng.normal(size=m)), *(offset + rng.normal(size=n_untreated))]
        treatment += [0] * m + [-1] * n_untreated
        plate += [p] * (m + n_untreated)
    return np.array(scores), np.array(treatment), np.array(plate)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (1, 7), (2, 5), (3, 4), (4, 4)])
def test_pair_chances_count_every_ranking_of_one_plate(m, n):
    wins = [
        sum(1 for i in treated for j in set(range(m + n)) - set(treated) if i < j)
        for treated in itertools.combinations(range(m + n), m)
    ]
    expected = np.bincount(wins, minlength=m * n + 1) / len(wins)
    np.testing.assert_allclose(pair_chances(m, n), expected, rtol=1e-12)


@pytest.mark.parametrize(("m", "n"), [(2, 6), (5, 40), (12, 54), (24, 30)])
def test_one_plate_agrees_with_scipys_exact_test(m, n):
    rng = np.random.default_rng(m)
    a, b = rng.normal(-0.5, 1, m), rng.normal(size=n)
    treatment = np.r_[np.zeros(m, int), np.full(n, -1)]
    found = rank_test(np.r_[a, b], treatment, np.zeros(m + n, int), treatment < 0).loc[0]
    for name, side in {"p": "less", "p_worse": "greater"}.items():
        expected = mannwhitneyu(a, b, alternative=side, method="exact").pvalue
        assert found[name] == pytest.approx(expected, rel=1e-9)


def test_several_plates_agree_with_all_permutations_within_plates():
    rng = np.random.default_rng(3)
    scores, treatment, plate = plates_of(rng, (1, 2, 1), 3, shift=-0.7)
    found = rank_test(scores, treatment, plate, treatment < 0).loc[0]

    def wins(labels):
        return sum(
            int(scores[i] < scores[j])
            for i in np.flatnonzero(labels == 0)
            for j in np.flatnonzero((labels < 0) & (plate == plate[i]))
        )

    choices = [
        itertools.combinations(np.flatnonzero(plate == p), int((treatment[plate == p] == 0).sum()))
        for p in range(3)
    ]
    null = []
    for drawn in itertools.product(*choices):
        labels = np.full(len(scores), -1)
        labels[[i for own in drawn for i in own]] = 0
        null.append(wins(labels))
    null = np.array(null)
    assert found["p"] == pytest.approx((null >= wins(treatment)).mean(), rel=1e-12)
    assert found["p_least"] == pytest.approx((null >= null.max()).mean(), rel=1e-12)


def test_p_of_inert_treatments_is_level_and_never_too_small():
    rng = np.random.default_rng(0)
    n_treatments, n_plates, n_untreated = 600, 4, 12
    # Plates of their own: treatments that share untreated wells have p that hang together.
    plate = np.repeat(np.arange(n_treatments * n_plates), 1 + n_untreated)
    treatment = np.where(np.arange(len(plate)) % (1 + n_untreated) == 0, plate // n_plates, -1)
    scores = rng.standard_t(3, len(plate)) + rng.normal(size=len(plate))[plate]  # no normal needed
    p = rank_test(scores, treatment, plate, treatment < 0)["p"]
    for level in (0.01, 0.05, 0.2, 0.5):
        attainable = upper_tail(((1, n_untreated),) * n_plates)
        exact = attainable[attainable <= level].max()  # the largest p below the level
        assert (p <= level).mean() == pytest.approx(exact, abs=4 * np.sqrt(exact / n_treatments))


def test_a_shift_of_a_plate_changes_nothing():
    rng = np.random.default_rng(1)
    scores, treatment, plate = plates_of(rng, (2, 2, 2), 9, shift=-1.0)
    moved = scores + np.array([5.0, -3.0, 100.0])[plate]
    one, other = (rank_test(s, treatment, plate, treatment < 0) for s in (scores, moved))
    pd.testing.assert_frame_equal(one, other)


def test_plates_without_untreated_wells_and_missing_scores_take_no_part():
    scores = np.array([0.0, 1.0, 2.0, -9.0, np.nan])
    treatment, plate = np.array([0, -1, -1, 0, 0]), np.array([0, 0, 0, 1, 0])
    found = rank_test(scores, treatment, plate, treatment < 0).loc[0]
    assert found["n_tested"] == 1
    assert found["p"] == pytest.approx(1 / 3)
    assert found["p_least"] == pytest.approx(1 / 3)  # two untreated wells: no small p can be had


def test_ties_help_neither_side():
    same, treatment = np.zeros(5), np.array([0, -1, -1, -1, -1])
    found = rank_test(same, treatment, np.zeros(5, int), treatment < 0).loc[0]
    assert found["p"] == found["p_worse"] == 1.0


def test_far_tails_keep_their_size():
    tail = upper_tail(((2, 40),) * 6)
    assert tail[0] == pytest.approx(1.0, abs=1e-12)
    assert tail[-1] == pytest.approx((2 / (42 * 41)) ** 6, rel=1e-9)
    assert (np.diff(tail) <= 1e-15).all()


def test_bulk_is_robust_to_a_minority_and_finds_the_one_apart():
    rng = np.random.default_rng(2)
    n, n_plates = 60, 4
    plate = np.repeat(np.arange(n_plates), n)
    treatment = np.tile(np.arange(n), n_plates)
    scores = 1 + 0.3 * rng.normal(size=n * n_plates) + rng.normal(size=n_plates)[plate]
    scores[treatment < 6] -= 3.0  # a tenth of the library is active
    found = bulk_test(scores, treatment, plate, treatment)
    assert (found["p_bulk"][:6] < 1e-6).all()
    assert abs(found["z_bulk"][6:].mean()) < 0.6
    assert np.isnan(bulk_test(scores, np.zeros_like(treatment), plate, treatment * 0)["z_bulk"][0])


def test_simes_by_hand_and_level():
    p = np.array([0.01, 0.04, 0.5, 0.2, np.nan])
    found = simes(p, np.array([0, 0, 0, 1, 1]), 3)
    np.testing.assert_allclose(found[:2], [0.03, 0.2])
    assert np.isnan(found[2])
    rng = np.random.default_rng(0)
    null = simes(rng.random(6000), np.repeat(np.arange(1000), 6), 1000)
    assert (null < 0.05).mean() == pytest.approx(0.05, abs=0.02)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.sets(st.integers(0, 29)))
def test_q_is_benjamini_hochbergs_over_what_is_there(p, gone):
    p = np.array(p)
    p[[i for i in gone if i < len(p)]] = np.nan
    q, there = false_discovery_q(p), np.isfinite(p)
    assert (np.isnan(q) == ~there).all()
    if there.any():
        np.testing.assert_allclose(q[there], false_discovery_control(p[there]))
