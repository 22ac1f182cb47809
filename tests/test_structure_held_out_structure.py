"""Structure told from pictures for scaffolds held out, against refits and planted truths."""

import numpy as np
import pytest
from rdkit import Chem
from scipy.stats import binom, spearmanr
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from planted_structures import compounds_of, library, of_structure
from screenbook.errors import InputError
from screenbook.structure.held_out_structure import (
    BITS,
    DESCRIPTORS,
    LEAST_SCAFFOLDS,
    LEAST_WITH,
    MOST_BITS,
    OVERALL,
    Targets,
    held_out_scores,
    held_out_table,
    smoother,
    targets,
)
from screenbook.structure.permutations import ALL, WITHIN, shuffles
from screenbook.structure.similarity import unit


@pytest.fixture(scope="module")
def noisy():
    return of_structure(library(50), structure=1.0, noise=1.0)


def refitted(points, wanted):
    """Predictions of ridge regressions fitted anew without each fold."""
    points = unit(points)
    penalty = ((points - points.mean(axis=0)) ** 2).sum() / len(points)
    predicted = np.empty_like(wanted.values)
    for fold in np.unique(wanted.fold):
        out = wanted.fold == fold
        model = Ridge(alpha=penalty).fit(points[~out], wanted.values[~out])
        predicted[out] = model.predict(points[out])
    return predicted


@pytest.mark.parametrize("kind", [BITS, DESCRIPTORS])
def test_scores_are_those_of_ridge_fitted_anew_without_each_fold(noisy, kind):
    wanted = targets(noisy, kind)
    drawn = np.vstack([np.arange(50), shuffles(50, 2, 0)])
    found = held_out_scores(smoother(noisy.profiles), [wanted], drawn)[0]
    for scores, order in zip(found, drawn, strict=True):
        predicted = refitted(noisy.profiles[order], wanted)
        for k, truth in enumerate(wanted.values.T):
            told = predicted[:, k]
            score = roc_auc_score(truth, told) if kind == BITS else spearmanr(truth, told)[0]
            assert scores[k] == pytest.approx(score, abs=1e-8)


def test_targets_asked_together_score_as_each_alone(noisy):
    both = [targets(noisy, kind) for kind in (BITS, DESCRIPTORS)]
    smooth, drawn = smoother(noisy.profiles), shuffles(50, 3, 0)
    for wanted, found in zip(both, held_out_scores(smooth, both, drawn), strict=True):
        np.testing.assert_allclose(found, held_out_scores(smooth, [wanted], drawn)[0])


def test_predictions_that_tie_are_counted_by_halves():
    rng = np.random.default_rng(0)
    fold = np.repeat([0, 1], 10)
    predicted = rng.integers(0, 4, (2, 20)).astype(float)
    bits = Targets(BITS, ("a", "b"), rng.integers(0, 2, (20, 2)).astype(float), fold)
    for k in range(2):
        wanted = roc_auc_score(bits.values[:, k], predicted[k])
        assert bits.scores(predicted)[k] == pytest.approx(wanted)


def test_scaffolds_are_held_out_whole(noisy):
    wanted = targets(noisy, BITS)
    scaffold = noisy.table["scaffold"].to_numpy()
    for name in np.unique(scaffold[scaffold != ""]):
        assert len(np.unique(wanted.fold[scaffold == name])) == 1
    sizes = np.bincount(wanted.fold)
    assert len(sizes) == 5
    assert sizes.max() - sizes.min() <= 2


def test_compounds_without_a_ring_are_one_scaffold():
    """Chains that differ by an atom are analogues, and must not teach each other."""
    drawn = library(20)
    chains = [f"{'C' * k}O" for k in range(1, 6)]
    mixed = compounds_of(drawn.assign(smiles=[*chains, *drawn["smiles"][5:]]))
    fold = targets(mixed, DESCRIPTORS).fold[(mixed.table["scaffold"] == "").to_numpy()]
    assert len(fold) == 5
    assert len(set(fold)) == 1
    only = compounds_of(drawn.assign(smiles=[f"{'C' * k}O" for k in range(1, 21)]))
    assert "all compounds have one scaffold" in targets(only, DESCRIPTORS).note


