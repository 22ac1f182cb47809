"""On- and off-scores as BUSCAR defines them, on wells.

Features in which untreated disease wells differ from healthy ones (Kolmogorov-Smirnov test,
Benjamini-Hochberg) are *on*, the others *off*. The on-score of a treatment is the earth mover's
distance of its wells to healthy ones in the on-features, over that of untreated wells: 0 healthy,
1 untreated. The off-score is the share of off-features in which it differs from healthy wells.
Written from the definitions of the `buscar` package 0.1.0 (BSD-3-Clause; bioRxiv
10.64898/2026.04.15.718737).

What is weak in it, here as there. There is no p-value. Few wells lie further from healthy ones
than many, because a sample of few is a poor picture of its population, so that the score of a
treatment that does nothing depends on its number of wells; `on_untreated` and `on_healthy` say
how much. *Not significant* is not *unchanged*: with many controls few features are off, and the
off-score cannot rise with few wells: two against six cannot reach p < 0.07 whatever they do. It
differs from healthy wells for want of rescue too, where a feature was off for lack of power.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.stats import false_discovery_control, kstwo

from screenbook.errors import InputError
from screenbook.profiles.replicates import treatment_codes

_EXACT_BELOW = 10_000  # product of two sample sizes, above which Smirnov's limit is as good
_NONE = np.empty(0, dtype=int)
_SCORES = ("on_score", "off_score", "on_untreated", "on_healthy", "score")
_MOST_REFERENCE = 500  # wells of either kind in the distance that all others are divided by


@dataclass(frozen=True)
class Signature:
    """Which features tell untreated disease wells from healthy ones.

    Attributes
    ----------
    on : ndarray of bool, shape (n_features,)
        The others are off.
    p, q : ndarray of float64, shape (n_features,)
        Kolmogorov-Smirnov p, and Benjamini-Hochberg q over the features.
    """

    on: np.ndarray
    p: np.ndarray
    q: np.ndarray


@dataclass(frozen=True)
class EarthMover:
    """Scores of the treatments of one cell type.

    Attributes
    ----------
    treatments : DataFrame
        ``compound_key compound dose`` (µM) ``n_wells``; ``on_score`` (0 healthy, 1 untreated)
        and ``off_score`` (0 to 1); ``on_untreated`` and ``on_healthy``, the mean on-score of as
        many untreated or healthy wells; ``score``, where it lies between these (0 untreated, 1
        healthy); ``hit``, whether it is nearer to healthy (score of 0.5 or more). NaN and False
        with fewer wells than asked for.
    signature : Signature or None
    reference : float
        Earth mover's distance of untreated to healthy wells, in squared profile units.
    reason : str
        Why there are no scores; blank if there are.
    """

    treatments: pd.DataFrame
    signature: Signature | None
    reference: float
    reason: str = ""


def find_signature(diseased: np.ndarray, healthy: np.ndarray, level: float = 0.05) -> Signature:
    """Tell on-features from off-features.

    Parameters
    ----------
    diseased, healthy : ndarray, shape (n_wells, n_features)
    level : float
        Features with q below it are on.
    """
    p = ks_p_values(ks_statistics(diseased, healthy), len(diseased), len(healthy))
    q = false_discovery_control(p)
    return Signature(q < level, p, q)


def ks_statistics(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Two-sample Kolmogorov-Smirnov statistic of every feature, (n_features,).

    Parameters
    ----------
    a, b : ndarray, shape (n, n_features) and (m, n_features)
    """
    both = np.concatenate([a, b])
    order = np.argsort(both, axis=0, kind="stable")
    step = np.where(order < len(a), 1 / len(a), -1 / len(b))
    apart = np.abs(np.cumsum(step, axis=0))
    values = np.take_along_axis(both, order, axis=0)
    # Within equal values the two distributions have not yet been counted in full.
    apart[:-1][values[:-1] == values[1:]] = 0.0
    return apart.max(axis=0, initial=0.0)


def ks_p_values(statistic: np.ndarray, n: int, m: int) -> np.ndarray:
    """Two-sided p-values of two-sample Kolmogorov-Smirnov statistics.

    Exact (counting the orders in which the two samples can mix) where n times m is at most
    10,000, else from the limit. Ties make the exact p too large, never too small.

    Parameters
    ----------
    statistic : ndarray, shape (n_features,)
    n, m : int
        Sample sizes.
    """
    if n * m > _EXACT_BELOW:
        p = kstwo.sf(statistic, np.round(n * m / (n + m)))
        return np.clip(p, 0.0, 1.0)
    tail = _exact_tail(n, m)
    return tail[np.round(statistic * (n * m / math.gcd(n, m))).astype(int)]


