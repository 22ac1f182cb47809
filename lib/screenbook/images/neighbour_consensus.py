"""Do neighbours agree? The share of fields whose nearest other fields are of the same class.

The first public form of this measure counted a field among its own five nearest: then it agrees
with itself, and pure chance gives a half with four classes, not a quarter. And fields of one
plate lie close because they were stained together: if a plate holds one class only, they agree
whatever was learned. So every number here comes with what neighbours drawn at random would have
given, and can be had among fields of other plates only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from screenbook.errors import InputError
from screenbook.images.shares import Share, clustered_share
from screenbook.profiles.nearest import distance_blocks, nearest_columns


@dataclass(frozen=True)
class Consensus:
    """How many fields are of the class that most of their neighbours are of.

    Attributes
    ----------
    share : Share
        With its interval over batches.
    chance : float
        What as many neighbours drawn at random among those allowed would give.
    credit : ndarray of float64, shape (n,)
        Of each field: 1 or 0, or one part in m if m classes are equally frequent around it.
        NaN where no neighbour is allowed, and for fields that are not asked.
    """

    share: Share
    chance: float
    credit: np.ndarray


def neighbour_consensus(
    points: np.ndarray,
    labels: np.ndarray,
    *,
    k: int = 1,
    include_self: bool = False,
    not_same: np.ndarray | None = None,
    asked: np.ndarray | None = None,
    clusters: np.ndarray | None = None,
    n_draws: int = 200,
    seed: int = 0,
) -> Consensus:
    """Compare each field with the majority of its nearest neighbours.

    Parameters
    ----------
    points : ndarray, shape (n, d)
        Fields in a space in which Euclidean distance means something.
    labels : ndarray, shape (n,)
        Class of each.
    k : int
        Neighbours that vote.
    include_self : bool
        Let the field itself be the first of the k, as the first public form did.
    not_same : ndarray, shape (n,), optional
        Batch of each field: only fields of other batches may be neighbours.
    asked : ndarray of bool, shape (n,), optional
        Fields that count; by default all. All may be their neighbours.
    clusters : ndarray, shape (n,), optional
        Batch of each field, for the interval; by default `not_same`, else every field by itself.
    n_draws : int
        Draws of random neighbours, where k > 1.
    seed : int
        Of these.

    Returns
    -------
    Consensus

    Raises
    ------
    InputError
        If no field has a neighbour that is allowed.
    """
    points = np.asarray(points, dtype=np.float64)
    classes, code = np.unique(np.asarray(labels), return_inverse=True)
    batch = None if not_same is None else np.unique(np.asarray(not_same), return_inverse=True)[1]
    n, others = len(code), k - int(include_self)
    if others < 1:
        raise InputError(f"k is {k}: the field itself is the only neighbour; give at least 2")
    near, found = _allowed_neighbours(points, batch, others)
    votes = _count(np.where(found, code[near], -1), len(classes))
    own = code if include_self else None
    credit = _credit(votes, code, own)
    credit[~found.any(axis=1)] = np.nan
    if asked is not None:
        credit[~np.asarray(asked, dtype=bool)] = np.nan
    counted = np.isfinite(credit)
    if not counted.any():
        raise InputError(
            "no field has a neighbour: all are of one batch, or there is only one; hold out two "
            "experiments or more (test_share)"
        )
    by = clusters if clusters is not None else (not_same if batch is not None else np.arange(n))
    share = clustered_share(credit[counted], np.asarray(by)[counted])
    chance = _chance(code, batch, counted, others, include_self, len(classes), n_draws, seed)
    return Consensus(share, chance, credit)


def consensus_table(
    representations: Mapping[str, np.ndarray],
    labels: np.ndarray,
    batches: np.ndarray,
    *,
    asked: np.ndarray | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure the same of many representations of the same fields.

    Parameters
    ----------
    representations : mapping of str to ndarray, shape (n, d)
    labels : ndarray, shape (n,)
        Cell type.
    batches : ndarray, shape (n,)
        Plate.
    asked : ndarray of bool, shape (n,), optional
        Fields that count, such as those of experiments held back; all may be neighbours.
    seed : int
        Of the chance levels.

    Returns
    -------
    DataFrame
        One row for each: ``representation dimension``; ``consensus low high chance`` (nearest
        other field); ``other_batch other_batch_low other_batch_high other_batch_chance``
        (nearest field of another plate); ``five_with_self five_with_self_chance`` (the first
        public form); ``batch batch_chance`` (nearest other field is of the same plate).
    """
    rows = []
    for name, points in representations.items():
        same = partial(neighbour_consensus, points, asked=asked, clusters=batches, seed=seed)
        nearest, apart = same(labels), same(labels, not_same=batches)
        five = same(labels, k=5, include_self=True)
        plate = same(batches)
        rows.append(
            {
                "representation": name,
                "dimension": points.shape[1],
                **_columns(nearest, "consensus", ""),
                **_columns(apart, "other_batch", "other_batch_"),
                "five_with_self": five.share.value,
                "five_with_self_chance": five.chance,
                "batch": plate.share.value,
                "batch_chance": plate.chance,
            }
        )
    return pd.DataFrame(rows)


