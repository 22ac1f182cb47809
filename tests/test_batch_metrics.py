import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

from screenbook.profiles.batch_metrics import Neighbours, ilisi, kbet_pvalues, pc_regression


def wells(n_batches=8, per_batch=40, k=6, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    batch = np.repeat(np.arange(n_batches), per_batch)
    points = rng.normal(size=(len(batch), k)) + shift * rng.normal(size=(n_batches, k))[batch]
    order = rng.permutation(len(batch))
    return points[order], batch[order]


def test_neighbours_are_others_nearest_first():
    points, _ = wells()
    near = Neighbours.of(points, most=10)
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (near.index == np.argsort(distance, axis=1)[:, :10]).all()
    assert Neighbours.of(points[:5], most=10).index.shape == (5, 4)


def test_kbet_is_uniform_where_batches_are_mixed():
    p = np.concatenate(
        [
            kbet_pvalues(Neighbours.of(x, most=15), b, seed=s)
            for s in range(6)
            for x, b in [wells(seed=s)]
        ]
    )
    assert kstest(p[::7], "uniform").pvalue > 0.001
    assert (p > 0.05).mean() == pytest.approx(0.95, abs=0.02)


def test_kbet_is_uniform_even_with_three_wells_a_batch():
    p = np.concatenate(
        [
            kbet_pvalues(Neighbours.of(x, most=10), b, n_neighbours=10, seed=s)
            for s in range(8)
            for x, b in [wells(n_batches=50, per_batch=3, seed=s)]
        ]
    )
    assert (p > 0.05).mean() == pytest.approx(0.95, abs=0.03)


def test_kbet_is_low_where_batches_stand_apart():
    points, batch = wells(shift=2.0)
    assert (kbet_pvalues(Neighbours.of(points, most=15), batch) > 0.05).mean() < 0.05


def test_kbet_falls_as_batches_move_apart():
    accepted = [
        (kbet_pvalues(Neighbours.of(x, most=15), b) > 0.05).mean()
        for x, b in (wells(shift=s) for s in (0.0, 0.4, 0.8))
    ]
    assert accepted[0] > accepted[1] > accepted[2]


@pytest.mark.parametrize("shift", [0.0, 1.0, 5.0])
def test_ilisi_is_that_of_harmonypy(shift):
    from harmonypy import compute_lisi

    points, batch = wells(shift=shift)
    ours = ilisi(Neighbours.of(points, most=90), batch)
    theirs = compute_lisi(points, pd.DataFrame({"batch": batch.astype(str)}), ["batch"])[:, 0]
    np.testing.assert_allclose(ours, theirs, rtol=2e-3)


def test_ilisi_runs_from_one_to_the_number_of_batches():
    apart, batch = wells(shift=50.0, per_batch=120)
    assert ilisi(Neighbours.of(apart, most=90), batch) == pytest.approx(np.ones(len(batch)))
    mixed, batch = wells(n_batches=2, per_batch=400)
    assert np.median(ilisi(Neighbours.of(mixed, most=90), batch)) > 1.9


def test_labels_names_do_not_matter():
    points, batch = wells(shift=0.5)
    near = Neighbours.of(points, most=90)
    np.testing.assert_allclose(ilisi(near, batch), ilisi(near, 7 * batch[::1] + 3))


def test_pc_regression_is_r_squared_by_hand():
    points, batch = wells(shift=0.7)
    dummies = np.eye(8)[batch]
    fitted = dummies @ np.linalg.lstsq(dummies, points, rcond=None)[0]
    residual, total = (
        ((points - x) ** 2).sum(axis=0) for x in (fitted, points.mean(axis=0, keepdims=True))
    )
    weighted = ((1 - residual / total) * total).sum() / total.sum()
    r2, adjusted = pc_regression(points, batch)
    assert r2 == pytest.approx(weighted)
    n = len(batch)
    assert adjusted == pytest.approx(1 - (1 - weighted) * (n - 1) / (n - 8))


def test_pc_regression_has_no_bias_with_many_small_batches():
    found = [
        pc_regression(*wells(n_batches=55, per_batch=3, k=50, seed=seed)) for seed in range(10)
    ]
    raw, adjusted = np.mean(found, axis=0)
    assert raw == pytest.approx(54 / 164, abs=0.01)
    assert adjusted == pytest.approx(0.0, abs=0.01)
