"""Principal components against scikit-learn, and maps against clusters that were planted."""

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse.csgraph import connected_components
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.preprocessing import StandardScaler

from screenbook.errors import InputError
from screenbook.profiles.map_quality import neighbour_recall
from screenbook.profiles.nearest import nearest
from screenbook.profiles.reduce import (
    count_above_noise,
    count_components,
    map_settings,
    principal_components,
    tsne_map,
)


@pytest.fixture(scope="module")
def profiles():
    """Correlated features far from the origin, of unlike spread."""
    rng = np.random.default_rng(1)
    mixing = rng.normal(size=(6, 20)) * np.linspace(3, 0.3, 6)[:, None]
    X = rng.normal(size=(400, 6)) @ mixing + 0.2 * rng.normal(size=(400, 20)) + 50
    return (X * np.geomspace(0.1, 10, 20)).astype(np.float32)


@pytest.fixture(scope="module")
def clusters():
    """Eight well separated groups of 50 wells in 10 dimensions, in mixed order."""
    rng = np.random.default_rng(2)
    label = rng.permutation(np.repeat(np.arange(8), 50))
    centres = 8 * rng.normal(size=(8, 10))
    return (centres[label] + rng.normal(size=(400, 10))).astype(np.float32), label


# --- components ------------------------------------------------------------------------------


def test_components_are_those_of_scikit_learn_up_to_sign(profiles):
    ours = principal_components(profiles, most=5, share=1.0)
    theirs = PCA(5, svd_solver="full").fit(profiles.astype(np.float64))
    assert ours.variance == pytest.approx(theirs.explained_variance_, rel=1e-6)
    assert ours.explained == pytest.approx(theirs.explained_variance_ratio_, rel=1e-6)
    assert np.abs((ours.axes * theirs.components_).sum(axis=1)) == pytest.approx(1, abs=1e-6)
    expected = np.abs(theirs.transform(profiles))
    assert np.abs(ours.scores(profiles)) == pytest.approx(expected, rel=1e-3, abs=1e-2)


def test_standardised_components_are_those_of_scaled_features(profiles):
    ours = principal_components(profiles, most=5, share=1.0, standardise=True)
    scaled = StandardScaler().fit_transform(profiles.astype(np.float64))
    theirs = PCA(5, svd_solver="full").fit(scaled)
    assert ours.explained == pytest.approx(theirs.explained_variance_ratio_, rel=1e-6)
    unit = np.sqrt(400 / 399)  # scikit-learn divides by n, the covariance by n - 1
    expected = np.abs(theirs.transform(scaled)) / unit
    assert np.abs(ours.scores(profiles)) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_largest_entry_of_every_axis_is_positive_even_if_the_data_are_mirrored(profiles):
    for X in (profiles, -profiles):
        axes = principal_components(X, share=1.0).axes
        assert (axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)] > 0).all()


def test_dask_and_numpy_agree(profiles):
    lazy = da.from_array(profiles, chunks=(70, 20))
    a, b = (principal_components(X, most=4, share=1.0) for X in (profiles, lazy))
    assert a.axes == pytest.approx(b.axes, abs=1e-9)
    assert a.scores(profiles) == pytest.approx(b.scores(lazy), rel=1e-4, abs=1e-3)


def test_order_of_rows_does_not_matter_to_components(profiles):
    order = np.random.default_rng(0).permutation(len(profiles))
    a, b = (principal_components(X, most=4, share=1.0) for X in (profiles, profiles[order]))
    assert a.axes == pytest.approx(b.axes, abs=1e-8)


def test_as_many_components_are_kept_as_hold_the_share():
    variance = np.array([6.0, 2.0, 1.0, 1.0])
    assert [count_components(variance, 10.0, s) for s in (0.5, 0.6, 0.61, 0.9, 1.0)] == [
        1,
        1,
        2,
        3,
        4,
    ]
    assert count_components(variance[:2], 10.0, 0.9) == 2