def _columns(found: Consensus, name: str, prefix: str) -> dict[str, float]:
    return {
        name: found.share.value,
        f"{prefix}low": found.share.low,
        f"{prefix}high": found.share.high,
        f"{prefix}chance": found.chance,
    }


def _allowed_neighbours(
    points: np.ndarray, batch: np.ndarray | None, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Nearest allowed fields, (n, k), and which of these exist."""
    n = len(points)
    k = min(k, n)
    near, found = np.empty((n, k), dtype=np.int64), np.empty((n, k), dtype=bool)
    for rows, distance in distance_blocks(points, np.arange(n)):
        if batch is not None:
            distance[batch[rows][:, None] == batch] = np.inf
        near[rows] = nearest_columns(distance, k)
        found[rows] = np.isfinite(np.take_along_axis(distance, near[rows], axis=1))
    return near, found


def _count(codes: np.ndarray, n_classes: int) -> np.ndarray:
    """Votes for each class, (n, n_classes); code -1 votes for none."""
    return (codes[:, :, None] == np.arange(n_classes)).sum(axis=1).astype(np.float64)


def _credit(votes: np.ndarray, code: np.ndarray, own: np.ndarray | None) -> np.ndarray:
    """Whether the own class is the most frequent one; an even vote is shared out."""
    rows = np.arange(len(code))
    if own is not None:
        votes = votes.copy()
        votes[rows, own] += 1
    most = votes == votes.max(axis=1, keepdims=True)
    return most[rows, code] / most.sum(axis=1)


def _chance(
    code: np.ndarray,
    batch: np.ndarray | None,
    counted: np.ndarray,
    k: int,
    include_self: bool,
    n_classes: int,
    n_draws: int,
    seed: int,
) -> float:
    """Credit that random allowed neighbours give, averaged over fields."""
    # Fields of one class and batch have the same candidates: one calculation for all of them.
    key = np.stack([code, np.zeros_like(code) if batch is None else batch])
    kinds, counts = np.unique(key[:, counted], axis=1, return_counts=True)
    rng = np.random.default_rng([seed, 1])
    total = weight = 0.0
    for (mine, plate), count in zip(kinds.T, counts, strict=True):
        there = np.ones(len(code), bool) if batch is None else batch != plate
        pool = np.bincount(code[there], minlength=n_classes)
        if batch is None:
            pool[mine] -= 1  # the field itself
        if pool.sum() == 0:
            continue
        if k == 1 and not include_self:
            expected = pool[mine] / pool.sum()
        else:
            size = min(k, int(pool.sum()))
            votes = rng.multivariate_hypergeometric(pool, size, size=n_draws).astype(np.float64)
            who = np.full(n_draws, mine)
            expected = _credit(votes, who, who if include_self else None).mean()
        total, weight = total + count * float(expected), weight + count
    return total / weight
