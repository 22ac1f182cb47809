"""Wells against control wells of their plates: p, effect and share, on planted wells."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import permutation_test

from planted_cells import planted_cells
from screenbook.cells.wells_compared import (
    compare_wells,
    comparisons,
    effect_size,
    permutation_p,
    reference_wells,
    responding_share,
    well_means,
    well_names,
    with_fewer,
)
from screenbook.errors import InputError


def planted_wells(effect=0.0, *, n_plates=4, n_treated=2, n_control=6, n_features=1, seed=0):
    """Wells on plates of their own levels; those of the drug lie `effect` SD higher."""
    rng = np.random.default_rng(seed)
    rows, values = [], []
    for plate in range(n_plates):
        level = rng.normal(0, 5, n_features)
        for number in range(n_treated + n_control):
            treated = number < n_treated
            rows.append(
                {
                    **{"well": f"P{plate}/A{number}", "experiment": f"E{plate}"},
                    **{"batch": f"P{plate}", "treatment": "drug" if treated else "control"},
                    **{"role": "treated" if treated else "control", "reference": False},
                    "n_cells": 10,
                }
            )
            values.append(level + rng.normal(0, 1, n_features) + effect * treated)
    return pd.DataFrame(values, index=pd.MultiIndex.from_frame(pd.DataFrame(rows)))


def only(wells):
    (one,) = comparisons(wells)
    return one


def test_half_of_the_control_wells_of_each_plate_are_the_reference():
    _, obs = planted_cells(n_control=6)
    reference = reference_wells(obs, seed=1)
    wells = obs.assign(reference=reference, name=well_names(obs)).drop_duplicates("name")
    assert (wells[wells["role"] == "control"].groupby("batch")["reference"].sum() == 3).all()
    assert not wells.loc[wells["role"] == "treated", "reference"].any()
    assert np.array_equal(np.isin(well_names(obs), well_names(obs)[reference]), reference)
    assert not np.array_equal(reference, reference_wells(obs, seed=2))
    few = reference_wells(obs, share=0.99)
    counts = pd.Series(few).groupby(well_names(obs)).first().groupby(lambda w: w[:2]).sum()
    assert (counts == 5).all()  # one is left to compare with


def test_a_plate_with_one_control_well_is_refused():
    _, obs = planted_cells(n_control=1)
    with pytest.raises(InputError, match="plate 'E0/1' has 1 control wells"):
        reference_wells(obs)


def test_well_means_are_means_over_cells():
    points, obs = planted_cells(n_plates=2)
    reference = reference_wells(obs)
    wells = well_means(points, obs, reference)
    mine = well_names(obs) == "E1/1/A07"
    np.testing.assert_allclose(wells.xs("E1/1/A07").to_numpy()[0], points[mine].mean(axis=0))
    assert (wells.index.get_level_values("n_cells") == 40).all()
    assert len(wells) == 2 * 12


def test_p_is_that_of_scipy_where_one_plate_can_be_listed_out():
    one = only(planted_wells(0.7, n_plates=1, n_treated=3, n_control=5, seed=4))
    ours = permutation_p(one, 20_000, seed=1)
    line = one.values[:, 0]
    exact = permutation_test(
        (line[one.treated], line[~one.treated]), lambda a, b: abs(a.mean() - b.mean()),
        permutation_type="independent", alternative="greater",
    ).pvalue  # fmt: skip
    assert 0.02 < exact < 0.98
    assert ours == pytest.approx(exact, abs=0.012)


@pytest.mark.parametrize("n_features", [1, 12])
def test_null_wells_are_found_as_often_as_they_should_be(n_features):
    p = np.array(
        [permutation_p(only(planted_wells(n_features=n_features, seed=s)), 99, s)
         for s in range(150)]
    )  # fmt: skip
    for level in (0.05, 0.2):
        spread = np.sqrt(level * (1 - level) / 150)
        assert abs((p <= level).mean() - level) < 3.3 * spread


def test_plates_levels_and_units_change_no_p():
    wells = planted_wells(0.8, n_features=3, seed=5)
    p, effect = permutation_p(only(wells)), effect_size(only(wells))
    shift = wells.index.get_level_values("batch").map({f"P{i}": 10.0 * i for i in range(4)})
    other = wells.add(np.asarray(shift), axis=0) * 1000
    assert permutation_p(only(other)) == p
    assert effect_size(only(other)) == pytest.approx(effect, rel=1e-6)


def test_the_effect_is_the_difference_in_sd_between_wells():
    one = only(planted_wells(1.5, n_plates=60, n_treated=4, n_control=8, seed=6))
    d, low, high = effect_size(one)
    assert low < 1.5 < high
    assert d == pytest.approx(1.5, abs=0.15)
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(1 / 160), rel=0.25)


def test_intervals_of_the_effect_cover_it():
    hits = [
        low <= 1 <= high
        for _, low, high in (effect_size(only(planted_wells(1.0, seed=s))) for s in range(150))
    ]
    assert 0.88 <= np.mean(hits) <= 0.995


def test_the_effect_in_many_columns_is_not_fitted_to_its_own_wells():
    """A direction taken from all wells would show a difference of about 2 here."""
    found = [effect_size(only(planted_wells(0, n_features=12, seed=s)))[0] for s in range(40)]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(40)
    strong = effect_size(only(planted_wells(2.0, n_features=12, seed=1)))[0]
    assert strong > 3  # 2 SD in each of twelve


def test_one_plate_shows_no_effect_in_many_columns():
    assert np.isnan(effect_size(only(planted_wells(n_plates=1, n_features=3)))).all()
    assert np.isfinite(effect_size(only(planted_wells(n_plates=1)))).all()


def test_reference_wells_are_not_compared():
    wells = planted_wells(n_features=2)
    about = wells.index.to_frame(False)
    last = about["well"].str.endswith("7")
    changed = wells.set_axis(pd.MultiIndex.from_frame(about.assign(reference=last)))
    assert (~only(changed).treated).sum() == 4 * 5
    far = changed.to_numpy().copy()
    far[last.to_numpy()] = 1e6
    again = pd.DataFrame(far, index=changed.index)
    np.testing.assert_allclose(only(again).values, only(changed).values)


def test_every_treatment_has_a_row_and_q_is_over_them():
    points, obs = planted_cells()
    table = compare_wells(well_means(points, obs, reference_wells(obs)), n_permutations=499)
    assert table["treatment"].tolist() == ["full", "inert", "rare"]
    assert (table["q"] >= table["p"]).all()
    assert (table["n_wells"] == 8).all()
    assert (table["n_control_wells"] == 12).all()
    assert table.set_index("treatment").loc["full", "p"] == pytest.approx(1 / 500)


def test_leaving_wells_out_is_the_same_as_never_having_had_them():
    wells = planted_wells(1.0, n_features=2, seed=2)
    one = only(wells)
    kept = ~one.treated
    kept[np.flatnonzero(one.treated)[:3]] = True  # of two plates
    fewer = with_fewer(one, kept)
    plate = wells.index.get_level_values("batch")
    again = only(wells[kept & plate.isin(["P0", "P1"])])
    np.testing.assert_allclose(fewer.values, again.values, atol=1e-9)
    assert permutation_p(fewer) == permutation_p(again)


def test_treatments_that_share_no_plate_with_controls_are_refused():
    wells = planted_wells()
    about = wells.index.to_frame(False)
    about.loc[about["role"] == "treated", "batch"] = "elsewhere"
    with pytest.raises(InputError, match="column treatment: no plate of"):
        list(comparisons(wells.set_axis(pd.MultiIndex.from_frame(about))))


def test_the_responding_share_is_the_excess_over_controls():
    wells = planted_wells(n_plates=3)
    about = wells.index.to_frame(False)
    marked = np.where(about["role"] == "control", 0.04, 0.04 + 0.96 * 0.15)
    table = responding_share(pd.DataFrame(marked, index=wells.index))
    row = table.iloc[0]
    assert row["responding"] == pytest.approx(0.15)
    assert row["low"] == pytest.approx(0.15)
    assert (row["marked"], row["control_marked"]) == pytest.approx((0.184, 0.04))
    one = responding_share(
        pd.DataFrame(marked, index=wells.index)[about["batch"].eq("P0").to_numpy()]
    )
    assert np.isnan(one.loc[0, "low"])


def test_intervals_of_the_responding_share_cover_it():
    rng = np.random.default_rng(0)
    hits = []
    wells = planted_wells(n_plates=5)
    for _ in range(100):
        treated = (wells.index.get_level_values("role") == "treated").astype(float)
        cells = rng.binomial(50, 0.03 + 0.97 * 0.2 * treated) / 50
        row = responding_share(pd.DataFrame(cells, index=wells.index)).iloc[0]
        hits.append(row["low"] <= 0.2 <= row["high"])
    assert 0.88 <= np.mean(hits) <= 0.995