def test_components_are_kept_while_wells_vary_more_than_like_controls():
    rng = np.random.default_rng(6)
    kind = np.repeat([0, 1, -1], [200, 200, 600])
    scores = rng.normal(size=(1000, 8))
    scores[kind < 0, :3] *= 3  # treated wells differ in three directions,
    scores[kind == 1, 1] += 6  # and the kinds of control in one of them
    assert count_above_noise(scores, kind, 1.5) == 3
    assert count_above_noise(scores, kind, 0.5) == 8
    assert count_above_noise(scores, kind, 99.0) == 2
    assert count_above_noise(scores, np.full(1000, -1), 1.5) == 8
    assert count_above_noise(scores[:, :1], kind, 99.0) == 1


def test_first_components_are_the_same_components(profiles):
    whole = principal_components(profiles, most=6, share=1.0)
    assert np.array_equal(whole.first(2).scores(profiles), whole.scores(profiles)[:, :2])
    assert whole.first(2).explained.tolist() == whole.explained[:2].tolist()


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(2, 12), st.integers(1, 6)),
        elements=st.floats(-1e3, 1e3, width=32).filter(lambda v: v == 0 or abs(v) > 1e-2),
    )
)
def test_wild_profiles_give_finite_components_or_one_clear_line(X):
    refusal = ""
    try:
        found = principal_components(X, share=1.0, standardise=True)
    except InputError as error:
        refusal = str(error)
    if refusal:
        assert "no feature varies" in refusal
        return
    scores = found.scores(X)
    assert np.isfinite(scores).all()
    assert found.explained.sum() == pytest.approx(1, abs=1e-6)
    assert len(found.variance) <= min(X.shape[0] - 1, X.shape[1])


def test_a_constant_feature_takes_no_part_when_standardised(profiles):
    with_constant = np.column_stack([profiles, np.full(len(profiles), 1234.5, np.float32)])
    a = principal_components(profiles, most=3, share=1.0, standardise=True)
    b = principal_components(with_constant, most=3, share=1.0, standardise=True)
    assert b.axes[:, -1] == pytest.approx(0, abs=1e-12)
    assert b.scores(with_constant) == pytest.approx(a.scores(profiles), rel=1e-3, abs=1e-3)


@pytest.mark.parametrize(
    ("X", "kwargs", "words"),
    [
        (np.ones((5, 3), np.float32), {}, "no feature varies"),
        (np.ones((1, 3), np.float32), {}, "need two"),
        (np.eye(3, dtype=np.float32), {"most": 0}, "n_components is 0"),
        (np.eye(3, dtype=np.float32), {"share": 1.2}, "more than 0, at most 1"),
    ],
)
def test_components_refuse_in_one_line(X, kwargs, words):
    with pytest.raises(InputError, match=words) as caught:
        principal_components(X, **kwargs)
    assert "\n" not in str(caught.value)


# --- maps --------------------------------------------------------------------------------------


def test_planted_clusters_are_recovered(clusters):
    scores, label = clusters
    drawn = tsne_map(scores).coordinates
    near = nearest(drawn, 10)
    assert (label[near] == label[:, None]).mean() > 0.98
    # Each group hangs together: linking neighbours gives the groups back.
    graph = NearestNeighbors(n_neighbors=5).fit(drawn).kneighbors_graph()
    _, found = connected_components(graph, directed=False)
    assert adjusted_rand_score(label, found) > 0.95


def test_same_seed_same_map_for_any_number_of_threads_and_order_of_rows(clusters):
    scores, _ = clusters
    order = np.random.default_rng(3).permutation(len(scores))
    for kwargs in ({"n_iter": 50}, {"n_iter": 50, "max_points": 250}):
        first = tsne_map(scores, seed=5, **kwargs)
        again = tsne_map(scores, seed=5, jobs=2, **kwargs)
        assert np.array_equal(first.coordinates, again.coordinates)
        mixed = tsne_map(scores[order], seed=5, **kwargs)
        assert np.array_equal(mixed.coordinates, first.coordinates[order])
        assert np.array_equal(mixed.is_landmark, first.is_landmark[order])