def test_bits_are_those_that_enough_scaffolds_have_and_lack(noisy):
    wanted = targets(noisy, BITS)
    scaffold = noisy.table["scaffold"].to_numpy()
    assert 0 < len(wanted.names) <= MOST_BITS
    assert len(np.unique(wanted.values, axis=1).T) == len(wanted.names)
    for column in wanted.values.T:
        for having in (column == 1, column == 0):
            assert having.sum() >= LEAST_WITH
            assert len(np.unique(scaffold[having])) >= LEAST_SCAFFOLDS
    for name, column in zip(wanted.names, wanted.values.T, strict=True):
        bit = int(name.split("(")[-1].rstrip(")"))
        np.testing.assert_array_equal(noisy.bits[:, bit], column)
        fragment = Chem.MolFromSmarts(name.rpartition(" (")[0])
        having = [Chem.MolFromSmiles(s) for s in noisy.table["smiles"][column == 1]]
        assert any(mol.HasSubstructMatch(fragment) for mol in having), name


def test_planted_structure_is_told_and_noise_is_not(noisy):
    clear = held_out_table(of_structure(library(70), structure=1.0), n_permutations=39)
    whole = clear[clear["property"] == OVERALL].set_index(["kind", "permuted"])
    assert (whole.loc[BITS, "p"] == 0.025).all()
    assert whole.loc[(BITS, ALL), "value"] > 0.65
    noise = held_out_table(compounds_of(library(70)), n_permutations=39)
    assert (noise.loc[noise["property"] == OVERALL, "p"] > 0.05).all()
    single = noise[(noise["property"] != OVERALL) & (noise["permuted"] == ALL)]
    assert (single["q"] >= single["p"] - 1e-12).all()
    assert (single["q"] > 0.05).all()
    assert list(clear.loc[clear["kind"] == BITS, "n_with"].dropna().unique()) != []
    assert clear.loc[clear["kind"] == DESCRIPTORS, "n_with"].isna().all()


def test_mechanism_alone_is_not_structure_beyond_mechanism():
    alone = of_structure(library(80), mechanism=1.0)
    table = held_out_table(alone, n_permutations=39)
    whole = table[table["property"] == OVERALL].set_index(["kind", "permuted"])["p"]
    assert whole[BITS, ALL] == 0.025
    assert whole[BITS, WITHIN] > 0.05


@pytest.mark.parametrize("kind", [BITS, DESCRIPTORS])
def test_level_is_held_where_nothing_is(kind):
    compounds = compounds_of(library(30))
    wanted = targets(compounds, kind)
    smooth = smoother(np.random.default_rng(1).normal(size=(120, 30, 10)))
    drawn = np.vstack([np.arange(30), shuffles(30, 19, 0)])
    scores = np.stack([held_out_scores(s, [wanted], drawn)[0].mean(axis=1) for s in smooth])
    rejected = int((scores[:, :1] > scores[:, 1:]).all(axis=1).sum())
    assert binom.ppf(0.001, 120, 0.05) <= rejected <= binom.ppf(0.999, 120, 0.05)


def test_what_cannot_be_told_says_why():
    drawn = library(40)
    chains = [f"C1CC1{'C' * k}O" for k in range(12)]
    table = held_out_table(compounds_of(drawn.head(12).assign(smiles=chains)), n_permutations=19)
    assert set(table["note"]) == {"all compounds have one scaffold: none can be held out"}
    assert table["value"].isna().all()
    distinct = held_out_table(
        compounds_of(drawn.drop_duplicates("moa").head(12)), n_permutations=19
    )
    notes = distinct.set_index(["kind", "permuted"])["note"].sort_index()
    assert set(notes.loc[DESCRIPTORS, WITHIN]) == {"too few compounds share a mechanism"}
    with pytest.raises(InputError, match="9 compounds"):
        held_out_table(compounds_of(library(9)))
