"""Whiten profiles on control wells: what controls vary in, by chance and by batch, counts less.

Typical variation normalisation (Ando, McLean & Berndl 2017, 10.1101/161422) rotates profiles so
that control wells have the identity as covariance. With 1,024 features and few controls that
blows up directions in which the controls vary little by accident; so profiles are reduced to
principal components first, and the covariance of the controls is shrunk (Ledoit & Wolf 2004,
10.1016/S0047-259X(03)00096-4). Whether it worked is asked of control wells that were left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from screenbook.blocks import group_sums


@dataclass(frozen=True)
class Whitening:
    """A linear map after which the wells it was fitted on have about unit covariance.

    Attributes
    ----------
    mean : ndarray of float64, shape (k,)
        Origin of the whitened space: the mean over kinds of the kinds' means.
    matrix : ndarray of float64, shape (k, k)
        Applied from the right.
    shrinkage : float
        Weight of the sphere in the covariance, 0 to 1.
    condition : float
        Largest over smallest eigenvalue of the shrunken covariance.
    n : int
        Wells it was fitted on.
    """

    mean: np.ndarray
    matrix: np.ndarray
    shrinkage: float
    condition: float
    n: int

    def transform(self, points: np.ndarray) -> np.ndarray:
        """Whiten points, (n, k) to (n, k) float32."""
        return ((points - self.mean) @ self.matrix).astype(np.float32)


def kind_residuals(points: np.ndarray, kind: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances of control wells from the mean of their kind.

    Parameters
    ----------
    points : ndarray, shape (n, k)
        Coordinates of wells.
    kind : ndarray of int, shape (n,)
        Kind of control; wells with -1 are left out.

    Returns
    -------
    residuals : ndarray of float64, shape (n_controls, k)
        In the order of the wells.
    means : ndarray of float64, shape (n_kinds, k)
        Of the kinds that are there.
    """
    used = kind >= 0
    _, codes, counts = np.unique(kind[used], return_inverse=True, return_counts=True)
    values = points[used].astype(np.float64)
    means = group_sums(values, codes, len(counts)) / counts[:, None]
    return values - means[codes], means


def shrunken_covariance(residuals: np.ndarray) -> tuple[np.ndarray, float]:
    """Covariance shrunken towards a sphere, by the weight of Ledoit & Wolf (2004).

    The same numbers as ``sklearn.covariance.ledoit_wolf(residuals, assume_centered=True)``,
    whose checks of its input take six times as long as the arithmetic: permutation nulls ask
    for thousands.

    Parameters
    ----------
    residuals : ndarray, shape (n, k)
        Observations about their mean.

    Returns
    -------
    covariance : ndarray of float64, shape (k, k)
    shrinkage : float
        Weight of the sphere, 0 to 1.
    """
    n, k = residuals.shape
    empirical = residuals.T @ residuals / n
    sphere = np.trace(empirical) / k * np.eye(k)
    distance = float(((empirical - sphere) ** 2).sum())
    fourth = float(((residuals**2).sum(axis=1) ** 2).sum()) / n
    error = (fourth - float((empirical**2).sum())) / n
    shrinkage = min(max(error / distance, 0.0), 1.0) if distance > 0 else 0.0
    return (1 - shrinkage) * empirical + shrinkage * sphere, shrinkage


def fit_whitening(points: np.ndarray, kind: np.ndarray) -> Whitening:
    """Learn a whitening from control wells about the mean of their kind.

    The covariance is taken over all plates together, so what centring has left between plates
    counts as unwanted variation too. The map is the symmetric one (ZCA), which turns the axes
    as little as possible.

    Parameters
    ----------
    points : ndarray, shape (n, k)
        Principal component scores, with fewer components than control wells.
    kind : ndarray of int, shape (n,)
        Kind of each control well to learn from; -1 for all others.

    Returns
    -------
    Whitening
    """
    residuals, means = kind_residuals(points, kind)
    covariance, shrinkage = shrunken_covariance(residuals)
    values, axes = eigh(covariance)
    values = np.maximum(values, 1e-12 * values[-1])
    return Whitening(
        means.mean(axis=0),
        (axes / np.sqrt(values)) @ axes.T,
        shrinkage,
        float(values[-1] / values[0]),
        len(residuals),
    )


def align_plates(
    points: np.ndarray, batch: np.ndarray, kind: np.ndarray, *, prior: float
) -> np.ndarray:
    """Give the controls of every plate the same covariance (CORAL, as EFAAR applies it).

    Parameters
    ----------
    points : ndarray, shape (n, k)
        Whitened coordinates, in which controls of all plates together have unit covariance.
    batch : ndarray of int, shape (n,)
        Plate of each well.
    kind : ndarray of int, shape (n,)
        Kind of each control well to learn from; -1 for all others.
    prior : float
        How many wells the identity counts for in a plate's covariance; a plate with few
        controls is changed little.

    Returns
    -------
    ndarray of float32, shape (n, k)
    """
    out = points.astype(np.float32, copy=True)
    residuals, _ = kind_residuals(points, kind)
    plate_of = batch[kind >= 0]
    identity = np.eye(points.shape[1])
    for plate in np.unique(plate_of):
        own = residuals[plate_of == plate]
        own = own - own.mean(axis=0)
        values, axes = eigh((own.T @ own + prior * identity) / (len(own) - 1 + prior))
        wells = batch == plate
        out[wells] = points[wells] @ (axes / np.sqrt(values)) @ axes.T
    return out


@dataclass(frozen=True)
class CovarianceCheck:
    """How near the covariance of held-out controls is to the identity.

    Attributes
    ----------
    covariance : ndarray of float64, shape (k, k)
        Of the held-out wells about the mean of their kind.
    mean_variance : float
        Mean of its diagonal; 1 for a whitening that fits.
    off_diagonal : float
        Root mean square of the correlations between axes; 0 for a whitening that fits.
    expected_off_diagonal : float
        What as many wells would give by chance if the identity were true.
    n : int
        Held-out wells.
    """

    covariance: np.ndarray
    mean_variance: float
    off_diagonal: float
    expected_off_diagonal: float
    n: int


def check_whitening(points: np.ndarray, kind: np.ndarray) -> CovarianceCheck:
    """Compare the covariance of control wells that a whitening has not seen with the identity.

    Parameters
    ----------
    points : ndarray, shape (n, k)
        Whitened coordinates.
    kind : ndarray of int, shape (n,)
        Kind of each held-out control well; -1 for all others.

    Returns
    -------
    CovarianceCheck
    """
    residuals, means = kind_residuals(points, kind)
    freedom = max(len(residuals) - len(means), 1)
    covariance = residuals.T @ residuals / freedom
    sd = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
    correlation = covariance / np.outer(sd, sd)
    off = correlation[np.triu_indices(len(correlation), 1)]
    return CovarianceCheck(
        covariance,
        float(np.diag(covariance).mean()),
        float(np.sqrt((off**2).mean())) if off.size else 0.0,
        float(1 / np.sqrt(freedom)),
        len(residuals),
    )
