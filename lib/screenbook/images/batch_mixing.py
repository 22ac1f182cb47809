"""Does an embedding know the batch? Batch-id accuracy and the kBET acceptance rate.

Asked of fields of one cell type at a time, and of all treatments only where every batch holds
them all; else of the negative controls, since a plate with other treatments is another plate by
right. Two sites of a well show the same cells' neighbours, so that the fields of one well are
never counted as neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook.images.probes import (
    class_weights,
    cosine_blocks,
    most_similar,
    unit_rows,
    weighted_votes,
)
from screenbook.images.shares import Share, clustered_share
from screenbook.profiles.batch_metrics import Neighbours, kbet_pvalues
from screenbook.profiles.nearest import sample_rows
from screenbook.profiles.separability import predictability

ALPHA = 0.05
"""A neighbourhood is accepted as mixed at or above this p: 0.95 of them if batches are mixed."""


@dataclass(frozen=True)
class Mixing:
    """How far batches can be told apart.

    Attributes
    ----------
    knn : Share
        Fields whose batch the nearest fields of other wells tell; interval over batches.
    linear : float
        The same by cross-validated linear discriminant analysis, wells kept together, mean over
        batches. NaN where a batch has a single well.
    chance : float
        Of both: one over the number of batches.
    kbet : Share
        Acceptance: neighbourhoods whose batches are those of the whole; interval over batches.
    kind : str
        ``"all fields"`` or ``"negative controls"``: what was looked at.
    """

    knn: Share
    linear: float
    chance: float
    kbet: Share
    kind: str


def batch_mixing(
    embedding: np.ndarray,
    obs: pd.DataFrame,
    *,
    k: int = 10,
    temperature: float = 0.1,
    n_neighbours: int = 15,
    most: int = 20_000,
    seed: int = 0,
) -> Mixing | None:
    """Measure how well fields of different batches mix.

    Parameters
    ----------
    embedding : ndarray, shape (n, d)
        Features; neighbours are found by cosine.
    obs : DataFrame, n rows
        With ``cell_type treatment role batch well``.
    k, temperature
        Of the vote on the batch, see :func:`screenbook.images.probes.weighted_knn`.
    n_neighbours : int
        Of a neighbourhood of kBET (doi:10.1038/s41592-018-0254-1).
    most : int
        Fields looked at; a random sample of them if there are more.
    seed : int

    Returns
    -------
    Mixing or None
        None with fewer than two batches of two wells or more: there is nothing to mix.
    """
    used, kind = comparable_fields(obs)
    rows = np.flatnonzero(used)
    rows = rows[sample_rows(len(rows), most, seed)]
    right, accepted, batches, linear, chance = [], [], [], [], []
    for cell_type in np.unique(obs["cell_type"].astype(str).to_numpy()[rows]):
        mine = rows[obs["cell_type"].astype(str).to_numpy()[rows] == cell_type]
        # Fields of the own well are no neighbours: a batch of one well could never be told.
        wells = obs.iloc[mine].groupby("batch", observed=True)["well"].transform("nunique")
        mine = mine[(wells > 1).to_numpy()]
        names, batch = np.unique(obs["batch"].astype(str).to_numpy()[mine], return_inverse=True)
        well = _wells(obs.iloc[mine])
        if len(names) < 2 or len(np.unique(well)) < 3:
            continue
        near, similarity = neighbours_of_other_wells(embedding[mine], well, max(k, n_neighbours))
        right.append(_told(near, similarity, batch, len(names), k, temperature) == batch)
        accepted.append(kbet_pvalues(near, batch, n_neighbours=n_neighbours, seed=seed) >= ALPHA)
        batches.append(names[batch])
        found = predictability(
            unit_rows(embedding[mine]), batch, blocks=well, n_permutations=0, seed=seed
        )
        linear.append(len(mine) * (found.accuracy if found else np.nan))
        chance.append(len(mine) / len(names))
    if not batches:
        return None
    batch = np.concatenate(batches)
    return Mixing(
        clustered_share(np.concatenate(right), batch),
        float(np.sum(linear) / len(batch)),
        float(np.sum(chance) / len(batch)),
        clustered_share(np.concatenate(accepted), batch),
        kind,
    )


def comparable_fields(obs: pd.DataFrame) -> tuple[np.ndarray, str]:
    """Fields in which batches should not differ, bool (n,), and what they are called."""
    counts = obs.groupby(["cell_type", "treatment", "batch"], observed=True).size()
    batches = obs.groupby("cell_type", observed=True)["batch"].nunique()
    held = counts.groupby(level=["cell_type", "treatment"], observed=True).size()
    everywhere = held.to_numpy() == batches.loc[held.index.get_level_values(0)].to_numpy()
    if everywhere.all():
        return np.ones(len(obs), dtype=bool), "all fields"
    return (obs["role"] == "control").to_numpy(), "negative controls"


def neighbours_of_other_wells(
    points: np.ndarray, well: np.ndarray, k: int
) -> tuple[Neighbours, np.ndarray]:
    """Most similar fields of other wells, nearest first, and their cosine similarity.

    Parameters
    ----------
    points : ndarray, shape (n, d)
    well : ndarray of int, shape (n,)
    k : int
        Neighbours; fewer if there are not so many fields of other wells.

    Returns
    -------
    Neighbours
        With Euclidean distances between rows of length 1.
    ndarray, shape (n, k)
    """
    k = min(k, len(well) - int(np.bincount(well).max()))
    index, similarity = np.empty((len(points), k), dtype=np.int64), np.empty((len(points), k))
    for rows, block in cosine_blocks(points, points):
        block[well[rows][:, None] == well] = -np.inf
        index[rows] = most_similar(block, k)
        similarity[rows] = np.take_along_axis(block, index[rows], axis=1)
    return Neighbours(np.sqrt(np.maximum(2 - 2 * similarity, 0)), index), similarity


def _told(
    near: Neighbours,
    similarity: np.ndarray,
    batch: np.ndarray,
    n_batches: int,
    k: int,
    temperature: float,
) -> np.ndarray:
    """Batch that the k nearest vote for."""
    weight = class_weights(batch, n_batches, balanced=True)
    votes = weighted_votes(similarity[:, :k], batch[near.index[:, :k]], weight, temperature)
    return votes.argmax(axis=1)


def _wells(obs: pd.DataFrame) -> np.ndarray:
    return obs.groupby(["batch", "well"], observed=True).ngroup().to_numpy()
