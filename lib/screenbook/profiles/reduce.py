"""Fewer numbers for each well: principal components, and the t-SNE map drawn from them.

Components keep distances as well as that many numbers can, and are what is computed with.
The map keeps neighbours, not distances, and is what is looked at: how far it can be trusted
is measured in :mod:`screenbook.profiles.map_quality`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from openTSNE import TSNEEmbedding
from openTSNE.affinity import PerplexityBasedNN
from scipy.linalg import eigh

from screenbook.blocks import Array, column_moments, project
from screenbook.errors import InputError

MOST_COMPONENTS = 50
"""Components kept at most: what t-SNE is usually given, and few enough for exact neighbours."""

FEWEST_WELLS = 10
"""Below this many rows there are no neighbourhoods to draw."""

_START_SPREAD = 1e-4  # of the first axis: small, so that forces and not the start set the scale
_START_JITTER = 0.01  # of that spread: parts wells that are equal
_BARNES_HUT_BELOW = 5_000  # rows; above, interpolation on a grid (FIt-SNE) is faster


@dataclass(frozen=True)
class Components:
    """Principal components of a set of profiles.

    Attributes
    ----------
    mean : ndarray of float64, shape (n_features,)
        What is taken off a profile before it is projected.
    axes : ndarray of float64, shape (k, n_features)
        One axis for each row, by falling variance; of unit length unless standardised, when
        each entry is divided by the standard deviation of its feature.
    variance : ndarray of float64, shape (k,)
        Variance of the scores on each axis.
    explained : ndarray of float64, shape (k,)
        Share of the total variance, 0 to 1.
    """

    mean: np.ndarray
    axes: np.ndarray
    variance: np.ndarray
    explained: np.ndarray

    def scores(self, X: Array) -> np.ndarray:
        """Project profiles, block by block: float32, shape (n, k)."""
        return project(X, self.axes, self.mean)

    def first(self, k: int) -> Components:
        """Keep the first k components only."""
        return Components(self.mean, self.axes[:k], self.variance[:k], self.explained[:k])


def principal_components(
    X: Array, *, most: int = MOST_COMPONENTS, share: float = 0.95, standardise: bool = False
) -> Components:
    """Find principal components from the covariance, summed over blocks of rows.

    As many are kept as hold `share` of the variance, and no more than `most`. The sign of an
    axis is arbitrary; here its largest entry is positive, so that two runs agree.

    Parameters
    ----------
    X : ndarray or dask.array.Array, shape (n, n_features)
        Profiles of wells or sites.
    most : int
        Components kept at most.
    share : float
        Share of the total variance that is enough, above 0 and up to 1.
    standardise : bool
        Give every feature unit variance first: for features of different units. A feature
        that does not vary is left out.

    Returns
    -------
    Components

    Raises
    ------
    InputError
        If there is nothing that varies, or `most` or `share` is out of range.
    """
    if most < 1:
        raise InputError(f"n_components is {most}; give at least 1")
    if not 0 < share <= 1:
        raise InputError(f"the share of variance to keep is {share:g}; give more than 0, at most 1")
    if X.shape[0] < 2:
        raise InputError(f"{X.shape[0]} row(s) have no variance; principal components need two")
    mean, covariance = column_moments(X)
    spread = np.sqrt(np.diag(covariance))
    # What rounding leaves of a constant feature must not be blown up to unit variance.
    varies = spread > 1e-6 * np.maximum(np.abs(mean), 1e-30)
    if not varies.any():
        raise InputError("no feature varies between rows; there is nothing to reduce")
    unit = np.where(varies, spread, 1.0) if standardise else np.ones_like(spread)
    covariance = np.where(np.outer(varies, varies), covariance / np.outer(unit, unit), 0.0)
    total = float(np.trace(covariance))

    k = min(most, X.shape[0] - 1, int(varies.sum()))
    n_features = len(mean)
    values, vectors = eigh(covariance, subset_by_index=(n_features - k, n_features - 1))
    variance, axes = np.maximum(values[::-1], 0.0), vectors[:, ::-1].T  # (k,), (k, n_features)
    kept = count_components(variance, total, share)
    axes = axes[:kept]
    largest = np.abs(axes).argmax(axis=1)
    axes = axes * np.sign(axes[np.arange(kept), largest])[:, None]
    return Components(mean, axes / unit, variance[:kept], variance[:kept] / total)


def count_components(variance: np.ndarray, total: float, share: float) -> int:
    """Count the components, by falling variance, that together hold `share` of `total`.

    All of them if they do not get there.
    """
    held = np.cumsum(variance) / total
    return min(int(np.searchsorted(held, share - 1e-12)) + 1, len(variance))


def count_above_noise(scores: np.ndarray, kind: np.ndarray, ratio: float) -> int:
    """Count the leading components in which wells vary more than like controls do.

    After whitening, every direction has about the variance of noise, and a share of the
    variance is no guide to what is worth keeping; controls, which differ by noise alone, are.

    Parameters
    ----------
    scores : ndarray, shape (n, k)
        Component scores, by falling variance.
    kind : ndarray of int, shape (n,)
        Kind of each control well, negative for all others.
    ratio : float
        How many times the variance of controls about the mean of their kind a component must
        have; the first that has less ends the count.

    Returns
    -------
    int
        From 2 (or k, if that is less) to k; k where there are too few controls to tell.
    """
    k = scores.shape[1]
    kinds, counts = np.unique(kind[kind >= 0], return_counts=True)
    freedom = int(counts.sum()) - len(kinds)
    if freedom < 2:
        return k
    about = [scores[kind == each] - scores[kind == each].mean(axis=0) for each in kinds]
    noise = sum((part.astype(np.float64) ** 2).sum(axis=0) for part in about) / freedom
    quiet = np.flatnonzero(scores.var(axis=0, dtype=np.float64) < ratio * noise)
    return max(int(quiet[0]) if len(quiet) else k, min(2, k))


@dataclass(frozen=True)
class MapSettings:
    """How a map is made; :func:`map_settings` fits the numbers to n.

    Attributes
    ----------
    perplexity : float
        Effective number of neighbours that each row attracts.
    early_exaggeration, exaggeration : float
        Factor on the attraction in the first phase, and after it.
    n_early, n_iter : int
        Iterations in the first phase, and after it.
    learning_rate : float
        Step after the first phase, in which it is divided by the exaggeration.
    """

    perplexity: float
    early_exaggeration: float
    exaggeration: float
    n_early: int
    n_iter: int
    learning_rate: float


def map_settings(
    n: int, *, perplexity: float = 0.0, n_early: int = 125, n_iter: int = 200
) -> MapSettings:
    """Fit perplexity, learning rate and exaggeration to the number of rows.

    Perplexity is half the square root of n, between 5 and 30, so that a small screen's few
    replicates are not drowned in neighbours. The learning rate is n, over the exaggeration in
    the first phase (Belkina et al. 2019, doi:10.1038/s41467-019-13055-y), without the floor of
    200 that some programs keep: below 2,400 rows it flings clusters away from where they start,
    and another seed then gives another arrangement.
    Above 100,000 rows an exaggeration of 4 is kept to the end, without which clusters run into
    each other (Kobak & Berens 2019, doi:10.1038/s41467-019-13056-x).

    Parameters
    ----------
    n : int
        Rows on which the map is fitted.
    perplexity : float
        Taken instead of the rule if above 0.
    n_early, n_iter : int
        Iterations of the two phases.

    Raises
    ------
    InputError
        If there are too few rows for a map, or for this perplexity.
    """
    if n < FEWEST_WELLS:
        raise InputError(f"a map needs at least {FEWEST_WELLS} rows, and there are {n}")
    widest = (n - 1) / 3
    if perplexity > widest or perplexity < 0:
        raise InputError(
            f"perplexity {perplexity:g} does not fit {n} rows: give 0 (fitted to n) "
            f"or up to {widest:.0f}"
        )
    fitted = min(max(round(np.sqrt(n) / 2), 5), 30, widest)
    return MapSettings(
        perplexity=perplexity or fitted,
        early_exaggeration=12.0,
        exaggeration=4.0 if n > 100_000 else 1.0,
        n_early=n_early,
        n_iter=n_iter,
        learning_rate=float(n),
    )


@dataclass(frozen=True)
class Map:
    """A t-SNE map.

    Attributes
    ----------
    coordinates : ndarray of float32, shape (n, 2)
        Place of each row; without unit.
    is_landmark : ndarray of bool, shape (n,)
        Rows the map was fitted on; the others were placed among them afterwards.
    settings : MapSettings
        How it was made.
    divergence : float
        Kullback-Leibler divergence that was reached, in nats. Comparable only between maps
        of the same rows and perplexity.
    """

    coordinates: np.ndarray
    is_landmark: np.ndarray
    settings: MapSettings
    divergence: float


def tsne_map(
    scores: np.ndarray,
    *,
    perplexity: float = 0.0,
    n_iter: int = 200,
    n_early: int = 125,
    max_points: int = 30_000,
    start: str = "pca",
    seed: int = 0,
    jobs: int | None = None,
) -> Map:
    """Draw a t-SNE map of component scores with openTSNE.

    The same scores and seed give the same map to the last bit, for any number of threads and
    whatever the order of the rows: neighbours are exact, and rows are sorted by their scores
    before anything is drawn at random or summed.

    Parameters
    ----------
    scores : ndarray, shape (n, k)
        Component scores (or any coordinates) of wells or sites.
    perplexity, n_iter, n_early
        See :func:`map_settings`.
    max_points : int
        Above this many rows, so many are drawn at random as landmarks; the map is fitted on
        these, and the others are placed among them, each by itself (openTSNE's *transform*).
    start : {"pca", "random"}
        Where rows start: on the first two components, which gives clusters an arrangement
        that two runs share, or anywhere.
    seed : int
        Of the landmarks and the start.
    jobs : int, optional
        Threads; by default what ``OMP_NUM_THREADS`` says, else one.

    Returns
    -------
    Map

    Raises
    ------
    InputError
        If rows are too few, scores are not finite or `start` is unknown.
    """
    jobs = jobs or int(os.environ.get("OMP_NUM_THREADS", "1"))
    scores = np.asarray(scores, dtype=np.float32)
    if not np.isfinite(scores).all():
        raise InputError("scores are not finite: the map cannot be drawn; check the features")
    if start not in {"pca", "random"}:
        raise InputError(f"start is {start!r}; give 'pca' or 'random'")
    n = len(scores)
    settings = map_settings(
        min(n, max_points), perplexity=perplexity, n_early=n_early, n_iter=n_iter
    )
    order = np.lexsort(scores.T[::-1])
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(n, max_points, replace=False)) if n > max_points else np.arange(n)
    landmarks, others = order[chosen], np.delete(order, chosen)

    fitted = _fit(scores[landmarks], start, settings, rng, jobs)
    coordinates = np.empty((n, 2), dtype=np.float32)
    if len(others):
        # Before the landmarks are read: transform() moves them to the middle of the map.
        coordinates[others] = fitted.transform(
            scores[others], perplexity=settings.perplexity / 2, learning_rate=1.0, n_iter=100
        )
    coordinates[landmarks] = fitted
    is_landmark = np.zeros(n, dtype=bool)
    is_landmark[landmarks] = True
    return Map(coordinates, is_landmark, settings, float(fitted.kl_divergence))


def _fit(
    scores: np.ndarray, start: str, settings: MapSettings, rng: np.random.Generator, jobs: int
) -> TSNEEmbedding:
    affinities = PerplexityBasedNN(
        scores, perplexity=settings.perplexity, method="exact", n_jobs=jobs
    )
    places = rng.normal(size=(len(scores), 2))
    if start == "pca":
        places *= _START_JITTER
        axes = min(2, scores.shape[1])
        places[:, :axes] += scores[:, :axes] / max(float(scores[:, 0].std()), 1e-30)
    embedding = TSNEEmbedding(
        places * _START_SPREAD,
        affinities,
        negative_gradient_method="bh" if len(scores) < _BARNES_HUT_BELOW else "fft",
        theta=0.8,
        n_jobs=jobs,
    )
    early = settings.early_exaggeration
    phases = ((settings.n_early, early), (settings.n_iter, settings.exaggeration))
    for n_iter, exaggeration in phases:
        embedding.optimize(
            n_iter,
            exaggeration=exaggeration,
            learning_rate=settings.learning_rate / exaggeration,
            momentum=0.8,
            max_step_norm=5,
            inplace=True,
        )
    return embedding
