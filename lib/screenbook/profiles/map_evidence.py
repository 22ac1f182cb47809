"""What a drawing of a screen is worth: its evidence, ready to be shown beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from screenbook.profiles.map_quality import (
    group_distances,
    neighbour_recall,
    rank_correlation,
    trustworthiness,
)
from screenbook.profiles.nearest import nearest_to, sample_rows
from screenbook.profiles.neighbour_questions import label_codes, neighbour_r2
from screenbook.profiles.reduce import FEWEST_WELLS, tsne_map
from screenbook.screen import Roles


def name_groups(obs: pd.DataFrame, roles: Roles) -> pd.Series:
    """Name the groups whose distances are compared: controls, and compounds at their top dose.

    Parameters
    ----------
    obs : DataFrame, n_wells rows
        ``role compound treatment_conc``.
    roles : Roles

    Returns
    -------
    Series of str
        ``""`` for wells in no group.
    """
    role = obs["role"].astype(str)
    top = obs.groupby("compound", observed=True)["treatment_conc"].transform("max")
    compound = obs["compound"].astype(str).where(obs["treatment_conc"] == top, "")
    return role.where(role.isin(roles.controls), compound)


def keep_neighbours(
    drawings: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    k: int,
    n_queries: int,
    most: int,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure which neighbours each drawing kept.

    Parameters
    ----------
    drawings : mapping of str to (reference, drawn)
        Spaces of shapes (n, d) and (n, 2).
    k : int
        Size of a neighbourhood; of few rows, just less than half.
    n_queries, most : int
        Rows that ask, and rows among which they look; both drawn at random.
    seed : int

    Returns
    -------
    recalls : DataFrame
        ``drawing k recall sd chance n_queries``, for several sizes of the neighbourhood.
    quality : DataFrame
        ``drawing wells recall chance trustworthiness continuity``, at `k`.
    """
    recalls, quality = [], []
    for name, spaces in drawings.items():
        here = sample_rows(len(spaces[0]), most, seed)
        space, flat = (part[here] for part in spaces)
        queries = sample_rows(len(space), n_queries, seed)
        most_near = max((len(space) - 1) // 2, 1)
        near = min(k, most_near)
        sizes = sorted({size for size in (5, near, 50, 150) if size <= most_near})
        recall = neighbour_recall(space, flat, sizes, queries).assign(drawing=name)
        recalls.append(recall)
        at_k = recall[recall["k"] == near].iloc[0]
        trust = trustworthiness(space, flat, near, queries)
        continuity = trustworthiness(flat, space, near, queries)
        quality.append((name, len(space), at_k["recall"], at_k["chance"], trust, continuity))
    columns = ["drawing", "wells", "recall", "chance", "trustworthiness", "continuity"]
    return pd.concat(recalls, ignore_index=True), pd.DataFrame(quality, columns=columns)


def compare_distances(
    reference: np.ndarray, drawings: Mapping[str, np.ndarray], names: pd.Series
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Compare distances between groups in drawings with those in the space they were made of.

    Parameters
    ----------
    reference : ndarray, shape (n, d)
    drawings : mapping of str to ndarray of shape (n, 2)
    names : Series of str, n rows
        Group of each row, ``""`` for none.

    Returns
    -------
    pairs : dict of str to DataFrame
        One row per pair of groups: ``a b a_name b_name reference drawn``.
    agreement : DataFrame, indexed by drawing
        Spearman's ``rho`` over all pairs, and ``rho_far`` over the half that is further apart.
    """
    codes = label_codes(names)
    label = dict(zip(codes, names, strict=True))
    pairs, rows = {}, {}
    for drawing, flat in drawings.items():
        found = group_distances(reference, flat, codes, int(codes.max()) + 1)
        far = found[found["reference"] >= found["reference"].median()]
        rows[drawing] = [
            rank_correlation(part["reference"].to_numpy(), part["drawn"].to_numpy())
            for part in (found, far)
        ]
        pairs[drawing] = found.assign(a_name=found["a"].map(label), b_name=found["b"].map(label))
    return pairs, pd.DataFrame(rows, index=["rho", "rho_far"]).T


def radius_agreement(
    drawn: np.ndarray,
    reference: np.ndarray,
    anchors: np.ndarray,
    others: np.ndarray,
    share: float = 0.05,
) -> tuple[int, float]:
    """Ask whether a radius on the map selects the wells that are closest in the profiles.

    Parameters
    ----------
    drawn, reference : ndarray, shapes (n, 2) and (n, d)
    anchors, others : ndarray of int
        Rows around which is looked, and rows that may be selected.
    share : float
        Share of `others` that the radius selects.

    Returns
    -------
    count : int
        Wells selected.
    agreement : float
        Share of them that the reference selects too; `share` by chance.
    """
    count = max(round(share * len(others)), 1)
    on_map, closest = (nearest_to(space, anchors, others, count) for space in (drawn, reference))
    return count, len(np.intersect1d(on_map, closest)) / count


def cost_of_placing(
    scores: np.ndarray, k: int, *, seed: int, **settings: Any
) -> tuple[int, float, float] | None:
    """Measure what is lost when a row is placed on a map instead of taking part in it.

    Half of the rows are fitted and the others placed among them; then all are fitted.

    Parameters
    ----------
    scores : ndarray, shape (n, d)
    k : int
        Size of a neighbourhood.
    seed : int
    settings
        Of :func:`screenbook.profiles.reduce.tsne_map`.

    Returns
    -------
    tuple or None
        Rows placed, recall of their neighbours when fitted, and when placed; None if there are
        too few rows for landmarks.
    """
    if len(scores) < 2 * FEWEST_WELLS:
        return None
    half = tsne_map(scores, **settings, seed=seed, max_points=len(scores) // 2)
    placed = np.flatnonzero(~half.is_landmark)
    whole = tsne_map(scores, **settings, seed=seed)
    fitted, put = (
        float(neighbour_recall(scores, drawing.coordinates, [k], placed)["recall"].iloc[0])
        for drawing in (whole, half)
    )
    return len(placed), fitted, put


def neighbours_know(
    spaces: Mapping[str, np.ndarray], values: pd.DataFrame, k: int, *, n_queries: int, seed: int
) -> pd.DataFrame:
    """Predict quantities of a row by the mean of its neighbours, in several spaces.

    Parameters
    ----------
    spaces : mapping of str to ndarray of shape (n, d)
    values : DataFrame, n rows
        One column for each quantity.
    k, n_queries, seed : int
        See :func:`screenbook.profiles.neighbour_questions.neighbour_r2`.

    Returns
    -------
    DataFrame
        R², one row for each quantity, one column for each space.
    """
    options = {"n_queries": n_queries, "seed": seed}
    return pd.DataFrame(
        {
            space: {
                name: neighbour_r2(points, column.to_numpy(float), k, **options)
                for name, column in values.items()
            }
            for space, points in spaces.items()
        }
    )
