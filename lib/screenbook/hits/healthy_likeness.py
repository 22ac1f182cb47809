"""How much like a healthy well is each well? The first public analysis's ways of asking.

The analysis of RxRx19a that this series goes back to searched "the neighborhood of homeostasis"
on a t-SNE map, and named three more ways: nearest neighbours in principal components or in the
whole profile, a Gaussian mixture on the healthy wells, and the direction opposite to that of the
disease. All four are here, for the wells of one cell type. They know the roles of the controls
and nothing else; a well is never its own neighbour, and only a treated well can be a hit.

Each gives a score, larger for more like healthy, and a rule for a hit. The rules differ, so the
number of hits says nothing by itself: see `healthy_kept` and `diseased_caught` of each.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import cKDTree
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors

from screenbook.blocks import group_sums
from screenbook.errors import InputError

FEWEST = 10
"""Healthy wells in each half, below which no mixture is fitted to them."""

_RIDGE = 0.05  # of the mean variance of healthy wells, added to every variance of a mixture
_WELLS_PER_AXIS = 5  # healthy wells in a half, for each principal component that is used


@dataclass(frozen=True)
class Likeness:
    """What one search says of the wells of one cell type.

    Attributes
    ----------
    score : ndarray of float64, shape (n,)
        Larger is more like healthy; NaN where it cannot be had. Controls have one too, from
        everything but themselves.
    level : float
        A treated well with this score or more is a hit.
    reason : str
        Why there is no score; blank if there is one.
    facts : dict of str to float
        What was fitted: ``radius`` for instance.
    """

    score: np.ndarray
    level: float
    reason: str = ""
    facts: dict[str, float] = field(default_factory=dict)

    def hit(self, role: np.ndarray) -> np.ndarray:
        """Which wells are hits, (n,) bool: treated ones only."""
        return (role == "treated") & self.reached

    @property
    def reached(self) -> np.ndarray:
        """Which wells, controls included, reach the level, (n,) bool."""
        return np.isfinite(self.score) & (self.score >= self.level)

    def share_reached(self, role: np.ndarray, name: str) -> float:
        """Share of the wells of one role that reach the level; NaN if none has a score."""
        asked = (role == name) & np.isfinite(self.score)
        return float(self.reached[asked].mean()) if asked.any() else float("nan")


def not_testable(n: int, reason: str) -> Likeness:
    """Give no score to any of n wells, and say why."""
    return Likeness(np.full(n, np.nan), np.inf, reason)


def near_on_map(
    places: np.ndarray, role: np.ndarray, *, radius: float = 0.0, n_neighbors: int = 15
) -> Likeness:
    """Ask for healthy wells within a radius in the plane of a map.

    A hit has at least k healthy wells within the radius (the original: a circle drawn around
    places picked by eye). Without a radius given it is the median distance of a healthy well
    to its k-th nearest healthy well, so that half of the healthy wells would be hits. The score
    is minus the distance to the k-th nearest healthy well, in radii; the level is -1.

    Parameters
    ----------
    places : ndarray, shape (n, 2)
        Coordinates of the wells of one cell type on their map.
    role : ndarray of str, shape (n,)
    radius : float
        In units of the map; 0 takes the rule above.
    n_neighbors : int
        k. With few healthy wells it is lowered to a third of their number.

    Returns
    -------
    Likeness
        ``facts``: ``radius``, ``n_neighbors``.

    Raises
    ------
    InputError
        If the radius is negative or `n_neighbors` below 1.
    """
    _check_neighbours(n_neighbors)
    if not radius >= 0:
        raise InputError(f"radius is {radius:g}; give 0 (fitted to the healthy wells) or more")
    healthy = np.flatnonzero(role == "healthy")
    k = min(n_neighbors, len(healthy) // 3)
    if k < 1:
        return not_testable(len(role), f"{len(healthy)} healthy wells, and 3 are needed")
    # One more than asked: a healthy well finds itself first, and passes over it.
    distance, _ = cKDTree(places[healthy]).query(places, k=k + 1)
    reach = distance[:, k - 1].copy()
    reach[healthy] = distance[healthy, k]
    unit = radius or float(np.median(reach[healthy]))
    if unit <= 0:
        return not_testable(len(role), "healthy wells lie on one another on the map")
    return Likeness(-reach / unit, -1.0, facts={"radius": unit, "n_neighbors": k})


def healthy_share(points: np.ndarray, role: np.ndarray, *, n_neighbors: int = 15) -> Likeness:
    """Share of healthy wells among the k nearest control wells of either kind, exactly.

    A healthy neighbour counts for as much as a diseased one if there are equally many healthy
    and diseased controls, and for more if healthy ones are rarer: by chance alone the share is
    one half, which is the level of a hit.

    Parameters
    ----------
    points : ndarray, shape (n, d)
        Wells of one cell type, in principal components or whole profiles. The cost grows with
        wells times controls times d.
    role : ndarray of str, shape (n,)
    n_neighbors : int
        k. With few controls it is lowered to a third of the rarer kind.

    Returns
    -------
    Likeness
        Scores from 0 to 1. ``facts``: ``n_neighbors``.
    """
    _check_neighbours(n_neighbors)
    is_healthy = role == "healthy"
    control = np.flatnonzero(is_healthy | (role == "diseased"))
    n_healthy = int(is_healthy.sum())
    n_diseased = len(control) - n_healthy
    k = min(n_neighbors, min(n_healthy, n_diseased) // 3)
    if k < 1:
        have = f"{n_healthy} healthy and {n_diseased} untreated disease wells"
        return not_testable(len(role), f"{have}, and 3 of either are needed")
    search = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(points[control])
    found = search.kneighbors(points, return_distance=False)  # (n, k + 1), into `control`
    # A control passes over itself, wherever among equal distances it stands.
    itself = found == np.searchsorted(control, np.arange(len(role)))[:, None]
    itself &= np.isin(np.arange(len(role)), control)[:, None]
    passed = itself.any(axis=1)
    drop = np.where(passed, itself.argmax(axis=1), k)
    kept = np.ones_like(found, dtype=bool)
    kept[np.arange(len(found)), drop] = False
    near = is_healthy[control][found[kept].reshape(len(found), k)].sum(axis=1)
    weight = near / n_healthy
    share = weight / (weight + (k - near) / n_diseased)
    return Likeness(share, 0.5, facts={"n_neighbors": k})


def mixture_density(
    points: np.ndarray,
    role: np.ndarray,
    plates: np.ndarray,
    experiments: np.ndarray,
    *,
    components: int = 6,
    dimensions: int = 10,
    threshold: float = 0.9,
    seed: int = 0,
) -> Likeness:
    """Log density under a Gaussian mixture of the healthy wells, above a held-out threshold.

    Healthy wells of half the plates (spread over experiments) make a mixture, with the number
    of Gaussians that has the least Bayesian information criterion; the healthy wells of the
    other plates say how low a density healthy wells have. Then the halves change places, and
    the two log densities, each above its own threshold, are averaged. A healthy well has the
    one from the mixture that it did not help to make.

    Parameters
    ----------
    points : ndarray, shape (n, d)
        Wells of one cell type, on principal components by falling variance.
    role : ndarray of str, shape (n,)
    plates, experiments : ndarray of int, shape (n,)
        Plate within its experiment, and experiment. With healthy wells on one plate only, its
        wells are halved instead.
    components : int
        Gaussians at most.
    dimensions : int
        Leading components that are used at most; fewer where a half has fewer than five
        healthy wells for each.
    threshold : float
        Share of held-out healthy wells that lie above the threshold, between 0 and 1.
    seed : int
        Of the halves and of the starts.

    Returns
    -------
    Likeness
        Natural logarithms; the level is 0. ``facts``: ``dimensions``, ``gaussians`` (mean of
        the halves), ``halves_are_plates`` (1 or 0).

    Raises
    ------
    InputError
        If a number is out of range.
    """
    if components < 1 or dimensions < 1:
        raise InputError(f"components is {components}, dimensions {dimensions}; give 1 or more")
    if not 0 < threshold < 1:
        raise InputError(f"threshold is {threshold:g}; give a share between 0 and 1")
    healthy = np.flatnonzero(role == "healthy")
    half, by_plate = _halves(plates[healthy], experiments[healthy], seed)
    fewest = int(np.bincount(half, minlength=2).min()) if len(healthy) else 0
    if fewest < FEWEST:
        reason = f"{fewest} healthy wells in the smaller half, and {FEWEST} are needed"
        return not_testable(len(role), reason)
    width = min(dimensions, points.shape[1], fewest // _WELLS_PER_AXIS)
    own = points[:, :width].astype(np.float64)
    unit = own[healthy].std(axis=0).mean()
    if unit <= 0:
        return not_testable(len(role), "healthy wells do not differ from one another")
    own = own / unit
    above, n_gaussians = np.empty((2, len(role))), []
    for side in (0, 1):
        mixture = _fit_mixture(own[healthy[half == side]], components, seed)
        density = mixture.score_samples(own)
        above[side] = density - np.quantile(density[healthy[half != side]], 1 - threshold)
        n_gaussians.append(mixture.n_components)
    score = above.mean(axis=0)
    score[healthy] = above[1 - half, healthy]
    facts = {"dimensions": width, "gaussians": float(np.mean(n_gaussians))}
    return Likeness(score, 0.0, facts=facts | {"halves_are_plates": float(by_plate)})


def antipodal_cosine(points: np.ndarray, role: np.ndarray, plates: np.ndarray) -> Likeness:
    """Cosine between what a well differs in from untreated ones, and the way back to health.

    As for connectivity scores of expression signatures: treated well minus the untreated
    disease wells of its plate, against healthy minus diseased. See :func:`antipodal_offsets`
    for the wells taken. The level is half the median of healthy wells; that of an untreated
    well is 0 on average.

    Parameters
    ----------
    points : ndarray, shape (n, d)
        Wells of one cell type; the cosine depends on the scale of the axes.
    role : ndarray of str, shape (n,)
    plates : ndarray of int, shape (n,)
        Plate within its experiment, from 0.

    Returns
    -------
    Likeness
        Scores from -1 to 1.

    References
    ----------
    Lamb et al., Science 313, 1929 (2006), doi:10.1126/science.1132939, for the idea.
    """
    offset, way, reason = antipodal_offsets(points, role, plates)
    if reason:
        return not_testable(len(role), reason)
    score = cosine(offset, way)
    return Likeness(score, float(np.nanmedian(score[role == "healthy"])) / 2)


def antipodal_offsets(
    points: np.ndarray, role: np.ndarray, plates: np.ndarray
) -> tuple[np.ndarray, np.ndarray, str]:
    """Each well minus the untreated wells of its plate, and the way from diseased to healthy.

    The way is the mean over the *other* plates: were the same untreated wells taken off both
    sides, their noise would tilt the two towards each other, and inert wells would score above
    0. Where there is no other plate, the untreated wells are halved, one half for either side.

    Returns
    -------
    offset, way : ndarray of float64, shape (n, d)
        NaN on a plate without untreated wells, and 0 for an untreated well that is alone.
    reason : str
        Why there are none; blank if there are.
    """
    points = points.astype(np.float64)
    n_plates = int(plates.max()) + 1
    diseased, healthy = role == "diseased", role == "healthy"
    fitting = np.intersect1d(plates[diseased], plates[healthy])
    if not len(fitting):
        reason = "no plate has both healthy and untreated disease wells"
        return np.empty(0), np.empty(0), reason
    if len(fitting) == 1 and (diseased & (plates == fitting[0])).sum() < 4:
        return np.empty(0), np.empty(0), "one plate, with fewer than 4 untreated disease wells"
    low, high = (_plate_means(points, kind, plates, n_plates) for kind in (healthy, diseased))
    # Of an untreated well this has the direction of its difference from the others there.
    offset = points - high[plates]
    gaps = low - high
    total = gaps[fitting].sum(axis=0)
    has_gap = np.isin(np.arange(n_plates), fitting)
    others = len(fitting) - has_gap
    with np.errstate(invalid="ignore", divide="ignore"):
        way = (total - np.where(has_gap[:, None], gaps, 0)) / others[:, None]
    way = way[plates]
    if len(fitting) == 1:
        _halve_untreated(points, diseased, plates == fitting[0], low[fitting[0]], offset, way)
    return offset, way, ""


def _halve_untreated(
    points: np.ndarray,
    diseased: np.ndarray,
    here: np.ndarray,
    low: np.ndarray,
    offset: np.ndarray,
    way: np.ndarray,
) -> None:
    """Measure the wells of one plate from one half of its untreated wells, its way from the other.

    Changes `offset` and `way` in place.
    """
    untreated = np.flatnonzero(diseased & here)
    start, rest = untreated[::2], untreated[1::2]
    offset[here] = points[here] - points[start].mean(axis=0)
    way[here] = low - points[rest].mean(axis=0)


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine of the rows of two arrays, (n,); NaN for a row of zeros."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return (a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))


def _check_neighbours(n_neighbors: int) -> None:
    if n_neighbors < 1:
        raise InputError(f"n_neighbors is {n_neighbors}; give 1 or more")


def _halves(plates: np.ndarray, experiments: np.ndarray, seed: int) -> tuple[np.ndarray, bool]:
    """Give each well 0 or 1 by its plate, plates of an experiment in turn; or by well if one."""
    rng = np.random.default_rng(seed)
    names, first, of_well = np.unique(plates, return_index=True, return_inverse=True)
    if len(names) < 2:
        return rng.permutation(len(plates)) % 2, False
    order = np.lexsort((rng.random(len(names)), experiments[first]))
    side = np.empty(len(names), dtype=int)
    side[order] = np.arange(len(names)) % 2
    return side[of_well], True


def _fit_mixture(points: np.ndarray, components: int, seed: int) -> GaussianMixture:
    """Fit mixtures of 1 to `components` Gaussians; keep the least information criterion."""
    most = max(1, min(components, len(points) // (2 * _WELLS_PER_AXIS)))
    settings = {"reg_covar": _RIDGE, "n_init": 2, "random_state": seed, "max_iter": 300}
    fitted = [GaussianMixture(k, **settings).fit(points) for k in range(1, most + 1)]
    return min(fitted, key=lambda mixture: mixture.bic(points))


def _plate_means(
    points: np.ndarray, chosen: np.ndarray, plates: np.ndarray, n_plates: int
) -> np.ndarray:
    counts = np.bincount(plates[chosen], minlength=n_plates)
    sums = group_sums(points[chosen], plates[chosen], n_plates)
    with np.errstate(invalid="ignore"):
        return sums / np.where(counts, counts, np.nan)[:, None]
