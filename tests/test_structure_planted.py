"""Phenotypes planted on a run's own compounds: what they are made of, and what tests find."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from planted_structures import compounds_of, library
from screenbook.errors import InputError
from screenbook.structure.mantel import RESTRICTED
from screenbook.structure.permutations import ALL, WITHIN
from screenbook.structure.planted import (
    MECHANISM,
    NOTHING,
    STRUCTURE,
    Planting,
    acting_mechanisms,
    kernel_root,
    plant,
    rejection_rates,
)
from screenbook.structure.similarity import compound_set

MANY = Planting(dials=(2.0,), n_plantings=100, n_permutations=19, n_dimensions=12)


@pytest.fixture(scope="module")
def compounds():
    return compounds_of(library(36))


@pytest.fixture(scope="module")
def rates(compounds):
    return rejection_rates(compounds, MANY)


def rate(rates, scenario, test, permuted):
    rows = rates[(rates["scenario"] == scenario) & (rates["test"] == test)]
    return rows.set_index("permuted").loc[permuted, "rejected"]


def test_parts_have_the_sizes_that_were_asked_for(compounds):
    planting = Planting(mechanism_effect=3.0, n_plantings=30, n_dimensions=40)
    noise = plant(compounds, NOTHING, 0.0, planting)
    assert noise.shape == (30, 36, 40)
    assert noise.std() == pytest.approx(1, abs=0.02)
    acting = plant(compounds, MECHANISM, 0.0, planting)
    assert acting.var() == pytest.approx(10, rel=0.1)
    built = plant(compounds, STRUCTURE, 2.0, planting)
    assert built.var() == pytest.approx(14, rel=0.1)
    again = plant(compounds, STRUCTURE, 2.0, planting)
    np.testing.assert_array_equal(built, again)
    other = plant(compounds, STRUCTURE, 2.0, replace(planting, seed=1))
    assert not np.allclose(built, other)


def test_like_structures_get_like_parts(compounds):
    planting = Planting(mechanism_effect=0.0, n_plantings=200, n_dimensions=20)
    parts = plant(compounds, STRUCTURE, 100.0, planting)
    product = np.mean(parts @ parts.swapaxes(1, 2), axis=0) / (20 * 100**2)
    kernel = compounds.structure["Morgan"]
    centre = np.eye(36) - 1 / 36
    wanted = centre @ kernel @ centre
    np.testing.assert_allclose(product, wanted / np.mean(np.diag(wanted)), atol=0.1)
    root = kernel_root(kernel)
    np.testing.assert_allclose(root @ root.T, wanted / np.mean(np.diag(wanted)), atol=1e-8)


def test_a_compound_of_unknown_mechanism_acts_as_its_best_analogue():
    drawn = library(30)
    known = drawn.index % 5 != 0
    hidden = compounds_of(drawn.assign(moa=drawn["moa"].where(known, "")))
    acts = acting_mechanisms(hidden)
    names = np.unique(drawn["moa"][known])
    for row, alike in enumerate(hidden.structure["Morgan"]):
        analogue = row if known[row] else np.where(known, alike, -1).argmax()
        assert names[acts[row]] == drawn["moa"].iloc[analogue]
    nobody = compounds_of(drawn.assign(moa=""))
    assert list(acting_mechanisms(nobody)) == list(range(30))


def test_tests_hold_their_level_where_they_should(rates):
    asked = rates["n_plantings"] > 0  # so few compounds have no analogues of other mechanisms
    held = rates[rates["holds"] & asked & ~rates["test"].str.startswith("partial")]
    assert len(held) > 20
    # Twenty-odd tests are looked at, so the bound is that of one in 10,000.
    assert (held["rejected"] * 100 <= binom.ppf(0.9999, 100, 0.05)).all(), held
    assert held["rejected"].mean() == pytest.approx(0.045, abs=0.03)


def test_mechanism_alone_is_seen_by_plain_tests_and_structure_by_all(rates):
    assert rate(rates, MECHANISM, "Mantel", ALL) > 0.5
    assert rate(rates, MECHANISM, RESTRICTED, WITHIN) < 0.2
    assert rate(rates, STRUCTURE, RESTRICTED, WITHIN) > 0.5
    for test in ("similarity of the nearest", "held-out scaffolds, fingerprint bits"):
        assert rate(rates, MECHANISM, test, WITHIN) < 0.2
        assert rate(rates, STRUCTURE, test, WITHIN) > 0.3
    nothing, built = (rates[rates["scenario"] == s] for s in (NOTHING, STRUCTURE))
    assert built["rejected"].mean() > nothing["rejected"].mean() + 0.3


def test_the_table_says_what_is_expected_and_how_sure_it_is(rates):
    assert list(rates["scenario"].unique()) == [NOTHING, MECHANISM, STRUCTURE]
    assert set(rates["n_compounds"]) == {36}
    asked = rates[rates["n_plantings"] > 0]
    assert (asked["low"] <= asked["rejected"]).all()
    assert (asked["rejected"] <= asked["high"]).all()
    assert not rates.loc[rates["scenario"] == STRUCTURE, "holds"].any()
    assert rates.loc[rates["scenario"] == NOTHING, "holds"].all()
    mechanism = rates[rates["scenario"] == MECHANISM]
    np.testing.assert_array_equal(mechanism["holds"], mechanism["beyond"])
    shares = rates.groupby("scenario")["share"].first()
    assert shares[STRUCTURE] == pytest.approx(4 / 6)
    assert shares[NOTHING] == shares[MECHANISM] == 0


def test_a_dial_does_not_hang_on_the_others(compounds):
    few = Planting(dials=(1.0,), n_plantings=5, n_permutations=19, n_dimensions=4)
    alone, among = (
        rejection_rates(compounds, replace(few, dials=dials)) for dials in ((1.0,), (0.5, 1.0))
    )
    assert alone.equals(among[among["dial"] != 0.5].reset_index(drop=True))


def test_tests_that_cannot_be_asked_are_missing():
    drawn = library(12)
    few = Planting(dials=(), n_plantings=4, n_permutations=19, n_dimensions=4)
    rates = rejection_rates(compounds_of(drawn.assign(moa="")), few)
    assert rates.loc[rates["beyond"], "rejected"].isna().all()
    assert (rates.loc[rates["beyond"], "n_plantings"] == 0).all()
    assert rates.loc[rates["test"] == "Mantel", "rejected"].notna().all()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"n_plantings": 0}, "n_plantings is 0: give 1 or more"),
        ({"n_permutations": 18}, "n_permutations is 18: give 19 or more"),
        ({"dials": (1.0, -0.5)}, r"dials is -0\.5: give 0\.001 or more"),
        ({"mechanism_effect": float("nan")}, "mechanism_effect is nan: give 0 or more"),
        ({"n_dimensions": 1}, "n_dimensions is 1: give 2 or more"),
    ],
)
def test_amounts_out_of_range_are_refused(compounds, change, told):
    with pytest.raises(InputError, match=told):
        rejection_rates(compounds, Planting(**change))


def test_too_few_compounds_are_refused():
    with pytest.raises(InputError, match="1 compounds have a readable structure"):
        rejection_rates(compound_set(["a"], ["CCO"], [""], np.ones((1, 2))))
