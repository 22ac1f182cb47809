import sys

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA, FastICA

from planted_fields import labelled_points
from screenbook.errors import InputError
from screenbook.images.embeddings import METHODS, available, embed, embeddings
from screenbook.images.neighbour_consensus import neighbour_consensus

POINTS, LABEL, _ = labelled_points(apart=8.0, k=8)
INSTALLED = available()


@pytest.mark.parametrize("method", INSTALLED)
def test_classes_that_lie_apart_stay_apart(method):
    found = embed(POINTS, method)
    assert found.shape == (len(POINTS), 2)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert neighbour_consensus(found, LABEL).share.value > 0.7


@pytest.mark.parametrize("method", ["spectral", "DBSCAN", "FastICA"])
def test_the_same_seed_gives_the_same_places(method):
    np.testing.assert_array_equal(embed(POINTS, method, seed=2), embed(POINTS, method, seed=2))


def test_pca_is_sklearns():
    scaled = (POINTS - POINTS.mean(axis=0)) / POINTS.std(axis=0, ddof=1)
    theirs = PCA(2).fit_transform(scaled)
    np.testing.assert_allclose(np.abs(embed(POINTS, "PCA")), np.abs(theirs), rtol=1e-3, atol=1e-3)


def test_fastica_is_sklearns_on_the_standardised_features():
    scaled = (POINTS - POINTS.mean(axis=0)) / POINTS.std(axis=0, ddof=1)
    theirs = FastICA(2, max_iter=3000, tol=1e-5, fun="cube", random_state=0).fit_transform(scaled)
    np.testing.assert_allclose(pdist(embed(POINTS, "FastICA")), pdist(theirs), rtol=1e-3)


def test_fastica_of_two_components_only_turns_the_whitened_plane():
    plane = embed(POINTS, "PCA").astype(np.float64)
    white = plane / plane.std(axis=0)
    np.testing.assert_allclose(pdist(embed(POINTS, "FastICA")), pdist(white), rtol=1e-3)


def test_dbscan_puts_each_cluster_in_one_place():
    found = embed(POINTS, "DBSCAN")
    places = np.unique(np.round(found, 1), axis=0)
    assert 4 <= len(places) <= 8


def test_by_default_all_that_are_installed():
    found = embeddings(POINTS, ("PCA", "FastICA"))
    assert list(found) == ["PCA", "FastICA"]
    assert set(METHODS) - set(INSTALLED) <= {"UMAP"}


def test_umap_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    assert "UMAP" not in available()
    with pytest.raises(InputError, match="pip install umap-learn"):
        embed(POINTS, "UMAP")


def test_one_feature_is_enough_and_none_is_refused():
    assert embed(POINTS[:, :1], "PCA").shape == (len(POINTS), 2)
    with pytest.raises(InputError, match="no feature varies"):
        embed(np.ones((20, 3)), "PCA")
    with pytest.raises(InputError, match="did you mean 'PCA'"):
        embed(POINTS, "pca")
