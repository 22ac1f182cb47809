"""How well batches are mixed: neighbourhoods (kBET, iLISI) and explained variance.

All measures look at control wells. Points are coordinates in which Euclidean distance means
something: principal components, whitened or not. What the kinds of control differ in is taken
off first (:func:`screenbook.profiles.whitening.kind_residuals`), so that a plate with more
healthy wells is not told apart by its disease.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.neighbors import NearestNeighbors

from screenbook.blocks import group_sums


@dataclass(frozen=True)
class Neighbours:
    """The nearest other wells of every well, nearest first.

    Attributes
    ----------
    distance : ndarray of float64, shape (n, size)
        Euclidean.
    index : ndarray of int, shape (n, size)
    """

    distance: np.ndarray
    index: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray, *, most: int) -> Neighbours:
        """Find them; fewer than `most` where there are not as many other wells."""
        points = np.asarray(points, dtype=np.float64)
        size = min(most, len(points) - 1)
        return cls(*NearestNeighbors(n_neighbors=size).fit(points).kneighbors())


def kbet_pvalues(
    near: Neighbours,
    batch: np.ndarray,
    *,
    n_neighbours: int = 15,
    n_draws: int = 2000,
    seed: int = 0,
) -> np.ndarray:
    """Test for every well whether its neighbourhood mixes batches as the whole does (kBET).

    Büttner et al. 2019 (10.1038/s41592-018-0254-1) compare the batches of the nearest wells
    with those of all wells by a chi-squared statistic. Its asymptotic law does not hold with
    dozens of plates and a dozen neighbours, so the null is drawn: as many wells at random,
    without replacement.

    Parameters
    ----------
    near : Neighbours
        Of control wells.
    batch : ndarray of int, shape (n,)
        Batch of each.
    n_neighbours : int
        Size of a neighbourhood, the well itself not counted.
    n_draws : int
        Draws of the null.
    seed : int
        Of the draws and of the ties between equal statistics.

    Returns
    -------
    ndarray, shape (n,)
        One p-value for each well, uniform if batches are mixed.
    """
    rng = np.random.default_rng(seed)
    _, label = np.unique(batch, return_inverse=True)
    counts = np.bincount(label)
    n = len(label)
    index = near.index[:, :n_neighbours]
    size = index.shape[1]
    seen = np.zeros((n, len(counts)))
    np.add.at(seen, (np.repeat(np.arange(n), size), label[index].ravel()), 1.0)
    expected = size * counts / n
    observed = ((seen - expected) ** 2 / expected).sum(axis=1)
    drawn = rng.multivariate_hypergeometric(counts, size, size=n_draws, method="marginals")
    null = np.sort(((drawn - expected) ** 2 / expected).sum(axis=1))
    # The statistic is discrete: ties are broken at random, which makes p uniform.
    slack = 1e-9 * max(float(null[-1]), 1.0)
    above = n_draws - np.searchsorted(null, observed + slack, side="left")
    equal = n_draws - np.searchsorted(null, observed - slack, side="left") - above
    return (above + rng.random(n) * (equal + 1)) / (n_draws + 1)


def ilisi(near: Neighbours, *batches: np.ndarray, perplexity: float = 30.0) -> np.ndarray:
    """Count the batches around each well: the integration local inverse Simpson index.

    Korsunsky et al. 2019 (10.1038/s41592-019-0619-0): neighbours are weighted by a Gaussian
    whose width gives the stated perplexity; the index is the inverse probability that two
    neighbours are of one batch.

    Parameters
    ----------
    near : Neighbours
        Of control wells, three times `perplexity` of each.
    *batches : ndarray of int, shape (n,)
        Batch of each; several labellings may be asked for at once.
    perplexity : float
        Effective number of neighbours; three times as many are looked at.

    Returns
    -------
    ndarray, shape (n,), or (n_labellings, n) if there are several
        From 1 (one batch around) to the number of batches.
    """
    index = near.index[:, : int(3 * perplexity)]
    n, size = index.shape
    weight = _gaussian_weights(near.distance[:, :size], min(perplexity, size / 3))
    found = []
    for batch in batches:
        _, label = np.unique(batch, return_inverse=True)
        share = np.zeros((n, int(label.max()) + 1))
        np.add.at(share, (np.repeat(np.arange(n), size), label[index].ravel()), weight.ravel())
        found.append(1.0 / (share**2).sum(axis=1))
    return found[0] if len(found) == 1 else np.array(found)


def _gaussian_weights(distance: np.ndarray, perplexity: float) -> np.ndarray:
    """Weights that sum to 1 in each row and whose entropy is log(perplexity), by bisection."""
    shifted = distance - distance[:, :1]
    low, high = np.zeros(len(distance)), np.full(len(distance), np.inf)
    beta = np.ones(len(distance))
    for _ in range(50):
        weight = np.exp(-shifted * beta[:, None])
        weight /= weight.sum(axis=1, keepdims=True)
        entropy = -(weight * np.log(np.maximum(weight, 1e-300))).sum(axis=1)
        wide = entropy > np.log(perplexity)
        low, high = np.where(wide, beta, low), np.where(wide, high, beta)
        beta = np.where(np.isinf(high), beta * 2, (low + high) / 2)
    return weight


def pc_regression(points: np.ndarray, batch: np.ndarray) -> tuple[float, float]:
    """Share of the variance of the axes that batches explain (principal component regression).

    Parameters
    ----------
    points : ndarray, shape (n, k)
        Coordinates of control wells; each axis counts by its variance.
    batch : ndarray of int, shape (n,)
        Batch of each.

    Returns
    -------
    r2 : float
        Explained share, 0 to 1. Of n wells in B batches, (B - 1) / (n - 1) by chance.
    adjusted : float
        The same less what is explained by chance: 0 if batches explain nothing, 1 if all.
    """
    names, label = np.unique(batch, return_inverse=True)
    centred = np.asarray(points, dtype=np.float64) - points.mean(axis=0, dtype=np.float64)
    sums = group_sums(centred, label, len(names))
    between = float((sums**2 / np.bincount(label)[:, None]).sum())
    r2 = between / max(float((centred**2).sum()), 1e-300)
    n = len(label)
    if n <= len(names):
        return r2, float("nan")
    return r2, 1 - (1 - r2) * (n - 1) / (n - len(names))
