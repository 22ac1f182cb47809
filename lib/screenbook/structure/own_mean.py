"""How far a compound's replicates lie from its mean, which says what the mean is worth.

Held against the mean of the *other* replicates: a mean that holds the replicate itself is near
to it by construction, the nearer the fewer there are. Chance is what random replicates of as
many compounds would give.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from screenbook.structure.compound_profiles import unit_rows


def own_mean_distances(
    points: np.ndarray, group: np.ndarray, *, n_draws: int = 2000, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure the cosine distance of replicates to the mean of the other replicates.

    Parameters
    ----------
    points : ndarray, shape (n, k)
        Replicates: for instance each compound on each plate.
    group : ndarray of int, shape (n,)
        Whose replicates.
    n_draws : int
        Random groups for chance, of each size.
    seed : int

    Returns
    -------
    replicates : DataFrame
        ``row`` (of `points`), ``group``, ``distance`` (0 to 2); groups of one are left out.
    groups : DataFrame
        ``group n median low high`` (quartiles), ``chance`` (median of random groups of that
        size) and ``p`` (share of random groups whose median is as small).
    """
    unit, group = unit_rows(np.asarray(points, dtype=float)), np.asarray(group)
    sizes = np.bincount(group)
    rng = np.random.default_rng(seed)
    nulls: dict[int, np.ndarray] = {}
    details, rows = [], []
    for g in np.flatnonzero(sizes > 1):
        n, mine = int(sizes[g]), np.flatnonzero(group == g)
        if n not in nulls:
            draws = np.argsort(rng.random((n_draws, len(unit))), axis=1)[:, :n]
            nulls[n] = np.median(_to_others(unit[draws]), axis=1)
        distance = _to_others(unit[mine][None])[0]
        details.append(pd.DataFrame({"row": mine, "group": g, "distance": distance}))
        low, median, high = np.quantile(distance, [0.25, 0.5, 0.75])
        rows.append(
            {
                **{"group": g, "n": n, "median": median, "low": low, "high": high},
                "chance": np.median(nulls[n]),
                "p": ((nulls[n] <= median + 1e-12).sum() + 1) / (n_draws + 1),
            }
        )
    columns = ["group", "n", "median", "low", "high", "chance", "p"]
    empty = pd.DataFrame(columns=["row", "group", "distance"])
    return (
        pd.concat(details, ignore_index=True) if details else empty,
        pd.DataFrame(rows, columns=columns),
    )


def _to_others(groups: np.ndarray) -> np.ndarray:
    """Cosine distance of each member to the mean of the others; groups (m, n, k) give (m, n)."""
    others = groups.sum(axis=1, keepdims=True) - groups
    length = np.linalg.norm(others, axis=2)
    along = np.einsum("mnk,mnk->mn", groups, others)
    return np.asarray(1 - along / np.where(length == 0, 1.0, length))
