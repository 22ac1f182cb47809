import numpy as np
import pandas as pd
import pytest

from planted import plate_wells
from screenbook.profiles.outliers import (
    FLAGGED,
    KINDS,
    find_outliers,
    replicate_distance,
    robust_z,
    site_spread,
)

K = 10


@pytest.fixture
def wells():
    return plate_wells(n_plates=6, n_rows=16, n_columns=24)


def judged(wells, points, spread=None):
    spread = np.full(len(wells), np.nan) if spread is None else spread
    return find_outliers(points, wells, spread, 3.5)["kind"].to_numpy()


def test_accidents_are_told_from_strong_treatments(wells):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(len(wells), K))
    strong = ((wells["compound_key"] == "KEY7") & (wells["treatment_conc"] == 1)).to_numpy()
    points[strong] += 15
    accident = np.flatnonzero((wells["role"] == "treated").to_numpy() & ~strong)[[4, 800]]
    points[accident] += 15 * rng.choice([-1, 1], size=(2, K))
    kind = judged(wells, points)
    assert set(np.flatnonzero(kind == "outlier")) == set(accident)
    assert (kind[strong] == "extreme treatment").all()
    assert (kind == "extreme treatment").sum() == strong.sum() == 6


def test_one_bad_well_does_not_make_its_replicates_look_bad(wells):
    points = np.random.default_rng(1).normal(size=(len(wells), K))
    group = ((wells["compound_key"] == "KEY7") & (wells["treatment_conc"] == 1)).to_numpy()
    before = replicate_distance(points, wells)[group]
    points[np.flatnonzero(group)[0]] += 100
    after = replicate_distance(points, wells)[group]
    assert after[0] > 80
    assert after[1:].max() < 3 * before.max()


def test_replicates_of_a_pair_are_each_others_yardstick():
    wells = plate_wells(n_plates=2, n_rows=2, n_columns=3, controls={"healthy": 1, "diseased": 1})
    points = np.zeros((len(wells), 2))
    pair = np.flatnonzero((wells["compound_key"] == "KEY1") & (wells["treatment_conc"] == 0.1))
    points[pair[0]] = [3, 4]
    distance = replicate_distance(points, wells)
    assert distance[pair] == pytest.approx(np.sqrt(25 / 2 / 2))


def test_a_far_well_without_replicates_is_flagged_as_such(wells):
    points = np.random.default_rng(2).normal(size=(len(wells), K))
    wells["compound_key"] = wells["compound_key"].astype(str)
    lone = np.flatnonzero(wells["role"] == "treated")[7]
    wells.iloc[lone, wells.columns.get_loc("compound_key")] = "ONLY"
    points[lone] += 20
    kind = judged(wells, points)
    assert kind[lone] == "no replicate"
    assert np.isnan(replicate_distance(points, wells)[lone])


def test_wide_sites_are_a_fault_only_where_replicates_disagree(wells):
    rng = np.random.default_rng(3)
    points = rng.normal(size=(len(wells), K))
    spread = rng.lognormal(0, 0.1, len(wells))
    toxic = ((wells["compound_key"] == "KEY9") & (wells["treatment_conc"] == 1)).to_numpy()
    points[toxic] += 9
    spread[toxic] = 5
    empty = np.flatnonzero(wells["role"] == "diseased")[3]
    points[empty] -= 9
    spread[empty] = 5
    kind = judged(wells, points, spread)
    assert (kind[toxic] == "extreme treatment").all()
    assert kind[empty] == "sites disagree"


def test_clean_wells_are_hardly_ever_flagged(wells):
    points = np.random.default_rng(4).normal(size=(len(wells), K))
    kind = judged(wells, points)
    assert np.isin(kind, FLAGGED).sum() <= 1
    assert set(kind) <= set(KINDS)


def test_cell_types_have_yardsticks_of_their_own(wells):
    other = plate_wells(n_plates=6, n_rows=16, n_columns=24, cell_type="simian", seed=1)
    both = pd.concat([wells, other])
    rng = np.random.default_rng(8)
    points = rng.normal(size=(len(both), K))
    points[len(wells) :] *= 30
    accident = len(wells) + np.flatnonzero(other["role"] == "treated")[5]
    points[accident] *= 20
    kind = judged(both, points)
    assert kind[accident] == "outlier"
    assert np.isin(kind, FLAGGED).sum() <= 2


def test_site_spread_is_the_planted_one_and_ignores_site_positions():
    rng = np.random.default_rng(5)
    well = np.repeat(np.arange(4000), 4)
    site = np.tile([1, 2, 3, 4], 4000)
    sd = np.where(np.arange(4000) == 17, 6.0, 1.0)
    points = 50 * rng.normal(size=(4000, K))[well] + sd[well, None] * rng.normal(size=(16000, K))
    shifted = points + 3 * rng.normal(size=(5, K))[site]
    spread = site_spread(shifted, well, site)
    assert spread.argmax() == 17
    assert np.mean(np.delete(spread, 17)) == pytest.approx(1, abs=0.03)
    np.testing.assert_allclose(spread, site_spread(points, well, site), atol=0.15)


def test_a_well_with_one_site_has_no_spread():
    spread = site_spread(np.ones((3, 2)), np.array([0, 0, 1]), np.array([1, 2, 1]))
    assert np.isfinite(spread[0])
    assert np.isnan(spread[1])


def test_robust_z_is_a_z_for_lognormal_distances_and_keeps_nan():
    rng = np.random.default_rng(6)
    distance = np.exp(3 + 0.5 * rng.normal(size=50_000))
    distance[0] = np.nan
    z = robust_z(distance, np.zeros(50_000))
    assert np.isnan(z[0])
    assert np.nanmean(z) == pytest.approx(0, abs=0.02)
    assert np.nanstd(z) == pytest.approx(1, abs=0.02)


def test_groups_have_yardsticks_of_their_own():
    rng = np.random.default_rng(7)
    distance = np.exp(rng.normal(size=2000)) * np.repeat([1, 100], 1000)
    z = robust_z(distance, np.repeat(["a", "b"], 1000))
    assert np.median(z[1000:]) == pytest.approx(np.median(z[:1000]), abs=1e-9)
