"""The geometry of mechanisms in embeddings of fields, each network in a space of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from screenbook.structure.mechanism_geometry import cosine_distances, mechanism_measures

View = tuple[np.ndarray, np.ndarray]
"""Points of fields (n, d) of one network, and which fields are asked, bool (n,)."""


def compound_distances(
    points: np.ndarray, compound: np.ndarray, asked: np.ndarray, names: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Measure cosine distances between the mean vectors of compounds, about their common mean.

    Parameters
    ----------
    points : ndarray, shape (n, d)
    compound : ndarray of str, shape (n,)
    asked : ndarray of bool, shape (n,)
        Fields that take part.
    names : ndarray of str
        Compounds, in the order of the result.

    Returns
    -------
    members : ndarray of int, shape (m,)
        Places in `names` of the compounds that have fields.
    distance : ndarray, shape (m, m)
    """
    members = np.array([i for i, name in enumerate(names) if (asked & (compound == name)).any()])
    means = np.stack([points[asked & (compound == names[i])].mean(axis=0) for i in members])
    return members, cosine_distances(means - means.mean(axis=0))


def embedding_measures(
    views: Sequence[View], obs: pd.DataFrame, *, n_permutations: int = 999, seed: int = 0
) -> pd.DataFrame:
    """Ask whether compounds of one mechanism lie together, averaged over networks.

    Parameters
    ----------
    views : sequence of (points, asked)
        The same embedding from networks that were trained apart, such as the folds of one.
    obs : DataFrame, n rows
        ``compound moa`` of the fields.
    n_permutations, seed : int
        See :func:`screenbook.structure.mechanism_geometry.mechanism_measures`.

    Returns
    -------
    DataFrame
        As of ``mechanism_measures``.
    """
    known = obs[["compound", "moa"]].astype(str).drop_duplicates("compound")
    known = known.sort_values(["moa", "compound"])
    names, moa = (known[c].to_numpy(dtype=object) for c in ("compound", "moa"))
    compound = obs["compound"].astype(str).to_numpy()
    found = [compound_distances(points, compound, asked, names) for points, asked in views]
    return mechanism_measures(
        [distance for _, distance in found],
        moa,
        members=[members for members, _ in found],
        n_permutations=n_permutations,
        seed=seed,
    )


def averaged_distances(views: Sequence[View], obs: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Average the distance of each pair of compounds over the networks that are asked for both.

    Returns
    -------
    compounds : DataFrame
        ``compound moa``, by mechanism.
    distance : ndarray, shape (c, c)
        NaN where no network was asked for both.
    """
    known = obs[["compound", "moa"]].astype(str).drop_duplicates("compound")
    known = known.sort_values(["moa", "compound"]).reset_index(drop=True)
    compound = obs["compound"].astype(str).to_numpy()
    total, n = np.zeros((len(known), len(known))), np.zeros((len(known), len(known)))
    for points, asked in views:
        members, distance = compound_distances(
            points, compound, asked, known["compound"].to_numpy(dtype=object)
        )
        total[np.ix_(members, members)] += distance
        n[np.ix_(members, members)] += 1
    return known, total / np.where(n == 0, np.nan, n)
