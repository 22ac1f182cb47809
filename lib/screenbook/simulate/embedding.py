"""From the state of a site to its features: the stand-in for a trained network.

The state is low-dimensional and lives in well SD: like wells differ by a standard normal in
each direction. The map gives the directions weights that fall off as a power law, so that the
features have the spectrum of real embeddings, and bends them by softplus, so that they are
skewed as activations are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

N_BIOLOGY = 24
"""Leading directions of the state in which biology happens."""

N_STATE = 96
"""All directions; those behind the first `N_BIOLOGY` hold texture, light, focus, ..."""

SPECTRUM = 1.0
"""The variance of direction *j* in the features falls off as *j* to minus this power."""

_MAP_SEED = 20200803
_N_CALIBRATION = 4096


@dataclass(frozen=True)
class FeatureMap:
    """The fixed network: the same for every screen of one width.

    Attributes
    ----------
    weights : ndarray of float32, shape (N_STATE, n_features)
    bias, gain, mean, sd : ndarray of float32, shape (n_features,)
        `mean` and `sd` are those of the features over sites that differ by noise only.
    linear : ndarray of float32, shape (N_STATE, n_features)
        Slope of the map where its bias puts it: what a small step of the state does.
    """

    weights: np.ndarray
    bias: np.ndarray
    gain: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    linear: np.ndarray

    def __call__(self, state: np.ndarray) -> np.ndarray:
        """Map states to features.

        Parameters
        ----------
        state : ndarray, shape (n, N_STATE)
            Well SD.

        Returns
        -------
        ndarray of float32, shape (n, n_features)
            Not negative.
        """
        h = state.astype(np.float32) @ self.weights
        h += self.bias
        np.logaddexp(h, np.float32(0), out=h)
        h *= self.gain
        return h


@lru_cache(maxsize=4)
def feature_map(n_features: int) -> FeatureMap:
    """Make the network of a given width; it does not depend on the screen's seed."""
    rng = np.random.default_rng(_MAP_SEED)
    power = np.arange(1, N_STATE + 1) ** (-SPECTRUM / 2)
    # Unit variance before the bend for sites whose state has variance 2 in each direction.
    scale = power / np.sqrt(2 * np.sum(power**2))
    weights = (rng.standard_normal((N_STATE, n_features)) * scale[:, None]).astype(np.float32)
    bias = rng.normal(-0.3, 0.7, n_features).astype(np.float32)
    gain = np.exp(rng.normal(0.0, 0.3, n_features)).astype(np.float32)
    slope = gain / (1 + np.exp(-bias))
    zero = np.zeros(n_features, dtype=np.float32)
    bare = FeatureMap(weights, bias, gain, zero, zero + 1, weights * slope)
    x = bare(rng.standard_normal((_N_CALIBRATION, N_STATE)) * np.sqrt(2)).astype(np.float64)
    mean, sd = x.mean(axis=0).astype(np.float32), x.std(axis=0).astype(np.float32)
    return FeatureMap(weights, bias, gain, mean, sd, bare.linear)


def unit(vector: np.ndarray) -> np.ndarray:
    """Scale vectors (last axis) to length 1."""
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def random_direction(
    rng: np.random.Generator, *, biology: bool = True, away_from: tuple[np.ndarray, ...] = ()
) -> np.ndarray:
    """Draw a unit vector of the state space.

    Parameters
    ----------
    rng : numpy.random.Generator
    biology : bool
        Within the first `N_BIOLOGY` directions, or in all of them.
    away_from : tuple of ndarray
        Vectors it is to be orthogonal to.

    Returns
    -------
    ndarray, shape (N_STATE,)
    """
    vector = np.zeros(N_STATE)
    n = N_BIOLOGY if biology else N_STATE
    vector[:n] = rng.standard_normal(n)
    if away_from:
        basis = np.linalg.qr(np.stack(away_from, axis=1))[0]
        vector -= basis @ (basis.T @ vector)
    return unit(vector)


def tilt(vector: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray:
    """Turn a unit vector by an angle towards a random direction of biology."""
    angle = np.radians(degrees)
    side = random_direction(rng, away_from=(vector,))
    return np.cos(angle) * vector + np.sin(angle) * side


def small_rotation(degrees: float, rng: np.random.Generator) -> np.ndarray:
    """Draw a rotation of the state that turns a typical vector by a small angle.

    Returns
    -------
    ndarray, shape (N_STATE, N_STATE)
        Orthogonal.
    """
    skew = rng.standard_normal((N_STATE, N_STATE))
    skew = (skew - skew.T) / np.sqrt(2 * N_STATE)
    half = np.tan(np.radians(degrees) / 2) * skew
    eye = np.eye(N_STATE)
    # Cayley's transform: orthogonal to rounding, the identity at 0 degrees.
    return np.linalg.solve(eye - half, eye + half)
