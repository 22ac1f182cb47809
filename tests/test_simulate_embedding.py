"""The map from state to features: fixed, skewed, with the spectrum of real embeddings."""

import numpy as np
import pandas as pd
import pytest

from screenbook.simulate import screen_spec, simulate_screen
from screenbook.simulate.embedding import N_STATE, feature_map, small_rotation


def test_network_does_not_change_with_the_screen():
    assert feature_map(64) is feature_map(64)
    rotation = small_rotation(6.0, np.random.default_rng(0))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(N_STATE), atol=1e-12)
    vectors = np.random.default_rng(1).standard_normal((500, N_STATE))
    cosine = np.sum(vectors * (vectors @ rotation.T), axis=1) / np.sum(vectors**2, axis=1)
    assert np.degrees(np.arccos(np.mean(cosine))) == pytest.approx(6, abs=1)
    np.testing.assert_array_equal(small_rotation(0.0, np.random.default_rng(0)), np.eye(N_STATE))


def test_features_are_skewed_and_their_spectrum_falls_as_a_power():
    default = simulate_screen(screen_spec())
    X = default.plate_features(0)[: 384 * 4].astype(np.float64)
    assert np.median(pd.DataFrame(X).skew()) > 0.5
    values = np.linalg.eigvalsh(np.cov(X.T))[::-1]
    rank = np.arange(2, 65)
    slope, _ = np.polyfit(np.log(rank), np.log(values[rank - 1]), 1)
    assert -2.0 < slope < -0.7
