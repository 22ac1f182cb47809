"""Two numbers for each field, in seven ways, to see which of them keep what a network knows.

All start from the same standardised features, reduced to at most 50 principal components, and
none sees a label. Independent component analysis with two components first keeps the two
leading principal components and whitens them; what it adds is a turn of that plane. A turn
changes no distance, so its neighbours are those of the two whitened components, whatever
contrast function turned them: where it beats plain PCA, it does so by giving the second axis
the weight of the first.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from sklearn.cluster import DBSCAN
from sklearn.decomposition import FastICA
from sklearn.exceptions import ConvergenceWarning
from sklearn.manifold import SpectralEmbedding
from torch import nn

from screenbook.errors import InputError, did_you_mean
from screenbook.profiles.nearest import distance_blocks
from screenbook.profiles.reduce import principal_components, tsne_map
from screenbook.training import Step, TrainSettings, fixed_seed, train

MOST_COMPONENTS = 50
"""Principal components that every method but PCA and FastICA starts from, at most."""

_BEHIND = 1e-3  # spread of the fields of one DBSCAN cluster, in distances between clusters


def embed(
    features: np.ndarray, method: str, *, n_neighbours: int = 15, seed: int = 0
) -> np.ndarray:
    """Reduce features to two numbers for each field.

    Parameters
    ----------
    features : ndarray, shape (n, k)
        Every feature is given unit variance first; one that does not vary is left out.
    method : {"PCA", "FastICA", "t-SNE", "UMAP", "spectral", "DBSCAN", "autoencoder"}
        DBSCAN makes clusters, not places: each gets one place on a circle, its fields lie there
        in random order, and fields of no cluster all lie in its middle. UMAP needs umap-learn.
    n_neighbours : int
        Of UMAP and of the graph of the spectral method.
    seed : int

    Returns
    -------
    ndarray of float32, shape (n, 2)

    Raises
    ------
    InputError
        If the method is unknown, UMAP is not installed, or nothing varies.
    """
    if method not in _MAKE:
        raise InputError(
            f"embedding {method!r} is not known{did_you_mean(method, METHODS)}: take one of "
            f"{', '.join(METHODS)}"
        )
    features = np.asarray(features, dtype=np.float64)
    axes = principal_components(features, most=MOST_COMPONENTS, share=1.0, standardise=True)
    scores = axes.scores(features).astype(np.float64)
    if scores.shape[1] == 1:
        scores = np.column_stack([scores, np.zeros(len(scores))])
    return _MAKE[method](scores, n_neighbours, seed).astype(np.float32)


def embeddings(
    features: np.ndarray, methods: Sequence[str] = (), *, n_neighbours: int = 15, seed: int = 0
) -> dict[str, np.ndarray]:
    """Several of them, by name; by default all that are installed."""
    chosen = methods or available()
    return {name: embed(features, name, n_neighbours=n_neighbours, seed=seed) for name in chosen}


def available() -> tuple[str, ...]:
    """Methods that can be had here: all, or all but UMAP."""
    try:
        import umap  # noqa: F401
    except ImportError:
        return tuple(name for name in METHODS if name != "UMAP")
    return METHODS


class Autoencoder(nn.Module):
    """Dense layers of 16, 16, 4 and 2 units and back again, as the first public form had it."""

    def __init__(self, n_features: int, widths: Sequence[int] = (16, 16, 4, 2)) -> None:
        super().__init__()
        sizes = [n_features, *widths]
        self.encoder = _dense(sizes)
        self.decoder = _dense(sizes[::-1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Squeeze (n, n_features) through two numbers, and spread them out again."""
        return self.decoder(self.encoder(x))


def _dense(sizes: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b), nn.ELU()]
    return nn.Sequential(*layers[:-1])


def _pca(scores: np.ndarray, n_neighbours: int, seed: int) -> np.ndarray:
    return scores[:, :2]


def _ica(scores: np.ndarray, n_neighbours: int, seed: int) -> np.ndarray:
    ica = FastICA(2, max_iter=3000, tol=1e-5, fun="cube", whiten="unit-variance", random_state=seed)
    with warnings.catch_warnings():
        # The angle of the plane may keep wandering; distances in it are what is used.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return ica.fit_transform(scores)


def _tsne(scores: np.ndarray, n_neighbours: int, seed: int) -> np.ndarray:
    return tsne_map(scores, seed=seed).coordinates


def _umap(scores: np.ndarray, n_neighbours: int, seed: int) -> np.ndarray:
    try:
        from umap import UMAP
    except ImportError as e:
        raise InputError("UMAP is not installed: pip install umap-learn, or leave it out") from e
    return UMAP(n_neighbors=n_neighbours, random_state=seed, n_jobs=1).fit_transform(scores)


def _spectral(scores: np.ndarray, n_neighbours: int, seed: int) -> np.ndarray:
    size = min(n_neighbours, len(scores) - 1)
    method = SpectralEmbedding(
        2, affinity="nearest_neighbors", n_neighbors=size, random_state=seed, n_jobs=1
    )
    with warnings.catch_warnings():
        # A graph in several pieces is a finding, and shows on the map.
        warnings.filterwarnings("ignore", message="Graph is not fully connected")
        return method.fit_transform(scores)


def _dbscan(scores: np.ndarray, n_neighbours: int, seed: int) -> np.ndarray:
    reach = np.sqrt(np.median(_distance_to(scores, 5)))
    cluster = DBSCAN(eps=reach, min_samples=5).fit(scores).labels_  # -1: in none
    angle = 2 * np.pi * cluster / max(cluster.max() + 1, 1)
    place = np.column_stack([np.cos(angle), np.sin(angle)]) * (cluster >= 0)[:, None]
    return place + _BEHIND * np.random.default_rng(seed).normal(size=place.shape)


def _autoencoder(scores: np.ndarray, n_neighbours: int, seed: int) -> np.ndarray:
    x = torch.from_numpy((scores / max(float(scores.std()), 1e-12)).astype(np.float32))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(fixed_seed(seed, 3))
        net = Autoencoder(x.shape[1])

    def loss_of(step: Step) -> torch.Tensor:
        return (net(x) - x).square().mean()

    settings = TrainSettings(
        n_steps=400, learning_rate=1e-2, optimiser="adam", seed=seed, device="cpu"
    )
    train(net, loss_of, settings)
    with torch.inference_mode():
        return net.encoder(x).numpy()


def _distance_to(points: np.ndarray, k: int) -> np.ndarray:
    """Squared distance of each field to its k-th nearest other one."""
    k = min(k, len(points) - 1)
    out = np.empty(len(points))
    for rows, distance in distance_blocks(points, np.arange(len(points))):
        out[rows] = np.partition(distance, k - 1, axis=1)[:, k - 1]
    return out


_MAKE: Mapping[str, Callable[[np.ndarray, int, int], np.ndarray]] = {
    "PCA": _pca,
    "FastICA": _ica,
    "t-SNE": _tsne,
    "UMAP": _umap,
    "spectral": _spectral,
    "DBSCAN": _dbscan,
    "autoencoder": _autoencoder,
}

METHODS = tuple(_MAKE)
"""Names of all methods."""
