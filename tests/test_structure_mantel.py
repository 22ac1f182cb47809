"""Mantel's family against loops, against the truth, and where nothing is."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, spearmanr
from sklearn.linear_model import LinearRegression

from planted_structures import compounds_of, library, of_structure
from screenbook.errors import InputError
from screenbook.structure.mantel import (
    QUESTIONS,
    RESTRICTED,
    Pictures,
    ask,
    jackknife_interval,
    mantel_table,
)
from screenbook.structure.permutations import WITHIN, mechanism_codes, shuffles
from screenbook.structure.similarity import compound_set

BY_NAME = {question.name: question for question in QUESTIONS}


@pytest.fixture(scope="module")
def small():
    """Thirty compounds whose profiles follow mechanism and structure, with noise."""
    return of_structure(library(30), mechanism=0.7, structure=0.7, noise=1.0)


@pytest.fixture(scope="module")
def table(small):
    return mantel_table(small, n_permutations=199).set_index(["test", "representation"])


def answer(compounds, name, n_permutations=99, seed=0, profiles=None):
    profiles = compounds.profiles[None] if profiles is None else profiles
    return ask(
        BY_NAME[name], compounds.structure["Morgan"], Pictures.of(profiles),
        compounds.mechanism, n_permutations, seed,
    )  # fmt: skip


def pairs_of(matrix):
    return matrix[np.triu_indices(len(matrix), 1)]


def residual(values, held):
    return values - LinearRegression().fit(held, values).predict(held)


def test_the_plain_correlation_and_its_null_are_those_of_scipy(small):
    found = answer(small, "Mantel", n_permutations=7)
    structure, phenotype = small.structure["Morgan"], small.phenotype
    assert found.r[0] == pytest.approx(spearmanr(pairs_of(structure), pairs_of(phenotype))[0])
    for null, order in zip(found.null[:, 0], shuffles(30, 7, 0), strict=True):
        swapped = structure[np.ix_(order, order)]
        assert null == pytest.approx(spearmanr(pairs_of(swapped), pairs_of(phenotype))[0], abs=1e-5)


def test_the_partial_correlation_is_that_of_residuals(small):
    same = pairs_of(small.mechanism[:, None] == small.mechanism).astype(float)
    strength = small.table["strength"].to_numpy()
    weaker = pd.Series(pairs_of(np.minimum.outer(strength, strength))).rank()
    sides = [pd.Series(pairs_of(m)).rank() for m in (small.structure["Morgan"], small.phenotype)]
    for name, held in (
        ("partial Mantel, mechanism held", same[:, None]),
        ("partial Mantel, activity held too", np.column_stack([same, weaker])),
    ):
        wanted = np.corrcoef(*(residual(side, held) for side in sides))[0, 1]
        assert answer(small, name).r[0] == pytest.approx(wanted, abs=1e-5)


def test_restricted_permutation_asks_what_is_left_within_blocks(small):
    group = mechanism_codes(small.mechanism)
    i, j = np.triu_indices(len(group), 1)
    block = pd.Series(list(zip(*np.sort([group[i], group[j]], axis=0), strict=True)))
    ranks = [pd.Series(m[i, j]).rank() for m in (small.structure["Morgan"], small.phenotype)]
    left = [r - r.groupby(block).transform("mean") for r in ranks]
    found = answer(small, RESTRICTED, 5)
    assert found.r[0] == pytest.approx(np.corrcoef(*left)[0, 1], abs=1e-5)
    # And p is that of the plain correlation under the same restricted swaps.
    square = np.zeros((len(group), len(group)))
    square[i, j] = square[j, i] = ranks[0]
    order = shuffles(len(group), 5, 0, group)
    plain = [np.corrcoef(square[np.ix_(o, o)][i, j], ranks[1])[0, 1] for o in order]
    observed = np.corrcoef(*ranks)[0, 1]
    np.testing.assert_array_equal(found.null[:, 0] > found.r[0], np.array(plain) > observed)
    np.testing.assert_allclose(np.corrcoef(found.null[:, 0], plain)[0, 1], 1, atol=1e-6)


def test_means_of_mechanisms_compare_blocks(small):
    found = answer(small, "means of mechanisms", 19)
    names = np.unique(small.mechanism)
    n = len(names)
    assert found.n_pairs == n * (n - 1) // 2
    blocks = [np.ix_(small.mechanism == a, small.mechanism == b)
              for k, a in enumerate(names) for b in names[k + 1 :]]  # fmt: skip
    means = [[m[b].mean() for b in blocks] for m in (small.structure["Morgan"], small.phenotype)]
    assert found.r[0] == pytest.approx(spearmanr(*means)[0], abs=1e-5)


def test_many_phenotypes_are_answered_as_each_alone(small):
    profiles = np.random.default_rng(0).normal(size=(3, len(small), 6))
    for question in QUESTIONS:
        both = answer(small, question.name, 19, profiles=profiles)
        for k in range(3):
            alone = answer(small, question.name, 19, profiles=profiles[k : k + 1])
            np.testing.assert_allclose(both.r[k], alone.r[0], atol=1e-6)
            np.testing.assert_allclose(both.null[:, k], alone.null[:, 0], atol=1e-5)


def test_the_jackknife_is_that_of_a_loop():
    rng = np.random.default_rng(0)
    i, j = np.triu_indices(12, 1)
    x = rng.normal(size=66)
    y = 0.6 * x + rng.normal(size=66)
    x, y = x - x.mean(), y - y.mean()
    z = [
        np.arctanh(np.corrcoef(x[m], y[m])[0, 1]) for m in ((i != k) & (j != k) for k in range(12))
    ]
    error = np.sqrt(11 / 12 * np.sum((np.array(z) - np.mean(z)) ** 2))
    middle = np.arctanh(np.corrcoef(x, y)[0, 1])
    wanted = np.tanh([middle - 2.200985 * error, middle + 2.200985 * error])
    np.testing.assert_allclose(jackknife_interval(x, y, i, j), wanted, rtol=1e-5)


def test_intervals_hold_zero_where_nothing_is():
    outside = 0
    compounds = compounds_of(library(24))
    for profiles in np.random.default_rng(0).normal(size=(200, 1, 24, 8)):
        found = answer(compounds, "Mantel", 1, profiles=profiles)
        low, high = jackknife_interval(*found.sides)
        outside += not low <= 0 <= high
    assert outside <= binom.ppf(0.999, 200, 0.05)


def test_the_table_has_a_row_for_each_question(table):
    names = ["mechanism and picture", "mechanism and structure", *BY_NAME]
    assert list(table.index.get_level_values(0).unique()) == names
    assert len(table) == 1 + 3 + 3 * len(QUESTIONS)
    assert (table["null_low"] <= table["null_mean"]).all()
    assert (table["null_mean"] <= table["null_high"]).all()
    assert (table["low"] <= table["r"]).all()
    assert (table["r"] <= table["high"]).all()
    assert table["p"].between(1 / 200, 1).all()
    assert (table["permuted"] == WITHIN).sum() == 6
    assert table.loc[("Mantel", "Morgan"), "n_pairs"] == 435


def test_planted_structure_is_found_by_all_and_mechanism_alone_by_the_plain_test():
    drawn = library(90)
    both = of_structure(drawn, mechanism=0.5, structure=1.0)
    for name in ("Mantel", "partial Mantel, mechanism held", RESTRICTED, "pairs of one mechanism"):
        assert answer(both, name).p[0] == 0.01
    alone = of_structure(drawn, mechanism=1.0)
    assert answer(alone, "Mantel").p[0] == 0.01
    assert answer(alone, RESTRICTED).p[0] > 0.05


def test_labels_of_compounds_and_scales_do_not_matter(small):
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(24, 24)))[0]
    order = np.random.default_rng(1).permutation(len(small))
    other = compound_set(
        small.table["compound"].iloc[order], small.table["smiles"].iloc[order],
        [f"other {m}" for m in small.mechanism[order]], 3 * small.profiles[order] @ turned,
    )  # fmt: skip
    for question in QUESTIONS:
        first, second = answer(small, question.name), answer(other, question.name)
        np.testing.assert_allclose(first.r, second.r, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["Mantel", "partial Mantel, mechanism held", RESTRICTED, "pairs of one mechanism"]
)
def test_level_is_held_where_nothing_is(name):
    compounds = compounds_of(library(40))
    profiles = np.random.default_rng(5).normal(size=(120, len(compounds), 10))
    rejected = int((answer(compounds, name, 39, profiles=profiles).p <= 0.05).sum())
    assert binom.ppf(0.001, 120, 0.05) <= rejected <= binom.ppf(0.999, 120, 0.05)


def test_questions_that_cannot_be_asked_say_why():
    drawn = library(14)
    one = mantel_table(compounds_of(drawn.assign(moa="one")), n_permutations=19)
    notes = one.drop_duplicates("test").set_index("test")["note"]
    assert notes["Mantel"] == notes[RESTRICTED] == ""
    assert notes["partial Mantel, mechanism held"] == "only one mechanism"
    assert notes["means of mechanisms"] == "1 mechanisms, 6 are needed"
    alone = mantel_table(compounds_of(drawn.assign(moa=drawn["compound"])), n_permutations=19)
    alone = alone.drop_duplicates("test").set_index("test")
    assert alone.loc[RESTRICTED, "note"] == "too few compounds share a mechanism"
    assert alone.loc["partial Mantel, mechanism held", "note"].startswith("no two compounds share")
    assert (
        alone.loc[[RESTRICTED, "pairs of one mechanism"], ["r", "low", "p"]].isna().all(axis=None)
    )
    nobody = mantel_table(compounds_of(drawn.assign(moa="")), n_permutations=19)
    asked = nobody[nobody["r"].notna()]["test"]
    assert set(asked) == {"Mantel"}
    assert nobody["note"].str.contains("0 compounds of known mechanism, 10 are needed").any()


def test_profiles_all_alike_have_no_correlation():
    compounds = compounds_of(library(12), np.ones((12, 4)))
    found = mantel_table(compounds, representations=["Morgan"], n_permutations=19)
    assert found.loc[found["test"].isin(BY_NAME), "r"].isna().all()


def test_too_few_compounds_are_refused():
    with pytest.raises(InputError, match="9 compounds have a readable structure"):
        mantel_table(compounds_of(library(9)))