def test_seed_decides_start_and_landmarks(clusters):
    scores, _ = clusters
    a, b = (tsne_map(scores, seed=s, max_points=250, n_iter=20).is_landmark for s in (0, 1))
    assert a.sum() == b.sum() == 250
    assert (a != b).any()
    a, b = (tsne_map(scores, seed=s, start="random", n_iter=20).coordinates for s in (0, 1))
    assert not np.allclose(a, b)


def test_wells_that_were_left_out_are_placed_among_their_kind(clusters):
    scores, label = clusters
    drawn = tsne_map(scores, max_points=200)
    fitted, placed = drawn.is_landmark, ~drawn.is_landmark
    assert placed.sum() == 200
    vote = KNeighborsClassifier(5).fit(drawn.coordinates[fitted], label[fitted])
    assert vote.score(drawn.coordinates[placed], label[placed]) > 0.98
    # And inside the picture, not flung out of it.
    reach = np.abs(drawn.coordinates[fitted]).max()
    assert np.abs(drawn.coordinates[placed]).max() < 1.2 * reach


def test_placing_keeps_neighbours_nearly_as_well_as_fitting():
    rng = np.random.default_rng(4)
    label = rng.integers(0, 40, 1200)
    scores = (3 * rng.normal(size=(40, 10))[label] + rng.normal(size=(1200, 10))).astype(np.float32)
    whole, part = tsne_map(scores), tsne_map(scores, max_points=600)
    placed = np.flatnonzero(~part.is_landmark)
    fitted, transformed = (
        neighbour_recall(scores, m.coordinates, [15], placed)["recall"].item()
        for m in (whole, part)
    )
    assert transformed > 0.75 * fitted
    assert transformed > 20 * 15 / 1199  # of chance


def test_equal_wells_do_not_break_the_map(clusters):
    scores, _ = clusters
    doubled = np.concatenate([scores[:60], scores[:60], np.repeat(scores[:1], 20, axis=0)])
    drawn = tsne_map(doubled).coordinates
    assert np.isfinite(drawn).all()
    gap = np.linalg.norm(drawn[:60] - drawn[60:120], axis=1)
    assert np.median(gap) < 0.05 * np.ptp(drawn)


def test_one_component_is_enough():
    line = np.arange(60, dtype=np.float32)[:, None]
    drawn = tsne_map(line).coordinates
    assert drawn.shape == (60, 2)
    assert (np.abs(nearest(drawn, 2) - np.arange(60)[:, None]) <= 4).mean() > 0.95


@pytest.mark.parametrize(
    ("n", "perplexity"), [(10, 3), (100, 5), (632, 13), (4000, 30), (76_380, 30)]
)
def test_perplexity_fits_the_number_of_wells(n, perplexity):
    assert map_settings(n).perplexity == pytest.approx(perplexity, abs=0.5)


def test_exaggeration_stays_only_in_very_large_maps():
    assert map_settings(30_000).exaggeration == 1
    assert map_settings(305_520).exaggeration == 4


@pytest.mark.parametrize(
    ("scores", "kwargs", "words"),
    [
        (np.zeros((5, 2)), {}, "at least 10 rows"),
        (np.zeros((30, 2)), {"perplexity": 20.0}, "perplexity 20 does not fit 30 rows"),
        (np.full((30, 2), np.nan), {}, "not finite"),
        (np.zeros((30, 2)), {"start": "spectral"}, "start is 'spectral'"),
    ],
)
def test_maps_refuse_in_one_line(scores, kwargs, words):
    with pytest.raises(InputError, match=words) as caught:
        tsne_map(scores, **kwargs)
    assert "\n" not in str(caught.value)
