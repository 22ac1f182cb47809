"""Mechanisms in embeddings of fields: networks apart, compounds that a network learned from out."""

import numpy as np
import pandas as pd
import pytest

from screenbook.structure import embedding_geometry as geometry
from screenbook.structure.mechanism_geometry import mechanism_measures


def fields(effect, seed=0, n_mechanisms=4, size=3, n=6):
    rng = np.random.default_rng(seed)
    code = np.repeat(np.arange(n_mechanisms * size), n)
    moa = code // size
    shared = effect * rng.standard_normal((n_mechanisms, 10))
    points = 5 + shared[moa] + rng.standard_normal((len(code), 10))
    obs = pd.DataFrame({"compound": [f"c{i:02d}" for i in code], "moa": [f"m{i}" for i in moa]})
    return points, obs


def rotated(points, seed):
    """The same cloud in the space of another network."""
    q = np.linalg.qr(np.random.default_rng(seed).standard_normal((10, 10)))[0]
    return points @ q + seed


def test_networks_with_spaces_of_their_own_are_measured_apart():
    points, obs = fields(2.0)
    everything = np.ones(len(obs), dtype=bool)
    one = geometry.embedding_measures([(points, everything)], obs, n_permutations=99)
    two = geometry.embedding_measures(
        [(points, everything), (rotated(points, 7), everything)], obs, n_permutations=99
    )
    assert one["value"].to_numpy() == pytest.approx(two["value"].to_numpy())
    assert (one["p"] <= 0.02).all()


def test_fields_that_were_learned_from_take_no_part():
    points, obs = fields(0.0)
    unseen = ~obs["compound"].str[1:].astype(int).mod(3).eq(0).to_numpy()
    spoilt = points.copy()
    spoilt[~unseen] += 100 * obs["moa"].str[1:].astype(int).to_numpy()[~unseen, None]
    a = geometry.embedding_measures([(points, unseen)], obs, n_permutations=19)
    b = geometry.embedding_measures([(spoilt, unseen)], obs, n_permutations=19)
    pd.testing.assert_frame_equal(a, b)


def test_noise_is_told_from_mechanism():
    p = []
    for seed in range(40):
        points, obs = fields(0.0, seed)
        views = [(points, np.ones(len(obs), dtype=bool))]
        p.append(geometry.embedding_measures(views, obs, n_permutations=99, seed=seed)["p"])
    assert (np.mean(np.array(p) <= 0.05, axis=0) < 0.17).all()  # binomial(40, 0.05), 99.5 %


def test_pairs_are_averaged_over_the_networks_that_saw_neither():
    points, obs = fields(1.0, n_mechanisms=2, size=2)
    code = obs["compound"].str[1:].astype(int).to_numpy()
    known, distance = geometry.averaged_distances([(points, code != 0), (points, code != 3)], obs)
    assert known["compound"].tolist() == ["c00", "c01", "c02", "c03"]
    assert np.isnan(distance[0, 3])
    assert np.isfinite(distance[1, 2])
    assert np.allclose(distance, distance.T, equal_nan=True)


def test_a_mechanism_left_alone_in_a_fold_has_no_pairs():
    distance = np.abs(np.subtract.outer([0.0, 1, 5], [0.0, 1, 5]))
    found = mechanism_measures(
        [distance], np.array(["a", "b", "b", "a"]), members=[np.array([0, 1, 2])], n_permutations=9
    )
    assert found.set_index("measure").loc["ratio", "value"] == pytest.approx(4 / 3)
