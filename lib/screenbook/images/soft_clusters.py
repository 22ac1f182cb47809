"""Soft assignments to clusters, their sharpened target, and plain k-means beside them."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.cluster import KMeans


def student_t(points: torch.Tensor, centres: torch.Tensor, freedom: float = 1.0) -> torch.Tensor:
    """Soft assignments by Student's t, rows sum to 1 (Xie et al. 2016, equation 1).

    Parameters
    ----------
    points : Tensor, shape (n, d)
    centres : Tensor, shape (k, d)
    freedom : float

    Returns
    -------
    Tensor, shape (n, k)
    """
    distance = (points[:, None] - centres).square().sum(dim=2)  # (n, k)
    q = (1 + distance / freedom) ** (-(freedom + 1) / 2)
    return q / q.sum(dim=1, keepdim=True)


def sharpened(q: torch.Tensor) -> torch.Tensor:
    """Target of soft assignments: squared, over the size of each cluster (equation 3).

    Parameters
    ----------
    q : Tensor, shape (n, k)
        Of all fields: sizes of clusters in a mini-batch are mostly chance.

    Returns
    -------
    Tensor, shape (n, k)
        Rows sum to 1.
    """
    weight = q.square() / q.sum(dim=0).clamp_min(1e-12)
    return weight / weight.sum(dim=1, keepdim=True)


def k_means_clusters(features: np.ndarray, n_clusters: int, *, seed: int = 0) -> np.ndarray:
    """Cluster fields by k-means on features of mean 0 and SD 1: what DEC has to beat.

    Parameters
    ----------
    features : ndarray, shape (n, d)
    n_clusters : int
    seed : int

    Returns
    -------
    ndarray of int, shape (n,)
    """
    values = np.asarray(features, dtype=np.float64)
    sd = values.std(axis=0)
    scaled = (values - values.mean(axis=0)) / np.where(sd > 1e-9, sd, 1.0)
    return KMeans(n_clusters, n_init=20, random_state=seed).fit_predict(scaled)
