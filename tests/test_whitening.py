import numpy as np
import pandas as pd
import pytest
from sklearn.covariance import ledoit_wolf

from screenbook.profiles.whitening import (
    align_plates,
    check_whitening,
    fit_whitening,
    kind_residuals,
    shrunken_covariance,
)


def correlated(n, k=12, seed=0):
    """Wells whose covariance has a condition number of about 100, and its square root."""
    rng = np.random.default_rng(seed)
    root = np.linalg.qr(rng.normal(size=(k, k)))[0] * np.geomspace(0.3, 3, k)
    return rng.normal(size=(n, k)) @ root.T, root


@pytest.mark.parametrize(("n", "k"), [(20, 50), (60, 12), (2000, 5)])
def test_shrinkage_is_that_of_sklearn(n, k):
    points, _ = correlated(n, k)
    covariance, shrinkage = shrunken_covariance(points)
    expected, weight = ledoit_wolf(points, assume_centered=True)
    np.testing.assert_allclose(covariance, expected, rtol=1e-10)
    assert shrinkage == pytest.approx(weight)


def test_points_that_do_not_vary_are_not_shrunken():
    covariance, shrinkage = shrunken_covariance(np.zeros((5, 3)))
    assert shrinkage == 0
    assert not covariance.any()


def test_residuals_are_about_the_mean_of_the_kind():
    points, kind = np.arange(8.0).reshape(4, 2), np.array([0, 1, -1, 1])
    residuals, means = kind_residuals(points, kind)
    np.testing.assert_allclose(means, [[0, 1], [4, 5]])
    np.testing.assert_allclose(residuals, [[0, 0], [-2, -2], [2, 2]])


def test_held_out_controls_come_out_near_the_identity():
    points, _ = correlated(1200)
    kind = np.arange(1200) % 2
    points += 10 * kind[:, None]  # what kinds differ in is no variation to be whitened
    half = np.arange(1200) // 600
    whitening = fit_whitening(points, np.where(half == 0, kind, -1))
    check = check_whitening(whitening.transform(points), np.where(half == 1, kind, -1))
    assert check.n == 600
    assert check.mean_variance == pytest.approx(1.0, abs=0.05)
    assert check.off_diagonal < 2 * check.expected_off_diagonal
    before = check_whitening(points, np.where(half == 1, kind, -1))
    assert before.off_diagonal > 5 * check.off_diagonal


def test_too_few_controls_are_caught_by_the_other_half():
    """Without shrinkage forty wells in thirty dimensions whiten themselves and nobody else."""
    points, _ = correlated(4000, k=30)
    kind = np.where(np.arange(4000) < 40, 0, -1)
    rest = np.where(np.arange(4000) >= 40, 0, -1)
    whitening = fit_whitening(points, kind)
    shrunken = check_whitening(whitening.transform(points), rest).mean_variance
    residuals, _ = kind_residuals(points, kind)
    values, axes = np.linalg.eigh(residuals.T @ residuals / 39)
    bare = check_whitening(points @ (axes / np.sqrt(values)), rest).mean_variance
    assert bare > 3
    assert shrunken < 1.5


def test_without_need_for_shrinkage_it_is_the_sphering_of_pycytominer():
    """ZCA of many wells; pycytominer before 1.7.1 did not whiten, 1.7.1 does."""
    from pycytominer.operations import Spherize

    points, _ = correlated(1500, k=6)
    whitening = fit_whitening(points, np.zeros(len(points), dtype=int))
    theirs = Spherize(method="ZCA", epsilon=0.0)
    theirs.fit(pd.DataFrame(points))
    expected = np.asarray(theirs.transform(pd.DataFrame(points)))
    assert whitening.shrinkage < 0.01
    ours = whitening.transform(points)
    ours = ours - ours.mean(axis=0)
    np.testing.assert_allclose(ours, expected - expected.mean(axis=0), atol=0.1)


def test_the_origin_is_between_the_kinds_whatever_their_numbers():
    points, _ = correlated(300)
    kind = np.r_[np.zeros(250, int), np.ones(50, int)]
    points[kind == 1] += 20.0
    out = fit_whitening(points, kind).transform(points)
    np.testing.assert_allclose(out[kind == 0].mean(axis=0), -out[kind == 1].mean(axis=0), atol=1e-3)


def test_scale_and_rotation_of_the_input_do_not_matter_much():
    points, _ = correlated(5000, k=6)
    turned = points @ np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0] * 7
    kind = np.zeros(len(points), dtype=int)
    one, other = (fit_whitening(p, kind).transform(p) for p in (points, turned))
    # Whitening is unique up to a rotation: distances agree.
    a, b = (np.linalg.norm(x[:500] - x[500:1000], axis=1) for x in (one, other))
    np.testing.assert_allclose(a, b, rtol=1e-3)


def test_alignment_gives_every_plate_the_covariance_of_all():
    rng = np.random.default_rng(0)
    batch, kind = np.repeat(np.arange(3), 400), np.zeros(1200, dtype=int)
    points = rng.normal(size=(1200, 4)) * np.array([0.5, 1.0, 2.0])[batch][:, None]
    out = align_plates(points, batch, kind, prior=1.0)
    for plate in range(3):
        assert out[batch == plate].var(axis=0) == pytest.approx(np.ones(4), abs=0.05)
    few = align_plates(points, batch, kind, prior=1e6)
    np.testing.assert_allclose(few, points, atol=0.01)
