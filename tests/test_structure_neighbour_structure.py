"""Neighbours in structure and in the picture, counted by hand and where the answer is known."""

import numpy as np
import pytest
from scipy.stats import binom

from planted_structures import compounds_of, library, of_structure
from screenbook.errors import InputError
from screenbook.structure.neighbour_structure import (
    CLOSE,
    LIKENESS,
    N_NEAREST,
    QUESTIONS,
    RECALL,
    Neighbours,
    ask_neighbours,
    nearest,
    neighbour_table,
)
from screenbook.structure.permutations import ALL, WITHIN


@pytest.fixture(scope="module")
def noisy():
    return of_structure(library(40), mechanism=0.5, structure=0.6, noise=1.0)


def answer(compounds, question, n_permutations=39, phenotype=None):
    phenotype = compounds.phenotype[None] if phenotype is None else phenotype
    structure, mechanism = compounds.structure["Morgan"], compounds.mechanism
    return ask_neighbours(question, structure, phenotype, mechanism, n_permutations, 0)


def test_shares_and_odds_are_those_of_a_count(noisy):
    found = answer(noisy, Neighbours(RECALL, ALL))
    structure, phenotype = noisy.structure["Morgan"], noisy.phenotype
    counts = np.zeros((2, 2))
    for a in range(40):
        others = [b for b in range(40) if b != a]
        near = sorted(others, key=lambda b: -phenotype[a, b])[:2]  # 5 % of 39, rounded up
        for b in others:
            counts[int(structure[a, b] >= CLOSE), int(b in near)] += 1
    assert found.value[0] == pytest.approx(counts[1, 1] / counts[1].sum())
    assert found.n_pairs == counts[1].sum() / 2
    half = counts + 1
    assert found.odds_ratio[0] == pytest.approx(half[1, 1] * half[0, 0] / (half[1, 0] * half[0, 1]))


def test_similarity_of_the_nearest_is_a_mean(noisy):
    found = answer(noisy, Neighbours(LIKENESS, ALL))
    order = np.argsort(-(noisy.phenotype - 9 * np.eye(40)), axis=1)[:, :N_NEAREST]
    wanted = np.take_along_axis(noisy.structure["Morgan"], order, axis=1).mean()
    assert found.value[0] == pytest.approx(wanted, abs=1e-6)
    assert found.n_pairs == 40 * N_NEAREST


def test_only_other_mechanisms_count_if_so_asked(noisy):
    found = answer(noisy, Neighbours(LIKENESS, WITHIN, other=True))
    other = noisy.mechanism[:, None] != noisy.mechanism
    order = np.argsort(-np.where(other, noisy.phenotype, -9), axis=1)[:, :N_NEAREST]
    wanted = np.take_along_axis(noisy.structure["Morgan"], order, axis=1).mean()
    assert found.value[0] == pytest.approx(wanted, abs=1e-6)


def test_those_that_tie_for_the_last_place_share_it():
    phenotype = np.array([[[1, 0.5, 0.3, 0.3, 0.3], *np.eye(5)[1:]]])
    found = nearest(phenotype, ~np.eye(5, dtype=bool), 2)[0]
    np.testing.assert_allclose(found[0], [0, 1, 1 / 3, 1 / 3, 1 / 3])
    np.testing.assert_allclose(found.sum(axis=1), 2)


def test_fewer_neighbours_where_fewer_are_allowed():
    allowed = np.array([[0, 1, 0], [1, 0, 1], [0, 0, 0]], dtype=bool)
    found = nearest(np.ones((2, 3, 3)), allowed, 2)
    assert found.sum(axis=2).tolist() == [[1, 2, 0]] * 2
    assert not found[:, ~allowed].any()


def test_planted_structure_is_found_and_mechanism_alone_only_by_free_swaps():
    drawn = library(80)
    both = of_structure(drawn, mechanism=0.3, structure=1.0)
    alone = of_structure(drawn, mechanism=1.0)
    for name in (RECALL, LIKENESS):
        assert answer(both, Neighbours(name, ALL)).p[0] == 0.025
        assert answer(both, Neighbours(name, WITHIN)).p[0] == 0.025
        assert answer(alone, Neighbours(name, ALL)).p[0] == 0.025
        assert answer(alone, Neighbours(name, WITHIN)).p[0] > 0.05
    assert answer(both, Neighbours(RECALL, ALL)).odds_ratio[0] > 5


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
def test_level_is_held_where_nothing_is(question):
    compounds = compounds_of(library(60))
    profiles = np.random.default_rng(3).normal(size=(120, 60, 10))
    unit = profiles / np.linalg.norm(profiles, axis=2, keepdims=True)
    p = answer(compounds, question, phenotype=unit @ unit.swapaxes(1, 2)).p
    # Shares of few analogues take few values, so that such a test may reject less often.
    assert (p <= 0.05).sum() <= binom.ppf(0.999, 120, 0.05)
    if question.name == LIKENESS:
        assert (p <= 0.05).sum() >= binom.ppf(0.001, 120, 0.05)


def test_the_table_has_a_row_for_each_question(noisy):
    table = neighbour_table(noisy, n_permutations=39)
    assert list(table["test"]) == [RECALL] * 3 + [LIKENESS] * 3
    assert list(table["pairs"]) == ["all", "all", "other mechanisms"] * 2
    assert list(table["permuted"]) == [ALL, WITHIN, WITHIN] * 2
    asked = table[table["note"] == ""]
    assert asked["p"].between(1 / 40, 1).all()
    assert asked["value"].between(0, 1).all()
    assert table.loc[table["test"] == LIKENESS, "odds_ratio"].isna().all()


def test_questions_that_cannot_be_asked_say_why():
    drawn = library(12)
    distant = drawn.drop_duplicates("scaffold")
    table = neighbour_table(compounds_of(distant.assign(moa="one")), n_permutations=19)
    notes = table.set_index(["test", "pairs", "permuted"])["note"]
    assert notes[RECALL, "all", ALL] == "no pair reaches 0.4 Tanimoto"
    assert notes[LIKENESS, "other mechanisms", WITHIN] == "only one mechanism"
    alone = neighbour_table(compounds_of(drawn.assign(moa="")), n_permutations=19)
    unasked = alone[alone["permuted"] == WITHIN]
    assert (unasked["note"] == "0 compounds of known mechanism, 10 are needed").all()
    assert unasked[["value", "p", "odds_ratio"]].isna().all(axis=None)
    with pytest.raises(InputError, match="9 compounds"):
        neighbour_table(compounds_of(library(9)))