@lru_cache(maxsize=256)
def _exact_tail(n: int, m: int) -> np.ndarray:
    """Chance of each possible statistic or a larger one, were both samples of one population.

    The statistic is a multiple of gcd / (n m). The chance that a random order of n and m values
    stays below it throughout is built up value by value: the last of i + k values is of the
    first sample in i orders of i + k.

    Returns
    -------
    ndarray of float64, shape (n m / gcd + 1,)
    """
    bound = np.arange(0, n * m + 1, math.gcd(n, m))
    stays = np.zeros((m + 1, len(bound)))
    for i in range(n + 1):
        for k in range(m + 1):
            held = abs(i * m - k * n) < bound
            if i + k == 0:
                stays[0] = held
                continue
            before = stays[k] * i  # from i - 1, not yet overwritten
            if k:
                before += stays[k - 1] * k
            stays[k] = np.where(held, before / (i + k), 0.0)
    return np.clip(1.0 - stays[m], 0.0, 1.0)


def transport_cost(few: np.ndarray, many: np.ndarray) -> float:
    """Earth mover's distance between two samples of equal weights, at squared Euclidean cost.

    With sizes n and q times n, each of the n has the weight of q of the others: repeated q times
    the transport is an assignment, which is solved exactly.

    Parameters
    ----------
    few : ndarray, shape (n, k)
    many : ndarray, shape (q * n, k)

    Returns
    -------
    float
        In squared units of the profiles.

    Raises
    ------
    InputError
        If the larger size is no multiple of the smaller.
    """
    if not len(few) or len(many) % len(few):
        raise InputError(
            f"samples of {len(few)} and {len(many)} wells: the second must be a multiple of the "
            "first; leave out the remainder"
        )
    cost = np.repeat(cdist(few, many, "sqeuclidean"), len(many) // len(few), axis=0)
    return float(cost[linear_sum_assignment(cost)].mean())


class _Healthy:
    """Healthy wells to compare with, from the plates that the compared wells are on.

    Every plate gives the same ones, in an order drawn once: treatments on the same plates are
    held against the same wells.
    """

    def __init__(self, wells: np.ndarray, plates: np.ndarray, most: int) -> None:
        self.all, self.most = wells, most
        self.on: dict[int, np.ndarray] = defaultdict(lambda: wells[:0])
        for plate in np.unique(plates[wells]):
            self.on[int(plate)] = wells[plates[wells] == plate]

    def like(self, plates: np.ndarray, without: np.ndarray = _NONE) -> np.ndarray:
        """As many wells for each of the plates given, a multiple of their number in all.

        From all plates if these have too few; none if all have too few.
        """
        names, counts = np.unique(plates, return_counts=True)
        pools = [self._pool(self.on[int(name)], without) for name in names]
        spare = min(len(pool) // count for pool, count in zip(pools, counts, strict=True))
        times = min(self.most // len(plates), spare)
        if times:
            return np.concatenate([p[: times * c] for p, c in zip(pools, counts, strict=True)])
        pool = self._pool(self.all, without)
        return pool[: min(self.most, len(pool)) // len(plates) * len(plates)]

    @staticmethod
    def _pool(wells: np.ndarray, without: np.ndarray) -> np.ndarray:
        return wells[~np.isin(wells, without)] if len(without) else wells


def earth_mover_scores(
    points: np.ndarray,
    obs: pd.DataFrame,
    *,
    most: int = 60,
    fewest: int = 3,
    level: float = 0.05,
    n_null: int = 50,
    seed: int = 0,
) -> EarthMover:
    """Score every treatment of one cell type.

    A treatment is held against up to `most` healthy wells of the plates it is on, equally many
    for each of its wells (of all plates where these have too few), so that what is peculiar to
    a plate is on both sides. The distance all others are divided by is that between up to 500
    untreated and as many healthy wells, the same number of both from every plate that has both.

    Parameters
    ----------
    points : ndarray, shape (n, n_features)
        Centred profiles of the wells of one cell type, or components of them: distances are
        Euclidean, so axes of noise hide the others.
    obs : DataFrame, n rows
        ``role batch compound compound_key treatment_conc``. The result does not depend on the
        order of rows if they are sorted first, by id for instance.
    most : int
        Wells in a comparison, on either side; larger treatments are sampled.
    fewest : int
        Wells that a treatment needs, as the package has it.
    level : float
        For features to be on, and for an off-feature to differ.
    n_null : int
        Draws of untreated and of healthy wells for each number of wells.
    seed : int

    Returns
    -------
    EarthMover

    Raises
    ------
    InputError
        If `most` or `fewest` is below 1.
    """
    if most < 1 or fewest < 1:
        raise InputError(f"most is {most}, fewest {fewest}; give at least 1 well")
    codes, treatments = treatment_codes(obs)
    sizes = np.bincount(codes[codes >= 0], minlength=len(treatments))
    table = treatments.rename(columns={"treatment_conc": "dose"}).assign(n_wells=sizes)
    empty = dict.fromkeys(_SCORES, np.nan)
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(len(obs))
    role = obs["role"].astype(str).to_numpy()[drawn]
    healthy, diseased = drawn[role == "healthy"], drawn[role == "diseased"]
    reason = _cannot(points, healthy, diseased)
    if reason:
        return EarthMover(table.assign(**empty, hit=False), None, float("nan"), reason)

    signature = find_signature(points[diseased], points[healthy], level)
    plates = np.unique(obs["batch"].astype(str), return_inverse=True)[1]
    if not signature.on.any():
        reason = f"no feature tells untreated from healthy wells at q < {level:g}"
        return EarthMover(table.assign(**empty, hit=False), signature, float("nan"), reason)
    on = np.ascontiguousarray(points[:, signature.on], dtype=np.float64)
    reference = _reference(on, healthy, diseased, plates)
    pool = _Healthy(healthy, plates, most)
    off = points[:, ~signature.on]
    scores = np.full((len(treatments), 2), np.nan)
    for code, wells in _members(codes, drawn).items():
        if len(wells) >= fewest:
            scores[code] = _compare(on, off, wells[:most], plates, pool, level)
    scores[:, 0] /= reference
    null = {
        size: _by_chance(on, size, healthy, diseased, plates, pool, n_null, rng) / reference
        for size in np.unique(np.minimum(sizes[sizes >= fewest], most))
    }
    nothing = np.full(2, np.nan)
    bounds = np.array([null.get(min(size, most), nothing) for size in sizes]).reshape(-1, 2)
    score = (bounds[:, 0] - scores[:, 0]) / (bounds[:, 0] - bounds[:, 1])
    table = table.assign(on_score=scores[:, 0], off_score=scores[:, 1])
    table = table.assign(on_untreated=bounds[:, 0], on_healthy=bounds[:, 1], score=score)
    known = np.isfinite(score).any()
    reason = "" if known else f"too few controls, or no treatment of {fewest} wells or more"
    return EarthMover(table.assign(hit=score >= 0.5), signature, reference, reason)


def _cannot(points: np.ndarray, healthy: np.ndarray, diseased: np.ndarray) -> str:
    if min(len(healthy), len(diseased)) < 3:
        have = f"{len(healthy)} healthy and {len(diseased)} untreated disease wells"
        return f"{have}, and 3 of either are needed"
    return "" if np.isfinite(points).all() else "profiles are not finite"


def _members(codes: np.ndarray, drawn: np.ndarray) -> dict[int, np.ndarray]:
    """Wells of every treatment, in the order drawn."""
    order = drawn[np.argsort(codes[drawn], kind="stable")]
    order = order[codes[order] >= 0]
    names, first = np.unique(codes[order], return_index=True)
    return dict(zip(names.tolist(), np.split(order, first[1:]), strict=True))


def _compare(
    on: np.ndarray,
    off: np.ndarray,
    wells: np.ndarray,
    plates: np.ndarray,
    pool: _Healthy,
    level: float,
) -> tuple[float, float]:
    """Earth mover's distance in on-features, and share of off-features that differ."""
    near = pool.like(plates[wells])
    if not len(near):
        near = pool.all
        wells = wells[: len(near)]
    cost = transport_cost(on[wells], on[near])
    if not off.shape[1]:
        return cost, float("nan")
    p = ks_p_values(ks_statistics(off[wells], off[near]), len(wells), len(near))
    # How many have a Benjamini-Hochberg q below the level, without the q of each.
    below = np.flatnonzero(np.sort(p) * len(p) < level * np.arange(1, len(p) + 1))
    return cost, (below[-1] + 1) / len(p) if len(below) else 0.0


def _reference(
    on: np.ndarray, healthy: np.ndarray, diseased: np.ndarray, plates: np.ndarray
) -> float:
    """Distance of untreated to healthy wells, plates balanced where any has both."""
    a, b = [], []
    for plate in np.intersect1d(plates[healthy], plates[diseased]):
        here = [kind[plates[kind] == plate] for kind in (diseased, healthy)]
        size = min(map(len, here))
        a.append(here[0][:size])
        b.append(here[1][:size])
    total = sum(map(len, a))
    if total < 3:
        size = min(len(healthy), len(diseased), _MOST_REFERENCE)
        return transport_cost(on[diseased[:size]], on[healthy[:size]])
    # Every plate gives up the same share where there are too many.
    keep = np.floor(np.arange(total) * min(1.0, _MOST_REFERENCE / total)).astype(int)
    keep = np.unique(keep, return_index=True)[1]
    return transport_cost(on[np.concatenate(a)[keep]], on[np.concatenate(b)[keep]])


def _by_chance(
    on: np.ndarray,
    size: int,
    healthy: np.ndarray,
    diseased: np.ndarray,
    plates: np.ndarray,
    pool: _Healthy,
    n_draws: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Mean distance to healthy wells of `size` untreated, and of `size` healthy wells, (2,)."""
    out = np.full((2, n_draws), np.nan)
    for row, kind in enumerate((diseased, healthy)):
        if size * (1 + row) > len(kind):
            continue
        for draw in range(n_draws):
            wells = rng.choice(kind, size, replace=False)
            near = pool.like(plates[wells], wells if row else _NONE)
            if len(near):
                out[row, draw] = transport_cost(on[wells], on[near])
    counted = np.isfinite(out)
    total = np.where(counted, out, 0.0).sum(axis=1)
    return np.where(counted.any(axis=1), total / np.maximum(counted.sum(axis=1), 1), np.nan)
