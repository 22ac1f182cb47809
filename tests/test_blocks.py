"""Row-block reductions: one answer on NumPy, on Dask's threads and on a cluster."""

import dask
import dask.array as da
import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster

from screenbook.blocks import client, column_moments, group_sums, project, row_blocks

N, N_FEATURES, N_GROUPS = 1000, 7, 13


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return (rng.normal(size=(N, N_FEATURES)) + 100).astype(np.float32)


@pytest.fixture(scope="module")
def codes():
    return np.random.default_rng(1).integers(-1, N_GROUPS, size=N)


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as running:
        yield running


@pytest.fixture(params=["numpy", "threads", "columns", "cluster"])
def array(request, X, monkeypatch):
    """The same array as NumPy, as Dask on threads (two chunkings), and on a cluster."""
    if request.param == "numpy":
        yield X
    elif request.param == "cluster":
        running = request.getfixturevalue("cluster")
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", running.scheduler_address)
        yield da.from_array(X, chunks=(113, -1))
    else:
        with dask.config.set(scheduler="threads"):
            yield da.from_array(X, chunks=(113, -1 if request.param == "threads" else 3))


def test_group_sums_are_those_of_pandas(array, X, codes):
    sums = group_sums(array, codes, N_GROUPS)
    expected = pd.DataFrame(X.astype(float)).groupby(codes).sum().drop(index=-1)
    np.testing.assert_allclose(sums, expected, rtol=1e-12)
    assert sums.dtype == np.float64


def test_moments_are_those_of_numpy(array, X):
    mean, covariance = column_moments(array)
    np.testing.assert_allclose(mean, X.astype(float).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(X.astype(float).T), rtol=1e-9, atol=1e-12)


def test_projection_is_that_of_numpy(array, X):
    axes = np.linalg.qr(np.random.default_rng(2).normal(size=(N_FEATURES, 3)))[0].T
    mean = X.mean(axis=0, dtype=float)
    found = project(array, axes, mean)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, (X.astype(float) - mean) @ axes.T, atol=1e-5)


def test_moments_do_not_cancel():
    """A spread of 1 upon an offset of 1e5 survives; sums of squares in float32 would not."""
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(20_000, 2)) + 1e5).astype(np.float32)
    _, covariance = column_moments(X)
    np.testing.assert_allclose(covariance, np.cov(X.astype(float).T), rtol=1e-8, atol=1e-10)


def test_a_group_without_rows_is_zero():
    sums = group_sums(np.ones((3, 2), dtype=np.float32), np.array([0, 0, 2]), 4)
    assert sums[:, 0].tolist() == [2, 0, 1, 0]


def test_codes_must_fit():
    X = np.ones((3, 2))
    with pytest.raises(ValueError, match="2 codes for 3 rows"):
        group_sums(X, np.array([0, 1]), 2)
    with pytest.raises(ValueError, match="code 2 has no group among 2"):
        group_sums(X, np.array([0, 1, 2]), 2)
    with pytest.raises(ValueError, match="two rows"):
        column_moments(X[:1])


@pytest.mark.parametrize("size", [None, 60, 113, 5000])
def test_blocks_cover_every_row_once(array, X, size):
    rows, blocks = zip(*row_blocks(array, size), strict=True)
    np.testing.assert_array_equal(np.concatenate(blocks), X)
    assert sum(r.stop - r.start for r in rows) == N
    if size:
        assert max(len(block) for block in blocks) <= size


def test_no_rows():
    X = np.empty((0, 3), dtype=np.float32)
    assert group_sums(X, np.empty(0, dtype=int), 2).tolist() == [[0, 0, 0]] * 2
    assert project(X, np.eye(3), np.zeros(3)).shape == (0, 3)


def test_work_goes_to_the_cluster_that_is_named(cluster, monkeypatch, X):
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", cluster.scheduler_address)
    with client() as connected:
        assert isinstance(connected, Client)
    before = cluster.scheduler.transition_counter
    column_moments(da.from_array(X, chunks=(113, -1)))
    assert cluster.scheduler.transition_counter > before


def test_without_an_address_there_is_no_cluster(monkeypatch):
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    with client() as connected:
        assert connected is None
