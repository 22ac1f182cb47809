import dask.array as da
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planted import plate_wells
from screenbook.profiles.design import (
    breakdown,
    chance_of_listing,
    compound_table,
    missing,
    plate_counts,
    repeated_addresses,
    repeated_profiles,
)


@pytest.fixture
def wells():
    return plate_wells()


def test_breakdown_counts_wells_and_sites_and_keeps_the_blank_class(wells):
    wells.iloc[:3, wells.columns.get_loc("disease_condition")] = ""
    table = breakdown(wells, "disease_condition").set_index("value")
    assert table["wells"].sum() == len(wells) == 384
    assert table.loc["(blank)", "wells"] == 3
    assert table.loc["(blank)", "sites"] == 12
    assert table["share"].sum() == pytest.approx(1)
    assert list(table["wells"]) == sorted(table["wells"], reverse=True)


def test_doses_ascend_with_untreated_first(wells):
    assert list(breakdown(wells, "treatment_conc")["value"]) == ["(untreated)", "0.1", "1"]


def test_plates_are_counted_by_role(wells):
    table = plate_counts(wells)
    assert list(table["plate"]) == ["1", "2", "3", "4"]
    assert (table["n_healthy"] == 20).all()
    assert (table["n_treated"] == 56).all()
    assert (table["compounds"] == 28).all()


def test_a_compound_under_two_names_is_one_row_with_its_alias(wells):
    first = wells.index[(wells["compound_key"] == "KEY0") & (wells["plate"] == "1")]
    wells.loc[first, "treatment"] = "Drug Zero HCl"
    table = compound_table(wells, references=["drug zero hcl"]).set_index("compound_key")
    assert table.loc["KEY0", "aliases"] == "Drug Zero HCl"
    assert table.loc["KEY0", "wells"] == 8  # 2 doses on each of 4 plates
    assert table.loc["KEY0", ["doses", "plates", "wells_per_dose"]].tolist() == [2, 4, 4]
    assert table.loc["KEY0", "reference"]
    assert table["reference"].sum() == 1
    assert (table.drop(index="KEY0")["aliases"] == "").all()


def test_compounds_are_counted_per_cell_type(wells):
    other = plate_wells(n_plates=1, cell_type="simian")
    table = compound_table(pd.concat([wells, other]))
    counts = table.set_index(["cell_type", "compound_key"])["wells"]
    assert counts["renal", "KEY3"] == 8
    assert counts["simian", "KEY3"] == 2


def test_chance_of_listing_matches_the_hypergeometric_mean_and_favours_replicates():
    n_wells = pd.Series([60, 6, 6, 6, 6, 6, 6, 6, 6, 6], index=list("abcdefghij"))
    table = chance_of_listing(n_wells, top=20, listed=3, n_draws=4000, seed=1)
    assert table["expected"].sum() == pytest.approx(20)
    assert table.loc["a", "expected"] == pytest.approx(20 * 60 / 114)
    assert table["probability"].sum() == pytest.approx(3)
    assert table.loc["a", "probability"] > 0.99
    # the nine others are alike, so they share the two places left
    assert table.loc["b":, "probability"].to_numpy() == pytest.approx(np.full(9, 2 / 9), abs=0.03)


def test_equal_replicates_give_equal_chances_and_the_same_seed_the_same_table():
    n_wells = pd.Series(np.full(20, 12))
    one = chance_of_listing(n_wells, top=50, listed=5, n_draws=4000, seed=3)
    assert one["probability"].to_numpy() == pytest.approx(np.full(20, 0.25), abs=0.04)
    pd.testing.assert_frame_equal(
        one, chance_of_listing(n_wells, top=50, listed=5, n_draws=4000, seed=3)
    )


def test_more_hits_than_wells_are_not_drawn():
    table = chance_of_listing(pd.Series([2, 3]), top=99, listed=1, n_draws=10, seed=0)
    assert table["expected"].tolist() == [2, 3]


def test_missing_counts_each_gap(wells):
    X = np.random.default_rng(0).normal(size=(len(wells), 5)).astype(np.float32)
    X[:, 2] = 7
    treated = wells.index[wells["role"] == "treated"]
    wells.loc[treated[:5], "treatment_conc"] = np.nan
    wells.loc[treated[:2], "SMILES"] = ""
    wells.loc[treated[0], "n_sites"] = 3
    wells.loc[treated[0], ["row", "column"]] = -1
    kept = wells[~((wells["plate"] == "4") & (wells["role"] == "healthy"))]
    table = missing(kept, X, ["healthy", "diseased"]).set_index("what")
    assert table.loc["treated wells without a concentration", "n"] == 5
    assert table.loc["treated wells without a structure", "n"] == 2
    assert table.loc["wells with fewer than 4 sites", "n"] == 1
    assert table.loc["wells whose name is no plate address", "n"] == 1
    fewer = table.loc["wells missing where the fullest plate has 96"]
    assert fewer[["n", "of"]].tolist() == [20, 384]
    assert table.loc["plates without a healthy well", "n"] == 1
    assert table.loc["plates without a diseased well", "n"] == 0
    assert table.loc["features that never vary", ["n", "of"]].tolist() == [1, 5]


def test_a_control_that_no_plate_has_is_missing_everywhere(wells):
    table = missing(wells, np.eye(len(wells), 3), ["vehicle"]).set_index("what")
    assert table.loc["plates without a vehicle well", "n"] == 4


def test_repeated_addresses_stand_together(wells):
    rows = wells.assign(site=1)
    assert len(repeated_addresses(rows)) == 0
    twice = pd.concat([rows, rows.iloc[[5, 90]]])
    found = repeated_addresses(twice)
    assert len(found) == 4
    assert found["well"].iloc[0] == found["well"].iloc[1]


def test_repeated_profiles_are_found_across_blocks():
    X = np.random.default_rng(0).normal(size=(300, 40)).astype(np.float32)
    X[250] = X[3]
    X[[17, 99, 299]] = X[50]
    X[120], X[121] = 0.0, -0.0
    groups = repeated_profiles(X)
    assert set(np.flatnonzero(groups >= 0)) == {3, 250, 17, 50, 99, 299, 120, 121}
    assert groups[3] == groups[250] != groups[17] == groups[299]
    np.testing.assert_array_equal(groups, repeated_profiles(da.from_array(X, chunks=(37, 40))))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(0, 2**31))
def test_repeated_profiles_agree_with_numpy_unique(choice, seed):
    pool = np.random.default_rng(seed).normal(size=(13, 6)).astype(np.float32)
    pool[1] = pool[0][::-1]  # the same numbers in another order are another profile
    X = pool[choice]
    _, inverse, counts = np.unique(X, axis=0, return_inverse=True, return_counts=True)
    np.testing.assert_array_equal(repeated_profiles(X) >= 0, counts[inverse.ravel()] > 1)
