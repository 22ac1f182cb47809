import numpy as np
import pytest
from sklearn.linear_model import RidgeCV
from sklearn.metrics.pairwise import cosine_similarity

from planted_towers import planted
from screenbook.fingerprints import tanimoto
from screenbook.structure.retrieval_scores import (
    BASELINES,
    PENALTIES,
    Asked,
    by_chance,
    by_mechanism,
    by_nearest_compound,
    by_ridge,
    by_towers,
)


@pytest.fixture(scope="module")
def ask():
    imaged, _ = planted(n_groups=4)
    rows = np.random.default_rng(0).permutation(len(imaged.table))
    return Asked(imaged, np.sort(rows[:60]), np.sort(rows[60:]))


def test_all_are_alike_by_chance(ask):
    for fit in by_chance(ask):
        assert fit.shape == (24, 24)
        assert np.unique(fit).size == 1


def test_nearest_compounds_are_those_of_a_loop(ask):
    molecules, profiles = by_nearest_compound(ask)
    means, bits = ask.imaged.means, ask.imaged.bits
    for i, query in enumerate(ask.asked):
        near = ask.known[cosine_similarity(means[[query]], means[ask.known])[0].argmax()]
        np.testing.assert_allclose(molecules[i], tanimoto(bits[[near]], bits[ask.asked])[0])
        alike = tanimoto(bits[[query]], bits[ask.known])[0]
        unit = means[ask.known[alike == alike.max()]]
        unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
        expected = cosine_similarity(unit.sum(axis=0)[None], means[ask.asked])[0]
        np.testing.assert_allclose(profiles[i], expected, rtol=1e-5)


def test_ridge_is_that_of_scikit_learn(ask):
    profiles = ask.imaged.means
    mean, sd = profiles[ask.known].mean(axis=0), profiles[ask.known].std(axis=0)
    x = (profiles - mean) / sd
    bits = ask.imaged.bits
    centre = bits[ask.known].mean(axis=0)
    model = RidgeCV(alphas=PENALTIES).fit(x[ask.known], bits[ask.known] - centre)
    expected = cosine_similarity(model.predict(x[ask.asked]), bits[ask.asked] - centre)
    np.testing.assert_allclose(by_ridge(ask)[0], expected, rtol=1e-4, atol=1e-5)


def test_a_mechanism_that_training_lacks_cannot_be_scored(ask):
    names = ask.imaged.table["moa"].to_numpy()
    known = ask.known[names[ask.known] != "m2"]
    fit, back = by_mechanism(Asked(ask.imaged, known, ask.asked))
    missing = names[ask.asked] == "m2"
    assert missing.any()
    assert np.isnan(fit[:, missing]).all()
    assert np.isfinite(fit[:, ~missing]).all()
    np.testing.assert_array_equal(back, fit.T)
    alike = fit[:, names[ask.asked] == "m1"]
    np.testing.assert_array_equal(alike, np.repeat(alike[:, :1], alike.shape[1], axis=1))


def test_baselines_do_not_look_at_what_is_asked(ask):
    """Asked alone, a compound gets the score that it gets among others."""
    for name, method in BASELINES.items():
        whole = method(ask)
        part = method(Asked(ask.imaged, ask.known, ask.asked[5:9]))
        for a, b in zip(whole, part, strict=True):
            np.testing.assert_allclose(a[5:9, 5:9], b, rtol=1e-5, atol=1e-6, err_msg=name)


class Told:
    """Towers that place profiles and structures by what they are told."""

    def __init__(self, seen, read):
        self.seen, self.places = seen, read

    def see(self, points):
        return self.seen

    def read(self, smiles):
        return self.places[: len(smiles)]


def test_the_place_of_a_compound_is_the_mean_of_its_profiles(ask):
    rng = np.random.default_rng(0)
    seen, read = rng.normal(size=(len(ask.imaged.points), 5)), rng.normal(size=(24, 5))
    fit, back = by_towers(Told(seen, read), ask)
    mean = seen[ask.imaged.compound == ask.asked[7]].mean(axis=0)
    np.testing.assert_allclose(fit[7], read @ mean / np.linalg.norm(mean))
    np.testing.assert_array_equal(back, fit.T)
