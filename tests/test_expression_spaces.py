"""Spaces take out what they should, and leave the rest alone."""

import numpy as np
import pytest
from scipy.stats import norm, rankdata
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import PCA

from screenbook.errors import InputError
from screenbook.expression.spaces import Space, centre_on_treated, fit_space


def signatures(n=60, genes=40, seed=0):
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, 2)) @ rng.normal(size=(2, genes)) * 3
    return shared + rng.normal(size=(n, genes))


def controls(seed=1):
    return np.random.default_rng(seed).normal(size=(25, 40)) * np.linspace(0.2, 2, 40)


def test_the_plain_space_changes_nothing():
    delta = signatures()
    np.testing.assert_array_equal(fit_space(Space(), delta).transform(delta), delta)


def test_scaling_by_controls_evens_out_noise_and_keeps_flat_genes_finite():
    wells = controls()
    scaled = fit_space(Space("control"), signatures(), wells).transform(wells)
    spread, before = scaled.std(axis=0), wells.std(axis=0)
    assert spread.std() / spread.mean() < 0.75 * before.std() / before.mean()
    wells[:, 3] = 0.5
    assert np.isfinite(fit_space(Space("control"), signatures(), wells).transform(wells)).all()


def test_ranks_are_normal_scores_and_see_no_monotone_change():
    delta = signatures()
    space = fit_space(Space("ranks"), delta)
    found = space.transform(delta)
    np.testing.assert_allclose(found, norm.ppf((rankdata(delta, axis=1) - 0.5) / 40))
    np.testing.assert_allclose(space.transform(delta**3), found)
    assert (space.transform(np.ones((1, 40))) == 0).all()


@pytest.mark.parametrize("n", [30, 200])
def test_components_agree_with_pca(n):
    delta = signatures(n)
    query = signatures(5, seed=9)
    axes = PCA(3).fit(delta).components_
    found = fit_space(Space(remove=3), delta).transform(query)
    np.testing.assert_allclose(found, query - query @ axes.T @ axes, atol=1e-8)


@pytest.mark.parametrize("n", [30, 200])
@pytest.mark.parametrize("power", [0.5, 1.0])
def test_whitening_agrees_with_the_shrunken_covariance(n, power):
    delta = signatures(n)
    query = signatures(5, seed=9)
    covariance, _ = ledoit_wolf(delta - delta.mean(axis=0), assume_centered=True)
    values, axes = np.linalg.eigh(covariance)
    wanted = query @ (axes * values ** (-power / 2)) @ axes.T
    found = fit_space(Space(whiten=power), delta).transform(query)
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-8)


def test_whitened_library_has_about_unit_covariance():
    delta = signatures(2000)
    found = fit_space(Space(whiten=1.0), delta).transform(delta)
    np.testing.assert_allclose(np.cov(found.T), np.eye(40), atol=0.1)


def test_components_of_controls_are_those_that_go():
    rng = np.random.default_rng(2)
    nuisance = rng.normal(size=40)
    nuisance /= np.linalg.norm(nuisance)
    wells = controls() * 0.1 + rng.normal(size=(25, 1)) * 5 * nuisance
    delta = signatures()
    found = fit_space(Space(remove=1, basis="control"), delta, wells).transform(delta)
    assert np.abs(found @ nuisance).max() < 0.1 * np.abs(delta @ nuisance).max()
    assert np.linalg.norm(found) > 0.8 * np.linalg.norm(delta)


def test_a_library_of_one_direction_can_be_whitened():
    delta = np.outer(np.arange(10.0), np.ones(6))
    assert np.isfinite(fit_space(Space(whiten=1.0), delta).transform(delta)).all()
    assert np.isfinite(fit_space(Space(whiten=1.0), np.zeros((4, 6))).transform(delta)).all()


def test_centring_takes_out_plates():
    rng = np.random.default_rng(3)
    delta, plate = signatures(), np.repeat(["a", "b", "c"], 20)
    shift = {p: rng.normal(size=40) * 10 for p in "abc"}
    moved = delta + np.array([shift[p] for p in plate])
    np.testing.assert_allclose(centre_on_treated(moved, plate), centre_on_treated(delta, plate))
    for p in "abc":
        np.testing.assert_allclose(
            centre_on_treated(moved, plate)[plate == p].mean(axis=0), 0, atol=1e-12
        )


def test_names_tell_spaces_apart():
    spaces = [
        Space(scale, remove, whiten, basis)
        for scale in ("none", "control", "ranks")
        for remove, whiten in ((1, 0.0), (2, 0.0), (0, 0.5), (1, 1.0))
        for basis in ("library", "control")
    ]
    assert len({str(space) for space in spaces}) == len(spaces)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="scale 'rank' is none of"):
        Space("rank")
    with pytest.raises(InputError, match="whiten 2; take"):
        Space(whiten=2)
    with pytest.raises(InputError, match="learned from control wells, and there are 0"):
        fit_space(Space("control"), signatures())
    with pytest.raises(InputError, match="drops all of"):
        fit_space(Space(remove=40), signatures())
